"""What Rose says about a photo, and the photo that she adds herself: on her phone, also without JavaScript; and what Anna does about it."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, Route, expect

from app.albums import service as albums
from app.answers.models import Heart
from tests.browser import pictures
from tests.browser.conftest import SCRIPTS_READY, Phone, album_address, end_by_date, payloads, photos
from tests.browser.server import Instance
from tests.browser.test_pages import assert_targets_are_large, look_over
from tests.conftest import Family
from tests.made_films import film
from tests.server import wait_for

BRITTANY = "Brittany 2026"


@pytest.fixture
def spoken_of(family: Family) -> str:
    """The address of a photo of an album whose guests may say what they like, and add photos."""
    photo = family.photo(BRITTANY)
    family.share(BRITTANY, "Rose", may_add=True)
    family.share(BRITTANY, "Jim")
    with family.house.database.writing() as session:
        album = albums.get_album(session, family.owner, album=family.albums[BRITTANY].id, master=family.house.master)
        album.row.shows_answers = album.row.takes_voice = True
    return f"/shared/{family.albums[BRITTANY].id}/{photo}"


def go_and_stay(page: Page, address: str) -> None:
    """Go there, with its scripts at work; `window.stays` is gone when the page is ever loaded again."""
    page.goto(address)
    page.evaluate(SCRIPTS_READY)
    page.evaluate("window.stays = true")


def test_rose_gives_a_heart_writes_and_speaks_and_the_page_stays_where_it_is(
    phone: Phone, family: Family, spoken_of: str
) -> None:
    rose, jim = phone(device=family.people["Rose"].cookie), phone(device=family.people["Jim"].cookie)
    rose.context.grant_permissions(["microphone"])
    go_and_stay(rose, spoken_of)
    heart = rose.get_by_role("button", name="I like this")
    heart.click()
    expect(heart).to_have_attribute("aria-pressed", "true")
    expect(heart).to_be_focused()
    heart.click()
    expect(heart).to_have_attribute("aria-pressed", "false")
    heart.click()
    expect(heart).to_have_attribute("aria-pressed", "true")

    rose.get_by_label("Write a few words").fill("The lighthouse!\nSee http://example.org/x")
    rose.get_by_role("button", name="Send", exact=True).click()
    notes = rose.get_by_role("list", name="Notes").get_by_role("listitem")
    expect(notes).to_have_count(1)
    expect(notes.first).to_contain_text("The lighthouse!")
    expect(notes.first.get_by_role("link")).to_have_count(0)
    expect(rose.get_by_label("Write a few words")).to_have_value("")

    speak = rose.get_by_role("button", name="Hold and speak")
    speak.scroll_into_view_if_needed()
    speak.hover()
    rose.mouse.down()
    expect(speak).to_have_attribute("aria-pressed", "true")
    rose.wait_for_timeout(900)
    rose.mouse.up()
    expect(notes).to_have_count(2)
    assert rose.evaluate("window.stays"), "the page was never loaded again"

    jim.goto(spoken_of)
    expect(jim.get_by_role("list", name="Hearts")).to_have_text("Rose")
    wait_for(lambda: jim.reload() and jim.locator("audio").count() == 1, "the voice can be heard")
    jim.evaluate("document.querySelector('audio').play()")
    jim.wait_for_function("() => document.querySelector('audio').currentTime > 0.1")
    look_over(jim, guest=True)
    assert_targets_are_large(jim)

    rose.get_by_role("button", name="Take it back The lighthouse!").click()
    expect(notes).to_have_count(1)


def test_a_note_that_does_not_arrive_is_not_lost(phone: Phone, family: Family, spoken_of: str) -> None:
    rose = phone(device=family.people["Rose"].cookie)
    rose.goto(spoken_of)
    rose.evaluate(SCRIPTS_READY)
    rose.route("**/notes", lambda route: route.abort("connectionreset"))
    rose.get_by_label("Write a few words").fill("The lighthouse")
    rose.get_by_role("button", name="Send", exact=True).click()
    expect(rose.get_by_role("alert")).to_contain_text("This did not arrive.")
    expect(rose.get_by_label("Write a few words")).to_have_value("The lighthouse")
    rose.unroute("**/notes")
    rose.get_by_role("button", name="Send", exact=True).click()
    expect(rose.get_by_role("list", name="Notes")).to_contain_text("The lighthouse")


def test_rose_adds_a_photo_and_anna_says_yes(phone: Phone, family: Family, spoken_of: str) -> None:
    rose, anna = phone(device=family.people["Rose"].cookie), phone(member=family.cookie)
    rose.goto(f"/shared/{family.albums[BRITTANY].id}")
    rose.evaluate(SCRIPTS_READY)
    rose.get_by_label("Choose photos and videos").set_input_files(
        payloads(("IMG_1.jpg", pictures.jpeg(2)), ("none.jpg", b""), ("notes.jpg", b"milk"))
    )
    rose.get_by_role("button", name="Send them").click()
    expect(rose.get_by_text("IMG_1.jpg: received")).to_be_visible()
    expect(rose.get_by_text("none.jpg: This file is empty.")).to_be_visible()
    expect(rose.get_by_text("All sent.")).to_be_visible()
    yours = rose.get_by_role("list", name="Your photos that nobody else sees yet")
    wait_for(lambda: rose.reload() and yours.get_by_text("being prepared").count() == 0, "both are prepared, or can't be")
    expect(yours.get_by_text("Anna will look at it first.")).to_have_count(1)
    expect(yours).to_contain_text("This is neither a picture nor a video.")
    yours.get_by_role("listitem").filter(has_text="neither").get_by_role("button", name="Take it back").click()
    expect(yours.get_by_role("listitem")).to_have_count(1)
    expect(photos(rose)).to_have_count(1)
    look_over(rose, guest=True)
    assert_targets_are_large(rose)

    anna.goto(album_address(family, BRITTANY))
    waiting = anna.get_by_role("region", name="Waiting for your yes")
    expect(waiting).to_contain_text("Rose added this.")
    look_over(anna)
    waiting.get_by_role("button", name="Show it").click()
    expect(photos(anna)).to_have_count(2)
    rose.reload()
    expect(photos(rose)).to_have_count(2)


def test_all_of_it_without_javascript(server: Instance, phone: Phone, family: Family, spoken_of: str, tmp_path: Path) -> None:
    rose = phone(device=family.people["Rose"].cookie, javascript=False)
    rose.goto(spoken_of)
    rose.get_by_role("button", name="I like this").click()
    expect(rose.get_by_role("button", name="I like this")).to_have_attribute("aria-pressed", "true")
    rose.get_by_label("Write a few words").fill("The lighthouse")
    rose.get_by_role("button", name="Send", exact=True).click()
    notes = rose.get_by_role("list", name="Notes").get_by_role("listitem")
    expect(notes).to_contain_text(["The lighthouse"])
    recording = [{"name": "voice.m4a", "mimeType": "audio/mp4", "buffer": film("-map", "1:a", ending="m4a")}]
    rose.get_by_label("Or say it: up to 20 seconds").set_input_files(recording)
    rose.get_by_role("button", name="Send the recording").click()
    expect(notes).to_have_count(2)
    wait_for(lambda: rose.reload() and rose.locator("audio").count() == 1, "the voice can be heard")

    anna = phone(member=family.cookie, javascript=False)
    anna.goto(album_address(family, BRITTANY))
    anna.get_by_role("link", name="Hearts and notes").click()
    anna.get_by_role("listitem").filter(has_text="The lighthouse").get_by_role("button", name="Hide it").first.click()
    expect(anna.get_by_text("Hidden: only Rose and members see this.")).to_be_visible()
    rose.reload()
    expect(rose.get_by_text("Only you and Anna see this.")).to_be_visible()
    rose.get_by_role("button", name="Take it back The lighthouse").click()
    expect(notes).to_have_count(1)

    rose.get_by_role("link", name="All photos").click()
    rose.get_by_label("Choose photos and videos").set_input_files(payloads(("IMG_1.jpg", pictures.jpeg(2))))
    rose.get_by_role("button", name="Send them").click()
    expect(rose.get_by_role("list", name="Your photos that nobody else sees yet").get_by_role("listitem")).to_have_count(1)


def test_what_is_being_prepared_stays_where_it_is_while_something_else_is_looked_at(
    server: Instance, phone: Phone, family: Family, spoken_of: str
) -> None:
    rose = phone(device=family.people["Rose"].cookie)
    rose.goto(spoken_of.rpartition("/")[0])
    rose.evaluate(SCRIPTS_READY)
    yours = rose.get_by_role("list", name="Your photos that nobody else sees yet")
    server.kill_worker()  # it is prepared a little later
    rose.get_by_label("Choose photos and videos").set_input_files(payloads(("a.jpg", pictures.jpeg(7))))
    rose.get_by_role("button", name="Send them").click()
    expect(yours).to_contain_text("being prepared")
    looks: list[str] = []

    def away(route: Route) -> None:
        looks.append(route.request.url)
        route.fulfill(status=429, body="not now")

    rose.route("**/shared/*", away)
    photos(rose).first.click()
    expect(rose.get_by_role("dialog")).to_be_visible()
    wait_for(lambda: rose.wait_for_timeout(100) or len(looks) > 1, "the page was asked for again")
    assert set(looks) == {rose.url.rpartition("/")[0]}, "not the photo that is full screen"
    rose.unroute("**/shared/*")
    rose.keyboard.press("Escape")
    expect(yours).to_contain_text("Anna will look at it first.", timeout=30_000)


def test_a_photo_of_roses_goes_on_when_the_connection_is_back(phone: Phone, family: Family, spoken_of: str) -> None:
    rose = phone(device=family.people["Rose"].cookie)
    rose.goto(f"/shared/{family.albums[BRITTANY].id}")
    rose.evaluate(SCRIPTS_READY)
    rose.route("**/photos", lambda route: route.abort("connectionreset"))
    rose.get_by_label("Choose photos and videos").set_input_files(
        payloads(("a.jpg", pictures.jpeg(5)), ("b.jpg", pictures.jpeg(6)))
    )
    rose.get_by_role("button", name="Send them").click()
    expect(rose.get_by_text("We go on by ourselves as soon as it is back")).to_be_visible()
    rose.unroute("**/photos")
    rose.evaluate("dispatchEvent(new Event('online'))")
    expect(rose.get_by_text("All sent.")).to_be_visible()
    for name in ("a.jpg", "b.jpg"):
        expect(rose.get_by_text(f"{name}: received")).to_be_visible()
    expect(rose.get_by_role("list", name="Your photos that nobody else sees yet").get_by_role("listitem")).to_have_count(2)


def test_anna_reads_what_was_said(phone: Phone, family: Family, spoken_of: str) -> None:
    rose = phone(device=family.people["Rose"].cookie, javascript=False)
    rose.goto(spoken_of)
    rose.get_by_label("Write a few words").fill("The lighthouse")
    rose.get_by_role("button", name="Send", exact=True).click()
    anna = phone(member=family.cookie)
    go_and_stay(anna, album_address(family, BRITTANY) + "/answers")
    anna.get_by_role("button", name="Hide it").click()
    expect(anna.get_by_role("button", name="Show it again")).to_be_visible()
    assert anna.evaluate("window.stays")
    look_over(anna)
    _read_on_its_photo(anna)
    look_over(anna)


def _read_on_its_photo(page: Page) -> None:
    page.get_by_role("link", name="Look at it").click()
    expect(page.get_by_text("The lighthouse")).to_be_visible()


def test_a_heart_full_screen_takes_one_tap_and_can_be_taken_back(phone: Phone, family: Family, spoken_of: str) -> None:
    rose = phone(device=family.people["Rose"].cookie, viewport={"width": 360, "height": 740})
    rose.goto(spoken_of.rpartition("/")[0])
    photos(rose).first.click()
    heart = rose.get_by_role("dialog").get_by_role("button", name="I like this")
    expect(heart).to_have_attribute("aria-pressed", "false")
    heart.click()
    expect(heart).to_have_attribute("aria-pressed", "true")
    look_over(rose, guest=True)
    wait_for(lambda: hearts(family) == 1, "it has arrived")
    rose.reload()
    expect(rose.get_by_role("button", name="I like this")).to_have_attribute("aria-pressed", "true")
    rose.go_back()
    photos(rose).first.click()
    expect(heart).to_have_attribute("aria-pressed", "true")
    rose.route("**/heart", lambda route: route.abort("connectionreset"))
    heart.click()
    expect(rose.get_by_role("dialog").get_by_role("status")).to_contain_text("This did not arrive.")
    expect(heart).to_have_attribute("aria-pressed", "true")
    rose.unroute("**/heart")
    heart.click()
    expect(heart).to_have_attribute("aria-pressed", "false")
    expect(rose.get_by_role("dialog").get_by_role("status")).to_be_empty()
    wait_for(lambda: hearts(family) == 0, "it is taken back")


def test_a_heart_after_the_end_leads_to_the_page_that_says_so(phone: Phone, family: Family, spoken_of: str) -> None:
    rose = phone(device=family.people["Rose"].cookie)
    rose.goto(spoken_of.rpartition("/")[0])
    photos(rose).first.click()
    heart = rose.get_by_role("dialog").get_by_role("button", name="I like this")
    expect(heart).to_be_visible()
    end_by_date(family, "Rose")
    heart.click()
    expect(rose.get_by_role("heading", name="This album is closed")).to_be_visible()
    assert hearts(family) == 0


def hearts(family: Family) -> int:
    with family.house.database.reading() as session:
        return len(session.scalars(sa.select(Heart.photo_id).where(Heart.guest_id == family.people["Rose"].id)).all())


def test_what_is_being_prepared_is_heard_without_loading_the_page_again(phone: Phone, family: Family, spoken_of: str) -> None:
    rose = phone(device=family.people["Rose"].cookie)
    rose.context.grant_permissions(["microphone"])
    go_and_stay(rose, spoken_of)
    speak = rose.get_by_role("button", name="Hold and speak")
    speak.focus()
    speak.press("Enter")
    expect(speak).to_have_attribute("aria-pressed", "true")
    rose.wait_for_timeout(900)
    speak.press("Enter")
    expect(rose.get_by_text("Your voice is being prepared.")).to_be_visible()
    rose.get_by_label("Write a few words").fill("The light")
    expect(rose.locator("audio")).to_have_count(1, timeout=20_000)
    expect(rose.get_by_label("Write a few words")).to_have_value("The light")
    assert rose.evaluate("window.stays")


def test_a_photo_full_screen_leads_to_hearts_and_notes_and_back(phone: Phone, family: Family, spoken_of: str) -> None:
    rose = phone(device=family.people["Rose"].cookie, viewport={"width": 360, "height": 740})
    album = spoken_of.rpartition("/")[0]
    rose.goto(album)
    photos(rose).first.click()
    opened = rose.get_by_role("dialog")
    opened.get_by_role("link", name="Write").click()
    expect(rose.get_by_label("Write a few words")).to_be_visible()
    assert rose.url.endswith(spoken_of)
    rose.go_back()
    expect(photos(rose)).to_have_count(1)
    expect(opened).to_have_count(0)
    expect(rose).to_have_url(album)
