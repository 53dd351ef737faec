"""The database: one engine, two kinds of session, and the column types that all models share.

SQLite is opened in WAL mode with full durability. A *writing* session begins with BEGIN IMMEDIATE: a transaction
that first reads and then writes would otherwise fail with "database is locked" as soon as two people upload at once.
PostgreSQL takes the same code as it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeDecorator

WRITES = "kinfold_writes"
IF_FREE = "kinfold_if_free"

PATIENCE = 15_000
"""Milliseconds that a writer waits for the one before it."""


class UtcTime(TypeDecorator[datetime]):
    """A moment: aware UTC in Python, a plain timestamp without zone in every database."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def word(kind: type[StrEnum]) -> sa.Enum:
    """A column for a small set of words, stored as its values in plain text."""
    return sa.Enum(
        kind, native_enum=False, length=32, values_callable=lambda members: [m.value for m in members], create_constraint=False
    )


class Base(DeclarativeBase):
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcTime, bytes: sa.LargeBinary, str: sa.Text}


class Database:
    """One engine and the two ways to use it: `reading()` and `writing()`."""

    def __init__(self, url: str, *, connections: int = 32) -> None:
        self.engine = sa.create_engine(
            url, hide_parameters=True, pool_size=5, max_overflow=connections, pool_pre_ping=not url.startswith("sqlite")
        )
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._writer = self.engine.execution_options(**{WRITES: True})

    def open_reading(self) -> Session:
        """A session that only looks. Whoever opens it closes it."""
        return Session(self.engine, expire_on_commit=False)

    def open_writing(self) -> Session:
        """A session that may write; on SQLite its first statement takes the write lock. Whoever opens it commits and closes it."""
        return Session(self._writer, expire_on_commit=False)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A short look at the database."""
        with self.open_reading() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A short transaction: committed at the end, rolled back when anything is raised."""
        with self.open_writing() as session:
            yield session
            session.commit()

    @contextmanager
    def writing_if_free(self) -> Iterator[Session]:
        """The same for what is not worth waiting for: raises `OperationalError` at once when somebody else is writing."""
        with Session(self._writer.execution_options(**{IF_FREE: True}), expire_on_commit=False) as session:
            yield session
            session.commit()

    def flatten(self) -> None:
        """After deleting: move SQLite's log into the database file and empty it, so that destroyed keys are in neither."""
        if self.engine.dialect.name == "sqlite":
            with self.engine.connect() as connection:
                raw = connection.connection.driver_connection
                assert raw is not None
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()


def _prepare_sqlite(connection: Any, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see _begin_sqlite
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={PATIENCE}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if not options.get(WRITES, False):
        connection.exec_driver_sql("BEGIN")
        return
    patience = 0 if options.get(IF_FREE, False) else PATIENCE
    connection.exec_driver_sql(f"PRAGMA busy_timeout={patience}")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={PATIENCE}")
