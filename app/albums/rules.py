"""When two requests are one wish: pure decisions."""

from datetime import timedelta

SECOND_TAP = timedelta(seconds=10)
"""The same thing asked for by the same member within this time is a second tap on a slow line, not a second wish."""
