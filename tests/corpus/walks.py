"""A reader of delivered files that shares no line with the app: what is in a container, and whether drawing or playing needs it.

JPEG by ITU-T T.81 annex B, PNG by its third edition, MP4 by ISO/IEC 14496-12, -14 and -15. Each walk returns what is wrong, in words.
"""

import struct
import zlib
from collections.abc import Iterator

OUR_JFIF = b"JFIF\0\1\1\0\0\1\0\1\0\0"
ONLY_ORIENTATION = b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1"
PROFILE_NAMES = (b"Display P3\0", b"Adobe RGB\0")
ENCODERS = (b"Lavc", b"Lavf", b"x264", b"x265", b"libvpx", b"libopus", b"HandBrake", b"SVT-AV1", b"Apple", b"GPAC", b"mp4v2")


def faults(mime: str, data: bytes) -> list[str]:
    """What is in a delivered file that should not be."""
    walk = {"image/jpeg": jpeg, "image/png": png, "video/mp4": mp4}.get(mime)
    if walk is None:
        return [f"delivered as {mime}"]
    try:
        return list(walk(data))
    except (struct.error, IndexError, ValueError) as error:
        return [f"not whole: {error}"]


def jpeg(data: bytes) -> Iterator[str]:
    """Start, canned words at most, tables that a scan makes use of, one frame, scans, end."""
    if data[:2] != b"\xff\xd8":
        yield "no start of image"
        return
    at, frames, interval, components = 2, 0, 0, 0
    waiting: dict[tuple[int, int], str] = {}  # tables that nothing has used yet
    quantizers: set[int] = set()
    while True:
        if data[at] != 0xFF:
            yield f"a byte between segments at {at}"
            return
        marker = data[at + 1]
        if marker == 0xD9:
            break
        (length,) = struct.unpack_from(">H", data, at + 2)
        payload = data[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == 0xDB:
            for number, size in _quantizers(payload):
                if (0, number) in waiting:
                    yield f"quantization table {number} is replaced before it was used"
                waiting[0, number] = f"quantization table {number} ({size} bytes)"
        elif marker == 0xC4:
            for number in _huffman(payload):
                if (1, number) in waiting:
                    yield f"Huffman table {number:02x} is replaced before it was used"
                waiting[1, number] = f"Huffman table {number:02x}"
        elif marker in (0xC0, 0xC1, 0xC2):
            frames += 1
            components = payload[5]
            if len(payload) != 6 + 3 * components or [payload[6 + 3 * n] for n in range(components)] not in _NUMBERS:
                yield f"a frame that says more than it must: {payload.hex()}"
            quantizers = {payload[8 + 3 * n] for n in range(components)}
        elif marker == 0xDD:
            (interval,) = struct.unpack(">H", payload)
        elif marker == 0xDA:
            for n in range(payload[0]):
                selector = payload[2 + 2 * n]
                waiting.pop((1, selector >> 4), None)
                waiting.pop((1, 16 | selector & 15), None)
            for number in quantizers:
                waiting.pop((0, number), None)
            at, restarts = _scan(data, at)
            if restarts and not interval:
                yield f"{restarts} restarts although there are none"
        elif not _says_nothing(marker, payload):
            yield f"segment {marker:02x}: {payload[:40]!r}"
    if frames != 1:
        yield f"{frames} frames"
    if waiting:
        yield "tables that nothing uses: " + ", ".join(waiting.values())
    if at + 2 != len(data):
        yield f"{len(data) - at - 2} bytes after the end"


_NUMBERS = ([1], [0], [1, 2, 3], [0, 1, 2], [1, 2, 3, 4], [0, 1, 2, 3], list(b"RGB"), list(b"CMYK"))


def _quantizers(payload: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at < len(payload):
        size = 128 if payload[at] >> 4 else 64
        yield payload[at] & 15, size
        at += 1 + size
    if at != len(payload):
        raise ValueError("a quantization table of another length")


def _huffman(payload: bytes) -> Iterator[int]:
    at = 0
    while at < len(payload):
        yield payload[at]
        at += 17 + sum(payload[at + 1 : at + 17])
    if at != len(payload):
        raise ValueError("a Huffman table of another length")


def _scan(data: bytes, at: int) -> tuple[int, int]:
    """Where the coded data end, and how many restarts are in them."""
    restarts = 0
    while True:
        at = data.index(b"\xff", at)
        code = data[at + 1]
        if 0xD0 <= code <= 0xD7:
            restarts += 1
        elif code not in (0, 0xFF):
            return at, restarts
        at += 1 if code == 0xFF else 2


def _says_nothing(marker: int, payload: bytes) -> bool:
    """A segment that is the same for everybody: JFIF, which way up, one of two profiles, how colours are coded."""
    if marker == 0xE0:
        return payload == OUR_JFIF
    if marker == 0xE1:
        return len(payload) == 32 and payload.startswith(ONLY_ORIENTATION) and payload[28:] == bytes(4)
    if marker == 0xE2:
        ours = payload.startswith(b"ICC_PROFILE\0\1\1") and any(name in payload for name in PROFILE_NAMES)
        return ours and len(payload) < 2000 and payload.count(b"text\0\0\0\0CC0\0") == payload.count(b"text\0\0\0\0") == 1
    return marker == 0xEE and len(payload) == 12 and payload.startswith(b"Adobe\0\x64\0\0\0\0")


def png(data: bytes) -> Iterator[str]:
    """Five kinds of chunk with right sums, and as many bytes of dots as the picture has."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        yield "no signature"
        return
    at, packed, rows = 8, b"", 0
    while True:
        size, kind = struct.unpack_from(">I4s", data, at)
        payload = data[at + 8 : at + 8 + size]
        (said,) = struct.unpack_from(">I", data, at + 8 + size)
        at += 12 + size
        if zlib.crc32(kind + payload) != said:
            yield f"{kind!r} with a wrong sum"
        if kind == b"IHDR":
            width, height, depth, colour, packing, filtering, interlace = struct.unpack(">IIBBBBB", payload)
            if packing or filtering or interlace:
                yield "an interlaced picture"
            rows = height * (1 + -(-width * depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] // 8))
        elif kind == b"IDAT":
            packed += payload
        elif kind == b"IEND":
            break
        elif kind not in (b"PLTE", b"tRNS"):
            yield f"chunk {kind!r}: {payload[:40]!r}"
    opener = zlib.decompressobj()
    dots = opener.decompress(packed) + opener.flush()
    if len(dots) != rows or opener.unused_data or not opener.eof:
        yield f"{len(dots)} bytes of dots instead of {rows}, {len(opener.unused_data)} behind them"
    if at != len(data):
        yield f"{len(data) - at} bytes after the end"


# MP4. A box is one of these, in one of these; its fixed fields are looked at below.
CONTAINERS = {b"moov", b"trak", b"edts", b"mdia", b"minf", b"dinf", b"stbl", b"mvex", b"moof", b"traf"}
TABLES = {
    b"elst", b"stts", b"ctts", b"stss", b"stsc", b"stsz", b"stz2", b"stco", b"co64", b"sgpd", b"sbgp", b"cslg", b"sdtp",
    b"trex", b"mehd", b"mfhd", b"tfhd", b"tfdt", b"trun",
}  # fmt: skip
HANDLERS = {b"vide": {b"", b"VideoHandler", b"Video"}, b"soun": {b"", b"SoundHandler", b"Sound"}}
DAYLIGHT = bytes.fromhex("002fe9a03d134042")  # the surroundings that every iPhone names: 314 lux, D65 (ITU-T H.274, 8.18)
CODECS = {b"avc1", b"hvc1", b"hev1", b"av01", b"vp09", b"mp4a", b"Opus"}
CODEC_BOXES = {
    b"avcC", b"hvcC", b"av1C", b"vpcC", b"esds", b"dOps", b"pasp", b"colr", b"btrt", b"fiel", b"clap", b"chrm", b"mdcv", b"clli",
}  # fmt: skip


def mp4(data: bytes) -> Iterator[str]:
    """The allowed boxes with nothing said in their free fields; sample tables that cover the media to the last byte; no user data in the
    coded pictures or sound."""
    boxes = list(_boxes(data, 0, len(data)))
    if [kind for kind, _, _ in boxes][:2] != [b"ftyp", b"moov"]:
        yield f"starts with {[kind for kind, _, _ in boxes][:3]}: nobody can begin to play before all is there"
    covered: list[tuple[int, int]] = []
    for kind, start, end in boxes:
        if kind == b"moov":
            yield from _moov(data, start, end, covered)
        elif kind in (b"free", b"skip"):
            if data[start:end].strip(b"\0"):
                yield f"free space with something in it: {data[start : start + 40]!r}"
        elif kind not in (b"ftyp", b"mdat"):
            yield f"box {kind!r}: {data[start : start + 40]!r}"
    at = 0
    media = [(start, end) for kind, start, end in boxes if kind == b"mdat"]
    for first, last in sorted(covered):
        if first > at and any(start < first and at < end for start, end in media):
            gap_start = max([at, *(start for start, end in media if start <= first <= end)])
            if first > gap_start:
                yield f"{first - gap_start} bytes of media that nobody plays at {gap_start}: {data[gap_start : gap_start + 40]!r}"
        at = max(at, last)
    if media and covered and at < media[-1][1]:
        yield f"{media[-1][1] - at} bytes of media that nobody plays at {at}: {data[at : at + 40]!r}"
    for word in ENCODERS:
        if word in data:
            place = data.index(word)
            yield f"an encoder's name: {data[place : place + 30]!r}"


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while at < end:
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        elif size == 0:
            size = end - at
        if size < head or at + size > end:
            raise ValueError(f"a box {kind!r} that does not fit")
        yield kind, at + head, at + size
        at += size


def _moov(data: bytes, start: int, end: int, covered: list[tuple[int, int]]) -> Iterator[str]:
    track: dict[bytes, tuple[int, int]] = {}
    yield from _inside(data, b"moov", start, end, track, covered)


def _inside(
    data: bytes, parent: bytes, start: int, end: int, track: dict[bytes, tuple[int, int]], covered: list[tuple[int, int]]
) -> Iterator[str]:
    for kind, first, last in _boxes(data, start, end):
        payload = data[first:last]
        if kind == b"trak":
            own: dict[bytes, tuple[int, int]] = {}
            yield from _inside(data, kind, first, last, own, covered)
            yield from _samples(data, own, covered)
        elif kind in CONTAINERS:
            yield from _inside(data, kind, first, last, track, covered)
        elif kind in (b"mvhd", b"tkhd", b"mdhd"):
            wide = 8 if payload[0] else 4
            if payload[4 : 4 + 2 * wide].strip(b"\0"):
                yield f"{kind!r} has a date: {payload[4 : 4 + 2 * wide].hex()}"
            if kind == b"mdhd" and payload[-4:-2] not in (b"\x55\xc4", b"\0\0"):
                yield f"a language: {payload[-4:-2].hex()}"
        elif kind == b"hdlr":
            name = payload[24:].strip(b"\0").lstrip(b"\x0c\x0d\x0e\x0f")
            track[b"hdlr"] = (first, last)
            if payload[8:12] not in HANDLERS or name not in HANDLERS[payload[8:12]] or payload[12:24].strip(b"\0"):
                yield f"a track of {payload[8:12]!r} named {name!r}"
        elif kind in (b"vmhd", b"smhd"):
            if payload[4:].strip(b"\0"):
                yield f"{kind!r} says something: {payload.hex()}"
        elif kind == b"dref":
            if payload[4:] != b"\0\0\0\1\0\0\0\x0curl \0\0\0\1":
                yield f"a reference to elsewhere: {payload!r}"
        elif kind == b"stsd":
            track[kind] = (first, last)
            yield from _described(data, first, last)
        elif kind in TABLES:
            track[kind] = (first, last)
        elif kind in (b"free", b"skip") and not payload.strip(b"\0"):
            pass
        else:
            yield f"box {kind!r} in {parent!r}: {payload[:40]!r}"


def _described(data: bytes, start: int, end: int) -> Iterator[str]:
    for codec, first, last in _boxes(data, start + 8, end):
        if codec not in CODECS:
            yield f"a codec {codec!r}"
            continue
        sound = codec in (b"mp4a", b"Opus")
        if not sound and data[first + 42 : first + 74].strip(b"\0"):
            yield f"a compressor's name: {data[first + 42 : first + 74]!r}"
        if data[first + 8 : first + (16 if sound else 24)].strip(b"\0"):
            yield f"a vendor: {data[first + 8 : first + 24]!r}"
        for kind, inner, inner_end in _boxes(data, first + (28 if sound else 78), last):
            content = data[inner:inner_end]
            by_number = kind != b"colr" or content[:4] in (b"nclx", b"nclc")
            if not (kind in CODEC_BOXES and by_number) and (kind, content) != (b"amve", DAYLIGHT):
                yield f"box {kind!r} in {codec!r}: {content[:40]!r}"


def _samples(data: bytes, track: dict[bytes, tuple[int, int]], covered: list[tuple[int, int]]) -> Iterator[str]:
    """Follow the sample tables: which bytes are played, and no user data in them."""
    if not {b"stsz", b"stsc", b"stsd"} <= set(track):
        yield "a track without samples"
        return
    sizes = _table(data, track[b"stsz"], ">I", skip=12)
    (same, count) = struct.unpack_from(">II", data, track[b"stsz"][0] + 4)
    sizes = sizes or [same] * count
    wide = b"co64" in track
    chunks = _table(data, track[b"co64" if wide else b"stco"], ">Q" if wide else ">I", skip=8)
    runs = _table(data, track[b"stsc"], ">I", skip=8)
    codec = data[track[b"stsd"][0] + 12 : track[b"stsd"][0] + 16]
    sample, run = 0, 0
    for number, at in enumerate(chunks, 1):
        while run + 3 < len(runs) and runs[run + 3] <= number:
            run += 3
        for size in sizes[sample : sample + runs[run + 1]]:
            covered.append((at, at + size))
            if codec in (b"avc1", b"hvc1", b"hev1"):
                yield from _units(data[at : at + size], hevc=codec != b"avc1")
            at += size
            sample += 1


def _table(data: bytes, place: tuple[int, int], form: str, *, skip: int) -> list[int]:
    return [value for (value,) in struct.iter_unpack(form, data[place[0] + skip : place[1]])]


def _units(sample: bytes, *, hevc: bool) -> Iterator[str]:
    """Network units with lengths of four bytes: no SEI that carries somebody's data (ITU-T H.264 D.1.6 and D.1.7)."""
    at = 0
    while at + 4 < len(sample):
        (size,) = struct.unpack_from(">I", sample, at)
        unit = sample[at + 4 : at + 4 + size]
        if len(unit) < size:
            raise ValueError("a coded picture that is cut short")
        sei = unit[0] >> 1 & 0x3F in (39, 40) if hevc else unit[0] & 0x1F == 6
        if sei and unit[2 if hevc else 1] in (4, 5):
            yield f"user data in the coded pictures: {unit[:60]!r}"
        at += 4 + size
