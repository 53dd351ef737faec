"""Albums: made, changed, given a cover, deleted."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from app.models import Album, Photo, Rendition
from tests.conftest import Family
from tests.lint import LintingClient
from tests.rows import SEEN, all_rows
from tests.web.conftest import BRITTANY, TOM, refused_with, work


def test_anna_makes_an_album(anna: LintingClient) -> None:
    answer = anna.send("/albums", title="  Picnic\t& \u202ekites ", description="By the\r\n\r\nriver ")
    assert answer.status_code == 303
    page = anna.get(answer.headers["Location"]).text
    assert "Picnic &amp; kites" in page
    assert "By the\n\nriver" in page
    assert "An empty page" in page


def test_a_script_makes_an_album_and_finds_it(anna: LintingClient) -> None:
    answer = anna.send("/albums", json=True, title="Picnic")
    assert answer.status_code == 201
    albums = anna.get("/albums", headers={"Accept": "application/json"}).get_json()["albums"]
    assert albums[0] == {"id": answer.get_json()["id"], "title": "Picnic"}
    assert {each["title"] for each in albums} == {"Picnic", BRITTANY, TOM}, "and no other family's"


@pytest.mark.parametrize("title", ["", "   ", "\u202e\u200b"])
def test_an_album_needs_a_title(cast: Family, anna: LintingClient, title: str) -> None:
    before = all_rows(cast.house.database, without=SEEN)
    refused_with(anna.send("/albums", json=True, title=title), 400, "title-missing")
    page = anna.send("/albums", title=title)
    assert (page.status_code, "Please give the album a title." in page.text) == (400, True)
    assert all_rows(cast.house.database, without=SEEN) == before


def test_anna_renames_and_describes_an_album(anna: LintingClient, brittany: str) -> None:
    assert BRITTANY in anna.get(f"/albums/{brittany}/edit").text
    answer = anna.send(f"/albums/{brittany}/edit", title="Normandy", description="It was Normandy")
    assert answer.headers["Location"] == f"/albums/{brittany}"
    page = anna.get(f"/albums/{brittany}").text
    assert "It was Normandy" in page and BRITTANY not in page
    wrong = anna.send(f"/albums/{brittany}/edit", title="", description="")
    assert (wrong.status_code, "Please give the album a title." in wrong.text) == (400, True)


def test_an_album_is_deleted_only_with_its_title_typed(cast: Family, anna: LintingClient, brittany: str) -> None:
    page = anna.get(f"/albums/{brittany}/edit").text
    assert "3 photos disappear" in page
    before = all_rows(cast.house.database, without=SEEN)
    for typed in ("", "Brittany", "delete"):
        answer = anna.send(f"/albums/{brittany}/delete", confirm=typed)
        assert (answer.status_code, "Nothing was deleted" in answer.text or "type" in answer.text) == (400, True)
    assert all_rows(cast.house.database, without=SEEN) == before


def test_a_deleted_album_is_gone_with_its_keys_and_files(
    cast: Family, anna: LintingClient, rose: LintingClient, brittany: str
) -> None:
    work(cast.house)
    assert list(cast.house.storage.list(f"albums/{brittany}/"))
    assert anna.send(f"/albums/{brittany}/delete", confirm=" brittany 2026 ").status_code == 303
    with cast.house.database.reading() as session:
        assert session.get(Album, brittany) is None
        assert not session.scalars(sa.select(Photo.id).where(Photo.album_id == brittany)).all()
        assert len(session.scalars(sa.select(Rendition.photo_id)).all()) == 2 * 3, "Tom's and the other family's"
    work(cast.house)
    assert not list(cast.house.storage.list(f"albums/{brittany}/"))
    assert anna.get(f"/albums/{brittany}").status_code == 404
    assert rose.get(f"/shared/{brittany}").status_code == 404


def test_the_cover_is_the_first_photo_until_one_is_chosen(cast: Family, anna: LintingClient, brittany: str) -> None:
    first, second, _ = cast.photos[BRITTANY]

    def cover() -> str:
        card = anna.get("/albums").text.split(f'href="/albums/{brittany}"')[1].split("</a>")[0]
        return next(photo for photo in cast.photos[BRITTANY] if photo in card)

    assert cover() == first
    assert anna.send(f"/albums/{brittany}/cover", photo=second).status_code == 303
    assert cover() == second
    assert "This is the cover" in anna.get(f"/photos/{second}").text
    anna.send(f"/photos/{second}/delete")
    assert cover() == first, "a cover that is gone is not used"


def test_a_photo_of_another_album_is_no_cover(cast: Family, anna: LintingClient, marcs: Family, brittany: str) -> None:
    for photo in (cast.photos[TOM][0], marcs.photos["Alps"][0], cast.upload(BRITTANY, b"not ready"), "x"):
        assert anna.send(f"/albums/{brittany}/cover", photo=photo).status_code == 404
    refused_with(anna.send(f"/albums/{brittany}/cover", json=True), 400, "nothing-chosen")


def test_the_list_says_how_many_photos_and_people(cast: Family, anna: LintingClient) -> None:
    cast.upload(BRITTANY, b"still waiting")
    page = " ".join(anna.get("/albums").text.split())
    assert "3 photos, 1 being prepared · shared with 1 person" in page


def test_a_first_visitor_finds_an_empty_house_that_says_what_to_do(
    smiths: Family, browser_of: Callable[..., LintingClient]
) -> None:
    browser = browser_of(member=smiths.cookie)
    assert "Your first album" in browser.get("/albums").text
    assert "Nobody yet" in browser.get("/people").text


CHOICES = ("hides_days", "shows_answers", "takes_voice", "asks_first")


def chosen(family: Family) -> set[str]:
    with family.house.database.reading() as session:
        album = session.get_one(Album, family.albums[BRITTANY].id)
        return {name for name in CHOICES if getattr(album, name)}


def test_what_the_owners_of_an_album_choose_is_kept_and_shown(cast: Family, anna: LintingClient, brittany: str) -> None:
    assert chosen(cast) == {"asks_first"}
    for wanted in (set(CHOICES), {"takes_voice"}, set()):
        anna.send(f"/albums/{brittany}/edit", title=BRITTANY, choices="y", **dict.fromkeys(wanted, "y"))
        assert chosen(cast) == wanted
        page = anna.get(f"/albums/{brittany}/edit").text
        assert {name for name in CHOICES if f'id="{name}" value="y" checked' in page} == wanted


def test_a_form_that_does_not_ask_for_choices_changes_none(cast: Family, anna: LintingClient, brittany: str) -> None:
    anna.send(f"/albums/{brittany}/edit", title="Brittany", description="By the sea")
    assert chosen(cast) == {"asks_first"}


def test_a_mistake_loses_no_choice(cast: Family, anna: LintingClient, brittany: str) -> None:
    page = anna.send(f"/albums/{brittany}/edit", title="", choices="y", hides_days="y").text
    assert 'id="hides_days" value="y" checked' in page and 'id="asks_first" value="y" checked' not in page
    assert chosen(cast) == {"asks_first"}
