"""Damage by a seed: the same seed and number make the same file."""

import random
import struct
import zlib
from collections.abc import Callable

from tests.corpus.photos import chunk

EDGES = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
MOST = 1 << 20  # bytes that a damaged file may have


def mutated(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """`data` after one to four kinds of damage; `others` are what pieces are taken from."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = rng.choice(DAMAGES)(data, others, rng)
    if data[:4] == b"\x89PNG" and rng.random() < 0.7:  # else hardly anything gets past the sums
        data = with_right_sums(data)
    return data[:MOST]


def flip_bits(data: bytes, _: list[bytes], rng: random.Random) -> bytes:
    out = bytearray(data)
    for _bit in range(rng.choice((1, 2, 8, 64))):
        if out:
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def flip_early(data: bytes, _: list[bytes], rng: random.Random) -> bytes:
    """Where formats keep their lengths and counts."""
    head = min(len(data), 512)
    return flip_bits(data[:head], [], rng) + data[head:]


def set_field(data: bytes, _: list[bytes], rng: random.Random) -> bytes:
    """A number that is at the edge of what a field can hold, or the length of the file."""
    size = rng.choice((1, 2, 4, 8))
    value = rng.choice((*EDGES, len(data), len(data) - 1, rng.getrandbits(32))) & ((1 << 8 * size) - 1)
    at = rng.randrange(max(1, len(data) - size))
    return data[:at] + value.to_bytes(size, rng.choice(("big", "little"))) + data[at + size :]


def cut_short(data: bytes, _: list[bytes], rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def cut_out(data: bytes, _: list[bytes], rng: random.Random) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def repeat(data: bytes, _: list[bytes], rng: random.Random) -> bytes:
    start, end = _span(data, rng)
    return data[:end] + data[start:end] * rng.choice((1, 2, 100)) + data[end:]


def splice(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    other = rng.choice(others)
    start, end = _span(other, rng)
    at = rng.randrange(len(data) + 1)
    return data[:at] + other[start:end] + data[at + rng.choice((0, end - start)) :]


def noise(data: bytes, _: list[bytes], rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 4, 100, 2000))) + data[at:]


def shuffle_pieces(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Twice, gone, in another order, from another file: a whole chunk, segment or box at a time."""
    pieces = split(data)
    if len(pieces) < 3:
        return flip_bits(data, others, rng)
    head, *rest = pieces
    n = rng.randrange(len(rest))
    match rng.randrange(4):
        case 0:
            rest[n:n] = [rest[n]] * rng.choice((1, 2, 50))
        case 1:
            del rest[n]
        case 2:
            m = rng.randrange(len(rest))
            rest[n], rest[m] = rest[m], rest[n]
        case 3:
            rest[n:n] = [rng.choice(split(rng.choice(others)))]
    return head + b"".join(rest)


Damage = Callable[[bytes, list[bytes], random.Random], bytes]
DAMAGES: tuple[Damage, ...] = (
    flip_bits, flip_early, flip_early, set_field, set_field, cut_short, cut_out, repeat, splice, noise, shuffle_pieces, shuffle_pieces,
)  # fmt: skip


def _span(data: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 2, 4, 16, 100, 1000, 5000)))


def split(data: bytes) -> list[bytes]:
    """A file in its chunks, segments or boxes, as far as they can be told; one piece when they can't."""
    pieces, at = [], {b"\x89PNG": 8, b"RIFF": 12}.get(data[:4], 2 if data[:2] == b"\xff\xd8" else 0)
    pieces.append(data[:at])
    while at + 8 <= len(data) and len(pieces) < 2000:
        if data[:4] == b"\x89PNG":
            size = 12 + int.from_bytes(data[at : at + 4], "big")
        elif data[:4] == b"RIFF":
            length = int.from_bytes(data[at + 4 : at + 8], "little")
            size = 8 + length + length % 2
        elif data[:2] == b"\xff\xd8":
            size = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        else:
            size = int.from_bytes(data[at : at + 4], "big")
        if size < 4 or at + size > len(data) or data[at : at + 2] == b"\xff\xda":
            break
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


def with_right_sums(data: bytes) -> bytes:
    """A PNG whose checksums hold, so that what is in its chunks is looked at."""
    out, at = [data[:8]], 8
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        if at + 12 + size > len(data):
            break
        kind, payload = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        out.append(chunk(kind, payload) if zlib.crc32(kind + payload) else b"")
        at += 12 + size
    return b"".join(out) + data[at:]
