"""The one place where the product's errors become HTTP, and the same words for pages and for scripts."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, g, jsonify, make_response, render_template, request
from flask.globals import request_ctx as request_context
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from werkzeug.exceptions import HTTPException, InternalServerError, NotFound, RequestEntityTooLarge, ServiceUnavailable

from app.errors import AlbumClosed, LinkEnded, NotVisible, PhotosHidden, Refused, TooLarge, TooOften
from app.security.permissions import Asks
from app.security.viewer import Nobody
from app.storage.port import StorageFailed
from app.web.access import access_of
from app.web.session import drop_session, house
from app.web.viewer import credential, sent_cookie, take_cookie

log = logging.getLogger("kinfold.web")

DISK_FULL = "53100"  # PostgreSQL's code


def wants_json() -> bool:
    """Whether a script is asking: it says so with `Accept: application/json`."""
    return request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"


def install(app: Flask) -> None:
    """Teach the app what to answer when something is not there, has ended, or can't be done."""
    answers: dict[type[Exception] | int, Callable[[Any], Response]] = {
        NotVisible: _not_found,
        NotFound: _not_found,
        LinkEnded: lambda _: _answer("link_ended", 410, back=_page_in_another_language()),
        AlbumClosed: _closed,
        Refused: lambda error: _answer("bad_request", 400, reason=error.reason, facts=error.facts),
        TooLarge: lambda error: _answer("too_large", 413, reason=error.reason, facts=error.facts),
        RequestEntityTooLarge: lambda _: _answer("too_large", 413, reason="request-too-large"),
        CSRFError: lambda _: _answer("expired_form", 400, reason="form-expired", back=_page_of_form()),
        TooOften: _too_often,
        PhotosHidden: _hidden,
        StorageFailed: _storage_failed,
        OperationalError: _database_failed,
        NoConnectionFree: _database_failed,
        IntegrityError: _database_failed,
        HTTPException: _other,
        InternalServerError: _server_error,
    }
    for error, answer in answers.items():
        app.register_error_handler(error, _after_dropping_the_session(answer))


def _after_dropping_the_session(answer: Callable[[Any], Response]) -> Callable[[Any], Response]:
    def handle(error: Any) -> Response:
        drop_session()
        return answer(error)

    return handle


def _answer(
    page: str, status: int, *, reason: str = "", facts: Mapping[str, object] | None = None, **context: object
) -> Response:
    """An error page, or for a script `{"error": reason}` with the facts that are numbers or words."""
    if wants_json():
        told = {name: fact for name, fact in (facts or {}).items() if isinstance(fact, int | str)}
        return make_response(jsonify({"error": reason or page.replace("_", "-")} | told), status)
    return make_response(render_template(f"errors/{page}.html", reason=reason, facts=facts or {}, **context), status)


def _not_found(_error: Exception) -> Response:
    """The same answer for what is not there and for what is not for you.

    Only somebody without any power gets the sign-in link. A browser whose power has ended is told to forget what it has kept.
    """
    stranger = all(isinstance(credential(asks).viewer, Nobody) for asks in (Asks.MEMBER, Asks.DEVICE))
    response = _answer("not_found", 404, sign_in=stranger)
    asked = g.get("asked")
    if asked is not None and sent_cookie(asks=asked) is not None and isinstance(credential(asked).viewer, Nobody):
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
        take_cookie(response, asked)
    return response


def _closed(error: AlbumClosed) -> Response:
    """Time ran out: a known device is told whom to ask, and to drop the pictures that it has kept."""
    back = _page_in_another_language()
    response = _answer("closed", 410, sender=error.sender, album=error.album, more_time=error.more_time, back=back)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def _page_of_form() -> str:
    """The page that a form most likely stood on: the nearest address above its own that can be looked at."""
    adapter, path = request_context.url_adapter, request.path
    while adapter is not None and path:
        if adapter.test(path, method="GET"):
            endpoint, _ = adapter.match(path, method="GET")
            access = access_of(endpoint)
            if access is not None and access.is_page:
                return path
        path = path.rpartition("/")[0]
    return "/"


def _page_in_another_language() -> str:
    """Where somebody goes on who chooses another language on an error page; empty where that is the page itself."""
    return "" if request.method in ("GET", "HEAD") else _page_of_form()


def _too_often(error: TooOften) -> Response:
    response = _answer("too_often", 429, again_at=error.again_at)
    wait = (error.again_at - house().clock.now()).total_seconds()
    response.headers["Retry-After"] = str(max(1, round(wait)))
    return response


def _hidden(_error: PhotosHidden) -> Response:
    response = _answer("hidden", 503)
    response.headers["Retry-After"] = "60"
    return response


def _storage_failed(error: StorageFailed) -> Response:
    log.error("storage failed: %s", error.reason)
    return _answer("bad_request", 507 if error.reason == "disk-full" else 503, reason=error.reason)


def _database_failed(error: OperationalError | IntegrityError | NoConnectionFree) -> Response:
    """Whatever it is, nothing was kept, and the same may work in a moment: the database is away or full, or somebody did the same first."""
    cause = getattr(error, "orig", None)
    clashed = isinstance(error, IntegrityError)
    full = getattr(cause, "sqlstate", None) == DISK_FULL or (not clashed and "full" in str(cause))
    log.error("the database failed: %s", "the disk is full" if full else "two at once" if clashed else "busy or unreachable")
    response = _answer("bad_request", 507 if full else 503, reason="disk-full" if full else "busy")
    response.headers["Retry-After"] = "5"
    return response


def _other(error: HTTPException) -> Response:
    if error.code is None or error.code < 400:
        return make_response(error.get_response())
    if error.code == 405:
        return _not_found(error)
    response = _answer("bad_request", error.code, reason="busy" if error.code in (423, 503) else "request-bad")
    if isinstance(error, ServiceUnavailable):
        response.headers["Retry-After"] = "5"
    return response


def _server_error(error: InternalServerError) -> Response:
    cause = error.original_exception
    log.error(
        "failed on %s: %s",
        request.url_rule.rule if request.url_rule else "no route",
        type(cause or error).__name__,
        exc_info=cause,
    )
    if wants_json():
        return make_response(jsonify(error="server"), 500)
    return make_response(render_template("errors/server.html"), 500)
