"""Rose's first look at an album, on holiday Wi-Fi: what it costs, and how long she waits."""

import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import pictures
from tests.browser.conftest import Phone, photos, send_in
from tests.browser.server import Instance
from tests.conftest import Family

MOST_REQUESTS = 7
MOST_BYTES = 60_000
SLOW = {"offline": False, "latency": 400, "downloadThroughput": 400_000 / 8, "uploadThroughput": 400_000 / 8}


@dataclass
class Traffic:
    """What went over the line, photo bytes aside: bytes of answers with their headers, as they were sent."""

    addresses: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def listen(self, page: Page) -> "Traffic":
        line = page.context.new_cdp_session(page)
        line.send("Network.enable")
        line.on("Network.requestWillBeSent", self._asked)
        line.on("Network.loadingFinished", self._answered)
        return self

    def _asked(self, event: dict[str, Any]) -> None:
        url = event["request"]["url"]
        if "/m/" not in url and not url.startswith(("data:", "blob:")):
            self.addresses[event["requestId"]] = url

    def _answered(self, event: dict[str, Any]) -> None:
        if event["requestId"] in self.addresses:
            self.sizes[self.addresses[event["requestId"]]] = event["encodedDataLength"]


@pytest.fixture
def full_album(server: Instance, family: Family) -> Family:
    """Twelve real photos, through the worker."""
    send_in(server, family, "Brittany 2026", *(pictures.jpeg(number) for number in range(12)))
    return family


def test_the_first_view_costs_few_requests_and_few_bytes(phone: Phone, full_album: Family) -> None:
    rose = phone(device=full_album.share("Brittany 2026", "Rose").cookie)
    traffic = Traffic().listen(rose)
    rose.goto(f"/shared/{full_album.albums['Brittany 2026'].id}", wait_until="networkidle")
    expect(photos(rose)).to_have_count(12)
    assert len(traffic.addresses) <= MOST_REQUESTS, sorted(traffic.addresses.values())
    assert sum(traffic.sizes.values()) <= MOST_BYTES, traffic.sizes
    assert len(traffic.sizes) == len(traffic.addresses)


def test_on_a_slow_line_the_page_is_there_in_seconds_and_the_photos_follow(phone: Phone, full_album: Family) -> None:
    rose = phone(device=full_album.share("Brittany 2026", "Rose").cookie)
    line = rose.context.new_cdp_session(rose)
    line.send("Network.enable")
    line.send("Network.emulateNetworkConditions", SLOW)
    began = time.monotonic()
    rose.goto(f"/shared/{full_album.albums['Brittany 2026'].id}", wait_until="commit")
    expect(rose.get_by_role("heading", name="Brittany 2026")).to_be_visible()
    words_after = time.monotonic() - began
    expect(photos(rose)).to_have_count(12)
    rose.wait_for_function(
        "() => document.querySelector('main img').complete && document.querySelector('main img').naturalWidth > 0"
    )
    photo_after = time.monotonic() - began
    assert words_after < 5, f"{words_after:.1f} s until there was something to read"
    assert photo_after < 12, f"{photo_after:.1f} s until the first photo"

    photos(rose).first.click()  # the lightbox is fetched only now
    expect(rose.get_by_role("dialog")).to_be_visible(timeout=15_000)
