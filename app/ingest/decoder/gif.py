"""A GIF's block walk: the first picture, and what else was in the file (GIF89a specification)."""

from dataclasses import dataclass, field

from . import metadata
from .limits import Refusal

IMAGE, EXTENSION, TRAILER = 0x2C, 0x21, 0x3B
CONTROL, COMMENT, APPLICATION, TEXT = 0xF9, 0xFE, 0xFF, 0x01
ANIMATION = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
XMP = b"XMP DataXMP"


@dataclass
class Gif:
    """`width` and `height` are those of the screen, or of the first picture where it is larger."""

    width: int = 0
    height: int = 0
    pictures: int = 0
    xmp: bytes | None = None
    body: list[bytes] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)

    def drawing(self) -> bytes:
        """A file with nothing but the first picture."""
        return b"".join((*self.body, bytes((TRAILER,))))


def walk(data: bytes) -> Gif:
    """Read the blocks of `data`. Raises `Refusal("broken")` when there is no whole picture."""
    gif = Gif(int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little"))
    at = 13 + _colours(data, 10)
    gif.body.append(data[:at])
    control = b""
    while at < len(data) and data[at] != TRAILER:
        start = at
        if data[at] == EXTENSION:
            at, words = _sub_blocks(data, at + 2)
            if data[start + 1] == CONTROL:
                control = data[start:at]
            else:
                _look_at(gif, data[start + 1], words)
        elif data[at] == IMAGE:
            at, _ = _sub_blocks(data, at + 10 + _colours(data, at + 9) + 1)
            if at > len(data):
                break
            gif.pictures += 1
            if gif.pictures == 1:
                left, top, width, height = (int.from_bytes(data[start + n : start + n + 2], "little") for n in (1, 3, 5, 7))
                gif.width, gif.height = max(gif.width, left + width), max(gif.height, top + height)
                gif.body += [control, data[start:at]]
                if not width or not height:
                    raise Refusal("broken")
        else:
            break
    if not gif.pictures:
        raise Refusal("broken")
    if gif.pictures > 1:
        gif.removed.add("film")
    gif.removed |= metadata.kinds_of_trailer(data, at + 1)
    return gif


def _colours(data: bytes, at: int) -> int:
    """How many bytes of colours follow, by the flags at this place."""
    flags = data[at] if at < len(data) else 0
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _sub_blocks(data: bytes, at: int) -> tuple[int, bytes]:
    """The place after a row of sub-blocks, beyond the end when that is missing; and the first bytes of what they hold."""
    start = at
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1 if at < len(data) else len(data) + 1, data[start + 1 : min(at, start + metadata.LONGEST)]


def _look_at(gif: Gif, kind: int, words: bytes) -> None:
    if kind == APPLICATION and words.startswith(ANIMATION):
        return
    if kind == APPLICATION and words.startswith(XMP):
        gif.xmp = words
        gif.removed |= metadata.kinds_of_xmp(words)
    else:
        gif.removed.add("description" if kind in (COMMENT, TEXT) else "other")
