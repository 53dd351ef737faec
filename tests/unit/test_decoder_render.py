"""What the renditions look like: upright, in the right colours, never enlarged, and only what an image needs."""

import io
from dataclasses import replace

import pillow_heif
import pytest
import pyvips
from PIL import Image, ImageCms, ImageOps

from app.ingest.decoder import canned, limits, render
from app.ingest.decoder.limits import Refusal
from app.ingest.decoder.prove import prove
from tests.made import CORNERS, corners, written

pillow_heif.register_heif_opener()


def opened(made: render.Rendition) -> Image.Image:
    """As a browser shows it: turned by EXIF."""
    prove(made.mime, made.data)
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(made.data)))
    assert image.size == (made.width, made.height)
    return image


def middles(image: Image.Image) -> list[tuple[int, ...]]:
    """The colour in the middle of each quarter, in reading order."""
    places = [(image.width * x // 4, image.height * y // 4) for y in (1, 3) for x in (1, 3)]
    pixels = [image.convert("RGB").getpixel(place) for place in places]
    return [pixel for pixel in pixels if isinstance(pixel, tuple)]


def difference(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def quarters(image: Image.Image) -> list[int]:
    """Which of the four colours is in each quarter."""
    return [min(range(4), key=lambda n: difference(pixel, CORNERS[n])) for pixel in middles(image)]


def oriented(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    exif[271] = "Maker"
    return written(corners(), kind, exif=exif, quality=95)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright_everywhere(kind: str, orientation: int) -> None:
    upload = oriented(kind, orientation)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(upload)))
    photo = render.render(upload)
    assert [made.name for made in photo.renditions] == ["grid", "screen", "full"]
    assert (photo.width, photo.height) == expected.size
    for made in photo.renditions:
        assert (made.width, made.height) == expected.size
        assert quarters(opened(made)) == quarters(expected)
    assert "device" in photo.removed


@pytest.mark.parametrize("orientation", [1, 6])
def test_transparency_stays_in_full_and_is_white_elsewhere(orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    image = corners(mode="RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 48, 32))
    photo = render.render(written(image, "PNG", exif=exif))
    grid, _, full = (opened(made) for made in photo.renditions)
    place = (10, 10) if orientation == 1 else (50, 10)
    assert photo.renditions[2].mime == "image/png" and full.mode == "RGBA"
    assert full.getpixel(place)[3] == 0  # type: ignore[index]
    assert min(grid.getpixel(place)) > 250  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "HEIF"])
def test_an_alpha_channel_that_hides_nothing_is_dropped(kind: str) -> None:
    photo = render.render(written(corners(mode="RGBA"), kind, quality=95))
    assert photo.renditions[2].mime == "image/jpeg"
    assert quarters(opened(photo.renditions[2])) == [0, 1, 2, 3]


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "I;16", "PA"])
def test_every_kind_of_png(mode: str) -> None:
    if mode == "I;16":
        image = Image.new("I;16", (40, 30), 40_000)
    elif mode == "PA":
        image = corners(mode="P")
        image.info["transparency"] = 0
    else:
        image = corners(mode=mode)
    photo = render.render(written(image, "PNG"))
    shown = opened(photo.renditions[0]).convert("RGB")
    if mode == "I;16":
        assert abs(shown.getpixel((5, 5))[0] - 40_000 // 257) <= 2  # type: ignore[index]


def converted(image: Image.Image, profile: bytes) -> Image.Image:
    """The same colours, by another colour engine."""
    to_srgb = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        "RGB",
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    result = ImageCms.applyTransform(image, to_srgb)
    assert result is not None
    return result


def unlike(one: Image.Image, other: Image.Image) -> int:
    """The largest difference in the middles of the four quarters."""
    return max(difference(*pair) for pair in zip(middles(one), middles(other), strict=True))


@pytest.mark.parametrize("name", ["p3", "adobe"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_wide_colours_are_converted_for_the_screen_and_kept_where_they_can_be(name: str, kind: str) -> None:
    profile = canned.PROFILES[name]
    options = {"subsampling": 0, "quality": 95} if kind == "JPEG" else {"quality": 95}
    upload = written(corners(), kind, icc_profile=profile, **options)
    expected = converted(corners(), profile)
    assert unlike(corners(), expected) > 12  # or the test would show nothing
    photo = render.render(upload)
    for made in photo.renditions[:2]:
        assert unlike(opened(made), expected) <= 6
    full = opened(photo.renditions[2])
    if kind == "JPEG":
        assert full.tobytes() == Image.open(io.BytesIO(upload)).tobytes()
    if kind in ("JPEG", "HEIF"):
        assert full.info["icc_profile"] == profile
        assert unlike(converted(full, profile), expected) <= 6
    else:
        assert "icc_profile" not in full.info
        assert unlike(full, expected) <= 6


def test_an_opaque_picture_with_room_for_transparency_has_the_colours_that_it_says() -> None:
    profile = canned.PROFILES["p3"]
    photo = render.render(written(corners().convert("RGBA"), "HEIF", icc_profile=profile, quality=95))
    full = opened(photo.renditions[2])
    shown = converted(full, full.info["icc_profile"]) if "icc_profile" in full.info else full
    assert unlike(shown, converted(corners(), profile)) <= 6


def test_deep_transparent_wide_colours_at_once() -> None:
    image = pyvips.Image.black(32, 32).bandjoin([0, 0, 0]).linear(0, [200 * 256, 60 * 256, 60 * 256, 128 * 257])
    image = image.cast("ushort").copy(interpretation="rgb16")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", canned.PROFILES["p3"])
    photo = render.render(bytes(image.pngsave_buffer()))
    pixel = opened(photo.renditions[2]).getpixel((5, 5))
    expected = converted(Image.new("RGB", (1, 1), (200, 60, 60)), canned.PROFILES["p3"]).getpixel((0, 0))
    assert isinstance(pixel, tuple) and isinstance(expected, tuple)
    assert max(abs(a - b) for a, b in zip(pixel, (*expected, 128), strict=True)) <= 3


def test_a_profile_of_srgb_is_not_carried_along() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    upload = written(corners(), "JPEG", icc_profile=srgb)
    full = opened(render.render(upload).renditions[2])
    assert "icc_profile" not in full.info and full.tobytes() == Image.open(io.BytesIO(upload)).tobytes()


def test_an_unknown_profile_is_converted_and_gone() -> None:
    odd = canned._profile("Odd", canned.COLORANTS["adobe"], canned._curve([round(1.8 * 256)]))
    photo = render.render(written(corners(), "JPEG", icc_profile=odd, quality=95, subsampling=0))
    for made in photo.renditions:
        assert "icc_profile" not in opened(made).info
        assert unlike(opened(made), converted(corners(), odd)) <= 6


def test_four_inks_become_srgb() -> None:
    photo = render.render(written(corners(mode="CMYK"), "JPEG", quality=95))
    assert quarters(opened(photo.renditions[2])) == [0, 1, 2, 3]
    assert opened(photo.renditions[2]).mode == "RGB"


@pytest.mark.parametrize(
    ("size", "grid", "screen"),
    [
        ((4001, 3000), (480, 360), (1920, 1440)),
        ((1000, 4003), (120, 480), (480, 1920)),
        ((1921, 100), (480, 25), (1920, 100)),
        ((1920, 1080), (480, 270), (1920, 1080)),
        ((300, 200), (300, 200), (300, 200)),
        ((7, 3000), (1, 480), (4, 1920)),
        ((1, 1), (1, 1), (1, 1)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_sizes(kind: str, size: tuple[int, int], grid: tuple[int, int], screen: tuple[int, int]) -> None:
    photo = render.render(written(corners(*size), kind))
    assert [(made.width, made.height) for made in photo.renditions] == [grid, screen, size]


def cut_png() -> bytes:
    whole = written(corners(400, 300), "PNG")
    return whole[: len(whole) // 2]


NOISE = Image.effect_noise((400, 300), 60).convert("RGB")


def noisy_jpeg(**options: object) -> bytes:
    return written(NOISE, "JPEG", **options)


@pytest.mark.parametrize(
    "data",
    [
        noisy_jpeg()[:20_000],
        noisy_jpeg()[:-1000],
        noisy_jpeg(progressive=True)[:20_000],
        noisy_jpeg(progressive=True)[:-300],
        cut_png(),
        written(corners(400, 300), "WEBP")[:-100],
        written(corners(400, 300), "AVIF")[:-100],
        b"\xff\xd8\xff" + bytes(500),
        b"\x89PNG\r\n\x1a\n" + bytes(500),
        b"RIFF\xff\0\0\0WEBPVP8 " + bytes(500),
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500),
        b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(500),
    ],
)
def test_cut_and_damaged_files_are_broken(data: bytes) -> None:
    with pytest.raises(Refusal, match="broken"):
        render.render(data)


def test_a_file_that_lacks_only_its_end_is_taken() -> None:
    full = render.render(noisy_jpeg()[:-2]).renditions[2]
    assert full.data == render.render(noisy_jpeg()).renditions[2].data


def with_size(png: bytes, width: int, height: int) -> bytes:
    return png[:16] + width.to_bytes(4, "big") + height.to_bytes(4, "big") + png[24:]


def test_bombs_are_refused_by_their_header(monkeypatch: pytest.MonkeyPatch) -> None:
    png, jpeg = written(corners(), "PNG"), written(corners(), "JPEG", progressive=True, subsampling=0)
    frame = jpeg.index(b"\xff\xc2") + 5
    with pytest.raises(Refusal, match="too-many-pixels"):
        render.render(with_size(png, 50_000, 50_000))
    with pytest.raises(Refusal, match="too-many-pixels"):
        render.render(jpeg[:frame] + b"\xff\xff\xff\xff" + jpeg[frame + 4 :])
    # 13,000 x 13,000 fits the limit of pixels, but a progressive JPEG of it would take a gigabyte.
    with pytest.raises(Refusal, match="too-much-memory"):
        render.render(jpeg[:frame] + (13_000).to_bytes(2, "big") * 2 + jpeg[frame + 4 :])
    monkeypatch.setattr(render, "MEMORY", limits.OWN_MEMORY + 1000)
    with pytest.raises(Refusal, match="too-much-memory"):
        render.render(png)


def test_when_it_was_taken_is_read_from_every_format() -> None:
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF"):
        exif = Image.Exif()
        exif[271] = "Maker"
        exif.get_ifd(0x8769)[36867] = "2020:08:09 10:11:12"
        exif.get_ifd(0x8825).update({1: "N", 2: (51.0, 28.0, 40.0)})
        photo = render.render(written(corners(), kind, exif=exif))
        assert photo.taken_at == "2020-08-09T10:11:12", kind
        assert photo.removed >= {"time", "place"}, kind


def test_a_rendition_is_what_it_says() -> None:
    made = render.render(written(corners(), "JPEG")).renditions[0]
    with pytest.raises(AssertionError):
        opened(replace(made, width=made.width + 1))
