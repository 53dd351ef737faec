"""What a guest feels of an album: how soon the first photo is there on a slow line and an old phone, and how 5,000 of them scroll.

How long tasks take is the CPU time of the page's own thread, times how much slower the phone is: what else this machine does just now has
no part in it. Only the time until the largest photo is there is one that a clock has measured.
"""

import json
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, sync_playwright

from app.security.permissions import Asks
from app.web.viewer import cookie_name
from tests.bench.measure import Line, Options
from tests.bench.stage import Stage, stage
from tests.browser.conftest import CHROMIUM, FLAGS

OLD_PHONE = 4
"""How many times slower its processor is than this machine's."""

DEBUGGER = "CppGC.CustomCallbacksProcessing"

SLOW_LINE = {"offline": False, "latency": 400, "downloadThroughput": 1_600_000 / 8, "uploadThroughput": 1_600_000 / 8}

WATCH = """
window.seen = { largest: 0, moved: 0 };
const watch = (type, each) => new PerformanceObserver((list) => list.getEntries().forEach(each)).observe({ type, buffered: true });
watch("largest-contentful-paint", (entry) => { seen.largest = entry.startTime; });
watch("layout-shift", (entry) => { if (!entry.hadRecentInput) seen.moved += entry.value; });
"""

SCROLL = """async (until) => {
    const frames = [];
    let last = performance.now();
    const here = () => {
        const there = document.elementFromPoint(innerWidth / 2, innerHeight / 2).closest(".tile");
        return there ? Number(there.firstElementChild.dataset.place) : 0;
    };
    while (here() < until) {
        scrollBy(0, 60);
        await new Promise(requestAnimationFrame);
        const now = performance.now();
        frames.push(now - last);
        last = now;
    }
    return frames.sort((a, b) => a - b)[Math.floor(frames.length / 2)];
}"""
"""Scrolls until a photo of that place is in the middle of the screen; returns how often a frame came, in ms."""


def run(options: Options) -> Iterator[Line]:
    if shutil.which(CHROMIUM) is None:
        print(f"    seeing: skipped, {CHROMIUM} is not installed")
        return
    with stage() as place:
        place.hang("Brittany 2026", 60)
        place.hang("The whole summer", 1_200 if options.quick else 5_000)
        with place.serving():
            yield from first_sight(place, rounds=3 if options.quick else 7)
            yield from scrolling(place, "The whole summer", 1_200 if options.quick else 5_000)


@contextmanager
def phone(place: Stage, title: str, *, slower: int = 1) -> Iterator[tuple[Page, Any]]:
    """A phone of a guest who may see the album, and the line to its browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, "--js-flags=--expose-gc"])
        context = browser.new_context(
            viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True, device_scale_factor=2
        )
        cookie = {"name": cookie_name(Asks.DEVICE, https=False), "value": place.guest_of(title), "url": place.settings.base_url}
        context.add_cookies([cookie])  # type: ignore[list-item]
        page = context.new_page()
        page.add_init_script(WATCH)
        line = context.new_cdp_session(page)
        line.send("Network.enable")
        line.send("Emulation.setCPUThrottlingRate", {"rate": slower})
        yield page, line
        browser.close()


def first_sight(place: Stage, rounds: int) -> Iterator[Line]:
    """From nothing in its cache."""
    largest, blocked, moved = [], [], []
    address = f"{place.settings.base_url}/shared/{place.anna.albums['Brittany 2026'].id}"
    for _ in range(rounds):
        with phone(place, "Brittany 2026", slower=OLD_PHONE) as (page, line):
            line.send("Network.emulateNetworkConditions", SLOW_LINE)
            page.goto(address, wait_until="networkidle", timeout=60_000)
            seen = page.evaluate("window.seen")
        with phone(place, "Brittany 2026") as (page, _line), tasks_of(page) as tasks:
            page.goto(address, wait_until="networkidle", timeout=60_000)
        largest.append(seen["largest"] / 1000)
        blocked.append(sum(max(0, task - 50) for task in tasks))
        moved.append(seen["moved"])
    spread = f"{rounds} rounds, from {min(largest):.2f} to {max(largest):.2f} s"
    yield Line(
        "seeing: the largest photo, 400 ms, 1.6 Mbit/s, CPU 4x slower", statistics.median(largest), "s", at_most=2, note=spread
    )
    yield Line("seeing: what has moved meanwhile", max(moved), at_most=0)
    yield Line("seeing: how long touches were not answered", statistics.median(blocked), "ms", at_most=50)


def scrolling(place: Stage, title: str, photos: int) -> Iterator[Line]:
    """Through the whole album, at some 3,600 pixels a second."""
    with phone(place, title) as (page, line):
        page.goto(f"{place.settings.base_url}/shared/{place.anna.albums[title].id}", wait_until="networkidle")
        page.evaluate(SCROLL, 240)
        before, heap_before = nodes_and_heap(page, line)
        with tasks_of(page) as tasks:
            every = page.evaluate(SCROLL, photos - 20)
        after, heap_after = nodes_and_heap(page, line)
    note = f"of {len(tasks)}; a frame came every {every:.1f} ms"
    yield Line(f"seeing: longest task as {photos} photos scroll, CPU 4x slower", max(tasks), "ms", at_most=50, note=note)
    yield Line(
        "seeing: script memory, of what 240 photos take",
        heap_after / heap_before,
        at_most=1.25,
        note=f"{heap_after / 1e6:.1f} MB",
    )
    yield Line("seeing: elements, of what 240 photos take", after / before, at_most=1.5, note=f"{after} of them")


@contextmanager
def tasks_of(page: Page) -> Iterator[list[float]]:
    """How long each task of the page's own thread would take an old phone, in ms; filled at the end of the block. Without what
    `DEBUGGER` is about: a browser under remote control keeps the bodies of photos that are tidied away, for whoever might ask."""
    browser, tasks = page.context.browser, list[float]()
    assert browser is not None
    browser.start_tracing(page=page, categories=["toplevel", "cppgc", "disabled-by-default-cppgc"])
    yield tasks
    events = json.loads(browser.stop_tracing())["traceEvents"]
    threads = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name" and e["args"]["name"] == "CrRendererMain"}
    own = [each for each in events if (each["pid"], each["tid"]) in threads and "tdur" in each]
    kept = [each for each in own if each["name"] == DEBUGGER]
    for each in own:
        if each["name"] == "ThreadControllerImpl::RunTask":
            inside = [other["tdur"] for other in kept if each["ts"] <= other["ts"] < each["ts"] + each["dur"]]
            tasks.append(OLD_PHONE * (each["tdur"] - sum(inside)) / 1000)


def nodes_and_heap(page: Page, line: Any) -> tuple[int, float]:
    """What the tab holds after tidying up: elements of the page, and bytes of scripts' memory."""
    page.evaluate("gc()")
    line.send("HeapProfiler.collectGarbage")
    return page.evaluate("document.querySelectorAll('*').length"), line.send("Runtime.getHeapUsage")["usedSize"]
