"""Something is wrong with a photo: said once by each person, told to the owners and to whoever runs the server.

An owner may be who it is about. So their answer takes a report off their page and nothing else, and it does not say who made it.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.activity import service as activity
from app.activity.models import ActivityKind
from app.albums.models import Album
from app.albums.service import open_album
from app.errors import TooOften
from app.jobs.port import Jobs
from app.media.models import Photo, PhotoState
from app.reports.models import Report
from app.security.permissions import Action, may
from app.security.sealing import MasterKey
from app.security.viewer import Device, Member
from app.sharing.models import Grant
from app.sharing.service import live_grant

log = logging.getLogger("kinfold.reports")

MOST = 20
"""Photos of which one person can say so in a day."""

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Reported:
    """A photo of which somebody says that something is wrong."""

    photo: str
    title: str


def reported_by(session: Session, viewer: Member | Device, *, photo: Photo) -> bool:
    """Whether this viewer has said so already."""
    own = Report.member_id == viewer.id if isinstance(viewer, Member) else Report.guest_id.in_(viewer.guests)
    return session.scalars(sa.select(Report.id).where(Report.photo_id == photo.id, own).limit(1)).one_or_none() is not None


def report(session: Session, viewer: Member | Device, *, photo: Photo, jobs: Jobs, at: datetime) -> None:
    """Say that something is wrong with a photo that was loaded for this viewer. Once more is no error, also when two taps come at once.
    Raises `TooOften`."""
    session.execute(sa.select(Photo.id).where(Photo.id == photo.id).with_for_update())
    if reported_by(session, viewer, photo=photo):
        return
    if isinstance(viewer, Member):
        member, guest, own = viewer.id, None, Report.member_id == viewer.id
    else:
        member, guest, own = None, _who_looks(session, viewer, photo, at), Report.guest_id.in_(viewer.guests)
    lately = session.scalars(sa.select(Report.at).where(own, Report.at > at - DAY).order_by(Report.at.desc()).limit(MOST)).all()
    if len(lately) == MOST:
        raise TooOften(lately[-1] + DAY)
    session.add(Report(photo_id=photo.id, member_id=member, guest_id=guest, at=at))
    activity.record_urgent(
        session,
        ActivityKind.PHOTO_REPORTED,
        group=photo.group_id,
        guest=None,  # every member reads this
        album=photo.album_id,
        photo=photo.id,
        jobs=jobs,
        at=at,
    )
    log.warning("somebody says that something is wrong with photo %s: `flask hold --list` says what to do", photo.id)


def open_reports(session: Session, viewer: Member, *, master: MasterKey, photo: str | None = None) -> Sequence[Reported]:
    """The photos of the group, or the one, of which somebody says so and no owner has answered; for owners, nobody else sees any."""
    if not may(viewer, Action.ANSWER_REPORTS):
        return ()
    rows = session.execute(
        sa.select(Photo.id, Album)
        .join(Album, Album.id == Photo.album_id)
        .where(
            Photo.group_id == viewer.group,
            Photo.state == PhotoState.READY,
            Photo.id.in_(sa.select(Report.photo_id).where(Report.answered_at.is_(None))),
            sa.true() if photo is None else Photo.id == photo,
        )
        .order_by(Photo.album_id, Photo.taken_at, Photo.number)
    )
    return [Reported(found, open_album(album, master=master).title) for found, album in rows]


def answer(session: Session, *, photo: Photo, at: datetime) -> None:
    """An owner has looked at it."""
    session.execute(sa.update(Report).where(Report.photo_id == photo.id, Report.answered_at.is_(None)).values(answered_at=at))


def _who_looks(session: Session, viewer: Device, photo: Photo, at: datetime) -> str | None:
    """One of the people of this device who may see the photo."""
    seeing = sa.select(Grant.guest_id).where(Grant.guest_id.in_(viewer.guests), Grant.album_id == photo.album_id, *live_grant(at))
    return session.scalars(seeing.order_by(Grant.guest_id).limit(1)).one_or_none()
