"""What was in the metadata: when the picture was taken, which way is up, and which *kinds* of things there were.

Kinds are found by presence only. No other value leaves this file, and nothing here is needed to make a file clean:
that is decided by what is written, not by what is recognised.
"""

import re
import struct
from dataclasses import dataclass, field
from datetime import datetime

MOST_ENTRIES = 1000
TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}

ORIENTATION, EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x0112, 0x8769, 0x8825, 0xA005
TAKEN = (0x9003, 0x9004, 0x0132)  # DateTimeOriginal, DateTimeDigitized, DateTime

# CIPA DC-008 (Exif 3.0) and Microsoft's XP tags.
KINDS = {
    "time": {0x0132, 0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9290, 0x9291, 0x9292},
    "device": {0x010F, 0x0110, 0x0131, 0x013C, 0xA420, 0xA431, 0xA432, 0xA433, 0xA434, 0xA435, 0xC614, 0xC62F, 0xC65D},
    "owner": {0x013B, 0x8298, 0x9C9D, 0xA430, 0xA437, 0xA438},
    "description": {0x010E, 0x9286, 0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F, 0xA436},
    "edits": {0x927C, 0xA439, 0xA43A, 0xA43B, 0xA43C},
}
KIND_OF_TAG = {tag: kind for kind, tags in KINDS.items() for tag in tags}
# Said by nearly every file, and about nothing but how its samples are laid out.
PLAIN = {
    0x0100, 0x0101, 0x0102, 0x0103, 0x0106, ORIENTATION, 0x0115, 0x011A, 0x011B, 0x0128, 0x0213, 0x9000, 0x9101, 0xA000,
    0xA001, 0xA002, 0xA003, EXIF_IFD, GPS_IFD, INTEROP_IFD,
}  # fmt: skip

# Substrings of property names in XMP (ISO 16684-1 and the usual vendors' schemas).
XMP = (
    ("place", re.compile(rb"GPSL|GPSDest|LocationShown|LocationCreated|Iptc4xmpCore:Location|photoshop:City|photoshop:Country")),
    ("time", re.compile(rb"CreateDate|ModifyDate|DateCreated|DateTimeOriginal|MetadataDate|DateTimeDigitized")),
    ("device", re.compile(rb"tiff:Make|tiff:Model|SerialNumber|aux:Lens|exifEX:Lens|CreatorTool")),
    ("owner", re.compile(rb"dc:creator|dc:rights|photoshop:Credit|xmpRights:|tiff:Artist|OwnerName|plus:|CreatorContactInfo")),
    ("description", re.compile(rb"dc:description|dc:title|dc:subject|Headline|UserComment|mwg-rs:|PersonInImage")),
    ("film", re.compile(rb"MotionPhoto|MicroVideo")),
    ("depth", re.compile(rb"GDepth|Device:|DepthMap|depthmap|DepthData")),
    ("sound", re.compile(rb"GAudio")),
    ("thumbnail", re.compile(rb"xmp:Thumbnails|xapGImg")),
    ("history", re.compile(rb"dcterms:provenance|c2pa")),
    ("edits", re.compile(rb"hdrgm|HDRGainMap|xmpMM:|crs:|stEvt:|HasExtendedXMP")),
)
# IPTC-IIM 4.2 record 2, by data set number.
IPTC = {
    "place": {26, 27, 90, 92, 95, 100, 101},
    "time": {30, 35, 55, 60, 62, 63},
    "owner": {80, 85, 110, 115, 116, 118},
    "description": {5, 25, 105, 120, 122},
}
PNG_WORDS = {
    b"author": "owner",
    b"copyright": "owner",
    b"title": "description",
    b"description": "description",
    b"comment": "description",
    b"creation time": "time",
    b"software": "device",
    b"source": "device",
}

DATE = re.compile(rb"(\d{4})[:\-/.](\d\d)[:\-/.](\d\d)[ T](\d\d):(\d\d):(\d\d)")


@dataclass
class Exif:
    orientation: int = 1
    taken_at: str | None = None
    kinds: set[str] = field(default_factory=set)


def read_exif(block: bytes) -> Exif:
    """Read a TIFF structure as cameras write it; damaged parts are passed over. `taken_at` is local time, ISO 8601."""
    found = Exif()
    start = min((at for at in (block.find(b"II*\0", 0, 32), block.find(b"MM\0*", 0, 32)) if at >= 0), default=-1)
    if start < 0:
        if block.strip(b"\0"):
            found.kinds.add("other")
        return found
    tiff = block[start:]
    order = "<" if tiff[:2] == b"II" else ">"
    first, after = _entries(tiff, order, _number(order, tiff[4:8]))
    tags = dict(first)
    inner, _ = _entries(tiff, order, _number(order, first.get(EXIF_IFD, b"")))
    tags.update((tag, value) for tag, value in inner.items() if tag != ORIENTATION)
    place, _ = _entries(tiff, order, _number(order, first.get(GPS_IFD, b"")))
    if set(place) - {0}:  # tag 0 is only the version of the block
        found.kinds.add("place")
    if after and _entries(tiff, order, after)[0]:
        found.kinds.add("thumbnail")
    for tag in tags:
        if tag not in PLAIN:
            found.kinds.add(KIND_OF_TAG.get(tag, "other"))
    if (turn := _number(order, first.get(ORIENTATION, b"")[:2])) in range(1, 9):
        found.orientation = turn
    found.taken_at = next((taken for tag in TAKEN if (taken := read_date(tags.get(tag, b"")))), None)
    return found


def read_date(text: bytes) -> str | None:
    """An EXIF date as ISO 8601 without a zone, or None when it can't be meant."""
    match = DATE.match(text)
    if not match:
        return None
    try:
        moment = datetime(*(int(part) for part in match.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None
    return moment.isoformat() if 1900 <= moment.year <= 2100 else None


def _entries(tiff: bytes, order: str, at: int) -> tuple[dict[int, bytes], int]:
    """One directory (TIFF 6.0 section 2): the first 64 bytes of each value by tag, and where the next directory is."""
    if not 8 <= at <= len(tiff) - 2:
        return {}, 0
    count = _number(order, tiff[at : at + 2])
    values: dict[int, bytes] = {}
    for entry in range(at + 2, at + 2 + 12 * min(count, MOST_ENTRIES), 12):
        if entry + 12 > len(tiff):
            return values, 0
        tag, kind, amount = struct.unpack_from(order + "HHI", tiff, entry)
        size = TYPE_SIZES.get(kind, 1) * amount
        place = entry + 8 if size <= 4 else _number(order, tiff[entry + 8 : entry + 12])
        values.setdefault(tag, tiff[place : place + min(size, 64)])
    end = at + 2 + 12 * count
    return values, _number(order, tiff[end : end + 4])


def _number(order: str, raw: bytes) -> int:
    return int.from_bytes(raw, "little" if order == "<" else "big")


def kinds_of_xmp(packet: bytes) -> set[str]:
    """Which kinds of things an XMP packet speaks of; `other` when it is none that we know by name."""
    return {kind for kind, names in XMP if names.search(packet)} or {"other"}


def kinds_of_iptc(block: bytes) -> set[str]:
    """The same for Photoshop's resource block with its IPTC records."""
    numbers = {block[at.end()] for at in re.finditer(rb"\x1c\x02", block) if at.end() < len(block)}
    return {kind for kind, members in IPTC.items() if members & numbers} or {"other"}


def kinds_of_text(keyword: bytes, text: bytes) -> set[str]:
    """The same for a text chunk of a PNG."""
    if keyword == b"XML:com.adobe.xmp":
        return kinds_of_xmp(text)
    return {PNG_WORDS.get(keyword.lower(), "other")}


def kinds_of_trailer(data: bytes, at: int) -> set[str]:
    """What stands after the first picture's end: a motion photo's film, second pictures, a maker's data."""
    kinds = set()
    if data.find(b"ftyp", at) >= 0 or data.find(b"MotionPhoto_Data", at) >= 0:
        kinds.add("film")
    if data.find(b"\xff\xd8\xff", at) >= 0:
        kinds.add("edits")
    if not kinds and data[at : at + 4096].strip(b"\0\n\r "):
        kinds.add("other")
    return kinds


# What a box-structured file (HEIC, AVIF, WebP) has inside is named by these bytes somewhere in it.
MARKS = (
    ("film", re.compile(rb"mpvd|MotionPhoto_Data")),
    ("depth", re.compile(rb"aux:depth|auxid:2|aux:disparity")),
    ("edits", re.compile(rb"hdrgainmap|tmap|aux:semantic|portraiteffectsmatte")),
    ("history", re.compile(rb"C2PA|c2pa|jumb")),
    ("thumbnail", re.compile(rb"\0\0thmb")),
)
HEADS = 256 << 10  # bytes at either end of a file where such names stand


def kinds_of_boxes(data: bytes) -> set[str]:
    """Which kinds of extra things a HEIC, AVIF or WebP holds beside EXIF and XMP."""
    ends = data if len(data) <= 2 * HEADS else data[:HEADS] + data[-HEADS:]
    return {kind for kind, names in MARKS if names.search(ends)}
