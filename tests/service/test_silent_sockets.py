"""Whoever opens a connection and then says nothing, or says half of it, keeps nobody else from their photos."""

import resource
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.server import PASSWORD, Browser, Server, wait_for


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    return make_server(KINFOLD_THREADS="8").start()


def connect(server: Server, stack: ExitStack, words: bytes) -> socket.socket:
    line = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
    line.sendall(words)
    return line


@pytest.mark.parametrize(
    "words",
    [b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"POST /sign-in HTTP/1.1\r\nHo"],
    ids=["nothing", "idle after one answer", "half a header"],
)
def test_idle_connections_take_no_threads(server: Server, words: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(60):
            connect(server, stack, words)
        began = time.monotonic()
        assert server.get_status("/healthz") == 200
        assert time.monotonic() - began < 5


def test_a_phone_that_has_gone_without_a_word_is_noticed(server: Server) -> None:
    """The kernel asks it, and when nothing comes back ends the connection; here only that it would ask can be seen."""
    with ExitStack() as stack:
        line = connect(server, stack, b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\ncsr")
        ends = f":{server.port:04X}", f":{line.getsockname()[1]:04X}"

        def timers() -> list[str]:
            """What is waited for at the server's end (proc_net_tcp.rst: `02` is the keep-alive timer), and for how long at most."""
            rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            return [row[5] for row in rows if row[1].endswith(ends[0]) and row[2].endswith(ends[1])]

        (timer,) = wait_for(timers, "the connection to be taken")
        kind, ticks = timer.split(":")
        assert (kind, int(ticks, 16) <= 2000) == ("02", True)


@pytest.mark.parametrize("address", ["/sign-in", "/i/somebody"])
def test_half_a_form_from_strangers_keeps_only_other_strangers_waiting(server: Server, address: str) -> None:
    """Only a few strangers are listened to at a time; pages and those we know go on, and so do strangers when the others are gone."""
    anna = Browser(server.base)
    anna.set_up(server.set_up_address())
    with ExitStack() as stack:
        head = f"POST {address} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        for _ in range(40):
            connect(server, stack, f"{head}Content-Length: 1000\r\n\r\ncsr".encode())
        began = time.monotonic()
        anna.album("Brittany 2026")
        assert server.get_status("/sign-in") == 200
        stranger = Browser(server.base)
        refused = stranger.post("/sign-in", stranger.token("/sign-in"), email="anna@example.org", password="a wrong password")
        assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        assert time.monotonic() - began < 10
    token = stranger.token("/sign-in")
    assert wait_for(
        lambda: stranger.post("/sign-in", token, email="anna@example.org", password=PASSWORD).status == 303,
        "the sign-in to work again",
    )


def test_there_is_room_for_all_the_phones_of_a_school(tmp_path: Path) -> None:
    """Phones keep several connections open that they may need again; the limit of open files that a service starts with is not ours."""
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, most))  # as systemd gives it to the server
    server = Server(tmp_path)
    try:
        server.start()
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        with ExitStack() as stack:
            for _ in range(2000):
                connect(server, stack, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            began = time.monotonic()
            assert server.get_status("/healthz") == 200
            assert time.monotonic() - began < 8
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))
        server.kill()
