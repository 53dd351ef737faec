"""From the bytes of an upload to three clean files.

`full` of a JPEG is its own pixels, bit for bit. Any other picture is first written as a large JPEG, which then goes the
same way; only real transparency makes a PNG. `screen` is drawn from the JPEG by shrink-on-load (decoding straight to a
half, a quarter or an eighth, which is most of the speed), and `grid` from `screen`.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pillow_heif
import pyvips

from . import canned, colour, jpeg, metadata, png
from .limits import ANSWER_ROOM, GRID_EDGE, MEMORY, OWN_MEMORY, PIXELS, SCREEN_EDGE, Refusal
from .sniff import sniff
from .thumbhash import EDGE, thumbhash

Image = Any  # pyvips comes without types

FULL_QUALITY, SCREEN_QUALITY, GRID_QUALITY = 90, 82, 80
# How libvips, libjpeg and libheif say that there was not enough of it.
NO_MEMORY = re.compile("out of memory|insufficient memory|memory allocation|security limit", re.IGNORECASE)
WHITE = [255.0, 255.0, 255.0]


@dataclass
class Rendition:
    name: str
    mime: str
    width: int
    height: int
    data: bytes


@dataclass
class Photo:
    """Everything that leaves the decoder. `width` and `height` as shown; `taken_at` local, ISO 8601."""

    taken_at: str | None
    width: int
    height: int
    thumbhash: bytes
    removed: set[str]
    renditions: list[Rendition]


@dataclass
class Opened:
    """A picture whose header was read; `load` decodes it, in rows where its format can."""

    width: int
    height: int
    memory: int  # bytes that decoding will take, at most
    load: Callable[[], Image]
    exif: bytes | None = None
    profile: bytes | None = None
    turnable: bool = True  # whether EXIF tells the orientation, or the container has done so
    removed: set[str] = field(default_factory=set)


def render(data: bytes) -> Photo:
    """The whole way. Raises `Refusal`; anything else that it raises is a mistake of ours."""
    photo = _render(data)
    if sum(len(made.data) for made in photo.renditions) > len(data) + ANSWER_ROOM:
        raise Refusal("too-much-memory")
    return photo


def _render(data: bytes) -> Photo:
    kind = sniff(data)
    if kind == "jpeg":
        source = jpeg.walk(data)
        exif = metadata.read_exif(source.exif or b"")
        removed = source.removed | exif.kinds
        profile = colour.recognise(source.profile, bands=source.components)
        _check(source.width, source.height, _jpeg_memory(source, len(data)))
        if source.components == 4 or profile == "other":
            source, profile = _rewritten(source), "srgb"
        return _from_jpeg(source, profile, exif, removed)

    opened = {"png": _open_png, "webp": _open_webp, "avif": _open_avif, "heic": _open_heic}[kind](data)
    _check(opened.width, opened.height, opened.memory + 2 * len(data))
    exif = metadata.read_exif(opened.exif or b"")
    removed = opened.removed | exif.kinds
    if not opened.turnable:
        exif.orientation = 1
    with _Decoding():
        image = opened.load()
        if image.hasalpha():
            image = _to_srgb(image, opened.profile).copy_memory()
            if image[-1].min() < 255:
                return _from_transparent(image, exif, removed)
            image = image.extract_band(0, n=image.bands - 1)
            encoded = _encode(image, FULL_QUALITY)
        else:
            encoded = _encode(_to_srgb(image, opened.profile), FULL_QUALITY)
    return _from_jpeg(jpeg.walk(encoded), "srgb", exif, removed)


def _from_jpeg(source: jpeg.Jpeg, profile: str, exif: metadata.Exif, removed: set[str]) -> Photo:
    drawing = source.drawing()
    full = source.clean(orientation=exif.orientation, profile=profile)
    longest = max(source.width, source.height)
    shrink = next(k for k in (8, 4, 2, 1) if k == 1 or longest >= SCREEN_EDGE * k)
    with _Decoding():
        image = pyvips.Image.jpegload_buffer(drawing, shrink=shrink, access="sequential", fail_on=source.strictness)
        # The size aimed at comes from the real one: shrinking on load rounds.
        image = _fit(image, SCREEN_EDGE, of=(source.width, source.height))
        screen = _turn(_to_srgb(image, None if profile == "srgb" else canned.PROFILES[profile]).copy_memory(), exif.orientation)
    width, height = source.width, source.height
    if exif.orientation >= 5:
        width, height = height, width
    return _photo(screen, Rendition("full", "image/jpeg", width, height, full), exif, removed)


def _from_transparent(image: Image, exif: metadata.Exif, removed: set[str]) -> Photo:
    image = _turn(image, exif.orientation)
    full = image.pngsave_buffer(compression=6, keep="none")
    screen = _fit(image.flatten(background=WHITE[: image.bands - 1]), SCREEN_EDGE).copy_memory()
    return _photo(screen, Rendition("full", "image/png", image.width, image.height, _only_drawing(full)), exif, removed)


def _photo(screen: Image, full: Rendition, exif: metadata.Exif, removed: set[str]) -> Photo:
    screen = screen.copy_memory()
    grid = _fit(screen, GRID_EDGE).copy_memory()
    tiny = _fit(grid, EDGE)
    return Photo(
        taken_at=exif.taken_at,
        width=full.width,
        height=full.height,
        thumbhash=thumbhash(bytes(tiny.write_to_memory()), tiny.width, tiny.height),
        removed=removed,
        renditions=[_small("grid", grid, GRID_QUALITY), _small("screen", screen, SCREEN_QUALITY), full],
    )


def _small(name: str, image: Image, quality: int) -> Rendition:
    written = jpeg.walk(_encode(image, quality, small=True)).clean(orientation=1, profile="srgb")
    return Rendition(name, "image/jpeg", image.width, image.height, written)


def _encode(image: Image, quality: int, *, small: bool = False) -> bytes:
    """A JPEG. Fitting its codes to the picture saves 7 %, but holds all of it in memory: for small ones only."""
    return bytes(image.jpegsave_buffer(Q=quality, optimize_coding=small, keep="none"))


def _only_drawing(written: bytes) -> bytes:
    return png.walk(written).drawing()


def _fit(image: Image, edge: int, of: tuple[int, int] | None = None) -> Image:
    """Not larger than `edge` on its long side, and never enlarged; `of` is the size before shrinking on load."""
    width, height = of or (image.width, image.height)
    scale = min(1.0, edge / max(width, height))
    wanted = max(1, round(width * scale)), max(1, round(height * scale))
    if wanted == (image.width, image.height):
        return image
    return image.resize(wanted[0] / image.width, vscale=wanted[1] / image.height)


def _turn(image: Image, orientation: int) -> Image:
    """Upright pixels, by the eight values of EXIF's Orientation (CIPA DC-008, 4.6.5.1.5)."""
    if orientation in (5, 6, 7):
        image = image.rot90()
    if orientation in (3, 8):
        image = image.rot180() if orientation == 3 else image.rot270()
    if orientation in (2, 5):
        image = image.fliphor()
    if orientation in (4, 7):
        image = image.flipver()
    return image


def _to_srgb(image: Image, profile: bytes | None) -> Image:
    """Eight bits of sRGB, with the alpha channel if there was one."""
    bands = image.bands - (1 if image.hasalpha() else 0)
    known = colour.recognise(profile, bands=bands)
    if known != "srgb":
        image = image.copy()
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", canned.PROFILES.get(known, profile))
        try:
            return image.icc_transform("srgb", embedded=True, depth=8)
        except pyvips.Error:
            pass  # a profile that can't be used is no reason to refuse the photo
    if image.interpretation == "cmyk":
        return image.icc_transform("srgb", input_profile="cmyk", depth=8)
    return image if image.interpretation == "srgb" and image.format == "uchar" else image.colourspace("srgb").cast("uchar")


def _rewritten(source: jpeg.Jpeg) -> jpeg.Jpeg:
    """The picture in sRGB, for colours that no browser shows right: four inks, odd profiles."""
    with _Decoding():
        image = pyvips.Image.jpegload_buffer(source.drawing(), access="sequential", fail_on=source.strictness)
        encoded = _encode(_to_srgb(image, source.profile), FULL_QUALITY)
    return jpeg.walk(encoded)


def _open_png(data: bytes) -> Opened:
    found = png.walk(data)
    size = found.width * found.height
    return Opened(
        width=found.width,
        height=found.height,
        # Rows come one by one, unless they are interlaced; transparency is looked for in memory, and written by PNG.
        memory=(found.stored if found.interlaced else 0) + (6 * size if found.transparent else size),
        load=lambda: pyvips.Image.pngload_buffer(found.drawing(), access="sequential", fail_on="truncated"),
        exif=found.exif,
        profile=found.profile,
        removed=found.removed,
    )


def _open_webp(data: bytes) -> Opened:
    return _open_by_vips(data, pyvips.Image.webpload_buffer, pixel=10, turnable=True)


def _open_avif(data: bytes) -> Opened:
    return _open_by_vips(data, pyvips.Image.heifload_buffer, pixel=18, turnable=False)


def _open_by_vips(data: bytes, loader: Callable[..., Image], *, pixel: int, turnable: bool) -> Opened:
    """`pixel` is how many bytes decoding was seen to take for one."""

    def load() -> Image:
        return loader(data, access="sequential", fail_on="truncated")

    with _Decoding():
        header = load()
        fields = header.get_fields()
    exif, xmp, profile = (
        bytes(header.get(name)) if name in fields else None for name in ("exif-data", "xmp-data", "icc-profile-data")
    )
    return Opened(
        width=header.width,
        height=header.height,
        memory=header.width * header.height * (2 * pixel if header.format == "ushort" else pixel),
        load=load,
        exif=exif,
        profile=profile,
        turnable=turnable,
        removed=metadata.kinds_of_boxes(data) | (metadata.kinds_of_xmp(xmp) if xmp else set()),
    )


def _open_heic(data: bytes) -> Opened:
    with _Decoding():
        file = pillow_heif.open_heif(io.BytesIO(data))
        info = file.info
        width, height = file.size
    xmp = info.get("xmp")
    nclx = info.get("nclx_profile") or {}
    wide = 2 if info.get("bit_depth", 8) > 8 else 1
    # Colours may be told by number alone: ITU-T H.273, primaries 12 are those of Display P3.
    by_number = canned.PROFILES["p3"] if nclx.get("color_primaries") == 12 else None

    def load() -> Image:
        pixels = file.data
        image = pyvips.Image.new_from_memory(pixels, *file.size, len(file.mode), "uchar")
        image = image.copy(interpretation="srgb" if len(file.mode) >= 3 else "b-w")
        return image.unpremultiply().cast("uchar") if file.mode.endswith("a") else image

    return Opened(
        width=width,
        height=height,
        # Its planes, and the pixels made of them; transparency is looked for in another copy.
        memory=width * height * (4 * wide + len(file.mode) * (2 if file.has_alpha else 1)),
        load=load,
        exif=info.get("exif"),
        profile=info.get("icc_profile") or by_number,
        turnable=False,
        removed=metadata.kinds_of_boxes(data) | (metadata.kinds_of_xmp(xmp) if xmp else set()),
    )


def _jpeg_memory(source: jpeg.Jpeg, size: int) -> int:
    """A JPEG in one scan is decoded in rows; one in several is held in memory, two bytes a coefficient."""
    held = 2 * source.samples if source.progressive or source.scans > 1 else 0
    return held + 3 * size


def _check(width: int, height: int, memory: int) -> None:
    """Before anything is decoded."""
    if width * height > PIXELS:
        raise Refusal("too-many-pixels")
    if memory > MEMORY - OWN_MEMORY:
        raise Refusal("too-much-memory")


class _Decoding:
    """Around everything that reads pixels: libraries raise whatever they like at a hostile file, and it means `broken`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, MemoryError) or (isinstance(error, Exception) and NO_MEMORY.search(str(error))):
            raise Refusal("too-much-memory") from error
        if isinstance(error, Exception) and not isinstance(error, Refusal):
            raise Refusal("broken") from error
