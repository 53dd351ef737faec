"""The picture in a camera's raw file: the JPEG that the camera itself made for its screen, the largest there is.

What the sensor saw is not developed: each maker's is different, and the camera's own picture is what the family has seen.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from . import jpeg, metadata
from .boxes import inside
from .limits import GRID_EDGE, Refusal
from .tiff import CAMERAS, Directory, Tiff

COMPRESSION, PHOTOMETRIC, STRIPS, STRIP_SIZES, DNG_VERSION = 0x0103, 0x0106, 0x0111, 0x0117, 0xC612
JPEG_AT, JPEG_SIZE, JPG_FROM_RAW = 0x0201, 0x0202, 0x002E
# Samples as the sensor has them (TIFF/EP, DNG 1.7), and the ways in which Sony, Samsung, Nikon and Pentax pack these.
SENSOR, PACKED, JPEG = (32803, 34892), (32767, 32769, 32770, 34713, 65535), (6, 7)

FUJI = b"FUJIFILMCCD-RAW "
# Olympus keeps it in a maker note whose places count from the note: head, where its directory is; then tags in one of its directories.
OLYMPUS = ((b"OLYMPUS\0II", 12), (b"OM SYSTEM\0\0\0II", 16))
CAMERA_SETTINGS, PREVIEW_AT, PREVIEW_SIZE = 0x2020, 0x0101, 0x0102

# CR3 (https://github.com/lclevy/canon_cr3): EXIF in four boxes, a preview, and a track that is one JPEG of full size.
CANON = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
CANON_PREVIEW = bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16")


@dataclass
class Preview:
    """A JPEG out of a raw file, with what the file around it says."""

    jpeg: jpeg.Jpeg
    exif: metadata.Exif


def is_raw(tiff: Tiff) -> bool:
    """Whether a TIFF structure is a camera's raw file."""
    if tiff.data[:4] in CAMERAS or tiff.data[8:10] == b"CR":
        return True
    return any(
        DNG_VERSION in fields or tiff.number(fields, PHOTOMETRIC) in SENSOR or tiff.number(fields, COMPRESSION) in PACKED
        for fields in tiff.directories()
    )


def preview(data: bytes) -> Preview:
    """The largest JPEG in a raw file. Raises `Refusal("unsupported")` when there is none, or only a stamp that would not even fill a grid's
    place: it must not stand for the photo."""
    if data.startswith(FUJI):  # the place of its JPEG stands in its head
        places, exif = [struct.unpack_from(">II", data.ljust(92, b"\0"), 84)], metadata.Exif()
    elif data[4:8] == b"ftyp":
        places, exif = list(_in_boxes(data)), _exif_in_boxes(data)
    else:
        tiff = Tiff.opened(data)
        places, exif = list(_in_directories(tiff)) if tiff else [], metadata.read_exif(data)
    for at, size in sorted(set(places), key=lambda place: place[1], reverse=True):
        try:
            found = jpeg.walk(data[at : at + size]) if data[at : at + 3] == b"\xff\xd8\xff" else None
        except Refusal:  # the sensor's own samples may be packed as a (lossless) JPEG
            continue
        if found and found.ended and max(found.width, found.height) >= GRID_EDGE:
            own = metadata.read_exif(found.exif or b"")
            exif.orientation = own.orientation if found.exif else exif.orientation
            exif.taken_at = exif.taken_at or own.taken_at
            exif.kinds |= own.kinds
            return Preview(found, exif)
    raise Refusal("unsupported")


def _in_directories(tiff: Tiff) -> Iterator[tuple[int, int]]:
    for fields in tiff.directories():
        yield tiff.number(fields, JPEG_AT), tiff.number(fields, JPEG_SIZE)
        if tiff.number(fields, COMPRESSION) in JPEG and len(tiff.numbers(fields, STRIPS)) == 1:
            yield tiff.number(fields, STRIPS), tiff.number(fields, STRIP_SIZES)
        if JPG_FROM_RAW in fields:
            yield fields[JPG_FROM_RAW].at, fields[JPG_FROM_RAW].size
        inner, _ = tiff.directory(tiff.number(fields, metadata.EXIF_IFD))
        if metadata.MAKER_NOTE in inner:
            yield from _in_note_of_olympus(tiff.data, inner)


def _in_note_of_olympus(data: bytes, inner: Directory) -> Iterator[tuple[int, int]]:
    start = inner[metadata.MAKER_NOTE].at
    for head, directory in OLYMPUS:
        if data.startswith(head, start):
            note = Tiff(data[start:], "little")
            fields, _ = note.directory(directory)
            settings, _ = note.directory(note.number(fields, CAMERA_SETTINGS))
            yield start + note.number(settings, PREVIEW_AT), note.number(settings, PREVIEW_SIZE)


def _in_boxes(data: bytes) -> Iterator[tuple[int, int]]:
    for start, end in inside(data, (b"uuid",)):
        if data.startswith(CANON_PREVIEW, start):
            for preview, stop in inside(data, (b"PRVW",), start + 24, end):
                yield preview + 16, stop - preview - 16
    for table, end in inside(data, (b"moov", b"trak", b"mdia", b"minf", b"stbl")):
        sizes = [int.from_bytes(data[at + 4 : at + 8], "big") for at, _ in inside(data, (b"stsz",), table, end)]
        places = [int.from_bytes(data[at + 8 : at + 16], "big") for at, _ in inside(data, (b"co64",), table, end)]
        yield from zip(places, sizes, strict=False)


def _exif_in_boxes(data: bytes) -> metadata.Exif:
    """CMT1 is what a TIFF begins with, CMT2 what EXIF adds, CMT4 the place."""
    found = metadata.Exif()
    for start, end in inside(data, (b"moov", b"uuid")):
        if not data.startswith(CANON, start):
            continue
        for kind in (b"CMT1", b"CMT2"):
            for at, stop in inside(data, (kind,), start + 16, end):
                said = metadata.read_exif(data[at:stop])
                found.kinds |= said.kinds
                found.taken_at = said.taken_at or found.taken_at
                found.orientation = said.orientation if kind == b"CMT1" else found.orientation
        for at, stop in inside(data, (b"CMT4",), start + 16, end):
            place = Tiff.opened(data[at:stop])
            if place and set(place.directory(place.first)[0]) - {0}:
                found.kinds.add("place")
    return found
