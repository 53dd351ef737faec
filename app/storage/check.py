"""Whether a storage really keeps what it is given."""

import secrets

from app.errors import KinfoldError
from app.ids import new_id
from app.storage.port import Storage


class RoundTripFailed(KinfoldError):
    """What was read is not what was written."""


def round_trip(storage: Storage) -> None:
    """Write a small random object, read it back, remove it. Raises `StorageFailed` or `RoundTripFailed`."""
    name, content = f"albums/check/{new_id()}", secrets.token_bytes(64)
    writer = storage.create(name)
    writer.write(content)
    writer.commit()
    try:
        if b"".join(storage.read(name)) != content:
            raise RoundTripFailed
    finally:
        storage.delete(name)
