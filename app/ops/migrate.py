"""Bringing the database up to what this version needs, before anything uses it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
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
            current = _revision(database)
            script = ScriptDirectory.from_config(config)
            known = {revision.revision for revision in script.walk_revisions()}
            if current is not None and current not in known:
                raise WrongSetting(
                    "This database was used by a newer version of Kinfold. Start that version; nothing was changed."
                )
            if current != script.get_current_head():
                command.upgrade(config, "head")
            prepare_engine(database)
    finally:
        database.close()


def _revision(database: Database) -> str | None:
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


@contextmanager
def _one_at_a_time(settings: Settings, database: Database) -> Iterator[None]:
    if database.engine.dialect.name == "postgresql":
        with database.engine.connect() as connection:
            connection.execute(sa.text("SELECT pg_advisory_lock(7216051)"))
            yield
        return
    descriptor = os.open(settings.data / "migrate.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
