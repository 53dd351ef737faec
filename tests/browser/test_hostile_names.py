"""Names and titles that want to be more than text, or more than the page has room for."""

from dataclasses import dataclass

import pytest
from playwright.sync_api import Dialog, Page, expect

from app.albums import service as albums
from app.media import service as media
from tests.browser.conftest import Phone, album_address, end_by_date, new_family, photos, tap
from tests.browser.server import Instance
from tests.browser.test_pages import sticking_out, with_large_type
from tests.conftest import Family

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'"
EMOJI = "👨‍👩‍👧‍👦🏖️" * 12
LONG = "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch"
TURNED = "\u202egpj.evil\u202c \u2067right to left"
NAMES = {"script": SCRIPT, "emoji": EMOJI, "one long word": (LONG * 2)[:100], "turned around": TURNED}


@dataclass
class Stage:
    """A family in which everything has the same awful name, put straight into the database: our forms would have tidied it."""

    family: Family
    name: str
    album: str
    photo: str
    open: str
    closed: str


@pytest.fixture
def stage(server: Instance, request: pytest.FixtureRequest) -> Stage:
    name = NAMES[request.param]
    family = new_family(server, name)
    title = (name * 8)[:200]
    album = family.album(title)
    photo = family.photo(title)
    at = server.house.clock.now()
    with server.house.database.writing() as session:
        row, opened = media.get_photo(session, family.owner, photo=photo, master=server.house.master)
        media.set_caption(row, opened.key, text=(name * 20)[:500], at=at)
        albums.change_album(session, family.owner, album=opened, title=title, description=name * 10, choices=None, at=at)
    family.share(title, name[:90] + " 2")
    end_by_date(family, name[:90] + " 2")
    closed = family.people[name[:90] + " 2"].cookie
    person = family.share(title, name)
    return Stage(family, name, album.id, photo, person.cookie, closed)


@pytest.mark.parametrize("stage", NAMES, indirect=True)
def test_it_is_text_on_every_page_and_stays_on_the_page(phone: Phone, stage: Stage) -> None:
    anna, rose, egon = phone(member=stage.family.cookie), phone(device=stage.open), phone(device=stage.closed)
    guest = stage.family.people[stage.name].id
    album = f"/albums/{stage.album}"
    for path in (
        *("/albums", album, f"{album}?select=1", f"{album}/edit", f"{album}/share", f"/photos/{stage.photo}"),
        *("/people", f"/people/{guest}", "/stop-sharing", "/account", f"/i/{stage.family.people[stage.name].token}"),
    ):
        look_at(anna, path, stage.name)
    anna.goto(f"/people/{guest}")
    tap(anna, "Send a new link")
    assert_well_behaved(anna, "the link is ready")
    expect(anna.get_by_text(stage.name).first).to_be_visible()
    for path in ("/shared", f"/shared/{stage.album}", f"/shared/{stage.album}/{stage.photo}"):
        look_at(rose, path, stage.name)
    rose.goto(f"/shared/{stage.album}")
    photos(rose).first.click()
    expect(rose.get_by_role("dialog")).to_contain_text(stage.name)
    assert_well_behaved(rose, "the photo, full screen")
    look_at(egon, "/shared", "")


@pytest.mark.parametrize("field", ["title", "name"])
def test_three_hundred_characters_are_refused_in_place_and_what_was_typed_stays(phone: Phone, family: Family, field: str) -> None:
    anna = phone(member=family.cookie)
    if field == "title":
        anna.goto(f"{album_address(family, 'Brittany 2026')}/edit")
        box, button, said = anna.get_by_label("Title", exact=True), "Save", "This title is too long."
    else:
        anna.goto(f"{album_address(family, 'Brittany 2026')}/share")
        box, button, said = anna.get_by_label("Who is it for?"), "Make the link", "This name is too long."
    box.fill("x" * 300)
    tap(anna, button)
    expect(anna.get_by_text(said)).to_be_visible()
    expect(box).to_have_value("x" * 300)
    assert_well_behaved(anna, field)


def test_a_name_that_wants_to_be_a_script_is_a_name(phone: Phone, family: Family) -> None:
    """The same through our own forms, from typing it to the guest's page."""
    anna, rose = phone(member=family.cookie), phone()
    anna.on("dialog", fail)
    anna.goto("/albums")
    anna.get_by_role("link", name="New album").click()
    anna.get_by_label("Title").fill(SCRIPT)
    tap(anna, "Make the album")
    expect(anna.get_by_role("heading", name=SCRIPT)).to_be_visible()
    anna.get_by_role("link", name="Share", exact=True).click()
    anna.get_by_label("Who is it for?").fill(TURNED)
    tap(anna, "Make the link")
    expect(anna.get_by_role("heading", name="The link for gpj.evil right to left is ready")).to_be_visible()
    rose.on("dialog", fail)
    rose.goto(anna.get_by_label("The link", exact=True).input_value())
    tap(rose, "Open the photos")
    rose.get_by_role("link", name=SCRIPT).click()
    expect(rose.get_by_role("heading", name=SCRIPT)).to_be_visible()


def fail(dialog: Dialog) -> None:
    """A name has run as a script."""
    raise AssertionError(dialog.message)


def look_at(page: Page, path: str, name: str) -> None:
    """A page with the name on it, as text. (The red button names nobody.)"""
    answer = page.goto(path)
    assert answer is not None and answer.status in (200, 410), path
    text = page.evaluate("document.body.innerText + Array.from(document.images, (each) => each.alt)")
    assert name in text or path == "/stop-sharing", path
    assert_well_behaved(page, path)


def assert_well_behaved(page: Page, what: str) -> None:
    """No element out of a name, and nothing pushed off the narrowest phone."""
    assert page.locator("script:not([src]), img[src=x]").count() == 0, what
    problems = with_large_type(page)
    page.set_viewport_size({"width": 320, "height": 640})
    assert not problems + sticking_out(page), f"{what}: {problems + sticking_out(page)}"
    page.set_viewport_size({"width": 390, "height": 844})
