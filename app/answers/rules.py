"""How much a guest can say: pure decisions."""

from datetime import datetime, timedelta

LONGEST_NOTE = 500
"""Characters."""

MOST_AN_HOUR = 30
"""Notes and voices of one guest, also those that they have deleted since."""

HOUR = timedelta(hours=1)

MOST_ATTEMPTS = 3
"""A recording whose preparation killed the worker so often is refused."""


def again_at(nth_last: datetime | None) -> datetime | None:
    """When a guest may say something again who said the most of an hour since then; None for now."""
    return None if nth_last is None else nth_last + HOUR
