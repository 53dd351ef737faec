"""Pages: an album of ten thousand photos opens as fast at its end as at its beginning, and as fast as a small one.

Through the whole application as a server calls it, on a real database file, without a server around it. `--profile` says where the
time of an album page goes.
"""

import cProfile
import pstats
import statistics
from collections.abc import Callable, Iterator

from flask import Flask
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app import create_app
from app.security.permissions import Asks
from app.web.viewer import cookie_name
from tests.bench.measure import Line, Options, compare, own_cpu, said, spread_of
from tests.bench.stage import Stage, stage

PAGE = 60
DEPTH = 10_000


def run(options: Options) -> Iterator[Line]:
    rounds = 9 if options.quick else 41
    with stage() as place:
        photos = place.fill("Ten thousand", DEPTH + PAGE)
        place.fill("Sixty", PAGE)
        app = create_app(place.settings, place.house)
        albums = {title: album.id for title, album in place.anna.albums.items()}
        large, small = albums["Ten thousand"], albums["Sixty"]
        rose = place.guest_of("Ten thousand")
        for who, root, asks, cookie in (
            ("a member", "/albums", Asks.MEMBER, place.anna.cookie),
            ("a guest", "/shared", Asks.DEVICE, rose),
        ):
            first = page_of(app, place, f"{root}/{large}", asks, cookie)
            deep = page_of(app, place, f"{root}/{large}?after={photos[DEPTH - 1]}", asks, cookie)
            deep_costs, first_costs = in_turns(deep, first, rounds)
            yield compare(f"pages: {who}'s album page at photo 10,000, of the first", deep_costs, first_costs, at_most=1.2)
        member = place.anna.cookie
        for what, path, limit in (
            ("an album of 10,060 photos, of one of 60", f"/albums/{large}", 1.2),
            ("photo 5,000 by itself, of an album of 60", f"/photos/{photos[4999]}", None),
            ("the albums, of an album of 60", "/albums", None),
            ("the people, of an album of 60", "/people", None),
        ):
            costs, base = in_turns(
                page_of(app, place, path, Asks.MEMBER, member),
                page_of(app, place, f"/albums/{small}", Asks.MEMBER, member),
                rounds,
            )
            yield compare(f"pages: {what}", costs, base, at_most=limit)
        nothing = [own_cpu(page_of(app, place, "/healthz", Asks.MEMBER, member), times=20) for _ in range(rounds)]
        yield Line("pages: a view that only says ok", statistics.median(nothing) * 1000, "ms", note=spread_of(nothing))
        if options.profile:
            _profile(page_of(app, place, f"/albums/{small}", Asks.MEMBER, member))


def page_of(app: Flask, place: Stage, path: str, asks: Asks, cookie: str) -> Callable[[], None]:
    """A browser's request for a page, ready to be made again and again; it takes compressed answers, as browsers do."""
    headers = Headers({"Cookie": f"{cookie_name(asks, https=False)}={cookie}", "Accept-Encoding": "gzip"})
    builder = EnvironBuilder(path, base_url=place.settings.base_url, headers=headers)
    environ = builder.get_environ()

    def get() -> None:
        body, status, _ = run_wsgi_app(app, dict(environ), buffered=True)
        if not status.startswith("200"):
            raise RuntimeError(f"{path} was answered with {status}")
        b"".join(body)

    for _ in range(3):
        get()
    return get


def in_turns(one: Callable[[], None], other: Callable[[], None], rounds: int) -> tuple[list[float], list[float]]:
    costs = [(own_cpu(one, times=3), own_cpu(other, times=3)) for _ in range(rounds)]
    return [cost for cost, _ in costs], [cost for _, cost in costs]


def _profile(get: Callable[[], None]) -> None:
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(30):
        get()
    profile.disable()
    print(f"    30 album pages of 60 photos; one takes {said(own_cpu(get, times=30))} without the profiler")
    pstats.Stats(profile).sort_stats("tottime").print_stats(15)
