"""Files that mean harm, against the real processes: each is refused with a reason that we know, or something clean comes of it."""

import time
from collections.abc import Iterable

import pytest

from app.ingest.decoding import Decoded
from tests.corpus.hostile import Hostile, beginnings, cuts, hostile, polyglots
from tests.corpus.hostile_films import hostile_films
from tests.corpus.judge import SENTENCES, quick_faults
from tests.corpus.photos import encoded
from tests.corpus.taking import Taking, resident, taking

SECONDS = 60  # for one file: what a worker gives a photo
GROWTH = 64 << 20  # bytes that this process may have more at the end


def faults(taker: Taking, files: Iterable[Hostile]) -> list[str]:
    """What went wrong with which."""
    wrong = []
    for file in files:
        start = time.monotonic()
        answer, made = taker.take(file.data)
        if time.monotonic() - start > SECONDS:
            wrong.append(f"{file.name}: took {time.monotonic() - start:.0f} s")
        if isinstance(answer, Decoded):
            if file.refused:
                wrong.append(f"{file.name}: became a picture of {answer.width} x {answer.height}")
        elif answer.reason not in SENTENCES or answer.reason == "failed":
            wrong.append(f"{file.name}: refused as {answer.reason}")
        wrong += [
            f"{file.name}-{each.name}: {fault}" for each in made for fault in quick_faults(each.mime, each.data, file.canaries)
        ]
    return wrong


def test_pictures_that_are_something_else_as_well_and_mere_beginnings() -> None:
    with taking(stays=True) as taker:
        assert not faults(taker, polyglots())
        assert not faults(taker, [file for file in beginnings() if not file.name.startswith("noise")])


@pytest.mark.slow
def test_everything_hostile_and_the_next_photo_is_as_ever() -> None:
    files = hostile()
    assert len(files) >= 150 and len({file.name for file in files}) == len(files)
    before = resident()
    with taking() as taker:
        assert not faults(taker, files)
        assert isinstance(taker.take(encoded("JPEG"))[0], Decoded)
    assert resident() - before < GROWTH


@pytest.mark.slow
def test_every_format_cut_at_every_kilobyte() -> None:
    with taking(stays=True) as taker:
        assert not faults(taker, cuts())


@pytest.mark.slow
def test_hostile_films() -> None:
    with taking() as taker:
        assert not faults(taker, hostile_films())
