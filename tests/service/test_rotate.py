"""Another master key: what was sealed opens before, meanwhile and after, whenever the command is killed."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import instance
from app.albums.models import Album
from app.errors import WrongSetting
from app.instance import Instance
from app.ops.keyfiles import key_texts, nobody_holds
from app.ops.rotate import newest_of, rewrap
from app.security.sealing import MasterKey, SealBroken
from tests.conftest import Family
from tests.machine import Machine, family_on, plain_bytes


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An instance with its keys in the data folder."""
    made = Machine(tmp_path / "home", {})
    family_on(made).house.database.close()
    let_go()
    return made


def let_go() -> None:
    """As if this process had ended: it no longer holds the key files it began with."""
    while instance._held:
        os.close(instance._held.popitem()[1])


def master_key(machine: Machine) -> str:
    return (machine.folder / "keys/master.key").read_text().strip()


def photos(machine: Machine) -> dict[str, bytes]:
    """Every photo, opened with the keys that there are."""
    house = machine.open()
    try:
        return plain_bytes(house)
    finally:
        house.database.close()
        let_go()


# --- rewrapping ------------------------------------------------------------------------------------------------------


def test_every_album_opens_with_the_new_key_alone(cast: Family) -> None:
    house = cast.house
    old, new = key_texts(house.settings).master, MasterKey.generate()
    before = plain_bytes(house)
    assert rewrap(house.database, f"{new},{old}") == 3
    assert rewrap(house.database, f"{new},{old}") == 0  # safe to repeat
    after = replace(house, keys=replace(house.keys, master=MasterKey.parse(new)))
    assert plain_bytes(after) == before
    with house.database.reading() as session:
        assert MasterKey.parse(new).fits(session.scalars(sa.select(Instance.master_check)).one())
        wrapped = session.execute(sa.select(Album.id, Album.wrapped_key)).first()
    assert wrapped is not None and old is not None
    with pytest.raises(SealBroken):
        MasterKey.parse(old).open_album(*wrapped)


def test_with_the_wrong_keys_nothing_is_changed(cast: Family) -> None:
    before = plain_bytes(cast.house)
    with pytest.raises(SealBroken):
        rewrap(cast.house.database, f"{MasterKey.generate()},{MasterKey.generate()}")
    assert plain_bytes(cast.house) == before
    with cast.house.database.reading() as session:
        assert cast.house.master.fits(session.scalars(sa.select(Instance.master_check)).one())


# --- as it is typed: keys in the data folder ---------------------------------------------------------------------------------


def test_two_runs_and_a_start_between_them(machine: Machine) -> None:
    old, before = master_key(machine), photos(machine)
    assert "Start Kinfold again" in machine.type("rotate-keys")
    new = newest_of(master_key(machine))
    assert master_key(machine) == f"{new},{old}" and new != old
    assert photos(machine) == before
    assert "1 album key was wrapped" in machine.type("rotate-keys")
    assert master_key(machine) == new
    assert [path.name for path in sorted((machine.folder / "keys").iterdir())] == ["master.key", "secret.key"]
    assert (machine.folder / "keys/master.key").stat().st_mode & 0o777 == 0o600
    assert photos(machine) == before


@pytest.mark.slow
def test_a_server_that_was_not_started_again_is_seen(machine: Machine, tmp_path: Path) -> None:
    """It would seal the next album with the old key alone, and nobody could ever open that."""
    server = machine.server(tmp_path / "server").start()
    try:
        machine.type("rotate-keys")
        assert "still runs with the old key alone" in machine.type("rotate-keys", fails=True)
        assert "," in master_key(machine)
        server.stop()
        server.start()
        machine.type("rotate-keys")
        assert "," not in master_key(machine)
        assert server.get_status("/readyz") == 200
    finally:
        server.kill()
    assert len(photos(machine)) == 9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("run", "at", "times"),
    [
        (1, "app.ops.rotate:write_key", 1),
        (1, "", 0),
        (2, "app.ops.rotate:rewrap", 1),
        (2, "sqlalchemy.orm:Session.commit", 1),
        (2, "app.ops.rotate:write_key", 1),
    ],
)
def test_killed_at_any_moment_everything_opens_and_it_can_be_typed_again(machine: Machine, run: int, at: str, times: int) -> None:
    before, old = photos(machine), master_key(machine)
    if run == 2:
        machine.type("rotate-keys")
    if times:
        machine.killed(at, times, "rotate-keys")
    else:  # after the first file was linked, before the new one is written
        os.link(machine.folder / "keys/master.key", machine.folder / "keys/master.key.before")
    assert photos(machine) == before
    while "only one now" not in machine.type("rotate-keys"):
        assert photos(machine) == before
    assert photos(machine) == before
    assert master_key(machine) != old and "," not in master_key(machine)
    assert not (machine.folder / "keys/master.key.before").exists()


@pytest.mark.slow
def test_killed_after_the_last_word_was_written_the_next_run_only_tidies(machine: Machine) -> None:
    machine.type("rotate-keys")
    machine.type("rotate-keys")
    new = master_key(machine)
    (machine.folder / "keys/master.key.before").write_text("what was left")
    assert "only one now" in machine.type("rotate-keys")
    assert master_key(machine) == new


def test_whoever_began_with_a_file_is_seen_by_its_lock(machine: Machine) -> None:
    path = machine.folder / "keys/master.key"
    assert nobody_holds(path)
    house = machine.open()
    assert not nobody_holds(path)
    house.database.close()
    let_go()
    assert nobody_holds(path)


# --- as it is typed: keys from settings ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_keys_from_settings(machine: Machine) -> None:
    old, before, new = master_key(machine), photos(machine), MasterKey.generate()
    (machine.folder / "keys/master.key").unlink()
    machine.env["KINFOLD_MASTER_KEY"] = old
    assert "names one key" in machine.type("rotate-keys", fails=True)
    machine.env["KINFOLD_MASTER_KEY"] = f"{new},{old}"
    assert photos(machine) == before
    assert "1 album key was wrapped" in machine.type("rotate-keys")
    machine.env["KINFOLD_MASTER_KEY"] = new
    assert photos(machine) == before
    machine.env["KINFOLD_MASTER_KEY"] = old
    with pytest.raises(WrongSetting, match="does not belong"):
        machine.open()


@pytest.mark.slow
def test_the_secret_key_keeps_links_alive(machine: Machine) -> None:
    path = machine.folder / "keys/secret.key"
    old = path.read_text().strip()
    assert "go on working" in machine.type("rotate-keys", "--secret")
    assert path.read_text().strip().split(",")[1] == old
    assert machine.open().keys.secret_keys[1] == old
    let_go()
    machine.type("rotate-keys", "--secret")
    assert path.read_text().strip().split(",")[2] == old, "as often as it is typed, no link ends by it"
    newest = path.read_text().split(",")[0]
    machine.type("rotate-keys", "--secret", "--forget")
    assert path.read_text().strip() == newest
    assert "belongs to --secret" in machine.type("rotate-keys", "--forget", fails=True)
