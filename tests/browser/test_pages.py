"""Every page, looked at as a strict reader of WCAG 2.2 would: light and dark, on the narrowest phone, with type twice as large."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from app.accounts.models import SignedIn
from app.groups import service as groups
from app.media import service as media
from app.reports import service as reports
from app.reports.models import Report
from app.security.tokens import Purpose, cookie_digest
from app.security.viewer import Device, Role
from app.sharing import asking
from app.sharing import service as sharing
from app.web.i18n import CHOSEN, LANGUAGES
from tests.browser import pictures
from tests.browser.conftest import PHONE, Phone, album_address, end_by_date, new_family, photos, send_in, tap
from tests.browser.server import Instance, serving
from tests.conftest import Colleague, Family, share_as

AAA = ["color-contrast-enhanced"]
"""What guests' pages have to stand beyond the usual."""

SMALLEST_TARGET = 44
SMALLEST_MAIN_TARGET = 56
"""CSS pixels, on guests' pages."""


@dataclass
class Cast:
    """The Smiths with everything that a page can show, and the Joneses with nothing yet. Ben is an editor of the Smiths."""

    server: Instance
    smiths: Family
    joneses: Family
    ben: Colleague
    invitation: str

    def member(self, title: str, more: str = "") -> str:
        return album_address(self.smiths, title) + more

    def guest(self, title: str, more: str = "") -> str:
        return f"/shared/{self.smiths.albums[title].id}{more}"

    def link(self, name: str) -> str:
        return f"/i/{self.smiths.people[name].token}"

    def no_more_mail(self, name: str) -> str:
        token = self.server.house.tokens.sign(Purpose.NO_MORE_MAIL, self.smiths.people[name].id)
        return f"/unsubscribe/{token}"

    @property
    def reported(self) -> str:
        with self.smiths.house.database.reading() as session:
            return f"/photos/{session.scalars(sa.select(Report.photo_id)).one()}"

    def person(self, name: str) -> str:
        return f"/people/{self.smiths.people[name].id}"


@pytest.fixture(scope="session")
def cast(server: Instance) -> Cast:
    smiths = new_family(server)
    for title in ("Brittany 2026", "Nothing yet"):
        smiths.album(title)
    send_in(server, smiths, "Brittany 2026", *(pictures.jpeg(number) for number in range(6)), pictures.broken(), b"milk, bread")
    smiths.share("Brittany 2026", "Rose", may_save=True)
    smiths.share("Nothing yet", "Jim")
    smiths.share("Brittany 2026", "Nobody came", open_it=False)
    full = smiths.share("Brittany 2026", "Three phones")
    for _ in range(2):
        smiths.enrol(full)
    for name in ("Egon", "Otto"):
        smiths.share("Brittany 2026", name)
        end_by_date(smiths, name)
    ask(smiths)
    tablet = smiths.share("Brittany 2026", "Lily")
    tablet.cookie = smiths.enrol(smiths.share("Nothing yet", "Max", open_it=False), cookie_digest(tablet.cookie))
    ben, at = smiths.join("Ben"), server.house.clock.now()
    share_as(ben, smiths, "Brittany 2026", "Theo")
    share_as(ben, smiths, "Brittany 2026", "Uma")
    with server.house.database.writing() as session:
        _, token = groups.invite(session, smiths.owner, role=Role.OWNER, name="Carla", tokens=server.house.tokens, at=at)
        long_ago = {"confirmed_at": at - timedelta(hours=1)}  # so that the password is asked again wherever it can be
        session.execute(sa.update(SignedIn).where(SignedIn.member_id == smiths.owner.id).values(long_ago))
    return Cast(server, smiths, new_family(server, "The Joneses"), ben, f"/join/{token}")


def ask(family: Family) -> None:
    """Everything that waits for an answer: Otto wants more time, a phone to come in, and something is wrong with a photo."""
    house, at, album = family.house, family.house.clock.now(), family.albums["Brittany 2026"].id
    with house.database.writing() as session:
        asking.ask_for_more_time(session, Device((family.people["Otto"].id,)), album=album, jobs=house.jobs, at=at)
        link = sharing.find_link(session, token=family.people["Three phones"].token, tokens=house.tokens)
        asking.ask_to_come_in(
            session, link=link, cookie=None, label="iPhone", jobs=house.jobs, opened_by=b"", asked_from="", at=at
        )
        photo = media.photo_page(session, album=album).photos[1]
        reports.report(session, Device((family.people["Rose"].id,)), photo=photo, jobs=house.jobs, at=at)


Reach = Callable[[Page, Cast], None]


def at(address: Callable[[Cast], str]) -> Reach:
    """A page that has an address."""
    return lambda page, cast: page.goto(address(cast)) and None


def first_photo(address: Callable[[Cast], str]) -> Reach:
    """The own page of the first photo of an album."""

    def go(page: Page, cast: Cast) -> None:
        page.goto(address(cast))
        page.goto(str(page.locator(".tile a").first.get_attribute("href")))

    return go


def after_tapping(address: Callable[[Cast], str], button: str) -> Reach:
    """The page that a form leads to."""

    def go(page: Page, cast: Cast) -> None:
        page.goto(address(cast))
        tap(page, button)

    return go


def with_dialog(address: Callable[[Cast], str], link: str) -> Reach:
    """A page with one of its dialogs open."""

    def go(page: Page, cast: Cast) -> None:
        page.goto(address(cast))
        page.get_by_role("link", name=link).click()
        expect(page.get_by_role("dialog")).to_be_visible()

    return go


def full_screen(page: Page, cast: Cast) -> None:
    page.goto(cast.guest("Brittany 2026"))
    photos(page).first.click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Close")).to_be_visible()


def link_ready(page: Page, cast: Cast) -> None:
    page.goto(cast.member("Nothing yet", "/share"))
    page.get_by_role("textbox", name="Their name").fill("Somebody else")
    tap(page, "Make the link")


def card_ready(page: Page, cast: Cast) -> None:
    page.goto(cast.person("Rose"))
    page.get_by_role("link", name="Make a card to print").click()
    page.get_by_label("Whom to call").fill("Anna, 030 1234567")
    tap(page, "Make the card")


def something_is_wrong(page: Page, cast: Cast) -> None:
    page.goto(cast.guest("Brittany 2026"))
    page.goto(str(photos(page).first.get_attribute("href")))
    page.get_by_role("link", name="Something is wrong with this photo").click()


def invitation_ready(page: Page, _: Cast) -> None:
    page.goto("/members/invite")
    page.get_by_label("Who is it for?").fill("Dora")
    tap(page, "Make the invitation")


def wrong_password(page: Page, cast: Cast) -> None:
    page.goto(f"/members/{cast.ben.viewer.id}/remove")
    page.get_by_label("Your password, please").fill("something else")
    tap(page, "Remove")


def joining_with_mistakes(page: Page, cast: Cast) -> None:
    page.goto(cast.invitation)
    for label, text in (("Your name", "Carla"), ("Your e-mail", cast.smiths.email), ("A password", "three boats and a gull")):
        page.get_by_label(label).fill(text)
    tap(page, "Join")


def expired_form(page: Page, _: Cast) -> None:
    page.goto("/sign-in")
    page.get_by_label("E-mail").fill("anna@example.org")
    page.get_by_label("Password", exact=True).fill("something")
    page.context.clear_cookies()
    tap(page, "Sign in")


def mistakes(page: Page, cast: Cast) -> None:
    page.goto(cast.server.new_set_up())
    page.get_by_label("What is it called?").fill("The Smiths")
    page.get_by_label("Your name").fill("Anna")
    page.get_by_label("Your e-mail").fill("anna@example.org")
    page.get_by_label("A password").fill("short")
    tap(page, "Start")


NOBODY: dict[str, Reach] = {
    "set-up": at(lambda cast: cast.server.new_set_up()),
    "set-up with mistakes": mistakes,
    "sign-in": at(lambda _: "/sign-in"),
    "a new password": at(lambda cast: cast.server.new_password_address(cast.smiths.owner.id)),
    "form that is too old": expired_form,
    "joining": at(lambda cast: cast.invitation),
    "joining with mistakes": joining_with_mistakes,
}
ANNA: dict[str, Reach] = {
    "albums": at(lambda _: "/albums"),
    "new album": with_dialog(lambda _: "/albums", "New album"),
    "album with photos": at(lambda cast: cast.member("Brittany 2026")),
    "album without photos": at(lambda cast: cast.member("Nothing yet")),
    "album, selecting": at(lambda cast: cast.member("Brittany 2026", "?select=1")),
    "photo": first_photo(lambda cast: cast.member("Brittany 2026")),
    "edit album": at(lambda cast: cast.member("Brittany 2026", "/edit")),
    "photo, something is wrong": at(lambda cast: cast.reported),
    "share": at(lambda cast: cast.member("Brittany 2026", "/share")),
    "card ready": card_ready,
    "link ready": link_ready,
    "people": at(lambda _: "/people"),
    "person": at(lambda cast: cast.person("Rose")),
    "person, mail and language": with_dialog(lambda cast: cast.person("Rose"), "Change name, mail or language"),
    "person, add an album": with_dialog(lambda cast: cast.person("Rose"), "Add an album"),
    "person whose time is over": at(lambda cast: cast.person("Egon")),
    "stop all": at(lambda _: "/stop-sharing"),
    "account": at(lambda _: "/account"),
    "members": at(lambda _: "/members"),
    "invite": at(lambda _: "/members/invite"),
    "role": at(lambda cast: f"/members/{cast.ben.viewer.id}/role"),
    "remove a member": at(lambda cast: f"/members/{cast.ben.viewer.id}/remove"),
    "remove a member, wrong password": wrong_password,
    "last owner": at(lambda _: "/account/delete"),
    "group": at(lambda _: "/group"),
    "activity": at(lambda _: "/activity"),
    "joining, signed in already": at(lambda cast: cast.invitation),
    "somebody else's link": at(lambda cast: cast.link("Rose")),
    "nothing here, for a member": at(lambda _: "/albums/nothing"),
}
BEN: dict[str, Reach] = {
    "members, for an editor": at(lambda _: "/members"),
    "leave": at(lambda _: "/account/delete"),
}
JONES: dict[str, Reach] = {
    "invitation ready": invitation_ready,
    "albums, none yet": at(lambda _: "/albums"),
    "people, none yet": at(lambda _: "/people"),
}
GUESTS: dict[str, tuple[str, Reach]] = {
    "invitation": ("", at(lambda cast: cast.link("Nobody came"))),
    "waiting": ("", after_tapping(lambda cast: cast.link("Three phones"), "Open the photos")),
    "the words of a card": ("", at(lambda _: "/c/")),
    "link ended": ("", at(lambda cast: cast.link("Egon"))),
    "nothing here": ("", at(lambda _: "/shared/nothing")),
    "no more mail": ("", at(lambda cast: cast.no_more_mail("Rose"))),
    "no more mail, done": ("", after_tapping(lambda cast: cast.no_more_mail("Jim"), "No more mail")),
    "albums for you": ("Rose", at(lambda _: "/shared")),
    "whose photos": ("Max", at(lambda _: "/shared")),
    "guest's album": ("Rose", at(lambda cast: cast.guest("Brittany 2026"))),
    "guest's album without photos": ("Jim", at(lambda cast: cast.guest("Nothing yet"))),
    "guest's photo": ("Rose", first_photo(lambda cast: cast.guest("Brittany 2026"))),
    "guest's photo, full screen": ("Rose", full_screen),
    "guest's photo, something is wrong": ("Rose", something_is_wrong),
    "closed": ("Egon", at(lambda _: "/shared")),
    "closed, more time is asked": ("Otto", at(lambda _: "/shared")),
    "no connection": ("", at(lambda _: "/offline")),
    "on the home screen": ("Rose", at(lambda _: "/shared/install")),
}


@pytest.mark.parametrize("name", NOBODY)
def test_pages_for_nobody(phone: Phone, cast: Cast, name: str) -> None:
    page = phone()
    NOBODY[name](page, cast)
    look_over(page)


@pytest.mark.parametrize("name", ANNA | BEN | JONES)
def test_pages_for_members(phone: Phone, cast: Cast, name: str) -> None:
    who = cast.ben if name in BEN else cast.joneses if name in JONES else cast.smiths
    page = phone(member=who.cookie)
    (ANNA | BEN | JONES)[name](page, cast)
    look_over(page)


@pytest.mark.parametrize("name", GUESTS)
def test_pages_for_guests(phone: Phone, cast: Cast, name: str) -> None:
    who, reach = GUESTS[name]
    page = phone(device=cast.smiths.people[who].cookie if who else "")
    reach(page, cast)
    look_over(page, guest=True)
    assert_targets_are_large(page)


BY_ADDRESS = {
    "": (NOBODY, ["sign-in", "joining", "set-up"]),
    "Anna": (
        ANNA,
        ["albums", "album with photos", "album, selecting", "edit album", "share", "people", "person", "account", "group"],
    ),
}
"""Pages that are found without reading them."""


@pytest.mark.slow
@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_pages_in_every_language(phone: Phone, cast: Cast, language: str) -> None:
    for who, (pages, names) in BY_ADDRESS.items():
        for name in names:
            page = phone(member=cast.smiths.cookie if who else "")
            speak(page, cast, language)
            pages[name](page, cast)
            look_over(page)
    for name in (
        "invitation",
        "albums for you",
        "whose photos",
        "guest's album",
        "guest's album without photos",
        "guest's photo",
        "closed",
        "no connection",
        "on the home screen",
    ):
        who, reach = GUESTS[name]
        page = phone(device=cast.smiths.people[who].cookie if who else "")
        speak(page, cast, language)
        reach(page, cast)
        look_over(page, guest=True)
        assert_targets_are_large(page)


def speak(page: Page, cast: Cast, language: str) -> None:
    page.context.add_cookies([{"name": CHOSEN, "value": language, "url": cast.server.address}])


@pytest.mark.parametrize("who", ["member", "guest"])
def test_nothing_on_an_album_page_moves_while_photos_come_in(phone: Phone, cast: Cast, who: str) -> None:
    if who == "member":
        page, address = phone(member=cast.smiths.cookie), cast.member("Brittany 2026")
    else:
        page, address = phone(device=cast.smiths.people["Rose"].cookie), cast.guest("Brittany 2026")
    page.add_init_script(
        "new PerformanceObserver((list) => list.getEntries().forEach((each) => { window.moved = (window.moved || 0) + each.value; }))"
        ".observe({ type: 'layout-shift', buffered: true })"
    )
    page.goto(address)
    for image in photos(page).get_by_role("img").all():
        image.scroll_into_view_if_needed()
        page.wait_for_function("(image) => image.complete && image.naturalWidth > 0", arg=image.element_handle())
    assert page.evaluate("window.moved || 0") == 0


@pytest.mark.slow
def test_the_page_of_components(phone: Phone, tmp_path: Path) -> None:
    with serving(tmp_path, KINFOLD_DEVELOPMENT="yes") as server:
        page = phone(at=server)
        page.goto("/styleguide")
        look_over(page)


@pytest.mark.parametrize("who", ["member", "guest"])
def test_in_forced_colours_everything_keeps_its_edge(phone: Phone, cast: Cast, who: str) -> None:
    if who == "member":
        page, address = phone(member=cast.smiths.cookie, forced_colors="active"), cast.member("Brittany 2026")
    else:
        page, address = phone(device=cast.smiths.people["Rose"].cookie, forced_colors="active"), cast.guest("Brittany 2026")
    page.goto(address)
    for part in (".button", ".tile"):
        assert page.locator(part).first.evaluate("(each) => parseFloat(getComputedStyle(each).borderTopWidth)") > 0, part


def test_on_paper_there_is_nothing_to_tap(phone: Phone, cast: Cast) -> None:
    page = phone(device=cast.smiths.people["Rose"].cookie)
    page.goto(cast.guest("Brittany 2026"))
    page.emulate_media(media="print")
    expect(page.get_by_role("heading", name="Brittany 2026")).to_be_visible()
    assert page.locator(".tile img").evaluate_all("(all) => all.every((each) => getComputedStyle(each).objectFit === 'contain')")
    expect(page.locator(".bar, .button, .foot").locator("visible=true")).to_have_count(0)


def look_over(page: Page, *, guest: bool = False) -> None:
    """One page, in all the ways that people look at it."""
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    page.emulate_media(reduced_motion="reduce")  # colours change at once
    problems = [f"type twice as large: {problem}" for problem in with_large_type(page)]
    page.set_viewport_size({"width": 320, "height": 640})
    problems += [f"320 px: {problem}" for problem in sticking_out(page)]
    page.set_viewport_size(
        PHONE | {"height": page.evaluate("document.documentElement.scrollHeight") + 200}
    )  # nothing lies under the dock
    page.evaluate(AXE_SCRIPT)
    problems += accessibility(
        page, ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], AAA if guest else []
    )
    page.emulate_media(color_scheme="dark")
    problems += [f"dark: {problem}" for problem in accessibility(page, [], ["color-contrast", *(AAA if guest else [])])]
    assert not problems, "\n".join(problems)


def accessibility(page: Page, tags: list[str], rules: list[str]) -> list[str]:
    """What axe objects to, by the rules with these tags and by these rules."""
    violations = page.evaluate(
        """async ([tags, rules]) => {
            const wanted = axe.getRules().filter((rule) => rules.includes(rule.ruleId)
                || (!rule.tags.includes("deprecated") && rule.tags.some((tag) => tags.includes(tag))));
            const run = { type: "rule", values: wanted.map((rule) => rule.ruleId) };
            return (await axe.run({ runOnly: run, resultTypes: ["violations"] })).violations;
        }""",
        [tags, rules],
    )
    return [f"{each['id']}: {node['target']} {node['failureSummary']}" for each in violations for node in each["nodes"]]


def with_large_type(page: Page) -> list[str]:
    page.evaluate(
        "document.documentElement.style.fontSize = 2 * parseFloat(getComputedStyle(document.documentElement).fontSize) + 'px'"
    )
    try:
        return sticking_out(page)
    finally:
        page.evaluate("document.documentElement.style.fontSize = ''")


def sticking_out(page: Page) -> list[str]:
    """What makes the page scroll sideways, or lies beyond the edge where nobody can scroll to."""
    found: list[str] = page.evaluate(
        """() => {
            const wide = document.documentElement.clientWidth;
            const scrolls = (element) => element && element !== document.body && element !== document.documentElement
                && (["auto", "scroll"].includes(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
            const out = Array.from(document.querySelectorAll("body *")).filter((element) => {
                const box = element.getBoundingClientRect();
                return element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && box.width > 1 && box.height > 1
                    && (box.right > wide + 1 || (document.dir === "rtl" && box.left < -1))
                    && !scrolls(element.parentElement) && !element.closest("dialog.pswp, .pswp");
            }).map((element) => element.outerHTML.slice(0, 120));
            if (document.documentElement.scrollWidth > wide) out.unshift("scrolls to " + document.documentElement.scrollWidth);
            return out;
        }"""
    )
    return found


def assert_targets_are_large(page: Page) -> None:
    """What a thumb of 78 has to hit. Links inside a sentence are part of the sentence."""
    small: list[str] = page.evaluate(
        """([least, leastMain]) => Array.from(document.querySelectorAll("a[href], button, summary, select, input:not([type=hidden])"))
            .filter((element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true })
                && getComputedStyle(element).display !== "inline")
            .map((element) => ({ element, box: element.getBoundingClientRect(),
                least: element.matches("button[type=submit], a[rel=next], a[rel=prev]") ? leastMain : least }))
            .filter(({ box, least }) => box.width > 1 && (box.height < least || box.width < 44))
            .map(({ element, box }) => `${Math.round(box.width)} x ${Math.round(box.height)}: ${element.outerHTML.slice(0, 120)}`)""",
        [SMALLEST_TARGET, SMALLEST_MAIN_TARGET],
    )
    assert not small, "\n".join(small)
