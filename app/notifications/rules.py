"""When somebody is told something: pure decisions. Hours are those of the server's own time zone, which is the family's."""

from collections.abc import Iterable
from datetime import datetime, time, timedelta

GATHERED = timedelta(minutes=5)
"""What happens to one member within so long is told in one mail."""

SETTLED = timedelta(minutes=3)
"""So long nothing new must have come before guests are told of it, so that nobody hears of the first three photos of a hundred."""

DIGEST_EVERY = timedelta(days=1)
WORTH_TELLING = timedelta(days=1)
"""What nobody could be told for so long is on the activity page, and that is enough."""

SOON = timedelta(days=3)
"""How long before it ends a member is reminded."""

ATTEMPTS = 6
PUSH_FAILURES = 20
"""A browser that can't be told so often is not there any more."""

KEPT = timedelta(days=90)


def awake(at: datetime, quiet: tuple[int, int]) -> datetime:
    """The same moment, or within the quiet hours (from, to) their end. Two equal hours: it is never quiet."""
    first, last = quiet
    here = at.astimezone()
    if not (first <= here.hour < last if first <= last else here.hour >= first or here.hour < last):
        return at
    end = datetime.combine(here.date() + timedelta(days=1 if here.hour >= last else 0), time(last)).astimezone()
    return end.astimezone(at.tzinfo)


def due_at(*, at: datetime, urgent: bool, quiet: tuple[int, int]) -> datetime:
    """When a member is told: somebody who stands before a closed door can't wait, day or night."""
    return at if urgent else awake(at + GATHERED, quiet)


def again_at(*, attempts: int, at: datetime, quiet: tuple[int, int]) -> datetime | None:
    """When to try once more after so many tries that failed: 1, 5, 25 minutes, 2 hours, 10 hours; then never (None)."""
    return awake(at + timedelta(minutes=5 ** (attempts - 1)), quiet) if attempts < ATTEMPTS else None


def new_since(*, told: Iterable[datetime | None], given_at: datetime) -> datetime | None:
    """From when on photos of an album are news to a guest who was told of it, or was there, at these times. None: the album itself was
    given to them since."""
    last = max((each for each in told if each is not None), default=None)
    return None if last is None or given_at > last else last


def ends_soon(*, given_at: datetime, expires_at: datetime, reminded_at: datetime | None, at: datetime) -> bool:
    """Whether it is time to say that somebody's time is nearly over: once for each end, and not where it was short from the beginning."""
    since = expires_at - SOON
    return since <= at < expires_at and given_at < since and (reminded_at is None or reminded_at < since)
