"""The pages that show photos: one family of templates, two powers. And what happened, which names albums, people and members.

A member's pages load through `albums` and `media`, a guest's through `sharing.get_shared_album`; what they show is put together by the
same few functions here.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Any

from flask import Blueprint, get_template_attribute, jsonify, make_response, redirect, render_template, request, url_for
from sqlalchemy.exc import IntegrityError, OperationalError
from werkzeug.wrappers import Response

from app.accounts import service as accounts
from app.activity import service as activity
from app.activity.models import Activity
from app.albums import service as albums
from app.albums.forms import AlbumForm
from app.albums.service import OpenAlbum
from app.answers import seen as looking
from app.answers import service as answers
from app.answers import views as answers_pages
from app.ingest import service as ingest
from app.ingest import views as ingest_pages
from app.media import service as media
from app.media.forms import CaptionForm
from app.media.models import FOR_MEMBERS, Photo, PhotoState, RenditionName
from app.media.tiles import Tile, address, address_of_all, tile
from app.notifications import push
from app.notifications import service as notifications
from app.reports import service as reports
from app.security.permissions import Action, Asks
from app.sharing import asking, rules
from app.sharing import service as sharing
from app.web.access import allow
from app.web.errors import wants_json
from app.web.headers import WITH_MICROPHONE
from app.web.i18n import local
from app.web.session import house, session
from app.web.viewer import cookie, device, member, note_visit

pages = Blueprint("viewing", __name__)

NAMES = 3
"""People named on an album's page as those who can see it."""

LATELY = timedelta(days=7)
LOOKS = 30
LOOKS_OF_ONE = 10
"""Who looked at photos lately, and at most so many lines of it: of everybody, and on a person's own page."""

SEEN_AT_ONCE = 200
"""Photos that a browser may say were looked at in one go."""


# --- for members -----------------------------------------------------------------------------------------------------


@pages.get("/albums", endpoint="albums")
@allow(Action.SEE_ALBUMS)
def albums_page() -> Response:
    found = albums.list_albums(session(), member(), master=house().master)
    if wants_json():
        return make_response(jsonify(albums=[{"id": album.id, "title": album.title} for album in found]))
    at = house().clock.now()
    people = sharing.people_by_album(session(), albums=[album.id for album in found], at=at)
    cards = [card | {"shared_with": people.get(card["id"], 0)} for card in _cards(found, Asks.MEMBER)]
    return make_response(
        render_template(
            "viewing/albums.html",
            albums=cards,
            form=AlbumForm(formdata=None),
            asks=asking.open_asks(session(), member(), master=house().master),
            phones=[phone for phone in asking.phones_at_the_door(session(), member(), at=at) if not phone.let_in],
            reported=reports.open_reports(session(), member(), master=house().master),
            usual_days=rules.usual_days(house().settings.max_days),
        )
    )


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
            awaiting=_awaiting(found) if counts.awaiting else None,
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
    if row.state not in FOR_MEMBERS:
        return redirect(url_for(".album", album=found.id), 302)
    facts = _photo_facts(row, found, Asks.MEMBER)
    return make_response(
        render_template(
            "viewing/photo_member.html",
            caption_form=CaptionForm(formdata=None, caption=facts["photo"].caption),
            is_cover=found.row.cover_id == row.id,
            removed=row.removed,
            awaiting=row.state is PhotoState.AWAITING,
            answers=answers_pages.about_photo_for_member(row, found.key),
            seen_by=[
                {"name": name, "href": url_for("sharing.person", guest=guest), "day": _noon(day)}
                for guest, name, day in looking.seen_by(session(), photo=row.id)
            ],
            reported=reports.open_reports(session(), member(), master=house().master, photo=row.id),
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
    looks = [] if before else _looks(LATELY, size=LOOKS)
    if not wants_json():
        days = [list(of_day) for _, of_day in groupby(events, key=lambda event: local(event["at"]).date())]
        return make_response(render_template("activity/activity.html", days=days, earlier=earlier, looks=looks))
    told = get_template_attribute("activity/sentence.html", "told")
    happened = [
        {"id": event["id"], "at": event["at"].isoformat(), "kind": event["kind"], "text": told(event).striptags()}
        for event in events
    ]
    looked = get_template_attribute("activity/looks.html", "looked")
    seen = [
        {
            "guest": each["guest"],
            "day": each["day"].date().isoformat(),
            "photos": each["photos"],
            "text": looked(each).striptags(),
        }
        for each in looks
    ]
    return make_response(jsonify(activity=happened, earlier=earlier, looked=seen))


@pages.app_context_processor
def who_looked() -> dict[str, Callable[[str], list[dict[str, Any]]]]:
    """For a person's page, which is of a room below: what they have looked at lately."""
    return {"looks_of": lambda guest: _looks(looking.KEPT, size=LOOKS_OF_ONE, guest=guest)}


# --- for guests ------------------------------------------------------------------------------------------------------


@pages.get("/shared")
@allow(Action.SEE_SHARED)
def shared() -> str:
    whose = request.args.get("whose")
    found = sharing.list_shared(session(), device(), master=house().master, at=house().clock.now(), guest=whose)
    by_id = {each.album.id: each for each in found}
    new = media.count_new(session(), since={each.album.id: each.visited_at for each in found if each.visited_at})
    cards = [
        card
        | {
            "until": by_id[card["id"]].until,
            "days_left": by_id[card["id"]].days_left,
            "sender": by_id[card["id"]].sender,
            "new": new.get(card["id"], 0),
        }
        for card in _cards([each.album for each in found], Asks.DEVICE)
    ]
    people = [
        {"id": guest.id, "name": guest.name, "href": url_for(".shared", whose=guest.id), "current": guest.id == whose}
        for guest in (sharing.guests_of(session(), device()) if len(device().guests) > 1 else [])
    ]
    return render_template("viewing/shared.html", albums=cards, people=people, push=_push())


@pages.get("/shared/<album>")
@allow(Action.SEE_SHARED)
def shared_album(album: str) -> Response:
    seen, new_since = _look_at_shared(album)
    liker = seen.guests[0] if len(seen.guests) == 1 else None
    page, counts = _photo_page(seen.album, Asks.DEVICE, save=seen.may_save, new_since=new_since, liker=liker)
    if page is None:
        return redirect(url_for(".shared_album", album=album), 302)
    return make_response(
        render_template(
            "viewing/album_guest.html",
            album=_about(seen.album),
            page=page,
            grant=_grant(seen),
            save_all=address_of_all(album, Asks.DEVICE) if seen.may_save and counts.can_save_all else None,
            adding=ingest_pages.adding_of(seen),
        )
    )


@pages.get("/shared/<album>/<photo>")
@allow(Action.SEE_SHARED)
def shared_photo(album: str, photo: str) -> Response:
    seen, new_since = _look_at_shared(album)
    row = media.get_photo_of_album(session(), album=album, photo=photo)
    if request.method == "GET" and "prefetch" not in request.headers.get("Sec-Purpose", ""):
        _note_seen(seen, row.id)
    page = render_template(
        "viewing/photo_guest.html",
        grant=_grant(seen),
        save=address(row.id, RenditionName.FULL, Asks.DEVICE, save=True) if seen.may_save else None,
        answers=answers_pages.about_photo_for_guest(seen, row),
        **_photo_facts(row, seen.album, Asks.DEVICE, new_since=new_since),
    )
    response = make_response(page)
    if seen.album.row.takes_voice:
        response.headers["Permissions-Policy"] = WITH_MICROPHONE
    return response


def _look_at_shared(album: str) -> tuple[sharing.SharedAlbum, datetime | None]:
    """The album of an address, for the device that asks, and since when photos in it are new to its people. Notes the visit."""
    at = house().clock.now()
    seen = sharing.get_shared_album(session(), device(), album=album, master=house().master, at=at)
    viewer = device()
    note_visit(
        seen.visited_at or datetime.min.replace(tzinfo=UTC),
        at,
        lambda write: sharing.note_visit_of_album(write, viewer, album=album, at=at),
    )
    return seen, rules.new_since(visited_at=seen.visited_at, new_since=seen.new_since, at=at)


@pages.post("/shared/<album>/seen")
@allow(Action.SEE_SHARED, is_page=False)
def seen(album: str) -> Response:
    """A browser says which photos were shown full screen since it said so last."""
    at = house().clock.now()
    found = sharing.get_shared_album(session(), device(), album=album, master=house().master, at=at)
    photos = request.form.getlist("photo")[:SEEN_AT_ONCE]
    looking.note(session(), album=album, guests=found.guests, photos=photos, day=local(at).date())
    return make_response("", 204)


def _note_seen(found: sharing.SharedAlbum, photo: str) -> None:
    """The same for a page of one photo: once a day, and a busy database is no reason to keep anybody waiting for it."""
    looked: dict[str, Any] = {
        "album": found.album.id,
        "guests": found.guests,
        "photos": [photo],
        "day": local(house().clock.now()).date(),
    }
    if looking.unseen(session(), **looked):
        with suppress(OperationalError, IntegrityError), house().database.writing_if_free() as write:
            looking.note(write, **looked)


def _push() -> dict[str, Any] | None:
    """What a browser needs to be told of new photos; None where nobody is."""
    key = push.public_key(house())
    return None if key is None else {"key": key, "on": notifications.subscribed(session(), cookie=cookie())}


def _looks(back: timedelta, *, size: int, guest: str | None = None) -> list[dict[str, Any]]:
    """Who looked at how many photos, a line for each day."""
    since = local(house().clock.now() - back).date()
    return [
        {
            "guest": look.name,
            "guest_href": url_for("sharing.person", guest=look.guest),
            "day": _noon(look.day),
            "photos": look.photos,
        }
        for look in looking.looks(session(), member(), since=since, guest=guest, size=size)
    ]


def _noon(day: date) -> datetime:
    """A day of the family's calendar as templates say it."""
    return datetime.combine(day, time(12))


# --- what both are made of -------------------------------------------------------------------------------------------


def _photo_page(
    album: OpenAlbum, asks: Asks, *, save: bool = False, new_since: datetime | None = None, liker: str | None = None
) -> tuple[dict[str, Any] | None, media.Counts]:
    """The page of an album that the address asks for, and the album's counts; `liker` is the guest who gives hearts from it. No page at all
    when its cursor is gone: then the album is shown from its beginning."""
    after, before = request.args.get("after") or None, request.args.get("before") or None
    found = media.photo_page(session(), album=album.id, after=after, before=before, new_since=new_since)
    counts = media.count(session(), album=album.id)
    if not found.photos and (after or before):
        return None, counts
    dated = _says_days(album, asks)
    tiles = [
        tile(photo, album.key, asks, page=after, save=save, place=place, count=counts.ready, dated=dated)
        for place, photo in enumerate(found.photos, start=found.place)
    ]
    return {
        "days": _days(found, tiles, new_since=new_since, dated=dated),
        "place": found.place,
        "has_new": new_since is not None,
        "new_since": new_since if dated and new_since and local(new_since).date() != local(house().clock.now()).date() else None,
        "count": counts.ready,
        "videos": counts.videos,
        "liker": liker,
        "liked": answers.liked(session(), guest=liker, photos=[photo.id for photo in found.photos]) if liker else (),
        "removed": sorted({kind for photo in found.photos for kind in photo.removed}),
        "earlier": _turn(asks, album.id, before=found.photos[0].id) if found.previous else None,
        "later": _turn(asks, album.id, after=found.photos[-1].id) if found.following else None,
    }, counts


def _days(found: media.PhotoPage, tiles: list[Tile], *, new_since: datetime | None, dated: bool) -> list[dict[str, Any]]:
    """A page under its headings: what is new, then day by day. `again` and `goes_on` say that the page before or after has more under the
    same heading. Where days are not said there is one heading at most for what is not new."""

    def under(photo: Photo | None) -> tuple[bool, date | None] | None:
        if photo is None:
            return None
        new = media.is_new(photo, new_since)
        return new, photo.taken_at.date() if dated and not new else None

    together = groupby(zip(found.photos, tiles, strict=True), key=lambda pair: under(pair[0]))
    days = [(heading, [each for _, each in pairs]) for heading, pairs in together if heading is not None]
    return [
        {
            "new": new,
            "day": of_day[0].day if day else None,
            "again": number == 0 and under(found.previous) == (new, day),
            "goes_on": number == len(days) - 1 and under(found.following) == (new, day),
            "tiles": of_day,
        }
        for number, ((new, day), of_day) in enumerate(days)
    ]


def _says_days(album: OpenAlbum, asks: Asks) -> bool:
    """Whether the viewer may know when the photos of an album were taken."""
    return asks is Asks.MEMBER or not album.row.hides_days


def _photo_facts(photo: Photo, album: OpenAlbum, asks: Asks, *, new_since: datetime | None = None) -> dict[str, Any]:
    """One photo with the way back and to its neighbours; all of them keep the cursor of the page they came from."""
    after = request.args.get("after")
    beside, count = media.neighbours(session(), photo, new_since=new_since), media.count(session(), album=album.id)
    place, of = beside.place, count.ready
    if photo.state is PhotoState.AWAITING:  # one of those on the album's page that wait
        place, of = media.place_in_waiting(session(), photo), count.awaiting
    previous, following = (
        None if each is None else _photo_address(asks, album.id, each, after) for each in (beside.previous, beside.following)
    )
    return {
        "photo": tile(photo, album.key, asks, page=after, place=place, count=of, dated=_says_days(album, asks)),
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
            "count": count.ready,
            "videos": count.videos,
            "waiting": count.received,
            "awaiting": count.awaiting,
            "cover": tile(covers[album.id], album.key, asks) if album.id in covers else None,
        }
        for album, count in ((album, counts.get(album.id, media.Counts())) for album in found)
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


def _awaiting(album: OpenAlbum) -> list[dict[str, Any]]:
    """The photos that wait for a member's yes, with the name of the guest who has added each."""
    photos = media.awaiting(session(), album=album.id)
    names = sharing.names_of(session(), member(), guests={photo.guest_id for photo in photos if photo.guest_id})
    return [
        {"tile": tile(photo, album.key, Asks.MEMBER, place=place, count=len(photos)), "from": names.get(photo.guest_id or "")}
        for place, photo in enumerate(photos, start=1)
    ]


def _about(album: OpenAlbum) -> dict[str, str]:
    return {"id": album.id, "title": album.title, "description": album.description}


def _grant(seen: sharing.SharedAlbum) -> dict[str, Any]:
    return {"until": seen.until, "days_left": seen.days_left, "may_save": seen.may_save, "sender": seen.sender}


def _turn(asks: Asks, album: str, *, after: str | None = None, before: str | None = None) -> str:
    return url_for(".album" if asks is Asks.MEMBER else ".shared_album", album=album, after=after, before=before)


def _photo_address(asks: Asks, album: str, photo: str, after: str | None) -> str:
    if asks is Asks.MEMBER:
        return url_for(".photo", photo=photo, after=after)
    return url_for(".shared_photo", album=album, photo=photo, after=after)
