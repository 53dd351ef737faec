"""Pictures of every page, to look at before calling one done: `python -m tests.browser.screenshots FOLDER [page ...]`.

Starts a scratch server with `flask demo` on it and writes FOLDER/<size>-<light|dark>-<page>.png; at 390x844 also with type twice as large.
"""

import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser import pictures
from tests.browser.conftest import CHROMIUM, FLAGS, photos, pick
from tests.browser.server import Instance, serving
from tests.server import wait_for

SIZES = ((360, 740), (390, 844), (820, 1180), (1280, 800))
LARGE_TYPE_AT = (390, 844)
DEMO = re.compile(r"as (\S+) with the password (\S+)\nThe link for Rose: (\S+)\nThe link for Jim: (\S+)")
ALL_SEEN = (
    """() => Array.from(document.images).every((image) => image.complete || image.getBoundingClientRect().top > innerHeight)"""
)
NEXT_PERSON = iter(
    ["Joe", "Ida", "Tom", "Ann", "Sam", "Liz", "Bob", "Eve", "Max", "Lea", "Pat", "Kim", "Ben", "Zoe", "Jon", "Meg"]
)


class Family:
    """The demo's family on a running server: Anna signed in, Rose let in, Egon's time over, and a stranger."""

    def __init__(self, server: Instance, browser: Browser) -> None:
        found = DEMO.search(server.command("demo"))
        assert found, "flask demo says something else than it did"
        self.server = server
        self.email, self.password, self.rose_link, self.jim_link = found.groups()
        self._contexts = {
            name: browser.new_context(base_url=server.address) for name in ("anna", "ben", "rose", "egon", "jim", "stranger")
        }
        anna, rose, egon = (self._contexts[name].new_page() for name in ("anna", "rose", "egon"))
        self._sign_in(anna)
        wait_for(lambda: anna.reload() and anna.get_by_text("being prepared").count() == 0, "the demo's pictures are ready", 120)
        anna.get_by_role("link", name="Brittany 2026").click()
        self.album = anna.url
        expect(photos(anna)).to_have_count(24)
        pick(anna, ("broken.jpg", pictures.broken()), ("shopping.jpg", b"milk, bread"))
        expect(anna.get_by_text("All done")).to_be_visible(timeout=30_000)
        self.photo = server.address + str(photos(anna).nth(2).get_attribute("href"))
        anna.goto(self.photo)
        anna.get_by_label("Words for this photo").fill("The lighthouse at Ploumanac'h, just before the rain.")
        anna.get_by_role("button", name="Save the words").click()
        self.empty_album = self._new_album(anna, "Tom is six")
        self._let_in(rose, self.rose_link)
        self._let_in(egon, self._short_link(anna))
        anna.goto("/people")
        self.rose = str(anna.get_by_role("link", name="Rose").get_attribute("href"))
        self.card = self._new_card(anna, str(anna.get_by_role("link", name="Jim").get_attribute("href")))
        self._knock(self._contexts["jim"].new_page())
        self._join(anna, self._contexts["ben"].new_page())
        rose.get_by_role("link", name="Brittany 2026").click()
        self.shared_album = rose.url
        self.shared_photo = server.address + str(photos(rose).nth(2).get_attribute("href"))
        wait_for(lambda: egon.request.get("/shared").status == 410, "Egon's time is over")

    def cookies(self, who: str) -> list[object]:
        return list(self._contexts[who].cookies())

    def _sign_in(self, page: Page) -> None:
        page.goto("/sign-in")
        page.get_by_label("E-mail").fill(self.email)
        page.get_by_label("Password", exact=True).fill(self.password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("link", name="Brittany 2026")).to_be_visible()

    def _new_album(self, page: Page, title: str) -> str:
        page.goto("/albums")
        page.get_by_role("link", name="New album").click()
        page.get_by_label("Title").fill(title)
        page.get_by_role("button", name="Make the album").click()
        expect(page.get_by_role("heading", name=title)).to_be_visible()
        return page.url

    def _short_link(self, page: Page) -> str:
        """A link for Egon that lasts a few seconds, as only a script can make one."""
        token = page.locator("[name=csrf_token]").first.input_value()
        until = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
        form = {"csrf_token": token, "name": "Egon", "until": until}
        made = page.request.post(f"{self.album}/share", form=form, headers={"Accept": "application/json"})
        return str(made.json()["link"])

    def _new_card(self, page: Page, person: str) -> str:
        """The address on a card, as a script is told it."""
        form = {"csrf_token": page.locator("[name=csrf_token]").first.input_value()}
        made = page.request.post(f"{person}/card", form=form, headers={"Accept": "application/json"})
        return str(made.json()["link"])

    def _knock(self, jim: Page) -> None:
        """His phone waits for a yes."""
        jim.goto(self.card)
        jim.get_by_role("button", name="Open the photos").click()
        expect(jim.get_by_role("heading", name="Waiting for")).to_be_visible()

    def _join(self, anna: Page, ben: Page) -> None:
        """Ben, an editor who shares with two people; Carla has not come yet."""
        ben.goto(self.new_invitation(anna, "Ben"))
        for label, text in (("Your name", "Ben"), ("Your e-mail", "ben@example.org"), ("A password", "boats, gulls and tides")):
            ben.get_by_label(label).fill(text)
        ben.get_by_role("button", name="Join").click()
        for name in ("Grandpa", "Aunt Josephine"):
            ben.goto(f"{self.album}/share")
            ben.get_by_role("textbox").first.fill(name)
            ben.get_by_role("button", name="Make the link").click()
            expect(ben.get_by_role("heading", name="is ready")).to_be_visible()
        self.invitation = self.new_invitation(anna, "Carla")
        anna.goto("/members")
        self.ben = str(anna.get_by_role("link", name="Remove Ben").get_attribute("href")).removesuffix("/remove")

    def new_invitation(self, page: Page, name: str) -> str:
        page.goto("/members/invite")
        page.get_by_label("Who is it for?").fill(name)
        page.get_by_role("button", name="Make the invitation").click()
        return page.get_by_label("The link", exact=True).input_value()

    def _let_in(self, page: Page, link: str) -> None:
        page.goto(link)
        page.get_by_role("button", name="Open the photos").click()
        expect(page.get_by_role("link", name="Brittany 2026")).to_be_visible()


Reach = Callable[[Page, Family], None]


def at(address: Callable[[Family], str]) -> Reach:
    return lambda page, family: page.goto(address(family)) and None


def then(reach: Reach, role: str, name: str) -> Reach:
    """A page, and a tap on it."""

    def go(page: Page, family: Family) -> None:
        reach(page, family)
        page.get_by_role(role, name=name, exact=True).first.click()  # type: ignore[arg-type]

    return go


def asked(page: Page, family: Family) -> None:
    page.goto("/shared")
    more = page.get_by_role("button", name="for more time")
    if more.is_visible():
        more.click()
    expect(page.get_by_text("has been asked")).to_be_visible()


def told(page: Page, family: Family) -> None:
    page.goto(f"{family.shared_photo.partition('?')[0]}/wrong")
    tell = page.get_by_role("button", name="Tell them")
    if tell.is_visible():
        tell.click()
    expect(page.get_by_text("Thank you")).to_be_visible()


def card_ready(page: Page, family: Family) -> None:
    page.goto(f"{family.rose}#card")
    page.get_by_label("Whom to call").fill("Anna, 030 1234567")
    page.get_by_role("button", name="Make the card").click()
    expect(page.get_by_role("heading", name="is ready")).to_be_visible()


def link_ready(page: Page, family: Family) -> None:
    page.goto(f"{family.album}/share")
    page.get_by_role("textbox").first.fill(next(NEXT_PERSON))
    page.get_by_role("button", name="Make the link").click()
    expect(page.get_by_role("heading", name="is ready")).to_be_visible()


def full_screen(page: Page, family: Family) -> None:
    page.goto(family.shared_album)
    photos(page).nth(2).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.wait_for_timeout(600)  # until it has flown in


def without_a_line(page: Page, family: Family) -> None:
    """What the phone shows by itself, below it the photos that were seen last."""
    page.goto("/shared")
    page.wait_for_function("() => navigator.serviceWorker.controller")
    page.goto(family.shared_photo)
    for _ in range(3):
        page.wait_for_load_state("networkidle")
        page.get_by_role("link", name="Next").click()
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    page.goto("/shared")


def uploading(page: Page, family: Family) -> None:
    """Some files sent and some on their way, on a line that carries next to nothing."""
    page.goto(family.empty_album)
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    slow = {"offline": False, "latency": 100, "downloadThroughput": -1, "uploadThroughput": 40_000}
    line.send("Network.emulateNetworkConditions", slow)
    pick(page, *((f"IMG_{number:04d}.jpg", pictures.jpeg(number, size=(1600, 1200), grainy=True)) for number in range(12)))
    expect(page.get_by_text("left.", exact=False).first).to_be_visible()  # how long it will take


def uploaded(page: Page, family: Family) -> None:
    """All have arrived, and two of them are no pictures."""
    page.goto(family.empty_album)
    good = [(f"IMG_{number:04d}.jpg", pictures.jpeg(number)) for number in range(4)]
    pick(page, *good, ("shopping.jpg", b"milk, bread"), ("broken.jpg", pictures.broken()))
    expect(page.get_by_text("All done")).to_be_visible(timeout=30_000)


def mistakes(page: Page, family: Family) -> None:
    page.goto(family.server.new_set_up())
    for label, text in (("What is it called?", "The Smiths"), ("Your name", "Anna"), ("Your e-mail", "anna@example.org")):
        page.get_by_label(label).fill(text)
    page.get_by_label("A password").fill("short")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("alert")).to_be_visible()


PAGES: dict[str, tuple[str, Reach]] = {
    "01-set-up": ("stranger", at(lambda family: family.server.new_set_up())),
    "02-set-up-mistakes": ("stranger", mistakes),
    "03-sign-in": ("stranger", at(lambda _: "/sign-in")),
    "04-albums": ("anna", at(lambda _: "/albums")),
    "05-new-album": ("anna", then(at(lambda _: "/albums"), "link", "New album")),
    "06-album": ("anna", at(lambda family: family.album)),
    "07-album-empty": ("anna", at(lambda family: family.empty_album)),
    "08-uploading": ("anna", uploading),
    "08-uploaded": ("anna", uploaded),
    "09-selecting": ("anna", at(lambda family: f"{family.album}?select=1")),
    "10-photo": ("anna", at(lambda family: family.photo)),
    "11-edit": ("anna", at(lambda family: f"{family.album}/edit")),
    "12-share": ("anna", at(lambda family: f"{family.album}/share")),
    "13-link-ready": ("anna", link_ready),
    "14-people": ("anna", at(lambda _: "/people")),
    "15-person": ("anna", at(lambda family: family.rose)),
    "16-person-add-album": ("anna", then(at(lambda family: family.rose), "link", "Add an album")),
    "17-stop-all": ("anna", at(lambda _: "/stop-sharing")),
    "18-account": ("anna", at(lambda _: "/account")),
    "19-somebody-elses-link": ("anna", at(lambda family: family.rose_link)),
    "20-invitation": ("stranger", at(lambda family: family.jim_link)),
    "21-shared": ("rose", at(lambda _: "/shared")),
    "22-shared-album": ("rose", at(lambda family: family.shared_album)),
    "23-shared-photo": ("rose", at(lambda family: family.shared_photo)),
    "24-full-screen": ("rose", full_screen),
    "27-home-screen": ("rose", at(lambda _: "/shared/install")),
    "28-no-connection": ("rose", without_a_line),
    "25-closed": ("egon", at(lambda _: "/shared")),
    "50-closed-asked": ("egon", asked),
    "51-wrong": ("rose", at(lambda family: f"{family.shared_photo.partition('?')[0]}/wrong")),
    "52-wrong-told": ("rose", told),
    "53-waiting": ("jim", at(lambda _: "/waiting")),
    "54-words": ("stranger", at(lambda _: "/c/")),
    "55-albums-asks": ("anna", at(lambda _: "/albums")),
    "56-person-asks": ("anna", at(lambda family: family.rose)),
    "57-photo-reported": ("anna", at(lambda family: family.photo)),
    "58-card": ("anna", card_ready),
    "26-nothing-here": ("stranger", at(lambda _: "/nothing")),
    "30-members": ("anna", at(lambda _: "/members")),
    "31-members-for-an-editor": ("ben", at(lambda _: "/members")),
    "32-invite": ("anna", at(lambda _: "/members/invite")),
    "33-invitation-ready": ("anna", lambda page, family: family.new_invitation(page, "Dora") and None),
    "34-join": ("stranger", at(lambda family: family.invitation)),
    "35-join-signed-in": ("ben", at(lambda family: family.invitation)),
    "36-role": ("anna", at(lambda family: f"{family.ben}/role")),
    "37-remove-member": ("anna", at(lambda family: f"{family.ben}/remove")),
    "38-leave": ("ben", at(lambda _: "/account/delete")),
    "39-last-owner": ("anna", at(lambda _: "/account/delete")),
    "40-group": ("anna", at(lambda _: "/group")),
    "41-activity": ("anna", at(lambda _: "/activity")),
}


def main(folder: Path, wanted: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, serving(Path(scratch)) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        family = Family(server, browser)
        for width, height in SIZES:
            for scheme in ("light", "dark"):
                for name, page in pages(browser, family, width, height, scheme, wanted):
                    page.screenshot(path=folder / f"{width}x{height}-{scheme}-{name}.png")
                    if (width, height) == LARGE_TYPE_AT and scheme == "light":
                        page.evaluate("document.documentElement.style.fontSize = '200%'")
                        page.screenshot(path=folder / f"{width}x{height}-large-{name}.png")
        browser.close()


def pages(
    browser: Browser, family: Family, width: int, height: int, scheme: str, wanted: list[str]
) -> Iterator[tuple[str, Page]]:
    """Each page on a screen of this size, in a browser that holds what its person's browser holds."""
    for name, (who, reach) in PAGES.items():
        if wanted and not any(word in name for word in wanted):
            continue
        phone = width < 600
        context: BrowserContext = browser.new_context(
            base_url=family.server.address,
            viewport={"width": width, "height": height},
            is_mobile=phone,
            has_touch=width < 1000,
            color_scheme=scheme,  # type: ignore[arg-type]
            device_scale_factor=2 if phone else 1,
        )
        context.add_cookies(family.cookies(who))  # type: ignore[arg-type]
        page = context.new_page()
        reach(page, family)
        page.wait_for_function(ALL_SEEN)
        yield name, page
        context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
