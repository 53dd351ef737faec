"""Every kind of picture that a family has: taken, cleaned, upright, in the right colours; and what is refused, kindly and soon."""

import io
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from math import log
from pathlib import Path

import pillow_heif
import pytest
import pyvips
from PIL import Image, ImageCms, ImageOps

from app.ingest.decoder import canned, hdr, jpeg, render
from app.ingest.decoder.limits import Refusal
from app.ingest.decoder.prove import prove
from app.ingest.decoding import Decoded, Decoder, NotDecoded
from tests import made
from tests.exiftool import ALLOWED, said_by_exiftool
from tests.made import CAMERA_KINDS, CANARY, CORNERS, EXIF_KINDS, TAKEN, XMP_KINDS, corners, written


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder()
    yield decoder
    decoder.close()


def decode(decoder: Decoder, data: bytes) -> Decoded | NotDecoded:
    return decoder.decode(data, group="smiths", size=len(data))


def opened(data: bytes) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(io.BytesIO(data)))


def quarters(image: Image.Image) -> list[int]:
    """Which of the four colours is in each quarter, in reading order."""
    image = image.convert("RGB")
    pixels = [image.getpixel((image.width * x // 4, image.height * y // 4)) for y in (1, 3) for x in (1, 3)]
    near = [[sum(abs(a - b) for a, b in zip(pixel, colour, strict=True)) for colour in CORNERS] for pixel in pixels]  # type: ignore[arg-type]
    return [distances.index(min(distances)) for distances in near]


UPRIGHT, TURNED = [0, 1, 2, 3], [2, 0, 3, 1]

MADE: dict[str, tuple[Callable[[], bytes], list[int], set[str]]] = {
    "jpeg": (made.jpeg, UPRIGHT, EXIF_KINDS | XMP_KINDS | {"other"}),
    "gif": (made.gif, UPRIGHT, XMP_KINDS | {"film", "other"}),
    "tiff": (made.tiff, UPRIGHT, (EXIF_KINDS - {"edits"}) | XMP_KINDS | {"other"}),
    "tiff of 16 bits": (made.deep_tiff, UPRIGHT, XMP_KINDS),
    "apng": (made.apng, UPRIGHT, EXIF_KINDS | XMP_KINDS | {"film"}),
    "webp": (made.webp, UPRIGHT, EXIF_KINDS | XMP_KINDS | {"film"}),
    "bmp": (made.bmp, UPRIGHT, {"other"}),
    "jxl": (made.jxl, UPRIGHT, EXIF_KINDS | XMP_KINDS),
    "heic": (made.heic, UPRIGHT, EXIF_KINDS | XMP_KINDS),
    "avif": (made.avif, UPRIGHT, EXIF_KINDS | XMP_KINDS),
    "dng": (made.dng, TURNED, CAMERA_KINDS | {"other"}),
    "nef": (made.nef, UPRIGHT, CAMERA_KINDS),
    "pef": (made.pef, UPRIGHT, CAMERA_KINDS | {"thumbnail"}),
    "cr2": (made.cr2, UPRIGHT, CAMERA_KINDS),
    "rw2": (made.rw2, UPRIGHT, CAMERA_KINDS | EXIF_KINDS | XMP_KINDS | {"other"}),
    "orf": (made.orf, UPRIGHT, CAMERA_KINDS | {"edits", "other"}),
    "raf": (made.raf, UPRIGHT, EXIF_KINDS | XMP_KINDS | {"other"}),
    "cr3": (made.cr3, TURNED, CAMERA_KINDS | {"place"}),
}


@pytest.mark.parametrize("name", MADE)
def test_every_format_comes_out_clean_and_upright(decoder: Decoder, name: str) -> None:
    make, expected, kinds = MADE[name]
    photo = decode(decoder, make())
    assert isinstance(photo, Decoded), photo
    assert set(photo.removed) == kinds
    assert photo.taken_at is None if name == "bmp" else photo.taken_at and photo.taken_at.isoformat() == TAKEN
    assert photo.pair == (made.PAIR if name in ("jpeg", "apng", "webp", "heic", "avif", "jxl") else None)
    for rendition in photo.renditions:
        assert prove(rendition.mime, rendition.data) == (rendition.width, rendition.height)
        assert CANARY[:10] not in rendition.data
        assert quarters(opened(rendition.data)) == expected, rendition.name


def test_exiftool_finds_nothing_in_what_is_made_of_every_format(decoder: Decoder, tmp_path: Path) -> None:
    for name, (make, _, _) in MADE.items():
        photo = decode(decoder, make())
        assert isinstance(photo, Decoded)
        for rendition in photo.renditions:
            (tmp_path / f"{name}-{rendition.name}.{rendition.mime[6:]}").write_bytes(rendition.data)
    (tmp_path / "dirty.jpeg").write_bytes(made.jpeg())  # or the test would show nothing
    said = said_by_exiftool(tmp_path)
    assert {"Artist", "GPSLatitude", "Comment"} <= said.pop("dirty.jpeg")
    assert len(said) == 3 * len(MADE)
    assert set().union(*said.values()) <= ALLOWED


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("make", [made.tiff, made.jxl, made.dng, made.nef, made.cr3], ids=lambda make: str(make.__name__))
def test_orientations_of_other_formats(make: Callable[[int], bytes], orientation: int) -> None:
    turned = corners()
    turned.getexif()[274] = orientation
    if make is made.jxl:  # its codestream tells which way is up; what EXIF says there is only for information
        orientation = 1
        turned.getexif()[274] = 1
    expected = quarters(ImageOps.exif_transpose(turned))
    photo = render.render(make(orientation))
    assert all(quarters(opened(rendition.data)) == expected for rendition in photo.renditions)


def test_a_jpeg_that_was_packed_into_a_jpeg_xl_comes_out_with_its_own_pixels(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(written(corners(), "JPEG", quality=90, exif=made.exif()))
    packed = io.BytesIO()
    with Image.open(path) as image:
        image.save(packed, "JXL", lossless_jpeg=True)
    assert b"jbrd" in packed.getvalue()
    full = render.render(packed.getvalue()).renditions[2].data
    assert full == jpeg.walk(path.read_bytes()).clean(orientation=1, profile="srgb")


@pytest.mark.parametrize("bits", ["1", "L", "P", "RGB", "RGBA"])
def test_every_kind_of_bitmap(bits: str) -> None:
    photo = render.render(written(corners(mode=bits), "BMP"))
    shown = quarters(opened(photo.renditions[2].data))
    assert shown[3] == 3 if bits in ("1", "L") else shown == UPRIGHT


@pytest.mark.parametrize("options", [{"compression": kind} for kind in ("none", "lzw", "deflate", "packbits", "jpeg")])
@pytest.mark.parametrize("tile", [False, True])
def test_every_packing_of_a_tiff(options: dict[str, object], tile: bool) -> None:
    for image in (
        vips(corners()),
        vips(corners()).colourspace("lab"),
        vips(corners(mode="L")),
        vips(corners()).colourspace("rgb16"),
    ):
        if options["compression"] == "jpeg" and image.format != "uchar":
            continue
        photo = render.render(bytes(image.tiffsave_buffer(tile=tile, tile_width=32, tile_height=32, **options)))
        assert image.bands == 1 or quarters(opened(photo.renditions[2].data)) == UPRIGHT


def test_a_transparent_gif_is_white_in_the_grid() -> None:
    image = corners().quantize(8)
    first = image.getpixel((5, 5))
    photo = render.render(written(image, "GIF", transparency=first))
    grid, _, full = (opened(rendition.data) for rendition in photo.renditions)
    assert photo.renditions[2].mime == "image/png" and full.getpixel((5, 5))[3] == 0  # type: ignore[index]
    assert min(grid.convert("RGB").getpixel((5, 5))) > 250  # type: ignore[type-var]


# Colour.


def vips(image: Image.Image) -> pyvips.Image:
    made = pyvips.Image.new_from_memory(image.tobytes(), image.width, image.height, len(image.getbands()), "uchar")
    return made.copy(interpretation={"L": "b-w", "RGB": "srgb", "CMYK": "cmyk"}[image.mode])


def ramps(mode: str = "RGB") -> Image.Image:
    """Many colours, none at the edge of what sRGB can show."""
    one = Image.linear_gradient("L").resize((64, 64)).point(lambda value: 60 + value // 2)
    bands = [one, one.rotate(90), one.rotate(180).point(lambda value: 250 - value // 2), Image.new("L", (64, 64), 20)]
    return Image.merge(mode, bands[: len(mode)]) if len(mode) > 1 else one


PROPHOTO = canned._profile(
    "ProPhoto", ((0.79767, 0.28804, 0.0), (0.13519, 0.71187, 0.0), (0.03134, 0.00009, 0.82491)), canned._curve([round(1.8 * 256)])
)


def gray_profile() -> bytes:
    """A grey of gamma 1.8, by cutting the colours out of a profile of ours."""
    curve = canned._curve([round(1.8 * 256)])
    curve += bytes(-len(curve) % 4)
    table = struct.pack(">I4sII4sII", 2, b"wtpt", 156, 20, b"kTRC", 176, len(curve))
    head = PROPHOTO[:16] + b"GRAY" + PROPHOTO[20:128]
    body = canned._xyz(canned.D50) + curve
    return struct.pack(">I", 128 + len(table) + len(body)) + head[4:] + table + body


def inks() -> bytes:
    """libvips has a profile for four inks built in."""
    image = pyvips.Image.black(8, 8).bandjoin([0, 0]).copy(interpretation="srgb").icc_export(output_profile="cmyk")
    return bytes(image.get("icc-profile-data"))


PROFILES = {
    "p3": ("RGB", canned.PROFILES["p3"]),
    "adobe": ("RGB", canned.PROFILES["adobe"]),
    "prophoto": ("RGB", PROPHOTO),
    "gray": ("L", gray_profile()),
    "inks": ("CMYK", inks()),
}
WRITERS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 97, "subsampling": 0},
    "TIFF": {},
    "PNG": {},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    "HEIF": {"quality": 95, "chroma": 444},
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, kind) for name in ("p3", "adobe", "prophoto") for kind in WRITERS),
        *(("gray", kind) for kind in ("JPEG", "TIFF", "PNG")),
        *(("inks", kind) for kind in ("JPEG", "TIFF")),
    ],
)
def test_colours_are_those_of_another_converter(name: str, kind: str) -> None:
    """LittleCMS by Pillow is the other opinion; the mean difference (CIEDE2000) is below what an eye can see."""
    mode, profile = PROFILES[name]
    image = ramps(mode)
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), mode, "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC, flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )  # fmt: skip
    expected = ImageCms.applyTransform(image, transform)
    assert expected is not None
    if kind == "HEIF":
        file = io.BytesIO()
        pillow_heif.from_pillow(image).save(file, icc_profile=profile, **WRITERS[kind])
        upload = file.getvalue()
    else:
        upload = written(image, kind, icc_profile=profile, **WRITERS[kind])
    screen = Image.open(io.BytesIO(render.render(upload).renditions[1].data)).convert("RGB")
    assert unlike(screen, expected) < (1 if mode == "RGB" else 2)
    if mode == "RGB":
        assert unlike(image, expected) > 2  # or the test would show nothing


def unlike(one: Image.Image, other: Image.Image) -> float:
    return float(vips(one).colourspace("lab").dE00(vips(other).colourspace("lab")).avg())


def pq(light: float) -> float:
    """What PQ stores for so many cd/m2 (SMPTE ST 2084)."""
    power = (light / 10_000) ** (2610 / 16384)
    return float(((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32))


def hlg(light: float) -> float:
    """What HLG stores for so much of the brightest (ARIB STD-B67), before the gamma of a screen."""
    scene = (light / 1000) ** (1 / 1.2)
    if scene <= 1 / 12:
        return float((3 * scene) ** 0.5)
    return float(0.17883277 * log(12 * scene - 0.28466892) + 0.55991073)


LIGHT = [0.0, 20.3, 50.0, 101.0, 203.0, 500.0, 1000.0]  # cd/m2


def bright(store: Callable[[float], float]) -> Image.Image:
    image = Image.new("RGB", (16 * len(LIGHT), 64))
    for n, light in enumerate(LIGHT):
        image.paste((round(255 * store(light)),) * 3, (16 * n, 0, 16 * (n + 1), 64))
    return image


@pytest.mark.parametrize(("store", "transfer"), [(pq, hdr.PQ), (hlg, hdr.HLG)])
@pytest.mark.parametrize("kind", ["PNG", "AVIF", "HEIF"])
def test_bright_pictures_are_bent_to_what_every_screen_shows(kind: str, store: Callable[[float], float], transfer: int) -> None:
    image = bright(store)
    if kind == "HEIF":
        file = io.BytesIO()
        coding = {"color_primaries": 9, "transfer_characteristics": transfer, "matrix_coefficients": 9, "full_range_flag": 1}
        pillow_heif.from_pillow(image).save(file, quality=-1, chroma=444, **coding)
        upload = file.getvalue()
    elif kind == "AVIF":
        upload = written(image, "AVIF", quality=100, subsampling="4:4:4").replace(
            b"colrnclx\0\1\0\x0d", b"colrnclx\0\x09" + struct.pack(">H", transfer)
        )
    else:
        plain = written(image, "PNG")
        chunk = b"cICP" + bytes((9, transfer, 0, 1))
        upload = plain[:33] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + plain[33:]
    full = Image.open(io.BytesIO(render.render(upload).renditions[2].data)).convert("RGB")
    shown = [full.getpixel((16 * n + 8, 32)) for n in range(len(LIGHT))]
    levels = [pixel[1] for pixel in shown]  # type: ignore[index]
    assert all(max(pixel) - min(pixel) <= 6 for pixel in shown)  # type: ignore[arg-type,type-var]
    assert levels[0] <= 2 and abs(levels[1] - 89) <= 4 and abs(levels[3] - 188) <= 5  # as they would be without HDR
    assert 215 <= levels[4] <= 235 < levels[5] < levels[6] and levels[6] >= 250  # white, and what is brighter


def test_primaries_by_number_are_converted() -> None:
    """A HEIC may tell its colours by number alone."""
    for primaries, profile in ((12, canned.PROFILES["p3"]), (9, canned.BT2020_PROFILE)):
        coding = {"color_primaries": primaries, "transfer_characteristics": 13, "matrix_coefficients": 6, "full_range_flag": 1}
        file = io.BytesIO()
        pillow_heif.from_pillow(ramps()).save(file, quality=95, chroma=444, **coding)
        expected = ImageCms.profileToProfile(
            ramps(), ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), renderingIntent=1
        )
        assert expected is not None
        assert unlike(Image.open(io.BytesIO(render.render(file.getvalue()).renditions[1].data)), expected) < 2


# What is not taken.


def patched(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def tiff_of(width: int, height: int, successor: int = 0) -> bytes:
    entries = [made._long(0x0100, width), made._long(0x0101, height), made._short(0x0102, 8), made._short(0x0106, 1)]
    entries += [made._short(0x0115, 1), made._long(0x0111, 8), made._long(0x0117, 64)]
    whole = made.raw(entries)
    end = 8 + 2 + 12 * len(entries)
    return patched(whole, end, successor.to_bytes(4, "little")) + bytes(64)


GIF = written(corners().quantize(8), "GIF")
FIRST_PICTURE = GIF.index(b"\x2c\0\0\0\0\x60\0\x40\0")
BMP = written(corners(), "BMP")


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        ("too-many-pixels", patched(GIF, 6, b"\xff\xff\xff\xff")),
        ("too-many-pixels", patched(BMP, 18, (50_000).to_bytes(4, "little") * 2)),
        ("too-many-pixels", tiff_of(65_535, 65_535)),
        ("too-many-pixels", b"\xff\x0a" + (3 << 1 | 0xFFFFF << 3 | 1 << 33).to_bytes(8, "little") + bytes(40)),
        ("too-much-memory", patched(GIF, 6, struct.pack("<HH", 13_000, 13_000))),
        ("broken", patched(GIF, FIRST_PICTURE + 5, bytes(4))),
        ("broken", GIF[: len(GIF) // 2]),
        ("broken", b"GIF89a" + bytes(100)),
        ("broken", patched(BMP, 18, bytes(8))),
        ("broken", BMP[: len(BMP) // 2]),
        ("broken", tiff_of(0, 10)),
        ("broken", tiff_of(1000, 1000)),
        ("broken", b"II*\0\x08\0\0\0"),
        ("broken", b"MM\0*\xff\xff\xff\xff" + bytes(100)),
        ("broken", b"\xff\x0a" + bytes(100)),
        ("broken", made.jxl()[:-60]),
        ("broken", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100)),
        ("unsupported", made.raw([(0xC612, 1, 4, b"\1\4\0\0"), made._short(0x0106, 32803)])),
        ("unsupported", made.dng().replace(made.PLAIN_PREVIEW, made.PLAIN_PREVIEW[:-9])),
        ("unsupported", made.cr2().replace(made.PLAIN_PREVIEW, written(corners(), "JPEG").ljust(len(made.PLAIN_PREVIEW), b"\0"))),
        ("unsupported", b"FUJIFILMCCD-RAW 0201" + bytes(30)),
        ("unsupported", b"8BPS\0\1" + bytes(100)),
        ("unsupported", b"\0\0\1\0\1\0" + bytes(100)),
    ],
)
def test_bombs_and_broken_files_are_refused_by_what_they_say(reason: str, data: bytes) -> None:
    start = time.process_time()
    with pytest.raises(Refusal) as refusal:
        render.render(data)
    assert refusal.value.reason == reason
    assert time.process_time() - start < 1


def test_pages_that_go_round_and_round_are_one_page() -> None:
    assert render.render(tiff_of(8, 8, successor=8)).width == 8


def test_a_hundred_thousand_pictures_are_one_picture(decoder: Decoder) -> None:
    gif = GIF[:-1] + GIF[FIRST_PICTURE:-1] * (20_000_000 // len(GIF)) + b";"
    png = written(corners(), "PNG")
    frame = made.box(b"fcTL", bytes(26)) + bytes(4)
    frame = struct.pack(">I", 26) + frame[4:]
    apng = png[:33] + frame * 90_000 + png[33:]
    for bomb in (gif, apng):
        start = time.monotonic()
        photo = decode(decoder, bomb)
        assert isinstance(photo, Decoded) and "film" in photo.removed
        assert time.monotonic() - start < 5


def test_every_cut_of_every_format_is_taken_or_refused() -> None:
    """Nothing but a `Refusal` comes out of a file that ends too soon."""
    for name, (make, _, _) in MADE.items():
        data = make()
        for end in range(20, len(data), max(1, len(data) // 12)):
            try:
                render.render(data[:end])
            except Refusal as refusal:
                assert refusal.reason in ("broken", "unsupported", "not-a-picture", "film", "too-much-memory"), name
