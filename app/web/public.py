"""The few files that browsers and robots ask for at fixed addresses."""

import threading
import time
from weakref import WeakKeyDictionary

from flask import Blueprint, Response, jsonify, url_for

from app.house import House
from app.instance import take_notice
from app.security.permissions import Action
from app.storage.check import round_trip
from app.web.access import allow
from app.web.session import house

pages = Blueprint("public", __name__)


@pages.get("/robots.txt")
@allow(Action.KNOCK)
def robots() -> Response:
    return Response("User-agent: *\nDisallow: /\n", mimetype="text/plain")


@pages.get("/manifest.webmanifest")
@allow(Action.KNOCK)
def manifest() -> Response:
    """Says nothing about whose server this is."""
    icons = [
        {"src": url_for("static", filename=f"icon-{size}.png"), "sizes": f"{size}x{size}", "type": "image/png", "purpose": "any"}
        for size in (192, 512)
    ]
    response = jsonify(
        name="Kinfold",
        short_name="Kinfold",
        start_url="/",
        scope="/",
        display="standalone",
        background_color="#faf6ef",
        theme_color="#faf6ef",
        icons=icons,
    )
    response.mimetype = "application/manifest+json"
    return response


@pages.get("/healthz")
@allow(Action.KNOCK)
def healthz() -> Response:
    """The process answers."""
    return Response("ok\n", mimetype="text/plain")


@pages.get("/readyz")
@allow(Action.KNOCK)
def readyz() -> Response:
    """The process can do its work: the database answers, and the storage keeps a file, and to itself. Says only yes or no, and looks at
    most every ten seconds, whoever asks how often."""
    if take_notice(house().database, house().clock) or not _readiness.ready():
        return Response("not ready\n", status=503, mimetype="text/plain")
    return Response("ready\n", mimetype="text/plain")


class _Readiness:
    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._looked_at: WeakKeyDictionary[House, tuple[float, bool]] = WeakKeyDictionary()

    def ready(self) -> bool:
        """As it was at the last look, ten seconds ago at most, or one when we were not ready. Nobody waits for somebody else's look: one
        that hangs would hold a thread of everybody who asks."""
        at, ready = self._looked_at.get(house(), (float("-inf"), False))
        if time.monotonic() - at > (10 if ready else 1) and self._one_at_a_time.acquire(blocking=False):
            try:
                ready = self._look()
                self._looked_at[house()] = (time.monotonic(), ready)
            finally:
                self._one_at_a_time.release()
        return ready

    def _look(self) -> bool:
        try:
            with house().database.engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
            round_trip(house().storage)
        except Exception:  # noqa: BLE001  whatever it is, we are not ready
            return False
        return True


_readiness = _Readiness()
