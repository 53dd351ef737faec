"""Uploading: what is said to have arrived has arrived, and whatever goes wrong is told in words."""

from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from app import create_app
from app.accounts import service as accounts
from app.clock import HandClock
from app.house import House
from app.ingest.decoding import NotDecoded
from app.models import Photo, Upload
from tests.conftest import Family, found, tiny_jpeg
from tests.lint import LintingClient
from tests.rows import SEEN, all_rows
from tests.web.conftest import BRITTANY, refused_with, work

JSON = {"Accept": "application/json"}
A, B = tiny_jpeg((1, 2, 3)), tiny_jpeg((4, 5, 6))


def send(
    browser: LintingClient, album: str, *files: tuple[bytes, str], json: bool = True, token: str | None = None
) -> TestResponse:
    """The form of the album's page: the token first, then the files."""
    data: dict[str, Any] = {"csrf_token": browser.any_token() if token is None else token}
    data["files"] = [(BytesIO(content), name) for content, name in files]
    return browser.post(f"/albums/{album}/photos", data=data, headers=JSON if json else {}, content_type="multipart/form-data")


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    file = f'; filename="{filename}"' if filename is not None else ""
    return f'--edge\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"


def send_raw(browser: LintingClient, album: str, body: bytes, headers: dict[str, str] | None = None, **more: Any) -> TestResponse:
    kind = more.pop("content_type", "multipart/form-data; boundary=edge")
    return browser.post(f"/albums/{album}/photos", data=body, content_type=kind, headers=JSON | (headers or {}), **more)


def photos(browser: LintingClient, album: str, asking: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = browser.get(f"/albums/{album}/photos{asking}").get_json()["photos"]
    return found


# --- what arrives


def test_files_are_received_in_one_form(smiths: Family, phone: LintingClient, album: str) -> None:
    answer = send(phone, album, (A, "IMG_1.jpg"), (B, "Strand & Meer.jpg"))
    assert answer.status_code == 202
    receipts = answer.get_json()["photos"]
    assert [(each["name"], each["state"], each["reason"], each["duplicate"]) for each in receipts] == [
        ("IMG_1.jpg", "received", None, False),
        ("Strand & Meer.jpg", "received", None, False),
    ]
    work(smiths.house)
    assert [(each["id"], each["state"]) for each in photos(phone, album)] == [(each["id"], "ready") for each in receipts]


def test_the_plain_form_leads_back_to_the_album(phone: LintingClient, album: str) -> None:
    answer = send(phone, album, (A, "IMG_1.jpg"), json=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/albums/{album}")
    page = phone.get(f"/albums/{album}").text
    assert "0 of 1 ready." in page
    assert "You can lock your phone" in page


def test_a_script_may_send_the_token_in_a_header(phone: LintingClient, album: str) -> None:
    body = part("files", A, "a.jpg") + b"--edge--\r\n"
    assert send_raw(phone, album, body, {"X-CSRFToken": phone.any_token()}).status_code == 202
    assert send_raw(phone, album, body, {"X-CSRFToken": "wrong"}).status_code == 400


def test_a_file_before_the_token_is_refused_and_not_kept(smiths: Family, phone: LintingClient, album: str) -> None:
    token = phone.any_token().encode()
    for body in (part("files", A, "a.jpg") + part("csrf_token", token), part("files", A, "a.jpg"), part("other", b"x")):
        refused_with(send_raw(phone, album, body + b"--edge--\r\n"), 400, "form-expired")
    refused_with(send(phone, album, (A, "a.jpg"), token="wrong"), 400, "form-expired")
    assert photos(phone, album) == []
    assert not list(smiths.house.storage.list("albums/"))


def test_nothing_lies_in_storage_in_the_clear(smiths: Family, phone: LintingClient, album: str) -> None:
    canary = b"a canary in the coal mine" * 40_000
    assert send(phone, album, (canary, "canary.jpg")).status_code == 202
    stored = [b"".join(smiths.house.storage.read(each.name)) for each in smiths.house.storage.list("albums/")]
    assert [len(each) > 900_000 for each in stored] == [True]
    assert b"canary" not in stored[0]


# --- the same photo twice


def test_the_same_photo_twice_is_one_photo_and_told_kindly(smiths: Family, phone: LintingClient, album: str) -> None:
    first = send(phone, album, (A, "IMG_1.jpg")).get_json()["photos"][0]
    again = send(phone, album, (A, "copy.jpg"), (A, "copy 2.jpg")).get_json()["photos"]
    assert [(each["id"], each["duplicate"]) for each in again] == [(first["id"], True)] * 2
    assert len(list(smiths.house.storage.list("albums/"))) == 1, "the second copies are thrown away"
    work(smiths.house)
    after = send(phone, album, (A, "copy 3.jpg")).get_json()["photos"][0]
    assert (after["id"], after["state"], after["duplicate"]) == (first["id"], "ready", True)
    other = smiths.album("Another").id
    assert send(phone, other, (A, "IMG_1.jpg")).get_json()["photos"][0]["duplicate"] is False


def test_a_photo_that_was_refused_gets_another_chance(smiths: Family, phone: LintingClient, album: str) -> None:
    first = send(phone, album, (A, "IMG_1.jpg")).get_json()["photos"][0]
    work(smiths.house, NotDecoded("not-a-picture"))
    again = send(phone, album, (A, "IMG_1.jpg")).get_json()["photos"][0]
    assert (again["id"], again["state"], again["duplicate"]) == (first["id"], "received", False)
    work(smiths.house)
    assert [each["state"] for each in photos(phone, album)] == ["ready"]


# --- what can't become a photo


def test_an_empty_file_is_told_at_once(smiths: Family, phone: LintingClient, album: str) -> None:
    receipt = send(phone, album, (b"", "empty.jpg")).get_json()["photos"][0]
    assert (receipt["state"], receipt["reason"]) == ("refused", "empty")
    page = phone.get(f"/albums/{album}").text
    assert "empty.jpg" in page and "This file is empty." in page
    assert "Try again" not in page.split('id="upload-words"')[0]


def test_a_form_without_a_file_says_so(phone: LintingClient, album: str) -> None:
    refused_with(send(phone, album), 400, "no-files")
    page = send(phone, album, (b"", ""), json=False)
    assert (page.status_code, "No file was chosen." in page.text) == (400, True)


def test_a_refused_photo_says_why_and_can_be_dismissed_or_tried_again(
    smiths: Family, phone: LintingClient, album: str, clock: HandClock
) -> None:
    photo = send(phone, album, (A, "IMG_1.jpg")).get_json()["photos"][0]["id"]
    work(smiths.house, NotDecoded("too-slow"))
    assert photos(phone, album)[0] | {"state": "refused", "reason": "too-slow", "can_retry": True} == photos(phone, album)[0]
    assert "This file took too long" in phone.get(f"/albums/{album}").text
    assert phone.send(f"/photos/{photo}/retry").status_code == 303
    assert photos(phone, album)[0]["state"] == "received"
    work(smiths.house, NotDecoded("too-slow"))
    clock.move(timedelta(days=7))
    from app.ingest.jobs import drop_old_uploads

    drop_old_uploads(smiths.house)
    work(smiths.house)
    assert photos(phone, album)[0]["can_retry"] is False
    refused_with(phone.send(f"/photos/{photo}/retry", json=True), 400, "nothing-to-retry")
    assert phone.send(f"/photos/{photo}/delete").status_code == 303
    assert photos(phone, album) == []
    assert not list(smiths.house.storage.list("albums/"))


def test_what_is_no_picture_is_destroyed_at_once(smiths: Family, phone: LintingClient, album: str) -> None:
    send(phone, album, (b"hello", "hello.txt"))
    work(smiths.house, NotDecoded("not-a-picture"))
    assert photos(phone, album)[0]["can_retry"] is False
    assert not list(smiths.house.storage.list("albums/"))


# --- limits


def family_with(make_house: Callable[..., House], **settings: str) -> tuple[Family, LintingClient, str]:
    house = make_house(**settings)
    family = found(house, group_name="The Smiths", name="Anna", email="anna@example.org")
    browser = LintingClient(create_app(house.settings, house))
    browser.set_cookie("kinfold_member", family.cookie, domain=browser.domain)
    return family, browser, family.album("Picnic").id


def test_a_file_over_the_limit_is_told_and_the_others_stay(make_house: Callable[..., House]) -> None:
    family, browser, album = family_with(make_house, KINFOLD_FILE_LIMIT="100KB")
    answer = send(browser, album, (A, "small.jpg"), (b"x" * 100_001, "large.jpg"), (b"y" * 100_000, "just.jpg"))
    told = [(each["name"], each["state"], each["reason"]) for each in answer.get_json()["photos"]]
    assert told == [("small.jpg", "received", None), ("large.jpg", "refused", "too-large"), ("just.jpg", "received", None)]
    assert len(list(family.house.storage.list("albums/"))) == 2


def test_a_group_has_so_much_room_and_no_more(make_house: Callable[..., House]) -> None:
    family, browser, album = family_with(make_house, KINFOLD_QUOTA="300KB")
    assert send(browser, album, (b"a" * 200_000, "a.jpg")).status_code == 202
    before = all_rows(family.house.database, without=SEEN)
    refused_with(send(browser, album, (b"b" * 150_000, "b.jpg")), 413, "quota-full")
    assert all_rows(family.house.database, without=SEEN) == before
    assert len(list(family.house.storage.list("albums/"))) == 1
    page = send(browser, album, (b"b" * 150_000, "b.jpg"), json=False)
    assert (page.status_code, "There is no room left" in page.text) == (413, True)
    browser.send(f"/photos/{photos(browser, album)[0]['id']}/delete")
    assert send(browser, album, (b"b" * 150_000, "b.jpg")).status_code == 202, "deleting gives the room back"


def test_two_files_in_one_form_do_not_share_the_room_twice(make_house: Callable[..., House]) -> None:
    _, browser, album = family_with(make_house, KINFOLD_QUOTA="300KB")
    refused_with(send(browser, album, (b"a" * 200_000, "a.jpg"), (b"b" * 200_000, "b.jpg")), 413, "quota-full")
    assert [each["name"] for each in photos(browser, album)] == ["a.jpg"], "what had arrived before stays"


def test_a_body_over_the_room_is_refused_before_it_is_read(make_house: Callable[..., House]) -> None:
    _, browser, album = family_with(make_house, KINFOLD_QUOTA="300KB")

    class Unread(BytesIO):
        def readinto(self, buffer: Any) -> int:
            raise AssertionError("the body was read")

    answer = browser.post(
        f"/albums/{album}/photos",
        input_stream=Unread(),
        content_type="multipart/form-data; boundary=edge",
        environ_overrides={"CONTENT_LENGTH": "5000000"},
        headers=JSON,
    )
    refused_with(answer, 413, "quota-full")


def test_another_form_is_no_place_for_a_film(anna: LintingClient) -> None:
    answer = anna.post("/albums", data={"csrf_token": anna.any_token(), "title": "x" * 500_000}, headers=JSON)
    refused_with(answer, 413, "request-too-large")


# --- what breaks on the way


def test_a_line_that_breaks_keeps_what_arrived_whole(smiths: Family, phone: LintingClient, album: str) -> None:
    body = part("csrf_token", phone.any_token().encode()) + part("files", A, "whole.jpg") + part("files", B, "half.jpg")[:-400]
    assert send_raw(phone, album, body).status_code == 400
    assert [(each["name"], each["state"]) for each in photos(phone, album)] == [("whole.jpg", "received")]
    assert len(list(smiths.house.storage.list("albums/"))) == 1


BROKEN = [
    (b"", "multipart/form-data; boundary=edge"),
    (b"garbage", "multipart/form-data; boundary=edge"),
    (b"--edge\r\n\r\n", "multipart/form-data; boundary=edge"),
    (b"--edge\r\nContent-Disposition: form-data\r\n\r\nx\r\n--edge--", "multipart/form-data; boundary=edge"),
    (part("files", A, "a.jpg"), "multipart/form-data"),
    (part("files", A, "a.jpg"), "multipart/form-data; boundary=é"),
    (A, "image/jpeg"),
    (b'{"files": []}', "application/json"),
    (b"files=x", "application/x-www-form-urlencoded"),
    (A, ""),
]


def test_a_broken_body_is_a_400_and_leaves_nothing(smiths: Family, phone: LintingClient, album: str) -> None:
    before = all_rows(smiths.house.database, without=SEEN)
    for body, kind in BROKEN:
        for headers in ({}, {"X-CSRFToken": phone.any_token()}):
            assert send_raw(phone, album, body, headers, content_type=kind).status_code == 400, (body, kind)
    assert all_rows(smiths.house.database, without=SEEN) == before
    assert not list(smiths.house.storage.list("albums/"))


def test_whoever_is_signed_out_while_a_file_arrives_adds_nothing(
    smiths: Family, phone: LintingClient, album: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = phone.any_token()

    class SignsOut(BytesIO):
        def readinto(self, buffer: Any) -> int:
            with smiths.house.database.writing() as session:
                accounts.end_sessions(session, member=smiths.owner.id)
            return super().readinto(buffer)

    body = part("csrf_token", token.encode()) + part("files", A, "late.jpg") + b"--edge--\r\n"
    answer = phone.post(
        f"/albums/{album}/photos",
        input_stream=SignsOut(body),
        content_length=len(body),
        content_type="multipart/form-data; boundary=edge",
        headers=JSON,
    )
    assert answer.status_code == 404
    with smiths.house.database.reading() as session:
        assert not session.scalars(sa.select(Photo.id)).all()


def test_no_transaction_is_open_while_bytes_come_in(smiths: Family, phone: LintingClient, album: str) -> None:
    class OthersWrite(BytesIO):
        def readinto(self, buffer: Any) -> int:
            smiths.album("made meanwhile")
            return super().readinto(buffer)

    body = part("csrf_token", phone.any_token().encode()) + part("files", A, "slow.jpg") + b"--edge--\r\n"
    answer = phone.post(
        f"/albums/{album}/photos",
        input_stream=OthersWrite(body),
        content_length=len(body),
        content_type="multipart/form-data; boundary=edge",
        headers=JSON,
    )
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("\u202egpj.exe", "gpj.exe"),
        ("<script>.jpg", "<script>.jpg"),
        ("Größe 🍕.jpg", "Größe 🍕.jpg"),
        ("x" * 400 + ".jpg", "x" * 251 + ".jpg"),
    ],
)
def test_the_name_of_a_file_is_only_shown(smiths: Family, phone: LintingClient, album: str, name: str, shown: str) -> None:
    assert send(phone, album, (b"", name)).get_json()["photos"][0]["name"] == shown
    phone.get(f"/albums/{album}")


def test_the_name_is_forgotten_when_the_photo_is_ready(smiths: Family, phone: LintingClient, album: str) -> None:
    send(phone, album, (A, "Lena at the doctor.jpg"))
    work(smiths.house)
    assert photos(phone, album)[0]["name"] == "photo-001.jpg"
    with smiths.house.database.reading() as session:
        assert not session.scalars(sa.select(Upload.photo_id)).all()


# --- how it goes on


def test_the_status_is_true_after_a_reload(smiths: Family, phone: LintingClient, album: str) -> None:
    send(phone, album, (A, "a.jpg"))
    work(smiths.house)
    send(phone, album, (B, "b.jpg"), (b"", "c.jpg"))
    status = phone.get(f"/albums/{album}/photos").get_json()
    assert {key: value for key, value in status.items() if key != "photos"} == {
        "ready": 1,
        "waiting": 1,
        "refused": 1,
        "removed": ["device", "place"],
    }
    assert [(each["name"], each["state"]) for each in photos(phone, album, "?unfinished=1")] == [
        ("b.jpg", "received"),
        ("c.jpg", "refused"),
    ]
    ready = photos(phone, album)[0]["id"]
    named = photos(phone, album, f"?unfinished=1&photo={ready}&photo=nothing")
    assert [each["state"] for each in named] == ["ready", "received", "refused"]
    page = phone.get(f"/albums/{album}").text
    assert "1 of 2 ready." in page
    assert "1 file could not be used" in page


def test_a_hundred_files_in_one_form_are_a_hundred_photos(smiths: Family, phone: LintingClient, album: str) -> None:
    assert send(phone, album, *((f"picture {number}".encode(), f"{number}.jpg") for number in range(100))).status_code == 202
    status = phone.get(f"/albums/{album}/photos").get_json()
    assert (status["waiting"], len({each["id"] for each in status["photos"]})) == (100, 100)


def test_a_photo_on_its_way_has_no_page_and_no_place_in_the_album(cast: Family, anna: LintingClient, rose: LintingClient) -> None:
    waiting, album = cast.upload(BRITTANY, b"waiting"), cast.albums[BRITTANY].id
    assert anna.get(f"/photos/{waiting}").headers["Location"] == f"/albums/{album}"
    assert rose.get(f"/shared/{album}/{waiting}").status_code == 404
    assert waiting not in rose.get(f"/shared/{album}").text
