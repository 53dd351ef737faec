"""What guests say about a photo, and what members do about it. The pages of photos, where it stands, are in `app/viewing`.

Every POST of a guest loads the album through `sharing.get_shared_album` and the photo of it, and leads back to the photo; a script swaps
the part of that page that has changed for the new one.
"""

from collections.abc import Sequence
from typing import Any, cast

from flask import Blueprint, current_app, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.albums import service as albums
from app.answers import service
from app.answers.forms import HeartForm, HideForm, NoteForm
from app.answers.models import Note, Voice
from app.answers.service import Answers, Said, Spoken
from app.errors import NotVisible, Refused, TooLarge, TooOften
from app.ingest import service as ingest
from app.ingest.views import FORM_AROUND_FILES, files_of
from app.ingest.voicing import LARGEST
from app.media import service as media
from app.media.models import Photo
from app.media.tiles import tile, voice_address
from app.security.permissions import Action, Asks
from app.security.viewer import Device
from app.sharing import service as sharing
from app.sharing.rules import whose
from app.sharing.service import SharedAlbum
from app.web.access import allow
from app.web.places import Places
from app.web.session import house, session
from app.web.viewer import device, device_again, member

pages = Blueprint("answers", __name__)

LATEST = 30
"""Photos on the page of what was said about an album."""


# --- guests ----------------------------------------------------------------------------------------------------------


@pages.post("/shared/<album>/<photo>/heart")
@allow(Action.ANSWER)
def heart(album: str, photo: str) -> Response:
    shared, form = _photo_of(album, photo), HeartForm()
    guest = whose(shared.guests, form.guest.data or "")
    service.set_heart(session(), photo=photo, guest=guest, given=form.given.data, at=house().clock.now())
    return _to_photo(album, photo)


@pages.post("/shared/<album>/<photo>/notes")
@allow(Action.ANSWER)
def write(album: str, photo: str) -> Response:
    """Words that can't be taken just now come back with what is wrong, on a page of their own."""
    shared, form, at = _photo_of(album, photo), NoteForm(), house().clock.now()
    status = 400
    if form.validate():
        guest = whose(shared.guests, form.guest.data or "")
        try:
            service.write_note(session(), album=shared.album, photo=photo, guest=guest, text=form.text.data, at=at)
            return _to_photo(album, photo)
        except TooOften:
            form.text.errors, status = ["said-too-often"], 429
    page = render_template("answers/once_more.html", form=form, people=_people(shared), photo=photo, album=album)
    return make_response(page, status)


@pages.post("/shared/<album>/<photo>/notes/<note>/delete")
@allow(Action.ANSWER)
def delete_note(album: str, photo: str, note: str) -> Response:
    return _delete(Note, album, photo, note)


@pages.post("/shared/<album>/<photo>/voices")
@allow(Action.ANSWER, checks_own_token=True)
def speak(album: str, photo: str) -> Response:
    """Take a recording in, sealed as it comes; which guest it is, says the field `guest` before it."""
    with house().database.reading() as look:
        shared = _voices_of(look, device(), album, photo)
        room = ingest.room_left(look, group=shared.album.row.group_id, quota=house().settings.quota)
    if room < LARGEST:
        raise TooLarge("no-room-for-guest")
    request.max_content_length = LARGEST + FORM_AROUND_FILES
    fields: dict[str, str] = {}
    places = cast(Places, current_app.extensions["kinfold_guest_uploads"])
    with places.held(shared.album.row.group_id):
        files = files_of(shared.album, room=room, limit=LARGEST, fields=fields)
        arrived = next((file.finish() for file in files), None)
    if arrived is not None and arrived.refused == "too-large":
        raise TooLarge("recording-too-large")
    if arrived is None or arrived.refused:
        raise Refused("no-recording")
    viewer = device_again()
    with house().database.writing() as write:
        shared = _voices_of(write, viewer, album, photo)
        guest = whose(shared.guests, fields.get("guest", ""))
        service.receive_voice(
            write,
            album=shared.album,
            photo=photo,
            guest=guest,
            arrived=arrived,
            jobs=house().jobs,
            at=house().clock.now(),
        )
    return _to_photo(album, photo)


@pages.post("/shared/<album>/<photo>/voices/<voice>/delete")
@allow(Action.ANSWER)
def delete_voice(album: str, photo: str, voice: str) -> Response:
    return _delete(Voice, album, photo, voice)


# --- members ---------------------------------------------------------------------------------------------------------


@pages.get("/albums/<album>/answers")
@allow(Action.SEE_ALBUMS)
def of_album(album: str) -> str:
    """What was said about the photos of an album, the latest first."""
    found = albums.get_album(session(), member(), album=album, master=house().master)
    photos = service.latest_of_album(session(), album=found.id, size=LATEST)
    answers = service.for_members(session(), photos=[photo.id for photo in photos], key=found.key)
    return render_template(
        "answers/of_album.html",
        album={"title": found.title, "href": url_for("viewing.album", album=found.id)},
        photos=[(tile(photo, found.key, Asks.MEMBER), _of_member(answers[photo.id])) for photo in photos],
    )


@pages.post("/notes/<note>/hide")
@allow(Action.KEEP_PHOTOS)
def hide_note(note: str) -> Response:
    return _hide(Note, note)


@pages.post("/voices/<voice>/hide")
@allow(Action.KEEP_PHOTOS)
def hide_voice(voice: str) -> Response:
    return _hide(Voice, voice)


# --- what the pages of photos show -----------------------------------------------------------------------------------


def about_photo_for_guest(shared: SharedAlbum, photo: Photo) -> dict[str, Any]:
    """What this device's people see of what was said about a photo, and what they can say themselves."""
    answers = service.for_guest(session(), shared=shared, photo=photo.id)
    given = {guest for guest, _ in answers.hearts}
    return {
        "photo": photo.id,
        "album": photo.album_id,
        "people": [person | {"given": person["id"] in given} for person in _people(shared)],
        "hearts": [name for guest, name in answers.hearts if guest not in shared.guests],
        "said": [_facts(each, Asks.DEVICE) | {"own": each.guest in shared.guests} for each in answers.said],
        "shows_answers": shared.album.row.shows_answers,
        "takes_voice": shared.album.row.takes_voice,
        "sender": shared.sender,
        "added": photo.guest_id in shared.guests,
    }


def about_photo_for_member(photo: Photo, key: Any) -> dict[str, Any]:
    """Everything that was said about a photo, and which guest has added it."""
    answers = service.for_members(session(), photos=[photo.id], key=key).get(photo.id, Answers())
    added_by = sharing.names_of(session(), member(), guests=[photo.guest_id] if photo.guest_id else [])
    return _of_member(answers) | {"added_by": added_by.get(photo.guest_id or "")}


def _of_member(answers: Answers) -> dict[str, Any]:
    return {"hearts": [name for _, name in answers.hearts], "said": [_facts(each, Asks.MEMBER) for each in answers.said]}


def _facts(said: Said, asks: Asks) -> dict[str, Any]:
    return {
        "id": said.id,
        "name": said.name,
        "at": said.at,
        "hidden": said.hidden,
        "text": said.text,
        "voice": said.voice and said.voice.value,
        "seconds": max(1, round(said.duration / 1000)),
        "play": voice_address(said.id, asks) if said.voice else "",
    }


def _people(shared: SharedAlbum) -> Sequence[dict[str, Any]]:
    """The people of this device who may see the album, so that it is clear whose words it is."""
    names = {guest.id: guest.name for guest in sharing.guests_of(session(), device())}
    return [{"id": guest, "name": names[guest]} for guest in shared.guests]


def _photo_of(album: str, photo: str) -> SharedAlbum:
    """The album of an address, for this device, if the photo is one that can be seen in it. Raises `NotVisible`."""
    shared = sharing.get_shared_album(session(), device(), album=album, master=house().master, at=house().clock.now())
    media.get_photo_of_album(session(), album=album, photo=photo)
    return shared


def _voices_of(look: Any, viewer: Device, album: str, photo: str) -> SharedAlbum:
    """The same with another session, where the album takes voices."""
    shared = sharing.get_shared_album(look, viewer, album=album, master=house().master, at=house().clock.now())
    media.get_photo_of_album(look, album=album, photo=photo)
    if not shared.album.row.takes_voice:
        raise NotVisible
    return shared


def _delete(kind: Spoken, album: str, photo: str, said: str) -> Response:
    shared = _photo_of(album, photo)
    service.delete_said(session(), kind, photo=photo, said=said, guests=shared.guests, at=house().clock.now())
    return _to_photo(album, photo)


def _hide(kind: Spoken, said: str) -> Response:
    photo = service.set_hidden(session(), member(), kind, said=said, hidden=HideForm().hidden.data, at=house().clock.now())
    return redirect(url_for("viewing.photo", photo=photo, _anchor=f"answers-{photo}"), 303)


def _to_photo(album: str, photo: str) -> Response:
    return redirect(url_for("viewing.shared_photo", album=album, photo=photo, _anchor=f"answers-{photo}"), 303)
