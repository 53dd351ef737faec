"""The worker: which jobs there are, and what is looked after every minute."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from app.accounts import service as accounts
from app.activity import service as activity
from app.albums import jobs as albums
from app.answers import jobs as answers
from app.answers import seen
from app.groups import service as groups
from app.house import House
from app.ingest import jobs as ingest
from app.ingest.decoding import Decoder
from app.ingest.service import Taken
from app.instance import note_time
from app.jobs.engine import ExecutorLost, run_worker
from app.jobs.executors import show_at_work
from app.jobs.port import Handler
from app.media import jobs as media
from app.notifications import jobs as notifications
from app.notifications import push
from app.notifications import service as told
from app.ops.backup.reading import tidy_scratch
from app.ops.exposure import watch
from app.ops.journal import Journal
from app.rights import jobs as rights
from app.sharing import service as sharing
from app.web.i18n import local

log = logging.getLogger("kinfold.worker")

STORAGE_SWEEP = timedelta(hours=6)


def handlers(
    house: House, decoder: Decoder, stop: threading.Event | None = None, in_hand: dict[str, Taken] | None = None
) -> dict[str, Handler]:
    """Every job of every room."""
    return {
        **ingest.handlers(house, decoder, stop, in_hand),
        **answers.handlers(house, decoder, stop),
        **albums.handlers(house),
        **notifications.handlers(house),
    }


def sweeps(house: House) -> dict[str, Callable[[], None]]:
    """What is looked after every minute, by whichever worker comes first. All of it may be repeated at any time."""
    journal = Journal(house.settings.data)
    return {
        "end what is over": lambda: _end_what_is_over(house),
        "enqueue forgotten uploads": lambda: ingest.enqueue_forgotten_uploads(house),
        "enqueue forgotten voices": lambda: answers.enqueue_forgotten_voices(house),
        "drop old uploads": lambda: ingest.drop_old_uploads(house),
        "drop expired uploads": lambda: ingest.drop_expired_uploads(house),
        "enqueue forgotten removals": lambda: albums.enqueue_forgotten_removals(house),
        "make the key for push": lambda: push.make_key(house),
        "look for news": lambda: notifications.look_for_news(house),
        "flatten the database": house.database.flatten,
        "vacuum after deleting": rights.Vacuum(house),
        "tidy up after restores and checks": lambda: tidy_scratch(house.settings, house.database),
        "write down what was deleted": lambda: journal.catch_up(house.database, at=house.clock.now()),
        "look whether strangers can read the storage": lambda: watch(house),
        "sum what was never summed": media.Checksums(house),
        "remove unclaimed objects": _Seldom(media.UnclaimedObjects(house)),
        "tidy incoming": _Seldom(lambda: _tidy_incoming(house)),
    }


def work(house: House) -> None:
    """Be a worker until told to stop."""
    show_at_work(house.database)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    decoder, in_hand = Decoder(), dict[str, Taken]()
    try:
        run_worker(house.settings, house.database, handlers(house, decoder, stop, in_hand), sweeps(house), stop)
    except ExecutorLost:
        log.error("the database has gone away, and with it the name of this worker; another takes its place when it is back")
        ingest.give_back(house, in_hand, stop)
        decoder.close()
        os._exit(1)  # what still runs here may be done by another already
    finally:
        decoder.close()


def _end_what_is_over(house: House) -> None:
    at = house.clock.now()
    with house.database.writing() as session:
        note_time(session, clock=house.clock)
        sharing.end_what_is_over(session, at=at)
        sharing.forget_people(session, at=at)
        accounts.forget_ended(session, at=at)
        groups.forget_ended(session, at=at)
        activity.forget_old(session, at=at)
        told.forget_old(session, at=at)
        seen.forget_old(session, today=local(at).date())


def _tidy_incoming(house: House) -> None:
    """Uploads that broke off. Files have the system's time, so the system's time decides."""
    house.storage.clear_incoming(datetime.now(UTC) - media.UNCLAIMED)


class _Seldom:
    """A sweep that walks through all of storage, and so waits some hours between two walks."""

    def __init__(self, sweep: Callable[[], None]) -> None:
        self._sweep = sweep
        self._last: float | None = None

    def __call__(self) -> None:
        now = time.monotonic()
        if self._last is None or now - self._last >= STORAGE_SWEEP.total_seconds():
            self._sweep()
            self._last = now
