"""What a storage is: named objects that appear whole or not at all.

Names are `albums/<album id>/<object id>`, so that all of an album can be found and destroyed by its prefix. Every write
that a row will point to takes a fresh object id; replacing an object is possible, and safe for whoever is reading it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from app.errors import KinfoldError

Data: TypeAlias = bytes | bytearray | memoryview

_NAME = re.compile(r"albums/[a-z0-9_-]{1,100}/[a-z0-9_-]{1,100}")


class ObjectMissing(KinfoldError):
    """There is no object of this name."""


class StorageFailed(KinfoldError):
    """The storage could not do it. What was there before is still there; what was being written is not."""

    def __init__(self, reason: Literal["disk-full", "unreachable"]) -> None:
        super().__init__(reason)
        self.reason = reason


class Writer(Protocol):
    """One object on its way. Whoever creates it commits or aborts it; after either, write and commit are a `ValueError`."""

    def write(self, data: Data) -> None:
        """Add a piece of any size. Raises `StorageFailed`, and then the object is given up."""
        ...

    def commit(self) -> None:
        """Make the object visible, whole and for good: it survives a power loss from here on. Raises `StorageFailed`."""
        ...

    def abort(self) -> None:
        """Leave nothing behind. After a commit it does nothing; it never raises."""
        ...


@dataclass(frozen=True)
class Stored:
    """An object as a sweep sees it: its size in bytes, and when it was written."""

    name: str
    size: int
    modified: datetime


class Storage(Protocol):
    """Every method refuses a name or a range that can't be, with a `ValueError`, and may raise `StorageFailed`."""

    def create(self, name: str) -> Writer:
        """Begin an object. Nothing is seen of it before its commit, which replaces what is there in one step."""
        ...

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` to before `stop`, or as many of them as there are, in pieces.

        They are those of the object as it is now, even if it is replaced or deleted while they are read. Raises `ObjectMissing`.
        """
        ...

    def size(self, name: str) -> int:
        """The length in bytes. Raises `ObjectMissing`."""
        ...

    def delete(self, name: str) -> None:
        """Remove an object; it's fine if there is none."""
        ...

    def list(self, prefix: str) -> Iterator[Stored]:
        """The objects whose names begin so, in no particular order."""
        ...


def is_name(name: str) -> bool:
    """Whether an object can have this name."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """The name, if an object can have it. Names come from our own rows, so another one is our mistake: `ValueError`."""
    if not is_name(name):
        raise ValueError("an object's name is albums/<album id>/<object id>")
    return name


def check_range(start: int, stop: int | None) -> None:
    """Raises `ValueError` for a range that begins before the object or ends before it begins."""
    if start < 0 or (stop is not None and stop < start):
        raise ValueError("a range goes from 0 or later to its own start or later")
