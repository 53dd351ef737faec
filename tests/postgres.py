"""A PostgreSQL of the tests' own: a scratch cluster on loopback, started when somebody asks for it and stopped at the end.

With `KINFOLD_TEST_DATABASE=postgresql` the houses of `conftest.py` and the servers of `server.py` stand on it instead of on SQLite.
"""

import contextlib
import ctypes
import functools
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.models import Base

EVERYWHERE = os.environ.get("KINFOLD_TEST_DATABASE", "sqlite") == "postgresql"
"""Whether what does not choose a database itself gets one here."""

KEYS = {
    "KINFOLD_MASTER_KEY": "S2luZm9sZCB0ZXN0cywgMzIgYnl0ZXMgb2YgYSBrZXk",
    "KINFOLD_SECRET_KEY": "a secret that only the tests have and that is long enough",
}
"""A database that may be shared never has its keys made: nodes are given them."""

PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
_running: list["Postgres"] = []


class Postgres:
    """One cluster. A commit is as durable as it can be without waiting for the disk: it survives kill -9, but no power cut; unless what it
    costs to wait is the question (`durable`)."""

    def __init__(self, *, durable: bool = False) -> None:
        self._durable = durable
        self.folder = Path(tempfile.mkdtemp(prefix="kinfold-postgres-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"postgresql+psycopg://kinfold@127.0.0.1:{self.port}"
        self._as = {"user": "postgres", "group": "postgres", "extra_groups": ()} if os.getuid() == 0 else {}  # not as root
        if self._as:
            shutil.chown(self.folder, "postgres", "postgres")
        self._tools = _tools()
        self._process: subprocess.Popen[bytes] | None = None
        initdb = [self._tools / "initdb", "-D", self.folder / "data", "-U", "kinfold", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, cwd=self.folder, stdout=subprocess.DEVNULL, **self._as)  # type: ignore[call-overload]

    def start(self) -> "Postgres":
        """Start it, or start it again, and wait until it answers."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "max_connections": 200,
            "fsync": "on" if self._durable else "off",
        }
        command = [self._tools / "postgres", "-D", self.folder / "data"]
        command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_us,
                **self._as,  # type: ignore[call-overload]
            )
        end = time.monotonic() + 30
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port)):
                    self._run("SELECT 1")
                    return self
            except (OSError, sa.exc.OperationalError):
                assert time.monotonic() < end and self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop it: SIGQUIT as a crash would, SIGINT in good order, without waiting for anybody."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def database(self, name: str) -> str:
        """The address of a database of this name, made when it is not there yet."""
        with contextlib.suppress(sa.exc.ProgrammingError):  # it is there
            self._run(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return f"{self.url}/{name}"

    def remove(self) -> None:
        """Stop it and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, statement: str) -> None:
        engine = sa.create_engine(f"{self.url}/postgres", isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.execute(sa.text(statement))


def new_cluster(*, durable: bool = False) -> Postgres:
    """A cluster of one's own, to stop and start. Whoever makes it removes it. Skips the test, in .ci/run fails it, without PostgreSQL."""
    return Postgres(durable=durable).start()


@functools.cache
def cluster() -> Postgres:
    """The cluster that all tests of this process share."""
    _running.append(new_cluster())
    return _running[0]


def remove_cluster() -> None:
    """At the end of all tests."""
    while _running:
        _running.pop().remove()


def scratch_name(folder: Path) -> str:
    """The name of the database that belongs to a folder."""
    return "t" + hashlib.sha256(str(folder).encode()).hexdigest()[:20]


def settings_for(folder: Path) -> dict[str, str]:
    """The settings that put the database of a server in `folder` where this run of the tests wants it."""
    return {"KINFOLD_DATABASE_URL": cluster().database(scratch_name(folder)), **KEYS} if EVERYWHERE else {}


def empty(url: str) -> None:
    """Delete every row of ours, and every job. Much faster than another database."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL lock_timeout = '10s'"))
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(sa.delete(table))
        connection.execute(sa.text("DELETE FROM dbos.workflow_status"))


def _tools() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        missing = "PostgreSQL is not installed. On Debian: apt-get install --no-install-recommends postgresql"
        pytest.fail(missing) if os.environ.get("KINFOLD_CI") else pytest.skip(missing)
    return found[-1].parent


def _die_with_us() -> None:
    """Also when the tests are killed, nothing is left running."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT, 0, 0, 0)
