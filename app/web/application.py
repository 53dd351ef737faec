"""Flask, as Kinfold uses it: a request commits what it did before it answers, and templates get their helpers."""

import hashlib
import logging
import time
from pathlib import Path
from threading import BoundedSemaphore

from flask import Flask, Response, g, request
from flask.typing import ResponseReturnValue
from jinja2 import StrictUndefined

from app.errors import PhotosHidden
from app.house import House
from app.instance import take_notice
from app.security.permissions import Action
from app.web import access, compress, errors, headers, i18n
from app.web.places import Places
from app.web.session import commit, drop_session
from app.web.session import house as tools

log = logging.getLogger("kinfold.web")

LARGEST_FORM = 400_000
"""Bytes of a form. Less than what Werkzeug would put into a plain temporary file; uploads read their own body."""


class Kinfold(Flask):
    """Commits after a view of an unsafe method has succeeded, so that a commit that fails is an error page and not a success."""

    def dispatch_request(self) -> ResponseReturnValue:
        response = self.make_response(super().dispatch_request())
        if response.status_code < 400:
            commit()
        return response


def make_application(house: House, folder: Path) -> Kinfold:
    """The application without any feature: guard, session, errors, headers, words. `folder` is the project's."""
    static = folder / "app" / "static"
    app = Kinfold(
        "app", template_folder=str(folder / "templates"), static_folder=str(static), static_url_path=f"/static/{_version(static)}"
    )
    https = house.settings.https
    app.config.update(
        SECRET_KEY=house.keys.secret_keys[0],
        SECRET_KEY_FALLBACKS=list(house.keys.secret_keys[1:]),
        SESSION_COOKIE_NAME="__Host-kinfold_form" if https else "kinfold_form",
        SESSION_COOKIE_SECURE=https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        TRUSTED_HOSTS=house.settings.allowed_hosts,
        MAX_CONTENT_LENGTH=LARGEST_FORM,
        MAX_FORM_MEMORY_SIZE=LARGEST_FORM,
        WTF_CSRF_TIME_LIMIT=12 * 3600,
        WTF_CSRF_SSL_STRICT=False,  # our pages send no referrer; the guard looks at Sec-Fetch-Site instead
        TEMPLATES_AUTO_RELOAD=False,
    )
    app.extensions["kinfold"] = house
    app.extensions["kinfold_identifiers"] = {}
    app.extensions["kinfold_strangers"] = BoundedSemaphore(max(1, house.settings.threads // 4))
    app.extensions["kinfold_uploads"] = Places(house.settings.threads)
    app.extensions["kinfold_guest_uploads"] = Places(house.settings.threads // 2)
    app.extensions["kinfold_long_answers"] = Places(house.settings.threads)
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        product="Kinfold", contact=house.settings.contact, static=lambda name: f"{app.static_url_path}/{name}"
    )
    access.allow(Action.KNOCK)(app.view_functions["static"])
    app.before_request(_begin)
    app.before_request(access.guard)
    app.teardown_request(drop_session)
    app.after_request(_log_request)
    errors.install(app)
    headers.install(app)
    compress.install(app)
    i18n.install(app, house.clock, house.settings.language)
    access.install_form_token(app)
    return app


def _version(folder: Path) -> str:
    """A hash over all our static files. It stands in their addresses, so that browsers may keep them for a year; modules find one another
    by relative addresses, which is why it is one version for all."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _begin() -> None:
    g.began = time.perf_counter()
    if request.blueprint == "public" or request.endpoint == "static":
        return  # also when the database hangs: who asks whether this process lives must not wait for it
    if take_notice(tools().database, tools().clock):
        raise PhotosHidden


def _log_request(response: Response) -> Response:
    """One line a request: the route's template and never its path, which may hold a secret."""
    route = request.url_rule.rule if request.url_rule else "-"
    took = (time.perf_counter() - g.get("began", time.perf_counter())) * 1000
    log.info("%s %s %s %.0f ms", request.method if request.method.isalpha() else "?", route, response.status_code, took)
    return response
