"""Who is asking: the cookies a browser may hold, and the powers they give.

This room knows cookies but neither members nor guests. `create_app` gives it one identifier per power: a function from a cookie's
digest to the viewer behind it.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from flask import Response, current_app, g, request
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.errors import NotVisible
from app.security.permissions import Asks
from app.security.tokens import Issued, cookie_digest
from app.security.viewer import Device, Member, Nobody, Viewer
from app.web.session import house

Identifier = Callable[[bytes], Viewer]

KNOWN_BROWSER = "kinfold_known"
_NAMES = {Asks.MEMBER: "kinfold_member", Asks.DEVICE: "kinfold_device"}


@dataclass(frozen=True)
class Credential:
    """A power of this browser: the viewer it makes, and the digest of the cookie it rests on (photo addresses are bound to it)."""

    viewer: Viewer
    cookie: bytes | None


NO_CREDENTIAL = Credential(Nobody(), None)


def cookie_name(asks: Asks, *, https: bool) -> str:
    """The name of a power's cookie; over https its prefix makes browsers refuse one that another host has planted."""
    return f"__Host-{_NAMES[asks]}" if https else _NAMES[asks]


def credential(asks: Asks) -> Credential:
    """This browser's power of one kind, looked up at most once a request."""
    found = cast("dict[Asks, Credential]", g.setdefault("credentials", {}))
    if asks not in found:
        found[asks] = _look_up(asks)
    return found[asks]


def look_up_again(asks: Asks) -> Credential:
    """This browser's power as it is now: for an answer that comes long after the question, like the end of an upload."""
    g.pop("credentials", None)
    return credential(asks)


def member_again() -> Member:
    """The member who is asking, after all the time that it took to listen. Raises `NotVisible` when they are no member any more."""
    found = look_up_again(Asks.MEMBER).viewer
    if not isinstance(found, Member):
        raise NotVisible
    return found


def device_again() -> Device:
    """The guests' device that is asking, as above. Raises `NotVisible` when it has ended."""
    found = look_up_again(Asks.DEVICE).viewer
    if not isinstance(found, Device):
        raise NotVisible
    return found


def viewer() -> Viewer:
    """Who is asking, as far as the action of this route is concerned."""
    return cast(Credential, g.get("credential", NO_CREDENTIAL)).viewer


def member() -> Member:
    """The member who is asking; only for routes whose action asks a member."""
    found = viewer()
    assert isinstance(found, Member)
    return found


def device() -> Device:
    """The guests' device that is asking; only for routes whose action asks a device."""
    found = viewer()
    assert isinstance(found, Device)
    return found


def cookie() -> bytes:
    """The digest of the cookie that this request's power rests on."""
    digest = cast(Credential, g.get("credential", NO_CREDENTIAL)).cookie
    assert digest is not None
    return digest


def sent_cookie(asks: Asks) -> bytes | None:
    """The digest of the cookie that the browser sent for a power, whether or not it is good for anything."""
    value = request.cookies.get(cookie_name(asks, https=house().settings.https))
    return cookie_digest(value) if value else None


def give_cookie(response: Response, asks: Asks, issued: Issued, *, keep: timedelta | None) -> None:
    """Hand a browser its new secret; `keep=None` lasts until the browser is closed."""
    _set_cookie(response, cookie_name(asks, https=house().settings.https), issued.value, keep)


def give_plain_cookie(response: Response, name: str, value: str, *, keep: timedelta) -> None:
    """A cookie that gives no power: no script sees it, and it stays on https where we are on https."""
    _set_cookie(response, name, value, keep)


def take_cookie(response: Response, asks: Asks) -> None:
    """Make the browser forget its secret."""
    https = house().settings.https
    response.delete_cookie(cookie_name(asks, https=https), path="/", secure=https, httponly=True, samesite="Lax")


def _set_cookie(response: Response, name: str, value: str, keep: timedelta | None) -> None:
    response.set_cookie(name, value, max_age=keep, path="/", secure=house().settings.https, httponly=True, samesite="Lax")


def _look_up(asks: Asks) -> Credential:
    digest = sent_cookie(asks)
    if digest is None:
        return NO_CREDENTIAL
    identify = cast("dict[Asks, Identifier]", current_app.extensions["kinfold_identifiers"])[asks]
    found = identify(digest)
    return NO_CREDENTIAL if isinstance(found, Nobody) else Credential(found, digest)


def note_visit(last_seen: datetime, at: datetime, note: Callable[[Session], None]) -> None:
    """Note that a known viewer was here, at most once an hour: the only thing a GET may ever write. A busy database is no reason to keep
    anybody waiting for it."""
    if at - last_seen < timedelta(hours=1):
        return
    with suppress(OperationalError), house().database.writing_if_free() as session:
        note(session)
