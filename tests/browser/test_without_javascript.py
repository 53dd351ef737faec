"""Everything that a person needs works on a phone that runs no scripts: old, locked down, or with one of our modules failing."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser import pictures
from tests.browser.conftest import Phone, album_address, payloads, photos, sign_up
from tests.browser.server import Instance
from tests.browser.test_main_job import make_album, share
from tests.conftest import PASSWORD, Family
from tests.server import wait_for


def test_anna_sets_up_uploads_and_shares_and_rose_sees_and_saves(server: Instance, phone: Phone) -> None:
    anna, rose = phone(javascript=False), phone(javascript=False)
    sign_up(anna, server.new_set_up(), email="anna-without@example.org")
    make_album(anna, "Brittany 2026")
    send(
        anna, ("IMG_1.HEIC", pictures.heic(1)), ("IMG_2.jpg", pictures.jpeg(2)), ("notes.jpg", b"milk, bread"), ("none.jpg", b"")
    )
    board = anna.get_by_role("region", name="Photos on their way")
    expect(board).to_contain_text("All of them have arrived")
    reload_until(anna, lambda: photos(anna).count() == 2 and board.get_by_text("2 files could not be used").is_visible())
    expect(board.get_by_role("listitem").filter(has_text="notes.jpg")).to_contain_text("This is neither a picture nor a video.")
    expect(board.get_by_role("listitem").filter(has_text="none.jpg")).to_contain_text("This file is empty.")
    board.get_by_role("button", name="Dismiss notes.jpg").click()
    expect(board).to_contain_text("1 file could not be used")

    link = share(anna, "Rose", may_save=True)
    expect(anna.get_by_role("img", name="The link as a code to scan")).to_be_visible()

    neutral = rose.goto(link)
    assert neutral is not None and neutral.status == 200
    rose.get_by_role("button", name="Open the photos").click()
    expect(rose).to_have_url("/shared")
    rose.get_by_role("link", name="Brittany 2026").click()
    expect(photos(rose)).to_have_count(2)
    photos(rose).first.click()
    expect(rose.get_by_role("img", name="Photo")).to_be_visible()
    first = rose.url
    rose.get_by_role("link", name="Next").click()
    expect(rose).not_to_have_url(first)
    with rose.expect_download() as saving:
        rose.get_by_role("link", name="Save this photo").click()
    assert saving.value.suggested_filename.startswith("photo-")
    assert not pictures.metadata(Path(saving.value.path()).read_bytes())
    rose.get_by_role("link", name="Previous").click()
    expect(rose).to_have_url(first)
    rose.get_by_role("link", name="All photos").click()
    rose.get_by_role("link", name="All albums").click()
    rose.goto(link)
    expect(rose).to_have_url("/shared")

    rose.get_by_text("This is not my phone").click()
    rose.get_by_role("button", name="Take the photos off this phone").click()
    answer = rose.goto("/shared")
    assert answer is not None and answer.status == 404


def test_anna_looks_after_her_album(phone: Phone, family: Family) -> None:
    anna = phone(member=family.cookie, javascript=False)
    for _ in range(3):
        family.photo("Brittany 2026")
    anna.goto(album_address(family, "Brittany 2026"))
    photos(anna).first.click()
    anna.get_by_label("Words for this photo").fill("The lighthouse")
    anna.get_by_role("button", name="Save the words").click()
    expect(anna.get_by_label("Words for this photo")).to_have_value("The lighthouse")
    anna.get_by_role("link", name="Delete this photo").click()
    anna.get_by_role("button", name="Delete it").click()
    expect(photos(anna)).to_have_count(2)

    anna.get_by_role("link", name="Select photos").click()
    anna.get_by_role("checkbox").first.check(force=True)  # the box lies under its photo, which is its label
    anna.get_by_role("link", name="Delete the selected").click()
    anna.get_by_role("button", name="Delete them").click()
    expect(photos(anna)).to_have_count(1)

    anna.get_by_role("link", name="Edit album").click()
    anna.get_by_label("To delete it, type its title").fill("Brittany")
    anna.get_by_role("button", name="Delete the album").click()
    expect(anna.get_by_text("This is not the title of the album. Nothing was deleted.")).to_be_visible()
    anna.get_by_label("To delete it, type its title").fill("Brittany 2026")
    anna.get_by_role("button", name="Delete the album").click()
    expect(anna.get_by_text("Your first album")).to_be_visible()


def test_anna_ends_what_she_has_shared(phone: Phone, family: Family) -> None:
    rose = phone(device=family.share("Brittany 2026", "Rose").cookie, javascript=False)
    rose.goto("/shared")
    expect(rose.get_by_role("link", name="Brittany 2026")).to_be_visible()
    anna = phone(member=family.cookie, javascript=False)
    anna.goto("/people")
    anna.get_by_role("link", name="Rose").click()
    anna.get_by_role("button", name="End now Brittany 2026").click()
    expect(anna.get_by_text("ended on")).to_be_visible()
    answer = rose.goto("/shared")
    assert answer is not None and answer.status == 404
    anna.goto("/people")
    anna.get_by_role("link", name="Stop all sharing").click()
    anna.get_by_role("button", name="Stop all sharing").click()
    expect(anna.get_by_text("sees nothing now")).to_be_visible()


def test_anna_signs_out_and_in_again(phone: Phone, family: Family) -> None:
    anna = phone(member=family.cookie, javascript=False)
    anna.goto("/account")
    anna.get_by_role("button", name="Sign out here").click()
    expect(anna).to_have_url("/sign-in")
    anna.get_by_label("E-mail").fill(family.email.upper())
    anna.get_by_label("Password", exact=True).fill("not her password")
    anna.get_by_role("button", name="Sign in").click()
    expect(anna.get_by_role("alert")).to_contain_text("don't belong together")
    anna.get_by_label("Password", exact=True).fill(PASSWORD)
    anna.get_by_role("button", name="Sign in").click()
    expect(anna.get_by_role("heading", name="The Smiths")).to_be_visible()


def send(page: Page, *files: tuple[str, bytes]) -> None:
    """The plain form behind "Add photos"."""
    page.get_by_role("link", name="Add photos").click()
    page.get_by_label("Choose photos").set_input_files(payloads(*files))
    page.get_by_role("button", name="Send them").click()


def reload_until(page: Page, check: Callable[[], bool]) -> None:
    """Reload, as Anna would."""
    wait_for(lambda: page.reload() and check(), "the photos are ready")
