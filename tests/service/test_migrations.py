"""Migrations are written by hand, can be undone, keep what is there, and end at what the models say. On SQLite and on PostgreSQL."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from app.activity.models import Deletion, DeletionKind
from app.albums.models import Album
from app.config import Settings
from app.db import Database
from app.errors import WrongSetting
from app.groups.models import Group, GroupKind
from app.jobs.engine import ENGINE_TABLES
from app.media.models import Photo, PhotoKind, PhotoState
from app.models import Base
from app.ops.migrate import alembic_config, migrate
from tests.postgres import cluster, scratch_name


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind."""
    on_postgres = request.param == "postgresql"
    made = Database(cluster().database(scratch_name(tmp_path)) if on_postgres else f"sqlite:///{tmp_path / 'empty.sqlite3'}")
    yield made
    made.close()


def tables(database: Database) -> set[str]:
    return set(sa.inspect(database.engine).get_table_names()) - {"alembic_version"}


def test_up_is_what_the_models_say_and_down_leaves_nothing(database: Database) -> None:
    config = alembic_config(database.engine)
    command.upgrade(config, "head")
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    command.downgrade(config, "base")
    assert tables(database) == set()
    command.upgrade(config, "head")
    assert tables(database) == set(Base.metadata.tables)


MEMBER = {"name": "Anna", "email": "anna@example.org", "password_hash": "h", "role": "owner"}
ACTIVITY = {"kind": "shared", "album_id": None, "bucket": None}


def everything(database: Database) -> dict[tuple[str, str], list[object]]:
    """Every column of every table, as it is stored."""
    found: dict[tuple[str, str], list[object]] = {}
    inspector = sa.inspect(database.engine)
    with database.engine.connect() as connection:
        for table in tables(database):
            for column in inspector.get_columns(table):
                name = column["name"]
                found[table, name] = list(connection.scalars(sa.select(sa.column(name)).select_from(sa.table(table))))
    return found


def test_what_is_there_survives_every_step(database: Database) -> None:
    """A family of the first version goes up to this one and back down, and nothing of it is lost or changed."""
    config = alembic_config(database.engine)
    command.upgrade(config, "0001")
    group, anna, rose = "g" * 26, "a" * 26, "r" * 26
    with database.engine.begin() as connection:
        for table, row in (
            ("instance", {"id": 1, "master_check": b"m", "secret_check": b"s", "latest": sa.func.now()}),
            ("group", {"id": group, "name": "The Smiths", "kind": "family", "created_at": sa.func.now()}),
            ("member", MEMBER | {"id": anna, "group_id": group, "created_at": sa.func.now()}),
            ("guest", {"id": rose, "group_id": group, "name": "Rose", "created_at": sa.func.now(), "created_by": anna}),
            (
                "activity",
                ACTIVITY | {"id": "1" * 26, "group_id": group, "member_id": anna, "guest_id": rose, "at": sa.func.now()},
            ),
        ):
            connection.execute(sa.insert(sa.table(table, *(sa.column(name) for name in row))).values(**row))
    before = everything(database)
    command.upgrade(config, "head")
    after = everything(database)
    assert {(table, key): after[table, key] for table, key in before} == before
    command.downgrade(config, "0001")
    assert everything(database) == before


def test_the_version_before_meets_no_word_that_it_does_not_know(database: Database) -> None:
    config = alembic_config(database.engine)
    command.upgrade(config, "head")
    at = datetime(2026, 7, 1, tzinfo=UTC)
    with database.writing() as session:
        session.add_all(Deletion(kind=kind, subject=kind.value, at=at) for kind in DeletionKind)
        group, album = "g" * 26, "a" * 26
        session.add(Group(id=group, name="The Smiths", kind=GroupKind.FAMILY, created_at=at))
        session.flush()
        session.add(Album(id=album, group_id=group, wrapped_key=b"k", sealed_title=b"t", sealed_description=b"d", created_at=at))
        session.flush()
        known = {
            "kind": PhotoKind.PHOTO,
            "taken_at": at.replace(tzinfo=None),
            "removed": [],
            "stored": 0,
            "created_at": at,
            "changed_at": at,
        }
        session.add_all(
            Photo(album_id=album, group_id=group, state=state, number=number, fingerprint=bytes([number]), **known)
            for number, state in enumerate((PhotoState.AWAITING, PhotoState.HELD))
        )
    command.downgrade(config, "0003")
    there = everything(database)
    assert (there["photo", "state"], there["photo", "reason"]) == (["refused"] * 2, ["hidden"] * 2), "there is a sentence for it"
    left = {DeletionKind(kind) for kind in there["deletion", "kind"]}
    assert left == set(list(DeletionKind)[: list(DeletionKind).index(DeletionKind.SAVING) + 1])


def test_deleting_a_group_leaves_no_row_behind(database: Database) -> None:
    """Every table but the instance's own hangs on a group by foreign keys that cascade."""
    command.upgrade(alembic_config(database.engine), "head")
    inspector = sa.inspect(database.engine)
    free_standing = {"group", "instance", "removal", "deletion"}
    for table in tables(database) - free_standing:
        rules = {key["referred_table"]: key["options"].get("ondelete") for key in inspector.get_foreign_keys(table)}
        assert "CASCADE" in rules.values(), f"{table} would outlive its group"


def test_our_tables_and_the_engines_never_share_a_name() -> None:
    assert not set(Base.metadata.tables) & ENGINE_TABLES


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    settings = Settings.from_env({"KINFOLD_DATA": str(tmp_path)})
    migrate(settings)
    database = Database(settings.database_url)
    with database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(WrongSetting, match="newer version"):
        migrate(settings)
