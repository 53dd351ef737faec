"""What the operator types: counts, lists, tidying up, deleting a group, and help for somebody who is locked out."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from app import create_app
from app.activity.models import Activity, ActivityKind, DeletionKind
from app.clock import HandClock
from app.db import Database
from app.groups import service as groups
from app.groups.models import Invitation
from app.house import House
from app.jobs.engine import EngineJobs
from app.jobs.executors import living_workers, locks_for, show_at_work
from app.media.models import Photo, Rendition
from app.media.service import claimed_objects
from app.models import Account, Deletion, Group, SignedIn
from app.ops import purge as purging
from app.ops.console import printable
from app.ops.status import ago, size
from app.security.tokens import Purpose
from app.security.viewer import Role
from app.sharing.models import Grant, Guest, Link
from app.storage.models import Removal
from tests.conftest import Family, found, share_as
from tests.server import PROJECT, Browser, Server

Types = Callable[..., Result]


@pytest.fixture
def types(app: Flask) -> Types:
    """Type `flask ...` on this server; it must end well unless it is said how it ends."""

    def type_in(*words: str, answers: str = "", ends: int = 0) -> Result:
        result = app.test_cli_runner().invoke(args=list(words), input=answers)
        assert result.exit_code == ends, (result.output, result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return type_in


@pytest.fixture
def at_work(house: House) -> Iterator[Callable[[], None]]:
    """Kinfold is running on this database, until it is stopped by a call."""
    server = Database(house.settings.database_url)
    show_at_work(server)
    yield server.close
    server.close()


def test_status_counts_everything(cast: Family, types: Types, clock: HandClock) -> None:
    cast.upload("Tom is six", b"nobody has looked at it yet")
    clock.move(timedelta(hours=2))
    said = types("status").output
    assert "groups     2 with 2 members and 4 guests" in said
    assert "photos     5 ready, 1 waiting, the oldest for 2 hours, 0 for a member's yes, 0 refused" in said
    assert "workers    none is at work" in said and "backup     never made" in said
    told = json.loads(types("status", "--json").output)
    assert told["photos"] == {"received": 1, "awaiting": 0, "held": 0, "ready": 5, "refused": 0}
    assert (told["groups"], told["guests"], told["waiting"], told["workers"], told["exposed"]) == (2, 4, 7200, 0, False)
    with cast.house.database.reading() as session:
        assert told["stored"] == session.scalar(sa.select(sa.func.sum(Photo.stored)))
    for name in ("Anna", "Rose", "Smith", "Brittany", "@"):
        assert name not in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("status",), "Nobody has set up a group yet"),
        (("group", "list"), "There is no group yet"),
        (("member", "list"), "Nobody has an account yet"),
        (("purge",), "Nothing was left to tidy up"),
    ],
)
def test_where_nothing_is_there_it_says_so(types: Types, words: tuple[str, ...], says: str) -> None:
    assert says in types(*words).output


def test_the_lists_name_groups_and_members(cast: Family, types: Types) -> None:
    groups = types("group", "list").output
    assert re.search(rf"{cast.owner.group}  The Smiths +family +1 +1 +2 +4 ", groups)
    assert re.search(r"The Martins +family +1 +1 +1 +1 ", groups)
    members = types("member", "list").output
    assert re.search(r"The Smiths +Anna +anna@example.org +owner +2026-11-22", members)
    with cast.house.database.writing() as session:
        session.execute(sa.delete(SignedIn))
    assert "not signed in" in types("member", "list").output


def test_what_people_typed_can_not_steer_the_terminal(cast: Family, types: Types) -> None:
    with cast.house.database.writing() as session:
        session.execute(sa.update(Group).values(name="The\x1b[31m Smiths\r\n\u202efake"))
    said = types("group", "list").output
    assert "\x1b" not in said and "\r" not in said and "\u202e" not in said
    assert printable("Zoë 木\x07") == "Zoë 木?"


def test_a_group_is_added_by_an_address_and_a_member_helped_by_another(cast: Family, types: Types) -> None:
    assert re.fullmatch(r"http://127.0.0.1:8000/setup/\S+\n", types("group", "add").output)
    address = types("member", "reset", " Anna@Example.org ").output.strip()
    cast.house.tokens.digest(Purpose.RESET, address.rpartition("/")[2])
    assert "Nobody has an account" in types("member", "reset", "nobody@example.org", ends=1).output


def test_the_operator_decides_about_owners(cast: Family, types: Types) -> None:
    """Who was made an owner and turns against the others, and a group that a restore has left without one."""
    ben, at = cast.join("Ben", Role.OWNER), cast.house.clock.now()
    with cast.house.database.writing() as session:
        groups.invite(session, ben.viewer, role=Role.OWNER, name="A friend", tokens=cast.house.tokens, at=at)
    assert "Ben is an owner already" in types("member", "role", ben.email, "owner").output
    assert "Ben is an editor now" in types("member", "role", ben.email, "editor").output
    with cast.house.database.reading() as session:
        assert session.get_one(Account, ben.viewer.id).role is Role.EDITOR
        assert not session.scalars(sa.select(Invitation.id)).all()
        taken = session.scalars(sa.select(Deletion.subject).where(Deletion.kind == DeletionKind.OWNER)).all()
        assert taken == [ben.viewer.id]
        told = session.scalars(sa.select(Activity).where(Activity.kind == ActivityKind.EDITOR_MADE)).one()
        assert (told.group_id, told.member_id, told.other_id) == (cast.owner.group, None, ben.viewer.id)
    refused = types("member", "role", "anna@example.org", "editor", ends=1).output
    assert "Anna is the only owner" in refused and f"flask group delete {cast.owner.group}" in refused
    assert "Ben is an owner now" in types("member", "role", ben.email, "owner").output
    assert "Anna is an editor now" in types("member", "role", "anna@example.org", "editor").output
    assert "Nobody has an account" in types("member", "role", "nobody@example.org", "owner", ends=1).output


def test_the_operator_removes_a_member_and_what_they_let_in(cast: Family, types: Types) -> None:
    ben = cast.join("Ben", Role.OWNER)
    zoe = share_as(ben, cast, "Tom is six", "Zoe")
    assert "Anna is the only owner" not in types("member", "remove", ben.email).output
    at = cast.house.clock.now()
    with cast.house.database.reading() as session:
        assert session.get(Account, ben.viewer.id) is None
        assert not session.scalars(sa.select(SignedIn).where(SignedIn.member_id == ben.viewer.id)).all()
        gone = session.scalars(sa.select(Deletion.subject).where(Deletion.kind == DeletionKind.MEMBER)).all()
        assert gone == [ben.viewer.id]
        told = session.scalars(sa.select(Activity).where(Activity.kind == ActivityKind.MEMBER_REMOVED)).one()
        assert (told.group_id, told.member_id) == (cast.owner.group, None)
        assert session.get_one(Link, zoe.link).revoked_at == at and session.get(Guest, zoe.id) is not None
    assert "Anna is the only owner" in types("member", "remove", "anna@example.org", ends=1).output
    cora = cast.join("Cora")
    yan = share_as(cora, cast, "Tom is six", "Yan")
    assert "ended with them: 0" in types("member", "remove", cora.email, "--keep-links").output
    with cast.house.database.reading() as session:
        assert session.get(Account, cora.viewer.id) is None and session.get_one(Link, yan.link).revoked_at is None


def test_a_group_is_deleted_when_its_name_is_typed(cast: Family, types: Types) -> None:
    group = cast.owner.group
    refused = types("group", "delete", group, answers="The Smith\n", ends=1)
    assert "This destroys 4 photos of The Smiths" in refused.output and "Nothing was deleted" in refused.output
    assert "There is no group" in types("group", "delete", "The Smiths", "--yes", ends=1).output
    with cast.house.database.reading() as session:
        assert session.get(Group, group) is not None
    said = types("group", "delete", group, answers="The Smiths\n").output
    assert "The Smiths is deleted" in said
    with cast.house.database.reading() as session:
        assert session.get(Group, group) is None
        assert session.scalar(sa.select(sa.func.count()).select_from(Photo)) == 1  # Marc's
        assert session.scalar(sa.select(sa.func.count()).select_from(Account)) == 1
        assert group in session.scalars(sa.select(Deletion.subject)).all()
    assert "There is no group" in types("group", "delete", group, "--yes", ends=1).output


def test_a_script_deletes_without_being_asked(cast: Family, types: Types) -> None:
    assert "is deleted" in types("group", "delete", cast.owner.group, "--yes").output


def test_purge_does_now_what_workers_do_in_time_and_tells(
    cast: Family, types: Types, clock: HandClock, monkeypatch: pytest.MonkeyPatch, at_work: object
) -> None:
    house = cast.house
    cast.share("Tom is six", "Ida", days=2)
    clock.move(timedelta(days=91))
    monkeypatch.setattr(purging, "UNCLAIMED", timedelta(days=-400))  # all objects are old enough
    writer = house.storage.create(f"albums/{cast.albums['Tom is six'].id}/nobodys-object")
    writer.write(b"left by a process that died")
    writer.commit()
    promised = next(iter(house.storage.list("albums/"))).name
    with house.database.writing() as session:
        session.execute(sa.delete(Rendition).where(Rendition.object_name == promised))
        session.add(Removal(name=promised, created_at=clock.now()))
    with house.database.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Activity).where(Activity.at < clock.now())) or 0
    said = types("purge").output
    assert "lines of what happened removed" in said and "1 promised removals removed" in said
    assert "objects that belong to no photo removed" in said
    with house.database.reading() as session:
        assert not session.scalars(sa.select(Removal)).all()
        assert not session.scalars(sa.select(Grant).where(Grant.ended_at.is_(None), Grant.expires_at < clock.now())).all()
        assert not session.scalars(sa.select(SignedIn).where(SignedIn.expires_at < clock.now())).all()
        claimed = claimed_objects(session)
    left = {stored.name for stored in house.storage.list("albums/")}
    assert promised not in left and not [name for name in left if name.endswith("nobodys-object")] and left <= claimed
    assert "Nothing was left to tidy up." in types("purge").output


def test_purge_removes_no_object_that_is_young_or_claimed_while_somebody_may_be_writing_its_row(
    cast: Family, types: Types, clock: HandClock, at_work: Callable[[], None]
) -> None:
    clock.move(datetime.now(UTC) - clock.now())  # the dates of objects are the storage's, and `purge` goes by the system's
    claimed = {stored.name for stored in cast.house.storage.list("albums/")}
    writer = cast.house.storage.create(f"albums/{cast.albums['Tom is six'].id}/just-arriving")
    writer.write(b"its row is about to be written")
    writer.commit()
    types("purge")
    assert len({stored.name for stored in cast.house.storage.list("albums/")} - claimed) == 1
    at_work()  # Kinfold is stopped: nobody will write that row any more
    assert "1 objects that belong to no photo removed" in types("purge").output
    assert {stored.name for stored in cast.house.storage.list("albums/")} == claimed


def test_purge_beside_the_wrong_database_removes_nothing_and_does_the_rest(
    cast: Family, types: Types, clock: HandClock, monkeypatch: pytest.MonkeyPatch, at_work: object
) -> None:
    monkeypatch.setattr(purging, "UNCLAIMED", timedelta(days=-400))
    for number in range(240):
        writer = cast.house.storage.create(f"albums/elsewhere/object-{number}")
        writer.write(b"x")
        writer.commit()
    clock.move(timedelta(days=91))
    said = types("purge", ends=1).output
    assert "Is this the right database? None of them was removed." in said and "lines of what happened removed" in said
    assert len(list(cast.house.storage.list("albums/elsewhere/"))) == 240


def test_purge_goes_on_after_a_step_that_fails_and_says_which(
    cast: Family, types: Types, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.move(timedelta(days=91))
    monkeypatch.setattr("app.ingest.jobs.drop_old_uploads", lambda _: 1 / 0)
    said = types("purge", ends=1).output
    assert "This could not be done: drop old uploads (ZeroDivisionError)." in said and "lines of what happened removed" in said


def test_purge_clears_the_rows_of_finished_jobs(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    real = replace(house, jobs=EngineJobs(house.database))
    schema = "" if house.database.engine.dialect.name == "sqlite" else "dbos."
    with house.database.writing() as session:
        real.jobs.enqueue(session, "prepare-photo", "x", group="g")
        session.flush()
        session.execute(
            sa.text(
                f"UPDATE {schema}workflow_status SET status = 'SUCCESS', completed_at = 1000, updated_at = 1000, created_at = 1000"
            )
        )
    monkeypatch.setattr("app.ops.worker.sweeps", lambda _: {})
    said = create_app(real.settings, real).test_cli_runner().invoke(args=["purge"]).output
    assert "1 finished jobs removed" in said


def test_living_workers_are_those_that_hold_their_lock(house: House) -> None:
    locks = locks_for(house.settings, house.database)
    assert living_workers(house.settings, house.database) == 0
    held = [lock for lock in (locks.take("worker-0"), locks.take("worker-3"), locks.take("sweep")) if lock is not None]
    assert len(held) == 3 and living_workers(house.settings, house.database) == 2
    for lock in held:
        lock.release()
    assert living_workers(house.settings, house.database) == 0


def test_two_families_are_counted_apart(house: House, types: Types) -> None:
    for name in ("Anna", "Bea"):
        found(house, group_name=f"The {name}s", name=name, email=f"{name}@example.org")
    assert len(types("group", "list").output.splitlines()) == 3


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (0, "0 seconds"),
        (1.9, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (7200, "2 hours"),
        (90_000, "1 day"),
        (1e6, "11 days"),
    ],
)
def test_stretches_of_time(seconds: float, says: str) -> None:
    assert ago(seconds) == says


@pytest.mark.parametrize(
    ("number", "says"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1.5e9, "1.5 GB"), (2e12, "2.0 TB")]
)
def test_sizes(number: float, says: str) -> None:
    assert size(number) == says


@pytest.mark.slow
def test_a_web_server_alone_starts_no_worker_and_counts_for_whoever_has_the_word(tmp_path: Path) -> None:
    word = "a word for the one who counts"
    server = Server(tmp_path, KINFOLD_WORKERS="0", KINFOLD_METRICS_TOKEN=word).start()
    try:
        assert server.children("\0worker") == [] and server.children("app.ops.web")
        browser = Browser(server.base)
        told = browser.get("/metrics", Authorization=f"Bearer {word}")
        assert told.status == 200 and told.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert b"kinfold_workers 0.0" in told.body and b'route="/readyz",status="200"' in told.body
        assert browser.get("/metrics").status == 404
    finally:
        assert server.stop() == 0


NOISY = """
import logging, threading, warnings
from app.ops.logs import set_up_logs

set_up_logs("json")
warnings.warn("an old way of saying it")
logging.getLogger("kinfold.web").info("first\\nsecond")
thread = threading.Thread(target=lambda: {}["Annabel"])
thread.start()
thread.join()
raise ValueError("annabel@example.org")
"""


def test_every_line_of_a_json_log_is_an_object_also_at_the_end_of_a_process_or_a_thread() -> None:
    done = subprocess.run([sys.executable, "-c", NOISY], cwd=PROJECT, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 1 and not done.stdout
    assert [line["from"] for line in lines] == ["py.warnings", "kinfold.web", "kinfold", "kinfold"]
    assert [line["trace"][0].strip() for line in lines[2:]] == ["builtins.KeyError", "builtins.ValueError"]
    assert "nnabel" not in done.stderr
