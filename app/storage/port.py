"""What a storage is: named objects that appear whole or not at all, and never change.

Names are `albums/<album id>/<object id>`, so that all of an album can be found and destroyed by its prefix. Every write
takes a fresh object id: what is there is never overwritten, only deleted.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol, TypeAlias

from app.errors import KinfoldError

Data: TypeAlias = bytes | bytearray | memoryview

_NAME = re.compile(r"albums/[a-z0-9_-]{1,100}/[a-z0-9_-]{1,100}")


class ObjectMissing(KinfoldError):
    """There is no object of this name."""


class ObjectExists(KinfoldError):
    """There is an object of this name already. It is as it was; what was being written is not kept."""


class StorageFailed(KinfoldError):
    """The storage could not do it. What was there before is still there; nobody will be told of what was being written."""

    def __init__(self, reason: Literal["disk-full", "unreachable"]) -> None:
        super().__init__(reason)
        self.reason = reason


class StorageRefuses(StorageFailed):
    """The storage is there, but does not let us in: a wrong key, no such bucket, no permission. `code` is its own word for it."""

    def __init__(self, code: str) -> None:
        super().__init__("unreachable")
        self.code = code


class Writer(Protocol):
    """One object on its way. Whoever creates it commits or aborts it; after either, write and commit are a `ValueError`."""

    def write(self, data: Data) -> None:
        """Add a piece of any size. Raises `StorageFailed`, and then the object is given up."""
        ...

    def commit(self) -> None:
        """Make the object visible, whole and for good: it survives a power loss from here on.

        Raises `ObjectExists` when the name is taken, even since a moment ago, or `StorageFailed`; either way the object is given up.
        """
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


class Objects(Protocol):
    """Named objects. Every method refuses a name or a range that can't be, with a `ValueError`, and may raise `StorageFailed`."""

    def create(self, name: str) -> Writer:
        """Begin an object. Nothing is seen of it before its commit."""
        ...

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` to before `stop`, or as many of them as there are, in pieces.

        They are all of the object as it is now. When it is deleted while they are read, the rest comes or is `ObjectMissing`. Raises
        `ObjectMissing` at once when there is none.
        """
        ...

    def size(self, name: str) -> int:
        """The length in bytes. Raises `ObjectMissing`."""
        ...

    def delete(self, *names: str) -> None:
        """Remove objects; it's fine if there are none."""
        ...

    def list(self, prefix: str) -> Iterator[Stored]:
        """The objects whose names begin so, in no particular order."""
        ...


class Kept(StrEnum):
    """What a storage keeps of what is deleted."""

    NOTHING = "nothing"
    VERSIONS = "versions"
    """Older versions, which `delete` removes too."""
    LOCKED = "locked"
    """Everything, for as long as it likes: nothing can be destroyed there."""


class Storage(Objects, Protocol):
    """A whole storage, as a house has one."""

    def all_at_once(self) -> AbstractContextManager[None]:
        """For very many objects to which nothing points yet: what is committed within survives a power loss once it has ended well, and not
        before."""
        ...

    def clear_incoming(self, older_than: datetime) -> None:
        """Remove what was begun before and never finished, and what is left of objects that were deleted."""
        ...

    def shown_to_strangers(self, name: str) -> bool:
        """Whether somebody without any key can read this object, or the names of all. Raises `StorageFailed` when that can't be told."""
        ...

    def kept(self) -> Kept:
        """What stays of what is deleted."""
        ...


def put(objects: Objects, name: str, pieces: Iterable[Data]) -> None:
    """Write one object: whole, or nothing of it. Raises what reading `pieces` raises, and what a `Writer` does."""
    writer = objects.create(name)
    try:
        for piece in pieces:
            writer.write(piece)
        writer.commit()
    finally:
        writer.abort()


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
