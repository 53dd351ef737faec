"""Films for tests, made by ffmpeg when they are needed: a few frames, in every container and codec, with whatever there is to hide."""

import functools
import os
import re
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import imageio_ffmpeg
import pytest

CANARY = "canary-7f3a"
"""In everything that must not leave."""

PICTURE = "testsrc2=size=96x64:rate=15:duration=1"
SOUND = "sine=duration=1"


@functools.cache
def film(
    *arguments: str, ending: str = "mp4", picture: str = PICTURE, sound: str | None = SOUND, before: tuple[str, ...] = ()
) -> bytes:
    """A film of this picture and sound, as ffmpeg makes it with these arguments. `before` may name more inputs."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, f"film.{ending}")
        inputs = ["-f", "lavfi", "-i", picture, *(("-f", "lavfi", "-i", sound) if sound else ())]
        command = [
            imageio_ffmpeg.get_ffmpeg_exe(),
            "-hide_banner",
            "-loglevel",
            "error",
            "-y",
            *inputs,
            *before,
            *arguments,
            str(made),
        ]
        subprocess.run(command, check=True, timeout=60)
        return made.read_bytes()


def turned(degrees: int) -> bytes:
    """A film in which the upper left quarter is red, to be shown turned so far to the left."""
    with tempfile.TemporaryDirectory() as folder:
        plain, made = Path(folder, "plain.mp4"), Path(folder, "turned.mp4")
        plain.write_bytes(film(picture=FLAG, sound=None))
        program = [
            imageio_ffmpeg.get_ffmpeg_exe(),
            "-loglevel",
            "error",
            "-y",
            "-display_rotation",
            str(degrees),
            "-i",
            str(plain),
        ]
        subprocess.run([*program, "-c", "copy", str(made)], check=True, timeout=60)
        return made.read_bytes()


FLAG = "color=blue:size=160x96:rate=15:duration=1,drawbox=0:0:80:48:red:fill"


def box(kind: bytes, *content: bytes) -> bytes:
    inside = b"".join(content)
    return struct.pack(">I4s", 8 + len(inside), kind) + inside


def with_boxes(film: bytes, *boxes: bytes) -> bytes:
    """The film with more boxes at the end of its head, which has to stand at its end."""
    at = film.rindex(b"moov") - 4
    size = struct.unpack_from(">I", film, at)[0]
    assert at + size == len(film)
    more = b"".join(boxes)
    return film[:at] + struct.pack(">I", size + len(more)) + film[at + 4 :] + more


def apple_words(**words: str) -> bytes:
    """QuickTime's metadata as an iPhone writes it: keys, then values by number."""
    names = [f"com.apple.quicktime.{word.replace('_', '.')}".encode() for word in words]
    keys = box(b"keys", struct.pack(">II", 0, len(names)), *(box(b"mdta", name) for name in names))
    values = [
        box(struct.pack(">I", number), box(b"data", struct.pack(">II", 1, 0), text.encode()))
        for number, text in enumerate(words.values(), 1)
    ]
    handler = box(b"hdlr", bytes(8), b"mdta", bytes(14))
    return box(b"meta", handler, keys, box(b"ilst", *values))


def needs(program: str) -> str:
    """A program that judges from outside. Without it the test is skipped; where all must be there (KINFOLD_CI) it fails."""
    found = shutil.which(program)
    if found is None:
        (pytest.fail if os.environ.get("KINFOLD_CI") else pytest.skip)(f"{program} is not installed")
    return found


ORDINARY = re.compile(
    r"(ExifTool:|System:|File:|Composite:|QuickTime:Free=\(Binary data 61 bytes|QuickTime:(Major Brand|Minor Version|Compatible Brands|"
    r"Movie Header Version|Time Scale|Duration|"
    r"Preferred (Rate|Volume)|Matrix Structure|(Preview|Poster|Selection|Current) (Time|Duration)|Next Track ID|Media Data (Size|Offset)|"
    r"(Create|Modify) Date=0000)|Track\d:(Track (Header Version|ID|Duration|Layer|Volume)|(Track|Media) (Create|Modify) Date=0000|"
    r"Matrix Structure|Image (Width|Height)|Media (Header Version|Time Scale|Duration|Language Code=und)|Handler Type=(Video|Audio) Track|"
    r"Handler Description=(Video|Sound)Handler|Graphics Mode|Op Color|Compressor ID|Source Image (Width|Height)|[XY] Resolution|Bit Depth|"
    r"Pixel Aspect Ratio|Buffer Size|(Max|Average) Bitrate|Video Frame Rate|Balance|Audio (Format|Channels|Bits Per Sample|Sample Rate)|"
    r"Color (Profiles|Primaries)|Transfer Characteristics|Matrix Coefficients|Video Full Range Flag|Clean Aperture|Interlace.*|"
    r"(Video )?Field Order|HEVC .*|.*Profile.*|.*Level.*|.*Flags.*|Chroma Format|Bit Depth (Luma|Chroma)|"
    r"Average Frame Rate|Constant Frame Rate|"
    r"Num Temporal Layers|Temporal ID Nested|Min Spatial Segmentation Idc|Parallelism Type|Ambient .*))"
)
"""What exiftool may find in a film that has nothing to hide."""


def what_exiftool_finds(film: bytes) -> list[str]:
    """Whatever exiftool reads of a film beyond how it is built."""
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(film)
        file.flush()
        program = [needs("exiftool"), "-a", "-G1", "-s0", "-ee", file.name]
        said = subprocess.run(program, capture_output=True, check=True, timeout=60).stdout.decode("utf-8", "replace")
    found = [re.sub(r"^\[(\w+)\]\s*([^:]*?)\s*: ", r"\1:\2=", line) for line in said.splitlines()]
    return [line for line in found if not ORDINARY.match(line)]
