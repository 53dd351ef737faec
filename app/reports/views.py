"""The page behind "Something is wrong with this photo", for guests and for members: one button, no free text."""

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from app.errors import NotVisible
from app.media import service as media
from app.media.models import Photo, PhotoState
from app.reports import service
from app.security.permissions import Action
from app.security.viewer import Device, Member
from app.sharing import service as sharing
from app.web.access import allow
from app.web.session import house, session
from app.web.viewer import device, member

pages = Blueprint("reports", __name__)


@pages.get("/shared/<album>/<photo>/wrong")
@allow(Action.SEE_SHARED)
def shared_photo(album: str, photo: str) -> str:
    back = url_for("viewing.shared_photo", album=album, photo=photo)
    return _page(device(), _shared_photo(album, photo), back=back, layout="layouts/guest.html")


@pages.post("/shared/<album>/<photo>/wrong")
@allow(Action.SEE_SHARED)
def report_shared_photo(album: str, photo: str) -> Response:
    return _report(device(), _shared_photo(album, photo), url_for(".shared_photo", album=album, photo=photo))


@pages.get("/photos/<photo>/wrong")
@allow(Action.SEE_ALBUMS)
def photo(photo: str) -> str:
    back = url_for("viewing.photo", photo=photo)
    return _page(member(), _photo(photo), back=back, layout="layouts/member.html")


@pages.post("/photos/<photo>/wrong")
@allow(Action.SEE_ALBUMS)
def report_photo(photo: str) -> Response:
    return _report(member(), _photo(photo), url_for(".photo", photo=photo))


@pages.post("/photos/<photo>/wrong/answer")
@allow(Action.ANSWER_REPORTS)
def answer(photo: str) -> Response:
    """An owner has looked at it. Whoever runs the server decides for themselves."""
    service.answer(session(), photo=_photo(photo), at=house().clock.now())
    return redirect(url_for("viewing.photo", photo=photo), 303)


def _report(viewer: Member | Device, found: Photo, to: str) -> Response:
    service.report(session(), viewer, photo=found, jobs=house().jobs, at=house().clock.now())
    return redirect(to, 303)


def _page(viewer: Member | Device, found: Photo, *, back: str, layout: str) -> str:
    done = service.reported_by(session(), viewer, photo=found)
    return render_template("reports/wrong.html", layout=layout, back=back, done=done)


def _shared_photo(album: str, photo: str) -> Photo:
    sharing.get_shared_album(session(), device(), album=album, master=house().master, at=house().clock.now())
    return media.get_photo_of_album(session(), album=album, photo=photo)


def _photo(photo: str) -> Photo:
    found, _ = media.get_photo(session(), member(), photo=photo, master=house().master)
    if found.state is not PhotoState.READY:
        raise NotVisible
    return found
