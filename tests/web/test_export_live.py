"""Long answers of a real server: whoever stops reading holds up a thread but never all of them, and gives it back by going away."""

import contextlib
import re
import socket
import urllib.request
from collections.abc import Callable
from io import BytesIO
from operator import itemgetter
from urllib.error import URLError

import pytest
from PIL import Image

from app.viewing.media import STRETCH, WHOLE
from tests.server import Browser, Server, wait_for

THREADS = 4


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    return make_server(KINFOLD_THREADS=str(THREADS)).start()


def large_photo(seed: int, size: tuple[int, int] = (2600, 2000)) -> bytes:
    """About 5 MB."""
    out = BytesIO()
    Image.effect_noise(size, 90 + seed).convert("RGB").save(out, "JPEG", quality=95)
    return out.getvalue()


def test_readers_who_stop_reading_leave_threads_to_everybody_else(server: Server) -> None:
    anna, _ = with_photos(server, *(large_photo(seed) for seed in range(4)))
    reading = [ask_for_a_copy(server, anna) for _ in range(THREADS)]
    assert [status for _, status in reading] == [200, 200, 503, 503], "half of the threads"
    assert answers(server)
    for reader, _ in reading:
        reader.close()
    wait_for(lambda: can_have_a_copy(server, anna), "the place to be free again", 5)


def test_savers_who_stop_reading_leave_threads_to_everybody_else(server: Server) -> None:
    """Photos of the usual size hold no thread at all, so that ten at once are nothing; of the largest ones half of the threads."""
    anna, album = with_photos(server, large_photo(1), large_photo(2, (3800, 2800)))
    rose = guest(server, anna, album)
    usual, largest = to_save(rose, anna, album)
    assert largest[1] > WHOLE > usual[1] > STRETCH
    saving = [ask(server, rose, f"GET {usual[0]}") for _ in range(10)]
    assert [status for _, status in saving] == [200] * 10
    assert answers(server)
    saving += (stuck := [ask(server, rose, f"GET {largest[0]}") for _ in range(THREADS)])
    assert [status for _, status in stuck] == [200, 200, 503, 503]
    assert answers(server)
    assert rose.get(usual[0]).status == 200 and anna.get("/albums").status == 200
    refused = rose.get(largest[0])
    assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
    for reader, _ in saving:
        reader.close()
    whole = wait_for(lambda: rose.get(largest[0]).status == 200 and rose.get(largest[0]), "the places to be free again", 5)
    assert len(whole.body) == largest[1]


def with_photos(server: Server, *contents: bytes) -> tuple[Browser, str]:
    """Anna, and an album of hers with these photos."""
    anna = Browser(server.base)
    anna.set_up(server.set_up_address())
    album = anna.album("Large")
    for seed, content in enumerate(contents):
        assert anna.upload(f"/albums/{album}/photos", anna.token(f"/albums/{album}"), (f"{seed}.jpg", content)).status == 202
    wait_for(lambda: all(photo["state"] == "ready" for photo in anna.photos(album)), "the photos to be ready", 60)
    return anna, album


def guest(server: Server, anna: Browser, album: str) -> Browser:
    """Rose, who may save what is in the album."""
    share, rose = f"/albums/{album}/share", Browser(server.base)
    link = anna.post(share, anna.token(share), name="Rose", may_save="y").json["link"]
    assert rose.post(link, rose.token(link)).status == 303
    return rose


def to_save(rose: Browser, anna: Browser, album: str) -> list[tuple[str, int]]:
    """For each photo the address to save it from, and its bytes; the smallest first."""
    saves = []
    for photo in anna.photos(album):
        page = rose.get(f"/shared/{album}/{photo['id']}").body.decode()
        address = re.findall(r'href="(/m/[^"]+)">Save', page)[0]
        length = rose.get(address, Range="bytes=0-0").headers["Content-Range"].rpartition("/")[2]
        saves.append((address, int(length)))
    return sorted(saves, key=itemgetter(1))


def can_have_a_copy(server: Server, anna: Browser) -> bool:
    reader, status = ask_for_a_copy(server, anna)
    reader.close()
    return status == 200


def ask_for_a_copy(server: Server, anna: Browser) -> tuple[socket.socket, int]:
    body = f"csrf_token={anna.token('/group/data')}"
    return ask(server, anna, "POST /group/export", body)


def ask(server: Server, anna: Browser, line: str, body: str = "") -> tuple[socket.socket, int]:
    """The beginning of an answer has come; nothing more of it is read."""
    reader = socket.socket()
    reader.settimeout(10)
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    reader.connect(("127.0.0.1", server.port))
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in anna.cookies)
    head = (
        f"{line} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nCookie: {cookies}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader.sendall((head + body).encode())
    return reader, int(reader.recv(1000).split()[1])


def answers(server: Server) -> bool:
    with contextlib.suppress(TimeoutError, URLError), urllib.request.urlopen(f"{server.base}/healthz", timeout=1.5) as answer:
        return bool(answer.status == 200)
    return False
