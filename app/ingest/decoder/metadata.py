"""What was in the metadata: when the picture was taken, which way is up, and which *kinds* of things there were.

Kinds are found by presence only. No other value leaves this file, and nothing here is needed to make a file clean:
that is decided by what is written, not by what is recognised.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime

from .limits import PAIR
from .tiff import MARKS as MARKS_OF_TIFF
from .tiff import Tiff

ORIENTATION, EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x0112, 0x8769, 0x8825, 0xA005
TAKEN = (0x9003, 0x9004, 0x0132)  # DateTimeOriginal, DateTimeDigitized, DateTime
XMP_PACKET, IPTC_RECORDS, PHOTOSHOP, MAKER_NOTE = 0x02BC, 0x83BB, 0x8649, 0x927C
LONGEST = 1 << 20  # bytes of one of these that are looked at
REDUCED, NEW_SUBFILE_TYPE, JPEG_INTERCHANGE = 1, 0x00FE, 0x0201

MARK = re.compile(b"|".join(re.escape(mark) for mark in MARKS_OF_TIFF))

# Apple's maker note: a head, then a directory of its own whose places count from the head. Both files of a Live Photo have the same
# ContentIdentifier, a UUID.
APPLE, APPLE_DIRECTORY, CONTENT_IDENTIFIER = b"Apple iOS\0\0\1MM", 14, 0x0011

# CIPA DC-008 (Exif 3.0) and Microsoft's XP tags.
KINDS = {
    "time": {0x0132, 0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9290, 0x9291, 0x9292},
    "place": {0x830E, 0x8480, 0x8482, 0x85D8, 0x87AF, 0x87B0, 0x87B1},  # GeoTIFF
    "device": {0x010F, 0x0110, 0x0131, 0x013C, 0xA420, 0xA431, 0xA432, 0xA433, 0xA434, 0xA435, 0xC614, 0xC62F, 0xC65D},
    "owner": {0x013B, 0x8298, 0x9C9D, 0xA430, 0xA437, 0xA438},
    "description": {0x010D, 0x010E, 0x011D, 0x9286, 0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F, 0xA436},
    "edits": {MAKER_NOTE, 0xA439, 0xA43A, 0xA43B, 0xA43C},
}
KIND_OF_TAG = {tag: kind for kind, tags in KINDS.items() for tag in tags}
# Said by nearly every file, and about nothing but how its samples are laid out.
PLAIN = {
    *range(0x00FE, 0x010C), 0x0111, ORIENTATION, *range(0x0115, 0x011D), *range(0x011E, 0x0130), *range(0x013D, 0x0146), 0x014A,
    *range(0x014C, 0x0158), 0x015B, *range(0x0200, 0x0215), 0x8773, 0x9000, 0x9101, 0xA000, 0xA001, 0xA002, 0xA003, EXIF_IFD,
    GPS_IFD, INTEROP_IFD, XMP_PACKET, IPTC_RECORDS, PHOTOSHOP,
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

DATE = re.compile(rb"(\d{4})[:\-/.](\d\d)[:\-/.](\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?")
# As an attribute or as an element; the moment of taking goes before the moment of writing.
XMP_TAKEN = [
    re.compile(name + rb"\s*(?:=\s*[\"']|>\s*)([^\"'<]{16,40})")
    for name in (rb"exif:DateTimeOriginal", rb"photoshop:DateCreated", rb"xmp:CreateDate", rb"exif:DateTimeDigitized")
]


@dataclass
class Exif:
    """`taken_at` is local, ISO 8601; `pair` is what both files of a Live Photo have in common."""

    orientation: int = 1
    taken_at: str | None = None
    pair: str | None = None
    kinds: set[str] = field(default_factory=set)


def read_exif(block: bytes) -> Exif:
    """Read a TIFF structure as cameras write it; damaged parts are passed over."""
    found = Exif()
    mark = MARK.search(block, 0, 40)
    tiff = Tiff.opened(block[mark.start() :]) if mark else None
    if tiff is None:
        if block.strip(b"\0"):
            found.kinds.add("other")
        return found
    first, after = tiff.directory(tiff.first)
    inner, _ = tiff.directory(tiff.number(first, EXIF_IFD))
    place, _ = tiff.directory(tiff.number(first, GPS_IFD))
    if set(place) - {0}:  # tag 0 is only the version of the block
        found.kinds.add("place")
    if second := tiff.directory(after)[0]:
        small = JPEG_INTERCHANGE in second or tiff.number(second, NEW_SUBFILE_TYPE) & REDUCED
        found.kinds.add("thumbnail" if small else "other")
    found.kinds.update(KIND_OF_TAG.get(tag, "other") for tag in {*first, *inner} - PLAIN)
    if (turn := tiff.number(first, ORIENTATION)) in range(1, 9):
        found.orientation = turn
    dates = (read_date(tiff.value(fields, tag)) for tag in TAKEN for fields in (inner, first))
    found.taken_at = next(filter(None, dates), None)
    if xmp := tiff.value(first, XMP_PACKET, LONGEST):
        found.kinds |= kinds_of_xmp(xmp)
        found.taken_at = found.taken_at or date_of_xmp(xmp)
    for tag in (IPTC_RECORDS, PHOTOSHOP):
        if records := tiff.value(first, tag, LONGEST):
            found.kinds |= kinds_of_iptc(records)
    found.pair = _pair(tiff.value(inner, MAKER_NOTE, LONGEST))
    return found


def _pair(note: bytes) -> str | None:
    """The ContentIdentifier in a maker note of Apple's."""
    if not note.startswith(APPLE):
        return None
    own = Tiff(note, "big")
    text = own.value(own.directory(APPLE_DIRECTORY)[0], CONTENT_IDENTIFIER, 65).split(b"\0")[0].decode("latin-1")
    return text if PAIR.fullmatch(text) else None


def date_of_xmp(packet: bytes) -> str | None:
    """When the picture was taken, as an XMP packet tells it."""
    dates = (read_date(match[1]) for name in XMP_TAKEN if (match := name.search(packet)))
    return next(filter(None, dates), None)


def read_date(text: bytes) -> str | None:
    """An EXIF date as ISO 8601 without a zone, or None when it can't be meant."""
    return moment(DATE.match(text))


def moment(match: re.Match[bytes] | None) -> str | None:
    """A date of which year, month, day, hour, minute and second were found, in the same form."""
    if match is None:
        return None
    try:
        found = datetime(*(int(part) for part in match.groups(b"0")))  # type: ignore[arg-type]
    except ValueError:
        return None
    return found.isoformat() if 1900 <= found.year <= 2100 else None


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
    ("film", re.compile(rb"mpvd|MotionPhoto_Data|ANMF")),
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
