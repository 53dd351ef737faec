"""What people may ask for by right: what is kept about them, a copy of it, and its end."""

from typing import cast

from flask import Blueprint, Response, current_app, make_response, redirect, render_template, url_for
from flask import session as form_session
from werkzeug.wrappers import Response as BaseResponse

from app.accounts.forms import ConfirmedForm
from app.accounts.views import confirmed
from app.activity import service as activity
from app.activity.models import ActivityKind
from app.errors import Refused
from app.groups import service as groups
from app.rights import service
from app.rights.export import GroupCopy
from app.rights.forms import DeleteGroupForm
from app.security.permissions import Action, Asks
from app.sharing import service as sharing
from app.web.access import allow
from app.web.places import Places
from app.web.session import house, session
from app.web.viewer import cookie, member, take_cookie

pages = Blueprint("rights", __name__)


@pages.get("/people/<guest>/export")
@allow(Action.SHARE, is_page=False)
def person(guest: str) -> Response:
    """Everything that is kept about a person, for them to have."""
    found = sharing.get_guest(session(), member(), guest=guest)
    facts = service.about_guest(session(), member(), guest=found, master=house().master, at=house().clock.now())
    return _attachment(Response(service.as_json(facts), mimetype="application/json"), "person.json")


@pages.get("/group/data")
@allow(Action.KEEP_GROUP)
def data() -> str:
    return _data_page(ConfirmedForm(formdata=None))


@pages.post("/group/export")
@allow(Action.KEEP_GROUP)
def export() -> BaseResponse:
    """Everything in the group as one zip, made while it is sent."""
    form = ConfirmedForm()
    if not confirmed(form):
        return make_response(_data_page(form), 400)
    places = cast(Places, current_app.extensions["kinfold_long_answers"])
    copy = places.sent(GroupCopy(house(), cookie()).send(), member().id)
    activity.record(session(), ActivityKind.DATA_EXPORTED, by=member(), at=house().clock.now())
    response = _attachment(Response(copy, mimetype="application/zip"), "photos.zip")
    response.headers["X-Accel-Buffering"] = "no"  # or nginx would write the photos into a temporary file, in the clear
    return response


@pages.get("/group/delete")
@allow(Action.KEEP_GROUP)
def delete() -> str:
    return _delete_page(DeleteGroupForm(formdata=None))


@pages.post("/group/delete")
@allow(Action.KEEP_GROUP)
def do_delete() -> BaseResponse:
    """Destroy everything, for an owner who has typed the group's name and their own password."""
    form = DeleteGroupForm()
    with house().database.reading() as look:
        group = groups.own_group(look, member())
    try:
        service.check_group_name(group, typed=form.confirm.data)
    except Refused as refusal:
        form.confirm.errors = [refusal.reason]
    if form.confirm.errors or not confirmed(form):
        return make_response(_delete_page(form), 400)
    service.delete_group(session(), group=group.id, jobs=house().jobs, at=house().clock.now())
    form_session.clear()
    response = make_response(redirect(url_for(".goodbye"), 303))
    take_cookie(response, Asks.MEMBER)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


@pages.get("/goodbye")
@allow(Action.KNOCK)
def goodbye() -> str:
    """Says that it is done, and nothing about what or whose; anybody may see it."""
    return render_template("rights/goodbye.html")


def _attachment(response: Response, name: str) -> Response:
    """To be saved under a name that says nothing about whose it is."""
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _data_page(form: ConfirmedForm) -> str:
    return render_template("rights/data.html", form=form, stored=service.what_is_stored(session(), member()))


def _delete_page(form: DeleteGroupForm) -> str:
    return render_template("rights/delete.html", form=form, stored=service.what_is_stored(session(), member()))
