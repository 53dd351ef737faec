"""Sharing as Anna does it: one tap to share, one tap to end, and everything listed where it can be ended."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from app import create_app
from app.clock import HandClock
from app.house import House
from app.models import Grant, Link
from tests.conftest import PASSWORD, Family, found
from tests.lint import LintingClient, lint_page
from tests.rows import SEEN, all_rows
from tests.web.conftest import BRITTANY, TOM, refused_with

JSON = {"Accept": "application/json"}


@pytest.fixture
def page_of_rose(cast: Family) -> str:
    return f"/people/{cast.people['Rose'].id}"


def until(family: Family, name: str) -> timedelta:
    """How long somebody may still see an album."""
    with family.house.database.reading() as session:
        return session.get_one(Grant, family.people[name].grant).expires_at - family.house.clock.now()


# --- one tap


def test_anna_shares_in_one_step(anna: LintingClient, brittany: str, browser_of: Callable[..., LintingClient]) -> None:
    page = anna.get(f"/albums/{brittany}/share").text
    assert "Nobody can stop a person from taking a screenshot." in page
    assert 'value="30" checked' in page
    answer = anna.send(f"/albums/{brittany}/share", name="Grandpa", days="30")
    assert answer.status_code == 201
    lint_page(answer.text.replace("http://127.0.0.1:8000", ""), "link_ready")
    assert "The link for <bdi>Grandpa</bdi> is ready" in answer.text
    assert "works until 23 December" in answer.text
    assert "<svg" in answer.text and "style=" not in answer.text
    link = answer.text.split('value="http://127.0.0.1:8000')[1].split('"')[0]
    grandpa = browser_of()
    assert grandpa.send(link).headers["Location"] == "/shared"
    assert BRITTANY in grandpa.get("/shared").text


def test_a_script_shares_in_one_step(cast: Family, anna: LintingClient, brittany: str, clock: HandClock) -> None:
    answer = anna.send(f"/albums/{brittany}/share", json=True, name="Grandpa", days="7", may_save="true")
    told = answer.get_json()
    assert (answer.status_code, set(told)) == (201, {"guest", "grant", "link", "expires_at"})
    assert datetime.fromisoformat(told["expires_at"]) == clock.now() + timedelta(days=7)
    assert told["link"].startswith("http://127.0.0.1:8000/i/")
    with cast.house.database.reading() as session:
        grant = session.get_one(Grant, told["grant"])
        assert (grant.guest_id, grant.may_save) == (told["guest"], True)
        assert grant.expires_at == clock.now() + timedelta(days=7), "the date stored is the date shown"


def test_without_a_word_about_it_sharing_ends_after_30_days_and_saves_nothing(
    cast: Family, anna: LintingClient, brittany: str, clock: HandClock
) -> None:
    told = anna.send(f"/albums/{brittany}/share", json=True, name="Grandpa").get_json()
    with cast.house.database.reading() as session:
        grant = session.get_one(Grant, told["grant"])
    assert (grant.expires_at, grant.may_save) == (clock.now() + timedelta(days=30), False)


NO_END = [
    ({"name": ""}, "name-missing"),
    ({"name": "x", "days": "0"}, "date-wrong"),
    ({"name": "x", "days": "never"}, "date-wrong"),
    ({"name": "x", "days": "-3"}, "date-wrong"),
    ({"name": "x", "days": "366"}, "date-too-far"),
    ({"name": "x", "days": "9999999999999999"}, "date-wrong"),
    ({"name": "x", "days": "", "until": "2026-11-01"}, "date-past"),
    ({"name": "x", "days": "", "until": "2099-01-01"}, "date-too-far"),
    ({"name": "x", "days": "", "until": "soon"}, "date-wrong"),
    ({"name": "x", "days": "", "until": "9999-12-31"}, "date-too-far"),
    ({"name": "x", "days": "", "until": "0001-01-01"}, "date-past"),
]


def test_sharing_always_ends_on_a_day_that_can_be(cast: Family, anna: LintingClient, brittany: str) -> None:
    before = all_rows(cast.house.database, without=SEEN)
    for fields, reason in NO_END:
        refused_with(anna.send(f"/albums/{brittany}/share", json=True, **fields), 400, reason)
        page = anna.send(f"/albums/{brittany}/share", **fields)
        assert page.status_code == 400
        lint_page(page.text, f"share, with {fields}")
        assert 'class="error"' in page.text
    assert all_rows(cast.house.database, without=SEEN) == before


def test_a_day_means_the_end_of_that_day(cast: Family, anna: LintingClient, brittany: str) -> None:
    told = anna.send(f"/albums/{brittany}/share", json=True, name="x", days="", until="2026-12-24").get_json()
    assert told["expires_at"].startswith("2026-12-24T23:59:59")


def test_where_sharing_may_last_only_two_weeks_two_weeks_are_the_default(make_house: Callable[..., House]) -> None:
    house = make_house(KINFOLD_MAX_DAYS="14")
    family = found(house, group_name="The Smiths", name="Anna", email="anna@example.org")
    anna = LintingClient(create_app(house.settings, house))
    anna.set_cookie("kinfold_member", family.cookie, domain=anna.domain)
    album = family.album("Picnic").id
    page = anna.get(f"/albums/{album}/share").text
    assert 'value="90"' not in page
    assert "checked" in page.split('name="days"')[1] + page.split('name="days"')[2], "one of the lengths is chosen already"
    told = anna.send(f"/albums/{album}/share", json=True, name="Rose").get_json()
    assert datetime.fromisoformat(told["expires_at"]) == house.clock.now() + timedelta(days=14)
    person = anna.get(f"/people/{told['guest']}").text
    taps = [part.split("</form>")[0] for part in person.split("<form")[1:] if "/extend" in part or "/links" in part]
    assert len(taps) >= 2
    for form in taps:
        days = re.findall('name="days" value="([0-9]+)"', form)
        answer = anna.send(form.split('action="')[1].split('"')[0], **({"days": days[0]} if days else {}))
        assert answer.status_code in (201, 303), "one tap works"


def test_a_name_that_is_known_is_asked_about_first(cast: Family, anna: LintingClient, brittany: str) -> None:
    before = all_rows(cast.house.database, without=SEEN)
    answer = anna.send(f"/albums/{brittany}/share", name="rose")
    assert answer.status_code == 400
    lint_page(answer.text, "share, asked about the name")
    rose = cast.people["Rose"].id
    assert f'value="{rose}" checked' in answer.text, "most likely it is her"
    assert 'name="another"' in answer.text
    assert all_rows(cast.house.database, without=SEEN) == before
    assert anna.send(f"/albums/{brittany}/share", guest=rose, name="rose").status_code == 201
    assert anna.send(f"/albums/{brittany}/share", guest="", name="rose", another="y").status_code == 201
    people = anna.get("/people", headers=JSON).get_json()["people"]
    assert [each["name"].casefold() for each in people].count("rose") == 2


def test_a_person_of_another_group_can_not_be_shared_with(
    cast: Family, marcs: Family, anna: LintingClient, brittany: str
) -> None:
    theirs = marcs.share("Alps", "Vera")
    assert anna.send(f"/albums/{brittany}/share", guest=theirs.id).status_code == 404
    assert anna.send(f"/people/{cast.people['Rose'].id}/grants", album=marcs.albums["Alps"].id).status_code == 404


# --- people


def test_people_are_listed_with_what_they_see(anna: LintingClient) -> None:
    page = " ".join(anna.get("/people").text.split())
    rose = page.split("<bdi>Rose</bdi>")[1].split("</li>")[0]
    assert "1 album until 22 December" in rose and "last here yesterday" in rose
    assert "sees nothing now" in page.split("<bdi>Egon</bdi>")[1].split("</li>")[0]


def test_scripts_get_lists_of_people_and_of_what_each_has(
    cast: Family, anna: LintingClient, brittany: str, page_of_rose: str
) -> None:
    assert {each["name"] for each in anna.get("/people", headers=JSON).get_json()["people"]} == {"Rose", "Jim", "Olga", "Egon"}
    told = anna.get(page_of_rose, headers=JSON).get_json()
    assert [set(each) for kind in ("grants", "links", "devices") for each in told[kind]] == [
        {"id", "album", "until"},
        {"id", "expires_at"},
        {"id", "last_seen"},
    ]
    assert told["grants"][0]["album"] == brittany
    ended = anna.get(f"/people/{cast.people['Olga'].id}", headers=JSON).get_json()
    assert ended == {"grants": [], "links": [], "devices": []}


def test_anna_adds_renames_and_forgets_a_person(
    anna: LintingClient, cast: Family, rose: LintingClient, page_of_rose: str
) -> None:
    created = anna.send("/people", json=True, name="Grandpa")
    assert (created.status_code, created.get_json()["name"]) == (201, "Grandpa")
    assert anna.send(f"{page_of_rose}/edit", name="Granny Rose").headers["Location"] == page_of_rose
    assert "Granny Rose" in anna.get(page_of_rose).text
    refused_with(anna.send(f"{page_of_rose}/edit", json=True, name=""), 400, "name-missing")
    assert anna.send(f"{page_of_rose}/delete").headers["Location"] == "/people"
    assert rose.get("/shared").status_code == 404
    assert anna.get(page_of_rose).status_code == 404
    assert "Granny" not in repr(all_rows(cast.house.database)), "the name is forgotten"


def test_roses_page_lists_everything_with_a_way_to_end_it(cast: Family, anna: LintingClient, page_of_rose: str) -> None:
    page = " ".join(anna.get(page_of_rose).text.split())
    assert BRITTANY in page and "until 22 December" in page and "may look, not save" in page
    assert "Android phone" in page and "It lets 2 more phones in" in page
    for form in (
        "/end",
        "/extend",
        "/saving",
        "/remove",
        "/revoke",
        "/one-more",
        "/stop",
        "/links",
        "/grants",
        "/edit",
        "/delete",
    ):
        assert f'{form}"' in page, form


def test_another_album_is_given_to_somebody_who_has_a_link(
    cast: Family, anna: LintingClient, rose: LintingClient, page_of_rose: str
) -> None:
    assert anna.send(f"{page_of_rose}/grants", album=cast.albums[TOM].id, days="7").status_code == 303
    assert TOM in rose.get("/shared").text
    created = anna.send(f"{page_of_rose}/grants", json=True, album=cast.albums[TOM].id)
    assert (created.status_code, set(created.get_json())) == (201, {"id", "expires_at"})
    refused_with(anna.send(f"{page_of_rose}/grants", json=True), 400, "album-missing")


# --- more time, less time


def test_extending_is_one_tap_and_adds_to_what_is_left(cast: Family, anna: LintingClient) -> None:
    before = until(cast, "Rose")
    assert anna.send(f"/grants/{cast.people['Rose'].grant}/extend", days="30").status_code == 303
    assert until(cast, "Rose") == before + timedelta(days=30)


def test_extending_goes_no_further_than_the_instance_allows(cast: Family, anna: LintingClient) -> None:
    for _ in range(15):
        anna.send(f"/grants/{cast.people['Rose'].grant}/extend", days="30")
    assert until(cast, "Rose") == timedelta(days=365)


def test_what_ended_by_its_date_can_be_extended(
    cast: Family, anna: LintingClient, browser_of: Callable[..., LintingClient]
) -> None:
    egon = browser_of(device=cast.people["Egon"].cookie)
    assert egon.get("/shared").status_code == 410
    anna.send(f"/grants/{cast.people['Egon'].grant}/extend", days="30")
    assert until(cast, "Egon") == timedelta(days=30), "counted from now"
    assert egon.get("/shared").status_code == 200


def test_what_was_ended_by_hand_is_not_extended_by_accident(cast: Family, anna: LintingClient) -> None:
    olga = cast.people["Olga"]
    refused_with(anna.send(f"/grants/{olga.grant}/extend", json=True, days="30"), 400, "ended-by-hand")
    assert "/extend" not in anna.get(f"/people/{olga.id}").text, "and it is not offered"


def test_extending_to_a_date_sets_that_date(cast: Family, anna: LintingClient) -> None:
    answer = anna.send(f"/grants/{cast.people['Rose'].grant}/extend", json=True, days="", until="2026-12-01")
    assert answer.get_json()["expires_at"].startswith("2026-12-01T23:59:59")
    refused_with(anna.send(f"/grants/{cast.people['Rose'].grant}/extend", json=True, until="2026-01-01"), 400, "date-past")


def test_extending_leaves_saving_as_it_was_unless_told(cast: Family, anna: LintingClient) -> None:
    june = cast.share(BRITTANY, "June", may_save=True)

    def may_save() -> bool:
        with cast.house.database.reading() as session:
            return session.get_one(Grant, june.grant).may_save

    anna.send(f"/grants/{june.grant}/extend", days="30")
    assert may_save()
    anna.send(f"/grants/{june.grant}/extend", days="30", may_save="no")
    assert not may_save()


# --- ending


def test_ending_one_album_leaves_the_others(cast: Family, anna: LintingClient, rose: LintingClient, page_of_rose: str) -> None:
    anna.send(f"{page_of_rose}/grants", album=cast.albums[TOM].id)
    anna.send(f"/grants/{cast.people['Rose'].grant}/end")
    assert rose.get(f"/shared/{cast.albums[BRITTANY].id}").status_code == 404
    assert rose.get(f"/shared/{cast.albums[TOM].id}").status_code == 200


def test_revoking_a_link_ends_the_devices_it_made(cast: Family, anna: LintingClient, rose: LintingClient) -> None:
    link = anna.get(f"/people/{cast.people['Rose'].id}", headers=JSON).get_json()["links"][0]["id"]
    second = LintingClient(anna.application)
    assert second.send(f"/i/{cast.people['Rose'].token}").status_code == 303
    anna.send(f"/links/{link}/revoke")
    assert [browser.get("/shared").status_code for browser in (rose, second)] == [404, 404]
    assert LintingClient(anna.application).get(f"/i/{cast.people['Rose'].token}").status_code == 404
    refused_with(anna.send(f"/links/{link}/one-more", json=True), 400, "link-ended")


def test_removing_one_device_leaves_the_others_and_gives_no_place_back(
    cast: Family, anna: LintingClient, rose: LintingClient, page_of_rose: str, browser_of: Callable[..., LintingClient]
) -> None:
    others = [browser_of(), browser_of()]
    for browser in others:
        browser.send(f"/i/{cast.people['Rose'].token}")
    first = anna.get(page_of_rose, headers=JSON).get_json()["devices"][0]["id"]
    anna.send(f"/devices/{first}/remove")
    assert rose.get("/shared").status_code == 404
    assert [browser.get("/shared").status_code for browser in others] == [200, 200]
    assert browser_of().send(f"/i/{cast.people['Rose'].token}").location == "/waiting"


def test_one_more_phone_is_let_in_with_one_tap(
    cast: Family, anna: LintingClient, browser_of: Callable[..., LintingClient]
) -> None:
    address = f"/i/{cast.people['Rose'].token}"
    browsers = [browser_of() for _ in range(4)]
    assert [browser.send(address).location for browser in browsers] == ["/shared", "/shared", "/waiting", "/waiting"]
    link = anna.get(f"/people/{cast.people['Rose'].id}", headers=JSON).get_json()["links"][0]["id"]
    assert anna.send(f"/links/{link}/one-more").status_code == 303
    assert [browser.send(address).location for browser in browsers[2:]] == ["/shared", "/waiting"]


def test_a_new_link_replaces_the_one_before_and_leaves_its_devices(
    cast: Family, anna: LintingClient, rose: LintingClient, page_of_rose: str, browser_of: Callable[..., LintingClient]
) -> None:
    answer = anna.send(f"{page_of_rose}/links", json=True, days="7")
    assert (answer.status_code, {"link", "expires_at"} <= set(answer.get_json())) == (201, True)
    assert browser_of().get(f"/i/{cast.people['Rose'].token}").status_code == 404
    assert browser_of().send(f"/i/{cast.people['Rose'].token}").status_code == 404
    assert rose.get("/shared").status_code == 200
    assert browser_of().send(urlsplit(answer.get_json()["link"]).path).status_code == 303
    assert "It lets nobody in any more." in anna.get(page_of_rose).text
    page = anna.send(f"{page_of_rose}/links")
    assert (page.status_code, "is ready" in page.text) == (201, True)


def test_a_link_is_shown_once_and_only_its_hash_is_kept(cast: Family, anna: LintingClient, page_of_rose: str) -> None:
    token = cast.people["Rose"].token
    assert token not in anna.get(page_of_rose).text
    assert token.partition(".")[0] not in repr(all_rows(cast.house.database))


def test_stopping_a_person_ends_everything_of_theirs(
    cast: Family, anna: LintingClient, rose: LintingClient, browser_of: Callable[..., LintingClient], page_of_rose: str
) -> None:
    anna.send(f"{page_of_rose}/stop")
    assert rose.get("/shared").status_code == 404
    for browser in (rose, browser_of()):
        assert browser.get(f"/i/{cast.people['Rose'].token}").status_code == 404
    assert browser_of(device=cast.people["Jim"].cookie).get("/shared").status_code == 200
    assert anna.get(page_of_rose, headers=JSON).get_json() == {"grants": [], "links": [], "devices": []}


def test_the_red_button_ends_everything_of_the_group_and_nothing_of_others(
    cast: Family, marcs: Family, anna: LintingClient, browser_of: Callable[..., LintingClient]
) -> None:
    vera = marcs.share("Alps", "Vera")
    page = " ".join(anna.get("/stop-sharing").text.split())
    assert "2 people see nothing any more" in page and "2 links end" in page
    assert anna.send("/stop-sharing", password=PASSWORD).headers["Location"] == "/people"
    for name in ("Rose", "Jim", "Egon"):
        assert browser_of(device=cast.people[name].cookie).get("/shared").status_code == 404
        assert browser_of().get(f"/i/{cast.people[name].token}").status_code == 404
    assert browser_of(device=vera.cookie).get("/shared").status_code == 200
    with cast.house.database.reading() as session:
        assert session.scalars(sa.select(sa.func.count()).where(Link.revoked_at.is_(None))).one() == 1, "Vera's"


def test_the_red_button_asks_for_the_password_again_after_a_quarter_of_an_hour(
    cast: Family, rose: LintingClient, browser_of: Callable[..., LintingClient], clock: HandClock
) -> None:
    anna = browser_of()
    anna.send("/sign-in", email=cast.email, password=PASSWORD)
    assert 'type="password"' not in anna.get("/stop-sharing").text
    clock.move(timedelta(minutes=15))
    assert 'type="password"' in anna.get("/stop-sharing").text
    for wrong in ({}, {"password": ""}, {"password": "wrong password"}):
        answer = anna.send("/stop-sharing", **wrong)
        told = "This is not your password." if wrong.get("password") else "Please type a password."
        assert (answer.status_code, told in answer.text) == (400, True)
    assert rose.get("/shared").status_code == 200
    assert anna.send("/stop-sharing", password=PASSWORD).status_code == 303
    assert rose.get("/shared").status_code == 404
    assert 'type="password"' not in anna.get("/stop-sharing").text, "it was shown just now"
