"""Photo bytes: `/m/` of a sealed rendition of 60 kB against the app's own view that only says ok, on the same server.

Each answer decides about access, opens an album's key and an object's key, and opens what was sealed.
"""

import asyncio
import secrets
from collections.abc import Iterator
from functools import partial

import sqlalchemy as sa

from app.ids import new_id
from app.media.models import Rendition, RenditionName
from app.security.permissions import Asks
from app.security.tokens import cookie_digest
from app.storage.sealed import Sealed, SealedKey
from app.web.viewer import cookie_name
from tests.bench.load import head, repeat
from tests.bench.measure import Line, Options, compare, cpu
from tests.bench.stage import Stage, stage, web_of
from tests.server import Server

SIZE = 60_000
LIMITS = {1: 1.5, 8: 2.5}


def run(options: Options) -> Iterator[Line]:
    rounds, times = (5, 400) if options.quick else (11, 800)
    with stage() as place:
        place.anna.album("Brittany 2026")
        photo = place.anna.photo("Brittany 2026")
        _make_larger(place, photo)
        cookie = place.guest_of("Brittany 2026")
        token = place.house.tokens.media(
            photo=photo, rendition="grid", kind="device", cookie=cookie_digest(cookie), at=place.house.clock.now()
        )
        cookies = {cookie_name(Asks.DEVICE, https=False): cookie}
        with place.serving() as server:
            bytes_of, ok = (head(server.port, "GET", path, cookies) for path in (f"/m/{token}", "/healthz"))
            for connections, limit in LIMITS.items():
                measured = partial(_cost, server, times=times, connections=connections)
                measured(bytes_of), measured(ok)
                costs = [(measured(bytes_of), measured(ok)) for _ in range(rounds)]
                photos, oks = zip(*costs, strict=True)
                at = "one connection" if connections == 1 else f"{connections} connections"
                yield compare(f"bytes: 60 kB from /m/, of a view that says ok, {at}", photos, oks, at_most=limit)


def _cost(server: Server, request: bytes, *, times: int, connections: int) -> float:
    """CPU seconds of the web server for one request."""
    processes = web_of(server)
    before = cpu(processes)
    asyncio.run(repeat(server.port, request, times=times, connections=connections))
    return (cpu(processes) - before) / times


def _make_larger(place: Stage, photo: str) -> None:
    """Put a sealed object of 60 kB in the place of a photo's grid rendition."""
    album, keys = place.anna.albums["Brittany 2026"], dict[str, SealedKey]()
    name = f"albums/{album.id}/{new_id()}"
    writer = Sealed(place.house.storage, album.key, keys).create(name)
    writer.write(secrets.token_bytes(SIZE))
    writer.commit()
    row = {"object_name": name, "wrapped_key": keys[name].wrapped, "size": SIZE}
    with place.house.database.writing() as session:
        session.execute(
            sa.update(Rendition).where(Rendition.photo_id == photo, Rendition.name == RenditionName.GRID).values(**row)
        )
