"""When something goes wrong: a sentence for people, a word for scripts, and never a success that was none."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.clock import HandClock
from app.house import House
from app.storage.memory import InMemory
from app.storage.port import StorageFailed
from tests.conftest import Family, tiny_jpeg
from tests.lint import LintingClient, lint_page
from tests.rows import SEEN, all_rows
from tests.web.conftest import BRITTANY, refused_with
from tests.web.test_upload import photos, send

JSON = {"Accept": "application/json"}


def test_what_is_not_there_is_a_page_for_people_and_a_word_for_scripts(stranger: LintingClient) -> None:
    page = stranger.get("/nowhere")
    assert (page.status_code, "There is nothing here" in page.text) == (404, True)
    refused_with(stranger.get("/nowhere", headers=JSON), 404, "not-found")


def test_a_browser_that_takes_anything_gets_a_page(stranger: LintingClient) -> None:
    for accept in ("*/*", "text/html,application/xhtml+xml,*/*;q=0.8", "", "image/avif"):
        assert stranger.get("/nowhere", headers={"Accept": accept}).mimetype == "text/html"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
def test_another_method_is_not_there(anna: LintingClient, brittany: str, method: str) -> None:
    for address in ("/albums", f"/albums/{brittany}", "/sign-in", "/m/x"):
        assert anna.open(address, method=method).status_code == 404


def test_a_post_where_only_looking_is_possible_is_not_there(anna: LintingClient) -> None:
    for address in ("/account", "/shared", "/robots.txt", "/"):
        assert anna.send(address).status_code == 404


def test_expired_forms_are_told_to_scripts(anna: LintingClient) -> None:
    refused_with(anna.post("/albums", data={"title": "x"}, headers=JSON), 400, "form-expired")


@pytest.mark.parametrize("sent", ["5", '["x"]', '{"title": 5, "password": {"a": 1}, "role": [["owner"]], "confirm": null}', ""])
@pytest.mark.parametrize(
    "address", ["/albums", "/members/invite", "/stop-sharing", "/group", "/group/delete", "/sign-in", "/join/x"]
)
def test_what_is_no_form_is_an_empty_form(anna: LintingClient, clock: HandClock, address: str, sent: str) -> None:
    clock.move(timedelta(minutes=15))
    headers = {"X-CSRFToken": anna.any_token()}
    answer = anna.post(address, data=sent, content_type="application/json", headers=headers)
    assert answer.status_code == (404 if address == "/join/x" else 400)


def test_a_commit_that_fails_is_no_success_page(
    cast: Family, house: House, anna: LintingClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_session: Session) -> None:
        raise OperationalError("COMMIT", {}, Exception("disk full"))

    token = anna.any_token()
    before = all_rows(house.database, without=SEEN)
    with monkeypatch.context() as broken:
        broken.setattr(Session, "commit", full)
        page = anna.post("/albums", data={"csrf_token": token, "title": "Picnic"})
        told = anna.post("/albums", data={"csrf_token": token, "title": "Picnic"}, headers=JSON)
    assert page.status_code == 507
    assert "The server has no room left." in page.text and "disk full" not in page.text
    lint_page(page.text, "our fault")
    refused_with(told, 507, "disk-full")
    assert all_rows(house.database, without=SEEN) == before
    assert anna.send("/albums", title="Picnic").status_code == 303, "the next one works"


def test_our_own_fault_needs_neither_database_nor_viewer(
    app: Flask, anna: LintingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("nothing works")

    monkeypatch.setitem(app.before_request_funcs, None, [broken])
    page = anna.get("/albums")
    assert (page.status_code, "Something went wrong here" in page.text) == (500, True)


@pytest.mark.parametrize(("reason", "status"), [("disk-full", 507), ("unreachable", 503)])
def test_storage_that_fails_while_a_file_comes_in_is_told_and_nothing_is_called_received(
    cast: Family, house: House, anna: LintingClient, brittany: str, monkeypatch: pytest.MonkeyPatch, reason: str, status: int
) -> None:
    def fail(_storage: InMemory, _name: str, _content: bytes) -> None:
        raise StorageFailed(reason)

    before = photos(anna, brittany)
    with monkeypatch.context() as broken:
        broken.setattr(InMemory, "put", fail)
        refused_with(send(anna, brittany, (tiny_jpeg(), "a.jpg")), status, reason)
        page = send(anna, brittany, (tiny_jpeg(), "a.jpg"), json=False)
    assert (page.status_code, "Nothing of yours is lost" in page.text) == (status, True)
    assert photos(anna, brittany) == before
    assert send(anna, brittany, (tiny_jpeg(), "a.jpg")).status_code == 202


def test_a_form_that_is_sent_twice_is_no_mistake(cast: Family, anna: LintingClient) -> None:
    photo, rose = cast.photos[BRITTANY][0], cast.people["Rose"]
    for address in (f"/people/{rose.id}/stop", f"/grants/{rose.grant}/end", f"/albums/{cast.albums[BRITTANY].id}/photos/delete"):
        assert [anna.send(address, photo=photo).status_code for _ in range(2)] == [303, 303]


def test_strange_forms_are_never_our_fault(cast: Family, anna: LintingClient, brittany: str) -> None:
    rose = cast.people["Rose"]
    strange = ["\x00", "\ud83c", "'; DROP TABLE photo; --", "x" * 100_000, "-1", "1e9", "٣", "2026-13-45", "[]", "NaN"]
    forms = {
        "/albums": ("title", "description"),
        f"/albums/{brittany}/share": ("guest", "name", "days", "until", "may_save"),
        f"/people/{rose.id}/grants": ("album", "days", "until"),
        f"/grants/{rose.grant}/extend": ("days", "until"),
        f"/albums/{brittany}/cover": ("photo",),
        f"/albums/{brittany}/delete": ("confirm",),
        f"/photos/{cast.photos[BRITTANY][0]}/caption": ("caption",),
        "/account/password": ("current", "password"),
        "/stop-sharing": ("password",),
    }
    for address, names in forms.items():
        for name in names:
            for value in strange:
                fields = dict.fromkeys(names, "x") | {name: value.encode("utf-8", "surrogatepass")}
                status = anna.send(address, **fields).status_code
                assert status in (201, 303, 400, 404, 413, 429), f"{name}={value[:20]!r} at {address}: {status}"


def test_strange_addresses_are_never_our_fault(anna: LintingClient, browser_of: Callable[..., LintingClient]) -> None:
    for address in (
        "/albums/%00",
        "/albums/\ud83c".encode("utf-8", "surrogatepass").decode("latin-1"),
        "/albums?after=%00",
        "/%ff",
        "/a" * 3000,
    ):
        for browser in (anna, browser_of()):
            assert browser.get(address).status_code in (200, 302, 404), address[:40]
