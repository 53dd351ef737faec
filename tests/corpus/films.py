"""Films of every kind that a family has, with a canary in every slot that we know.

ffmpeg makes a second of the four quarters with a tone, and says what it can say; what it can't is put in by hand: boxes inside `moov` when
that stands last and nothing moves, and at the end of the file.
"""

import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import imageio_ffmpeg

from tests.corpus.canaries import Canaries
from tests.corpus.photos import Sample, box, c2pa, encoded, jpeg_with_comment, loose_boxes, picture, xmp

SIZE = (96, 64)
SEI = "086f3693-b7b3-4f2c-9653-21492feee5b8"  # any UUID: what follows is anybody's
FFMPEG_TAGS = (
    "title", "comment", "artist", "album_artist", "composer", "description", "synopsis", "copyright", "location", "make", "model",
    "encoded_by", "keywords", "grouping", "lyrics", "show", "network", "date", "com.apple.quicktime.make", "com.apple.quicktime.model",
    "com.apple.quicktime.software", "com.apple.quicktime.location.ISO6709", "com.android.version", "com.android.capture.fps",
)  # fmt: skip


def film(
    canaries: Canaries,
    container: str,
    *video: str,
    audio: Sequence[str] = ("-c:a", "aac", "-ac", "1", "-ar", "44100", "-b:a", "32k"),
    subtitles: str = "",
    before: Sequence[str] = (),
    after: Sequence[str] = (),
    size: tuple[int, int] = SIZE,
) -> bytes:
    """One second of 10 pictures, in ffmpeg's format `container`, with everything that ffmpeg can say about it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "picture.png").write_bytes(encoded("PNG", picture(size)))
        chapters = "".join(
            f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={n * 500}\nEND={n * 500 + 500}\ntitle={canaries.word()}\n" for n in range(2)
        )
        north, east = canaries.place()
        said = {tag: canaries.word() for tag in FFMPEG_TAGS}
        said |= {
            "location": f"{north:+.6f}{east:+.6f}/",
            "com.apple.quicktime.location.ISO6709": f"{north:+.6f}{east:+.6f}+012.345/",
        }
        said["creation_time"] = canaries.date().replace(":", "-", 2).replace(" ", "T") + "Z"
        (folder / "said.txt").write_text(";FFMETADATA1\n" + chapters)
        (folder / "words.srt").write_text(f"1\n00:00:00,000 --> 00:00:00,900\n{canaries.word()}\n")
        inputs = ["-loop", "1", "-framerate", "10", "-t", "1", "-i", "picture.png"]
        maps = ["-map", "0:v"]
        if audio:
            inputs += ["-f", "lavfi", "-t", "1", "-i", "sine=frequency=440"]
            maps += ["-map", "1:a"]
        inputs += ["-i", "said.txt"]
        last = 2 if audio else 1
        if subtitles:
            inputs += ["-i", "words.srt"]
            maps += ["-map", f"{last + 1}:s", "-c:s", subtitles]
        tags = [part for tag, value in said.items() for part in ("-metadata", f"{tag}={value}")]
        for stream in ("v:0", *(["a:0"] if audio else []), *(["s:0"] if subtitles else [])):
            for tag in ("title", "handler_name", "comment", "encoder"):
                tags += [f"-metadata:s:{stream}", f"{tag}={canaries.word()}"]
        command = [
            imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-threads", "1", *before, *inputs, *maps, "-map_metadata", str(last),
            "-map_chapters", str(last), *video, "-pix_fmt", "yuv420p", "-color_range", "tv", *audio, *tags, *after, "-f", container, "out",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return (folder / "out").read_bytes()


def iso(canaries: Canaries, container: str, *video: str, **options: object) -> bytes:
    """A film of the MP4 kind with boxes of our own as well."""
    after = ("-movflags", "+use_metadata_tags") if container != "3gp" else ()
    made = film(canaries, container, *video, after=after, **options)  # type: ignore[arg-type]
    return with_boxes(canaries, made)


def with_boxes(canaries: Canaries, data: bytes) -> bytes:
    """More in `moov` and in its tracks, which stands last, and then everything that may lie behind."""
    at = data.rindex(b"moov") - 4
    (size,) = struct.unpack_from(">I", data, at)
    if at + size != len(data):
        return data + loose_boxes(canaries) + canaries.blob()
    moov = data[at + 8 :]
    parts = [(moov[start + 4 : start + 8], moov[start + 8 : end]) for start, end in _spans(moov)]
    said = []
    for kind, payload in parts:
        said.append(box(kind, payload + (user_data(canaries) if kind == b"trak" else b"")))
    more = user_data(canaries) + box(b"free", canaries.word().encode()) + box(b"uuid", canaries.blob(16) + xmp(canaries))
    more += apple_keys(canaries)
    return data[:at] + box(b"moov", b"".join(said) + more) + loose_boxes(canaries) + canaries.blob()


def _spans(data: bytes) -> list[tuple[int, int]]:
    spans, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        spans.append((at, at + size))
        at += size
    return spans


def user_data(canaries: Canaries) -> bytes:
    """`udta` as phones and cameras write it: QuickTime's texts, 3GPP's, a place in binary, makers' notes, a thumbnail."""
    word = canaries.word
    texts = b"".join(
        box(kind, struct.pack(">HH", len(value), 0x15C7) + value)
        for kind in (b"\xa9xyz", b"\xa9mak", b"\xa9mod", b"\xa9swr", b"\xa9day", b"\xa9nam", b"\xa9cmt", b"\xa9inf", b"\xa9aut")
        for value in (word().encode(),)
    )
    third = b"".join(
        box(kind, b"\0\0\0\0\x15\xc7" + word().encode() + b"\0") for kind in (b"titl", b"auth", b"dscp", b"cprt", b"gnre")
    )
    place = struct.pack(">iii", *(int(value * 65536) for value in (*canaries.place(), 12.0)))
    canaries.raw.append(place)
    loci = box(
        b"loci", b"\0\0\0\0\x15\xc7" + word().encode() + b"\0\0" + place + word().encode() + b"\0" + word().encode() + b"\0"
    )
    makers = box(b"SDLN", word().encode()) + box(b"smrd", word().encode()) + box(b"thmb", jpeg_with_comment(canaries))
    makers += box(b"CAME", canaries.blob()) + box(b"GPMF", canaries.blob(40)) + box(b"XMP_", xmp(canaries))
    return box(b"udta", texts + third + loci + makers + c2pa(canaries))


def apple_keys(canaries: Canaries) -> bytes:
    """`meta` of a handler `mdta`: the names of the keys, and their values."""
    north, east = canaries.place()
    values = {
        "com.apple.quicktime.location.ISO6709": f"{north:+.6f}{east:+.6f}/", "com.apple.quicktime.content.identifier": canaries.word(36),
        "com.apple.quicktime.author": canaries.word(), f"org.{canaries.word()}.key": canaries.word(),
    }  # fmt: skip
    keys = b"".join(struct.pack(">I", len(key) + 8) + b"mdta" + key.encode() for key in values)
    items = b"".join(
        struct.pack(">II", 24 + len(value), n) + box(b"data", struct.pack(">II", 1, 0) + value.encode())
        for n, value in enumerate(values.values(), 1)
    )
    handler = box(b"hdlr", bytes(8) + b"mdta" + bytes(14))
    return box(b"meta", handler + box(b"keys", struct.pack(">II", 0, len(values)) + keys) + box(b"ilst", items))


def sei(canaries: Canaries, codec: str) -> list[str]:
    """What is said inside the coded pictures."""
    if codec == "hevc":  # its encoder says what it is and with which options, in every file
        return []
    return ["-bsf:v", f"h264_metadata=sei_user_data={SEI}+{canaries.word()}"]


def matroska(canaries: Canaries, container: str, *video: str, **options: object) -> bytes:
    """Tags, chapters and, in Matroska, a file attached; then an element that nobody knows, behind the end."""
    attached: list[str] = []
    with tempfile.NamedTemporaryFile(suffix=".txt") as note:
        note.write(canaries.word().encode() * 3)
        note.flush()
        if container == "matroska":
            attached = [
                "-attach",
                note.name,
                "-metadata:s:t",
                "mimetype=text/plain",
                "-metadata:s:t",
                f"filename={canaries.word()}",
            ]
        made = film(canaries, container, *video, after=attached, **options)  # type: ignore[arg-type]
    words = canaries.word().encode()
    return made + b"\xec" + bytes((0x80 | len(words),)) + words + canaries.blob()


H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "18")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:pools=1", "-tag:v", "hvc1")
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")
AV1 = ("-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8")
OPUS = ("-c:a", "libopus", "-b:a", "24k")


@cache
def films() -> tuple[Sample, ...]:
    """All of them, each with what it really knows."""
    made = {
        "h264.mp4": lambda c: iso(c, "mp4", *H264, *sei(c, "h264"), subtitles="mov_text"),
        "fast-start.mp4": lambda c: with_boxes(c, film(c, "mp4", *H264, after=("-movflags", "+faststart"))),
        "fragments.mp4": lambda c: film(c, "mp4", *H264, after=("-movflags", "frag_keyframe+empty_moov")) + loose_boxes(c),
        "silent.mp4": lambda c: iso(c, "mp4", *H264, audio=()),
        "hevc.mp4": lambda c: iso(c, "mp4", *HEVC),
        "av1.mp4": lambda c: iso(c, "mp4", *AV1),
        "vp9.mp4": lambda c: iso(c, "mp4", *VP9),
        "h264.mov": lambda c: iso(c, "mov", *H264, *sei(c, "h264"), subtitles="mov_text"),
        "hevc.mov": lambda c: iso(c, "mov", *HEVC),
        "turned.mov": lambda c: iso(c, "mov", *H264, before=("-display_rotation", "90")),
        "timecode.mov": lambda c: iso(c, "mov", *H264, "-timecode", "01:02:03:04"),
        "h264.m4v": lambda c: iso(c, "ipod", *H264),
        "mpeg4.3gp": lambda c: iso(c, "3gp", "-c:v", "mpeg4", "-q:v", "2"),
        "vp8.webm": lambda c: matroska(
            c, "webm", "-c:v", "libvpx", "-deadline", "realtime", "-b:v", "500k", audio=OPUS, subtitles="webvtt"
        ),
        "vp9.webm": lambda c: matroska(c, "webm", *VP9, audio=OPUS),
        "av1.webm": lambda c: matroska(c, "webm", *AV1, audio=OPUS),
        "h264.mkv": lambda c: matroska(c, "matroska", *H264, *sei(c, "h264"), subtitles="srt"),
        "mjpeg.avi": lambda c: (
            film(c, "avi", "-c:v", "mjpeg", "-q:v", "2", "-strict", "unofficial", audio=("-c:a", "pcm_s16le")) + c.blob()
        ),
        "h264.mts": lambda c: film(c, "mpegts", *H264, *sei(c, "h264"), after=("-metadata", f"service_name={c.word()}")),
        "hevc.mkv": lambda c: matroska(c, "matroska", *HEVC, audio=OPUS),
    }
    samples = []
    for name, make in made.items():
        canaries = Canaries(name)
        data = make(canaries)
        samples.append(Sample(name, data, canaries.keep_only_what_is_in(data)))
    turned = next(sample for sample in samples if sample.name == "turned.mov")
    samples[samples.index(turned)] = replace(turned, size=SIZE[::-1], corners=None)
    return tuple(samples)
