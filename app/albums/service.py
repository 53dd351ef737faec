"""Albums: made, changed and deleted by members, loaded for the member who asks."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.activity import service as activity
from app.activity.models import ActivityKind, DeletionKind
from app.albums import rules
from app.albums.models import Album
from app.db import UtcTime
from app.errors import NotVisible, Refused
from app.evidence import HELD, check_no_evidence
from app.ids import new_id
from app.instance import sealing_key
from app.jobs.port import Jobs
from app.security.sealing import AlbumKey, MasterKey
from app.security.viewer import Member
from app.storage.models import Removal

REMOVE_OBJECTS = "remove-objects"
"""The job that takes unneeded objects out of storage; its handler is in `app.albums.jobs`."""


# The rooms of these tables are above this one; what points at an album is known here by name only.
_PHOTO = sa.table("photo", sa.column("id"), sa.column("album_id"), sa.column("state"))
_GUEST = sa.table("guest", sa.column("id"), sa.column("seen_until", UtcTime))
_GRANT = sa.table(
    "grant", sa.column("album_id"), sa.column("guest_id"), sa.column("ended_at", UtcTime), sa.column("expires_at", UtcTime)
)


@dataclass(frozen=True)
class Losing:
    """What deleting an album destroys: so many photos, and so many people lose sight of it."""

    photos: int
    people: int


@dataclass(frozen=True)
class Choices:
    """What the owners of an album have chosen, as `Album` explains it."""

    hides_days: bool
    shows_answers: bool
    takes_voice: bool
    asks_first: bool


@dataclass(frozen=True)
class OpenAlbum:
    """An album whose words can be read and whose photos can be opened: the row and its key."""

    row: Album
    key: AlbumKey

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def title(self) -> str:
        return self.key.open_field("title", self.id, self.row.sealed_title).decode()

    @property
    def description(self) -> str:
        return self.key.open_field("description", self.id, self.row.sealed_description).decode()


def open_album(album: Album, *, master: MasterKey) -> OpenAlbum:
    """The album with its key."""
    return OpenAlbum(album, master.open_album(album.id, album.wrapped_key))


def list_albums(session: Session, viewer: Member, *, master: MasterKey) -> list[OpenAlbum]:
    """The albums of the member's group, the newest first."""
    rows = session.scalars(sa.select(Album).where(Album.group_id == viewer.group).order_by(Album.created_at.desc(), Album.id))
    return [open_album(row, master=master) for row in rows]


def get_album(session: Session, viewer: Member, *, album: str, master: MasterKey) -> OpenAlbum:
    """An album of the member's group. Raises `NotVisible` for any other."""
    row = session.scalars(sa.select(Album).where(Album.id == album, Album.group_id == viewer.group)).one_or_none()
    if row is None:
        raise NotVisible
    return open_album(row, master=master)


def titles_of(session: Session, viewer: Member, *, albums: Collection[str], master: MasterKey) -> dict[str, str]:
    """The titles of these albums of the group; what was deleted is not among them."""
    rows = session.scalars(sa.select(Album).where(Album.group_id == viewer.group, Album.id.in_(albums)))
    return {row.id: open_album(row, master=master).title for row in rows}


def lock_album(session: Session, *, album: str) -> None:
    """Until this transaction ends nobody else adds photos to the album or takes any away: they are numbered and counted one at a time.
    (SQLite has one writer anyway.)"""
    session.execute(sa.select(Album.id).where(Album.id == album).with_for_update())


def make_album(session: Session, viewer: Member, *, title: str, description: str, master: MasterKey, at: datetime) -> OpenAlbum:
    """A new, empty album of the member's group. The second tap on the button gives the album that the first one made."""
    accounts.one_tap_at_a_time(session, viewer)
    twin = _just_made(session, viewer, words=(title, description), master=master, at=at)
    if twin is not None:
        return twin
    album_id = new_id()
    key, wrapped = sealing_key(session, master).new_album(album_id)
    row = Album(
        id=album_id,
        group_id=viewer.group,
        wrapped_key=wrapped,
        sealed_title=key.seal_field("title", album_id, title),
        sealed_description=key.seal_field("description", album_id, description),
        created_at=at,
        created_by=viewer.id,
    )
    session.add(row)
    session.flush()
    activity.record(session, ActivityKind.ALBUM_MADE, by=viewer, at=at, album=album_id)
    return OpenAlbum(row, key)


def change_album(
    session: Session, viewer: Member, *, album: OpenAlbum, title: str, description: str, choices: Choices | None, at: datetime
) -> None:
    """Another title and description, and other choices unless there are none."""
    album.row.sealed_title = album.key.seal_field("title", album.id, title)
    album.row.sealed_description = album.key.seal_field("description", album.id, description)
    if choices is not None:
        for name, chosen in asdict(choices).items():
            setattr(album.row, name, chosen)
    activity.record(session, ActivityKind.ALBUM_CHANGED, by=viewer, at=at, album=album.id)


def choose_cover(session: Session, *, album: OpenAlbum, photo: str) -> None:
    """Show this photo for the album. Raises `NotVisible` unless it is a ready photo of the same album."""
    own = sa.select(_PHOTO.c.id).where(_PHOTO.c.id == photo, _PHOTO.c.album_id == album.id, _PHOTO.c.state == "ready")
    if session.scalars(own).one_or_none() is None:
        raise NotVisible
    album.row.cover_id = photo


def what_deleting_destroys(session: Session, *, album: OpenAlbum, at: datetime) -> Losing:
    """To tell a member before they type the title."""
    known = _PHOTO.c.album_id == album.id, _PHOTO.c.state.not_in((HELD, "refused"))
    photos = session.scalars(sa.select(sa.func.count()).select_from(_PHOTO).where(*known)).one()
    people = session.scalars(
        sa.select(sa.func.count(_GRANT.c.guest_id.distinct())).where(
            _GRANT.c.album_id == album.id, _GRANT.c.ended_at.is_(None), _GRANT.c.expires_at > at
        )
    ).one()
    return Losing(photos, people)


def delete_album(session: Session, viewer: Member, *, album: OpenAlbum, confirm: str, jobs: Jobs, at: datetime) -> None:
    """Destroy an album: its key and rows now, its objects by a job. Raises `Refused` unless its title was typed, and
    when a photo in it is held."""
    if confirm.casefold().strip() != album.title.casefold().strip():
        raise Refused("title-differs", title=album.title)
    check_no_evidence(session, album_id=album.id)
    remove_objects(session, names=[f"albums/{album.id}/"], group=viewer.group, jobs=jobs, at=at)
    activity.record(session, ActivityKind.ALBUM_DELETED, by=viewer, at=at)
    activity.record_deletion(session, DeletionKind.ALBUM, album.id, at=at)
    _remember_who_saw(session, album, at=at)
    session.execute(sa.delete(Album).where(Album.id == album.id))


def _remember_who_saw(session: Session, album: OpenAlbum, *, at: datetime) -> None:
    """Until when each person saw an album, now that what said so goes with it: they are forgotten so long after that, and no earlier."""
    end = sa.func.coalesce(_GRANT.c.ended_at, _GRANT.c.expires_at, type_=UtcTime())
    until = (
        sa.select(sa.case((end < at, end), else_=sa.literal(at, UtcTime())))
        .where(_GRANT.c.album_id == album.id, _GRANT.c.guest_id == _GUEST.c.id)
        .scalar_subquery()
    )
    session.execute(
        sa.update(_GUEST)
        .where(_GUEST.c.id.in_(sa.select(_GRANT.c.guest_id).where(_GRANT.c.album_id == album.id)))
        .values(seen_until=sa.case((_GUEST.c.seen_until > until, _GUEST.c.seen_until), else_=until))
    )


def _just_made(session: Session, viewer: Member, *, words: tuple[str, str], master: MasterKey, at: datetime) -> OpenAlbum | None:
    lately = sa.select(Album).where(
        Album.group_id == viewer.group, Album.created_by == viewer.id, Album.created_at > at - rules.SECOND_TAP
    )
    opened = (open_album(row, master=master) for row in session.scalars(lately))
    return next((album for album in opened if (album.title, album.description) == words), None)


def remove_objects(session: Session, *, names: Sequence[str], group: str, jobs: Jobs, at: datetime) -> None:
    """Promise, in the caller's transaction, that these objects (or all under a name with `/` at its end) will be removed by a job."""
    for removal in promise_removal(session, names=names, at=at):
        jobs.enqueue(session, REMOVE_OBJECTS, removal, group=group)


def promise_removal(session: Session, *, names: Sequence[str], at: datetime) -> list[str]:
    """The same promise, for a caller who keeps it right after the commit; a sweep keeps what was forgotten. Returns the promises' ids."""
    removals = [Removal(id=new_id(), name=name, created_at=at) for name in names]
    session.add_all(removals)
    session.flush()
    return [removal.id for removal in removals]
