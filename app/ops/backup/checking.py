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
    """How many photos in how many albums can be restored, and the identifiers of those that can't."""

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
            left = _objects_by_photo(session)
        for photo, name, place in places_of(archive, rows_key, database):
            left[photo] = left.get(photo, 0) - 1
            coming.append((photo, readers.submit(_open, archive, database, albums, photo, name, place)))
            if len(coming) > 4 * READERS:
                _note(coming.popleft(), proof, progress)
        while coming:
            _note(coming.popleft(), proof, progress)
    proof.broken |= {photo for photo, missing in left.items() if missing}
    proof.albums, proof.photos = len(albums), len(left) - len(proof.broken)
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


def _objects_by_photo(session: Session) -> dict[str, int]:
    """How many objects each photo needs that has been prepared."""
    prepared = session.execute(sa.select(Photo.id, Photo.kind).where(Photo.state.in_(PREPARED)))
    return {photo: len(RENDITIONS[kind]) for photo, kind in prepared}


def _open(archive: Archive, database: Database, albums: dict[str, AlbumKey], photo: str, name: str, place: Place) -> None:
    with database.reading() as session:
        row, album = session.execute(
            sa.select(Rendition, Photo.album_id)
            .join(Photo, Photo.id == Rendition.photo_id)
            .where(Rendition.photo_id == photo, Rendition.object_name == name)
        ).one()
    for _ in open_range(albums[album].unwrap(name, row.wrapped_key, row.size), archive.read(place), row.size, 0, row.size):
        pass


def _note(one: tuple[str, Future[None]], proof: Proof, progress: Callable[[int], None]) -> None:
    try:
        one[1].result()
    except (BackupBroken, SealBroken):
        proof.broken.add(one[0])
    progress(1)
