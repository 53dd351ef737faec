"""`make crash` in small: every part of it, in a minute."""

import random

import pytest

from tests.crash.harness import PLACES, ingest, server_on
from tests.crash.judge import judge
from tests.crash.roll import roll

pytestmark = pytest.mark.slow

KILLS, FILES = 12, 40


@pytest.mark.parametrize("where", PLACES)
def test_nothing_acknowledged_is_lost_and_nothing_is_left_behind(where: str) -> None:
    chance = random.Random(2026)
    files = roll(FILES, chance)
    with server_on(where) as server:
        anna, story = ingest(server, files, kills=KILLS, pace=2.0, chance=chance, say=print)
        wrong, _ = judge(server, anna, files, story)
    assert not wrong
    assert story.killed.total() == KILLS and len(story.killed) == 3
