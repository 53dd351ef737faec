"""A machine on which somebody types `flask ...`, and what to look at afterwards: every row, every photo."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa

from app.config import Settings
from app.db import Database
from app.house import House, open_house
from app.media import service as media
from app.media.models import Photo, Rendition
from app.ops import rows
from app.ops.migrate import migrate
from app.security.viewer import Member, Role
from app.storage.sealed import Sealed, SealedKey
from tests.conftest import Family, found
from tests.server import PROJECT, Server

KILLED = """
import importlib, os, signal, sys
module, owner, name, times = sys.argv[1:5]
holder = importlib.import_module(module)
holder = getattr(holder, owner) if owner else holder
real, calls = getattr(holder, name), 0
def stop(*given, **named):
    global calls
    calls += 1
    if calls == int(times):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **named)
setattr(holder, name, stop)
sys.argv[1:] = ["--app", "wsgi:app", *sys.argv[5:]]
from flask.cli import main
main()
"""
"""`flask`, killed when it calls a function for so many times."""


class Machine:
    """A data folder, and what is typed there."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.env = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "KINFOLD_DATA": str(folder), **env}

    def type(self, *words: object, fails: bool = False, **env: str) -> str:
        """What `flask` prints."""
        command = [sys.executable, "-m", "flask", "--app", "wsgi:app", *map(str, words)]
        done = subprocess.run(command, cwd=PROJECT, env=self.env | env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    def killed(self, at: str, times: int, *words: object, **env: str) -> None:
        """The same, killed when it comes to `module:Class.name` or `module:name` for so many times."""
        module, _, what = at.partition(":")
        owner, _, name = what.rpartition(".")
        command = [sys.executable, "-c", KILLED, module, owner, name, str(times), *map(str, words)]
        done = subprocess.run(command, cwd=PROJECT, env=self.env | env, capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr

    def server(self, folder: Path) -> Server:
        """`flask serve` on this machine, whatever other servers of this run of the tests stand on."""
        nothing = dict.fromkeys(("KINFOLD_DATABASE_URL", "KINFOLD_STORAGE_URL", "KINFOLD_MASTER_KEY", "KINFOLD_SECRET_KEY"), "")
        return Server(folder, **{**nothing, **self.env})

    def open(self) -> House:
        return open_house(Settings.from_env(self.env))


def family_on(machine: Machine) -> Family:
    """Anna with three photos, shared with Rose."""
    settings = Settings.from_env(machine.env)
    migrate(settings)
    family = found(open_house(settings), group_name="The Smiths", name="Anna", email="anna@example.org")
    family.album("Brittany 2026")
    for _ in range(3):
        family.photo("Brittany 2026")
    family.share("Brittany 2026", "Rose")
    return family


def plain_bytes(house: House) -> dict[str, bytes]:
    """Every rendition, opened."""
    found = {}
    with house.database.reading() as session:
        for row, photo in session.execute(sa.select(Rendition, Photo).join(Photo, Photo.id == Rendition.photo_id)).all():
            _, album = media.get_photo(session, _member_of(photo), photo=photo.id, master=house.master)
            sealed = Sealed(house.storage, album.key, {row.object_name: SealedKey(row.wrapped_key, row.size)})
            found[row.object_name] = b"".join(sealed.read(row.object_name))
    return found


def _member_of(photo: Photo) -> Member:
    return Member("nobody", photo.group_id, Role.OWNER)


def lines_by_table(database: Database) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    with rows.snapshot(database) as still:
        for line in rows.write_lines(still):
            if line.startswith(b"{"):
                table = found.setdefault(json.loads(line)["table"], [])
            else:
                table.append(line)
    return {name: sorted(table) for name, table in found.items()}
