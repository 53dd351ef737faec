"""When links, grants and devices are good: pure decisions over facts and a time.

`app/viewing/media.py` decides the same about photo bytes in one SQL statement; a test holds the two against each other.
"""

import math
import unicodedata
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from enum import StrEnum

from app.errors import Refused

DAYS = (7, 30, 90)
DEFAULT_DAYS = 30
CARD_DAYS = 30
"""How long the words of a card are good for, at most."""

NEW_PHONE_WAITS = timedelta(hours=24)
NEW_PHONES_AT_ONCE = 3
NEW_PHONES_IN_ALL = 9
"""Browsers that may wait before one link: from one network, and from everywhere, so that no stranger takes all the places."""

GIVES_WAY = timedelta(minutes=10)
"""Who has waited for so long makes room for another when all places are taken."""

NUMBERS = range(10, 100)
"""What a phone that waits may be called by: two digits."""

TOLD_WITHIN = timedelta(days=1)
TOLD_AGAIN = timedelta(minutes=10)
"""After so long a member is told once more that a new phone asks, however many ask meanwhile; each time within a day after six times as
long as before. Whoever holds a link that was passed on can't keep anybody awake."""

ENDS_SOON = timedelta(days=3)
"""So long before its end a guest is reminded."""

SAME_TAP = timedelta(minutes=10)
"""The same form sent again within this time is a second tap on the same button."""

DEVICE_UNUSED = timedelta(days=90)
DEVICE_LASTS = timedelta(days=365)

VISIT = timedelta(hours=1)
"""A guest who comes back to an album after that long begins another visit."""
MAIL_LINK_LASTS = timedelta(days=7)
MAIL_LINK_KEPT = timedelta(days=90)
"""A link in a mail is good for so long, and still leads a phone that is let in already to its photos for so long."""

FORGOTTEN_AFTER = timedelta(days=90)
"""How long a person's name is kept when nothing is shared with them any more."""


class LinkState(StrEnum):
    """What a link is good for just now."""

    LIVE = "live"
    FULL = "full"
    EXPIRED = "expired"
    REPLACED = "replaced"
    REVOKED = "revoked"


class GrantState(StrEnum):
    """Whether a guest may see an album just now, and if not, why."""

    LIVE = "live"
    EXPIRED = "expired"
    ENDED = "ended"


class MoreTime(StrEnum):
    """Whether a guest whose time has run out may ask for more, and what became of it."""

    MAY_ASK = "may-ask"
    ASKED = "asked"
    REFUSED = "refused"
    NEVER = "never"


class Sight(StrEnum):
    """What a known device gets to see when it asks for what was shared with it."""

    ALBUMS = "albums"
    CLOSED = "closed"
    NOTHING = "nothing"


def folded(name: str) -> str:
    """A name as names are compared: Zoe finds ZOË."""
    return "".join(each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each)).casefold()


def link_state(
    *,
    expires_at: datetime,
    revoked_at: datetime | None,
    replaced_at: datetime | None,
    ended_at: datetime | None,
    used: int,
    places: int,
    at: datetime,
) -> LinkState:
    """A link ended by a member stays ended whatever its date says."""
    if revoked_at is not None:
        return LinkState.REVOKED
    if replaced_at is not None:
        return LinkState.REPLACED
    if ended_at is not None or at >= expires_at:
        return LinkState.EXPIRED
    return LinkState.FULL if used >= places else LinkState.LIVE


def grant_state(*, expires_at: datetime, ended_at: datetime | None, ended_by_hand: bool, at: datetime) -> GrantState:
    """A grant that the sweep has closed stays closed, even when the clock goes back behind its date."""
    if ended_by_hand:
        return GrantState.ENDED
    return GrantState.EXPIRED if ended_at is not None or at >= expires_at else GrantState.LIVE


def more_time(*, asked_at: datetime | None, declined_at: datetime | None) -> MoreTime:
    """A guest asks once, until they get more time. A plain no (both moments are there) is over with that, "don't ask again" (only the
    second is) never."""
    if declined_at is not None:
        return MoreTime.REFUSED if asked_at is not None else MoreTime.NEVER
    return MoreTime.ASKED if asked_at is not None else MoreTime.MAY_ASK


def told_again(told: Sequence[datetime], *, at: datetime) -> bool:
    """Whether a member who was told at these times within a day that a new phone asks is told once more."""
    return not told or at - max(told) >= TOLD_AGAIN * 6 ** (len(told) - 1)


def days_left(*, expires_at: datetime, at: datetime) -> int | None:
    """How many days there still are, begun ones counted, for whoever is to be reminded; None while that is not soon."""
    left = expires_at - at
    return math.ceil(left / timedelta(days=1)) if left <= ENDS_SOON else None


def sight(grants: Sequence[tuple[GrantState, datetime]]) -> Sight:
    """With nothing left (states with their ends), a guest whose time simply ran out is told so; one whose last album was ended by hand is
    told nothing."""
    if any(state is GrantState.LIVE for state, _ in grants):
        return Sight.ALBUMS
    last = max(grants, key=lambda grant: grant[1], default=None)
    return Sight.CLOSED if last is not None and last[0] is GrantState.EXPIRED else Sight.NOTHING


def device_live(*, expires_at: datetime, unused_after: datetime, ended_at: datetime | None, at: datetime) -> bool:
    """A device ends when it is removed, when nobody has used it for long, and in any case after a year."""
    return ended_at is None and at < expires_at and at < unused_after


def new_since(*, visited_at: datetime | None, new_since: datetime | None, at: datetime) -> datetime | None:
    """Since when photos are new to a guest who looks at an album now: since the last visit if another begins, else still since the one
    before. None on the first visit, when everything would be."""
    return visited_at if visited_at is not None and at - visited_at >= VISIT else new_since


def forgotten_at(*, shared_at: datetime, ends: Sequence[datetime]) -> datetime:
    """When a person is forgotten, unless more is shared with them: counted from the end of the last album they see or saw, and from when
    somebody last shared with them or added them."""
    return max([shared_at, *ends]) + FORGOTTEN_AFTER


def whose(guests: Sequence[str], chosen: str) -> str:
    """Whose tap it was on a device of these guests: the one that the form names, or the only one there is. Raises `Refused` when it could
    be several, or is somebody else."""
    if chosen in guests:
        return chosen
    if chosen or len(guests) != 1:
        raise Refused("who-missing")
    return guests[0]


def usual_days(max_days: int) -> int:
    """What a person gets when nobody says anything else."""
    return min(DEFAULT_DAYS, max_days)


def until(*, days: int | None, date: str | None, at: datetime, max_days: int) -> datetime:
    """The end that a member asked for: a number of days from now, or a day (its end, on the family's clock), or an exact time.

    Raises `Refused` for an end that has passed (`date-past`), is beyond the instance's maximum (`date-too-far`) or is none (`date-wrong`).
    """
    end = at + timedelta(days=days if days is not None else usual_days(max_days)) if not date else _parse(date)
    if end <= at:
        raise Refused("date-past")
    if end > at + timedelta(days=max_days):
        raise Refused("date-too-far", days=max_days)
    return end


def extended(*, expires_at: datetime, days: int, at: datetime, max_days: int) -> datetime:
    """So many days more than there are now, up to the instance's maximum."""
    return min(max(expires_at, at) + timedelta(days=days), at + timedelta(days=max_days))


def _parse(text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text)
        if len(text) == len("2026-12-22"):
            parsed = datetime.combine(parsed.date(), time(23, 59, 59))
        return parsed.astimezone() if parsed.tzinfo is None else parsed
    except (ValueError, OverflowError):
        raise Refused("date-wrong") from None
