"""A made-up photo of 12 megapixels, as noisy and as large as one from a phone, with a place and a camera in it."""

from functools import cache
from io import BytesIO

import pillow_heif
import pyvips
from PIL import Image

from app.ingest.decoder import canned

WIDTH, HEIGHT = 4032, 3024
QUALITY = 90


@cache
def phone_photo(*, interlace: bool = False) -> bytes:
    """A JPEG of about 4 MB."""
    bands = []
    for seed in range(3):
        large = pyvips.Image.perlin(WIDTH, HEIGHT, cell_size=512, seed=seed)
        small = pyvips.Image.perlin(WIDTH, HEIGHT, cell_size=64, seed=seed)
        grain = pyvips.Image.gaussnoise(WIDTH, HEIGHT, mean=0, sigma=6, seed=seed)
        bands.append(large * 90 + small * 36 + 128 + grain)
    image = bands[0].bandjoin(bands[1:]).cast("uchar").copy(interpretation="srgb")
    plain = bytes(image.jpegsave_buffer(Q=QUALITY, interlace=interlace, keep="none"))
    exif = _exif()
    return plain[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + plain[2:]


def landscape(number: int, size: tuple[int, int], sigma: float) -> Image.Image:
    """A picture to look at, another one for each number: a sky over a shore, with so much grain."""
    width, height = size
    hills = pyvips.Image.perlin(width, height, cell_size=height // 3, seed=number)
    waves = pyvips.Image.perlin(width, height, cell_size=height // 24, seed=number + 1)
    grain = pyvips.Image.gaussnoise(width, height, mean=0, sigma=sigma, seed=number)
    down = pyvips.Image.xyz(width, height)[1] / height
    shore = (down + hills * 0.12 > 0.45 + number % 5 * 0.05).ifthenelse(1, 0)
    hour, bands = number * 47 % 90, []
    for sky, sand in zip((70 + hour, 120 + hour // 2, 190 - hour), (150 - hour, 130 - hour // 2, 90 - hour // 3), strict=True):
        band = (sky + down * 110) * (1 - shore) + (sand + down * 50) * shore
        bands.append(band + hills * 28 + waves * 34 * (0.25 + shore) + grain)
    image = bands[0].bandjoin(bands[1:]).cast("uchar")
    return Image.frombytes("RGB", size, image.write_to_memory())


@cache
def iphone_photo() -> bytes:
    """The same with the profile of an iPhone, whose photos are in Display-P3."""
    photo, segment = phone_photo(), canned.profile_segment("p3")
    return photo[:2] + segment + photo[2:]


@cache
def phone_heic(width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """The same picture, in that size, as a HEIC with a place and a camera in it."""
    with Image.open(BytesIO(phone_photo())) as photo:
        image, exif = photo.resize((width, height)), photo.getexif().tobytes()
    out = BytesIO()
    pillow_heif.from_pillow(image).save(out, quality=70, exif=exif)
    return out.getvalue()


def another_heic(photo: bytes, number: int) -> bytes:
    """The same picture in other bytes: a box of nothing behind it (ISO/IEC 14496-12, 8.1.2)."""
    return photo + b"\x00\x00\x00\x10free" + number.to_bytes(8, "big")


def another(photo: bytes, number: int) -> bytes:
    """The same picture in other bytes, with the same work in it: a comment makes it a photo of its own."""
    comment = number.to_bytes(8, "big")
    return photo[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + photo[2:]


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Acme", "Phone 12"
    exif.get_ifd(0x8769)[0x9003] = "2026:08:01 09:30:00"
    exif.get_ifd(0x8825)[1], exif.get_ifd(0x8825)[2] = "N", (48.0, 38.0, 9.0)
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG", exif=exif)
    start = out.getvalue().index(b"Exif\0\0")
    size = int.from_bytes(out.getvalue()[start - 2 : start], "big") - 2
    return out.getvalue()[start : start + size]
