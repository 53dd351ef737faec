"""Who has looked at which photo: a row for each day, and no finer. Members see it, guests never do; they are told that it is so."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.answers.models import Seen
from app.media.models import Photo, PhotoState
from app.security.viewer import Member
from app.sharing.models import Guest

KEPT = timedelta(days=90)


@dataclass(frozen=True)
class Look:
    """A guest looked at so many photos on a day of the family's calendar."""

    guest: str
    name: str
    day: date
    photos: int


def unseen(
    session: Session, *, album: str, guests: Collection[str], photos: Collection[str], day: date
) -> Sequence[tuple[str, str]]:
    """Which of these photos of an album which of these guests have not looked at yet on this day; what is no photo that can be seen in
    this album is passed over."""
    noted = sa.exists().where(Seen.photo_id == Photo.id, Seen.guest_id == Guest.id, Seen.day == day)
    shown = Photo.album_id == album, Photo.state == PhotoState.READY, Photo.id.in_(photos)
    rows = session.execute(sa.select(Photo.id, Guest.id).join(Guest, sa.true()).where(*shown, Guest.id.in_(guests), ~noted))
    return [(photo, guest) for photo, guest in rows]


def note(session: Session, *, album: str, guests: Collection[str], photos: Collection[str], day: date) -> None:
    """These guests have looked at these photos of an album, which was loaded for them."""
    rows = unseen(session, album=album, guests=guests, photos=photos, day=day)
    session.add_all(Seen(photo_id=photo, guest_id=guest, day=day) for photo, guest in rows)


def looks(session: Session, viewer: Member, *, since: date, guest: str | None = None, size: int) -> Sequence[Look]:
    """Who of the group's guests, or what one of them, has looked at since a day: the latest days first."""
    query = (
        sa.select(Guest.id, Guest.name, Seen.day, sa.func.count())
        .join(Seen, Seen.guest_id == Guest.id)
        .where(Guest.group_id == viewer.group, Seen.day >= since)
        .group_by(Guest.id, Guest.name, Guest.folded, Seen.day)
        .order_by(Seen.day.desc(), Guest.folded, Guest.id)
        .limit(size)
    )
    if guest is not None:
        query = query.where(Guest.id == guest)
    return [Look(*row) for row in session.execute(query)]


def seen_by(session: Session, *, photo: str) -> Sequence[tuple[str, str, date]]:
    """Who has looked at a photo that was loaded for a member: id, name, and the last day on which they did."""
    last = sa.func.max(Seen.day, type_=sa.Date())
    rows = session.execute(
        sa.select(Guest.id, Guest.name, last)
        .join(Seen, Seen.guest_id == Guest.id)
        .where(Seen.photo_id == photo)
        .group_by(Guest.id, Guest.name, Guest.folded)
        .order_by(Guest.folded, Guest.id)
    )
    return [(guest, name, day) for guest, name, day in rows]


def days_of(session: Session, *, guest: str) -> Sequence[tuple[date, str, str]]:
    """All that members may know of what a guest has looked at: the day, the photo and its album."""
    rows = session.execute(
        sa.select(Seen.day, Photo.id, Photo.album_id)
        .join(Photo, Photo.id == Seen.photo_id)
        .where(Seen.guest_id == guest, Photo.state != PhotoState.HELD)
        .order_by(Seen.day, Photo.album_id, Photo.number)
    )
    return [(day, photo, album) for day, photo, album in rows]


def forget_old(session: Session, *, today: date) -> None:
    """Drop what is older than it may be kept; who has looked at evidence stays known to whoever may open that."""
    held = sa.exists().where(Photo.id == Seen.photo_id, Photo.state == PhotoState.HELD)
    session.execute(sa.delete(Seen).where(Seen.day < today - KEPT, ~held))
