"""Taking out of storage what was promised to be removed (`albums.service.promise_removal`)."""

from datetime import timedelta

import sqlalchemy as sa

from app.albums.service import REMOVE_OBJECTS
from app.house import House
from app.jobs.port import Handler
from app.storage.models import Removal


def handlers(house: House) -> dict[str, Handler]:
    """The jobs of this room."""

    def remove_objects(removal: str) -> None:
        keep_promise(house, removal)
        house.database.flatten()

    return {REMOVE_OBJECTS: remove_objects}


def keep_promise(house: House, removal_id: str) -> None:
    """Remove an object, or everything under a name that ends in `/`; repeating it is harmless."""
    with house.database.reading() as session:
        removal = session.get(Removal, removal_id)
    if removal is None:
        return
    names = [stored.name for stored in house.storage.list(removal.name)] if removal.name.endswith("/") else [removal.name]
    house.storage.delete(*names)
    with house.database.writing() as session:
        session.execute(sa.delete(Removal).where(Removal.id == removal_id))


def enqueue_forgotten_removals(house: House) -> None:
    """A sweep: every promise to remove has a live job."""
    now = house.clock.now()
    with house.database.reading() as session:
        live = house.jobs.live_subjects(session, REMOVE_OBJECTS)
        waiting = session.scalars(sa.select(Removal).where(Removal.created_at < now - timedelta(minutes=1))).all()
    for removal in waiting:
        if removal.id not in live:
            with house.database.writing() as session:
                house.jobs.enqueue(session, REMOVE_OBJECTS, removal.id, group="sweep", generation=int(now.timestamp()))
