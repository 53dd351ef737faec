"""Signing in and out, one's own account, a new password."""

import hashlib
import hmac
import ipaddress
from collections.abc import Callable
from functools import wraps

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask import session as form_session
from flask_login import LoginManager, UserMixin
from werkzeug.wrappers import Response as BaseResponse

from app.accounts import rules, service
from app.accounts.forms import ChangePasswordForm, ConfirmedForm, ResetForm, SignInForm, ToldForm
from app.accounts.models import Account, AddressKind, OneTimeAddress
from app.activity import service as activity
from app.errors import NotVisible, Refused
from app.ids import new_id
from app.security.permissions import Action, Asks
from app.security.tokens import Purpose, cookie_digest
from app.security.viewer import Member, Nobody, Viewer
from app.web.access import allow
from app.web.forms import own_path
from app.web.i18n import prefer
from app.web.labels import device_label
from app.web.session import house, session
from app.web.viewer import (
    KNOWN_BROWSER,
    cookie,
    credential,
    give_cookie,
    give_plain_cookie,
    member,
    note_visit,
    sent_cookie,
    take_cookie,
)

pages = Blueprint("accounts", __name__)
login_manager = LoginManager()


class CurrentMember(UserMixin):  # type: ignore[misc]
    """What Flask-Login's `current_user` is: the member of this browser, out of our own table of sessions."""

    def __init__(self, viewer: Member) -> None:
        self.id = viewer.id
        self.viewer = viewer

    @property
    def name(self) -> str:
        """Asked of the database only by a page that says it."""
        return service.get_account(session(), self.viewer).name


@login_manager.request_loader  # type: ignore[untyped-decorator]
def load_current_member(_request: object) -> CurrentMember | None:
    """Flask-Login asks for the person behind a request; the cookie is ours, so its own session is never used."""
    viewer = credential(Asks.MEMBER).viewer
    return CurrentMember(viewer) if isinstance(viewer, Member) else None


def identify(digest: bytes) -> Viewer:
    """The member behind a cookie; notes the visit at most once an hour."""
    at = house().clock.now()
    with house().database.reading() as look:
        viewer, signed_in = service.identify(look, cookie=digest, at=at)
    if signed_in is not None:
        prefer(signed_in.account.language)
        note_visit(signed_in.last_seen_at, at, lambda write: service.note_visit(write, signed_in=signed_in.id, at=at))
    return viewer


@pages.get("/sign-in")
@allow(Action.KNOCK)
def sign_in() -> BaseResponse:
    if not isinstance(credential(Asks.MEMBER).viewer, Nobody):
        return redirect(url_for("viewing.albums"), 303)
    form = SignInForm(next=request.args.get("next", ""))
    return make_response(render_template("accounts/sign_in.html", form=form, wrong=False))


@pages.post("/sign-in")
@allow(Action.KNOCK)
def do_sign_in() -> BaseResponse:
    form = SignInForm()
    if not form.validate():
        return make_response(render_template("accounts/sign_in.html", form=form, wrong=False), 400)
    email, password = form.email.data, form.password.data
    tries = _count_try(_buckets(email))
    with house().database.reading() as look:
        account = service.check_password(look, email=email, password=password, passwords=house().passwords)
    if account is None:
        return make_response(render_template("accounts/sign_in.html", form=form, wrong=True), 400)
    if house().passwords.outdated(account.password_hash):
        renewed = house().passwords.hash(password)
        service.renew_hash(session(), account=account.id, password_hash=renewed)
    activity.forget(session(), tries)
    return enter(account, stay=form.stay.data, to=own_path(form.next.data) or url_for("viewing.albums"))


@pages.post("/sign-out")
@allow(Action.KNOCK)
def sign_out() -> BaseResponse:
    digest = sent_cookie(Asks.MEMBER)
    if digest is not None:
        service.sign_out(session(), cookie=digest)
    form_session.clear()
    response = make_response(redirect(url_for("groups.home"), 303))
    take_cookie(response, Asks.MEMBER)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@pages.get("/account")
@allow(Action.KEEP_ACCOUNT)
def account() -> str:
    return _account_page(ChangePasswordForm())


@pages.post("/account/password")
@allow(Action.KEEP_ACCOUNT)
def change_password() -> BaseResponse | tuple[str, int]:
    form, at = ChangePasswordForm(), house().clock.now()
    if not form.validate():
        return _account_page(form), 400
    try:
        check_own_password(form.current.data)
    except Refused as refusal:
        form.current.errors = [refusal.reason]
        return _account_page(form), 400
    with house().database.reading() as look:
        email = service.get_account(look, member()).email
    try:
        password_hash = service.hash_new_password(form.password.data, email=email, passwords=house().passwords)
    except Refused as refusal:
        form.password.errors = [refusal.reason]
        return _account_page(form), 400
    mine = service.get_account(session(), member())
    service.set_password(session(), account=mine, password_hash=password_hash, at=at)
    return enter(mine, stay=True, to=url_for(".account", changed="password"))


@pages.post("/account/told")
@allow(Action.KEEP_ACCOUNT)
def told() -> BaseResponse:
    """How this member is told of what happens."""
    form = ToldForm()
    if not form.validate():
        raise Refused(form.first_error)
    mine = service.get_account(session(), member())
    mine.wants_mail, mine.language = form.wants_mail.data, form.language.data
    return redirect(url_for(".account"), 303)


@pages.post("/account/sign-out-everywhere")
@allow(Action.KEEP_ACCOUNT)
def sign_out_everywhere() -> BaseResponse:
    service.end_sessions(session(), member=member().id)
    form_session.clear()
    response = make_response(redirect(url_for(".sign_in"), 303))
    take_cookie(response, Asks.MEMBER)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@pages.post("/account/sessions/<signed_in>/end")
@allow(Action.KEEP_ACCOUNT)
def end_session(signed_in: str) -> BaseResponse:
    service.end_session(session(), member(), signed_in=signed_in)
    return redirect(url_for(".account"), 303)


def works_once(view: Callable[[str], BaseResponse]) -> Callable[[str], BaseResponse]:
    """For the POST of an address that works once: the same form sent again (a second tap, or a try after an answer that was lost) lets
    the same browser in again, where the first one would have led it."""

    @wraps(view)
    def answer(token: str) -> BaseResponse:
        try:
            return view(token)
        except NotVisible:
            return _let_in(
                service.sign_in_again(session(), opened_by=_tap(token), at=house().clock.now()),
                stay=True,
                to=url_for("viewing.albums"),
            )

    return answer


@pages.get("/reset/<token>")
@allow(Action.KNOCK)
def reset(token: str) -> str:
    _find_reset(token)
    return render_template("accounts/reset.html", form=ResetForm())


@pages.post("/reset/<token>")
@allow(Action.KNOCK)
@works_once
def do_reset(token: str) -> BaseResponse:
    form, address = ResetForm(), _find_reset(token)
    if not form.validate():
        return make_response(render_template("accounts/reset.html", form=form), 400)
    try:
        password_hash = service.hash_new_password(form.password.data, email=_email_of(address), passwords=house().passwords)
    except Refused as refusal:
        form.password.errors = [refusal.reason]
        return make_response(render_template("accounts/reset.html", form=form), 400)
    account = service.reset_password(session(), address=address, password_hash=password_hash, at=house().clock.now())
    return enter(account, stay=True, to=url_for("viewing.albums"), once=token)


def enter(account: Account, *, stay: bool, to: str, once: str | None = None) -> Response:
    """Sign this browser in under a fresh cookie and go on to one of our pages; `once` is the token of a one-time address that it used."""
    entered = service.sign_in(
        session(),
        account=account,
        label=device_label(request.user_agent.string),
        stay=stay,
        replaces=sent_cookie(Asks.MEMBER),
        at=house().clock.now(),
        opened_by=_tap(once) if once else None,
    )
    return _let_in(entered, stay=stay, to=to)


def _let_in(entered: service.SignIn, *, stay: bool, to: str) -> Response:
    form_session.clear()  # a form's token from before the sign-in is worth nothing after it
    response = make_response(redirect(to, 303))
    give_cookie(response, Asks.MEMBER, entered.cookie, keep=rules.STAY if stay else None)
    known = house().tokens.sign(Purpose.KNOWN_BROWSER, f"{entered.member.id} {new_id()}")
    give_plain_cookie(response, KNOWN_BROWSER, known, keep=rules.BROWSER_KNOWN)
    return response


def _tap(token: str) -> bytes:
    """What tells the same form, sent again by the same browser to the same one-time address, from every other."""
    return cookie_digest(f"{form_session['csrf_token']} {token}")


def _account_page(form: ChangePasswordForm) -> str:
    sessions = service.list_sessions(session(), member(), at=house().clock.now())
    mine = service.get_account(session(), member())
    return render_template(
        "accounts/account.html",
        form=form,
        told_form=ToldForm(formdata=None, wants_mail=mine.wants_mail, language=mine.language or ""),
        sends_mail=house().settings.smtp_url is not None,
        changed=request.args.get("changed") == "password",
        sessions=[
            {
                "id": each.id,
                "label": each.label,
                "since": each.created_at,
                "last_seen": each.last_seen_at,
                "current": each.cookie_hash == cookie(),
            }
            for each in sessions
        ],
    )


def _find_reset(token: str) -> OneTimeAddress:
    with house().database.reading() as look:
        return service.find_address(look, kind=AddressKind.RESET, token=token, tokens=house().tokens, at=house().clock.now())


def _email_of(address: OneTimeAddress) -> str:
    with house().database.reading() as look:
        return service.email_of(look, address=address)


def _count_try(buckets: list[tuple[str, int]]) -> list[str]:
    """Count a try before it is listened to, so that trying at once is no way around the limit. Raises `TooOften`; returns what to forget
    when the password was right."""
    at = house().clock.now()
    with house().database.writing() as write:
        service.check_not_too_often(write, buckets=buckets, at=at)
        return activity.record_failures(write, buckets=[bucket for bucket, _ in buckets], at=at)


def count_newcomer(token: str) -> list[str]:
    """Count somebody who chooses an e-mail address at a one-time address: we say when it is taken, and nobody may ask that about
    everybody. Raises `TooOften`; returns what to forget when it was free.

    To be asked before the writing session begins, like `check_own_password`.
    """
    return _count_try([(_keyed(f"newcomer {token}"), rules.TRIES_PER_ACCOUNT), _signing_in_from()])


def count_guess() -> list[str]:
    """Count somebody who tries words that may be on a card. Raises `TooOften`; returns what to forget when they are.

    To be asked before the writing session begins, like `check_own_password`.
    """
    return _count_try([(address_bucket("card"), rules.TRIES_PER_ADDRESS)])


def check_own_password(password: str) -> None:
    """The password of the member who is signed in, once more; it then need not be asked again for a while. Raises `Refused` when it is
    wrong and `TooOften`.

    To be asked before the writing session begins: others must not wait while we count and hash.
    """
    tries = _count_try([(_keyed(f"again {member().id}"), rules.TRIES_PER_ACCOUNT)])
    with house().database.reading() as look:
        fits = house().passwords.verify(service.get_account(look, member()).password_hash, password)
    if not fits:
        raise Refused("password-wrong")
    with house().database.writing() as write:  # kept even when what follows is refused for another reason
        activity.forget(write, tries)
        service.confirm(write, cookie=cookie(), at=house().clock.now())


def asks_password() -> bool:
    """Whether this browser has to show the password again before something that one must be sure about."""
    with house().database.reading() as look:
        return service.needs_password(look, cookie=cookie(), at=house().clock.now())


def confirmed(form: ConfirmedForm) -> bool:
    """Whether it is the member who sends this form: the password was typed lately, or is right in here; else its field says what is
    wrong. Raises `TooOften`.

    To be asked before the writing session begins, like `check_own_password`.
    """
    if not asks_password():
        return True
    try:
        if not form.password.data:
            raise Refused("password-missing")
        check_own_password(form.password.data)
    except Refused as refusal:
        form.password.errors = [refusal.reason]
        return False
    return True


def _buckets(email: str) -> list[tuple[str, int]]:
    """Where a failed try counts: a browser that signed in before has its own bucket, so that nobody can lock Anna out."""
    who = _keyed(f"account {service.tidy_email(email)}")
    known = _known_browser(email)
    if known is not None:
        return [(_keyed(f"browser {known} {who}"), rules.TRIES_FROM_KNOWN_BROWSER)]
    return [(who, rules.TRIES_PER_ACCOUNT), _signing_in_from()]


def _signing_in_from() -> tuple[str, int]:
    return address_bucket("address"), rules.TRIES_PER_ADDRESS


def address_bucket(purpose: str) -> str:
    """Where this request counts by the network that it comes from: a keyed hash, another one each day. What counts for one purpose locks
    nobody out of another."""
    return _keyed(f"{purpose} {house().clock.now():%Y-%m-%d} {_network(request.remote_addr or '')}")


def _known_browser(email: str) -> str | None:
    signed = request.cookies.get(KNOWN_BROWSER)
    if not signed:
        return None
    try:
        known = house().tokens.unsign(Purpose.KNOWN_BROWSER, signed)
    except NotVisible:
        return None
    with house().database.reading() as look:
        account = service.find_by_email(look, email=email)
    return known if account is not None and account.id == known.partition(" ")[0] else None


def _network(address: str) -> str:
    """The address itself, or for IPv6 its /64, which is what one household gets."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))


def _keyed(text: str) -> str:
    return hmac.new(house().keys.secret_keys[0].encode(), text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]
