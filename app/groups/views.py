"""The front door, founding a group, joining it, and looking after who is in it. Removing somebody is in `app/sharing`, which knows what
they have shared."""

from collections.abc import Callable

from flask import Blueprint, jsonify, make_response, redirect, render_template, url_for
from flask import session as form_session
from flask_login import current_user
from werkzeug.wrappers import Response

from app.accounts import service as accounts
from app.accounts import views as account_views
from app.accounts.forms import ConfirmedForm
from app.accounts.models import Account, AddressKind, OneTimeAddress
from app.accounts.views import confirmed, works_once
from app.activity import service as activity
from app.errors import Refused
from app.groups import service
from app.groups.forms import GroupForm, InviteForm, JoinForm, RoleForm, SetUpForm
from app.groups.models import GroupKind, Invitation
from app.security.permissions import Action, Asks
from app.security.viewer import Device, Member, Role
from app.web.access import allow
from app.web.errors import wants_json
from app.web.forms import once_more
from app.web.qr import qr_svg
from app.web.session import house, session
from app.web.viewer import credential, member, take_cookie

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
@works_once
def do_set_up(token: str) -> Response:
    form, address = SetUpForm(), _find(token)

    def found(password_hash: str) -> Account:
        return service.found_group(
            session(),
            address=address,
            group_name=form.group_name.data,
            kind=GroupKind(form.group_kind.data),
            name=form.name.data,
            email=form.email.data,
            password_hash=password_hash,
            at=house().clock.now(),
        )

    return _new_member(form, token, "groups/set_up.html", found)


# --- joining ---------------------------------------------------------------------------------------------------------


@pages.get("/join/<token>")
@allow(Action.KNOCK)
def join(token: str) -> str:
    """Neutral, like a personal link's page: bots and scanners learn nothing about whose group it is."""
    _find_invitation(token)
    if isinstance(credential(Asks.MEMBER).viewer, Member):
        return render_template("groups/join_member.html")
    return render_template("groups/join.html", form=JoinForm(formdata=None))


@pages.post("/join/<token>")
@allow(Action.KNOCK)
@works_once
def do_join(token: str) -> Response:
    form, invitation = JoinForm(), _find_invitation(token)
    if isinstance(credential(Asks.MEMBER).viewer, Member):
        return make_response(render_template("groups/join_member.html"))

    def join(password_hash: str) -> Account:
        return service.join(
            session(),
            invitation=invitation,
            name=form.name.data,
            email=form.email.data,
            password_hash=password_hash,
            at=house().clock.now(),
        )

    return _new_member(form, token, "groups/join.html", join)


# --- members ---------------------------------------------------------------------------------------------------------


@pages.get("/members")
@allow(Action.SEE_GROUP)
def members() -> Response:
    here = service.list_members(session(), member())
    invited = service.list_invitations(session(), member(), at=house().clock.now())
    if not wants_json():
        page = render_template("groups/members.html", members=here, invitations=invited, me_id=member().id)
        return make_response(page)
    return make_response(
        jsonify(
            members=[{"id": each.id, "name": each.name, "role": each.role.value} for each in here],
            invitations=[
                {"id": each.id, "name": each.name, "role": each.role.value, "expires_at": each.expires_at.isoformat()}
                for each, _ in invited
            ],
        )
    )


@pages.get("/members/invite")
@allow(Action.MANAGE_MEMBERS)
def invite() -> str:
    return render_template("groups/invite.html", form=InviteForm(formdata=None, role=Role.EDITOR.value))


@pages.post("/members/invite")
@allow(Action.MANAGE_MEMBERS)
def do_invite() -> Response:
    form = InviteForm()
    if not (form.validate() and confirmed(form)):
        return once_more(form, lambda: render_template("groups/invite.html", form=form))
    invitation, token = service.invite(
        session(), member(), role=Role(form.role.data), name=form.name.data, tokens=house().tokens, at=house().clock.now()
    )
    link = house().settings.base_url + url_for(".join", token=token)
    if wants_json():
        return make_response(jsonify(invitation=invitation.id, link=link, expires_at=invitation.expires_at.isoformat()), 201)
    page = render_template("groups/invitation_ready.html", invitation=invitation, link=link, qr_svg=qr_svg(link))
    return make_response(page, 201)


@pages.post("/members/invitations/<invitation>/end")
@allow(Action.MANAGE_MEMBERS)
def end_invitation(invitation: str) -> Response:
    service.end_invitation(session(), member(), invitation=invitation, at=house().clock.now())
    return redirect(url_for(".members"), 303)


@pages.get("/members/<whom>/role")
@allow(Action.MANAGE_MEMBERS)
def role(whom: str) -> str:
    found, wanted = service.other_role(session(), member(), member=whom)
    form = RoleForm(formdata=None, role=wanted.value)
    return render_template("groups/role.html", form=form, name=found.name, wanted=wanted.value)


@pages.post("/members/<whom>/role")
@allow(Action.MANAGE_MEMBERS)
def do_role(whom: str) -> Response:
    form = RoleForm()
    if not (form.validate() and confirmed(form)):
        found, wanted = service.other_role(session(), member(), member=whom)
        return once_more(form, lambda: render_template("groups/role.html", form=form, name=found.name, wanted=wanted.value))
    service.set_role(session(), member(), member=whom, role=Role(form.role.data), at=house().clock.now())
    return redirect(url_for(".members"), 303)


@pages.get("/account/delete")
@allow(Action.KEEP_ACCOUNT)
def leave() -> str:
    return _leave_page(ConfirmedForm(formdata=None))


@pages.post("/account/delete")
@allow(Action.KEEP_ACCOUNT)
def do_leave() -> Response:
    """The end of one's own account; what one has made stays with the group."""
    form = ConfirmedForm()
    if not (form.validate() and confirmed(form)):
        return once_more(form, lambda: _leave_page(form))
    service.leave(session(), member(), at=house().clock.now())
    form_session.clear()
    response = make_response(redirect(url_for("accounts.sign_in", deleted=1), 303))
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    take_cookie(response, Asks.MEMBER)
    return response


# --- the group itself ------------------------------------------------------------------------------------------------


@pages.get("/group")
@allow(Action.KEEP_GROUP)
def group() -> str:
    return render_template("groups/group.html", form=GroupForm(formdata=None, group_name=AboutMe().group_name))


@pages.post("/group")
@allow(Action.KEEP_GROUP)
def do_group() -> Response:
    form = GroupForm()
    if not form.validate():
        return once_more(form, lambda: render_template("groups/group.html", form=form))
    service.rename_group(session(), member(), name=form.group_name.data, at=house().clock.now())
    return redirect(url_for(".members"), 303)


def _leave_page(form: ConfirmedForm) -> str:
    return render_template("groups/leave.html", form=form, last_owner=service.is_last_owner(session(), member()))


def _new_member(form: JoinForm, token: str, page: str, become: Callable[[str], Account]) -> Response:
    """Let in whoever has filled in this form of an address that works once, or show it again. Password and tries are dealt with before the
    writing session begins: others must not wait for them."""
    if form.validate():
        try:
            password_hash = accounts.hash_new_password(form.password.data, email=form.email.data, passwords=house().passwords)
            tries = account_views.count_newcomer(token)
            account = become(password_hash)
        except Refused as refusal:
            field = form.email if refusal.reason.startswith("email") else form.password
            field.errors = [refusal.reason]
    if form.errors:
        return make_response(render_template(page, form=form), 400)
    activity.forget(session(), tries)
    return account_views.enter(account, stay=True, to=url_for("viewing.albums"), once=token)


def _find(token: str) -> OneTimeAddress:
    at = house().clock.now()
    with house().database.reading() as look:
        return accounts.find_address(look, kind=AddressKind.SET_UP, token=token, tokens=house().tokens, at=at)


def _find_invitation(token: str) -> Invitation:
    with house().database.reading() as look:
        return service.find_invitation(look, token=token, tokens=house().tokens, at=house().clock.now())


class AboutMe:
    """What members' pages say about the member: asked of the database only by a page that says it."""

    @property
    def name(self) -> str:
        return str(current_user.name)

    @property
    def group_name(self) -> str:
        return service.own_group(session(), member()).name

    @property
    def is_owner(self) -> bool:
        return current_user.viewer.role is Role.OWNER

    @property
    def asks_password(self) -> bool:
        return account_views.asks_password()


def about_me() -> dict[str, AboutMe]:
    """`me`, for templates."""
    return {"me": AboutMe()}
