"""When a sign-in lasts and when tries are too many: pure decisions."""

from datetime import datetime, timedelta

STAY = timedelta(days=60)
"""How long "stay signed in" keeps a browser signed in."""

VISIT = timedelta(hours=24)
"""How long a browser stays signed in otherwise, if it is not closed before."""

SET_UP_LASTS = timedelta(days=7)
RESET_LASTS = timedelta(hours=24)
BROWSER_KNOWN = timedelta(days=365)

SAME_TAP = timedelta(minutes=10)
"""The same form sent again within this time is a second tap on the same button."""

TRIES_FROM_KNOWN_BROWSER = 10
TRIES_PER_ACCOUNT = 10
TRIES_PER_ADDRESS = 30
WINDOW = timedelta(minutes=15)
"""So many failed sign-ins are listened to in this time: of a browser that signed in before, else of an account and of an address."""


def again_at(nth_last_failure: datetime | None) -> datetime | None:
    """When the next try will be listened to, given the failure that filled the bucket; None when it is not full."""
    return None if nth_last_failure is None else nth_last_failure + WINDOW


CONFIRMED_FOR = timedelta(minutes=15)


def confirmed(confirmed_at: datetime, at: datetime) -> bool:
    """Whether the password was typed so lately that it need not be asked again."""
    return at - confirmed_at < CONFIRMED_FOR
