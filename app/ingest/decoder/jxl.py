"""What a JPEG XL tells before it is decoded: how large it is, and which boxes it has (ISO/IEC 18181-1 and 18181-2).

A file is a bare codestream, or boxes with it in one (`jxlc`) or several (`jxlp`) of them.
"""

from dataclasses import dataclass, field

from . import metadata
from .boxes import boxes
from .limits import Refusal

CODESTREAM = b"\xff\x0a"
CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


@dataclass
class Jxl:
    width: int = 0
    height: int = 0
    was_jpeg: bool = False  # whether it can be turned into the very JPEG that it was made from
    exif: bytes | None = None
    xmp: bytes | None = None
    removed: set[str] = field(default_factory=set)


def walk(data: bytes) -> Jxl:
    """Read the head of `data`. Raises `Refusal("broken")`."""
    jxl = Jxl()
    stream = data[:32] if data.startswith(CODESTREAM) else b""
    for kind, start, end in boxes(data) if not stream else ():
        if kind in (b"jxlc", b"jxlp"):  # a part begins with its number
            stream += data[start + (4 if kind == b"jxlp" else 0) : end][: 32 - len(stream)]
        elif kind == b"jbrd":
            jxl.was_jpeg = True
        elif kind == b"Exif":
            jxl.exif = data[start:end]
        elif kind == b"xml ":
            jxl.xmp = data[start:end]
            jxl.removed |= metadata.kinds_of_xmp(jxl.xmp)
        elif kind == b"jumb":
            jxl.removed.add("history")
        elif kind == b"jhgm":
            jxl.removed.add("edits")
        elif kind not in (b"JXL ", b"ftyp", b"jxll", b"jxli"):  # among them what is packed once more (`brob`)
            jxl.removed.add("other")
    if not stream.startswith(CODESTREAM):
        raise Refusal("broken")
    jxl.width, jxl.height = _size(int.from_bytes(stream[2:], "little"))
    return jxl


def _size(bits: int) -> tuple[int, int]:
    """The SizeHeader (18181-1, D.2): numbers of few bits, the lowest first; the width may be told as a ratio to the height."""

    def take(count: int) -> int:
        nonlocal bits
        value = bits & (1 << count) - 1
        bits >>= count
        return value

    small = take(1)

    def edge() -> int:
        return 8 * (1 + take(5)) if small else 1 + take((9, 13, 18, 30)[take(2)])

    height = edge()
    ratio = take(3)
    if ratio == 0:
        return edge(), height
    over, under = RATIOS[ratio - 1]
    return height * over // under, height
