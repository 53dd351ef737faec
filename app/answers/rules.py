"""How much a guest can say."""

from datetime import timedelta

LONGEST_NOTE = 500
"""Characters."""

MOST_AN_HOUR = 30
"""Notes and voices of one guest, also those that they have deleted since."""

HOUR = timedelta(hours=1)

MOST_ATTEMPTS = 3
"""A recording whose preparation killed the worker so often is refused."""
