"""What the real decoder delivers for a sample, and how a delivered picture looks."""

import io
import math
from collections.abc import Iterable

from PIL import Image, ImageCms, ImageOps

from app.ingest.decoding import Decoded, Decoder, NotDecoded

SRGB = ImageCms.createProfile("sRGB")
LAB = ImageCms.createProfile("LAB")

Colour = tuple[int, ...]


def decode(decoder: Decoder, data: bytes, group: str = "smiths") -> Decoded | NotDecoded:
    """One upload through the real process."""
    return decoder.decode(data, group=group, size=len(data))


def as_shown(data: bytes) -> Image.Image:
    """A delivered picture the way a browser shows it: turned, in sRGB, on white."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert image is not None
    profile = image.info.get("icc_profile")
    if image.mode in ("RGBA", "LA", "P"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    image = image.convert("RGB")
    if profile:
        return to_srgb(image, profile)
    return image


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """The reference converter: LittleCMS as Pillow ships it, 8 bits, relative colorimetric."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    made = ImageCms.profileToProfile(image, source, SRGB, renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="RGB")
    assert made is not None
    return made


def corners(image: Image.Image, inset: float = 0.1) -> tuple[Colour, ...]:
    """The colours near the four corners: top left, top right, bottom left, bottom right."""
    xs, ys = ((round(edge * inset), round(edge * (1 - inset))) for edge in image.size)
    return tuple(image.getpixel((x, y)) for y in ys for x in xs)  # type: ignore[misc]


def far_off(found: Iterable[Colour], wanted: Iterable[Colour]) -> int:
    """The largest difference of any channel."""
    return max(abs(a - b) for one, other in zip(found, wanted, strict=True) for a, b in zip(one, other, strict=True))


def delta_e(one: Image.Image, other: Image.Image, places: Iterable[tuple[int, int]]) -> float:
    """The mean distance of two sRGB pictures at these places, in CIE 1976 units (never smaller than CIEDE2000 where it matters)."""
    labs = [ImageCms.profileToProfile(image, SRGB, LAB, outputMode="LAB") for image in (one, other)]
    distances = []
    for place in places:
        a, b = (_lab(image.getpixel(place)) for image in labs)  # type: ignore[union-attr]
        distances.append(math.dist(a, b))
    return sum(distances) / len(distances)


def _lab(stored: Colour) -> tuple[float, float, float]:
    """Pillow keeps L* as 0 to 255, and a* and b* with 128 added."""
    lightness, a, b = stored
    return lightness * 100 / 255, a - 128, b - 128
