"""Proving a backup: everything is restored into a scratch place and opened, and nothing of it stays."""

import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.albums.models import Album
from app.answers.models import Voice, VoiceState
from app.db import Database
from app.jobs.executors import FileLocks
from app.media.models import PREPARED, RENDITIONS, Photo, Rendition
from app.ops.backup.archive import Archive, BackupBroken, BackupBusy, Place
from app.ops.backup.making import Progress
from app.ops.backup.reading import CHECKING, NEEDS_BOTH_KEYS, check_version, open_rows_key, places_of, scratch_rows
from app.security.sealing import AlbumKey, MasterKey, SealBroken, open_range

READERS = 4


@dataclass
class Proof:
    """How many photos in how many albums can be restored, and the identifiers of the photos and voices that can't."""

    photos: int = 0
    albums: int = 0
    broken: set[str] = field(default_factory=set)


def prove(archive: Archive, master: MasterKey, *, beside: Path, progress: Progress = lambda _: None) -> Proof:
    """Restore the rows into a scratch database `beside` the rest, and open every chunk of every object with its key.

    Raises `BackupBroken` where the backup as a whole is, and `BackupBusy` when another one is being proven."""
    check_version(archive)
    rows_key = open_rows_key(archive, master)
    proof = Proof()
    coming: deque[tuple[str, Future[None]]] = deque()
    with (
        _scratch_folder(beside) as folder,
        scratch_rows(archive, rows_key, folder) as database,
        ThreadPoolExecutor(READERS) as readers,
    ):
        with database.reading() as session:
            albums = {album.id: _album_key(master, album) for album in session.scalars(sa.select(Album))}
            left = _objects(session)
            voices = set(session.scalars(sa.select(Voice.id)))
        for each, name, place in places_of(archive, rows_key, database):
            left[each] = left.get(each, 0) - 1
            coming.append((each, readers.submit(_open, archive, database, albums, name, place)))
            if len(coming) > 4 * READERS:
                _note(coming.popleft(), proof, progress)
        while coming:
            _note(coming.popleft(), proof, progress)
    proof.broken |= {each for each, missing in left.items() if missing}
    proof.albums, proof.photos = len(albums), len(left.keys() - voices - proof.broken)
    return proof


@contextmanager
def _scratch_folder(beside: Path) -> Iterator[Path]:
    """A folder for one check at a time; what one that was killed has left in it is removed. Raises `BackupBusy`."""
    lock = FileLocks(beside).take(CHECKING)
    if lock is None:
        raise BackupBusy
    folder = beside / CHECKING
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _album_key(master: MasterKey, album: Album) -> AlbumKey:
    """Its key. Raises `BackupBroken`, as restoring does."""
    try:
        return master.open_album(album.id, album.wrapped_key)
    except SealBroken:
        raise BackupBroken(NEEDS_BOTH_KEYS) from None


def _objects(session: Session) -> dict[str, int]:
    """How many objects each photo that can be seen needs, and each voice that can be heard."""
    prepared = session.execute(sa.select(Photo.id, Photo.kind).where(Photo.state.in_(PREPARED)))
    voices = session.scalars(sa.select(Voice.id).where(Voice.state == VoiceState.READY))
    return {photo: len(RENDITIONS[kind]) for photo, kind in prepared} | dict.fromkeys(voices, 1)


def _open(archive: Archive, database: Database, albums: dict[str, AlbumKey], name: str, place: Place) -> None:
    rows = (
        sa.select(table.wrapped_key, table.size, Photo.album_id)
        .join(Photo, Photo.id == table.photo_id)
        .where(table.object_name == name)
        for table in (Rendition, Voice)
    )
    with database.reading() as session:
        wrapped_key, size, album = session.execute(sa.union_all(*rows)).one()
    assert wrapped_key is not None, "it is in storage"
    for _ in open_range(albums[album].unwrap(name, wrapped_key, size), archive.read(place), size, 0, size):
        pass


def _note(one: tuple[str, Future[None]], proof: Proof, progress: Callable[[int], None]) -> None:
    try:
        one[1].result()
    except (BackupBroken, SealBroken):
        proof.broken.add(one[0])
    progress(1)
