"""How each kind of picture other than a JPEG is opened: its header read, its cost known, nothing decoded yet.

Where a format can hold more than one picture (pages, an animation, a burst), the first one is opened.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pillow_heif
import pillow_jxl
import pyvips
from PIL import BmpImagePlugin
from PIL import Image as Pillow

from . import canned, colour, gif, hdr, jxl, metadata, png
from .limits import Refusal
from .tiff import Tiff

Image = Any  # pyvips comes without types

# How libvips, libjpeg and libheif say that there was not enough of it.
NO_MEMORY = re.compile("out of memory|insufficient memory|memory allocation|security limit", re.IGNORECASE)
MODES = {1: "b-w", 2: "b-w", 3: "srgb", 4: "srgb"}
DEEP_MODES = {1: "grey16", 2: "grey16", 3: "rgb16", 4: "rgb16"}
Pillow.MAX_IMAGE_PIXELS = None  # how large a picture may be is decided here, before it is loaded


@dataclass
class Opened:
    """A picture whose header was read; `load` decodes it, in rows where its format can."""

    width: int
    height: int
    memory: int  # bytes that decoding will take, at most
    load: Callable[[], Image]
    exif: bytes | None = None
    xmp: bytes | None = None
    profile: bytes | None = None
    coding: tuple[int, int] | None = None  # primaries and transfer by the numbers of ITU-T H.273, where there is no profile
    taken_at: str | None = None  # as the container tells it, local, ISO 8601
    subsampled: bool = False  # whether its colours have half of its width and height
    turnable: bool = True  # whether EXIF tells the orientation, or the container has done so
    held: bool = False  # whether all of its pixels lie in memory once it is loaded: these can be read twice
    removed: set[str] = field(default_factory=set)


class Decoding:
    """Around everything that reads pixels: libraries raise whatever they like at a hostile file, and it means `broken`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, MemoryError) or (isinstance(error, Exception) and NO_MEMORY.search(str(error))):
            raise Refusal("too-much-memory") from error
        if isinstance(error, Exception) and not isinstance(error, Refusal):
            raise Refusal("broken") from error


def open_png(data: bytes) -> Opened:
    found = png.walk(data)
    size = found.width * found.height
    return Opened(
        width=found.width,
        height=found.height,
        # Rows come one by one, unless they are interlaced; transparency is looked for in memory, and written by PNG.
        memory=(found.stored if found.interlaced else 0) + (6 * size if found.transparent else size),
        load=lambda: pyvips.Image.pngload_buffer(found.drawing(), access="sequential", fail_on="truncated"),
        exif=found.exif,
        xmp=found.xmp,
        profile=found.profile,
        coding=found.coding,
        taken_at=found.taken_at,
        removed=found.removed,
    )


def open_gif(data: bytes) -> Opened:
    found = gif.walk(data)
    return Opened(
        width=found.width,
        height=found.height,
        memory=14 * found.width * found.height,  # seen: the canvas, its rows, and the search for transparency
        load=lambda: pyvips.Image.gifload_buffer(found.drawing(), access="sequential", fail_on="truncated"),
        xmp=found.xmp,
        removed=found.removed,
    )


def open_tiff(data: bytes) -> Opened:
    """The first page alone, so that libtiff follows no chain of pages, be it endless."""
    tiff = Tiff.opened(data)
    fields = tiff.directory(tiff.first)[0] if tiff else {}
    if tiff is None or not fields:
        raise Refusal("broken")
    width, height, samples = (tiff.number(fields, tag) for tag in (0x0100, 0x0101, 0x0115))
    bits = max(tiff.numbers(fields, 0x0102), default=1)
    if not width or not height:
        raise Refusal("broken")
    page = tiff.first_page()
    # A strip or a row of tiles is held whole, and may be all there is; transparency is looked for in memory.
    stored = width * height * max(samples, 1) * bits // 8
    return Opened(
        width=width,
        height=height,
        memory=stored + len(data) + (2 * stored + 6 * width * height if samples in (2, 4) else 0),
        load=lambda: pyvips.Image.tiffload_buffer(page, access="sequential", fail_on="error"),
        exif=data,
        profile=tiff.value(fields, 0x8773, png.LARGEST_PROFILE) or None,
    )


def open_webp(data: bytes) -> Opened:
    return _open_by_vips(data, pyvips.Image.webpload_buffer, pixel=10, turnable=True)


def open_avif(data: bytes) -> Opened:
    opened = _open_by_vips(data, pyvips.Image.heifload_buffer, pixel=18, turnable=False)
    with Decoding():  # libvips does not tell how colours are coded
        info = pillow_heif.open_heif(io.BytesIO(data)).info
    opened.coding, opened.subsampled = _coding(info), info.get("chroma") == 420
    return opened


def _open_by_vips(data: bytes, loader: Callable[..., Image], *, pixel: int, turnable: bool) -> Opened:
    """`pixel` is how many bytes decoding was seen to take for one."""

    def load() -> Image:
        return loader(data, access="sequential", fail_on="truncated")

    with Decoding():
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
        xmp=xmp,
        profile=profile,
        turnable=turnable,
        removed=metadata.kinds_of_boxes(data) | (metadata.kinds_of_xmp(xmp) if xmp else set()),
    )


def open_heic(data: bytes) -> Opened:
    with Decoding():
        file = pillow_heif.open_heif(io.BytesIO(data))
        coding = _coding(file.info)
        if coding and coding[1] in hdr.TRANSFERS:  # eight bits are too few for so wide a range of light
            file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
        info = file.info
        width, height = file.size
    xmp = info.get("xmp")
    wide = 2 if info.get("bit_depth", 8) > 8 else 1
    bands, deep = len(file.mode.partition(";")[0]), 2 if ";" in file.mode else 1

    def load() -> Image:
        image = _from_pixels(file.data, file.size, bands)
        return image.unpremultiply().cast("uchar") if file.mode.endswith("a") else image

    return Opened(
        width=width,
        height=height,
        # Its planes, and the pixels made of them; transparency is looked for in another copy.
        memory=width * height * (4 * wide + bands * deep * (2 if file.has_alpha else 1)),
        load=load,
        exif=info.get("exif"),
        xmp=xmp,
        profile=info.get("icc_profile"),
        coding=coding,
        subsampled=info.get("chroma") == 420,
        turnable=False,
        held=True,
        removed=metadata.kinds_of_boxes(data) | (metadata.kinds_of_xmp(xmp) if xmp else set()),
    )


def _coding(info: dict[str, Any]) -> tuple[int, int] | None:
    nclx = info.get("nclx_profile")
    return (nclx["color_primaries"], nclx["transfer_characteristics"]) if nclx else None


def open_jxl(data: bytes) -> Opened:
    found = jxl.walk(data)

    def load() -> Image:
        _, info, pixels, opened.profile, _ = pillow_jxl.Decoder(num_threads=0)(data)
        bands = info.num_channels + (1 if info.has_alpha_channel else 0)
        return _from_pixels(pixels, (info.width, info.height), bands)

    opened = Opened(
        width=found.width,
        height=found.height,
        memory=16 * found.width * found.height,
        load=load,
        exif=found.exif,
        xmp=found.xmp,
        turnable=False,
        removed=found.removed,
    )
    return opened


def open_bmp(data: bytes) -> Opened:
    with Decoding():
        file = BmpImagePlugin.BmpImageFile(io.BytesIO(data))
        width, height = file.size

    def load() -> Image:
        bands = 4 if file.mode == "RGBA" else 3
        pixels = file.convert("RGBA" if bands == 4 else "RGB").tobytes()
        image = _from_pixels(pixels, file.size, bands)
        # Programs that know of no transparency write nothing but zeros there.
        return image[:3] if bands == 4 and image[3].max() == 0 else image

    size = int.from_bytes(data[2:6], "little")
    return Opened(
        width=width,
        height=height,
        memory=12 * width * height,
        load=load,
        removed=metadata.kinds_of_trailer(data, size) if size else set(),
    )


def _from_pixels(pixels: bytes, size: tuple[int, int], bands: int) -> Image:
    """8 or 16 bits, or floating point, by how many bytes there are."""
    width, height = size
    form = {1: "uchar", 2: "ushort", 4: "float"}[len(pixels) // (width * height * bands)]
    image = pyvips.Image.new_from_memory(pixels, width, height, bands, form)
    if form == "float":
        image, form = image.linear(255, 0.5).cast("uchar"), "uchar"
    return image.copy(interpretation=(DEEP_MODES if form == "ushort" else MODES)[bands])


OPENERS: dict[str, Callable[[bytes], Opened]] = {
    "png": open_png,
    "gif": open_gif,
    "tiff": open_tiff,
    "webp": open_webp,
    "avif": open_avif,
    "heic": open_heic,
    "jxl": open_jxl,
    "bmp": open_bmp,
}


def to_srgb(image: Image, profile: bytes | None, coding: tuple[int, int] | None = None) -> Image:
    """Eight bits of sRGB, with the alpha channel if there was one."""
    bands = image.bands - (1 if image.hasalpha() else 0)
    coding = colour.coding(profile) or (coding if profile is None else None)
    if coding and coding[1] in hdr.TRANSFERS and bands == 3 and image.format in ("uchar", "ushort"):
        opaque = hdr.to_srgb(image[:3], *coding)
        return opaque.bandjoin(_eight_bits(image[3])) if image.hasalpha() else opaque
    known = colour.recognise(profile, bands=bands)
    if coding and bands == 3 and profile is None:
        known, profile = {hdr.P3: ("p3", None), hdr.BT2020: ("other", canned.BT2020_PROFILE)}.get(coding[0], (known, None))
    if known != "srgb":
        image = image.copy()
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", canned.PROFILES.get(known, profile))
        try:
            return image.icc_transform("srgb", embedded=True, depth=8, black_point_compensation=True)
        except pyvips.Error:
            pass  # a profile that can't be used is no reason to refuse the photo
    if image.interpretation == "cmyk":
        return image.icc_transform("srgb", input_profile="cmyk", depth=8, black_point_compensation=True)
    return image if image.interpretation == "srgb" and image.format == "uchar" else image.colourspace("srgb").cast("uchar")


def _eight_bits(band: Image) -> Image:
    return band if band.format == "uchar" else (band / 257).cast("uchar")
