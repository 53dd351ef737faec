"""Which of the profiles we know a picture's own profile amounts to, so that its bytes need not be passed on.

A matrix profile (ICC.1:2022 section 8.3.3) is three colorants and three curves; when these are the ones of sRGB, Display P3 or
Adobe RGB, our own copy draws the same picture, whatever else its maker wrote into it.
"""

import struct
from collections.abc import Callable

from . import canned

COLORANT_TOLERANCE = 0.005
CURVE_TOLERANCE = 0.004  # tells sRGB's curve from a plain gamma of 2.2
POINTS = [step / 16 for step in range(17)]
LUTS = (b"A2B0", b"A2B1", b"A2B2", b"D2B0", b"D2B1", b"D2B2", b"D2B3")

Curve = Callable[[float], float]


def recognise(profile: bytes | None, *, bands: int) -> str:
    """`srgb`, `p3` or `adobe`; `other` when colours must be converted.

    No profile means sRGB, and so does one that is damaged or made for another kind of picture.
    """
    if profile is None:
        return "srgb"
    try:
        tags = _tags(profile)
        space = profile[16:20]
        if space != {1: b"GRAY", 3: b"RGB ", 4: b"CMYK"}.get(bands):
            return "srgb"
        if space == b"GRAY":
            return "srgb" if _same(_curve(tags[b"kTRC"]), canned.srgb_to_linear) else "other"
        if space == b"CMYK" or any(lut in tags for lut in LUTS):
            return "other"
        colorants = tuple(_xyz(tags[tag]) for tag in (b"rXYZ", b"gXYZ", b"bXYZ"))
        curves = [_curve(tags[tag]) for tag in (b"rTRC", b"gTRC", b"bTRC")]
        for name, expected in canned.COLORANTS.items():
            wanted = _adobe if name == "adobe" else canned.srgb_to_linear
            near = all(
                abs(a - b) <= COLORANT_TOLERANCE
                for ours, its in zip(expected, colorants, strict=True)
                for a, b in zip(ours, its, strict=True)
            )
            if near and all(_same(curve, wanted) for curve in curves):
                return name
        return "other"
    except (KeyError, ValueError, struct.error, IndexError, OverflowError, ZeroDivisionError, TypeError):
        return "srgb"


def coding(profile: bytes | None) -> tuple[int, int] | None:
    """Primaries and transfer by the numbers of ITU-T H.273, when a profile tells them too (ICC.1:2022 section 9.2.17)."""
    try:
        told = _tags(profile or b"").get(b"cicp", b"")
    except (ValueError, struct.error):
        return None
    return (told[8], told[9]) if len(told) >= 12 else None


def _adobe(value: float) -> float:
    return float(value**canned.ADOBE_GAMMA)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    if profile[36:40] != b"acsp":
        raise ValueError("not a colour profile")
    (count,) = struct.unpack_from(">I", profile, 128)
    if count > 100:
        raise ValueError("too many tags")
    tags = {}
    for n in range(count):
        tag, at, size = struct.unpack_from(">4sII", profile, 132 + 12 * n)
        tags[tag] = profile[at : at + size]
    return tags


def _xyz(tag: bytes) -> tuple[float, ...]:
    if tag[:4] != b"XYZ ":
        raise ValueError("no XYZ value")
    return tuple(part / 65536 for part in struct.unpack_from(">3i", tag, 8))


def _curve(tag: bytes) -> Curve:
    """The function in a `curv` or `para` tag (ICC.1:2022 sections 10.6 and 10.18)."""
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return lambda x: x
        if count == 1:
            gamma = struct.unpack_from(">H", tag, 12)[0] / 256
            return lambda x: float(x**gamma)
        if count > 65536:
            raise ValueError("too long a curve")
        points = struct.unpack_from(f">{count}H", tag, 12)
        return lambda x: _interpolated(points, x)
    if tag[:4] != b"para":
        raise ValueError("no curve")
    (kind,) = struct.unpack_from(">H", tag, 8)
    if kind > 4:
        raise ValueError("unknown curve")
    given = [part / 65536 for part in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12)]
    g, a, b, c, d, e, f = (given + [0.0] * 7)[:7]
    if kind == 0:
        return lambda x: float(x**g)
    if kind == 1:
        return lambda x: _power(a * x + b, g) if x >= -b / a else 0.0
    if kind == 2:
        return lambda x: _power(a * x + b, g) + c if x >= -b / a else c
    return lambda x: _power(a * x + b, g) + e if x >= d else c * x + f


def _power(base: float, exponent: float) -> float:
    return float(max(base, 0.0) ** exponent)


def _interpolated(points: tuple[int, ...], x: float) -> float:
    place = x * (len(points) - 1)
    low = min(int(place), len(points) - 2)
    return (points[low] + (points[low + 1] - points[low]) * (place - low)) / 65535


def _same(curve: Curve, wanted: Curve) -> bool:
    return all(abs(curve(x) - wanted(x)) <= CURVE_TOLERANCE for x in POINTS)
