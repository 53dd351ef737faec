"""`flask move-storage`: every photo to another storage, sealed as it is, while the server is running.

What has to be there is what the rows point to. Each object is copied unless it is there already; then both sides are read and compared, and
only a copy that was read back counts. Running it again does the rest.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

import click
import sqlalchemy as sa
from flask.cli import with_appcontext

from app.activity.models import Deletion, DeletionKind
from app.albums.models import Album
from app.db import Database
from app.errors import WrongSetting
from app.media.service import claimed_objects
from app.ops.console import the_house
from app.storage.check import are_one, is_exposed
from app.storage.open import LOCAL, open_storage
from app.storage.port import Kept, ObjectExists, ObjectMissing, Storage, StorageFailed, StorageRefuses, put

AT_ONCE = 4
"""Objects on their way at the same time: with a bucket, it is the waiting for answers that takes long."""

BATCH = 1000

T = TypeVar("T")


@click.command("move-storage")
@click.option(
    "--from", "source_at", metavar="URL", help="Where photos are: local, a folder, or s3://...  Default: the current one."
)
@click.option("--to", "target_at", metavar="URL", help="Where they shall be. Default: the current one.")
@click.option(
    "--remove-source", is_flag=True, help="Delete the old copies, once everything is proven and the new storage is in use."
)
@with_appcontext
def move_storage(source_at: str | None, target_at: str | None, remove_source: bool) -> None:
    """Copy all photos to another storage and prove that every one is there. Kinfold may be running; repeat it to copy what came since."""
    house = the_house()
    here = house.settings.storage_url or LOCAL
    source_at, target_at = source_at or here, target_at or here
    if source_at == target_at:
        raise click.ClickException("These are the same storage twice. Say --from or --to.")
    if here not in (source_at, target_at):
        raise click.ClickException("One of the two has to be the storage that Kinfold uses now (KINFOLD_STORAGE_URL).")
    if remove_source and source_at == here:
        raise click.ClickException(
            "Kinfold still uses the old storage. Set KINFOLD_STORAGE_URL to the new one and start it again first."
        )
    try:
        source, target = open_storage(house.settings, source_at), open_storage(house.settings, target_at)
        check_target(target)
        if are_one(source, target):
            raise click.ClickException("These are the same storage twice, under two names. Nothing was changed.")
        wrong = move(house.database, source, target, source_is_right=source_at == here)
        if not wrong and remove_source:
            _remove_what_is_ours(house.database, source)
    except WrongSetting as error:
        raise click.ClickException(str(error)) from None
    except StorageRefuses as refused:
        raise click.ClickException(
            f"One of the two does not let us in; it says {refused.code or 'nothing more'}. Look at the bucket's name and at the keys. "
            "Nothing is lost: mend it and type this again."
        ) from None
    except StorageFailed as failed:
        what = "The disk is full." if failed.reason == "disk-full" else "One of the two can't be reached."
        raise click.ClickException(f"{what} Nothing is lost: mend it and type this again.") from None
    if wrong:
        click.echo("\n".join(wrong))
        raise click.ClickException(f"{len(wrong)} objects are missing or differ; their names stand above. Nothing was removed.")
    click.echo("Every photo is there: read back and compared.")
    if source_at == here:
        setting = "unset KINFOLD_STORAGE_URL" if target_at == LOCAL else "set KINFOLD_STORAGE_URL to the new storage"
        click.echo(f"Now stop Kinfold, type this once more, {setting}, and start it.")


def check_target(target: Storage) -> None:
    """Raises `WrongSetting` for a storage in which no photo should ever be."""
    if target.kept() is Kept.LOCKED:
        raise WrongSetting("The new storage has Object Lock: nothing could ever be deleted there. Make a bucket without it.")
    if is_exposed(target):
        raise WrongSetting("Strangers can read the new storage. Close it first: `flask doctor` says more.")


def move(database: Database, source: Storage, target: Storage, *, source_is_right: bool) -> list[str]:
    """Copy what rows point to, and prove it. Answers with the names of what is missing or differs; `source_is_right` replaces what differs.

    What lies in only one of the two is right when it is the target. Raises `StorageFailed`; all of it can be repeated.
    """
    begun = _claimed(database)
    there = {stored.name for stored in target.list("albums/")}
    _with_progress("Copying", partial(copy, source, target), [name for name in begun if name not in there])
    names = _claimed(database)
    prove = partial(_prove, source, target, source_is_right)
    proven = dict(zip(names, _with_progress("Proving", prove, names), strict=True))
    still = set(_claimed(database))
    target.delete(*({*begun, *names} - still))  # deleted by somebody while we were at it
    return [name for name, is_there in proven.items() if not is_there and name in still]


def copy(source: Storage, target: Storage, name: str) -> None:
    """One object, as it is. One that is there already is left alone, and one that is nowhere is for the proof to find."""
    with suppress(ObjectMissing, ObjectExists):
        put(target, name, source.read(name))


def _prove(source: Storage, target: Storage, source_is_right: bool, name: str) -> bool:
    right, copied = _digest(source, name), _digest(target, name)
    if right is not None and right != copied and (copied is None or source_is_right):
        target.delete(name)
        copy(source, target, name)
        copied = _digest(target, name)
    return copied is not None and right in (None, copied)


def _digest(storage: Storage, name: str) -> bytes | None:
    digest = hashlib.sha256()
    try:
        for piece in storage.read(name):
            digest.update(piece)
    except ObjectMissing:
        return None
    return digest.digest()


def _claimed(database: Database) -> list[str]:
    with database.reading() as session:
        return sorted(claimed_objects(session))


def _remove_what_is_ours(database: Database, source: Storage) -> None:
    """Everything of albums that this instance has or had: a mistyped address may be that of somebody else's photos."""
    with database.reading() as session:
        deleted = session.scalars(sa.select(Deletion.subject).where(Deletion.kind == DeletionKind.ALBUM))
        ours = {*session.scalars(sa.select(Album.id)), *deleted}
    stored = [each.name for each in source.list("albums/")]
    names = [name for name in stored if name.split("/")[1] in ours]
    if len(names) < len(stored):
        click.echo(f"{len(stored) - len(names)} objects in the old storage belong to no album of ours and were left there.")
    with click.progressbar(range(0, len(names), BATCH), label="Removing") as bar:
        for at in bar:
            source.delete(*names[at : at + BATCH])


def _with_progress(label: str, work: Callable[[str], T], names: Sequence[str]) -> list[T]:
    """Do something with every object, several at once; the answers, in order."""
    done: list[T] = []
    with click.progressbar(length=len(names), label=label, show_pos=True) as bar, ThreadPoolExecutor(AT_ONCE) as hands:
        for at in range(0, len(names), BATCH):
            for answer in hands.map(work, names[at : at + BATCH]):
                done.append(answer)
                bar.update(1)
    return done
