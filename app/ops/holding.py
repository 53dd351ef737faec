"""`flask hold`, `flask hold-export` and `flask hold-open`: a photo that may be evidence of a crime is hidden from everybody, kept, and
handed to the police sealed. Nobody has to look at it, and it is never mailed.

An export is one file: a line of JSON, in which is a random key under a passphrase (`keyfiles.seal_with_passphrase`), then a tar sealed
under that key as every object is (`security/sealing.py`). In the tar are `facts.json` and the renditions as they are stored.
"""

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from io import BytesIO, RawIOBase
from pathlib import Path
from typing import Any, cast

import click
import sqlalchemy as sa
from flask.cli import with_appcontext
from sqlalchemy.orm import Session

from app.accounts.models import Account
from app.albums.models import Album
from app.albums.service import open_album
from app.answers.models import Seen
from app.errors import NotVisible, Refused
from app.groups.models import Group
from app.house import House
from app.ingest import service as ingest
from app.media import service as media
from app.media.models import Photo, PhotoState, Rendition
from app.ops.backup.commands import ask_passphrase, plainly
from app.ops.console import the_house
from app.ops.keyfiles import open_with_passphrase, seal_with_passphrase
from app.reports.models import Report
from app.security.sealing import AlbumKey, ChunkSealer, SealBroken, open_range, plain_size
from app.sharing.models import Grant, Guest
from app.storage.port import ObjectMissing
from app.storage.sealed import Sealed, SealedKey

FORMAT = 1
PIECE = 1 << 20
LONGEST_HEAD = 4096
PATH = click.Path(dir_okay=False, path_type=Path)
_PLACE = b"kinfold 1 evidence"

NOT_THERE = "There is no photo with this identifier. `flask hold --list` shows those that were reported or are held."


@click.command("hold")
@click.argument("photo", required=False)
@click.option("--release", is_flag=True, help="Show it again, and let it be deleted.")
@click.option(
    "--list",
    "listed",
    is_flag=True,
    help="Show the photos that are held, and those of which somebody says that something is wrong.",
)
@with_appcontext
def hold(photo: str | None, release: bool, listed: bool) -> None:
    """Hide a photo from everybody at once and keep it as evidence.

    It can't be deleted until it is released, nor its album, its group, or whoever added it. Hand it to the police with hold-export.
    """
    house = the_house()
    if listed or photo is None:
        _list(house)
        return
    try:
        with house.database.writing() as session:
            if release:
                ingest.release(session, photo=photo, jobs=house.jobs, at=house.clock.now())
            else:
                ingest.hold(session, photo=photo, at=house.clock.now())
    except NotVisible:
        raise click.ClickException("This photo is not held." if release else NOT_THERE) from None
    except Refused:
        raise click.ClickException(
            "Nobody sees this photo: it is still being prepared, or could not be. Try again later."
        ) from None
    click.echo(
        "It can be seen again."
        if release
        else "Nobody sees it any more, and nobody can delete it. For the police: flask hold-export"
    )


@click.command("hold-export")
@click.argument("photo")
@click.option("--to", "file", type=PATH, required=True, help="The file to write; it must not be there yet.")
@with_appcontext
def hold_export(photo: str, file: Path) -> None:
    """Write a held photo, and what is known about it, into a file under a passphrase, for the police.

    `flask hold-open` opens it, on any machine with Kinfold. Tell them the passphrase by another way than the file.
    """
    house = the_house()
    with plainly():
        if file.exists():
            raise click.ClickException(f"{file} is there already. Choose another name.")
        with house.database.reading() as session:
            found = session.get(Photo, photo)
            if found is None or found.state is not PhotoState.HELD:
                raise click.ClickException("This photo is not held. Hold it first: flask hold " + photo)
            facts = facts_of(session, found, house)
            key = open_album(session.get_one(Album, found.album_id), master=house.master).key
            renditions = session.scalars(sa.select(Rendition).where(Rendition.photo_id == photo)).all()
        passphrase = ask_passphrase(twice=True, of="the file")
        partial = file.with_name(f"{file.name}.partial")
        try:
            _write(partial, passphrase, facts, _contents(house, key, renditions))
            partial.rename(file)
        except ObjectMissing:
            raise click.ClickException("A file of this photo is missing in the storage. Nothing was written.") from None
        finally:
            partial.unlink(missing_ok=True)
    click.echo(
        f"{file}: the photo and what is known about it. It opens with the passphrase and nothing else: flask hold-open {file}"
    )


@click.command("hold-open")
@click.argument("file", type=PATH)
@click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="A new folder for what is in it."
)
def hold_open(file: Path, folder: Path) -> None:
    """Open a FILE that hold-export wrote. What is in it may be illegal to look at: this is for the police."""
    with plainly():
        if folder.exists():
            raise click.ClickException(f"{folder} is there already. Choose another name.")
        if not file.exists():
            raise click.ClickException(f"There is no file {file}.")
        head, start = _read_head(file)
        key = open_with_passphrase(head, ask_passphrase(twice=False, of="the file"), _PLACE)
        if key is None:
            raise click.ClickException("This passphrase does not open the file.")
        folder.mkdir(mode=0o700)
        try:
            with tarfile.open(fileobj=_Opening(file, start, key), mode="r|", bufsize=PIECE) as tar:
                tar.extractall(folder, filter="data")
        except (SealBroken, tarfile.TarError):
            shutil.rmtree(folder)
            raise click.ClickException("This file was changed after it was written, or is only a part of it.") from None
    click.echo(f"{folder} holds the photo and facts.json, which says what is known about it.")


def facts_of(session: Session, photo: Photo, house: House) -> dict[str, Any]:
    """What is known about a photo: whose it is, who added it, who could see it, who looked and who said that something is wrong."""
    album = open_album(session.get_one(Album, photo.album_id), master=house.master)
    members = dict(
        session.execute(
            sa.select(Account.id, Account.name + " <" + Account.email + ">").where(Account.group_id == photo.group_id)
        ).all()
    )
    guests = dict(session.execute(sa.select(Guest.id, Guest.name).where(Guest.group_id == photo.group_id)).all())
    grants = session.scalars(sa.select(Grant).where(Grant.album_id == photo.album_id).order_by(Grant.created_at))
    seen = session.scalars(sa.select(Seen).where(Seen.photo_id == photo.id).order_by(Seen.day))
    reports = session.scalars(sa.select(Report).where(Report.photo_id == photo.id).order_by(Report.at))
    return {
        "photo": photo.id,
        "group": session.get_one(Group, photo.group_id).name,
        "album": album.title,
        "number": photo.number,
        "caption": media.caption(photo, album.key),
        "taken_by_its_clock": photo.taken_at.isoformat(),
        "added": _moment(photo.created_at),
        "added_by_member": members.get(photo.created_by or ""),
        "added_by_guest": guests.get(photo.guest_id or ""),
        "first_shown": _moment(photo.shown_at),
        "removed_from_it_on_arrival": photo.removed,
        "members": sorted(members.values()),
        "shared_with": [
            {
                "guest": guests.get(grant.guest_id),
                "from": _moment(grant.created_at),
                "until": _moment(grant.ended_at or grant.expires_at),
                "may_save": grant.may_save,
                "shared_by": members.get(grant.created_by or ""),
            }
            for grant in grants
        ],
        "looked_at": [{"guest": guests.get(row.guest_id), "day": row.day.isoformat()} for row in seen],
        "reports": [
            {"at": _moment(row.at), "by": members.get(row.member_id or "") or guests.get(row.guest_id or "")} for row in reports
        ],
        "exported": _moment(house.clock.now()),
    }


def _list(house: House) -> None:
    said = sa.select(sa.func.count()).where(Report.photo_id == Photo.id).correlate(Photo).scalar_subquery()
    with house.database.reading() as session:
        rows = session.execute(
            sa.select(Photo.id, Photo.state, Group.name, said)
            .join(Group, Group.id == Photo.group_id)
            .where(sa.or_(Photo.state == PhotoState.HELD, Photo.id.in_(sa.select(Report.photo_id))))
            .order_by(Photo.changed_at, Photo.id)
        ).all()
    for photo, state, _, reports in rows:
        held = "held" if state is PhotoState.HELD else "not held"
        click.echo(f"{photo}  {held}  reported {reports} times" if reports != 1 else f"{photo}  {held}  reported once")
    if not rows:
        click.echo("No photo is held, and nobody says that anything is wrong with one.")


def _contents(house: House, key: AlbumKey, renditions: Any) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    for each in renditions:
        ending = "mp4" if each.mime == "video/mp4" else each.mime.rpartition("/")[2]
        keys = {each.object_name: SealedKey(each.wrapped_key, each.size)}
        yield f"{each.name}.{ending}", each.size, Sealed(house.storage, key, keys).read(each.object_name)


def _write(path: Path, passphrase: str, facts: dict[str, Any], contents: Iterator[tuple[str, int, Iterator[bytes]]]) -> None:
    key = AlbumKey.new_object_key()
    head = {"kinfold-evidence": FORMAT} | seal_with_passphrase(key, passphrase, _PLACE)
    digests: dict[str, str] = {}
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(json.dumps(head).encode() + b"\n")
        sealing = ChunkSealer(key, file.write)
        with tarfile.open(fileobj=cast(Any, _Sealing(sealing)), mode="w|", bufsize=PIECE) as tar:
            for name, size, pieces in contents:
                reading = _Pieces(pieces)
                tar.addfile(_about(name, size), reading)
                digests[name] = reading.digest.hexdigest()
            told = json.dumps(facts | {"sha256": digests}, ensure_ascii=False, indent=1).encode() + b"\n"
            tar.addfile(_about("facts.json", len(told)), BytesIO(told))
        sealing.finish()
        file.flush()
        os.fsync(file.fileno())


def _about(name: str, size: int) -> tarfile.TarInfo:
    told = tarfile.TarInfo(name)
    told.size, told.mode = size, 0o600
    return told


def _read_head(file: Path) -> tuple[dict[str, str], int]:
    with file.open("rb") as opened:
        line = opened.readline(LONGEST_HEAD)
    with suppress(ValueError):
        head = json.loads(line)
        if isinstance(head, dict) and head.get("kinfold-evidence") == FORMAT:
            return cast("dict[str, str]", head), len(line)
    raise click.ClickException("This is not a file that hold-export wrote.")


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


class _Sealing:
    """What a tar is written to."""

    def __init__(self, sealer: ChunkSealer) -> None:
        self._sealer = sealer

    def write(self, data: bytes) -> int:
        self._sealer.add(data)
        return len(data)


class _Pieces(RawIOBase):
    """A file that comes in pieces, with the digest of what was read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest, self.digest = pieces, b"", hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (piece := next(self._pieces, b"")):
            self._rest += piece
        taken, self._rest = self._rest[:size], self._rest[size:]
        self.digest.update(taken)
        return taken


class _Opening(_Pieces):
    """The tar in an export. Raises `SealBroken` where it was changed."""

    def __init__(self, file: Path, start: int, key: bytes) -> None:
        size = plain_size(file.stat().st_size - start)
        super().__init__(open_range(key, _after(file, start), size, 0, size))


def _after(file: Path, start: int) -> Iterator[bytes]:
    with file.open("rb") as opened:
        opened.seek(start)
        while piece := opened.read(PIECE):
            yield piece
