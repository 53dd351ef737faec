"""From the bytes of an upload to three clean files.

`full` of a JPEG is its own pixels, bit for bit. Any other picture is first written as a large JPEG, which then goes the
same way; only real transparency makes a PNG. `screen` is drawn from the JPEG by shrink-on-load (decoding straight to a
half, a quarter or an eighth, which is most of the speed), or from pixels that lie in memory anyway, and `grid` from `screen`.
"""

import io
from dataclasses import dataclass
from typing import Any

import pillow_jxl
import pyvips

from . import canned, colour, jpeg, jxl, metadata, png, raw
from .formats import OPENERS, Decoding, to_srgb
from .limits import ANSWER_ROOM, GRID_EDGE, MEMORY, OWN_MEMORY, PIXELS, SCREEN_EDGE, Refusal
from .sniff import sniff
from .thumbhash import EDGE, thumbhash

Image = Any  # pyvips comes without types

FULL_QUALITY, SCREEN_QUALITY, GRID_QUALITY = 90, 82, 80
BLOCK = 4096  # bytes: having read the head of a file, libvips goes on to the end of such a block
JPEG_IN_JXL = 12  # bytes that unpacking was seen to take for a pixel, at most
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
    """Everything that leaves the decoder. `width` and `height` as shown; `taken_at` local, ISO 8601; `pair` joins a Live Photo."""

    taken_at: str | None
    pair: str | None
    width: int
    height: int
    thumbhash: bytes
    removed: set[str]
    renditions: list[Rendition]


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
        return _from_made(source, _said(source.exif, source.xmp), len(data))
    if kind == "raw":
        found = raw.preview(data)
        return _from_made(found.jpeg, found.exif, len(data))
    if kind == "jxl" and jxl.walk(data).was_jpeg:
        return _from_packed(data)

    opened = OPENERS[kind](data)
    _check(opened.width, opened.height, opened.memory + 2 * len(data))
    exif = _said(opened.exif, opened.xmp, opened.taken_at)
    exif.kinds |= opened.removed
    if not opened.turnable:
        exif.orientation = 1
    with Decoding():
        image, colours = opened.load(), (opened.profile, opened.coding)
        if image.hasalpha():
            image, colours = to_srgb(image, *colours).copy_memory(), (None, None)
            if image[-1].min() < 255:
                return _from_transparent(image, exif)
            image = image.extract_band(0, n=image.bands - 1)
        known = colour.recognise(colours[0], bands=image.bands)
        # `full` can say in our own words which colours it has; what `screen` is drawn from is sRGB.
        kept = opened.held and image.format == "uchar" and known in canned.PROFILES
        encoded = _encode(image if kept else to_srgb(image, *colours), FULL_QUALITY, subsampled=opened.subsampled)
        screen = _screen(image, exif, *colours) if opened.held else None
    made = jpeg.walk(encoded)
    if screen is None:
        return _from_jpeg(made, "srgb", exif)
    return _photo(screen, _full(made, known if kept else "srgb", exif), exif)


def _said(exif: bytes | None, xmp: bytes | None, taken_at: str | None = None) -> metadata.Exif:
    """What the metadata says, and when the picture was taken by the best of it."""
    said = metadata.read_exif(exif or b"")
    said.taken_at = said.taken_at or metadata.date_of_xmp(xmp or b"") or taken_at
    return said


def _from_packed(data: bytes) -> Photo:
    """A JPEG that was packed into a JPEG XL: it comes out as it went in."""
    found = jxl.walk(data)
    _check(found.width, found.height, JPEG_IN_JXL * found.width * found.height + 4 * len(data))
    with Decoding():
        was_jpeg, _, source, _, _ = pillow_jxl.Decoder(num_threads=0)(data)
    if not was_jpeg or not source.startswith(b"\xff\xd8\xff"):
        raise Refusal("broken")
    unpacked = jpeg.walk(source)
    exif = _said(unpacked.exif or found.exif, unpacked.xmp or found.xmp)
    exif.kinds |= found.removed
    return _from_made(unpacked, exif, len(source))


def _from_made(source: jpeg.Jpeg, exif: metadata.Exif, size: int) -> Photo:
    """From a JPEG that somebody else made; `size` is that of the file it came in."""
    exif.kinds |= source.removed
    profile = colour.recognise(source.profile, bands=source.components)
    _check(source.width, source.height, _jpeg_memory(source, size))
    if profile == "other":
        exif.kinds.add("other")
    if source.components == 4 or profile == "other" or source.odd:
        return _from_jpeg(_rewritten(source), "srgb", exif)
    try:
        return _from_jpeg(source, profile, exif, searched=True)
    except Refusal:
        # Any word of complaint from libjpeg: it is drawn again, and what it complained of is gone.
        if not source.ended:
            raise
        return _from_jpeg(_rewritten(source), "srgb", exif)


def _from_jpeg(source: jpeg.Jpeg, profile: str, exif: metadata.Exif, *, searched: bool = False) -> Photo:
    """`full` is this JPEG's own pixels. Any complaint of libjpeg is a `Refusal`; and, when `searched`, so is more than a few bytes behind
    the last block.

    Only who decodes every code knows where the last one ends. So the end of the file is handed over by itself, and whoever draws the
    whole picture without asking for it has read beyond what it needs, by more than libjpeg's look ahead (8 bytes at most).
    """
    full = _full(source, profile, exif)
    longest = max(source.width, source.height)
    # The largest divisor that leaves enough for `screen`.
    options = {
        "shrink": next(k for k in (8, 4, 2, 1) if k == 1 or longest >= SCREEN_EDGE * k),
        "access": "sequential",
        "fail_on": "warning",
    }
    head, data = source.parts()
    end = io.BytesIO(bytes(data[-1:]) + b"\xff\xd9")
    with Decoding():
        if searched:
            whole_blocks = head[:2] + canned.segment(0xFE, bytes(-(len(head) + 4) % BLOCK)) + head[2:]
            first, most = io.BytesIO(whole_blocks), io.BytesIO(data[:-1])
            feed = pyvips.SourceCustom()
            feed.signal_connect("read", lambda room: first.readinto(room) or most.readinto(room) or end.readinto(room))
            image = pyvips.Image.jpegload_source(feed, **options)
        else:
            image = pyvips.Image.jpegload_buffer(source.drawing(), **options)
        # The size aimed at comes from the real one: shrinking on load rounds.
        screen = _screen(image, exif, canned.PROFILES.get(profile), of=(source.width, source.height))
    if searched and not end.tell():
        raise Refusal("broken")
    return _photo(screen, full, exif)


def _full(source: jpeg.Jpeg, profile: str, exif: metadata.Exif) -> Rendition:
    width, height = source.width, source.height
    if exif.orientation >= 5:
        width, height = height, width
    return Rendition("full", "image/jpeg", width, height, source.clean(orientation=exif.orientation, profile=profile))


def _screen(
    image: Image,
    exif: metadata.Exif,
    profile: bytes | None,
    coding: tuple[int, int] | None = None,
    *,
    of: tuple[int, int] | None = None,
) -> Image:
    return _turn(to_srgb(_fit(image, SCREEN_EDGE, of=of), profile, coding).copy_memory(), exif.orientation)


def _from_transparent(image: Image, exif: metadata.Exif) -> Photo:
    image = _turn(image, exif.orientation)
    image = (image[image.bands - 1] == 0).ifthenelse(0, image)  # what was rubbed out may still be there: nobody shall see it
    full = image.pngsave_buffer(compression=6, keep="none")
    screen = _fit(image.flatten(background=WHITE[: image.bands - 1]), SCREEN_EDGE).copy_memory()
    return _photo(screen, Rendition("full", "image/png", image.width, image.height, _only_drawing(full)), exif)


def _photo(screen: Image, full: Rendition, exif: metadata.Exif) -> Photo:
    grid = _fit(screen, GRID_EDGE).copy_memory()
    tiny = _fit(grid, EDGE)
    return Photo(
        taken_at=exif.taken_at,
        pair=exif.pair,
        width=full.width,
        height=full.height,
        thumbhash=thumbhash(bytes(tiny.write_to_memory()), tiny.width, tiny.height),
        removed=exif.kinds,
        renditions=[_small("grid", grid, GRID_QUALITY), _small("screen", screen, SCREEN_QUALITY), full],
    )


def _small(name: str, image: Image, quality: int) -> Rendition:
    written = jpeg.walk(_encode(image, quality, small=True)).clean(orientation=1, profile="srgb")
    return Rendition(name, "image/jpeg", image.width, image.height, written)


def _encode(image: Image, quality: int, *, small: bool = False, subsampled: bool = False) -> bytes:
    """A JPEG. Fitting its codes to the picture saves 7 %, but holds all of it in memory: for small ones only. `subsampled`: there is half
    of the colour in each direction anyway, so no more is written."""
    mode = "on" if subsampled else "auto"
    return bytes(image.jpegsave_buffer(Q=quality, optimize_coding=small, subsample_mode=mode, keep="none"))


def _only_drawing(written: bytes) -> bytes:
    return png.walk(written).drawing()


def _fit(image: Image, edge: int, of: tuple[int, int] | None = None) -> Image:
    """Not larger than `edge` on its long side, and never enlarged; `of` is the size before shrinking on load.

    By Lanczos alone (no `gap`): to average whole pixels first, as libvips does by default, is no better, and takes twice as long."""
    width, height = of or (image.width, image.height)
    scale = min(1.0, edge / max(width, height))
    wanted = max(1, round(width * scale)), max(1, round(height * scale))
    if wanted == (image.width, image.height):
        return image
    return image.resize(wanted[0] / image.width, vscale=wanted[1] / image.height, gap=0)


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
    return image if orientation == 1 else image.copy_memory()


def _rewritten(source: jpeg.Jpeg) -> jpeg.Jpeg:
    """The picture drawn again in sRGB: for colours that no browser shows right (four inks, odd profiles), and for what is odd in other
    ways. A file that lacks its last two bytes is completed, and then every warning counts: it says that more than these is missing."""
    strictness = "truncated" if source.ended else "warning"
    with Decoding():
        image = pyvips.Image.jpegload_buffer(source.drawing(), access="sequential", fail_on=strictness)
        encoded = _encode(to_srgb(image, source.profile), FULL_QUALITY)
    return jpeg.walk(encoded)


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
