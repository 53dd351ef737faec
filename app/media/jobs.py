"""Tidying storage."""

from datetime import timedelta

import sqlalchemy as sa

from app.house import House
from app.media.models import Rendition, Upload

UNCLAIMED = timedelta(hours=24)
"""An object without a row that is older than this was left by a process that died between writing it and saying so."""


def remove_unclaimed_objects(house: House) -> None:
    """A sweep: no object stays that no row points to."""
    limit = house.clock.now() - UNCLAIMED
    old = [stored.name for stored in house.storage.list("albums/") if stored.modified < limit]
    with house.database.reading() as session:
        claimed = set(session.scalars(sa.select(Rendition.object_name))) | set(session.scalars(sa.select(Upload.object_name)))
    for name in old:
        if name not in claimed:
            house.storage.delete(name)
