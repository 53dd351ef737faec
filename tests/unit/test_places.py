"""Whoever is slow holds a few places, and never all of them."""

from collections.abc import Generator
from contextlib import ExitStack

import pytest
from werkzeug.exceptions import ServiceUnavailable

from app.web.places import Places


def test_nobody_has_more_than_a_few_and_all_together_half() -> None:
    places = Places(12)
    with ExitStack() as held:
        for _ in range(Places.MOST):
            held.enter_context(places.held("anna"))
        with pytest.raises(ServiceUnavailable), places.held("anna"):
            pass
        for _ in range(2):
            held.enter_context(places.held("tom"))
        with pytest.raises(ServiceUnavailable), places.held("ida"):
            pass
    with ExitStack() as held:  # all of them are free again
        for whose in ("anna", "anna", "tom", "tom", "ida", "ida"):
            held.enter_context(places.held(whose))


def test_a_long_answer_has_its_place_until_nobody_reads_it_any_more() -> None:
    def answer() -> Generator[bytes, None, None]:
        yield b"long"

    places = Places(32)
    reading = [places.sent(answer(), "rose") for _ in range(Places.MOST)]
    with pytest.raises(ServiceUnavailable):
        places.sent(answer(), "rose")
    assert next(places.sent(answer(), "june")) == b"long", "the others have theirs"
    next(reading[0])
    reading.pop(0)  # read to some place
    reading.pop(0)  # never begun
    reading += [places.sent(answer(), "rose") for _ in range(2)]
    with pytest.raises(ServiceUnavailable):
        places.sent(answer(), "rose")
