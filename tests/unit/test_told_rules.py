"""When somebody is told something."""

from datetime import UTC, datetime, timedelta

import pytest

from app.notifications import rules

AT = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def here(hour: int, minute: int = 0) -> datetime:
    """A time by the family's clock."""
    return datetime(2026, 11, 27, hour, minute).astimezone().astimezone(UTC)


@pytest.mark.parametrize(
    ("quiet", "at", "until"),
    [
        ((21, 8), here(20, 59), here(20, 59)),
        ((21, 8), here(21), here(8) + DAY),
        ((21, 8), here(3, 30), here(8)),
        ((21, 8), here(8), here(8)),
        ((1, 6), here(0, 59), here(0, 59)),
        ((1, 6), here(1), here(6)),
        ((1, 6), here(6), here(6)),
        ((0, 0), here(3), here(3)),
        ((8, 8), here(8), here(8)),
        ((22, 0), here(23), here(0) + DAY),
    ],
)
def test_nobody_is_told_in_quiet_hours(quiet: tuple[int, int], at: datetime, until: datetime) -> None:
    assert rules.awake(at, quiet) == until


def test_what_can_wait_waits_a_little_and_what_can_not_does_not() -> None:
    assert rules.due_at(at=here(12), urgent=False, quiet=(21, 8)) == here(12) + rules.GATHERED
    assert rules.due_at(at=here(23), urgent=False, quiet=(21, 8)) == here(8) + DAY
    assert rules.due_at(at=here(23), urgent=True, quiet=(21, 8)) == here(23)


def test_it_is_tried_again_after_longer_and_longer_and_then_never() -> None:
    waits = [rules.again_at(attempts=tries, at=AT, quiet=(0, 0)) for tries in range(1, rules.ATTEMPTS + 1)]
    minutes = [(each - AT) / MINUTE if each else None for each in waits]
    assert minutes == [1, 5, 25, 125, 625, None]


def test_what_is_new_counts_from_when_they_were_told_last_or_were_there() -> None:
    given = AT - 9 * DAY
    assert rules.new_since(told=(None, None), given_at=given) is None, "everything in it is new"
    assert rules.new_since(told=(AT - 2 * DAY, None, AT - DAY), given_at=given) == AT - DAY
    assert rules.new_since(told=(AT - DAY,), given_at=AT - HOUR) is None, "the album itself is new"
    assert rules.new_since(told=(AT,), given_at=AT) == AT


@pytest.mark.parametrize(
    ("given", "expires", "reminded", "soon"),
    [
        (AT - 9 * DAY, AT + 3 * DAY + MINUTE, None, False),
        (AT - 9 * DAY, AT + 3 * DAY, None, True),
        (AT - 9 * DAY, AT + MINUTE, None, True),
        (AT - 9 * DAY, AT, None, False),
        (AT - 9 * DAY, AT + 2 * DAY, AT - DAY, False),
        (AT - 90 * DAY, AT + 2 * DAY, AT - 30 * DAY, True),
        (AT - DAY, AT + 2 * DAY, None, False),
    ],
)
def test_a_member_is_reminded_three_days_before_an_end_and_once_for_each(
    given: datetime, expires: datetime, reminded: datetime | None, soon: bool
) -> None:
    assert rules.ends_soon(given_at=given, expires_at=expires, reminded_at=reminded, at=AT) is soon
