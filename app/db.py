"""The database: one engine, two kinds of session, and the column types that all models share.

SQLite is opened in WAL mode with full durability. A *writing* session begins with BEGIN IMMEDIATE: a transaction
that first reads and then writes would otherwise fail with "database is locked" as soon as two people upload at once.

PostgreSQL (READ COMMITTED) has many writers at once. Whoever reads something and then writes what follows from it locks the row
that decides (`with_for_update`), or does both in one statement. A server that is stopped, or whose machine has vanished, is noticed
within seconds, and asked again by the next request.
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

from app.errors import NotVisible

WRITES = "kinfold_writes"
IF_FREE = "kinfold_if_free"

PATIENCE = 15_000
"""Milliseconds that a writer waits for the one before it."""

_POSTGRESQL = {
    "connect_timeout": 5,  # seconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds until what nobody acknowledges is given up
    "options": f"-c lock_timeout={PATIENCE} -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
}
"""How we connect to PostgreSQL: a machine that has vanished, theirs or ours, holds neither a request nor a lock for longer than half a
minute. By default it would be hours."""

CONNECT: dict[str, dict[str, Any]] = {"sqlite": {}, "postgresql": _POSTGRESQL}


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
        shared = not url.startswith("sqlite")
        self.engine = sa.create_engine(
            url,
            hide_parameters=True,
            pool_size=5,
            max_overflow=connections,
            pool_pre_ping=shared,
            connect_args=CONNECT["postgresql" if shared else "sqlite"],
        )
        if shared:
            event.listen(self.engine, "begin", _begin_postgresql)
            event.listen(self.engine, "handle_error", _nothing_has_a_nul)
        else:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._writer = self.engine.execution_options(**{WRITES: True})
        self._looker = self.engine.execution_options(isolation_level="AUTOCOMMIT") if shared else self.engine

    def looking(self) -> sa.Connection:
        """A connection for a single look; around it PostgreSQL needs no transaction, which would cost more than the look."""
        return self._looker.connect()

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


def _begin_postgresql(connection: sa.Connection) -> None:
    if connection.get_execution_options().get(IF_FREE, False):
        connection.exec_driver_sql("SET LOCAL lock_timeout = 1")


def _nothing_has_a_nul(context: sa.engine.ExceptionContext) -> None:
    """PostgreSQL's text has no NUL character, so whatever somebody names by one is not there."""
    if isinstance(context.sqlalchemy_exception, sa.exc.DataError) and "NUL" in str(context.original_exception):
        raise NotVisible


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
