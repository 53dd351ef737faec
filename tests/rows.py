"""All rows of the database, to say "nothing was changed" and mean it."""

from typing import Any

import sqlalchemy as sa

from app.db import Database
from app.models import Base

Rows = dict[str, list[tuple[Any, ...]]]

SEEN = {"last_seen_at", "unused_after", "visited_at", "new_since", "seen"}
"""Where a visit is noted, at most once an hour: four columns, and once a day for each photo a table."""


def all_rows(database: Database, *, without: frozenset[str] | set[str] = frozenset()) -> Rows:
    """Every row of every table of ours, but for some columns and tables."""
    with database.engine.connect() as connection:
        return {
            name: sorted(map(tuple, connection.execute(sa.select(*(c for c in table.c if c.name not in without)))), key=repr)
            for name, table in Base.metadata.tables.items()
            if name not in without
        }
