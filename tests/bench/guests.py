"""Five hundred guests look at albums at once; in the middle fifty of them are stopped, and the others notice nothing.

`flask serve` has one core and its guests the other: each opens an album, loads the photos that a screen shows, looks at them for some
seconds, opens one after the other, and comes back. So it is at a school on the evening after the sports day.
"""

import asyncio
import gzip
import random
import re
import resource
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from app.media.models import RenditionName
from app.security.permissions import Asks
from app.sharing import service as sharing
from app.web.viewer import cookie_name
from tests.bench.load import ask, head
from tests.bench.measure import Line, Options, cpu
from tests.bench.stage import A_DAY, Stage, stage, web_of
from tests.server import Browser

GUESTS, STOPPED = 500, 50
ALBUMS, PHOTOS = 8, 24
SIZES = {RenditionName.GRID: 40_000, RenditionName.SCREEN: 300_000}
ON_A_SCREEN = 12
"""Photos of an album page that a phone loads before anybody scrolls."""

LINES = 4
"""Connections that a phone keeps open."""

LOOKS = (3.0, 9.0)
"""Seconds for which somebody looks at a page, at least and at most."""

AT_ONCE = 1.0
"""Seconds after the answer to "Stop" in which the last bytes may still arrive."""

SHOWN = re.compile(rb'<img src="(/m/[^"]+)"')
TURNS = re.compile(rb'<a href="(/shared/[^"/]+/[^"]+)"')


@dataclass(frozen=True)
class Answer:
    """What somebody was answered (0: not at all), and from when until when it took."""

    photo: bool
    asked: float
    done: float
    status: int


@dataclass
class Guest:
    """A person with a phone. Anna stops sharing with some of them: she tapped at `stopping` and was told that it is done at `stopped`."""

    id: str
    port: int
    album: str
    cookies: dict[str, str]
    answers: list[Answer] = field(default_factory=list)
    stopping: float = float("inf")
    stopped: float = float("inf")
    loaded: dict[bytes, None] = field(default_factory=dict)
    turns: Sequence[str] = ()
    lines: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LINES))
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def look_around(self, chance: random.Random, *, begin: float, end: float) -> None:
        """Open the album, look at three photos one after the other, and come back, until it is bedtime or all is over."""
        await asyncio.sleep(begin)
        while time.perf_counter() < end and await self.open(self.album):
            for _ in range(3):
                await asyncio.sleep(chance.uniform(*LOOKS))
                if time.perf_counter() > end or not await self.open(chance.choice(self.turns)):
                    return
            await asyncio.sleep(chance.uniform(*LOOKS))

    async def insist(self) -> None:
        """Ask again and again for the album and for a photo that was seen already, until well after it is over."""
        while time.perf_counter() < self.stopped + 2 * AT_ONCE:
            for path in (self.album, *(each.decode() for each in list(self.loaded)[:1])):
                await self.get(path)
            await asyncio.sleep(0.2)

    async def open(self, path: str) -> bool:
        """A page and what it shows, as far as the phone does not have that yet; whether there is such a page."""
        status, page = await self.get(path)
        new = [each for each in SHOWN.findall(page) if each not in self.loaded][:ON_A_SCREEN]
        self.loaded |= dict.fromkeys(new)
        self.turns = [each.decode() for each in TURNS.findall(page)] if path == self.album else self.turns
        await asyncio.gather(*(self.get(each.decode()) for each in new))
        return status == 200

    async def get(self, path: str) -> tuple[int, bytes]:
        """One request over one of the phone's connections."""
        request = head(self.port, "GET", path, self.cookies, Accept_Encoding="gzip")
        async with self.lines:
            asked = time.perf_counter()
            try:
                status, body = await self._ask(request)
            except (OSError, asyncio.IncompleteReadError):
                status, body = 0, b""
            self.answers.append(Answer(path.startswith("/m/"), asked, time.perf_counter(), status))
        return status, gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body

    async def _ask(self, request: bytes) -> tuple[int, bytes]:
        """As browsers do: when the server has hung up on a connection that was idle, ask again over a new one."""
        while self.free:
            line = self.free.pop()
            with suppress(OSError, asyncio.IncompleteReadError):
                answer = await ask(*line, request)
                self.free.append(line)
                return answer
            line[1].close()
        line = await asyncio.open_connection("127.0.0.1", self.port)
        answer = await ask(*line, request)
        self.free.append(line)
        return answer

    def hang_up(self) -> None:
        for _, writer in self.free:
            writer.close()

    @property
    def wrong(self) -> list[int]:
        """The answers that this guest should not have had: anything but what they may see, and nothing of that when it is over."""
        return [
            each.status
            for each in self.answers
            if (each.done > self.stopped + AT_ONCE if each.status == 200 else each.status != 404 or each.done < self.stopping)
        ]


def run(options: Options) -> Iterator[Line]:
    seconds = 15 if options.quick else 60
    with stage() as place:
        early, *guests = _invite(place)
        with place.serving() as server:
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # for our ends of the lines; the server sees to its own
            anna, web = place.anna_at_her_phone(), web_of(server)
            quiet = asyncio.run(_alone(early, 60 if options.quick else 200))
            before = cpu(web)
            took = asyncio.run(_evening(anna, guests, seconds))
            busy = (cpu(web) - before) / took
    stopped = [guest for guest in guests if guest.stopped < float("inf")]
    answers = [each for guest in guests for each in guest.answers]
    late = [each.done - guest.stopped for guest in stopped for each in guest.answers if each.status == 200]
    note = f"{len(answers) / took:.0f} a second for {took:.0f} s, the web server {busy:.0%} of a core"
    wrong = Counter(status for guest in guests for status in guest.wrong)
    note += "".join(f", {times} x {status}" for status, times in wrong.items())
    yield Line(f"guests: {GUESTS} look at albums: wrong answers", wrong.total(), at_most=0, note=note)
    for photo, what in ((False, "a page"), (True, "a photo's bytes")):
        usual, many = _percentiles(quiet, photo=photo), _percentiles(answers, photo=photo)
        note = f"half within {many[49]:.0f} ms; idle {usual[98]:.0f} and {usual[49]:.0f} ms; {len(answers)} answers"
        yield Line(f"guests: {what}, 99 in 100 within", many[98], "ms", note=note)
    unheard = sum(not any(each.status == 404 for each in guest.answers) for guest in stopped)
    yield Line(f"guests: {len(stopped)} stopped in the middle: never told so", unheard, at_most=0)
    yield Line("guests: their last bytes after Anna's answer", max(0.0, *late), "s", at_most=AT_ONCE)


def _invite(place: Stage) -> Iterator[Guest]:
    """Albums with photos in them, and people who have let in their phones; one more than will come."""
    titles = [f"Album {number}" for number in range(ALBUMS)]
    for title in titles:
        place.develop(title, place.fill(title, PHOTOS), SIZES)
    house, owner, at = place.house, place.anna.owner, place.house.clock.now()
    with house.database.writing() as session:
        for number in range(GUESTS + 1):
            album = place.anna.albums[titles[number % ALBUMS]]
            guest = sharing.add_guest(session, owner, name=f"Guest {number}", at=at)
            shared = sharing.share(
                session, owner, album=album, guest=guest, until=at + A_DAY, may_save=False, phones=3, tokens=house.tokens, at=at
            )
            link = sharing.find_link(session, token=shared.token, tokens=house.tokens)
            issued = sharing.enrol(session, link=link, cookie=None, label="Android phone", at=at)
            assert issued is not None
            cookies = {cookie_name(Asks.DEVICE, https=False): issued.value}
            yield Guest(guest.id, place.server.port, f"/shared/{album.id}", cookies)


async def _alone(guest: Guest, times: int) -> list[Answer]:
    """What one guest waits for when nobody else is there."""
    await guest.open(guest.album)
    begun = len(guest.answers)
    for _ in range(times):
        for path in (guest.album, *(each.decode() for each in list(guest.loaded)[:3])):
            await guest.get(path)
    guest.hang_up()
    return guest.answers[begun:]


async def _evening(anna: Browser, guests: Sequence[Guest], seconds: float) -> float:
    """Everybody looks around, and Anna stops some in the middle; returns for how many seconds."""
    chance, began = random.Random(0), time.perf_counter()
    end, doomed = began + seconds, guests[:: len(guests) // STOPPED]
    looking = [asyncio.create_task(guest.look_around(chance, begin=chance.uniform(0, seconds / 4), end=end)) for guest in guests]
    await asyncio.sleep(seconds / 2 - 1)
    insisting = [asyncio.create_task(guest.insist()) for guest in doomed]
    await asyncio.sleep(1)
    token = await asyncio.to_thread(anna.token, "/people")
    for guest in doomed:
        guest.stopping = time.perf_counter()
        answer = await asyncio.to_thread(anna.post, f"/people/{guest.id}/stop", token)
        guest.stopped = time.perf_counter()
        if answer.status != 303:
            raise RuntimeError(f"stopping was answered with {answer.status}")
    await asyncio.gather(*looking, *insisting)
    for guest in guests:
        guest.hang_up()
    return time.perf_counter() - began


def _percentiles(answers: Sequence[Answer], *, photo: bool) -> list[float]:
    """Milliseconds, one in a hundred to ninety-nine in a hundred."""
    return statistics.quantiles(((each.done - each.asked) * 1000 for each in answers if each.photo is photo), n=100)
