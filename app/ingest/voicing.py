"""From a few seconds that somebody has recorded to what every phone plays: MP3 (ISO/IEC 11172-3, layer III), mono, of one constant rate.

ffmpeg makes it behind the same walls as films, in memory. What it hands back is proven here: at 48 kHz and 64 kbit/s every frame takes
192 bytes and begins with the same four, so that nothing fits before, between or behind them.
"""

from dataclasses import dataclass

from app.ingest.decoding import NotDecoded
from app.ingest.filming import NOTHING_ELSE, Filming, make_sound

LONGEST = 20
"""Seconds of a voice that are kept."""

LARGEST = 5_000_000
"""Bytes of a recording: 20 seconds of WAV in stereo, and some more."""

WORK_SECONDS = 60.0
MIME = "audio/mpeg"
HEADER = bytes.fromhex("fffb54c4")  # 11172-3, 2.4.1.3: layer III without a checksum, 64 kbit/s, 48 kHz, no padding, one channel
FRAME = 192  # bytes: 144 * 64000 / 48000
FRAME_MILLISECONDS = 24  # 1152 samples
MOST_FRAMES = LONGEST * 1000 // FRAME_MILLISECONDS + 4  # the encoder needs some before and after

MP3 = (
    "-map", "0:a:0", "-t", str(LONGEST), "-c:a", "libmp3lame", "-b:a", "64k", "-ac", "1", "-ar", "48000", "-reservoir", "0", *NOTHING_ELSE,
    "-write_xing", "0", "-id3v2_version", "0", "-write_id3v1", "0", "-f", "mp3", "-y", "fd:",
)  # fmt: skip

MARKS = {b"\x1a\x45\xdf\xa3": "matroska", b"OggS": "ogg", b"fLaC": "flac", b"#!AM": "amr", b"caff": "caf", b"ID3": "mp3"}
"""How recordings begin, with ffmpeg's name for it."""


@dataclass(frozen=True)
class MadeVoice:
    """A clean voice: its bytes, and how long it is in milliseconds."""

    data: bytes
    duration: int


def make_voice(filming: Filming, data: bytes) -> MadeVoice | NotDecoded:
    """Make what every phone plays of a recording; what is beyond the longest is cut off. Raises what `make_sound` raises."""
    container = container_of(data)
    if container is None:
        return NotDecoded("unsupported")
    made = make_sound(filming, data, container=container, arguments=MP3, seconds=WORK_SECONDS, most=MOST_FRAMES * FRAME)
    if isinstance(made, NotDecoded):
        return made
    return MadeVoice(made, len(made) // FRAME * FRAME_MILLISECONDS) if is_clean(made) else NotDecoded("broken")


def container_of(data: bytes) -> str | None:
    """What a recording lies in, as its first bytes tell it; None for anything that is no recording."""
    head = data[:12]
    for mark, name in MARKS.items():
        if head.startswith(mark):
            return name
    if head[4:8] == b"ftyp":
        return "mov"
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return "wav"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "aac"
    return "mp3" if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 else None


def is_clean(data: bytes) -> bool:
    """Whether this is a voice as we make them and nothing else: frames of one kind, from the first byte to the last."""
    frames, rest = divmod(len(data), FRAME)
    return rest == 0 and 0 < frames <= MOST_FRAMES and all(data.startswith(HEADER, at) for at in range(0, len(data), FRAME))
