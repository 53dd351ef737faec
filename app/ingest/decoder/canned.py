"""The only metadata that a delivered file may have: written here, byte for byte the same for everybody.

- JFIF, because without it some decoders guess the colour model;
- an EXIF block with the single tag Orientation, where pixels are kept as they are;
- two colour profiles. sRGB needs none: it is what every program assumes.

The profiles follow ICC.1:2001-04 (version 2.4: old phones ignore version 4) with the colorants of
IEC 61966-2-1 / Display P3 (SMPTE EG 432-1, D65) / Adobe RGB (1998), adapted to D50 by Bradford.
"""

import struct

Colorants = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

JFIF = b"\xff\xe0\x00\x10JFIF\0\x01\x01\x00\x00\x01\x00\x01\x00\x00"

COLORANTS: dict[str, Colorants] = {
    "srgb": ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
    "p3": ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
    "adobe": ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
}
# ITU-R BT.2020, in the same way: never delivered, only converted from.
BT2020: Colorants = ((0.67349, 0.27904, -0.00194), (0.16566, 0.67534, 0.02998), (0.12505, 0.04562, 0.79686))
ADOBE_GAMMA = 563 / 256  # Adobe RGB (1998) 4.3.4.2
D50 = (0.9642, 1.0, 0.8249)


def srgb_to_linear(value: float) -> float:
    """The transfer curve of sRGB and Display P3 (IEC 61966-2-1), both ends 0 to 1."""
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(value: float) -> float:
    """The other way round."""
    return value * 12.92 if value <= 0.0031308 else float(1.055 * value ** (1 / 2.4) - 0.055)


def orientation(value: int) -> bytes:
    """The APP1 segment that says only how to turn the picture: TIFF 6.0 with one entry, tag 274, SHORT."""
    tiff = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 274, 3, 1, value, 0, 0)
    return segment(0xE1, b"Exif\0\0" + tiff)


def profile_segment(name: str) -> bytes:
    """The APP2 segment with our own profile `p3` or `adobe` (ICC.1 annex B.4: chunk 1 of 1)."""
    return segment(0xE2, b"ICC_PROFILE\0\x01\x01" + PROFILES[name])


def adobe(transform: int) -> bytes:
    """The APP14 segment that tells how colours are coded; its version and flags say nothing."""
    return segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform))


def segment(marker: int, payload: bytes) -> bytes:
    """One JPEG marker segment; the length counts itself (ITU-T T.81 B.1.1.4)."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _profile(description: str, colorants: Colorants, curve: bytes) -> bytes:
    name = description.encode("ascii") + b"\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(4 + 4 + 2 + 1 + 67),
        b"cprt": b"text\0\0\0\0CC0\0",
        b"wtpt": _xyz(D50),
        b"rXYZ": _xyz(colorants[0]),
        b"gXYZ": _xyz(colorants[1]),
        b"bXYZ": _xyz(colorants[2]),
        b"rTRC": curve,
    }
    at = 128 + 4 + 12 * (len(tags) + 2)
    table, body, places = b"", b"", {}
    for tag, content in tags.items():
        places[tag] = struct.pack(">II", at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    places[b"gTRC"] = places[b"bTRC"] = places[b"rTRC"]
    for tag, place in places.items():
        table += tag + place
    header = struct.pack(
        ">I4sI4s4s4s6H4s4sIIIQI3i48x",
        at + len(body), b"\0\0\0\0", 0x02400000, b"mntr", b"RGB ", b"XYZ ", 2000, 1, 1, 0, 0, 0, b"acsp", b"\0\0\0\0",
        0, 0, 0, 0, 0, *(round(part * 65536) for part in D50),
    )  # fmt: skip
    return header + struct.pack(">I", len(places)) + table + body


def _xyz(value: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(part * 65536) for part in value))


def _curve(values: list[int]) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(f">I{len(values)}H", len(values), *values)


SRGB_CURVE = _curve([round(srgb_to_linear(i / 255) * 65535) for i in range(256)])  # exact for what 8 bits can have
PROFILES = {
    "p3": _profile("Display P3", COLORANTS["p3"], SRGB_CURVE),
    "adobe": _profile("Adobe RGB", COLORANTS["adobe"], _curve([round(ADOBE_GAMMA * 256)])),
}
BT2020_PROFILE = _profile("BT.2020", BT2020, SRGB_CURVE)
