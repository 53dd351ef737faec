"""Uploading, and how it goes on."""

from collections.abc import Iterator

from flask import Blueprint, jsonify, make_response, redirect, request, url_for
from werkzeug.wrappers import Response

from app.albums import service as albums
from app.albums.service import OpenAlbum
from app.errors import Refused, TooLarge
from app.ingest import service
from app.ingest.receiving import FileOnItsWay, boundary_of, read_files
from app.ingest.service import Receipt
from app.media import service as media
from app.media.models import PhotoState
from app.security.permissions import Action
from app.web.access import allow, check_form_token
from app.web.errors import wants_json
from app.web.forms import tidy
from app.web.session import house, session
from app.web.viewer import member, member_again

pages = Blueprint("ingest", __name__)

FORM_AROUND_FILES = 1_000_000
"""Bytes that a form may have around its files."""


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
    receipts = [_keep(album, file) for file in _files(found, room)]
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
    states = unfinished if request.args.get("unfinished") else [*unfinished, PhotoState.READY]
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


def _files(album: OpenAlbum, room: int) -> Iterator[FileOnItsWay]:
    """The files of the body, none of them before the form's token has been seen (by header, or as the first field), and together no more
    than there is room for."""
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

    def begin(name: str) -> FileOnItsWay:
        if not seen:
            check_form_token(None)
        return FileOnItsWay(house().storage, album, tidy(name), limit=house().settings.file_limit, room=room - taken)

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


def _as_json(receipt: Receipt) -> dict[str, object]:
    return {
        "id": receipt.id,
        "name": receipt.name,
        "state": receipt.state.value,
        "reason": receipt.reason,
        "duplicate": receipt.duplicate,
    }
