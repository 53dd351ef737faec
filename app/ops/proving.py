"""`flask doctor --prove`: every file that is shown is read, opened and proven clean once more, as it was before it was first shown.

Photos are told by their identifiers: the doctor names nothing private. Nothing is changed unless it is asked to hide what fails; then that
photo is shown to nobody until a member dismisses it, and its files stay where they are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.albums.models import Album
from app.answers.models import Voice, VoiceState
from app.answers.service import silence
from app.house import House
from app.ingest.decoder.prove import NotClean, prove
from app.ingest.service import hide as hide_photo
from app.ingest.voicing import is_clean
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
    """A file that failed: of which photo, which of its renditions, and how; or which `voice` about it."""

    photo: str
    rendition: RenditionName | None
    flaw: Flaw
    voice: str | None = None


def how_many(session: Session) -> int:
    """The files that are shown just now."""
    files = sa.select(sa.func.count()).select_from(Rendition).join(Photo, Photo.id == Rendition.photo_id)
    voices = sa.select(sa.func.count()).select_from(Voice).where(Voice.state == VoiceState.READY)
    return session.scalars(files.where(Photo.state.in_(PREPARED))).one() + session.scalars(voices).one()


def prove_stored(house: House, *, progress: Callable[[int], None] = lambda _: None) -> Iterator[Unproven]:
    """Those that fail, while others go on adding and deleting photos. Raises `StorageFailed`."""
    for row, album in _shown(house):
        flaw = _flaw(house, row, album)
        if flaw is not None and _is_still_shown(house, row):
            is_voice = isinstance(row, Voice)
            yield Unproven(row.photo_id, None if is_voice else row.name, flaw, row.id if is_voice else None)
        progress(1)


def hide(house: House, found: Unproven) -> None:
    """Show a photo to nobody any more, or let nobody hear a voice."""
    with house.database.writing() as session:
        if found.voice is not None:
            silence(session, voice=found.voice)
        else:
            hide_photo(session, photo=found.photo, at=house.clock.now())


def _shown(house: House) -> Iterator[tuple[Any, Album]]:
    renditions: Any = (Rendition, Rendition.name, Photo.state.in_(PREPARED))
    voices: Any = (Voice, Voice.id, Voice.state == VoiceState.READY)
    for table, name, shown in (renditions, voices):
        rows = (
            sa.select(table, Album, table.photo_id, name)
            .join(Photo, Photo.id == table.photo_id)
            .join(Album, Album.id == Photo.album_id)
            .where(shown)
            .order_by(table.photo_id, name)
            .limit(AT_ONCE)
        )
        key, last = sa.tuple_(table.photo_id, name), ("", "")
        found: Sequence[Any] = [None] * AT_ONCE
        while len(found) == AT_ONCE:
            with house.database.reading() as session:
                found = session.execute(rows.where(key > last)).all()
            for row, album, *place in found:
                yield row, album
                last = tuple(place)


def _flaw(house: House, row: Any, album: Album) -> Flaw | None:
    try:
        key = house.master.open_album(album.id, album.wrapped_key)
        sealed = Sealed(house.storage, key, {row.object_name: SealedKey(row.wrapped_key, row.size)})
        content = b"".join(sealed.read(row.object_name))
        if isinstance(row, Voice):
            return None if is_clean(content) else Flaw.NOT_CLEAN
        size = prove(row.mime, content)
    except ObjectMissing:
        return Flaw.MISSING
    except SealBroken:
        return Flaw.DAMAGED
    except NotClean:
        return Flaw.NOT_CLEAN
    return None if size == (row.width, row.height) else Flaw.ANOTHER_SIZE


def _is_still_shown(house: House, row: Any) -> bool:
    with house.database.reading() as session:
        if isinstance(row, Voice):
            return session.scalar(sa.select(Voice.state).where(Voice.object_name == row.object_name)) is VoiceState.READY
        shown = sa.select(Photo.state).join(Rendition, Rendition.photo_id == Photo.id)
        return session.scalar(shown.where(Rendition.object_name == row.object_name)) in PREPARED
