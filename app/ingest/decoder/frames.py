"""How worker and decoder talk: a length in four bytes, that much JSON, then the raw bytes that the JSON announces.

JSON and never pickle: whoever unpickles what a captured decoder says runs its code, beside the keys.
"""

import json
from typing import Any, BinaryIO

from .limits import HEADER_SIZE

LENGTH = 4


def pack(header: dict[str, Any]) -> bytes:
    """The frame of `header`, to be followed by whatever raw bytes it announces."""
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    return len(text).to_bytes(LENGTH, "big") + text


def length(prefix: bytes | bytearray) -> int:
    """How many bytes of JSON follow. Raises `ValueError` beyond what a header may have."""
    size = int.from_bytes(prefix, "big")
    if not 2 <= size <= HEADER_SIZE:
        raise ValueError("a header of this size is never sent")
    return size


def unpack(text: bytes) -> dict[str, Any]:
    """The header in `text`. Raises `ValueError` for anything that is not one JSON object."""
    try:
        header = json.loads(text.decode("ascii"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(header, dict):
        raise ValueError("a header is an object")
    return header


def receive(stream: BinaryIO) -> dict[str, Any] | None:
    """The next header from a blocking stream; None when the other side has closed it."""
    prefix = stream.read(LENGTH)
    if len(prefix) < LENGTH:
        return None
    return unpack(stream.read(length(prefix)))
