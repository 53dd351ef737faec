"""Signing in and out, the list of one's own browsers, a new password."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from app.accounts import service as accounts
from app.accounts.models import AddressKind
from app.clock import HandClock
from app.house import House
from tests.conftest import PASSWORD, Family
from tests.lint import LintingClient

NEW = "three boats and a gull"


def sign_in(browser: LintingClient, family: Family, password: str = PASSWORD, **fields: str) -> int:
    return browser.send("/sign-in", email=family.email, password=password, **fields).status_code


@pytest.fixture
def laptop(smiths: Family, browser_of: Callable[..., LintingClient]) -> LintingClient:
    browser = browser_of()
    assert sign_in(browser, smiths) == 303
    return browser


def test_anna_signs_in_and_out(smiths: Family, laptop: LintingClient) -> None:
    cookie = laptop.cookie("kinfold_member")
    assert laptop.get("/albums").status_code == 200
    out = laptop.send("/sign-out")
    assert (out.status_code, out.headers["Location"]) == (303, "/")
    assert not laptop.cookie("kinfold_member")
    laptop.set_cookie("kinfold_member", str(cookie), domain=laptop.domain)
    assert laptop.get("/albums").status_code == 404, "the old value is worth nothing"


def test_capitals_and_spaces_that_a_phone_adds_do_not_matter(smiths: Family, browser_of: Callable[..., LintingClient]) -> None:
    assert browser_of().send("/sign-in", email=" Anna@Example.ORG ", password=PASSWORD).status_code == 303


@pytest.mark.parametrize(
    ("email", "password"), [("anna@example.org", "wrong password"), ("nobody@example.org", PASSWORD), ("x", "y")]
)
def test_a_wrong_password_is_told_without_saying_which_half_is_wrong(
    smiths: Family, browser_of: Callable[..., LintingClient], email: str, password: str
) -> None:
    answer = browser_of().send("/sign-in", email=email, password=password)
    assert answer.status_code == 400
    assert "don&#39;t belong together" in answer.text or "don't belong together" in answer.text
    assert password not in answer.text or len(password) < 3
    assert not [c for c in answer.headers.getlist("Set-Cookie") if "kinfold_form" not in c]


def test_empty_fields_are_told(smiths: Family, browser_of: Callable[..., LintingClient]) -> None:
    assert "Please type your e-mail address." in browser_of().send("/sign-in", email="", password="").text


def test_staying_signed_in_lasts_60_days_and_a_visit_one(
    smiths: Family, browser_of: Callable[..., LintingClient], clock: HandClock
) -> None:
    stays, visits = browser_of(), browser_of()
    answer = stays.send("/sign-in", email=smiths.email, password=PASSWORD, stay="y")
    assert any("kinfold_member" in c and "Max-Age=5184000" in c for c in answer.headers.getlist("Set-Cookie"))
    answer = visits.send("/sign-in", email=smiths.email, password=PASSWORD)
    assert any("kinfold_member" in c and "Max-Age" not in c for c in answer.headers.getlist("Set-Cookie"))
    clock.move(timedelta(hours=24))
    assert (stays.get("/albums").status_code, visits.get("/albums").status_code) == (200, 404)
    clock.move(timedelta(days=59))
    assert stays.get("/albums").status_code == 404


def test_cookies_are_out_of_reach_for_scripts_and_other_sites(smiths: Family, browser_of: Callable[..., LintingClient]) -> None:
    answer = browser_of().send("/sign-in", email=smiths.email, password=PASSWORD)
    for cookie in answer.headers.getlist("Set-Cookie"):
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie and "Domain" not in cookie


def test_over_https_cookies_are_secure_and_belong_to_this_host(make_house: Callable[..., House]) -> None:
    from app import create_app
    from tests.conftest import found

    house = make_house(KINFOLD_BASE_URL="https://photos.example.org")
    family = found(house, group_name="The Smiths", name="Anna", email="anna@example.org")
    browser = LintingClient(create_app(house.settings, house))
    answer = browser.send("/sign-in", email=family.email, password=PASSWORD)
    assert answer.status_code == 303
    for cookie in answer.headers.getlist("Set-Cookie"):
        assert "Secure" in cookie
        assert cookie.startswith(("__Host-", "kinfold_known="))
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert browser.get("/albums").status_code == 200


def test_every_browser_is_listed_where_it_can_be_ended(phone: LintingClient, laptop: LintingClient) -> None:
    page = phone.get("/account").text
    assert "This one, here and now" in page
    assert "Android phone" in page
    end = [part.split('"')[0] for part in page.split('action="')[1:] if part.startswith("/account/sessions/")]
    assert len(end) == 1
    assert phone.send(end[0]).status_code == 303
    assert laptop.get("/albums").status_code == 404
    assert phone.get("/albums").status_code == 200


def test_sign_out_everywhere_ends_every_browser(
    phone: LintingClient, laptop: LintingClient, browser_of: Callable[..., LintingClient]
) -> None:
    signed_out = phone.send("/account/sign-out-everywhere")
    assert (signed_out.status_code, signed_out.headers["Clear-Site-Data"]) == (303, '"cache"')
    assert [browser.get("/albums").status_code for browser in (phone, laptop)] == [404, 404]


def test_a_new_password_ends_the_other_browsers(smiths: Family, phone: LintingClient, laptop: LintingClient) -> None:
    assert laptop.send("/account/password", current=PASSWORD, password=NEW).status_code == 303
    assert (laptop.get("/albums").status_code, phone.get("/albums").status_code) == (200, 404)
    assert (sign_in(phone, smiths), sign_in(phone, smiths, NEW)) == (400, 303)


@pytest.mark.parametrize(
    ("current", "new", "told"),
    [
        ("wrong password", NEW, "This is not your password."),
        (PASSWORD, "short", "at least 10 characters"),
        (PASSWORD, "", "Please type a password."),
        (PASSWORD, "qwertyuiop", "Many people use this password"),
        (PASSWORD, "ä" * 600, "This password is too long."),
    ],
)
def test_a_new_password_that_can_not_be_changes_nothing(
    smiths: Family, phone: LintingClient, laptop: LintingClient, current: str, new: str, told: str
) -> None:
    answer = phone.send("/account/password", current=current, password=new)
    assert (answer.status_code, told in answer.text) == (400, True)
    assert laptop.get("/albums").status_code == 200
    assert sign_in(laptop, smiths) == 303


def test_the_operators_address_gives_a_new_password_once(
    smiths: Family, phone: LintingClient, browser_of: Callable[..., LintingClient], clock: HandClock
) -> None:
    house = smiths.house
    with house.database.writing() as session:
        token = accounts.issue_address(
            session, kind=AddressKind.RESET, member=smiths.owner.id, instead=True, tokens=house.tokens, at=clock.now()
        )
    browser = browser_of()
    assert browser.get(f"/reset/{token}").status_code == 200
    assert browser.send(f"/reset/{token}", password="short").status_code == 400
    assert browser.send(f"/reset/{token}", password=NEW).status_code == 303
    assert browser.get("/albums").status_code == 200
    assert phone.get("/albums").status_code == 404, "whoever was signed in is signed out"
    assert browser_of().get(f"/reset/{token}").status_code == 404
    assert sign_in(browser_of(), smiths, NEW) == 303


def test_the_operators_address_ends_after_a_day_and_is_replaced_by_the_next(
    smiths: Family, browser_of: Callable[..., LintingClient], clock: HandClock
) -> None:
    house = smiths.house

    def new_token() -> str:
        with house.database.writing() as session:
            return accounts.issue_address(
                session, kind=AddressKind.RESET, member=smiths.owner.id, instead=True, tokens=house.tokens, at=clock.now()
            )

    first, second = new_token(), new_token()
    assert browser_of().get(f"/reset/{first}").status_code == 404
    assert browser_of().get(f"/setup/{second}").status_code == 404, "a token is good for one purpose"
    clock.move(timedelta(hours=24))
    assert browser_of().get(f"/reset/{second}").status_code == 404


def test_the_front_door_knows_where_everybody_lives(cast: Family, browser_of: Callable[..., LintingClient]) -> None:
    doors = {
        "/sign-in": browser_of(),
        "/albums": browser_of(member=cast.cookie, device=cast.people["Rose"].cookie),
        "/shared": browser_of(device=cast.people["Rose"].cookie),
    }
    for place, browser in doors.items():
        assert browser.get("/").headers["Location"] == place


def test_only_a_browser_without_any_power_is_offered_to_sign_in(cast: Family, browser_of: Callable[..., LintingClient]) -> None:
    offered = 'href="/sign-in"'
    assert offered in browser_of().get("/albums").text
    assert offered not in browser_of(device=cast.people["Rose"].cookie).get("/albums").text


def test_a_browser_whose_time_is_over_is_told_to_forget(cast: Family, browser_of: Callable[..., LintingClient]) -> None:
    answer = browser_of(device=cast.people["Olga"].cookie).get("/shared")
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert "Clear-Site-Data" not in browser_of().get("/shared").headers
