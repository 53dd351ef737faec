"""Rose's phone without a line: what it shows, and that it forgets."""

import json
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from app.media.models import Photo
from app.sharing import service as sharing
from tests.browser.conftest import Phone, tap
from tests.browser.server import Instance
from tests.conftest import Family
from tests.server import wait_for

WEEK = timedelta(days=7)
KEPT = """async () => (await (await caches.open("kept")).keys()).map((each) => new URL(each.url).pathname)
    .filter((path) => path.startsWith("/kept/"))"""


@pytest.fixture
def rose(phone: Phone, family: Family) -> Page:
    """Rose, who may save, has the service worker, and has looked at the first two of three photos."""
    for _ in range(3):
        family.photo("Brittany 2026")
    page = phone(device=family.share("Brittany 2026", "Rose", may_save=True).cookie, device_scale_factor=2)
    visit(page)
    for number in (0, 1):
        look_at(page, family, number)
    wait_for(lambda: len(kept(page)) == 2, "two photos are kept")
    return page


def visit(page: Page) -> None:
    page.goto("/shared")
    page.evaluate("() => navigator.serviceWorker.ready")
    page.wait_for_function("() => navigator.serviceWorker.controller")


def look_at(page: Page, family: Family, number: int) -> None:
    """A photo on its own page, large enough for its screen rendition to be fetched."""
    with family.house.database.writing() as session:
        session.execute(sa.update(Photo).where(Photo.id.in_(family.photos["Brittany 2026"])).values(width=1600, height=1200))
    page.goto(f"/shared/{family.albums['Brittany 2026'].id}/{family.photos['Brittany 2026'][number]}")
    expect(page.locator(".stage img:not(.underneath)")).to_be_visible()


def kept(page: Page) -> list[str]:
    found: list[str] = page.evaluate(KEPT)
    return found


def without_a_line(page: Page) -> None:
    page.context.set_offline(True)
    page.goto("/shared")
    expect(page.get_by_role("heading", name="No connection")).to_be_visible()


def shown(page: Page) -> int:
    return page.get_by_role("region", name="What you saw last").get_by_role("img").count()


def test_without_a_line_there_is_a_calm_page_with_what_was_seen_last(rose: Page, family: Family) -> None:
    without_a_line(rose)
    images = rose.get_by_role("region", name="What you saw last").get_by_role("img")
    expect(images).to_have_count(2)
    first, second = family.photos["Brittany 2026"][:2]
    assert [image.get_attribute("src") for image in images.all()] == [f"/kept/{second}", f"/kept/{first}"]
    assert not any(name in rose.content() for name in ("Rose", "Anna", "Smith", "Brittany", "/m/"))
    names: list[str] = rose.evaluate("caches.keys()")
    assert all(name == "kept" or name.startswith("shell ") for name in names)
    stored: list[str] = rose.evaluate(
        """async () => (await Promise.all((await caches.keys()).map(async (name) => (await caches.open(name)).keys())))
            .flat().map((each) => new URL(each.url).pathname)"""
    )
    assert not [path for path in stored if not path.startswith(("/kept/", "/static/")) and path not in ("/offline", "/contact")]
    rose.get_by_role("link", name="Try again").click()
    expect(images).to_have_count(2)
    rose.context.set_offline(False)  # it comes back by itself
    expect(rose.get_by_role("heading", name="Albums for you")).to_be_visible(timeout=30_000)


def test_what_may_not_be_saved_is_not_kept(phone: Phone, family: Family) -> None:
    family.photo("Brittany 2026")
    page = phone(device=family.share("Brittany 2026", "Rose").cookie, device_scale_factor=2)
    visit(page)
    look_at(page, family, 0)
    without_a_line(page)
    assert (shown(page), kept(page)) == (0, [])


def test_what_has_ended_is_gone_at_the_next_contact(rose: Page, family: Family, server: Instance) -> None:
    family.album("Tom is six")
    with server.house.database.writing() as session:
        at = server.house.clock.now()
        guest = sharing.get_guest(session, family.owner, guest=family.people["Rose"].id)
        sharing.give(session, family.owner, album=family.albums["Tom is six"], guest=guest, until=at + WEEK, may_save=True, at=at)
        grant = sharing.get_grant(session, family.owner, grant=family.people["Rose"].grant)
        sharing.end_grant(session, family.owner, grant=grant, at=at)
    rose.goto("/shared")
    wait_for(lambda: not kept(rose), "it has asked, and dropped them")


def test_a_phone_that_was_stopped_forgets_everything(rose: Page, family: Family, server: Instance) -> None:
    with server.house.database.writing() as session:
        guest = sharing.get_guest(session, family.owner, guest=family.people["Rose"].id)
        sharing.stop_guest(session, family.owner, guest=guest, at=server.house.clock.now())
    rose.goto("/shared")
    expect(rose.get_by_role("heading", name="There is nothing here")).to_be_visible()
    wait_for(lambda: not kept(rose), "nothing is left")


def test_this_is_not_my_phone_takes_them_off(rose: Page) -> None:
    rose.goto("/shared")
    rose.get_by_text("This is not my phone").click()
    tap(rose, "Take the photos off this phone")
    wait_for(lambda: not kept(rose), "nothing is left")


@pytest.mark.parametrize(("ago", "left"), [(WEEK - timedelta(minutes=5), 2), (WEEK, 0), (-timedelta(hours=1), 0)])
def test_after_a_week_without_contact_nothing_is_shown_and_nothing_left(rose: Page, ago: timedelta, left: int) -> None:
    """The third: a clock that was set back is no way to keep them longer."""
    rose.context.set_offline(True)
    at = (time.time() - ago.total_seconds()) * 1000
    rose.evaluate("async (at) => (await caches.open('kept')).put('/contact', new Response(String(at)))", at)
    without_a_line(rose)
    rose.evaluate("() => fetch('/kept/')")
    assert (shown(rose), len(kept(rose))) == (left, left)
    assert rose.evaluate("(path) => fetch(path).then(() => true, () => false)", "/kept/" + "a" * 26) is False


def test_what_was_shared_until_now_is_not_shown_any_more_also_without_a_line(rose: Page) -> None:
    first, second = kept(rose)
    rose.context.set_offline(True)
    rose.evaluate(
        """async ([photo, until]) => {
            const cache = await caches.open("kept");
            const found = await cache.match(photo, { ignoreSearch: true });
            await cache.delete(photo, { ignoreSearch: true });
            await cache.put(`${photo}?until=${until}`, found);
        }""",
        [first, int(time.time()) - 1],
    )
    without_a_line(rose)
    assert (shown(rose), kept(rose)) == (1, [second])


def test_a_hundred_photos_are_kept_and_no_more(rose: Page, family: Family) -> None:
    oldest = kept(rose)[0]
    rose.evaluate(
        """async () => {
            const cache = await caches.open("kept");
            for (let number = 0; number < 98; number += 1) await cache.put(`/kept/more-${number}?until=9999999999`, new Response("one"));
        }"""
    )
    assert len(kept(rose)) == 100
    photo = rose.evaluate(
        '(page) => fetch(page).then((answer) => answer.text()).then((text) => Array.from(text.matchAll(/src="(.m.[^"]+)/g)).pop()[1])',
        f"/shared/{family.albums['Brittany 2026'].id}/{family.photos['Brittany 2026'][2]}",
    )
    rose.evaluate("(photo) => { document.body.append(Object.assign(new Image(), { src: photo, alt: '' })); }", photo)
    newest = f"/kept/{family.photos['Brittany 2026'][2]}"
    wait_for(lambda: newest in kept(rose), "the third is kept")
    now = kept(rose)
    assert len(now) == 100 and now[-1] == newest and oldest not in now


def test_a_members_browser_keeps_nothing(phone: Phone, family: Family) -> None:
    family.photo("Brittany 2026")
    page = phone(member=family.cookie)
    page.goto(f"/photos/{family.photos['Brittany 2026'][0]}")
    expect(page.locator(".stage img:not(.underneath)")).to_be_visible()
    assert page.evaluate("async () => [await caches.keys(), (await navigator.serviceWorker.getRegistrations()).length]") == [
        [],
        0,
    ]


def test_it_says_in_pictures_how_to_get_to_the_home_screen(rose: Page) -> None:
    rose.goto("/shared")
    rose.get_by_role("link", name="Put these albums on the home screen").click()
    expect(rose.get_by_role("button", name="Put it there")).to_be_hidden()
    rose.evaluate(
        """() => dispatchEvent(Object.assign(new Event("beforeinstallprompt"), { prompt: () => { window.asked = true; } }))"""
    )
    rose.get_by_role("button", name="Put it there").click()
    assert rose.evaluate("window.asked")
    expect(rose.get_by_role("button", name="Put it there")).to_be_hidden()


def test_what_is_pushed_is_shown_and_leads_only_here(rose: Page, server: Instance) -> None:
    rose.context.grant_permissions(["notifications"], origin=server.address)
    line = rose.context.new_cdp_session(rose)
    workers: list[str] = []
    line.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda told: workers.extend(each["registrationId"] for each in told["registrations"]),
    )
    line.send("ServiceWorker.enable")
    wait_for(lambda: rose.evaluate("1") and workers, "Chromium names the worker")
    told = {"text": "There are new photos for you", "url": "/shared"}
    message = {"origin": server.address, "registrationId": workers[-1], "data": json.dumps(told)}
    line.send("ServiceWorker.deliverPushMessage", message)
    seen = "async () => (await (await navigator.serviceWorker.ready).getNotifications()).map((each) => [each.title, each.data, each.icon])"
    wait_for(lambda: rose.evaluate(seen), "the message is shown")
    [[title, url, icon]] = rose.evaluate(seen)
    assert (title, url) == ("There are new photos for you", "/shared") and icon.endswith("icon-192.png")
