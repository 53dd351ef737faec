"""What somebody sends who has the right to upload and means harm. No file here may do more than be refused, or become a clean picture."""

import base64
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.corpus import tiff
from tests.corpus.canaries import Canaries
from tests.corpus.photos import (
    Sample,
    avif,
    bmp,
    box,
    chunk,
    encoded,
    exif,
    gif,
    heic,
    jxl,
    photos,
    picture,
    png,
    put_in,
    segment,
    tiff_picture,
    webp,
)

STEP = 1024  # bytes between two places where a file is cut


@dataclass(frozen=True)
class Hostile:
    """One file. `refused`: no picture may come of it. What its canaries say may be in nothing that is delivered."""

    name: str
    data: bytes
    refused: bool = False
    canaries: Canaries = field(default_factory=lambda: Canaries("none"))


def polyglots() -> Iterator[Hostile]:
    """A picture that is also something else."""
    canaries = Canaries("polyglots")
    script = f"<script>alert('{canaries.word()}')</script>".encode()
    php = f"<?php system('{canaries.word()}'); ?>".encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(canaries.word(), canaries.word())
    zipped, jpeg, small_png = packed.getvalue(), encoded("JPEG"), encoded("PNG")
    pdf = f"%PDF-1.7\n1 0 obj<</Title({canaries.word()})>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF".encode()
    at = small_png.index(b"IDAT") - 4
    half = encoded("GIF", picture().quantize(4))
    made = {
        "jpeg-zip": jpeg + zipped,
        "jpeg-zip-inside": put_in(jpeg, segment(0xFE, zipped)),
        "jpeg-php": put_in(jpeg, segment(0xFE, php)),
        "jpeg-html": put_in(jpeg, segment(0xE0, script)) + script,
        "jpeg-pdf": put_in(jpeg, segment(0xFE, pdf)) + pdf,
        "png-html": small_png[:at] + chunk(b"tEXt", b"Comment\0" + script) + small_png[at:] + script,
        "png-zip": small_png + zipped,
        "png-palette-script": encoded("PNG", _palette_of(script)),
        "gif-js": b"GIF89a" + half[6:-1] + b"\x21\xfe" + bytes((len(script),)) + script + b"\0;" + script,
        "gif-zip": half + zipped,
        "bmp-html": encoded("BMP") + script,
        "webp-html": encoded("WEBP", lossless=True) + script,
        "tiff-zip": tiff_picture(Canaries("tiff-zip")) + zipped,
    }
    for name, data in made.items():
        yield Hostile(f"polyglot-{name}", data, canaries=canaries)
    for name, data in {
        "pdf-jpeg": pdf + jpeg,
        "zip-jpeg": zipped + jpeg,
        "html-jpeg": script + jpeg,
        "gif-js-only": b"GIF89a=1;/*" + script + b"*/",
        "bmp-js-only": b"BM=1;/*" + script + b"*/",
        "mp4-html": box(b"ftyp", b"mp42\0\0\0\0mp42isom") + script,
        "mp4-playlist": box(b"ftyp", b"mp42\0\0\0\0mp42isom") + b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        "playlist": b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "concat": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "html": b"<!doctype html>" + script,
        "elf": b"\x7fELF\2\1\1" + bytes(200),
        "zip": zipped,
        "pdf": pdf,
        "postscript": b"%!PS\n(/etc/passwd) (r) file\n",
        "magick": b"push graphic-context\nviewbox 0 0 64 48\nimage over 0,0 0,0 'label:@/etc/passwd'\npop graphic-context\n",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "svg-laughs": b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(b'<!ENTITY %c "%s">' % (98 + n, (b"&%c;" % (97 + n)) * 10) for n in range(9))
        + b"]><svg>&j;</svg>",
        "svg-gz": b"\x1f\x8b\x08\0\0\0\0\0\0\3" + zlib.compress(bytes(1 << 20))[2:-4],
        "xcf": b"gimp xcf v011\0" + bytes(64),
        "psd": b"8BPS\0\1" + bytes(64),
        "ico": b"\0\0\1\0\1\0" + bytes(64),
    }.items():
        yield Hostile(f"polyglot-{name}", data, refused=True)


def _palette_of(text: bytes) -> "object":
    """A picture whose colours are somebody's words; dots show them, so they may come out as dots."""
    image = picture().quantize(4)
    image.putpalette((text * 20)[:12])
    return image.convert("RGB")


def bombs() -> Iterator[Hostile]:
    """Small to send, large to open."""
    zeros = zlib.compress(bytes(64 << 20), 9)
    more = zlib.compress(zeros)
    plain = encoded("PNG")
    after_head = 8 + 25

    def png_of(width: int, height: int, depth: int = 8, colour: int = 0, data: bytes = zeros) -> bytes:
        head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
        return plain[:8] + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")

    def with_chunks(*chunks: bytes) -> bytes:
        return plain[:after_head] + b"".join(chunks) + plain[after_head:]

    progressive = encoded("JPEG", picture().convert("L"), progressive=True)
    scan = progressive.rindex(b"\xff\xda")
    loop = b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\1\0\0\0\x08\0\0\0"
    deep = b""
    for _ in range(3000):
        deep = box(b"moov", deep)
    wide = b"".join(box(b"free", b"") for _ in range(50_000))
    heif = heic(Canaries("bomb"))

    yield Hostile("bomb-png-dots", png_of(60_000, 60_000), refused=True)
    yield Hostile("bomb-png-one-bit", png_of(100_000, 100_000, 1), refused=True)
    yield Hostile("bomb-png-few-dots", png_of(50, 50, data=zeros))
    yield Hostile("bomb-png-twice-deflated", png_of(10_000, 10_000, data=more), refused=True)
    yield Hostile("bomb-png-profile", with_chunks(chunk(b"iCCP", b"x\0\0" + zeros)))
    yield Hostile("bomb-png-text", with_chunks(*[chunk(b"zTXt", b"Comment\0\0" + zeros)] * 20))
    yield Hostile("bomb-png-international", with_chunks(*[chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zeros)] * 20))
    yield Hostile("bomb-png-chunks", with_chunks(chunk(b"tEXt", b"a\0b") * 200_000))
    yield Hostile("bomb-png-empty-data", with_chunks(chunk(b"IDAT", b"") * 90_000))
    yield Hostile("bomb-png-frames", with_chunks(chunk(b"acTL", struct.pack(">II", 0x7FFFFFFF, 0))))
    yield Hostile("bomb-jpeg-scans", progressive[:-2] + progressive[scan:-2] * 3000 + b"\xff\xd9", refused=True)
    yield Hostile("bomb-jpeg-segments", put_in(encoded("JPEG"), segment(0xFE, b"") * 60_000))
    yield Hostile("bomb-jpeg-fill", put_in(encoded("JPEG"), b"\xff" * 2_000_000))
    yield Hostile("bomb-jpeg-zeros-between", put_in(encoded("JPEG"), b"\xff\0" * 1_000_000))
    yield Hostile("bomb-jpeg-tables", put_in(encoded("JPEG"), segment(0xDB, b"\0" + b"\1" * 64) * 9_000))
    yield Hostile("bomb-jpeg-exif-loop", put_in(encoded("JPEG"), segment(0xE1, b"Exif\0\0" + loop)))
    yield Hostile("bomb-tiff-loop", loop, refused=True)
    yield Hostile("bomb-tiff-pages", _many_pages(20_000))
    yield Hostile("bomb-tiff-strip", _tiff_of(20_000, 20_000, zeros), refused=True)
    yield Hostile("bomb-tiff-few-dots", _tiff_of(64, 64, zeros))
    yield Hostile("bomb-tiff-inner-loop", _inner_loop(), refused=True)
    yield Hostile("bomb-tiff-count", struct.pack("<2sHIHHHII", b"II", 42, 8, 1, 273, 4, 0x7FFFFFFF, 8) + bytes(64), refused=True)
    yield Hostile("bomb-gif-frames", _gif_frames(50_000))
    yield Hostile("bomb-gif-screen", b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\xff\0\2\2\x44\1\0;")
    yield Hostile("bomb-gif-codes", _gif_frames(1, blocks=b"\xff" * 255, times=4000))
    yield Hostile("bomb-gif-no-end", _gif_frames(3)[:-1] + b"\x21\xfe" + (b"\xff" + b"x" * 255) * 4000)
    yield Hostile("bomb-bmp-rle", _bmp(30_000, 30_000, compression=1, data=b"\xff\0" * 1000), refused=True)
    yield Hostile("bomb-boxes-deep", box(b"ftyp", b"mp42\0\0\0\0mp42") + deep, refused=True)
    yield Hostile("bomb-boxes-wide", box(b"ftyp", b"mp42\0\0\0\0mp42") + wide, refused=True)
    yield Hostile("bomb-heic-boxes-deep", heif[:28] + deep.replace(b"moov", b"meta") + heif[28:])
    yield Hostile("bomb-heic-boxes-wide", heif + wide)
    yield Hostile("bomb-jxl-boxes", b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a" + box(b"ftyp", b"jxl \0\0\0\0jxl ") + wide, refused=True)
    yield Hostile("bomb-jxl-dots", b"\xff\x0a" + b"\xff" * 40, refused=True)
    yield Hostile("bomb-webp-chunks", _riff(encoded("WEBP", lossless=True), b"JUNK\0\0\0\0" * 200_000))
    yield Hostile(
        "bomb-matroska-deep",
        b"\x1a\x45\xdf\xa3\x84\x42\x86\x81\1" + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" * 3000,
        refused=True,
    )
    yield Hostile("bomb-base64", base64.b64encode(zeros), refused=True)


def _many_pages(pages: int) -> bytes:
    """Directories one after the other, each with a single entry."""
    first = tiff_picture(Canaries("pages"), pages=1)
    out = bytearray(first + bytes(len(first) % 2))
    (at,) = struct.unpack_from("<I", out, 4)
    (count,) = struct.unpack_from("<H", out, at)
    link = at + 2 + 12 * count
    for _ in range(pages):
        struct.pack_into("<I", out, link, len(out))
        link = len(out) + 14
        out += struct.pack("<HHHIII", 1, 0x0112, 3, 1, 1, 0)
    return bytes(out)


def _tiff_of(width: int, height: int, strip: bytes) -> bytes:
    order = "<"
    return tiff.write(order, [{
        0x0100: tiff.longs(order, width), 0x0101: tiff.longs(order, height), 0x0102: tiff.shorts(order, 8), 0x0103: tiff.shorts(order, 8),
        0x0106: tiff.shorts(order, 1), 0x0111: tiff.Placed(strip), 0x0115: tiff.shorts(order, 1), 0x0116: tiff.longs(order, height),
        0x0117: tiff.longs(order, len(strip)),
    }])  # fmt: skip


def _inner_loop() -> bytes:
    """Sub-directories that are their own sub-directories, as a RAW file's previews might be."""
    entries = struct.pack("<HHHIIHHIII", 2, 0x014A, 4, 1, 8, 0x8769, 4, 1, 8, 8)
    return b"II*\0\x08\0\0\0" + entries + bytes(16)


def _gif_frames(frames: int, *, blocks: bytes = b"\x44\1", times: int = 1) -> bytes:
    frame = b"\x21\xf9\4\0\1\0\0\0,\0\0\0\0\1\0\1\0\0\2" + (bytes((len(blocks),)) + blocks) * times + b"\0"
    return b"GIF89a\1\0\1\0\x80\0\0\xff\0\0\0\0\xff" + frame * frames + b";"


def _bmp(width: int, height: int, *, compression: int = 0, data: bytes = bytes(64)) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8 if compression else 24, compression, 0, 0, 0, 0, 0)
    return struct.pack("<2sIHHI", b"BM", 54 + len(data), 0, 0, 54) + head + data


def _riff(webp_file: bytes, more: bytes) -> bytes:
    return webp_file[:4] + struct.pack("<I", len(webp_file) - 8 + len(more)) + webp_file[8:] + more


SIZES = (0, 1, 65_535, 0x7FFFFFFF, 0xFFFFFFFF)


def sizes() -> Iterator[Hostile]:
    """Headers that lie about how large the picture is."""
    jpeg, plain_png, plain_gif, plain_webp = encoded("JPEG"), encoded("PNG"), encoded("GIF"), encoded("WEBP")
    frame = jpeg.index(b"\xff\xc0") + 5
    still = tiff_picture(Canaries("sizes"), pages=1)
    for width in SIZES:
        for height in {width, 64, 1}:
            what = f"{width:x}-by-{height:x}"
            big = width * height > 200_000_000
            none = not width or not height
            if width < 65_536:
                short = struct.pack(">HH", height, width)
                yield Hostile(f"size-jpeg-{what}", jpeg[:frame] + short + jpeg[frame + 4 :], refused=none or big)
                short = struct.pack("<HH", width, height)
                yield Hostile(f"size-gif-{what}", plain_gif[:6] + short + plain_gif[10:])
                at = plain_gif.index(b",", 13 + 3 * (2 << (plain_gif[10] & 7))) + 5
                yield Hostile(f"size-gif-frame-{what}", plain_gif[:at] + short + plain_gif[at + 4 :])
                at = plain_webp.index(b"\x9d\x01\x2a") + 3
                yield Hostile(f"size-webp-{what}", plain_webp[:at] + short + plain_webp[at + 4 :])
            head = struct.pack(">II", width, height) + plain_png[24:29]
            yield Hostile(f"size-png-{what}", plain_png[:8] + chunk(b"IHDR", head) + plain_png[33:], refused=none or big)
            signed = struct.unpack("<ii", struct.pack("<II", width, height))
            yield Hostile(f"size-bmp-{what}", _bmp(*signed), refused=none)
            entry = struct.pack("<HHII", 0x0100, 4, 1, 96), struct.pack("<HHII", 0x0100, 4, 1, width)
            tall = struct.pack("<HHII", 0x0101, 4, 1, 64), struct.pack("<HHII", 0x0101, 4, 1, height)
            yield Hostile(f"size-tiff-{what}", still.replace(*entry).replace(*tall), refused=none or big)
            for kind, make in (("heic", heic), ("avif", avif)):
                whole = make(Canaries("sizes"))
                at = whole.index(b"ispe") + 8
                yield Hostile(f"size-{kind}-{what}", whole[:at] + struct.pack(">II", width, height) + whole[at + 8 :])


def cut(samples: tuple[Sample, ...], step: int = STEP) -> Iterator[Hostile]:
    """Every sample, cut at every `step` bytes and just before its end."""
    for sample in samples:
        for end in [*range(step, len(sample.data), step), len(sample.data) - 1]:
            yield Hostile(f"cut-{sample.name}-{end}", sample.data[:end], canaries=sample.canaries)


def beginnings() -> Iterator[Hostile]:
    """Nearly nothing: only what a file is told by, then noise or zeros."""
    noise = random.Random(4).randbytes(2000)
    heads = {
        "jpeg": b"\xff\xd8\xff\xe0", "png": b"\x89PNG\r\n\x1a\n", "gif": b"GIF89a", "webp": b"RIFF\xff\1\0\0WEBPVP8X", "bmp": b"BM",
        "tiff": b"II*\0\x08\0\0\0", "tiff-big-endian": b"MM\0*\0\0\0\x08", "bigtiff": b"II+\0\x08\0\0\0", "jxl": b"\xff\x0a",
        "jxl-boxes": b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a", "heic": box(b"ftyp", b"heic\0\0\0\0mif1heic"), "cr2": b"II*\0\x10\0\0\0CR\2\0",
        "avif": box(b"ftyp", b"avif\0\0\0\0mif1avif"),
        "mp4": box(b"ftyp", b"mp42\0\0\0\0mp42isom"), "mov": box(b"ftyp", b"qt  \0\0\0\0qt  "),
        "matroska": b"\x1a\x45\xdf\xa3", "raf": b"FUJIFILMCCD-RAW 0201", "orf": b"IIRO\x08\0\0\0", "rw2": b"IIU\0\x18\0\0\0",
    }  # fmt: skip
    yield Hostile("nothing", b"", refused=True)
    yield Hostile("one-byte", b"\xff", refused=True)
    yield Hostile("zeros", bytes(100_000), refused=True)
    for name, head in heads.items():
        yield Hostile(f"only-{name}", head, refused=True)
        yield Hostile(f"noise-{name}", head + noise, refused=True)
        yield Hostile(f"zeros-{name}", head + bytes(2000), refused=True)


def odd() -> Iterator[Hostile]:
    """Whole files with something that readers stumble over."""
    jpeg = encoded("JPEG")
    twice = exif(Canaries("odd"))
    yield Hostile("odd-jpeg-two-exifs", put_in(jpeg, *[segment(0xE1, b"Exif\0\0" + twice)] * 200))
    yield Hostile("odd-jpeg-orientation-99", put_in(jpeg, segment(0xE1, b"Exif\0\0" + exif(Canaries("odd"), orientation=99))))
    yield Hostile("odd-jpeg-date", put_in(jpeg, segment(0xE1, b"Exif\0\0" + exif(Canaries("odd"), date="9999:99:99 99:99:99"))))
    yield Hostile("odd-jpeg-twelve-bits", jpeg.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"), refused=True)
    yield Hostile("odd-jpeg-arithmetic", jpeg.replace(b"\xff\xc0", b"\xff\xc9"), refused=True)
    yield Hostile("odd-jpeg-lossless", jpeg.replace(b"\xff\xc0", b"\xff\xc3"), refused=True)
    yield Hostile("odd-jpeg-no-scan", jpeg[: jpeg.index(b"\xff\xda")] + b"\xff\xd9", refused=True)
    yield Hostile("odd-jpeg-two-pictures", jpeg + jpeg)
    yield Hostile("odd-jpeg-profile-noise", put_in(jpeg, segment(0xE2, b"ICC_PROFILE\0\1\1" + random.Random(1).randbytes(3000))))
    yield Hostile("odd-jpeg-profile-hole", put_in(jpeg, segment(0xE2, b"ICC_PROFILE\0\2\3" + bytes(100))))
    yield Hostile("odd-png-no-palette", encoded("PNG", picture().quantize(4)).replace(b"PLTE", b"plTE"))
    yield Hostile("odd-gif-no-frame", b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + b";", refused=True)
    yield Hostile("odd-gif-no-colours", b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2\x44\1\0;")
    for name, make in (("png", png), ("webp", webp), ("gif", gif), ("bmp", bmp), ("jxl", jxl)):
        whole = bytearray(make(Canaries("odd")))
        rng = random.Random(name)
        for _ in range(200):
            whole[rng.randrange(40, len(whole))] ^= 1 << rng.randrange(8)
        yield Hostile(f"odd-{name}-flipped", bytes(whole), canaries=Canaries("none"))


def hostile() -> tuple[Hostile, ...]:
    """All but the cuts."""
    return (*polyglots(), *bombs(), *sizes(), *beginnings(), *odd())


def cuts() -> tuple[Hostile, ...]:
    return tuple(cut(photos()))


NAMES = (
    "IMG_0001.jpg", "no-ending", "wrong.mp4", "wrong.svg", ".htaccess", "..", "../../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd",
    "C:\\Users\\anna\\secret.jpg", "con.jpg", "a" * 10_000 + ".jpg", "é" * 300 + ".jpg", "\u202egpj.exe", "<script>alert(1)</script>.jpg",
    "<img src=x onerror=alert(1)>.jpg", "quote' or 1=1 --.jpg", "{{7*7}}.jpg", "${7*7}.jpg", "%00.jpg", "%2e%2e%2f.jpg", "null\0byte.jpg",
    "new\nline.jpg", "tab\tand\vmore.jpg", "\ud7ff\ufffe.jpg", "🏖️ beach 👨‍👩‍👧.jpg", "   ", "semi;colon=name.jpg", "`id`.jpg", "$(id).jpg",
    "|id.jpg", "-rf.jpg", "\x1b[31mred.jpg", "a.jpg.php", "e\u0301" * 100 + ".jpg",
)  # fmt: skip
"""File names as a browser may send them. Quotes, line breaks and NUL are sent as they are: nobody asks browsers only."""
