"""Pictures that are brighter than a page: from HDR to what every screen shows.

Light is told by absolute brightness (PQ, SMPTE ST 2084) or against the brightest (HLG, ARIB STD-B67), both in ITU-R BT.2100. White
on a page is 203 cd/m2 (BT.2408). Up to half of that nothing changes; what is brighter is bent smoothly, so that 1000 cd/m2 become
white. Everything is looked up in tables, but for one matrix: a big picture costs little more than another.
"""

from functools import cache
from math import exp
from typing import Any

import pyvips

from . import canned

Image = Any  # pyvips comes without types

# ITU-T H.273: numbers of colour primaries and of transfer characteristics.
BT2020, P3, PQ, HLG = 9, 12, 16, 18
TRANSFERS = (PQ, HLG)

WHITE, PEAK = 203.0, 1000.0  # cd/m2
KNEE = 0.5
STEPS = 65535
# Linear BT.2020 and Display P3 to linear sRGB: their XYZ matrices by SMPTE RP 177, white D65.
TO_SRGB = {
    BT2020: [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    P3: [[1.2249, -0.2249, 0.0], [-0.0421, 1.0421, 0.0], [-0.0196, -0.0786, 1.0983]],
}


def to_srgb(image: Image, primaries: int, transfer: int) -> Image:
    """Three bands of 8 or 16 bits, in 8 bits of sRGB."""
    light = image.maplut(_light(transfer, 255 if image.format == "uchar" else STEPS))
    if primaries in TO_SRGB:
        light = light.recomb(pyvips.Image.new_from_array(TO_SRGB[primaries]))
    steps = light.linear(STEPS * WHITE / PEAK, 0.5).cast("ushort")
    return steps.maplut(_shown()).copy(interpretation="srgb")


@cache
def _light(transfer: int, most: int) -> Image:
    """From what is stored to light, white on a page being 1."""
    brightness = _pq if transfer == PQ else _hlg
    return pyvips.Image.new_from_array([[brightness(n / most) / WHITE for n in range(most + 1)]]).cast("float")


@cache
def _shown() -> Image:
    """From light, in steps of 1000 cd/m2, to sRGB."""
    scale = PEAK / WHITE / STEPS
    return pyvips.Image.new_from_array([[round(255 * _srgb(_bent(n * scale))) for n in range(STEPS + 1)]]).cast("uchar")


def _pq(value: float) -> float:
    """cd/m2 (BT.2100 table 4)."""
    root = value ** (32 / 2523)
    return float(10_000 * (max(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)) ** (8192 / 1305))


def _hlg(value: float) -> float:
    """cd/m2 on a screen of 1000, each colour by itself (BT.2100 table 5; its system gamma is 1.2)."""
    scene = value**2 / 3 if value <= 0.5 else (exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return float(PEAK * scene**1.2)


def _bent(light: float) -> float:
    """Straight up to the knee, from there a hyperbola of the same slope that reaches 1 at the peak."""
    if light <= KNEE:
        return light
    bend = (PEAK / WHITE - KNEE) / (1 - KNEE)
    part = (light - KNEE) / (PEAK / WHITE - KNEE)
    return KNEE + (1 - KNEE) * part * bend / (1 + part * (bend - 1))


def _srgb(light: float) -> float:
    return canned.linear_to_srgb(min(light, 1.0))
