"""What goes wrong while photos are sent: nothing that was acknowledged is lost, and the page says what is true."""

import base64
import re
from urllib.parse import urljoin

import pytest
import sqlalchemy as sa
from playwright.sync_api import CDPSession, Locator, Page, Response, Route, expect

from app.groups.models import Group
from app.media.models import Incoming, Photo, Upload
from tests.browser import pictures
from tests.browser.conftest import Phone, album_address, no_route, photos, pick
from tests.browser.server import Instance
from tests.conftest import SHARED, Family
from tests.server import wait_for

SAMPLES = SHARED / "samples"
TOO_LARGE = 9_000_000
"""Bytes; the server of these tests takes 8 MB."""


def board(page: Page) -> Locator:
    """What the page says about photos on their way."""
    return page.get_by_role("region", name="Photos on their way")


def test_a_connection_lost_in_the_middle_goes_on_by_itself(anna: Page) -> None:
    """The line breaks when the photos have begun to go out, and comes back when Anna walks out of the tunnel."""
    in_the_tunnel = True

    def line(route: Route) -> None:
        if in_the_tunnel and route.request.method == "PATCH":
            return no_route(route)
        return route.continue_()

    anna.route("**/uploads/*", line)
    pick(anna, *((f"IMG_{number}.jpg", pictures.jpeg(number, grainy=True)) for number in range(3)))
    expect(board(anna).get_by_role("status")).to_contain_text("The connection is lost. We go on by ourselves")
    in_the_tunnel = False
    expect(board(anna).get_by_role("status")).to_contain_text("All done: 3 of 3 ready", timeout=30_000)
    expect(photos(anna)).to_have_count(3)


def test_a_server_that_hangs_up_is_asked_again(anna: Page) -> None:
    refused: list[Route] = []

    def hang_up(route: Route) -> None:
        if route.request.method == "POST" and len(refused) < 2:
            refused.append(route)
            return no_route(route)
        return route.continue_()

    anna.route("**/uploads", hang_up)
    pick(anna, ("IMG_1.jpg", pictures.tiny(1)), ("IMG_2.jpg", pictures.tiny(2)))
    expect(board(anna).get_by_role("status")).to_contain_text("All done: 2 of 2 ready", timeout=30_000)
    assert len(refused) == 2


def test_sixty_files_at_once_all_become_ready(anna: Page) -> None:
    pick(anna, *((f"IMG_{number:04d}.jpg", pictures.tiny(number)) for number in range(60)))
    expect(board(anna).get_by_role("status")).to_contain_text("All done: 60 of 60 ready", timeout=60_000)
    expect(photos(anna)).to_have_count(60)
    expect(anna.get_by_text("60 photos.")).to_be_visible()


def test_the_same_photo_twice_is_told_kindly(anna: Page) -> None:
    pick(anna, ("IMG_1.jpg", pictures.tiny(1)))
    expect(photos(anna)).to_have_count(1, timeout=30_000)
    pick(anna, ("again.jpg", pictures.tiny(1)))
    again = board(anna).get_by_role("listitem").filter(has_text="again.jpg")
    expect(again).to_contain_text("already in this album")
    anna.reload()
    expect(photos(anna)).to_have_count(1)


def test_two_tabs_that_send_the_same_photos_make_each_of_them_once(anna: Page) -> None:
    other = anna.context.new_page()
    other.goto(anna.url)
    same = [(f"IMG_{number}.jpg", pictures.tiny(number)) for number in range(6)]
    for tab, mine in ((anna, 90), (other, 91)):
        pick(tab, *same, (f"mine-{mine}.jpg", pictures.tiny(mine)))
    for tab in (anna, other):
        expect(board(tab).get_by_role("status")).to_contain_text("All done: 7 of 7 ready", timeout=30_000)
    for tab in (anna, other):
        tab.reload()
        expect(photos(tab)).to_have_count(8)


def test_a_page_that_was_open_for_too_long_goes_on_all_the_same(anna: Page) -> None:
    """Six hundred photos over hotel Wi-Fi take longer than a form's token is good for."""
    pick(anna, ("IMG_1.jpg", pictures.tiny(1)))
    expect(photos(anna)).to_have_count(1, timeout=30_000)
    anna.evaluate("document.querySelectorAll('[name=csrf_token]').forEach((field) => { field.value = 'too old'; })")
    pick(anna, ("IMG_2.jpg", pictures.tiny(2)))
    expect(board(anna).get_by_role("status")).to_contain_text("All done: 2 of 2 ready", timeout=30_000)
    expect(photos(anna)).to_have_count(2)


def test_without_scripts_a_form_that_is_too_old_says_so_on_a_page(phone: Phone, family: Family) -> None:
    anna = phone(member=family.cookie, javascript=False)
    anna.goto(album_address(family, "Brittany 2026"))
    anna.context.clear_cookies(name="kinfold_form")  # its half of the token is forgotten, as after twelve hours
    anna.get_by_role("link", name="Add photos").click()
    anna.get_by_label("Choose photos").set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": pictures.tiny(1)})
    anna.get_by_role("button", name="Send them").click()
    expect(anna.get_by_role("heading", name="Please try once more")).to_be_visible()
    anna.get_by_role("link", name="Back to the page").click()
    expect(anna.get_by_role("heading", name="Brittany 2026")).to_be_visible()


def test_a_file_over_the_limit_is_refused_before_it_is_sent(anna: Page) -> None:
    sent: list[str] = []
    anna.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    pick(anna, ("film.jpg", bytes(TOO_LARGE)), ("none.jpg", b""))
    expect(board(anna).get_by_role("listitem").filter(has_text="film.jpg")).to_contain_text("This file is too large")
    expect(board(anna).get_by_role("listitem").filter(has_text="none.jpg")).to_contain_text("This file is empty")
    assert not sent


def test_a_group_without_room_is_told_so(anna: Page, family: Family) -> None:
    with family.house.database.writing() as session:
        session.execute(sa.update(Group).where(Group.id == family.owner.group).values(quota=0))
    pick(anna, ("IMG_1.jpg", pictures.tiny(1)))
    expect(board(anna).get_by_role("listitem").filter(has_text="IMG_1.jpg")).to_contain_text(
        "There is no room left for more photos."
    )


def test_signed_out_in_another_tab_the_page_says_that_it_has_to_be_reloaded(anna: Page) -> None:
    anna.context.clear_cookies()
    pick(anna, ("IMG_1.jpg", pictures.tiny(1)))
    expect(board(anna).get_by_role("status")).to_contain_text("Please reload it")


def test_a_file_that_the_server_has_forgotten_is_begun_anew_and_if_that_does_not_help_the_others_go_on(anna: Page) -> None:
    forgotten: list[str] = []

    def forget(route: Route) -> None:
        """The first file is ended elsewhere once, the second each time."""
        name = begun.get(route.request.url, "")
        if route.request.method == "PATCH" and (name == "never.jpg" or (name == "once.jpg" and name not in forgotten)):
            forgotten.append(name)
            return route.fulfill(status=410, content_type="application/json", body="{}")
        return route.continue_()

    begun: dict[str, str] = {}

    def note(response: Response) -> None:
        if response.request.method == "POST" and response.status == 201:
            name = base64.b64decode(response.request.headers["upload-metadata"].split(",")[0].split(" ")[1]).decode()
            begun[urljoin(response.url, response.headers["location"])] = name

    anna.on("response", note)
    anna.route("**/uploads/*", forget)
    pick(anna, *((f"{name}.jpg", pictures.tiny(number)) for number, name in enumerate(("once", "never", "other"))))
    expect(board(anna).get_by_role("status")).to_contain_text("All done: 2 of 3 ready", timeout=30_000)
    expect(board(anna).get_by_role("listitem")).to_contain_text("This file could not be sent. Please pick it again.")
    assert sorted(forgotten) == ["never.jpg"] * 3 + ["once.jpg"]


def test_a_beginning_whose_answer_is_lost_keeps_room_once(anna: Page, family: Family) -> None:
    lost: list[Route] = []

    def lose(route: Route) -> None:
        """It arrives, and its answer does not."""
        if len(lost) < 2:
            lost.append(route)
            route.fetch()
            return no_route(route)
        return route.continue_()

    anna.route("**/uploads", lose)
    pick(anna, ("IMG_1.jpg", pictures.tiny(1)))
    expect(board(anna).get_by_role("status")).to_contain_text("All done: 1 of 1 ready", timeout=30_000)
    with family.house.database.reading() as session:
        assert session.scalars(sa.select(sa.func.count()).where(Incoming.group_id == family.owner.group)).one() == 1


def test_a_photo_that_is_deleted_while_it_is_prepared_does_not_count_as_ready(anna: Page, family: Family) -> None:
    pick(anna, ("IMG_1.jpg", pictures.tiny(1)))
    expect(board(anna).get_by_role("status")).to_contain_text("All done: 1 of 1 ready", timeout=30_000)
    states = re.compile(r"/photos\?unfinished=1")

    def none_of_them(route: Route) -> None:
        """As it is when somebody else has deleted what has just arrived."""
        route.fulfill(json=route.fetch().json() | {"photos": [], "waiting": 0})

    anna.route(states, none_of_them)
    pick(anna, ("IMG_2.jpg", pictures.tiny(2)))
    expect(board(anna).get_by_role("status")).to_contain_text("All done: 1 of 1 ready", timeout=30_000)


def test_a_refused_photo_can_be_tried_again_at_once(anna: Page, family: Family) -> None:
    """It is broken, and stays so; what counts is that it is looked at again, without a reload."""
    pick(anna, ("half.jpg", pictures.broken()))
    row = board(anna).get_by_role("listitem").filter(has_text="half.jpg")
    expect(row).to_contain_text("is damaged or only half of it arrived")
    with anna.expect_response(re.compile("/retry$")) as asked:
        row.get_by_role("button", name="Try again half.jpg").click()
    assert asked.value.status == 303
    expect(row).to_contain_text("being prepared")
    expect(row).to_contain_text("is damaged or only half of it arrived", timeout=20_000)
    with family.house.database.reading() as session:
        generations = sa.select(Upload.generation).join(Photo, Photo.id == Upload.photo_id)
        assert session.scalars(generations.where(Photo.group_id == family.owner.group)).one() == 1


def test_a_killed_worker_loses_no_photo_that_was_acknowledged(anna: Page, family: Family, server: Instance) -> None:
    pick(anna, *((f"IMG_{number}.jpg", pictures.jpeg(number, size=(1600, 1200), grainy=True)) for number in range(8)))
    states = f"{album_address(family, 'Brittany 2026')}/photos"
    wait_for(lambda: anna.request.get(states).json()["ready"] >= 1, "the first photo is ready")
    killed = server.kill_worker()
    expect(board(anna).get_by_role("status")).to_contain_text("All done: 8 of 8 ready", timeout=60_000)
    expect(photos(anna)).to_have_count(8)
    assert killed not in server.children()
    with family.house.database.reading() as session:
        album = family.albums["Brittany 2026"].id
        assert session.scalars(sa.select(sa.func.count()).select_from(Photo).where(Photo.album_id == album)).one() == 8


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the shared samples are not here")
def test_files_of_all_kinds_end_ready_or_with_a_sentence(anna: Page) -> None:
    """Real phones, other people's traps: nothing is silently missing, and no sentence is our own jargon."""
    files = [(path.name, path.read_bytes()) for path in sorted(SAMPLES.iterdir()) if path.suffix not in (".md", ".tsv")]
    pick(anna, *files)
    done = re.compile(rf"All done: (\d+) of {len(files)} ready")
    expect(board(anna).get_by_role("status")).to_contain_text(done, timeout=60_000)
    ready = int(done.findall(board(anna).get_by_role("status").inner_text())[0])
    anna.reload()
    expect(photos(anna)).to_have_count(ready)
    anna.get_by_text(f"{len(files) - ready} files could not be used").click()
    sentences = board(anna).get_by_role("listitem").get_by_role("paragraph").all_inner_texts()
    assert len(sentences) == len(files) - ready
    assert all(len(sentence) > 20 and sentence.endswith(".") for sentence in sentences), sentences


def bandwidth(line: CDPSession, *, up: float = -1, offline: bool = False) -> None:
    """Bytes a second that go out; no limit by default. Not playwright's own switch: it and this undo each other."""
    line.send(
        "Network.emulateNetworkConditions", {"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": up}
    )
