"""Files that arrive in parts (tus 1.0): every status of the protocol, who may go on, and what is left of each part."""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.http import parse_date
from werkzeug.test import TestResponse

from app import create_app
from app.accounts import service as accounts
from app.clock import HandClock
from app.groups import service as groups
from app.house import House
from app.ingest import receiving
from app.ingest.jobs import drop_expired_uploads
from app.ingest.service import room_left
from app.models import Incoming, IncomingPart, Upload
from app.ops.purge import keep_promises
from app.sharing import service as sharing
from app.storage.port import StorageFailed
from tests.conftest import Family, found, tiny_jpeg
from tests.lint import LintingClient
from tests.rows import SEEN, all_rows
from tests.web.conftest import refused_with, work

A = tiny_jpeg((1, 2, 3)) + bytes(range(256)) * 8
TUS = {"Tus-Resumable": "1.0.0", "Accept": "application/json"}
PART = 1000


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a size that tests can fill."""
    monkeypatch.setattr(receiving, "PART", PART)


def ask(browser: LintingClient, method: str, address: str, **more: Any) -> TestResponse:
    """A request in the words of the protocol, with the form's token in its header."""
    headers = TUS | {"X-CSRFToken": browser.any_token()} | more.pop("headers", {})
    sent = {name: value for name, value in headers.items() if value is not None}
    return browser.open(address, method=method, headers=sent, **more)


def named(name: str, **more: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in {"filename": name, **more}.items())


def begin(browser: LintingClient, album: str, size: int, name: str = "IMG_1.jpg", **headers: Any) -> TestResponse:
    told = {"Upload-Length": str(size), "Upload-Metadata": named(name)} | headers
    return ask(browser, "POST", f"/albums/{album}/uploads", headers=told)


def begun(browser: LintingClient, album: str, size: int, name: str = "IMG_1.jpg") -> str:
    """The address of a file that has been begun."""
    answer = begin(browser, album, size, name)
    assert answer.status_code == 201, answer.data
    return answer.headers["Location"]


def go_on(browser: LintingClient, address: str, offset: object, data: bytes, **headers: Any) -> TestResponse:
    told = {"Upload-Offset": str(offset)} | headers
    return ask(browser, "PATCH", address, headers=told, data=data, content_type="application/offset+octet-stream")


def offset(browser: LintingClient, address: str) -> int:
    answer = ask(browser, "HEAD", address)
    assert answer.status_code == 200
    return int(answer.headers["Upload-Offset"])


def photo_of(answer: TestResponse) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(answer.headers["Kinfold-Photo"])
    return told


def broken_off(browser: LintingClient, address: str, start: int, data: bytes, announced: object, **headers: Any) -> TestResponse:
    """More of a file over a line that breaks."""
    told = {"Upload-Offset": str(start)} | headers
    more = {"input_stream": BytesIO(data), "environ_overrides": {"CONTENT_LENGTH": str(announced)}}
    return ask(browser, "PATCH", address, headers=told, content_type="application/offset+octet-stream", **more)


def objects(family: Family) -> int:
    return len(list(family.house.storage.list("albums/")))


def rows(family: Family, *tables: Any) -> list[int]:
    with family.house.database.reading() as session:
        return [session.scalars(sa.select(sa.func.count()).select_from(table)).one() for table in tables]


def arrived(family: Family) -> bytes:
    """What the worker will open of the only upload there is."""
    from app.ingest import service

    with family.house.database.writing() as session:
        photo = session.scalars(sa.select(Upload.photo_id)).one()
        taken = service.take(
            session, photo=photo, master=family.house.master, jobs=family.house.jobs, at=family.house.clock.now()
        )
        assert taken is not None
        service.give_back(session, waiting=taken)
    sealed = receiving.Sealed(family.house.storage, taken.key, {taken.object_name: taken.sealed})
    return b"".join(sealed.read(taken.object_name))


# --- the way of a file


def test_a_file_in_one_piece_becomes_a_photo_and_is_never_copied(
    smiths: Family, phone: LintingClient, album: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ingest.tus.join", lambda *_, **__: pytest.fail("the file was copied"))
    small = A[:900]
    address = begun(phone, album, len(small))
    assert offset(phone, address) == 0
    answer = go_on(phone, address, 0, small)
    assert (answer.status_code, answer.headers["Upload-Offset"], answer.data) == (204, "900", b"")
    assert photo_of(answer) | {"id": ""} == {"id": "", "state": "received", "reason": None, "duplicate": False}
    assert (arrived(smiths), objects(smiths)) == (small, 1)
    work(smiths.house)
    assert photo_of(ask(phone, "HEAD", address))["state"] == "ready"


@pytest.mark.parametrize("cuts", [(), (700,), (1000,), (1, 2, 999, 1000, 2000, 2001)])
def test_a_file_in_any_pieces_is_the_same_file(smiths: Family, phone: LintingClient, album: str, cuts: tuple[int, ...]) -> None:
    address, start = begun(phone, album, len(A)), 0
    for stop in (*cuts, len(A)):
        assert go_on(phone, address, start, A[start:stop]).headers["Upload-Offset"] == str(stop)
        assert offset(phone, address) == stop
        start = stop
    assert arrived(smiths) == A
    assert (rows(smiths, IncomingPart), objects(smiths)) == ([0], 1), "the parts are gone"
    assert photo_of(ask(phone, "HEAD", address))["state"] == "received"


def test_what_has_arrived_when_the_line_breaks_is_kept(smiths: Family, phone: LintingClient, album: str) -> None:
    address = begun(phone, album, len(A))
    broken_off(phone, address, 0, A[:2100], len(A))
    assert offset(phone, address) == 2100
    assert rows(smiths, IncomingPart) == [3]
    assert go_on(phone, address, 2100, A[2100:]).status_code == 204
    assert arrived(smiths) == A


def test_it_never_says_that_all_has_arrived_before_there_is_a_photo(
    smiths: Family, phone: LintingClient, album: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = begun(phone, album, len(A))

    def fails(*_: object, **__: object) -> None:
        raise StorageFailed("unreachable")

    with monkeypatch.context() as patch:
        patch.setattr("app.ingest.tus.join", fails)
        assert go_on(phone, address, 0, A).status_code == 503
    assert offset(phone, address) == len(A) // PART * PART
    assert go_on(phone, address, len(A) // PART * PART, A[len(A) // PART * PART :]).status_code == 204
    assert arrived(smiths) == A


def test_a_full_disk_is_told_and_what_was_kept_is_kept(phone: LintingClient, album: str, monkeypatch: pytest.MonkeyPatch) -> None:
    address = begun(phone, album, len(A))
    go_on(phone, address, 0, A[:1500])

    def full(*_: object) -> None:
        raise StorageFailed("disk-full")

    with monkeypatch.context() as patch:
        patch.setattr(receiving.FileOnItsWay, "finish", full)
        refused_with(go_on(phone, address, 1500, A[1500:]), 507, "disk-full")
    assert offset(phone, address) == 1500


def test_the_same_bytes_twice_are_one_photo(smiths: Family, phone: LintingClient, album: str) -> None:
    first = photo_of(go_on(phone, begun(phone, album, len(A)), 0, A))
    address = begun(phone, album, len(A), "copy.jpg")
    again = photo_of(go_on(phone, address, 0, A))
    assert (again["id"], again["duplicate"]) == (first["id"], True)
    assert photo_of(ask(phone, "HEAD", address))["duplicate"] is True
    assert objects(smiths) == 1


def test_an_empty_file_is_complete_at_once_and_refused_as_in_the_form(phone: LintingClient, album: str) -> None:
    answer = begin(phone, album, 0, "empty.jpg")
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "0")
    assert (photo_of(answer)["state"], photo_of(answer)["reason"]) == ("refused", "empty")
    listed = phone.get(f"/albums/{album}/photos").get_json()["photos"]
    assert [(each["name"], each["reason"]) for each in listed] == [("empty.jpg", "empty")]


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
def test_the_name_of_a_file_is_only_shown(phone: LintingClient, album: str, name: str, shown: str) -> None:
    go_on(phone, begun(phone, album, len(A), name), 0, A)
    assert [each["name"] for each in phone.get(f"/albums/{album}/photos").get_json()["photos"]] == [shown]


def test_a_name_is_forgotten_when_the_file_has_arrived(smiths: Family, phone: LintingClient, album: str) -> None:
    address = begun(phone, album, len(A), "Lena at the doctor.jpg")
    assert ask(phone, "HEAD", address).headers["Upload-Metadata"] == named("Lena at the doctor.jpg")
    go_on(phone, address, 0, A)
    assert "Upload-Metadata" not in ask(phone, "HEAD", address).headers
    with smiths.house.database.reading() as session:
        assert session.scalars(sa.select(Incoming.sealed_name)).one() == b""


def test_nothing_lies_in_storage_in_the_clear_and_no_key_is_used_twice(smiths: Family, phone: LintingClient, album: str) -> None:
    address = begun(phone, album, 10_000, "canary")
    go_on(phone, address, 0, b"canary" * 500)
    stored = b"".join(b"".join(smiths.house.storage.read(each.name)) for each in smiths.house.storage.list("albums/"))
    assert len(stored) >= 3000 and b"canary" not in stored
    with smiths.house.database.reading() as session:
        keys = session.scalars(sa.select(IncomingPart.wrapped_key)).all()
    assert len(set(keys)) == len(keys) == 3


# --- an answer that was lost


def test_a_file_that_is_begun_again_because_the_answer_was_lost_is_one_file(
    smiths: Family, marcs: Family, phone: LintingClient, album: str, clock: HandClock, browser_of: Callable[..., LintingClient]
) -> None:
    marked = {"Upload-Metadata": named("IMG_1.jpg", mark="a random word")}

    def begin_it(browser: LintingClient, size: int = len(A), album: str = album) -> str:
        answer = begin(browser, album, size, **marked)
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "0")
        return answer.headers["Location"]

    address = begin_it(phone)
    assert begin_it(phone) == address
    assert rows(smiths, Incoming) == [1], "and room is kept for it once"
    others = browser_of(member=smiths.join("Ben").cookie), browser_of(member=marcs.cookie)
    elsewhere = [begin_it(others[0]), begin_it(others[1], album=marcs.album("Football").id)]
    elsewhere += [begin_it(phone, size=7), begin_it(phone, album=smiths.album("Another").id)]
    assert len({address, *elsewhere}) == 5, "a mark is good for this member, this album and this size"
    go_on(phone, address, 0, A[:10])
    assert begin_it(phone) != address, "something of it has come: whoever begins now sends another file"
    again = begin_it(others[0])
    clock.move(timedelta(hours=1))
    assert begin_it(others[0]) != again, "its time is over"


# --- the protocol's own words


def test_what_is_offered(cast: Family, phone: LintingClient, album: str) -> None:
    answer = phone.open(f"/albums/{album}/uploads", method="OPTIONS")
    told = {name: value for name, value in answer.headers.items() if name.startswith("Tus-")}
    assert (answer.status_code, told) == (
        204,
        {
            "Tus-Resumable": "1.0.0",
            "Tus-Version": "1.0.0",
            "Tus-Extension": "creation,expiration,checksum,termination",
            "Tus-Max-Size": str(cast.house.settings.file_limit),
            "Tus-Checksum-Algorithm": "sha1,sha256",
        },
    )


def test_every_answer_says_the_version_and_head_is_never_kept(phone: LintingClient, album: str, clock: HandClock) -> None:
    answers = [begin(phone, album, len(A))]
    address = answers[0].headers["Location"]
    answers += [go_on(phone, address, 0, A[:10]), go_on(phone, address, 0, A), ask(phone, "HEAD", address)]
    answers += [begin(phone, album, 10**15), ask(phone, "HEAD", "/uploads/nothing"), ask(phone, "DELETE", address)]
    assert [answer.status_code for answer in answers] == [201, 204, 409, 200, 413, 404, 204]
    assert {answer.headers["Tus-Resumable"] for answer in answers} == {"1.0.0"}
    assert answers[3].headers["Cache-Control"] == "no-store"
    assert answers[3].headers["Upload-Length"] == str(len(A))
    for answer, hours in zip(answers, (1, 24), strict=False):  # an answer that was lost keeps room for an hour
        assert parse_date(answer.headers["Upload-Expires"]) == (clock.now() + timedelta(hours=hours)).replace(microsecond=0)


@pytest.mark.parametrize("version", [None, "", "0.2.2", "1.0", "2.0.0", "1.0.0, 1.0.0"])
def test_another_version_is_told_ours(smiths: Family, phone: LintingClient, album: str, version: str | None) -> None:
    address = begun(phone, album, len(A))
    before = all_rows(smiths.house.database, without=SEEN)
    told = {"Tus-Resumable": version}
    answers = [
        begin(phone, album, 10, **told),
        ask(phone, "HEAD", address, headers=told),
        go_on(phone, address, 0, A, **told),
        ask(phone, "DELETE", address, headers=told),
    ]
    assert {(answer.status_code, answer.headers["Tus-Version"]) for answer in answers} == {(412, "1.0.0")}
    assert all_rows(smiths.house.database, without=SEEN) == before


BAD_NUMBERS = ["-1", "+1", "1.0", "1e3", "NaN", "", " ", "0x10", "1 2", "١٢", "9" * 40, "1,1"]


@pytest.mark.parametrize("number", [*BAD_NUMBERS, None])
def test_what_is_no_number_is_a_400_and_changes_nothing(
    smiths: Family, phone: LintingClient, album: str, number: str | None
) -> None:
    address = begun(phone, album, len(A))
    before = all_rows(smiths.house.database, without=SEEN)
    hostile = None if number is None else number.encode().decode("latin-1")
    assert begin(phone, album, 0, **{"Upload-Length": hostile}).status_code == 400
    assert go_on(phone, address, 0, A, **{"Upload-Offset": hostile}).status_code == 400
    assert all_rows(smiths.house.database, without=SEEN) == before
    assert objects(smiths) == 0


@pytest.mark.parametrize(
    "header", [{"Upload-Defer-Length": "1"}, {"Upload-Concat": "partial"}, {"Upload-Concat": "final;/uploads/a"}]
)
def test_no_length_that_is_told_later_and_no_file_of_other_files(
    phone: LintingClient, album: str, header: dict[str, str]
) -> None:
    assert begin(phone, album, 10, **header).status_code == 400
    assert begin(phone, album, 10, **header, **{"Upload-Length": None}).status_code == 400


def test_a_method_in_a_header_is_not_heard(phone: LintingClient, album: str) -> None:
    address = begun(phone, album, len(A))
    for method in ("PATCH", "DELETE"):
        told = {"X-HTTP-Method-Override": method, "Upload-Offset": "0"}
        assert (
            ask(phone, "POST", address, headers=told, data=A, content_type="application/offset+octet-stream").status_code == 404
        )
    assert offset(phone, address) == 0


BROKEN_METADATA = [
    "filename !!!",
    "filename a",
    " ",
    ",",
    "filename YQ==,filename YQ==",
    "filename YQ==,,x",
    "schön YQ==",
    "filename YQ== x",
]


@pytest.mark.parametrize("metadata", BROKEN_METADATA)
def test_metadata_that_can_not_be_read_is_a_400(phone: LintingClient, album: str, metadata: str) -> None:
    sent = metadata.encode().decode("latin-1")
    assert begin(phone, album, 10, **{"Upload-Metadata": sent}).status_code == 400


@pytest.mark.parametrize(
    "metadata", [None, "", "filename", "is_confidential", "filetype aW1hZ2UvanBlZw==, other eA==", "filename /w=="]
)
def test_other_metadata_is_not_looked_at_and_a_name_may_be_missing(
    phone: LintingClient, album: str, metadata: str | None
) -> None:
    assert begin(phone, album, 10, **{"Upload-Metadata": metadata}).status_code == 201


def test_the_wrong_place_is_a_409_and_too_much_a_413(smiths: Family, phone: LintingClient, album: str) -> None:
    address = begun(phone, album, len(A))
    go_on(phone, address, 0, A[:700])
    for wrong in (0, 699, 701, len(A), 10**17):
        assert go_on(phone, address, wrong, A[700:]).status_code == 409
    assert go_on(phone, address, 700, A).status_code == 413
    assert (offset(phone, address), objects(smiths)) == (700, 1)
    go_on(phone, address, 700, A[700:])
    assert broken_off(phone, address, len(A), b"", 0).status_code == 204, "nothing more of a whole file is fine"
    assert go_on(phone, address, len(A), b"x").status_code == 413
    assert go_on(phone, address, 0, A).status_code == 409


def test_a_body_is_bytes_of_a_known_length(phone: LintingClient, album: str) -> None:
    address, told = begun(phone, album, len(A)), {"Upload-Offset": "0"}
    for kind in ("application/octet-stream", "multipart/form-data; boundary=edge", "application/x-www-form-urlencoded", ""):
        assert ask(phone, "PATCH", address, headers=told, data=A, content_type=kind).status_code == 415, kind
    endless = {"input_stream": BytesIO(A), "environ_overrides": {"HTTP_TRANSFER_ENCODING": "chunked"}}
    kind = "application/offset+octet-stream"
    assert ask(phone, "PATCH", address, headers=told, content_type=kind, **endless).status_code == 411
    for length in ("", "-1", "NaN"):
        assert broken_off(phone, address, 0, A, length).status_code == 204, "no length is none"
    assert offset(phone, address) == 0


def checksum(data: bytes, algorithm: str = "sha1") -> dict[str, str]:
    return {"Upload-Checksum": f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"}


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_checksum_that_fits(smiths: Family, phone: LintingClient, album: str, algorithm: str) -> None:
    address = begun(phone, album, len(A))
    assert go_on(phone, address, 0, A[:2300], **checksum(A[:2300], algorithm)).status_code == 204
    assert go_on(phone, address, 2300, A[2300:], **checksum(A[2300:], algorithm)).status_code == 204
    assert arrived(smiths) == A


def test_of_a_body_whose_checksum_does_not_fit_nothing_is_kept(smiths: Family, phone: LintingClient, album: str) -> None:
    address = begun(phone, album, len(A))
    assert go_on(phone, address, 0, A, **checksum(A + b"x")).status_code == 460
    assert go_on(phone, address, 0, A[:10], **{"Upload-Checksum": "sha1 YQ=="}).status_code == 460
    assert broken_off(phone, address, 0, A[:2300], len(A), **checksum(A)).status_code == 460
    assert (offset(phone, address), objects(smiths), rows(smiths, IncomingPart)) == (0, 0, [0])


def test_a_checksum_is_for_bodies_of_one_part(phone: LintingClient, album: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ingest.tus.PART", 2000)
    address = begun(phone, album, len(A))
    assert go_on(phone, address, 0, A, **checksum(A)).status_code == 413
    assert offset(phone, address) == 0
    assert go_on(phone, address, 0, A).status_code == 204


@pytest.mark.parametrize("sent", ["md5 YQ==", "sha1", "sha1 !", "SHA1 YQ==", "", "YQ=="])
def test_a_checksum_that_nobody_knows_is_a_400(phone: LintingClient, album: str, sent: str) -> None:
    address = begun(phone, album, len(A))
    answer = go_on(phone, address, 0, A, **{"Upload-Checksum": sent})
    assert answer.status_code == (460 if sent == "sha1" else 400)
    assert offset(phone, address) == 0


def test_an_upload_that_is_given_up_leaves_nothing(smiths: Family, phone: LintingClient, album: str) -> None:
    address = begun(phone, album, len(A))
    go_on(phone, address, 0, A[:2300])
    assert ask(phone, "DELETE", address).status_code == 204
    assert rows(smiths, Incoming, IncomingPart) == [0, 0]
    keep_promises(smiths.house)
    assert objects(smiths) == 0
    for method in ("HEAD", "DELETE"):
        assert ask(phone, method, address).status_code == 404
    assert go_on(phone, address, 2300, A[2300:]).status_code == 404


def test_a_photo_stays_when_its_upload_is_given_up(smiths: Family, phone: LintingClient, album: str) -> None:
    address = begun(phone, album, len(A))
    go_on(phone, address, 0, A)
    assert ask(phone, "DELETE", address).status_code == 204
    assert len(phone.get(f"/albums/{album}/photos").get_json()["photos"]) == 1
    assert arrived(smiths) == A


# --- its time


def test_a_day_after_its_last_bytes_a_file_is_gone(smiths: Family, phone: LintingClient, album: str, clock: HandClock) -> None:
    address = begun(phone, album, len(A))
    clock.move(timedelta(minutes=59))
    go_on(phone, address, 0, A[:1700])
    clock.move(timedelta(hours=23))
    drop_expired_uploads(smiths.house)
    assert offset(phone, address) == 1700
    clock.move(timedelta(hours=1))
    assert [ask(phone, method, address).status_code for method in ("HEAD", "DELETE")] == [410, 410]
    assert go_on(phone, address, 1700, A[1700:]).status_code == 410
    drop_expired_uploads(smiths.house)
    assert rows(smiths, Incoming, IncomingPart) == [0, 0], "keys first"
    keep_promises(smiths.house)
    assert objects(smiths) == 0
    assert ask(phone, "HEAD", address).status_code == 404


def test_what_became_of_a_file_is_told_for_a_day(smiths: Family, phone: LintingClient, album: str, clock: HandClock) -> None:
    address = begun(phone, album, len(A))
    go_on(phone, address, 0, A)
    clock.move(timedelta(hours=24))
    drop_expired_uploads(smiths.house)
    assert ask(phone, "HEAD", address).status_code == 404
    assert arrived(smiths) == A


# --- room


def test_room_is_kept_from_the_beginning_and_given_back(make_house: Callable[..., House]) -> None:
    house = make_house(KINFOLD_QUOTA="10KB")
    family = found(house, group_name="The Smiths", name="Anna", email="anna@example.org")
    browser = LintingClient(create_app(house.settings, house))
    browser.set_cookie("kinfold_member", family.cookie, domain=browser.domain)
    album = family.album("Picnic").id

    def left() -> int:
        with house.database.reading() as session:
            return room_left(session, group=family.owner.group, quota=house.settings.quota)

    address = begun(browser, album, 7_000)
    assert left() == 3_000
    refused_with(begin(browser, album, 3_001), 413, "quota-full")
    form = {"csrf_token": browser.any_token(), "files": (BytesIO(b"x" * 3_001), "a.jpg")}
    refused_with(
        browser.post(f"/albums/{album}/photos", data=form, headers=TUS, content_type="multipart/form-data"), 413, "quota-full"
    )
    go_on(browser, address, 0, b"a" * 6_999)
    assert left() == 3_000
    go_on(browser, address, 6_999, b"a")
    assert left() == 3_000, "now it is the photo that takes it"
    other = begun(browser, album, 3_000)
    assert left() == 0
    ask(browser, "DELETE", other)
    assert left() == 3_000


def test_a_file_over_the_limit_is_refused_at_the_beginning(cast: Family, phone: LintingClient, album: str) -> None:
    limit = cast.house.settings.file_limit
    answer = begin(phone, album, limit + 1)
    assert (answer.status_code, answer.get_json()) == (413, {"error": "too-large", "limit": limit})


# --- two at once, and who may go on


def test_of_two_that_bring_the_same_bytes_one_wins(smiths: Family, phone: LintingClient, album: str) -> None:
    address = begun(phone, album, len(A))

    class BringsItFirst(BytesIO):
        first = True

        def readinto(self, buffer: Any) -> int:
            if self.first:
                self.first = False
                assert go_on(phone, address, 0, A[:PART]).status_code == 204
            return super().readinto(buffer)

    told = {"Upload-Offset": "0"}
    late = {"input_stream": BringsItFirst(A), "content_length": len(A), "content_type": "application/offset+octet-stream"}
    assert ask(phone, "PATCH", address, headers=told, **late).status_code == 409
    assert (offset(phone, address), objects(smiths)) == (PART, 1), "of the other nothing is left"
    assert go_on(phone, address, PART, A[PART:]).status_code == 204
    assert arrived(smiths) == A


def test_of_two_that_bring_the_last_bytes_one_wins(smiths: Family, phone: LintingClient, album: str) -> None:
    address = begun(phone, album, len(A))
    go_on(phone, address, 0, A[:1500])

    class BringsItFirst(BytesIO):
        first = True

        def readinto(self, buffer: Any) -> int:
            if self.first:
                self.first = False
                assert go_on(phone, address, 1500, A[1500:]).status_code == 204
            return super().readinto(buffer)

    told = {"Upload-Offset": "1500"}
    size = len(A) - 1500
    late = {"input_stream": BringsItFirst(A[1500:]), "content_length": size, "content_type": "application/offset+octet-stream"}
    assert ask(phone, "PATCH", address, headers=told, **late).status_code == 409
    assert (arrived(smiths), objects(smiths)) == (A, 1)


def test_while_a_file_is_put_together_whoever_asks_is_told_to_come_again(
    smiths: Family, phone: LintingClient, album: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A phone that has waited long enough for its answer comes back before there is one."""
    address, begun_joins = begun(phone, album, len(A)), []
    go_on(phone, address, 0, A[:1500])

    def slow(*words: Any, **more: Any) -> Any:
        begun_joins.append(words)
        smiths.house.clock.move(timedelta(minutes=10))  # type: ignore[attr-defined]
        more["after_each"]()
        refused_with(go_on(phone, address, 1500, A[1500:]), 423, "busy")
        assert [ask(phone, method, address).status_code for method in ("HEAD", "DELETE")] == [423, 423]
        return receiving.join(*words, **more)

    monkeypatch.setattr("app.ingest.tus.join", slow)
    assert go_on(phone, address, 1500, A[1500:]).status_code == 204
    assert len(begun_joins) == 1
    assert photo_of(ask(phone, "HEAD", address))["state"] == "received"
    assert (arrived(smiths), objects(smiths)) == (A, 1)


def test_a_file_whose_server_died_while_it_was_put_together_goes_on_soon(
    smiths: Family, phone: LintingClient, album: str, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = begun(phone, album, len(A))
    go_on(phone, address, 0, A[:1500])

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("app.ingest.tus.join", dies)
        go_on(phone, address, 1500, A[1500:])
    assert ask(phone, "HEAD", address).status_code == 423
    clock.move(timedelta(seconds=30))
    have = offset(phone, address)
    assert have >= 1500
    assert go_on(phone, address, have, A[have:]).status_code == 204
    assert arrived(smiths) == A


def test_a_part_that_is_lost_for_good_ends_the_upload_so_that_it_is_sent_anew(
    smiths: Family, phone: LintingClient, album: str
) -> None:
    address = begun(phone, album, len(A))
    go_on(phone, address, 0, A[:1500])
    smiths.house.storage.delete(*[each.name for each in smiths.house.storage.list("albums/")])
    assert go_on(phone, address, 1500, A[1500:]).status_code == 409
    assert ask(phone, "HEAD", address).status_code == 404
    keep_promises(smiths.house)
    assert objects(smiths) == 0


def test_no_transaction_is_open_while_bytes_come_in(smiths: Family, phone: LintingClient, album: str) -> None:
    address = begun(phone, album, len(A))

    class OthersWrite(BytesIO):
        def readinto(self, buffer: Any) -> int:
            smiths.album("made meanwhile")
            return super().readinto(buffer)

    slow = {"input_stream": OthersWrite(A), "content_length": len(A), "content_type": "application/offset+octet-stream"}
    assert ask(phone, "PATCH", address, headers={"Upload-Offset": "0"}, **slow).status_code == 204


def test_files_that_arrive_take_half_of_the_threads_at_most(make_house: Callable[..., House]) -> None:
    house = make_house(KINFOLD_THREADS="4")
    family = found(house, group_name="The Smiths", name="Anna", email="anna@example.org")
    browser, album, seen = LintingClient(create_app(house.settings, house)), family.album("Picnic").id, []
    browser.set_cookie("kinfold_member", family.cookie, domain=browser.domain)
    files = [(begun(browser, album, len(A) + 1), A + bytes([each])) for each in range(3)]

    def send(others: int) -> TestResponse:
        class OthersBegin(BytesIO):
            def readinto(self, buffer: Any) -> int:
                if others and self.tell() == 0:
                    seen.append(send(others - 1).status_code)
                return super().readinto(buffer)

        address, data = files[others]
        body = {"input_stream": OthersBegin(data), "content_length": len(data), "content_type": "application/offset+octet-stream"}
        return ask(browser, "PATCH", address, headers={"Upload-Offset": "0"}, **body)

    assert send(2).status_code == 204
    assert seen == [503, 204], "the third finds no place while two are being listened to"
    assert send(0).status_code == 204, "and they give their places back"


def test_nobody_else_can_go_on(
    smiths: Family, marcs: Family, phone: LintingClient, album: str, browser_of: Callable[..., LintingClient]
) -> None:
    address = begun(phone, album, len(A))
    before = all_rows(smiths.house.database, without=SEEN)
    ben = browser_of(member=smiths.join("Ben").cookie)
    before = all_rows(smiths.house.database, without=SEEN)
    for other in (ben, browser_of(member=marcs.cookie), browser_of()):
        assert [ask(other, method, address).status_code for method in ("HEAD", "DELETE")] == [404, 404]
        assert go_on(other, address, 0, A).status_code == 404
    for stranger in (browser_of(member=marcs.cookie), browser_of()):
        assert begin(stranger, album, 10).status_code == 404
        assert stranger.open(f"/albums/{album}/uploads", method="OPTIONS").status_code == 404
    assert all_rows(smiths.house.database, without=SEEN) == before


def test_a_stranger_s_bytes_are_not_even_read(smiths: Family, phone: LintingClient, album: str, browser_of: Any) -> None:
    address = begun(phone, album, len(A))

    class Unread(BytesIO):
        def readinto(self, buffer: Any) -> int:
            raise AssertionError("the body was read")

    body = {"content_length": len(A), "content_type": "application/offset+octet-stream"}
    told = {"Upload-Offset": "0"}
    assert ask(browser_of(), "PATCH", address, headers=told, input_stream=Unread(), **body).status_code == 404
    assert ask(phone, "PATCH", address, headers=told | {"X-CSRFToken": "x"}, input_stream=Unread(), **body).status_code == 400


def test_without_the_token_in_the_header_nothing_is_done(smiths: Family, phone: LintingClient, album: str) -> None:
    address = begun(phone, album, len(A))
    go_on(phone, address, 0, A[:10])
    before = all_rows(smiths.house.database, without=SEEN)
    for token in (None, "", "wrong"):
        refused_with(begin(phone, album, 10, **{"X-CSRFToken": token}), 400, "form-expired")
        refused_with(go_on(phone, address, 10, A[10:], **{"X-CSRFToken": token}), 400, "form-expired")
        refused_with(ask(phone, "DELETE", address, headers={"X-CSRFToken": token}), 400, "form-expired")
    cross = {"Sec-Fetch-Site": "cross-site"}
    assert go_on(phone, address, 10, A[10:], **cross).status_code == 404
    assert all_rows(smiths.house.database, without=SEEN) == before


def test_whoever_is_signed_out_while_a_file_arrives_adds_nothing(smiths: Family, phone: LintingClient, album: str) -> None:
    address = begun(phone, album, len(A))

    class SignsOut(BytesIO):
        def readinto(self, buffer: Any) -> int:
            with smiths.house.database.writing() as session:
                accounts.end_sessions(session, member=smiths.owner.id)
            return super().readinto(buffer)

    late = {"input_stream": SignsOut(A), "content_length": len(A), "content_type": "application/offset+octet-stream"}
    assert ask(phone, "PATCH", address, headers={"Upload-Offset": "0"}, **late).status_code == 404
    assert (objects(smiths), rows(smiths, IncomingPart)) == (0, [0])


# --- what else ends it


def ends(family: Family, address: str, browser: LintingClient) -> None:
    """The upload is over, its keys with it, and then its objects."""
    assert rows(family, Incoming, IncomingPart) == [0, 0]
    assert ask(browser, "HEAD", address).status_code == 404
    jobs: Any = family.house.jobs
    work(family.house)
    keep_promises(family.house)
    assert (jobs.failures, objects(family)) == ([], 0)


def test_the_red_button_ends_it(smiths: Family, phone: LintingClient, album: str) -> None:
    address = begun(phone, album, len(A))
    go_on(phone, address, 0, A[:1500])
    with smiths.house.database.writing() as session:
        sharing.stop_all(session, smiths.owner, at=smiths.house.clock.now())
    ends(smiths, address, phone)


def test_deleting_its_album_ends_it(smiths: Family, phone: LintingClient, album: str) -> None:
    address = begun(phone, album, len(A))
    go_on(phone, address, 0, A[:1500])
    assert phone.send(f"/albums/{album}/delete", confirm="Picnic").status_code == 303
    ends(smiths, address, phone)


@pytest.mark.parametrize("how", ["removed", "leaves"])
def test_a_member_s_end_ends_it(smiths: Family, album: str, browser_of: Callable[..., LintingClient], how: str) -> None:
    ben = smiths.join("Ben")
    browser = browser_of(member=ben.cookie)
    address = begun(browser, album, len(A))
    go_on(browser, address, 0, A[:1500])
    at = smiths.house.clock.now()
    with smiths.house.database.writing() as session:
        if how == "leaves":
            groups.leave(session, ben.viewer, at=at)
        else:
            groups.remove_member(session, smiths.owner, member=ben.viewer.id, at=at)
    ends(smiths, address, browser)


def test_deleting_its_photo_forgets_it(smiths: Family, phone: LintingClient, album: str) -> None:
    address = begun(phone, album, len(A))
    photo = photo_of(go_on(phone, address, 0, A))["id"]
    assert phone.send(f"/photos/{photo}/delete").status_code == 303
    ends(smiths, address, phone)
