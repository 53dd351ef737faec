"""Tidying storage."""

import logging
import time
from collections.abc import Callable
from datetime import timedelta

from app.house import House
from app.media.service import claimed_objects

log = logging.getLogger("kinfold.media")

UNCLAIMED = timedelta(hours=24)
"""An object that no row has pointed to for so long was left by a process that died between writing it and saying so."""


class UnclaimedObjects:
    """A sweep: no object stays that no row points to.

    The time counts from when an object was first seen without a row, by the monotonic clock: neither a wrong clock nor an old file's date
    may make us remove what is just being written down. And when most objects have no row, it is the database that is wrong.
    """

    def __init__(self, house: House, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._house, self._monotonic = house, monotonic
        self._seen: dict[str, float] = {}

    def __call__(self) -> None:
        stored = {stored.name for stored in self._house.storage.list("albums/")}
        with self._house.database.reading() as session:
            claimed = claimed_objects(session)
        unclaimed, now = stored - claimed, self._monotonic()
        if len(unclaimed) > 100 + len(stored) / 2:
            log.error(
                "%d of %d stored objects belong to no photo: is this the right database? Nothing is removed",
                len(unclaimed),
                len(stored),
            )
            return
        self._seen = {name: self._seen.get(name, now) for name in unclaimed}
        self._house.storage.delete(*(name for name, since in self._seen.items() if now - since > UNCLAIMED.total_seconds()))
