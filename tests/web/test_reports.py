"""Something is wrong with a photo: saying so, and a photo that is held as evidence, which nobody sees and nobody can delete."""

import logging
from collections.abc import Callable
from io import BytesIO

import pytest
import sqlalchemy as sa

from app.activity.service import TELL
from app.errors import NotVisible, Refused
from app.house import House
from app.ingest import service as ingest
from app.ingest.service import room_left
from app.media.models import PhotoKind
from app.models import Activity, Album, Guest, Photo, Report
from app.reports import service as reports
from app.sharing import service as sharing
from tests.conftest import PASSWORD, Family, tiny_jpeg
from tests.lint import LintingClient
from tests.rows import SEEN, all_rows
from tests.web.conftest import BRITTANY, photo_address, refused_with, work

Browsers = Callable[..., LintingClient]
SAYS = "Somebody says that something is wrong"


@pytest.fixture
def photo(cast: Family) -> str:
    """A photo that Rose may see: the first of three."""
    return cast.photos[BRITTANY][0]


def rows(house: House, model: type) -> list:
    with house.database.reading() as session:
        return list(session.scalars(sa.select(model)))


def hold(house: House, photo: str) -> None:
    with house.database.writing() as session:
        ingest.hold(session, photo=photo, at=house.clock.now())


def test_a_guest_says_so_once_and_owners_and_operator_are_told_but_not_by_whom(
    cast: Family,
    house: House,
    anna: LintingClient,
    rose: LintingClient,
    brittany: str,
    photo: str,
    browser_of: Browsers,
    caplog: pytest.LogCaptureFixture,
) -> None:
    page = f"/shared/{brittany}/{photo}/wrong"
    assert page in rose.get(f"/shared/{brittany}/{photo}").text
    assert "not told that it was you" in rose.get(page).text
    with caplog.at_level(logging.WARNING):
        assert [rose.send(page).location for _ in range(2)] == [page, page]
    assert "It has been told" in rose.get(page).text and f'action="{page}"' not in rose.get(page).text
    said = [record.getMessage() for record in caplog.records if record.name == "kinfold.reports"]
    assert len(said) == 1 and photo in said[0]
    assert not any(name in caplog.text for name in ("Rose", "Anna", "Brittany"))
    (report,) = rows(house, Report)
    assert (report.photo_id, report.guest_id) == (photo, cast.people["Rose"].id)
    (told,) = [row for row in rows(house, Activity) if row.kind == "photo-reported"]
    assert (told.photo_id, told.guest_id, told.member_id) == (photo, None, None)
    with house.database.reading() as session:
        assert house.jobs.live_subjects(session, TELL) == {told.id}
    for where in ("/albums", f"/photos/{photo}"):
        before_who_looked = anna.get(where).text.partition("seen-by")[0]
        assert SAYS in before_who_looked and "Rose" not in before_who_looked
    assert SAYS not in anna.get(f"/photos/{cast.photos[BRITTANY][1]}").text
    ben = browser_of(member=cast.join("Ben").cookie)
    assert not any(SAYS in ben.get(where).text for where in ("/albums", f"/photos/{photo}")), "for owners"
    assert anna.send(f"/photos/{photo}/wrong/answer").status_code == 303
    assert not any(SAYS in anna.get(where).text for where in ("/albums", f"/photos/{photo}"))


def test_a_member_says_so_too_and_nobody_says_it_of_everything(
    cast: Family, house: House, anna: LintingClient, photo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MOST", 2)
    answers = [anna.send(f"/photos/{each}/wrong").status_code for each in (photo, photo, *cast.photos[BRITTANY][1:])]
    assert answers == [303, 303, 303, 429]
    assert len(rows(house, Report)) == 2


def test_of_another_album_or_group_nothing_can_be_said(
    cast: Family, house: House, marcs: Family, rose: LintingClient, photo: str, brittany: str, browser_of: Browsers
) -> None:
    before = all_rows(house.database, without=SEEN)
    tom = cast.photos["Tom is six"][0]
    marc, jim = browser_of(member=marcs.cookie), browser_of(device=cast.people["Jim"].cookie)
    assert rose.send(f"/shared/{brittany}/{tom}/wrong").status_code == 404
    assert jim.send(f"/shared/{brittany}/{photo}/wrong").status_code == 404
    assert [marc.send(f"/photos/{photo}/wrong{more}").status_code for more in ("", "/answer")] == [404, 404]
    assert all_rows(house.database, without=SEEN) == before


# --- held


def test_a_held_photo_is_hidden_from_everybody_and_comes_back(
    cast: Family, house: House, anna: LintingClient, rose: LintingClient, brittany: str, photo: str
) -> None:
    anna.send(f"/albums/{brittany}/cover", photo=photo)
    addresses = [
        (browser, photo_address(cast, photo, size, **{kind: cookie}))
        for browser, kind, cookie in ((anna, "member", cast.cookie), (rose, "device", cast.people["Rose"].cookie))
        for size in ("grid", "screen")
    ]
    before = all_rows(house.database, without=SEEN)
    hold(house, photo)
    hold(house, photo)
    for browser, address in addresses:
        assert browser.get(address).status_code == 404
    for browser, page in ((rose, f"/shared/{brittany}"), (anna, f"/albums/{brittany}"), (anna, "/albums"), (rose, "/shared")):
        assert photo not in browser.get(page).text and "2 photos" in browser.get(page).text, page
    middle = cast.photos[BRITTANY][1]
    assert photo not in rose.get(f"/shared/{brittany}/{middle}").text, "no neighbour"
    assert rose.get(f"/shared/{brittany}/{photo}").status_code == 404
    listed = anna.get(f"/albums/{brittany}/photos", headers={"Accept": "application/json"}).get_json()["photos"]
    assert photo not in {each["id"] for each in listed}
    named = anna.get(f"/albums/{brittany}/photos?unfinished=1&photo={photo}", headers={"Accept": "application/json"})
    assert named.get_json()["photos"] == []
    assert "hidden a photo" not in anna.get("/activity").text, "an owner may be who it is evidence against"
    for path in ("", "/wrong"):
        assert anna.get(f"/photos/{photo}{path}").status_code == 404
    for path in ("/caption", "/delete", "/retry", "/wrong", "/wrong/answer"):
        assert anna.send(f"/photos/{photo}{path}", caption="x").status_code == 404, path
    assert anna.send(f"/albums/{brittany}/cover", photo=photo).status_code == 404
    with house.database.writing() as session:
        ingest.release(session, photo=photo, jobs=house.jobs, at=house.clock.now())
    assert all(browser.get(address).status_code == 200 for browser, address in addresses)
    after = all_rows(house.database, without=SEEN | {"changed_at", "shown_at"})
    assert after["album"] == before["album"], "its counts are what they were"
    with house.database.writing() as session, pytest.raises(NotVisible):
        ingest.release(session, photo=photo, jobs=house.jobs, at=house.clock.now())


@pytest.mark.parametrize("held", [0, 1])
def test_of_a_live_photo_that_comes_back_only_the_still_is_shown(cast: Family, house: House, held: int) -> None:
    still, film = cast.photos[BRITTANY][:2]
    with house.database.writing() as session:
        ingest.hold(session, photo=(still, film)[held], at=house.clock.now())
        for each in (still, film):
            session.get_one(Photo, each).pair = b"one pair"
        row = session.get_one(Photo, film)
        row.kind, row.duration = PhotoKind.VIDEO, 3000
    with house.database.writing() as session:
        ingest.release(session, photo=(still, film)[held], jobs=house.jobs, at=house.clock.now())
    with house.database.reading() as session:
        assert session.get(Photo, film) is None
        kept = session.get_one(Photo, still)
        assert (kept.state, "film" in kept.removed) == ("ready", True)
        assert session.get_one(Album, kept.album_id).ready == len(cast.photos[BRITTANY]) - 1


def test_nothing_that_a_held_photo_hangs_on_can_be_deleted(
    cast: Family, house: House, anna: LintingClient, brittany: str, photo: str
) -> None:
    with house.database.writing() as session:
        session.get_one(Photo, photo).guest_id = cast.people["Rose"].id
    hold(house, photo)
    says = "This can&#39;t be deleted now. Ask whoever runs this server."
    for path, form in (
        (f"/albums/{brittany}/delete", {"confirm": BRITTANY}),
        (f"/people/{cast.people['Rose'].id}/delete", {}),
        ("/group/delete", {"confirm": "The Smiths", "password": PASSWORD}),
    ):
        answer = anna.send(path, **form)
        assert (answer.status_code, says in answer.text or says.replace("&#39;", "'") in answer.text) == (400, True), path
    everything = cast.photos[BRITTANY]
    deleted = anna.send(f"/albums/{brittany}/photos/delete", json=True, photo=everything).get_json()["deleted"]
    assert deleted == len(everything) - 1, "the others are gone"
    assert [row.id for row in rows(house, Photo) if row.album_id == brittany] == [photo]
    with house.database.writing() as session:
        sharing.stop_all(session, cast.owner, at=house.clock.now())
        sharing.forget_people(session, at=house.clock.now() + 10 * sharing.rules.FORGOTTEN_AFTER)
    assert {guest.name for guest in rows(house, Guest) if guest.group_id == cast.owner.group} == {"Rose"}
    with house.database.writing() as session:
        ingest.release(session, photo=photo, jobs=house.jobs, at=house.clock.now())
    assert anna.send(f"/albums/{brittany}/delete", confirm=BRITTANY).status_code == 303


def test_a_member_who_added_a_held_photo_can_neither_leave_nor_be_removed(
    cast: Family, house: House, anna: LintingClient, photo: str, browser_of: Browsers
) -> None:
    ben = cast.join("Ben")
    with house.database.writing() as session:
        session.get_one(Photo, photo).created_by = ben.viewer.id
    hold(house, photo)
    refused_with(browser_of(member=ben.cookie).send("/account/delete", json=True, password=PASSWORD), 400, "cant-be-deleted")
    refused_with(anna.send(f"/members/{ben.viewer.id}/remove", json=True, password=PASSWORD), 400, "cant-be-deleted")


def test_the_same_file_once_more_says_no_more_than_that_it_can_not_be_shown(
    cast: Family, house: House, anna: LintingClient, brittany: str
) -> None:
    content = tiny_jpeg((1, 2, 3))
    photo = cast.upload(BRITTANY, content)
    work(house)
    hold(house, photo)
    data = {"csrf_token": anna.any_token(), "files": (BytesIO(content), "again.jpg")}
    answer = anna.post(f"/albums/{brittany}/photos", data=data, headers={"Accept": "application/json"})
    (told,) = answer.get_json()["photos"]
    assert (told["state"], told["reason"], told["duplicate"]) == ("refused", "not-shown", True)


def test_a_member_who_adds_a_held_photo_once_more_does_not_become_who_added_it(cast: Family, house: House, brittany: str) -> None:
    content, rose = tiny_jpeg((1, 2, 3)), cast.people["Rose"].id
    photo = cast.upload(BRITTANY, content)
    work(house)
    with house.database.writing() as session:
        row = session.get_one(Photo, photo)
        row.guest_id, row.created_by = rose, None
    hold(house, photo)
    assert cast.upload(BRITTANY, content) == photo
    (row,) = [row for row in rows(house, Photo) if row.id == photo]
    assert (row.state, row.guest_id, row.created_by) == ("held", rose, None)


def test_what_is_held_takes_its_room(cast: Family, house: House, photo: str) -> None:
    def left() -> int:
        with house.database.reading() as session:
            return room_left(session, group=cast.owner.group, quota=10**9)

    before = left()
    hold(house, photo)
    assert left() == before < 10**9


def test_what_nobody_sees_yet_can_not_be_held(cast: Family, house: House) -> None:
    waiting = cast.upload(BRITTANY, b"nobody has looked at it yet")
    with pytest.raises(Refused):
        hold(house, waiting)
    with pytest.raises(NotVisible):
        hold(house, "a" * 26)


def test_a_photo_that_a_guest_added_waits_again_when_it_is_released_unseen(cast: Family, house: House, photo: str) -> None:
    with house.database.writing() as session:
        row = session.get_one(Photo, photo)
        row.guest_id, row.state, row.shown_at = cast.people["Rose"].id, "awaiting", None
        session.execute(sa.update(Album).where(Album.id == row.album_id).values(ready=2))
    hold(house, photo)
    with house.database.writing() as session:
        ingest.release(session, photo=photo, jobs=house.jobs, at=house.clock.now())
        assert session.get_one(Photo, photo).state == "awaiting"
        assert session.get_one(Album, cast.albums[BRITTANY].id).ready == 2
