"""What Rose sees: the door, her albums, the day when it ends; on her phone, on a shared tablet, with a link that is old."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.clock import HandClock
from app.house import House
from app.instance import note_time, take_notice
from app.models import DeviceRow
from app.sharing import service as sharing
from tests.conftest import START, Family
from tests.lint import LintingClient
from tests.rows import SEEN, all_rows
from tests.web.conftest import BRITTANY, TOM, photo_address

NAMES = ("Rose", "Anna", "Smith", BRITTANY, "Egon")


def says_no_name(text: str) -> bool:
    return not any(name in text for name in NAMES)


# --- the door


def test_rose_opens_her_link_and_is_simply_in_from_then_on(cast: Family, stranger: LintingClient, clock: HandClock) -> None:
    address = f"/i/{cast.people['Rose'].token}"
    page = stranger.get(address)
    assert "Open the photos" in page.text and says_no_name(page.text)
    answer = stranger.send(address, page=address)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/shared")
    assert any(
        "kinfold_device" in c and "HttpOnly" in c and "Max-Age=31536000" in c for c in answer.headers.getlist("Set-Cookie")
    )
    clock.move(timedelta(days=1))
    assert stranger.get(address).headers["Location"] == "/shared"
    assert stranger.send(address).headers["Location"] == "/shared"
    assert BRITTANY in stranger.get("/shared").text


def test_the_token_is_in_no_page_after_the_door(cast: Family, rose: LintingClient, brittany: str) -> None:
    token = cast.people["Rose"].token
    for page in ("/shared", f"/shared/{brittany}", f"/shared/{brittany}/{cast.photos[BRITTANY][0]}"):
        assert token not in rose.get(page).text


def test_tapping_the_link_again_takes_no_place(
    cast: Family, rose: LintingClient, browser_of: Callable[..., LintingClient]
) -> None:
    address = f"/i/{cast.people['Rose'].token}"
    for _ in range(5):
        assert rose.send(address).status_code == 303
    assert [browser_of().send(address).location for _ in range(3)] == ["/shared", "/shared", "/waiting"]


def test_a_button_that_did_not_work_is_shown_again(cast: Family, house: House, stranger: LintingClient) -> None:
    before = all_rows(house.database)
    address = f"/i/{cast.people['Rose'].token}"
    for data in ({}, {"csrf_token": "old"}):
        answer = stranger.post(address, data=data)
        assert answer.status_code == 400
        assert "Please tap the button once more" in answer.text and says_no_name(answer.text)
        assert not stranger.cookie("kinfold_device")
    assert all_rows(house.database) == before
    token = answer.text.split('csrf_token" value="')[1].split('"')[0]
    assert stranger.post(address, data={"csrf_token": token}).status_code == 303


def test_a_member_is_told_whose_link_it_is_and_is_not_let_in_by_it(cast: Family, house: House, anna: LintingClient) -> None:
    anna.get("/albums")
    before = all_rows(house.database)
    for answer in (anna.get(f"/i/{cast.people['Rose'].token}"), anna.send(f"/i/{cast.people['Rose'].token}")):
        assert (answer.status_code, "This is the link of <bdi>Rose</bdi>" in answer.text) == (200, True)
    assert not anna.cookie("kinfold_device")
    assert all_rows(house.database) == before


@pytest.mark.parametrize("name", ["Egon", "Olga"])
def test_a_link_that_is_over_names_nobody(
    cast: Family, house: House, browser_of: Callable[..., LintingClient], name: str
) -> None:
    before = all_rows(house.database, without=SEEN)
    for browser in (browser_of(), browser_of(device=cast.people["Rose"].cookie)):
        for answer in (browser.get(f"/i/{cast.people[name].token}"), browser.send(f"/i/{cast.people[name].token}")):
            assert answer.status_code == {"Egon": 410, "Olga": 404}[name]
            assert says_no_name(answer.text)
            assert ("This link has ended" in answer.text) == (name == "Egon")
    assert all_rows(house.database, without=SEEN) == before


# --- what she sees


def test_rose_sees_her_albums_and_no_others(cast: Family, rose: LintingClient) -> None:
    page = rose.get("/shared").text
    assert BRITTANY in page and TOM not in page and "Alps" not in page
    assert "Whose photos?" not in page
    assert "<script>" not in page and "token" not in page.split("<main")[1].replace("csrf_token", "")


def test_guest_pages_work_without_javascript(cast: Family, rose: LintingClient, brittany: str) -> None:
    """Every photo is a plain link to its own page, with the picture in it."""
    page = rose.get(f"/shared/{brittany}").text
    for photo in cast.photos[BRITTANY]:
        link = page.split(f'href="/shared/{brittany}/{photo}')[1].split("</a>")[0]
        assert "<img" in link and 'src="/m/' in link


def test_saving_is_offered_to_whom_it_is_allowed(
    cast: Family, rose: LintingClient, brittany: str, browser_of: Callable[..., LintingClient]
) -> None:
    june = browser_of(device=cast.share(BRITTANY, "June", may_save=True).cookie)
    page = f"/shared/{brittany}/{cast.photos[BRITTANY][0]}"
    assert "Save this photo" in june.get(page).text
    assert "Save this photo" not in rose.get(page).text
    assert june.get(f"/shared/{brittany}").text.count('data-save="/m/') == 3


def test_an_album_without_photos_says_so(cast: Family, browser_of: Callable[..., LintingClient]) -> None:
    album = cast.album("Soon").id
    june = browser_of(device=cast.share("Soon", "June").cookie)
    assert "There are no photos here yet." in june.get(f"/shared/{album}").text
    assert "no photos yet" in june.get("/shared").text


# --- a shared tablet


def test_a_shared_tablet_asks_whose_photos(cast: Family, browser_of: Callable[..., LintingClient]) -> None:
    tablet = browser_of(device=cast.people["Rose"].cookie)
    tablet.send(f"/i/{cast.people['Jim'].token}")
    page = tablet.get("/shared").text
    assert "Whose photos?" in page and BRITTANY in page and TOM in page
    jims = tablet.get(f"/shared?whose={cast.people['Jim'].id}").text
    assert TOM in jims and BRITTANY not in jims
    for somebody in (cast.people["Egon"].id, "x"):
        assert tablet.get(f"/shared?whose={somebody}").status_code == 404
    assert tablet.get(f"/shared/{cast.albums[BRITTANY].id}").status_code == 200


def test_an_album_that_two_of_a_tablet_may_see_is_listed_once(cast: Family, browser_of: Callable[..., LintingClient]) -> None:
    june = cast.share(BRITTANY, "June", days=60, may_save=True)
    tablet = browser_of(device=cast.people["Rose"].cookie)
    tablet.send(f"/i/{june.token}")
    page = tablet.get("/shared").text
    assert page.count(f'href="/shared/{cast.albums[BRITTANY].id}"') == 1
    assert "until 22 January 2027" in page


def test_this_is_not_my_phone_takes_everybody_off_it(cast: Family, browser_of: Callable[..., LintingClient]) -> None:
    tablet = browser_of(device=cast.people["Rose"].cookie)
    tablet.send(f"/i/{cast.people['Jim'].token}")
    old = tablet.cookie("kinfold_device")
    answer = tablet.send("/shared/leave")
    assert (answer.status_code, answer.headers["Clear-Site-Data"]) == (303, '"cache", "storage"')
    assert not tablet.cookie("kinfold_device")
    tablet.set_cookie("kinfold_device", str(old), domain=tablet.domain)
    assert tablet.get("/shared").status_code == 404
    assert tablet.send(f"/i/{cast.people['Rose'].token}").status_code == 303, "her link still works"


# --- when it is over


def test_past_the_date_a_known_phone_sees_the_closed_page(
    cast: Family, rose: LintingClient, brittany: str, clock: HandClock
) -> None:
    photo = cast.photos[BRITTANY][0]
    clock.move(timedelta(days=29) - timedelta(minutes=2))
    assert rose.get("/shared").status_code == 200
    address = photo_address(cast, photo, "grid", device=cast.people["Rose"].cookie)
    clock.move(timedelta(minutes=2))
    for page in ("/shared", f"/shared/{brittany}", f"/shared/{brittany}/{photo}"):
        answer = rose.get(page)
        assert answer.status_code == 410
        assert "This album is closed" in answer.text and "Ask <bdi>Anna</bdi> for more time" in answer.text
        assert BRITTANY not in answer.text
    assert rose.get(address).status_code == 404
    assert rose.get(f"/shared/{cast.albums[TOM].id}").status_code == 404, "other albums were never there"


def test_one_album_over_and_another_not(cast: Family, anna: LintingClient, browser_of: Callable[..., LintingClient]) -> None:
    egon = browser_of(device=cast.people["Egon"].cookie)
    anna.send(f"/people/{cast.people['Egon'].id}/grants", album=cast.albums[TOM].id)
    page = egon.get("/shared").text
    assert TOM in page and BRITTANY not in page
    assert egon.get(f"/shared/{cast.albums[BRITTANY].id}").status_code == 410


def test_what_was_ended_by_hand_after_its_date_names_nobody(
    cast: Family, anna: LintingClient, browser_of: Callable[..., LintingClient]
) -> None:
    egon = browser_of(device=cast.people["Egon"].cookie)
    anna.send(f"/grants/{cast.people['Egon'].grant}/end")
    answer = egon.get("/shared")
    assert answer.status_code == 404
    assert says_no_name(answer.text)


def test_a_removed_phone_and_an_ended_album_name_nobody(
    cast: Family, anna: LintingClient, rose: LintingClient, brittany: str
) -> None:
    anna.send(f"/grants/{cast.people['Rose'].grant}/end")
    for page in ("/shared", f"/shared/{brittany}"):
        answer = rose.get(page)
        assert answer.status_code == 404
        assert says_no_name(answer.text)


def test_a_script_is_told_the_same_without_names(cast: Family, browser_of: Callable[..., LintingClient], brittany: str) -> None:
    told = {}
    for name in ("Egon", "Olga", "Jim"):
        browser = browser_of(device=cast.people[name].cookie)
        told[name] = browser.get(f"/shared/{brittany}", headers={"Accept": "application/json"}).get_json()
    assert told == {"Egon": {"error": "closed"}, "Olga": {"error": "not-found"}, "Jim": {"error": "not-found"}}
    link = browser_of().get(f"/i/{cast.people['Egon'].token}", headers={"Accept": "application/json"})
    assert (link.status_code, link.get_json()) == (410, {"error": "link-ended"})


def test_a_phone_that_nobody_uses_falls_asleep_after_90_days_and_ends_after_a_year(
    cast: Family, clock: HandClock, browser_of: Callable[..., LintingClient]
) -> None:
    june = cast.share(TOM, "June", days=365)
    used, unused = browser_of(device=june.cookie), browser_of(device=cast.enrol(june))
    for _ in range(4):
        clock.move(timedelta(days=80))
        assert used.get("/shared").status_code == 200
    assert unused.get("/shared").status_code == 404
    clock.move(timedelta(days=45))
    assert used.get("/shared").status_code == 404


# --- a clock that was set back


def test_a_clock_set_back_after_the_sweep_revives_nothing(
    cast: Family, house: House, clock: HandClock, browser_of: Callable[..., LintingClient]
) -> None:
    clock.move(timedelta(days=100))
    with house.database.writing() as session:
        note_time(session, clock=clock)
        sharing.end_what_is_over(session, at=clock.now())
    back = HandClock(START)
    object.__setattr__(house, "clock", back)
    egon, rose, nobody = (
        browser_of(device=cast.people["Egon"].cookie),
        browser_of(device=cast.people["Rose"].cookie),
        browser_of(),
    )
    for browser in (egon, rose):
        assert browser.get("/shared").status_code in (404, 410)
        assert browser.get(f"/shared/{cast.albums[BRITTANY].id}").status_code in (404, 410)
    assert rose.get(photo_address(cast, cast.photos[BRITTANY][0], "grid", device=cast.people["Rose"].cookie)).status_code == 404
    for name in ("Egon", "Rose"):
        assert nobody.get(f"/i/{cast.people[name].token}").status_code == 410
        assert nobody.send(f"/i/{cast.people[name].token}").status_code == 410


def test_a_process_that_starts_with_a_clock_behind_goes_on_where_the_others_were(
    cast: Family, house: House, clock: HandClock, make_house: Callable[..., House]
) -> None:
    clock.move(timedelta(days=100))
    late = clock.now()
    with house.database.writing() as session:
        note_time(session, clock=clock)
    clock._now = START
    assert make_house().clock.now() == late


def test_a_running_process_takes_notice_of_how_late_others_have_seen_it(cast: Family, house: House, clock: HandClock) -> None:
    late = clock.now() + timedelta(days=3)
    with house.database.writing() as session:
        note_time(session, clock=HandClock(late))
    take_notice(house.database, clock)
    assert clock.now() == late


def test_the_sweep_writes_down_what_is_over_once(cast: Family, house: House, clock: HandClock) -> None:
    with house.database.writing() as session:
        sharing.end_what_is_over(session, at=clock.now())
    first = all_rows(house.database)
    clock.move(timedelta(hours=1))
    with house.database.writing() as session:
        sharing.end_what_is_over(session, at=clock.now())
    assert all_rows(house.database) == first
    with house.database.reading() as session:
        rows = session.scalars(sa.select(DeviceRow).where(DeviceRow.guest_id == cast.people["Egon"].id)).all()
    assert rows[0].ended_at is None, "his phone may still see the closed page"
