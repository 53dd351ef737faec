"""Tidying storage."""

import logging
import time
import zlib
from collections.abc import Callable
from datetime import timedelta

from app.albums.service import open_album
from app.house import House
from app.media.models import Rendition
from app.media.service import claimed_objects, not_summed, note_checksum
from app.security.sealing import AlbumKey, SealBroken
from app.storage.port import ObjectMissing
from app.storage.sealed import Sealed, SealedKey

log = logging.getLogger("kinfold.media")

UNCLAIMED = timedelta(hours=24)
"""An object that no row has pointed to for so long was left by a process that died between writing it and saying so."""

SUMMING = 10.0
"""Seconds that one sweep spends on checksums at most."""

AT_ONCE = 100
"""Renditions that are looked up at once to be summed."""


class Checksums:
    """A sweep: every whole photo has its checksum, also those from before checksums were written down. Each is read once, for a few
    seconds a minute, so that the other sweeps have their turn. One that can't be read is passed over until the next round."""

    def __init__(self, house: House, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._house, self._monotonic = house, monotonic
        self._after = ""

    def __call__(self) -> None:
        end = self._monotonic() + SUMMING
        while self._monotonic() < end:
            with self._house.database.reading() as session:
                found = not_summed(session, after=self._after, limit=AT_ONCE)
            for rendition, album in found:
                if self._monotonic() >= end:
                    return
                self._after = rendition.photo_id
                self._sum(rendition, open_album(album, master=self._house.master).key)
            if len(found) < AT_ONCE:
                self._after = ""
                return

    def _sum(self, rendition: Rendition, key: AlbumKey) -> None:
        keys, crc32 = {rendition.object_name: SealedKey(rendition.wrapped_key, rendition.size)}, 0
        try:
            for piece in Sealed(self._house.storage, key, keys).read(rendition.object_name):
                crc32 = zlib.crc32(piece, crc32)
        except (ObjectMissing, SealBroken):
            return
        with self._house.database.writing() as session:
            note_checksum(session, rendition=rendition, crc32=crc32)


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
