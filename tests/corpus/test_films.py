"""Films of every kind, full of canaries: the pictures move, and nothing else comes through."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import pytest
from PIL import Image

from app.ingest.decoding import Decoded
from tests.corpus.deliveries import as_shown, corners, far_off
from tests.corpus.films import films
from tests.corpus.judge import Judge, quick_faults
from tests.corpus.photos import Sample
from tests.corpus.taking import Taking, taking

pytestmark = pytest.mark.slow

SAMPLES = [pytest.param(n, id=name) for n, name in enumerate((
    "h264.mp4", "fast-start.mp4", "fragments.mp4", "silent.mp4", "hevc.mp4", "av1.mp4", "vp9.mp4", "h264.mov", "hevc.mov", "turned.mov",
    "timecode.mov", "h264.m4v", "mpeg4.3gp", "vp8.webm", "vp9.webm", "av1.webm", "h264.mkv", "mjpeg.avi", "h264.mts", "hevc.mkv",
))]  # fmt: skip
"""In the order of `films()`, which is made only when these tests run."""


@pytest.fixture(scope="module")
def taker() -> Iterator[Taking]:
    with taking() as made:
        yield made


def sample_of(request_id: str, n: int) -> Sample:
    sample = films()[n]
    assert f"[{sample.name}]" in request_id, "the list above and films() are in the same order"
    return sample


@pytest.mark.parametrize("n", SAMPLES)
def test_the_film_comes_through_and_nothing_else(taker: Taking, n: int, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    sample = sample_of(request.node.name, n)
    answer, made = taker.take(sample.data)
    assert isinstance(answer, Decoded), answer
    assert sorted(each.name for each in made) == ["full", "grid", "play", "screen"]
    judge = Judge(tmp_path / "delivered")
    for each in made:
        judge.look(each.name, each.mime, each.data, sample.canaries)
        shown = as_shown(each.data) if each.mime == "image/jpeg" else first_picture(each.data, tmp_path)
        assert shown.size == (each.width, each.height) == sample.size, each.name
        if sample.corners:
            assert far_off(corners(shown, 0.2), sample.corners) <= 20, each.name
    verdict = judge.verdict()
    assert not verdict, "\n".join(verdict)


def first_picture(film: bytes, folder: Path) -> Image.Image:
    """The first picture of a delivered film, turned as players turn it."""
    (folder / "film.mp4").write_bytes(film)
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-y",
        "-i",
        "film.mp4",
        "-frames:v",
        "1",
        "-f",
        "image2",
        "first.png",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return Image.open(folder / "first.png").convert("RGB")


@pytest.mark.parametrize("n", SAMPLES)
def test_the_films_know_what_they_should(n: int, request: pytest.FixtureRequest) -> None:
    sample = sample_of(request.node.name, n)
    assert len(sample.canaries.words) >= (2 if sample.name.endswith((".avi", ".mts")) else 30)
    assert quick_faults("video/mp4", sample.data, sample.canaries), "the judge objects to the film itself"
