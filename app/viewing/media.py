"""Photo bytes: the only place that serves them. Everybody gets them by `see` and `read`, also who saves a whole album in one zip.

A small WSGI application that `create_app` mounts in front of Flask at `/m/`, because these are nine of ten requests and Flask would cost
several times the work. One signature check and one SQL statement decide, before any 304 or 206; then the object is opened and sent.

The address is signed over photo, rendition, kind of viewer, save and time, and bound to the viewer's cookie: copied to another browser it
opens nothing. What may be seen is asked of the database every time, so that whatever a member ends is over at once.
"""

import hashlib
import math
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.http import parse_cookie
from werkzeug.sansio.utils import host_is_trusted

from app.accounts.models import Account, SignedIn
from app.albums.models import Album
from app.answers.models import Voice, VoiceState
from app.errors import KinfoldError, NotVisible, PhotosHidden
from app.house import House
from app.ingest.voicing import MIME
from app.instance import take_notice
from app.media.models import FOR_MEMBERS, Photo, PhotoState, Rendition, RenditionName
from app.media.service import saved_name
from app.security.permissions import Asks
from app.security.tokens import EVERYTHING, MediaClaim, cookie_digest
from app.sharing.models import DeviceRow, Grant
from app.sharing.service import live_device, live_grant
from app.storage.port import StorageFailed
from app.storage.sealed import Sealed, SealedKey
from app.viewing.zipping import File, Layout, Part, gathered
from app.web.headers import ALWAYS, HSTS
from app.web.places import Places
from app.web.viewer import cookie_name

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]

FRESH = 600
"""Seconds that a browser may show a rendition without asking again: what we tell people about the time after an end."""

STRETCH = 4 * 1024 * 1024
"""Bytes of a long answer before access is asked again; also the longest answer to a range of a photo or video, which players ask for
piece by piece. A zip that is taken up again is sent to its end."""

LOT = 8 * 1024 * 1024
"""The same for a zip, where the question is about every photo that is in these bytes. It is asked anew before a photo when the last answer
is older than `RECENT` seconds: whoever reads slowly gets no more than the one that is on its way."""

RECENT = 0.5

PIECE = 64 * 1024
"""Bytes of a zip's small files that are gathered before they are sent."""

WHOLE = 8 * 1024 * 1024
"""The longest answer in one piece, which the server takes at once: the thread is free again, however slowly it is read. Nearly every
photo of a phone is one. Longer ones are sent while they are read, and take a place."""

VOICE, SOME = "voice", "some"

_NEVER = [("Cache-Control", "no-store"), ("CDN-Cache-Control", "no-store")]
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True)
class Seen:
    """A rendition that this viewer may have now: all that is needed to open it, until when (None: as long as they are signed in), and
    whether what lets them see it lets them save the whole photo."""

    photo: str
    number: int
    album: str
    wrapped_album_key: bytes
    object_name: str
    wrapped_key: bytes
    size: int
    crc32: int | None
    mime: str
    until: datetime | None
    may_save: bool

    @property
    def name(self) -> str:
        """The file's name when it is saved."""
        return saved_name(self.number, self.mime)


@dataclass(frozen=True)
class Content:
    """What stands at an address: bytes of which any range can be sent, and a validator that is as strong as a hash of them. A range has at
    most `longest` bytes; `until` as in `Seen`. `keep` is the photo that a guest's phone may keep for when there is no line, and until
    when (seconds since 1970); empty when it may not, None for what no phone keeps."""

    etag: str
    size: int
    mime: str
    name: str
    until: datetime | None
    longest: int
    keep: str | None
    send: Callable[[int, int], Generator[bytes, None, None]]


def see(house: House, *, photo: str, rendition: str, kind: str, save: bool, cookie: bytes) -> Seen:
    """Whether the browser with this cookie, as a `member`'s or as a `device`, may have a rendition now, to look at or to save; of the
    rendition `voice` it is not a photo but what somebody said about one. Raises `NotVisible`, or `PhotosHidden`. One SQL statement."""
    if save and rendition != RenditionName.FULL:
        raise NotVisible  # only the whole photo is ever saved
    needs_save = rendition == RenditionName.FULL
    rows = _look(house, (kind, VOICE if rendition == VOICE else ""), cookie, photo=photo, rendition=rendition)
    for seen in (Seen(*row) for row in rows):
        if seen.may_save or not needs_save:
            return seen
    raise NotVisible


def see_all(house: House, *, album: str, kind: str, cookie: bytes) -> list[Seen]:
    """Every photo of an album that the browser with this cookie may save now, whole and in the album's order. Raises `NotVisible` when
    there is none, or `PhotosHidden`. One SQL statement."""
    found = _to_save(_look(house, (kind, EVERYTHING), cookie, album=album))
    if not found:
        raise NotVisible
    return found


def see_some(house: House, *, photos: Sequence[str], kind: str, cookie: bytes) -> list[Seen]:
    """Those of these photos that the browser with this cookie may save now, whole. Raises `PhotosHidden`. One SQL statement."""
    return _to_save(_look(house, (kind, SOME), cookie, photos=photos))


def _to_save(rows: Sequence[Any]) -> list[Seen]:
    """What of these may be saved, in order. Who was given an album twice sees it once."""
    return list({seen.photo: seen for seen in (Seen(*row) for row in rows) if seen.may_save}.values())


def _look(house: House, about: tuple[str, str], cookie: bytes, **names: str | Sequence[str]) -> Sequence[Any]:
    """The rows of the statement about what this browser may see now."""
    if take_notice(house.database, house.clock):
        raise PhotosHidden
    with house.database.looking() as connection:
        return connection.execute(_STATEMENTS[about], {**names, "cookie": cookie, "at": house.clock.now()}).all()


def read(house: House, seen: Seen, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """The plain bytes of a rendition in a range. After `see` or `see_some` there is no other way to them."""
    return _opened(house, seen, [seen]).read(seen.object_name, start, stop)


def _opened(house: House, one: Seen, some: Iterable[Seen]) -> Sealed:
    """The storage of the album that this one belongs to, with the keys of some of its renditions: every other is missing there."""
    album = house.master.open_album(one.album, one.wrapped_album_key)
    return Sealed(house.storage, album, {each.object_name: SealedKey(each.wrapped_key, each.size) for each in some})


class PhotoBytes:
    """The WSGI application for `/m/<token>`."""

    def __init__(self, house: House, places: Places) -> None:
        self._house, self._places = house, places
        self._names = {asks: cookie_name(asks, https=house.settings.https) for asks in (Asks.MEMBER, Asks.DEVICE)}
        self._always = list(ALWAYS.items()) + ([HSTS] if house.settings.https else [])

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not host_is_trusted(environ.get("HTTP_HOST", ""), self._house.settings.allowed_hosts):
            return self._say(environ, start_response, "400 Bad Request")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return self._say(environ, start_response, "404 Not Found")
        try:
            claim, cookie = self._claim(environ)
            find = self._everything if claim.rendition == EVERYTHING else self._one
            return self._answer(environ, start_response, claim, find(claim, cookie), cookie.hex())
        except (PhotosHidden, StorageFailed, OperationalError, ServiceUnavailable):
            return self._say(environ, start_response, "503 Service Unavailable")
        except KinfoldError:
            return self._say(environ, start_response, "404 Not Found")

    def see(self, claim: MediaClaim, cookie: bytes) -> Seen:
        """Whether the browser with this cookie may have what the address claims, now. Raises `NotVisible`."""
        return see(self._house, photo=claim.photo, rendition=claim.rendition, kind=claim.kind, save=claim.save, cookie=cookie)

    def _claim(self, environ: Environ) -> tuple[MediaClaim, bytes]:
        cookies = parse_cookie(environ.get("HTTP_COOKIE", ""))
        member, device = (
            cookie_digest(cookies[name]) if name in cookies else None
            for name in (self._names[Asks.MEMBER], self._names[Asks.DEVICE])
        )
        token = environ["PATH_INFO"].removeprefix("/")
        try:
            claim = self._house.tokens.open_media(token, member=member, device=device, at=self._house.clock.now())
        except ValueError:
            raise NotVisible from None
        cookie = member if claim.kind == "member" else device
        assert cookie is not None
        return claim, cookie

    def _one(self, claim: MediaClaim, cookie: bytes) -> Content:
        seen = self.see(claim, cookie)
        return Content(
            # The object name is fresh for every write and says nothing, so it is as strong a validator as a hash of the content.
            etag=f'"{seen.object_name.rpartition("/")[2]}"',
            size=seen.size,
            mime=seen.mime,
            name=seen.name,
            until=seen.until,
            longest=STRETCH,
            keep=(f"{seen.photo} {seen.until.timestamp():.0f}" if seen.may_save and seen.until else "")
            if (claim.kind, claim.rendition) == ("device", RenditionName.SCREEN)
            else None,
            send=partial(self._send_one, claim, cookie, seen),
        )

    def _everything(self, claim: MediaClaim, cookie: bytes) -> Content:
        """The zip of an album as it is now. Raises `ServiceUnavailable` as long as checksums are missing."""
        photos = see_all(self._house, album=claim.photo, kind=claim.kind, cookie=cookie)
        files, mark = [], hashlib.sha256()
        for seen in photos:
            if seen.crc32 is None:
                raise ServiceUnavailable
            files.append(File(seen.name, seen.size, seen.crc32))
            mark.update(f"{seen.object_name} {seen.name}\n".encode())
        layout = Layout(files)
        return Content(
            etag=f'"{mark.hexdigest()[:32]}"',
            size=layout.size,
            mime="application/zip",
            name="photos.zip",
            until=None,
            longest=layout.size,
            keep=None,
            send=partial(self._send_everything, claim, cookie, photos, layout),
        )

    def _answer(
        self, environ: Environ, start_response: StartResponse, claim: MediaClaim, content: Content, whose: str
    ) -> Iterable[bytes]:
        headers = [*self._always, ("ETag", content.etag), ("Accept-Ranges", "bytes"), ("Vary", "Cookie")]
        headers += self._caching(claim, content)
        if content.keep is not None:
            # service-worker.js does, for when there is no line. A photo that a browser has already stays under the headers that it came
            # with, but for those that a 304 brings: so it is said there too, and also when it may not.
            headers.append(("Kinfold-Keep", content.keep))
        if environ.get("HTTP_IF_NONE_MATCH") in (content.etag, "*"):
            start_response("304 Not Modified", headers)
            return ()
        headers.append(("Content-Type", content.mime))
        if claim.save:
            headers.append(("Content-Disposition", f'attachment; filename="{content.name}"'))
        wanted = _wanted(environ, content)
        if wanted is None:
            start_response(
                "416 Range Not Satisfiable",
                [*self._always, *_NEVER, ("Content-Range", f"bytes */{content.size}"), ("Content-Length", "0")],
            )
            return ()
        start, stop, whole = wanted
        headers.append(("Content-Length", str(stop - start)))
        if not whole:
            headers.append(("Content-Range", f"bytes {start}-{stop - 1}/{content.size}"))
        body: Iterable[bytes] = () if environ["REQUEST_METHOD"] == "HEAD" else self._send(content, start, stop, whose)
        start_response("200 OK" if whole else "206 Partial Content", headers)
        return body

    def _send(self, content: Content, start: int, stop: int, whose: str) -> Iterable[bytes]:
        """The bytes; a short answer in one piece. Raises `ServiceUnavailable` when too many long ones are being read, by everybody or by
        this browser."""
        sent = content.send(start, stop)
        return [b"".join(sent)] if stop - start <= WHOLE else self._places.sent(sent, whose)

    def _send_one(self, claim: MediaClaim, cookie: bytes, seen: Seen, start: int, stop: int) -> Generator[bytes, None, None]:
        """A photo's bytes, with access asked again at every stretch."""
        for at in range(start, stop, STRETCH):
            if at > start:
                seen = self.see(claim, cookie)  # ended meanwhile: the answer breaks off
            yield from read(self._house, seen, at, min(at + STRETCH, stop))

    def _send_everything(
        self, claim: MediaClaim, cookie: bytes, photos: Sequence[Seen], layout: Layout, start: int, stop: int
    ) -> Generator[bytes, None, None]:
        """An album's bytes, with access asked again on the way. When a photo is gone, the answer breaks off: its length is promised, and
        nothing else belongs in its place."""
        for lot in layout.lots(start, stop, LOT):
            yield from gathered(self._send_lot(claim, cookie, photos, lot), PIECE)

    def _send_lot(self, claim: MediaClaim, cookie: bytes, photos: Sequence[Seen], lot: Sequence[bytes | Part]) -> Iterator[bytes]:
        asked = -math.inf
        for index, part in enumerate(lot):
            if isinstance(part, bytes):
                yield part
                continue
            if time.monotonic() - asked > RECENT:
                asked = time.monotonic()
                files = [photos[left.file].photo for left in lot[index:] if isinstance(left, Part)]
                still_seen = see_some(self._house, photos=files, kind=claim.kind, cookie=cookie)
                if len(still_seen) < len(files):
                    raise NotVisible
                storage = _opened(self._house, photos[0], still_seen)
            yield from storage.read(photos[part.file].object_name, part.start, part.stop)

    def _caching(self, claim: MediaClaim, content: Content) -> list[tuple[str, str]]:
        if claim.save or claim.rendition in (RenditionName.FULL, RenditionName.PLAY, VOICE):
            return _NEVER
        now = self._house.clock.now().timestamp()
        ends = [claim.expires] + ([content.until.timestamp()] if content.until else [])
        fresh = int(min(FRESH, *(end - now for end in ends)))
        return (
            [("Cache-Control", f"private, no-transform, max-age={fresh}"), ("CDN-Cache-Control", "no-store")]
            if fresh > 0
            else _NEVER
        )

    def _say(self, environ: Environ, start_response: StartResponse, status: str) -> Iterable[bytes]:
        text = status.encode("ascii")
        later = [("Retry-After", "5")] if status.startswith("503") else []
        start_response(
            status,
            [
                *self._always,
                ("Content-Type", "text/plain; charset=utf-8"),
                *_NEVER,
                *later,
                ("Content-Length", str(len(text))),
            ],
        )
        return () if environ["REQUEST_METHOD"] == "HEAD" else [text]


def _wanted(environ: Environ, content: Content) -> tuple[int, int, bool] | None:
    """The half-open range of bytes to send and whether it is all of it; None when the range lies outside. Only one range is understood,
    anything else gets the whole (RFC 9110, section 14.2)."""
    match, size = _RANGE.fullmatch(environ.get("HTTP_RANGE", "")), content.size
    if match is None or match.group(1, 2) == ("", "") or environ.get("HTTP_IF_RANGE", content.etag) != content.etag:
        return 0, size, True
    first, last = match.group(1, 2)
    if not first:
        start, stop = max(0, size - int(last)), size
    elif last and int(last) < int(first):
        return 0, size, True
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
    if start >= size or stop <= start:
        return None
    return start, min(stop, start + content.longest), False


_AT: Any = sa.bindparam("at", type_=Grant.expires_at.type)
_COOKIE: Any = sa.bindparam("cookie", type_=sa.LargeBinary)
_STATE: Any = sa.func.coalesce(Photo.state, Photo.state)
"""The state, where no index shall be used for it: SQLite would rather look through all photos that are ready than for ten by name."""


def _facts(of: Any, crc32: Any, mime: Any, *, until: Any, may_save: Any) -> sa.Select[Any]:
    """What `Seen` holds about an object `of` a photo, and whether it may be saved."""
    photo = Photo.id, Photo.number, Photo.album_id, Album.wrapped_key
    query = sa.select(*photo, of.object_name, of.wrapped_key, of.size, crc32, mime, until, may_save).select_from(Photo)
    return query.join(Album, Album.id == Photo.album_id).join(of, of.photo_id == Photo.id)


def _for_member(of: Any, crc32: Any, mime: Any, *which: Any) -> sa.Select[Any]:
    signed_in = SignedIn.cookie_hash == _COOKIE, SignedIn.expires_at > _AT
    return (
        _facts(of, crc32, mime, until=sa.null(), may_save=sa.true())
        .join(Account, Account.group_id == Album.group_id)
        .join(SignedIn, SignedIn.member_id == Account.id)
        .where(*which, *signed_in, _STATE.in_(FOR_MEMBERS))
    )


def _for_device(of: Any, crc32: Any, mime: Any, *which: Any) -> sa.Select[Any]:
    let_in = DeviceRow.cookie_hash == _COOKIE, *live_device(_AT), *live_grant(_AT)
    return (
        _facts(of, crc32, mime, until=Grant.expires_at, may_save=Grant.may_save)
        .join(Grant, Grant.album_id == Album.id)
        .join(DeviceRow, DeviceRow.guest_id == Grant.guest_id)
        .where(*which, *let_in, _STATE == PhotoState.READY)
    )


_PHOTO = Rendition, Rendition.crc32, Rendition.mime
_ONE = Photo.id == sa.bindparam("photo"), Rendition.name == sa.bindparam("rendition", type_=Rendition.name.type)
_ALL = Photo.album_id == sa.bindparam("album"), Rendition.name == RenditionName.FULL, Photo.state == PhotoState.READY
_SOME = Photo.id.in_(sa.bindparam("photos", expanding=True)), Rendition.name == RenditionName.FULL, _STATE == PhotoState.READY
_VOICE = Voice, sa.null(), sa.literal(MIME)
_SAID = Voice.id == sa.bindparam("photo"), Voice.state == VoiceState.READY
_OWN_OR_SHOWN = sa.or_(Voice.guest_id == Grant.guest_id, sa.and_(Album.shows_answers, Voice.hidden_at.is_(None)))
_LONGEST = Grant.expires_at.desc()

_STATEMENTS = {
    ("member", ""): _for_member(*_PHOTO, *_ONE),
    ("device", ""): _for_device(*_PHOTO, *_ONE).order_by(_LONGEST),
    ("member", EVERYTHING): _for_member(*_PHOTO, *_ALL).order_by(Photo.taken_at, Photo.number),
    ("device", EVERYTHING): _for_device(*_PHOTO, *_ALL).order_by(Photo.taken_at, Photo.number),
    ("member", SOME): _for_member(*_PHOTO, *_SOME),
    ("device", SOME): _for_device(*_PHOTO, *_SOME),
    ("member", VOICE): _for_member(*_VOICE, *_SAID),
    ("device", VOICE): _for_device(*_VOICE, *_SAID, _OWN_OR_SHOWN).order_by(_LONGEST),
}
"""What decides, for each kind of viewer: about a rendition of a photo, about all photos of an album or
some of them, and about a voice."""
