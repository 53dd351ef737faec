"""From an upload to something safe to show: what is written down at each step.

received (the file is sealed and safe, its row and its job are one transaction) -> ready or refused. The slow part between is
`app.ingest.jobs`; the file on its way in is `app.ingest.receiving`. One that comes in parts (`begin`, `keep_part`, `complete`) is
received with the last of them. What a guest adds may have to wait for a member's yes before it is ready.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.activity import service as activity
from app.activity.models import ActivityKind, DeletionKind
from app.albums.models import Album
from app.albums.service import OpenAlbum, lock_album, open_album, promise_removal, remove_objects
from app.errors import KinfoldError, NotVisible, Refused, TooLarge
from app.groups.models import Group
from app.ids import id_of, new_id
from app.ingest import rules
from app.ingest.decoder.limits import REMOVED
from app.ingest.decoding import Decoded
from app.jobs.port import Jobs
from app.media.models import (
    FOR_MEMBERS,
    PREPARED,
    Incoming,
    IncomingPart,
    Photo,
    PhotoKind,
    PhotoState,
    Rendition,
    RenditionName,
    Upload,
)
from app.media.service import UNFINISHED, bytes_of_voices, count_ready, destroy_photos, end_incoming, saved_name
from app.security.sealing import AlbumKey, MasterKey
from app.security.viewer import Member
from app.storage.sealed import SealedKey

PREPARE_PHOTO, PREPARE_FILM = "prepare-photo", "prepare-film"
"""The jobs that make a photo of an upload. Each begins as the first; what turns out to be a film goes on as the second, a long one."""

LIVE_SECONDS = 5
"""A film of the same pair as a still, and no longer than this, is the moving part of a Live Photo: iOS takes three seconds."""


@dataclass(frozen=True)
class Arrived:
    """A file that has arrived whole: the sealed object, its keyed hash and the name it had on the phone. `refused` is the reason
    when it is known on arrival that it can't become a photo; its object is gone then."""

    name: str
    fingerprint: bytes
    object_name: str | None
    sealed: SealedKey
    refused: str | None = None


@dataclass(frozen=True)
class Receipt:
    """What we say about a file: under which id, in which state, and whether the album had it already."""

    id: str
    name: str
    state: PhotoState
    reason: str | None = None
    duplicate: bool = False


@dataclass(frozen=True)
class AddingGuest:
    """A guest who adds photos, where they may."""

    id: str
    group: str


class Overtaken(KinfoldError):
    """Another request has brought these bytes of a file meanwhile; how far it is now must be asked again."""


@dataclass(frozen=True)
class Arriving:
    """A file that arrives in parts, without the database: so many of its bytes we have. `receipt` says which photo it has become; before
    that we never have all of them."""

    id: str
    album: OpenAlbum
    name: str
    size: int
    received: int
    expires_at: datetime
    receipt: Receipt | None = None
    joining_until: datetime | None = None


@dataclass(frozen=True)
class Taken:
    """An upload that a worker has taken: all it needs, without the database."""

    photo: str
    group: str
    key: AlbumKey
    object_name: str
    sealed: SealedKey


@dataclass(frozen=True)
class Written:
    """A rendition that lies in storage."""

    name: RenditionName
    object_name: str
    sealed: SealedKey
    crc32: int
    mime: str
    width: int
    height: int


def room_left(session: Session, *, group: str, quota: int) -> int:
    """How many bytes a group may still store; its own quota goes before the instance's. What is still arriving has its room already."""
    ready = sa.select(sa.func.sum(Album.ready_bytes)).where(Album.group_id == group).scalar_subquery()
    uncounted = Photo.group_id == group, Photo.state.in_((*UNFINISHED, PhotoState.HELD))
    others = sa.select(sa.func.sum(Photo.stored)).where(*uncounted).scalar_subquery()
    open_ones = Incoming.group_id == group, Incoming.photo_id.is_(None)
    arriving = sa.select(sa.func.sum(Incoming.size)).where(*open_ones).scalar_subquery()
    voices = bytes_of_voices(group=group)
    own, *used = session.execute(sa.select(Group.quota, ready, others, arriving, voices).where(Group.id == group)).one()
    return max(0, (quota if own is None else own) - sum(int(each or 0) for each in used))


def take_room(session: Session, viewer: Member | AddingGuest, *, album: OpenAlbum, size: int, quota: int) -> None:
    """So many bytes more, until this transaction ends or they are written down: two who come at once don't count on the same room. Raises
    `TooLarge` when the group has none for them."""
    lock_album(session, album=album.id)
    session.execute(sa.select(Group.id).where(Group.id == viewer.group).with_for_update())
    if size > room_left(session, group=viewer.group, quota=quota):
        raise TooLarge("quota-full")


def take_room_of_guest(session: Session, viewer: AddingGuest, *, size: int, quota: int) -> None:
    """The same for the room that a guest has of their own, for a caller who has taken the group's. Nobody has very many photos there that
    wait or could not be used, either."""
    unseen = sa.func.count().filter(Photo.state.in_(UNFINISHED))
    used, waiting = session.execute(sa.select(sa.func.sum(Photo.stored), unseen).where(Photo.guest_id == viewer.id)).one()
    if size > quota - int(used or 0) or waiting >= rules.MOST_UNSEEN:
        raise TooLarge("no-room-for-guest")


def receive(
    session: Session, viewer: Member | AddingGuest, *, album: OpenAlbum, arrived: Arrived, jobs: Jobs, at: datetime
) -> Receipt:
    """Write down a file that has arrived, with its job. Once this is committed, we have it.

    The same bytes twice in an album are one photo; when they were refused before, they get another chance. A member who adds what a
    guest has added before says yes to it; of one that is held it stays written down who did.
    """
    lock_album(session, album=album.id)
    known = session.execute(
        sa.select(Photo, Upload)
        .outerjoin(Upload, Upload.photo_id == Photo.id)
        .where(Photo.album_id == album.id, Photo.fingerprint == arrived.fingerprint)
    ).one_or_none()
    if known is not None:
        photo: Photo = known[0]
        upload: Upload | None = known[1]
        held = photo.state is PhotoState.HELD  # of evidence it stays known who added it
        if isinstance(viewer, Member) and photo.guest_id is not None and not held:
            photo.guest_id, photo.created_by = None, viewer.id
            if photo.state is PhotoState.AWAITING:
                _show(session, photo, jobs=jobs, at=at)
        if photo.state is PhotoState.REFUSED and arrived.refused is None:
            if upload is None:
                upload = _begin_again(session, photo, album, arrived, jobs=jobs, at=at)
            _take_again(session, photo, upload, arrived, jobs=jobs, at=at)
            return Receipt(photo.id, arrived.name, photo.state)
        return _receipt(photo, arrived.name, duplicate=True)
    photo = _new_photo(session, viewer, album, arrived, at)
    if arrived.refused is None:
        _enqueue(session, photo, jobs=jobs, generation=0)
    if isinstance(viewer, Member):
        activity.record_once_an_hour(session, ActivityKind.PHOTOS_ADDED, by=viewer, at=at, album=album.id)
    else:
        added = {"group": viewer.group, "guest": viewer.id, "album": album.id}
        activity.record_guest_once_an_hour(session, ActivityKind.GUEST_ADDED_PHOTOS, at=at, **added)
    return Receipt(photo.id, arrived.name, photo.state, photo.reason)


def begin(
    session: Session, viewer: Member, *, album: OpenAlbum, name: str, size: int, quota: int, at: datetime, mark: bytes = b""
) -> Arriving:
    """Keep room for a file of so many bytes, which will come in parts. Raises `TooLarge` when the group has no room for it.

    Begun twice with the same `mark`, because the first answer was lost, it is one file as long as nothing of it has come.
    """
    lock_album(session, album=album.id)
    upload = id_of(viewer.id, mark) if mark else new_id()
    row = session.get(Incoming, upload)
    if row is None or (row.album_id, row.size, row.received, row.photo_id) != (album.id, size, 0, None) or row.expires_at <= at:
        take_room(session, viewer, album=album, size=size, quota=quota)
        row = Incoming(
            id=upload if row is None else new_id(),
            album_id=album.id,
            group_id=viewer.group,
            member_id=viewer.id,
            size=size,
            received=0,
            sealed_name=b"",
            duplicate=False,
            created_at=at,
        )
        session.add(row)
    row.sealed_name = album.key.seal_field("arriving-name", row.id, name)
    row.expires_at = at + rules.KEPT_WHILE_ANNOUNCED
    session.flush()
    return Arriving(row.id, album, name, size, 0, row.expires_at)


def get_arriving(session: Session, viewer: Member, *, upload: str, master: MasterKey) -> Arriving:
    """A file that this member has begun to send. Raises `NotVisible` for anybody else's, and for one that has ended."""
    found = session.execute(
        sa.select(Incoming, Album, Photo)
        .join(Album, Album.id == Incoming.album_id)
        .outerjoin(Photo, Photo.id == Incoming.photo_id)
        .where(Incoming.id == upload, Incoming.member_id == viewer.id, Album.group_id == viewer.group)
    ).one_or_none()
    if found is None:
        raise NotVisible
    row, album, photo = found
    opened = open_album(album, master=master)
    name = opened.key.open_field("arriving-name", row.id, row.sealed_name).decode() if photo is None else ""
    receipt = None if photo is None else _receipt(photo, name, duplicate=row.duplicate)
    return Arriving(row.id, opened, name, row.size, row.received, row.expires_at, receipt, row.joining_until)


def parts_of(session: Session, *, arriving: Arriving) -> dict[str, SealedKey]:
    """The objects in which a file has arrived so far, in order."""
    rows = sa.select(IncomingPart).where(IncomingPart.incoming_id == arriving.id).order_by(IncomingPart.start)
    return {part.object_name: SealedKey(part.wrapped_key, part.size) for part in session.scalars(rows)}


def keep_part(session: Session, *, arriving: Arriving, part: Arrived, at: datetime) -> Arriving:
    """Write down the next part of a file; once this is committed, we have it. Raises `Overtaken`, or `NotVisible` for a file that has
    ended meanwhile."""
    assert part.object_name is not None
    further = _go_on(session, arriving, part.sealed.size, at=at)
    session.add(
        IncomingPart(
            incoming_id=arriving.id,
            start=arriving.received,
            object_name=part.object_name,
            wrapped_key=part.sealed.wrapped,
            size=part.sealed.size,
        )
    )
    return further


def begin_joining(session: Session, *, arriving: Arriving, at: datetime) -> None:
    """From now on this caller, and nobody else, puts the parts of a file together. Raises `Overtaken` when somebody does already, or when
    it has gone on meanwhile."""
    free = sa.or_(Incoming.joining_until.is_(None), Incoming.joining_until <= at)
    same = Incoming.id == arriving.id, Incoming.received == arriving.received, Incoming.photo_id.is_(None)
    changed = sa.update(Incoming).where(*same, free).values(joining_until=at + rules.ALIVE_FOR).returning(Incoming.id)
    if session.scalars(changed).one_or_none() is None:
        raise Overtaken


def go_on_joining(session: Session, *, arriving: Arriving, at: datetime) -> None:
    """Whoever puts the parts of a file together is still alive."""
    session.execute(sa.update(Incoming).where(Incoming.id == arriving.id).values(joining_until=at + rules.ALIVE_FOR))


def stop_joining(session: Session, *, arriving: Arriving) -> None:
    """The parts of a file could not be put together; somebody else may try."""
    session.execute(sa.update(Incoming).where(Incoming.id == arriving.id).values(joining_until=None))


def complete(
    session: Session, viewer: Member, *, arriving: Arriving, arrived: Arrived, jobs: Jobs, at: datetime
) -> tuple[Arriving, list[str]]:
    """The last bytes of a file are here: it becomes a photo, or is known to be one, as `receive` says. Also returns the objects that nobody
    needs any more, to be removed after the commit. Raises like `keep_part`."""
    lock_album(session, album=arriving.album.id)
    further = _go_on(session, arriving, arriving.size - arriving.received, at=at)
    receipt = receive(session, viewer, album=arriving.album, arrived=arrived, jobs=jobs, at=at)
    known = {"photo_id": receipt.id, "duplicate": receipt.duplicate, "sealed_name": b"", "joining_until": None}
    session.execute(sa.update(Incoming).where(Incoming.id == arriving.id).values(known))
    parts = sa.delete(IncomingPart).where(IncomingPart.incoming_id == arriving.id).returning(IncomingPart.object_name)
    unneeded = [*session.scalars(parts)]
    if receipt.duplicate and arrived.object_name:
        unneeded.append(arrived.object_name)
    return replace(further, receipt=receipt), unneeded


def give_up(session: Session, *, arriving: Arriving, at: datetime) -> None:
    """Destroy what has arrived of a file, unless it has become a photo meanwhile; a photo stays."""
    photo = None if arriving.receipt is None else arriving.receipt.id
    end_incoming(session, Incoming.id == arriving.id, Incoming.photo_id.is_not_distinct_from(photo), at=at)


def drop_expired(session: Session, *, at: datetime) -> None:
    """Destroy what has arrived of files that did not go on, and forget what became of the others."""
    end_incoming(session, Incoming.expires_at <= at, at=at)


def take(session: Session, *, photo: str, master: MasterKey, jobs: Jobs, at: datetime) -> Taken | None:
    """Take a photo to prepare it; the attempt is counted now, so that a file that kills its worker is not tried for ever.

    None when there is nothing to do: it is done, gone, or has just been given up.
    """
    found = session.execute(
        sa.select(Photo, Upload, Album)
        .join(Upload, Upload.photo_id == Photo.id)
        .join(Album, Album.id == Photo.album_id)
        .where(Photo.id == photo, Photo.state == PhotoState.RECEIVED)
    ).one_or_none()
    if found is None:
        return None
    row, upload, album = found
    if rules.out_of_attempts(upload.attempts):
        _refuse(session, row, upload, "failed", jobs=jobs, at=at)
        return None
    upload.attempts += 1
    upload.progress = None
    assert upload.object_name is not None and upload.wrapped_key is not None
    return Taken(
        row.id, row.group_id, open_album(album, master=master).key, upload.object_name, SealedKey(upload.wrapped_key, upload.size)
    )


def give_back(session: Session, *, waiting: Taken) -> None:
    """Uncount an attempt that failed by no fault of the file."""
    found = _still_waiting(session, waiting)
    if found is not None:
        found[1].attempts -= 1


def hand_back(session: Session, *, waiting: Taken, jobs: Jobs, at: datetime) -> None:
    """Have a photo tried once more, behind those that wait, whose attempt came to nothing; it stays counted."""
    found = _still_waiting(session, waiting)
    if found is not None:
        _hand_over(session, *found, jobs=jobs, at=at)


def turn_into_film(session: Session, *, waiting: Taken, jobs: Jobs) -> None:
    """It is a film: hand it over to the job for these. Looking at it was no attempt."""
    found = _still_waiting(session, waiting)
    if found is not None:
        photo, upload = found
        photo.kind = PhotoKind.VIDEO
        upload.attempts -= 1
        _enqueue(session, photo, jobs=jobs, generation=upload.generation)


def note_progress(session: Session, *, waiting: Taken, percent: int) -> bool:
    """Write down how much of a film is done. False when it was deleted meanwhile: there is nothing left to do."""
    found = _still_waiting(session, waiting)
    if found is not None:
        found[1].progress = percent
    return found is not None


def make_ready(
    session: Session,
    *,
    waiting: Taken,
    decoded: Decoded,
    written: Sequence[Written],
    jobs: Jobs,
    at: datetime,
    held: bool = False,
) -> str | None:
    """Show a photo, or what a guest has added to a member first, or hide it as evidence when it is to be `held`: its renditions are in
    storage, and the key of its upload is destroyed.
    Returns the promise to remove the upload's object, to be kept after the commit; None when the photo was deleted or done meanwhile.

    Of the two files of a Live Photo only the still is shown, whichever of them is ready first; the film goes.
    """
    lock_album(session, album=waiting.key.album_id)
    found = _still_waiting(session, waiting)
    if found is None:
        return None
    photo, upload = found
    session.add_all(
        Rendition(
            photo_id=photo.id,
            name=each.name,
            object_name=each.object_name,
            wrapped_key=each.sealed.wrapped,
            size=each.sealed.size,
            crc32=each.crc32,
            mime=each.mime,
            width=each.width,
            height=each.height,
        )
        for each in written
    )
    photo.reason = None
    photo.width, photo.height = decoded.width, decoded.height
    photo.duration = decoded.duration
    photo.pair = waiting.key.pair(decoded.pair) if decoded.pair else None
    photo.taken_at = decoded.taken_at or photo.taken_at
    photo.sealed_thumbhash = waiting.key.seal_field("thumbhash", photo.id, decoded.thumbhash)
    photo.removed = list(decoded.removed)
    photo.stored = sum(each.sealed.size for each in written)
    session.delete(upload)
    removal = promise_removal(session, names=[waiting.object_name], at=at)[0]
    if held:  # whoever runs the server is told at once
        _hold(session, photo, at=at)
        about = {"album": photo.album_id, "photo": photo.id}
        activity.record_urgent(session, ActivityKind.PHOTO_HELD, group=photo.group_id, guest=None, jobs=jobs, at=at, **about)
    elif photo.guest_id is not None and session.scalar(sa.select(Album.asks_first).where(Album.id == photo.album_id)):
        photo.state, photo.changed_at = PhotoState.AWAITING, at
    else:
        _show(session, photo, jobs=jobs, at=at)
    return removal


def say_yes(session: Session, *, album: OpenAlbum, photos: Sequence[str], jobs: Jobs, at: datetime) -> None:
    """Show photos of this album that wait for a member's yes; what does not, or is gone, is passed over."""
    lock_album(session, album=album.id)
    waiting = sa.select(Photo).where(Photo.album_id == album.id, Photo.id.in_(photos), Photo.state == PhotoState.AWAITING)
    for photo in session.scalars(waiting.order_by(Photo.number).with_for_update()).all():
        if photo in session:  # of a Live Photo the film is gone as soon as its still is shown
            _show(session, photo, jobs=jobs, at=at)


def list_of_guests(session: Session, *, album: str, guests: Sequence[str]) -> Sequence[Photo]:
    """What these people have added to an album and nobody else sees yet, in the order in which it came."""
    unseen = Photo.album_id == album, Photo.guest_id.in_(guests), Photo.state.in_(UNFINISHED)
    return session.scalars(sa.select(Photo).where(*unseen).order_by(Photo.number)).all()


def take_back(session: Session, *, album: OpenAlbum, photo: str, guests: Sequence[str], jobs: Jobs, at: datetime) -> None:
    """Destroy a photo that one of these people has added. Raises `NotVisible` for any other, and for one that is held."""
    lock_album(session, album=album.id)
    own = sa.select(Photo.id).where(
        Photo.id == photo, Photo.album_id == album.id, Photo.guest_id.in_(guests), Photo.state != PhotoState.HELD
    )
    if session.scalars(own).one_or_none() is None:
        raise NotVisible
    destroy_photos(session, album=album.id, photos=[photo], jobs=jobs, at=at)


def refuse(session: Session, *, waiting: Taken, reason: str, jobs: Jobs, at: datetime) -> None:
    """Say that a photo can't be shown; its file is destroyed, or kept a week behind "Try again" when that could help."""
    found = _still_waiting(session, waiting)
    if found is not None:
        _refuse(session, *found, reason, jobs=jobs, at=at)


def hide(session: Session, *, photo: str, at: datetime) -> None:
    """Show a photo to nobody any more, because a file of it can't be trusted. Its files stay until a member dismisses it; one that is held
    is hidden already, and stays evidence."""
    row = _lock_photo(session, photo)
    if row is not None and row.state in FOR_MEMBERS:
        _no_longer_shown(session, row)
        row.state, row.reason, row.changed_at = PhotoState.REFUSED, "hidden", at


def hold(session: Session, *, photo: str, at: datetime) -> None:
    """Hide a photo from everybody and keep it, sealed as it is, as evidence: it can't be deleted, nor what it hangs on (see `evidence.py`).
    Once more is no error. Raises `NotVisible` when there is none, `Refused` for one that nobody sees anyway and that has no renditions."""
    row = _lock_photo(session, photo)
    if row is None:
        raise NotVisible
    if row.state is PhotoState.HELD:
        return
    if row.state not in PREPARED:
        raise Refused("not-prepared")
    _no_longer_shown(session, row)
    _hold(session, row, at=at)
    about = {"album": row.album_id, "photo": row.id}
    activity.record_guest(session, ActivityKind.PHOTO_HELD, group=row.group_id, guest=None, at=at, **about)


def release(session: Session, *, photo: str, jobs: Jobs, at: datetime) -> None:
    """Show a photo again that was held; one that a guest added and nobody has seen yet waits for a member's yes. Raises `NotVisible` for
    one that is not held."""
    row = _lock_photo(session, photo)
    if row is None or row.state is not PhotoState.HELD:
        raise NotVisible
    if row.guest_id is not None and row.shown_at is None:
        row.state, row.changed_at = PhotoState.AWAITING, at
    else:
        _show(session, row, jobs=jobs, at=at)


def retry(session: Session, *, photo: Photo, jobs: Jobs, at: datetime) -> None:
    """Try a refused photo again. Raises `Refused` when its file is not there any more."""
    upload = session.get(Upload, photo.id, with_for_update=True)
    if photo.state is not PhotoState.REFUSED or upload is None or upload.object_name is None:
        raise Refused("nothing-to-retry")
    upload.attempts, upload.keep_until = 0, None
    _hand_over(session, photo, upload, jobs=jobs, at=at)


def list_in_states(
    session: Session, *, album: OpenAlbum, states: Sequence[PhotoState], also: Sequence[str] = ()
) -> list[tuple[Photo, Upload | None, str]]:
    """Photos of an album in these states, and some by their identifiers unless they are held, with their upload and the name to call them
    by, in the order in which they came."""
    named = sa.and_(Photo.id.in_(also), Photo.state != PhotoState.HELD)
    rows = session.execute(
        sa.select(Photo, Upload)
        .outerjoin(Upload, Upload.photo_id == Photo.id)
        .where(Photo.album_id == album.id, sa.or_(Photo.state.in_(states), named) if also else Photo.state.in_(states))
    )  # sorted here: asked for the order, SQLite reads a whole album along its numbers to find the few that are not ready
    in_order = sorted(rows, key=lambda row: row[0].number)
    return [(photo, upload, _name(photo, upload, album.key)) for photo, upload in in_order]


def enqueue_forgotten(session: Session, *, jobs: Jobs, at: datetime) -> int:
    """Hand every received photo that has no live job to the workers again; returns how many."""
    live = jobs.live_subjects(session, PREPARE_PHOTO) | jobs.live_subjects(session, PREPARE_FILM)
    waiting = session.execute(
        sa.select(Photo, Upload).join(Upload, Upload.photo_id == Photo.id).where(Photo.state == PhotoState.RECEIVED)
    )
    forgotten = [(photo, upload) for photo, upload in waiting if photo.id not in live]
    for photo, upload in forgotten:
        _hand_over(session, photo, upload, jobs=jobs, at=at)
    return len(forgotten)


def drop_old_uploads(session: Session, *, jobs: Jobs, at: datetime) -> None:
    """Destroy the files of refused photos whose week is over."""
    over = sa.select(Photo, Upload).join(Upload, Upload.photo_id == Photo.id).where(Upload.keep_until <= at)
    rows = session.execute(over.with_for_update(of=Upload)).all()
    for photo, upload in rows:
        _destroy_file(session, photo, upload, jobs=jobs, at=at)


def _show(session: Session, photo: Photo, *, jobs: Jobs, at: datetime) -> None:
    """It can be seen from now on; for a caller who has locked the album."""
    photo.state, photo.shown_at, photo.changed_at = PhotoState.READY, photo.shown_at or at, at
    count_ready(session, album=photo.album_id, photos=1, stored=photo.stored)
    session.flush()
    if photo.pair:
        _join_live_photo(session, photo, jobs=jobs, at=at)


def _hold(session: Session, photo: Photo, *, at: datetime) -> None:
    photo.state, photo.changed_at = PhotoState.HELD, at
    activity.record_deletion(session, DeletionKind.PHOTO_HELD, photo.id, at=at)


def _no_longer_shown(session: Session, photo: Photo) -> None:
    """The album counts it no more if it did; for a caller who has locked that and changes the photo's state."""
    if photo.state is PhotoState.READY:
        count_ready(session, album=photo.album_id, photos=-1, stored=-photo.stored)


def _lock_photo(session: Session, photo: str) -> Photo | None:
    """A photo with its album locked, so that its state can be changed; None when it is gone."""
    album = session.scalar(sa.select(Photo.album_id).where(Photo.id == photo))
    if album is None:
        return None
    lock_album(session, album=album)
    return session.get(Photo, photo, with_for_update=True)


def _receipt(photo: Photo, name: str, *, duplicate: bool) -> Receipt:
    """What we say about a photo that there is; of one that is held, no more than that it can't be shown."""
    if photo.state is PhotoState.HELD:
        return Receipt(photo.id, name, PhotoState.REFUSED, "not-shown", duplicate)
    return Receipt(photo.id, name, photo.state, photo.reason, duplicate)


def _new_photo(session: Session, viewer: Member | AddingGuest, album: OpenAlbum, arrived: Arrived, at: datetime) -> Photo:
    highest = session.scalars(sa.select(sa.func.coalesce(sa.func.max(Photo.number), 0)).where(Photo.album_id == album.id)).one()
    photo = Photo(
        id=new_id(),
        album_id=album.id,
        group_id=viewer.group,
        kind=PhotoKind.PHOTO,
        state=PhotoState.REFUSED if arrived.refused else PhotoState.RECEIVED,
        reason=arrived.refused,
        number=highest + 1,
        taken_at=at.astimezone().replace(tzinfo=None),
        fingerprint=arrived.fingerprint,
        removed=[],
        stored=arrived.sealed.size if arrived.object_name else 0,
        created_at=at,
        created_by=viewer.id if isinstance(viewer, Member) else None,
        guest_id=None if isinstance(viewer, Member) else viewer.id,
        changed_at=at,
    )
    session.add(photo)
    session.flush()
    session.add(_new_upload(photo, album, arrived, at))
    return photo


def _new_upload(photo: Photo, album: OpenAlbum, arrived: Arrived, at: datetime) -> Upload:
    return Upload(
        photo_id=photo.id,
        object_name=arrived.object_name,
        wrapped_key=arrived.sealed.wrapped if arrived.object_name else None,
        size=arrived.sealed.size,
        sealed_name=album.key.seal_field("file-name", photo.id, arrived.name),
        attempts=0,
        generation=0,
        received_at=at,
    )


def _begin_again(session: Session, photo: Photo, album: OpenAlbum, arrived: Arrived, *, jobs: Jobs, at: datetime) -> Upload:
    """For a photo that a check has hidden (see `hide`): what was once made of it goes, and its original has come once more."""
    objects = session.scalars(sa.delete(Rendition).where(Rendition.photo_id == photo.id).returning(Rendition.object_name)).all()
    remove_objects(session, names=objects, group=photo.group_id, jobs=jobs, at=at)
    upload = _new_upload(photo, album, replace(arrived, object_name=None), at)
    upload.generation = int(at.timestamp()) // 60  # above that of every job it had before
    session.add(upload)
    return upload


def _go_on(session: Session, arriving: Arriving, size: int, *, at: datetime) -> Arriving:
    """So many bytes more: only one request gets them in where this one began."""
    further = replace(arriving, received=arriving.received + size, expires_at=at + rules.KEPT_WHILE_ARRIVING)
    still_there = sa.select(Incoming.received).where(Incoming.id == arriving.id, Incoming.photo_id.is_(None)).with_for_update()
    received = session.scalars(still_there).one_or_none()
    if received is None and session.get(Incoming, arriving.id) is None:
        raise NotVisible
    if received != arriving.received:
        raise Overtaken
    changed = {"received": further.received, "expires_at": further.expires_at}
    session.execute(sa.update(Incoming).where(Incoming.id == arriving.id).values(changed))
    return further


def _take_again(session: Session, photo: Photo, upload: Upload, arrived: Arrived, *, jobs: Jobs, at: datetime) -> None:
    if upload.object_name is not None:
        remove_objects(session, names=[upload.object_name], group=photo.group_id, jobs=jobs, at=at)
    upload.object_name, upload.wrapped_key, upload.size = arrived.object_name, arrived.sealed.wrapped, arrived.sealed.size
    upload.attempts, upload.received_at, upload.keep_until = 0, at, None
    photo.stored = arrived.sealed.size
    _hand_over(session, photo, upload, jobs=jobs, at=at)


def _hand_over(session: Session, photo: Photo, upload: Upload, *, jobs: Jobs, at: datetime) -> None:
    upload.generation += 1
    photo.state, photo.reason, photo.changed_at = PhotoState.RECEIVED, None, at
    _enqueue(session, photo, jobs=jobs, generation=upload.generation)


def _enqueue(session: Session, photo: Photo, *, jobs: Jobs, generation: int) -> None:
    is_film = photo.kind is PhotoKind.VIDEO
    job = PREPARE_FILM if is_film else PREPARE_PHOTO
    jobs.enqueue(session, job, photo.id, group=photo.group_id, generation=generation, long=is_film)


def _join_live_photo(session: Session, photo: Photo, *, jobs: Jobs, at: datetime) -> None:
    """Of the ready photos of an album that have the same pair, leave the stills, if there are any; for a caller who has locked it. What a
    guest adds never takes a photo of anybody else's away."""
    same = Photo.album_id == photo.album_id, Photo.pair == photo.pair, Photo.guest_id.is_not_distinct_from(photo.guest_id)
    pair = session.scalars(sa.select(Photo).where(*same, Photo.state == PhotoState.READY)).all()
    stills = [each for each in pair if each.kind is PhotoKind.PHOTO]
    films = [each for each in pair if each.kind is PhotoKind.VIDEO and (each.duration or 0) <= 1000 * LIVE_SECONDS]
    if not stills or not films:
        return
    for still in stills:
        still.removed = [kind for kind in REMOVED if kind in {*still.removed, "film"}]
        still.changed_at = at
    destroy_photos(session, album=photo.album_id, photos=[film.id for film in films], jobs=jobs, at=at)


def _still_waiting(session: Session, waiting: Taken) -> tuple[Photo, Upload] | None:
    found = session.execute(
        sa.select(Photo, Upload)
        .join(Upload, Upload.photo_id == Photo.id)
        .where(Photo.id == waiting.photo, Photo.state == PhotoState.RECEIVED, Upload.object_name == waiting.object_name)
        .with_for_update()
    ).one_or_none()
    return None if found is None else (found[0], found[1])


def _refuse(session: Session, photo: Photo, upload: Upload, reason: str, *, jobs: Jobs, at: datetime) -> None:
    photo.state, photo.reason, photo.changed_at = PhotoState.REFUSED, reason, at
    upload.keep_until = rules.keep_until(reason, at)
    if upload.keep_until is None:
        _destroy_file(session, photo, upload, jobs=jobs, at=at)


def _destroy_file(session: Session, photo: Photo, upload: Upload, *, jobs: Jobs, at: datetime) -> None:
    if upload.object_name is not None:
        remove_objects(session, names=[upload.object_name], group=photo.group_id, jobs=jobs, at=at)
    upload.object_name = upload.wrapped_key = upload.keep_until = None
    photo.stored = 0


def _name(photo: Photo, upload: Upload | None, key: AlbumKey) -> str:
    if upload is not None:
        return key.open_field("file-name", photo.id, upload.sealed_name).decode()
    return saved_name(photo.number, "video/mp4" if photo.kind is PhotoKind.VIDEO else "image/jpeg")
