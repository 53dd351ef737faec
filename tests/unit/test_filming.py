"""Films: whatever comes in, what goes out plays everywhere, is the right way up, and has nothing in it but picture and sound."""

import io
import json
import re
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.ingest.decoder import containers, frames, sniff
from app.ingest.decoder.limits import NotClean, Refusal
from app.ingest.decoder.prove import prove
from app.ingest.decoder.prove_film import prove_film
from app.ingest.decoding import Decoded, Decoder, DecoderKilled, DecoderMissing, MadeRendition, NotDecoded
from app.ingest.filming import NOTHING_KNOWN, Filming, Source, understand
from app.jobs.port import Stopping
from tests.made_films import CANARY, FLAG, apple_words, box, film, needs, turned, what_exiftool_finds, with_boxes

PAIR = "5C7F2E1A-90B3-4D68-8E21-3F6A7B9C0D14"

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"


@dataclass(frozen=True)
class Made:
    """What became of a film: the answer, and the bytes of each rendition."""

    answer: Decoded | NotDecoded
    renditions: dict[str, bytes]
    mimes: dict[str, str]

    @property
    def decoded(self) -> Decoded:
        assert isinstance(self.answer, Decoded), self.answer
        return self.answer


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder()
    yield decoder
    decoder.close()


def make(decoder: Decoder, data: bytes, filming: Filming | None = None) -> Made:
    renditions: dict[str, bytes] = {}
    mimes: dict[str, str] = {}

    def keep(made: MadeRendition) -> None:
        renditions[made.name], mimes[made.name] = bytes(made.data), made.mime
        assert prove(made.mime, made.data) == (made.width, made.height)

    container = sniff.film(data[: 64 << 10])
    answer = (filming or Filming(decoder)).make([data], container=container or "", group="a", size=len(data), keep=keep)
    return Made(answer, renditions, mimes)


def probe(data: bytes) -> list[dict[str, str]]:
    """The streams of a film, as another ffprobe sees them."""
    program = [needs("ffprobe"), "-loglevel", "error", "-show_streams", "-of", "json", "-"]
    said = subprocess.run(program, input=data, capture_output=True, check=True, timeout=60).stdout
    streams: list[dict[str, str]] = json.loads(said)["streams"]
    return streams


def first_frame(data: bytes) -> Image.Image:
    """The first frame of a film, as another ffmpeg shows it."""
    program = [needs("ffmpeg"), "-loglevel", "error", "-i", "-", "-frames:v", "1", "-c:v", "png", "-f", "image2pipe", "-"]
    shown = subprocess.run(program, input=data, capture_output=True, check=True, timeout=60).stdout
    return Image.open(io.BytesIO(shown)).convert("RGB")


KINDS = {
    "mp4 h264": ("mp4", ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"), "h264"),
    "mov hevc": ("mov", ("-c:v", "libx265", "-x265-params", "log-level=error", "-pix_fmt", "yuv420p", "-tag:v", "hvc1"), "hevc"),
    "mov prores": ("mov", ("-c:v", "prores_ks", "-c:a", "pcm_s16le"), "h264"),
    "m4v hevc hev1": ("m4v", ("-c:v", "libx265", "-x265-params", "log-level=error", "-pix_fmt", "yuv420p", "-f", "mp4"), "hevc"),
    "3gp h263": ("3gp", ("-c:v", "h263", "-s", "176x144", "-c:a", "libopencore_amrnb", "-ar", "8000", "-ac", "1"), "h264"),
    "webm vp9": ("webm", ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-c:a", "libopus"), "h264"),
    "webm vp8": ("webm", ("-c:v", "libvpx", "-c:a", "libvorbis"), "h264"),
    "webm av1": ("webm", ("-c:v", "libsvtav1", "-preset", "12", "-c:a", "libopus"), "h264"),
    "mp4 av1": ("mp4", ("-c:v", "libsvtav1", "-preset", "12"), "h264"),
    "mkv h264": ("mkv", ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "flac"), "h264"),
    "mkv h264 10 bit": ("mkv", ("-c:v", "libx264", "-pix_fmt", "yuv420p10le"), "h264"),
    "avi mpeg4": ("avi", ("-c:v", "mpeg4", "-c:a", "mp3"), "h264"),
    "avi mjpeg": ("avi", ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-c:a", "pcm_s16le"), "h264"),
    "mts h264": ("mts", ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "ac3"), "h264"),
    "mpeg": ("mpg", ("-c:v", "mpeg2video", "-r", "25", "-c:a", "mp2"), "h264"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_film_becomes_one_that_plays(decoder: Decoder, kind: str) -> None:
    ending, arguments, kept = KINDS[kind]
    made = make(decoder, film(*arguments, "-metadata", f"title={CANARY}", "-metadata", f"comment={CANARY}", ending=ending))
    assert set(made.renditions) == {"grid", "screen", "play", "full"}, made.answer
    assert made.mimes == {"grid": "image/jpeg", "screen": "image/jpeg", "play": "video/mp4", "full": "video/mp4"}
    assert 900 <= (made.decoded.duration or 0) <= 1200
    for name, codec in (("play", "h264"), ("full", kept)):
        data = made.renditions[name]
        picture, sound = probe(data)
        assert (picture["codec_name"], sound["codec_name"]) == (codec, "aac")
        if name == "play":
            assert (picture["pix_fmt"], picture["profile"]) == ("yuv420p", "High")
        assert data.index(b"moov") < data.index(b"mdat"), "it begins to play before it is all there"
        assert CANARY.encode() not in data and b"x264" not in data and b"x265" not in data and b"Lav" not in data
        assert what_exiftool_finds(data) == []


def test_sound_that_nobody_can_read_is_left_out(decoder: Decoder) -> None:
    two = film("-map", "0:v", "-map", "1:a", "-map", "1:a", "-pix_fmt", "yuv420p", "-c:a", "aac")
    for unknown, tracks in ((1, ["video", "audio"]), (2, ["video"])):
        source, number = re.subn(rb"mp4a(.{28,60}?)\x40\x15", b"xyz9\\1\xfe\x15", two, count=unknown, flags=re.DOTALL)
        assert number == unknown
        made = make(decoder, source)
        for name in ("play", "full"):
            assert [stream["codec_type"] for stream in probe(made.renditions[name])] == tracks, made.answer


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_it_is_the_right_way_up(decoder: Decoder, degrees: int) -> None:
    made = make(decoder, turned(degrees))
    size, red = {
        0: ((160, 96), (20, 20)),
        90: ((96, 160), (20, 140)),
        180: ((160, 96), (140, 76)),
        270: ((96, 160), (76, 20)),
    }[degrees]
    assert (made.decoded.width, made.decoded.height) == size
    pictures = [
        Image.open(io.BytesIO(made.renditions["screen"])),
        *(first_frame(made.renditions[name]) for name in ("play", "full")),
    ]
    for picture in pictures:
        assert picture.size == size
        right, wrong = picture.getpixel(red), picture.getpixel((size[0] - 1 - red[0], size[1] - 1 - red[1]))
        assert isinstance(right, tuple) and isinstance(wrong, tuple)
        assert right[0] > 200 and right[2] < 60, f"red where it should be: {right}"
        assert wrong[2] > 200 and wrong[0] < 60, f"blue on the other side: {wrong}"


def test_a_bright_film_is_shown_as_ordinary_screens_do(decoder: Decoder) -> None:
    """Grey of 203 nits, which is white on paper, in HLG and in PQ: neither washed out nor dark."""
    for transfer, level in (("arib-std-b67", 0.75), ("smpte2084", 0.58)):
        grey = round((64 + 876 * level) / 4)
        colours = f"hdr-opt=0:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc:log-level=error"
        bright = film(
            "-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-x265-params", colours, "-tag:v", "hvc1",
            "-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc",
            picture=f"color=black:size=96x64:rate=15:duration=1,format=yuv420p10le,geq=lum={4 * grey}:cb=512:cr=512", sound=None,
        )  # fmt: skip
        made = make(decoder, bright)
        (picture,) = probe(made.renditions["play"])
        assert (picture["color_transfer"], picture["pix_fmt"]) == ("bt709", "yuv420p")
        for shown in (first_frame(made.renditions["play"]), Image.open(io.BytesIO(made.renditions["screen"]))):
            pixel = shown.getpixel((48, 32))
            assert isinstance(pixel, tuple)
            assert min(pixel) > 120 and max(pixel) < 250 and max(pixel) - min(pixel) < 8, f"{transfer}: {pixel}"
        assert probe(made.renditions["full"])[0]["color_transfer"] == transfer, "what is kept is as it was"


REPEATING = {
    "mkv h264": ("mkv", ("-c:v", "libx264", "-x264-params", "repeat-headers=1")),
    "mp4 h264": ("mp4", ("-c:v", "libx264", "-x264-params", "repeat-headers=1:aud=1", "-movflags", "faststart")),
    "mov hevc": (
        "mov",
        ("-c:v", "libx265", "-x265-params", "repeat-headers=1:log-level=error", "-tag:v", "hvc1", "-movflags", "faststart"),
    ),
    "mts h264": ("mts", ("-c:v", "libx264")),
}


@pytest.mark.parametrize("kind", REPEATING)
def test_what_describes_the_picture_may_be_repeated_within_it(decoder: Decoder, kind: str) -> None:
    ending, arguments = REPEATING[kind]
    picture = "testsrc2=size=2000x1100:rate=10:duration=0.4"
    source = film(
        *arguments, "-preset", "ultrafast", "-g", "2", "-pix_fmt", "yuv420p", ending=ending, picture=picture, sound=None
    )
    made = make(decoder, source)
    assert probe(made.renditions["full"])[0]["width"] == 2000, "it was not kept as it is"
    assert frames_of(made.renditions["full"]) == frames_of(source)
    assert what_exiftool_finds(made.renditions["full"]) == []


def frames_of(data: bytes) -> bytes:
    """A sum over each picture of a film, as another ffmpeg decodes it."""
    program = [
        needs("ffmpeg"),
        "-loglevel",
        "error",
        "-i",
        "-",
        "-map",
        "0:v",
        "-fps_mode",
        "passthrough",
        "-f",
        "framehash",
        "-",
    ]
    said = subprocess.run(program, input=data, capture_output=True, check=True, timeout=60).stdout
    return b"".join(line.rsplit(b",", 1)[1] for line in said.splitlines() if not line.startswith(b"#"))


def test_large_films_become_smaller_to_play_and_stay_as_they_are_to_keep(decoder: Decoder) -> None:
    large = film(
        "-pix_fmt", "yuv420p", "-preset", "ultrafast", picture="testsrc2=size=2560x1440:rate=120:duration=0.2", sound=None
    )
    made = make(decoder, large)
    play, full = probe(made.renditions["play"])[0], probe(made.renditions["full"])[0]
    assert (play["width"], play["height"]) == (1920, 1080) and (full["width"], full["height"]) == (2560, 1440)
    rate = [float(part) for part in play["avg_frame_rate"].split("/")]
    assert rate[0] / rate[1] <= 61
    assert (made.decoded.width, made.decoded.height) == (2560, 1440)


def test_pixels_that_are_not_square_become_so(decoder: Decoder) -> None:
    made = make(
        decoder, film("-c:v", "mpeg4", "-vf", "setsar=16/15", picture="testsrc2=size=90x64:rate=15:duration=1", sound=None)
    )
    assert (made.decoded.width, made.decoded.height) == (96, 64)


def hiding(tmp_path: Path) -> bytes:
    """A film as a phone, a camera and a player's library would leave it, all at once."""
    scripts, chapters = tmp_path / "scripts.srt", tmp_path / "chapters.txt"
    scripts.write_text(f"1\n00:00:00,000 --> 00:00:00,900\n{CANARY}\n")
    chapters.write_text(f";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\ntitle={CANARY}\n")
    plain = film(
        "-map", "0:v", "-map", "0:v", "-map", "1:a", "-map", "1:a", "-map", "2:s", "-map_metadata", "3", "-c:v", "libx264",
        "-pix_fmt", "yuv420p", "-c:s", "mov_text", "-bsf:v", f"h264_metadata=sei_user_data=086f3693-b7b3-4f2c-9653-21492feee5b8+{CANARY}",
        "-metadata", "creation_time=2024-01-22T10:47:18Z", "-metadata:s:a:0", "language=fra", "-metadata:s:v:0", f"handler_name={CANARY}",
        before=("-i", str(scripts), "-i", str(chapters)),
    )  # fmt: skip
    return with_boxes(
        plain,
        apple_words(
            location_ISO6709=f"+51.3714-000.1977+033.130/{CANARY}",
            creationdate="2024-01-22T11:47:18+0100",
            make=CANARY,
            model=CANARY,
            content_identifier=PAIR,
            author=CANARY,
        ),
        box(b"udta", box(b"\xa9xyz", struct.pack(">HH", 30, 0), f"+51-000/{CANARY}".encode()), box(b"\xa9cmt", CANARY.encode())),
        box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), b"<exif:GPSLatitude>" + CANARY.encode()),
        box(b"free", CANARY.encode()),
    ) + box(b"skip", CANARY.encode())


def test_nothing_rides_along(decoder: Decoder, tmp_path: Path) -> None:
    source = hiding(tmp_path)
    assert source.count(CANARY.encode()) > 10
    made = make(decoder, source)
    for name in ("play", "full"):
        data = made.renditions[name]
        assert [stream["codec_type"] for stream in probe(data)] == ["video", "audio"]
        assert CANARY.encode() not in data and b"2024" not in data and b"+51" not in data
        assert what_exiftool_finds(data) == []
    assert CANARY.encode() not in b"".join(made.renditions.values())
    assert made.decoded.taken_at == datetime(2024, 1, 22, 11, 47, 18)
    assert made.decoded.pair == PAIR
    assert set(made.decoded.removed) == {"place", "time", "device", "owner", "description", "film", "sound", "other"}


def test_a_film_of_matroska_is_read_too(decoder: Decoder) -> None:
    tagged = film(
        "-metadata", f"title={CANARY}", "-metadata", f"location={CANARY}", "-metadata", "creation_time=2024-01-22T10:47:18Z",
        "-c:v", "libx264", "-pix_fmt", "yuv420p", ending="mkv",
    )  # fmt: skip
    made = make(decoder, tagged)
    assert made.decoded.taken_at == datetime.fromisoformat("2024-01-22T10:47:18+00:00").astimezone().replace(tzinfo=None)
    assert {"place", "time", "device", "description"} <= set(made.decoded.removed)


def test_what_was_cut_off_on_the_phone_is_gone(decoder: Decoder) -> None:
    """An edit list hides the beginning of this film, red for a second; only the blue half may leave."""
    plain = film(
        "-pix_fmt", "yuv420p", "-g", "300", "-bf", "0", sound=None,
        picture="color=blue:size=96x64:rate=15:duration=2,drawbox=0:0:96:64:red:fill:enable='lt(t,1)'",
    )  # fmt: skip
    at = plain.index(b"elst") + 4
    timescale = struct.unpack_from(">I", plain, plain.index(b"mdhd") + 16)[0]
    cut = plain[: at + 8] + struct.pack(">Ii", 1000, timescale) + plain[at + 16 :]
    made = make(decoder, cut)
    assert 900 <= (made.decoded.duration or 0) <= 1100
    for name in ("play", "full"):
        program = [
            needs("ffmpeg"),
            "-loglevel",
            "error",
            "-ignore_editlist",
            "1",
            "-i",
            "-",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-",
        ]
        frames = subprocess.run(program, input=made.renditions[name], capture_output=True, check=True, timeout=60).stdout
        assert max(frames[::3]) < 100, "a red frame is still in there"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (film(ending="mp4")[:3000], "broken"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "broken"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "broken"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isomffconcat version 1.0\nfile /etc/passwd\n", "broken"),
        (
            b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"".join(struct.pack(">I4s", 8 * n, b"moov") for n in range(1000, 0, -1)),
            "broken",
        ),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + box(b"free") * 200_000, "broken"),
        (film("-vn", ending="mp4"), "film-unsupported"),
        (b"\x1a\x45\xdf\xa3" + bytes(100), "broken"),
        (b"OggS" + bytes(100), "film-unsupported"),
    ],
)
def test_what_can_not_be_shown_is_refused_with_a_reason(decoder: Decoder, data: bytes, reason: str) -> None:
    made = make(decoder, data)
    assert made.answer == NotDecoded(reason)
    assert made.renditions == {}


@pytest.mark.parametrize("size", [0, 0xFFFF])
def test_sizes_that_lie_harm_nobody(decoder: Decoder, size: int) -> None:
    plain = film("-c:v", "mpeg4", sound=None)
    at = plain.index(b"mp4v") + 28
    assert struct.unpack_from(">HH", plain, at) == (96, 64)
    made = make(decoder, plain[:at] + struct.pack(">HH", size, size) + plain[at + 4 :])
    if isinstance(made.answer, Decoded):  # the stream itself says otherwise, and is right
        assert (made.answer.width, made.answer.height) == (96, 64)
    else:
        assert made.answer.reason in ("broken", "too-many-pixels", "film-unsupported", "too-much-memory")


def test_a_length_that_lies_is_corrected(decoder: Decoder) -> None:
    plain = film("-pix_fmt", "yuv420p", sound=None)
    lying = re.sub(rb"(mvhd.{16}).{4}", lambda found: found[1] + b"\x0f\xff\xff\xff", plain, count=1, flags=re.DOTALL)
    assert lying != plain
    assert 900 <= (make(decoder, lying).decoded.duration or 0) <= 1200


def test_what_takes_too_long_is_ended(decoder: Decoder) -> None:
    long = film("-c:v", "mpeg4", picture="testsrc2=size=640x480:rate=30:duration=20", sound=None)
    began = time.monotonic()
    assert make(decoder, long, Filming(decoder, wall_seconds=1)).answer == NotDecoded("too-slow")
    assert time.monotonic() - began < 8


def test_a_film_gets_the_time_that_its_size_and_length_are_worth() -> None:
    said = "  Duration: {}, start: 0.0\n  Stream #0:0: Video: h264 (High), yuv420p, 640x480, 25 fps\n"
    day, hour, nothing = (understand(said.format(length)) for length in ("24:00:00.00", "01:00:00.00", "N/A"))
    assert day is not None and hour is not None and nothing is not None
    assert day.longest(10_000) < 700 and day.longest_copy(10_000) < 70, "it has not the bytes for a day"
    assert day.longest_copy(10 << 30) == 1800
    assert hour.longest(1 << 30) > 10 * 3600 and hour.longest_copy(100 << 20) > 360
    assert nothing.longest(1 << 30) > 5000 and nothing.longest(0) == 600


def test_a_copy_that_takes_too_long_refuses_the_film_as_encoding_would(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Source, "longest_copy", lambda *_: 0)
    made = make(decoder, film("-pix_fmt", "yuv420p"))
    assert made.answer == NotDecoded("too-slow") and set(made.renditions) == {"grid", "screen"}


def test_a_picture_that_changes_what_describes_it_is_kept_as_it_is_played(
    decoder: Decoder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="kinfold.ingest")
    one = film("-c:v", "libx264", "-pix_fmt", "yuv420p", "-refs", "1", ending="mts")
    made = make(decoder, one + film("-c:v", "libx264", "-pix_fmt", "yuv420p", "-refs", "4", ending="mts"))
    assert made.renditions["full"] == made.renditions["play"], made.answer
    assert caplog.messages == ["the picture of a film is not kept as it is: another unit"]


def test_ffmpeg_that_somebody_kills_is_no_fault_of_the_film(decoder: Decoder) -> None:
    class Killing(Filming):
        def _listen(self, process: subprocess.Popen[bytes], *rest: Any) -> str:
            process.kill()
            return super()._listen(process, *rest)

    with pytest.raises(DecoderKilled):
        make(decoder, film("-pix_fmt", "yuv420p"), Killing(decoder))


MAIN = [sys.executable, "-I", str(Path(containers.__file__).with_name("main.py"))]


def test_a_film_whose_container_is_not_read_is_shown_all_the_same(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is told of it then; and as it may have been cut on the phone, its picture is not copied."""
    silent = f"import os, sys; sys.argv[1] == 'reading' or os.execv(sys.executable, [*{MAIN}, *sys.argv[1:]])"
    monkeypatch.setattr("app.ingest.filming.COMMAND", [sys.executable, "-I", "-c", silent])
    made = make(decoder, with_boxes(film("-pix_fmt", "yuv420p"), apple_words(creationdate="2024-01-22T11:47:18+0100")))
    assert (made.decoded.taken_at, made.decoded.removed, made.decoded.pair) == (None, (), None)
    assert made.renditions["full"] == made.renditions["play"]


@pytest.mark.parametrize(
    "program",
    [
        "import time; time.sleep(60)",
        "import sys\nwhile True: sys.stdout.write('x' * 4096)",
        "import os, signal; os.kill(os.getpid(), signal.SIGALRM)",
        "raise MemoryError",
        "print('no frame')",
        *(
            f"import os; os.write(1, {frames.pack(answer)!r})"
            for answer in (
                {},
                {**NOTHING_KNOWN, "taken_at": "yesterday"},
                {**NOTHING_KNOWN, "removed": ["x"]},
                {**NOTHING_KNOWN, "pair": CANARY},
                {**NOTHING_KNOWN, "cut": 0},
                {**NOTHING_KNOWN, "cut": False, "more": CANARY},
            )
        ),
    ],
)
def test_whatever_the_reading_process_does_nothing_is_known_then(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch, program: str, tmp_path: Path
) -> None:
    monkeypatch.setattr("app.ingest.filming.COMMAND", [sys.executable, "-I", "-c", program])
    monkeypatch.setattr("app.ingest.filming.READ_SECONDS", 1)
    with (tmp_path / "film").open("w+b") as some:
        assert Filming(decoder).read(some.fileno(), "mov") == NOTHING_KNOWN


def test_a_reading_process_that_somebody_kills_is_no_fault_of_the_film(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    monkeypatch.setattr("app.ingest.filming.COMMAND", [sys.executable, "-I", "-c", killed])
    with (tmp_path / "film").open("w+b") as some, pytest.raises(DecoderKilled):
        Filming(decoder).read(some.fileno(), "mov")


def test_it_is_left_at_once_when_the_worker_stops_or_the_film_is_deleted(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ingest.filming.TELL_SECONDS", 0.1)
    long = film("-c:v", "mpeg4", picture="testsrc2=size=640x480:rate=30:duration=20", sound=None)
    stop = threading.Event()
    threading.Timer(1, stop.set).start()
    with pytest.raises(Stopping):
        make(decoder, long, Filming(decoder, stop=stop))

    class Deleted(Exception):
        pass

    def tell(percent: int) -> None:
        raise Deleted

    with pytest.raises(Deleted):
        Filming(decoder).make([long], container="mov", group="a", size=len(long), keep=lambda _: None, tell=tell)


def test_percent_is_told(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ingest.filming.TELL_SECONDS", 0.1)
    told: list[int] = []
    long = film("-c:v", "mpeg4", picture="testsrc2=size=640x480:rate=30:duration=20", sound=None)
    Filming(decoder).make([long], container="mov", group="a", size=len(long), keep=lambda _: None, tell=told.append)
    assert told == sorted(told) and told[0] == 0 and 50 < told[-1] <= 99


def test_without_ffmpeg_it_is_our_fault_and_not_the_films(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise RuntimeError

    some = film()
    monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", missing)
    for filming in (Filming(decoder), Filming(decoder, ffmpeg="/nowhere/ffmpeg"), Filming(decoder, ffmpeg="/etc/passwd")):
        with pytest.raises(DecoderMissing):
            make(decoder, some, filming)


def test_the_samples_of_others(decoder: Decoder) -> None:
    if not SAMPLES.is_dir():
        pytest.skip("no samples here")
    refused = {path.name: make(decoder, path.read_bytes()).answer for path in SAMPLES.glob("*.mp4")}
    assert refused == {"c2pa-rs-nested_moov_1000-c65939.mp4": NotDecoded("broken")}
    phone = make(decoder, (SAMPLES / "rails-rotated_hdr_video-929175.mov").read_bytes())
    assert (phone.decoded.width, phone.decoded.height) == (1080, 1920)
    assert {"place", "time", "device"} <= set(phone.decoded.removed)
    for name, codec in (("play", "h264"), ("full", "hevc")):
        assert [stream["codec_name"] for stream in probe(phone.renditions[name])] == [codec]
        assert what_exiftool_finds(phone.renditions[name]) == []
        for word in (b"iPhone", b"Apple", b"51.3714", b"2024", b"17.2.1"):
            assert word not in phone.renditions[name]


# --- the proof ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clean(decoder: Decoder) -> bytes:
    return make(decoder, film("-pix_fmt", "yuv420p", "-c:a", "aac")).renditions["full"]


def grown(data: bytes, path: tuple[bytes, ...], more: bytes, *, before: bool = False) -> bytes:
    """The film with bytes at the end of a box, the sizes of all around it right, and so the places of its samples."""
    places, at = [], 0
    for kind in path:
        at = data.index(kind, at)
        places.append(at - 4)
    end = places[-1] + struct.unpack_from(">I", data, places[-1])[0]
    changed = bytearray(data)
    for place in places:
        struct.pack_into(">I", changed, place, struct.unpack_from(">I", data, place)[0] + len(more))
    for found in re.finditer(b"stco", data[: data.index(b"mdat")]):
        count = struct.unpack_from(">I", data, found.end() + 4)[0]
        for n in range(count):
            where = found.end() + 8 + 4 * n
            struct.pack_into(">I", changed, where, struct.unpack_from(">I", data, where)[0] + len(more))
    return bytes(changed[:end]) + more + bytes(changed[end:])


def test_the_proof_lets_a_clean_film_through(clean: bytes) -> None:
    proven = prove_film(clean)
    assert (proven.width, proven.height, proven.codec) == (96, 64, "avc1") and 900 < proven.duration < 1200


@pytest.mark.parametrize(
    "path",
    [
        (b"moov",), (b"moov", b"trak"), (b"moov", b"trak", b"mdia"), (b"moov", b"trak", b"mdia", b"minf"),
        (b"moov", b"trak", b"mdia", b"minf", b"stbl"), (b"moov", b"trak", b"edts"), (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"),
        (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"),
    ],
)  # fmt: skip
def test_the_proof_finds_a_box_at_any_depth(clean: bytes, path: tuple[bytes, ...]) -> None:
    for more in (box(b"udta", box(b"\xa9xyz", b"x")), box(b"free", CANARY.encode()), box(b"uuid", bytes(16)), b"x"):
        with pytest.raises(NotClean):
            prove_film(grown(clean, path, more))


def test_the_proof_finds_every_changed_byte_that_says_something(clean: bytes) -> None:
    media = clean.index(b"mdat") + 4
    first_unit = media + 4

    def changed(at: int, new: bytes) -> bytes:
        return clean[:at] + new + clean[at + len(new) :]

    handler, free = clean.index(b"VideoHandler"), clean.index(b"free") + 4
    for hidden in (
        clean + b"x",
        clean + box(b"free"),
        changed(8, b"qt  "),
        changed(12, b"2024"),
        changed(clean.index(b"mvhd") + 8, b"\1"),
        changed(clean.index(b"tkhd") + 8, b"\1"),
        changed(clean.index(b"mdhd") + 12, b"\1"),
        changed(clean.index(b"mdhd") + 24, b"\x15\xc7"),
        changed(handler, b"Canary"),
        changed(free, b"C"),
        changed(clean.index(b"avc1", clean.index(b"stsd")) + 46, b"\4Lavc"),
        changed(first_unit, b"\x06"),
        changed(first_unit, b"\x0c"),
        changed(clean.index(b"avcC") + 12, b"\x06"),
        changed(clean.index(b"stsz") + 12, b"\0\0\0\1"),
        changed(clean.index(b"vmhd") + 8, b"x"),
        clean[:-1],
        clean.replace(b"mp4a", b"alac"),
    ):
        with pytest.raises(NotClean):
            prove_film(hidden)
    for end in range(0, len(clean), 97):
        with pytest.raises(NotClean):
            prove_film(clean[:end])


def test_a_repeated_set_that_says_something_else_is_found(decoder: Decoder) -> None:
    """In a film that repeats its parameter sets, each bit of one of the repetitions is changed in turn."""
    source = film("-c:v", "libx264", "-pix_fmt", "yuv420p", "-x264-params", "repeat-headers=1", ending="mkv", sound=None)
    repeating = make(decoder, source).renditions["full"]
    at = repeating.index(b"avcC") + 4 + 6  # ISO/IEC 14496-15, 5.3.3.1.2
    length = int.from_bytes(repeating[at : at + 2], "big")
    again = repeating.index(repeating[at + 2 : at + 2 + length], at + 2 + length)
    assert again > repeating.index(b"mdat")
    for bit in range(8 * length):
        changed = bytearray(repeating)
        changed[again + bit // 8] ^= 1 << bit % 8
        if changed[again] & 0x1F not in (1, 5):  # it calls itself a picture, which nobody but a decoder can contradict
            with pytest.raises(NotClean):
                prove_film(bytes(changed))


def test_many_samples_need_no_more_memory_than_few(decoder: Decoder) -> None:
    many = make(
        decoder, film("-pix_fmt", "yuv420p", "-preset", "ultrafast", picture="color=size=16x16:rate=1000:duration=5")
    ).renditions
    tracemalloc.start()
    try:
        prove_film(many["full"])
        assert tracemalloc.get_traced_memory()[1] < 64 << 10
    finally:
        tracemalloc.stop()


def test_bytes_between_samples_are_found(clean: bytes) -> None:
    with pytest.raises(NotClean):
        prove_film(grown(clean, (b"mdat",), b"hidden"))


# --- the reader --------------------------------------------------------------------------------------------------------------------


def test_the_reader_never_hangs_and_only_ever_refuses(tmp_path: Path) -> None:
    """Every byte of the head of a film changed in turn, and the film cut at every length."""
    sources = [("mov", hiding(tmp_path)[-3000:]), ("matroska", film(ending="mkv", sound=None)[:600])]
    for container, source in sources:
        for at in range(len(source)):
            for wrong in (source[:at] + b"\xff" + source[at + 1 :], source[:at] + b"\0" + source[at + 1 :], source[:at]):
                try:
                    containers.read(wrong, container)
                except Refusal as refusal:
                    assert refusal.reason == "broken"


def test_what_a_film_calls_itself_does_not_deceive() -> None:
    said = (
        "Input #0, mov\n  Metadata:\n    title           : x\n                    :   Stream #0:0: Video: h264 (High), yuv420p, 1x1\n"
        "  Duration: 00:01:02.50, start: 0.000000\n"
        "  Stream #0:0[0x1](und): Video: mjpeg (Baseline), yuvj420p(pc), 500x500 [SAR 1:1 DAR 1:1], 90k tbr (attached pic)\n"
        "  Stream #0:1(und): Video: hevc (Main 10) (hvc1 / 0x31637668), yuv420p10le(tv, bt2020nc/bt2020/arib-std-b67), 1920x1080, 9 fps\n"
        "      Display Matrix: rotation of -90.00 degrees\n"
    )
    source = understand(said)
    assert source is not None
    assert (source.codec, source.width, source.height, source.transfer, source.seconds) == (
        "hevc",
        1080,
        1920,
        "arib-std-b67",
        62,
    )
    assert source.plays and not source.is_interlaced
    assert understand("") is None and FLAG


def test_a_title_does_not_speak_for_ffmpeg() -> None:
    """Other ends of lines than ffmpeg's own are part of a title."""
    told = "  Stream #0:0: Video: h264 (High), yuv420p, {size}, 25 fps"
    said = f"    title  : x\u2028{told.format(size='16x400')}\n{told.format(size='640x480')}\n"
    source = understand(said)
    assert source is not None and (source.width, source.height) == (640, 480)


def test_words_behind_what_describes_the_picture_are_gone(decoder: Decoder) -> None:
    plain = film("-c:v", "libx264", "-pix_fmt", "yuv420p", "-profile:v", "high")
    at = plain.index(b"avcC") + 4 + 6  # ISO/IEC 14496-15, 5.3.3.1.2: the length of the one sequence parameter set
    length = int.from_bytes(plain[at : at + 2], "big")
    end = at + 2 + length
    hidden = plain[:at] + (length + 12).to_bytes(2, "big") + plain[at + 2 : end] + b"Canary Place" + plain[end:]
    for kind in (b"avcC", b"avc1", b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        place = hidden.index(kind) - 4
        size = int.from_bytes(hidden[place : place + 4], "big") + 12
        hidden = hidden[:place] + size.to_bytes(4, "big") + hidden[place + 4 :]
    made = make(decoder, hidden)
    assert not any(b"Canary Place" in data for data in made.renditions.values())


def test_a_damaged_end_is_no_reason_to_refuse_a_film(decoder: Decoder) -> None:
    made = make(decoder, film("-pix_fmt", "yuv420p", ending="mkv") + bytes(4))
    assert set(made.renditions) == {"grid", "screen", "play", "full"}
