"""Pure decisions about time: what is live, what has ended, what is too often."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.accounts import rules as accounts
from app.errors import Refused
from app.ingest import rules as ingest
from app.sharing import rules as sharing
from app.sharing.rules import GrantState, LinkState, Sight

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
EARLIER, LATER, MOMENT = NOW - timedelta(days=1), NOW + timedelta(days=1), timedelta(microseconds=1)
LINK: dict[str, Any] = {"expires_at": LATER, "revoked_at": None, "replaced_at": None, "ended_at": None, "used": 0, "places": 3}


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({}, LinkState.LIVE),
        ({"used": 2}, LinkState.LIVE),
        ({"used": 3}, LinkState.FULL),
        ({"used": 4}, LinkState.FULL),
        ({"expires_at": NOW + MOMENT}, LinkState.LIVE),
        ({"expires_at": NOW}, LinkState.EXPIRED),
        ({"expires_at": NOW, "used": 3}, LinkState.EXPIRED),
        ({"ended_at": LATER}, LinkState.EXPIRED),
        ({"replaced_at": EARLIER}, LinkState.REPLACED),
        ({"replaced_at": EARLIER, "expires_at": EARLIER}, LinkState.REPLACED),
        ({"revoked_at": EARLIER}, LinkState.REVOKED),
        ({"revoked_at": EARLIER, "replaced_at": EARLIER, "expires_at": EARLIER}, LinkState.REVOKED),
    ],
)
def test_a_link_ended_by_hand_stays_ended_whatever_its_date_says(facts: dict[str, Any], state: LinkState) -> None:
    assert sharing.link_state(**(LINK | facts), at=NOW) is state


@pytest.mark.parametrize(
    ("expires_at", "ended_at", "by_hand", "state"),
    [
        (LATER, None, False, GrantState.LIVE),
        (NOW + MOMENT, None, False, GrantState.LIVE),
        (NOW, None, False, GrantState.EXPIRED),
        (EARLIER, None, False, GrantState.EXPIRED),
        (LATER, EARLIER, False, GrantState.EXPIRED),
        (LATER, EARLIER, True, GrantState.ENDED),
        (EARLIER, EARLIER, True, GrantState.ENDED),
    ],
)
def test_a_grant_that_was_closed_stays_closed(
    expires_at: datetime, ended_at: datetime | None, by_hand: bool, state: GrantState
) -> None:
    assert sharing.grant_state(expires_at=expires_at, ended_at=ended_at, ended_by_hand=by_hand, at=NOW) is state


@pytest.mark.parametrize(
    ("grants", "sight"),
    [
        ([], Sight.NOTHING),
        ([(GrantState.ENDED, NOW)], Sight.NOTHING),
        ([(GrantState.EXPIRED, NOW)], Sight.CLOSED),
        ([(GrantState.ENDED, NOW - DAY), (GrantState.EXPIRED, NOW)], Sight.CLOSED),
        ([(GrantState.ENDED, NOW), (GrantState.EXPIRED, NOW - DAY)], Sight.NOTHING),
        ([(GrantState.ENDED, NOW), (GrantState.EXPIRED, NOW), (GrantState.LIVE, NOW + DAY)], Sight.ALBUMS),
    ],
)
def test_only_time_that_ran_out_is_told(grants: list[tuple[GrantState, datetime]], sight: Sight) -> None:
    assert sharing.sight(grants) is sight


@pytest.mark.parametrize(
    ("expires_at", "unused_after", "ended_at", "live"),
    [
        (LATER, LATER, None, True),
        (LATER, LATER, NOW, False),
        (NOW, LATER, None, False),
        (LATER, NOW, None, False),
        (NOW + MOMENT, NOW + MOMENT, None, True),
    ],
)
def test_a_device_ends_when_removed_unused_or_a_year_old(
    expires_at: datetime, unused_after: datetime, ended_at: datetime | None, live: bool
) -> None:
    assert sharing.device_live(expires_at=expires_at, unused_after=unused_after, ended_at=ended_at, at=NOW) is live


@pytest.mark.parametrize(
    ("days", "date", "max_days", "end"),
    [
        (None, None, 365, NOW + timedelta(days=30)),
        (None, None, 14, NOW + timedelta(days=14)),
        (7, None, 365, NOW + timedelta(days=7)),
        (365, None, 365, NOW + timedelta(days=365)),
        (7, "2026-12-24T18:00:00+00:00", 365, datetime(2026, 12, 24, 18, tzinfo=UTC)),
        (None, "2026-12-24", 365, datetime(2026, 12, 24, 23, 59, 59).astimezone()),
        (None, "2026-11-22", 365, datetime(2026, 11, 22, 23, 59, 59).astimezone()),
        (366, None, 365, "date-too-far"),
        (8, None, 7, "date-too-far"),
        (0, None, 365, "date-past"),
        (None, "2026-11-20", 365, "date-past"),
        (None, "2027-11-30", 365, "date-too-far"),
        (None, "tomorrow", 365, "date-wrong"),
        (None, "2026-02-30", 365, "date-wrong"),
        (None, "9999-12-31", 365, "date-too-far"),
    ],
)
def test_an_end_is_a_number_of_days_or_a_day(days: int | None, date: str | None, max_days: int, end: datetime | str) -> None:
    if isinstance(end, datetime):
        assert sharing.until(days=days, date=date, at=NOW, max_days=max_days) == end
        return
    with pytest.raises(Refused) as told:
        sharing.until(days=days, date=date, at=NOW, max_days=max_days)
    assert told.value.reason == end


@pytest.mark.parametrize(
    ("left", "days", "more"),
    [
        (timedelta(days=5), 30, timedelta(days=35)),
        (timedelta(days=-50), 30, timedelta(days=30)),
        (timedelta(days=350), 30, timedelta(days=365)),
    ],
)
def test_more_time_is_added_to_what_is_left_up_to_the_maximum(left: timedelta, days: int, more: timedelta) -> None:
    assert sharing.extended(expires_at=NOW + left, days=days, at=NOW, max_days=365) == NOW + more


def test_members_are_told_of_a_link_that_was_passed_on_four_times_a_day() -> None:
    told: list[datetime] = []
    for minute in range(2 * 24 * 60):
        at = NOW + timedelta(minutes=minute)
        if sharing.told_again([each for each in told if each > at - sharing.TOLD_WITHIN], at=at):
            told.append(at)
    assert [(at - NOW) // timedelta(minutes=1) for at in told] == [0, 10, 70, 430, 1440, 1510, 1870, 2230]


def test_a_full_bucket_empties_a_quarter_of_an_hour_after_the_try_that_filled_it() -> None:
    assert accounts.again_at(None) is None
    assert accounts.again_at(NOW) == NOW + timedelta(minutes=15)


def test_a_password_is_good_for_a_quarter_of_an_hour() -> None:
    assert accounts.confirmed(NOW - timedelta(minutes=15) + MOMENT, NOW)
    assert not accounts.confirmed(NOW - timedelta(minutes=15), NOW)


def test_a_file_is_kept_a_week_only_when_trying_again_could_help() -> None:
    assert ingest.keep_until("too-slow", NOW) == NOW + timedelta(days=7)
    assert ingest.keep_until("not-a-picture", NOW) is None


def test_a_photo_that_killed_its_worker_three_times_is_given_up() -> None:
    assert [ingest.out_of_attempts(attempts) for attempts in range(5)] == [False, False, False, True, True]
