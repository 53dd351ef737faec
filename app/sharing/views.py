"""Sharing as members do it, and the door that a link opens. What guests then see is in `app/viewing`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, jsonify, make_response, redirect, render_template, request, url_for
from flask_wtf.csrf import CSRFError
from werkzeug.wrappers import Response

from app.accounts.forms import ConfirmedForm
from app.accounts.views import confirmed
from app.albums import service as albums
from app.albums.service import OpenAlbum
from app.errors import Refused
from app.groups import service as groups
from app.media import service as media
from app.media.tiles import tile
from app.security.permissions import Action, Asks
from app.security.viewer import Viewer
from app.sharing import asking, door, rules, service
from app.sharing.forms import CardForm, GiveForm, GuestForm, NoMoreTimeForm, PeriodForm, RemoveMemberForm, ShareForm
from app.sharing.models import DeviceRow, Grant, Guest, Link, LinkKind
from app.sharing.rules import GrantState, LinkState
from app.sharing.service import Made
from app.web.access import FOREVER, allow, check_form_token, sent_form_token
from app.web.errors import wants_json
from app.web.forms import once_more, tidy
from app.web.i18n import prefer
from app.web.qr import qr_svg
from app.web.session import house, session
from app.web.viewer import cookie, member, note_visit, take_cookie

pages = Blueprint("sharing", __name__)

OFFERED = 12
"""People whom the share page offers for one tap; the others are found by name."""

PEOPLE_FOR_SCRIPTS = 500
"""People in one JSON list: everybody but in a large school. Its `next` says where it goes on."""

Grants = Sequence[tuple[Grant, OpenAlbum, GrantState]]
Links = Sequence[tuple[Link, LinkState]]


def identify(digest: bytes) -> Viewer:
    """The guests' device behind a cookie; notes the visit at most once an hour."""
    at = house().clock.now()
    with house().database.reading() as look:
        viewer, rows = service.identify(look, cookie=digest, at=at)
    for row in rows:
        prefer(row.guest.language)
    if rows:
        longest_ago = min(row.last_seen_at for row in rows)
        note_visit(longest_ago, at, lambda write: service.note_visit(write, cookie=digest, at=at))
    return viewer


# --- sharing an album ------------------------------------------------------------------------------------------------


@pages.get("/albums/<album>/share")
@allow(Action.SHARE)
def share(album: str) -> str:
    return _share_page(_album(album), ShareForm(formdata=None), wanted=_wanted())


@pages.post("/albums/<album>/share")
@allow(Action.SHARE)
def do_share(album: str) -> Response:
    """The one-tap way: a person, a grant and a link in one step."""
    found, form, at = _album(album), ShareForm(), house().clock.now()
    until = form.end(at=at, max_days=house().settings.max_days) if form.validate() else None
    guest = _whom(form, found) if until is not None else None
    if until is None or guest is None:
        if wants_json():
            raise Refused(form.first_error)
        return make_response(_share_page(found, form), 400)
    shared = service.share(
        session(),
        member(),
        album=found,
        guest=guest,
        until=until,
        may_save=form.may_save.data,
        may_add=form.may_add.data,
        phones=house().settings.phones,
        tokens=house().tokens,
        at=at,
    )
    if wants_json():
        return make_response(
            jsonify(guest=guest.id, grant=shared.grant.id, link=_address(shared.token), expires_at=until.isoformat()), 201
        )
    return _link_page(guest, shared.link, shared.token, found)


# --- people ----------------------------------------------------------------------------------------------------------


@pages.get("/people")
@allow(Action.SHARE)
def people() -> Response:
    """By name, a page at a time: after the guest whose id is `after`, and only those with `q` in their name."""
    after, wanted = request.args.get("after") or None, _wanted()
    size = PEOPLE_FOR_SCRIPTS if wants_json() else service.PEOPLE
    found = service.guest_page(session(), member(), wanted=wanted, after=after, size=size)
    if after and not found.guests:
        return redirect(url_for(".people", q=wanted or None), 302)
    if wants_json():
        listed = [{"id": guest.id, "name": guest.name} for guest in found.guests]
        return make_response(jsonify(people=listed, next=_more_people(found, wanted)))
    return make_response(_people_page(GuestForm(formdata=None), found, wanted=wanted, after=after))


@pages.post("/people")
@allow(Action.SHARE)
def add_person() -> Response:
    form = GuestForm()
    if not form.validate():
        if wants_json():
            raise Refused(form.first_error)
        return make_response(_people_page(form, service.guest_page(session(), member())), 400)
    guest = service.add_guest(
        session(),
        member(),
        name=form.name.data,
        email=form.email.data,
        language=form.language.data,
        at=house().clock.now(),
    )
    if wants_json():
        return make_response(jsonify(id=guest.id, name=guest.name), 201)
    return _to_person(guest.id)


@pages.get("/people/<guest>")
@allow(Action.SHARE)
def person(guest: str) -> Response:
    found, at = _guest(guest), house().clock.now()
    grants = [
        (grant, album, service.state_of_grant(grant, at))
        for grant, album in service.list_grants(session(), guest=found, master=house().master)
    ]
    links = [(link, service.state_of_link(link, at)) for link in service.list_links(session(), guest=found, at=at)]
    devices = service.list_devices(session(), guest=found, at=at)
    if wants_json():
        return _person_json(grants, links, devices)
    return _person_page(found, grants, links, devices)


@pages.post("/people/<guest>/edit")
@allow(Action.SHARE)
def edit(guest: str) -> Response:
    """What a form does not name stays."""
    found, form = _guest(guest), GuestForm()
    if not form.validate():
        raise Refused(form.first_error)
    email = form.email.data if "email" in request.form else found.email
    language = form.language.data if "language" in request.form else found.language
    service.change_guest(found, name=form.name.data, email=email, language=language)
    return _to_person(found.id)


@pages.post("/people/<guest>/mail")
@allow(Action.SHARE)
def mail_again(guest: str) -> Response:
    found = _guest(guest)
    service.mail_again(found)
    return _to_person(found.id)


@pages.post("/people/<guest>/delete")
@allow(Action.SHARE)
def delete(guest: str) -> Response:
    service.delete_guest(session(), member(), guest=_guest(guest), at=house().clock.now())
    return redirect(url_for(".people"), 303)


@pages.post("/people/<guest>/stop")
@allow(Action.SHARE)
def stop_guest(guest: str) -> Response:
    found = _guest(guest)
    service.stop_guest(session(), member(), guest=found, at=house().clock.now())
    return _to_person(found.id)


# --- grants, links, devices ------------------------------------------------------------------------------------------


@pages.post("/people/<guest>/grants")
@allow(Action.SHARE)
def give(guest: str) -> Response:
    found, form, at = _guest(guest), GiveForm(), house().clock.now()
    until = _until(form)
    grant = service.give(
        session(),
        member(),
        album=_album(form.album.data),
        guest=found,
        until=until,
        may_save=form.may_save.data,
        may_add=form.may_add.data,
        at=at,
    )
    if wants_json():
        return make_response(jsonify(id=grant.id, expires_at=until.isoformat()), 201)
    return _to_person(found.id)


@pages.post("/grants/<grant>/extend")
@allow(Action.SHARE)
def extend(grant: str) -> Response:
    """More time by `days` on top of what is left, or another end by `until`; the form says again whether they may save."""
    found, form, at = service.get_grant(session(), member(), grant=grant), PeriodForm(), house().clock.now()
    until = _until(form, longer=found.expires_at)
    may_save = form.may_save.data if "may_save" in request.form else None
    service.extend(session(), member(), grant=found, until=until, may_save=may_save, at=at)
    if wants_json():
        return make_response(jsonify(id=found.id, expires_at=until.isoformat()))
    return _to_person(found.guest_id)


@pages.post("/grants/<grant>/saving")
@allow(Action.SHARE)
def saving(grant: str) -> Response:
    """Allow or forbid saving, at once."""
    found = service.get_grant(session(), member(), grant=grant)
    service.set_saving(session(), grant=found, may_save=PeriodForm().may_save.data, at=house().clock.now())
    return _to_person(found.guest_id)


@pages.post("/grants/<grant>/adding")
@allow(Action.SHARE)
def adding(grant: str) -> Response:
    """Allow or forbid adding photos, at once."""
    found = service.get_grant(session(), member(), grant=grant)
    service.set_adding(session(), grant=found, may_add=PeriodForm().may_add.data, at=house().clock.now())
    return _to_person(found.guest_id)


@pages.post("/grants/<grant>/end")
@allow(Action.SHARE)
def end_grant(grant: str) -> Response:
    found = service.get_grant(session(), member(), grant=grant)
    service.end_grant(session(), member(), grant=found, at=house().clock.now())
    return _to_person(found.guest_id)


@pages.post("/people/<guest>/links")
@allow(Action.SHARE)
def new_link(guest: str) -> Response:
    """A new link, told this once; the ones before let nobody in any more."""
    found, form, at = _guest(guest), PeriodForm(), house().clock.now()
    until = _until(form)
    phones, tokens = house().settings.phones, house().tokens
    link, token = service.make_link(session(), member(), guest=found, until=until, phones=phones, tokens=tokens, at=at)
    if wants_json():
        return make_response(jsonify(id=link.id, link=_address(token), expires_at=until.isoformat()), 201)
    return _link_page(found, link, token, None)


@pages.post("/people/<guest>/card")
@allow(Action.SHARE)
def new_card(guest: str) -> Response:
    """A page to print, for somebody without a messenger: told this once, like a link."""
    found, form, at = _guest(guest), CardForm(), house().clock.now()
    if not form.validate():
        raise Refused(form.first_error)
    until = rules.until(
        days=min(rules.CARD_DAYS, house().settings.max_days), date=None, at=at, max_days=house().settings.max_days
    )
    link, words = service.make_card(session(), member(), guest=found, until=until, tokens=house().tokens, at=at)
    address = house().settings.base_url + url_for("door.card", words=words)
    if wants_json():
        return make_response(jsonify(id=link.id, link=address, words=words.split("-"), expires_at=until.isoformat()), 201)
    page = render_template(
        "sharing/card.html",
        guest=_about(found),
        call=form.call.data,
        words=words.split("-"),
        typed=urlsplit(house().settings.base_url).netloc + url_for("door.type_words"),
        expires=until,
        qr_svg=qr_svg(address),
    )
    return make_response(page, 201)


@pages.post("/links/<link>/revoke")
@allow(Action.SHARE)
def revoke_link(link: str) -> Response:
    return _to_person(service.revoke_link(session(), member(), link=link, at=house().clock.now()).guest_id)


@pages.post("/links/<link>/one-more")
@allow(Action.SHARE)
def one_more(link: str) -> Response:
    return _to_person(service.one_more(session(), member(), link=link, at=house().clock.now()).guest_id)


@pages.post("/devices/<device>/remove")
@allow(Action.SHARE)
def remove_device(device: str) -> Response:
    return _to_person(service.remove_device(session(), member(), device=device, at=house().clock.now()).guest_id)


# --- what people ask -------------------------------------------------------------------------------------------------


@pages.post("/grants/<grant>/no-more-time")
@allow(Action.SHARE)
def no_more_time(grant: str) -> Response:
    """No; with `never` also not to be asked again. Yes is `extend`."""
    found, form = service.get_grant(session(), member(), grant=grant), NoMoreTimeForm()
    asking.refuse_more_time(session(), member(), grant=found, never=form.never.data, at=house().clock.now())
    return _to_person(found.guest_id)


@pages.post("/new-phones/<phone>/let-in")
@allow(Action.SHARE)
def let_in(phone: str) -> Response:
    """It is Rose: the browser that waits is let in when it looks next."""
    return _to_person(asking.let_in(session(), member(), phone=phone, at=house().clock.now()))


@pages.post("/new-phones/<phone>/refuse")
@allow(Action.SHARE)
def refuse_phone(phone: str) -> Response:
    """It is not: the link that it came with ends. The person's page offers a new one."""
    return _to_person(asking.refuse_phone(session(), member(), phone=phone, at=house().clock.now()))


@pages.get("/stop-sharing")
@allow(Action.STOP_ALL_SHARING)
def stop_all() -> str:
    return _stop_all_page(ConfirmedForm(formdata=None))


@pages.post("/stop-sharing")
@allow(Action.STOP_ALL_SHARING)
def do_stop_all() -> Response:
    form = ConfirmedForm()
    if not (form.validate() and confirmed(form)):
        return once_more(form, lambda: _stop_all_page(form))
    service.stop_all(session(), member(), at=house().clock.now())
    return redirect(url_for(".people"), 303)


# --- taking a member out, with what they have shared -------------------------------------------------------------------


@pages.get("/members/<whom>/remove")
@allow(Action.MANAGE_MEMBERS)
def remove_member(whom: str) -> str:
    """Who they are, and what they have brought in. Their links are ticked: they have those addresses in their messages."""
    found, made = groups.removable(session(), member(), member=whom), _made_by(whom)
    return _remove_member_page(RemoveMemberForm(formdata=None), found.name, made)


@pages.post("/members/<whom>/remove")
@allow(Action.MANAGE_MEMBERS)
def do_remove_member(whom: str) -> Response:
    form, at = RemoveMemberForm(), house().clock.now()
    sure = form.validate() and confirmed(form)
    found, made = groups.removable(session(), member(), member=whom), _made_by(whom)
    if not sure:
        return once_more(form, lambda: _remove_member_page(form, found.name, made))
    guests = [guest.id for guest in made.guests] if form.everybody.data else form.guest.data
    asking.take_back_yes(session(), member=whom)
    groups.remove_member(session(), member(), member=whom, at=at)
    links = form.links_to_end(link.id for link in made.links)
    service.end_made(session(), member(), made=made, guests=guests, links=links, at=at)
    return redirect(url_for("groups.members"), 303)


# --- the door --------------------------------------------------------------------------------------------------------


@pages.get("/i/<token>")
@allow(Action.KNOCK)
def invite(token: str) -> Response:
    """The neutral page: a button, and not a word about whose photos or which. Bots and scanners see this too."""
    link = service.find_link(session(), token=token, tokens=house().tokens)
    known = door.known_here(link)
    if known is not None:
        return known
    service.check_link_opens(link, house().clock.now())
    return make_response(render_template("sharing/invite.html", again=False))


@pages.post("/i/<token>")
@allow(Action.KNOCK, checks_own_token=True)
def open_invite(token: str) -> Response:
    """The tap on the button: this browser becomes one of the guest's devices, or asks to become one."""
    try:
        check_form_token(sent_form_token(), time_limit=FOREVER)
    except CSRFError:
        service.check_link_opens(service.find_link(session(), token=token, tokens=house().tokens), house().clock.now())
        return make_response(render_template("sharing/invite.html", again=True), 400)
    return door.enter(service.find_link(session(), token=token, tokens=house().tokens))


@pages.post("/shared/leave")
@allow(Action.SEE_SHARED)
def leave() -> Response:
    """ "This is not my phone"."""
    service.leave(session(), cookie=cookie(), at=house().clock.now())
    response = make_response(redirect(url_for("groups.home"), 303))
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    take_cookie(response, Asks.DEVICE)
    return response


def _until(form: PeriodForm, *, longer: datetime | None = None) -> datetime:
    """The end that a form asks for. Raises `Refused`."""
    end = None
    if form.validate():
        end = form.end(at=house().clock.now(), max_days=house().settings.max_days, longer=longer)
    if end is None:
        raise Refused(form.first_error)
    return end


def _whom(form: ShareForm, album: OpenAlbum) -> Guest | None:
    """The person a link is for. Somebody new with a name we know is asked about first: two people can be called Rose, and the
    wrong one must not see the photos. A second tap is not asked: it gets another link for the same person."""
    if form.guest.data:
        return _guest(form.guest.data)
    if not form.name.data:
        form.name.errors = ["name-missing"]
        return None
    known = None if wants_json() or form.another.data else service.same_name(session(), member(), name=form.name.data)
    if known is not None and service.just_shared(session(), member(), album=album.id, guest=known.id, at=house().clock.now()):
        return known
    if known is not None:
        form.guest.data, form.guest.errors = known.id, ["name-known"]
        return None
    return service.add_guest(session(), member(), name=form.name.data, at=house().clock.now())


def _album(album: str) -> OpenAlbum:
    return albums.get_album(session(), member(), album=album, master=house().master)


def _guest(guest: str) -> Guest:
    return service.get_guest(session(), member(), guest=guest)


def _to_person(guest: str) -> Response:
    return redirect(url_for(".person", guest=guest), 303)


def _address(token: str) -> str:
    """The whole address of a link, always on the instance's own host."""
    return house().settings.base_url + url_for(".invite", token=token)


def _link_page(guest: Guest, link: Link, token: str, album: OpenAlbum | None) -> Response:
    address = _address(token)
    page = render_template(
        "sharing/link_ready.html",
        guest=_about(guest),
        album={"title": album.title, "href": url_for("viewing.album", album=album.id)} if album else None,
        link=address,
        expires=link.expires_at,
        qr_svg=qr_svg(address),
    )
    return make_response(page, 201)


def _about(guest: Guest) -> dict[str, str]:
    return {"id": guest.id, "name": guest.name, "href": url_for(".person", guest=guest.id)}


def _link_facts(link: Link, state: LinkState) -> dict[str, Any]:
    words = {LinkState.LIVE: "live", LinkState.FULL: "full", LinkState.REPLACED: "replaced"}
    return {
        "id": link.id,
        "made": link.created_at,
        "expires": link.expires_at,
        "places_left": max(0, link.places - link.used),
        "kind": link.kind.value,
        "state": words.get(state, "ended"),
    }


def _share_page(album: OpenAlbum, form: ShareForm, *, wanted: str = "") -> str:
    found = service.lately_shared_with(session(), member(), wanted=wanted, size=OFFERED)
    guests, chosen = list(found.guests), form.guest.data
    if chosen and all(guest.id != chosen for guest in guests):
        guests.insert(0, _guest(chosen))
    if wanted and not guests:
        form.name.data = wanted
    return render_template(
        "sharing/share.html",
        album={"id": album.id, "title": album.title, "href": url_for("viewing.album", album=album.id)},
        guests=guests,
        wanted=wanted,
        more=found.more,
        form=form,
        **_periods(),
    )


def _periods() -> dict[str, Any]:
    """The lengths of time that a person can choose from, as far as the instance allows them."""
    most = house().settings.max_days
    usual = rules.usual_days(most)
    last_day = (house().clock.now() + timedelta(days=most - 1)).astimezone().date()
    return {
        "days_choices": sorted({days for days in rules.DAYS if days <= most} | {usual}),
        "usual_days": usual,
        "until_max": last_day.isoformat(),
    }


def _person_json(grants: Grants, links: Links, devices: Sequence[DeviceRow]) -> Response:
    """What a person can use just now."""
    return make_response(
        jsonify(
            grants=[
                {"id": grant.id, "album": album.id, "until": grant.expires_at.isoformat()}
                for grant, album, state in grants
                if state is GrantState.LIVE
            ],
            links=[
                {"id": link.id, "expires_at": link.expires_at.isoformat()}
                for link, state in links
                if state is not LinkState.EXPIRED
            ],
            devices=[{"id": device.id, "last_seen": device.last_seen_at.isoformat()} for device in devices],
        )
    )


def _person_page(guest: Guest, grants: Grants, links: Links, devices: Sequence[DeviceRow]) -> Response:
    """Everything a person has, with a button to end each."""
    covers = media.covers(session(), albums=[album.row for _, album, _ in grants])
    given = {album.id for _, album, state in grants if state is GrantState.LIVE}
    sent = [state for link, state in links if link.kind is LinkKind.SENT]
    at = house().clock.now()
    at_the_door = asking.phones_at_the_door(session(), member(), at=at, guest=guest.id)
    page = render_template(
        "sharing/person.html",
        guest=guest,
        asks=asking.open_asks(session(), member(), master=house().master, guest=guest.id),
        phones=[phone for phone in at_the_door if not phone.let_in],
        let_in=[phone for phone in at_the_door if phone.let_in],
        needs_link=bool(given and sent) and not any(state in (LinkState.LIVE, LinkState.FULL) for state in sent),
        forgotten=service.forgotten_at(guest, [grant for grant, _, _ in grants]),
        grants=[
            {
                "id": grant.id,
                "album_title": album.title,
                "album_href": url_for("viewing.album", album=album.id),
                "cover": tile(covers[album.id], album.key, Asks.MEMBER) if album.id in covers else None,
                "until": grant.expires_at if state is GrantState.LIVE else grant.ended_at or grant.expires_at,
                "may_save": grant.may_save,
                "may_add": grant.may_add,
                "live": state is GrantState.LIVE,
                "by_hand": state is GrantState.ENDED,
            }
            for grant, album, state in grants
        ],
        links=[_link_facts(link, state) for link, state in links],
        devices=[{"id": row.id, "label": row.label, "since": row.created_at, "last_seen": row.last_seen_at} for row in devices],
        rename_form=GuestForm(formdata=None, name=guest.name, email=guest.email, language=guest.language or ""),
        sends_mail=house().settings.smtp_url is not None,
        give_form=GiveForm(formdata=None),
        card_form=CardForm(formdata=None),
        **_periods(),
        albums_to_give=[
            {"id": album.id, "title": album.title}
            for album in albums.list_albums(session(), member(), master=house().master)
            if album.id not in given
        ],
    )
    return make_response(page)


def _wanted() -> str:
    """The letters that are looked for in names."""
    return tidy(request.args.get("q"))[:100]


def _more_people(page: service.GuestPage, wanted: str) -> str | None:
    return url_for(".people", q=wanted or None, after=page.guests[-1].id) if page.more else None


def _people_page(form: GuestForm, page: service.GuestPage, *, wanted: str = "", after: str | None = None) -> str:
    at = house().clock.now()
    ids = [guest.id for guest in page.guests]
    seeing, seen = service.what_people_see(session(), guests=ids, at=at), service.last_seen(session(), guests=ids)
    return render_template(
        "sharing/people.html",
        form=form,
        people=[
            {
                "id": guest.id,
                "name": guest.name,
                "href": url_for(".person", guest=guest.id),
                "albums": seeing.get(guest.id, (0, None))[0],
                "until": seeing.get(guest.id, (0, None))[1],
                "last_seen": seen.get(guest.id),
            }
            for guest in page.guests
        ],
        wanted=wanted,
        first=url_for(".people", q=wanted or None) if after else None,
        more=_more_people(page, wanted),
    )


def _stop_all_page(form: ConfirmedForm) -> str:
    counts = service.how_much_is_shared(session(), member(), at=house().clock.now())
    return render_template("sharing/stop_all.html", form=form, counts=counts)


def _remove_member_page(form: RemoveMemberForm, name: str, made: Made) -> str:
    ticked = form.links_to_end(link.id for link in made.links)
    return render_template("sharing/remove_member.html", form=form, name=name, made=made, ticked=ticked)


def _made_by(whom: str) -> Made:
    return service.made_by(session(), member(), member=whom, at=house().clock.now())
