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
    "invitation",
    "link",
    "member",
    "member_session",
    "one_time_address",
    "photo",
    "removal",
    "rendition",
    "upload",
)
"""What a deletion takes rows out of."""


class Vacuum:
    """A sweep: after something was deleted, its rows are overwritten in the tables' files as far as PostgreSQL does that.

    It only marks deleted rows as dead, and would come back to a large table by itself after a fifth of it was deleted. Vacuuming moves the
    rows beside them into their place. That is no proof, and its log keeps them until it is used again: docs/record.md says so. SQLite needs
    none of this, it overwrites what is deleted.
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
            self._done = newest
