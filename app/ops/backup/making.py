"""Making a backup while everything goes on."""

import base64
import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.albums.models import Album
from app.albums.service import open_album
from app.house import House
from app.instance import Instance, note_time
from app.media.models import PREPARED, Photo, PhotoState, Rendition, Upload
from app.ops import rows
from app.ops.backup.archive import FORMAT, MANIFEST, Entry, Writing
from app.ops.keyfiles import KeyTexts, key_texts, wrap_keys
from app.ops.migrate import alembic_config
from app.security.sealing import AlbumKey, sealed_size
from app.storage.port import ObjectMissing, Storage

READERS = 8
SMALL = 4 << 20
"""Objects up to so many bytes are read ahead, up to two for each reader; larger ones stream."""

NOT_IN_A_BACKUP = {"removal", "incoming", "incoming_part"}
"""Promises to remove, and files that are still arriving, concern objects that are not in a backup either. The journal of deletions is there
as it was then, so that we know which of its lines are newer."""


@dataclass
class Made:
    """What is in a backup, in numbers and bytes, and what is not: names of `waiting` uploads, identifiers of photos that are `damaged`.
    `path` is where it is: beside the file that was asked for, when that one was there and this one lacks photos."""

    path: Path
    photos: int = 0
    albums: int = 0
    bytes: int = 0
    waiting: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


Progress = Callable[[int], None]


def wait_for_pipeline(house: House, seconds: float) -> None:
    """Give the workers time to finish with what has arrived, but no more than that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with house.database.reading() as session:
            if session.scalar(sa.select(Photo.id).where(Photo.state == PhotoState.RECEIVED).limit(1)) is None:
                return
        time.sleep(0.5)


def how_many_objects(house: House) -> int:
    """About how many there will be to copy: for a progress bar."""
    with house.database.reading() as session:
        return session.scalars(sa.select(sa.func.count()).select_from(Rendition)).one()


def make(house: House, path: Path, *, version: str, passphrase: str | None = None, progress: Progress = lambda _: None) -> Made:
    """Write everything that can be restored into one file; with a passphrase also the keys, under it.

    Raises `OSError`, `BackupBusy` and `StorageFailed`, and leaves nothing behind then; a file of this name stays until it can be replaced.
    """
    made = Made(path)
    with house.database.writing() as session:
        note_time(session, clock=house.clock)  # so that whoever restores it knows how late it was
    at = house.clock.now()
    key, wrapped = house.master.new_album("backup")
    rows_key = AlbumKey.new_object_key()
    manifest = {
        "format": FORMAT,
        "kinfold": version,
        "revision": revision(house),
        "made_at": at.isoformat(),
        "instance": _text(house.master.check_value()),
        "key": _text(wrapped),
        "rows_key": _text(key.seal_field("rows", "backup", rows_key)),
    }
    if passphrase is not None:
        manifest["keys"] = wrap_keys(_keys_of(house), passphrase)
    writing = Writing(path, at)
    try:
        writing.add(MANIFEST, manifest)
        with rows.snapshot(house.database) as still:
            writing.add_rows(rows.write_lines(still, _selects()), rows_key)
            _count(still, house, made)
        left_out = _copy(house.storage, entries_of(writing.lines(rows_key)), writing, progress)
        with house.database.reading() as session:
            made.damaged = _still_there(session, left_out)
        if made.damaged and path.exists():
            made.path = path.with_name(f"{path.name}.damaged")
        made.bytes = writing.finish(left_out, path=made.path)
    finally:
        writing.give_up()
    if not made.damaged:
        with house.database.writing() as session:
            session.execute(sa.update(Instance).values(backed_up_at=at))
    made.photos -= len(left_out)
    return made


def revision(house: House) -> str:
    """The revision of the tables, which is that of this version of Kinfold, because it has started."""
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(alembic_config(house.database.engine)).get_current_head()
    assert head is not None
    return head


def entries_of(lines: Iterable[bytes]) -> Iterator[Entry]:
    """The objects that the rows name, in their order."""
    for row in rows.rows_of(lines, "rendition"):
        yield Entry(row["photo_id"], row["object_name"], sealed_size(row["size"]))


def _selects() -> dict[str, sa.Select[tuple[object, ...]]]:
    """The rows that belong into a backup: nothing that still waits, and of what was refused only that it was."""
    tables = {name: table for name, table in rows.our_tables().items() if name not in NOT_IN_A_BACKUP}
    photo, upload, rendition = tables["photo"], tables["upload"], tables["rendition"]
    selects = {name: sa.select(table) for name, table in tables.items()}
    selects["photo"] = sa.select(
        *(sa.case((photo.c.state.in_(PREPARED), column), else_=0) if column.name == "stored" else column for column in photo.c)
    ).where(photo.c.state != PhotoState.RECEIVED)
    prepared = sa.and_(photo.c.id == rendition.c.photo_id, photo.c.state.in_(PREPARED))
    selects["rendition"] = sa.select(rendition).join(photo, prepared)  # none of a photo that was hidden
    selects["upload"] = sa.select(
        *(sa.null() if column.name in ("object_name", "wrapped_key", "keep_until") else column for column in upload.c)
    ).join(photo, sa.and_(photo.c.id == upload.c.photo_id, photo.c.state == PhotoState.REFUSED))
    return selects


def _count(still: sa.Connection, house: House, made: Made) -> None:
    with Session(still) as session:
        made.photos = session.scalars(sa.select(sa.func.count()).where(Photo.state == PhotoState.READY)).one()
        made.albums = session.scalars(sa.select(sa.func.count()).select_from(Album)).one()
        waiting = sa.select(Photo.id, Upload.sealed_name, Album).join(Upload, Upload.photo_id == Photo.id)
        for photo, name, album in session.execute(
            waiting.join(Album, Album.id == Photo.album_id).where(Photo.state == "received")
        ):
            key = open_album(album, master=house.master).key
            made.waiting.append(key.open_field("file-name", photo, name).decode())


def _copy(storage: Storage, entries: Iterator[Entry], writing: Writing, progress: Progress) -> set[str]:
    """Copy the objects as they are, and return the photos of which one was not there."""
    left_out = set()
    with ThreadPoolExecutor(READERS) as readers:
        for entry, coming in _read_ahead(storage, entries, readers):
            try:
                if coming is None:
                    writing.add_object(entry.name, _of_length(storage, entry), entry.size)
                else:
                    content, digest = coming.result()
                    writing.add_object(entry.name, [content], entry.size, digest)
            except ObjectMissing:
                left_out.add(entry.photo)
            progress(1)
    return left_out


Whole = tuple[bytes, bytes]
"""An object and its SHA-256."""


def _whole(storage: Storage, entry: Entry) -> Whole:
    content = b"".join(storage.read(entry.name))
    if len(content) != entry.size:
        raise ObjectMissing
    return content, hashlib.sha256(content).digest()


def _read_ahead(
    storage: Storage, entries: Iterator[Entry], readers: ThreadPoolExecutor
) -> Iterator[tuple[Entry, Future[Whole] | None]]:
    """The entries in their order; the small ones are being read, by several at a time."""
    coming: deque[tuple[Entry, Future[Whole] | None]] = deque()
    for entry in entries:
        coming.append((entry, readers.submit(_whole, storage, entry) if entry.size <= SMALL else None))
        if len(coming) > 2 * READERS:
            yield coming.popleft()
    yield from coming


def _of_length(storage: Storage, entry: Entry) -> Iterator[bytes]:
    if storage.size(entry.name) != entry.size:
        raise ObjectMissing
    return storage.read(entry.name)


def _still_there(session: Session, photos: Iterable[str]) -> list[str]:
    """Those of the photos that nobody has deleted: something is wrong with their objects."""
    return sorted(photo for photo in photos if session.get(Photo, photo) is not None)


def _keys_of(house: House) -> KeyTexts:
    found = key_texts(house.settings)
    assert found.master is not None and found.secret is not None, "the house could not have been opened"
    return KeyTexts(found.master, found.secret)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
