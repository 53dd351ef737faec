"""The keys of an instance (attack 14), and what it answers when it is not well."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest
import sqlalchemy as sa

from app import create_app
from app.albums import service as albums
from app.albums.models import Album
from app.clock import HandClock
from app.config import Settings
from app.db import Database
from app.errors import WrongSetting
from app.house import House
from app.instance import open_keys
from app.ops.keyfiles import key_texts
from app.ops.migrate import migrate
from app.ops.rotate import rewrap
from app.security.sealing import MasterKey, SealBroken
from tests.conftest import START, Family
from tests.lint import LintingClient
from tests.rows import all_rows

SECRET = "s" * 40


@pytest.fixture
def files(smiths: Family) -> Path:
    if not smiths.house.settings.embedded:
        pytest.skip("a shared database never has its keys made in a folder")
    return smiths.house.settings.data / "keys"


def start_again(family: Family, **env: str) -> None:
    """Another process, or a second node, opens the same database."""
    settings = Settings.from_env({"KINFOLD_DATA": str(family.house.settings.data), **env})
    open_keys(settings, family.house.database, family.house.clock)


def refuses(family: Family, *words: str, **env: str) -> None:
    data = family.house.settings.data
    before = all_rows(family.house.database), sorted(path.name for path in data.rglob("*"))
    with pytest.raises(WrongSetting) as told:
        start_again(family, **env)
    assert all(word in str(told.value) for word in words), told.value
    assert (all_rows(family.house.database), sorted(path.name for path in data.rglob("*"))) == before, "nothing was changed"


def test_the_first_start_makes_keys_that_only_we_can_read(smiths: Family, files: Path) -> None:
    assert {path.name: path.stat().st_mode & 0o777 for path in files.iterdir()} == {"master.key": 0o600, "secret.key": 0o600}
    assert files.stat().st_mode & 0o777 == 0o700


def test_of_two_first_starts_at_once_the_slower_takes_the_keys_of_the_faster(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Overwritten, everything that the faster has sealed meanwhile would be lost."""
    empty = tmp_path / "first"
    empty.mkdir()
    settings = replace(
        house.settings, data=empty, database_url=f"sqlite:///{empty}/kinfold.sqlite3", master_key=None, secret_key=None
    )
    migrate(settings)
    database = Database(settings.database_url)
    real = Path.exists

    def not_yet(path: Path) -> bool:
        if path.name == "master.key" and not real(path):
            path.parent.mkdir(exist_ok=True)
            path.write_text(faster)
            return False
        return real(path)

    faster = MasterKey.generate()
    monkeypatch.setattr(Path, "exists", not_yet)
    keys = open_keys(settings, database, HandClock(START))
    database.close()
    assert (empty / "keys/master.key").read_text() == faster
    assert keys.master.fits(MasterKey.parse(faster).check_value())


def test_a_later_start_takes_the_same_keys(smiths: Family, files: Path) -> None:
    start_again(smiths)


@pytest.mark.parametrize(("name", "setting"), [("master.key", "KINFOLD_MASTER_KEY"), ("secret.key", "KINFOLD_SECRET_KEY")])
def test_a_missing_key_refuses_the_start_and_makes_no_other(smiths: Family, files: Path, name: str, setting: str) -> None:
    (files / name).unlink()
    refuses(smiths, setting, "Nothing was changed")


def test_another_master_key_refuses_the_start(smiths: Family, files: Path) -> None:
    other = MasterKey.generate()
    refuses(smiths, "master key", "Nothing was changed", KINFOLD_MASTER_KEY=other)
    (files / "master.key").write_text(other)
    refuses(smiths, "master key", "Nothing was changed")


def test_another_secret_key_refuses_the_start(smiths: Family, files: Path) -> None:
    refuses(smiths, "secret key", "new,old", KINFOLD_SECRET_KEY=SECRET)
    refuses(smiths, "32 characters", KINFOLD_SECRET_KEY="short")


def test_garbage_is_no_key(smiths: Family, files: Path) -> None:
    for garbage in ("garbage", "é", "A" * 43):
        refuses(smiths, KINFOLD_MASTER_KEY=garbage)


def test_a_second_node_without_the_keys_refuses_to_start(smiths: Family, tmp_path: Path) -> None:
    elsewhere = tmp_path / "second node"
    env = {"KINFOLD_DATA": str(elsewhere), "KINFOLD_DATABASE_URL": smiths.house.settings.database_url}
    before = all_rows(smiths.house.database)
    with pytest.raises(WrongSetting):
        open_keys(Settings.from_env(env), smiths.house.database, smiths.house.clock)
    assert not elsewhere.exists()
    assert all_rows(smiths.house.database) == before


def test_a_shared_database_never_makes_keys(empty_database: Path, tmp_path: Path, clock: HandClock) -> None:
    settings = replace(Settings.from_env({"KINFOLD_DATA": str(tmp_path / "x")}), database_url="postgresql+psycopg://db/kinfold")
    database = Database(f"sqlite:///{empty_database}")
    with pytest.raises(WrongSetting):
        open_keys(settings, database, clock)
    assert not (tmp_path / "x").exists()
    database.close()


def test_a_new_secret_key_beside_the_old_one_leaves_links_and_photos_working(
    smiths: Family, files: Path, make_house: Callable[..., House]
) -> None:
    smiths.album("Picnic")
    smiths.photo("Picnic")
    rose = smiths.share("Picnic", "Rose")
    old = (files / "secret.key").read_text().strip()
    both = make_house(KINFOLD_SECRET_KEY=f"{SECRET},{old}")
    browser = LintingClient(create_app(both.settings, both))
    assert browser.send(f"/i/{rose.token}").status_code == 303
    assert browser.get("/shared").status_code == 200
    start_again(smiths, KINFOLD_SECRET_KEY=SECRET)


# --- health


def test_a_server_that_is_well_says_so(stranger: LintingClient) -> None:
    assert (stranger.get("/healthz").text, stranger.get("/readyz").text) == ("ok\n", "ready\n")


def test_a_server_without_storage_is_not_ready_and_says_no_more(
    house: House, stranger: LintingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_name: str) -> None:
        raise OSError("/secret/path is gone")

    monkeypatch.setattr(house.storage, "create", broken)
    answer = stranger.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "not ready\n")
    assert stranger.get("/healthz").status_code == 200


def test_one_look_that_hangs_holds_nobody_else(
    house: House, stranger: LintingClient, browser_of: Callable[..., LintingClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    looking, done = Event(), Event()

    def hangs(_name: str) -> None:
        looking.set()
        assert done.wait(10)
        raise OSError

    monkeypatch.setattr(house.storage, "create", hangs)
    first = Thread(target=lambda: browser_of().get("/readyz"))
    first.start()
    try:
        assert looking.wait(10)
        assert stranger.get("/readyz").status_code == 503
        assert first.is_alive(), "the answer did not wait for the look"
    finally:
        done.set()
        first.join()


def test_whoever_asks_whether_the_process_lives_does_not_wait_for_the_database(
    stranger: LintingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(*_: object) -> bool:
        raise AssertionError("the database was asked")

    monkeypatch.setattr("app.web.application.take_notice", hangs)
    assert stranger.get("/healthz").status_code == 200


def test_robots_are_told_to_stay_away(stranger: LintingClient) -> None:
    assert stranger.get("/robots.txt").text == "User-agent: *\nDisallow: /\n"
    assert "Smith" not in stranger.get("/manifest.webmanifest").text


def test_nodes_may_be_started_again_one_after_another_while_the_master_key_is_changed(smiths: Family) -> None:
    """A node that knows only the old key yet opens what the others seal, until `rotate-keys` has wrapped everything; from then on, the
    new key alone is enough."""
    here, at = smiths.house, smiths.house.clock.now()
    old = key_texts(here.settings).master
    assert old is not None
    new = MasterKey.generate()
    before, between, after = (MasterKey.parse(text) for text in (old, f"{new},{old}", new))

    def make(title: str, master: MasterKey) -> tuple[str, bytes]:
        with here.database.writing() as session:
            row = albums.make_album(session, smiths.owner, title=title, description="", master=master, at=at).row
            return row.id, row.wrapped_key

    assert before.open_album(*make("Made while some know only the old key", between))
    assert rewrap(here.database, f"{new},{old}") == 1
    assert after.open_album(*make("Made before the last start", between))
    with pytest.raises(SealBroken):
        make("Made by who was forgotten", before)


def test_a_change_of_the_master_key_overlooks_no_album_that_is_being_made(smiths: Family) -> None:
    here, old, new = smiths.house, key_texts(smiths.house.settings).master, MasterKey.generate()
    assert old is not None
    both = MasterKey.parse(f"{new},{old}")
    change = Thread(target=rewrap, args=(here.database, f"{new},{old}"))
    with here.database.writing() as session:
        albums.make_album(session, smiths.owner, title="Half made", description="", master=both, at=here.clock.now())
        change.start()
        change.join(0.5)
        assert change.is_alive(), "it waits"
        session.commit()
    change.join(20)
    with here.database.reading() as session:
        row = session.scalars(sa.select(Album)).one()
    assert MasterKey.parse(new).open_album(row.id, row.wrapped_key)
