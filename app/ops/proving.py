"""`flask doctor --prove`: every file that is shown is read, opened and proven clean once more, as it was before it was first shown.

Photos are told by their identifiers: the doctor names nothing private. Nothing is changed unless it is asked to hide what fails; then that
photo is shown to nobody until a member dismisses it, and its files stay where they are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.albums.models import Album
from app.house import House
from app.ingest.decoder.prove import NotClean, prove
from app.ingest.service import hide
from app.media.models import PREPARED, Photo, Rendition, RenditionName
from app.security.sealing import SealBroken
from app.storage.port import ObjectMissing
from app.storage.sealed import Sealed, SealedKey

AT_ONCE = 200
"""Rows that are held in memory; of the files themselves it is one."""


class Flaw(StrEnum):
    """What is wrong with a file that is shown."""

    MISSING = "is missing"
    DAMAGED = "is damaged"
    NOT_CLEAN = "holds something that drawing it does not need"
    ANOTHER_SIZE = "has another size than its row says"

    @property
    def is_shown(self) -> bool:
        """Whether people see something that they should not; what is missing or damaged shows nothing, and may come back: a folder that
        is not mounted, a bucket that was mistyped."""
        return self in (Flaw.NOT_CLEAN, Flaw.ANOTHER_SIZE)


@dataclass(frozen=True)
class Unproven:
    """A file that failed: of which photo, which of its renditions, and how."""

    photo: str
    rendition: RenditionName
    flaw: Flaw


def how_many(session: Session) -> int:
    """The files that are shown just now."""
    shown = sa.select(sa.func.count()).select_from(Rendition).join(Photo, Photo.id == Rendition.photo_id)
    return session.scalars(shown.where(Photo.state.in_(PREPARED))).one()


def prove_stored(house: House, *, progress: Callable[[int], None] = lambda _: None) -> Iterator[Unproven]:
    """Those that fail, while others go on adding and deleting photos. Raises `StorageFailed`."""
    for row, album in _shown(house):
        flaw = _flaw(house, row, album)
        if flaw is not None and _is_still_shown(house, row):
            yield Unproven(row.photo_id, row.name, flaw)
        progress(1)


def hide_photo(house: House, photo: str) -> None:
    """Show a photo to nobody any more."""
    with house.database.writing() as session:
        hide(session, photo=photo, at=house.clock.now())


def _shown(house: House) -> Iterator[tuple[Rendition, Album]]:
    key, last = sa.tuple_(Rendition.photo_id, Rendition.name), ("", "")
    rows = (
        sa.select(Rendition, Album)
        .join(Photo, Photo.id == Rendition.photo_id)
        .join(Album, Album.id == Photo.album_id)
        .where(Photo.state.in_(PREPARED))
        .order_by(Rendition.photo_id, Rendition.name)
        .limit(AT_ONCE)
    )
    while True:
        with house.database.reading() as session:
            found = session.execute(rows.where(key > last)).all()
        yield from found
        if len(found) < AT_ONCE:
            return
        last = (found[-1][0].photo_id, found[-1][0].name)


def _flaw(house: House, row: Rendition, album: Album) -> Flaw | None:
    try:
        key = house.master.open_album(album.id, album.wrapped_key)
        sealed = Sealed(house.storage, key, {row.object_name: SealedKey(row.wrapped_key, row.size)})
        size = prove(row.mime, b"".join(sealed.read(row.object_name)))
    except ObjectMissing:
        return Flaw.MISSING
    except SealBroken:
        return Flaw.DAMAGED
    except NotClean:
        return Flaw.NOT_CLEAN
    return None if size == (row.width, row.height) else Flaw.ANOTHER_SIZE


def _is_still_shown(house: House, row: Rendition) -> bool:
    with house.database.reading() as session:
        shown = sa.select(Photo.state).join(Rendition, Rendition.photo_id == Photo.id)
        return session.scalar(shown.where(Rendition.object_name == row.object_name)) in PREPARED
