"""What members do to photos: captions and deleting. The pages are in `app/viewing`."""

from flask import Blueprint, jsonify, make_response, redirect, request, url_for
from werkzeug.wrappers import Response

from app.albums import service as albums
from app.errors import Refused
from app.media import service
from app.media.forms import CaptionForm
from app.security.permissions import Action
from app.web.access import allow
from app.web.errors import wants_json
from app.web.session import house, session
from app.web.viewer import member

pages = Blueprint("media", __name__)


@pages.post("/photos/<photo>/caption")
@allow(Action.KEEP_PHOTOS)
def caption(photo: str) -> Response:
    found, album = service.get_photo(session(), member(), photo=photo, master=house().master)
    form = CaptionForm()
    if not form.validate():
        raise Refused(form.first_error)
    service.set_caption(found, album.key, text=form.caption.data, at=house().clock.now())
    return redirect(url_for("viewing.photo", photo=photo), 303)


@pages.post("/photos/<photo>/delete")
@allow(Action.KEEP_PHOTOS)
def delete(photo: str) -> Response:
    found, album = service.get_photo(session(), member(), photo=photo, master=house().master)
    return _delete(album.id, [found.id])


@pages.post("/albums/<album>/photos/delete")
@allow(Action.KEEP_PHOTOS)
def delete_selected(album: str) -> Response:
    found = albums.get_album(session(), member(), album=album, master=house().master)
    return _delete(found.id, request.form.getlist("photo"))


def _delete(album: str, photos: list[str]) -> Response:
    deleted = service.delete_photos(session(), member(), album=album, photos=photos, jobs=house().jobs, at=house().clock.now())
    if wants_json():
        return make_response(jsonify(deleted=deleted))
    return redirect(url_for("viewing.album", album=album), 303)
