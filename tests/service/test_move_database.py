"""From SQLite to PostgreSQL and back: every row, proven, or nothing."""

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import db
from app.config import Settings
from app.db import Database
from app.groups.models import Group
from app.jobs.executors import AtWork, alone, show_at_work
from app.ops import move_database as moving
from app.ops import rows
from app.ops.migrate import migrate
from app.ops.move_database import CannotMove, move
from app.ops.rows import Fingerprint
from tests import postgres
from tests.conftest import Family
from tests.machine import Machine, family_on, lines_by_table


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An empty PostgreSQL database."""
    return postgres.cluster().database(postgres.scratch_name(tmp_path))


def rows_in(url: str) -> dict[str, list[bytes]]:
    database = Database(url)
    try:
        return lines_by_table(database)
    finally:
        database.close()


def groups_in(url: str) -> int:
    database = Database(url)
    try:
        with database.reading() as session:
            return session.scalars(sa.select(sa.func.count()).select_from(Group)).one()
    finally:
        database.close()


def test_there_and_back_every_row_is_the_same(cast: Family, url: str, tmp_path: Path) -> None:
    house = cast.house
    before = lines_by_table(house.database)
    assert before["photo"] and before["device"] and before["activity"]
    compared = move(house.settings, house.database, url)
    assert all(each.same for each in compared) and sum(each.here.rows for each in compared) == sum(map(len, before.values()))
    assert rows_in(url) == before
    back = f"sqlite:///{tmp_path / 'back.sqlite3'}"
    there = Database(url)
    assert all(each.same for each in move(replace(house.settings, database_url=url), there, back))
    there.close()
    assert rows_in(back) == before == lines_by_table(house.database)


def test_it_may_be_repeated_but_never_overwrites(cast: Family, url: str) -> None:
    house = cast.house
    move(house.settings, house.database, url)
    assert all(each.same for each in move(house.settings, house.database, url))
    cast.album("One more")
    before = rows_in(url)
    with pytest.raises(CannotMove, match="rows of its own"):
        move(house.settings, house.database, url)
    assert rows_in(url) == before


def test_a_move_that_broke_off_leaves_nothing(cast: Family, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(connection: sa.Connection, lines: object, tables: object) -> None:
        connection.execute(sa.text("INSERT INTO removal (id, name, created_at) VALUES ('a', 'b', '2026-01-01')"))
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(rows, "load", half)
        with pytest.raises(KeyboardInterrupt):
            move(cast.house.settings, cast.house.database, url)
    assert not any(rows_in(url).values())
    assert all(each.same for each in move(cast.house.settings, cast.house.database, url))


def test_a_difference_is_told_and_the_copy_thrown_away(cast: Family, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = rows.load

    def lossy(connection: sa.Connection, lines: object, tables: object) -> None:
        real(connection, lines, tables)  # type: ignore[arg-type]
        connection.execute(sa.text("UPDATE guest SET name = 'Rosa' WHERE name = 'Rose'"))

    monkeypatch.setattr(rows, "load", lossy)
    compared = move(cast.house.settings, cast.house.database, url)
    assert [each.table for each in compared if not each.same] == ["guest"]
    assert groups_in(url) == 0


def test_what_is_written_meanwhile_is_noticed(cast: Family, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = moving._copy

    def while_somebody_writes(database: Database, connection: sa.Connection) -> None:
        real(database, connection)
        cast.album("Meanwhile")

    monkeypatch.setattr(moving, "_copy", while_somebody_writes)
    with pytest.raises(CannotMove, match="still running"):
        move(cast.house.settings, cast.house.database, url)
    assert groups_in(url) == 0


@pytest.mark.parametrize("on", ["here", "there"])
def test_whoever_works_with_either_database_stops_it(cast: Family, url: str, on: str) -> None:
    """A web server has no worker's name, and goes on writing all the same."""
    settings, here = cast.house.settings, Database(cast.house.settings.database_url)
    other = Database(settings.database_url if on == "here" else url)
    show_at_work(other)
    with pytest.raises(CannotMove, match="is running"):
        move(settings, here, url)
    other.close()
    assert all(each.same for each in move(settings, here, url))
    here.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nobody_begins_to_work_while_somebody_is_alone(
    tmp_path: Path, url: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(db.CONNECT["postgresql"], "options", "-c lock_timeout=300")
    at = f"sqlite:///{tmp_path / 'one.sqlite3'}" if kind == "sqlite" else url
    one, other, server = (Database(at) for _ in range(3))
    with alone(one):
        with pytest.raises(AtWork), alone(other):
            pass
        with pytest.raises(sa.exc.OperationalError):
            show_at_work(server)
    with server.reading() as session:  # it asks again, as the next request does
        session.execute(sa.select(1))
    with pytest.raises(AtWork), alone(one):
        pass
    for each in (server, other, one):
        each.close()
    with alone(one):
        pass
    one.close()


@pytest.mark.slow
def test_a_web_server_alone_is_seen(tmp_path: Path, url: str) -> None:
    machine = Machine(tmp_path / "home", {"KINFOLD_WORKERS": "0"})
    family_on(machine).house.database.close()
    server = machine.server(tmp_path / "server").start()
    try:
        assert "Kinfold is running" in machine.type("move-database", "--to", url, fails=True)
        assert "Kinfold is running" in machine.type("restore", _nearly_a_backup(machine, tmp_path), fails=True)
    finally:
        server.stop()
    assert "Everything is there" in machine.type("move-database", KINFOLD_NEW_DATABASE_URL=url)


def _nearly_a_backup(machine: Machine, folder: Path) -> Path:
    machine.type("backup", folder / "kinfold.tar")
    return folder / "kinfold.tar"


def test_the_same_database_or_no_address_at_all(cast: Family) -> None:
    settings = cast.house.settings
    for wrong in (settings.database_url, "mysql://somewhere"):
        with pytest.raises(CannotMove):
            move(settings, cast.house.database, wrong)


@pytest.mark.slow
def test_as_it_is_typed(tmp_path: Path, url: str) -> None:
    machine = Machine(tmp_path / "home", {})
    family_on(machine).house.database.close()
    (tmp_path / "new-url").write_text(url)
    said = machine.type("move-database", KINFOLD_NEW_DATABASE_URL_FILE=str(tmp_path / "new-url"))
    assert "photo" in said and "3 rows" in said and "DIFFERENT" not in said and "Everything is there" in said
    assert groups_in(url) == 1
    assert "can't be used" in machine.type("move-database", "--to", url.replace("127.0.0.1:", "127.0.0.1:1"), fails=True)
    assert "Where to?" in machine.type("move-database", fails=True)
    assert "can't be used" in machine.type("move-database", "--to", f"sqlite:///{tmp_path / 'nowhere' / 'x'}", fails=True)
    machine.env["KINFOLD_DATABASE_URL"] = url
    house = machine.open()
    assert len(lines_by_table(house.database)["photo"]) == 3
    house.database.close()


# --- rows as lines -----------------------------------------------------------------------------------------------------


def test_a_fingerprint_does_not_depend_on_the_order() -> None:
    one, other, less = Fingerprint(), Fingerprint(), Fingerprint()
    for line in (b"a", b"b", b"b"):
        one.add(line)
    for line in (b"b", b"a", b"b"):
        other.add(line)
    for line in (b"a", b"b"):
        less.add(line)
    assert one == other != less


def test_a_table_that_is_not_there_is_refused(cast: Family, tmp_path: Path) -> None:
    settings = Settings.from_env({"KINFOLD_DATA": str(tmp_path / "new")})
    migrate(settings)
    database = Database(settings.database_url)
    for line in (b'{"table":"nothing","columns":["id"]}\n', b'{"table":"guest","columns":["id","shoe_size"]}\n'):
        with pytest.raises(rows.RowsUnknown), database.writing() as session:
            rows.load(session.connection(), [line], rows.our_tables())
    database.close()


def test_a_snapshot_does_not_see_what_comes_after(cast: Family) -> None:
    with rows.snapshot(cast.house.database) as still:
        before = rows.fingerprints(rows.write_lines(still))
        cast.album("Meanwhile")
        assert rows.fingerprints(rows.write_lines(still)) == before
    with rows.snapshot(cast.house.database) as later:
        assert rows.fingerprints(rows.write_lines(later)) != before
