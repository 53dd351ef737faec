"""A phone too many asks and is let in, with scripts and without; Rose asks for more time and gets it. With the number on both screens."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser import pictures
from tests.browser.conftest import Phone, end_by_date, photos, send_in, tap
from tests.browser.server import Instance
from tests.conftest import Family


@pytest.mark.parametrize("javascript", [True, False])
def test_the_fourth_phone_asks_and_anna_says_yes(
    server: Instance, family: Family, anna: Page, phone: Phone, javascript: bool
) -> None:
    send_in(server, family, "Brittany 2026", pictures.jpeg(1))
    rose = family.share("Brittany 2026", "Rose")
    for _ in range(2):
        family.enrol(rose)
    fourth, stranger = phone(javascript=javascript), phone(javascript=javascript)
    fourth.goto(f"/i/{rose.token}")
    tap(fourth, "Open the photos")
    expect(fourth.get_by_role("heading")).to_have_text("Waiting for the person who sent you this")
    number = fourth.locator(".two-digits").inner_text()
    if not javascript:
        tap(fourth, "Look again")
        expect(fourth.locator(".two-digits")).to_have_text(number)

    anna.goto("/albums")
    expect(anna.get_by_text("A new phone wants to open the link of Rose. Is it Rose?")).to_be_visible()
    tap(anna, f"Yes, they see {number}")
    expect(anna.get_by_role("heading", name="Phones and computers of Rose")).to_be_visible()

    if not javascript:
        tap(fourth, "Look again")
    expect(fourth).to_have_url("/shared", timeout=15_000)
    fourth.get_by_role("link", name="Brittany 2026").click()
    expect(photos(fourth)).to_have_count(1)

    stranger.goto(f"/i/{rose.token}")
    tap(stranger, "Open the photos")
    anna.goto("/albums")
    tap(anna, "No, end this link")
    expect(anna.get_by_role("button", name="Send a new link")).to_be_visible()
    if not javascript:
        tap(stranger, "Look again")
    expect(stranger.get_by_role("heading", name="This link has ended")).to_be_visible(timeout=15_000)
    assert "Rose" not in stranger.content() and "Anna" not in stranger.content()


def test_rose_asks_for_more_time_and_gets_it(server: Instance, family: Family, anna: Page, phone: Phone) -> None:
    send_in(server, family, "Brittany 2026", pictures.jpeg(1))
    person = family.share("Brittany 2026", "Rose")
    end_by_date(family, "Rose")
    rose = phone(device=person.cookie, javascript=False)
    rose.goto("/shared")
    tap(rose, "Ask Anna for more time")
    expect(rose.get_by_role("status")).to_have_text("Anna has been asked.")
    anna.goto("/albums")
    expect(anna.get_by_text("Rose asks for more time for Brittany 2026")).to_be_visible()
    tap(anna, "30 more days")
    rose.reload()
    expect(photos(rose)).to_have_count(1)
