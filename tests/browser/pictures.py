"""Files as they come off a phone: pictures with a place and a time in them, and some that are no good."""

from io import BytesIO

import pillow_heif
from PIL import Image

SIZES = ((640, 480), (480, 640), (800, 450), (600, 600))
BRITTANY = ("N", (48.0, 38.0, 10.0), "W", (2.0, 1.0, 30.0))


def jpeg(number: int, *, size: tuple[int, int] | None = None, grainy: bool = False) -> bytes:
    """The picture of this number, with an EXIF that says where, when and with what it was taken. A grainy one takes its time."""
    out = BytesIO()
    _picture(number, size or SIZES[number % len(SIZES)], grainy=grainy).save(out, "JPEG", quality=90, exif=_exif(number))
    return out.getvalue()


def heic(number: int) -> bytes:
    """The same off an iPhone."""
    out = BytesIO()
    made = pillow_heif.from_pillow(_picture(number, SIZES[number % len(SIZES)]))
    made.save(out, quality=50, exif=_exif(number).tobytes())
    return out.getvalue()


def png(number: int) -> bytes:
    """A screenshot."""
    out = BytesIO()
    _picture(number, (480, 640)).save(out, "PNG")
    return out.getvalue()


def tiny(number: int) -> bytes:
    """A picture that costs next to nothing; neighbours differ enough to stay different as JPEGs."""
    out = BytesIO()
    Image.new("RGB", (32, 24), (number * 37 % 256, number * 101 % 256, number % 7 * 36)).save(out, "JPEG")
    return out.getvalue()


def broken() -> bytes:
    """The first third of a JPEG: the rest was lost on the way to the phone."""
    whole = jpeg(1, grainy=True)
    return whole[: len(whole) // 3]


def metadata(content: bytes) -> dict[str, object]:
    """What a saved file still says beside its pixels."""
    with Image.open(BytesIO(content)) as picture:
        exif = picture.getexif()
        place = dict(exif.get_ifd(0x8825)) | dict(exif.get_ifd(0x8769))
        return {str(tag): value for tag, value in (dict(exif) | place).items() if tag != 0x0112} | (
            {"xmp": True} if "xmp" in picture.info else {}
        )


def _exif(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canary Phones", "Canary 12"
    exif.get_ifd(0x8769)[0x9003] = f"2026:08:{1 + number // 24 % 28:02d} {number % 24:02d}:00:00"
    exif.get_ifd(0x8825).update(dict(enumerate(BRITTANY, start=1)))
    return exif


def _picture(number: int, size: tuple[int, int], *, grainy: bool = False) -> Image.Image:
    sky = Image.linear_gradient("L").resize(size)
    red, green = (40 * number) % 256, (90 * number) % 256
    picture = Image.merge(
        "RGB", (sky.point(lambda light: (light + red) % 256), sky, sky.point(lambda light: (light + green) % 256))
    )
    return Image.blend(picture, Image.effect_noise(size, 60).convert("RGB"), 0.3) if grainy else picture
