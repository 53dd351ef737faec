"""What members do to albums. The pages that show photos are in `app/viewing`."""

from dataclasses import fields

from flask import Blueprint, jsonify, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.albums import service
from app.albums.forms import AlbumForm, ChoicesForm, CoverForm, DeleteAlbumForm
from app.albums.service import Choices, OpenAlbum
from app.errors import Refused
from app.security.permissions import Action
from app.web.access import allow
from app.web.errors import wants_json
from app.web.session import house, session
from app.web.viewer import member

pages = Blueprint("albums", __name__)


@pages.post("/albums")
@allow(Action.KEEP_ALBUMS)
def create() -> Response:
    form = AlbumForm()
    if not form.validate():
        raise Refused(form.first_error)
    album = service.make_album(
        session(),
        member(),
        title=form.title.data,
        description=form.description.data,
        master=house().master,
        at=house().clock.now(),
    )
    address = url_for("viewing.album", album=album.id)
    if wants_json():
        return make_response(jsonify(id=album.id, title=album.title, address=address), 201)
    return redirect(address, 303)


@pages.get("/albums/<album>/edit")
@allow(Action.KEEP_ALBUMS)
def edit(album: str) -> str:
    found = _load(album)
    return _edit_page(found, AlbumForm(title=found.title, description=found.description), DeleteAlbumForm(formdata=None))


@pages.post("/albums/<album>/edit")
@allow(Action.KEEP_ALBUMS)
def do_edit(album: str) -> Response:
    found, form = _load(album), AlbumForm()
    if not form.validate():
        return make_response(_edit_page(found, form, DeleteAlbumForm(formdata=None)), 400)
    service.change_album(
        session(),
        member(),
        album=found,
        title=form.title.data,
        description=form.description.data if "description" in request.form else found.description,
        choices=_choices(ChoicesForm()),
        at=house().clock.now(),
    )
    return redirect(url_for("viewing.album", album=album), 303)


@pages.post("/albums/<album>/delete")
@allow(Action.KEEP_ALBUMS)
def delete(album: str) -> Response:
    found, form = _load(album), DeleteAlbumForm()
    try:
        service.delete_album(
            session(), member(), album=found, confirm=form.confirm.data, jobs=house().jobs, at=house().clock.now()
        )
    except Refused as refusal:
        form.confirm.errors = [refusal.reason]
        return make_response(
            _edit_page(found, AlbumForm(formdata=None, title=found.title, description=found.description), form), 400
        )
    return redirect(url_for("viewing.albums"), 303)


@pages.post("/albums/<album>/cover")
@allow(Action.KEEP_ALBUMS)
def cover(album: str) -> Response:
    found, form = _load(album), CoverForm()
    if not form.validate():
        raise Refused(form.first_error)
    service.choose_cover(session(), album=found, photo=form.photo.data)
    return redirect(url_for("viewing.photo", photo=form.photo.data), 303)


def _load(album: str) -> OpenAlbum:
    """The album of an address, for the member who asks."""
    return service.get_album(session(), member(), album=album, master=house().master)


def _choices(form: ChoicesForm) -> Choices | None:
    """What was ticked, from a form that asks for it."""
    names = [each.name for each in fields(Choices)]
    return Choices(**{name: form[name].data for name in names}) if form.choices.data else None


def _edit_page(album: OpenAlbum, form: AlbumForm, delete_form: DeleteAlbumForm) -> str:
    losing = service.what_deleting_destroys(session(), album=album, at=house().clock.now())
    return render_template(
        "albums/edit.html",
        album={
            "id": album.id,
            "title": album.title,
            "href": url_for("viewing.album", album=album.id),
            "count": losing.photos,
            "shared_with": losing.people,
        },
        form=form,
        choices=_choices(ChoicesForm()) or album.row,
        delete_form=delete_form,
    )
