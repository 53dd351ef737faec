"""The few files that browsers and robots ask for at fixed addresses."""

import json
import threading
import time
from weakref import WeakKeyDictionary

from flask import Blueprint, Response, current_app, jsonify, render_template, request, url_for

from app.house import House
from app.instance import take_notice
from app.security.permissions import Action
from app.storage.check import round_trip
from app.web.access import allow
from app.web.i18n import prefer
from app.web.session import house

pages = Blueprint("public", __name__)


@pages.get("/robots.txt")
@allow(Action.KNOCK)
def robots() -> Response:
    return Response("User-agent: *\nDisallow: /\n", mimetype="text/plain")


@pages.get("/manifest.webmanifest")
@allow(Action.KNOCK)
def manifest() -> Response:
    """Says nothing about whose server this is.

    An iPhone gives an app of its own its own cookies, so that Rose would be a stranger there. It knows `display` only and opens its own
    browser; the others read `display_override` first.
    """
    icons = [
        {
            "src": url_for("static", filename=f"icon-{size}.png"),
            "sizes": f"{size}x{size}",
            "type": "image/png",
            "purpose": purpose,
        }
        for size, purpose in ((192, "any"), (512, "any"), (512, "maskable"))
    ]
    response = jsonify(
        id="/",
        name="Kinfold",
        short_name="Kinfold",
        start_url="/",
        scope="/",
        display="browser",
        display_override=["standalone"],
        background_color="#faf6ef",
        theme_color="#faf6ef",
        icons=icons,
    )
    response.mimetype = "application/manifest+json"
    return response


@pages.get("/service-worker.js")
@allow(Action.KNOCK)
def service_worker() -> Response:
    """Stands at the root because it looks after all pages. Another version of our static files is another worker."""
    static = f"{current_app.static_url_path}/"
    script = f"const STATIC = {json.dumps(static)};\nimportScripts(STATIC + 'js/service-worker.js');\n"
    return Response(script, mimetype="text/javascript")


@pages.get("/offline")
@allow(Action.KNOCK)
def offline() -> str:
    """What the service worker shows when there is no line, in the language of the page that brought it in."""
    prefer(request.args.get("language"))
    return render_template("public/offline.html")


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
