"""Album and photo pages: their order, their turning, what they cost, captions and deleting."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from app.clock import HandClock
from app.house import House
from app.media import service as media
from app.media.models import PhotoState
from app.models import Photo
from tests.conftest import Family
from tests.lint import LintingClient
from tests.rows import SEEN, all_rows
from tests.web.conftest import BRITTANY, TOM, refused_with, work

NOON = datetime(2026, 8, 3, 12, 0)


def shown(page: str) -> list[str]:
    """The photos of a page, in its order."""
    lists = [part.split("</ul>")[0] for part in page.split('<ul class="grid')[1:]]
    return [link.split("?")[0].split('"')[0].rpartition("/")[2] for tiles in lists for link in tiles.split('<a href="')[1:]]


@contextmanager
def statements(house: House) -> Iterator[list[str]]:
    """What is asked of the database meanwhile."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if not statement.startswith("BEGIN"):
            asked.append(statement)

    event.listen(house.database.engine, "before_cursor_execute", note)
    yield asked
    event.remove(house.database.engine, "before_cursor_execute", note)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four photos a page."""
    monkeypatch.setattr(media.photo_page, "__kwdefaults__", {**media.photo_page.__kwdefaults__, "size": 4})


# --- order and turning


def test_photos_stand_in_the_order_in_which_they_were_taken_then_sent(
    smiths: Family, browser_of: Callable[..., LintingClient]
) -> None:
    album = smiths.album("Order").id
    late = smiths.photo("Order", NOON + timedelta(hours=2))
    early = smiths.photo("Order", NOON)
    same = [smiths.photo("Order", NOON + timedelta(hours=1)) for _ in range(3)]
    without = smiths.photo("Order")
    assert shown(browser_of(member=smiths.cookie).get(f"/albums/{album}").text) == [early, *same, late, without]


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("taken", ["all at once", "one after the other"])
def test_turning_pages_shows_every_photo_once_in_both_directions(
    smiths: Family, browser_of: Callable[..., LintingClient], taken: str
) -> None:
    album = smiths.album("Turning").id
    step = timedelta(minutes=0 if taken == "all at once" else 1)
    photos = [smiths.photo("Turning", NOON + number * step) for number in range(10)]
    rose = browser_of(device=smiths.share("Turning", "Rose").cookie)
    for browser, address in ((browser_of(member=smiths.cookie), f"/albums/{album}"), (rose, f"/shared/{album}")):
        pages, following = [], address
        while following:
            text = browser.get(following).text
            pages.append(shown(text))
            following = text.split('rel="next"')[0].rpartition('href="')[2].split('"')[0] if 'rel="next"' in text else ""
        assert pages == [photos[0:4], photos[4:8], photos[8:10]]
        back = text.split('rel="prev"')[0].rpartition('href="')[2].split('"')[0]
        text = browser.get(back).text
        assert shown(text) == photos[4:8]
        back = text.split('rel="prev"')[0].rpartition('href="')[2].split('"')[0]
        text = browser.get(back).text
        assert shown(text) == photos[0:4]
        assert 'rel="prev"' not in text


@pytest.mark.usefixtures("small_pages")
def test_a_page_that_was_marked_by_a_deleted_photo_leads_to_the_beginning(
    smiths: Family, browser_of: Callable[..., LintingClient]
) -> None:
    album, anna = smiths.album("Turning").id, browser_of(member=smiths.cookie)
    photos = [smiths.photo("Turning", NOON) for _ in range(6)]
    rose = browser_of(device=smiths.share("Turning", "Rose").cookie)
    anna.send(f"/photos/{photos[3]}/delete")
    for browser, address in ((anna, f"/albums/{album}"), (rose, f"/shared/{album}")):
        for cursor in (f"?after={photos[3]}", f"?before={photos[3]}", "?after=garbage", "?before=", f"?after={photos[5]}"):
            answer = browser.get(address + cursor)
            assert answer.status_code == 200 or answer.headers["Location"] == address, cursor
            assert browser.get(address + cursor, follow_redirects=True).status_code == 200


@pytest.mark.parametrize("state", [PhotoState.AWAITING, PhotoState.HELD])
def test_where_a_photo_stands_that_is_not_shown_is_told_to_nobody(
    cast: Family, house: House, rose: LintingClient, brittany: str, state: PhotoState
) -> None:
    """Rose could find out when the others were taken: by adding some with times of her choice."""
    middle = cast.photos[BRITTANY][1]
    with house.database.writing() as session:
        session.get_one(Photo, middle).state = state
    for cursor in (f"?after={middle}", f"?before={middle}"):
        assert rose.get(f"/shared/{brittany}{cursor}").headers["Location"] == f"/shared/{brittany}"


@pytest.mark.usefixtures("small_pages")
def test_a_cursor_is_a_photo_and_never_a_date(smiths: Family, browser_of: Callable[..., LintingClient]) -> None:
    album = smiths.album("Turning").id
    photos = [smiths.photo("Turning", NOON) for _ in range(5)]
    rose = browser_of(device=smiths.share("Turning", "Rose").cookie)
    assert f"after={photos[3]}" in rose.get(f"/shared/{album}").text


def test_previous_and_next_follow_the_order_of_the_album(
    cast: Family, anna: LintingClient, rose: LintingClient, brittany: str
) -> None:
    first, middle, last = cast.photos[BRITTANY]
    for browser, address in ((anna, "/photos/"), (rose, f"/shared/{brittany}/")):
        page = browser.get(address + middle).text
        assert f'rel="prev" href="{address}{first}"' in page
        assert f'rel="next" href="{address}{last}"' in page
        assert 'rel="prev"' not in browser.get(address + first).text
        assert 'rel="next"' not in browser.get(address + last).text
        assert f"#photo-{middle}" in page


# --- what a page costs


@pytest.mark.usefixtures("small_pages")
def test_an_album_page_asks_the_same_few_things_however_much_there_is(
    smiths: Family, browser_of: Callable[..., LintingClient]
) -> None:
    album = smiths.album("Cost").id
    anna, rose = browser_of(member=smiths.cookie), browser_of(device=smiths.share("Cost", "Rose").cookie)

    def cost(browser: LintingClient, address: str) -> int:
        browser.get(address)
        with statements(smiths.house) as asked:
            assert browser.get(address).status_code == 200
        assert len(asked) <= 7, "\n".join(asked)
        return len(asked)

    first = [cost(anna, f"/albums/{album}")], [cost(rose, f"/shared/{album}")]
    photos = [smiths.photo("Cost", NOON) for _ in range(9)]
    for name in ("Jim", "June"):
        smiths.share("Cost", name)
    first[0].append(cost(anna, f"/albums/{album}"))
    first[1].append(cost(rose, f"/shared/{album}"))
    assert [max(costs) - min(costs) for costs in first] == [0, 0], f"the number of statements changes: {first}"
    further = [
        cost(rose, f"/shared/{album}?{turn}") for turn in (f"after={photos[2]}", f"before={photos[7]}", f"after={photos[6]}")
    ]
    assert further == [first[1][0] + 1] * 3, "where a page begins is one more question"
    cost(anna, f"/albums/{album}?after={photos[2]}")


def test_an_album_page_stays_cheap_while_photos_are_prepared_and_refused(
    cast: Family, anna: LintingClient, brittany: str
) -> None:
    cast.upload(BRITTANY, b"waiting")
    cast.upload(BRITTANY, b"")
    anna.get(f"/albums/{brittany}")
    with statements(cast.house) as asked:
        assert "1 file could not be used" in anna.get(f"/albums/{brittany}").text
    assert len(asked) <= 6, "\n".join(asked)


def test_the_lists_of_albums_cost_the_same_however_many_there_are(
    smiths: Family, browser_of: Callable[..., LintingClient]
) -> None:
    smiths.album("First")
    smiths.photo("First")
    june = smiths.share("First", "June")
    anna, guest = browser_of(member=smiths.cookie), browser_of(device=june.cookie)

    def cost(browser: LintingClient, address: str) -> int:
        browser.get(address)
        with statements(smiths.house) as asked:
            browser.get(address)
        return len(asked)

    before = [cost(anna, "/albums"), cost(guest, "/shared"), cost(anna, "/people"), cost(anna, f"/people/{june.id}")]
    for number in range(5):
        smiths.album(f"More {number}")
        smiths.photo(f"More {number}")
        anna.send(f"/people/{june.id}/grants", album=smiths.albums[f"More {number}"].id)
        smiths.share(f"More {number}", f"Guest {number}")
    after = [cost(anna, "/albums"), cost(guest, "/shared"), cost(anna, "/people"), cost(anna, f"/people/{june.id}")]
    assert after == before


# --- captions


def test_a_caption_is_written_changed_and_taken_away(
    cast: Family, anna: LintingClient, rose: LintingClient, brittany: str
) -> None:
    photo = cast.photos[BRITTANY][0]
    for words in ("Low tide <3\r\nwith Lena", "High tide"):
        assert anna.send(f"/photos/{photo}/caption", caption=words).headers["Location"] == f"/photos/{photo}"
        expected = words.replace("<", "&lt;").replace("\r\n", "\n")
        assert expected in rose.get(f"/shared/{brittany}/{photo}").text
    assert 'alt="High tide"' in rose.get(f"/shared/{brittany}").text
    anna.send(f"/photos/{photo}/caption", caption=" ")
    page = rose.get(f"/shared/{brittany}/{photo}").text
    assert "figcaption" not in page and 'alt="Photo 1 of 3, ' in page
    refused_with(anna.send(f"/photos/{photo}/caption", json=True, caption="x" * 501), 400, "caption-too-long")


def test_words_that_a_member_wrote_lie_sealed_in_the_database(cast: Family, anna: LintingClient) -> None:
    anna.send(f"/photos/{cast.photos[BRITTANY][0]}/caption", caption="a canary on the beach")
    anna.send("/albums", title="a canary in the title", description="a canary below")
    cast.house.database.flatten()
    rows = repr(all_rows(cast.house.database))
    assert "canary" not in rows
    if cast.house.settings.embedded:
        assert b"canary" not in (cast.house.settings.data / "kinfold.sqlite3").read_bytes()


# --- deleting


def test_one_photo_is_deleted_for_everybody(cast: Family, anna: LintingClient, rose: LintingClient, brittany: str) -> None:
    photo = cast.photos[BRITTANY][1]
    work(cast.house)
    before = len(list(cast.house.storage.list(f"albums/{brittany}/")))
    assert anna.send(f"/photos/{photo}/delete").headers["Location"] == f"/albums/{brittany}"
    assert rose.get(f"/shared/{brittany}/{photo}").status_code == 404
    assert anna.get(f"/photos/{photo}").status_code == 404
    work(cast.house)
    assert len(list(cast.house.storage.list(f"albums/{brittany}/"))) == before - 3


def test_a_selection_is_deleted_and_only_from_its_album(cast: Family, marcs: Family, anna: LintingClient, brittany: str) -> None:
    assert cast.photos[BRITTANY][0] in anna.get(f"/albums/{brittany}?select=1").text
    chosen = [*cast.photos[BRITTANY][:2], cast.photos[TOM][0], marcs.photos["Alps"][0], "garbage"]
    answer = anna.send(f"/albums/{brittany}/photos/delete", json=True, photo=chosen)
    assert answer.get_json() == {"deleted": 2}
    with cast.house.database.reading() as session:
        left = set(session.scalars(sa.select(Photo.id)))
    assert left == {cast.photos[BRITTANY][2], cast.photos[TOM][0], marcs.photos["Alps"][0]}


def test_deleting_twice_or_nothing_is_no_mistake(cast: Family, anna: LintingClient, brittany: str) -> None:
    photo = cast.photos[BRITTANY][0]
    assert anna.send(f"/albums/{brittany}/photos/delete", photo=[photo]).status_code == 303
    before = all_rows(cast.house.database, without=SEEN)
    assert anna.send(f"/albums/{brittany}/photos/delete", photo=[photo]).status_code == 303
    assert anna.send(f"/albums/{brittany}/photos/delete").status_code == 303
    assert anna.send(f"/photos/{photo}/delete").status_code == 404
    assert all_rows(cast.house.database, without=SEEN) == before


def test_numbers_are_not_given_twice_after_deleting_in_the_middle(cast: Family, anna: LintingClient) -> None:
    anna.send(f"/photos/{cast.photos[BRITTANY][0]}/delete")
    new = cast.photo(BRITTANY, NOON + timedelta(days=400))
    with cast.house.database.reading() as session:
        assert session.get_one(Photo, new).number == 4


# --- what a page says


def tells_no_date(page: str) -> bool:
    """Whether neither page nor any address in it says when, or from what file."""
    return not any(sign in page for sign in ("IMG_", "August", "2026-08", "12:00", "Monday"))


def test_days_that_are_hidden_are_nowhere_on_a_guests_pages(
    cast: Family, rose: LintingClient, anna: LintingClient, brittany: str
) -> None:
    photo = cast.photo(BRITTANY, NOON)
    pages = (f"/shared/{brittany}", f"/shared/{brittany}?after={photo}", f"/shared/{brittany}/{photo}")
    assert not any(tells_no_date(rose.get(page, follow_redirects=True).text) for page in (pages[0], pages[2]))
    assert tells_no_date(rose.get("/shared").text)
    anna.send(f"/albums/{brittany}/edit", title=BRITTANY, choices="y", hides_days="y")
    assert all(tells_no_date(rose.get(page).text) for page in pages)
    assert 'alt="Photo 1 of 4"' in rose.get(pages[0]).text and "Photo 1 of 4" in rose.get(pages[2]).text
    assert "Monday 3 August" in anna.get(f"/albums/{brittany}").text, "members still see them"


def headings(page: str) -> list[str]:
    return [part.split("</h2>")[0].split(">")[-1].strip() for part in page.split('<section class="of-day')[1:] if "<h2" in part]


def test_photos_stand_under_their_days(smiths: Family, browser_of: Callable[..., LintingClient]) -> None:
    album = smiths.album("Days").id
    for number in (0, 1, 24, 25, 26):
        smiths.photo("Days", NOON + timedelta(hours=number))
    rose = browser_of(device=smiths.share("Days", "Rose").cookie)
    page = rose.get(f"/shared/{album}").text
    assert headings(page) == ["Monday 3 August", "Tuesday 4 August"]
    assert 'alt="Photo 3 of 5, Tuesday 4 August"' in page


@pytest.mark.usefixtures("small_pages")
def test_a_day_that_goes_on_says_so_on_both_pages(smiths: Family, browser_of: Callable[..., LintingClient]) -> None:
    album = smiths.album("Days").id
    photos = [smiths.photo("Days", NOON + timedelta(minutes=number)) for number in range(6)]
    anna = browser_of(member=smiths.cookie)
    first, second = anna.get(f"/albums/{album}").text, anna.get(f"/albums/{album}?after={photos[3]}").text
    assert "goes-on" in first and "goes-on" not in second
    assert 'class="again"' in second and 'class="again"' not in first
    assert 'data-place="5"' in second and 'alt="Photo 5 of 6, Monday 3 August"' in second


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("hides_days", [False, True])
def test_what_is_new_since_the_last_visit_comes_first(
    smiths: Family, browser_of: Callable[..., LintingClient], clock: HandClock, hides_days: bool
) -> None:
    album = smiths.album("News").id
    if hides_days:
        browser_of(member=smiths.cookie).send(f"/albums/{album}/edit", title="News", choices="y", hides_days="y")
    old = [smiths.photo("News", NOON + timedelta(minutes=10 * number)) for number in range(6)]
    rose = browser_of(device=smiths.share("News", "Rose").cookie)
    show(smiths, old, clock.now())
    assert shown(rose.get(f"/shared/{album}").text) == old[:4], "nothing is new at the first visit"
    clock.move(timedelta(days=3))
    new = [smiths.photo("News", NOON + timedelta(minutes=minutes)) for minutes in (5, 15, 25, 35, 45)]
    show(smiths, new, clock.now())
    assert "5 new" in rose.get("/shared").text
    for _ in range(2):  # a reload is the same visit
        page = rose.get(f"/shared/{album}").text
        assert shown(page) == new[:4]
        assert ("New since you were here last" if hides_days else "New since Sunday 22 November") in headings(page)[0]
    assert "new</strong>" not in rose.get("/shared").text
    order = [*new, *old]
    for start in range(4, 11, 4):
        page = rose.get(f"/shared/{album}?after={order[start - 1]}").text
        assert shown(page) == order[start : start + 4]
        assert f'data-place="{start + 1}"' in page
    assert shown(rose.get(f"/shared/{album}?before={order[6]}").text) == order[2:6], (
        "from what was there before back to what is new"
    )
    photo = rose.get(f"/shared/{album}/{new[4]}").text
    assert f"/{old[0]}" in photo.split('rel="next"')[1] and "5 of 11" in photo
    clock.move(timedelta(hours=2))
    in_order = [old[0], new[0], old[1], new[1]]
    assert shown(rose.get(f"/shared/{album}").text) == in_order, "at the next visit they have been seen"


def show(family: Family, photos: list[str], at: datetime) -> None:
    """Say since when these photos can be seen."""
    with family.house.database.writing() as session:
        session.execute(sa.update(Photo).where(Photo.id.in_(photos)).values(shown_at=at))


def test_roses_pages_say_until_when_and_from_whom(rose: LintingClient, brittany: str) -> None:
    page = " ".join(rose.get(f"/shared/{brittany}").text.split())
    assert "From <bdi>Anna</bdi>" in page
    assert "You can see this until 22 December." in page
    assert "from <bdi>Anna</bdi>, until 22 December" in " ".join(rose.get("/shared").text.split())


def test_photos_have_their_shape_before_they_load(rose: LintingClient, brittany: str) -> None:
    page = rose.get(f"/shared/{brittany}").text
    assert page.count('width="64" height="48"') == 3
    assert page.count("data-thumbhash") == 3


def test_the_photos_of_the_first_screen_wait_for_nothing(rose: LintingClient, cast: Family, brittany: str) -> None:
    for _ in range(3):
        cast.photo(BRITTANY)
    page = rose.get(f"/shared/{brittany}").text
    assert re.findall(r'(?:fetchpriority|loading)="(high|low|lazy)"', page.split("</head>")[1]) == [
        *["high"] * 2,  # at once
        *["low"] * 2,  # as soon as there is room
        *["low", "lazy"] * 2,  # behind them
    ]


def test_annas_page_says_who_can_see_the_album(anna: LintingClient, cast: Family, clock: HandClock) -> None:
    page = anna.get(f"/albums/{cast.albums[BRITTANY].id}").text
    assert "Rose" in page and "Olga" not in page and "Egon" not in page
