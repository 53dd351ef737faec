"""As Marc runs it: nginx or Caddy in front, with the files of `deploy/`. Anna and Rose notice nothing, and its log knows no secret."""

import http.client
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from app.activity.models import Activity, ActivityKind
from app.sharing import service as sharing
from tests.browser import pictures
from tests.browser.conftest import Phone, image_addresses, new_family, photos, pick, sign_up, tap
from tests.browser.fronts import behind, trusting
from tests.browser.server import Instance
from tests.browser.test_main_job import make_album, share
from tests.conftest import PASSWORD
from tests.server import Browser, multipart, wait_for

pytestmark = pytest.mark.slow

OVER_A_FORM = 600_000
"""Bytes that no form has; only an upload may be so large."""


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def proxied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with behind(request.param, tmp_path_factory.mktemp(request.param), KINFOLD_FILE_LIMIT="8MB", KINFOLD_THREADS="8") as running:
        yield running


def logged(instance: Instance) -> str:
    """Everything that the web server in front has written down."""
    return "".join(path.read_text() for path in instance.folder.glob("*.log"))


class Line(http.client.HTTPSConnection):
    """Somebody who says what they like to the web server in front."""

    def __init__(self, instance: Instance) -> None:
        super().__init__("localhost", urlsplit(instance.address).port, timeout=20, context=trusting())

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str, http.client.HTTPMessage]:
        self.request(method, path, body or None, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = self.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace"), answer.headers


def test_anna_sends_and_shares_and_rose_looks_and_the_log_knows_no_secret(proxied: Instance, phone: Phone) -> None:
    anna, rose = phone(at=proxied), phone(at=proxied)
    set_up = proxied.new_set_up()
    sign_up(anna, set_up, email=f"anna-{proxied.port}@example.org")
    make_album(anna, "Brittany 2026")
    large = pictures.jpeg(2, size=(2400, 1800), grainy=True)
    assert len(large) > OVER_A_FORM
    pick(anna, ("IMG_1.HEIC", pictures.heic(1)), ("IMG_2.jpg", large))
    expect(photos(anna)).to_have_count(2, timeout=60_000)
    link = share(anna, "Rose", may_save=True)
    assert link.startswith(f"{proxied.address}/i/")

    rose.goto(link)
    tap(rose, "Open the photos")
    assert all(cookie["secure"] and str(cookie["name"]).startswith("__Host-") for cookie in rose.context.cookies())
    rose.get_by_role("link", name="Brittany 2026").click()
    expect(photos(rose)).to_have_count(2)
    wait_for(lambda: rose.evaluate("Array.from(document.images).every((i) => i.complete && i.naturalWidth > 0)"), "the pictures")
    media = image_addresses(rose) + image_addresses(anna)
    me = sign_in_again(anna, proxied)

    written = logged(proxied)
    assert re.search(r"/i\b", written) and re.search(r"/m\b", written) and re.search(r"/setup\b", written), written[-2000:]
    for secret in [*media, urlsplit(link).path, urlsplit(set_up).path, me]:
        assert secret.rpartition("/")[2] not in written
    for cookie in [*anna.context.cookies(), *rose.context.cookies()]:
        assert str(cookie["value"]) not in written
    for name in ("Rose", "Brittany", "IMG_", "anna-", "Mozilla", "Linux; Android"):
        assert name not in written, name
    left = [path for path in proxied.folder.glob("client_body/**/*") if path.is_file()]
    assert not left, "an upload lay on the disk in the clear"


def sign_in_again(anna: Page, proxied: Instance) -> str:
    """By an address for a new password, which is a secret too; returns that address's path."""
    from tests.browser.test_https import member_of

    address = proxied.new_password_address(member_of(proxied, f"anna-{proxied.port}@example.org"))
    anna.context.clear_cookies()
    anna.goto(address)
    anna.get_by_label("New password").fill(PASSWORD)
    tap(anna, "Save the new password")
    return urlsplit(address).path


def test_kinfold_believes_the_proxy_and_nobody_behind_it(proxied: Instance) -> None:
    line = Line(proxied)
    forged = {
        "X_Forwarded_Host": "evil.example", "X_Forwarded_Proto": "http", "X_Forwarded_Port": "1234",
        "X_Forwarded_Prefix": "/evil", "Forwarded": "for=6.6.6.6;host=evil.example", "X_Original_URL": "/evil",
    }  # fmt: skip
    status, page, headers = line.ask("GET", "/sign-in", **forged)
    assert status == 200 and "evil" not in page
    assert headers["Strict-Transport-Security"] and len(headers.get_all("Strict-Transport-Security") or ()) == 1
    status, _, headers = line.ask("GET", "/", **forged)
    assert status == 303 and headers["Location"] in ("/sign-in", f"{proxied.address}/sign-in")
    for host in ("evil.example", f"localhost:{proxied.port}.evil.example"):
        status, page, _ = line.ask("GET", "/sign-in", Host=host)
        assert "<form" not in page and (status in (400, 421) or not page)


def test_everybody_behind_the_proxy_counts_by_their_own_address_and_not_by_one_they_make_up(proxied: Instance) -> None:
    def buckets() -> set[str | None]:
        with proxied.house.database.reading() as session:
            return set(session.scalars(sa.select(Activity.bucket).where(Activity.kind == ActivityKind.SIGN_IN_FAILED)))

    before = buckets()
    for number in (1, 2, 3):
        browser = Browser(proxied.base)  # for a cookie and a token; the try itself goes through the front
        token = browser.token("/sign-in")
        cookie = "; ".join(f"{each.name}={each.value}" for each in browser.cookies)
        body = f"csrf_token={token}&email=nobody-{proxied.port}@example.org&password=wrong+guess+{number}".encode()
        status, _, _ = Line(proxied).ask(
            "POST", "/sign-in", body,
            Cookie=cookie, Content_Type="application/x-www-form-urlencoded", X_Forwarded_For=f"6.6.6.{number}, 7.7.7.7",
        )  # fmt: skip
        assert status == 400
    assert len(buckets() - before) == 2  # one for the account, and one for 127.0.0.1


def line_is_open(instance: Instance) -> bool:
    return Line(instance).ask("GET", "/sign-in")[0] == 200


def test_only_an_upload_may_be_large(proxied: Instance) -> None:
    line = Line(proxied)
    status, _, _ = line.ask("POST", "/sign-in", b"x" * OVER_A_FORM, Content_Type="application/x-www-form-urlencoded")
    assert status in (413, 502)  # Caddy finds out while it hands the body on
    assert line_is_open(proxied)
    family = new_family(proxied)
    album = family.album("Brittany 2026").id
    body = multipart("no token", ("IMG.jpg", b"x" * OVER_A_FORM))
    status, page, _ = Line(proxied).ask(
        "POST", f"/albums/{album}/photos", body, Content_Type="multipart/form-data; boundary=b0und"
    )
    # Kinfold answers a stranger at once. While Caddy still hands the body on, it may not get to hear that, and says 502 in its own name.
    assert (status in (400, 404, 413) and "nginx" not in page) or status == 502
    assert line_is_open(proxied)


def test_what_has_arrived_of_a_file_when_the_line_breaks_is_kept_behind_it_too(proxied: Instance) -> None:
    family = new_family(proxied)
    album = family.album("Brittany 2026").id
    anna = Browser(proxied.base)
    token = anna.token("/sign-in")
    cookie = f"__Host-kinfold_member={family.cookie}; " + "; ".join(f"{each.name}={each.value}" for each in anna.cookies)
    told = {"Cookie": cookie, "Tus_Resumable": "1.0.0", "X_CSRFToken": token, "Accept": "application/json"}
    status, page, headers = Line(proxied).ask("POST", f"/albums/{album}/uploads", Upload_Length="5000000", **told)
    assert status == 201, page
    line, upload = Line(proxied), headers["Location"]
    line.putrequest("PATCH", upload)
    body = {"Content_Type": "application/offset+octet-stream", "Content_Length": "5000000", "Upload_Offset": "0"}
    for name, value in (told | body).items():
        line.putheader(name.replace("_", "-"), value)
    line.endheaders(b"x" * 2_000_000)
    time.sleep(1)
    line.close()

    def offset() -> int:
        return int(Line(proxied).ask("HEAD", upload, **told)[2]["Upload-Offset"])

    wait_for(lambda: offset() > 1_000_000, "what had gone through")
    assert offset() <= 2_000_000
    status, page, _ = Line(proxied).ask("PATCH", upload, b"x" * 600_000, **told | body | {"Content_Length": "600000"})
    assert (status, "nginx" in page) == (409, False)


def test_numbers_for_the_operator_are_not_for_the_world(proxied: Instance) -> None:
    assert Line(proxied).ask("GET", "/metrics", Authorization="Bearer whatever it may be")[0] == 404


def test_half_sent_forms_keep_nobody_waiting(proxied: Instance) -> None:
    with ExitStack() as stack:
        for _ in range(24):  # three for each thread
            slow = Line(proxied)
            stack.callback(slow.close)
            slow.putrequest("POST", "/sign-in")
            slow.putheader("Content-Length", "300")
            slow.putheader("Content-Type", "application/x-www-form-urlencoded")
            slow.endheaders(b"csrf_token=")
        began = time.monotonic()
        assert Line(proxied).ask("GET", "/sign-in")[0] == 200
        assert time.monotonic() - began < 5


def test_a_revoked_guest_is_out_at_once_and_a_dead_kinfold_leaves_no_secret_in_the_log(proxied: Instance) -> None:
    family = new_family(proxied)
    family.album("Brittany 2026")
    family.photo("Brittany 2026")
    rose = family.share("Brittany 2026", "Rose")
    cookie = f"__Host-kinfold_device={rose.cookie}"
    status, page, _ = Line(proxied).ask("GET", f"/shared/{family.albums['Brittany 2026'].id}", Cookie=cookie)
    media = re.findall(r"/m/[\w.~-]+", page)[0]
    status, _, headers = Line(proxied).ask("GET", media, Cookie=cookie)
    assert status == 200 and headers["CDN-Cache-Control"] == "no-store"
    with proxied.house.database.writing() as session:
        guest = sharing.get_guest(session, family.owner, guest=rose.id)
        sharing.stop_guest(session, family.owner, guest=guest, at=family.house.clock.now())
    assert Line(proxied).ask("GET", media, Cookie=cookie)[0] == 404

    proxied.kill()
    try:
        status, page, _ = Line(proxied).ask("GET", f"/i/{rose.token}")
        assert status in (502, 503, 504)
        assert Line(proxied).ask("GET", media, Cookie=cookie)[0] in (502, 503, 504)
    finally:
        proxied.start()
    wait_for(lambda: Line(proxied).ask("GET", "/sign-in")[0] == 200, "Kinfold to be back", 40)
    assert rose.token not in logged(proxied) and media.rpartition("/")[2] not in logged(proxied)


def test_the_access_log_has_a_line_for_each_request(proxied: Instance) -> None:
    before = len(logged(proxied).splitlines())
    assert Line(proxied).ask("GET", "/sign-in?next=/albums")[0] == 200
    wait_for(lambda: len(logged(proxied).splitlines()) > before, "a line", 5)
    last = logged(proxied).splitlines()[before:]
    assert any("/sign-in" in line and "next" not in line and "200" in line for line in last)
    assert not Path(proxied.folder / "access.log").exists()
