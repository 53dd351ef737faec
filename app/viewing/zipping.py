"""Zips that are made while they are sent.

Photos are stored as they are: they don't get smaller. Only the list of contents is kept, so that a zip of any size takes the memory of
one piece. Its dates are all the same and say nothing, and so do the names that its callers give.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from operator import attrgetter
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


@dataclass(frozen=True)
class File:
    """What must be known of a file to say where in a zip everything stands: its name there, its bytes and their checksum."""

    name: str
    size: int
    crc32: int


@dataclass(frozen=True)
class Part:
    """Bytes `start` to `stop` of the file with this index: for the caller to fetch."""

    file: int
    start: int
    stop: int


class Layout:
    """A zip of which everything but the content is known before: how long it is, and what stands at any place. Sizes and checksums are
    in front of each file; ZIP64 is used where the format has no room otherwise (4.3.14 and 4.5.3)."""

    def __init__(self, files: Iterable[File]) -> None:
        self._entries: list[ZipInfo] = []
        self._headers: list[bytes] = []
        at = 0
        for file in files:
            entry = ZipInfo(file.name, DATE)
            entry.file_size = entry.compress_size = file.size
            entry.CRC, entry.header_offset, entry.external_attr = file.crc32, at, 0o600 << 16
            self._entries.append(entry)
            self._headers.append(entry.FileHeader())
            at += len(self._headers[-1]) + file.size
        self._contents_at = at
        self._contents = _contents(self._entries, at)
        self.size = at + len(self._contents)
        """Bytes in all."""

    def lots(self, start: int, stop: int, longest: int) -> Iterator[list[bytes | Part]]:
        """What makes up a range of the zip, in order, and in lots for which no more than `longest` bytes of files are needed."""
        lot, room = list[bytes | Part](), longest
        for part in self._parts(start, stop):
            while isinstance(part, Part) and part.stop - part.start > room:
                if room:
                    lot.append(replace(part, stop=part.start + room))
                    part = replace(part, start=part.start + room)
                yield lot
                lot, room = [], longest
            lot.append(part)
            room -= part.stop - part.start if isinstance(part, Part) else 0
        if lot:
            yield lot

    def _parts(self, start: int, stop: int) -> Iterator[bytes | Part]:
        first = max(0, bisect_right(self._entries, start, key=attrgetter("header_offset")) - 1)
        for index in range(first, len(self._entries)):
            entry, header = self._entries[index], self._headers[index]
            if entry.header_offset >= stop:
                return
            content = entry.header_offset + len(header)
            if head := _between(header, entry.header_offset, start, stop):
                yield head
            since, until = max(start, content), min(stop, content + entry.file_size)
            if since < until:
                yield Part(index, since - content, until - content)
        if rest := _between(self._contents, self._contents_at, start, stop):
            yield rest


def _contents(entries: list[ZipInfo], at: int) -> bytes:
    """The list of contents of a zip in which it begins at this place."""
    gathered = _Gathered(at)
    with ZipFile(gathered, "w", ZIP_STORED) as made:  # type: ignore[call-overload]
        made.infolist().extend(entries)
    return gathered.take()


def _between(data: bytes, at: int, start: int, stop: int) -> bytes:
    """Those of these bytes, of which the first stands at `at`, that lie in a range."""
    return data[max(0, start - at) : max(0, stop - at)]


def gathered(pieces: Iterable[bytes], enough: int) -> Iterator[bytes]:
    """The same bytes in pieces of at least `enough`, but for the last: small ones cost a server more to send than to join."""
    waiting, size = list[bytes](), 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= enough:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


class _Gathered:
    """What `ZipFile` has written, from this place of the zip on, and nobody has taken yet. It can't be wound back, so for `ZipFile` sizes
    and checksums follow each file (4.3.9)."""

    def __init__(self, at: int = 0) -> None:
        self.waiting = bytearray()
        self._at = at

    def write(self, data: bytes) -> int:
        self.waiting += data
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        taken = bytes(self.waiting)
        self.waiting.clear()
        return taken
