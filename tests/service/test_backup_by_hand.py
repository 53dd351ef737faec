"""Backup and restore as they are typed: on real disks, databases and buckets, killed in the middle, onto an empty machine."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.house import House
from app.media.models import Photo
from tests import postgres
from tests.conftest import AWS_KEYS, PASSWORD, Family, tiny_jpeg
from tests.machine import KILLED, Machine, family_on, lines_by_table, plain_bytes
from tests.seaweed import Seaweed
from tests.server import PROJECT, Browser, Server, wait_for

pytestmark = pytest.mark.slow

PASSPHRASE = {"KINFOLD_BACKUP_PASSPHRASE": "six ducks on a red boat"}
ENDED = {"instance", "member_session", "one_time_address", "link", "device", "deletion", "removal", "grant", "notification"}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Family]:
    """An instance in one folder."""
    family = family_on(Machine(tmp_path / "home", {}))
    yield family
    family.house.database.close()


@pytest.fixture
def machine(home: Family) -> Machine:
    return Machine(home.house.settings.data, {})


@pytest.fixture
def other(tmp_path: Path) -> Machine:
    """An empty machine."""
    return Machine(tmp_path / "other", {})


def assert_is_back(there: House, here: House) -> None:
    assert plain_bytes(there) == plain_bytes(here)
    mine, theirs = lines_by_table(here.database), lines_by_table(there.database)
    assert {name: theirs[name] for name in set(mine) - ENDED} == {name: mine[name] for name in set(mine) - ENDED}
    there.database.close()


# --- onto an empty machine -----------------------------------------------------------------------------------------------


def test_an_empty_machine_is_restored_and_simply_starts(home: Family, machine: Machine, other: Machine, tmp_path: Path) -> None:
    file = tmp_path / "kinfold.tar"
    assert "3 photos in 1 album" in machine.type("backup", file, "--keys", **PASSPHRASE)
    assert "3 photos in 1 album can be restored." in machine.type("backup", "--check", file)
    said = other.type("restore", file, **PASSPHRASE)
    assert "3 photos in 1 album are back" in said and "has ended" in said
    server = other.server(tmp_path / "server")
    server.start()
    try:
        anna = Browser(server.base)
        answer = anna.post("/sign-in", anna.token("/sign-in"), email="anna@example.org", password=PASSWORD)
        assert answer.status == 303
        (album,) = anna.get("/albums", Accept="application/json").json["albums"]
        assert album["title"] == "Brittany 2026"
        assert len(anna.photos(album["id"])) == 3
        rose = Browser(server.base)
        assert rose.get(f"/i/{home.people['Rose'].token}").status == 404
        assert "is running" in other.type("restore", file, fails=True, **PASSPHRASE)
    finally:
        server.kill()


def test_a_backup_is_made_while_photos_come_and_go(tmp_path: Path) -> None:
    """What is in it fits together, whatever happened meanwhile."""
    server = Server(tmp_path).start()
    try:
        anna = Browser(server.base)
        anna.set_up(server.set_up_address())
        album = anna.album("Brittany 2026")
        page, file = f"/albums/{album}", tmp_path / "kinfold.tar"
        photos = []
        for number in range(12):
            answer = anna.upload(f"{page}/photos", anna.token(page), (f"{number}.jpg", tiny_jpeg((number, 0, 0))))
            photos.append(answer.json["photos"][0]["id"])
        command = [sys.executable, "-m", "flask", "--app", "wsgi:app", "backup", "--wait", "3", str(file)]
        running = subprocess.Popen(command, cwd=PROJECT, env=server._env, stdout=subprocess.PIPE, text=True)
        while running.poll() is None:
            answer = anna.upload(f"{page}/photos", anna.token(page), ("x.jpg", tiny_jpeg((len(photos), 9, 9))))
            photos.append(answer.json["photos"][0]["id"])
            if anna.photos(album)[0]["state"] == "ready":
                anna.post(f"/photos/{photos.pop(0)}/delete", anna.token(page))
            time.sleep(0.1)  # no more than one worker keeps up with
        assert running.returncode == 0, running.communicate()
        wait_for(lambda: all(each["state"] == "ready" for each in anna.photos(album)), "the rest to be ready", 120)
        assert "can be restored" in server.command("backup", "--check", str(file))
    finally:
        server.kill()


# --- killed in the middle ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "times"),
    [
        ("app.ops.backup.archive:Writing.add_object", 5),
        ("app.ops.backup.archive:Writing.finish", 1),
        ("app.ops.backup.archive:sync_folder", 1),
    ],
)
def test_a_backup_that_is_killed_leaves_nothing_that_looks_complete(
    home: Family, machine: Machine, tmp_path: Path, at: str, times: int
) -> None:
    file = tmp_path / "kinfold.tar"
    machine.killed(at, times, "backup", file)
    if at.endswith("sync_folder"):
        assert "can be restored" in machine.type("backup", "--check", file)  # it was whole already
        return
    assert not file.exists()
    partial = tmp_path / "kinfold.tar.partial"
    machine.type("backup", "--check", partial, fails=True)
    machine.type("backup", file)
    assert not partial.exists()
    assert "3 photos in 1 album can be restored." in machine.type("backup", "--check", file)


@pytest.mark.parametrize(
    ("at", "times"),
    [
        ("app.ops.backup.restoring:put", 7),
        ("app.ops.backup.restoring:write_key", 2),
        ("app.ops.rows:load", 2),
    ],
)
def test_a_restore_that_is_killed_is_simply_typed_again(
    home: Family, machine: Machine, other: Machine, tmp_path: Path, at: str, times: int
) -> None:
    file = tmp_path / "kinfold.tar"
    machine.type("backup", file, "--keys", **PASSPHRASE)
    other.killed(at, times, "restore", file, **PASSPHRASE)
    started = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi:app", "status"], cwd=PROJECT, env=other.env, capture_output=True, text=True
    )
    assert list((other.folder / "photos/albums").glob("*/*"))
    assert started.returncode != 0 and "database is empty" in started.stderr  # half a restore does not start
    other.type("restore", file, **PASSPHRASE)
    assert_is_back(other.open(), home.house)
    assert not (other.folder / "restoring").exists()


def test_killed_at_the_very_end_it_is_there(home: Family, machine: Machine, other: Machine, tmp_path: Path) -> None:
    file = tmp_path / "kinfold.tar"
    machine.type("backup", file, "--keys", **PASSPHRASE)
    other.killed("shutil:rmtree", 2, "restore", file, **PASSPHRASE)
    assert_is_back(other.open(), home.house)
    assert "already" in other.type("restore", file, fails=True, **PASSPHRASE)


# --- every kind of database and storage ------------------------------------------------------------------------------------------


def test_from_a_folder_to_postgresql_and_a_bucket_and_back(
    home: Family, machine: Machine, tmp_path: Path, seaweed: Seaweed
) -> None:
    keys = {f"KINFOLD_{name.upper()}_KEY": (machine.folder / "keys" / f"{name}.key").read_text() for name in ("master", "secret")}
    url = postgres.cluster().database(postgres.scratch_name(tmp_path))
    bucket = {"KINFOLD_STORAGE_URL": seaweed.url(seaweed.bucket()), **AWS_KEYS}
    large = Machine(tmp_path / "large", {**keys, **bucket, "KINFOLD_DATABASE_URL": url})
    os.environ.update(AWS_KEYS)
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    machine.type("backup", first)
    large.killed("app.ops.backup.restoring:put", 4, "restore", first)
    large.type("restore", first)
    assert_is_back(large.open(), home.house)
    assert not (large.folder / "keys").exists()
    large.type("backup", second)
    assert "3 photos in 1 album can be restored." in large.type("backup", "--check", second)
    small = Machine(tmp_path / "small", keys)
    small.type("restore", second)
    assert_is_back(small.open(), home.house)


# --- a full disk ------------------------------------------------------------------------------------------------------------------


def test_a_full_disk_is_a_sentence_and_leaves_nothing(home: Family, machine: Machine, tmp_path: Path) -> None:
    """The size that a file of this process may have stands for the disk."""
    file = tmp_path / "kinfold.tar"
    limit = "__import__('resource').setrlimit(__import__('resource').RLIMIT_FSIZE, (4096, 4096))"
    script = KILLED.replace("os.kill(os.getpid(), signal.SIGKILL)", limit)
    command = [sys.executable, "-c", script, "app.ops.backup.archive", "Writing", "add_object", "2", "backup", str(file)]
    done = subprocess.run(command, cwd=PROJECT, env=machine.env, capture_output=True, text=True)
    assert done.returncode == 1 and "Nothing was left behind" in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.glob("kinfold.tar*")) == []


def test_a_restore_without_room_takes_back_what_it_wrote(home: Family, machine: Machine, other: Machine, tmp_path: Path) -> None:
    file = tmp_path / "kinfold.tar"
    machine.type("backup", file, "--keys", **PASSPHRASE)
    full = "raise __import__('app.storage.port').storage.port.StorageFailed('disk-full')"
    script = KILLED.replace("os.kill(os.getpid(), signal.SIGKILL)", full)
    command = [sys.executable, "-c", script, "app.ops.backup.restoring", "", "put", "5", "restore", str(file)]
    done = subprocess.run(command, cwd=PROJECT, env=other.env | PASSPHRASE, capture_output=True, text=True)
    assert done.returncode == 1 and "The disk of the storage is full" in done.stderr
    assert not [path for path in (other.folder / "photos/albums").rglob("*") if path.is_file()]
    assert not (other.folder / "restoring").exists() and not (other.folder / "keys").exists()
    other.type("restore", file, **PASSPHRASE)
    with other.open().database.reading() as session:
        assert len(session.scalars(sa.select(Photo.id)).all()) == 3
