"""Who is alive: locks that only a living process holds, on one host or on several.

Every worker holds one such lock for as long as it lives, and is called after it. So no two workers ever share a name,
and whoever can take the lock of a name knows that its worker is dead.
"""

import fcntl
import hashlib
import os
import re
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from app.config import Settings
from app.db import Database


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
        descriptor = os.open(self._folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)  # closed in every program we start
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
