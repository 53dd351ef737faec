"""Hearts, notes and voices: said by guests about a photo that they see, read by members, hidden by them if need be.

Whoever calls has loaded the album for the guest (`sharing.get_shared_album`) and the photo of it (`media.get_photo_of_album`). A voice goes
the way of a photo: received, with its job in the same transaction, then ready or refused.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.activity import service as activity
from app.activity.models import ActivityKind, DeletionKind
from app.albums.models import Album
from app.albums.rules import SECOND_TAP
from app.albums.service import OpenAlbum, open_album, promise_removal
from app.answers import rules
from app.answers.models import Heart, Note, Voice, VoiceState
from app.errors import NotVisible, TooOften
from app.ids import new_id
from app.ingest.service import Arrived
from app.jobs.port import Jobs
from app.media.models import Photo, PhotoState
from app.security.sealing import AlbumKey, MasterKey
from app.security.viewer import Member
from app.sharing.models import Guest
from app.sharing.service import SharedAlbum, lock_guest
from app.storage.sealed import SealedKey

PREPARE_VOICE = "prepare-voice"
"""The job that makes of a recording what every phone plays."""

Spoken = type[Note] | type[Voice]

HIDDEN = {Note: DeletionKind.NOTE_HIDDEN, Voice: DeletionKind.VOICE_HIDDEN}
DELETED = {Note: DeletionKind.NOTE, Voice: DeletionKind.VOICE}


@dataclass(frozen=True)
class Said:
    """A note, with its words, or a voice, with its length in milliseconds once it can be heard."""

    id: str
    guest: str
    name: str
    at: datetime
    hidden: bool
    text: str = ""
    voice: VoiceState | None = None
    duration: int = 0


@dataclass(frozen=True)
class Answers:
    """What was said about a photo, as far as one viewer sees it: who likes it (identifiers and names), and the rest in the order in which
    it came."""

    hearts: Sequence[tuple[str, str]] = ()
    said: Sequence[Said] = ()


@dataclass(frozen=True)
class WaitingVoice:
    """A recording that a worker has taken: all it needs, without the database."""

    id: str
    key: AlbumKey
    object_name: str
    sealed: SealedKey


# --- reading ---------------------------------------------------------------------------------------------------------


def for_guest(session: Session, *, shared: SharedAlbum, photo: str) -> Answers:
    """What the people of this device have said themselves, and what others have, where the album shows that and no member hid it."""
    mine, others = shared.guests, shared.album.row.shows_answers
    return _answers(session, [photo], shared.album.key, mine=mine, others=others).get(photo, Answers())


def liked(session: Session, *, guest: str, photos: Sequence[str]) -> Collection[str]:
    """Which of these photos a guest has given a heart."""
    return set(session.scalars(sa.select(Heart.photo_id).where(Heart.guest_id == guest, Heart.photo_id.in_(photos))))


def for_members(session: Session, *, photos: Sequence[str], key: AlbumKey) -> dict[str, Answers]:
    """Everything that was said about these photos of one album."""
    return _answers(session, photos, key, mine=None, others=True)


def latest_of_album(session: Session, *, album: str, size: int) -> Sequence[Photo]:
    """The photos of an album about which something was said, the latest first."""
    shown = Photo.album_id == album, Photo.state == PhotoState.READY
    said = sa.union_all(
        *(
            sa.select(table.photo_id, table.at).join(Photo, Photo.id == table.photo_id).where(*shown)
            for table in (Heart, Note, Voice)
        )
    ).subquery()
    last = sa.func.max(said.c.at)
    latest = sa.select(said.c.photo_id, last.label("at")).group_by(said.c.photo_id).order_by(last.desc()).limit(size).subquery()
    photos = sa.select(Photo).join(latest, latest.c.photo_id == Photo.id)
    return session.scalars(photos.order_by(latest.c.at.desc(), Photo.id)).all()


def of_guest(session: Session, *, guest: str, master: MasterKey) -> list[tuple[OpenAlbum, Photo, Said | None]]:
    """Everything that a guest has said about photos that members see, in the order of time, with its album and photo; a heart has no
    words."""
    found: list[tuple[datetime, OpenAlbum, Photo, Said | None]] = []
    tables: tuple[Any, ...] = (Heart, Note, Voice)
    for table in tables:
        rows = (
            sa.select(table, Photo, Album, Guest.name)
            .join(Photo, Photo.id == table.photo_id)
            .join(Album, Album.id == Photo.album_id)
            .join(Guest, Guest.id == table.guest_id)
            .where(table.guest_id == guest, Photo.state != PhotoState.HELD)
        )
        for row, photo, album, name in session.execute(rows):
            opened = open_album(album, master=master)
            found.append((row.at, opened, photo, None if isinstance(row, Heart) else _said(row, name, opened.key)))
    return [(album, photo, said) for _, album, photo, said in sorted(found, key=lambda each: each[0])]


# --- what guests say -------------------------------------------------------------------------------------------------


def set_heart(session: Session, *, photo: str, guest: str, given: bool, at: datetime) -> None:
    """A guest likes a photo, or not any more; saying it twice changes nothing."""
    lock_guest(session, guest=guest)
    heart = session.get(Heart, (photo, guest))
    if given and heart is None:
        session.add(Heart(photo_id=photo, guest_id=guest, at=at))
    elif not given and heart is not None:
        session.delete(heart)


def write_note(session: Session, *, album: OpenAlbum, photo: str, guest: str, text: str, at: datetime) -> None:
    """A guest writes about a photo. The second tap on the button writes nothing more. Raises `TooOften`."""
    lock_guest(session, guest=guest)
    lately = sa.select(Note).where(Note.photo_id == photo, Note.guest_id == guest, Note.at > at - SECOND_TAP)
    if any(_text(note, album.key) == text for note in session.scalars(lately)):
        return
    _say(session, album=album, photo=photo, guest=guest, at=at)
    note = Note(id=new_id(), photo_id=photo, guest_id=guest, at=at)
    note.sealed_text = album.key.seal_field("note", note.id, text)
    session.add(note)


def receive_voice(
    session: Session, *, album: OpenAlbum, photo: str, guest: str, arrived: Arrived, jobs: Jobs, at: datetime
) -> str:
    """Write down a recording that has arrived whole, with its job. Returns its identifier. Raises `TooOften`."""
    lock_guest(session, guest=guest)
    _say(session, album=album, photo=photo, guest=guest, at=at)
    voice = Voice(
        id=new_id(),
        photo_id=photo,
        guest_id=guest,
        state=VoiceState.RECEIVED,
        object_name=arrived.object_name,
        wrapped_key=arrived.sealed.wrapped,
        size=arrived.sealed.size,
        attempts=0,
        at=at,
    )
    session.add(voice)
    jobs.enqueue(session, PREPARE_VOICE, voice.id, group=album.row.group_id)
    return voice.id


def delete_said(session: Session, kind: Spoken, *, photo: str, said: str, guests: Collection[str], at: datetime) -> None:
    """A guest takes back what they said. Raises `NotVisible` for what somebody else said."""
    own = sa.delete(kind).where(kind.id == said, kind.photo_id == photo, kind.guest_id.in_(guests))
    columns: tuple[Any, ...] = (Voice.object_name,) if kind is Voice else (Note.id,)
    gone = session.execute(own.returning(*columns)).one_or_none()
    if gone is None:
        raise NotVisible
    if kind is Voice and gone[0] is not None:
        promise_removal(session, names=[gone[0]], at=at)
    activity.record_deletion(session, DELETED[kind], said, at=at)


# --- what members do -------------------------------------------------------------------------------------------------


def set_hidden(session: Session, viewer: Member, kind: Spoken, *, said: str, hidden: bool, at: datetime) -> str:
    """Hide a note or a voice from everybody but members and whoever said it, or show it again. Returns the photo that it is about. Raises
    `NotVisible` for another group's, and about a photo that is held."""
    of_group = (
        sa.select(kind)
        .join(Photo, Photo.id == kind.photo_id)
        .where(kind.id == said, Photo.group_id == viewer.group, Photo.state != PhotoState.HELD)
    )
    found: Any = session.scalars(of_group).one_or_none()
    if found is None:
        raise NotVisible
    if hidden and found.hidden_at is None:
        activity.record_deletion(session, HIDDEN[kind], said, at=at)
    found.hidden_at = at if hidden else None
    return str(found.photo_id)


# --- from a recording to a voice -------------------------------------------------------------------------------------


def take_voice(session: Session, *, voice: str, master: MasterKey, at: datetime) -> WaitingVoice | None:
    """Take a recording to prepare it; the attempt is counted now. None when there is nothing to do."""
    found = session.execute(
        sa.select(Voice, Album)
        .join(Photo, Photo.id == Voice.photo_id)
        .join(Album, Album.id == Photo.album_id)
        .where(Voice.id == voice, Voice.state == VoiceState.RECEIVED)
        .with_for_update(of=Voice)
    ).one_or_none()
    if found is None:
        return None
    row: Voice = found[0]
    assert row.object_name is not None and row.wrapped_key is not None
    if row.attempts >= rules.MOST_ATTEMPTS:
        _refuse(session, row, at=at)
        return None
    row.attempts += 1
    return WaitingVoice(row.id, open_album(found[1], master=master).key, row.object_name, SealedKey(row.wrapped_key, row.size))


def give_back(session: Session, *, waiting: WaitingVoice) -> None:
    """Uncount an attempt that failed by no fault of the recording."""
    row = _still_waiting(session, waiting)
    if row is not None:
        row.attempts -= 1


def make_heard(
    session: Session, *, waiting: WaitingVoice, object_name: str, sealed: SealedKey, duration: int, at: datetime
) -> str | None:
    """A voice can be heard: it lies in storage, and the key of its recording is destroyed. Returns the promise to remove the recording's
    object, to be kept after the commit; None when the voice was deleted or done meanwhile."""
    row = _still_waiting(session, waiting)
    if row is None:
        return None
    row.state, row.duration = VoiceState.READY, duration
    row.object_name, row.wrapped_key, row.size = object_name, sealed.wrapped, sealed.size
    return promise_removal(session, names=[waiting.object_name], at=at)[0]


def refuse_voice(session: Session, *, waiting: WaitingVoice, at: datetime) -> None:
    """This recording can't be heard; it is destroyed, and whoever made it is told."""
    row = _still_waiting(session, waiting)
    if row is not None:
        _refuse(session, row, at=at)


def silence(session: Session, *, voice: str) -> None:
    """Let nobody hear a voice any more, because its file can't be trusted; it stays until it is taken back."""
    ready = Voice.id == voice, Voice.state == VoiceState.READY
    session.execute(sa.update(Voice).where(*ready).values(state=VoiceState.REFUSED))


def enqueue_forgotten(session: Session, *, jobs: Jobs, at: datetime) -> None:
    """Hand every received voice that has no live job to the workers again."""
    live = jobs.live_subjects(session, PREPARE_VOICE)
    waiting = (
        sa.select(Voice.id, Photo.group_id).join(Photo, Photo.id == Voice.photo_id).where(Voice.state == VoiceState.RECEIVED)
    )
    for voice, group in session.execute(waiting).all():
        if voice not in live:
            jobs.enqueue(session, PREPARE_VOICE, voice, group=group, generation=int(at.timestamp()) // 60)


# --- the details -----------------------------------------------------------------------------------------------------


def _answers(
    session: Session, photos: Sequence[str], key: AlbumKey, *, mine: Sequence[str] | None, others: bool
) -> dict[str, Answers]:
    """For the guests `mine`, or for a member if that is None: they see everything."""

    def seen(table: Any, *shown: sa.ColumnElement[bool]) -> sa.Select[Any]:
        query = sa.select(table, Guest.name).join(Guest, Guest.id == table.guest_id).where(table.photo_id.in_(photos))
        if mine is not None:
            query = query.where(sa.or_(table.guest_id.in_(mine), sa.and_(sa.literal(others), *shown)))
        return query.order_by(table.at)

    hearts: dict[str, list[tuple[str, str]]] = {}
    for heart, name in session.execute(seen(Heart)):
        hearts.setdefault(heart.photo_id, []).append((heart.guest_id, name))
    said: dict[str, list[Said]] = {}
    for note, name in session.execute(seen(Note, Note.hidden_at.is_(None))):
        said.setdefault(note.photo_id, []).append(_said(note, name, key))
    heard_by_all = sa.or_(Voice.state == VoiceState.READY, Voice.guest_id.in_(mine or ()))
    for voice, name in session.execute(seen(Voice, Voice.hidden_at.is_(None)).where(heard_by_all)):
        said.setdefault(voice.photo_id, []).append(_said(voice, name, key))
    return {
        photo: Answers(hearts.get(photo, ()), sorted(said.get(photo, ()), key=lambda each: each.at)) for photo in {*hearts, *said}
    }


def _said(row: Note | Voice, name: str, key: AlbumKey) -> Said:
    said = Said(row.id, row.guest_id, name, row.at, row.hidden_at is not None)
    if isinstance(row, Note):
        return replace(said, text=_text(row, key))
    return replace(said, voice=row.state, duration=row.duration or 0)


def _say(session: Session, *, album: OpenAlbum, photo: str, guest: str, at: datetime) -> None:
    """Note that a guest says something. Raises `TooOften` for somebody who has said a great deal in the last hour."""
    kind, most = ActivityKind.NOTE_WRITTEN, rules.MOST_AN_HOUR
    first_of_most = activity.nth_last_of_guest(session, kind, guest=guest, n=most, since=at - rules.HOUR)
    if first_of_most is not None:
        raise TooOften(first_of_most + rules.HOUR)
    group = album.row.group_id
    activity.record_guest(session, kind, group=group, guest=guest, at=at, album=album.id, photo=photo)


def _text(note: Note, key: AlbumKey) -> str:
    return key.open_field("note", note.id, note.sealed_text).decode()


def _still_waiting(session: Session, waiting: WaitingVoice) -> Voice | None:
    same = Voice.id == waiting.id, Voice.state == VoiceState.RECEIVED, Voice.object_name == waiting.object_name
    return session.scalars(sa.select(Voice).where(*same).with_for_update()).one_or_none()


def _refuse(session: Session, row: Voice, *, at: datetime) -> None:
    assert row.object_name is not None
    promise_removal(session, names=[row.object_name], at=at)
    row.state, row.object_name, row.wrapped_key, row.size = VoiceState.REFUSED, None, None, 0
