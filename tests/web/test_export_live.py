"""Copies from a real server: whoever stops reading holds up a thread but never all of them, and gives it back by going away."""

import contextlib
import socket
import urllib.request
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.error import URLError

import pytest
from PIL import Image

from tests.server import Browser, Server, wait_for

THREADS = 4


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path, KINFOLD_THREADS=str(THREADS)).start()
    yield running
    running.kill()


def large_photo(seed: int) -> bytes:
    """About 5 MB."""
    out = BytesIO()
    Image.effect_noise((2600, 2000), 90 + seed).convert("RGB").save(out, "JPEG", quality=95)
    return out.getvalue()


def test_readers_who_stop_reading_leave_threads_to_everybody_else(server: Server) -> None:
    anna = Browser(server.base)
    anna.set_up(server.set_up_address())
    album = anna.album("Large")
    for seed in range(4):
        content = large_photo(seed)
        assert anna.upload(f"/albums/{album}/photos", anna.token(f"/albums/{album}"), (f"{seed}.jpg", content)).status == 202
    wait_for(lambda: all(photo["state"] == "ready" for photo in anna.photos(album)), "the photos to be ready", 60)
    reader, status = ask_for_a_copy(server, anna)
    assert status == 200
    for _ in range(THREADS):
        refused, status = ask_for_a_copy(server, anna)
        refused.close()
        assert status == 503, "one copy at a time, of so few threads"
    assert answers(server)
    reader.close()
    wait_for(lambda: can_have_a_copy(server, anna), "the place to be free again", 5)


def can_have_a_copy(server: Server, anna: Browser) -> bool:
    reader, status = ask_for_a_copy(server, anna)
    reader.close()
    return status == 200


def ask_for_a_copy(server: Server, anna: Browser) -> tuple[socket.socket, int]:
    """The beginning of a copy, or of another answer, has come; nothing more of it is read."""
    body = f"csrf_token={anna.token('/group/data')}".encode()
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    reader.connect(("127.0.0.1", server.port))
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in anna.cookies)
    head = (
        f"POST /group/export HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nCookie: {cookies}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader.sendall(head.encode() + body)
    return reader, int(reader.recv(1000).split()[1])


def answers(server: Server) -> bool:
    with contextlib.suppress(TimeoutError, URLError), urllib.request.urlopen(f"{server.base}/healthz", timeout=1.5) as answer:
        return bool(answer.status == 200)
    return False
