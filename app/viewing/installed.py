"""Kinfold on a guest's home screen: how it gets there, and which photos the browser may go on keeping for when there is no line.

The service worker keeps what `viewing.media` marks (`Kinfold-Keep`), and asks here at every contact what may stay.
"""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from flask import Blueprint, Response, jsonify, render_template, request
from sqlalchemy.orm import Session

from app.media.models import Photo, PhotoState
from app.security.permissions import Action
from app.security.viewer import Device
from app.sharing.models import Grant
from app.sharing.service import live_grant
from app.web.access import allow
from app.web.labels import device_label
from app.web.session import house, session
from app.web.viewer import device

pages = Blueprint("installed", __name__)

MOST = 100
"""Photos that a browser keeps, and asks about at a time."""


@pages.get("/shared/install")
@allow(Action.SEE_SHARED)
def install() -> str:
    """How to put Kinfold on the home screen, with the kind of phone that is asking first."""
    apple = device_label(request.user_agent.string) in ("iPhone", "iPad")
    return render_template("viewing/install.html", phones=("apple", "android") if apple else ("android", "apple"))


@pages.get("/shared/kept")
@allow(Action.SEE_SHARED, is_page=False)
def kept() -> Response:
    """Of the photos that a browser has kept, those that it may go on keeping."""
    asked = request.args.get("photos", "").split(",")[:MOST]
    return jsonify(photos=may_keep(session(), device(), photos=asked, at=house().clock.now()))


def may_keep(session: Session, viewer: Device, *, photos: Sequence[str], at: datetime) -> Sequence[str]:
    """Those of the photos that the people of this device may see and save now."""
    return session.scalars(
        sa.select(Photo.id)
        .where(Photo.id.in_(photos), Photo.state == PhotoState.READY)
        .join(Grant, Grant.album_id == Photo.album_id)
        .where(Grant.guest_id.in_(viewer.guests), Grant.may_save.is_(True), *live_grant(at))
        .distinct()
    ).all()
