"""Photos: pages of them, one of them with its neighbours, captions, deleting.

Whoever calls has already loaded the album for a viewer; `get_photo` loads a photo for a member.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.activity import service as activity
from app.activity.models import ActivityKind, DeletionKind
from app.albums.models import Album
from app.albums.service import OpenAlbum, lock_album, open_album, promise_removal, remove_objects
from app.errors import NotVisible
from app.jobs.port import Jobs
from app.media.models import Incoming, IncomingPart, Photo, PhotoState, Rendition, Upload
from app.security.sealing import AlbumKey, MasterKey
from app.security.viewer import Member

PAGE = 60
"""Photos on one page of an album."""

UNFINISHED = (PhotoState.RECEIVED, PhotoState.AWAITING, PhotoState.REFUSED)
"""What no album counts as ready."""

_ORDER = (Photo.taken_at, Photo.number)

# The room of this table is above this one; what points at photos and people is known here by name only.
_VOICE = sa.table("voice", sa.column("photo_id"), sa.column("guest_id"), sa.column("object_name"), sa.column("size"))
_OBJECTS: tuple[Any, ...] = (Rendition.object_name, Upload.object_name, IncomingPart.object_name, _VOICE.c.object_name)
"""Every column that names an object in storage."""

_NOT_SUMMED = (Rendition.name == sa.literal_column("'full'"), Rendition.crc32.is_(None))
"""Written out, so that SQLite sees that the index of nothing but these fits."""


@dataclass(frozen=True)
class PhotoPage:
    """One page of an album, in its order. `place` says where its first photo stands in the whole album, from 1; `previous` and `following`
    are the photos right before and after it, on the pages beside, if there are any."""

    photos: Sequence[Photo]
    place: int = 1
    previous: Photo | None = None
    following: Photo | None = None


@dataclass(frozen=True)
class Neighbours:
    """Where a photo stands in its album, from 1, and the ids of the photos before and after it."""

    place: int
    previous: str | None
    following: str | None


@dataclass(frozen=True)
class Counts:
    """How many photos of an album are in which state, and how many of the ready ones are videos. `summed` says whether the checksums of
    all that are ready are known."""

    videos: int = 0
    ready: int = 0
    received: int = 0
    awaiting: int = 0
    refused: int = 0
    summed: bool = True

    @property
    def can_save_all(self) -> bool:
        """Whether the album can be saved as one zip."""
        return self.ready > 0 and self.summed


def photo_page(
    session: Session,
    *,
    album: str,
    after: str | None = None,
    before: str | None = None,
    new_since: datetime | None = None,
    size: int = PAGE,
) -> PhotoPage:
    """The ready photos of an album after or before a photo, or from the beginning: those that could be seen only since `new_since` come
    first. A few statements at any depth, of which none walks more than one index.

    A cursor that is no ready photo of this album (it was deleted meanwhile) gives an empty page: where one stands that only waits, or is
    held, would say when it was taken.
    """
    cursor = before if before is not None else after
    if cursor is None:
        found = _in_order(session, album, new_since=new_since, size=size + 1)
        return PhotoPage(found[:size], following=found[size] if len(found) > size else None)
    place, here = _stands_at(session, album=album, photo=cursor, new_since=new_since)
    if here is None or here.state is not PhotoState.READY:
        return PhotoPage([])
    found = _in_order(session, album, new_since=new_since, size=size + 1, beside=here, backwards=before is not None)
    shown, beyond = found[:size], found[size] if len(found) > size else None
    if before is not None:
        return PhotoPage(shown[::-1], place=place - len(shown), previous=beyond, following=here)
    return PhotoPage(shown, place=place + 1, previous=here, following=beyond)


def neighbours(session: Session, photo: Photo, *, new_since: datetime | None = None) -> Neighbours:
    """Where a ready photo stands among the others of its album, in the order of `photo_page`."""
    place, _ = _stands_at(session, album=photo.album_id, photo=photo.id, new_since=new_since)
    before, after = (
        _in_order(session, photo.album_id, new_since=new_since, size=1, beside=photo, backwards=backwards)
        for backwards in (True, False)
    )
    return Neighbours(place, *(found[0].id if found else None for found in (before, after)))


def count_new(session: Session, *, since: dict[str, datetime]) -> dict[str, int]:
    """How many photos of each of these albums can be seen only since then."""
    which = sa.or_(sa.false(), *(sa.and_(Photo.album_id == album, Photo.shown_at > at) for album, at in since.items()))
    ready = sa.select(Photo.album_id, sa.func.count()).where(Photo.state == PhotoState.READY, which).group_by(Photo.album_id)
    return dict(session.execute(ready).all())


def is_new(photo: Photo, since: datetime | None) -> bool:
    """Whether a photo can be seen only since then; with nothing to compare with, none is new."""
    return since is not None and photo.shown_at is not None and photo.shown_at > since


def count(session: Session, *, album: str) -> Counts:
    """How many photos of an album are in which state."""
    return counts_by_album(session, albums=[album]).get(album, Counts())


def lately_removed(session: Session, *, album: str, at: datetime) -> list[str]:
    """The kinds of things that were taken out of the photos that have lately become ready, to tell the member."""
    lately = sa.select(Photo.removed).where(
        Photo.album_id == album, Photo.state == PhotoState.READY, Photo.changed_at > at - timedelta(hours=1)
    )
    return sorted({kind for kinds in session.scalars(lately.limit(1000)) for kind in kinds})


def get_photo(session: Session, viewer: Member, *, photo: str, master: MasterKey) -> tuple[Photo, OpenAlbum]:
    """A photo of the member's group, in any state but held, with its album. Raises `NotVisible` for any other."""
    own = Photo.id == photo, Photo.state != PhotoState.HELD, Album.group_id == viewer.group
    found = session.execute(sa.select(Photo, Album).join(Album, Album.id == Photo.album_id).where(*own)).one_or_none()
    if found is None:
        raise NotVisible
    row, album = found
    return row, open_album(album, master=master)


def get_photo_of_album(session: Session, *, album: str, photo: str) -> Photo:
    """A ready photo of an album that was loaded for a viewer. Raises `NotVisible` for any other."""
    found = session.scalars(_ready(album).where(Photo.id == photo)).one_or_none()
    if found is None:
        raise NotVisible
    return found


def awaiting(session: Session, *, album: str, size: int = PAGE) -> Sequence[Photo]:
    """The first photos of an album that guests have added and that wait for a member's yes, in the order in which they came."""
    waiting = sa.select(Photo).where(Photo.album_id == album, Photo.state == PhotoState.AWAITING)
    return session.scalars(waiting.order_by(Photo.number).limit(size)).all()


def place_in_waiting(session: Session, photo: Photo) -> int:
    """Where one of these stands among them, from 1."""
    before = Photo.album_id == photo.album_id, Photo.state == PhotoState.AWAITING, Photo.number < photo.number
    return int(session.scalar(sa.select(sa.func.count()).where(*before)) or 0) + 1


def covers(session: Session, *, albums: Sequence[Album]) -> dict[str, Photo]:
    """The cover of each album that has one: the chosen photo, else the first. One statement, however many albums and photos."""
    ready = sa.select(Photo.id).where(Photo.album_id == Album.id, Photo.state == PhotoState.READY).limit(1).correlate(Album)
    cover, first = ready.where(Photo.id == Album.cover_id).scalar_subquery(), ready.order_by(*_ORDER).scalar_subquery()
    chosen = sa.select(sa.func.coalesce(cover, first)).where(Album.id.in_([album.id for album in albums]))
    return {photo.album_id: photo for photo in session.scalars(sa.select(Photo).where(Photo.id.in_(chosen)))}


def counts_by_album(session: Session, *, albums: Sequence[str]) -> dict[str, Counts]:
    """The same counts for several albums at once. Only videos and what is not ready are counted here; how much is ready, the album
    knows."""
    # Written out, so that SQLite sees that the index of nothing but videos fits.
    is_video = Photo.kind == sa.literal_column("'video'"), Photo.state == sa.literal_column("'ready'")
    videos = sa.select(sa.func.count()).where(Photo.album_id == Album.id, *is_video).scalar_subquery()
    # Asked from this end, few rows are looked at, in however large an album: nearly always none.
    its_album = sa.select(Photo.album_id).where(Photo.id == Rendition.photo_id, Photo.state == PhotoState.READY).scalar_subquery()
    summed = ~sa.exists().where(*_NOT_SUMMED, its_album == Album.id)
    ready = sa.select(Album.id, sa.literal(PhotoState.READY, Photo.state.type), Album.ready, videos, summed)
    unfinished = (
        sa.select(Photo.album_id, Photo.state, sa.func.count(), sa.literal(0), sa.true())
        .where(Photo.album_id.in_(albums), Photo.state.in_(UNFINISHED))
        .group_by(Photo.album_id, Photo.state)
    )
    found: dict[str, dict[str, Any]] = {}
    for album, state, number, films, all_summed in session.execute(sa.union_all(ready.where(Album.id.in_(albums)), unfinished)):
        counted = found.setdefault(album, {"videos": 0, "summed": True})
        counted[state.value] = number
        counted["videos"] += films
        counted["summed"] &= bool(all_summed)
    return {album: Counts(**states) for album, states in found.items()}


def count_ready(session: Session, *, album: str, photos: int, stored: int) -> None:
    """So many photos of an album more can be seen, and take so many bytes; or fewer. For a caller who has locked the album."""
    more = {"ready": Album.ready + photos, "ready_bytes": Album.ready_bytes + stored}
    session.execute(sa.update(Album).where(Album.id == album).values(more), execution_options={"synchronize_session": False})


def count_again(session: Session) -> None:
    """Count what is ready in every album anew: for whoever has put photos in or taken them out by another way than `make_ready` and
    `delete_photos`, as restoring a backup does."""
    ready = Photo.album_id == Album.id, Photo.state == PhotoState.READY
    number = sa.select(sa.func.count()).select_from(Photo).where(*ready).scalar_subquery()
    stored = sa.select(sa.func.coalesce(sa.func.sum(Photo.stored), 0)).where(*ready).scalar_subquery()
    session.execute(sa.update(Album).values(ready=number, ready_bytes=stored), execution_options={"synchronize_session": False})


def caption(photo: Photo, key: AlbumKey) -> str:
    """What a member wrote under a photo."""
    return key.open_field("caption", photo.id, photo.sealed_caption).decode() if photo.sealed_caption else ""


def set_caption(photo: Photo, key: AlbumKey, *, text: str, at: datetime) -> None:
    """Write under a photo, or with an empty text take it away."""
    photo.sealed_caption = key.seal_field("caption", photo.id, text) if text else None
    photo.changed_at = at


def delete_photos(session: Session, viewer: Member, *, album: str, photos: Sequence[str], jobs: Jobs, at: datetime) -> int:
    """Destroy photos of one album of the member's group: keys and rows now, objects by a job. Ids of other albums are passed over, and
    one that is gone already is no error (two tabs, a second tap); so is one that is held. Returns how many there were."""
    lock_album(session, album=album)
    here = Photo.id.in_(photos), Photo.album_id == album, Photo.state != PhotoState.HELD, Album.group_id == viewer.group
    found = session.scalars(sa.select(Photo.id).join(Album, Album.id == Photo.album_id).where(*here)).all()
    if found:
        destroy_photos(session, album=album, photos=found, jobs=jobs, at=at)
        activity.record(session, ActivityKind.PHOTOS_DELETED, by=viewer, at=at, album=album)
    return len(found)


def destroy_photos(session: Session, *, album: str, photos: Sequence[str], jobs: Jobs, at: datetime) -> None:
    """Destroy photos of an album, in any state: keys and rows now, objects by a job. For a caller who has locked the album."""
    rows = session.execute(sa.select(Photo.group_id, Photo.state, Photo.stored).where(Photo.id.in_(photos))).all()
    ready = [row.stored for row in rows if row.state is PhotoState.READY]
    objects = list(session.scalars(sa.select(Rendition.object_name).where(Rendition.photo_id.in_(photos))))
    objects += session.scalars(sa.select(Upload.object_name).where(Upload.photo_id.in_(photos), Upload.object_name.is_not(None)))
    objects += session.scalars(
        sa.select(_VOICE.c.object_name).where(_VOICE.c.photo_id.in_(photos), _VOICE.c.object_name.is_not(None))
    )
    remove_objects(session, names=objects, group=rows[0].group_id, jobs=jobs, at=at)
    session.execute(sa.delete(Photo).where(Photo.id.in_(photos)))
    count_ready(session, album=album, photos=-len(ready), stored=-sum(ready))
    activity.record_deletion(session, DeletionKind.PHOTO, *photos, at=at)


def end_incoming(session: Session, *which: sa.ColumnElement[bool], at: datetime) -> None:
    """Files that shall not go on arriving: keys and rows now, the objects of their parts by the sweep."""
    doomed = sa.select(Incoming.id).where(*which)
    session.execute(doomed.with_for_update())  # or a part that is written down just now would be overlooked
    parts = sa.delete(IncomingPart).where(IncomingPart.incoming_id.in_(doomed)).returning(IncomingPart.object_name)
    promise_removal(session, names=session.scalars(parts).all(), at=at)
    session.execute(sa.delete(Incoming).where(*which))


def claimed_objects(session: Session) -> set[str]:
    """The names of all objects that a row points to. Whatever else lies in storage was left behind."""
    return {name for column in _OBJECTS for name in session.scalars(sa.select(column).where(column.is_not(None))) if name}


def unclaimed(session: Session, *, objects: Sequence[str]) -> set[str]:
    """Those of these objects that no row points to."""
    return {*objects}.difference(*(session.scalars(sa.select(column).where(column.in_(objects))) for column in _OBJECTS))


def drop_voices(session: Session, *, guests: Sequence[str], at: datetime) -> None:
    """Promise to remove what these people have said, for a caller who deletes them: the keys go with their rows."""
    said = sa.select(_VOICE.c.object_name).where(_VOICE.c.guest_id.in_(guests), _VOICE.c.object_name.is_not(None))
    promise_removal(session, names=session.scalars(said).all(), at=at)


ENDINGS = {"image/png": ("photo", "png"), "video/mp4": ("video", "mp4")}


def bytes_of_voices(*, group: str) -> sa.ScalarSelect[int | None]:
    """What everything takes that was said about a group's photos, as a part of a question."""
    said = sa.select(sa.func.sum(_VOICE.c.size)).join(Photo, Photo.id == _VOICE.c.photo_id)
    return said.where(Photo.group_id == group).scalar_subquery()


def saved_name(number: int, mime: str) -> str:
    """The neutral name of a saved file: `photo-014.jpg`, `video-015.mp4`."""
    what, ending = ENDINGS.get(mime, ("photo", "jpg"))
    return f"{what}-{number:03d}.{ending}"


def not_summed(session: Session, *, after: str, limit: int) -> Sequence[tuple[Rendition, Album]]:
    """Whole photos and videos of which the checksum is not known, each with its album, after this id of a photo and in that order."""
    query = sa.select(Rendition, Album).join(Photo, Photo.id == Rendition.photo_id).join(Album, Album.id == Photo.album_id)
    rows = session.execute(query.where(*_NOT_SUMMED, Rendition.photo_id > after).order_by(Rendition.photo_id).limit(limit))
    return [(rendition, album) for rendition, album in rows]


def note_checksum(session: Session, *, rendition: Rendition, crc32: int) -> None:
    """The checksum of a rendition is known now, if it is still there."""
    session.execute(sa.update(Rendition).where(Rendition.object_name == rendition.object_name).values(crc32=crc32))


def _ready(album: str) -> sa.Select[Photo]:
    return sa.select(Photo).where(Photo.album_id == album, Photo.state == PhotoState.READY)


def _in_order(
    session: Session, album: str, *, new_since: datetime | None, size: int, beside: Photo | None = None, backwards: bool = False
) -> list[Photo]:
    """Up to `size` ready photos after (or before, the nearest first) a photo, or from the beginning: the new ones, then the others. Two
    statements where both are asked for, because no index has that order."""
    parts = [None] if new_since is None else [sa.not_(_seen_before(new_since)), _seen_before(new_since)]
    if beside is not None and new_since is not None:
        own = 0 if is_new(beside, new_since) else 1
        parts = parts[: own + 1][::-1] if backwards else parts[own:]
    elif backwards:
        parts = parts[::-1]
    found: list[Photo] = []
    for part in parts:
        if len(found) == size:
            break
        query = _ready(album).limit(size - len(found))
        query = query.order_by(*(column.desc() for column in _ORDER)) if backwards else query.order_by(*_ORDER)
        if part is not None:
            query = query.where(part)
        if beside is not None and part is parts[0]:
            here = sa.tuple_(sa.literal(beside.taken_at, sa.DateTime), sa.literal(beside.number))
            query = query.where(sa.tuple_(*_ORDER) < here if backwards else sa.tuple_(*_ORDER) > here)
        found += session.scalars(query)
    return found


def _stands_at(session: Session, *, album: str, photo: str, new_since: datetime | None) -> tuple[int, Photo | None]:
    """The place of a photo in the order of `photo_page`, from 1, and the photo itself; None when the album has no such photo."""
    here = sa.select(*_ORDER).where(Photo.id == photo).scalar_subquery()

    def number(*which: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
        return _ready(album).with_only_columns(sa.func.count()).where(*which).scalar_subquery()

    before = sa.tuple_(*_ORDER) < here
    counts = [number(before)]
    if new_since is not None:
        new = sa.not_(_seen_before(new_since))
        counts += [number(before, new), number(new)]
    row = session.execute(sa.select(Photo, *counts).where(Photo.id == photo, Photo.album_id == album)).one_or_none()
    if row is None:
        return 0, None
    found, before_it, *of_new = row
    if not of_new:
        return before_it + 1, found
    new_before_it, all_new = of_new
    return (new_before_it if is_new(found, new_since) else all_new + before_it - new_before_it) + 1, found


def _seen_before(since: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(Photo.shown_at.is_(None), Photo.shown_at <= since)
