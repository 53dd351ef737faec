"""Restoring a backup into an empty instance.

Everything is prepared beside the instance, in the folder `restoring` of the data folder: the rows in a scratch database, where what has
ended since is ended. Then the objects are written, then the keys, and last of all one transaction puts the rows into the database.
Killed before that, it has left an instance without a row, which does not start because it has photos, and the folder `restoring`, in
which stands whose photos these are: the next try removes them from that storage, and from no other.
"""

import base64
import os
import secrets
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import Account, OneTimeAddress, SignedIn
from app.albums.models import Album
from app.clock import Clock
from app.config import Settings
from app.db import Database
from app.errors import KinfoldError
from app.groups.models import Group, Invitation
from app.instance import Instance, Keys, check_keys, parse_keys
from app.jobs.executors import AtWork, alone, locks_for
from app.media import service as media
from app.media.models import PREPARED, Photo
from app.notifications import service as notifications
from app.ops import journal, rows
from app.ops.backup.archive import Archive, BackupBroken
from app.ops.backup.making import Progress
from app.ops.backup.reading import NEEDS_BOTH_KEYS, RESTORING, check_version, keys_in, open_rows_key, places_of, scratch_rows
from app.ops.keyfiles import MASTER, SECRET, Found, KeyTexts, key_texts, write_key
from app.ops.migrate import Standing, migrate, standing
from app.ops.move_storage import check_target
from app.ops.people import Ownerless, without_owner
from app.ops.rotate import rewrap
from app.security.passwords import Passwords
from app.security.sealing import MasterKey, SealBroken
from app.sharing import service as sharing
from app.sharing.models import DeviceRow, Link, NewPhone
from app.storage.open import LOCAL, open_storage
from app.storage.port import Storage, StorageFailed, put

STORAGE = "storage"
"""The note in the scratch folder."""

WRITERS = 8
AT_ONCE = 500


class NotEmpty(KinfoldError):
    """There is something where the backup would go, or somebody at work; the message says what."""


@dataclass(frozen=True)
class Restored:
    """What came back, and what the deletion journal took away again (`lines` it had, `undone` rows): the e-mail addresses of those whose
    password was changed since and is not known here, and groups whose last owner was taken away."""

    photos: int
    albums: int
    made_at: datetime
    lines: int
    undone: int
    without_password: Sequence[str]
    without_owner: Sequence[Ownerless]


def restore(
    settings: Settings,
    archive: Archive,
    *,
    clock: Clock,
    passphrase: str | None = None,
    keep_links: bool = False,
    deletions: Path | None = None,
    progress: Progress = lambda _: None,
) -> Restored:
    """Put a backup into an empty instance, whatever kind of database and storage either has.

    Raises `BackupBroken`, `NotEmpty`, `WrongSetting`, `JournalBroken`, `StorageFailed`; then nothing has been changed that stays.
    """
    check_version(archive)
    texts = _choose_keys(settings, archive, passphrase)
    keys = parse_keys(texts.master, texts.secret)
    rows_key = open_rows_key(archive, keys.master)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database_url)
    try:
        with _alone(settings, database):
            scratch = settings.data / RESTORING
            storage = open_storage(settings)
            check_target(storage)
            _check_empty(database, storage, begun=_begun_in(scratch) == _address(settings))
            gone, before = _journal(settings, database, deletions), key_texts(settings)
            _begin(scratch, settings)
            try:
                with scratch_rows(archive, rows_key, scratch) as prepared:
                    _open_albums(prepared, texts.master)
                    with prepared.reading() as session:
                        known = {*gone, *journal.lines_of(session)}
                    restored = _bring_up_to_now(prepared, archive, gone, keys, clock, keep_links=keep_links)
                    with storage.all_at_once():
                        _pour(archive, rows_key, prepared, storage, progress)
                    _put_keys(settings, texts)
                    migrate(settings)
                    journal.Journal(settings.data).add(known)
                    _put_rows(prepared, database)
            except BaseException:
                cleared = _take_back(settings, database, storage, before)
                shutil.rmtree(scratch, ignore_errors=True)
                if not cleared:
                    _begin(scratch, settings)
                raise
            shutil.rmtree(scratch, ignore_errors=True)
            return restored
    finally:
        database.close()


@contextmanager
def _alone(settings: Settings, database: Database) -> Iterator[None]:
    """Raises `NotEmpty` when Kinfold runs, or another restore."""
    lock = locks_for(settings, database).take(RESTORING)
    if lock is None:
        raise NotEmpty("A restore is running already.")
    try:
        with alone(database):
            yield
    except AtWork:
        raise NotEmpty("Kinfold is running on this database. Stop it first, on every machine. Nothing was changed.") from None
    finally:
        lock.release()


def _begin(scratch: Path, settings: Settings) -> None:
    """The empty folder, with a note of which storage it is that is filled from now on."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    with (scratch / STORAGE).open("w", encoding="utf-8") as note:
        note.write(_address(settings))
        note.flush()
        os.fsync(note.fileno())


def _begun_in(scratch: Path) -> str | None:
    note = scratch / STORAGE
    return note.read_text(encoding="utf-8") if note.exists() else None


def _address(settings: Settings) -> str:
    return settings.storage_url or LOCAL


def _choose_keys(settings: Settings, archive: Archive, passphrase: str | None) -> KeyTexts:
    """The keys of this machine when they open the backup, otherwise those in the backup; a new secret key will do where there is none."""
    own, inside = key_texts(settings), keys_in(archive, passphrase)
    fits = own.master is not None and MasterKey.parse(own.master).fits(base64.b64decode(archive.manifest["instance"]))
    if inside is not None and not fits and settings.master_key is None:
        own = Found(inside.master, settings.secret_key or inside.secret)
    if own.master is None:
        also = ", or give the passphrase of the keys that are in this backup" if archive.manifest.get("keys") else ""
        raise BackupBroken(
            f"There is no master key here. Set KINFOLD_MASTER_KEY, or put the key into keys/master.key in the data folder{also}."
        )
    return KeyTexts(own.master, own.secret or (inside.secret if inside else None) or secrets.token_urlsafe(48))


def _check_empty(database: Database, storage: Storage, *, begun: bool) -> None:
    """Raises `NotEmpty`, except for photos that a restore has left which was `begun` in this very storage, and killed."""
    stands = standing(database)
    if stands is Standing.NEWER:
        raise NotEmpty("The database was used by a newer version of Kinfold. Nothing was changed.")
    if stands is not Standing.EMPTY and _is_used(database):
        raise NotEmpty(
            "There is a family, school or club on this instance already. Restore into an empty one. Nothing was changed."
        )
    if begun:
        _clear(storage)
    elif any(not stored.name.startswith("albums/check/") for stored in storage.list("albums/")):
        raise NotEmpty("There are photos in the storage already. Restore into an empty one. Nothing was changed.")


def _journal(settings: Settings, database: Database, deletions: Path | None) -> list[journal.Line]:
    """All that is known to have been deleted or ended: in the database that is there, in the data folder, in the file that was named."""
    found = {*journal.read_file(settings.data / journal.NAME)}
    if deletions is not None:
        found.update(journal.read_file(deletions))
    if standing(database) is Standing.CURRENT:
        with database.reading() as session:
            found.update(journal.lines_of(session))
    return sorted(found)


def _bring_up_to_now(
    prepared: Database, archive: Archive, gone: list[journal.Line], keys: Keys, clock: Clock, *, keep_links: bool
) -> Restored:
    """In the scratch database: end what is over, undo what the journal says, and leave nothing to tell. Time only goes forward."""
    made_at = datetime.fromisoformat(archive.manifest["made_at"])
    with prepared.writing() as session:
        instance = session.get(Instance, 1)
        if instance is None:
            raise BackupBroken("The rows in this backup do not fit its version.")
        clock.not_before(instance.latest)
        at = clock.now()
        if keep_links:
            check_keys(keys, master_check=instance.master_check, secret_check=instance.secret_check)
        sharing.end_what_is_over(session, at=at)
        nobodys = Passwords().hash(secrets.token_urlsafe(32))
        undone = journal.apply(session, gone, made_at=made_at, no_password=nobodys)
        notifications.call_it_told(session, at=at)
        end_ways_in(session, at, keep_links=keep_links)
        media.count_again(session)
        session.execute(sa.update(Instance).values(latest=at, backed_up_at=made_at, exposed_at=None, **keys.checks()))
        photos = session.scalars(sa.select(sa.func.count()).where(Photo.state.in_(PREPARED))).one()
        albums = session.scalars(sa.select(sa.func.count()).select_from(Album)).one()
        emails = session.scalars(sa.select(Account.email).where(Account.password_hash == nobodys).order_by(Account.email)).all()
        return Restored(photos, albums, made_at, len(gone), undone, emails, without_owner(session))


def _open_albums(prepared: Database, master_text: str) -> None:
    """Every album key has to open, and is then wrapped by the newest master key. Raises `BackupBroken`."""
    try:
        rewrap(prepared, master_text)
    except SealBroken:
        raise BackupBroken(NEEDS_BOTH_KEYS) from None


def end_ways_in(session: Session, at: datetime, *, keep_links: bool) -> None:
    """What works once may have been used since, and nobody notes who has signed out: that ends in any case."""
    for each in (SignedIn, OneTimeAddress, Invitation, NewPhone):
        session.execute(sa.delete(each))
    if not keep_links:
        session.execute(sa.update(Link).where(Link.revoked_at.is_(None)).values(revoked_at=at))
        session.execute(sa.update(DeviceRow).where(DeviceRow.ended_at.is_(None)).values(ended_at=at))


def _pour(archive: Archive, rows_key: bytes, prepared: Database, storage: Storage, progress: Progress) -> None:
    """Write the objects into the storage, several at a time, each checked against what the backup says of it."""
    coming: deque[Future[None]] = deque()
    with ThreadPoolExecutor(WRITERS) as writers:
        try:
            for _, name, place in places_of(archive, rows_key, prepared):
                coming.append(writers.submit(put, storage, name, archive.read(place)))
                if len(coming) > 4 * WRITERS:
                    coming.popleft().result()
                    progress(1)
            while coming:
                coming.popleft().result()
                progress(1)
        except BaseException:
            writers.shutdown(cancel_futures=True)
            raise


def _put_keys(settings: Settings, texts: KeyTexts) -> None:
    """What no setting names goes into a file, where the first start would have put it."""
    there = key_texts(settings)
    if texts.master != there.master:
        write_key(settings, MASTER, texts.master)
    if texts.secret != there.secret:
        write_key(settings, SECRET, texts.secret)


def _put_rows(prepared: Database, database: Database) -> None:
    """All rows in one transaction: before its end there is nothing, after it everything."""
    with prepared.engine.connect() as reading, database.writing() as session:
        connection = session.connection()
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text('LOCK TABLE instance, "group" IN ACCESS EXCLUSIVE MODE'))
        if connection.scalar(sa.select(Group.id).limit(1)) is not None:
            raise NotEmpty("Somebody has begun to use this instance meanwhile. Nothing was changed.")
        rows.replace(connection, rows.write_lines(reading))


def _take_back(settings: Settings, database: Database, storage: Storage, before: Found) -> bool:
    """Put the key files back and empty a storage that was empty, unless the rows are there after all. Returns whether it could."""
    if standing(database) is not Standing.EMPTY and _is_used(database):
        return True
    now = key_texts(settings)
    for name, old, new in ((MASTER, before.master, now.master), (SECRET, before.secret, now.secret)):
        if old is None and new is not None:
            (settings.data / "keys" / name).unlink()
        elif old is not None and old != new:
            write_key(settings, name, old)
    try:
        _clear(storage)
    except StorageFailed:
        return False
    return True


def _is_used(database: Database) -> bool:
    with database.reading() as session:
        return session.scalar(sa.select(Group.id).limit(1)) is not None


def _clear(storage: Storage) -> None:
    names = [stored.name for stored in storage.list("albums/")]
    for start in range(0, len(names), AT_ONCE):
        storage.delete(*names[start : start + AT_ONCE])
