"""What a file is, by its first bytes. Names and declared types are not asked."""

from . import jxl, raw
from .limits import Refusal
from .tiff import Tiff

HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"))
AVIF_BRANDS = frozenset((b"avif", b"avis"))
OTHER_PICTURE_BRANDS = frozenset((b"jp2 ", b"jpx ", b"jpm ", b"vvic", b"j2ki", b"jpeg"))
# ISO/IEC 14496-12 and older QuickTime: what may stand first in a film without a brand.
FILM_BOXES = frozenset((b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"))

# JPEG 2000, Photoshop, icons, and raw files of Sigma and Minolta.
UNSUPPORTED = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51", b"8BPS", b"\0\0\1\0", b"FOVb", b"\0MRM")
# The size of what follows a bitmap's head of 14 bytes tells which of its kinds it is.
BITMAP_HEADERS = frozenset(size.to_bytes(4, "little") for size in (12, 16, 40, 52, 56, 64, 108, 124))
FILM = (b"\x1a\x45\xdf\xa3", b"FLV\x01", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"\0\0\1\xba", b"\0\0\1\xb3", b"OggS")


def sniff(data: bytes) -> str:
    """One of `jpeg`, `png`, `webp`, `heic`, `avif`, `gif`, `tiff`, `bmp`, `jxl`, `raw`; raises `Refusal` (`film`, `unsupported`,
    `not-a-picture`) otherwise."""
    head = data[:64]
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head.startswith((jxl.CODESTREAM, jxl.CONTAINER)):
        return "jxl"
    if head.startswith(raw.FUJI):
        return "raw"
    if tiff := Tiff.opened(data):
        return "raw" if raw.is_raw(tiff) else "tiff"
    if head.startswith(b"BM") and head[6:10] == bytes(4) and head[14:18] in BITMAP_HEADERS:
        return "bmp"
    if head[4:8] == b"ftyp":
        return _by_brand(data)
    if head.startswith(FILM) or (head.startswith(b"RIFF") and head[8:12] == b"AVI ") or head[4:8] in FILM_BOXES:
        raise Refusal("film")
    if len(head) == 64 and _is_transport_stream(data):
        raise Refusal("film")
    if head.startswith(UNSUPPORTED):
        raise Refusal("unsupported")
    raise Refusal("not-a-picture")


def film(data: bytes) -> str | None:
    """The container of a film by ffmpeg's name, as its first bytes tell it: `mov`, `matroska`, `avi`, `mpegts`, `mpeg`; "" for one that
    is not read here, None for what is no film."""
    try:
        sniff(data)
    except Refusal as refusal:
        if refusal.reason != "film":
            return None
    else:
        return None
    known = {b"\x1a\x45\xdf\xa3": "matroska", b"RIFF": "avi", b"\0\0\1\xba": "mpeg"}
    if data[4:8] in FILM_BOXES | {b"ftyp"}:
        return "mov"
    return known.get(data[:4]) or ("mpegts" if _is_transport_stream(data) else "")


def _by_brand(data: bytes) -> str:
    """The `ftyp` box names what a file claims to be first, and then what it can also be read as."""
    size = min(max(int.from_bytes(data[:4], "big"), 16), 512)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, size, 4))]
    if brands[0] == b"crx ":
        return "raw"
    if brands[0] in OTHER_PICTURE_BRANDS:
        raise Refusal("unsupported")
    # "mif1" and "msf1" say no more than "some picture in this container": an AVIF brand beside them is more exact.
    if AVIF_BRANDS.intersection(brands) and brands[0] not in HEIC_BRANDS - {b"mif1", b"msf1"}:
        return "avif"
    if HEIC_BRANDS.intersection(brands):
        return "heic"
    raise Refusal("film")


def _is_transport_stream(data: bytes) -> bool:
    """MPEG transport streams (.mts of camcorders): a sync byte every 188 bytes, or every 192."""
    return any(len(data) > 3 * step and all(data[at + step * n] == 0x47 for n in range(3)) for step, at in ((188, 0), (192, 4)))
