"""People with phones, in front of the real server.

Each person is a browser context of their own: own cookies, a phone's screen, touch. Whatever a test is about, at its end no page may have
asked anybody but our server for anything, broken its own content security policy, thrown an error, or got a 500.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Response, Route, expect, sync_playwright

from app.jobs.engine import EngineJobs
from app.media import service as media
from app.notifications.push import make_key
from app.security.permissions import Asks
from app.sharing import service as sharing
from app.web.viewer import cookie_name
from tests.browser.server import Instance, serving, serving_https
from tests.conftest import PASSWORD, Family, found
from tests.mail import mail_server
from tests.server import wait_for

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",  # a microphone that hums
    "--ignore-certificate-errors",  # a context's ignore_https_errors does not reach its service workers
]
ANDROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36"
PHONE = {"width": 390, "height": 844}

expect.set_options(timeout=10_000)

SCRIPTS_READY = """async () => {
    const folder = new URL(".", document.querySelector("script[src*='/js/main.js']").src).href;
    const names = Array.from(document.querySelectorAll("[data-module]"), (element) => element.dataset.module.split(" ")).flat();
    await Promise.all(names.map((name) => import(folder + name + ".js")));
}"""

Phone = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        missing = f"{CHROMIUM} is not there. On Debian: apt-get install --no-install-recommends chromium fonts-liberation"
        pytest.fail(missing) if os.environ.get("KINFOLD_CI") else pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with serving(tmp_path_factory.mktemp("server"), KINFOLD_FILE_LIMIT="8MB") as running:
        yield running


@pytest.fixture(scope="session")
def secure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """Behind https, with mail and push set up."""
    with mail_server() as (_, port):
        mail = {"KINFOLD_SMTP_URL": f"smtp://127.0.0.1:{port}", "KINFOLD_MAIL_FROM": "kinfold@example.org"}
        with serving_https(tmp_path_factory.mktemp("secure"), **mail, KINFOLD_PUSH="yes") as running:
            make_key(running.house)
            yield running


class Watch:
    """What a browser did that it should not have done."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.problems: list[str] = []
        self._origin = origin
        context.on("request", lambda request: self._look_at_address(request.url))
        context.on("response", self._look_at_answer)
        context.on("console", self._read)
        context.on("weberror", lambda error: self._hear(str(error.error)))

    def _look_at_address(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about") and f"{parts.scheme}://{parts.netloc}" != self._origin:
            self.problems.append(f"a request to somebody else: {url}")

    def _look_at_answer(self, response: Response) -> None:
        come_again = response.status == 503 and "/uploads" in response.url  # said to two tabs at once; the queue does
        if response.status >= 500 and not come_again:
            self.problems.append(f"{response.status} for {response.url}")

    def _hear(self, error: str) -> None:
        if not error.startswith("Transition was aborted"):  # the browser's own word when a page leads to one without our sheet
            self.problems.append(f"script error: {error}")

    def _read(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text or (
            message.type == "error" and "Failed to load resource" not in message.text
        ):
            self.problems.append(f"console: {message.text}")


@pytest.fixture
def phone(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Phone]:
    """Give somebody a phone: `phone()` is a new one, `phone(member=...)` one that is signed in, `phone(device=...)` a guest's. By default
    it belongs to the plain server; `at=` names another."""
    contexts: list[BrowserContext] = []
    watches: list[Watch] = []

    def make(
        *,
        at: Instance | None = None,
        member: str = "",
        device: str = "",
        javascript: bool = True,
        watched: bool = True,
        **options: object,
    ) -> Page:
        there: Instance = at or request.getfixturevalue("server")
        https = there.address.startswith("https:")
        context = chromium.new_context(
            base_url=there.address,
            **({"viewport": PHONE, "is_mobile": True, "has_touch": True, "user_agent": ANDROID} | options),  # type: ignore[arg-type]
            java_script_enabled=javascript,
            ignore_https_errors=https,
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        if watched:
            watches.append(Watch(context, there.address))
        for asks, value in ((Asks.MEMBER, member), (Asks.DEVICE, device)):
            if value:
                context.add_cookies([{"name": cookie_name(asks, https=https), "value": value, "url": there.address}])
        return context.new_page()

    yield make
    for context in contexts:
        context.close()
    problems = [problem for watch in watches for problem in watch.problems]
    assert not problems, problems


@pytest.fixture
def family(server: Instance) -> Family:
    """A family of this test's own, with Anna signed in and the album "Brittany 2026" still empty."""
    made = new_family(server)
    made.album("Brittany 2026")
    return made


@pytest.fixture
def anna(phone: Phone, family: Family) -> Page:
    """Anna's phone, on the page of her album."""
    page = phone(member=family.cookie)
    page.goto(album_address(family, "Brittany 2026"))
    return page


def new_family(server: Instance, group_name: str = "The Smiths") -> Family:
    """Another family on the same server."""
    return found(server.house, group_name=group_name, name="Anna", email=f"anna-{secrets.token_hex(6)}@example.org")


def album_address(family: Family, title: str) -> str:
    """The member's page of an album."""
    return f"/albums/{family.albums[title].id}"


def send_in(server: Instance, family: Family, title: str, *contents: bytes) -> None:
    """Give files to the server's own worker, and wait until it has looked at all of them."""
    sender = replace(family, house=replace(server.house, jobs=EngineJobs(server.house.database)))
    for number, content in enumerate(contents, start=1):
        sender.upload(title, content, f"IMG_{number:04d}.jpg")

    def waiting() -> int:
        with server.house.database.reading() as session:
            return media.count(session, album=family.albums[title].id).received

    wait_for(lambda: waiting() == 0, "the photos are prepared")


def end_by_date(family: Family, name: str) -> None:
    """Let the time that somebody was given run out, without waiting for it."""
    at = family.house.clock.now() - timedelta(seconds=1)
    with family.house.database.writing() as session:
        grant = sharing.get_grant(session, family.owner, grant=family.people[name].grant)
        grant.expires_at = at
        for link in sharing.list_links(session, guest=sharing.get_guest(session, family.owner, guest=grant.guest_id), at=at):
            link.expires_at = at


def sign_up(page: Page, address: str, *, email: str) -> None:
    """Anna's first minute."""
    page.goto(address)
    page.get_by_role("radio", name="A family").check()
    page.get_by_label("What is it called?").fill("The Smiths")
    page.get_by_label("Your name").fill("Anna")
    page.get_by_label("Your e-mail").fill(email)
    page.get_by_label("A password").fill(PASSWORD)
    page.get_by_role("button", name="Start").click()


def tap(page: Page, button: str) -> None:
    """Tap a form's button, and wait for the page that comes of it."""
    with page.expect_navigation():
        page.get_by_role("button", name=button, exact=True).first.click()


def pick(page: Page, *files: tuple[str, bytes]) -> None:
    """Choose files in the phone's own picker; before our scripts are there, the same button opens a plain form instead."""
    page.evaluate(SCRIPTS_READY)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("link", name="Add photos").click()
    chooser.value.set_files(payloads(*files))


def payloads(*files: tuple[str, bytes]) -> list[dict[str, object]]:
    """Names and contents as playwright wants them."""
    return [{"name": name, "mimeType": "application/octet-stream", "buffer": content} for name, content in files]


def photos(page: Page) -> Locator:
    """The photos of an album page, as pictures inside links."""
    return page.get_by_role("list", name="Photos").get_by_role("link")


def image_addresses(page: Page) -> list[str]:
    """Every address of photo bytes that a page holds: shown, offered in another size, to swipe to, to save."""
    return page.evaluate(
        """() => Array.from(document.querySelectorAll("*"), (element) => Array.from(element.attributes, (each) => each.value))
            .flat().flatMap((value) => value.match(/\\/m\\/[^\\s"]+/g) || [])"""
    )


def no_route(route: Route) -> None:
    """A line that breaks."""
    route.abort("connectionreset")
