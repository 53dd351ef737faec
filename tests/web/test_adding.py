"""Guests add photos of their own: where they may, how much, and who sees them when."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from app import create_app
from app.albums.models import Album
from app.house import House
from app.ingest import service as ingest
from app.ingest.decoding import NotDecoded
from app.media import service as media
from app.media.models import Photo, PhotoState
from app.models import Activity, Deletion, Grant
from app.security.tokens import cookie_digest
from tests.conftest import Family, found, tiny_jpeg
from tests.lint import LintingClient
from tests.web.conftest import BRITTANY, photo_address, refused_with, work

JSON = {"Accept": "application/json"}
A, B = tiny_jpeg((1, 2, 3)), tiny_jpeg((4, 5, 6))


@pytest.fixture
def may_add(cast: Family, house: House) -> None:
    """Rose may add photos to Brittany."""
    with house.database.writing() as session:
        session.get_one(Grant, cast.people["Rose"].grant).may_add = True


def add(browser: LintingClient, album: str, *files: bytes, json: bool = True, **fields: str) -> TestResponse:
    data: dict[str, Any] = {"csrf_token": browser.any_token(), **fields}
    data["files"] = [(BytesIO(content), f"IMG_{number}.jpg") for number, content in enumerate(files)]
    return browser.post(f"/shared/{album}/photos", data=data, headers=JSON if json else {})


def added(house: House) -> list[Photo]:
    """What guests have added, in order."""
    with house.database.reading() as session:
        return list(session.scalars(sa.select(Photo).where(Photo.guest_id.is_not(None)).order_by(Photo.number)))


@pytest.mark.usefixtures("may_add")
def test_what_a_guest_adds_waits_for_a_yes_and_then_everybody_sees_it(
    cast: Family, house: House, rose: LintingClient, anna: LintingClient, brittany: str
) -> None:
    assert "Add your own photos" in rose.get(f"/shared/{brittany}").text
    answer = add(rose, brittany, A, json=False)
    assert (answer.status_code, answer.location) == (303, f"/shared/{brittany}#yours")
    assert "is being prepared" in rose.get(f"/shared/{brittany}").text
    work(house)
    (photo,) = added(house)
    assert (photo.state, photo.guest_id, photo.created_by, photo.shown_at) == (
        PhotoState.AWAITING,
        cast.people["Rose"].id,
        None,
        None,
    )
    page = rose.get(f"/shared/{brittany}").text
    assert "<bdi>Anna</bdi> will look at it first." in page and f"photo-{photo.id}" not in page
    page = anna.get(f"/albums/{brittany}").text
    assert "Waiting for your yes" in page and "<bdi>Rose</bdi> added this." in page and "3 photos." in page
    page = anna.get(f"/photos/{photo.id}").text
    assert "Waiting for your yes" in page and "Photo 1 of 1" in page, "it is none of those that people see"
    assert "1 waits for your yes" in anna.get("/albums").text
    assert anna.send(f"/albums/{brittany}/photos/yes", photo=photo.id).status_code == 303
    (photo,) = added(house)
    assert (photo.state, photo.shown_at) == (PhotoState.READY, house.clock.now())
    assert "Waiting for your yes" not in anna.get(f"/albums/{brittany}").text
    assert f"photo-{photo.id}" in rose.get(f"/shared/{brittany}").text
    assert "<bdi>Rose</bdi> added this." in anna.get(f"/photos/{photo.id}").text
    assert "Rose</bdi></a> added photos to" in anna.get("/activity").text


@pytest.mark.usefixtures("may_add")
def test_where_the_album_does_not_ask_first_it_shows_at_once(
    house: House, rose: LintingClient, anna: LintingClient, brittany: str
) -> None:
    anna.send(f"/albums/{brittany}/edit", title=BRITTANY, choices="y")
    add(rose, brittany, A)
    work(house)
    assert [photo.state for photo in added(house)] == [PhotoState.READY]
    with house.database.reading() as session:
        album = session.get_one(Album, brittany)
        assert (album.ready, album.asks_first) == (4, False)


@pytest.mark.usefixtures("may_add")
def test_what_waits_is_nobodys_but_the_members(
    cast: Family, house: House, rose: LintingClient, anna: LintingClient, brittany: str
) -> None:
    """Not even whoever added it gets its bytes; it is in no count, no cover, no neighbour, nothing that is saved."""
    photo = cast.added(BRITTANY, "Rose")
    before = cast.photos[BRITTANY][-1]
    for rendition in ("grid", "screen", "full"):
        assert rose.get(photo_address(cast, photo, rendition, device=cast.people["Rose"].cookie)).status_code == 404
        assert anna.get(photo_address(cast, photo, rendition, member=cast.cookie)).status_code == 200
    assert rose.get(f"/shared/{brittany}/{photo}").status_code == 404
    assert photo not in rose.get(f"/shared/{brittany}/{before}").text.replace("take-back", "")
    assert rose.send(f"/shared/{brittany}/{photo}/heart", given="y").status_code == 404
    assert anna.send(f"/albums/{brittany}/cover", photo=photo).status_code == 404
    assert "3 photos." in rose.get(f"/shared/{brittany}").text
    with house.database.reading() as session:
        counts = media.count(session, album=brittany)
        assert (counts.ready, counts.awaiting) == (3, 1)
        album = session.get_one(Album, brittany)
        assert media.covers(session, albums=[album])[brittany].id != photo
        of_group = ingest.room_left(session, group=cast.owner.group, quota=10**9)
    anna.send(f"/albums/{brittany}/photos/delete", photo=photo)
    with house.database.reading() as session:
        assert ingest.room_left(session, group=cast.owner.group, quota=10**9) > of_group, "it took room"
        assert session.get_one(Album, brittany).ready == 3
    assert added(house) == []


def test_who_may_not_add_can_not(
    cast: Family, marcs: Family, house: House, browser_of: Callable[..., LintingClient], anna: LintingClient, brittany: str
) -> None:
    for name, status in (("Rose", 404), ("Jim", 404), ("Olga", 404), ("Egon", 410)):
        browser = browser_of(device=cast.people[name].cookie)
        assert add(browser, brittany, A).status_code == status
    assert "Add your own photos" not in browser_of(device=cast.people["Rose"].cookie).get(f"/shared/{brittany}").text
    rose = browser_of(device=cast.people["Rose"].cookie)
    anna.send(f"/grants/{cast.people['Rose'].grant}/adding", may_add="y")
    assert add(rose, brittany, A).status_code == 202
    anna.send(f"/grants/{cast.people['Rose'].grant}/adding")
    assert add(rose, brittany, B).status_code == 404
    assert len(added(house)) == 1
    marc = browser_of(member=marcs.cookie)
    assert marc.send(f"/albums/{brittany}/photos/yes", photo=added(house)[0].id).status_code == 404
    with house.database.reading() as session:
        lost = session.scalars(sa.select(Deletion.subject).where(Deletion.kind == "adding")).all()
        assert lost == [cast.people["Rose"].grant], "restoring an older backup does not give it back"


@pytest.mark.usefixtures("may_add")
def test_a_form_that_is_not_ours_adds_nothing(house: House, rose: LintingClient, brittany: str) -> None:
    answer = rose.post(f"/shared/{brittany}/photos", data={"files": (BytesIO(A), "a.jpg")}, headers=JSON)
    assert answer.status_code == 400
    answer = rose.post(
        f"/shared/{brittany}/photos",
        data={"csrf_token": rose.any_token(), "files": (BytesIO(A), "a.jpg")},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    assert answer.status_code == 404
    assert added(house) == []


@pytest.mark.usefixtures("may_add")
def test_each_guest_has_as_much_room_as_the_instance_gives(
    make_house: Callable[..., House], browser_of: Callable[..., LintingClient], rose: LintingClient, brittany: str, house: House
) -> None:
    small = make_house(KINFOLD_GUEST_QUOTA=str(len(A) + 100))
    client = LintingClient(create_app(small.settings, small))
    family = found(small, group_name="The Smalls", name="Anna", email="small@example.org")
    family.album(BRITTANY)
    june = family.share(BRITTANY, "June", may_add=True)
    client.set_cookie("kinfold_device", june.cookie, domain=client.domain)
    assert add(client, family.albums[BRITTANY].id, A).status_code == 202
    refused_with(add(client, family.albums[BRITTANY].id, B), 413, "no-room-for-guest")
    page = add(client, family.albums[BRITTANY].id, B, json=False)
    assert (page.status_code, "no room here for more photos from you" in page.text) == (413, True)
    assert len([photo for photo in added(small) if photo.album_id == family.albums[BRITTANY].id]) == 1


@pytest.mark.usefixtures("may_add")
def test_nobody_fills_an_album_with_what_members_have_to_look_at(
    house: House, rose: LintingClient, brittany: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ingest.rules.MOST_UNSEEN", 2)
    assert add(rose, brittany, A).status_code == 202
    assert add(rose, brittany, b"").status_code == 202
    refused_with(add(rose, brittany, b""), 413, "no-room-for-guest")
    refused_with(add(rose, brittany, B), 413, "no-room-for-guest")
    assert rose.send(f"/shared/{brittany}/{added(house)[1].id}/take-back").status_code == 303
    assert add(rose, brittany, B).status_code == 202


@pytest.mark.usefixtures("may_add")
def test_a_guest_takes_back_what_is_theirs_and_nothing_else(
    cast: Family, house: House, rose: LintingClient, brittany: str, browser_of: Callable[..., LintingClient]
) -> None:
    june = browser_of(device=cast.share(BRITTANY, "June", may_add=True).cookie)
    photo = cast.added(BRITTANY, "Rose")
    assert june.send(f"/shared/{brittany}/{photo}/take-back").status_code == 404
    assert rose.send(f"/shared/{brittany}/{cast.photos[BRITTANY][0]}/take-back").status_code == 404
    with house.database.writing() as session:
        session.get_one(Photo, photo).state = PhotoState.HELD
    assert rose.send(f"/shared/{brittany}/{photo}/take-back").status_code == 404, "evidence stays"
    with house.database.writing() as session:
        session.get_one(Photo, photo).state = PhotoState.AWAITING
    assert rose.send(f"/shared/{brittany}/{photo}/take-back").status_code == 303
    assert added(house) == []


@pytest.mark.usefixtures("may_add")
def test_what_can_not_be_used_is_told_to_whoever_added_it(house: House, rose: LintingClient, brittany: str) -> None:
    add(rose, brittany, b"no picture at all")
    work(house, NotDecoded("not-a-picture"))
    assert "This is neither a picture nor a video." in rose.get(f"/shared/{brittany}").text


@pytest.mark.usefixtures("may_add")
def test_a_member_who_adds_the_same_file_says_yes_to_it(
    cast: Family, house: House, rose: LintingClient, anna: LintingClient, brittany: str
) -> None:
    add(rose, brittany, A)
    work(house)
    data = {"csrf_token": anna.any_token(), "files": (BytesIO(A), "a.jpg")}
    told = anna.post(f"/albums/{brittany}/photos", data=data, headers=JSON).get_json()["photos"][0]
    assert (told["state"], told["duplicate"]) == ("ready", True)
    with house.database.reading() as session:
        photo = session.get_one(Photo, told["id"])
        assert (photo.state, photo.guest_id, photo.created_by) == (PhotoState.READY, None, cast.owner.id)


@pytest.mark.usefixtures("may_add")
def test_adding_is_told_once_an_hour(house: House, rose: LintingClient, brittany: str) -> None:
    add(rose, brittany, A)
    add(rose, brittany, B)
    with house.database.reading() as session:
        assert len(session.scalars(sa.select(Activity).where(Activity.kind == "guest-added-photos")).all()) == 1


def test_on_a_shared_tablet_it_is_asked_whose_photos_they_are(
    cast: Family, house: House, brittany: str, browser_of: Callable[..., LintingClient]
) -> None:
    june = cast.share(BRITTANY, "June", may_add=True)
    may = cast.share(BRITTANY, "May", may_add=True, open_it=False)
    tablet = browser_of(device=cast.enrol(may, cookie_digest(june.cookie)))
    assert "Who are you?" in tablet.get(f"/shared/{brittany}").text
    refused_with(add(tablet, brittany, A), 400, "who-missing")
    refused_with(add(tablet, brittany, A, guest=cast.people["Rose"].id), 400, "who-missing")
    assert add(tablet, brittany, A, guest=june.id).status_code == 202
    assert [photo.guest_id for photo in added(house)] == [june.id]
