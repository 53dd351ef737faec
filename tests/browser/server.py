"""The real thing for browsers: `flask serve` with a data folder of its own, plain or with https in front of it."""

import asyncio
import contextlib
import os
import signal
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from unittest import mock

from app.accounts import service as accounts
from app.accounts.models import AddressKind
from app.config import Settings
from app.house import House, open_house
from app.jobs.memory import InMemoryJobs
from tests.server import Server
from tests.tls import certificate


class Instance(Server):
    """A running server that people reach at `address`, and the tools to put a family on its stage."""

    def __init__(self, folder: Path, *, address: str = "", **env: str) -> None:
        super().__init__(folder, **({"KINFOLD_BASE_URL": address} if address else {}), **env)
        self.address = address or self.base

    @cached_property
    def house(self) -> House:
        """Its tools in this process, so that not everything has to be clicked together. Jobs that are asked for here are not done."""
        with mock.patch.dict(os.environ, self.settings):  # the keys of a bucket are only read from there
            return replace(open_house(Settings.from_env()), jobs=InMemoryJobs())

    def new_set_up(self) -> str:
        """Another set-up address, as `flask group add` prints it."""
        return f"{self.address}/setup/{self._issue(AddressKind.SET_UP)}"

    def new_password_address(self, member: str) -> str:
        """An address for a new password, as `flask member reset` prints it."""
        return f"{self.address}/reset/{self._issue(AddressKind.RESET, member)}"

    def kill_worker(self) -> int:
        """Kill the worker as a power cut would; the server starts another. Returns the number of the process that died."""
        worker = self.children("\0worker\0")[0]
        os.kill(worker, signal.SIGKILL)
        return worker

    def _issue(self, kind: AddressKind, member: str | None = None) -> str:
        with self.house.database.writing() as session:
            return accounts.issue_address(session, kind=kind, member=member, tokens=self.house.tokens, at=self.house.clock.now())


@contextlib.contextmanager
def serving(folder: Path, *, address: str = "", **env: str) -> Iterator[Instance]:
    """Serve from `folder` until the end of the block; then it must stop by itself and say that all was well."""
    with _running(Instance(folder, address=address, **env)) as instance:
        yield instance


@contextlib.contextmanager
def serving_https(folder: Path, **env: str) -> Iterator[Instance]:
    """The same behind a certificate that we signed ourselves, as behind somebody's reverse proxy."""
    with TlsFront(folder) as front:
        instance = Instance(folder, address=f"https://localhost:{front.port}", **env)
        front.inner = instance.port
        with _running(instance):
            yield instance


@contextlib.contextmanager
def _running(instance: Instance) -> Iterator[Instance]:
    try:
        instance.start()
        yield instance
    finally:
        if "house" in vars(instance):
            instance.house.database.close()
        code = instance.stop()
    assert code == 0, f"the server ended with {code}: {(instance.folder / 'log').read_text()[-2000:]}"


class TlsFront:
    """Ends TLS and hands the bytes on, in a thread of its own."""

    inner = 0
    """The port that the server listens on."""

    def __init__(self, folder: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate(folder))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "TlsFront":
        self._thread.start()
        start = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port: int = asyncio.run_coroutine_threadsafe(start, self._loop).result(5).sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.inner)
            await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
