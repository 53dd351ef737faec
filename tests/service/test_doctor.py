"""The doctor: what it says when all is well, when something is broken, and when nearly everything is."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from click.testing import CliRunner

from app.config import Settings
from app.db import Database
from app.house import open_house
from app.ingest import decoding
from app.ingest.decoder.limits import Refusal
from app.ingest.decoder.sniff import sniff
from app.instance import Instance
from app.media.models import PhotoState, Rendition
from app.ops import doctor as room
from app.ops.doctor import Finding, State, doctor
from app.ops.keyfiles import key_texts
from app.ops.migrate import Standing, alembic_config, migrate
from app.ops.status import Totals
from app.storage.local import Local
from app.storage.port import Kept
from tests.conftest import Family
from tests.seaweed import KEYS, Seaweed
from tests.server import PROJECT, Server

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOTALS = Totals(
    groups=1, members=1, guests=0, albums=1, photos=dict.fromkeys(PhotoState, 0), reports=0, waiting=None, stored=0, links=0,
    sessions=1, devices=0, exposed=False, since_backup=3600.0,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data folder of a server that has run once."""
    data = tmp_path / "data"
    settings = Settings.from_env({"KINFOLD_DATA": str(data)})
    before = os.umask(0o077)
    migrate(settings)
    house = open_house(settings)
    house.database.close()
    os.umask(before)
    return data


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder and ffmpeg take a while to start, and have tests of their own."""
    monkeypatch.setattr(room, "_look_at_decoder", lambda: iter(()))
    monkeypatch.setattr(room, "_look_at_films", lambda: iter(()))


def ask(data: Path, **env: str) -> tuple[int, dict[str, Finding]]:
    """What the doctor finds, by the name of the check, and how it ends."""
    settings = {f"KINFOLD_{name}": None for name in ("PORT", "HOST", "BASE_URL")} | {"KINFOLD_DATA": str(data)} | env
    done = CliRunner(env=settings).invoke(doctor, ["--json"])
    told = json.loads(done.stdout)
    findings = {each["name"]: Finding(each["name"], State(each["state"]), each["says"], each["do"]) for each in told["checks"]}
    assert told["ok"] == (done.exit_code == 0) == all(each.state is not State.FAILURE for each in findings.values())
    for each in findings.values():
        assert each.says.endswith((".", "?")) and bool(each.do) == (each.state is not State.OK), each
    return done.exit_code, findings


def change(data: Path, statement: Any) -> None:
    database = Database(f"sqlite:///{data / 'kinfold.sqlite3'}")
    with database.writing() as session:
        session.execute(statement)
    database.close()


def test_all_is_well_after_a_start(folder: Path) -> None:
    code, found = ask(folder)
    assert code == 0
    assert {name for name, each in found.items() if each.state is not State.OK} <= {
        "backup",
        "workers",
        "swap",
        "disk",
        "sandbox",
        "films",
    }
    assert "It prepares videos" in found["films"].says
    for name in ("settings", "database", "keys", "clock", "storage", "strangers", "decoder", "queue", "key files", "data folder"):
        assert found[name].state is State.OK, found[name]
    assert found["decoder"].says == "It reads jpeg, png, webp, avif, heic."
    assert found["backup"].says == "No backup was ever made."


def test_it_changes_nothing(folder: Path) -> None:
    def everything() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".sqlite3-shm"}

    before = everything()
    ask(folder)
    assert {name: content for name, content in everything().items() if "-wal" not in name} == {
        name: content for name, content in before.items() if "-wal" not in name
    }


def test_a_folder_that_is_not_there_stays_so(tmp_path: Path, looks: object) -> None:
    code, found = ask(tmp_path / "nothing" / "yet")
    assert code == 0 and not (tmp_path / "nothing").exists()
    assert [found[name].state for name in ("data folder", "database", "storage")] == [State.WARNING] * 3


def test_a_setting_that_is_wrong_is_told_and_the_rest_still_looked_at(folder: Path) -> None:
    code, found = ask(folder, KINFOLD_BASE_URL="http://photos.example.org")
    assert code == 1 and "Plain http" in found["settings"].says
    assert found["decoder"].state is State.OK and "database" not in found


@pytest.mark.parametrize("what", ["garbage", "unreachable"])
def test_a_database_that_does_not_answer(folder: Path, looks: object, what: str) -> None:
    env = {}
    if what == "garbage":
        (folder / "kinfold.sqlite3").write_bytes(b"not a database" * 1000)
        for name in ("kinfold.sqlite3-wal", "kinfold.sqlite3-shm"):
            (folder / name).unlink(missing_ok=True)
    else:
        env = {"KINFOLD_DATABASE_URL": "postgresql+psycopg://kinfold:secret-word@127.0.0.1:1/kinfold"}
    code, found = ask(folder, **env)
    assert code == 1 and found["database"].state is State.FAILURE
    assert found["storage"].state is State.OK and "secret-word" not in str(found)


def test_keys_of_somebody_else(folder: Path, looks: object) -> None:
    (folder / "keys" / "master.key").write_text("A" * 43 + "\n")
    code, found = ask(folder)
    assert code == 1 and "does not belong to this database" in found["keys"].says


def test_keys_that_are_gone(folder: Path, looks: object) -> None:
    (folder / "keys" / "secret.key").unlink()
    code, found = ask(folder)
    assert code == 1 and "Is a volume not mounted?" in found["keys"].says
    assert not (folder / "keys" / "secret.key").exists()


def test_a_new_key_before_the_old_one_fits_and_is_not_written_down(folder: Path, looks: object) -> None:
    old = (folder / "keys" / "secret.key").read_text().strip()
    (folder / "keys" / "secret.key").write_text(f"{'n' * 40},{old}")
    assert ask(folder)[1]["keys"].state is State.OK
    (folder / "keys" / "secret.key").write_text(old)
    assert ask(folder)[1]["keys"].state is State.OK


def test_what_the_rows_say(folder: Path, looks: object) -> None:
    now = datetime.now(UTC)
    change(
        folder, sa.update(Instance).values(exposed_at=now, backed_up_at=now - timedelta(days=9), latest=now + timedelta(days=400))
    )
    code, found = ask(folder)
    assert code == 1
    assert found["exposed"].state is State.FAILURE
    assert found["backup"].state is State.WARNING and "409 days" in found["backup"].says  # by the later of the two times
    assert found["clock"].state is State.FAILURE and "399 days behind" in found["clock"].says


def test_a_database_of_an_older_and_of_a_newer_version(folder: Path, looks: object) -> None:
    database = Database(f"sqlite:///{folder / 'kinfold.sqlite3'}")
    command.downgrade(alembic_config(database.engine), "-1")
    code, found = ask(folder)
    assert code == 0 and found["database"].state is State.WARNING and found["keys"].state is State.OK and "backup" not in found
    with database.writing() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    code, found = ask(folder)
    assert code == 1 and "newer version" in found["database"].says


def test_a_storage_that_can_not_be_used(folder: Path, looks: object) -> None:
    shutil.rmtree(folder / "photos")
    (folder / "photos").write_text("not a folder")
    code, found = ask(folder)
    assert code == 1 and "can't be used" in found["storage"].says


def test_a_storage_without_the_photos_of_this_database(cast: Family, looks: object, tmp_path: Path) -> None:
    settings = cast.house.settings
    keys = key_texts(settings)
    env = {"KINFOLD_MASTER_KEY": str(keys.master), "KINFOLD_SECRET_KEY": str(keys.secret)}
    env |= {"KINFOLD_DATABASE_URL": settings.database_url}
    assert ask(tmp_path / "elsewhere", **env)[1]["photos"].state is State.FAILURE
    with cast.house.database.reading() as session:
        name = session.scalars(sa.select(Rendition.object_name).where(Rendition.object_name.is_not(None))).first()
    assert name is not None
    writer = Local(tmp_path / "elsewhere/photos").create(name)
    writer.write(b"one of the photos")
    writer.commit()
    assert "photos" not in ask(tmp_path / "elsewhere", **env)[1]


def test_a_check_that_falls_over_is_a_finding(folder: Path, looks: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "round_trip", lambda _: 1 / 0)
    code, found = ask(folder)
    assert code == 1 and found["storage"].says == "This could not be checked (ZeroDivisionError)."


def test_a_bucket_that_is_closed_and_one_that_is_open(folder: Path, looks: object, seaweed: Seaweed) -> None:
    bucket = seaweed.bucket()
    env = {"KINFOLD_STORAGE_URL": seaweed.url(bucket), **KEYS}
    code, found = ask(folder, **env)
    assert found["storage"].state is State.OK and found["strangers"].state is State.OK, found
    code, found = ask(folder, **(env | {"AWS_SECRET_ACCESS_KEY": "wrong"}))
    assert code == 1 and "does not let us in" in found["storage"].says
    seaweed.open_to_strangers(bucket)
    code, found = ask(folder, **env)
    assert code == 1 and found["strangers"].state is State.FAILURE
    seaweed.close_to_strangers(bucket)


@pytest.mark.slow
@pytest.mark.parametrize("words", [["doctor"], ["doctor", "--json"]])
def test_it_is_typed_like_every_other_command_and_runs_when_those_do_not(tmp_path: Path, words: list[str]) -> None:
    server = Server(tmp_path, KINFOLD_WORKERS="many")

    def type_in(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "flask", "--app", "wsgi:app", *words],
            cwd=PROJECT,
            env=server._env,
            capture_output=True,
            text=True,
        )

    done = type_in(*words)
    assert done.returncode == 1 and "KINFOLD_WORKERS is 'many'" in done.stdout and not done.stderr
    assert "Kinfold can't start" in type_in("status").stderr
    assert not (tmp_path / "var").exists()


def test_the_samples_are_what_they_say() -> None:
    def kind(data: bytes) -> str:
        try:
            return sniff(data)
        except Refusal as refusal:
            return refusal.reason

    assert {name: kind(sample) for name, sample in room.samples().items()} == {name: name for name in room.FORMATS}


def test_a_decoder_that_can_read_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "samples", lambda: {"jpeg": b"no picture at all", "heic": b""})
    found = list(room._look_at_decoder())
    assert found[0].state is State.FAILURE and found[0].says == "It can't read jpeg, heic."


def test_a_decoder_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(decoding.Decoder.__init__.__kwdefaults__, "command", (shutil.which("false"),))
    found = list(room._look_at_decoder())
    assert [each.state for each in found] == [State.FAILURE] and "does not start" in found[0].says


def test_films_without_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    for missing in (shutil.which("false"), "/nowhere"):
        monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", lambda missing=missing: missing)  # type: ignore[misc]
        found = list(room._look_at_films())
        assert [each.state for each in found] == [State.FAILURE] and "does not start" in found[0].says


# --- each check by itself -------------------------------------------------------------------------------------------------


def settings(**env: str) -> Settings:
    return Settings.from_env({f"KINFOLD_{name}": value for name, value in env.items()})


WALLS = {"landlock": True, "seccomp": True}
HTTPS = {"BASE_URL": "https://photos.example.org"}


@pytest.mark.parametrize(
    ("finding", "state", "word"),
    [
        (lambda: room.check_films(False, WALLS), State.FAILURE.value, "could not be prepared"),
        (lambda: room.check_films(True, WALLS | {"landlock": False}), State.WARNING.value, "without landlock"),
        (lambda: room.check_films(True, WALLS | {"seccomp": False}), State.WARNING.value, "without seccomp"),
        (lambda: room.check_films(True, WALLS), State.OK.value, "behind"),
        (lambda: room.check_address(settings(**HTTPS)), "ok", "https://photos.example.org"),
        (lambda: room.check_address(settings()), "ok", "this machine"),
        (lambda: room.check_address(settings(BASE_URL="http://192.168.1.20:8000")), "warning", "without https"),
        (lambda: room.check_proxies(settings(**HTTPS)), "warning", "none is trusted"),
        (lambda: room.check_proxies(settings(**HTTPS, TRUSTED_PROXIES="1")), "ok", "1 proxy is"),
        (lambda: room.check_proxies(settings(**HTTPS, TRUSTED_PROXIES="2")), "ok", "2 proxies are"),
        (lambda: room.check_proxies(settings(**HTTPS, TRUSTED_PROXIES="1", HOST="0.0.0.0")), "warning", "port 8000"),
        (lambda: room.check_proxies(settings()), "ok", "No proxy"),
        (lambda: room.check_folder(Path("/var/lib/kinfold"), mode=0o700), "ok", "Only its user"),
        (lambda: room.check_folder(Path("/var/lib/kinfold"), mode=0o750), "warning", "group"),
        (lambda: room.check_folder(Path("/var/lib/kinfold"), mode=0o755), "failure", "Everybody"),
        (lambda: room.check_folder(Path("/var/lib/kinfold"), mode=None), "warning", "not there"),
        (lambda: room.check_folder(Path("/var/www/photos/var"), mode=0o700), "failure", "web server"),
        (lambda: room.check_folder(Path("/home/m/Public_HTML/var"), mode=0o700), "failure", "public_html"),
        (lambda: room.check_key_files({Path("/k/master.key"): 0o600, Path("/k/secret.key"): 0o400}), "ok", "master.key and secret.key"),
        (lambda: room.check_key_files({Path("/k/master.key"): 0o640}), "warning", "/k/master.key"),
        (lambda: room.check_key_files({Path("/k/master.key"): None}), "failure", "can't be found"),
        (lambda: room.check_key_files({}), "ok", "No key lies in a file"),
        (lambda: room.check_room("disk", Path("/x"), free=5 * room.ROOM), "ok", "5.0 GB"),
        (lambda: room.check_room("disk", Path("/x"), free=room.ROOM - 1), "warning", "1000.0 MB"),
        (lambda: room.check_room("disk", Path("/x"), free=room.ROOM // 10 - 1), "failure", "100.0 MB"),
        (lambda: room.check_swap([]), "ok", "Nothing is swapped"),
        (lambda: room.check_swap(None), "ok", "does not say"),
        (lambda: room.check_swap(["/dev/sda2"]), "warning", "/dev/sda2"),
        (lambda: room.check_standing(Standing.CURRENT), "ok", "at this version"),
        (lambda: room.check_standing(Standing.EMPTY), "warning", "is empty"),
        (lambda: room.check_standing(Standing.NEWER), "failure", "newer"),
        (lambda: room.check_clock(NOW - timedelta(minutes=1), now=NOW), "ok", "goes forward"),
        (lambda: room.check_clock(NOW + timedelta(minutes=4), now=NOW), "ok", "goes forward"),
        (lambda: room.check_clock(NOW + timedelta(hours=2), now=NOW), "warning", "2 hours behind"),
        (lambda: room.check_clock(NOW + timedelta(days=366), now=NOW), "failure", "366 days behind"),
        (lambda: room.check_clock(NOW - timedelta(days=3 * 366), now=NOW), "warning", "clock is ahead"),
        (lambda: room.check_owners(0), "ok", "an owner"),
        (lambda: room.check_owners(2), "warning", "2 groups have no owner"),
        (lambda: room.check_workers(2), "ok", "2 at work"),
        (lambda: room.check_workers(0), "warning", "No worker"),
        (lambda: room.check_formats([]), "ok", "heic"),
        (lambda: room.check_sandbox({"landlock": True, "seccomp": True}), "ok", "landlock and seccomp"),
        (lambda: room.check_sandbox({"landlock": False, "seccomp": True}), "warning", "without landlock"),
        (lambda: room.check_sandbox({"landlock": False, "seccomp": False}), "failure", "no wall"),
        (lambda: room.check_strangers(True), "failure", "Strangers can read"),
        (lambda: room.check_kept(Kept.NOTHING), "ok", "gone"),
        (lambda: room.check_kept(Kept.VERSIONS), "warning", "versions"),
        (lambda: room.check_kept(Kept.LOCKED), "failure", "Object Lock"),
    ],
)  # fmt: skip
def test_each_check(finding: Callable[[], Finding], state: str, word: str) -> None:
    found = finding()
    assert found.state.value == state and word in found.says
    assert bool(found.do) == (found.state is not State.OK)


@pytest.mark.parametrize(
    ("name", "change", "state"),
    [
        ("backup", {}, State.OK),
        ("backup", {"since_backup": None}, State.WARNING),
        ("backup", {"since_backup": 8 * 86400.0}, State.WARNING),
        ("queue", {"waiting": 30.0}, State.OK),
        ("queue", {"waiting": 4000.0}, State.WARNING),
        ("exposed", {"exposed": True}, State.FAILURE),
    ],
)
def test_what_is_counted(name: str, change: dict[str, Any], state: State) -> None:
    found = {each.name: each for each in room.check_totals(replace(TOTALS, **change))}
    assert found[name].state is state


def test_swap_in_memory_or_behind_encryption_is_no_worry(tmp_path: Path) -> None:
    assert room._is_safe_swap(Path("/dev/zram0"))
    assert not room._is_safe_swap(Path("/dev/sda9"))


def test_what_containers_and_units_are_handed_is_not_judged_by_its_mode(tmp_path: Path) -> None:
    key = tmp_path / "master.key"
    key.write_text("x")
    key.chmod(0o644)
    env = {"KINFOLD_MASTER_KEY_FILE": str(key), "KINFOLD_SECRET_KEY_FILE": "/run/secrets/secret_key"}
    assert room._key_files(settings(DATA=str(tmp_path)), env) == {key: 0o644}
