"""Ending mail by one click, and telling this browser by push or not."""

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from app.errors import NotVisible, Refused
from app.notifications import service
from app.notifications.forms import PushForm
from app.notifications.pinned import check_endpoint
from app.notifications.push import public_key, read_keys, services
from app.security.permissions import Action
from app.security.tokens import Purpose
from app.sharing import service as sharing
from app.web.access import allow
from app.web.session import house, session
from app.web.viewer import cookie

pages = Blueprint("notifications", __name__)


@pages.get("/unsubscribe/<token>")
@allow(Action.KNOCK)
def no_more_mail(token: str) -> str:
    """One button. Scanners that open every link of a mail come here too, and end nothing."""
    house().tokens.unsign(Purpose.NO_MORE_MAIL, token)
    return render_template("notifications/no_more_mail.html", ended=False)


@pages.post("/unsubscribe/<token>")
@allow(Action.KNOCK, checks_own_token=True)
def end_mail(token: str) -> str:
    """The button, or the mail program's own (RFC 8058), which has neither our cookie nor a form of ours: its token is all that is asked
    for. It is answered here, because such programs follow no redirect."""
    guest = house().tokens.unsign(Purpose.NO_MORE_MAIL, token)
    sharing.end_mail(session(), guest=guest, at=house().clock.now())
    return render_template("notifications/no_more_mail.html", ended=True)


@pages.post("/shared/push")
@allow(Action.SEE_SHARED)
def subscribe() -> Response:
    form = PushForm()
    if public_key(house()) is None:
        raise NotVisible
    if not form.validate():
        raise Refused(form.first_error)
    check_endpoint(form.endpoint.data, services(house()))
    public, auth = read_keys(form.p256dh.data, form.auth.data)
    service.subscribe(
        session(), cookie=cookie(), endpoint=form.endpoint.data, public_key=public, auth=auth, at=house().clock.now()
    )
    return redirect(url_for("viewing.shared"), 303)


@pages.post("/shared/push/end")
@allow(Action.SEE_SHARED)
def unsubscribe() -> Response:
    service.unsubscribe(session(), cookie=cookie())
    return redirect(url_for("viewing.shared"), 303)
