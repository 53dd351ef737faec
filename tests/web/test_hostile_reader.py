"""What a hostile reader of the code once found, each as the attack it was."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from app.accounts import service as accounts
from app.accounts.models import AddressKind, SignedIn
from app.clock import HandClock
from app.errors import WrongSetting
from app.groups import service as groups
from app.house import House, check_they_belong_together
from app.ingest import service as ingest
from app.models import DeviceRow, Instance, Link
from app.security.viewer import Role
from tests.conftest import PASSWORD, Family, tiny_jpeg
from tests.lint import LintingClient

JSON = {"Accept": "application/json"}


def test_photos_with_an_empty_database_are_no_new_instance(cast: Family) -> None:
    check_they_belong_together(cast.house.database, cast.house.storage)
    with cast.house.database.writing() as session:
        session.execute(sa.delete(Instance))
    with pytest.raises(WrongSetting, match="the database is empty"):
        check_they_belong_together(cast.house.database, cast.house.storage)


@pytest.mark.parametrize("days", ["0000019999999999", "000001" + "0" * 5000, "0", "-1", "1.5", "٣٠", "99999"])
def test_an_odd_number_of_days_is_a_sentence(cast: Family, anna: LintingClient, days: str) -> None:
    album = cast.albums["Brittany 2026"].id
    assert anna.send(f"/albums/{album}/share", json=True, name="Max", days=days).status_code == 400
    assert anna.send(f"/people/{cast.people['Rose'].id}/links", days=days).status_code == 400


def test_a_second_tap_takes_no_second_place(
    cast: Family, house: House, browser_of: Callable[..., LintingClient], clock: HandClock
) -> None:
    address = f"/i/{cast.people['Rose'].token}"
    phone = browser_of()
    token = phone.form_token(address)
    form = phone.get_cookie("kinfold_form", domain=phone.domain)
    assert form is not None
    for _ in range(3):
        phone.set_cookie("kinfold_form", form.value, domain=phone.domain)
        phone.delete_cookie("kinfold_device", domain=phone.domain)  # the answer was lost
        assert phone.post(address, data={"csrf_token": token}).status_code == 303
    assert phone.get("/shared").status_code == 200
    with house.database.reading() as session:
        assert session.scalars(sa.select(Link.used).where(Link.guest_id == cast.people["Rose"].id)).one() == 2
        devices = sa.select(sa.func.count()).select_from(DeviceRow).where(DeviceRow.guest_id == cast.people["Rose"].id)
        assert session.scalars(devices).one() == 2, "the one from before, and this one"


NEWCOMER = {"name": "Carla", "email": "carla@example.org", "password": PASSWORD, "group_name": "Ours", "group_kind": "club"}


def one_time(family: Family, kind: str) -> str:
    """A fresh address that works once."""
    house, at = family.house, family.house.clock.now()
    with house.database.writing() as session:
        if kind == "join":
            _, token = groups.invite(session, family.owner, role=Role.EDITOR, name="", tokens=house.tokens, at=at)
        else:
            member = family.owner.id if kind == "reset" else None
            token = accounts.issue_address(session, kind=AddressKind(kind), member=member, tokens=house.tokens, at=at)
    return f"/{kind.replace('-', '')}/{token}"


@pytest.mark.parametrize("kind", ["join", "set-up", "reset"])
def test_a_second_tap_on_an_address_that_works_once_comes_in_too(
    cast: Family, house: House, browser_of: Callable[..., LintingClient], clock: HandClock, kind: str
) -> None:
    address, phone = one_time(cast, kind), browser_of()
    fields = NEWCOMER | {"csrf_token": phone.form_token(address)}
    form = phone.get_cookie("kinfold_form", domain=phone.domain)
    assert form is not None

    def tap(browser: LintingClient) -> int:
        browser.set_cookie("kinfold_form", form.value, domain=browser.domain)
        browser.delete_cookie("kinfold_member", domain=browser.domain)  # the answer was lost
        return browser.post(address, data=fields).status_code

    assert [tap(phone), tap(phone)] == [303, 303]
    assert phone.get("/albums").status_code == 200
    with house.database.reading() as session:
        came = session.scalars(sa.select(SignedIn).where(SignedIn.opened_by.is_not(None))).all()
        assert len(came) == 1, "it is the same browser"
    stranger = browser_of()
    assert stranger.send(address, **NEWCOMER).status_code == 404, "another form"
    assert browser_of().send(one_time(cast, kind) + "x", **NEWCOMER).status_code == 404
    clock.move(timedelta(minutes=10))
    assert tap(phone) == 404


@pytest.mark.parametrize("kind", ["join", "set-up", "reset"])
def test_of_two_taps_at_once_both_come_in(cast: Family, browser_of: Callable[..., LintingClient], kind: str) -> None:
    address, taps = one_time(cast, kind), [browser_of() for _ in range(2)]
    fields = NEWCOMER | {"csrf_token": taps[0].form_token(address)}
    form = taps[0].get_cookie("kinfold_form", domain=taps[0].domain)
    assert form is not None
    taps[1].set_cookie("kinfold_form", form.value, domain=taps[1].domain)
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda tap: tap.post(address, data=fields).status_code, taps))
    assert answers == [303, 303]
    assert sorted(tap.get("/albums").status_code for tap in taps) == [200, 404], (
        "one browser, and the cookie that it was given last"
    )


@pytest.mark.parametrize("kind", ["join", "set-up", "reset", "change", "sign-in"])
def test_nobody_waits_for_a_password_to_be_hashed(
    cast: Family, anna: LintingClient, stranger: LintingClient, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    hashed, passwords, database = [], cast.house.passwords, cast.house.database

    def hash_while_another_writes(password: str) -> str:
        with database.writing_if_free() as session:
            session.execute(sa.update(Instance).values(backed_up_at=cast.house.clock.now()))
        hashed.append(password)
        return hash_it(password)

    hash_it = passwords.hash
    passwords.verify(None, "")
    monkeypatch.setattr(passwords, "hash", hash_while_another_writes)
    monkeypatch.setattr(passwords, "outdated", lambda _hash: True)
    if kind == "change":
        fields = {"current": PASSWORD, "password": "three boats and a gull"}
        assert anna.send("/account/password", **fields).status_code == 303
    elif kind == "sign-in":
        assert stranger.send("/sign-in", email=cast.email, password=PASSWORD).status_code == 303
    else:
        assert stranger.send(one_time(cast, kind), **NEWCOMER).status_code == 303
    assert len(hashed) == 1


def test_a_removed_phone_does_not_come_straight_back(cast: Family, anna: LintingClient, rose: LintingClient) -> None:
    person = f"/people/{cast.people['Rose'].id}"
    device = anna.get(person, headers=JSON).get_json()["devices"][0]["id"]
    anna.send(f"/devices/{device}/remove")
    assert rose.get("/shared").status_code == 404
    assert rose.send(f"/i/{cast.people['Rose'].token}").location == "/waiting"
    assert rose.get("/shared").status_code == 404


def test_a_cookie_with_something_added_is_no_new_bucket(cast: Family, browser_of: Callable[..., LintingClient]) -> None:
    browser = browser_of()
    assert browser.send("/sign-in", email=cast.email, password=PASSWORD).status_code == 303
    known = browser.cookie("kinfold_known")
    assert known is not None
    answers = []
    for each in range(14):
        browser.delete_cookie("kinfold_member", domain=browser.domain)
        browser.set_cookie("kinfold_known", known + "!" * each, domain=browser.domain)
        answers.append(browser.send("/sign-in", page="/sign-in", email=cast.email, password="a wrong password").status_code)
    assert set(answers[:10]) == {400} and set(answers[10:]) == {429}


@pytest.mark.parametrize("address", ["/account/password", "/stop-sharing"])
def test_the_password_can_not_be_guessed_from_within(cast: Family, anna: LintingClient, clock: HandClock, address: str) -> None:
    clock.move(timedelta(minutes=16))
    fields = (
        {"current": "a wrong password", "password": "another fine one"} if "account" in address else {"password": "a wrong one"}
    )
    answers = [anna.send(address, **fields).status_code for _ in range(12)]
    assert answers == [400] * 10 + [429] * 2


def test_a_copied_session_ends_with_the_password(
    cast: Family, anna: LintingClient, browser_of: Callable[..., LintingClient]
) -> None:
    thief = browser_of(member=cast.cookie)
    assert thief.get("/albums").status_code == 200
    assert anna.send("/account/password", current=PASSWORD, password="three boats and a gull").status_code == 303
    assert anna.get("/albums").status_code == 200
    assert thief.get("/albums").status_code == 404


def test_a_visit_is_not_worth_waiting_for(cast: Family, house: House, clock: HandClock, rose: LintingClient) -> None:
    clock.move(timedelta(hours=2))
    with house.database.writing() as writer:
        writer.execute(sa.update(Instance).values(latest=Instance.latest))
        assert rose.get("/shared").status_code == 200
        with pytest.raises(OperationalError), house.database.writing_if_free() as other:
            other.execute(sa.update(Instance).values(latest=Instance.latest))


def test_the_room_is_looked_at_again_when_a_file_is_kept(
    cast: Family, anna: LintingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files that each fit, but not both, arrive at the same time: the second finds the room gone."""
    real, asked = ingest.room_left, iter([10**9])
    monkeypatch.setattr(ingest, "room_left", lambda *a, **k: next(asked, None) or min(real(*a, **k), 10))
    album = cast.albums["Brittany 2026"].id
    answer = anna.send(f"/albums/{album}/photos", json=True, files=(BytesIO(tiny_jpeg((1, 2, 3))), "IMG_1.jpg"))
    assert (answer.status_code, answer.get_json()) == (413, {"error": "quota-full"})


def test_a_head_that_never_ends_takes_no_memory(cast: Family, anna: LintingClient) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="' + b"x" * 3_000_000
    answer = anna.post(
        f"/albums/{cast.albums['Brittany 2026'].id}/photos",
        data=body,
        content_type="multipart/form-data; boundary=b",
        headers={**JSON, "X-CSRFToken": anna.any_token()},
    )
    assert answer.status_code == 413


def test_two_albums_of_one_title_with_other_words_are_two(anna: LintingClient) -> None:
    first, second, tapped = (
        anna.send("/albums", json=True, title="Picnic", description=words).get_json()["id"] for words in ("June", "July", "July")
    )
    assert first != second and second == tapped
