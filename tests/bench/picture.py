"""A made-up photo of 12 megapixels, as noisy and as large as one from a phone, with a place and a camera in it."""

from functools import cache
from io import BytesIO

import pyvips
from PIL import Image

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
