"""The door: how a browser that holds a link, or the words of a card, becomes a guest's device: at once, or after a member's yes.

Whoever stands before it learns nothing: no name, no title, no picture, not whose link it is. A GET never opens it.
"""

from typing import cast

from flask import Blueprint, jsonify, make_response, redirect, render_template, request, url_for
from flask import session as form_session
from flask_wtf.csrf import CSRFError
from werkzeug.wrappers import Response

from app.accounts.views import address_bucket, count_guess
from app.activity import service as activity
from app.errors import LinkEnded, NotVisible, TooOften
from app.security.permissions import Action, Asks
from app.security.tokens import Issued, cookie_digest
from app.security.viewer import Device, Member
from app.sharing import asking, rules, service
from app.sharing.forms import WordsForm
from app.sharing.models import Link, NewPhone
from app.sharing.words import parse
from app.web.access import FOREVER, allow, check_form_token, sent_form_token
from app.web.errors import wants_json
from app.web.labels import device_label
from app.web.session import house, session
from app.web.viewer import credential, device, give_cookie, give_plain_cookie, sent_cookie

pages = Blueprint("door", __name__)

WAITING = "kinfold_waiting"
"""The cookie of a browser that waits; over https its prefix makes browsers refuse one that another host has planted."""


def known_here(link: Link) -> Response | None:
    """The answer for a browser that need not be let in: it is the guest's already, or a member's of the same group."""
    found = credential(Asks.DEVICE).viewer
    if isinstance(found, Device) and link.guest_id in found.guests:
        return redirect(url_for("viewing.shared"), 303)
    viewer = credential(Asks.MEMBER).viewer
    if isinstance(viewer, Member) and viewer.group == link.guest.group_id:
        about = {"name": link.guest.name, "href": url_for("sharing.person", guest=link.guest_id)}
        return make_response(render_template("sharing/invite_member.html", guest=about))
    return None


def enter(link: Link) -> Response:
    """The tap on the button: this browser becomes one of the guest's devices, or when the link has no place left, waits for a yes.

    Raises like `service.check_link_opens`.
    """
    known, at = known_here(link), house().clock.now()
    if known is not None:
        return known
    service.check_link_opens(link, at)
    waits = _waits_before(link)
    if waits is not None and waits.let_in:
        return _come_in(waits)
    issued = service.enrol(
        session(), link=link, cookie=sent_cookie(Asks.DEVICE), label=_label(), opened_by=_form_of_browser(), at=at
    )
    if issued is not None:
        return _let_in(issued)
    if waits is not None:
        return redirect(url_for("door.wait"), 303)
    try:
        waiting = asking.ask_to_come_in(
            session(),
            link=link,
            cookie=_sent(),
            label=_label(),
            jobs=house().jobs,
            at=at,
            opened_by=_form_of_browser(),
            asked_from=address_bucket("waiting"),
        )
    except TooOften:
        response = make_response(render_template("sharing/invite_full.html"), 429)
        response.headers["Retry-After"] = "600"
        return response
    response = make_response(redirect(url_for("door.wait"), 303))
    give_plain_cookie(response, _cookie(), waiting.value, keep=rules.NEW_PHONE_WAITS)
    return response


# --- waiting for a yes -----------------------------------------------------------------------------------------------


@pages.get("/waiting")
@allow(Action.KNOCK)
def wait() -> Response:
    """The number that the member sees too. `waiting.js` asks for it as JSON now and then; without it there is a button."""
    try:
        phone = _waiting()
    except LinkEnded:
        if isinstance(credential(Asks.DEVICE).viewer, Device):  # another tab was let in
            return redirect(url_for("viewing.shared"), 303)
        raise
    if wants_json():
        return make_response(jsonify(state="yes" if phone.let_in else "waiting"))
    return make_response(render_template("sharing/waiting.html", phone=phone, again=False))


@pages.post("/waiting")
@allow(Action.KNOCK, checks_own_token=True)
def come_in() -> Response:
    """Somebody has said yes: the browser that waits becomes a device. The page sends this by itself, or by a button."""
    try:
        check_form_token(sent_form_token(), time_limit=FOREVER)
    except CSRFError:
        return make_response(render_template("sharing/waiting.html", phone=_waiting(), again=True), 400)
    return _come_in(_waiting())


# --- the words of a card ---------------------------------------------------------------------------------------------


@pages.get("/c/")
@allow(Action.KNOCK)
def type_words() -> str:
    return render_template("sharing/words.html", form=WordsForm(formdata=None))


@pages.post("/c/")
@allow(Action.KNOCK)
def do_type_words() -> Response:
    """Off to the address that the words make. That they are words of the list says nothing about whether they open anything."""
    form = WordsForm()
    words = parse(form.words.data) if form.validate() else None
    if words is None:
        form.words.errors = ["words-wrong"]
        return make_response(render_template("sharing/words.html", form=form), 400)
    return redirect(url_for("door.card", words=words), 303)


@pages.get("/c/<words>")
@allow(Action.KNOCK)
def card(words: str) -> Response:
    """The neutral page, the same for all words there are: only the button asks whether these open anything, and that is counted."""
    _tidied(words)
    return make_response(render_template("sharing/invite.html", again=False))


@pages.post("/c/<words>")
@allow(Action.KNOCK, checks_own_token=True)
def open_card(words: str) -> Response:
    """The tap on the button: a card always asks. Words that open nothing count as a failed try. Raises `TooOften`."""
    tidied = _tidied(words)
    try:
        check_form_token(sent_form_token(), time_limit=FOREVER)
    except CSRFError:
        return make_response(render_template("sharing/invite.html", again=True), 400)
    tries = count_guess()
    link = service.find_card(session(), words=tidied, tokens=house().tokens)
    activity.forget(session(), tries)
    return enter(link)


# --- more time -------------------------------------------------------------------------------------------------------


@pages.post("/shared/<album>/more-time")
@allow(Action.SEE_SHARED)
def ask_for_more_time(album: str) -> Response:
    """The one button of the closed page."""
    asking.ask_for_more_time(session(), device(), album=album, jobs=house().jobs, at=house().clock.now())
    return redirect(url_for("viewing.shared_album", album=album), 303)


def _come_in(phone: NewPhone) -> Response:
    issued = asking.come_in(
        session(),
        phone=phone,
        cookie=sent_cookie(Asks.DEVICE),
        label=_label(),
        opened_by=_form_of_browser(),
        at=house().clock.now(),
    )
    return redirect(url_for("door.wait"), 303) if issued is None else _let_in(issued)


def _let_in(issued: Issued) -> Response:
    sent = _sent()
    if sent is not None:
        asking.wait_no_more(session(), cookie=sent)
    form_session.clear()
    response = make_response(redirect(url_for("viewing.shared"), 303))
    give_cookie(response, Asks.DEVICE, issued, keep=rules.DEVICE_LASTS)
    response.delete_cookie(_cookie(), path="/", secure=house().settings.https, httponly=True, samesite="Lax")
    return response


def _waiting() -> NewPhone:
    """The browser that is asking, as it waits. Raises `LinkEnded`, or `NotVisible` when it never did."""
    sent = _sent()
    if sent is None:
        raise NotVisible
    return asking.find_waiting(session(), cookie=sent, at=house().clock.now())


def _waits_before(link: Link) -> NewPhone | None:
    """The browser that is asking, if it is this link that it waits before."""
    try:
        phone = _waiting()
    except (LinkEnded, NotVisible):
        return None
    return phone if phone.link_id == link.id else None


def _tidied(words: str) -> str:
    """The words of an address. Raises `NotVisible` for what can't be on any card."""
    tidied = parse(words)
    if tidied is None:
        raise NotVisible
    return tidied


def _sent() -> bytes | None:
    value = request.cookies.get(_cookie())
    return cookie_digest(value) if value else None


def _cookie() -> str:
    return f"__Host-{WAITING}" if house().settings.https else WAITING


def _form_of_browser() -> bytes:
    """What tells a second tap on a button from another browser's."""
    return cookie_digest(cast(str, form_session["csrf_token"]))


def _label() -> str:
    return device_label(request.user_agent.string)
