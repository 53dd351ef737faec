"""A school: nobody is lost among two thousand people, and no page asks more of the database than a family's does."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.clock import HandClock
from app.house import House
from app.ingest import service as ingest
from app.ingest.service import Taken
from app.media import service as media
from app.media.models import Photo, PhotoState
from app.sharing import rules
from app.sharing.models import Grant, Guest
from tests.conftest import Family
from tests.lint import LintingClient
from tests.web.test_album_pages import statements

JSON = {"Accept": "application/json"}
PERSON = re.compile(r'href="/people/(\w{26})"')
OFFERED = re.compile(r'name="guest" id="guest-\w+" value="(\w{26})"')


def add_guests(family: Family, *names: str, album: str = "") -> dict[str, str]:
    """People of a family, one added after the other, who may see an album if it is named: names and ids."""
    at = family.house.clock.now()
    with family.house.database.writing() as session:
        rows = [
            Guest(group_id=family.owner.group, name=name, created_at=at, shared_at=at + timedelta(seconds=number))
            for number, name in enumerate(names)
        ]
        session.add_all(rows)
        session.flush()
        if album:
            given = {
                "album_id": family.albums[album].id,
                "may_save": False,
                "created_at": at,
                "expires_at": at + timedelta(days=9),
            }
            session.add_all(Grant(guest_id=row.id, **given) for row in rows)
        return {row.name: row.id for row in rows}


@pytest.fixture
def anna(smiths: Family, browser_of: Callable[..., LintingClient]) -> LintingClient:
    return browser_of(member=smiths.cookie)


# --- people, a page at a time


def test_people_are_turned_like_the_pages_of_a_book(smiths: Family, anna: LintingClient) -> None:
    guests = add_guests(smiths, *(f"Guest {number:03d}" for number in reversed(range(120))))
    in_order = [guests[name] for name in sorted(guests)]
    seen, address = [], "/people"
    for size in (50, 50, 20):
        page = anna.get(address).text
        assert len(PERSON.findall(page)) == size
        seen += PERSON.findall(page)
        onward = re.search(r'href="([^"]+)" rel="next"', page)
        address = onward[1] if onward else ""
    assert (seen, address) == (in_order, "")
    assert "Guest" not in "".join(re.findall(r"after=([^\"&]+)", page)), "names are in no address"


def test_who_has_the_same_name_is_not_skipped(smiths: Family, anna: LintingClient) -> None:
    guests = [*add_guests(smiths, "Rose").values(), *(add_guests(smiths, "ROSE")["ROSE"] for _ in range(60))]
    first = anna.get("/people").text
    second = anna.get(f"/people?after={PERSON.findall(first)[-1]}").text
    assert sorted(PERSON.findall(first) + PERSON.findall(second)) == sorted(guests)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("zoe", {"Zoë Müller", "ZOE"}),
        ("ZOË", {"Zoë Müller", "ZOE"}),
        ("  muller ", {"Zoë Müller", "Jürgen Mueller-Müller"}),
        ("strasse", {"Anna Straße"}),
        ("%", {"100 % Tom"}),
        ("_", {"a_b"}),
        ("\\", set()),
        ("nobody", set()),
    ],
)
def test_names_are_found_without_their_accents_and_case(
    smiths: Family, anna: LintingClient, wanted: str, found: set[str]
) -> None:
    add_guests(smiths, "Zoë Müller", "ZOE", "Jürgen Mueller-Müller", "Anna Straße", "100 % Tom", "a_b", "Rose")
    listed = anna.get("/people", query_string={"q": wanted}, headers=JSON).get_json()
    assert {each["name"] for each in listed["people"]} == found
    page = anna.get("/people", query_string={"q": wanted}).text
    assert len(PERSON.findall(page)) == len(found)
    assert ("Nobody here has" in page) is (not found)


def test_scripts_get_five_hundred_and_where_it_goes_on(smiths: Family, anna: LintingClient) -> None:
    guests = add_guests(smiths, *(f"Guest {number:03d}" for number in range(501)))
    first = anna.get("/people", headers=JSON).get_json()
    assert (len(first["people"]), set(first["people"][0])) == (500, {"id", "name"})
    last = anna.get(first["next"], headers=JSON).get_json()
    assert last == {"people": [{"id": guests["Guest 500"], "name": "Guest 500"}], "next": None}


def test_a_place_that_is_gone_or_of_others_leads_to_the_beginning(smiths: Family, marcs: Family, anna: LintingClient) -> None:
    add_guests(smiths, "Rose")
    theirs = add_guests(marcs, "Aaron")["Aaron"]
    for after in (theirs, "a" * 26):
        assert anna.get(f"/people?after={after}&q=ro").headers["Location"] == "/people?q=ro"


def test_another_name_is_found_at_once(smiths: Family, anna: LintingClient) -> None:
    rose = add_guests(smiths, "Rose")["Rose"]
    anna.send(f"/people/{rose}/edit", name="Grandmère")
    assert anna.get("/people?q=grandmere", headers=JSON).get_json()["people"] == [{"id": rose, "name": "Grandmère"}]
    assert anna.get("/people?q=rose", headers=JSON).get_json()["people"] == []


# --- sharing with one of many


def test_a_family_of_ten_is_one_tap_away(smiths: Family, anna: LintingClient) -> None:
    album = smiths.album("Brittany 2026").id
    guests = add_guests(smiths, *(f"Guest {number}" for number in range(10)))
    page = anna.get(f"/albums/{album}/share").text
    assert set(OFFERED.findall(page)) == set(guests.values())
    assert 'type="search"' not in page


def test_the_latest_are_offered_and_the_others_are_found(smiths: Family, anna: LintingClient, clock: HandClock) -> None:
    share = f"/albums/{smiths.album('Brittany 2026').id}/share"
    guests = add_guests(smiths, *(f"Guest {number:02d}" for number in range(40)))
    clock.move(timedelta(days=1))
    anna.send(share, guest=guests["Guest 05"])
    page = anna.get(share).text
    assert OFFERED.findall(page) == [guests["Guest 05"], *(guests[f"Guest {number}"] for number in range(39, 28, -1))]
    assert OFFERED.findall(anna.get(f"{share}?q=guest+17").text) == [guests["Guest 17"]]
    nobody = anna.get(f"{share}?q=Rose").text
    assert "Nobody here has" in nobody and 'value="Rose"' in nobody.split('id="name"')[1].split(">")[0]


def test_a_name_that_is_known_is_asked_about_among_many_too(smiths: Family, anna: LintingClient) -> None:
    share = f"/albums/{smiths.album('Brittany 2026').id}/share"
    guests = add_guests(smiths, "Zoë", *(f"Guest {number:02d}" for number in range(40)))
    asked = anna.send(share, guest="", name="zoe")
    assert asked.status_code == 400
    assert OFFERED.findall(asked.text)[0] == guests["Zoë"], "she is offered, though not among the latest"


# --- what pages cost


def test_no_page_asks_more_of_the_database_for_more_people_and_photos(
    smiths: Family, anna: LintingClient, house: House, clock: HandClock
) -> None:
    album = smiths.album("Brittany 2026").id
    smiths.photo("Brittany 2026")
    rose = smiths.share("Brittany 2026", "Rose").id
    pages = (
        "/albums",
        f"/albums/{album}",
        f"/albums/{album}/share",
        "/people",
        f"/people/{rose}",
        "/people?q=ro",
        "/members",
        "/activity",
    )

    def costs() -> dict[str, int]:
        found = {}
        for page in pages:
            anna.get(page)
            with statements(house) as asked:
                assert anna.get(page).status_code == 200, page
            found[page] = len(asked)
        return found

    before = costs()
    for _ in range(4):
        smiths.photo("Brittany 2026")
    for number in range(3):
        smiths.share("Brittany 2026", f"Rosa {number}")
    add_guests(smiths, *(f"Guest {number}" for number in range(100)), album="Brittany 2026")
    clock.move(timedelta(minutes=1))
    assert costs() == before
    assert max(before.values()) <= 10, before


# --- what is counted beforehand is true


def counted_and_true(family: Family, title: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """How many photos are ready and how many bytes the group has left, as we count and as it is."""
    house, album = family.house, family.albums[title].id
    with house.database.reading() as session:
        ready = sa.select(sa.func.count()).where(Photo.album_id == album, Photo.state == PhotoState.READY)
        stored = sa.select(sa.func.coalesce(sa.func.sum(Photo.stored), 0)).where(Photo.group_id == family.owner.group)
        counted = media.count(session, album=album).ready, ingest.room_left(session, group=family.owner.group, quota=10**9)
        return counted, (session.scalars(ready).one(), 10**9 - int(session.scalars(stored).one()))


def test_the_counts_stay_true_whatever_happens_to_photos(cast: Family, house: House, clock: HandClock) -> None:
    title = "Brittany 2026"

    def take(photo: str) -> Taken:
        with house.database.writing() as session:
            waiting = ingest.take(session, photo=photo, master=house.master, jobs=house.jobs, at=clock.now())
        assert waiting is not None
        return waiting

    def delete(*photos: str) -> int:
        with house.database.writing() as session:
            album = cast.albums[title].id
            return media.delete_photos(session, cast.owner, album=album, photos=photos, jobs=house.jobs, at=clock.now())

    def check(ready: int) -> None:
        counted, true = counted_and_true(cast, title)
        assert counted == true and counted[0] == ready

    check(3)
    waiting = cast.upload(title, b"a picture on its way")
    check(3)
    refused = take(cast.upload(title, b"something else"))
    with house.database.writing() as session:
        ingest.refuse(session, waiting=refused, reason="failed", jobs=house.jobs, at=clock.now())
    check(3)
    assert delete(cast.photos[title][0], waiting, cast.photos["Tom is six"][0]) == 2
    check(2)
    assert delete(cast.photos[title][0]) == 0, "a second tap"
    check(2)
    with house.database.writing() as session:
        photo = session.get_one(Photo, refused.photo)
        ingest.retry(session, photo=photo, jobs=house.jobs, at=clock.now())
    check(2)
    assert delete(refused.photo) == 1
    check(2)
    cast.photo(title)
    check(3)


def test_the_counts_are_true_again_after_photos_went_another_way(cast: Family, house: House) -> None:
    with house.database.writing() as session:
        session.execute(sa.delete(Photo).where(Photo.id == cast.photos["Brittany 2026"][0]))
        media.count_again(session)
    for title, ready in (("Brittany 2026", 2), ("Tom is six", 1)):
        counted, true = counted_and_true(cast, title)
        assert counted == true and counted[0] == ready


def test_what_names_are_compared_by() -> None:
    folded = {name: rules.folded(name) for name in ("Zoë", "ZOE", "Straße", "İpek", "Ŵyn", "ﬁona", "𝐑ose", "Сергей", "")}
    assert folded == {
        "Zoë": "zoe",
        "ZOE": "zoe",
        "Straße": "strasse",
        "İpek": "ipek",
        "Ŵyn": "wyn",
        "ﬁona": "fiona",
        "𝐑ose": "rose",
        "Сергей": "сергеи",
        "": "",
    }
