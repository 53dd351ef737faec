"""The front door, and founding a group."""

from flask import Blueprint, make_response, redirect, render_template, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from app.accounts import service as accounts
from app.accounts import views as account_views
from app.accounts.models import AddressKind, OneTimeAddress
from app.errors import Refused
from app.groups import service
from app.groups.forms import SetUpForm
from app.groups.models import GroupKind
from app.security.permissions import Action, Asks
from app.security.viewer import Device, Member
from app.web.access import allow
from app.web.session import house, session
from app.web.viewer import credential, member

pages = Blueprint("groups", __name__)


@pages.get("/")
@allow(Action.KNOCK)
def home() -> Response:
    if isinstance(credential(Asks.MEMBER).viewer, Member):
        return redirect(url_for("viewing.albums"), 303)
    if isinstance(credential(Asks.DEVICE).viewer, Device):
        return redirect(url_for("viewing.shared"), 303)
    return redirect(url_for("accounts.sign_in"), 303)


@pages.get("/setup/<token>")
@allow(Action.KNOCK)
def set_up(token: str) -> str:
    _find(token)
    return render_template("groups/set_up.html", form=SetUpForm())


@pages.post("/setup/<token>")
@allow(Action.KNOCK)
def do_set_up(token: str) -> Response:
    form, address = SetUpForm(), _find(token)
    if not form.validate():
        return make_response(render_template("groups/set_up.html", form=form), 400)
    try:
        owner = service.found_group(
            session(),
            address=address,
            group_name=form.group_name.data,
            kind=GroupKind(form.group_kind.data),
            name=form.name.data,
            email=form.email.data,
            password=form.password.data,
            passwords=house().passwords,
            at=house().clock.now(),
        )
    except Refused as refusal:
        field = form.email if refusal.reason.startswith("email") else form.password
        field.errors = [refusal.reason]
        return make_response(render_template("groups/set_up.html", form=form), 400)
    return account_views.enter(owner, stay=True, to=url_for("viewing.albums"))


def _find(token: str) -> OneTimeAddress:
    return accounts.find_address(session(), kind=AddressKind.SET_UP, token=token, tokens=house().tokens, at=house().clock.now())


class AboutMe:
    """What members' pages say about the member: asked of the database only by a page that says it."""

    @property
    def name(self) -> str:
        return str(current_user.name)

    @property
    def group_name(self) -> str:
        return service.own_group(session(), member()).name


def about_me() -> dict[str, AboutMe]:
    """`me`, for templates."""
    return {"me": AboutMe()}
