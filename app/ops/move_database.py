"""`flask move-database`: from SQLite to PostgreSQL, or back, with a proof that nothing was lost on the way."""

import os
from dataclasses import dataclass, replace

import click
import sqlalchemy as sa
from flask.cli import with_appcontext

from app.config import Settings, secret_setting
from app.db import Database
from app.errors import KinfoldError, WrongSetting
from app.groups.models import Group
from app.jobs.executors import AtWork, alone
from app.ops import rows
from app.ops.console import the_house
from app.ops.migrate import migrate
from app.ops.rows import Fingerprint


class CannotMove(KinfoldError):
    """The message says why; nothing was changed."""


@dataclass(frozen=True)
class Compared:
    """One table here and there."""

    table: str
    here: Fingerprint
    there: Fingerprint

    @property
    def same(self) -> bool:
        return self.here == self.there


@click.command("move-database")
@click.option("--to", "url", help="postgresql+psycopg://user@host/database or sqlite:////folder/file")
@with_appcontext
def move_database(url: str | None) -> None:
    """Copy all rows into another, empty database, with Kinfold stopped, and compare them. The old database stays as it is.

    An address with a password is better said as KINFOLD_NEW_DATABASE_URL, or in the file that KINFOLD_NEW_DATABASE_URL_FILE names:
    everybody on this machine can read what is typed.
    """
    house = the_house()
    try:
        url = url or secret_setting(os.environ, "KINFOLD_NEW_DATABASE_URL")
        if url is None:
            raise CannotMove("Where to? Say --to, or set KINFOLD_NEW_DATABASE_URL.")
        compared = move(house.settings, house.database, url)
    except (CannotMove, WrongSetting) as why:
        raise click.ClickException(str(why)) from None
    except (sa.exc.OperationalError, OSError):
        raise click.ClickException(
            "The other database can't be used. Is it running, is its address right? Nothing was changed."
        ) from None
    for each in compared:
        verdict = "the same" if each.same else f"DIFFERENT: {each.there.rows:,} rows {each.there}"
        click.echo(f"{each.table:20} {each.here.rows:9,} rows  {each.here}  {verdict}")
    if not all(each.same for each in compared):
        raise click.ClickException("The copy was not the same and was thrown away.")
    click.echo(
        "Everything is there. Set KINFOLD_DATABASE_URL to the new database and start Kinfold; keep the old one until you are sure."
    )


def move(settings: Settings, database: Database, url: str) -> list[Compared]:
    """Copy all rows in one transaction, which is committed when the copy is the same and nothing has changed here meanwhile.

    Raises `CannotMove`. A copy that is there already and is the same is fine: this may be repeated.
    """
    if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise CannotMove(
            "The address needs to look like postgresql+psycopg://user:password@host/database or sqlite:////folder/file."
        )
    if sa.make_url(url) == sa.make_url(settings.database_url):
        raise CannotMove("This is the database that Kinfold uses already.")
    target = Database(url)
    try:
        with alone(database), alone(target):
            migrate(replace(settings, database_url=url))
            return _copy_and_compare(database, target)
    except AtWork:
        raise CannotMove("Kinfold is running. Stop it first, on every machine; nothing was changed.") from None
    finally:
        target.close()


def _copy_and_compare(database: Database, target: Database) -> list[Compared]:
    with target.writing() as session:
        connection = session.connection()
        here = _fingerprints(database)
        if session.scalar(sa.select(Group.id).limit(1)) is None:
            _copy(database, connection)
        elif rows.fingerprints(rows.write_lines(connection)) != here:
            raise CannotMove("The other database has rows of its own. Nothing was changed there.")
        found = rows.fingerprints(rows.write_lines(connection))
        if _fingerprints(database) != here:
            raise CannotMove("Something was written here meanwhile: Kinfold was still running. Stop it and move again.")
        compared = [Compared(table, here[table], found[table]) for table in here]
        if not all(each.same for each in compared):
            session.rollback()
        return compared


def _copy(database: Database, connection: sa.Connection) -> None:
    with rows.snapshot(database) as still:
        rows.replace(connection, rows.write_lines(still))


def _fingerprints(database: Database) -> dict[str, Fingerprint]:
    with rows.snapshot(database) as still:
        return rows.fingerprints(rows.write_lines(still))
