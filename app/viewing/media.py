"""Photo bytes: the only place that serves them. Everybody gets them by `see` and `read`, also who takes many away in a zip.

A small WSGI application that `create_app` mounts in front of Flask at `/m/`, because these are nine of ten requests and Flask would cost
several times the work. One signature check and one SQL statement decide, before any 304 or 206; then the object is opened and sent.

The address is signed over photo, rendition, kind of viewer, save and time, and bound to the viewer's cookie: copied to another browser it
opens nothing. What may be seen is asked of the database every time, so that whatever a member ends is over at once.
"""

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.http import parse_cookie
from werkzeug.sansio.utils import host_is_trusted

from app.accounts.models import Account, SignedIn
from app.albums.models import Album
from app.errors import KinfoldError, NotVisible, PhotosHidden
from app.house import House
from app.instance import take_notice
from app.media.models import Photo, PhotoState, Rendition, RenditionName
from app.media.service import saved_name
from app.security.permissions import Asks
from app.security.tokens import MediaClaim, cookie_digest
from app.sharing.models import DeviceRow, Grant
from app.sharing.service import live_device, live_grant
from app.storage.port import StorageFailed
from app.storage.sealed import Sealed, SealedKey
from app.web.headers import ALWAYS, HSTS
from app.web.places import Places
from app.web.viewer import cookie_name

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]

FRESH = 600
"""Seconds that a browser may show a rendition without asking again: what we tell people about the time after an end."""

STRETCH = 4 * 1024 * 1024
"""Bytes of a long answer before access is asked again; also the longest answer to a range."""

WHOLE = 8 * 1024 * 1024
"""The longest answer in one piece, which the server takes at once: the thread is free again, however slowly it is read. Nearly every
photo of a phone is one. Longer ones are sent while they are read, and take a place."""

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
    mime: str
    until: datetime | None
    may_save: bool


def see(house: House, *, photo: str, rendition: str, kind: str, save: bool, cookie: bytes) -> Seen:
    """Whether the browser with this cookie, as a `member`'s or as a `device`, may have a rendition now, to look at or to save. Raises
    `NotVisible`, or `PhotosHidden`. One SQL statement."""
    if take_notice(house.database, house.clock):
        raise PhotosHidden
    if save and rendition != RenditionName.FULL:
        raise NotVisible  # only the whole photo is ever saved
    needs_save = rendition == RenditionName.FULL
    with house.database.looking() as connection:
        rows = connection.execute(
            _FOR_MEMBER if kind == "member" else _FOR_DEVICE,
            {"photo": photo, "rendition": rendition, "cookie": cookie, "at": house.clock.now()},
        ).all()
    for seen in (Seen(*row) for row in rows):
        if seen.may_save or not needs_save:
            return seen
    raise NotVisible


def read(house: House, seen: Seen, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """The plain bytes of a rendition in a range. With `see` this is the only way from (photo, rendition, viewer) to bytes."""
    album = house.master.open_album(seen.album, seen.wrapped_album_key)
    keys = {seen.object_name: SealedKey(seen.wrapped_key, seen.size)}
    return Sealed(house.storage, album, keys).read(seen.object_name, start, stop)


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
            seen = self.see(claim, cookie)
            return self._answer(environ, start_response, claim, cookie, seen)
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

    def _answer(
        self, environ: Environ, start_response: StartResponse, claim: MediaClaim, cookie: bytes, seen: Seen
    ) -> Iterable[bytes]:
        # The object name is fresh for every write and says nothing, so it is as strong a validator as a hash of the content.
        etag = f'"{seen.object_name.rpartition("/")[2]}"'
        headers = [*self._always, ("ETag", etag), ("Accept-Ranges", "bytes"), ("Vary", "Cookie"), *self._caching(claim, seen)]
        if environ.get("HTTP_IF_NONE_MATCH") in (etag, "*"):
            start_response("304 Not Modified", headers)
            return ()
        headers.append(("Content-Type", seen.mime))
        if claim.kind == "device" and claim.rendition == RenditionName.SCREEN and seen.may_save:
            headers.append(("Kinfold-Keep", seen.photo))  # service-worker.js does, for when there is no line
        if claim.save:
            headers.append(("Content-Disposition", f'attachment; filename="{saved_name(seen.number, seen.mime)}"'))
        wanted = _wanted(environ, etag, seen.size)
        if wanted is None:
            start_response(
                "416 Range Not Satisfiable",
                [*self._always, *_NEVER, ("Content-Range", f"bytes */{seen.size}"), ("Content-Length", "0")],
            )
            return ()
        start, stop, whole = wanted
        headers.append(("Content-Length", str(stop - start)))
        if not whole:
            headers.append(("Content-Range", f"bytes {start}-{stop - 1}/{seen.size}"))
        body: Iterable[bytes] = () if environ["REQUEST_METHOD"] == "HEAD" else self._send(claim, cookie, seen, start, stop)
        start_response("200 OK" if whole else "206 Partial Content", headers)
        return body

    def _send(self, claim: MediaClaim, cookie: bytes, seen: Seen, start: int, stop: int) -> Iterable[bytes]:
        """The bytes; a short answer in one piece, a long one with access asked again at every stretch. Raises `ServiceUnavailable` when
        too many long ones are being read."""
        if stop - start <= WHOLE:
            return [b"".join(read(self._house, seen, start, stop))]
        return self._places.take(self._send_long(claim, cookie, seen, start, stop))

    def _send_long(self, claim: MediaClaim, cookie: bytes, seen: Seen, start: int, stop: int) -> Generator[bytes, None, None]:
        for at in range(start, stop, STRETCH):
            if at > start:
                seen = self.see(claim, cookie)  # ended meanwhile: the answer breaks off
            yield from read(self._house, seen, at, min(at + STRETCH, stop))

    def _caching(self, claim: MediaClaim, seen: Seen) -> list[tuple[str, str]]:
        if claim.save or claim.rendition in (RenditionName.FULL, RenditionName.PLAY):
            return _NEVER
        now = self._house.clock.now().timestamp()
        ends = [claim.expires] + ([seen.until.timestamp()] if seen.until else [])
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


def _wanted(environ: Environ, etag: str, size: int) -> tuple[int, int, bool] | None:
    """The half-open range of bytes to send and whether it is all of it; None when the range lies outside. Only one range is understood,
    anything else gets the whole (RFC 9110, section 14.2)."""
    match = _RANGE.fullmatch(environ.get("HTTP_RANGE", ""))
    if match is None or match.group(1, 2) == ("", "") or environ.get("HTTP_IF_RANGE", etag) != etag:
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
    return start, min(stop, start + STRETCH), False


def _rendition(*joins: tuple[Any, Any], until: Any, may_save: Any, where: tuple[Any, ...]) -> sa.Select[Any]:
    query = (
        sa.select(
            Photo.id,
            Photo.number,
            Photo.album_id,
            Album.wrapped_key,
            Rendition.object_name,
            Rendition.wrapped_key,
            Rendition.size,
            Rendition.mime,
            until,
            may_save,
        )
        .select_from(Photo)
        .join(Album, Album.id == Photo.album_id)
        .join(Rendition, Rendition.photo_id == Photo.id)
    )
    for table, on in joins:
        query = query.join(table, on)
    return query.where(
        Photo.id == sa.bindparam("photo"),
        Photo.state == PhotoState.READY,
        Rendition.name == sa.bindparam("rendition", type_=Rendition.name.type),
        *where,
    )


_AT: Any = sa.bindparam("at", type_=Grant.expires_at.type)
_COOKIE: Any = sa.bindparam("cookie", type_=sa.LargeBinary)

_FOR_MEMBER = _rendition(
    (Account, Account.group_id == Album.group_id),
    (SignedIn, SignedIn.member_id == Account.id),
    until=sa.null(),
    may_save=sa.true(),
    where=(SignedIn.cookie_hash == _COOKIE, SignedIn.expires_at > _AT),
)

_FOR_DEVICE = _rendition(
    (Grant, Grant.album_id == Album.id),
    (DeviceRow, DeviceRow.guest_id == Grant.guest_id),
    until=Grant.expires_at,
    may_save=Grant.may_save,
    where=(DeviceRow.cookie_hash == _COOKIE, *live_device(_AT), *live_grant(_AT)),
).order_by(Grant.expires_at.desc())
