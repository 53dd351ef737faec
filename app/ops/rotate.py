"""`flask rotate-keys`: another master key for everything there is, or another secret key, without an hour in which anything does not open.

The steps are the same whoever keeps the key: every process gets both keys, the new one first; then every album key is wrapped by the new
one; then the old one is no longer needed. Where the key is in the data folder, this command takes the steps itself, and `master.key` holds
both keys until the last step: whatever moment it is killed at, the key that is needed is in the file, and the command can be run again.
Processes that were not started again since the first step are seen by the lock that each has on the file it began with, which is kept as
`master.key.before`.
"""

import os
import secrets
from pathlib import Path

import click
import sqlalchemy as sa
from flask.cli import with_appcontext

from app.albums.models import Album
from app.config import Settings
from app.db import Database
from app.house import House
from app.instance import PUSH_KEY, Instance, push_key
from app.ops.console import the_house
from app.ops.keyfiles import MASTER, SECRET, key_texts, nobody_holds, write_key
from app.security.sealing import MasterKey, SealBroken

BEFORE = f"{MASTER}.before"
OLD_BACKUPS = "Backups that were made before need the old key: keep it beside them, in a safe place."


@click.command("rotate-keys")
@click.option("--secret", is_flag=True, help="Change the secret key, which signs links, instead of the master key.")
@click.option("--forget", is_flag=True, help="With --secret: drop the older secret keys. Every link that they signed ends.")
@with_appcontext
def rotate_keys(secret: bool, forget: bool) -> None:
    """Change the master key: every album key is wrapped anew. Safe to repeat, and to be interrupted.

    With KINFOLD_MASTER_KEY=new,old it does so at once. Where the key is in the data folder, the first run makes a new one and the run
    after the next start of Kinfold finishes.
    """
    house = the_house()
    if forget and not secret:
        raise click.UsageError("--forget belongs to --secret.")
    if secret:
        _another_secret(house.settings, forget=forget)
    elif house.settings.master_key is not None:
        _from_setting(house)
    else:
        _from_file(house)


def rewrap(database: Database, master_text: str) -> int:
    """Wrap every album key by the newest master key, in one transaction, and note that this key is the instance's. Returns how many were
    not yet. Raises `SealBroken`, and changes nothing, when none of the keys opens an album's."""
    master, newest = MasterKey.parse(master_text), MasterKey.parse(newest_of(master_text))
    done = 0
    with database.writing() as session:
        # First, so that whoever makes an album just now waits, or is waited for: see `sealing_key`.
        session.execute(sa.update(Instance).values(master_check=newest.check_value()))
        for album in session.execute(sa.select(Album.id, Album.wrapped_key).with_for_update()).all():
            try:
                newest.open_album(album.id, album.wrapped_key)
            except SealBroken:
                wrapped = master.rewrap_album(album.id, album.wrapped_key)
                session.execute(sa.update(Album).where(Album.id == album.id).values(wrapped_key=wrapped))
                done += 1
        key = push_key(session, master)
        if key is not None:
            session.execute(sa.update(Instance).values(sealed_push_key=newest.seal_key(PUSH_KEY, key)))
    return done


def newest_of(text: str) -> str:
    """The first of several keys."""
    return text.split(",")[0].strip()


def _from_setting(house: House) -> None:
    text = house.settings.master_key or ""
    if "," not in text:
        raise click.ClickException(
            "KINFOLD_MASTER_KEY names one key. Set it to new,old on every node, start Kinfold again everywhere, then run this again. "
            f"A new key: {MasterKey.generate()}"
        )
    click.echo(_told(_rewrap(house, text)))
    click.echo(f"Now set KINFOLD_MASTER_KEY to the new key alone, and start Kinfold again. {OLD_BACKUPS}")


def _from_file(house: House) -> None:
    settings, folder = house.settings, house.settings.data / "keys"
    text = key_texts(settings).master
    assert text is not None, "the house could not have been opened"
    before = folder / BEFORE
    if "," not in text:
        if before.exists() and not before.samefile(folder / MASTER):  # killed at the very end: all was done
            before.unlink()
            click.echo(f"The new master key is the only one now. {OLD_BACKUPS}")
            return
        before.unlink(missing_ok=True)
        os.link(folder / MASTER, before)
        write_key(settings, MASTER, f"{MasterKey.generate()},{text}")
        click.echo(
            "A new master key was made; keys/master.key holds both for now. Start Kinfold again, then run this command again to finish."
        )
        return
    if before.exists() and not _restarted(before):
        raise click.ClickException("Kinfold still runs with the old key alone. Start it again, then run this command again.")
    click.echo(_told(_rewrap(house, text)))
    write_key(settings, MASTER, newest_of(text))
    before.unlink(missing_ok=True)
    click.echo(f"The new master key is the only one now. Copy keys/master.key to its safe place. {OLD_BACKUPS}")


def _restarted(before: Path) -> bool:
    """Whether every process that began with the old key alone has ended."""
    return nobody_holds(before)


def _rewrap(house: House, text: str) -> int:
    try:
        return rewrap(house.database, text)
    except SealBroken:
        raise click.ClickException(
            "An album opens with none of these keys. Nothing was changed. Is the old key the right one?"
        ) from None
    finally:
        house.database.flatten()


def _told(done: int) -> str:
    return f"{done:,} album key{' was' if done == 1 else 's were'} wrapped by the new master key."


def _another_secret(settings: Settings, *, forget: bool) -> None:
    text = key_texts(settings).secret
    assert text is not None, "the house could not have been opened"
    new = secrets.token_urlsafe(48)
    if forget:
        if settings.secret_key is not None:
            raise click.ClickException(
                "KINFOLD_SECRET_KEY is a setting: leave only the newest key in it, and start Kinfold again."
            )
        write_key(settings, SECRET, newest_of(text))
        click.echo("Only the newest secret key is left. Start Kinfold again; links that an older one signed have ended.")
        return
    if settings.secret_key is not None:
        raise click.ClickException(
            f"KINFOLD_SECRET_KEY is a setting: put a new key before the old one, KINFOLD_SECRET_KEY=new,old, and start Kinfold again. "
            f"A new key: {new}"
        )
    write_key(settings, SECRET, f"{new},{text}")
    click.echo(
        "A new secret key was made. Start Kinfold again. Links that were sent go on working, because keys/secret.key holds the old key "
        "too. When they have ended, or if they must end now: flask rotate-keys --secret --forget"
    )
