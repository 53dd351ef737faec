"""From Anna's phone to Rose's: the story that everything else is for."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.browser import pictures
from tests.browser.conftest import (
    Phone,
    album_address,
    end_by_date,
    image_addresses,
    photos,
    pick,
    sign_up,
    tap,
)
from tests.browser.server import Instance
from tests.conftest import Family
from tests.server import wait_for

SECRETS = ("Rose", "Anna", "Smith", "Brittany", "photo-", "/m/")
"""What a page for strangers must not say."""


def test_anna_sets_up_sends_photos_and_shares_and_rose_looks_swipes_and_saves(server: Instance, phone: Phone) -> None:
    anna, rose = phone(), phone()

    sign_up(anna, server.set_up_address(), email="anna@example.org")
    expect(anna.get_by_role("heading", name="The Smiths")).to_be_visible()
    make_album(anna, "Brittany 2026")
    expect(anna.get_by_role("heading", name="Brittany 2026")).to_be_visible()

    pick(
        anna,
        ("IMG_0001.HEIC", pictures.heic(1)),
        ("IMG_0002.JPG", pictures.jpeg(2)),
        ("IMG_0003.jpg", pictures.broken()),
        ("IMG_0004.jpg", pictures.jpeg(4)),
    )
    board = anna.get_by_role("region", name="Photos on their way")
    expect(board.get_by_role("status")).to_contain_text("All done: 3 of 4 ready", timeout=30_000)
    expect(board.get_by_role("listitem").filter(has_text="IMG_0003.jpg")).to_contain_text("damaged")
    expect(board).to_contain_text("Taken out of these photos")
    expect(photos(anna)).to_have_count(3)
    expect(anna.get_by_role("button", name="Watch as a slideshow")).to_be_visible()
    photos(anna).first.click()
    expect(anna.get_by_role("dialog").get_by_role("button", name="Close")).to_be_visible()
    anna.go_back()

    anna.reload()
    expect(photos(anna)).to_have_count(3)
    expect(board).to_contain_text("1 file could not be used")
    expect(board.get_by_role("listitem").filter(has_text="IMG_0003.jpg")).to_contain_text("damaged")

    link = share(anna, "Rose", may_save=True)
    expect(anna.get_by_role("img", name="The link as a code to scan")).to_be_visible()
    expect(anna.get_by_text("Hello Rose, here are photos for you: Brittany 2026")).to_be_visible()
    anna.get_by_role("button", name="Copy the link").click()
    expect(anna.get_by_role("status")).to_contain_text("Copied")

    neutral = rose.goto(link)
    assert neutral is not None and neutral.status == 200
    assert not any(secret in rose.content() for secret in SECRETS)
    rose.get_by_role("button", name="Open the photos").click()
    expect(rose).to_have_url(f"{server.address}/shared")
    rose.get_by_role("link", name="Brittany 2026").click()
    expect(photos(rose)).to_have_count(3)
    album = rose.url

    look_full_screen_and_swipe(rose)
    expect(rose).to_have_url(album)

    photos(rose).first.click()
    with rose.expect_download() as saving:
        rose.get_by_role("dialog").get_by_role("link", name="Save").click()
    saved = saving.value
    assert saved.suggested_filename.startswith("photo-") and not pictures.metadata(Path(saved.path()).read_bytes())

    tomorrow = rose.context.new_page()
    tomorrow.goto(link)
    expect(tomorrow).to_have_url(f"{server.address}/shared")
    tomorrow.goto(album)
    expect(photos(tomorrow)).to_have_count(3)


def test_the_share_sheet_of_the_phone_gets_message_and_link_in_one_tap(phone: Phone, family: Family) -> None:
    anna = phone(member=family.cookie)
    anna.add_init_script("navigator.share = async (given) => { window.given = given; }")
    anna.goto(album_address(family, "Brittany 2026"))
    link = share(anna, "Rose")
    anna.get_by_role("button", name="Send it").click()
    given = anna.evaluate("window.given")
    assert given == {
        "text": "Hello Rose, here are photos for you: Brittany 2026. Tap the link, then the big button.",
        "url": link,
    }


def test_without_leave_to_save_there_is_no_save_button(phone: Phone, family: Family) -> None:
    family.photo("Brittany 2026")
    rose = phone(device=family.share("Brittany 2026", "Rose").cookie)
    rose.goto("/shared")
    rose.get_by_role("link", name="Brittany 2026").click()
    photos(rose).first.click()
    expect(rose.get_by_role("dialog")).to_be_visible()
    expect(rose.get_by_role("dialog").get_by_role("link", name="Save")).to_be_hidden()
    rose.reload()
    expect(rose.get_by_role("img", name="Photo 1")).to_be_visible()
    expect(rose.get_by_role("link", name="Save this photo")).to_have_count(0)


def test_anna_sees_under_roses_name_what_she_has(phone: Phone, family: Family) -> None:
    family.share("Brittany 2026", "Rose")
    anna = phone(member=family.cookie)
    anna.goto("/people")
    anna.get_by_role("link", name="Rose").click()
    expect(anna.get_by_role("heading", name="Rose", exact=True)).to_be_visible()
    album = anna.get_by_role("listitem").filter(has_text="Brittany 2026")
    end = (datetime.now(UTC) + timedelta(days=30)).astimezone()
    expect(album).to_contain_text(f"until {end.day} {end:%B}")
    expect(anna.get_by_role("listitem").filter(has_text="Android phone")).to_contain_text("last here today")
    expect(anna.get_by_role("listitem").filter(has_text="Made today")).to_be_visible()


@pytest.mark.parametrize(
    "button", ["End now Brittany 2026", "Remove Android phone", "End this link and its phones", "Stop sharing with Rose"]
)
def test_one_tap_ends_it_and_at_once_nothing_answers(phone: Phone, family: Family, button: str) -> None:
    for _ in range(2):
        family.photo("Brittany 2026")
    rose = phone(device=family.share("Brittany 2026", "Rose", may_save=True).cookie)
    addresses = everything_rose_has(rose)

    anna = phone(member=family.cookie)
    anna.goto(f"/people/{family.people['Rose'].id}")
    tap(anna, button)
    assert_gone(rose, addresses)  # nothing is waited for: the second that we promise has not even passed
    page = rose.goto("/shared")
    assert page is not None and page.status == 404
    assert not any(secret in rose.content() for secret in SECRETS)


def test_a_new_link_has_a_new_address_and_the_old_one_lets_nobody_in(phone: Phone, family: Family, server: Instance) -> None:
    old = family.share("Brittany 2026", "Rose")
    anna = phone(member=family.cookie)
    anna.goto(f"/people/{old.id}")
    tap(anna, "End this link and its phones")
    anna.get_by_role("button", name="Make a link").click()
    new = anna.get_by_label("The link", exact=True).input_value()
    assert old.token not in new
    stranger = phone()
    answer = stranger.goto(f"/i/{old.token}")
    assert answer is not None and answer.status == 404
    stranger.goto(new)
    stranger.get_by_role("button", name="Open the photos").click()
    expect(stranger.get_by_role("link", name="Brittany 2026")).to_be_visible()


def test_stop_all_sharing_ends_everything_after_one_confirmation(phone: Phone, family: Family) -> None:
    family.photo("Brittany 2026")
    guests = [phone(device=family.share("Brittany 2026", name).cookie) for name in ("Rose", "Jim")]
    addresses = [everything_rose_has(guest) for guest in guests]

    anna = phone(member=family.cookie)
    anna.goto("/people")
    anna.get_by_role("link", name="Stop all sharing").click()
    expect(anna.get_by_text("2 people see nothing any more")).to_be_visible()
    tap(anna, "Stop all sharing")
    expect(anna.get_by_role("heading", name="People")).to_be_visible()

    for guest, had in zip(guests, addresses, strict=True):
        assert_gone(guest, had)
    for name in ("Rose", "Jim"):
        answer = phone().goto(f"/i/{family.people[name].token}")
        assert answer is not None and answer.status == 404


def test_a_thumb_that_taps_twice_makes_one_link_for_one_person(phone: Phone, family: Family) -> None:
    anna = phone(member=family.cookie)
    anna.goto(f"{album_address(family, 'Brittany 2026')}/share")
    anna.get_by_label("Who is it for?").fill("Rose")
    anna.get_by_role("button", name="Make the link").dblclick()
    expect(anna.get_by_role("heading", name="The link for Rose is ready")).to_be_visible()
    anna.goto("/people")
    expect(anna.get_by_role("link", name="Rose")).to_have_count(1)


@pytest.mark.parametrize("javascript", [True, False], ids=["with-javascript", "without-javascript"])
def test_when_the_date_comes_it_ends_by_itself(phone: Phone, family: Family, javascript: bool) -> None:
    family.photo("Brittany 2026")
    anna, rose, stranger = phone(member=family.cookie), phone(javascript=javascript), phone(javascript=javascript)
    anna.goto(f"{album_address(family, 'Brittany 2026')}/share")
    until = datetime.now(UTC) + timedelta(seconds=4)
    made = anna.context.request.post(
        f"{album_address(family, 'Brittany 2026')}/share",
        form={"csrf_token": anna.locator("[name=csrf_token]").first.input_value(), "name": "Rose", "until": until.isoformat()},
        headers={"Accept": "application/json"},
    )
    assert made.status == 201 and datetime.fromisoformat(made.json()["expires_at"]) == until
    rose.goto(made.json()["link"])
    rose.get_by_role("button", name="Open the photos").click()
    rose.get_by_role("link", name="Brittany 2026").click()
    expect(photos(rose)).to_have_count(1)
    album, addresses = rose.url, image_addresses_without_javascript(rose)

    wait_for(lambda: rose.request.get(album).status == 410, "the album is closed")
    assert datetime.now(UTC) >= until - timedelta(seconds=1)  # the server's clock never runs back; ours may be set back a little
    for address in (album, "/shared"):
        answer = rose.goto(address)
        assert answer is not None and answer.status == 410
        expect(rose.get_by_role("heading", name="This album is closed")).to_be_visible()
        expect(rose.get_by_role("button", name="Ask Anna for more time")).to_be_visible()
    assert_gone(rose, addresses)

    answer = stranger.goto(made.json()["link"])
    assert answer is not None and answer.status == 410
    expect(stranger.get_by_role("heading", name="This link has ended")).to_be_visible()
    assert not any(secret in stranger.content() for secret in SECRETS)


def test_who_was_ended_by_hand_after_the_date_is_told_no_name_any_more(phone: Phone, family: Family) -> None:
    rose = phone(device=family.share("Brittany 2026", "Rose").cookie)
    end_by_date(family, "Rose")
    rose.goto("/shared")
    expect(rose.get_by_text("Ask Anna")).to_be_visible()
    anna = phone(member=family.cookie)
    anna.goto(f"/people/{family.people['Rose'].id}")
    tap(anna, "Stop sharing with Rose")
    answer = rose.goto("/shared")
    assert answer is not None and answer.status == 404
    assert "Anna" not in rose.content()


def make_album(page: Page, title: str) -> None:
    """From the list of albums."""
    page.get_by_role("link", name="New album").click()
    page.get_by_label("Title").fill(title)
    page.get_by_role("button", name="Make the album").click()


def share(page: Page, name: str, *, may_save: bool = False) -> str:
    """From the page of an album, in one step; the link."""
    page.get_by_role("link", name="Share", exact=True).click()
    page.get_by_label("Who is it for?").fill(name)
    expect(page.get_by_role("radio", name="30 days")).to_be_checked()
    if may_save:
        page.get_by_role("checkbox", name="They may save the photos").check()
    page.get_by_role("button", name="Make the link").click()
    expect(page.get_by_role("heading", name=f"The link for {name} is ready")).to_be_visible()
    return page.get_by_label("The link", exact=True).input_value()


def look_full_screen_and_swipe(page: Page) -> None:
    """Open the first photo, swipe to the second, and come back with the phone's Back."""
    first, second = (photos(page).nth(number).get_attribute("href") for number in range(2))
    photos(page).first.click()
    screen = page.get_by_role("dialog")
    expect(screen).to_be_visible()
    expect(page).to_have_url(str(first))
    expect(screen.get_by_role("img").last).to_be_visible()
    wait_for(lambda: swiped(page, to=str(second)), "the finger has turned to the next photo")
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(str(first))
    page.go_back()
    expect(screen).to_have_count(0)


def swiped(page: Page, *, to: str) -> bool:
    """Pull the photo to the left; whether that has led to the next one (not while it is still flying in)."""
    finger = page.context.new_cdp_session(page)
    touch(finger, "touchStart", 340)
    for x in range(320, 40, -40):
        touch(finger, "touchMove", x)
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    try:
        expect(page).to_have_url(to, timeout=1500)
    except AssertionError:
        return False
    return True


def touch(finger: CDPSession, kind: str, x: int) -> None:
    finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": 400}]})


def everything_rose_has(rose: Page) -> list[str]:
    """The addresses of her pages and of every image on them; all of them answer."""
    rose.goto("/shared")
    found = ["/shared", *image_addresses(rose)]
    rose.get_by_role("link", name="Brittany 2026").click()
    found += [rose.url, *image_addresses(rose)]
    photos(rose).first.click()
    expect(rose.get_by_role("dialog")).to_be_visible()
    rose.reload()  # now it is the photo's own page
    found += [rose.url, *image_addresses(rose)]
    assert {rose.request.get(address).status for address in found} == {200}
    return found


def image_addresses_without_javascript(page: Page) -> list[str]:
    """The grid's own images, as far as they can be found without asking the page's scripts."""
    return [str(image.get_attribute("src")) for image in page.get_by_role("img", name="Photo").all()]


def assert_gone(page: Page, addresses: list[str]) -> None:
    """None of them answers any more, also not to the cookies that opened them."""
    assert {address: page.request.get(address).status for address in addresses} == dict.fromkeys(addresses, 404)
