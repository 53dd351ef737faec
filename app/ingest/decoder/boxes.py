"""Boxes, of which HEIF, AVIF, JPEG XL and Canon's CR3 are made (ISO/IEC 14496-12 section 4.2)."""

from collections.abc import Iterator

MOST_BOXES = 10_000  # side by side


def boxes(data: bytes, at: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Kind, beginning and end of the content of each box from `at` to `end`; a box that does not fit is the last and not told."""
    end = len(data) if end is None else end
    for _ in range(MOST_BOXES):
        if at + 8 > end:
            return
        size, kind, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = end - at
        if size < head or at + size > end:
            return
        yield kind, at + head, at + size
        at += size


def inside(data: bytes, path: tuple[bytes, ...], at: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """The contents of all boxes that are reached through boxes of these kinds."""
    for kind, start, stop in boxes(data, at, end):
        if kind == path[0]:
            if len(path) == 1:
                yield start, stop
            else:
                yield from inside(data, path[1:], start, stop)
