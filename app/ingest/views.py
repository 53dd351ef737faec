"""Uploading, and how it goes on."""

from collections.abc import Iterator
from typing import Any, cast

from flask import Blueprint, current_app, jsonify, make_response, redirect, request, url_for
from werkzeug.wrappers import Response

from app.albums import service as albums
from app.albums.service import OpenAlbum
from app.errors import NotVisible, Refused, TooLarge
from app.ingest import service
from app.ingest.receiving import FileOnItsWay, boundary_of, read_files
from app.ingest.service import AddingGuest, Receipt
from app.media import service as media
from app.media.models import FOR_MEMBERS, PhotoState
from app.security.permissions import Action
from app.sharing import service as sharing
from app.sharing.rules import whose
from app.sharing.service import SharedAlbum
from app.web.access import allow, check_form_token
from app.web.errors import wants_json
from app.web.forms import tidy
from app.web.places import Places
from app.web.session import house, session
from app.web.viewer import device, device_again, member, member_again

pages = Blueprint("ingest", __name__)

FORM_AROUND_FILES = 1_000_000
"""Bytes that a form may have around its files."""

MOST_FIELDS = 10
"""Fields of such a form that are looked at."""


MOST_NAMED = 100
"""Photos that one question may name."""


@pages.post("/albums/<album>/photos")
@allow(Action.ADD_PHOTOS, checks_own_token=True)
def receive(album: str) -> Response:
    """Take files in. Each is kept, row and job, as soon as it has arrived; no transaction is open while bytes come in."""
    with house().database.reading() as look:
        found = albums.get_album(look, member(), album=album, master=house().master)
        room = service.room_left(look, group=member().group, quota=house().settings.quota)
    if (request.content_length or 0) > room + FORM_AROUND_FILES or room == 0:
        raise TooLarge("quota-full")
    request.max_content_length = room + FORM_AROUND_FILES
    receipts = [_keep(album, file) for file in files_of(found, room=room, limit=house().settings.file_limit, fields={})]
    if not receipts:
        raise Refused("no-files")
    if wants_json():
        return make_response(jsonify(photos=[_as_json(each) for each in receipts]), 202)
    return redirect(url_for("viewing.album", album=album), 303)


@pages.get("/albums/<album>/photos")
@allow(Action.SEE_ALBUMS, is_page=False)
def status(album: str) -> Response:
    """How the photos of an album are doing; `?unfinished=1` leaves out the ready ones but for those that are named by `photo`."""
    found = albums.get_album(session(), member(), album=album, master=house().master)
    unfinished = [PhotoState.RECEIVED, PhotoState.REFUSED]
    states = unfinished if request.args.get("unfinished") else [*unfinished, *FOR_MEMBERS]
    photos = service.list_in_states(session(), album=found, states=states, also=request.args.getlist("photo")[:MOST_NAMED])
    counts = media.count(session(), album=found.id)
    return make_response(
        jsonify(
            photos=[
                _as_json(Receipt(photo.id, name, photo.state, photo.reason))
                | {
                    "kind": photo.kind.value,
                    "progress": upload.progress if upload else None,
                    "can_retry": bool(upload and upload.object_name),
                }
                for photo, upload, name in photos
            ],
            ready=counts.ready,
            waiting=counts.received,
            refused=counts.refused,
            removed=media.lately_removed(session(), album=found.id, at=house().clock.now()),
        )
    )


@pages.post("/photos/<photo>/retry")
@allow(Action.ADD_PHOTOS)
def retry(photo: str) -> Response:
    found, album = media.get_photo(session(), member(), photo=photo, master=house().master)
    service.retry(session(), photo=found, jobs=house().jobs, at=house().clock.now())
    return redirect(url_for("viewing.album", album=album.id), 303)


# --- what guests add -------------------------------------------------------------------------------------------------


@pages.post("/shared/<album>/photos")
@allow(Action.ANSWER, checks_own_token=True)
def receive_shared(album: str) -> Response:
    """The same for a guest who may add photos; which guest, says the field `guest` before the files. They have places of their own, so
    that they never keep a member waiting."""
    settings, fields = house().settings, dict[str, str]()
    with house().database.reading() as look:
        shared = sharing.get_shared_album(look, device(), album=album, master=house().master, at=house().clock.now())
        if not shared.adding:
            raise NotVisible
        found, group = shared.album, shared.album.row.group_id
        room = min(settings.guest_quota, service.room_left(look, group=group, quota=settings.quota))
    if (request.content_length or 0) > room + FORM_AROUND_FILES or room == 0:
        raise TooLarge("no-room-for-guest")
    request.max_content_length = room + FORM_AROUND_FILES
    places = cast(Places, current_app.extensions["kinfold_guest_uploads"])
    try:
        with places.held(group):
            files = files_of(found, room=room, limit=settings.file_limit, fields=fields)
            receipts = [_keep_shared(album, file, fields.get("guest", "")) for file in files]
    except TooLarge:
        raise TooLarge("no-room-for-guest") from None
    if not receipts:
        raise Refused("no-files")
    if wants_json():
        return make_response(jsonify(photos=[{"name": each.name, "reason": each.reason} for each in receipts]), 202)
    return redirect(url_for("viewing.shared_album", album=album, _anchor="yours"), 303)


@pages.post("/shared/<album>/<photo>/take-back")
@allow(Action.ANSWER)
def take_back(album: str, photo: str) -> Response:
    """A guest destroys what they have added."""
    shared = sharing.get_shared_album(session(), device(), album=album, master=house().master, at=house().clock.now())
    service.take_back(session(), album=shared.album, photo=photo, guests=shared.guests, jobs=house().jobs, at=house().clock.now())
    return redirect(url_for("viewing.shared_album", album=album, _anchor="yours"), 303)


@pages.post("/albums/<album>/photos/yes")
@allow(Action.KEEP_PHOTOS)
def say_yes(album: str) -> Response:
    """A member lets everybody see what a guest has added."""
    found = albums.get_album(session(), member(), album=album, master=house().master)
    service.say_yes(session(), album=found, photos=request.form.getlist("photo"), jobs=house().jobs, at=house().clock.now())
    return redirect(url_for("viewing.album", album=album), 303)


def adding_of(shared: SharedAlbum) -> dict[str, Any] | None:
    """What the album's page says to this device's people about adding photos: who may, and what of theirs nobody else sees yet. None when
    there is nothing to say."""
    yours = service.list_of_guests(session(), album=shared.album.id, guests=shared.guests)
    if not (yours or shared.adding):
        return None
    people = sharing.guests_of(session(), device())
    return {
        "people": [{"id": guest.id, "name": guest.name} for guest in people if guest.id in shared.adding],
        "yours": [
            {"id": photo.id, "state": photo.state.value, "reason": photo.reason, "at": photo.created_at} for photo in yours
        ],
        "asks_first": shared.album.row.asks_first,
        "file_limit": house().settings.file_limit,
    }


def files_of(album: OpenAlbum, *, room: int, limit: int, fields: dict[str, str]) -> Iterator[FileOnItsWay]:
    """The files of the body, none of them before the form's token has been seen (by header, or as the first field), and together no more
    than there is room for. `fields` gets what else the form says, as it comes."""
    seen, taken = False, 0
    header = request.headers.get("X-CSRFToken")
    if header is not None:
        check_form_token(header)
        seen = True

    def field(name: str, value: str) -> None:
        nonlocal seen
        if name == "csrf_token" and not seen:
            check_form_token(value)
            seen = True
        elif len(fields) < MOST_FIELDS:
            fields[name] = value

    def begin(name: str) -> FileOnItsWay:
        if not seen:
            check_form_token(None)
        return FileOnItsWay(house().storage, album, tidy(name), limit=limit, room=room - taken)

    for file in read_files(request.stream, boundary_of(request.headers.get("Content-Type", "")), field=field, begin=begin):
        yield file
        taken += file.size
    if not seen:
        check_form_token(None)


def _keep(album: str, file: FileOnItsWay) -> Receipt:
    """Write a whole file down, if its member is still signed in and its album still there after all the time it took."""
    arrived = file.finish()
    viewer = member_again()  # or its object is left to the sweep
    with house().database.writing() as write:
        found = albums.get_album(write, viewer, album=album, master=house().master)
        if arrived.object_name:  # others may have filled the room meanwhile; the object is left to the sweep then
            service.take_room(write, viewer, album=found, size=arrived.sealed.size, quota=house().settings.quota)
        receipt = service.receive(write, viewer, album=found, arrived=arrived, jobs=house().jobs, at=house().clock.now())
    if receipt.duplicate and arrived.object_name:
        house().storage.delete(arrived.object_name)
    return receipt


def _keep_shared(album: str, file: FileOnItsWay, chosen: str) -> Receipt:
    """Write a whole file of a guest's down, if they may still add to the album after all the time it took."""
    arrived, settings = file.finish(), house().settings
    viewer = device_again()
    with house().database.writing() as write:
        shared = sharing.get_shared_album(write, viewer, album=album, master=house().master, at=house().clock.now())
        if not shared.adding:
            raise NotVisible
        guest = AddingGuest(whose(shared.adding, chosen), shared.album.row.group_id)
        size = arrived.sealed.size if arrived.object_name else 0  # its object is left to the sweep when there is no room any more
        service.take_room(write, guest, album=shared.album, size=size, quota=settings.quota)
        service.take_room_of_guest(write, guest, size=size, quota=settings.guest_quota)
        receipt = service.receive(write, guest, album=shared.album, arrived=arrived, jobs=house().jobs, at=house().clock.now())
    if receipt.duplicate and arrived.object_name:
        house().storage.delete(arrived.object_name)
    return receipt


def _as_json(receipt: Receipt) -> dict[str, object]:
    return {
        "id": receipt.id,
        "name": receipt.name,
        "state": receipt.state.value,
        "reason": receipt.reason,
        "duplicate": receipt.duplicate,
    }
