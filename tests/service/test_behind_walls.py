"""Kinfold behind the walls of its systemd unit: system calls, memory, user and files are as `deploy/` says, and it works."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import tiny_jpeg
from tests.made_films import film
from tests.server import PROJECT, Browser, Server, wait_for
from tests.walls import NOBODY, PLAIN

UNIT = PROJECT / "deploy" / "kinfold.service"


def command(*words: str) -> list[str]:
    plain = PLAIN if os.getuid() == 0 else []
    flask = str(Path(sys.executable).with_name("flask"))
    return [*plain, sys.executable, "-m", "tests.walls", str(UNIT), flask, "--app", "wsgi:app", *words]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One whose processes all live behind the walls."""
    made = Server(tmp_path, KINFOLD_LOG="json")
    made.temporary.chmod(0o777)
    (tmp_path / "var").mkdir(mode=0o700)
    if os.getuid() == 0:
        os.chown(tmp_path / "var", NOBODY, NOBODY)
    with (tmp_path / "out").open("wb") as out, (tmp_path / "log").open("wb") as log:
        made._process = subprocess.Popen(command("serve"), cwd=PROJECT, env=made._env, stdout=out, stderr=log)
    try:
        wait_for(lambda: made.get_status("/readyz") == 200, "the server to be ready", 60)
        yield made
    finally:
        made.kill()


@pytest.mark.slow
def test_it_serves_prepares_photos_and_its_decoder_has_its_own_walls(server: Server) -> None:
    anna = Browser(server.base)
    anna.set_up(server.set_up_address())  # a password is hashed
    album = anna.album("Brittany 2026")
    page = f"/albums/{album}"
    assert anna.upload(f"{page}/photos", anna.token(page), ("IMG_1.jpg", tiny_jpeg()), ("VID_1.mp4", film())).status == 202
    wait_for(lambda: [photo["state"] for photo in anna.photos(album)] == ["ready"] * 2, "photo and video to be ready", 60)

    done = subprocess.run(command("doctor", "--json"), cwd=PROJECT, env=server._env, capture_output=True, text=True)
    told = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0, told
    assert told["decoder"]["state"] == "ok" and told["workers"]["says"] == "1 at work."
    assert told["sandbox"]["state"] == told["films"]["state"] == "ok"
    written = (server.folder / "log").read_text()
    assert "Traceback" not in written and "ERROR" not in written
    for line in written.splitlines():
        assert json.loads(line)["level"]


def test_what_the_unit_forbids_is_forbidden() -> None:
    tries = (
        "import ctypes, mmap, os; libc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.ptrace(16, os.getppid(), 0, 0), ctypes.get_errno())\n"
        "print(libc.setuid(1), ctypes.get_errno())\n"
        "print(libc.mount(b'none', b'/mnt', b'tmpfs', 0, 0), ctypes.get_errno())\n"
        "try: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC); print('runs')\n"
        "except OSError as error: print('refused', error.errno)\n"
    )
    *before, _ = command()
    words = [*before[: before.index(str(UNIT)) + 1], sys.executable, "-c", tries]
    said = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True).stdout.splitlines()
    assert said[:3] == ["-1 1"] * 3 and said[3].startswith("refused"), said
