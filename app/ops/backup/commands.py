"""`flask backup`, `flask backup --check` and `flask restore`."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import sqlalchemy as sa
from flask.cli import with_appcontext

from app.clock import SystemClock
from app.config import Settings
from app.errors import WrongSetting
from app.ops.backup.archive import Archive, BackupBroken, BackupBusy
from app.ops.backup.making import Made, how_many_objects, make, wait_for_pipeline
from app.ops.console import bar, printable, the_house, version
from app.ops.journal import JournalBroken
from app.ops.keyfiles import SHORTEST_PASSPHRASE, passphrase_from_env
from app.storage.port import StorageFailed

PATH = click.Path(dir_okay=False, path_type=Path)


@click.command("backup")
@click.argument("file", type=PATH)
@click.option("--check", is_flag=True, help="Make nothing: prove that everything in FILE can be restored.")
@click.option("--keys", is_flag=True, help="Put the master and the secret key into it, under a passphrase.")
@click.option("--wait", default=60, show_default=True, metavar="SECONDS", help="Time for photos that are just being prepared.")
@with_appcontext
def backup(file: Path, check: bool, keys: bool, wait: int) -> None:
    """Write everything into FILE, while Kinfold goes on; or --check such a file.

    Photos and names in it are sealed. Without the master key it can't be restored: keep that key somewhere else.
    """
    if check:
        _check(file)
        return
    house = the_house()
    with plainly():
        passphrase = ask_passphrase(twice=True) if keys else None
        wait_for_pipeline(house, wait)
        with bar("Backing up", how_many_objects(house)) as progress:
            made = make(house, file, version=version(), passphrase=passphrase, progress=progress)
    _say(made, wanted=file)


@click.command("restore")
@click.argument("file", type=PATH)
@click.option(
    "--keep-links", is_flag=True, help="Let links and phones go on as they were when it was made, except for those ended since."
)
@click.option("--deletions", type=PATH, help="A copy of deletions.jsonl: what it says is not brought back.")
def restore(file: Path, keep_links: bool, deletions: Path | None) -> None:
    """Put the backup FILE into an empty instance, with Kinfold stopped.

    Every sign-in and invitation ends, and every link and phone unless you say --keep-links. What was deleted or ended since stays so, and
    passwords that were changed since are good no more, as far as deletions.jsonl in the data folder, or the one that you name, tells.
    """
    from app.ops.backup.restoring import NotEmpty, restore  # the whole house, which a command that only helps need not load

    with plainly():
        try:
            if deletions is not None and not deletions.exists():
                raise click.ClickException(f"There is no file {deletions}.")
            settings, archive = Settings.from_env(), Archive(file)
            passphrase = passphrase_from_env()
            if passphrase is None and archive.manifest.get("keys") and settings.master_key is None and sys.stdin.isatty():
                passphrase = ask_passphrase(twice=False)
            with bar("Restoring", archive.objects) as progress:
                done = restore(
                    settings,
                    archive,
                    clock=SystemClock(),
                    passphrase=passphrase,
                    keep_links=keep_links,
                    deletions=deletions,
                    progress=progress,
                )
        except NotEmpty as why:
            raise click.ClickException(str(why)) from None
    back = f"{_photos(done.photos)} in {_albums(done.albums)} are back, as of {done.made_at:%Y-%m-%d %H:%M} UTC."
    click.echo(f"{back} Start Kinfold as usual.")
    if not done.lines:
        click.echo("No deletion journal was found, or it is empty: what was deleted after the backup was made is back too.")
    elif done.undone:
        click.echo(f"{done.undone} deletions and endings from the journal were applied.")
    for email in done.without_password:
        click.echo(
            f"The password of {printable(email)} was changed since. Help them to another one: flask member reset {printable(email)}"
        )
    for each in done.without_owner:
        click.echo(each.says)
    if keep_links:
        click.echo("Every sign-in and invitation has ended. Members sign in with their password.")
    else:
        click.echo("Every link, phone, sign-in and invitation has ended. Members sign in with their password and send new links.")


def _check(file: Path) -> None:
    from app.ops.backup.checking import prove
    from app.ops.backup.reading import keys_in
    from app.security.sealing import MasterKey

    house = the_house()
    with plainly():
        archive = Archive(file)
        inside = keys_in(archive, passphrase_from_env())
        master = MasterKey.parse(inside.master) if inside else house.master
        with bar("Checking", archive.objects) as progress:
            proof = prove(archive, master, beside=house.settings.data, progress=progress)
    if not proof.broken:
        click.echo(f"{_photos(proof.photos)} in {_albums(proof.albums)} can be restored.")
        return
    click.echo(
        f"{_photos(proof.photos)} of {proof.photos + len(proof.broken):,} in {_albums(proof.albums)} can be restored. These can't:"
    )
    for photo in sorted(proof.broken):
        click.echo(f"  {photo}")
    sys.exit(1)


def _say(made: Made, *, wanted: Path) -> None:
    click.echo(f"{made.path}: {_photos(made.photos)} in {_albums(made.albums)}, {made.bytes / 1_000_000:,.1f} MB.")
    if made.waiting:
        what = "1 upload was" if len(made.waiting) == 1 else f"{len(made.waiting):,} uploads were"
        click.echo(f"{what} not ready yet and will be in the next backup" + (":" if sys.stdout.isatty() else "."))
        for name in made.waiting if sys.stdout.isatty() else ():  # a person may read them; a log may not
            click.echo(f"  {click.unstyle(repr(name)[1:-1])}")
    if made.damaged:
        click.echo("The files of these photos are missing in the storage, so they are not in the backup:", err=True)
        for photo in made.damaged:
            click.echo(f"  {photo}", err=True)
        if made.path != wanted:
            click.echo(f"{wanted} is as it was before.", err=True)
        sys.exit(1)


@contextmanager
def plainly() -> Iterator[None]:
    """What can go wrong, as a sentence and an exit code."""
    try:
        yield
    except (BackupBroken, JournalBroken, WrongSetting) as why:
        raise click.ClickException(str(why)) from None
    except BackupBusy:
        raise click.ClickException("Another backup is being written to this file, or checked, just now.") from None
    except StorageFailed as failed:
        full = "The disk of the storage is full." if failed.reason == "disk-full" else "The storage can't be reached."
        raise click.ClickException(f"{full} Nothing was left behind; try again.") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise click.ClickException("The disk is full. Nothing was left behind; make room and try again.") from None
        raise click.ClickException(f"The file can't be written: {error.strerror}. Nothing was left behind.") from None
    except sa.exc.OperationalError:
        raise click.ClickException(
            "The database can't be used: is it running, is the disk full? Nothing was left behind."
        ) from None


def ask_passphrase(*, twice: bool, of: str = "the keys") -> str:
    """The passphrase of something, from the environment or the terminal; `twice` for a new one. Raises `ClickException`."""
    given = passphrase_from_env()
    if given is None:
        if not sys.stdin.isatty():
            raise click.ClickException(
                "Set KINFOLD_BACKUP_PASSPHRASE or KINFOLD_BACKUP_PASSPHRASE_FILE: there is no terminal to ask on."
            )
        given = str(click.prompt(f"Passphrase for {of}", hide_input=True, confirmation_prompt=twice, err=True))
    if twice and len(given) < SHORTEST_PASSPHRASE:
        raise click.ClickException(f"A passphrase needs at least {SHORTEST_PASSPHRASE} characters.")
    return given


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count:,} photos"


def _albums(count: int) -> str:
    return "1 album" if count == 1 else f"{count:,} albums"
