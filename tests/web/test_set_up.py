"""The first address: Marc sees it in his terminal, Anna opens it on her phone."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from app.accounts import service as accounts
from app.accounts.models import AddressKind
from app.clock import HandClock
from app.groups import service as groups
from app.house import House
from tests.conftest import PASSWORD, Family
from tests.lint import LintingClient
from tests.rows import all_rows

ANNA = {"name": "Anna", "email": " Anna@Example.org ", "password": PASSWORD, "group_name": "The Smiths", "group_kind": "family"}


def new_address(house: House) -> str:
    with house.database.writing() as session:
        return f"/setup/{accounts.issue_address(session, kind=AddressKind.SET_UP, tokens=house.tokens, at=house.clock.now())}"


def test_anna_founds_her_family_and_is_in(house: House, browser_of: Callable[..., LintingClient]) -> None:
    browser, address = browser_of(), new_address(house)
    assert browser.get(address).status_code == 200
    answer = browser.send(address, **ANNA)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/albums")
    assert "The Smiths" in browser.get("/albums").text


def test_the_address_works_once(house: House, browser_of: Callable[..., LintingClient]) -> None:
    address = new_address(house)
    assert browser_of().send(address, **ANNA).status_code == 303
    second = browser_of()
    assert second.get(address).status_code == 404
    assert second.send(address, **(ANNA | {"email": "other@example.org"})).status_code == 404


def test_the_address_ends_after_a_week(house: House, browser_of: Callable[..., LintingClient], clock: HandClock) -> None:
    address = new_address(house)
    clock.move(timedelta(days=7) - timedelta(seconds=1))
    assert browser_of().get(address).status_code == 200
    clock.move(timedelta(seconds=1))
    assert browser_of().get(address).status_code == 404


def test_a_new_address_replaces_the_one_before_while_nobody_has_an_account(
    house: House, browser_of: Callable[..., LintingClient]
) -> None:
    with house.database.writing() as session:
        first = groups.first_set_up_token(session, tokens=house.tokens, at=house.clock.now())
        second = groups.first_set_up_token(session, tokens=house.tokens, at=house.clock.now())
    assert browser_of().get(f"/setup/{first}").status_code == 404
    assert browser_of().send(f"/setup/{second}", **ANNA).status_code == 303
    with house.database.writing() as session:
        assert groups.first_set_up_token(session, tokens=house.tokens, at=house.clock.now()) is None


def test_addresses_for_other_groups_stand_beside_each_other(smiths: Family, browser_of: Callable[..., LintingClient]) -> None:
    first, second = new_address(smiths.house), new_address(smiths.house)
    for number, address in enumerate((first, second)):
        assert browser_of().send(address, **(ANNA | {"email": f"new{number}@example.org"})).status_code == 303


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"name": " "}, "Please type a name."),
        ({"group_name": ""}, "Please give it a name"),
        ({"email": "anna"}, "does not look like an e-mail address"),
        ({"email": ""}, "Please type your e-mail address."),
        ({"password": "short"}, "at least 10 characters"),
        ({"password": "1234567890"}, "Many people use this password"),
        ({"password": "anna@example.org"}, "Many people use this password"),
        ({"group_kind": "army"}, "valid choice"),
        ({"name": "ä" * 101}, "This name is too long."),
    ],
)
def test_what_is_wrong_is_told_and_the_address_stays_good(
    house: House, browser_of: Callable[..., LintingClient], wrong: dict[str, str], told: str
) -> None:
    browser, address = browser_of(), new_address(house)
    before = all_rows(house.database)
    answer = browser.send(address, **(ANNA | wrong))
    assert answer.status_code == 400
    assert told in answer.text
    assert PASSWORD not in answer.text, "a password is never written back"
    assert all_rows(house.database) == before
    assert browser.send(address, **ANNA).status_code == 303


def test_an_email_address_belongs_to_one_account(smiths: Family, browser_of: Callable[..., LintingClient]) -> None:
    address = new_address(smiths.house)
    answer = browser_of().send(address, **(ANNA | {"email": "ANNA@example.org"}))
    assert (answer.status_code, "There is an account with this e-mail" in answer.text) == (400, True)
    assert browser_of().get(address).status_code == 200
