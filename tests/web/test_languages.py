"""Which language a page speaks, and that dates, numbers and names fit into it."""

from collections.abc import Callable

import pytest

from app.house import House
from app.sharing.models import Guest
from app.web.i18n import LANGUAGES
from tests.conftest import Family
from tests.lint import LintingClient
from tests.web.conftest import BRITTANY


def speaks(page: str) -> str:
    return page.split('<html lang="', 1)[1].split('"', 1)[0]


@pytest.mark.parametrize(
    ("asks", "gets"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("pt-BR", "pt"),
        ("ja, uk;q=0.5", "uk"),
        ("ja", "en"),
        ("", "en"),
        ("*;q=x,,", "en"),
    ],
)
def test_a_stranger_is_answered_in_what_the_browser_asks_for(stranger: LintingClient, asks: str, gets: str) -> None:
    assert speaks(stranger.get("/sign-in", headers={"Accept-Language": asks}).text) == gets


def test_arabic_runs_from_right_to_left(stranger: LintingClient) -> None:
    assert 'lang="ar" dir="rtl"' in stranger.get("/sign-in", headers={"Accept-Language": "ar"}).text


def test_a_guest_reads_the_language_that_a_member_set_until_they_choose_another(
    cast: Family, rose: LintingClient, house: House
) -> None:
    with house.database.writing() as session:
        session.query(Guest).filter(Guest.name == "Rose").update({"language": "pl"})
    assert speaks(rose.get("/shared", headers={"Accept-Language": "fr"}).text) == "pl"
    chosen = rose.send("/language", language="tr", back="/shared")
    assert (chosen.status_code, chosen.location) == (303, "/shared")
    assert speaks(rose.get("/shared").text) == "tr"


def test_who_stands_before_a_door_can_choose_a_language_there(
    cast: Family, stranger: LintingClient, browser_of: Callable[..., LintingClient], brittany: str
) -> None:
    egon = browser_of(device=cast.people["Egon"].cookie)
    photo = f"/shared/{brittany}/{cast.photos[BRITTANY][0]}"
    links = [f"/i/{cast.people[name].token}" for name in ("Rose", "Egon")]
    for browser, pages in ((stranger, [*links, "/c/"]), (egon, ["/shared", photo])):
        for page in pages:
            assert f'name="back" value="{page}"' in browser.get(page).text
    posted = egon.send(f"{photo}/heart", given="y")
    assert posted.status_code == 410 and f'name="back" value="{photo}"' in posted.text, "on in another language: with a GET"


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example/", "/\\evil", "javascript:x", "", "/a\r\nX: y"])
def test_choosing_leads_nowhere_else(stranger: LintingClient, back: str) -> None:
    assert stranger.send("/language", language="de", back=back).location == "/"


@pytest.mark.parametrize("code", ["", "xx", "../../etc", "de\r\n"])
def test_a_language_that_we_do_not_speak_is_not_there(stranger: LintingClient, code: str) -> None:
    assert stranger.send("/language", language=code, back="/").status_code == 404
    stranger.set_cookie("kinfold_language", code, domain=stranger.domain)
    assert speaks(stranger.get("/sign-in").text) == "en"


@pytest.mark.parametrize("code", sorted(LANGUAGES))
def test_every_page_of_a_guest_and_a_member_can_be_said_in_every_language(
    anna: LintingClient, rose: LintingClient, brittany: str, code: str
) -> None:
    for browser, pages in (
        (rose, ["/shared", f"/shared/{brittany}"]),
        (anna, ["/albums", f"/albums/{brittany}", "/people", "/account", "/activity"]),
    ):
        browser.set_cookie("kinfold_language", code, domain=browser.domain)
        for page in pages:
            answer = browser.get(page)
            assert answer.status_code == 200 and speaks(answer.text) == code
