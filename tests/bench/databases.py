"""What a larger house costs: PostgreSQL against SQLite, and a bucket (a real SeaweedFS) against the disk of this machine.

Three servers of the same Kinfold, asked in turns. By the wall, because what is compared is mostly waiting; without limits, for whoever
chooses between them. PostgreSQL waits for the disk here, as it does for everybody's photos.
"""

import asyncio
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from app.media.models import RenditionName
from tests import postgres, seaweed
from tests.bench.ingest import send, wait_until_done
from tests.bench.load import head, repeat
from tests.bench.measure import Line, Options, compare
from tests.bench.picture import phone_photo
from tests.bench.stage import Stage, stage
from tests.server import Browser

TITLE, PHOTOS, SIZE = "Brittany 2026", 60, 60_000


@dataclass
class House:
    """One of the servers, with Anna at her phone, an album of sixty photos and another that is being filled."""

    place: Stage
    anna: Browser
    page: bytes
    photo: bytes
    filling: str
    sent: int = 0

    def seconds(self, request: bytes) -> float:
        """How long an answer takes, in the middle of twenty."""
        return statistics.median(asyncio.run(repeat(self.place.server.port, request, times=20)))

    def upload(self, photos: int) -> float:
        """How long a photo takes from the phone until it is ready and all is tidied up."""
        began = time.perf_counter()
        send(self.anna, self.filling, range(self.sent, self.sent + photos))
        wait_until_done(self.place)
        self.sent += photos
        return (time.perf_counter() - began) / photos


def run(options: Options) -> Iterator[Line]:
    rounds, photos = (3, 3) if options.quick else (9, 8)
    phone_photo()  # made now, not while somebody looks at the clock
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kinfold-bench-")))
        bucket = stack.enter_context(seaweed.seaweed_in(scratch / "seaweed"))
        cluster = postgres.new_cluster(durable=True)
        stack.callback(cluster.remove)
        stack.enter_context(patch.dict(os.environ, seaweed.KEYS))
        usual = _open(stack)
        on_postgres = _open(stack, KINFOLD_DATABASE_URL=cluster.database("bench"), **postgres.KEYS)
        on_s3 = _open(stack, KINFOLD_STORAGE_URL=bucket.url(bucket.bucket()), **postgres.KEYS, **seaweed.KEYS)
        measured: dict[str, Callable[[House], float]] = {
            "an album page": lambda house: house.seconds(house.page),
            "60 kB of a photo": lambda house: house.seconds(house.photo),
            "a photo until it is ready": lambda house: house.upload(photos),
        }
        for what, measure in measured.items():
            for house in (usual, on_postgres, on_s3):
                measure(house)
            took = [(measure(usual), measure(on_postgres), measure(on_s3)) for _ in range(rounds)]
            sqlite, larger, s3 = zip(*took, strict=True)
            yield compare(f"databases: {what} on PostgreSQL, of SQLite's time", larger, sqlite)
            yield compare(f"databases: {what} in a bucket, of the disk's time", s3, sqlite)


def _open(stack: ExitStack, **env: str) -> House:
    place = stack.enter_context(stage(**env))
    place.develop(TITLE, place.fill(TITLE, PHOTOS)[:1], {RenditionName.GRID: SIZE})
    filling, server = place.anna.album("Tom is six").id, stack.enter_context(place.serving())
    anna, path = place.anna_at_her_phone(), f"/albums/{place.anna.albums[TITLE].id}"
    cookies = {cookie.name: cookie.value or "" for cookie in anna.cookies}
    shown = re.search(r'<img src="(/m/[^"]+)"', anna.get(path).body.decode())
    assert shown
    page, photo = (head(server.port, "GET", each, cookies, Accept_Encoding="gzip") for each in (path, shown[1]))
    return House(place, anna, page, photo, filling)
