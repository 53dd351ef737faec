"""Rose plays a video on her phone: from its own page, and on the way through the album."""

from collections.abc import Callable
from typing import cast

import pytest
from playwright.sync_api import Locator, Page, expect

from app.ingest.decoding import Decoder
from app.jobs.memory import InMemoryJobs
from app.ops.worker import handlers
from tests.browser.conftest import Phone
from tests.conftest import Family
from tests.made_films import film

PICTURE = "testsrc2=size=640x360:rate=30:duration=4,noise=alls=30:allf=t"


@pytest.fixture
def album(family: Family) -> str:
    """The page of an album with a picture and a real video, for a guest."""
    family.photo("Brittany 2026")
    family.upload("Brittany 2026", film("-preset", "ultrafast", "-pix_fmt", "yuv420p", picture=PICTURE))
    decoder = Decoder()
    try:
        cast(InMemoryJobs, family.house.jobs).run_all(handlers(family.house, decoder))
    finally:
        decoder.close()
    return f"/shared/{family.albums['Brittany 2026'].id}"


def plays(film: Locator) -> None:
    """Tap on play, and see it move and jump."""
    film.evaluate("video => { video.muted = true; return video.play(); }")
    film.evaluate("video => new Promise((go) => { video.ontimeupdate = () => video.currentTime > 0.2 && go(); })")
    assert film.evaluate("video => [video.videoWidth, video.videoHeight]") == [640, 360]
    film.evaluate("video => new Promise((go) => { video.onseeked = go; video.currentTime = 3; })")
    assert film.evaluate("video => video.currentTime >= 3 && video.duration < 5")


def answers_of(page: Page) -> Callable[[], list[tuple[int, str | None]]]:
    """The answers with parts of films that a page has had."""
    seen: list[tuple[int, str | None]] = []
    page.on(
        "response",
        lambda answer: (
            "video" in answer.headers.get("content-type", "")
            and seen.append((answer.status, answer.headers.get("content-range")))
        ),
    )
    return lambda: seen


@pytest.mark.parametrize("javascript", [True, False])
def test_rose_plays_it_on_its_own_page(phone: Phone, family: Family, album: str, javascript: bool) -> None:
    rose = phone(device=family.share("Brittany 2026", "Rose", may_save=True).cookie, javascript=javascript)
    answers = answers_of(rose)
    rose.goto(album)
    address = rose.get_by_role("link", name="Video, 4 seconds").get_attribute("href")
    assert address is not None
    rose.goto(address)
    player = rose.locator("video")
    expect(player).to_be_visible()
    rose.wait_for_timeout(300)
    assert answers() == [], "nothing is loaded before it is asked for"
    expect(rose.get_by_role("link", name="Save this video")).to_be_visible()
    if not javascript:
        return
    plays(player)
    assert answers() and {status for status, _ in answers()} == {206}
    assert all((place or "").startswith("bytes ") for _, place in answers())


def test_rose_comes_by_it_while_she_looks_through_the_album(phone: Phone, family: Family, album: str) -> None:
    rose = phone(device=family.share("Brittany 2026", "Rose").cookie)
    rose.goto(album)
    rose.get_by_role("link", name="Video, 4 seconds").click()
    dialog = rose.get_by_role("dialog")
    expect(dialog).to_be_visible()
    player = dialog.locator("video")
    expect(player).to_be_visible()
    box = player.bounding_box()
    assert box is not None and abs(box["width"] / box["height"] - 16 / 9) < 0.1
    heart = dialog.get_by_role("button", name="I like this").bounding_box()
    assert heart is not None and box["y"] + box["height"] <= heart["y"], "its own controls stay in reach"
    plays(player)
    rose.keyboard.press("ArrowLeft")
    expect(dialog.get_by_role("img", name="Photo 1")).to_be_visible()
    rose.wait_for_timeout(600)
    assert rose.evaluate("[...document.querySelectorAll('video')].every((video) => video.paused)")


def test_the_slideshow_plays_it_to_its_end_and_goes_on(phone: Phone, family: Family, album: str) -> None:
    rose = phone(device=family.share("Brittany 2026", "Rose").cookie)
    rose.goto(album)
    rose.get_by_role("button", name="Watch as a slideshow").click()
    show = rose.get_by_role("dialog", name="Brittany 2026")
    rose.keyboard.press("ArrowRight")
    player = show.locator("video")
    expect(player).to_be_visible()
    player.evaluate("video => new Promise((go) => { video.ontimeupdate = () => video.currentTime > 0.2 && go(); })")
    rose.keyboard.press(" ")
    expect(show.get_by_text("Paused")).to_be_visible()
    assert player.evaluate("video => video.paused && !video.ended && video.muted")
    rose.keyboard.press(" ")
    expect(show.get_by_role("img")).to_be_visible(timeout=10_000)
    expect(player).to_have_count(0)
