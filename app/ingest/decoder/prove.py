"""The proof that a finished file holds nothing but a picture: an allow-list reader that knows nothing of how files are made.

The worker walks every rendition with it before storing it, so that neither a mistake in the decoder nor a captured
decoder gets a word of metadata past. Returned is the size as the picture is shown.
"""

import re
import struct
import zlib

from . import canned
from .limits import CHUNKS
from .limits import NotClean as NotClean
from .prove_film import prove_film

TURNS = {canned.orientation(value): value for value in range(1, 9)}
SAYINGS = {canned.JFIF, *TURNS, *(canned.profile_segment(name) for name in canned.PROFILES)}
SAYINGS.update(canned.adobe(transform) for transform in range(3))
MOST_SEGMENTS = 4096
SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


def prove(mime: str, data: bytes | memoryview) -> tuple[int, int]:
    """Width and height of a clean `image/jpeg`, `image/png` or `video/mp4`; raises `NotClean` for anything else."""
    if mime == "video/mp4":
        film = prove_film(data)
        return film.width, film.height
    data = bytes(data)
    try:
        if mime == "image/jpeg":
            return prove_jpeg(data)
        if mime == "image/png":
            return prove_png(data)
    except (struct.error, IndexError) as error:
        raise NotClean("cut short") from error
    raise NotClean("another type")


def prove_jpeg(data: bytes) -> tuple[int, int]:
    """SOI, our own canned segments at most once each, tables, one frame, scans, EOI, and then the end."""
    if data[:2] != b"\xff\xd8":
        raise NotClean("no start")
    at, size, scans = 2, (0, 0), 0
    said: set[bytes] = set()
    for _ in range(MOST_SEGMENTS):
        if data[at] != 0xFF:
            raise NotClean("bytes between segments")
        marker = data[at + 1]
        if marker == 0xD9:
            if at + 2 != len(data) or not scans:
                raise NotClean("bytes after the end, or no picture before it")
            turned = any(TURNS.get(saying, 1) >= 5 for saying in said)
            return size[::-1] if turned else size
        length = struct.unpack_from(">H", data, at + 2)[0]
        segment = data[at : at + 2 + length]
        if length < 2 or len(segment) != 2 + length:
            raise NotClean("cut short")
        at += 2 + length
        if marker in (0xC4, 0xDB):
            _only_tables(marker, segment[4:])
        elif marker in (0xC0, 0xC1, 0xC2) and size == (0, 0):
            height, width, components = struct.unpack_from(">HHB", segment, 5)
            if length != 8 + 3 * components or not width or not height:
                raise NotClean("a frame of another length")
            size = (width, height)
        elif marker == 0xDD and length == 4:
            pass
        elif marker == 0xDA and size != (0, 0) and length == 6 + 2 * segment[4]:
            end = SCAN_END.search(data, at)
            if end is None:
                raise NotClean("no end")
            scans += 1
            # Bytes of fill may stand before a marker (ITU-T T.81 B.1.1.2).
            at = end.start()
        elif segment in SAYINGS and segment not in said:
            said.add(segment)
        else:
            raise NotClean(f"segment {marker:02x}")
    raise NotClean("too many segments")


def _only_tables(marker: int, tables: bytes) -> None:
    """A table segment ends with its last table (T.81 B.2.4.1, B.2.4.2): each tells by its head how long it is."""
    at = 0
    while at < len(tables):
        at += 1 + 64 * (1 + (tables[at] >> 4 & 1)) if marker == 0xDB else 17 + sum(tables[at + 1 : at + 17])
    if at != len(tables):
        raise NotClean("bytes after a table")


def prove_png(data: bytes) -> tuple[int, int]:
    """The five chunks that draw, with right checksums, and then the end."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
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
