"""Who has looked at which photo: for members, by the day, for 90 days; guests are told that it is so and never see it."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.clock import HandClock
from app.house import House
from app.models import Seen
from app.ops.worker import _end_what_is_over
from app.security.tokens import cookie_digest
from app.sharing import service as sharing
from tests.conftest import Family
from tests.lint import LintingClient
from tests.web.conftest import BRITTANY, TOM

Browsers = Callable[..., LintingClient]
DAY = timedelta(days=1)


def rows(house: House) -> int:
    with house.database.reading() as session:
        return session.scalars(sa.select(sa.func.count()).select_from(Seen)).one()


def looked(browser: LintingClient) -> list[str]:
    """The sentences on the activity page."""
    found = browser.get("/activity", headers={"Accept": "application/json"}).get_json()["looked"]
    return [each["text"] for each in found]


def test_what_a_browser_shows_full_screen_is_noted_once_a_day_and_told_to_anna(
    cast: Family, anna: LintingClient, rose: LintingClient, brittany: str, clock: HandClock
) -> None:
    photos = cast.photos[BRITTANY]
    assert rose.send(f"/shared/{brittany}/seen", photo=photos[:2]).status_code == 204
    assert rose.send(f"/shared/{brittany}/seen", photo=photos[1:]).status_code == 204
    assert looked(anna) == ["Rose looked at 3 photos on Monday 23 November"]
    clock.move(DAY)
    rose.send(f"/shared/{brittany}/seen", photo=photos[:1])
    assert looked(anna) == ["Rose looked at 1 photo on Tuesday 24 November", "Rose looked at 3 photos on Monday 23 November"]
    page = anna.get("/activity").text
    assert "Who looked at photos" in page and "Rose</bdi></a> looked at 3 photos on Monday 23 November" in page
    person = anna.get(f"/people/{cast.people['Rose'].id}").text
    assert "Looked at 1 photo on Tuesday 24 November" in person
    photo = anna.get(f"/photos/{photos[0]}").text
    assert "Seen by 1 person" in photo and "Tuesday 24 November" in photo
    assert "Nobody has looked at it yet." in anna.get(f"/photos/{cast.photos[TOM][0]}").text


def test_without_javascript_the_page_of_a_photo_notes_it(
    cast: Family, house: House, anna: LintingClient, rose: LintingClient, brittany: str
) -> None:
    address = f"/shared/{brittany}/{cast.photos[BRITTANY][0]}"
    rose.head(address)
    rose.get(address, headers={"Sec-Purpose": "prefetch"})
    assert rows(house) == 0, "nobody has looked"
    for _ in range(2):
        assert rose.get(address).status_code == 200
    assert rows(house) == 1
    assert looked(anna) == ["Rose looked at 1 photo on Monday 23 November"]


def test_a_busy_database_keeps_nobody_waiting(cast: Family, house: House, rose: LintingClient, brittany: str) -> None:
    if house.database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL has many writers at once")
    with house.database.open_writing() as writing:
        writing.execute(sa.text("SELECT 1"))
        assert rose.get(f"/shared/{brittany}/{cast.photos[BRITTANY][0]}").status_code == 200
    assert rows(house) == 0


def test_only_photos_that_they_may_see_are_noted(
    cast: Family, house: House, marcs: Family, rose: LintingClient, brittany: str
) -> None:
    elsewhere = [*cast.photos[TOM], *marcs.photos["Alps"], "a" * 26, "'; --", ""]
    assert rose.send(f"/shared/{brittany}/seen", photo=elsewhere).status_code == 204
    assert rose.send(f"/shared/{cast.albums[TOM].id}/seen", photo=cast.photos[TOM]).status_code == 404
    assert rows(house) == 0


def test_on_a_shared_tablet_it_counts_for_those_who_may_see_the_album(
    cast: Family, house: House, anna: LintingClient, browser_of: Browsers, brittany: str
) -> None:
    tablet = browser_of(device=cast.enrol(cast.people["Jim"], cookie_digest(cast.people["Rose"].cookie)))
    assert tablet.send(f"/shared/{brittany}/seen", photo=cast.photos[BRITTANY]).status_code == 204
    assert looked(anna) == ["Rose looked at 3 photos on Monday 23 November"], "Jim may see another album"


def test_guests_are_told_that_it_is_so_and_never_see_it(
    cast: Family, anna: LintingClient, rose: LintingClient, browser_of: Browsers, brittany: str
) -> None:
    photo = cast.photos[BRITTANY][0]
    rose.get(f"/shared/{brittany}/{photo}")
    other = browser_of(device=cast.share(BRITTANY, "Zoe").cookie)
    for address in ("/shared", f"/shared/{brittany}", f"/shared/{brittany}/{photo}"):
        page = other.get(address).text
        assert "can see which of them you have looked at" in page
        assert "Seen by" not in page and "Rose" not in page
    for address in (f"/photos/{photo}", "/activity", f"/people/{cast.people['Rose'].id}"):
        assert other.get(address).status_code == 404


def test_it_is_kept_for_ninety_days_and_goes_with_the_person(
    cast: Family, house: House, anna: LintingClient, rose: LintingClient, brittany: str, clock: HandClock
) -> None:
    rose.get(f"/shared/{brittany}/{cast.photos[BRITTANY][0]}")
    with house.database.writing() as session:
        sharing.get_grant(session, cast.owner, grant=cast.people["Rose"].grant).expires_at = clock.now() + 300 * DAY
    clock.move(90 * DAY)
    _end_what_is_over(house)
    assert rows(house) == 1
    clock.move(DAY)
    _end_what_is_over(house)
    assert rows(house) == 0
    with house.database.writing() as session:
        session.add(Seen(photo_id=cast.photos[BRITTANY][0], guest_id=cast.people["Rose"].id, day=clock.now().date()))
        sharing.delete_guest(
            session, cast.owner, guest=sharing.get_guest(session, cast.owner, guest=cast.people["Rose"].id), at=clock.now()
        )
    assert rows(house) == 0


def test_what_is_kept_about_rose_has_it_and_her_address(
    cast: Family, anna: LintingClient, rose: LintingClient, brittany: str
) -> None:
    photo, page = cast.photos[BRITTANY][0], f"/people/{cast.people['Rose'].id}"
    rose.get(f"/shared/{brittany}/{photo}")
    anna.send(f"{page}/edit", name="Rose", email="rose@example.org", language="de")
    told = json.loads(anna.get(f"{page}/export").data)
    assert (told["email"], told["language"]) == ("rose@example.org", "de")
    assert told["looked_at"] == [{"day": "2026-11-23", "photo": photo, "album": BRITTANY}]
