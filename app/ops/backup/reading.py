"""From a backup back to rows and objects: what restoring and checking have in common."""

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import event

from app.answers.models import Voice
from app.config import Settings
from app.db import Database
from app.jobs.executors import FileLocks, locks_for
from app.media.models import Photo
from app.ops import rows
from app.ops.backup.archive import Archive, BackupBroken, Place
from app.ops.backup.making import entries_of
from app.ops.keyfiles import KeyTexts, unwrap_keys
from app.ops.migrate import alembic_config
from app.security.sealing import MasterKey, SealBroken

AT_ONCE = 500
RESTORING, CHECKING = "restoring", "checking"
"""The folders for scratch databases in the data folder, each with a lock of the same name."""

NEEDS_BOTH_KEYS = (
    "The master key does not open every album: this backup was made while the key was being changed, and needs both. Set "
    "KINFOLD_MASTER_KEY=new,old."
)


def tidy_scratch(settings: Settings, database: Database) -> None:
    """A sweep: what a restore or a check has left that was killed; there are names in it."""
    for name, locks in ((RESTORING, locks_for(settings, database)), (CHECKING, FileLocks(settings.data))):
        if (settings.data / name).exists() and (lock := locks.take(name)) is not None:
            shutil.rmtree(settings.data / name, ignore_errors=True)
            lock.release()


def check_version(archive: Archive) -> None:
    """Raises `BackupBroken` for tables that this version does not know."""
    known = {
        revision.revision
        for revision in ScriptDirectory.from_config(alembic_config(sa.create_engine("sqlite://"))).walk_revisions()
    }
    if archive.manifest["revision"] not in known:
        raise BackupBroken("This backup was made by a newer version of Kinfold. Install that version, then restore.")


def keys_in(archive: Archive, passphrase: str | None) -> KeyTexts | None:
    """The keys that travel in the backup. Raises `BackupBroken` when it is not their passphrase."""
    told = archive.manifest.get("keys")
    if passphrase is None or told is None:
        return None
    keys = unwrap_keys(told, passphrase)
    if keys is None:
        raise BackupBroken("This passphrase does not open the keys in the backup.")
    return keys


def open_rows_key(archive: Archive, master: MasterKey) -> bytes:
    """The key of the rows. Raises `BackupBroken` when this is another instance's master key."""
    try:
        key = master.open_album("backup", base64.b64decode(archive.manifest["key"]))
        return key.open_field("rows", "backup", base64.b64decode(archive.manifest["rows_key"]))
    except SealBroken:
        raise BackupBroken(
            "The master key does not open this backup. It needs the key that the instance had when the backup was made: set "
            "KINFOLD_MASTER_KEY to it. A backup made with --keys has it inside, under a passphrase."
        ) from None


@contextmanager
def scratch_rows(archive: Archive, rows_key: bytes, folder: Path) -> Iterator[Database]:
    """The rows in a scratch database in `folder`, brought from the revision at which they were written up to this version.

    What was left out of the backup is not in it. Raises `BackupBroken`.
    """
    database = Database(f"sqlite:///{folder / 'rows.sqlite3'}")
    event.listen(database.engine, "connect", _quickly)
    try:
        config = alembic_config(database.engine)
        command.upgrade(config, archive.manifest["revision"])
        try:
            with database.writing() as session:
                connection = session.connection()
                rows.load(connection, archive.lines(rows_key), rows.tables_of(connection))
        except (rows.RowsUnknown, sa.exc.DatabaseError, ValueError, TypeError) as error:
            if isinstance(error, sa.exc.OperationalError):
                raise
            raise BackupBroken("The rows in this backup do not fit its version.") from None
        command.upgrade(config, "head")
        with database.writing() as session:
            for each in archive.left_out:
                session.execute(sa.delete(Photo).where(Photo.id == each))
                session.execute(sa.delete(Voice).where(Voice.id == each))
        yield database
    finally:
        database.close()


def places_of(archive: Archive, rows_key: bytes, database: Database) -> Iterator[tuple[str, str, Place]]:
    """Of each object whose row is in the scratch database: its photo or voice, name and place. Raises `BackupBroken` at anything else in
    the file."""
    batch: list[tuple[str, str, Place]] = []
    for entry, place in archive.places(entries_of(archive.lines(rows_key))):
        if place is not None:
            batch.append((entry.of, entry.name, place))
        if len(batch) == AT_ONCE:
            yield from _wanted(batch, database)
            batch = []
    yield from _wanted(batch, database)


def _wanted(batch: list[tuple[str, str, Place]], database: Database) -> Iterator[tuple[str, str, Place]]:
    ids = {each[0] for each in batch}
    with database.reading() as session:
        there = {each for table in (Photo, Voice) for each in session.scalars(sa.select(table.id).where(table.id.in_(ids)))}
    return (each for each in batch if each[0] in there)


def _quickly(connection: Any, _record: object) -> None:
    """What is in the scratch database need not survive a power cut."""
    connection.execute("PRAGMA synchronous=OFF")
