"""Two workers on two cores against one of them: how much sooner a roll of photos is ready, by the clock.

In every other round the second worker is halted before anything is sent. A roll is long enough for its last photo, which only one of
them can prepare, not to count for much; a family's has hundreds. Only on a machine that has nothing else to do this says
anything; the last line of `make bench` tells how busy it was.
"""

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack

from tests.bench.ingest import halted, send, wait_until_done
from tests.bench.measure import Line, Options, said, spread_of
from tests.bench.picture import another, phone_photo
from tests.bench.stage import Stage, stage, worker_of
from tests.server import Browser, Server

WORKERS = 2


def run(options: Options) -> Iterator[Line]:
    if (os.cpu_count() or 1) < WORKERS:
        print("    workers: skipped, this machine has one core")
        return
    rounds, photos = (3, 24) if options.quick else (5, 96)
    with stage(KINFOLD_WORKERS=str(WORKERS)) as place:
        album = place.anna.album("Brittany 2026").id
        with place.serving() as server:
            anna = place.anna_at_her_phone()
            for both in range(WORKERS):  # starts both decoders
                _took(place, server, anna, album, range(8 * both, 8 * both + 8), working=WORKERS)
            one, two = [], []
            for round_ in range(1, rounds + 1):
                first = 1000 * round_
                one.append(_took(place, server, anna, album, range(first, first + photos), working=1))
                two.append(_took(place, server, anna, album, range(first + 500, first + 500 + photos), working=WORKERS))
    ratios = [alone / together for alone, together in zip(one, two, strict=True)]
    note = f"{said(statistics.median(two))} a photo against {said(statistics.median(one))}, {spread_of(ratios)}"
    yield Line("workers: photos per second of two, of one's", statistics.median(ratios), at_least=1.7, note=note)


def _took(place: Stage, server: Server, anna: Browser, album: str, numbers: range, *, working: int) -> float:
    """Seconds by the clock for one of these photos, once all had arrived."""
    workers = worker_of(server)
    with ExitStack() as idle:
        idle.enter_context(halted(place, *workers[working:]))
        with halted(place, *workers[:working]):
            send(anna, album, [(f"IMG_{number}.jpg", another(phone_photo(), number)) for number in numbers])
            began = time.monotonic()
        wait_until_done(place)
        return (time.monotonic() - began) / len(numbers)
