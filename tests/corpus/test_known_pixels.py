"""Orientation and colour by pixels that are known: four corners, and patches against another converter than ours."""

import io
import struct
from collections.abc import Callable, Iterator

import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageOps

from app.ingest.decoding import Decoded, Decoder
from tests.corpus import walks
from tests.corpus.canaries import Canaries
from tests.corpus.deliveries import as_shown, corners, decode, delta_e, far_off, to_srgb
from tests.corpus.photos import encoded, exif, icc_segments, picture, png, put_in, segment, tiff_picture

ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    made = Decoder()
    yield made
    made.close()


def oriented_jpeg(orientation: int) -> bytes:
    return put_in(encoded("JPEG", quality=95), segment(0xE1, b"Exif\0\0" + exif(Canaries("turn"), orientation=orientation)))


def oriented_avif(orientation: int) -> bytes:
    """Pillow writes `irot` and `imir` for it."""
    said = Image.Exif()
    said[ORIENTATION] = orientation
    return encoded("AVIF", quality=95, exif=said.tobytes())


def oriented_heic(orientation: int) -> bytes:
    """And so does pillow-heif."""
    said, out = Image.Exif(), io.BytesIO()
    said[ORIENTATION] = orientation
    file = pillow_heif.from_pillow(picture())
    file[0].info["exif"] = said.tobytes()
    file.save(out, quality=95, chroma=444)
    return out.getvalue()


ORIENTED: dict[str, Callable[[int], bytes]] = {
    "jpeg": oriented_jpeg,
    "png": lambda turn: png(Canaries("turn"), orientation=turn),
    "webp": lambda turn: encoded("WEBP", lossless=True, exif=b"Exif\0\0" + exif(Canaries("turn"), orientation=turn)),
    "avif": oriented_avif,
    "heic": oriented_heic,
    "tiff": lambda turn: tiff_picture(Canaries("turn"), orientation=turn),
}


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ORIENTED)
def test_eight_ways_up(decoder: Decoder, kind: str, turn: int) -> None:
    said = Image.Exif()
    said[ORIENTATION] = turn
    upright = picture()
    upright.getexif().update(said)
    wanted = ImageOps.exif_transpose(upright)
    assert wanted is not None
    photo = decode(decoder, ORIENTED[kind](turn))
    assert isinstance(photo, Decoded), photo
    assert (photo.width, photo.height) == wanted.size
    for made in photo.renditions:
        assert not walks.faults(made.mime, made.data), made.name
        shown = as_shown(made.data)
        assert shown.size == wanted.size == (made.width, made.height)
        assert far_off(corners(shown), corners(wanted)) <= 6, made.name


# Colour: six by four patches, each 16 dots wide.

PATCH, ACROSS, DOWN = 16, 6, 4
PATCHES = [
    (200, 60, 40), (40, 160, 70), (50, 70, 190), (220, 200, 80), (120, 60, 140), (60, 150, 160), (255, 255, 255), (230, 230, 230),
    (170, 170, 170), (110, 110, 110), (60, 60, 60), (0, 0, 0), (224, 172, 145), (180, 120, 95), (95, 60, 45), (250, 220, 200),
    (90, 120, 160), (70, 100, 60), (140, 130, 170), (110, 190, 170), (210, 120, 50), (70, 90, 160), (190, 90, 100), (160, 190, 80),
]  # fmt: skip
CENTRES = [(PATCH * (n % ACROSS) + PATCH // 2, PATCH * (n // ACROSS) + PATCH // 2) for n in range(len(PATCHES))]


def patches(mode: str = "RGB") -> Image.Image:
    image = Image.new("RGB", (PATCH * ACROSS, PATCH * DOWN))
    for n, colour in enumerate(PATCHES):
        x, y = PATCH * (n % ACROSS), PATCH * (n // ACROSS)
        image.paste(colour, (x, y, x + PATCH, y + PATCH))
    return image.convert(mode)


def profile(space: bytes, tags: dict[bytes, bytes], connection: bytes = b"XYZ ") -> bytes:
    """An input profile by ICC.1:2001-04, written for these tests."""
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78), b"cprt": b"text\0\0\0\0test\0", **tags}
    tags[b"wtpt"] = xyz(0.9642, 1.0, 0.8249)
    at, table, body = 132 + 12 * len(tags), b"", b""
    for tag, value in tags.items():
        table += struct.pack(">4sII", tag, at + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s12s4s", at + len(body), b"lcms", 0x02400000, b"mntr" if len(space.strip()) < 4 else b"prtr", space,
                       connection, bytes(12), b"acsp")  # fmt: skip
    return (
        head.ljust(68, b"\0")
        + struct.pack(">3i", 63190, 65536, 54061).ljust(60, b"\0")
        + struct.pack(">I", len(tags))
        + table
        + body
    )


def xyz(*value: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(part * 65536) for part in value))


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def srgb_curve() -> bytes:
    linear = [v / 255 / 12.92 if v / 255 <= 0.04045 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in range(256)]
    return b"curv\0\0\0\0" + struct.pack(">I256H", 256, *(round(v * 65535) for v in linear))


def matrix(red: bytes, green: bytes, blue: bytes, curve: bytes) -> bytes:
    return profile(b"RGB ", {b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue, b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


P3 = matrix(xyz(0.51512, 0.24120, -0.00105), xyz(0.29198, 0.69225, 0.04189), xyz(0.15710, 0.06657, 0.78407), srgb_curve())
ADOBE = matrix(xyz(0.60974, 0.31111, 0.01947), xyz(0.20528, 0.62567, 0.06087), xyz(0.14919, 0.06322, 0.74457), gamma(563 / 256))
PROPHOTO = matrix(xyz(0.79767, 0.28804, 0.0), xyz(0.13519, 0.71187, 0.0), xyz(0.03135, 0.00009, 0.82521), gamma(1.8))
SWAPPED = matrix(xyz(0.14307, 0.06061, 0.71410), xyz(0.43607, 0.22249, 0.01392), xyz(0.38515, 0.71687, 0.09708), srgb_curve())
GREY_18, GREY_LINEAR = profile(b"GRAY", {b"kTRC": gamma(1.8)}), profile(b"GRAY", {b"kTRC": gamma(1.0)})


def inks() -> bytes:
    """Four inks that swallow light as simple filters do: a table from CMYK to L*a*b* (ICC.1:2001-04 section 6.5.7)."""
    grid = 5
    nodes, steps = [], [n / (grid - 1) for n in range(grid)]
    white = Image.new("RGB", (1, 1))
    convert = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    for c in steps:
        for m in steps:
            for y in steps:
                for k in steps:
                    white.putpixel((0, 0), tuple(round(255 * (1 - ink * 0.9) * (1 - k * 0.95)) for ink in (c, m, y)))
                    nodes += ImageCms.applyTransform(white, convert).getpixel((0, 0))
    straight = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes((4, 3, grid, 0)) + struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    return profile(b"CMYK", {b"A2B0": table + straight * 4 + bytes(nodes) + straight * 3}, connection=b"Lab ")


def with_profile(kind: str, image: Image.Image, said: bytes) -> bytes:
    if kind == "JPEG":
        return put_in(encoded("JPEG", image, quality=98, subsampling=0), *icc_segments(said))
    if kind == "HEIC":
        out = io.BytesIO()
        file = pillow_heif.from_pillow(image)
        file[0].info["icc_profile"], file[0].info["icc_profile_type"] = said, "prof"
        file.save(out, quality=95, chroma=444)
        return out.getvalue()
    options: dict[str, dict[str, object]] = {
        "PNG": {}, "WEBP": {"lossless": True, "exact": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"},
        "TIFF": {"compression": "tiff_lzw"},
    }  # fmt: skip
    return encoded(kind, image, icc_profile=said, **options[kind])


def cases() -> Iterator[object]:
    wide = {"p3": P3, "adobe": ADOBE, "prophoto": PROPHOTO, "swapped": SWAPPED}
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "HEIC", "TIFF"):
        for name, said in wide.items():
            yield pytest.param(kind, "RGB", said, id=f"{kind.lower()}-{name}")
    for kind in ("JPEG", "PNG", "TIFF"):
        yield pytest.param(kind, "L", GREY_18, id=f"{kind.lower()}-grey-1.8")
        yield pytest.param(kind, "L", GREY_LINEAR, id=f"{kind.lower()}-grey-linear")
    for kind in ("JPEG", "TIFF"):
        yield pytest.param(kind, "CMYK", inks(), id=f"{kind.lower()}-four-inks")


@pytest.mark.parametrize(("kind", "mode", "said"), list(cases()))
def test_colours_land_in_srgb(decoder: Decoder, kind: str, mode: str, said: bytes) -> None:
    source = patches(mode)
    wanted = to_srgb(source, said)
    photo = decode(decoder, with_profile(kind, source, said))
    assert isinstance(photo, Decoded), photo
    for made in photo.renditions:
        assert not walks.faults(made.mime, made.data), made.name
        assert delta_e(as_shown(made.data), wanted, CENTRES) < 2, made.name


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_transparent_pictures_stand_on_white_and_plain_ones_are_srgb(decoder: Decoder, kind: str) -> None:
    photo = decode(decoder, encoded(kind, patches(), **({"lossless": True} if kind == "WEBP" else {})))
    assert isinstance(photo, Decoded), photo
    for made in photo.renditions:
        assert delta_e(as_shown(made.data), patches(), CENTRES) < 2, made.name
    if kind == "JPEG":
        return
    image = picture().convert("RGBA")
    image.paste((0, 0, 0, 0), (24, 16, 72, 48))
    photo = decode(decoder, encoded(kind, image, **({"lossless": True} if kind == "WEBP" else {})))
    assert isinstance(photo, Decoded), photo
    for made in photo.renditions:
        centre = as_shown(made.data).getpixel((48, 32))
        assert far_off([centre], [(255, 255, 255)]) <= 3, made.name  # type: ignore[list-item]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_what_was_rubbed_out_is_gone(decoder: Decoder, kind: str) -> None:
    """A rubber makes dots see-through, and leaves their colours where they were."""
    image = picture()
    seen = Image.new("L", image.size, 255)
    seen.paste(0, (24, 16, 72, 48))
    image.putalpha(seen)
    photo = decode(decoder, encoded(kind, image, **({"lossless": True, "exact": True} if kind == "WEBP" else {})))
    assert isinstance(photo, Decoded), photo
    full = Image.open(io.BytesIO(photo.renditions[-1].data))
    assert full.mode == "RGBA"
    for place in ((30, 20), (60, 20), (30, 40), (60, 40)):
        assert full.getpixel(place) == (0, 0, 0, 0)
