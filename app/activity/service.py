"""What happened in a group, noted and told; and counting tries, so that nobody can guess passwords for ever."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.activity.models import Activity, ActivityKind, Deletion, DeletionKind
from app.ids import new_id
from app.jobs.port import Jobs
from app.security.viewer import Member

KEPT = timedelta(days=90)
TRIES_KEPT = timedelta(hours=24)
PAGE = 50
"""Rows of `page`."""

TELL = "tell"
"""The job that tells people of one row at once; its handler is in the room of notifications."""


@dataclass(frozen=True)
class Page:
    """What happened, the latest first; `more` says whether there is anything older."""

    rows: Sequence[Activity]
    more: bool


def page(session: Session, viewer: Member, *, before: str | None = None) -> Page:
    """What happened in the member's group, from the newest on or before the row with this id. One statement, the same cost at any depth.

    That a photo is held is for whoever runs the server: a member may be who it is evidence against."""
    latest_first = (Activity.at, Activity.id)
    query = sa.select(Activity).where(Activity.group_id == viewer.group, Activity.kind != ActivityKind.PHOTO_HELD)
    if before is not None:
        here = sa.select(*latest_first).where(Activity.id == before, Activity.group_id == viewer.group).scalar_subquery()
        query = query.where(sa.tuple_(*latest_first) < here)
    found = session.scalars(query.order_by(*(column.desc() for column in latest_first)).limit(PAGE + 1)).all()
    return Page(found[:PAGE], more=len(found) > PAGE)


def record(
    session: Session,
    kind: ActivityKind,
    *,
    by: Member,
    at: datetime,
    guest: str | None = None,
    album: str | None = None,
    other: str | None = None,
) -> None:
    """Note that a member did something, maybe to an `other` one; joins the caller's transaction."""
    session.add(Activity(kind=kind, at=at, group_id=by.group, member_id=by.id, guest_id=guest, album_id=album, other_id=other))


def record_from_outside(session: Session, kind: ActivityKind, *, group: str, other: str, at: datetime) -> None:
    """Note what whoever runs the server did to a member."""
    session.add(Activity(kind=kind, at=at, group_id=group, other_id=other))


def record_deletion(session: Session, kind: DeletionKind, *subjects: str, at: datetime) -> None:
    """Write into the deletion journal what is deleted, or taken away, in this transaction."""
    session.add_all(Deletion(kind=kind, subject=subject, at=at) for subject in subjects)


def record_once_an_hour(session: Session, kind: ActivityKind, *, by: Member, at: datetime, album: str) -> None:
    """The same for what comes in batches: "Anna added photos" is told once an hour for an album."""
    if not _noted_this_hour(session, kind, Activity.group_id == by.group, Activity.member_id == by.id, album=album, at=at):
        record(session, kind, by=by, at=at, album=album)


def record_guest(
    session: Session,
    kind: ActivityKind,
    *,
    group: str,
    guest: str | None,
    at: datetime,
    album: str | None = None,
    photo: str | None = None,
) -> str:
    """Note what a guest did, or what happened to what they see. Returns the identifier of the row, for whoever is told of it."""
    row = Activity(id=new_id(), kind=kind, at=at, group_id=group, guest_id=guest, album_id=album, photo_id=photo)
    session.add(row)
    return row.id


def record_urgent(
    session: Session, kind: ActivityKind, *, group: str, guest: str | None, jobs: Jobs, at: datetime, **about: str | None
) -> None:
    """The same for what somebody waits for: people are told of it as soon as this transaction is kept."""
    row = record_guest(session, kind, group=group, guest=guest, at=at, **about)
    session.flush()
    jobs.enqueue(session, TELL, row, group=group)


def record_guest_once_an_hour(session: Session, kind: ActivityKind, *, group: str, guest: str, at: datetime, album: str) -> None:
    """The same for what comes in batches, as `record_once_an_hour` does."""
    if not _noted_this_hour(session, kind, Activity.guest_id == guest, album=album, at=at):
        record_guest(session, kind, group=group, guest=guest, at=at, album=album)


def nth_last_of_guest(session: Session, kind: ActivityKind, *, guest: str, n: int, since: datetime) -> datetime | None:
    """When a guest did this for the n-th last time, None when it was fewer times since then."""
    done = sa.select(Activity.at).where(Activity.guest_id == guest, Activity.kind == kind, Activity.at > since)
    return session.scalars(done.order_by(Activity.at.desc()).offset(n - 1).limit(1)).one_or_none()


def record_failures(session: Session, *, buckets: Sequence[str], at: datetime) -> list[str]:
    """Note a try in each of the buckets it counts for; returns what to `forget` if it turns out to have been right."""
    tries = [Activity(kind=ActivityKind.SIGN_IN_FAILED, at=at, bucket=bucket) for bucket in buckets]
    session.add_all(tries)
    session.flush()
    return [each.id for each in tries]


def forget(session: Session, tries: Sequence[str]) -> None:
    """A try that was right does not count."""
    session.execute(sa.delete(Activity).where(Activity.id.in_(tries)))


def nth_last_failure(session: Session, *, bucket: str, n: int, since: datetime) -> datetime | None:
    """When the n-th last failed try of a bucket happened, None when there were fewer since then."""
    return session.scalars(
        sa.select(Activity.at)
        .where(Activity.bucket == bucket, Activity.at > since)
        .order_by(Activity.at.desc())
        .offset(n - 1)
        .limit(1)
    ).one_or_none()


def forget_old(session: Session, *, at: datetime) -> None:
    """Drop what is older than it may be kept."""
    session.execute(sa.delete(Activity).where(Activity.at < at - KEPT))
    session.execute(sa.delete(Activity).where(Activity.bucket.is_not(None), Activity.at < at - TRIES_KEPT))


def _noted_this_hour(session: Session, kind: ActivityKind, *whose: sa.ColumnElement[bool], album: str, at: datetime) -> bool:
    hour = at.replace(minute=0, second=0, microsecond=0)
    noted = sa.select(Activity.id).where(*whose, Activity.kind == kind, Activity.album_id == album, Activity.at >= hour)
    return session.scalars(noted.limit(1)).one_or_none() is not None
