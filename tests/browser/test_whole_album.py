"""An album of more than one page, as Rose scrolls, swipes and watches it."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.bench.stage import Stage
from tests.browser.conftest import PHONE, Phone, new_family
from tests.browser.server import Instance

TITLE = "Brittany 2026"
PHOTOS = 130

SEEN = """(link) => {
    const box = link.getBoundingClientRect();
    return box.top < innerHeight && box.bottom > 0;
}"""


@pytest.fixture(scope="module")
def place(server: Instance) -> Stage:
    made = Stage(server.house.settings, server.house, new_family(server), server)
    made.photos = made.hang(TITLE, PHOTOS)  # type: ignore[attr-defined]
    return made


@pytest.fixture
def rose(phone: Phone, place: Stage) -> Page:
    """Rose's phone, on the page of the album."""
    page = phone(device=place.guest_of(TITLE))
    page.goto(address(place))
    return page


def address(place: Stage, more: str = "") -> str:
    return f"/shared/{place.anna.albums[TITLE].id}{more}"


def at(page: Page, number: int) -> Locator:
    """The link of a photo, by where it stands in the album."""
    return page.locator(f'a[data-place="{number}"]')


def scroll_to(page: Page, number: int) -> None:
    """Scroll down as with a thumb, until that photo is on the screen."""
    for _ in range(200):
        if at(page, number).count() and at(page, number).evaluate(SEEN):
            return
        page.evaluate("scrollBy(0, innerHeight * 0.8)")
        page.wait_for_timeout(30)
    raise AssertionError(f"photo {number} does not come")


def assert_seen(page: Page, number: int) -> None:
    expect(at(page, number)).to_be_in_viewport()


def open_full_screen(page: Page, number: int) -> Locator:
    """Tap a photo, and wait until it has flown in: before, no key turns."""
    at(page, number).evaluate("(link) => link.click()")
    page.locator(".pswp--ui-visible").wait_for()
    page.wait_for_timeout(500)
    return page.get_by_role("dialog")


def test_she_scrolls_to_the_end_and_comes_back_to_where_she_was(rose: Page, place: Stage) -> None:
    scroll_to(rose, PHOTOS)
    expect(rose.locator(".tile a")).to_have_count(PHOTOS)
    expect(rose.get_by_role("link", name="Later photos")).to_have_count(0)
    named = rose.locator(".of-day h2").evaluate_all(
        "(all) => all.filter((each) => getComputedStyle(each).display !== 'none').map((each) => each.textContent)"
    )
    assert len(named) == len(set(named)) == 4, "a day that goes on over a page has one heading"
    scroll_to_middle(rose, 100)
    rose.wait_for_timeout(400)  # she rests there
    rose.reload()
    assert_seen(rose, 100)
    rose.goto("/shared")
    rose.go_back()
    assert_seen(rose, 100)
    rose.evaluate("scrollTo(0, 0)")
    expect(at(rose, 1)).to_be_attached()  # what stands before comes too


def scroll_to_middle(page: Page, number: int) -> None:
    at(page, number).evaluate("(link) => link.scrollIntoView({ block: 'center' })")


def test_she_swipes_over_the_end_of_a_page_and_back_closes(rose: Page, place: Stage) -> None:
    photos: list[str] = place.photos  # type: ignore[attr-defined]
    full_screen = open_full_screen(rose, 58)
    for number in range(59, 63):
        rose.keyboard.press("ArrowRight")
        rose.wait_for_url(f"**/{photos[number - 1]}*")
        expect(full_screen.get_by_text(f"{number} / {PHOTOS}")).to_be_visible()
    expect(full_screen.locator(f'img.pswp__img[alt^="Photo 62 of {PHOTOS}"]').first).to_be_visible()
    rose.go_back()
    expect(full_screen).to_have_count(0)
    rose.wait_for_function("!location.pathname.includes('" + photos[61] + "')")
    assert_seen(rose, 62)
    expect(at(rose, 62)).to_be_focused()


def test_from_a_photo_in_the_middle_she_swipes_back_to_what_was_before(rose: Page, place: Stage) -> None:
    photos: list[str] = place.photos  # type: ignore[attr-defined]
    rose.goto(address(place, f"?after={photos[59]}"))
    full_screen = open_full_screen(rose, 61)
    for number in (60, 59):
        rose.keyboard.press("ArrowLeft")
        rose.wait_for_url(f"**/{photos[number - 1]}*")
    rose.keyboard.press("Escape")
    expect(full_screen).to_have_count(0)
    assert_seen(rose, 59)


def test_the_slideshow_plays_turns_and_stops_at_a_touch(rose: Page) -> None:
    rose.set_viewport_size({"width": PHONE["height"], "height": PHONE["width"]})  # she holds it sideways
    button = rose.get_by_role("button", name="Watch as a slideshow")
    button.click()
    show = rose.get_by_role("dialog", name=TITLE)
    expect(show).to_be_focused()
    expect(show.get_by_role("img", name=f"Photo 1 of {PHOTOS}")).to_be_visible()
    expect(show.get_by_text("Touch the screen to stop.")).to_be_visible()
    rose.keyboard.press("ArrowRight")
    expect(show.get_by_role("img", name=f"Photo 2 of {PHOTOS}")).to_be_visible()
    rose.keyboard.press("ArrowLeft")
    rose.keyboard.press("ArrowLeft")
    expect(show.get_by_role("img", name=f"Photo {PHOTOS} of {PHOTOS}")).to_be_visible()  # round to the end
    rose.keyboard.press("Enter")
    expect(show.get_by_text("Paused")).to_be_visible()
    show.click()
    expect(show).to_have_count(0)
    expect(button).to_be_focused()


def test_without_javascript_she_turns_the_pages(phone: Phone, place: Stage) -> None:
    page = phone(device=place.guest_of(TITLE), javascript=False)
    page.goto(address(place))
    expect(page.get_by_role("button", name="Watch as a slideshow")).to_have_count(0)
    for first in (61, 121):
        page.get_by_role("link", name="Later photos").click()
        expect(at(page, first)).to_be_visible()
    page.get_by_role("link", name="Earlier photos").click()
    expect(at(page, 61)).to_be_visible()
