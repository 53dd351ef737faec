"""Photos of every format that a family has, with a canary in every slot that we know.

Each shows the same picture: four quarters, red, green, blue and yellow, so that turning it shows at its corners.
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import pillow_heif
import pillow_jxl  # noqa: F401 - makes Pillow write JPEG XL
from PIL import Image, ImageCms

from tests.corpus import tiff
from tests.corpus.canaries import Canaries

SIZE = (96, 64)
PREVIEW = (1200, 800)  # what cameras put into a raw file to look at
RED, GREEN, BLUE, YELLOW = (200, 40, 40), (30, 150, 60), (40, 60, 190), (230, 200, 60)
CORNERS = (RED, GREEN, BLUE, YELLOW)  # top left, top right, bottom left, bottom right

XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
XMP_MORE = b"http://ns.adobe.com/xmp/extension/\0"


@dataclass(frozen=True)
class Sample:
    """A file, what it knows, and the picture that it shows: the colours near its corners, and its size as shown."""

    name: str
    data: bytes
    canaries: Canaries
    corners: tuple[tuple[int, int, int], ...] | None = CORNERS
    size: tuple[int, int] = SIZE


def picture(size: tuple[int, int] = SIZE) -> Image.Image:
    """The four quarters."""
    image = Image.new("RGB", size)
    width, height = size[0] // 2, size[1] // 2
    for n, colour in enumerate(CORNERS):
        image.paste(colour, (n % 2 * width, n // 2 * height, size[0] if n % 2 else width, size[1] if n // 2 else height))
    return image


def encoded(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    """The picture in Pillow's format `kind`."""
    out = io.BytesIO()
    (image or picture()).save(out, kind, **options)
    return out.getvalue()


# What says something: blocks that several formats carry.


def exif(canaries: Canaries, *, orientation: int = 1, order: str = ">", date: str | None = None) -> bytes:
    """An EXIF block with all that a phone knows, a small copy of the picture with a comment of its own, and private tags."""
    word, latitude, longitude = canaries.word, canaries.rational(order), canaries.rational(order)
    canaries.place()
    taken = tiff.text(date or canaries.date())
    small = jpeg_with_comment(canaries)
    return tiff.write(
        order,
        [
            {
                0x010E: tiff.text(canaries.accented()),  # ImageDescription
                0x010F: tiff.text(word()),  # Make
                0x0110: tiff.text(word()),  # Model
                0x0112: tiff.shorts(order, orientation),
                0x0131: tiff.text(word()),  # Software
                0x0132: tiff.text(canaries.date()),
                0x013B: tiff.text(word()),  # Artist
                0x013C: tiff.text(word()),  # HostComputer
                0x02BC: tiff.Value(tiff.BYTE, xmp(canaries)),
                0x4746: tiff.text(word()),  # Rating, here words
                0x8298: tiff.text(word()),  # Copyright
                0x83BB: tiff.raw(iptc_records(canaries)),
                0x8769: [
                    {
                        0x9003: taken,
                        0x9004: tiff.text(canaries.date()),
                        0x9011: tiff.text("+07:45"),
                        0x927C: tiff.raw(b"Apple iOS\0\0\1MM" + canaries.blob(40) + word().encode()),
                        0x9286: tiff.raw(b"UNICODE\0" + word().encode("utf-16-be")),
                        0xA40B: tiff.raw(canaries.blob()),  # DeviceSettingDescription
                        0xA420: tiff.text(word(32)),  # ImageUniqueID
                        0xA430: tiff.text(word()),  # CameraOwnerName
                        0xA431: tiff.text(canaries.number()),  # BodySerialNumber
                        0xA434: tiff.text(word()),  # LensModel
                        0xA435: tiff.text(canaries.number()),  # LensSerialNumber
                        0xEA1D: tiff.raw(canaries.blob()),
                    }
                ],
                0x8825: [
                    {
                        0: tiff.Value(tiff.BYTE, b"\2\3\0\0"),
                        1: tiff.text("N"),
                        2: tiff.Value(tiff.RATIONAL, latitude),
                        3: tiff.text("W"),
                        4: tiff.Value(tiff.RATIONAL, longitude),
                        27: tiff.raw(b"ASCII\0\0\0" + word().encode()),  # GPSProcessingMethod
                        28: tiff.raw(b"UNICODE\0" + word().encode("utf-16-le")),  # GPSAreaInformation
                        29: tiff.text(canaries.date()[:10]),
                    }
                ],
                0x9C9B: tiff.wide(word()),  # XPTitle
                0x9C9C: tiff.wide(word()),
                0x9C9D: tiff.wide(word()),
                0x9C9E: tiff.wide(word()),
                0xC4A5: tiff.raw(canaries.blob()),  # PrintIM
                0xC62F: tiff.text(canaries.number()),  # CameraSerialNumber
                0xFDE8: tiff.text(word()),  # nobody's
            },
            {0x0103: tiff.shorts(order, 6), 0x0201: tiff.Placed(small), 0x0202: tiff.longs(order, len(small))},
        ],
    )


def xmp(canaries: Canaries) -> bytes:
    """A packet with names, places, a face, a history, depth and a motion photo in it."""
    word = canaries.word
    north, east = canaries.place()
    simple = {
        "xmp:CreatorTool": word(), "xmp:CreateDate": _iso(canaries.date()), "photoshop:City": word(), "photoshop:Country": word(),
        "photoshop:Headline": word(), "Iptc4xmpCore:Location": word(), "exif:GPSLatitude": f"{abs(north):.6f}",
        "exif:GPSLongitude": f"{abs(east):.6f}", "tiff:Make": word(), "aux:SerialNumber": canaries.number(),
        "aux:OwnerName": word(), "GCamera:MotionPhoto": "1", "GCamera:MicroVideoOffset": "100", "xmpMM:DocumentID": word(),
        "GDepth:Data": word(40), "odd:slot": word(),
    }  # fmt: skip
    spaces = {name.partition(":")[0] for name in simple} | {"dc", "mwg-rs"}
    declared = " ".join(f'xmlns:{space}="http://example.org/{space}/"' for space in sorted(spaces))
    said = " ".join(f'{name}="{value}"' for name, value in simple.items())
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="{word()}" {declared} {said}>'
        f"<dc:creator><rdf:Seq><rdf:li>{canaries.accented()}</rdf:li></rdf:Seq></dc:creator>"
        f"<mwg-rs:Regions><rdf:Bag><rdf:li>{word()}</rdf:li></rdf:Bag></mwg-rs:Regions>"
        f'</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def _iso(date: str) -> str:
    day, time = date.split(" ")
    return f"{day.replace(':', '-')}T{time}"


def iptc_records(canaries: Canaries) -> bytes:
    """IPTC-IIM record 2: a title, a by-line, a city, a caption."""
    said = [(number, canaries.word().encode()) for number in (5, 25, 80, 90, 92, 95, 101, 105, 116, 120, 122)]
    return b"".join(b"\x1c\x02" + struct.pack(">BH", number, len(value)) + value for number, value in said)


def photoshop(canaries: Canaries) -> bytes:
    """Photoshop's resources: IPTC, an address, a path's name, and one that nobody knows."""
    resources = [(0x0404, iptc_records(canaries)), (0x040B, canaries.word().encode()), (0x07D0, canaries.blob())]
    name = canaries.word().encode()
    padded = struct.pack("B", len(name)) + name + bytes((len(name) + 1) % 2)
    return b"Photoshop 3.0\0" + b"".join(
        b"8BIM" + struct.pack(">H", number) + padded + struct.pack(">I", len(value)) + value + bytes(len(value) % 2)
        for number, value in resources
    )


def icc(canaries: Canaries | None = None, base: bytes | None = None) -> bytes:
    """A colour profile (`base`, or sRGB) that also has words in it: its description, its maker's, and a tag of nobody's."""
    profile = base or ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if canaries is None:
        return profile
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = {}
    for n in range(count):
        tag, at, size = struct.unpack_from(">4sII", profile, 132 + 12 * n)
        tags[tag] = profile[at : at + size]
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", 13) + canaries.word().encode() + b"\0" + bytes(78)
    tags[b"cprt"] = b"text\0\0\0\0" + canaries.word().encode() + b"\0"
    tags[b"priv"] = b"text\0\0\0\0" + canaries.word().encode() + b"\0"
    table, body, at = b"", b"", 132 + 12 * len(tags)
    for tag, value in tags.items():
        table += struct.pack(">4sII", tag, at + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    return struct.pack(">I", at + len(body)) + profile[4:128] + struct.pack(">I", len(tags)) + table + body


# JPEG


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def put_in(jpeg: bytes, *segments: bytes) -> bytes:
    """A JPEG with segments right after its start."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def jpeg_with_comment(canaries: Canaries) -> bytes:
    return put_in(encoded("JPEG", picture((32, 24))), segment(0xFE, canaries.word().encode()))


def icc_segments(profile: bytes, piece: int = 60_000) -> list[bytes]:
    pieces = [profile[at : at + piece] for at in range(0, len(profile), piece)]
    return [segment(0xE2, b"ICC_PROFILE\0" + bytes((n, len(pieces))) + each) for n, each in enumerate(pieces, 1)]


def full_of_segments(canaries: Canaries, jpeg: bytes, *, orientation: int = 1, order: str = ">") -> bytes:
    """A JPEG with every application segment, comments before and between its tables, and a trailer."""
    jfxx = b"JFXX\0\x10" + jpeg_with_comment(canaries)
    long_xmp = xmp(canaries) * 3
    guid = canaries.word(32).encode()
    extended = [
        segment(0xE1, XMP_MORE + guid + struct.pack(">II", len(long_xmp), at) + long_xmp[at : at + 3000])
        for at in range(0, len(long_xmp), 3000)
    ]
    others = [segment(marker, canaries.word().encode() + canaries.blob()) for marker in range(0xE0, 0xF0) if marker != 0xEE]
    said = [
        segment(0xE0, b"JFIF\0\1\2\1\0\x48\0\x48\2\2" + canaries.blob(12)),  # with a thumbnail of four dots
        segment(0xE0, jfxx),
        segment(0xE1, b"Exif\0\0" + exif(canaries, orientation=orientation, order=order)),
        segment(0xE1, XMP_HEAD + xmp(canaries)),
        *extended,
        *icc_segments(icc(canaries)),
        segment(0xEB, b"JP\0\1\0\0\0\1" + c2pa(canaries)),
        segment(0xED, photoshop(canaries)),
        segment(0xFE, canaries.accented().encode()),
        *others,
        segment(0xF7, canaries.blob()),  # JPGn: nobody's
    ]
    scan = jpeg.index(b"\xff\xda")
    jpeg = jpeg[:scan] + segment(0xFE, canaries.word().encode()) + jpeg[scan:]
    return put_in(jpeg, *said) + b"\0\0" + canaries.word().encode() + canaries.blob()


def c2pa(canaries: Canaries) -> bytes:
    """A manifest store as ISO 19566-5 nests it, with claims in it."""
    claim = box(b"cbor", canaries.word().encode() + canaries.blob())
    described = box(b"jumd", b"c2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\3" + canaries.word().encode() + b"\0")
    return box(b"jumb", described + claim)


def box(kind: bytes, payload: bytes) -> bytes:
    """ISO/IEC 14496-12 section 4.2."""
    return struct.pack(">I4s", len(payload) + 8, kind) + payload


def film_inside(canaries: Canaries) -> bytes:
    """Enough of a film for whoever looks for one behind a photo."""
    said = box(b"udta", box(b"\xa9xyz", struct.pack(">HH", 12, 0x15C7) + canaries.word().encode()))
    return box(b"ftyp", b"mp42\0\0\0\0mp42isom") + box(b"moov", said) + box(b"mdat", canaries.blob(60))


def jpegs() -> Iterator[tuple[str, Callable[[Canaries], bytes]]]:
    baseline = encoded("JPEG", quality=95)

    def kind(**options: object) -> Callable[[Canaries], bytes]:
        return lambda canaries: full_of_segments(canaries, encoded("JPEG", quality=95, **options))

    yield "baseline", kind()
    yield "progressive", kind(progressive=True)
    yield "fine-chroma", kind(subsampling=0)
    yield "restarts", kind(restart_marker_blocks=2)
    yield "little-endian", lambda canaries: full_of_segments(canaries, baseline, order="<")

    def mpo(canaries: Canaries) -> bytes:
        first = encoded("MPO", picture(), save_all=True, append_images=[picture()], quality=95)
        return put_in(first, segment(0xE1, b"Exif\0\0" + exif(canaries))) + jpeg_with_comment(canaries)

    def ultra_hdr(canaries: Canaries) -> bytes:
        iso = segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + canaries.blob())
        gain = put_in(encoded("JPEG", picture((32, 24)).convert("L")), segment(0xE1, XMP_HEAD + xmp(canaries)), iso)
        return put_in(baseline, segment(0xE1, XMP_HEAD + xmp(canaries)), iso) + gain

    def google(canaries: Canaries) -> bytes:
        return put_in(baseline, segment(0xE1, XMP_HEAD + xmp(canaries))) + film_inside(canaries)

    def samsung(canaries: Canaries) -> bytes:
        notes = b"\0\0\x30\x0aMotionPhoto_Data" + film_inside(canaries) + b"\0\0\1\x0aImage_UTC_Data" + canaries.number().encode()
        listed = b"SEFH" + struct.pack("<II", 106, 1) + struct.pack("<IIII", 0x0A300000, len(notes), len(notes), 1)
        return put_in(baseline, segment(0xE1, b"Exif\0\0" + exif(canaries))) + notes + listed + b"\x14\0\0\0SEFT"

    yield "mpo", mpo
    yield "ultra-hdr", ultra_hdr
    yield "motion-google", google
    yield "motion-samsung", samsung

    # Places inside the drawing itself, where bytes lie that no dot comes from.
    def spare_table(canaries: Canaries) -> bytes:
        at = baseline.index(b"\xff\xda")
        return baseline[:at] + segment(0xDB, b"\3" + canaries.word(64).encode()) + baseline[at:]

    def spare_codes(canaries: Canaries) -> bytes:
        """A table of Huffman codes of which nobody makes use: its symbols are words."""
        at = baseline.index(b"\xff\xda")
        counts = bytes((0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0))
        return baseline[:at] + segment(0xC4, b"\x13" + counts + canaries.word(12).encode()) + baseline[at:]

    def table_twice(canaries: Canaries) -> bytes:
        """The first of two tables of one number never counts."""
        at = baseline.index(b"\xff\xdb")
        return baseline[:at] + segment(0xDB, b"\0" + canaries.word(64).encode()) + baseline[at:]

    def after_last_block(canaries: Canaries) -> bytes:
        return baseline[:-2] + canaries.word(40).encode() + baseline[-2:]

    def after_extra_restart(canaries: Canaries) -> bytes:
        return baseline[:-2] + b"\xff\xd0" + canaries.word(40).encode() + b"\xff\xd1" + canaries.word().encode() + baseline[-2:]

    def extra_scan(canaries: Canaries) -> bytes:
        """A second scan of the first component, whose data are words."""
        scan = segment(0xDA, b"\1\1\0\0\x3f\0")
        return baseline[:-2] + scan + canaries.word(40).encode() + baseline[-2:]

    def between_restarts(canaries: Canaries) -> bytes:
        """What a decoder skips when it looks for the next restart."""
        jpeg = encoded("JPEG", quality=95, restart_marker_blocks=2)
        at = jpeg.index(b"\xff\xd1")
        return jpeg[:at] + canaries.word(40).encode() + jpeg[at:]

    yield "spare-quantizers", spare_table
    yield "spare-codes", spare_codes
    yield "table-twice", table_twice
    yield "after-last-block", after_last_block
    yield "after-extra-restart", after_extra_restart
    yield "extra-scan", extra_scan
    yield "between-restarts", between_restarts


def grey_jpeg(canaries: Canaries) -> bytes:
    return full_of_segments(canaries, encoded("JPEG", picture().convert("L"), quality=95))


def cmyk_jpeg(canaries: Canaries) -> bytes:
    """Four inks, without a profile: only that it is clean is asked here, see `test_known_pixels.py` for its colours."""
    jpeg = encoded("JPEG", picture().convert("CMYK"), quality=95)
    return put_in(jpeg, segment(0xE1, b"Exif\0\0" + exif(canaries)), segment(0xFE, canaries.word().encode()))


# PNG


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png(canaries: Canaries, image: Image.Image | None = None, *, orientation: int = 1, animated: bool = False) -> bytes:
    """With every chunk that can hold words, before and after the picture, and words behind its end."""
    word = canaries.word
    image = image or picture()
    if animated:
        plain = encoded("PNG", image, save_all=True, append_images=[image.rotate(180)], default_image=False)
    else:
        plain = encoded("PNG", image)
    deflated = zlib.compress
    before = [
        chunk(b"iCCP", word().encode() + b"\0\0" + deflated(icc(canaries))),
        chunk(b"tEXt", b"Author\0" + word().encode()),
        chunk(b"tEXt", b"Comment\0" + canaries.accented().encode("latin-1")),
        chunk(b"tEXt", word().encode() + b"\0word as a keyword"),
        chunk(b"zTXt", b"Description\0\0" + deflated(word().encode() * 3)),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(canaries)),
        chunk(b"iTXt", b"Title\0\1\0fr\0Titre\0" + deflated(word().encode() * 3)),
        chunk(
            b"zTXt",
            b"Raw profile type exif\0\0" + deflated(b"\nexif\n    30\n" + word().encode().hex().encode() + word().encode()),
        ),
        chunk(b"eXIf", exif(canaries, orientation=orientation)),
        chunk(b"tIME", struct.pack(">H5B", 1987, 3, 14, 5, 6, 7)),
        chunk(b"caBX", c2pa(canaries)),
        chunk(b"pCAL", word().encode() + b"\0" + bytes(10) + word().encode()),
        chunk(b"sPLT", word().encode() + b"\0\x08" + canaries.blob(12)),
        chunk(b"prVt", canaries.blob() + word().encode()),
    ]
    at = 8 + 25
    after = chunk(b"tEXt", b"Software\0" + word().encode()) + chunk(b"gpLc", canaries.blob())
    end = plain.rindex(b"\0\0\0\0IEND")
    return plain[:at] + b"".join(before) + plain[at:end] + after + plain[end:] + word().encode()


def transparent() -> Image.Image:
    """The picture with a see-through hole in its middle."""
    image = picture().convert("RGBA")
    image.paste((9, 9, 9, 0), (40, 24, 56, 40))
    return image


# HEIC, AVIF, WebP, JPEG XL


def heic(canaries: Canaries, *, image: Image.Image | None = None, **options: object) -> bytes:
    """EXIF, XMP, a thumbnail, a second picture, a profile with words, then boxes that nobody needs."""
    file = pillow_heif.from_pillow(image or picture())
    file.add_from_pillow(picture((64, 64)))
    file[0].info["exif"], file[0].info["xmp"] = b"Exif\0\0" + exif(canaries), xmp(canaries)
    file[1].info["exif"] = b"Exif\0\0" + exif(canaries)
    file[0].info["icc_profile"], file[0].info["icc_profile_type"] = icc(canaries), "prof"
    out = io.BytesIO()
    file.save(out, quality=95, chroma=444, **options)
    return out.getvalue() + loose_boxes(canaries)


def loose_boxes(canaries: Canaries) -> bytes:
    """Boxes at the end of a file, which move nothing: free space with words in it, makers' boxes, a film, trailing bytes."""
    return (
        box(b"free", canaries.word().encode())
        + box(b"uuid", b"\xbe\x7a\xcf\xcb\x97\xa9\x42\xe8\x9c\x71\x99\x94\x91\xe3\xaf\xac" + xmp(canaries))
        + box(b"uuid", canaries.blob(16) + c2pa(canaries))
        + box(b"skip", canaries.blob())
        + box(b"mpvd", film_inside(canaries))
        + box(b"sefd", canaries.word().encode() + b"SEFT")
    )


def avif(canaries: Canaries, **options: object) -> bytes:
    plain = encoded("AVIF", quality=95, subsampling="4:4:4", exif=b"Exif\0\0" + exif(canaries), xmp=xmp(canaries),
                    icc_profile=icc(canaries), **options)  # fmt: skip
    return plain + loose_boxes(canaries)


def webp(canaries: Canaries, **options: object) -> bytes:
    """Every chunk that the container names, and two that it does not."""
    plain = encoded(
        "WEBP", quality=95, exif=b"Exif\0\0" + exif(canaries), xmp=xmp(canaries), icc_profile=icc(canaries), **options
    )
    more = b"".join(
        kind + struct.pack("<I", len(payload)) + payload + bytes(len(payload) % 2)
        for kind, payload in ((b"C2PA", c2pa(canaries)), (b"nObd", canaries.word().encode()), (b"JUNK", canaries.blob()))
    )
    return plain[:4] + struct.pack("<I", len(plain) - 8 + len(more)) + plain[8:] + more + canaries.word().encode()


def jxl(canaries: Canaries) -> bytes:
    plain = encoded("JXL", lossless=True, exif=b"Exif\0\0" + exif(canaries), xmp=xmp(canaries))
    assert plain[4:8] == b"JXL ", "boxes, because there is something to put into them"
    return plain + loose_boxes(canaries) + box(b"xml ", xmp(canaries)) + box(b"jumb", c2pa(canaries))


# GIF, BMP, TIFF and what is made of it


def gif(canaries: Canaries, *, animated: bool = False) -> bytes:
    """A comment, XMP, two application blocks, plain text, and bytes behind the end."""
    frames = {"save_all": True, "append_images": [picture().rotate(180)], "duration": 100, "loop": 0} if animated else {}
    plain = encoded("GIF", picture().quantize(4), **frames)
    at = 13 + 3 * (2 << (plain[10] & 7))
    packet = xmp(canaries)

    def blocks(data: bytes) -> bytes:
        return b"".join(bytes((len(data[n : n + 255]),)) + data[n : n + 255] for n in range(0, len(data), 255)) + b"\0"

    said = (
        b"\x21\xfe" + blocks(canaries.word().encode())
        + b"\x21\xff\x0bXMP DataXMP" + packet + b"\1" + bytes(range(255, -1, -1)) + b"\0"
        + b"\x21\xff\x0bICCRGBG1012" + blocks(icc(canaries))
        + b"\x21\xff\x0b" + canaries.blob(11) + blocks(canaries.blob())
        + b"\x21\x01\x0c" + bytes(12) + blocks(canaries.word().encode())
    )  # fmt: skip
    return (
        b"GIF89a"
        + plain[6:at]
        + said
        + plain[at:-1]
        + b"\x21\xfe"
        + blocks(canaries.word().encode())
        + b";"
        + canaries.word().encode()
    )


def bmp(canaries: Canaries) -> bytes:
    """Words in the gap before the dots, in the reserved fields' place, and behind the end."""
    plain = encoded("BMP")
    gap = canaries.word(40).encode()
    (start,) = struct.unpack_from("<I", plain, 10)
    head = bytearray(plain[:start])
    struct.pack_into("<I", head, 10, start + len(gap))
    return bytes(head) + gap + plain[start:] + canaries.word().encode() + canaries.blob()


def tiff_picture(canaries: Canaries, order: str = "<", *, orientation: int = 1, pages: int = 2, deflated: bool = False) -> bytes:
    """Pages in strips with every word a TIFF can say, sub-directories, and gaps between them."""
    dots = picture().tobytes()

    def page(n: int) -> tiff.Directory:
        strip = zlib.compress(dots) if deflated else dots
        return {
            0x00FE: tiff.longs(order, 0),
            0x0100: tiff.longs(order, SIZE[0]),
            0x0101: tiff.longs(order, SIZE[1]),
            0x0102: tiff.shorts(order, 8, 8, 8),
            0x0103: tiff.shorts(order, 8 if deflated else 1),
            0x0106: tiff.shorts(order, 2),
            0x010D: tiff.text(canaries.word()),  # DocumentName
            0x010E: tiff.text(canaries.accented()),
            0x010F: tiff.text(canaries.word()),
            0x0111: tiff.Placed(strip),
            0x0112: tiff.shorts(order, orientation if n == 0 else 1),
            0x0115: tiff.shorts(order, 3),
            0x0116: tiff.longs(order, SIZE[1]),
            0x0117: tiff.longs(order, len(strip)),
            0x011C: tiff.shorts(order, 1),
            0x011D: tiff.text(canaries.word()),  # PageName
            0x0132: tiff.text(canaries.date()),
            0x013B: tiff.text(canaries.word()),
            0x014A: [{0x010E: tiff.text(canaries.word()), 0xFDE9: tiff.raw(canaries.blob())}],
            0x02BC: tiff.Value(tiff.BYTE, xmp(canaries)),
            0x8298: tiff.text(canaries.word()),
            0x83BB: tiff.raw(iptc_records(canaries)),
            0x8649: tiff.raw(photoshop(canaries)[14:]),
            0x8769: [
                {0x9003: tiff.text(canaries.date()), 0xA431: tiff.text(canaries.number()), 0x927C: tiff.raw(canaries.blob())}
            ],
            0x8773: tiff.raw(icc(canaries)),
            0x87B1: tiff.text(canaries.word()),  # GeoAsciiParams
            0x8825: [{1: tiff.text("N"), 2: tiff.Value(tiff.RATIONAL, canaries.rational(order))}],
            0x935C: tiff.raw(b"Adobe Photoshop Document Data Block\0" + canaries.blob()),
            0xFDE8: tiff.Placed(canaries.blob(60)),
        }

    return tiff.write(order, [page(n) for n in range(pages)]) + canaries.word().encode()


def raw_picture(canaries: Canaries, *, like: str) -> bytes:
    """A camera's own format: sensor data, and a JPEG to look at that carries metadata of its own.

    `DNG` (1.4, the preview is directory 0's strip, as Adobe's converter writes it), `CR2` (directory 0 is the preview) and `NEF` (the
    preview is in a sub-directory by offset and length).
    """
    order = ">" if like == "NEF" else "<"
    inner = Canaries(f"{canaries.seed}/inner")
    preview = full_of_segments(inner, encoded("JPEG", picture(PREVIEW), quality=90))
    canaries.words += inner.words
    canaries.raw += inner.raw
    canaries.dates += inner.dates
    sensor = bytes(range(256)) * 48
    known: dict[int, tiff.Value | tiff.Placed | list[tiff.Directory]] = {
        0x010F: tiff.text(canaries.word()),
        0x0110: tiff.text(canaries.word()),
        0x0112: tiff.shorts(order, 1),
        0x0131: tiff.text(canaries.word()),
        0x0132: tiff.text(canaries.date()),
        0x013B: tiff.text(canaries.word()),
        0x02BC: tiff.Value(tiff.BYTE, xmp(canaries)),
        0x8298: tiff.text(canaries.word()),
        0x8769: [{0x9003: tiff.text(canaries.date()), 0x927C: tiff.raw(canaries.blob(80)), 0xA431: tiff.text(canaries.number())}],
        0x8825: [{1: tiff.text("N"), 2: tiff.Value(tiff.RATIONAL, canaries.rational(order))}],
    }
    dots = {
        0x00FE: tiff.longs(order, 0),
        0x0100: tiff.longs(order, SIZE[0]),
        0x0101: tiff.longs(order, SIZE[1]),
        0x0102: tiff.shorts(order, 16),
        0x0103: tiff.shorts(order, 1),
        0x0106: tiff.shorts(order, 32803),
        0x0111: tiff.Placed(sensor),
        0x0115: tiff.shorts(order, 1),
        0x0116: tiff.longs(order, SIZE[1]),
        0x0117: tiff.longs(order, len(sensor)),
        0x828D: tiff.shorts(order, 2, 2),
        0x828E: tiff.Value(tiff.BYTE, b"\0\1\1\2"),
    }
    shown = {
        0x0100: tiff.longs(order, PREVIEW[0]),
        0x0101: tiff.longs(order, PREVIEW[1]),
        0x0102: tiff.shorts(order, 8, 8, 8),
        0x0103: tiff.shorts(order, 7 if like == "DNG" else 6),
        0x0106: tiff.shorts(order, 6),
        0x0111: tiff.Placed(preview),
        0x0115: tiff.shorts(order, 3),
        0x0116: tiff.longs(order, PREVIEW[1]),
        0x0117: tiff.longs(order, len(preview)),
    }
    if like == "CR2":  # Canon's mark is in the header: "CR", version 2.0
        return tiff.write(order, [known | shown, dots], head=b"CR\2\0\0\0\0\0")
    if like == "NEF":
        by_offset = {0x00FE: tiff.longs(order, 1), 0x0201: tiff.Placed(preview), 0x0202: tiff.longs(order, len(preview))}
        known |= {0x010F: tiff.text("NIKON CORPORATION"), 0x014A: [by_offset, dots]}
        return tiff.write(order, [known])
    known |= {
        0xC612: tiff.Value(tiff.BYTE, b"\1\4\0\0"),  # DNGVersion
        0xC614: tiff.text(canaries.word()),  # UniqueCameraModel
        0xC62F: tiff.text(canaries.number()),
        0xC634: tiff.raw(canaries.blob(40)),  # DNGPrivateData
        0xC68B: tiff.text(canaries.word()),  # OriginalRawFileName
        0x014A: [dots],
    }
    return tiff.write(order, [known | shown | {0x00FE: tiff.longs(order, 1)}])


@cache
def photos() -> tuple[Sample, ...]:
    """All of them, each with what it really knows."""
    grey = tuple((round(0.299 * r + 0.587 * g + 0.114 * b),) * 3 for r, g, b in CORNERS)
    made: list[tuple[str, Callable[[Canaries], bytes], dict[str, object]]] = [
        *((f"jpeg-{name}.jpg", make, {}) for name, make in jpegs()),
        ("jpeg-grey.jpg", grey_jpeg, {"corners": grey}),
        ("jpeg-cmyk.jpg", cmyk_jpeg, {"corners": None}),
        ("png.png", png, {}),
        ("png-palette.png", lambda c: png(c, picture().quantize(4)), {}),
        ("png-16-bit.png", lambda c: png(c, picture().convert("L").convert("I;16").point(lambda v: v * 257)), {"corners": grey}),
        ("png-see-through.png", lambda c: png(c, transparent()), {}),
        ("png-animated.png", lambda c: png(c, animated=True), {}),
        ("heic.heic", heic, {}),
        ("heif.heif", lambda c: heic(c).replace(b"ftypheic", b"ftypmif1", 1), {}),
        ("avif.avif", avif, {}),
        ("avif-animated.avif", lambda c: avif(c, save_all=True, append_images=[picture().rotate(180)]), {}),
        ("webp.webp", webp, {}),
        ("webp-lossless.webp", lambda c: webp(c, lossless=True), {}),
        ("webp-animated.webp", lambda c: webp(c, save_all=True, append_images=[picture().rotate(180)], duration=100), {}),
        ("gif.gif", gif, {}),
        ("gif-animated.gif", lambda c: gif(c, animated=True), {}),
        ("bmp.bmp", bmp, {}),
        ("tiff.tif", tiff_picture, {}),
        ("tiff-big-endian.tiff", lambda c: tiff_picture(c, ">", deflated=True), {}),
        ("jxl.jxl", jxl, {}),
        ("raw.dng", lambda c: raw_picture(c, like="DNG"), {"size": PREVIEW}),
        ("raw.cr2", lambda c: raw_picture(c, like="CR2"), {"size": PREVIEW}),
        ("raw.nef", lambda c: raw_picture(c, like="NEF"), {"size": PREVIEW}),
    ]
    samples = []
    for name, make, facts in made:
        canaries = Canaries(name)
        data = make(canaries)
        samples.append(replace(Sample(name, data, canaries.keep_only_what_is_in(data)), **facts))
    return tuple(samples)
