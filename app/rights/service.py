"""Rights over one's data: how much there is, what is kept about a person, a whole group's data to take away, and its end.

What is given out here is what people wrote and what was noted about them; never a key, a hash or a secret.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import Account
from app.activity import service as activity
from app.activity.models import Activity, DeletionKind
from app.albums.models import Album
from app.albums.service import OpenAlbum, remove_objects, titles_of
from app.answers import seen
from app.answers import service as answers
from app.answers.service import Answers, Said
from app.errors import Refused
from app.evidence import check_no_evidence
from app.groups.models import Group
from app.jobs.port import Jobs
from app.media.models import FOR_MEMBERS, Photo, PhotoState, Rendition, RenditionName
from app.media.service import PAGE, UNFINISHED, caption, saved_name
from app.security.sealing import AlbumKey, MasterKey
from app.security.viewer import Member
from app.sharing import service as sharing
from app.sharing.models import DeviceRow, Grant, Guest, Link

Facts = dict[str, Any]
"""What can be written as JSON."""


@dataclass(frozen=True)
class Stored:
    """How much of a group is kept: `size` in bytes, photos by how far they are, the rest in numbers."""

    albums: int
    photos: int
    waiting: int
    refused: int
    size: int
    people: int
    links: int
    devices: int
    members: int


@dataclass(frozen=True)
class WholePhoto:
    """A photo as it is taken away: its row, the name of its file, and what guests have said about it."""

    row: Photo
    file: str
    answers: Answers

    @property
    def voices(self) -> dict[str, str]:
        """The name of each voice's file, by its identifier."""
        stem = self.file.partition(".")[0]
        heard = (said.id for said in self.answers.said if said.voice)
        return {voice: f"{stem}-voice-{number}.mp3" for number, voice in enumerate(heard, start=1)}

    def about(self, key: AlbumKey) -> Facts:
        """What is told about it: when it was taken by the clock at that place (or uploaded), what was written under it, and what guests
        have said."""
        return {
            "file": self.file,
            "taken": self.row.taken_at.isoformat(),
            "caption": caption(self.row, key),
            "hearts": [name for _, name in self.answers.hearts],
            "said": [
                {"by": said.name, "at": said.at.isoformat(), "hidden": said.hidden}
                | ({"file": self.voices[said.id]} if said.voice else {"text": said.text})
                for said in self.answers.said
            ],
        }


def what_is_stored(session: Session, viewer: Member) -> Stored:
    """To tell a member before they take everything away, or destroy it."""
    albums, photos, ready_bytes = session.execute(
        sa.select(sa.func.count(), sa.func.sum(Album.ready), sa.func.sum(Album.ready_bytes)).where(Album.group_id == viewer.group)
    ).one()
    unfinished = {
        state: (number, size)
        for state, number, size in session.execute(
            sa.select(Photo.state, sa.func.count(), sa.func.sum(Photo.stored))
            .where(Photo.group_id == viewer.group, Photo.state.in_(UNFINISHED))
            .group_by(Photo.state)
        )
    }
    people = sa.select(Guest.id).where(Guest.group_id == viewer.group)
    return Stored(
        albums=albums,
        photos=int(photos or 0),
        waiting=sum(unfinished.get(state, (0, 0))[0] for state in (PhotoState.RECEIVED, PhotoState.AWAITING)),
        refused=unfinished.get(PhotoState.REFUSED, (0, 0))[0],
        size=int(ready_bytes or 0) + sum(int(size) for _, size in unfinished.values()),
        people=_count(session, Guest, Guest.group_id == viewer.group),
        links=_count(session, Link, Link.guest_id.in_(people)),
        devices=_count(session, DeviceRow, DeviceRow.guest_id.in_(people)),
        members=_count(session, Account, Account.group_id == viewer.group),
    )


def about_guest(session: Session, viewer: Member, *, guest: Guest, master: MasterKey, at: datetime) -> Facts:
    """Everything that members may know of what is kept about a person: not of evidence, nor which photos they said something is wrong
    with, because a member may be who that is about."""
    members = _names_of_members(session, viewer.group)
    grants = sharing.list_grants(session, guest=guest, master=master)
    noted = session.scalars(sa.select(Activity).where(Activity.guest_id == guest.id).order_by(Activity.at, Activity.id)).all()
    own = Photo.guest_id == guest.id, Photo.state != PhotoState.HELD
    added = session.scalars(sa.select(Photo).where(*own).order_by(Photo.created_at, Photo.id)).all()
    looks = seen.days_of(session, guest=guest.id)
    wanted = (
        {each.album_id for each in noted if each.album_id}
        | {photo.album_id for photo in added}
        | {album for _, _, album in looks}
    )
    titles = titles_of(session, viewer, albums=wanted, master=master)
    links = session.scalars(sa.select(Link).where(Link.guest_id == guest.id).order_by(Link.created_at, Link.id))
    devices = session.scalars(
        sa.select(DeviceRow).where(DeviceRow.guest_id == guest.id).order_by(DeviceRow.created_at, DeviceRow.id)
    )
    return {
        "name": guest.name,
        "email": guest.email,
        "mail_ended": _moment(guest.mail_ended_at),
        "last_mail": _moment(guest.mailed_at),
        "language": guest.language,
        "added": guest.created_at.isoformat(),
        "added_by": members.get(guest.created_by),
        "forgotten": sharing.forgotten_at(guest, [grant for grant, _ in grants]).isoformat(),
        "albums": [_about_grant(grant, members, at) | {"title": album.title} for grant, album in grants],
        "links": [
            {
                "made": link.created_at.isoformat(),
                "made_by": members.get(link.created_by),
                "until": link.expires_at.isoformat(),
                "kind": link.kind.value,
                "state": sharing.state_of_link(link, at).value,
                "ended": _moment(link.revoked_at or link.replaced_at or link.ended_at),
                "lets_in": link.places,
                "let_in": link.used,
            }
            for link in links
        ],
        "devices": [
            {
                "kind": device.label,
                "since": device.created_at.isoformat(),
                "last_here": device.last_seen_at.isoformat(),
                "until": min(device.expires_at, device.unused_after).isoformat(),
                "ended": _moment(device.ended_at),
            }
            for device in devices
        ],
        "said": [
            {"album": album.title, "photo": photo.number} | _about_said(said)
            for album, photo, said in answers.of_guest(session, guest=guest.id, master=master)
        ],
        "photos_added": [
            {"album": titles.get(photo.album_id), "photo": photo.number, "at": photo.created_at.isoformat()} for photo in added
        ],
        "looked_at": [{"day": day.isoformat(), "photo": photo, "album": titles.get(album)} for day, photo, album in looks],
        "happened": [
            {
                "at": each.at.isoformat(),
                "what": each.kind.value,
                "by": members.get(each.member_id),
                "album": titles.get(each.album_id or ""),
            }
            for each in noted
        ],
    }


def about_people(session: Session, viewer: Member, *, folders: dict[str, str], at: datetime) -> list[Facts]:
    """Who a group has shared with: each person, and which albums they may see until when, by the `folders` that albums are kept in."""
    members = _names_of_members(session, viewer.group)
    grants: dict[str, list[Grant]] = {}
    of_group = sa.select(Grant).join(Guest, Guest.id == Grant.guest_id).where(Guest.group_id == viewer.group)
    for grant in session.scalars(of_group.order_by(Grant.created_at, Grant.id)):
        grants.setdefault(grant.guest_id, []).append(grant)
    return [
        {
            "name": guest.name,
            "added": guest.created_at.isoformat(),
            "added_by": members.get(guest.created_by),
            "albums": [
                _about_grant(grant, members, at) | {"folder": folders.get(grant.album_id)} for grant in grants.get(guest.id, ())
            ],
        }
        for guest in session.scalars(sa.select(Guest).where(Guest.group_id == viewer.group).order_by(Guest.folded, Guest.id))
    ]


def about_members(session: Session, viewer: Member) -> list[Facts]:
    """Who belongs to a group."""
    rows = session.scalars(sa.select(Account).where(Account.group_id == viewer.group).order_by(Account.created_at, Account.id))
    return [{"name": row.name, "email": row.email, "role": row.role.value, "since": row.created_at.isoformat()} for row in rows]


def whole_photos(
    session: Session, *, album: OpenAlbum, after: WholePhoto | None = None, size: int = PAGE
) -> Sequence[WholePhoto]:
    """The next photos of an album that members see, in its order, after one that may be gone by now."""
    order = (Photo.taken_at, Photo.number)
    query = (
        sa.select(Photo, Rendition.mime)
        .join(Rendition, sa.and_(Rendition.photo_id == Photo.id, Rendition.name == RenditionName.FULL))
        .where(Photo.album_id == album.id, Photo.state.in_(FOR_MEMBERS))
        .order_by(*order)
        .limit(size)
    )
    if after is not None:
        here = sa.tuple_(sa.literal(after.row.taken_at, sa.DateTime), sa.literal(after.row.number))
        query = query.where(sa.tuple_(*order) > here)
    found = session.execute(query).all()
    said = answers.for_members(session, photos=[photo.id for photo, _ in found], key=album.key)
    return [WholePhoto(photo, saved_name(photo.number, mime), said.get(photo.id, Answers())) for photo, mime in found]


def as_json(facts: Facts | list[Facts]) -> bytes:
    """Facts as a person can read them too."""
    return json.dumps(facts, ensure_ascii=False, indent=1).encode() + b"\n"


def check_group_name(group: Group, *, typed: str) -> None:
    """Raises `Refused` unless the group's name was typed."""
    if typed.casefold().strip() != group.name.casefold().strip():
        raise Refused("group-name-differs", name=group.name)


def delete_group(session: Session, *, group: str, jobs: Jobs, at: datetime) -> None:
    """Destroy a group with everything in it: every key and row now, with it every link, sign-in and invitation, and the objects by jobs.

    One transaction, so that nobody ever sees half a group. It takes seconds for 100,000 photos; on SQLite other writers wait for it,
    readers never do. Raises `Refused` while a photo in it is held.
    """
    check_no_evidence(session, group_id=group)
    # Uploads that are being written down end first, and then nobody begins an album: on PostgreSQL these locks see to it.
    session.execute(sa.select(Album.id).where(Album.group_id == group).with_for_update())
    session.execute(sa.select(Group.id).where(Group.id == group).with_for_update())
    # Albums go first, with their photos: a member who goes is looked for in every photo that is left.
    albums = session.scalars(sa.delete(Album).where(Album.group_id == group).returning(Album.id)).all()
    remove_objects(session, names=[f"albums/{album}/" for album in albums], group=group, jobs=jobs, at=at)
    activity.record_deletion(session, DeletionKind.GROUP, group, at=at)
    session.execute(sa.delete(Guest).where(Guest.group_id == group))
    session.execute(sa.delete(Account).where(Account.group_id == group))
    session.execute(sa.delete(Group).where(Group.id == group))


def _about_grant(grant: Grant, members: dict[str | None, str], at: datetime) -> Facts:
    return {
        "until": grant.expires_at.isoformat(),
        "may_save": grant.may_save,
        "may_add": grant.may_add,
        "more_time_asked": _moment(grant.asked_at),
        "more_time_refused": _moment(grant.declined_at),
        "state": sharing.state_of_grant(grant, at).value,
        "ended": _moment(grant.ended_at),
        "given": grant.created_at.isoformat(),
        "given_by": members.get(grant.created_by),
    }


def _about_said(said: Said | None) -> Facts:
    if said is None:
        return {"heart": True}
    words: Facts = {"seconds": round(said.duration / 1000)} if said.voice else {"text": said.text}
    return words | {"at": said.at.isoformat(), "hidden": said.hidden}


def _names_of_members(session: Session, group: str) -> dict[str | None, str]:
    return dict(session.execute(sa.select(Account.id, Account.name).where(Account.group_id == group)).all())


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _count(session: Session, table: type[Any], which: sa.ColumnElement[bool]) -> int:
    return session.scalars(sa.select(sa.func.count()).select_from(table).where(which)).one()
