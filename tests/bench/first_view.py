"""What Rose's phone fetches before it can draw an album for the first time: page, styles, scripts; the photos come on top."""

import shutil
from collections.abc import Iterator

from playwright.sync_api import Response, sync_playwright

from app.security.permissions import Asks
from app.web.viewer import cookie_name
from tests.bench.measure import Line, Options
from tests.bench.stage import stage
from tests.browser.conftest import CHROMIUM, FLAGS


def run(_options: Options) -> Iterator[Line]:
    if shutil.which(CHROMIUM) is None:
        print(f"    first view: skipped, {CHROMIUM} is not installed")
        return
    with stage() as place:
        place.fill("Brittany 2026", 60)
        base, album = place.settings.base_url, place.anna.albums["Brittany 2026"].id
        name, value = cookie_name(Asks.DEVICE, https=False), place.guest_of("Brittany 2026")
        answers: list[Response] = []
        with place.serving(), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            phone = browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
            phone.add_cookies([{"name": name, "value": value, "url": base}])
            page = phone.new_page()
            page.on("response", lambda answer: answers.append(answer))  # playwright marks what it is given
            page.goto(f"{base}/shared/{album}", wait_until="networkidle")
            fetched = {
                answer.url.removeprefix(base).partition("?")[0]: answer.request.sizes()
                for answer in answers
                if "/m/" not in answer.url
            }
            browser.close()
    bodies = {path: sizes["responseBodySize"] for path, sizes in fetched.items()}
    heads = sum(sizes["responseHeadersSize"] for sizes in fetched.values())
    listed = ", ".join(f"{path.rpartition('/')[2]} {size / 1000:.1f}" for path, size in bodies.items())
    note = f"{listed}; headers {heads / 1000:.1f}"
    yield Line("first view: compressed, without photos", (sum(bodies.values()) + heads) / 1000, "kB", at_most=60, note=note)
    yield Line("first view: requests, without photos", len(bodies), at_most=7)
