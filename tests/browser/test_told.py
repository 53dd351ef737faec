"""Anna sees what Rose looked at, and Rose's phone offers to tell her of new photos."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from app.models import Seen
from app.notifications.push import make_key, public_key
from tests.browser import pictures
from tests.browser.conftest import Phone, new_family, photos, send_in
from tests.browser.server import Instance, serving
from tests.conftest import Family
from tests.server import wait_for

ENDPOINT = "https://updates.push.services.mozilla.com/wpush/v2/abc"
WORKER = """(endpoint) => {
  const text = (bytes) => btoa(String.fromCharCode(...bytes));
  const keys = { p256dh: window.POINT, auth: text(new Uint8Array(16)) };
  const pushManager = {
    subscribe: (wanted) => { window.wanted = wanted; return Promise.resolve({ toJSON: () => ({ endpoint, keys }) }); },
    getSubscription: () => Promise.resolve({ unsubscribe: () => Promise.resolve(true) }),
  };
  Object.defineProperty(navigator.serviceWorker, "ready", { value: Promise.resolve({ pushManager }) });
}"""
"""What a phone with the service worker has."""


def test_photos_that_rose_shows_full_screen_are_on_annas_activity_page(
    server: Instance, family: Family, anna: Page, phone: Phone
) -> None:
    send_in(server, family, "Brittany 2026", *(pictures.jpeg(number) for number in range(3)))
    rose = phone(device=family.share("Brittany 2026", "Rose").cookie)
    rose.goto(f"/shared/{family.albums['Brittany 2026'].id}")
    second = str(photos(rose).nth(1).get_attribute("href"))
    photos(rose).first.click()
    expect(rose.locator(".pswp--ui-visible")).to_be_visible()
    rose.wait_for_timeout(400)  # until it has opened, keys are not heard
    rose.keyboard.press("ArrowRight")
    expect(rose).to_have_url(server.address + second)
    rose.goto("/shared")

    def noted() -> bool:
        with server.house.database.reading() as session:
            return len(session.scalars(sa.select(Seen.photo_id).where(Seen.guest_id == family.people["Rose"].id)).all()) == 2

    wait_for(noted, "the photos are noted that were full screen when she left")
    anna.goto("/activity")
    expect(anna.get_by_text("Rose looked at 2 photos on")).to_be_visible()


@pytest.mark.slow
def test_roses_phone_is_told_when_she_wants_it(phone: Phone, tmp_path: Path) -> None:
    with serving(tmp_path, KINFOLD_PUSH="yes") as server:
        make_key(server.house)
        family = new_family(server)
        family.album("Brittany 2026")
        rose = phone(at=server, device=family.share("Brittany 2026", "Rose").cookie)
        key = public_key(server.house)
        rose.add_init_script(f"window.POINT = {key!r}; ({WORKER})({ENDPOINT!r})")
        rose.goto("/shared")
        rose.get_by_role("button", name="Tell me when there are new photos").click()
        expect(rose.get_by_role("button", name="Don’t tell me any more")).to_be_visible()
        rose.get_by_role("button", name="Don’t tell me any more").click()
        expect(rose.get_by_role("button", name="Tell me when there are new photos")).to_be_visible()
