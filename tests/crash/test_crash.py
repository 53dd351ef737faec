"""`make crash` in small: every part of it, in a minute."""

import random

import pytest

from tests.crash.harness import PLACES, ingest, server_on
from tests.crash.judge import judge
from tests.crash.roll import CANARY, NAME, File, roll

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
    assert story.killed.total() == KILLS


def test_the_judge_sees_what_is_wrong() -> None:
    chance = random.Random(2027)
    files = [File(f"{NAME}-{number}.png", file.data, file.reason, file.colours) for number, file in enumerate(roll(9, chance))]
    with server_on("sqlite") as server:
        anna, story = ingest(server, files, kills=0, pace=1.0, chance=chance, say=print)
        one, other = [file.name for file in files if file.reason is None][:2]
        told = story.acknowledged
        told[one], told[other] = told[other], told[one]
        told["nobody.jpg"] = "a-photo-that-is-not-there"
        (server.temporary / "spool").write_bytes(b"what a phone wrote: " + CANARY)
        (removed, *_) = (path for path in (server.folder / "var/photos/albums").rglob("*") if path.is_file())
        removed.unlink()
        wrong, _ = judge(server, anna, [*files, File("nobody.jpg", b"no picture", "not-a-picture")], story)
    for what in (
        "nobody.jpg was acknowledged and is gone",
        f"{one}: what is delivered is another picture, or none (200)",
        "lies in the clear in tmp/spool",
        "1 objects are missing",
    ):
        assert any(what in each for each in wrong), (what, wrong)
