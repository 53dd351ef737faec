"""An album of 2,000 photos as one zip, against a single file, from the same server.

That file is served by the same code, sealed in the same storage; the zip opens keys and an object 2,000 times more.
Speed is bytes for a CPU second of the web server.
"""

import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from statistics import median

from app.media.models import RenditionName
from app.security.permissions import Asks
from app.security.tokens import EVERYTHING, cookie_digest
from app.web.viewer import cookie_name
from tests.bench.load import head
from tests.bench.measure import Line, Options, cpu, peak_memory, spread_of
from tests.bench.stage import Stage, stage, web_of
from tests.server import Server

PHOTOS = 2_000
SIZE, SMALL = 2_500_000, 500_000
"""Bytes of a photo: 12 megapixels of a phone have 2 to 5 MB; one that came by a messenger has less."""
OBJECTS = 100
"""So many lie in storage; the photos share them, or the disk would need room for all of what is sent."""
ONE = 250_000_000
"""Bytes of a single file. There are three of them, written before, between and after the photos, because where the kernel has put a file
makes a quarter of a difference; they are read in turn until as much has come as is in the zip."""


@dataclass(frozen=True)
class Took:
    """Seconds to the first byte, seconds to the last, CPU seconds of the server, and the bytes of the content."""

    first: float
    all: float
    cost: float
    size: int


def run(options: Options) -> Iterator[Line]:
    rounds = 3 if options.quick else 7
    with stage() as place:
        films = [one_file(place, "First")]
        for size in (SIZE, SMALL):
            photos = place.fill(f"Of {size}", PHOTOS)
            place.develop(f"Of {size}", photos, {RenditionName.FULL: size}, objects=OBJECTS)
            films.append(one_file(place, f"After {size}"))
        with place.serving() as server:
            for size in (SIZE, SMALL):
                whole = request(place, place.anna.albums[f"Of {size}"].id, EVERYTHING)
                fetch(server, *films)
                before = peak_memory(web_of(server))
                many = list(islice(cycle(films), PHOTOS * size // ONE))
                pairs = [(fetch(server, whole), fetch(server, *many)) for _ in range(rounds)]
                yield from _lines(size, pairs, before, peak_memory(web_of(server)))


def _lines(size: int, pairs: Sequence[tuple[Took, Took]], before: float, after: float) -> Iterator[Line]:
    zips, files = zip(*pairs, strict=True)
    what, firsts = f"zip of {PHOTOS} photos of {size / 1e6:.1f} MB", [took.first * 1000 for took in zips]
    yield Line(f"{what}: the first byte", median(firsts), "ms", at_most=300, note=f"at most {max(firsts):.0f}")
    yield Line(f"{what}: the web server's memory grows by", after - before, "MB", at_most=20, note=f"{before:.0f} before")
    speeds = [(ours.size / ours.cost) / (file.size / file.cost) for ours, file in pairs]
    rates = [median(took.size / took.all / 1e6 for took in each) for each in (zips, files)]
    said = f"by the wall {rates[0]:.0f} MB/s against {rates[1]:.0f}, {spread_of(speeds)}"
    yield Line(f"{what}: its speed, of that of one file", median(speeds), at_least=0.8 if size == SIZE else None, note=said)


def one_file(place: Stage, title: str) -> bytes:
    """The request for a photo of `ONE` bytes."""
    (film,) = place.fill(title, 1)
    place.develop(title, [film], {RenditionName.FULL: ONE})
    return request(place, film, "full")


def request(place: Stage, photo: str, rendition: str) -> bytes:
    """Anna's request for what stands at such an address."""
    house, cookie = place.house, place.anna.cookie
    digest, at = cookie_digest(cookie), house.clock.now()
    token = house.tokens.media(photo=photo, rendition=rendition, kind="member", cookie=digest, at=at, save=True)
    cookies = {cookie_name(Asks.MEMBER, https=False): cookie}
    return head(place.server.port, "GET", f"/m/{token}", cookies, Connection="close")


def fetch(server: Server, *requests: bytes) -> Took:
    """Read answers to their ends as fast as they come; how long the first byte took is told of the first."""
    each = [_fetch(server, request) for request in requests]
    return Took(each[0].first, *(sum(getattr(took, part) for took in each) for part in ("all", "cost", "size")))


def _fetch(server: Server, request: bytes) -> Took:
    room, processes = bytearray(1 << 20), web_of(server)
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        began, before = time.perf_counter(), cpu(processes)
        line.sendall(request)
        start = b""
        while not (answer := start.partition(b"\r\n\r\n"))[2]:
            start += line.recv(65_536)
        first = time.perf_counter() - began
        if not start.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"answered with {start[:40]!r}")
        size = len(answer[2])
        while got := line.recv_into(room):
            size += got
        promised = next(
            int(field.split(b":")[1]) for field in answer[0].lower().split(b"\r\n") if field.startswith(b"content-length:")
        )
    if size != promised:
        raise RuntimeError(f"{size} bytes came instead of {promised}")
    return Took(first, time.perf_counter() - began, cpu(processes) - before, size)
