"""From an upload to a photo: 12 megapixel JPEGs through a running Kinfold, against a script that only makes the pictures.

Counted is the CPU time of the worker and its decoder with all they do for a photo: engine, unsealing, cleaning, renditions, proof,
sealing, fsync, commits, destroying the upload. What receiving it costs the web server is told apart; the worker is halted meanwhile,
so that it then has the machine to itself, as the script has.
"""

import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from app.albums.service import REMOVE_OBJECTS
from app.ingest.service import PREPARE_PHOTO
from app.media.models import Photo, PhotoState
from app.storage.models import Removal
from tests.bench.measure import Line, Options, cpu, peak_memory, said, spread_of
from tests.bench.picture import another, phone_photo
from tests.bench.stage import Stage, decoder_of, stage, web_of, worker_of
from tests.server import Browser, Server

MOST_MEMORY = 200  # MB


@dataclass(frozen=True)
class Round:
    """CPU seconds for one photo, in the script and in the parts of Kinfold; `clock` is what it took by the wall, once all had arrived."""

    bare: float
    web: float
    worker: float
    decoder: float
    clock: float


def run(options: Options) -> Iterator[Line]:
    rounds, photos = (3, 6) if options.quick else (9, 12)
    with stage() as place:
        (place.settings.data / "photo.jpg").write_bytes(phone_photo())
        album = place.anna.album("Brittany 2026").id
        with place.serving() as server:
            anna = place.anna_at_her_phone()
            send(
                anna, album, [(f"IMG_{number}.jpg", another(phone_photo(), number)) for number in range(2)]
            )  # starts the decoder
            wait_until_done(place)
            measured = [_round(place, server, anna, album, range(1000 * n, 1000 * n + photos)) for n in range(1, rounds + 1)]
            peaks = {
                "web server": peak_memory(web_of(server)),
                "worker": peak_memory(worker_of(server)),
                "decoder": peak_memory(decoder_of(server)),
            }
    bare, web, working, decoding, clock = (
        statistics.median(getattr(each, part) for each in measured) for part in ("bare", "web", "worker", "decoder", "clock")
    )
    ratios = [each.bare / (each.worker + each.decoder) for each in measured]
    note = f"{said(bare)} against worker {said(working)} and decoder {said(decoding)}, {spread_of(ratios)}"
    yield Line("ingest: photos per CPU second, of a bare script's", statistics.median(ratios), at_least=0.8, note=note)
    yield Line("ingest: receiving one over HTTP", web * 1000, "ms", note="CPU of the web server, not counted above")
    yield Line("ingest: a photo by the clock, in a long row", clock, "s")
    for name, peak in peaks.items():
        yield Line(f"ingest: most memory of the {name}", peak, "MB", at_most=MOST_MEMORY)


def _round(place: Stage, server: Server, anna: Browser, album: str, numbers: range) -> Round:
    bare = _bare(place, len(numbers)) / len(numbers)
    photos = [(f"IMG_{number}.jpg", another(phone_photo(), number)) for number in numbers]
    return Round(bare, *prepare(place, server, anna, album, photos))


def prepare(
    place: Stage, server: Server, anna: Browser, album: str, photos: Sequence[tuple[str, bytes]]
) -> tuple[float, float, float, float]:
    """Send photos and have them prepared by a decoder that runs already: for one of them the CPU seconds of web server, worker and decoder,
    and what it took by the clock once all had arrived."""
    parts = web_of(server), worker_of(server), decoder_of(server)
    before = [cpu(part) for part in parts]
    with halted(place, *worker_of(server)):
        send(anna, album, photos)
        began = time.monotonic()
    wait_until_done(place)
    clock = time.monotonic() - began
    web, working, decoding = (cpu(part) - sooner for part, sooner in zip(parts, before, strict=True))
    return web / len(photos), working / len(photos), decoding / len(photos), clock / len(photos)


def _bare(place: Stage, photos: int) -> float:
    """CPU seconds of the script for so many photos."""
    folder = place.settings.data
    command = [sys.executable, "-m", "tests.bench.bare", str(folder / "photo.jpg"), str(folder), str(photos)]
    done = subprocess.run(command, env={**os.environ, "VIPS_CONCURRENCY": "1"}, capture_output=True, check=True, text=True)
    return float(done.stdout)


@contextmanager
def halted(place: Stage, *workers: int) -> Iterator[None]:
    """Halt workers, but not in the middle of a transaction: they would hold everybody up."""
    _signal(workers, signal.SIGSTOP)
    while not _database_is_free(place):
        _signal(workers, signal.SIGCONT)
        time.sleep(0.05)
        _signal(workers, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(workers, signal.SIGCONT)


def _signal(processes: Sequence[int], number: signal.Signals) -> None:
    for process in processes:
        os.kill(process, number)


def _database_is_free(place: Stage) -> bool:
    other = sqlite3.connect(place.settings.data / "kinfold.sqlite3", timeout=0.5, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    finally:
        other.close()
    return True


def send(anna: Browser, album: str, photos: Sequence[tuple[str, bytes]]) -> None:
    token = anna.token(f"/albums/{album}")
    for photo in photos:
        answer = anna.upload(f"/albums/{album}/photos", token, photo)
        if answer.status != 202:
            raise RuntimeError(f"an upload was answered with {answer.status}: {answer.body[:200]!r}")


def wait_until_done(place: Stage) -> None:
    """Until every photo is ready and nothing is left to tidy up."""
    while True:
        with place.house.database.reading() as session:
            states = set(session.scalars(sa.select(Photo.state).distinct()))
            removal = session.scalar(sa.select(Removal.id).limit(1))
            jobs = [place.house.jobs.live_subjects(session, job) for job in (PREPARE_PHOTO, REMOVE_OBJECTS)]
        if PhotoState.REFUSED in states:
            raise RuntimeError("a photo was refused")
        if not (PhotoState.RECEIVED in states or removal or any(jobs)):
            return
        time.sleep(0.1)
