"""`/metrics` for Prometheus: how the server is doing, without a name, an address or an identifier of anybody.

A WSGI layer around everything, so that it counts photo bytes too, and answers whoever brings the right word whatever host they ask for:
each node is asked at its own address. To all others `/metrics` is an address that there is not: it gets the usual 404.
"""

import hmac
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Flask, Response, request
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from app.errors import WrongSetting
from app.house import House
from app.jobs.executors import living_workers
from app.ops.console import version
from app.ops.status import Totals, count_up

Environ = dict[str, Any]

FRESH = 10.0
"""Seconds for which counted rows are told again, however often they are asked for."""

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
METHODS = frozenset(("GET", "HEAD", "POST"))
ROUTE = "kinfold.route"
SHORTEST = 20


def install(app: Flask, house: House) -> None:
    """Count and answer, if there is a word for it in the settings; otherwise leave everything as it is. To be put around everything else.

    Raises `WrongSetting` for a word that can be guessed: nobody counts the tries.
    """
    token = house.settings.metrics_token
    if token is None:
        return
    if len(token) < SHORTEST:
        raise WrongSetting(f"KINFOLD_METRICS_TOKEN needs at least {SHORTEST} characters, so that nobody guesses it.")
    app.after_request(_note_route)
    app.wsgi_app = Metrics(app.wsgi_app, house, token)  # type: ignore[method-assign]


def _note_route(response: Response) -> Response:
    """The template of the route, for whoever counts outside; never its path, which may hold a secret."""
    if request.url_rule is not None:
        request.environ[ROUTE] = request.url_rule.rule
    return response


class Metrics:
    """Counts every request to `inner` by method, route and status, and answers `/metrics` itself."""

    def __init__(self, inner: Callable[..., Iterable[bytes]], house: House, token: str) -> None:
        self._inner = inner
        self._expected = f"Bearer {token}".encode()
        self._registry = CollectorRegistry()
        self._registry.register(_Rows(house))
        self._took = Histogram(
            "kinfold_request_seconds",
            "Requests that this process has answered, and how long it took until the answer began.",
            ("method", "route", "status"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._known: dict[tuple[str, str, str], Histogram] = {}

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics" and self._is_allowed(environ):
            return self._tell(start_response)
        began = time.perf_counter()
        status = "500"

        def start(line: str, *rest: Any) -> Any:
            nonlocal status
            status = line[:3]
            return start_response(line, *rest)

        try:
            return self._inner(environ, start)
        finally:
            method = environ.get("REQUEST_METHOD", "")
            route = "/m/<token>" if path.startswith("/m/") else environ.get(ROUTE, "-")
            self._count((method if method in METHODS else "other", route, status), time.perf_counter() - began)

    def _count(self, labels: tuple[str, str, str], seconds: float) -> None:
        child = self._known.get(labels)
        if child is None:
            child = self._known[labels] = self._took.labels(*labels)
        child.observe(seconds)

    def _is_allowed(self, environ: Environ) -> bool:
        sent = environ.get("HTTP_AUTHORIZATION", "").encode("latin-1", "replace")
        return environ.get("REQUEST_METHOD") == "GET" and hmac.compare_digest(sent, self._expected)

    def _tell(self, start_response: Callable[..., Any]) -> Iterable[bytes]:
        text = generate_latest(self._registry)
        headers = [("Content-Type", CONTENT_TYPE_PLAIN_0_0_4), ("Content-Length", str(len(text))), ("Cache-Control", "no-store")]
        start_response("200 OK", headers)
        return [text]


class _Rows(Collector):
    """What the rows say, counted when somebody asks; a database that does not answer leaves only `kinfold_up 0`."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._one_at_a_time = threading.Lock()
        self._counted: tuple[float, list[Metric]] = (float("-inf"), [])
        self._version = version()

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("kinfold_build", "Which version this is.", {"version": self._version})
        with self._one_at_a_time:
            if time.monotonic() - self._counted[0] > FRESH:
                self._counted = (time.monotonic(), self._count())
            yield from self._counted[1]

    def _count(self) -> list[Metric]:
        house = self._house
        try:
            with house.database.reading() as session:
                totals = count_up(session, at=house.clock.now())
            workers = living_workers(house.settings, house.database)
        except Exception:  # noqa: BLE001  whatever it is, this is how it is told
            return [_gauge("up", "Whether the database answers.", 0)]
        return [
            _gauge("up", "Whether the database answers.", 1),
            _gauge("workers", "Workers at work.", workers),
            *_gauges(totals),
        ]


def _gauges(totals: Totals) -> Iterator[Metric]:
    photos = GaugeMetricFamily("kinfold_photos", "Photos by state.", labels=["state"])
    for state, number in totals.photos.items():
        photos.add_metric([state.value], number)
    yield photos
    yield _gauge(
        "oldest_waiting_seconds", "How long the oldest photo that waits has waited; 0 when none does.", totals.waiting or 0
    )
    yield _gauge("reports", "Photos of which somebody says that something is wrong, and no owner has answered.", totals.reports)
    yield _gauge("stored_bytes", "Bytes of stored photos.", totals.stored)
    yield _gauge("groups", "Families, schools and clubs.", totals.groups)
    yield _gauge("sessions", "Browsers in which a member is signed in.", totals.sessions)
    yield _gauge("devices", "Browsers of guests that may come back.", totals.devices)
    yield _gauge("links", "Links that still let somebody in.", totals.links)
    yield _gauge("exposed", "1 when strangers could read the bucket at the last look.", int(totals.exposed))
    if totals.since_backup is not None:
        yield _gauge("backup_age_seconds", "How old the last backup is; absent when there was none.", totals.since_backup)


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"kinfold_{name}", what, value)
