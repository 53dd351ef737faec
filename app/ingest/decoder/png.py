"""A PNG's chunk walk: the chunks that draw the picture, and what the others were (PNG, third edition, section 5).

The decoder gets to see only the drawing chunks. Of an animation the first picture is kept.
"""

import struct
import zlib
from dataclasses import dataclass, field

from . import metadata
from .limits import CHUNKS, Refusal

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DRAWING = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
# Says how to show the picture, but nothing about it: not worth a word to the member.
SILENT = (b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI", b"sBIT", b"bKGD", b"hIST", b"sPLT", b"pHYs")
ANIMATION = (b"acTL", b"fcTL", b"fdAT")
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
LARGEST_PROFILE = 4 << 20


@dataclass
class Png:
    width: int = 0
    height: int = 0
    stored: int = 0  # bytes of the unfiltered picture
    interlaced: bool = False
    transparent: bool = False  # may be; the pixels tell
    exif: bytes | None = None
    xmp: bytes | None = None
    profile: bytes | None = None
    coding: tuple[int, int] | None = None  # primaries and transfer, ITU-T H.273
    taken_at: str | None = None
    body: list[bytes | memoryview] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)

    def drawing(self) -> bytes:
        """The bare picture."""
        return b"".join((SIGNATURE, *self.body))


def walk(data: bytes) -> Png:
    """Read the chunks of `data` up to IEND. Raises `Refusal("broken")`."""
    view = memoryview(data)
    png = Png()
    at = len(SIGNATURE)
    kind = b""
    for _ in range(CHUNKS):
        if at + 12 > len(data):
            raise Refusal("broken")
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + size
        if end > len(data) or (kind == b"IHDR") != (at == len(SIGNATURE)):
            raise Refusal("broken")
        payload = view[at + 8 : end - 4]
        if kind in DRAWING:
            png.body.append(view[at:end])
        if kind == b"tRNS":
            png.transparent = True
        if kind == b"IHDR":
            _read_header(png, payload)
        elif kind == b"iCCP":
            png.profile = _profile(bytes(payload))
        elif kind == b"cICP" and size == 4:
            png.coding = payload[0], payload[1]
        elif kind not in DRAWING and kind not in SILENT:
            _look_at(png, kind, bytes(payload))
        at = end
        if kind == b"IEND":
            break
    if kind != b"IEND":
        raise Refusal("broken")
    png.removed |= metadata.kinds_of_trailer(data, at)
    return png


def _read_header(png: Png, payload: memoryview) -> None:
    if len(payload) != 13:
        raise Refusal("broken")
    png.width, png.height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", payload)
    if not png.width or not png.height or colour not in CHANNELS:
        raise Refusal("broken")
    png.stored = png.width * png.height * CHANNELS[colour] * max(depth, 8) // 8
    png.interlaced = interlace == 1
    png.transparent = colour in (4, 6)


def _profile(payload: bytes) -> bytes | None:
    """The deflated profile after its name; a bomb is no profile."""
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(payload[payload.index(b"\0") + 2 :], LARGEST_PROFILE)
    except (ValueError, zlib.error):
        return None
    return profile if unpacker.eof else None


def _look_at(png: Png, kind: bytes, payload: bytes) -> None:
    if kind == b"eXIf":
        png.exif = png.exif or payload
    elif kind in (b"tEXt", b"zTXt", b"iTXt"):
        keyword, _, text = payload.partition(b"\0")
        if keyword == b"XML:com.adobe.xmp":
            png.xmp = png.xmp or text
        if keyword == b"Creation Time":
            png.taken_at = metadata.read_date(text[-40:].lstrip(b"\0")) or png.taken_at
        png.removed |= metadata.kinds_of_text(keyword, text)
    elif kind == b"tIME":
        if len(payload) == 7:
            png.taken_at = png.taken_at or metadata.read_date(b"%04d-%02d-%02d %02d:%02d:%02d" % struct.unpack(">H5B", payload))
        png.removed.add("time")
    elif kind == b"caBX":
        png.removed.add("history")
    else:
        png.removed.add("film" if kind in ANIMATION else "other")
