"""Who is alive: locks that only a living process holds, on one host or on several.

Every worker holds one such lock for as long as it lives, and is called after it. So no two workers ever share a name,
and whoever can take the lock of a name knows that its worker is dead.

Another lock is shared by all who serve people, web servers and workers: every connection that they have to the database carries it.
Whoever moves or replaces that database takes it for themselves.
"""

import fcntl
import hashlib
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import ConnectionPoolEntry

from app.config import Settings
from app.db import Database
from app.errors import KinfoldError
from app.instance import open_private


class Lock(Protocol):
    def held(self) -> bool:
        """Whether it is still ours: a lock in a database is lost with the connection."""
        ...

    def release(self) -> None: ...


class Locks(Protocol):
    def take(self, name: str) -> Lock | None:
        """The lock of this name, or None when anybody has it already, this process included. Does not wait."""
        ...


def locks_for(settings: Settings, database: Database) -> Locks:
    """Files where the database is a file, because then all workers are on this host; otherwise the database keeps them."""
    return FileLocks(settings.data) if database.engine.dialect.name == "sqlite" else AdvisoryLocks(database.engine)


MOST_WORKERS = 64


def living_workers(settings: Settings, database: Database) -> int:
    """How many workers hold their lock just now, on this host or, where the database keeps the locks, on any. Takes none of them."""
    names = [f"worker-{number}" for number in range(MOST_WORKERS)]
    if database.engine.dialect.name == "sqlite":
        return sum(_is_held(settings.data / f"{name}.lock") for name in names)
    held = sa.text(
        "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with database.engine.connect() as connection:
        return len({_advisory_key(name) for name in names}.intersection(connection.scalars(held)))


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _advisory_key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"kinfold {name}".encode()).digest()[:8], signed=True)


class FileLocks:
    """One file a name, `<name>.lock`. The kernel lets go of the lock when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, name: str) -> Lock | None:
        if not re.fullmatch(r"[a-z0-9-]+", name):
            return None  # names of executors come from the database: they make no paths
        return _take_file(self._folder / f"{name}.lock")


def _take_file(path: Path) -> Lock | None:
    descriptor = open_private(path, os.O_RDWR)  # closed in every program we start
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return _FileLock(descriptor)


class _FileLock:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def held(self) -> bool:
        return True

    def release(self) -> None:
        os.close(self._descriptor)


class AdvisoryLocks:
    """PostgreSQL's session locks, each on its own connection, because one connection may take its own lock twice."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    def take(self, name: str) -> Lock | None:
        connection = self._engine.connect()
        if connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_advisory_key(name)))):
            return _AdvisoryLock(connection)
        connection.close()
        return None


class _AdvisoryLock:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def held(self) -> bool:
        try:
            self._connection.scalar(sa.select(1))
        except sa.exc.DBAPIError:
            return False
        return True

    def release(self) -> None:
        self._connection.invalidate()  # ends the session, and with it the lock: works for a broken connection too
        self._connection.close()


AT_WORK = "at-work"


class AtWork(KinfoldError):
    """Kinfold is running on this database."""


def show_at_work(database: Database) -> None:
    """From now on every connection of this process shows that Kinfold is running on this database (see `alone`), before it can write
    anything. While somebody is alone with the database there is none: that is an `OperationalError`, as when it is away."""
    if database.engine.dialect.name == "sqlite":
        event.listen(database.engine, "connect", partial(_share_file, _beside(database)))
        event.listen(database.engine, "close", _leave_file)
    else:
        event.listen(database.engine, "connect", _share_advisory)
    database.close()  # the connections there were show nothing
    with database.reading() as session:
        session.execute(sa.select(1))


@contextmanager
def alone(database: Database) -> Iterator[None]:
    """Nobody works with this database until this has ended. Raises `AtWork` when somebody does, on whatever machine."""
    sqlite = database.engine.dialect.name == "sqlite"
    lock = _take_file(_beside(database)) if sqlite else AdvisoryLocks(database.engine).take(AT_WORK)
    if lock is None:
        raise AtWork
    try:
        yield
    finally:
        lock.release()


def _beside(database: Database) -> Path:
    """The file that stands for a database that is a file, whichever data folder it is used from."""
    return Path(os.path.realpath(database.engine.url.database or "") + ".lock")


def _share_file(path: Path, _connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
    descriptor = open_private(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise sqlite3.OperationalError("database is locked: it is being moved or restored") from None
    entry.info[AT_WORK] = descriptor


def _leave_file(_connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
    if AT_WORK in entry.info:
        os.close(entry.info.pop(AT_WORK))


def _share_advisory(connection: Any, _entry: ConnectionPoolEntry) -> None:
    """The session keeps it until it ends; `lock_timeout` ends the waiting for somebody who is alone."""
    connection.execute("SELECT pg_advisory_lock_shared(%s)", [_advisory_key(AT_WORK)])
    connection.commit()
