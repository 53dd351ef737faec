"""A file goes on where it stopped: over a line that is cut, after a reload, after the server was started again, after a pause.

Looked at are the places from which the browser really sent, so that nobody sends a film twice."""

import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import CDPSession, Page, Request, expect

from tests.browser import pictures
from tests.browser.conftest import SCRIPTS_READY, Phone, album_address, new_family, photos, pick
from tests.browser.server import Instance, serving
from tests.browser.test_upload_hard import bandwidth, board
from tests.conftest import Family
from tests.line import Line
from tests.server import wait_for

LARGE = pictures.jpeg(1, size=(2400, 1800), grainy=True)
"""About 2.5 MB: some seconds on a slow line."""


class Sent:
    """The requests by which a page has sent files, and how far each file had come when it was asked or gone on with."""

    def __init__(self, page: Page) -> None:
        self.begun: list[str] = []
        self.offsets: list[int] = []
        page.on("request", self._look)

    def _look(self, request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/uploads"):
            self.begun.append(request.url)
        if request.method == "PATCH":
            self.offsets.append(int(request.headers["upload-offset"]))


@pytest.fixture
def sent(anna: Page) -> Sent:
    return Sent(anna)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of the phone: picked twice, it has the same name, size and date."""
    path = tmp_path / "IMG_0001.jpg"
    path.write_bytes(LARGE)
    return path


def choose(page: Page, *paths: Path) -> None:
    """Pick files that lie on the phone."""
    page.evaluate(SCRIPTS_READY)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("link", name="Add photos").click()
    chooser.value.set_files(paths)


def percent(page: Page) -> int:
    """How much of the file that is being sent has gone out, as the page says."""
    found = re.search(r"sending, (\d+) percent", board(page).inner_text())
    return int(found.group(1)) if found else 0


def slowly(page: Page, up: int = 700_000) -> CDPSession:
    """From now on so many bytes a second go out."""
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    bandwidth(line, up=up)
    return line


def done(page: Page, ready: int, of: int) -> None:
    expect(board(page).get_by_role("status")).to_contain_text(f"All done: {ready} of {of} ready", timeout=40_000)


def test_a_reload_and_the_same_files_picked_again_go_on_where_they_stopped(anna: Page, sent: Sent, large: Path) -> None:
    slowly(anna)
    choose(anna, large)
    wait_for(lambda: percent(anna) >= 40, "a good part of it has gone out")
    anna.on("dialog", lambda dialog: dialog.accept())  # the page warns
    anna.reload()
    kept = anna.evaluate("Object.entries(localStorage).flat().join(' ')")
    assert "IMG_0001" not in kept and "/uploads/" in kept, "only an address is remembered, no name"
    choose(anna, large)
    done(anna, 1, 1)
    assert len(sent.begun) == 1 and len(sent.offsets) == 2
    assert sent.offsets[1] > 0.2 * len(LARGE), f"{sent.offsets[1]} of {len(LARGE)} bytes need not be sent again"
    assert anna.evaluate("Object.keys(localStorage).length") == 0, "what is finished is forgotten"
    expect(photos(anna)).to_have_count(1)


@pytest.mark.slow
def test_a_pause_stops_at_once_and_goes_on_from_there(anna: Page, sent: Sent, large: Path) -> None:
    slowly(anna)
    choose(anna, large)
    wait_for(lambda: percent(anna) >= 40, "a good part of it has gone out")
    board(anna).get_by_role("button", name="Pause").click()
    expect(board(anna).get_by_role("status")).to_contain_text("Paused. What has been sent stays")
    anna.wait_for_timeout(1500)
    assert len(sent.offsets) == 1
    board(anna).get_by_role("button", name="Go on").click()
    done(anna, 1, 1)
    assert len(sent.begun) == 1 and len(sent.offsets) == 2 and sent.offsets[1] > 0.2 * len(LARGE)
    expect(board(anna).get_by_role("button", name="Pause")).to_be_hidden()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Instance]:
    """A server that may be killed."""
    with serving(tmp_path / "own", KINFOLD_FILE_LIMIT="60MB") as running:
        yield running


@pytest.fixture
def her(own_server: Instance, phone: Phone) -> tuple[Page, Family]:
    family = new_family(own_server)
    family.album("Brittany 2026")
    page = phone(at=own_server, member=family.cookie, watched=False)
    page.goto(album_address(family, "Brittany 2026"))
    return page, family


@pytest.mark.slow
def test_a_server_that_was_killed_and_started_again_goes_on(
    her: tuple[Page, Family], own_server: Instance, tmp_path: Path
) -> None:
    """40 MB of a picture with a long tail: two parts are written down when the plug is pulled."""
    page, _ = her
    sent, whole = Sent(page), tmp_path / "IMG_0002.jpg"
    whole.write_bytes(LARGE + bytes(40_000_000 - len(LARGE)))
    slowly(page, up=8_000_000)
    choose(page, whole)
    wait_for(lambda: percent(page) >= 90, "two parts have gone out")
    own_server.kill()
    expect(board(page).get_by_role("status")).to_contain_text("The connection is lost")
    own_server.start()
    done(page, 1, 1)
    assert len(sent.begun) == 1, "it is still the same file"
    assert sent.offsets[-1] == 2 * 16 * 2**20, "exactly what was written down need not be sent again"


@pytest.mark.slow
def test_a_line_that_is_cut_in_the_middle_again_and_again(phone: Phone, large: Path, tmp_path: Path) -> None:
    """Every connection between phone and server breaks, twice; the file is never begun anew, and what has arrived is not sent again."""
    with Line() as line, serving(tmp_path / "own", address=f"http://127.0.0.1:{line.port}") as server:
        line.server = server.port
        family = new_family(server)
        family.album("Brittany 2026")
        page = phone(at=server, member=family.cookie)
        page.goto(album_address(family, "Brittany 2026"))
        sent = Sent(page)
        slowly(page)
        choose(page, large)
        for times, part in ((1, 40), (2, 70)):
            # The browser itself tries a connection that it had kept open once more; then it is told that the server has more already.
            wait_for(lambda: percent(page) >= part and len(sent.offsets) == times, f"{part} percent have gone out")  # noqa: B023
            line.cut()
        done(page, 1, 1)
        expect(photos(page)).to_have_count(1)
    assert len(sent.begun) == 1 and len(sent.offsets) == 3
    assert 0.2 * len(LARGE) < sent.offsets[1] and 0.1 * len(LARGE) < sent.offsets[2] - sent.offsets[1]


def test_twenty_files_of_which_two_are_bad_end_with_a_sentence(anna: Page) -> None:
    files = [(f"IMG_{number:04d}.jpg", pictures.tiny(number)) for number in range(18)]
    pick(anna, *files, ("shopping list.jpg", b"milk, bread"), ("half.jpg", pictures.broken()))
    done(anna, 18, 20)
    expect(board(anna).get_by_role("status")).to_contain_text("2 could not be used. Which, and why:")
    rows = board(anna).get_by_role("listitem")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="shopping list.jpg")).to_contain_text(re.compile("This is (not|neither) a picture"))
    expect(rows.filter(has_text="half.jpg")).to_contain_text("is damaged or only half of it arrived")
    expect(photos(anna)).to_have_count(18)


@pytest.mark.slow
def test_each_photo_appears_when_it_is_ready_and_what_is_there_stays(anna: Page) -> None:
    line = slowly(anna, up=100_000)
    pick(anna, ("first.jpg", pictures.tiny(1)))
    expect(photos(anna)).to_have_count(1)
    anna.evaluate("document.querySelector('#photos .tile').dataset.mark = 'the same element'")
    pick(anna, ("second.jpg", pictures.tiny(2)), ("slow.jpg", LARGE))
    expect(photos(anna)).to_have_count(2)
    expect(board(anna).get_by_role("listitem").filter(has_text="slow.jpg")).to_contain_text("sending,")
    bandwidth(line)
    done(anna, 3, 3)
    expect(anna.locator("#photos [data-mark]")).to_have_count(1)


def test_files_go_in_the_order_in_which_they_were_taken(anna: Page, tmp_path: Path) -> None:
    paths = []
    for number, taken in ((3, 300), (1, 100), (10, 100), (2, 100)):
        paths.append(tmp_path / f"IMG_{number}.jpg")
        paths[-1].write_bytes(pictures.tiny(number))
        os.utime(paths[-1], (taken, taken))
    begun: list[str] = []
    anna.on("request", lambda request: begun.append(request.headers["upload-metadata"]) if request.method == "POST" else None)
    choose(anna, *paths)
    done(anna, 4, 4)
    names = [base64.b64decode(each.split(",")[0].split(" ")[1]).decode() for each in begun]
    assert sorted(names[:3]) == ["IMG_1.jpg", "IMG_10.jpg", "IMG_2.jpg"] and names[3] == "IMG_3.jpg"


def test_a_file_that_the_phone_does_not_give_any_more_is_told(anna: Page, large: Path) -> None:
    slowly(anna)
    choose(anna, large)
    wait_for(lambda: percent(anna) >= 10, "it is being sent")
    board(anna).get_by_role("button", name="Pause").click()
    large.unlink()
    board(anna).get_by_role("button", name="Go on").click()
    expect(board(anna).get_by_role("listitem")).to_contain_text("This phone does not let us read this file")
