"""An ingest during which the web server, the worker or everything is killed with -9, again and again, at moments nobody chose.

A client sends the roll through the address that phones use and sends again what it got no answer for. It notes what was acknowledged:
of that nothing may be lost, and the judge (`judge.py`) looks.
"""

import contextlib
import http.client
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests import postgres
from tests.crash.roll import File
from tests.seaweed import KEYS as AWS_KEYS
from tests.seaweed import seaweed_in
from tests.server import Browser, Server, wait_for

PLACES = ("sqlite", "postgres")
"""SQLite and the local disk; PostgreSQL and SeaweedFS."""

WEB, WORKER, BOTH = "web", "worker", "both"
SETTLING = 240.0
"""Seconds for whatever was left lying after the last kill: a sweep comes every minute."""


@dataclass
class Story:
    """What happened: the identifier that was acknowledged for each file, what the client was told else, who was killed how often."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)


@contextlib.contextmanager
def server_on(where: str) -> Iterator[Server]:
    """A whole server in a folder that is gone afterwards, on what `where` says; not started yet."""
    with tempfile.TemporaryDirectory(prefix="kinfold-crash-") as name, contextlib.ExitStack() as stack:
        folder, env, disks = Path(name), dict[str, str](), Server.disks
        if where == "postgres":
            cluster = postgres.new_cluster()
            stack.callback(cluster.remove)
            seaweed = stack.enter_context(seaweed_in(folder / "seaweed"))
            storage = {"KINFOLD_STORAGE_URL": seaweed.url(seaweed.bucket()), **AWS_KEYS, **postgres.KEYS}
            env, disks = {"KINFOLD_DATABASE_URL": cluster.database("kinfold"), **storage}, [cluster.folder, seaweed.folder]
        server = Server(folder / "server", **env)
        server.disks = disks  # type: ignore[misc]
        try:
            yield server
        finally:
            if server.starts:
                kill(server, BOTH)


class Anna:
    """The one who uploads: a browser without patience, which is told how much of the roll it may have sent by now."""

    def __init__(self, server: Server, files: Sequence[File], chance: random.Random, story: Story) -> None:
        self.browser, self._files, self._chance, self._story = Browser(server.base), files, chance, story
        self.browser.set_up(server.set_up_address())
        self.album = self.browser.album("Brittany 2026")
        self._token = self.browser.token(f"/albums/{self.album}")
        self._may_send = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._send_all, daemon=True)
        self._thread.start()

    def go_on(self, number: int) -> None:
        """So many more files may be sent."""
        for _ in range(number):
            self._may_send.release()

    def finish(self, seconds: float) -> None:
        """Wait until all of it was acknowledged."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise AssertionError(f"after {seconds:.0f} s not all was acknowledged; so far {dict(self._story.answers)}")

    def _send_all(self) -> None:
        left = list(self._files)
        while left:
            together = left[: self._chance.choice((1, 1, 2, 3))]
            for _ in together:
                self._may_send.acquire()
            while not self._send(together):
                time.sleep(0.1)
            del left[: len(together)]

    def _send(self, files: Sequence[File]) -> bool:
        """Whether they were acknowledged."""
        try:
            page = f"/albums/{self.album}/photos"
            answer = self.browser.upload(page, self._token, *((each.name, each.data) for each in files))
        except (OSError, http.client.HTTPException) as broken:
            self._story.answers[type(broken).__name__] += 1
            return False
        self._story.answers[str(answer.status)] += 1
        if answer.status != 202:
            return False
        told = [(photo["name"], photo["id"]) for photo in answer.json["photos"]]
        assert [name for name, _ in told] == [each.name for each in files], told
        self._story.acknowledged.update(told)
        return True


def kill(server: Server, what: str, *, also_decoder: bool = True) -> bool:
    """Kill -9 the web server, the worker (with or without its decoder) or everything; whether there was anything to kill."""

    def targets() -> set[int]:
        worker, decoder = set(server.children("\0worker")), set(server.children("decoder/main.py"))
        if what == WORKER:
            return worker | (decoder if also_decoder else set())
        everybody = set(server.children())
        return everybody - worker - decoder if what == WEB else everybody | server.itself()

    doomed: set[int] = set()
    while found := targets() - doomed:  # all at the same moment: halted, nobody starts another before it dies
        doomed |= found
        _signal(found, signal.SIGSTOP)
    _signal(doomed, signal.SIGKILL)
    if what == BOTH:
        server.kill()
    return bool(doomed)


def ingest(
    server: Server, files: Sequence[File], *, kills: int, pace: float, chance: random.Random, say: Callable[[str], None]
) -> tuple[Anna, Story]:
    """Upload everything, with so many kills on the way, `pace` seconds apart on average; returns when all is acknowledged and settled."""
    story = Story()
    server.start()
    anna = Anna(server, files, random.Random(chance.random()), story)
    allowed, began = 0, time.monotonic()
    while (done := story.killed.total()) < kills:
        share = len(files) * (done + 1) // kills
        anna.go_on(share - allowed)
        allowed = share
        time.sleep(min(chance.expovariate(1 / pace), 4 * pace))
        wanted, also_decoder = chance.choice((WEB, WORKER, BOTH)), chance.random() < 0.5
        # what has not come back since it was killed last can't be killed
        what = next(each for each in (wanted, WEB, WORKER, BOTH) if kill(server, each, also_decoder=also_decoder))
        story.killed[what] += 1
        if story.killed.total() % 20 == 0:
            say(f"{story.killed.total()} kills, {len(story.acknowledged)} of {len(files)} files acknowledged")
        if what == BOTH:
            server.launch()
        if not server.is_running():
            raise AssertionError("flask serve has ended by itself: " + (server.folder / "log").read_text()[-2000:])
        if time.monotonic() - began > 10 * pace * kills + 120:
            raise AssertionError(f"too slow: {story}")
    anna.go_on(len(files) - allowed)
    wait_for(lambda: server.get_status("/readyz") == 200, "the server to be ready", 60)
    anna.finish(SETTLING)
    until_settled(anna)
    return anna, story


def until_settled(anna: Anna) -> None:
    """Wait until every photo is ready or refused."""
    wait_for(lambda: all(photo["state"] != "received" for photo in anna.browser.photos(anna.album)), "photos to settle", SETTLING)


def _signal(processes: set[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)
