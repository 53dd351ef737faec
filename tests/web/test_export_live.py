"""Copies from a real server: whoever stops reading holds up a thread, and whoever goes away gives it back."""

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


def test_a_reader_who_goes_away_gives_the_thread_back(server: Server) -> None:
    anna = Browser(server.base)
    anna.set_up(server.set_up_address())
    album = anna.album("Large")
    for seed in range(4):
        content = large_photo(seed)
        assert anna.upload(f"/albums/{album}/photos", anna.token(f"/albums/{album}"), (f"{seed}.jpg", content)).status == 202
    wait_for(lambda: all(photo["state"] == "ready" for photo in anna.photos(album)), "the photos to be ready", 60)
    readers = [ask_for_a_copy(server, anna) for _ in range(THREADS)]
    assert not answers(server), "every thread waits for a reader who has stopped reading"
    for reader in readers:
        reader.close()
    wait_for(lambda: answers(server), "the threads to be free again", 5)


def ask_for_a_copy(server: Server, anna: Browser) -> socket.socket:
    """The beginning of a copy has come; nothing more of it is read."""
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
    assert reader.recv(1000).startswith(b"HTTP/1.1 200 OK")
    return reader


def answers(server: Server) -> bool:
    with contextlib.suppress(TimeoutError, URLError), urllib.request.urlopen(f"{server.base}/healthz", timeout=1.5) as answer:
        return bool(answer.status == 200)
    return False
