"""An ingest during which the web server, the worker or everything is killed with -9, again and again, at moments nobody chose.

A client sends the roll through the addresses that phones use, in one go or in parts, and sends again what it got no answer for. It notes
what was acknowledged: of that nothing may be lost, and the judge (`judge.py`) looks.
"""

import base64
import contextlib
import http.client
import json
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
from tests.server import Answer, Browser, Server, wait_for

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
        self._begun: dict[str, str] = {}
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
            together, in_parts = left[: self._chance.choice((1, 1, 2, 3))], self._chance.random() < 0.5
            for _ in together:
                self._may_send.acquire()
            for sent in [[each] for each in together] if in_parts else [together]:
                while not self._try(self._send_in_parts if in_parts else self._send, sent):
                    time.sleep(0.1)
            del left[: len(together)]

    def _try(self, send: Callable[[Sequence[File]], bool], files: Sequence[File]) -> bool:
        """Whether they were acknowledged; a line that broke is no acknowledgement."""
        try:
            return send(files)
        except (OSError, http.client.HTTPException) as broken:
            self._story.answers[type(broken).__name__] += 1
            return False

    def _send(self, files: Sequence[File]) -> bool:
        page = f"/albums/{self.album}/photos"
        answer = self._noted(self.browser.upload(page, self._token, *((each.name, each.data) for each in files)))
        if answer.status != 202:
            return False
        told = [(photo["name"], photo["id"]) for photo in answer.json["photos"]]
        assert [name for name, _ in told] == [each.name for each in files], told
        self._story.acknowledged.update(told)
        return True

    def _send_in_parts(self, files: Sequence[File]) -> bool:
        (file,) = files
        if file.name not in self._begun:
            named = {"Upload-Metadata": f"filename {base64.b64encode(file.name.encode()).decode()}"}
            told = {"Upload-Length": str(len(file.data)), **named}
            answer = self._noted(self.browser.speak_tus("POST", f"/albums/{self.album}/uploads", self._token, told))
            if answer.status != 201:
                return False
            self._begun[file.name] = str(answer.headers["Location"])
        upload = self._begun[file.name]
        answer = self._noted(self.browser.speak_tus("HEAD", upload, "", {}))
        while answer.status in (200, 204) and "Kinfold-Photo" not in answer.headers:
            at = int(answer.headers["Upload-Offset"])
            answer = self._noted(self.browser.go_on(upload, self._token, at, file.data[at : at + len(file.data) // 3 + 1]))
        if answer.status not in (200, 204):
            return False
        self._story.acknowledged[file.name] = json.loads(answer.headers["Kinfold-Photo"])["id"]
        return True

    def _noted(self, answer: Answer) -> Answer:
        self._story.answers[str(answer.status)] += 1
        return answer


def targets(server: Server, what: str, *, also_decoder: bool = True) -> set[int]:
    """The processes that are meant by the web server, the worker (with or without its decoder) and everything."""
    worker, decoder = set(server.children("\0worker")), set(server.children("decoder/main.py"))
    if what == WORKER:
        return worker | (decoder if also_decoder else set())
    everybody = set(server.children())
    return everybody - worker - decoder if what == WEB else everybody | server.itself()


def kill(server: Server, what: str, *, also_decoder: bool = True) -> bool:
    """Kill -9 these; whether there was anything to kill."""
    doomed: set[int] = set()
    while found := targets(server, what, also_decoder=also_decoder) - doomed:
        doomed |= found
        _signal(found, signal.SIGSTOP)  # all at the same moment: halted, nobody starts another before it dies
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
        wanted, also_decoder = chance.choice((WEB, WORKER, BOTH)), chance.random() < 0.5
        with contextlib.suppress(AssertionError):  # after many deaths one is started again only after some time
            wait_for(lambda wanted=wanted: targets(server, wanted), f"{wanted} to run", 5)  # type: ignore[misc]
        time.sleep(min(chance.expovariate(1 / pace), 4 * pace))
        what = wanted if kill(server, wanted, also_decoder=also_decoder) else BOTH
        if what != wanted:
            kill(server, BOTH)
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
