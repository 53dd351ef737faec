"""What a whole story leaves in the log: no token, cookie, password, name, address, title or file name."""

import logging
from collections.abc import Callable, Iterator
from io import StringIO
from urllib.parse import urlsplit

import pytest

from app.accounts import service as accounts
from app.accounts.models import AddressKind
from app.house import House
from app.ingest.decoding import NotDecoded
from app.ops.logs import JsonLines, PlainLines
from tests.lint import LintingClient
from tests.web.conftest import work
from tests.web.test_upload import send

EMAIL, PASSWORD, NEW = "annabel@example.org", "a parrot and two canaries", "three finches, one linnet"
SECRETS = (
    "Annabel",
    "annabel",
    EMAIL,
    PASSWORD,
    NEW,
    "Finchley",
    "Canary Wharf",
    "IMG_canary",
    "Rosalind",
    "lagoon",
    "wrong guess",
)


@pytest.fixture(params=[PlainLines, JsonLines])
def log(request: pytest.FixtureRequest) -> Iterator[StringIO]:
    """Everything that anybody logs, as an operator with the loudest settings would see it."""
    lines = StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(request.param())
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


def test_a_whole_story_leaves_nothing_personal_in_the_log(
    house: House, browser_of: Callable[..., LintingClient], log: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    with house.database.writing() as session:
        set_up = accounts.issue_address(session, kind=AddressKind.SET_UP, tokens=house.tokens, at=house.clock.now())
    anna, rose = browser_of(), browser_of()
    anna.get(f"/setup/{set_up}")
    anna.send(f"/setup/{set_up}", name="Annabel", email=EMAIL, password=PASSWORD, group_name="Finchley", group_kind="family")
    album = anna.send("/albums", json=True, title="Canary Wharf", description="by the lagoon").get_json()["id"]
    send(anna, album, (b"not a canary", "IMG_canary.jpg"))
    work(house, NotDecoded("broken"))
    send(anna, album, (b"a canary", "IMG_canary_2.jpg"))
    work(house)
    photo = next(each["id"] for each in anna.get(f"/albums/{album}/photos").get_json()["photos"] if each["state"] == "ready")
    anna.send(f"/photos/{photo}/caption", caption="the lagoon")
    shared = anna.send(f"/albums/{album}/share", json=True, name="Rosalind", may_save="y").get_json()
    link = urlsplit(shared["link"]).path
    rose.get(link)
    rose.send(link)
    page = rose.get(f"/shared/{album}/{photo}").text
    media = page.split('src="')[-1].split('"')[0]
    rose.get(media, headers={"Range": "bytes=0-3"})
    rose.get(media + "x")
    anna.send("/account/password", current=PASSWORD, password=NEW)
    secrets = [
        str(browser.cookie(name)) for browser in (anna, rose) for name in ("kinfold_member", "kinfold_device", "kinfold_form")
    ]
    anna.send("/sign-out")
    for guess in ("wrong guess", NEW):
        anna.send("/sign-in", email=EMAIL, password=guess)
    anna.get(f"/albums?next={EMAIL}")
    anna.get("/Annabel")
    anna.post("/albums", data={"title": "Canary Wharf"})
    with monkeypatch.context() as broken:
        broken.setattr("app.albums.service.make_album", lambda *_, title, **__: {}[title])
        assert anna.send("/albums", title="Canary Wharf").status_code == 500
    anna.send(f"/people/{shared['guest']}/stop")
    written = log.getvalue()
    assert "POST /albums/<album>/share 201" in written
    assert "GET /i/<token> 200" in written
    assert "KeyError" in written
    for secret in (*SECRETS, *secrets, link.removeprefix("/i/"), set_up, media.removeprefix("/m/"), "127.0.0.1"):
        if secret != "None":
            assert secret not in written, secret


def test_a_method_that_somebody_made_up_writes_no_line_of_its_own(stranger: LintingClient, log: StringIO) -> None:
    stranger.open("/x", method="GET\nfake")
    assert "fake" not in log.getvalue()
