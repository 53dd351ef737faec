"""What a browser plays of a film, our whole way (memory, walls, progress, proof), against bare ffmpeg with the same settings."""

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio_ffmpeg

from app.ingest.decoder.ffmpeg import NICENESS
from app.ingest.decoding import Decoder
from app.ingest.filming import MP4, NOTHING_ELSE, SOUND, THREADS, Filming, Source, _memory, _Work, _write, to_play, understand
from tests.bench.measure import Line, Options, compare

FILM = "testsrc2=size=1920x1080:rate=30:duration={seconds}"


def run(options: Options) -> Iterator[Line]:
    """The same seconds of film, in turns: CPU seconds of us and of whatever we start."""
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder, "film.mp4")
        source = ["-f", "lavfi", "-i", FILM.format(seconds=4 if options.quick else 12), "-f", "lavfi", "-i", "sine", "-shortest"]
        subprocess.run(
            [ffmpeg, "-loglevel", "error", *source, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", film],
            check=True,
        )
        said = subprocess.run([ffmpeg, "-hide_banner", "-i", film], capture_output=True, text=True, check=False).stderr
        known = understand(said)
        if known is None:
            raise RuntimeError("ffmpeg does not know its own film")
        decoder = Decoder()
        play = Play(film, known, Filming(decoder))
        ours, bare = [], []
        for _ in range(3 if options.quick else 7):
            ours.append(taken(play.ours))
            bare.append(taken(lambda: play.bare(ffmpeg, Path(folder, "play.mp4"))))
        decoder.close()
        yield compare("films: what is played of 1080p, of bare ffmpeg's time", ours, bare, at_most=1.05)


class Play:
    """The same film by both ways."""

    def __init__(self, film: Path, source: Source, filming: Filming) -> None:
        self._film, self._source, self._filming = film, source, filming

    def ours(self) -> None:
        """As the worker does it: read into memory, made behind walls, proven."""
        work = _Work(self._filming, "bench", lambda _: None, lambda _: None)
        with _memory() as film, _memory() as out:
            _write(film, self._film.read_bytes())
            work._film(film, "mov", self._source, to_play(self._source), out, counts=True)

    def bare(self, ffmpeg: str, out: Path) -> None:
        made = [*to_play(self._source), "-map", "0:a:0", *SOUND, *NOTHING_ELSE, "-threads", str(THREADS), *MP4[:-1], str(out)]
        given = ["-threads", str(THREADS), "-f", "mov", "-i", str(self._film)]
        subprocess.run(
            [ffmpeg, "-loglevel", "error", "-nostdin", *given, *made], check=True, preexec_fn=lambda: os.nice(NICENESS)
        )


def taken(call: Callable[[], object]) -> float:
    before = used()
    call()
    return used() - before


def used() -> float:
    """CPU seconds of this process, and of those that it has started and that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
