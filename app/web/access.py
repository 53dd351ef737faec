"""Closed by default: every route names the action it needs, and what is not allowed does not exist (404).

The order of an unsafe request is fixed here: who is asking (a short look at the database), may they, does the request come from our own
pages, then its body, then its form's token, and only then the view with its writing session.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import ParamSpec, TypeVar, cast

from flask import Flask, current_app, g, request
from flask_wtf.csrf import CSRFError, generate_csrf, validate_csrf
from werkzeug.exceptions import ServiceUnavailable
from wtforms.validators import ValidationError

from app.errors import NotVisible
from app.security.permissions import Action, Asks, may
from app.security.viewer import Nobody
from app.web.session import SAFE_METHODS
from app.web.viewer import NO_CREDENTIAL, credential

FOREVER = 10 * 365 * 86_400
"""Seconds a form's token is good for where a page may lie open for weeks: Rose's link. ("No limit" can't be said: None means the usual.)"""

P = ParamSpec("P")
R = TypeVar("R")


class CrossSite(NotVisible):
    """A page of somebody else's tried to act in our reader's name."""


@dataclass(frozen=True)
class Access:
    """What a view declares by `@allow`."""

    action: Action
    checks_own_token: bool
    is_page: bool


def access_of(endpoint: str) -> Access | None:
    """What the view of an endpoint has declared."""
    return cast("Access | None", getattr(current_app.view_functions[endpoint], "kinfold_access", None))


def allow(action: Action, *, checks_own_token: bool = False, is_page: bool = True) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare who may use a view. A view that reads its own body (an upload), or says its own words about a form that was open for too
    long (a personal link), checks the form's token itself. An address that only scripts read is no page to lead a person back to."""

    def declare(view: Callable[P, R]) -> Callable[P, R]:
        view.kinfold_access = Access(action, checks_own_token, is_page)  # type: ignore[attr-defined]
        return view

    return declare


def check_every_route_declares(app: Flask) -> None:
    """Raises `RuntimeError` when a route does not say who may use it, so that a forgotten line stops the start."""
    missing = sorted(name for name, view in app.view_functions.items() if not hasattr(view, "kinfold_access"))
    if missing:
        raise RuntimeError(f"These routes do not say who may use them; give each an @allow(Action...): {', '.join(missing)}")


def guard() -> None:
    """Runs before every view. Raises `NotVisible` for what this browser may not do, `CSRFError` for a form that is not ours."""
    if request.endpoint is None:
        return  # no such address: routing raises its own 404
    access = access_of(request.endpoint)
    if access is None:
        raise NotVisible
    action = access.action
    g.asked = None if action.asks is Asks.NOBODY else action.asks
    g.credential = NO_CREDENTIAL if action.asks is Asks.NOBODY else credential(action.asks)
    if not may(g.credential.viewer, action):
        raise NotVisible
    if request.method in SAFE_METHODS:
        return
    # Every power now: noting a visit must not wait for the writing session that is about to begin.
    stranger = all(isinstance(viewer, Nobody) for viewer in [credential(power).viewer for power in (Asks.MEMBER, Asks.DEVICE)])
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise CrossSite
    if stranger or not access.checks_own_token:  # a stranger never gets to read a body in their own way
        read_form(stranger=stranger)
    if not access.checks_own_token:
        check_form_token(sent_form_token())


def read_form(*, stranger: bool) -> None:
    """Have the whole form before anything is done with it.

    A thread waits while a form comes in, and the server gives us no time limit for that. So that strangers who send half a form can't take
    every thread, only a few of them are listened to at a time. Raises `ServiceUnavailable` for one too many.
    """
    if not stranger:
        _ = request.form
        return
    places = cast(BoundedSemaphore, current_app.extensions["kinfold_strangers"])
    if not places.acquire(blocking=False):
        raise ServiceUnavailable
    try:
        _ = request.form
    finally:
        places.release()


def sent_form_token() -> str | None:
    """The token that the form, or a script of ours, sent along; reads the body."""
    return request.headers.get("X-CSRFToken") or request.form.get("csrf_token")


def check_form_token(token: str | None, *, time_limit: int | None = None) -> None:
    """Raises `CSRFError` unless the token is this browser's and not too old."""
    try:
        validate_csrf(token, time_limit=time_limit)
    except ValidationError as error:
        raise CSRFError(error.args[0]) from None
    g.csrf_valid = True  # so that Flask-WTF's forms need not check again


def install_form_token(app: Flask) -> None:
    """Give templates `csrf_token()`, the first field of every form."""
    app.jinja_env.globals["csrf_token"] = generate_csrf
