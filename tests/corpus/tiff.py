"""TIFF 6.0 by hand: EXIF blocks, pictures in strips, and what cameras call RAW are all of it."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
SIZES = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, UNDEFINED: 1}


@dataclass(frozen=True)
class Value:
    """One value of a directory, as it stands in the file."""

    kind: int
    data: bytes


@dataclass(frozen=True)
class Placed:
    """Bytes that lie somewhere in the file; the directory holds where."""

    data: bytes


Directory = Mapping[int, "Value | Placed | Sequence[Directory]"]


def write(order: str, directories: Sequence[Directory], head: bytes = b"") -> bytes:
    """A file with these directories one after the other; `head` stands right behind the eight bytes of the header, as in CR2."""
    out = bytearray((b"II*\0" if order == "<" else b"MM\0*") + bytes(4) + head)
    link = 4
    for directory in directories:
        at, link_next = _directory(out, order, directory)
        struct.pack_into(order + "I", out, link, at)
        link = link_next
    return bytes(out)


def text(words: str) -> Value:
    return Value(ASCII, words.encode("utf-8") + b"\0")


def wide(words: str) -> Value:
    """Microsoft's XP tags are UTF-16 in bytes."""
    return Value(BYTE, words.encode("utf-16-le") + b"\0\0")


def shorts(order: str, *numbers: int) -> Value:
    return Value(SHORT, struct.pack(f"{order}{len(numbers)}H", *numbers))


def longs(order: str, *numbers: int) -> Value:
    return Value(LONG, struct.pack(f"{order}{len(numbers)}I", *numbers))


def raw(data: bytes) -> Value:
    return Value(UNDEFINED, data)


def _directory(out: bytearray, order: str, directory: Directory) -> tuple[int, int]:
    """Write one after all that it points to; where it is, and where the place of the next one is to be written."""
    entries = []
    for tag in sorted(directory):
        value = directory[tag]
        if isinstance(value, Placed):
            value = longs(order, _place(out, value.data))
        elif not isinstance(value, Value):
            value = longs(order, *(_directory(out, order, inner)[0] for inner in value))
        count = len(value.data) // SIZES[value.kind]
        field = value.data.ljust(4, b"\0") if len(value.data) <= 4 else struct.pack(order + "I", _place(out, value.data))
        entries.append(struct.pack(order + "HHI", tag, value.kind, count) + field)
    at = _place(out, struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4))
    return at, len(out) - 4


def _place(out: bytearray, data: bytes) -> int:
    out += bytes(len(out) % 2)
    at = len(out)
    out += data
    return at
