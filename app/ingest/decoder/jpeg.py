"""A JPEG's marker walk: which bytes draw the picture, and what else was in the file.

ITU-T T.81 annex B. A segment is kept because it is needed to draw, or it is gone: application data, comments, tables that no scan
uses, everything after the first picture's end (films of motion photos, second pictures, makers' trailers).
The entropy-coded data, and so every pixel, stays bit for bit.
"""

import re
import struct
from dataclasses import dataclass, field
from itertools import cycle, islice

from . import canned, metadata
from .limits import SCANS, SEGMENTS, Refusal

SOI, EOI, SOS, DQT, DHT, DRI = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD
# Baseline, extended and progressive Huffman coding: what every browser draws.
DRAWABLE_FRAMES = (0xC0, 0xC1, 0xC2)
# Lossless, hierarchical and arithmetic coding: drawn by nothing that a family has.
OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF)
STANDALONE = (0x01, 0xD0, 0xD1, 0xD2, 0xD3, 0xD4, 0xD5, 0xD6, 0xD7)

# Where a scan's data ends: at a marker that is neither a stuffed zero, a restart, nor fill (B.1.1.2, B.1.1.5).
END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
FIRST_MARKER = re.compile(rb"\xff[^\x00]")
RESTARTS_AND_FILL = re.compile(rb"\xff[\xd0-\xd7\xff]")
RESTARTS = [bytes((0xFF, 0xD0 + n)) for n in range(8)]


@dataclass(frozen=True)
class Component:
    """Sampling factors and quantisation table of one of the picture's colours."""

    across: int
    down: int
    table: int


@dataclass
class Jpeg:
    """What the walk found. `body` draws the picture when put between SOI and EOI; it holds no metadata at all."""

    width: int = 0
    height: int = 0
    frame: bytes | memoryview = b""
    colours: dict[int, Component] = field(default_factory=dict)
    progressive: bool = False
    scans: int = 0
    samples: int = 0  # coefficients of all components together
    ended: bool = False  # whether its end was there
    odd: bool = False  # drawn by decoders, but not as it should be: something may be hidden in it
    jfif: bool = False
    adobe: int | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    profile: bytes | None = None
    body: list[bytes | memoryview] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)
    # Tables as they stand at this point of the walk, and as they were last put into the body; a table is known by its marker and number.
    tables: dict[tuple[int, int], bytes] = field(default_factory=dict)
    written: dict[tuple[int, int], bytes] = field(default_factory=dict)
    shown: set[int] = field(default_factory=set)  # components that have had a scan: their quantisation is settled
    interval: int = 0  # MCUs between restarts
    written_interval: int = 0

    @property
    def components(self) -> int:
        return len(self.colours)

    def drawing(self) -> bytes:
        """The bare picture, as decoders get to see it."""
        return b"".join((*self.parts(), b"\xff\xd9"))

    def parts(self) -> tuple[bytes, bytes | memoryview]:
        """The bare picture up to the data of its last scan, and these."""
        return b"".join((b"\xff\xd8", *self._colour_model(), *self.body[:-1])), self.body[-1]

    def clean(self, *, orientation: int, profile: str) -> bytes:
        """The same pixels with our own few words on how to show them; `profile` is `srgb`, `p3` or `adobe`."""
        said: list[bytes] = []
        if orientation != 1:
            said.append(canned.orientation(orientation))
        if profile != "srgb":
            said.append(canned.profile_segment(profile))
        return b"".join((b"\xff\xd8", *self._colour_model(), *said, *self.body, b"\xff\xd9"))

    def _colour_model(self) -> list[bytes]:
        """JFIF and Adobe's segment decide between RGB, YCbCr, CMYK and YCCK, so each comes back if it was there."""
        jfif = [canned.JFIF] if self.jfif else []
        return jfif if self.adobe is None else [*jfif, canned.adobe(self.adobe)]

    @property
    def sampling(self) -> tuple[int, int]:
        """The largest of the components' factors."""
        return max(each.across for each in self.colours.values()), max(each.down for each in self.colours.values())

    def units_of(self, scan: list[int]) -> int:
        """How many MCUs a scan of these components has (A.2): alone, a component is coded block by block."""
        wide, high = self.sampling
        colour = self.colours[scan[0]] if len(scan) == 1 else Component(1, 1, 0)
        return -(-self.width * colour.across // (8 * wide)) * -(-self.height * colour.down // (8 * high))


def walk(data: bytes) -> Jpeg:
    """Read `data` up to the end of its first picture. Raises `Refusal` (`broken`, `unsupported`, `too-slow`)."""
    view = memoryview(data)
    jpeg = Jpeg()
    chunks: dict[int, bytes] = {}
    at = 2
    for _ in range(SEGMENTS):
        marker, at = _next_marker(data, at)
        if marker == EOI:
            jpeg.ended = True
            break
        if marker in STANDALONE:
            continue
        if marker == SOI:
            raise Refusal("broken")
        size = int.from_bytes(data[at : at + 2], "big")
        if size < 2 or at + size > len(data):
            raise Refusal("broken")
        payload = data[at + 2 : at + size]
        whole = view[at - 2 : at + size]
        at += size
        if marker in OTHER_FRAMES:
            raise Refusal("unsupported")
        if marker in DRAWABLE_FRAMES:
            _read_frame(jpeg, marker, payload)
            jpeg.frame = whole
        elif marker in (DQT, DHT):
            _read_tables(jpeg, marker, payload)
        elif marker == DRI:
            if len(payload) != 2:
                raise Refusal("broken")
            jpeg.interval = int.from_bytes(payload, "big")
        elif marker == SOS:
            scan = _begin_scan(jpeg, payload)
            end = END_OF_SCAN.search(data, at) if jpeg.interval else FIRST_MARKER.search(data, at)
            if end and not jpeg.interval and end[0][1] in (0xFF, *range(0xD0, 0xD8)):
                jpeg.odd = True
                end = END_OF_SCAN.search(data, at)
            stop = end.start() if end else len(data) - data.endswith(b"\xff")  # the end may have cut a marker in half
            if jpeg.interval:
                _check_restarts(jpeg, scan, RESTARTS_AND_FILL.findall(data, at, stop + 1))
            jpeg.body += [whole, view[at:stop]]
            at = stop
            if end is None:
                break
        elif 0xE0 <= marker <= 0xEF or marker == 0xFE:
            _look_at(jpeg, chunks, marker, payload)
    else:
        raise Refusal("broken")
    if not jpeg.scans or (jpeg.progressive and not jpeg.ended):  # of a progressive one nobody can tell how many scans are missing
        raise Refusal("broken")
    jpeg.profile = _assembled(chunks)
    jpeg.removed |= metadata.kinds_of_trailer(data, at)
    return jpeg


def _next_marker(data: bytes, at: int) -> tuple[int, int]:
    """The next marker's code and the place after it; stray bytes before it are stepped over, as decoders do."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            raise Refusal("broken")
        code = data[at + 1]
        if code == 0xFF:
            at += 1
        elif code == 0:
            at += 2
        else:
            return code, at + 2


def _read_frame(jpeg: Jpeg, marker: int, payload: bytes) -> None:
    if jpeg.colours or len(payload) < 6:
        raise Refusal("broken")
    precision, jpeg.height, jpeg.width, components = struct.unpack_from(">BHHB", payload)
    if precision != 8:
        raise Refusal("unsupported")
    if not jpeg.width or not jpeg.height or components not in (1, 3, 4) or len(payload) != 6 + 3 * components:
        raise Refusal("broken")
    jpeg.progressive = marker == 0xC2
    for name, factors, table in struct.iter_unpack("3B", payload[6:]):
        jpeg.colours[name] = Component(factors >> 4, factors & 15, table)
    if len(jpeg.colours) != components or not all(
        1 <= each.across <= 4 and 1 <= each.down <= 4 for each in jpeg.colours.values()
    ):
        raise Refusal("broken")
    wide, high = jpeg.sampling
    across, down = -(-jpeg.width // (8 * wide)), -(-jpeg.height // (8 * high))
    jpeg.samples = sum(across * each.across * down * each.down * 64 for each in jpeg.colours.values())


def _read_tables(jpeg: Jpeg, marker: int, payload: bytes) -> None:
    """A table segment holds tables to its last byte (B.2.4.1, B.2.4.2): there is no room for anything else in it."""
    at = 0
    while at < len(payload):
        head = payload[at]
        size = 1 + 64 * (1 + (head >> 4)) if marker == DQT else 17 + sum(payload[at + 1 : at + 17])
        if head >> 4 > 1 or head & 15 > 3 or at + size > len(payload):
            raise Refusal("broken")
        jpeg.tables[marker, head & 15 if marker == DQT else head] = payload[at : at + size]
        at += size


def _begin_scan(jpeg: Jpeg, payload: bytes) -> list[int]:
    """Put the tables before a scan that it needs and that are not in force yet; what else was defined is never written.
    Returns which components it draws."""
    if not jpeg.colours or len(payload) < 4 or len(payload) != 4 + 2 * payload[0] or not 1 <= payload[0] <= jpeg.components:
        raise Refusal("broken")
    jpeg.scans += 1
    if jpeg.scans > SCANS:
        raise Refusal("too-slow")
    first, last, approximation = payload[-3:]
    names, tables = list(payload[1:-3:2]), payload[2:-3:2]
    if not set(names) <= set(jpeg.colours) or len(set(names)) != len(names):
        raise Refusal("broken")
    if names != [name for name in jpeg.colours if name in names] or (
        not jpeg.progressive and ((first, last, approximation) != (0, 63, 0) or jpeg.shown & set(names))
    ):
        jpeg.odd = True  # among others a component that is drawn twice: the first drawing would be there, and not be seen
    quantisation = [(DQT, jpeg.colours[name].table) for name in names if name not in jpeg.shown]
    codes: list[tuple[int, int]] = []
    if not jpeg.progressive or (first == 0 and approximation >> 4 == 0):  # the first values of DC
        codes += [(DHT, number >> 4) for number in tables]
    if not jpeg.progressive or first > 0:
        codes += [(DHT, 0x10 | number & 15) for number in tables]
    jpeg.shown.update(names)
    _put_tables(jpeg, DQT, quantisation)
    if jpeg.scans == 1:
        jpeg.body.append(jpeg.frame)
    if jpeg.interval != jpeg.written_interval:
        jpeg.body.append(canned.segment(DRI, jpeg.interval.to_bytes(2, "big")))
        jpeg.written_interval = jpeg.interval
    _put_tables(jpeg, DHT, codes)
    return names


def _put_tables(jpeg: Jpeg, marker: int, needed: list[tuple[int, int]]) -> None:
    missing = set(needed) - set(jpeg.tables)
    new = [which for which in dict.fromkeys(needed) if which not in missing and jpeg.written.get(which) != jpeg.tables[which]]
    # Decoders have codes of their own for tables that were never sent, as the pictures in some films are.
    jpeg.odd |= bool(missing) or (marker == DHT and any(_is_odd(jpeg.tables[which], jpeg.progressive) for which in new))
    if new:
        jpeg.body.append(canned.segment(marker, b"".join(jpeg.tables[which] for which in new)))
        jpeg.written.update((which, jpeg.tables[which]) for which in new)


def _is_odd(table: bytes, progressive: bool) -> bool:
    """Whether a code table (C.2) has codes that can't exist, or values twice or of no meaning, which no picture can use."""
    values = table[17:]
    room = sum(amount << (15 - n) for n, amount in enumerate(table[1:17]))
    if table[0] >> 4 == 0:  # F.1.2.1: the size of a difference
        meant = all(value <= 11 for value in values)
    else:  # F.1.2.2 and G.1.2.2: zeros to skip and the size of what follows, or none of it
        meant = all(value & 15 <= 10 and (value & 15 or progressive or value in (0x00, 0xF0)) for value in values)
    return room > 1 << 16 or len(set(values)) != len(values) or not meant


def _check_restarts(jpeg: Jpeg, scan: list[int], found: list[bytes]) -> None:
    """One restart after each interval but the last, counted from 0 to 7 and over again (E.1.4), and no fill."""
    wanted = -(-jpeg.units_of(scan) // jpeg.interval) - 1
    if len(found) != wanted or found != list(islice(cycle(RESTARTS), wanted)):
        jpeg.odd = True


def _look_at(jpeg: Jpeg, chunks: dict[int, bytes], marker: int, payload: bytes) -> None:
    """A segment that is not kept: what it says about drawing is noted, and what kind of thing it was."""
    if marker == 0xE0 and payload.startswith(b"JFIF\0") and len(payload) >= 14:
        jpeg.jfif = True
        if len(payload) > 14:
            jpeg.removed.add("thumbnail")
    elif marker == 0xE0 and payload.startswith(b"JFXX\0"):
        jpeg.removed.add("thumbnail")
    elif marker == 0xE1 and payload.startswith(b"Exif\0"):
        jpeg.exif = jpeg.exif or payload[6:]
    elif marker == 0xE1 and payload.startswith(b"http://ns.adobe.com/"):
        jpeg.xmp = jpeg.xmp or payload
        jpeg.removed |= metadata.kinds_of_xmp(payload)
    elif marker == 0xE2 and payload.startswith(b"ICC_PROFILE\0") and len(payload) > 14:
        chunks.setdefault(payload[12], payload[14:])
    elif marker == 0xE2 and payload.startswith((b"MPF\0", b"urn:iso:std:iso:ts:21496")):
        jpeg.removed.add("edits")
    elif marker == 0xEB:
        jpeg.removed.add("history")
    elif marker == 0xED:
        jpeg.removed |= metadata.kinds_of_iptc(payload)
    elif marker == 0xEE and payload.startswith(b"Adobe") and len(payload) >= 12:
        jpeg.adobe = min(payload[11], 2)  # decoders take any other value as 2
    elif marker == 0xFE:
        jpeg.removed.add("description")
    else:
        jpeg.removed.add("other")


def _assembled(chunks: dict[int, bytes]) -> bytes | None:
    """A profile comes in numbered chunks (ICC.1 annex B.4); one with a hole in it is no profile."""
    if not chunks or sorted(chunks) != list(range(1, len(chunks) + 1)):
        return None
    return b"".join(chunks[n] for n in sorted(chunks))
