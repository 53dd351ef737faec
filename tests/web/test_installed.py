"""What a guest's browser may keep for when there is no line: only what its people may save now, and only as long."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from app.clock import HandClock
from app.house import House
from app.media.models import Photo, PhotoState
from app.sharing import service as sharing
from app.sharing.models import Grant
from app.viewing.installed import MOST
from tests.conftest import Family, Person
from tests.lint import LintingClient
from tests.web.conftest import BRITTANY, TOM, photo_address

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Safari/604.1"


@pytest.fixture
def june(cast: Family) -> Person:
    """Somebody who may save."""
    return cast.share(BRITTANY, "June", may_save=True)


@pytest.fixture
def junes(june: Person, browser_of: Callable[..., LintingClient]) -> LintingClient:
    return browser_of(device=june.cookie)


def may_keep(browser: LintingClient, *photos: str) -> set[str]:
    answer = browser.get("/shared/kept", query_string={"photos": ",".join(photos)})
    assert answer.status_code == 200
    return set(answer.get_json()["photos"])


def test_only_what_may_be_saved_is_kept(cast: Family, junes: LintingClient, rose: LintingClient) -> None:
    hers, not_hers = cast.photos[BRITTANY], cast.photos[TOM]
    assert may_keep(junes, *hers, *not_hers, "a" * 26, "'") == set(hers)
    assert may_keep(junes, hers[1]) == {hers[1]}
    assert may_keep(junes) == set()
    assert may_keep(rose, *hers) == set(), "she may look, but not save"


def test_what_is_ended_goes(cast: Family, house: House, june: Person, junes: LintingClient) -> None:
    photos = cast.photos[BRITTANY]
    with house.database.writing() as session:
        grant = sharing.get_grant(session, cast.owner, grant=june.grant)
        sharing.set_saving(session, grant=grant, may_save=False, at=house.clock.now())
    assert may_keep(junes, *photos) == set()
    with house.database.writing() as session:
        grant = sharing.get_grant(session, cast.owner, grant=june.grant)
        sharing.set_saving(session, grant=grant, may_save=True, at=house.clock.now())
    assert may_keep(junes, *photos) == set(photos)
    with house.database.writing() as session:
        sharing.end_grant(
            session, cast.owner, grant=sharing.get_grant(session, cast.owner, grant=june.grant), at=house.clock.now()
        )
    assert may_keep(junes, *photos) == set()


def test_a_date_that_came_ends_it(cast: Family, junes: LintingClient, clock: HandClock) -> None:
    clock.move(timedelta(days=30, minutes=1))
    assert may_keep(junes, *cast.photos[BRITTANY]) == set()


@pytest.mark.parametrize("state", [PhotoState.HELD, PhotoState.AWAITING, PhotoState.REFUSED])
def test_a_photo_that_is_not_shown_is_not_kept(cast: Family, house: House, junes: LintingClient, state: PhotoState) -> None:
    photos = cast.photos[BRITTANY]
    with house.database.writing() as session:
        session.execute(sa.update(Photo).where(Photo.id == photos[0]).values(state=state))
    assert may_keep(junes, *photos) == set(photos[1:])


def test_a_phone_that_is_stopped_or_left_is_told_to_forget(
    cast: Family, house: House, june: Person, browser_of: Callable[..., LintingClient]
) -> None:
    left, stopped = (browser_of(device=june.cookie), browser_of(device=cast.share(BRITTANY, "Theo", may_save=True).cookie))
    with house.database.writing() as session:
        guest = sharing.get_guest(session, cast.owner, guest=cast.people["Theo"].id)
        sharing.stop_guest(session, cast.owner, guest=guest, at=house.clock.now())
    assert '"storage"' in left.send("/shared/leave").headers["Clear-Site-Data"]
    assert left.get("/shared/kept").status_code == 404
    answer = stopped.get("/shared/kept", headers={"Accept": "application/json"})
    assert answer.status_code == 404 and '"storage"' in answer.headers["Clear-Site-Data"]


def test_no_more_are_looked_up_than_are_kept(cast: Family, junes: LintingClient) -> None:
    assert may_keep(junes, *["a" * 26] * MOST, *cast.photos[BRITTANY]) == set()


def june_until(house: House, june: Person) -> datetime:
    with house.database.reading() as session:
        return session.scalars(sa.select(Grant.expires_at).where(Grant.guest_id == june.id)).one()


def test_only_the_screen_rendition_of_what_may_be_saved_says_that_it_may_be_kept_and_until_when(
    cast: Family, house: House, june: Person, junes: LintingClient, rose: LintingClient, anna: LintingClient
) -> None:
    photo = cast.photos[BRITTANY][0]

    def says(browser: LintingClient, rendition: str, *, save: bool = False, **whose: str) -> str | None:
        answer = browser.get(photo_address(cast, photo, rendition, save=save, **whose))
        assert answer.status_code == 200
        return answer.headers.get("Kinfold-Keep")

    ends = june_until(house, june)
    assert says(junes, "screen", device=june.cookie) == f"{photo} {ends.timestamp():.0f}"
    assert says(junes, "grid", device=june.cookie) is None
    assert says(junes, "full", device=june.cookie) is None
    assert says(junes, "full", save=True, device=june.cookie) is None
    assert says(rose, "screen", device=cast.people["Rose"].cookie) == ""
    assert says(anna, "screen", member=cast.cookie) is None, "a member's browser keeps nothing"


def test_a_browser_that_has_the_photo_is_told_anew_whether_it_may_be_kept(
    cast: Family, house: House, june: Person, junes: LintingClient
) -> None:
    photo = cast.photos[BRITTANY][0]
    address = photo_address(cast, photo, "screen", device=june.cookie)
    etag = junes.get(address).headers["ETag"]

    def again() -> tuple[int, str | None]:
        answer = junes.get(address, headers={"If-None-Match": etag})
        return answer.status_code, answer.headers.get("Kinfold-Keep")

    assert again() == (304, f"{photo} {june_until(house, june).timestamp():.0f}")
    with house.database.writing() as session:
        grant = session.scalars(sa.select(Grant).where(Grant.guest_id == june.id)).one()
        sharing.set_saving(session, grant=grant, may_save=False, at=house.clock.now())
    assert again() == (304, ""), "it takes the place of what the browser has noted"


def test_the_worker_stands_at_the_root_and_names_this_version(stranger: LintingClient) -> None:
    answer = stranger.get("/service-worker.js?language=de")
    assert answer.mimetype == "text/javascript" and answer.headers["Cache-Control"] == "no-store"
    assert f'"{stranger.application.static_url_path}/"' in answer.text
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert stranger.get(f"{stranger.application.static_url_path}/js/service-worker.js").status_code == 200


def test_the_page_for_no_line_says_nothing_about_anybody(cast: Family, rose: LintingClient) -> None:
    page = rose.get("/offline")
    assert "No connection" in page.text and "csrf" not in page.text and "Set-Cookie" not in page.headers
    assert not any(name in page.text for name in ("Rose", "Anna", "Smith", BRITTANY, "/m/"))
    assert '<html lang="de"' in rose.get("/offline?language=de").text


def test_the_page_of_albums_brings_the_worker_in_and_no_page_for_members_does(
    rose: LintingClient, anna: LintingClient, stranger: LintingClient
) -> None:
    worker = 'data-worker="/service-worker.js?language=en"'
    assert worker in rose.get("/shared").text
    for page in (anna.get("/albums"), stranger.get("/sign-in"), rose.get("/offline")):
        assert worker not in page.text


def test_the_way_to_the_home_screen_begins_with_the_phone_that_asks(rose: LintingClient) -> None:
    assert 'href="/shared/install"' in rose.get("/shared").text
    for agent, first, second in ((IPHONE, "iPhone", "Android"), ("Android Mobile", "Android", "iPhone")):
        page = rose.get("/shared/install", headers={"User-Agent": agent}).text
        assert page.index(f"On an {first}") < page.index(f"On an {second}")


def test_an_iphone_opens_its_own_browser_which_knows_rose(stranger: LintingClient) -> None:
    manifest = stranger.get("/manifest.webmanifest").get_json(force=True)
    assert (manifest["display"], manifest["display_override"]) == ("browser", ["standalone"])
    assert "maskable" in [icon["purpose"] for icon in manifest["icons"]]
