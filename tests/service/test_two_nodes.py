"""Two nodes of one Kinfold: two web servers and two workers with folders of their own, on one PostgreSQL and one S3."""

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.sharing.rules import NEW_PHONES_AT_ONCE
from tests.postgres import KEYS, cluster, scratch_name
from tests.seaweed import KEYS as AWS_KEYS
from tests.seaweed import Seaweed
from tests.server import Browser, Server, free_port, wait_for
from tests.service.test_whole_server import all_settled, photo_with_canary

pytestmark = pytest.mark.slow

TAPS = 50
PLACES = 3
AT_ONCE = 1.0
"""Seconds after which nothing may be seen any more on any node."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, seaweed: Seaweed) -> dict[str, str]:
    """What both nodes are told: where everything is, the keys, and the one address at which people find them."""
    return {
        "KINFOLD_DATABASE_URL": cluster().database(scratch_name(tmp_path_factory.mktemp("nodes"))),
        "KINFOLD_STORAGE_URL": seaweed.url(seaweed.bucket()),
        "KINFOLD_BASE_URL": f"http://127.0.0.1:{free_port()}",
        "KINFOLD_THREADS": "128",
        **KEYS,
        **AWS_KEYS,
    }


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str]) -> Iterator[list[Server]]:
    """Both, started at the same moment on a database without a table."""
    both = [Server(tmp_path_factory.mktemp(name), **settings) for name in ("one", "other")]
    try:
        with ThreadPoolExecutor(2) as starting:
            list(starting.map(Server.start, both))
        yield both
    finally:
        for node in both:
            if node.starts:
                node.kill()


@pytest.fixture
def anna(nodes: list[Server]) -> Browser:
    """Anna, with a family of this test's own, on the first node."""
    browser = Browser(nodes[0].base)
    address = nodes[0].command("group", "add")
    browser.set_up("/setup/" + address.rpartition("/")[2], email=f"anna-{time.monotonic_ns()}@example.org")
    return browser


def on(node: Server, browser: Browser) -> Browser:
    """The same browser, led to another node."""
    elsewhere = Browser(node.base)
    for cookie in browser.cookies:
        elsewhere.cookies.set_cookie(cookie)
    return elsewhere


def album_with_photos(anna: Browser, number: int = 2, size: tuple[int, int] = (900, 600)) -> tuple[str, list[str]]:
    album = anna.album("Brittany 2026")
    files = [(f"IMG_{each}.jpg", photo_with_canary(seed=each, size=size)) for each in range(number)]
    answer = anna.upload(f"/albums/{album}/photos", anna.token(f"/albums/{album}"), *files)
    assert answer.status == 202, answer.body
    return album, [photo["id"] for photo in answer.json["photos"]]


def invite(anna: Browser, album: str, name: str = "Rose") -> tuple[str, str]:
    """Share an album: the guest's id, and the path of the link."""
    shared = anna.post(f"/albums/{album}/share", anna.token(f"/albums/{album}"), name=name, days="30").json
    return shared["guest"], "/i/" + shared["link"].rpartition("/")[2]


def images(browser: Browser, page: str) -> list[str]:
    return re.findall(r'src="(/m/[^"]+)"', browser.get(page).body.decode())


def within(seconds: float, gone: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not gone():
        assert time.monotonic() - began < seconds, f"still there after {seconds} s"


def test_what_is_uploaded_to_one_node_is_seen_on_the_other(nodes: list[Server], anna: Browser) -> None:
    album, photos = album_with_photos(anna)
    there = on(nodes[1], anna)
    assert {photo["id"] for photo in all_settled(there, album, len(photos))} == set(photos)
    shown = images(there, f"/albums/{album}")
    assert len(shown) == len(photos)
    for address in shown:
        here, elsewhere = anna.get(address), there.get(address)
        assert here.status == elsewhere.status == 200
        assert here.body == elsewhere.body


def test_what_is_done_on_both_nodes_at_the_same_moment_is_done_once(nodes: list[Server], anna: Browser) -> None:
    """Two taps, a phone that sends again, two people with the same photos: one album, every photo once, one link that lets in."""
    token = anna.token("/albums")
    browsers = [anna, on(nodes[1], anna)] * 4
    content = photo_with_canary(seed=1, size=(300, 200))
    with ThreadPoolExecutor(len(browsers)) as together:
        (album,) = set(
            together.map(lambda each: each.post("/albums", token, title="Brittany 2026", description="").json["id"], browsers)
        )
        answers = list(together.map(lambda each: each.upload(f"/albums/{album}/photos", token, ("one.jpg", content)), browsers))
        told = [answer.json["photos"][0] for answer in answers]
        assert len({photo["id"] for photo in told}) == 1 and [photo["duplicate"] for photo in told].count(False) == 1

        def send(number: int) -> int:
            file = (f"{number}.jpg", photo_with_canary(seed=number, size=(300 + number, 200)))
            return browsers[number].upload(f"/albums/{album}/photos", token, file).status

        assert set(together.map(send, range(len(browsers)))) == {202}
        all_settled(anna, album, 1 + len(browsers))

        guest, _ = invite(anna, album)
        links = list(together.map(lambda each: each.post(f"/people/{guest}/links", token, days="30").json["link"], browsers))
    opened = ["/i/" + link.rpartition("/")[2] for link in links]
    assert [Browser(nodes[0].base).get(link).status for link in opened].count(200) == 1, "the last one replaced the others"


def test_what_is_ended_on_one_node_is_over_on_the_other_within_a_second(nodes: list[Server], anna: Browser) -> None:
    album, photos = album_with_photos(anna)
    all_settled(anna, album, len(photos))
    guest, link = invite(anna, album)
    rose = Browser(nodes[1].base)
    assert rose.post(link, rose.token(link)).status == 303
    page = f"/shared/{album}"
    seen = images(rose, page)
    assert seen and all(browser.get(seen[0]).status == 200 for browser in (rose, on(nodes[0], rose)))

    assert anna.post(f"/people/{guest}/stop", anna.token(f"/people/{guest}")).status in (200, 303)
    for browser in (rose, on(nodes[0], rose)):
        within(AT_ONCE, lambda browser=browser: {browser.get(where).status for where in (page, *seen)} == {404})  # type: ignore[misc]


def test_attack_3_fifty_taps_at_once_on_two_nodes_let_in_as_many_as_there_are_places(nodes: list[Server], anna: Browser) -> None:
    album, photos = album_with_photos(anna, 1)
    all_settled(anna, album, len(photos))
    guest, link = invite(anna, album)
    browsers = [Browser(nodes[tap % 2].base) for tap in range(TAPS)]
    tokens = [browser.token(link) for browser in browsers]

    def tap(number: int) -> int:
        return browsers[number].post(link, tokens[number]).status

    with ThreadPoolExecutor(TAPS) as together:
        answers = list(together.map(tap, range(TAPS)))
        assert answers.count(303) == PLACES + NEW_PHONES_AT_ONCE, answers
        assert max(answers) < 500, answers
        inside = [browser for browser in browsers if browser.get(f"/shared/{album}").status == 200]
        assert len(inside) == PLACES
        person = anna.get(f"/people/{guest}", Accept="application/json").json
        assert len(person["devices"]) == PLACES

        (row,) = person["links"]
        assert anna.post(f"/links/{row['id']}/revoke", anna.token(f"/people/{guest}")).status in (200, 303)
        for browser in inside:
            for node in nodes:
                within(AT_ONCE, lambda: on(node, browser).get(f"/shared/{album}").status == 404)  # noqa: B023
        assert 303 not in together.map(tap, range(TAPS)), "nobody comes in again"
    assert anna.get(f"/people/{guest}", Accept="application/json").json["devices"] == []


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ({"KINFOLD_MASTER_KEY": "b" * 43}, "master key does not belong to this database"),
        ({"KINFOLD_MASTER_KEY": ""}, "KINFOLD_MASTER_KEY is not set"),
        ({"KINFOLD_SECRET_KEY": "another secret of somebody else that is long enough"}, "secret key"),
    ],
    ids=["another master key", "no master key", "another secret key"],
)
def test_attack_14_a_second_node_without_the_right_keys_does_not_start(
    nodes: list[Server], settings: dict[str, str], tmp_path: Path, key: dict[str, str], says: str
) -> None:
    stranger = Server(tmp_path, **settings | key)
    for word in ("serve", "worker"):
        refused = stranger.try_command(word)
        assert refused.returncode != 0
        assert says in refused.stderr and "Nothing was changed" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert not (tmp_path / "var" / "keys").exists()
    assert nodes[0].get_status("/readyz") == 200


def test_the_jobs_of_a_node_that_died_for_good_are_taken_over(
    nodes: list[Server], anna: Browser, settings: dict[str, str]
) -> None:
    """The last test: one node is gone after it."""
    engine = sa.create_engine(settings["KINFOLD_DATABASE_URL"])

    def owners() -> set[str]:
        with engine.connect() as connection:
            return set(connection.scalars(sa.text("SELECT executor_id FROM dbos.workflow_status WHERE status = 'PENDING'")))

    album, photos = album_with_photos(anna, 16, size=(1600, 1200))
    wait_for(lambda: len(owners()) == 2, "both workers to be at work")
    nodes[1].kill()
    died = time.monotonic()
    settled = all_settled(anna, album, len(photos))
    assert time.monotonic() - died < 30
    assert {photo["state"] for photo in settled} == {"ready"}
    assert "has died; its" in (nodes[0].folder / "log").read_text()
    engine.dispose()
