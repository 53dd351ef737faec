"""Files that mean harm, against the real decoder process: each is refused with a reason that we know, or a clean picture comes of it."""

import gc
import os
import time
from collections.abc import Iterable, Iterator

import pytest

from app.ingest.decoding import Decoded, Decoder, NotDecoded
from tests.corpus.deliveries import decode
from tests.corpus.hostile import Hostile, beginnings, cuts, hostile, polyglots
from tests.corpus.judge import SENTENCES, quick_faults
from tests.corpus.photos import encoded

SECONDS = 20  # for one file; a machine that does other things as well is no reason to fail
GROWTH = 64 << 20  # bytes that this process may have more at the end


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    made = Decoder()
    yield made
    made.close()


def resident() -> int:
    """Bytes of memory that this process has in use."""
    gc.collect()
    with open("/proc/self/statm") as told:
        return int(told.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def faults(decoder: Decoder, files: Iterable[Hostile]) -> list[str]:
    """What went wrong with which."""
    wrong = []
    for file in files:
        start = time.monotonic()
        answer = decode(decoder, file.data)
        if time.monotonic() - start > SECONDS:
            wrong.append(f"{file.name}: took {time.monotonic() - start:.0f} s")
        if isinstance(answer, NotDecoded):
            if answer.reason not in SENTENCES or answer.reason == "failed":
                wrong.append(f"{file.name}: refused as {answer.reason}")
            continue
        if file.refused:
            wrong.append(f"{file.name}: became a picture of {answer.width} x {answer.height}")
        wrong += [
            f"{file.name}-{made.name}: {fault}"
            for made in answer.renditions
            for fault in quick_faults(made.mime, made.data, file.canaries)
        ]
    return wrong


def test_pictures_that_are_something_else_as_well_and_mere_beginnings(decoder: Decoder) -> None:
    assert not faults(decoder, polyglots())
    assert not faults(decoder, [file for file in beginnings() if not file.name.startswith("noise")])


@pytest.mark.slow
def test_everything_hostile_and_the_next_photo_is_as_ever(decoder: Decoder) -> None:
    files = hostile()
    assert len(files) >= 150 and len({file.name for file in files}) == len(files)
    before = resident()
    assert not faults(decoder, files)
    assert isinstance(decode(decoder, encoded("JPEG")), Decoded)
    assert resident() - before < GROWTH


@pytest.mark.slow
def test_every_format_cut_at_every_kilobyte(decoder: Decoder) -> None:
    assert not faults(decoder, cuts())
