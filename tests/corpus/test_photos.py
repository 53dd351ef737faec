"""Every format that a family has, full of canaries: the picture comes through, and nothing else."""

import base64
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.ingest.decoder.limits import REMOVED
from app.ingest.decoding import Decoded, Decoder
from tests.corpus.canaries import Canaries
from tests.corpus.deliveries import as_shown, corners, decode, far_off
from tests.corpus.judge import Judge, quick_faults
from tests.corpus.photos import Sample, photos, put_in, segment

SAMPLES = [pytest.param(sample, id=sample.name) for sample in photos()]


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    made = Decoder()
    yield made
    made.close()


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_picture_comes_through_and_nothing_else(decoder: Decoder, sample: Sample) -> None:
    photo = decode(decoder, sample.data)
    assert isinstance(photo, Decoded), photo
    assert (photo.width, photo.height) == sample.size
    for made in photo.renditions:
        assert not quick_faults(made.mime, made.data, sample.canaries), made.name
        if sample.corners:
            assert far_off(corners(as_shown(made.data)), sample.corners) <= 6, made.name
    assert set(photo.removed) <= set(REMOVED)
    assert not sample.canaries.found_in(repr((photo.removed, photo.thumbhash)).encode())


def test_exiftool_finds_nothing_either(decoder: Decoder, tmp_path: Path) -> None:
    judge = Judge(tmp_path)
    for sample in photos():
        photo = decode(decoder, sample.data)
        for made in photo.renditions if isinstance(photo, Decoded) else ():
            judge.look(f"{sample.name}-{made.name}", made.mime, made.data, Canaries("none"))
    assert not [fault for fault in judge.verdict() if "exiftool" in fault]


def test_what_is_told_as_taken_out_is_what_was_in_it(decoder: Decoder) -> None:
    told = decode(decoder, next(sample.data for sample in photos() if sample.name == "jpeg-baseline.jpg"))
    assert isinstance(told, Decoded)
    assert {"place", "time", "device", "owner", "description", "thumbnail", "history", "other"} <= set(told.removed)


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_samples_know_what_they_should(sample: Sample) -> None:
    """A canary that no writer took would prove nothing."""
    hidden = sample.name.startswith(("jpeg-spare", "jpeg-table", "jpeg-after", "jpeg-extra", "jpeg-between", "bmp"))
    assert len(sample.canaries.words) >= (1 if hidden else 15)
    assert sample.canaries.found_in(sample.data)


@pytest.mark.parametrize("sample", [each for each in SAMPLES if each.id in ("jpeg-baseline.jpg", "png.png")])
def test_the_judge_objects_to_the_samples_themselves(sample: Sample, tmp_path: Path) -> None:
    mime = "image/png" if sample.name.endswith("png") else "image/jpeg"
    judge = Judge(tmp_path)
    judge.look("dirty", mime, sample.data, sample.canaries)
    verdict = judge.verdict()
    assert any("segment" in fault or "chunk" in fault for fault in verdict)
    assert any("says" in fault for fault in verdict)
    assert any("exiftool" in fault for fault in verdict)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_the_judge_finds_a_word_in_any_encoding_and_depth(decoder: Decoder, encoding: str) -> None:
    canaries = Canaries("judge")
    word = canaries.accented().encode(encoding)
    for form in (
        word,
        zlib.compress(word * 4),
        base64.b64encode(b"x" + word + b"yz"),
        b"{" + base64.b64encode(word + b"---") + b"}",
    ):
        assert canaries.found_in(b"ab" + form + b"cd") == canaries.words
    clean = decode(decoder, photos()[0].data)
    assert isinstance(clean, Decoded)
    assert not quick_faults("image/jpeg", clean.renditions[0].data, canaries)
    assert quick_faults("image/jpeg", put_in(clean.renditions[0].data, segment(0xFE, b"x")), canaries)
