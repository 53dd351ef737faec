"""The small readers and writers of the decoder, each by itself: sniffing, EXIF, colour profiles, placeholders, the proof."""

import io
import math
import random
import struct
import zlib

import pytest
from PIL import Image, ImageCms

from app.ingest.decoder import canned, colour, frames, metadata, png
from app.ingest.decoder.limits import Refusal
from app.ingest.decoder.prove import NotClean, prove
from app.ingest.decoder.sniff import sniff
from app.ingest.decoder.thumbhash import thumbhash


def box(*brands: bytes) -> bytes:
    return struct.pack(">I", 12 + 4 * len(brands)) + b"ftyp" + brands[0] + b"\0\0\0\0" + b"".join(brands[1:]) + bytes(80)


@pytest.mark.parametrize(
    ("expected", "data"),
    [
        ("jpeg", b"\xff\xd8\xff\xe1"),
        ("png", b"\x89PNG\r\n\x1a\n"),
        ("webp", b"RIFF\0\0\0\0WEBPVP8 "),
        ("heic", box(b"heic", b"mif1", b"heic")),
        ("heic", box(b"mif1", b"heic")),
        ("heic", box(b"msf1", b"hevc")),
        ("avif", box(b"avif", b"mif1", b"miaf")),
        ("avif", box(b"mif1", b"avif", b"miaf")),
        ("avif", box(b"avis", b"msf1")),
        ("film", box(b"isom", b"mp42")),
        ("film", box(b"qt  ", b"qt  ")),
        ("film", b"\0\0\0\x08wide\0\0\0\0mdat"),
        ("film", b"\x1a\x45\xdf\xa3"),
        ("film", b"RIFF\0\0\0\0AVI LIST"),
        ("film", (b"\x47" + bytes(187)) * 5),
        ("gif", b"GIF89a"),
        ("gif", b"GIF87a"),
        ("tiff", b"II*\0"),
        ("tiff", b"MM\0*"),
        ("tiff", b"MM\0+\0\x08\0\0"),
        ("bmp", b"BM" + bytes(12) + b"\x28\0\0\0"),
        ("bmp", b"BM" + bytes(12) + b"\x7c\0\0\0"),
        ("jxl", b"\0\0\0\x0cJXL \r\n\x87\n"),
        ("jxl", b"\xff\x0a"),
        ("raw", box(b"crx ", b"isom")),
        ("raw", b"FUJIFILMCCD-RAW 0201"),
        ("raw", b"II*\0\x10\0\0\0CR\2\0"),
        ("raw", b"IIU\0"),
        ("raw", b"IIRO"),
        ("unsupported", b"8BPS\0\1"),
        ("unsupported", b"\0\0\1\0\1\0"),
        ("unsupported", b"\0\0\0\x0cjP  \r\n\x87\n"),
        ("not-a-picture", b"BM"),
        ("not-a-picture", b"BMW is a maker of cars"),
        ("not-a-picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("not-a-picture", b"<?xml version='1.0'?><svg/>"),
        ("not-a-picture", b"%PDF-1.7"),
        ("not-a-picture", b"PK\x03\x04"),
        ("not-a-picture", b"hello"),
        ("not-a-picture", b"\xff"),
        ("not-a-picture", bytes(1000)),
    ],
)
def test_files_are_known_by_their_first_bytes(expected: str, data: bytes) -> None:
    try:
        found = sniff(data)
    except Refusal as refusal:
        found = refusal.reason
    assert found == expected


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_in_both_byte_orders(order: str) -> None:
    tiff = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    tiff += struct.pack(order + "H", 2)
    tiff += struct.pack(order + "HHIHH", 274, 3, 1, 6, 0)
    tiff += struct.pack(order + "HHII", 306, 2, 20, 38) + struct.pack(order + "I", 0)
    found = metadata.read_exif(b"Exif\0\0" + tiff + b"2021:12:24 18:00:00\0")
    assert (found.orientation, found.taken_at, found.kinds) == (6, "2021-12-24T18:00:00", {"time"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"2021:12:24 18:00:00", "2021-12-24T18:00:00"),
        (b"2021-12-24T18:00:00Z", "2021-12-24T18:00:00"),
        (b"0000:00:00 00:00:00", None),
        (b"2021:13:24 18:00:00", None),
        (b"2021:12:24 24:00:60", None),
        (b"1899:12:31 23:59:59", None),
        (b"2101:01:01 00:00:00", None),
        (b"    :  :     :  :  ", None),
        (b"", None),
    ],
)
def test_dates_that_can_be_meant(text: bytes, expected: str | None) -> None:
    assert metadata.read_date(text) == expected


def test_hostile_exif_is_passed_over() -> None:
    chance = random.Random(1)
    start = b"MM\0*\0\0\0\x08"
    loop = struct.pack(">HHHII", 1, 0x8769, 4, 1, 8) + struct.pack(">I", 8)
    assert metadata.read_exif(start + loop).orientation == 1
    assert metadata.read_exif(start + b"\xff\xff" + bytes(40)).taken_at is None
    assert metadata.read_exif(start[:7]).kinds == set()
    for _ in range(2000):
        metadata.read_exif(start + chance.randbytes(chance.randrange(200)))


def test_an_orientation_that_does_not_exist_is_none() -> None:
    assert metadata.read_exif(b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 274, 3, 1, 9, 0, 0)).orientation == 1


def test_known_colours() -> None:
    assert colour.recognise(None, bands=3) == "srgb"
    assert colour.recognise(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), bands=3) == "srgb"
    for name, profile in canned.PROFILES.items():
        assert colour.recognise(profile, bands=3) == name
        assert len(profile) == int.from_bytes(profile[:4], "big")
    assert colour.recognise(canned.PROFILES["p3"], bands=1) == "srgb"  # made for another kind of picture
    assert colour.recognise(b"garbage", bands=3) == "srgb"


def test_the_right_colorants_with_another_curve_are_another_profile() -> None:
    plain_gamma = canned._profile("x", canned.COLORANTS["srgb"], canned._curve([round(2.2 * 256)]))
    assert colour.recognise(plain_gamma, bands=3) == "other"
    straight = canned._profile("x", canned.COLORANTS["p3"], canned._curve([]))
    assert colour.recognise(straight, bands=3) == "other"
    # As Apple writes Display P3: a parametric curve of type 3.
    curve = b"para\0\0\0\0\0\3\0\0" + struct.pack(
        ">5i", *(round(v * 65536) for v in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
    )
    assert colour.recognise(canned._profile("x", canned.COLORANTS["p3"], curve), bands=3) == "p3"


def test_hostile_profiles_raise_nothing() -> None:
    chance = random.Random(2)
    good = canned.PROFILES["p3"]
    for _ in range(2000):
        bad = bytearray(good[: chance.randrange(len(good) + 1)])
        for _ in range(8):
            if bad:
                bad[chance.randrange(len(bad))] = chance.randrange(256)
        assert colour.recognise(bytes(bad), bands=3) in ("srgb", "p3", "adobe", "other")


def painted(hash_: bytes) -> tuple[int, int, list[tuple[float, float, float]]]:
    """What `thumbHashToRGBA` of the published algorithm paints for an opaque hash."""
    averages, shape = int.from_bytes(hash_[:3], "little"), int.from_bytes(hash_[3:5], "little")
    l_dc, p_dc, q_dc = (averages & 63) / 63, (averages >> 6 & 63) / 31.5 - 1, (averages >> 12 & 63) / 31.5 - 1
    l_scale, p_scale, q_scale = (averages >> 18 & 31) / 31, (shape >> 3 & 63) / 63, (shape >> 9 & 63) / 63
    assert averages >> 23 == 0  # no transparency
    landscape = shape >> 15
    across, down = max(3, 7 if landscape else shape & 7), max(3, shape & 7 if landscape else 7)
    ratio = (7 if landscape else shape & 7) / (shape & 7 if landscape else 7)
    width, height = round(32 if ratio > 1 else 32 * ratio), round(32 / ratio if ratio > 1 else 32)
    halves = iter([half for byte in hash_[5:] for half in (byte & 15, byte >> 4)])

    def waves(nx: int, ny: int, scale: float) -> dict[tuple[int, int], float]:
        return {
            (cx, cy): (next(halves) / 7.5 - 1) * scale
            for cy in range(ny)
            for cx in range(nx)
            if (cx or cy) and cx * ny < nx * (ny - cy)
        }

    channels = [waves(across, down, l_scale), waves(3, 3, p_scale * 1.25), waves(3, 3, q_scale * 1.25)]
    assert len(list(halves)) <= 1
    colours = []
    for y in range(height):
        for x in range(width):
            light, p, q = (
                dc
                + sum(
                    2 * f * math.cos(math.pi / width * (x + 0.5) * cx) * math.cos(math.pi / height * (y + 0.5) * cy)
                    for (cx, cy), f in channel.items()
                )
                for dc, channel in zip((l_dc, p_dc, q_dc), channels, strict=True)
            )
            blue = light - 2 / 3 * p
            red = (3 * light - blue + q) / 2
            colours.append((red, red - q, blue))
    return width, height, colours


@pytest.mark.parametrize("size", [(48, 48), (48, 27), (27, 48), (48, 5), (5, 48), (100, 75)])
def test_a_placeholder_paints_the_same_slopes(size: tuple[int, int]) -> None:
    width, height = size
    slope = [(40 + 150 * x // width, 200 - 120 * y // height, 90) for y in range(height) for x in range(width)]
    hash_ = thumbhash(bytes(value for colour_ in slope for value in colour_), width, height)
    wide, high, colours = painted(hash_)
    assert (wide > high) == (width > height)
    for across, down in ((0.15, 0.15), (0.5, 0.5), (0.85, 0.15), (0.85, 0.85)):
        meant = slope[int(across * width) + width * int(down * height)]
        shown = colours[int(across * wide) + wide * int(down * high)]
        assert max(abs(a / 255 - b) for a, b in zip(meant, shown, strict=True)) < 0.12
    assert 5 < len(hash_) <= 32


def test_a_placeholder_of_one_colour() -> None:
    _, _, colours = painted(thumbhash(bytes((200, 100, 50)) * 64, 8, 8))
    assert max(abs(a / 255 - b) for a, b in zip((200, 100, 50), colours[0], strict=True)) < 0.03
    with pytest.raises(ValueError, match="at most 100"):
        thumbhash(bytes(3 * 101), 101, 1)


def a_jpeg() -> bytes:
    file = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").resize((40, 30)).save(file, "JPEG")
    # Pillow writes the same JFIF segment as we do, except for the minor version.
    return file.getvalue().replace(file.getvalue()[2:20], canned.JFIF)


def a_png() -> bytes:
    file = io.BytesIO()
    Image.new("RGBA", (40, 30), (1, 2, 3, 4)).save(file, "PNG")
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_the_proof_lets_clean_files_pass() -> None:
    assert prove("image/jpeg", a_jpeg()) == (40, 30)
    assert prove("image/jpeg", a_jpeg()[:2] + canned.orientation(6) + canned.profile_segment("p3") + a_jpeg()[2:]) == (30, 40)
    assert prove("image/png", a_png()) == (40, 30)


J, P = a_jpeg(), a_png()
OTHER_ORIENTATION = bytearray(canned.orientation(6))
OTHER_ORIENTATION[-1] = 1


@pytest.mark.parametrize(
    ("mime", "data"),
    [
        ("image/jpeg", J + b"\0"),
        ("image/jpeg", J + J),
        ("image/jpeg", J[:-2]),
        ("image/jpeg", J[:-1]),
        ("image/jpeg", J[:100]),
        ("image/jpeg", b""),
        ("image/jpeg", P),
        ("image/jpeg", J[:2] + canned.segment(0xFE, b"Anna") + J[2:]),
        ("image/jpeg", J[:2] + canned.segment(0xE1, b"Exif\0\0MM") + J[2:]),
        ("image/jpeg", J[:2] + bytes(OTHER_ORIENTATION) + J[2:]),
        ("image/jpeg", J[:2] + canned.orientation(6) * 2 + J[2:]),
        ("image/jpeg", J[:2] + canned.segment(0xE2, b"ICC_PROFILE\0\1\1" + canned.PROFILES["p3"] + b"Anna") + J[2:]),
        ("image/jpeg", J[:2] + canned.segment(0xEE, b"Adobe\0\x64\0\0\0\0\1Anna") + J[2:]),
        ("image/jpeg", J[:2] + canned.segment(0xDB, bytes(65) + b"Anna") + J[2:]),
        ("image/jpeg", J[:2] + canned.segment(0xC4, bytes(17) + b"Anna") + J[2:]),
        ("image/jpeg", J[:2] + canned.segment(0xDD, b"Anna") + J[2:]),
        ("image/jpeg", J[:2] + b"Anna" + J[2:]),
        ("image/jpeg", J[:-2] + canned.segment(0xFE, b"Anna") + J[-2:]),
        ("image/jpeg", J[:2] + canned.segment(0xDB, bytes(65)) * 5000 + J[2:]),
        ("image/png", P + b"\0"),
        ("image/png", P[:-1]),
        ("image/png", P[:33] + chunk(b"tEXt", b"Author\0Anna") + P[33:]),
        ("image/png", P[:33] + chunk(b"eXIf", b"MM\0*") + P[33:]),
        ("image/png", P[:33] + chunk(b"pHYs", bytes(9)) + P[33:]),
        ("image/png", P[:33] + chunk(b"IHDR", P[16:29]) + P[33:]),
        ("image/png", P[:40] + b"\x55" + P[41:]),
        ("image/webp", P),
    ],
)
def test_the_proof_stops_everything_else(mime: str, data: bytes) -> None:
    with pytest.raises(NotClean):
        prove(mime, data)


def test_a_png_is_walked_to_its_drawing_chunks() -> None:
    bomb = zlib.compress(bytes(20_000_000))
    dirty = (
        P[:33] + chunk(b"tEXt", b"Author\0Anna") + chunk(b"tIME", bytes(7)) + chunk(b"iCCP", b"x\0\0" + bomb) + P[33:] + b"Anna"
    )
    found = png.walk(dirty)
    assert found.drawing() == P
    assert (found.width, found.height, found.transparent, found.profile) == (40, 30, True, None)
    assert found.removed == {"owner", "time", "other"}
    for end in range(8, len(dirty) - 5, 5):
        with pytest.raises(Refusal, match="broken"):
            png.walk(dirty[:end])


@pytest.mark.parametrize("text", [b"[]", b"1", b'"x"', b"{", b"\x80\x04\x95", b"[" * 9000, '{"é":1}'.encode()])
def test_only_a_json_object_is_a_header(text: bytes) -> None:
    with pytest.raises(ValueError):
        frames.unpack(text)
