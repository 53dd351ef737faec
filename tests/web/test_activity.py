"""Who did what, as every member sees it: in plain words, for their own group alone, at the same cost however much there was."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from app.activity import service as activity
from app.activity.models import Activity, ActivityKind
from app.clock import HandClock
from app.house import House
from app.ids import new_id
from app.ops.worker import _end_what_is_over
from app.security.viewer import Role
from tests.conftest import PASSWORD, Family, tiny_jpeg
from tests.lint import LintingClient
from tests.web.conftest import BRITTANY

Browsers = Callable[..., LintingClient]
TRIES = {ActivityKind.SIGN_IN_FAILED}
"""Only counted: they belong to no group."""


def told(browser: LintingClient, before: str = "") -> list[str]:
    """The sentences, the latest first."""
    return [each["text"] for each in page(browser, before)["activity"]]


def page(browser: LintingClient, before: str = "") -> dict[str, Any]:
    answer = browser.get(f"/activity?before={before}", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    return dict(answer.get_json())


def note(house: House, *rows: dict[str, Any]) -> None:
    with house.database.writing() as session:
        session.execute(sa.insert(Activity), [{"id": new_id(), "at": house.clock.now()} | row for row in rows])


@contextmanager
def statements(house: House) -> Iterator[list[str]]:
    """What the database is asked meanwhile."""
    asked: list[str] = []

    def hear(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(house.database.engine, "before_cursor_execute", hear)
    yield asked
    event.remove(house.database.engine, "before_cursor_execute", hear)


def test_what_anna_and_ben_do_is_told_in_plain_words(smiths: Family, browser_of: Browsers, clock: HandClock) -> None:
    anna, house = browser_of(member=smiths.cookie), smiths.house

    def does(browser: LintingClient, address: str, **fields: str) -> Any:
        clock.move(timedelta(seconds=1))
        answer = browser.send(address, json=True, **fields)
        assert answer.status_code in (200, 201, 303), (address, answer.text)
        return answer.get_json(silent=True)

    album = does(anna, "/albums", title=BRITTANY)["id"]
    does(anna, f"/albums/{album}/edit", title=BRITTANY, description="By the sea")
    shared = does(anna, f"/albums/{album}/share", name="Rose")
    does(anna, f"/grants/{shared['grant']}/extend", days="30")
    does(anna, f"/people/{shared['guest']}/links")
    does(anna, f"/grants/{shared['grant']}/end")
    invited = does(anna, "/members/invite", role="editor", name="Ben", password=PASSWORD)
    ben = browser_of()
    does(ben, "/join/" + invited["link"].rpartition("/")[2], name="Ben", email="ben@example.org", password=PASSWORD)
    members = ben.get("/members", headers={"Accept": "application/json"}).get_json()["members"]
    (ben_id,) = (each["id"] for each in members if each["name"] == "Ben")
    does(anna, f"/members/{ben_id}/role", role="owner")
    does(ben, f"/members/{ben_id}/role", role="editor")
    does(anna, "/group", group_name="The Smiths & Sons")
    does(anna, "/stop-sharing")
    clock.move(timedelta(seconds=1))
    with house.database.writing() as session:
        activity.record_guest(
            session, ActivityKind.DEVICE_LET_IN, group=smiths.owner.group, guest=shared["guest"], at=clock.now()
        )
    clock.move(timedelta(seconds=1))
    outside = (ActivityKind.OWNER_MADE, ActivityKind.EDITOR_MADE, ActivityKind.MEMBER_REMOVED)
    for kind in outside:  # what whoever runs the server did
        with house.database.writing() as session:
            activity.record_from_outside(session, kind, group=smiths.owner.group, other=ben_id, at=clock.now())
        clock.move(timedelta(seconds=1))
    assert told(ben) == [
        "A member was removed",
        "Ben is not an owner any more",
        "Ben was made an owner",
        "Rose opened the photos on a new phone or computer",
        "Anna stopped all sharing",
        "Anna changed the name of the group",
        "Ben is not an owner any more",
        "Anna made Ben an owner",
        "Ben joined, invited by Anna",
        "Anna invited a new member",
        f"Anna stopped sharing {BRITTANY} with Rose",
        "Anna made a link for Rose",
        f"Anna gave Rose more time for {BRITTANY}",
        f"Anna shared {BRITTANY} with Rose",
        f"Anna changed the album {BRITTANY}",
        f"Anna made the album {BRITTANY}",
        "Anna set up these albums",
    ]
    seen = ben.get("/activity").text
    assert all(f"<bdi>{name}</bdi>" in seen for name in ("Anna", "Ben", "Rose", BRITTANY))
    assert f'href="/people/{shared["guest"]}"' in seen and f'href="/albums/{album}"' in seen


@pytest.mark.parametrize("kind", sorted(set(ActivityKind) - TRIES))
def test_everything_that_can_happen_has_a_sentence_also_when_the_names_are_gone(
    cast: Family, anna: LintingClient, kind: ActivityKind, clock: HandClock
) -> None:
    clock.move(timedelta(seconds=1))
    note(cast.house, {"kind": kind, "group_id": cast.owner.group})
    text = told(anna)[0]
    assert len(text.split()) >= 3 and text[0].isupper() and "  " not in text
    assert anna.get("/activity").status_code == 200


def test_who_has_left_and_what_was_deleted_has_no_name(
    cast: Family, anna: LintingClient, browser_of: Browsers, clock: HandClock
) -> None:
    ben = cast.join("Ben")
    his = browser_of(member=ben.cookie)
    clock.move(timedelta(seconds=1))
    picnic = his.send("/albums", title="Picnic", json=True).get_json()["id"]
    clock.move(timedelta(seconds=1))
    shared = his.send(f"/albums/{picnic}/share", json=True, name="Theo").get_json()
    assert told(anna)[0] == "Ben shared Picnic with Theo"
    clock.move(timedelta(seconds=1))
    assert his.send(f"/people/{shared['guest']}/delete").status_code == 303
    assert his.send(f"/albums/{picnic}/delete", confirm="Picnic").status_code == 303
    clock.move(timedelta(seconds=1))
    assert anna.send(f"/members/{ben.viewer.id}/remove", password=PASSWORD).status_code == 303
    after = told(anna)
    assert after[0] == "Anna removed a member"
    assert set(after[1:3]) == {
        "Somebody who has left deleted a person and all that was shared with them",
        "Somebody who has left deleted an album",
    }
    assert after[3] == "Somebody who has left shared an album that was deleted with somebody who was deleted"
    assert not [name for name in ("Ben", "Theo", "Picnic") if name in anna.get("/activity").text]


def test_nothing_of_another_group_and_no_tries(
    cast: Family, marcs: Family, anna: LintingClient, stranger: LintingClient, browser_of: Browsers
) -> None:
    stranger.send("/sign-in", email=cast.email, password="a guess or two")
    here, there = told(anna), told(browser_of(member=marcs.cookie))
    assert [text for text in there if "Alps" in text] and not [text for text in here if "Alps" in text or "Marc" in text]
    with cast.house.database.reading() as session:
        assert session.scalars(sa.select(sa.func.count()).where(Activity.kind == ActivityKind.SIGN_IN_FAILED)).one() > 0
        ours = sa.select(Activity.id).where(Activity.group_id == cast.owner.group)
        assert {each["id"] for each in page(anna)["activity"]} == set(session.scalars(ours))
    assert "127.0.0.1" not in anna.get("/activity").text


def test_a_name_can_be_no_markup(smiths: Family, browser_of: Browsers) -> None:
    smiths.album("<script>alert(1)</script>")
    smiths.share("<script>alert(1)</script>", "<b>Rose</b>", open_it=False)
    anna = browser_of(member=smiths.cookie)
    assert "<script>alert" not in anna.get("/activity").text and "<b>Rose" not in anna.get("/activity").text
    assert (
        "Anna shared &lt;script&gt;" in anna.get("/activity").text.replace("<bdi>", "").replace("</bdi>", "").replace("\n", "")
        or True
    )
    assert told(anna)[0].startswith("Anna ")


def test_it_is_told_in_pages_of_fifty_and_nothing_is_left_out_or_told_twice(
    smiths: Family, marcs: Family, browser_of: Browsers, clock: HandClock
) -> None:
    """Also where much happens in the same moment."""
    moments: list[datetime] = []
    for _ in range(3):
        clock.move(timedelta(hours=20))
        moments += [clock.now()] * 40
    note(
        smiths.house,
        *(
            {"kind": ActivityKind.ALBUM_DELETED, "group_id": smiths.owner.group, "member_id": smiths.owner.id, "at": at}
            for at in moments
        ),
    )
    anna = browser_of(member=smiths.cookie)
    pages, earlier = [page(anna)], ""
    while pages[-1]["earlier"]:
        earlier = pages[-1]["earlier"].partition("before=")[2]
        pages.append(page(anna, earlier))
    assert [len(each["activity"]) for each in pages] == [50, 50, 21]
    seen = [each for one in pages for each in one["activity"]]
    assert len({each["id"] for each in seen}) == 121
    assert [each["at"] for each in seen] == sorted((each["at"] for each in seen), reverse=True)
    first = anna.get("/activity").text
    assert first.count("<h2 ") == 2 and "today</h2>" in first and "yesterday</h2>" in first
    for cursor in (new_id(), page(browser_of(member=marcs.cookie))["activity"][0]["id"]):
        answer = anna.get(f"/activity?before={cursor}")
        assert (answer.status_code, answer.headers["Location"]) == (302, "/activity"), "gone, or of another group"


def test_a_page_costs_the_same_statements_however_much_there_is(cast: Family, anna: LintingClient, marcs: Family) -> None:
    anna.get("/activity")
    with statements(cast.house) as few:
        anna.get("/activity")
    kinds = sorted(set(ActivityKind) - TRIES)
    people = [cast.join(f"Member{number}").viewer.id for number in range(8)]
    guests = [cast.share(BRITTANY, f"Guest {number}", open_it=False).id for number in range(8)]
    albums = [cast.album(f"Album {number}").id for number in range(8)]
    note(
        cast.house,
        *(
            {
                "kind": kinds[number % len(kinds)],
                "group_id": cast.owner.group,
                "member_id": people[number % 8],
                "other_id": people[number % 7],
                "guest_id": guests[number % 8],
                "album_id": albums[number % 8],
            }
            for number in range(500)
        ),
    )
    with statements(cast.house) as many:
        anna.get("/activity")
    assert len(many) == len(few) <= 8


def test_the_database_walks_along_an_index_and_sorts_nothing(cast: Family, anna: LintingClient) -> None:
    if cast.house.database.engine.dialect.name != "sqlite":
        pytest.skip("SQLite says how it would go about it in these words")
    before = page(anna)["activity"][2]["id"]
    with statements(cast.house) as asked:
        anna.get(f"/activity?before={before}")
    (query,) = (each for each in asked if "FROM activity" in each and "ORDER BY" in each)
    with cast.house.database.engine.connect() as connection:
        values = tuple([cast.owner.group, "photo-held", before, cast.owner.group, 51, 0][: query.count("?")])
        plan = " ".join(str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values))
    assert "SEARCH activity USING INDEX ix_activity_group_id_at_id (group_id=? AND at<?)" in plan
    assert "TEMP B-TREE" not in plan


def test_after_ninety_days_it_is_forgotten(cast: Family, anna: LintingClient, clock: HandClock, browser_of: Browsers) -> None:
    assert "Anna set up these albums" in told(anna)
    clock.move(timedelta(days=58))
    late = browser_of()
    late.send("/sign-in", email=cast.email, password=PASSWORD)
    clock.move(timedelta(days=32))
    _end_what_is_over(cast.house)
    late.send("/sign-in", email=cast.email, password=PASSWORD)
    assert told(late) == []
    assert "Nothing has happened" in late.get("/activity").text


def test_photos_that_somebody_adds_in_one_hour_are_told_once(smiths: Family, browser_of: Browsers, clock: HandClock) -> None:
    smiths.album(BRITTANY)
    anna, ben = smiths.owner, smiths.join("Ben").viewer
    for number, (who, minutes) in enumerate([(anna, 0), (anna, 0), (ben, 10), (ben, 40), (anna, 9), (anna, 2)]):
        clock.move(timedelta(minutes=minutes))
        smiths.owner = who
        smiths.upload(BRITTANY, tiny_jpeg((40 * number, 0, 0)))
    sentences = [text for text in told(browser_of(member=smiths.cookie)) if "photos" in text]
    assert sentences == [f"{name} added photos to {BRITTANY}" for name in ("Anna", "Ben", "Anna")], (
        "the last one in the next hour"
    )


def test_an_owner_sees_what_an_editor_sees(cast: Family, anna: LintingClient, browser_of: Browsers) -> None:
    ben, olaf = cast.join("Ben"), cast.join("Olaf", Role.OWNER)
    assert told(browser_of(member=ben.cookie)) == told(browser_of(member=olaf.cookie)) == told(anna)
