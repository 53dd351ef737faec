"""Whether a storage really keeps what it is given, and keeps it to itself."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import KinfoldError
from app.ids import new_id
from app.storage.port import ObjectMissing, Storage, put


class RoundTripFailed(KinfoldError):
    """What was read is not what was written."""


def round_trip(storage: Storage) -> None:
    """Write a small random object, read it back, remove it. Raises `StorageFailed` or `RoundTripFailed`."""
    content = secrets.token_bytes(64)
    with _trial_object(storage, content) as name:
        if b"".join(storage.read(name)) != content:
            raise RoundTripFailed


def are_one(one: Storage, other: Storage) -> bool:
    """Whether both are the same place, whatever their addresses look like: what is written to one is found in the other."""
    with _trial_object(one, secrets.token_bytes(64)) as name:
        try:
            other.size(name)
        except ObjectMissing:
            return False
        return True


def is_exposed(storage: Storage) -> bool:
    """Whether strangers can read what is stored: tried out with a small random object. Raises `StorageFailed` when it can't be told."""
    with _trial_object(storage, secrets.token_bytes(64)) as name:
        return storage.shown_to_strangers(name)


@contextmanager
def _trial_object(storage: Storage, content: bytes) -> Iterator[str]:
    name = f"albums/check/{new_id()}"
    put(storage, name, [content])
    try:
        yield name
    finally:
        storage.delete(name)
