"""A batch of photos from a browser over hotel Wi-Fi: 20 Mbit/s and 40 ms there and back. The line has to be the limit.

A proxy on loopback lets through what such a line carries, of all connections together, and counts it. In use is what has gone out of
photos, of what the line could have carried from the first byte to the answer to the last one.
"""

import asyncio
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from app.security.permissions import Asks
from app.web.viewer import cookie_name
from tests.bench.measure import Line, Options
from tests.bench.picture import another, phone_photo
from tests.bench.stage import stage
from tests.browser.conftest import CHROMIUM, FLAGS, SCRIPTS_READY

RATE = 20_000_000 / 8  # bytes a second
ONE_WAY = 0.02  # seconds
PIECE = 8192
LATE = 0.05  # seconds that a busy machine may wake this proxy too late; it makes up for them
BUFFER = 65_536  # bytes that wait on a connection's way


class ShapedLine:
    """Carries so much and no faster, from whoever connects to `port` to `server`; answers are only late."""

    def __init__(self) -> None:
        self.server = 0
        self._free_at = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        door = socket.socket()
        door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        door.bind(("127.0.0.1", 0))
        self.port = int(door.getsockname()[1])
        asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, sock=door, limit=BUFFER), self._loop).result(5)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            back, there = await asyncio.open_connection("127.0.0.1", self.server, limit=BUFFER)
            await asyncio.gather(self._carry(reader, there, shaped=True), self._carry(back, writer, shaped=False))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, shaped: bool) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(int(RATE * ONE_WAY / PIECE) + 2)
        arriving = asyncio.create_task(self._arrive(under_way, writer))
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                if shaped:
                    self._free_at = max(self._free_at, time.monotonic() - LATE) + len(piece) / RATE
                    await asyncio.sleep(self._free_at - time.monotonic())
                await under_way.put((time.monotonic() + ONE_WAY, piece))
        await under_way.put((0.0, b""))
        await arriving

    async def _arrive(self, under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while (next_ := await under_way.get())[1]:
                await asyncio.sleep(next_[0] - time.monotonic())
                writer.write(next_[1])
                await writer.drain()
        writer.close()


def run(options: Options) -> Iterator[Line]:
    if shutil.which(CHROMIUM) is None:
        print(f"    line: skipped, {CHROMIUM} is not installed")
        return
    photos = 12 if options.quick else 40
    line = ShapedLine()
    with (
        tempfile.TemporaryDirectory(prefix="kinfold-roll-") as folder,
        stage(KINFOLD_BASE_URL=f"http://127.0.0.1:{line.port}") as place,
    ):
        roll = [Path(folder) / f"IMG_{number:04d}.jpg" for number in range(photos)]
        for number, path in enumerate(roll):
            path.write_bytes(another(phone_photo(), number))
        size = sum(path.stat().st_size for path in roll)
        album = place.anna.album("Brittany 2026").id
        line.server = place.server.port
        with place.serving(), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            phone = browser.new_context(base_url=place.settings.base_url, viewport={"width": 390, "height": 844})
            name, value = cookie_name(Asks.MEMBER, https=False), place.anna.cookie
            phone.add_cookies([{"name": name, "value": value, "url": place.settings.base_url}])
            page = phone.new_page()
            page.goto(f"/albums/{album}")
            page.evaluate(SCRIPTS_READY)
            with page.expect_file_chooser() as chooser:
                page.get_by_role("link", name="Add photos").click()
            chooser.value.set_files(roll)
            began = time.monotonic()
            board = page.get_by_role("region", name="Photos on their way")
            expect(board.get_by_role("button", name="Pause")).to_be_visible()
            expect(board.get_by_role("button", name="Pause")).to_be_hidden(timeout=4000 * size / RATE)
            took = time.monotonic() - began
            arrived = page.request.get(f"/albums/{album}/photos").json()["photos"]
            browser.close()
    line.close()
    if len(arrived) != photos:
        raise RuntimeError(f"{len(arrived)} of {photos} photos have arrived")
    note = f"{photos} photos of {size / photos / 1e6:.1f} MB in {took:.0f} s, prepared meanwhile"
    yield Line("line: of 20 Mbit/s, in use by a batch from the browser", size / RATE / took, at_least=0.9, note=note)
