"""Whoever is slow holds a few places, and never all of them."""

from contextlib import ExitStack

import pytest
from werkzeug.exceptions import ServiceUnavailable

from app.web.places import SharedPlaces


def test_nobody_has_more_than_a_few_and_all_together_half() -> None:
    places = SharedPlaces(12)
    with ExitStack() as held:
        for _ in range(SharedPlaces.MOST):
            held.enter_context(places.take("anna"))
        with pytest.raises(ServiceUnavailable), places.take("anna"):
            pass
        for _ in range(2):
            held.enter_context(places.take("tom"))
        with pytest.raises(ServiceUnavailable), places.take("ida"):
            pass
    with ExitStack() as held:  # all of them are free again
        for whose in ("anna", "anna", "tom", "tom", "ida", "ida"):
            held.enter_context(places.take(whose))
