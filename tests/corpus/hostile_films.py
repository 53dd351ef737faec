"""Films that mean harm: counts, lengths and times beyond reason, things that lie elsewhere, and films that are none."""

import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg

from tests.corpus.canaries import Canaries
from tests.corpus.films import H264, film, films
from tests.corpus.hostile import STEP, Hostile
from tests.corpus.photos import box

FAR = 4 * STEP  # bytes between two places where a film is cut: each costs as much as many photos
LARGE = (0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
FIELDS = {  # box: where in it, and how wide, stand numbers that decide how much work there is
    "mvhd": ((12, 4), (16, 4)), "tkhd": ((20, 4), (36, 4), (76, 4), (80, 4)), "mdhd": ((12, 4), (16, 4)),
    "stts": ((4, 4), (8, 4), (12, 4)), "stsz": ((4, 4), (8, 4), (12, 4)), "stsc": ((4, 4), (8, 4), (12, 4), (16, 4)),
    "stco": ((4, 4), (8, 4)), "ctts": ((4, 4), (8, 4)), "elst": ((4, 4), (8, 4), (12, 4)), "stsd": ((4, 4),),
    "avc1": ((24, 2), (26, 2)), "mp4a": ((16, 2), (24, 4)), "dref": ((4, 4),), "stss": ((4, 4),),
}  # fmt: skip


def patched(data: bytes, kind: str, at: int, value: bytes) -> bytes:
    """The first box of this kind, with other bytes at a place of its payload."""
    start = data.index(kind.encode()) + 4 + at
    return data[:start] + value + data[start + len(value) :]


def hostile_films() -> Iterator[Hostile]:
    """All of them; the same every time."""
    plain = film(Canaries("plain"), "mp4", *H264)
    for kind, places in FIELDS.items():
        for at, width in places if kind.encode() in plain else ():
            for value in LARGE:
                if value < 1 << 8 * width:
                    name = f"film-{kind}-{at}-{value:x}"
                    yield Hostile(name, patched(plain, kind, at, value.to_bytes(width, "big")))
    yield Hostile("film-elsewhere", plain.replace(b"url \0\0\0\1", b"alis\0\0\0\0"))
    reference = b"file:///etc/passwd\0"
    link = box(b"rdrf", b"\0\0\0\0url " + struct.pack(">I", len(reference)) + reference)
    yield Hostile(
        "film-reference", box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"moov", box(b"rmra", box(b"rmda", link))), refused=True
    )
    yield Hostile("film-two-moovs", plain + plain[plain.rindex(b"moov") - 4 :])
    yield Hostile("film-box-of-nothing", plain[:-8] + struct.pack(">I4s", 0, b"free"))
    yield Hostile("film-box-of-everything", plain + struct.pack(">I4sQ", 1, b"mdat", 1 << 62))
    yield Hostile("film-sound-only", ffmpeg("-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", "-f", "mp4"), refused=True)
    yield Hostile("film-many-pictures", ffmpeg("-f", "lavfi", "-i", "color=size=16x16:rate=1000:duration=20", *H264, "-f", "mp4"))
    yield Hostile("film-thin", ffmpeg("-f", "lavfi", "-i", "color=size=2x1080:rate=5:duration=1", *H264, "-f", "mp4"))
    yield Hostile(
        "film-wide-dots", ffmpeg("-f", "lavfi", "-i", "color=size=64x64:rate=5:duration=1,setsar=1000/1", *H264, "-f", "mp4")
    )
    yield Hostile("film-of-pngs", ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64:rate=5:duration=1", "-c:v", "png", "-f", "mov"))
    yield Hostile(
        "film-raw", ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64:rate=5:duration=1", "-c:v", "rawvideo", "-f", "mov")
    )
    far = ["-f", "lavfi", "-i", "color=size=64x64:rate=1:duration=3,setpts=N*36000/TB", "-fps_mode", "passthrough"]
    yield Hostile("film-of-a-day", ffmpeg(*far, *H264, "-f", "mp4"))
    for sample in films():
        for end in range(STEP, len(sample.data), FAR):
            yield Hostile(f"cut-{sample.name}-{end}", sample.data[:end], canaries=sample.canaries)


def ffmpeg(*words: str) -> bytes:
    """What ffmpeg makes of these words."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *words, str(out)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return out.read_bytes()
