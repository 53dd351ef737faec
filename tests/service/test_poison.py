"""Files that do harm to whoever opens them: none of them is tried for ever, and none of them holds up the others.

Run as a program, this file is the worker that the tests start: `python test_poison.py FOLDER`. Its decoder is the real one, but for
what it does with files that say what they are.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from io import BytesIO
from pathlib import Path

import pytest
import sqlalchemy as sa
from PIL import Image

from app.config import Settings
from app.house import House, open_house
from app.ingest.decoding import Decoder
from app.ingest.rules import MOST_ATTEMPTS
from app.jobs.engine import run_worker
from app.media.models import Photo, PhotoState, Upload
from app.ops.migrate import migrate
from app.ops.worker import handlers, sweeps
from tests import postgres
from tests.conftest import Family, found
from tests.server import PROJECT

HARMS = {
    "kills-its-worker": "os.kill(os.getppid(), signal.SIGKILL)",
    "kills-its-decoder": "os.kill(os.getpid(), signal.SIGKILL)",
    "crashes": "os.kill(os.getpid(), signal.SIGSEGV)",
    "hangs": "time.sleep(3600)",
    "works-for-ever": "exec('while True: pass')",
    "takes-all-memory": "bytearray(1 << 40)",
}
"""What a file does to the decoder when it holds this word."""

DECODER = f"""
import os, signal, sys, time
sys.path.insert(0, {str(PROJECT / "app" / "ingest")!r})
from decoder import render, serve
def poisoned(upload, real=render.render, harms={HARMS!r}):
    for word, harm in harms.items():
        if word.encode() in upload:
            exec(harm)
    return real(upload)
render.render = poisoned
serve.sandbox.close_files = serve.sandbox.close_calls = lambda: False  # inside, it could do nobody harm but itself
serve.serve()
"""

BECOMES = {
    "kills-its-worker": "failed",
    "kills-its-decoder": "failed",
    "crashes": "failed",
    "hangs": "too-slow",
    "works-for-ever": "too-slow",
    "takes-all-memory": "too-much-memory",
}


def work(folder: Path) -> None:
    """A worker with that decoder, and little patience."""
    house = open_house(Settings.from_env({**os.environ, "KINFOLD_DATA": str(folder)}))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    decoder = Decoder(command=[sys.executable, "-I", "-c", DECODER], wall_seconds=2, cpu_seconds=1)
    run_worker(house.settings, house.database, handlers(house, decoder), sweeps(house), stop, sweep_every=1.0)
    decoder.close()


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Family:
    """Anna's family on a real disk, with a real queue."""
    for name, value in postgres.settings_for(tmp_path).items():
        monkeypatch.setenv(name, value)  # for the workers too
    settings = Settings.from_env({**os.environ, "KINFOLD_DATA": str(tmp_path)})
    migrate(settings)
    made = found(open_house(settings), group_name="The Smiths", name="Anna", email="anna@example.org")
    made.album("Brittany 2026")
    return made


def picture(number: int, word: str = "") -> bytes:
    out = BytesIO()
    Image.new("RGB", (64, 48), (number, 90, 200)).save(out, "JPEG", comment=word.encode())
    return out.getvalue()


def states(house: House) -> dict[str, tuple[PhotoState, str | None]]:
    with house.database.reading() as session:
        return {photo.id: (photo.state, photo.reason) for photo in session.scalars(sa.select(Photo))}


def until_settled(house: House, folder: Path, *, seconds: float = 60) -> int:
    """Run a worker, and another when it dies, until no photo waits; returns how many were killed."""
    command, env = [sys.executable, __file__, str(folder)], {**os.environ, "PYTHONPATH": str(PROJECT)}
    killed, end = 0, time.monotonic() + seconds
    worker = subprocess.Popen(command, env=env)
    try:
        while any(state is PhotoState.RECEIVED for state, _ in states(house).values()):
            assert time.monotonic() < end, states(house)
            if worker.poll() is not None:
                assert worker.returncode == -signal.SIGKILL
                killed, worker = killed + 1, subprocess.Popen(command, env=env)
            time.sleep(0.1)
    finally:
        worker.kill()
        worker.wait()
    return killed


@pytest.mark.slow
def test_files_that_do_harm_are_given_up_and_all_others_become_photos(family: Family, tmp_path: Path) -> None:
    house = family.house
    poison, good = {}, []
    for number, word in enumerate(BECOMES):
        poison[family.upload("Brittany 2026", picture(number, word))] = word
        good.append(family.upload("Brittany 2026", picture(100 + number)))
    killed = until_settled(house, tmp_path)
    found = states(house)
    assert {photo: found[photo] for photo in good} == dict.fromkeys(good, (PhotoState.READY, None))
    assert {word: found[photo] for photo, word in poison.items()} == {
        word: (PhotoState.REFUSED, reason) for word, reason in BECOMES.items()
    }
    assert killed == MOST_ATTEMPTS, "only that one file has harmed a worker, and so often"
    with house.database.reading() as session:
        tried = {poison[upload.photo_id]: upload.attempts for upload in session.scalars(sa.select(Upload))}
        kept = {poison[upload.photo_id] for upload in session.scalars(sa.select(Upload)) if upload.object_name}
    assert tried == dict.fromkeys(BECOMES, 1) | dict.fromkeys(("kills-its-worker", "kills-its-decoder"), MOST_ATTEMPTS)
    assert kept == set(BECOMES), "our decoder may be at fault: each can be tried again"


if __name__ == "__main__":
    work(Path(sys.argv[1]))
