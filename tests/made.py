"""A file of every kind that a family has, each with a name, a place and a story in every corner that can hold words."""

import io
import struct

import pillow_heif
import pillow_jxl  # noqa: F401 - teaches Pillow to write JPEG XL
import pyvips
from PIL import Image

from app.ingest.decoder import canned

pillow_heif.register_heif_opener()

CANARY = b"canary-51.4778N-0.0015W-Anna"
TAKEN = "2018-07-06T05:04:03"
PAIR = "A1B2C3D4-0000-1111-2222-333344445555"
CORNERS = [(220, 30, 30), (30, 200, 30), (30, 30, 220), (230, 230, 230)]

XMP = (
    b"<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf="
    b"'http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description xmlns:exif='http://ns.adobe.com/exif/1.0/' xmlns:dc="
    b"'http://purl.org/dc/elements/1.1/' exif:GPSLatitude='51,28.668N' exif:DateTimeOriginal='2018-07-06T05:04:03+01:00'>"
    b"<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>" + CANARY + b"</rdf:li></rdf:Alt></dc:description></rdf:Description>"
    b"</rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
)


def corners(width: int = 96, height: int = 64, mode: str = "RGB") -> Image.Image:
    """Four quarters: red, green, blue, white; reading order."""
    image = Image.new("RGB", (width, height))
    for n, colour in enumerate(CORNERS):
        image.paste(colour, (n % 2 * width // 2, n // 2 * height // 2, (n % 2 + 1) * width // 2, (n // 2 + 1) * height // 2))
    return image.convert(mode)


def written(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def apple_note(pair: str = PAIR) -> bytes:
    """A maker note as iPhones write it, with two tags."""
    text = pair.encode() + b"\0"
    head = b"Apple iOS\0\0\1MM" + struct.pack(">HHHII", 2, 1, 4, 1, 9)
    return head + struct.pack(">HHII", 0x11, 2, len(text), len(head) + 12 + 4) + bytes(4) + text


def exif(orientation: int = 1, pair: str = PAIR) -> Image.Exif:
    said = Image.Exif()
    said[271], said[272], said[315], said[270] = "Maker", "Model", CANARY.decode(), CANARY.decode()
    said[274] = orientation
    said.get_ifd(0x8769).update({36867: "2018:07:06 05:04:03", 42033: CANARY.decode(), 37500: apple_note(pair)})
    said.get_ifd(0x8825).update({1: "N", 2: (51.0, 28.0, 40.0), 3: "W", 4: (0.0, 0.0, 5.0)})
    return said


EXIF_KINDS = {"place", "time", "device", "owner", "description", "edits"}
XMP_KINDS = {"place", "time", "description"}


def gif() -> bytes:
    """Two pictures that move, a comment, and XMP with the trailer that its specification asks for."""
    moving = written(
        corners().quantize(16), "GIF", save_all=True, append_images=[Image.new("P", (96, 64), 3)], loop=0, comment=CANARY
    )
    packet = b"\x21\xff\x0bXMP DataXMP" + XMP + b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    first = moving.index(b"\x21\xf9")
    return moving[:first] + packet + moving[first:] + CANARY


def tiff(orientation: int = 1, **options: object) -> bytes:
    """With all that Pillow's tags, an EXIF directory, XMP and IPTC can say, on two pages."""
    tags = exif(orientation)
    tags[700], tags[33723] = XMP, b"\x1c\x02\x50\0\x04Anna\x1c\x02\x5a\0\x06" + CANARY[:6]
    return written(corners(), "TIFF", exif=tags, save_all=True, append_images=[corners(8, 8)], **options)


def apng() -> bytes:
    from PIL.PngImagePlugin import PngInfo

    words = PngInfo()
    words.add_text("Author", CANARY.decode())
    words.add_text("Comment", CANARY.decode(), zip=True)
    words.add_itxt("XML:com.adobe.xmp", XMP.decode())
    still = corners()
    return written(still, "PNG", save_all=True, append_images=[still.rotate(180)], pnginfo=words, exif=exif())


def webp() -> bytes:
    options = {"exif": exif(), "xmp": XMP, "lossless": True}
    return written(corners(), "WEBP", save_all=True, append_images=[corners().rotate(180)], **options)


def jpeg(width: int = 96, height: int = 64, **options: object) -> bytes:
    plain = written(corners(width, height), "JPEG", quality=95, exif=exif(**options), comment=CANARY)  # type: ignore[arg-type]
    return plain[:2] + canned.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP) + plain[2:] + CANARY


def bmp() -> bytes:
    return written(corners(), "BMP") + CANARY


def jxl(orientation: int = 1) -> bytes:
    return written(corners(), "JXL", lossless=True, exif=exif(orientation).tobytes(), xmp=XMP)


def heic() -> bytes:
    return written(corners(), "HEIF", quality=95, exif=exif().tobytes(), xmp=XMP)


def avif() -> bytes:
    return written(corners(), "AVIF", quality=95, exif=exif().tobytes(), xmp=XMP)


# Camera raw files: their structure, around a JPEG that a camera made. What the sensor saw is noise, and nobody reads it.

PREVIEW = jpeg(1200, 800, orientation=1, pair="")
PLAIN_PREVIEW = written(corners(1200, 800), "JPEG", quality=95)
SENSOR = bytes(range(256)) * 4

Entry = tuple[int, int, int, bytes]


def raw(*directories: list[Entry], mark: bytes = b"II*\0", successors: bool = False) -> bytes:
    """A little-endian TIFF structure: the first directory, then others that it points to as SubIFDs, or one after the other."""
    at = len(mark) + 4
    places = []
    for number, entries in enumerate(directories):
        places.append(at)
        more = 1 if number == 0 and len(directories) > 1 and not successors else 0
        at += 2 + 12 * (len(entries) + more) + 4
    table, values = b"", b""
    for number, entries in enumerate(directories):
        entries = list(entries)
        if number == 0 and len(directories) > 1 and not successors:
            entries.append((0x014A, 4, len(places) - 1, b"".join(place.to_bytes(4, "little") for place in places[1:])))
        table += struct.pack("<H", len(entries))
        for tag, kind, count, value in sorted(entries):
            if len(value) <= 4:
                table += struct.pack("<HHI4s", tag, kind, count, value)
            else:
                table += struct.pack("<HHII", tag, kind, count, at + len(values))
                values += value + bytes(len(value) % 2)
        table += struct.pack("<I", places[number + 1] if successors and number + 1 < len(places) else 0)
    return mark + struct.pack("<I", places[0]) + table + values


def _ascii(tag: int, text: bytes) -> Entry:
    return tag, 2, len(text) + 1, text + b"\0"


def _long(tag: int, value: int) -> Entry:
    return tag, 4, 1, value.to_bytes(4, "little")


def _short(tag: int, value: int) -> Entry:
    return tag, 3, 1, value.to_bytes(4, "little")


def _blob(tag: int, value: bytes) -> Entry:
    return tag, 7, len(value), value


CAMERA = [_ascii(0x010F, b"Maker"), _ascii(0x0132, b"2018:07:06 05:04:03"), _ascii(0x013B, CANARY)]
CAMERA_KINDS = {"device", "time", "owner"}


def _pointing(make: "list[list[Entry]]", jpeg_at: int, **options: object) -> bytes:
    """A raw file whose directory number `jpeg_at` points to the preview, which stands at the end."""

    def build(place: int) -> bytes:
        directories = [list(entries) for entries in make]
        directories[jpeg_at] += [_long(0x0201, place), _long(0x0202, len(PLAIN_PREVIEW))]
        return raw(*directories, **options)  # type: ignore[arg-type]

    return build(len(build(0))) + PLAIN_PREVIEW


def dng(orientation: int = 6) -> bytes:
    """As phones write it: a stamp first, the sensor, and a preview in one strip."""

    def build(place: int) -> bytes:
        first = [*CAMERA, _short(0x0112, orientation), (0xC612, 1, 4, b"\1\4\0\0")]
        sensor = [_short(0x0106, 32803), _short(0x0103, 1), _blob(0x0111, SENSOR)]
        preview = [_short(0x0103, 7), _long(0x0111, place), _long(0x0117, len(PLAIN_PREVIEW))]
        return raw(first, sensor, preview)

    return build(len(build(0))) + PLAIN_PREVIEW


def nef(orientation: int = 1) -> bytes:
    sensor = [_short(0x0103, 34713), _short(0x0106, 32803)]
    return _pointing([[*CAMERA, _short(0x0112, orientation)], [], sensor], 1)


def pef() -> bytes:
    return _pointing([[*CAMERA, _short(0x0103, 65535), _short(0x0106, 32803)], []], 1, successors=True)


def cr2() -> bytes:
    def build(place: int) -> bytes:
        first = [*CAMERA, _short(0x0103, 6), _long(0x0111, place), _long(0x0117, len(PLAIN_PREVIEW))]
        whole = raw(first, mark=b"II*\0\x10\0\0\0CR\2\0")
        return whole[:4] + whole[12:16] + whole[8:12] + bytes(4) + whole[16:]

    return build(len(build(0))) + PLAIN_PREVIEW


def rw2() -> bytes:
    return raw([*CAMERA, _blob(0x002E, PREVIEW)], mark=b"IIU\0")


def orf() -> bytes:
    """The preview is in a maker note, whose places count from its own beginning."""
    head = b"OLYMPUS\0II\3\0"
    settings = len(head) + 2 + 12 + 4
    preview = settings + 2 + 24 + 4
    note = head + struct.pack("<HHHIII", 1, 0x2020, 13, 1, settings, 0)
    note += struct.pack("<HHHIIHHIII", 2, 0x0101, 4, 1, preview, 0x0102, 4, 1, len(PLAIN_PREVIEW), 0) + PLAIN_PREVIEW
    first = [*CAMERA, _long(0x8769, 8 + 2 + 12 * 4 + 4)]
    return raw(first, [_blob(0x927C, note)], mark=b"IIRO", successors=True)


def raf() -> bytes:
    return (
        b"FUJIFILMCCD-RAW 0201" + CANARY.ljust(64, b"\0") + struct.pack(">II", 148, len(PREVIEW)) + bytes(56) + PREVIEW + SENSOR
    )


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def cr3(orientation: int = 6) -> bytes:
    canon = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    told = box(b"CMT1", raw([*CAMERA, _short(0x0112, orientation)]))
    told += box(b"CMT2", raw([_ascii(0x9003, b"2018:07:06 05:04:03")])) + box(
        b"CMT4", raw([_ascii(1, b"N"), _ascii(29, b"2018:07:06")])
    )

    def build(place: int) -> bytes:
        table = box(b"stsz", struct.pack(">III", 0, len(PLAIN_PREVIEW), 1)) + box(b"co64", struct.pack(">IIQ", 0, 1, place))
        track = box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", table))))
        head = box(b"ftyp", b"crx \0\0\0\1crx isom") + box(b"moov", box(b"uuid", canon + told) + track)
        return head + struct.pack(">I4s", len(PLAIN_PREVIEW) + 8, b"mdat")

    return build(len(build(0))) + PLAIN_PREVIEW


def deep_tiff() -> bytes:
    """16 bits, in tiles, with the wide numbers of BigTIFF."""
    image = pyvips.Image.new_from_memory(corners().tobytes(), 96, 64, 3, "uchar").copy(interpretation="srgb").colourspace("rgb16")
    image.set_type(pyvips.GValue.blob_type, "xmp-data", XMP)
    return bytes(image.tiffsave_buffer(bigtiff=True, tile=True, tile_width=32, tile_height=32, compression="deflate"))
