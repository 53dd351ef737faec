"""The end of things: a whole group, and the names of people with whom nothing is shared any more."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.accounts import rules as accounts
from app.activity import service as activity
from app.activity.models import DeletionKind
from app.clock import HandClock
from app.db import Base
from app.groups import rules as groups
from app.house import House
from app.ingest import rules as ingest
from app.models import Account, Activity, Album, Deletion, DeviceRow, Grant, Guest, Link, Photo
from app.ops.worker import sweeps
from app.security.permissions import Asks
from app.security.viewer import Role
from app.sharing import rules as sharing
from app.sharing import service as people
from app.web.i18n import CHOSEN
from app.web.viewer import KNOWN_BROWSER, cookie_name
from tests.conftest import PASSWORD, START, Family
from tests.lint import LintingClient
from tests.rows import all_rows
from tests.web.conftest import BRITTANY, TOM, photo_address

PROJECT = Path(__file__).resolve().parents[2]
DAY = timedelta(days=1)


def names(house: House) -> set[str]:
    with house.database.reading() as look:
        return set(look.scalars(sa.select(Guest.name)))


def sweep(house: House) -> None:
    sweeps(house)["end what is over"]()


# --- a whole group


def test_an_owner_destroys_everything_and_is_shown_out(
    cast: Family, house: House, anna: LintingClient, rose: LintingClient, browser_of: Callable[..., LintingClient], marcs: Family
) -> None:
    photo = photo_address(cast, cast.photos[BRITTANY][0], "screen", device=cast.people["Rose"].cookie)
    assert rose.get(photo).status_code == 200
    answer = anna.send("/group/delete", password=PASSWORD, confirm=" the smiths ")
    assert (answer.status_code, answer.location) == (303, "/goodbye")
    assert "It is deleted" in anna.get(answer.location).text
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert anna.cookie("kinfold_member") is None
    assert browser_of(member=cast.cookie).get("/albums").status_code == 404
    assert [rose.get(photo).status_code, rose.get("/shared").status_code] == [404, 404]
    assert browser_of().get(f"/i/{cast.people['Jim'].token}").status_code == 404
    assert browser_of(member=marcs.cookie).get(f"/albums/{marcs.albums['Alps'].id}").status_code == 200
    with house.database.reading() as look:
        for table in (Account, Album, Photo):
            assert set(look.scalars(sa.select(table.group_id))) == {marcs.owner.group}
        assert look.scalars(sa.select(Guest.id)).all() == []
        assert [row.kind for row in look.scalars(sa.select(Deletion))] == [DeletionKind.GROUP]


def test_the_page_says_what_it_destroys(anna: LintingClient) -> None:
    page = anna.get("/group/delete").text
    for words in ("Delete <bdi>The Smiths</bdi>?", "4 photos in 2 albums", "4 people", "1 member", "Your password, please"):
        assert words in page


@pytest.mark.parametrize(
    ("typed", "password", "said"),
    [
        ("", PASSWORD, "This is not its name"),
        ("The Martins", PASSWORD, "This is not its name"),
        ("The Smiths", "", "Please type a password"),
        ("The Smiths", "not hers", "This is not your password"),
    ],
)
def test_nothing_is_deleted_unless_name_and_password_are_right(
    cast: Family, house: House, anna: LintingClient, typed: str, password: str, said: str
) -> None:
    before = all_rows(house.database, without={"last_seen_at"})
    answer = anna.send("/group/delete", password=password, confirm=typed)
    assert (answer.status_code, said in answer.text) == (400, True)
    after = all_rows(house.database, without={"last_seen_at"})
    assert after | {"activity": []} == before | {"activity": []}, "a wrong password is counted, and that is all"


def test_an_editor_can_not(cast: Family, house: House, anna: LintingClient) -> None:
    with house.database.writing() as session:
        session.get_one(Account, cast.owner.id).role = Role.EDITOR
    for answer in (anna.get("/group/delete"), anna.send("/group/delete", password=PASSWORD, confirm="The Smiths")):
        assert answer.status_code == 404


# --- names are forgotten


def test_people_are_forgotten_90_days_after_the_last_album_they_could_see(cast: Family, house: House, clock: HandClock) -> None:
    """Olga's was ended by hand at the start and Egon's by date a day later; Rose and Jim see theirs for 30 days."""
    with house.database.writing() as session:
        rose = session.get_one(Grant, cast.people["Rose"].grant)
        people.extend(session, cast.owner, grant=rose, until=START + 60 * DAY, may_save=None, at=clock.now())
    clock.move(START + 90 * DAY - timedelta(seconds=1) - clock.now())
    sweep(house)
    assert names(house) == {"Rose", "Jim", "Olga", "Egon"}
    clock.move(timedelta(seconds=1))
    sweep(house)
    assert names(house) == {"Rose", "Jim", "Egon"}
    clock.move(DAY)
    sweep(house)
    assert names(house) == {"Rose", "Jim"}
    clock.move(29 * DAY)
    sweep(house)
    assert names(house) == {"Rose"}, "she was given more time"
    with house.database.reading() as look:
        for table in (Grant, Link, DeviceRow):
            assert set(look.scalars(sa.select(table.guest_id))) == {cast.people["Rose"].id}
        assert not look.scalars(sa.select(Activity).where(Activity.guest_id == cast.people["Jim"].id)).all()
        gone = look.execute(sa.select(Deletion.kind, Deletion.subject)).all()
    assert {tuple(each) for each in gone} == {(DeletionKind.GUEST, cast.people[name].id) for name in ("Jim", "Olga", "Egon")}


def test_somebody_added_and_never_shared_with_is_forgotten_too(cast: Family, house: House, clock: HandClock) -> None:
    at = clock.now()
    with house.database.writing() as session:
        people.add_guest(session, cast.owner, name="Nobody's Friend", at=at)
    clock.move(90 * DAY - timedelta(seconds=1))
    sweep(house)
    assert "Nobody's Friend" in names(house)
    clock.move(timedelta(seconds=1))
    sweep(house)
    assert "Nobody's Friend" not in names(house)


def test_deleting_an_album_does_not_make_its_people_forgotten_sooner_or_later(
    cast: Family, house: House, clock: HandClock, anna: LintingClient
) -> None:
    """Egon saw it for a day; Rose can still see it when it is deleted, 20 days after the start."""
    clock.move(START + 20 * DAY - clock.now())
    egon, rose = (f"/people/{cast.people[name].id}" for name in ("Egon", "Rose"))
    assert "is forgotten on 21 February 2027" in anna.get(egon).text
    anna.send(f"/albums/{cast.albums[BRITTANY].id}/delete", confirm=BRITTANY)
    assert "is forgotten on 21 February 2027" in anna.get(egon).text, "as it was said before"
    assert "is forgotten on 12 March 2027" in anna.get(rose).text
    clock.move(71 * DAY)
    sweep(house)
    assert names(house) & {"Rose", "Egon"} == {"Rose"}
    clock.move(19 * DAY)
    sweep(house)
    assert names(house) & {"Rose", "Egon"} == set()


def test_a_later_end_is_not_forgotten_when_an_earlier_album_goes(
    cast: Family, house: House, clock: HandClock, anna: LintingClient
) -> None:
    """Two albums deleted one after the other, the one seen longest first."""
    rose = cast.people["Rose"]
    anna.send(f"/people/{rose.id}/grants", album=cast.albums[TOM].id, days="1")
    clock.move(2 * DAY)
    later = clock.now()
    anna.send(f"/albums/{cast.albums[BRITTANY].id}/delete", confirm=BRITTANY)
    anna.send(f"/albums/{cast.albums[TOM].id}/delete", confirm=TOM)
    with house.database.reading() as look:
        assert look.get_one(Guest, rose.id).seen_until == later


@pytest.mark.parametrize(
    ("ends", "days"),
    [([], 90), ([START - 5 * DAY], 90), ([START + 30 * DAY], 120), ([START + 30 * DAY, START + DAY], 120)],
)
def test_when_a_person_is_forgotten(ends: list[datetime], days: int) -> None:
    assert sharing.forgotten_at(shared_at=START, ends=ends) == START + days * DAY


def test_the_page_of_a_person_says_when_they_are_forgotten(cast: Family, anna: LintingClient) -> None:
    page = anna.get(f"/people/{cast.people['Rose'].id}").text
    assert "<bdi>Rose</bdi> is forgotten on 22 March 2027" in page
    assert f'href="/people/{cast.people["Rose"].id}/export"' in page


# --- the record that a school files says what the code does


def record() -> str:
    return " ".join((PROJECT / "docs" / "record.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize(
    ("words", "lasts"),
    [
        ("A person's name is deleted {} days after the last album they could see", sharing.FORGOTTEN_AFTER),
        ("What happened is kept for {} days", activity.KEPT),
        ("Failed sign-ins are kept for {} hours", activity.TRIES_KEPT),
        ("stays signed in for {} days", accounts.STAY),
        ("otherwise for {} hours", accounts.VISIT),
        ("recognised for {} days", accounts.BROWSER_KNOWN),
        ("after {} days without a visit", sharing.DEVICE_UNUSED),
        ("at the latest after {} days", sharing.DEVICE_LASTS),
        ("a file that could not be prepared is kept for {} days", ingest.KEPT_AFTER_REFUSAL),
        ("what has arrived of a file is kept for {} hours after its last bytes", ingest.KEPT_WHILE_ARRIVING),
        ("An invitation to become a member ends after {} days", groups.INVITATION_LASTS),
        ("an address for a new password after {} hours", accounts.RESET_LASTS),
        ("a set-up address after {} days", accounts.SET_UP_LASTS),
    ],
)
def test_every_period_in_the_record_is_the_one_in_the_code(words: str, lasts: timedelta) -> None:
    number = lasts // timedelta(hours=1) if "hours" in words else lasts.days
    assert words.format(number) in record()


def test_the_record_names_every_cookie_and_every_table() -> None:
    cookies = {cookie_name(asks, https=False) for asks in (Asks.MEMBER, Asks.DEVICE)} | {KNOWN_BROWSER, CHOSEN, "kinfold_form"}
    assert cookies <= set(re.findall(r"`(kinfold_\w+)`", record()))
    missing = {name for name in Base.metadata.tables if f"`{name}`" not in record()}
    assert not missing, f"say in docs/record.md what is in {missing}"
