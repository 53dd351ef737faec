"""A photo as a page shows it: its shape, its placeholder, and addresses that only this browser can use."""

import base64
from dataclasses import dataclass
from datetime import datetime

from flask import url_for

from app.media.models import Photo, PhotoKind, RenditionName
from app.media.service import caption
from app.security.permissions import Asks
from app.security.sealing import AlbumKey
from app.security.tokens import EVERYTHING
from app.web.session import house
from app.web.viewer import credential

LONG_EDGE = {RenditionName.GRID: 480, RenditionName.SCREEN: 1920}
"""Pixels of the longer side of a rendition; a smaller photo stays as it is."""


@dataclass(frozen=True)
class Tile:
    """One photo on a page. `width` and `height` are the whole photo's, in pixels; `thumbhash` is base64; `caption`, `save` may be empty.
    `play` is where a video is played from, and `seconds` how long it is; both are empty for a picture. `place` is where it stands among
    the `count` photos of its album, from 1 (0: alone, as a cover), and `day` when it was taken, where that may be said."""

    id: str
    href: str
    place: int
    count: int
    day: datetime | None
    width: int
    height: int
    thumbhash: str
    grid: str
    screen: str
    grid_width: int
    screen_width: int
    caption: str
    save: str
    play: str
    seconds: int


def tile(
    photo: Photo,
    key: AlbumKey,
    asks: Asks,
    *,
    page: str | None = None,
    save: bool = False,
    place: int = 0,
    count: int = 0,
    dated: bool = False,
) -> Tile:
    """A ready photo for the viewer of this request; `page` is the cursor of the page it stands on, so that Back finds it again, `save`
    says whether it comes with an address to save it from, and `dated` whether its day may be said."""
    assert photo.width is not None and photo.height is not None and photo.sealed_thumbhash is not None
    if asks is Asks.MEMBER:
        href = url_for("viewing.photo", photo=photo.id, after=page)
    else:
        href = url_for("viewing.shared_photo", album=photo.album_id, photo=photo.id, after=page)
    return Tile(
        id=photo.id,
        href=href,
        place=place,
        count=count,
        day=photo.taken_at if dated else None,
        width=photo.width,
        height=photo.height,
        thumbhash=base64.b64encode(key.open_field("thumbhash", photo.id, photo.sealed_thumbhash)).decode("ascii"),
        grid=address(photo.id, RenditionName.GRID, asks),
        screen=address(photo.id, RenditionName.SCREEN, asks),
        grid_width=_width(photo.width, photo.height, RenditionName.GRID),
        screen_width=_width(photo.width, photo.height, RenditionName.SCREEN),
        caption=caption(photo, key),
        save=address(photo.id, RenditionName.FULL, asks, save=True) if save else "",
        play=address(photo.id, RenditionName.PLAY, asks) if photo.kind is PhotoKind.VIDEO else "",
        seconds=max(1, round((photo.duration or 0) / 1000)) if photo.kind is PhotoKind.VIDEO else 0,
    )


def address(photo: str, rendition: RenditionName, asks: Asks, *, save: bool = False) -> str:
    """Where this browser, and no other, finds the bytes of a rendition."""
    return _address(photo, rendition.value, asks, save=save)


def voice_address(voice: str, asks: Asks) -> str:
    """Where this browser, and no other, hears what somebody said."""
    return _address(voice, "voice", asks)


def address_of_all(album: str, asks: Asks) -> str:
    """Where this browser, and no other, saves all photos of an album, in one zip."""
    return _address(album, EVERYTHING, asks, save=True)


def _address(subject: str, rendition: str, asks: Asks, *, save: bool = False) -> str:
    cookie = credential(asks).cookie
    assert cookie is not None
    token = house().tokens.media(
        photo=subject,
        rendition=rendition,
        kind="member" if asks is Asks.MEMBER else "device",
        cookie=cookie,
        at=house().clock.now(),
        save=save,
    )
    return f"/m/{token}"


def _width(width: int, height: int, rendition: RenditionName) -> int:
    longest = max(width, height)
    return width if longest <= LONG_EDGE[rendition] else max(1, round(width * LONG_EDGE[rendition] / longest))
