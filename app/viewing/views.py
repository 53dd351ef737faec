"""The pages that show photos: one family of templates, two powers. And what happened, which names albums, people and members.

A member's pages load through `albums` and `media`, a guest's through `sharing.get_shared_album`; what they show is put together by the
same few functions here.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from flask import Blueprint, get_template_attribute, jsonify, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.accounts import service as accounts
from app.activity import service as activity
from app.activity.models import Activity
from app.albums import service as albums
from app.albums.forms import AlbumForm
from app.albums.service import OpenAlbum
from app.ingest import service as ingest
from app.media import service as media
from app.media.forms import CaptionForm
from app.media.models import Photo, PhotoState, RenditionName
from app.media.tiles import address, address_of_all, tile
from app.security.permissions import Action, Asks
from app.sharing import service as sharing
from app.web.access import allow
from app.web.errors import wants_json
from app.web.i18n import local
from app.web.session import house, session
from app.web.viewer import device, member

pages = Blueprint("viewing", __name__)

NAMES = 3
"""People named on an album's page as those who can see it."""


# --- for members -----------------------------------------------------------------------------------------------------


@pages.get("/albums", endpoint="albums")
@allow(Action.SEE_ALBUMS)
def albums_page() -> Response:
    found = albums.list_albums(session(), member(), master=house().master)
    if wants_json():
        return make_response(jsonify(albums=[{"id": album.id, "title": album.title} for album in found]))
    people = sharing.people_by_album(session(), albums=[album.id for album in found], at=house().clock.now())
    cards = [card | {"shared_with": people.get(card["id"], 0)} for card in _cards(found, Asks.MEMBER)]
    return make_response(render_template("viewing/albums.html", albums=cards, form=AlbumForm(formdata=None)))


@pages.get("/albums/<album>", endpoint="album")
@allow(Action.SEE_ALBUMS)
def album_page(album: str) -> Response:
    found = albums.get_album(session(), member(), album=album, master=house().master)
    page, counts = _photo_page(found, Asks.MEMBER)
    if page is None:
        return redirect(url_for(".album", album=album), 302)
    seeing, number = sharing.who_sees(session(), album=found.id, at=house().clock.now(), names=NAMES)
    unfinished = ingest.list_in_states(session(), album=found, states=[PhotoState.REFUSED]) if counts.refused else []
    return make_response(
        render_template(
            "viewing/album_member.html",
            album=_about(found),
            page=page,
            save_all=address_of_all(found.id, Asks.MEMBER) if counts.can_save_all else None,
            selecting="select" in request.args,
            file_limit=house().settings.file_limit,
            people=[{"name": guest.name, "href": url_for("sharing.person", guest=guest.id)} for guest in seeing],
            more_people=number - len(seeing),
            progress={
                "total": counts.ready + counts.received,
                "ready": counts.ready,
                "waiting": counts.received,
                "refused": [
                    {"id": photo.id, "name": name, "reason": photo.reason, "can_retry": bool(upload and upload.object_name)}
                    for photo, upload, name in unfinished
                ],
                "removed": page["removed"] if counts.received else [],
            },
        )
    )


@pages.get("/photos/<photo>")
@allow(Action.SEE_ALBUMS)
def photo(photo: str) -> Response:
    row, found = media.get_photo(session(), member(), photo=photo, master=house().master)
    if row.state is not PhotoState.READY:
        return redirect(url_for(".album", album=found.id), 302)
    facts = _photo_facts(row, found, Asks.MEMBER)
    return make_response(
        render_template(
            "viewing/photo_member.html",
            caption_form=CaptionForm(formdata=None, caption=facts["photo"].caption),
            is_cover=found.row.cover_id == row.id,
            removed=row.removed,
            **facts,
        )
    )


@pages.get("/activity", endpoint="activity")
@allow(Action.SEE_GROUP)
def activity_page() -> Response:
    before = request.args.get("before") or None
    found = activity.page(session(), member(), before=before)
    if before and not found.rows:
        return redirect(url_for(".activity"), 302)
    events = _events(found.rows)
    earlier = url_for(".activity", before=events[-1]["id"]) if found.more else None
    if not wants_json():
        days = [list(of_day) for _, of_day in groupby(events, key=lambda event: local(event["at"]).date())]
        return make_response(render_template("activity/activity.html", days=days, earlier=earlier))
    told = get_template_attribute("activity/sentence.html", "told")
    happened = [
        {"id": event["id"], "at": event["at"].isoformat(), "kind": event["kind"], "text": told(event).striptags()}
        for event in events
    ]
    return make_response(jsonify(activity=happened, earlier=earlier))


# --- for guests ------------------------------------------------------------------------------------------------------


@pages.get("/shared")
@allow(Action.SEE_SHARED)
def shared() -> str:
    whose = request.args.get("whose")
    found = sharing.list_shared(session(), device(), master=house().master, at=house().clock.now(), guest=whose)
    by_id = {each.album.id: each for each in found}
    cards = [
        card | {"until": by_id[card["id"]].until, "sender": by_id[card["id"]].sender}
        for card in _cards([each.album for each in found], Asks.DEVICE)
    ]
    people = [
        {"id": guest.id, "name": guest.name, "href": url_for(".shared", whose=guest.id), "current": guest.id == whose}
        for guest in (sharing.guests_of(session(), device()) if len(device().guests) > 1 else [])
    ]
    return render_template("viewing/shared.html", albums=cards, people=people)


@pages.get("/shared/<album>")
@allow(Action.SEE_SHARED)
def shared_album(album: str) -> Response:
    seen = sharing.get_shared_album(session(), device(), album=album, master=house().master, at=house().clock.now())
    page, counts = _photo_page(seen.album, Asks.DEVICE, save=seen.may_save)
    if page is None:
        return redirect(url_for(".shared_album", album=album), 302)
    return make_response(
        render_template(
            "viewing/album_guest.html",
            album=_about(seen.album),
            page=page,
            save_all=address_of_all(album, Asks.DEVICE) if seen.may_save and counts.can_save_all else None,
            grant=_grant(seen),
        )
    )


@pages.get("/shared/<album>/<photo>")
@allow(Action.SEE_SHARED)
def shared_photo(album: str, photo: str) -> str:
    seen = sharing.get_shared_album(session(), device(), album=album, master=house().master, at=house().clock.now())
    row = media.get_photo_of_album(session(), album=album, photo=photo)
    return render_template(
        "viewing/photo_guest.html",
        grant=_grant(seen),
        save=address(row.id, RenditionName.FULL, Asks.DEVICE, save=True) if seen.may_save else None,
        **_photo_facts(row, seen.album, Asks.DEVICE),
    )


# --- what both are made of -------------------------------------------------------------------------------------------


def _photo_page(album: OpenAlbum, asks: Asks, *, save: bool = False) -> tuple[dict[str, Any] | None, media.Counts]:
    """The page of an album that the address asks for, and the album's counts. No page at all when its cursor is gone: then the
    album is shown from its beginning."""
    after, before = request.args.get("after") or None, request.args.get("before") or None
    found = media.photo_page(session(), album=album.id, after=after, before=before)
    counts = media.count(session(), album=album.id)
    if not found.photos and (after or before):
        return None, counts
    tiles = [tile(photo, album.key, asks, page=after, save=save) for photo in found.photos]
    return {
        "tiles": tiles,
        "count": counts.ready,
        "videos": counts.videos,
        "removed": sorted({kind for photo in found.photos for kind in photo.removed}),
        "earlier": _turn(asks, album.id, before=found.photos[0].id) if found.earlier else None,
        "later": _turn(asks, album.id, after=found.photos[-1].id) if found.later else None,
    }, counts


def _photo_facts(photo: Photo, album: OpenAlbum, asks: Asks) -> dict[str, Any]:
    """One photo with the way back and to its neighbours; all of them keep the cursor of the page they came from."""
    after = request.args.get("after")
    previous, following = (
        None if each is None else _photo_address(asks, album.id, each, after) for each in media.neighbours(session(), photo)
    )
    return {
        "photo": tile(photo, album.key, asks, page=after),
        "album": _about(album) | {"href": _turn(asks, album.id)},
        "previous": previous,
        "next": following,
        "back": _turn(asks, album.id, after=after) + f"#photo-{photo.id}",
    }


def _cards(found: list[OpenAlbum], asks: Asks) -> list[dict[str, Any]]:
    """Albums as a list shows them."""
    covers = media.covers(session(), albums=[album.row for album in found])
    counts = media.counts_by_album(session(), albums=[album.id for album in found])
    return [
        {
            "id": album.id,
            "title": album.title,
            "href": _turn(asks, album.id),
            "count": counts.get(album.id, media.Counts()).ready,
            "videos": counts.get(album.id, media.Counts()).videos,
            "waiting": counts.get(album.id, media.Counts()).received,
            "cover": tile(covers[album.id], album.key, asks) if album.id in covers else None,
        }
        for album in found
    ]


def _events(rows: Sequence[Activity]) -> list[dict[str, Any]]:
    """What happened, with the names of whoever and whatever is still here: one statement for each kind of name."""
    wanted = {each for row in rows for each in (row.member_id, row.other_id) if each}
    members = accounts.names_of(session(), member(), members=wanted)
    guests = sharing.names_of(session(), member(), guests={row.guest_id for row in rows if row.guest_id})
    titles = albums.titles_of(session(), member(), albums={row.album_id for row in rows if row.album_id}, master=house().master)
    return [
        {
            "id": row.id,
            "at": row.at,
            "kind": row.kind.value,
            "who": members.get(row.member_id or ""),
            "other": members.get(row.other_id or ""),
            "guest": guests.get(row.guest_id or ""),
            "guest_href": row.guest_id and url_for("sharing.person", guest=row.guest_id),
            "album": titles.get(row.album_id or ""),
            "album_href": row.album_id and url_for(".album", album=row.album_id),
        }
        for row in rows
    ]


def _about(album: OpenAlbum) -> dict[str, str]:
    return {"id": album.id, "title": album.title, "description": album.description}


def _grant(seen: sharing.SharedAlbum) -> dict[str, Any]:
    return {"until": seen.until, "may_save": seen.may_save, "sender": seen.sender}


def _turn(asks: Asks, album: str, *, after: str | None = None, before: str | None = None) -> str:
    return url_for(".album" if asks is Asks.MEMBER else ".shared_album", album=album, after=after, before=before)


def _photo_address(asks: Asks, album: str, photo: str, after: str | None) -> str:
    if asks is Asks.MEMBER:
        return url_for(".photo", photo=photo, after=after)
    return url_for(".shared_photo", album=album, photo=photo, after=after)
