"""What time it is, as an argument: everything that decides about an end asks a clock, never the system.

A clock that was set back must revive nothing, so the time used for access never runs
backwards: it is the later of the system's time and the highest time seen so far.
The worker's sweep stores that highest time; every process starts from what is stored.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The time that decides about access: aware, in UTC, never running backwards."""
        ...

    def not_before(self, seen: datetime) -> None:
        """Take notice that it has been `seen` o'clock already, whatever the system says."""
        ...


class SystemClock:
    """The system's time, held up by the highest time seen or told and by the monotonic clock since then."""

    def __init__(self) -> None:
        # One tuple, so that no thread ever sees the time of one moment with the monotonic clock of another.
        self._floor = (datetime.min.replace(tzinfo=UTC), time.monotonic())

    def now(self) -> datetime:
        floor, since = self._floor
        elapsed = time.monotonic()
        now = max(datetime.now(UTC), floor + timedelta(seconds=elapsed - since))
        self._floor = (now, elapsed)
        return now

    def not_before(self, seen: datetime) -> None:
        if seen > self.now():
            self._floor = (seen, time.monotonic())


class HandClock:
    """A clock that stands still until it is told to move: for tests and for made-up families."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def not_before(self, seen: datetime) -> None:
        self._now = max(self._now, seen)

    def move(self, step: timedelta) -> None:
        self._now += step
