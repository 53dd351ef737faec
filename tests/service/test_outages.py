"""What a whole server does when something under it goes away: a clear word, not ready, nothing acknowledged lost, and by itself again."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from app.config import Settings
from app.db import PATIENCE, Database
from app.instance import Instance
from app.media.models import Photo, PhotoState
from app.media.service import claimed_objects
from app.models import Base
from app.ops.migrate import Standing, migrate, standing
from app.storage.local import Local
from tests.postgres import KEYS, Postgres, cluster, new_cluster, scratch_name
from tests.seaweed import KEYS as AWS_KEYS
from tests.seaweed import Seaweed, seaweed_in
from tests.server import PROJECT, Answer, Browser, Server, wait_for
from tests.service.test_whole_server import all_settled, photo_with_canary

pytestmark = pytest.mark.slow

OUTAGE = float(os.environ.get("KINFOLD_TEST_OUTAGE", "5"))
"""Seconds that a database or a storage is away. Nothing in Kinfold counts them: a minute, or an hour, is only longer."""


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A cluster that this test alone stops and starts."""
    made = new_cluster()
    yield made
    made.remove()


@pytest.fixture
def own_seaweed(tmp_path: Path) -> Iterator[Seaweed]:
    """A SeaweedFS that this test alone stops and starts."""
    with seaweed_in(tmp_path / "seaweed") as made:
        yield made


class Anna:
    """Anna at work: what she was told is hers."""

    def __init__(self, server: Server) -> None:
        self.server, self.browser = server, Browser(server.base)
        self.browser.set_up(server.set_up_address())
        self.album = self.browser.album("Brittany 2026")
        self.page = f"/albums/{self.album}"
        self.token = self.browser.token(self.page)
        self.acknowledged: list[str] = []

    def upload(self, number: int = 1, size: tuple[int, int] = (900, 600)) -> Answer:
        seed = len(self.acknowledged) + int(time.monotonic() * 10) % 10_000_000
        files = [
            (f"IMG_{each}.jpg", photo_with_canary(seed=(seed + each) % 100, size=(size[0] + each, size[1])))
            for each in range(number)
        ]
        answer = self.browser.upload(f"{self.page}/photos", self.token, *files)
        if answer.status == 202:
            self.acknowledged += [photo["id"] for photo in answer.json["photos"] if not photo["duplicate"]]
        return answer

    def is_turned_away(self, status: int = 503) -> bool:
        """Whether an upload is refused: by an answer, or by a line that is closed before all of it was sent."""
        try:
            return self.upload().status == status
        except urllib.error.URLError:
            return True

    def all_is_there(self) -> None:
        settled = all_settled(self.browser, self.album, len(self.acknowledged))
        assert {photo["id"] for photo in settled} == set(self.acknowledged)
        assert {photo["state"] for photo in settled} == {"ready"}

    def image(self) -> str:
        return re.findall(r'src="(/m/[^"]+)"', self.browser.get(self.page).body.decode())[0]


def log_of(server: Server) -> str:
    return (server.folder / "log").read_text()


def is_not_ready(server: Server) -> bool:
    return server.get_status("/readyz") == 503


def is_ready(server: Server) -> bool:
    return server.get_status("/readyz") == 200


def assert_calm(server: Server, since: int = 0) -> None:
    """Plain lines, and not too many of them (beside the one that every request has)."""
    said = [line for line in log_of(server)[since:].splitlines() if " kinfold.web " not in line]
    assert "Traceback" not in "\n".join(said), said
    assert len(said) < 40 + 4 * OUTAGE, said


# --- the database


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT], ids=["crash", "stop"])
def test_a_database_that_goes_away_and_comes_back(
    make_server: Callable[..., Server], own_postgres: Postgres, how: signal.Signals
) -> None:
    running = make_server(KINFOLD_DATABASE_URL=own_postgres.database("kinfold"), **KEYS).start()
    anna = Anna(running)
    assert anna.upload(2).status == 202
    anna.all_is_there()
    image = anna.image()
    assert anna.upload(6, size=(1600, 1200)).status == 202  # the worker is in the middle of them

    before = len(log_of(running))
    own_postgres.stop(how)
    began = time.monotonic()
    for path in (anna.page, "/albums", image):
        answer = anna.browser.get(path)
        assert answer.status == 503, path
    assert b"Nothing of yours is lost" in anna.browser.get(anna.page).body
    assert anna.browser.get(anna.page, Accept="application/json").json == {"error": "busy"}
    assert anna.is_turned_away()
    wait_for(lambda: is_not_ready(running), "the server to say that it is not ready", 15)
    assert running.get_status("/healthz") == 200
    time.sleep(max(0.0, OUTAGE - (time.monotonic() - began)))
    refused = make_server(running.folder / "another", KINFOLD_DATABASE_URL=own_postgres.url + "/kinfold", **KEYS).try_command(
        "worker"
    )
    assert refused.returncode != 0
    assert "can't use the database" in refused.stderr and "Traceback" not in refused.stderr, refused.stderr

    own_postgres.start()
    wait_for(lambda: is_ready(running), "the server to be ready again", 30)
    anna.all_is_there()
    assert anna.browser.get(image).status == 200
    assert anna.upload().status == 202
    anna.all_is_there()
    assert_calm(running, before)


def test_a_worker_whose_lock_was_lost_ends_and_another_goes_on(make_server: Callable[..., Server], tmp_path: Path) -> None:
    """A connection may break while the database and the worker live: then another worker may have its name already."""
    url = cluster().database(scratch_name(tmp_path))
    running = make_server(KINFOLD_DATABASE_URL=url, **KEYS).start()
    anna = Anna(running)
    (worker,) = running.children("\0worker")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        )
    engine.dispose()
    assert anna.upload(3).status == 202
    anna.all_is_there()
    wait_for(lambda: worker not in running.children("\0worker"), "the worker to end")
    assert "another takes its place" in log_of(running)
    assert_calm(running)


def test_a_database_that_somebody_holds_locked_during_an_ingest(make_server: Callable[..., Server]) -> None:
    """On SQLite anybody who opens the file and begins to write can do so: a backup program, a person with a shell."""
    running = make_server().start()
    anna = Anna(running)
    assert anna.upload(4, size=(1600, 1200)).status == 202  # the worker is in the middle of them
    before = len(log_of(running))
    other = sqlite3.connect(running.folder / "var/kinfold.sqlite3", isolation_level=None, timeout=30)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    assert anna.is_turned_away()
    assert anna.browser.get(anna.page).status == 200, "reading goes on"
    time.sleep(max(0.0, OUTAGE + PATIENCE / 1000 - (time.monotonic() - began)))
    other.execute("ROLLBACK")
    other.close()
    assert anna.upload().status == 202
    settled_within_a_sweep(anna)
    assert_calm(running, before)


KILLED = """
import os, signal, sys
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from app.config import Settings
from app.ops.migrate import migrate

left = int(sys.argv[1])

@sa.event.listens_for(Engine, "after_cursor_execute")
def count(connection, cursor, statement, parameters, context, many):
    global left
    if statement.lstrip().upper().startswith(("CREATE", "ALTER", "DROP", "INSERT", "UPDATE")):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

migrate(Settings.from_env())
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_migration_that_is_killed_in_the_middle(tmp_path: Path, kind: str) -> None:
    """At whatever statement it dies, the next start goes on: a database is at one version or at the other, never between."""
    url = f"sqlite:///{tmp_path / 'kinfold.sqlite3'}" if kind == "sqlite" else cluster().database(scratch_name(tmp_path))
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "KINFOLD_DATA": str(tmp_path), "KINFOLD_DATABASE_URL": url}
    settings, seen = Settings.from_env(env), set[Standing]()
    for statement in (20, 120, 200):  # in the first migration, in the last, among the engine's own
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(statement)], env=env, cwd=PROJECT, capture_output=True, timeout=60
        )
        database = Database(url)
        seen.add(standing(database))
        tables = set(sa.inspect(database.engine).get_table_names())
        assert standing(database) is Standing.EMPTY or tables >= set(Base.metadata.tables)
        database.close()
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    assert seen == {Standing.EMPTY, Standing.CURRENT}
    migrate(settings)
    database = Database(url)
    assert standing(database) is Standing.CURRENT
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": _ours})
        assert compare_metadata(context, Base.metadata) == []
    database.close()


def _ours(_object: object, name: str, kind: str, _reflected: bool, _compare_to: object) -> bool:
    return kind != "table" or name in Base.metadata.tables


# --- the storage


def test_a_storage_that_goes_away_and_comes_back(make_server: Callable[..., Server], own_seaweed: Seaweed) -> None:
    running = make_server(KINFOLD_STORAGE_URL=own_seaweed.url(own_seaweed.bucket()), **KEYS, **AWS_KEYS).start()
    anna = Anna(running)
    assert anna.upload(2).status == 202
    anna.all_is_there()
    image = anna.image()
    assert anna.upload(4, size=(1600, 1200)).status == 202

    before = len(log_of(running))
    own_seaweed.kill()
    began = time.monotonic()
    assert anna.browser.get(anna.page).status == 200, "what needs no photo goes on"
    assert anna.browser.get(image).status == 503
    assert anna.is_turned_away()
    wait_for(lambda: is_not_ready(running), "the server to say that it is not ready", 30)
    time.sleep(max(0.0, OUTAGE - (time.monotonic() - began)))

    own_seaweed.start()
    wait_for(lambda: is_ready(running), "the server to be ready again", 60)
    assert anna.browser.get(image).status == 200
    assert anna.upload().status == 202
    settled_within_a_sweep(anna)
    assert_calm(running, before)


def settled_within_a_sweep(anna: Anna) -> None:
    """What was being prepared is asked for again by the sweep of the next minute."""
    wait_for(lambda: all(photo["state"] != "received" for photo in anna.browser.photos(anna.album)), "the sweep", 90)
    anna.all_is_there()


# --- the disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 40 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"only root can make a small disk: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(disk: Path) -> Path:
    """Take every byte that is left."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 20, 4096):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return filler


def test_a_disk_that_is_full(make_server: Callable[..., Server], small_disk: Path, tmp_path: Path) -> None:
    running = make_server(tmp_path, KINFOLD_DATA=str(small_disk / "var")).start()
    anna = Anna(running)
    assert anna.upload(2).status == 202
    anna.all_is_there()
    image = anna.image()

    before = len(log_of(running))
    filler = fill(small_disk)
    for _ in range(3):
        answer = anna.upload()
        assert answer.status == 507, answer.body
        assert answer.json["error"] == "disk-full"
    made = [
        anna.browser.post("/albums", anna.token, title=f"Album {number}", description="x" * 900).status for number in range(40)
    ]
    assert set(made) <= {201, 507}
    albums = json.loads(anna.browser.get("/albums", Accept="application/json").body)["albums"]
    assert len(albums) == 1 + made.count(201), "what was said to be there is there, and nothing else"
    assert anna.browser.get(anna.page).status == anna.browser.get(image).status == 200, "reading goes on"
    wait_for(lambda: is_not_ready(running), "the server to say that it is not ready", 15)

    filler.unlink()
    wait_for(lambda: is_ready(running), "the server to be ready again", 30)
    assert anna.upload().status == 202
    anna.all_is_there()
    assert_calm(running, before)


def test_a_disk_that_fills_up_while_photos_are_prepared(
    make_server: Callable[..., Server], small_disk: Path, tmp_path: Path
) -> None:
    running = make_server(tmp_path, KINFOLD_DATA=str(small_disk / "var")).start()
    anna = Anna(running)
    assert anna.upload(6, size=(1600, 1200)).status == 202
    filler = fill(small_disk)
    time.sleep(OUTAGE)
    waiting = [photo for photo in anna.browser.photos(anna.album) if photo["state"] == "received"]
    assert waiting, "there was room for all of them after all"
    filler.unlink()
    wait_for(lambda: is_ready(running), "the server to be ready again", 30)
    settled_within_a_sweep(anna)


# --- the clock


def test_a_clock_that_jumps_during_an_ingest_loses_nothing(make_server: Callable[..., Server]) -> None:
    """It was a year ahead for a moment: what had arrived before that, and waited, becomes photos all the same."""
    running = make_server(KINFOLD_WORKERS="0").start()
    anna = Anna(running)
    assert anna.upload(6).status == 202
    running.kill()
    settings = Settings.from_env(running.settings)
    database = Database(settings.database_url)
    with database.writing() as session:
        session.execute(sa.update(Instance).values(latest=datetime.now(UTC) + timedelta(days=366)))
    worker = make_server(running.folder, KINFOLD_DATA=running.settings["KINFOLD_DATA"]).start()

    def states() -> set[PhotoState]:
        with database.reading() as session:
            return set(session.scalars(sa.select(Photo.state)))

    wait_for(lambda: states() == {PhotoState.READY}, "all photos to be ready", 60)
    worker.command("purge")
    with database.reading() as session:
        names = {stored.name for stored in Local(settings.data / "photos").list("albums/")}
        assert claimed_objects(session) == names and len(names) == 3 * len(anna.acknowledged)
    database.close()


def test_attack_13_a_clock_that_is_a_year_back_revives_nothing(make_server: Callable[..., Server]) -> None:
    running = make_server().start()
    anna = Anna(running)
    assert anna.upload().status == 202
    anna.all_is_there()
    shared = anna.browser.post(f"{anna.page}/share", anna.token, name="Rose", days="30").json
    rose, link = Browser(running.base), "/i/" + shared["link"].rpartition("/")[2]
    assert rose.post(link, rose.token(link)).status == 303
    page = f"/shared/{anna.album}"
    assert rose.get(page).status == 200
    (image,) = re.findall(r'src="(/m/[^"]+)"', rose.get(page).body.decode())
    assert running.stop() == 0

    database = Database(Settings.from_env(running.settings).database_url)
    with database.writing() as session:  # it has been a year later already, and then the clock was set back to today
        session.execute(sa.update(Instance).values(latest=datetime.now(UTC) + timedelta(days=366)))
    for _ in range(2):
        running.start()
        assert rose.get(page).status in (404, 410)
        assert rose.get(image).status == 404
        assert Browser(running.base).get(link).status in (404, 410)
        assert rose.post(link, rose.token("/sign-in")).status in (404, 410)
        assert anna.browser.get(anna.page).status == 404, "signed in a year ago"
        running.kill()
        with database.reading() as session:
            assert session.scalars(sa.select(Instance.latest)).one() > datetime.now(UTC) + timedelta(days=365)
    database.close()
