"""The directories of a TIFF structure, as EXIF blocks, scanners and cameras write it (TIFF 6.0 section 2; BigTIFF has wider numbers).

Values are told by where they are, and damaged or endless directories end the walk: nothing here raises.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

MOST_ENTRIES = 1000  # of one directory
MOST_DIRECTORIES = 100
TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1}
NUMBERS = (3, 4, 13, 16, 18)  # types of whole numbers that count something or say where it is

# Cameras from Olympus and Panasonic write another number in the place of 42.
PLAIN, BIG = (b"II*\0", b"MM\0*"), (b"II+\0", b"MM\0+")
CAMERAS = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0")
MARKS = PLAIN + BIG + CAMERAS

SUB_IFDS = 0x014A


@dataclass(frozen=True)
class Field:
    """One value: its type, how many of it, where it begins and how many bytes it has."""

    kind: int
    count: int
    at: int
    size: int


Directory = dict[int, Field]


@dataclass(frozen=True)
class Tiff:
    """A structure whose places count from the beginning of `data`."""

    data: bytes
    order: Literal["little", "big"]
    big: bool = False
    first: int = 0

    @classmethod
    def opened(cls, data: bytes) -> "Tiff | None":
        """The structure that `data` begins with, if it does."""
        mark = data[:4]
        order: Literal["little", "big"] = "little" if mark[:2] == b"II" else "big"
        if mark in BIG:
            return cls(data, order, True, int.from_bytes(data[8:16], order))
        if mark in PLAIN or mark in CAMERAS:
            return cls(data, order, False, int.from_bytes(data[4:8], order))
        return None

    def directory(self, at: int) -> tuple[Directory, int]:
        """The fields by tag, and where the next directory is (0: there is none)."""
        head, entry, wide = (8, 20, 8) if self.big else (2, 12, 4)
        if not 8 <= at <= len(self.data) - head:
            return {}, 0
        count = self._number(at, head)
        fields: Directory = {}
        for place in range(at + head, at + head + entry * min(count, MOST_ENTRIES), entry):
            if place + entry > len(self.data):
                return fields, 0
            kind, amount = self._number(place + 2, 2), self._number(place + 4, wide)
            size, value = TYPE_SIZES.get(kind, 1) * amount, place + 4 + wide
            fields.setdefault(
                self._number(place, 2), Field(kind, amount, value if size <= wide else self._number(value, wide), size)
            )
        return fields, self._number(at + head + entry * count, wide)

    def directories(self) -> Iterator[Directory]:
        """Every directory that hangs on the first one, each once: its successors, and what they hold."""
        waiting, seen = [self.first], set[int]()
        while waiting and len(seen) < MOST_DIRECTORIES:
            at = waiting.pop(0)
            if at in seen:
                continue
            seen.add(at)
            fields, after = self.directory(at)
            if fields:
                yield fields
                waiting += [after, *self.numbers(fields, SUB_IFDS)]

    def first_page(self) -> bytes:
        """The same structure with no successor to its first directory."""
        head, entry, wide = (8, 20, 8) if self.big else (2, 12, 4)
        at = self.first + head + entry * self._number(self.first, head)
        return b"".join((self.data[:at], bytes(wide), self.data[at + wide :])) if self._number(at, wide) else self.data

    def value(self, fields: Directory, tag: int, most: int = 64) -> bytes:
        """The first `most` bytes of a value; nothing when it is not there."""
        field = fields.get(tag)
        return b"" if field is None else self.data[field.at : field.at + min(field.size, most)]

    def numbers(self, fields: Directory, tag: int) -> list[int]:
        """The first few of the whole numbers of a value."""
        field = fields.get(tag)
        if field is None or field.kind not in NUMBERS:
            return []
        step = TYPE_SIZES[field.kind]
        raw = self.value(fields, tag, 16 * step)
        return [int.from_bytes(raw[at : at + step], self.order) for at in range(0, len(raw) - step + 1, step)]

    def number(self, fields: Directory, tag: int) -> int:
        """The first of them; 0 when there is none."""
        return next(iter(self.numbers(fields, tag)), 0)

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self.data[at : at + size], self.order)
