"""Bringing the database up to what this version needs, before anything uses it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.config import Settings
from app.db import Database
from app.errors import WrongSetting
from app.jobs.engine import prepare_engine

SCRIPTS = Path(__file__).resolve().parents[2] / "migrations"


def alembic_config(engine: sa.Engine) -> Config:
    """Alembic, pointed at our scripts and at an engine of ours."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["engine"] = engine
    return config


def migrate(settings: Settings) -> None:
    """Make the data folder if need be and bring the database to this version; one process does it, the others wait.

    Raises `WrongSetting` for a database that a newer version of Kinfold has used.
    """
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise WrongSetting(f"The data folder {settings.data} can't be made: {error.strerror}.") from None
    database = Database(settings.database_url)
    config = alembic_config(database.engine)
    try:
        with _one_at_a_time(settings, database):
            stands = standing(database)
            if stands is Standing.NEWER:
                raise WrongSetting(
                    "This database was used by a newer version of Kinfold. Start that version; nothing was changed."
                )
            if stands is not Standing.CURRENT:
                command.upgrade(config, "head")
            prepare_engine(database)
    finally:
        database.close()


def why(error: sa.exc.DBAPIError) -> str:
    """What the database, or the way to it, says about itself: where it is and what is wrong, but nothing of what is in it."""
    return " ".join(str(error.orig).split()) + ". It can be started again at any time."


class Standing(StrEnum):
    """How a database stands to this version."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


def standing(database: Database) -> Standing:
    """Which version has used a database last. Changes nothing."""
    with database.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    script = ScriptDirectory.from_config(alembic_config(database.engine))
    if current is None:
        return Standing.EMPTY
    if current == script.get_current_head():
        return Standing.CURRENT
    return Standing.OLDER if current in {revision.revision for revision in script.walk_revisions()} else Standing.NEWER


@contextmanager
def _one_at_a_time(settings: Settings, database: Database) -> Iterator[None]:
    if database.engine.dialect.name == "postgresql":
        # Asking again and again, in no transaction: whoever waited within one would keep the engine's indexes from being built, for ever.
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while not connection.scalar(sa.text("SELECT pg_try_advisory_lock(7216051)")):
                time.sleep(0.2)
            yield
            connection.invalidate()  # ends the session, and with it the lock
        return
    descriptor = os.open(settings.data / "migrate.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
