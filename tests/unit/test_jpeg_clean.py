"""`full` of a JPEG: the same pixels, bit for bit, and not one word beside them."""

import io
import struct
import time

import pytest
from PIL import Image, ImageCms

from app.ingest.decoder import canned, jpeg, metadata, render
from app.ingest.decoder.limits import Refusal
from app.ingest.decoder.prove import NotClean, prove_jpeg
from tests.made import apple_note

CANARY = b"canary-51.4778N-0.0015W-Anna"


def picture(mode: str = "RGB", size: tuple[int, int] = (123, 77)) -> Image.Image:
    """Something with edges and slopes in every channel."""
    image = Image.radial_gradient("L").resize(size)
    bands = [image, image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), image.rotate(90), image.rotate(45)]
    return Image.merge(mode, bands[: len(mode)]) if len(mode) > 1 else image.convert(mode)


def written(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def pixels(data: bytes) -> tuple[str, bytes]:
    with Image.open(io.BytesIO(data)) as image:
        return image.mode, image.tobytes()


def exif_with_everything() -> bytes:
    exif = Image.Exif()
    exif[271], exif[272], exif[315], exif[270] = "Maker", "Model", CANARY.decode(), CANARY.decode()
    exif[306] = "2019:01:02 03:04:05"
    exif.get_ifd(0x8769).update({36867: "2018:07:06 05:04:03", 42033: CANARY.decode(), 37500: CANARY})
    exif.get_ifd(0x8825).update({1: "N", 2: (51.0, 28.0, 40.0), 3: "W", 4: (0.0, 0.0, 5.0)})
    return exif.tobytes()


def dirtied(data: bytes) -> bytes:
    """The same picture with a canary in every place where a JPEG can hold words, and behind its end."""
    said = [
        canned.segment(0xE1, exif_with_everything()),
        canned.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x dc:creator='" + CANARY + b"'/>"),
        canned.segment(0xE2, b"MPF\0" + CANARY),
        canned.segment(0xEB, b"JP\0\0" + CANARY),
        canned.segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x09\x1c\x02\x5a\0\x04" + CANARY),
        canned.segment(0xE0, b"JFXX\0\x10" + CANARY),
        canned.segment(0xE7, CANARY),
        canned.segment(0xFE, CANARY),
    ]
    scan = data.index(b"\xff\xda")
    middle = canned.segment(0xFE, CANARY) + CANARY  # between segments, where decoders step over it
    return data[:2] + b"".join(said) + data[2:scan] + middle + data[scan:] + CANARY + b"\0\0\0\x18ftypmp42" + CANARY


@pytest.mark.filterwarnings("ignore:Image appears to be a malformed MPO")
@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {}),
        ("RGB", {"progressive": True}),
        ("RGB", {"subsampling": 0, "quality": 100}),
        ("RGB", {"restart_marker_blocks": 3}),
        ("RGB", {"keep_rgb": True}),
        ("RGB", {"optimize": True, "subsampling": "4:2:2"}),
        ("L", {}),
        ("L", {"progressive": True}),
        ("CMYK", {}),
    ],
)
def test_pixels_stay_bit_for_bit_and_nothing_else_stays(mode: str, options: dict[str, object]) -> None:
    before = dirtied(written(picture(mode), **options))
    found = jpeg.walk(before)
    assert not found.odd
    after = found.clean(orientation=1, profile="srgb")
    assert pixels(after) == pixels(before)
    assert pixels(found.drawing()) == pixels(before)
    assert CANARY not in after and b"canary" not in after
    if mode != "CMYK":  # which is never delivered
        assert prove_jpeg(after) == (123, 77)


def test_restart_markers_survive() -> None:
    before = written(picture(), restart_marker_blocks=2)
    scan = before[before.index(b"\xff\xda") :]
    assert b"\xff\xd7" in scan
    assert jpeg.walk(before).clean(orientation=1, profile="srgb").endswith(scan)


def test_a_file_that_says_what_it_is_by_adobes_segment_alone() -> None:
    before = written(picture(), keep_rgb=True)  # no JFIF, transform 0: RGB
    assert b"JFIF" not in before and jpeg.walk(before).adobe == 0
    assert pixels(jpeg.walk(before).drawing()) == pixels(before)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_only_tag_is_orientation(orientation: int) -> None:
    after = jpeg.walk(dirtied(written(picture()))).clean(orientation=orientation, profile="srgb")
    with Image.open(io.BytesIO(after)) as image:
        assert dict(image.getexif()) == ({} if orientation == 1 else {274: orientation})
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "exif", "dpi"}
    assert prove_jpeg(after) == ((123, 77) if orientation < 5 else (77, 123))


@pytest.mark.parametrize("name", ["p3", "adobe"])
def test_our_own_profiles_are_read_by_a_colour_engine(name: str) -> None:
    after = jpeg.walk(written(picture())).clean(orientation=1, profile=name)
    prove_jpeg(after)
    with Image.open(io.BytesIO(after)) as image:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    assert profile.profile.xcolor_space == "RGB " and profile.profile.version == 2.4
    to_srgb = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    # A grey stays the same grey, and a full green is out of what sRGB can show.
    assert max(abs(value - 128) for value in _one(to_srgb, (128, 128, 128))) <= (1 if name == "p3" else 2)
    assert _one(to_srgb, (60, 200, 60))[0] < 40


def _one(transform: ImageCms.ImageCmsTransform, colour: tuple[int, int, int]) -> tuple[int, int, int]:
    converted = ImageCms.applyTransform(Image.new("RGB", (1, 1), colour), transform)
    assert converted is not None
    return converted.getpixel((0, 0))  # type: ignore[return-value]


def test_what_was_removed_is_told_by_kind() -> None:
    found = jpeg.walk(dirtied(written(picture())))
    assert found.removed == {"owner", "edits", "history", "place", "thumbnail", "other", "description", "film"}
    assert found.exif is not None
    exif = metadata.read_exif(found.exif)
    assert exif.kinds >= {"place", "time", "device", "owner", "description"}
    assert exif.taken_at == "2018-07-06T05:04:03"
    assert jpeg.walk(written(picture())).removed == set()


def test_a_missing_end_is_completed() -> None:
    whole = written(picture())
    assert jpeg.walk(whole[:-2]).clean(orientation=1, profile="srgb") == jpeg.walk(whole).clean(orientation=1, profile="srgb")


def _with_frame(data: bytes, marker: int, precision: int) -> bytes:
    at = data.index(b"\xff\xc0")
    return data[: at + 1] + bytes([marker]) + data[at + 2 : at + 4] + bytes([precision]) + data[at + 5 :]


def _doubled(data: bytes, what: bytes) -> bytes:
    at = data.index(what)
    end = at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return data[:end] + data[at:end] + data[end:]


BASE = written(picture())
TABLE = BASE.index(b"\xff\xdb")


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        ("unsupported", _with_frame(BASE, 0xC1, 12)),
        ("unsupported", _with_frame(BASE, 0xC9, 8)),
        ("unsupported", _with_frame(BASE, 0xC3, 8)),
        ("broken", _doubled(BASE, b"\xff\xc0")),
        ("broken", BASE[:2] + BASE),
        ("broken", BASE[: BASE.index(b"\xff\xda")]),
        ("broken", BASE[:40]),
        ("broken", BASE[:2]),
        ("broken", BASE[:2] + b"\xff\xd9"),
        ("broken", BASE[:TABLE] + canned.segment(0xDB, bytes(65) + CANARY) + BASE[TABLE:]),
        ("broken", BASE[:TABLE] + canned.segment(0xC4, bytes(17) + CANARY) + BASE[TABLE:]),
        ("broken", BASE[:TABLE] + canned.segment(0xDD, bytes(4)) + BASE[TABLE:]),
        ("broken", BASE[:TABLE] + b"\xff\xfe\0\0" + BASE[TABLE:]),
        ("broken", BASE[:TABLE] + b"\xff\xfe\0\x02" * 10_001 + BASE[TABLE:]),
        ("too-slow", BASE[:-2] + BASE[BASE.index(b"\xff\xda") : -2] * 200 + BASE[-2:]),
    ],
)
def test_what_is_not_taken(reason: str, data: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        jpeg.walk(data)
    assert refusal.value.reason == reason


def test_every_cut_is_refused_or_walked_and_never_raises_anything_else() -> None:
    data = dirtied(BASE)
    for end in range(2, len(data), 7):
        try:
            jpeg.walk(data[:end])
        except Refusal as refusal:
            assert refusal.reason in ("broken", "unsupported")


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\x00", b"\xff\xd0", b"\x00"])
def test_the_walk_is_linear(filler: bytes) -> None:
    scan = BASE.index(b"\xff\xda") + 14
    start = time.process_time()
    jpeg.walk(BASE[:scan] + filler * 2_000_000 + b"\0" + BASE[scan:])
    assert time.process_time() - start < 2


# What may hide in the parts that draw.

SCAN = BASE.index(b"\xff\xda")
RESTARTING = written(picture(), restart_marker_blocks=2)
RESTARTED = RESTARTING.index(b"\xff\xda")


def put(before: int, what: bytes, data: bytes = BASE) -> bytes:
    return data[:before] + what + data[before:]


def codes(values: bytes, number: int = 0x13) -> bytes:
    """A code table for values of any kind, all of them eight bits long."""
    return canned.segment(0xC4, bytes((number,)) + bytes(7) + bytes((len(values),)) + bytes(8) + values)


def drawn_anew(data: bytes) -> bool:
    """Whether `full` has other pixel data than its file; it shows the same picture in any case."""
    full = render.render(data).renditions[2].data
    prove_jpeg(full)
    assert CANARY[:6] not in full and b"Anna" not in full
    one, other = (Image.open(io.BytesIO(each)).convert("L").resize((12, 7)).tobytes() for each in (full, BASE))
    assert max(abs(a - b) for a, b in zip(one, other, strict=True)) < 12
    return full[full.index(b"\xff\xda") :] not in (BASE[SCAN:], RESTARTING[RESTARTED:])


UNUSED = {
    "quantisation that no component has": put(TABLE, canned.segment(0xDB, b"\3" + CANARY.ljust(64, b"A"))),
    "quantisation that is replaced": put(TABLE, canned.segment(0xDB, b"\0" + CANARY.ljust(64, b"A"))),
    "codes that no scan has": put(SCAN, codes(CANARY[:12])),
    "codes that are replaced": put(TABLE, codes(b"Anna", 0x00)),
    "an interval of nothing": put(TABLE, canned.segment(0xDD, b"An") + canned.segment(0xDD, bytes(2))),
    "a table behind the last scan": put(len(BASE) - 2, canned.segment(0xDB, b"\0" + CANARY.ljust(64, b"A"))),
    "an empty table segment": put(TABLE, canned.segment(0xC4, b"")),
}


@pytest.mark.parametrize("where", UNUSED)
def test_tables_that_no_scan_uses_are_gone_and_the_pixels_stay(where: str) -> None:
    found = jpeg.walk(UNUSED[where])
    assert not found.odd
    assert found.clean(orientation=1, profile="srgb") == jpeg.walk(BASE).clean(orientation=1, profile="srgb")
    assert not drawn_anew(UNUSED[where])
    with pytest.raises(NotClean):  # the proof sees it by itself
        prove_jpeg(UNUSED[where])


def meaningless(data: bytes) -> bytes:
    """A table of AC codes whose last value, which the picture does not use, means nothing: a size of 15."""
    at = data.index(b"\xff\xc4", data.index(b"\xff\xc4") + 4)
    end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    assert data[at + 4] == 0x10
    return data[: end - 1] + b"\x0f" + data[end:]


ODD = {
    "values without a meaning": meaningless(BASE),
    "restarts without an interval": put(len(BASE) - 2, b"\xff\xd0"),
    "fill before a restart": put(RESTARTING.index(b"\xff\xd4"), b"\xff\xff", RESTARTING),
    "fill at the end of the data": put(len(BASE) - 2, b"\xff\xff"),
    "a restart too many": put(len(RESTARTING) - 2, b"\xff\xd3", RESTARTING),
    "restarts in another order": RESTARTING[:RESTARTED] + RESTARTING[RESTARTED:].replace(b"\xff\xd1", b"\xff\xd6"),
    "words behind the last block": put(len(BASE) - 2, CANARY),
    "a few words behind the last block": put(len(BASE) - 2, b"51.4N,0.1W"),
    "words behind the last block of the last interval": put(len(RESTARTING) - 2, CANARY, RESTARTING),
    "words before a restart": put(RESTARTING.index(b"\xff\xd4"), CANARY, RESTARTING),
}


@pytest.mark.parametrize("where", ODD)
def test_what_is_odd_is_drawn_anew_so_that_nothing_planted_stays(where: str) -> None:
    assert drawn_anew(ODD[where])


@pytest.mark.parametrize("where", [name for name in ODD if "words" not in name and "meaning" not in name])
def test_the_proof_knows_restarts_and_fill_too(where: str) -> None:
    with pytest.raises(NotClean):
        prove_jpeg(ODD[where])


def test_a_picture_that_is_drawn_over_another_is_drawn_anew() -> None:
    shown, hidden = (written(picture("L", size=(64, 48)), quality=quality) for quality in (80, 60))
    scan = hidden[hidden.index(b"\xff\xda") : -2]
    twice = put(shown.index(b"\xff\xda"), scan, shown)
    assert jpeg.walk(twice).odd and scan not in render.render(twice).renditions[2].data
    with pytest.raises(NotClean):
        prove_jpeg(twice)


@pytest.mark.parametrize("size", [(123, 77), (1999, 40), (4000, 100), (16_000, 33)])
@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"restart_marker_blocks": 5}, {"progressive": True}]
)
def test_whole_files_are_never_drawn_anew_at_any_size(size: tuple[int, int], options: dict[str, object]) -> None:
    data = written(picture(size=size), **options)
    full = render.render(data).renditions[2].data
    assert full == jpeg.walk(data).clean(orientation=1, profile="srgb") and pixels(full) == pixels(data)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_words_behind_a_scan_of_several_are_heard_of(mode: str) -> None:
    data = written(picture(mode), progressive=True)
    for at in (len(data) - 2, data.rindex(b"\xff\xc4")):
        full = render.render(put(at, CANARY, data)).renditions[2].data
        assert CANARY not in full
        prove_jpeg(full)


def test_what_joins_a_live_photo_is_read_from_apples_note() -> None:
    def pair(note: bytes) -> str | None:
        exif = Image.Exif()
        exif.get_ifd(0x8769)[37500] = note
        return metadata.read_exif(exif.tobytes()).pair

    assert pair(apple_note()) == "A1B2C3D4-0000-1111-2222-333344445555"
    for text in ("A1B2", "A" * 65, "A1B2C3D4-51.4778N", "../../etc/passwd", ""):
        assert pair(apple_note(text)) is None
    assert pair(b"Nikon\0" + apple_note()) is None
    for end in range(len(apple_note())):
        pair(apple_note()[:end])
