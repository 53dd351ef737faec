"""A zip that is made while it is sent.

Photos are stored as they are: they don't get smaller. Of what was sent only the list of contents is kept, so that a zip of any size takes
the memory of one piece. Its dates are all the same and say nothing, and so do the names that its callers give.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from zipfile import ZIP_STORED, ZipFile, ZipInfo

DATE = (1980, 1, 1, 0, 0, 0)
"""The first day that the format knows (APPNOTE.TXT, 4.4.6)."""

PIECE = 512 * 1024
"""Bytes that are gathered before they are sent."""


class Zip:
    """Whoever makes one sends what `add` gives, file by file, and at last what `finish` gives. Names and sizes alone decide how long it
    will be, so that a caller who knows them can say so first."""

    def __init__(self) -> None:
        self._gathered = _Gathered()
        self._zip = ZipFile(self._gathered, "w", ZIP_STORED)  # type: ignore[call-overload]  # it asks no more than to be written to

    def add(self, name: str, content: Iterable[bytes], *, size: int = 0) -> Iterator[bytes]:
        """A file of these pieces, on its way. It is not begun when its first piece can't be had. `size` in bytes is needed only from 2 GB
        on."""
        coming, about = iter(content), ZipInfo(name, DATE)
        first, about.file_size = next(coming, b""), size
        with self._zip.open(about, "w") as file:
            for piece in chain((first,), coming):
                file.write(piece)
                if len(self._gathered.waiting) >= PIECE:
                    yield self._gathered.take()
        yield self._gathered.take()

    def finish(self) -> Iterator[bytes]:
        """The list of contents."""
        self._zip.close()
        yield self._gathered.take()


class _Gathered:
    """What `ZipFile` has written and nobody has taken yet. It can't be wound back, so sizes and checksums follow each file (4.3.9)."""

    def __init__(self) -> None:
        self.waiting = bytearray()

    def write(self, data: bytes) -> int:
        self.waiting += data
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        taken = bytes(self.waiting)
        self.waiting.clear()
        return taken
