"""What is left of deleted rows, on PostgreSQL."""

from datetime import datetime

import sqlalchemy as sa

from app.activity.models import Deletion
from app.house import House

TABLES = (
    "activity",
    "album",
    "device",
    "grant",
    "group",
    "guest",
    "heart",
    "incoming",
    "incoming_part",
    "invitation",
    "link",
    "member",
    "member_session",
    "new_phone",
    "note",
    "notification",
    "one_time_address",
    "photo",
    "push_subscription",
    "removal",
    "rendition",
    "report",
    "seen",
    "upload",
    "voice",
)
"""What a deletion takes rows out of."""

WITH_NAMES = ("guest", "invitation", "member")
"""Those of them in which people's names stand readable. They are small: even a school's are written anew in a moment."""


class Vacuum:
    """A sweep: after something was deleted, its rows are overwritten in the tables' files as far as PostgreSQL does that.

    It only marks deleted rows as dead, and would come back to a large table by itself after a fifth of it was deleted. Vacuuming frees
    their place, and the tables with names are written anew without them, statistics included. The database's log keeps copies until it is
    used again: docs/record.md says so. SQLite needs none of this, it overwrites what is deleted.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._done: datetime | None = None

    def __call__(self) -> None:
        engine = self._house.database.engine
        if engine.dialect.name != "postgresql":
            return
        with self._house.database.reading() as look:
            newest = look.scalars(sa.select(Deletion.at).order_by(Deletion.at.desc()).limit(1)).one_or_none()
        if newest != self._done:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for table in TABLES:
                    connection.exec_driver_sql(f'VACUUM (SKIP_LOCKED) "{table}"')
                for table in WITH_NAMES:
                    connection.exec_driver_sql(f'VACUUM (FULL, ANALYZE, SKIP_LOCKED) "{table}"')
            self._done = newest
