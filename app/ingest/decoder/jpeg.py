"""A JPEG's marker walk: which bytes draw the picture, and what else was in the file.

ITU-T T.81 annex B. A segment is kept because it is needed to draw, or it is gone: application data, comments,
everything after the first picture's end (films of motion photos, second pictures, makers' trailers).
The entropy-coded data, and so every pixel, stays bit for bit.
"""

import re
import struct
from dataclasses import dataclass, field

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


@dataclass
class Jpeg:
    """What the walk found. `body` draws the picture when put between SOI and EOI; it holds no metadata at all."""

    width: int = 0
    height: int = 0
    components: int = 0
    progressive: bool = False
    scans: int = 0
    samples: int = 0  # coefficients of all components together
    ended: bool = False  # whether its end was there
    jfif: bool = False
    adobe: int | None = None
    exif: bytes | None = None
    profile: bytes | None = None
    body: list[bytes | memoryview] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)

    def drawing(self) -> bytes:
        """The bare picture, as decoders get to see it."""
        return b"".join((b"\xff\xd8", *self._colour_model(), *self.body, b"\xff\xd9"))

    @property
    def strictness(self) -> str:
        """How early libvips shall give up (`fail_on`). A file that lacks its last two bytes is completed, and then every warning counts:
        it says that more than these is missing."""
        return "truncated" if self.ended else "warning"

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
        elif marker in (DQT, DHT, DRI):
            _check_table(marker, payload)
        elif marker == SOS:
            if not jpeg.components or len(payload) != 4 + 2 * payload[0] or not 1 <= payload[0] <= jpeg.components:
                raise Refusal("broken")
            jpeg.scans += 1
            if jpeg.scans > SCANS:
                raise Refusal("too-slow")
        elif 0xE0 <= marker <= 0xEF or marker == 0xFE:
            _look_at(jpeg, chunks, marker, payload)
            continue
        else:
            continue
        jpeg.body.append(whole)
        if marker == SOS:
            end = END_OF_SCAN.search(data, at)
            stop = end.start() if end else len(data)
            jpeg.body.append(view[at:stop])
            at = stop
            if end is None:
                break
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
    if jpeg.components or len(payload) < 6:
        raise Refusal("broken")
    precision, jpeg.height, jpeg.width, jpeg.components = struct.unpack_from(">BHHB", payload)
    if precision != 8:
        raise Refusal("unsupported")
    if not jpeg.width or not jpeg.height or jpeg.components not in (1, 3, 4) or len(payload) != 6 + 3 * jpeg.components:
        raise Refusal("broken")
    jpeg.progressive = marker == 0xC2
    factors = [(payload[at] >> 4, payload[at] & 15) for at in range(7, len(payload), 3)]
    widest, highest = max(h for h, _ in factors), max(v for _, v in factors)
    if not all(1 <= h <= 4 and 1 <= v <= 4 for h, v in factors):
        raise Refusal("broken")
    across, down = -(-jpeg.width // (8 * widest)), -(-jpeg.height // (8 * highest))
    jpeg.samples = sum(across * h * down * v * 64 for h, v in factors)


def _check_table(marker: int, payload: bytes) -> None:
    """A table segment holds tables to its last byte (B.2.4): there is no room for anything else in it."""
    at = 0
    while at < len(payload):
        if marker == DQT:
            at += 1 + 64 * (2 if payload[at] >> 4 else 1)
        elif marker == DHT:
            at += 17 + sum(payload[at + 1 : at + 17])
        else:
            at += 2
    if at != len(payload) or (marker == DRI and at != 2):
        raise Refusal("broken")


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
