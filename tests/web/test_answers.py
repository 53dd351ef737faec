"""Hearts, notes and voices: who says what as whom, who sees it, and what a guest can't do."""

from collections.abc import Callable
from datetime import timedelta
from io import BytesIO

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from app.answers import rules
from app.clock import HandClock
from app.house import House
from app.ingest import service as ingest
from app.models import Activity, Deletion, Heart, Note, Removal, Voice
from app.security.tokens import cookie_digest
from app.sharing import service as sharing
from tests.conftest import Family
from tests.lint import LintingClient
from tests.made_films import film
from tests.web.conftest import BRITTANY, TOM

WORDS = "The lighthouse! See http://evil.example/x \u202eabc"


@pytest.fixture
def photo(cast: Family) -> str:
    return cast.photos[BRITTANY][0]


@pytest.fixture
def at(brittany: str, photo: str) -> str:
    """The address of a photo that Rose may see."""
    return f"/shared/{brittany}/{photo}"


@pytest.fixture
def june(cast: Family, browser_of: Callable[..., LintingClient]) -> LintingClient:
    """Another guest of the same album."""
    return browser_of(device=cast.share(BRITTANY, "June").cookie)


@pytest.fixture
def tablet(cast: Family, house: House, browser_of: Callable[..., LintingClient]) -> LintingClient:
    """One browser of two guests of the same album: Rose and June."""
    june = cast.share(BRITTANY, "June", open_it=False)
    return browser_of(device=cast.enrol(june, cookie_digest(cast.people["Rose"].cookie)))


def rows(house: House, table: type[Heart] | type[Note] | type[Voice]) -> list[tuple[str, str]]:
    """Who said something about which photo."""
    with house.database.reading() as session:
        return [(row.guest_id, row.photo_id) for row in session.scalars(sa.select(table).order_by(table.at))]


def note_of(house: House) -> str:
    with house.database.reading() as session:
        return session.scalars(sa.select(Note.id)).one()


def shows_answers(cast: Family, anna: LintingClient, **choices: str) -> None:
    edit = f"/albums/{cast.albums[BRITTANY].id}/edit"
    assert anna.send(edit, title=BRITTANY, choices="y", **choices).status_code == 303


def speak(browser: LintingClient, at: str, recording: bytes, **fields: str) -> TestResponse:
    data = {"csrf_token": browser.any_token(), **fields, "voice": (BytesIO(recording), "voice")}
    return browser.post(f"{at}/voices", data=data)


def recording(cut: int | None = None) -> bytes:
    return film("-map", "1:a", "-c:a", "libopus", ending="webm")[:cut]


# --- hearts ----------------------------------------------------------------------------------------------------------


def test_a_heart_is_given_with_one_tap_and_taken_back_with_the_next(
    cast: Family, house: House, rose: LintingClient, anna: LintingClient, at: str, photo: str
) -> None:
    guest = cast.people["Rose"].id
    for _ in range(2):  # tapped twice, it is one
        answer = rose.send(f"{at}/heart", given="y")
        assert (answer.status_code, answer.location) == (303, f"{at}#answers-{photo}")
    assert rows(house, Heart) == [(guest, photo)]
    assert 'aria-pressed="true"' in rose.get(at).text
    assert "Rose" in anna.get(f"/photos/{photo}").text
    album = at.rpartition("/")[0]
    assert rose.get(album).text.count('data-liked="y"') == 1 and f'data-guest="{guest}"' in rose.get(album).text
    rose.send(f"{at}/heart", given="n")
    assert rows(house, Heart) == []
    assert 'aria-pressed="false"' in rose.get(at).text and "data-liked" not in rose.get(album).text


def test_on_a_shared_tablet_each_heart_has_a_name(cast: Family, house: House, tablet: LintingClient, at: str, photo: str) -> None:
    page = tablet.get(at).text
    assert "Who are you?" in page and "<bdi>Rose</bdi> likes this" in page and "<bdi>June</bdi> likes this" in page
    assert "data-guest" not in tablet.get(at.rpartition("/")[0]).text, "full screen it is not clear whose heart it would be"
    assert tablet.send(f"{at}/heart", given="y").status_code == 400  # whose?
    assert tablet.send(f"{at}/heart", given="y", guest=cast.people["Jim"].id).status_code == 400
    assert rows(house, Heart) == []
    assert tablet.send(f"{at}/heart", given="y", guest=cast.people["June"].id).status_code == 303
    assert tablet.send(f"{at}/notes", text="Lovely", guest=cast.people["Rose"].id).status_code == 303
    assert rows(house, Heart) == [(cast.people["June"].id, photo)] and rows(house, Note) == [(cast.people["Rose"].id, photo)]


# --- notes -----------------------------------------------------------------------------------------------------------


def test_a_note_is_read_as_it_was_written_and_nothing_in_it_becomes_a_link(
    house: House, rose: LintingClient, anna: LintingClient, at: str, photo: str
) -> None:
    assert rose.send(f"{at}/notes", text=WORDS).status_code == 303
    for page in (rose.get(at).text, anna.get(f"/photos/{photo}").text, anna.get(f"/albums/{at.split('/')[2]}/answers").text):
        assert "<bdi>The lighthouse! See http://evil.example/x abc</bdi>" in page  # without what turns the line around
    with house.database.reading() as session:
        note = session.scalars(sa.select(Note)).one()
        assert b"lighthouse" not in note.sealed_text
        told = session.scalars(sa.select(Activity).where(Activity.kind == "note-written")).one()
        assert (told.guest_id, told.photo_id) == (note.guest_id, photo)
    assert "Rose</bdi></a> said something about a photo of" in anna.get("/activity").text


def test_the_second_tap_writes_nothing_more(house: House, rose: LintingClient, at: str) -> None:
    for _ in range(2):
        rose.send(f"{at}/notes", text="Lovely")
    assert len(rows(house, Note)) == 1


def test_words_that_can_not_be_taken_come_back_and_are_not_lost(
    house: House, rose: LintingClient, at: str, clock: HandClock
) -> None:
    answer = rose.send(f"{at}/notes", text="x" * 501)
    assert answer.status_code == 400 and "500 letters are the most" in answer.text and "x" * 501 in answer.text
    assert rose.send(f"{at}/notes", text=" \u202e ").status_code == 400
    for number in range(rules.MOST_AN_HOUR):
        assert rose.send(f"{at}/notes", text=f"Note {number}").status_code == 303
    rose.send(f"{at}/notes/{_last(house)}/delete")  # what was deleted counts too
    answer = rose.send(f"{at}/notes", text="One more")
    assert answer.status_code == 429 and "said a lot" in answer.text and "One more" in answer.text
    clock.move(timedelta(hours=1, seconds=1))
    assert rose.send(f"{at}/notes", text="One more").status_code == 303


def _last(house: House) -> str:
    with house.database.reading() as session:
        return session.scalars(sa.select(Note.id).order_by(Note.at, Note.id)).all()[-1]


def test_guests_see_one_anothers_answers_only_if_the_album_says_so(
    cast: Family, rose: LintingClient, june: LintingClient, anna: LintingClient, at: str
) -> None:
    rose.send(f"{at}/notes", text="The lighthouse")
    rose.send(f"{at}/heart", given="y")
    page = june.get(at).text
    assert "lighthouse" not in page and "Rose" not in page
    shows_answers(cast, anna, shows_answers="y")
    page = june.get(at).text
    assert "lighthouse" in page and page.count("<bdi>Rose</bdi>") == 2


def test_a_hidden_note_is_seen_by_its_writer_and_by_members_and_can_be_shown_again(
    cast: Family, house: House, rose: LintingClient, june: LintingClient, anna: LintingClient, at: str, photo: str
) -> None:
    shows_answers(cast, anna, shows_answers="y")
    rose.send(f"{at}/notes", text="The lighthouse")
    note = note_of(house)
    assert anna.send(f"/notes/{note}/hide", hidden="y").location == f"/photos/{photo}#answers-{photo}"
    assert "lighthouse" not in june.get(at).text
    assert "lighthouse" in rose.get(at).text and "Only you and" in rose.get(at).text
    assert "Show it again" in anna.get(f"/photos/{photo}").text
    anna.send(f"/notes/{note}/hide")
    assert "lighthouse" in june.get(at).text


def test_of_a_photo_that_is_held_no_member_can_hide_what_was_said_nor_export_it(
    cast: Family, house: House, rose: LintingClient, anna: LintingClient, at: str, photo: str
) -> None:
    rose.send(f"{at}/notes", text="The lighthouse")
    rose.send(f"{at}/wrong")
    note, export = note_of(house), f"/people/{cast.people['Rose'].id}/export"
    assert "The lighthouse" in anna.get(export).text
    with house.database.writing() as session:
        ingest.hold(session, photo=photo, at=house.clock.now())
    assert anna.send(f"/notes/{note}/hide", hidden="y").status_code == 404
    exported = anna.get(export).text
    assert "The lighthouse" not in exported and photo not in exported and "wrong" not in exported


def test_a_guest_takes_back_their_own_note_and_nobody_elses(
    cast: Family, house: House, rose: LintingClient, june: LintingClient, at: str
) -> None:
    rose.send(f"{at}/notes", text="The lighthouse")
    note = note_of(house)
    other = at.replace(cast.photos[BRITTANY][0], cast.photos[BRITTANY][1])
    assert june.send(f"{at}/notes/{note}/delete").status_code == 404
    assert rose.send(f"{other}/notes/{note}/delete").status_code == 404
    assert len(rows(house, Note)) == 1
    assert rose.send(f"{at}/notes/{note}/delete").status_code == 303
    assert rows(house, Note) == []
    with house.database.reading() as session:
        assert session.scalars(sa.select(Deletion.subject).where(Deletion.kind == "note")).one() == note


# --- what nobody can do ----------------------------------------------------------------------------------------------


def test_who_may_not_see_a_photo_can_not_say_anything_about_it(
    cast: Family, marcs: Family, house: House, anna: LintingClient, browser_of: Callable[..., LintingClient], at: str
) -> None:
    shows_answers(cast, anna, takes_voice="y")
    rose, jim, olga, egon = (browser_of(device=cast.people[name].cookie) for name in ("Rose", "Jim", "Olga", "Egon"))
    rose.send(f"{at}/notes", text="The lighthouse")
    note = note_of(house)
    foreign = at.replace(cast.photos[BRITTANY][0], cast.photos[TOM][0])  # a photo of another album, in the address of this one
    refused = cast.upload(BRITTANY, b"still being prepared")
    for browser, address, status in (
        (jim, at, 404),
        (olga, at, 404),
        (egon, at, 410),
        (browser_of(), at, 404),
        (anna, at, 404),  # a member's power is another one
        (rose, foreign, 404),
        (rose, at.replace(cast.photos[BRITTANY][0], refused), 404),
    ):
        assert browser.send(f"{address}/heart", given="y").status_code == status
        assert browser.send(f"{address}/notes", text="Mine").status_code == status
        assert speak(browser, address, b"x").status_code == status
        assert browser.send(f"{address}/notes/{note}/delete").status_code == status
    marc = browser_of(member=marcs.cookie)
    assert marc.send(f"/notes/{note}/hide", hidden="y").status_code == 404
    assert marc.get(f"/albums/{cast.albums[BRITTANY].id}/answers").status_code == 404
    assert (len(rows(house, Heart)), len(rows(house, Note)), len(rows(house, Voice))) == (0, 1, 0)


def test_what_was_said_stays_in_the_album_when_its_time_ends_but_is_not_seen_by_who_said_it(
    cast: Family, house: House, rose: LintingClient, anna: LintingClient, at: str, photo: str
) -> None:
    rose.send(f"{at}/notes", text="The lighthouse")
    anna.send(f"/grants/{cast.people['Rose'].grant}/end")
    assert rose.get(at).status_code == 404
    assert "lighthouse" in anna.get(f"/photos/{photo}").text
    with house.database.writing() as session:
        guest = sharing.get_guest(session, cast.owner, guest=cast.people["Rose"].id)
        sharing.delete_guest(session, cast.owner, guest=guest, at=house.clock.now())
    assert rows(house, Note) == []


# --- voices ----------------------------------------------------------------------------------------------------------


def test_a_voice_is_taken_only_where_the_album_takes_voices(
    cast: Family, house: House, rose: LintingClient, anna: LintingClient, at: str
) -> None:
    page = rose.get(at)
    assert "20 seconds" not in page.text and "microphone=()" in page.headers["Permissions-Policy"]
    assert speak(rose, at, recording()).status_code == 404
    shows_answers(cast, anna, takes_voice="y")
    page = rose.get(at)
    assert "20 seconds" in page.text and "microphone=(self)" in page.headers["Permissions-Policy"]
    assert "microphone=()" in rose.get(f"/shared/{at.split('/')[2]}").headers["Permissions-Policy"]
    assert speak(rose, at, recording()).status_code == 303
    assert "being prepared" in rose.get(at).text
    assert len(rows(house, Voice)) == 1


def test_a_voice_without_a_form_of_ours_or_too_large_or_empty_is_refused(
    cast: Family, house: House, rose: LintingClient, anna: LintingClient, at: str
) -> None:
    shows_answers(cast, anna, takes_voice="y")
    assert rose.post(f"{at}/voices", data={"voice": (BytesIO(recording()), "voice")}).status_code == 400
    assert speak(rose, at, bytes(5_000_001)).status_code == 413
    assert speak(rose, at, b"").status_code == 400
    assert rows(house, Voice) == []


def test_taking_a_voice_back_destroys_its_key_and_promises_to_remove_its_object(
    cast: Family, house: House, rose: LintingClient, june: LintingClient, anna: LintingClient, at: str
) -> None:
    shows_answers(cast, anna, takes_voice="y", shows_answers="y")
    speak(rose, at, recording())
    with house.database.reading() as session:
        voice = session.scalars(sa.select(Voice)).one()
    assert june.send(f"{at}/voices/{voice.id}/delete").status_code == 404
    assert rose.send(f"{at}/voices/{voice.id}/delete").status_code == 303
    with house.database.reading() as session:
        assert session.scalars(sa.select(Voice)).all() == []
        assert voice.object_name in session.scalars(sa.select(Removal.name)).all()
