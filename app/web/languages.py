"""Choosing a language on this browser: a preference and no power, so it is a cookie and nothing else."""

from datetime import timedelta

from flask import Blueprint, Response, make_response, redirect, request

from app.errors import NotVisible
from app.security.permissions import Action
from app.web.access import allow
from app.web.forms import own_path
from app.web.i18n import CHOSEN, LANGUAGES
from app.web.viewer import give_plain_cookie

pages = Blueprint("languages", __name__)


@pages.post("/language")
@allow(Action.KNOCK)
def choose() -> Response:
    """Speak another language here from now on, and go on where one was. Raises `NotVisible` for one that we do not speak."""
    code = request.form.get("language", "")
    if code not in LANGUAGES:
        raise NotVisible
    response = make_response(redirect(own_path(request.form.get("back")) or "/", 303))
    give_plain_cookie(response, CHOSEN, code, keep=timedelta(days=365))
    return response
