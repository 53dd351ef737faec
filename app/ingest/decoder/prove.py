"""The proof that a finished file holds nothing but a picture: an allow-list reader that knows nothing of how files are made.

The worker walks every rendition with it before storing it, so that neither a mistake in the decoder nor a captured
decoder gets a word of metadata past. Returned is the size as the picture is shown.
"""

import re
import struct
import zlib
from dataclasses import dataclass, field

from . import canned
from .limits import CHUNKS
from .limits import NotClean as NotClean
from .prove_film import prove_film

TURNS = {canned.orientation(value): value for value in range(1, 9)}
SAYINGS = {canned.JFIF, *TURNS, *(canned.profile_segment(name) for name in canned.PROFILES)}
SAYINGS.update(canned.adobe(transform) for transform in range(3))
MOST_SEGMENTS = 4096
MARKER = re.compile(rb"\xff[^\x00]")
MARKER_BUT_RESTART = re.compile(rb"\xff[^\x00\xd0-\xd7]")
RESTART = re.compile(rb"\xff([\xd0-\xd7])")
PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


def prove(mime: str, data: bytes | bytearray | memoryview) -> tuple[int, int]:
    """Width and height of a clean `image/jpeg`, `image/png` or `video/mp4`; raises `NotClean` for anything else."""
    if mime == "video/mp4":
        film = prove_film(memoryview(data))
        return film.width, film.height
    view = memoryview(data)
    try:
        if mime == "image/jpeg":
            return prove_jpeg(view)
        if mime == "image/png":
            return prove_png(view)
    except (struct.error, IndexError) as error:
        raise NotClean("cut short") from error
    raise NotClean("another type")


def prove_jpeg(data: memoryview) -> tuple[int, int]:
    """SOI, our own canned segments at most once each, one frame, tables that the next scan uses, scans, EOI, and then the end."""
    if bytes(data[:2]) != b"\xff\xd8":
        raise NotClean("no start")
    at, drawn = 2, _Drawn()
    said: set[bytes] = set()
    for _ in range(MOST_SEGMENTS):
        if data[at] != 0xFF:
            raise NotClean("bytes between segments")
        marker = data[at + 1]
        if marker == 0xD9:
            if at + 2 != len(data) or not drawn.settled or drawn.unused:
                raise NotClean("bytes after the end, or no picture before it")
            turned = any(TURNS.get(saying, 1) >= 5 for saying in said)
            return drawn.size[::-1] if turned else drawn.size
        length = struct.unpack_from(">H", data, at + 2)[0]
        segment = bytes(data[at : at + 2 + length])
        if length < 2 or len(segment) != 2 + length:
            raise NotClean("cut short")
        at += 2 + length
        if marker in (0xC4, 0xDB):
            drawn.tables(marker, segment[4:])
        elif marker in (0xC0, 0xC1, 0xC2) and drawn.size == (0, 0):
            drawn.frame(marker, segment)
        elif marker == 0xDD and length == 4:
            drawn.restarts(segment[4:])
        elif marker == 0xDA and drawn.size != (0, 0) and length == 6 + 2 * segment[4]:
            at = drawn.scan(segment, data, at)
        elif segment in SAYINGS and segment not in said:
            said.add(segment)
        else:
            raise NotClean(f"segment {marker:02x}")
    raise NotClean("too many segments")


@dataclass
class _Drawn:
    """What of a JPEG has been seen. `unused` are tables, by marker and number, that wait for a scan that uses them."""

    size: tuple[int, int] = (0, 0)
    progressive: bool = False
    sampling: dict[int, tuple[int, int]] = field(default_factory=dict)
    quantised_by: dict[int, int] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)  # components that have had a scan
    unused: set[tuple[int, int]] = field(default_factory=set)
    interval: int = 0

    def tables(self, marker: int, tables: bytes) -> None:
        """A table segment ends with its last table (T.81 B.2.4.1, B.2.4.2): each tells by its head how long it is."""
        at = 0
        while at < len(tables):
            self._expect(marker, tables[at] & 15 if marker == 0xDB else tables[at])
            end = at + (1 + 64 * (1 + (tables[at] >> 4 & 1)) if marker == 0xDB else 17 + sum(tables[at + 1 : at + 17]))
            if marker == 0xC4 and len(set(tables[at + 17 : end])) != end - at - 17:
                raise NotClean("a code for the same value twice")
            at = end
        if at != len(tables) or not tables:
            raise NotClean("bytes after a table, or none")

    def restarts(self, interval: bytes) -> None:
        self._expect(0xDD, 0)
        self.interval = int.from_bytes(interval, "big")

    def _expect(self, marker: int, number: int) -> None:
        if (marker, number) in self.unused:
            raise NotClean("a table that nothing uses")
        self.unused.add((marker, number))

    def frame(self, marker: int, segment: bytes) -> None:
        height, width, components = struct.unpack_from(">HHB", segment, 5)
        if len(segment) != 10 + 3 * components or not width or not height or not components:
            raise NotClean("a frame of another length")
        self.size, self.progressive = (width, height), marker == 0xC2
        for name, factors, table in struct.iter_unpack("3B", segment[10:]):
            self.sampling[name], self.quantised_by[name] = (factors >> 4, factors & 15), table

    def scan(self, segment: bytes, data: memoryview, at: int) -> int:
        """One scan, up to the marker after it, whose place is returned: nothing but what its blocks and restarts take."""
        names, codes, first, refined = segment[5:-3:2], segment[6:-3:2], segment[-3], segment[-1] >> 4
        if not names or not set(names) <= set(self.sampling):
            raise NotClean("a scan of another picture")
        if not self.progressive and set(names) & self.settled:
            raise NotClean("a component that is drawn twice")
        used = {(0xDD, 0), *((0xDB, self.quantised_by[name]) for name in set(names) - self.settled)}
        if not self.progressive or (first == 0 and refined == 0):
            used |= {(0xC4, code >> 4) for code in codes}
        if not self.progressive or first > 0:
            used |= {(0xC4, 0x10 | code & 15) for code in codes}
        if self.unused - used:
            raise NotClean("a table that nothing uses")
        self.unused.clear()
        self.settled.update(names)
        end = (MARKER_BUT_RESTART if self.interval else MARKER).search(data, at)
        if end is None or 0xD0 <= data[end.start() + 1] <= 0xD7 or data[end.start() + 1] == 0xFF:
            raise NotClean("no end, or a restart or fill where none belongs")
        if self.interval:
            found = b"".join(RESTART.findall(data, at, end.start()))
            count = -(-self._units(names) // self.interval) - 1
            if len(found) != count or found != (bytes(range(0xD0, 0xD8)) * (count // 8 + 1))[:count]:
                raise NotClean("other restarts than the picture needs")
        return int(end.start())

    def _units(self, names: bytes) -> int:
        """How many units a scan of these components is coded in (T.81 A.2)."""
        widest, highest = (max(each) for each in zip(*self.sampling.values(), strict=True))
        across, down = self.sampling[names[0]] if len(names) == 1 else (1, 1)
        if not across or not down:
            raise NotClean("no sampling")
        units: int = -(-self.size[0] * across // (8 * widest)) * -(-self.size[1] * down // (8 * highest))
        return units


def prove_png(data: memoryview) -> tuple[int, int]:
    """The five chunks that draw, with right checksums, and then the end."""
    if bytes(data[:8]) != b"\x89PNG\r\n\x1a\n":
        raise NotClean("no start")
    at, size = 8, (0, 0)
    for _ in range(CHUNKS):
        length, kind = struct.unpack_from(">I4s", data, at)
        content = data[at + 4 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if kind not in PNG_CHUNKS or (kind == b"IHDR") != (at == 8) or zlib.crc32(content) != checksum:
            raise NotClean("another chunk")
        at += 12 + length
        if kind == b"IHDR":
            width, height = struct.unpack_from(">II", content, 4)
            size = (width, height)
        if kind == b"IEND":
            if length or at != len(data):
                raise NotClean("bytes after the end")
            return size
    raise NotClean("too many chunks")
