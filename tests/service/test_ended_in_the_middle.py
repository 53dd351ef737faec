"""Attack 6: whoever is ended while a zip of 2,000 photos or a long video comes in gets no more of it from a real server than what is
under way already."""

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from app.config import Settings
from app.house import open_house
from app.media.models import RenditionName
from app.ops.migrate import migrate
from app.security.permissions import Asks
from app.security.tokens import EVERYTHING, cookie_digest
from app.sharing import service as sharing
from app.web.viewer import cookie_name
from tests.bench.load import head
from tests.bench.stage import Stage
from tests.conftest import Person, found
from tests.server import Server

PHOTO = 100_000
VIDEO = 100_000_000
UNDER_WAY = 12_000_000
"""Bytes at most: what lies in the buffers of both sockets, and a file or 4 MB of it."""


@pytest.fixture
def place(make_server: Callable[..., Server]) -> Iterator[Stage]:
    """Anna has shared an album of 2,000 photos, and one with a long video."""
    server = make_server()
    settings = Settings.from_env(dict(server.settings))
    migrate(settings)
    house = open_house(settings)
    stage = Stage(settings, house, found(house, group_name="The Smiths", name="Anna", email="anna@example.org"), server)
    for title, number, size in (("Many", 2_000, PHOTO), ("Long", 1, VIDEO)):
        stage.anna.photos[title] = stage.fill(title, number)
        stage.develop(title, stage.anna.photos[title], {RenditionName.PLAY: size, RenditionName.FULL: size}, objects=20)
    server.start()
    yield stage
    house.database.close()


def ask(place: Stage, rose: Person, photo: str, rendition: str, **fields: str) -> tuple[socket.socket, bytes, int]:
    """Rose's phone asks and has the beginning of the answer: the line, what has come of the content, and how long it will be."""
    house, save = place.house, rendition in ("full", EVERYTHING)
    digest, at = cookie_digest(rose.cookie), house.clock.now()
    token = house.tokens.media(photo=photo, rendition=rendition, kind="device", cookie=digest, at=at, save=save)
    line = socket.socket()
    line.settimeout(20)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    line.connect(("127.0.0.1", place.server.port))
    cookies = {cookie_name(Asks.DEVICE, https=False): rose.cookie}
    line.sendall(head(place.server.port, "GET", f"/m/{token}", cookies, Connection="close", **fields))
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += line.recv(65_536)
    told, _, content = answer.partition(b"\r\n\r\n")
    status, *lines = told.lower().split(b"\r\n")
    length = next((int(each.split(b":")[1]) for each in lines if each.startswith(b"content-length:")), 0)
    return line, content, length if status.split()[1] in (b"200", b"206") else 0


def rest_of(line: socket.socket) -> int:
    """How many bytes still come before the line is closed."""
    size, room = 0, bytearray(1 << 20)
    try:
        while got := line.recv_into(room):
            size += got
    except ConnectionResetError:
        pass  # the server broke off
    line.close()
    return size


def end(place: Stage, rose: Person) -> None:
    """Anna stops sharing with her."""
    with place.house.database.writing() as session:
        guest = sharing.get_guest(session, place.anna.owner, guest=rose.id)
        sharing.stop_guest(session, place.anna.owner, guest=guest, at=place.house.clock.now())


@pytest.mark.slow
@pytest.mark.parametrize(("title", "rendition"), [("Many", EVERYTHING), ("Long", "play"), ("Long", "full")])
def test_bytes_stop_within_a_second_and_a_file(place: Stage, title: str, rendition: str) -> None:
    rose = place.anna.share(title, "Rose", may_save=True)
    subject = place.anna.albums[title].id if rendition == EVERYTHING else place.anna.photos[title][0]
    line, content, length = ask(place, rose, subject, rendition)
    assert length > 90_000_000
    end(place, rose)
    began = time.monotonic()
    came = len(content) + rest_of(line)
    assert time.monotonic() - began < 1
    assert came < UNDER_WAY < length, f"{came:,} of {length:,} bytes came"
    for fields in ({}, {"Range": f"bytes={came}-"}):  # nor does it go on
        line, _, length = ask(place, rose, subject, rendition, **fields)
        line.close()
        assert length == 0


@pytest.mark.slow
def test_whoever_goes_on_after_a_break_gets_the_same_zip(place: Stage) -> None:
    rose = place.anna.share("Many", "Rose", may_save=True)
    album = place.anna.albums["Many"].id
    line, start, length = ask(place, rose, album, EVERYTHING)
    line.close()
    line, _, left = ask(place, rose, album, EVERYTHING, Range=f"bytes={len(start)}-")
    line.close()
    assert left == length - len(start) > 0
