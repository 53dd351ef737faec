"""A file that arrives in parts and goes on where it stopped: the addresses of tus 1.0.

The protocol is told at https://tus.io/protocols/resumable-upload. Of its extensions there are creation, expiration, checksum and
termination. A length that is told later, files that are put together from others, and methods that stand in a header are refused or not
heard: each would be one more way in. The form's token comes in the header `X-CSRFToken`.

With its last byte a file becomes a photo, and the header `Kinfold-Photo` says which, in JSON; who did not hear that asks by HEAD.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import cast

from flask import Blueprint, current_app, make_response, request, url_for
from werkzeug.exceptions import (
    BadRequest,
    Conflict,
    Gone,
    HTTPException,
    LengthRequired,
    Locked,
    PreconditionFailed,
    UnsupportedMediaType,
)
from werkzeug.http import http_date
from werkzeug.wrappers import Response

from app.albums import service as albums
from app.errors import NotVisible, TooLarge
from app.ingest import rules, service
from app.ingest.receiving import PART, FileOnItsWay, join, read_parts, shown_name
from app.ingest.service import Arrived, Arriving, Overtaken
from app.security.permissions import Action
from app.security.sealing import SealBroken
from app.storage.port import ObjectMissing, StorageFailed
from app.web.access import allow, check_form_token
from app.web.forms import tidy
from app.web.places import Places
from app.web.session import house, session
from app.web.viewer import member, member_again

pages = Blueprint("tus", __name__)

VERSION = "1.0.0"
EXTENSIONS = "creation,expiration,checksum,termination"
CHECKSUMS = ("sha1", "sha256")
BODY = "application/offset+octet-stream"

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


class WrongChecksum(HTTPException):
    """What has arrived is not what was announced, so none of it is kept."""

    code = 460
    name = "Checksum Mismatch"


@pages.before_request
def check_version() -> None:
    """Whoever speaks another version is told ours, and nothing is done."""
    if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != VERSION:
        raise PreconditionFailed


@pages.after_request
def say_version(response: Response) -> Response:
    response.headers["Tus-Resumable"] = VERSION
    if response.status_code == PreconditionFailed.code:
        response.headers["Tus-Version"] = VERSION
    return response


@pages.route("/albums/<album>/uploads", methods=["OPTIONS"])
@allow(Action.ADD_PHOTOS, is_page=False)
def offer(album: str) -> Response:
    """What can be done here."""
    albums.get_album(session(), member(), album=album, master=house().master)
    response = make_response("", 204)
    response.headers["Tus-Version"] = VERSION
    response.headers["Tus-Extension"] = EXTENSIONS
    response.headers["Tus-Max-Size"] = str(house().settings.file_limit)
    response.headers["Tus-Checksum-Algorithm"] = ",".join(CHECKSUMS)
    return response


@pages.post("/albums/<album>/uploads", provide_automatic_options=False)
@allow(Action.ADD_PHOTOS, is_page=False)
def create(album: str) -> Response:
    """Begin a file: its length and name are told now, its bytes come by PATCH. An empty one is complete, and refused like any other.
    Who did not hear the answer begins it again by the same mark."""
    if "Upload-Defer-Length" in request.headers or "Upload-Concat" in request.headers:
        raise BadRequest
    size, told = _number("Upload-Length"), _sent_metadata()
    name, mark = tidy(shown_name(told.get("filename", b"").decode("utf-8", "replace"))), told.get("mark", b"")
    if size > house().settings.file_limit:
        raise TooLarge("too-large", limit=house().settings.file_limit)
    found, at = albums.get_album(session(), member(), album=album, master=house().master), house().clock.now()
    quota = house().settings.quota
    begun = service.begin(session(), member(), album=found, name=name, size=size, quota=quota, at=at, mark=mark)
    if size == 0:
        nothing = _next_part(begun).finish()
        begun, _ = service.complete(session(), member(), arriving=begun, arrived=nothing, jobs=house().jobs, at=at)
    response = _how_far(begun, 201)
    response.headers["Location"] = url_for(".ask", upload=begun.id)
    return response


@pages.route("/uploads/<upload>", methods=["HEAD"])
@allow(Action.ADD_PHOTOS, is_page=False)
def ask(upload: str) -> Response:
    """How much of a file we have."""
    arriving = _get_arriving(upload)
    response = _how_far(arriving, 200)
    response.headers["Upload-Length"] = str(arriving.size)
    if arriving.name:
        response.headers["Upload-Metadata"] = f"filename {base64.b64encode(arriving.name.encode()).decode()}"
    return response


@pages.patch("/uploads/<upload>")
@allow(Action.ADD_PHOTOS, checks_own_token=True, is_page=False)
def go_on(upload: str) -> Response:
    """Take more of a file in. Each part is kept as soon as it has arrived; no transaction is open while bytes come in."""
    check_form_token(request.headers.get("X-CSRFToken"))
    if request.mimetype != BODY:
        raise UnsupportedMediaType
    if request.content_length is None:
        raise LengthRequired
    start, checksum = _number("Upload-Offset"), _Checksum(request.headers.get("Upload-Checksum"))
    arriving = _get_arriving(upload)
    if start != arriving.received:
        raise Conflict
    if checksum.was_sent and request.content_length > PART:
        raise TooLarge("too-large", limit=PART)  # until it is known to fit, nothing of it is kept for good
    request.max_content_length = arriving.size - arriving.received
    places = cast(Places, current_app.extensions["kinfold_uploads"])
    with places.held(member().id):
        parts = read_parts(request.stream, request.content_length, begin=partial(_next_part, arriving), hear=checksum.hear)
        try:
            for part in checksum.check(parts):
                arriving = _keep(arriving, part)
        except Overtaken:
            raise Conflict from None
    return _how_far(arriving, 204)


@pages.delete("/uploads/<upload>")
@allow(Action.ADD_PHOTOS, is_page=False)
def give_up(upload: str) -> Response:
    """Throw away what has arrived of a file."""
    service.give_up(session(), arriving=_get_arriving(upload), at=house().clock.now())
    return make_response("", 204)


class _Checksum:
    """What a body was announced to be, if anything was."""

    def __init__(self, sent: str | None) -> None:
        name, _, value = (sent or "").partition(" ")
        if sent is not None and name not in CHECKSUMS:
            raise BadRequest
        self._digest = hashlib.new(name, usedforsecurity=False) if sent is not None else None
        self._announced = _base64(value)

    @property
    def was_sent(self) -> bool:
        return self._digest is not None

    def hear(self, data: bytes) -> None:
        if self._digest is not None:
            self._digest.update(data)

    def check(self, parts: Iterator[FileOnItsWay]) -> Iterator[FileOnItsWay]:
        """The same parts; when a checksum was sent, only once all of them are here and it fits. Raises `WrongChecksum`."""
        if self._digest is None:
            yield from parts
            return
        with ExitStack() as held:
            arrived = []
            for part in parts:
                held.callback(part.give_up)
                arrived.append(part)
            if self._digest.digest() != self._announced:
                raise WrongChecksum
            yield from arrived


def _get_arriving(upload: str) -> Arriving:
    """A file of the member who is asking. Raises `NotVisible`, `Gone` when its time is over, and `Locked` while it is put together."""
    with house().database.reading() as look:
        arriving = service.get_arriving(look, member(), upload=upload, master=house().master)
    now = house().clock.now()
    if arriving.joining_until is not None and arriving.joining_until > now:
        raise Locked
    if arriving.expires_at <= now:
        raise Gone
    return arriving


def _next_part(arriving: Arriving) -> FileOnItsWay:
    left = arriving.size - arriving.received
    return FileOnItsWay(house().storage, arriving.album, arriving.name, limit=left, room=left)


def _keep(arriving: Arriving, file: FileOnItsWay) -> Arriving:
    """Write a part down, if its member is still signed in and nobody else has brought it; the last one makes the file whole."""
    part = arrived = file.finish()
    last = arriving.received + part.sealed.size == arriving.size
    try:
        if last and arriving.received:
            arrived = _join(arriving, part)
        viewer, at = member_again(), house().clock.now()
        with house().database.writing() as write:
            if last:
                further, unneeded = service.complete(write, viewer, arriving=arriving, arrived=arrived, jobs=house().jobs, at=at)
            else:
                further, unneeded = service.keep_part(write, arriving=arriving, part=part, at=at), []
    except (NotVisible, Overtaken):
        _remove(part, arrived)
        raise
    house().storage.delete(*unneeded)
    if arrived is not part:
        _remove(part)
    return further


def _join(arriving: Arriving, last: Arrived) -> Arrived:
    """The whole file. It may take longer than a phone waits for an answer: so long whoever asks for the file is told to come again, by
    `_get_arriving`. One of which a part is lost for good ends here, so that it can be sent anew. Raises `Overtaken` then, and when
    somebody else was faster."""
    assert last.object_name is not None
    said = house().clock.now()

    def still_at_it() -> None:
        nonlocal said
        now = house().clock.now()
        if rules.should_say_so(said, now):
            with house().database.writing() as write:
                service.go_on_joining(write, arriving=arriving, at=now)
            said = now

    with house().database.writing() as write:
        service.begin_joining(write, arriving=arriving, at=said)
        parts = service.parts_of(write, arriving=arriving) | {last.object_name: last.sealed}
    try:
        return join(house().storage, arriving.album, arriving.name, parts, after_each=still_at_it)
    except (ObjectMissing, SealBroken):
        with house().database.writing() as write:
            service.give_up(write, arriving=arriving, at=house().clock.now())
        raise Overtaken from None
    except StorageFailed:
        with house().database.writing() as write:
            service.stop_joining(write, arriving=arriving)
        raise


def _remove(*files: Arrived) -> None:
    house().storage.delete(*{file.object_name for file in files if file.object_name})


def _how_far(arriving: Arriving, status: int) -> Response:
    response = make_response("", status)
    response.headers["Upload-Offset"] = str(arriving.received)
    response.headers["Upload-Expires"] = http_date(arriving.expires_at)
    if arriving.receipt is not None:
        receipt = arriving.receipt
        facts = {"id": receipt.id, "state": receipt.state.value, "reason": receipt.reason, "duplicate": receipt.duplicate}
        response.headers["Kinfold-Photo"] = json.dumps(facts, separators=(",", ":"))
    return response


def _number(header: str) -> int:
    """A length or an offset. Raises `BadRequest` for whatever is no plain number of bytes."""
    sent = request.headers.get(header, "")
    if _NUMBER.fullmatch(sent) is None:
        raise BadRequest
    return int(sent)


def _sent_metadata() -> dict[str, bytes]:
    """What is told about a file: the name that it had on the phone, and the mark of this sending of it; the rest is not looked at. Raises
    `BadRequest` for what can't be read."""
    metadata = request.headers.get("Upload-Metadata", "")
    told: dict[str, str] = {}
    for pair in metadata.split(",") if metadata else ():
        key, _, value = pair.strip().partition(" ")
        if not key or not key.isascii() or key in told:
            raise BadRequest
        told[key] = value
    return {key: _base64(value) for key, value in told.items()}


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest from None
