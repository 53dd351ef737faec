"""Push messages reach a browser, by way of the service that it names, and nothing else can be reached by naming it."""

import base64
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import http_ece
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

from app.clock import HandClock
from app.errors import Refused
from app.house import House
from app.instance import push_key
from app.models import PushSubscription
from app.notifications import jobs as told
from app.notifications.pinned import SERVICES, Pinned, Unreachable, check_endpoint, is_public
from app.notifications.push import Push, make_key, public_key
from app.ops.rotate import rewrap
from app.security.sealing import MasterKey
from app.sharing import service as sharing
from tests.conftest import Family
from tests.lint import LintingClient
from tests.rows import all_rows
from tests.tls import certificate
from tests.web.conftest import BRITTANY

HOST = "updates.push.services.mozilla.com"
ENDPOINT = f"https://{HOST}/wpush/v2/abc?x=1"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@dataclass
class Service:
    """A push service on loopback: what it was sent, and what it answers."""

    port: int
    heard: list[bytes] = field(default_factory=list)
    answer: bytes = b"HTTP/1.1 201 Created\r\n\r\n"
    endless: bool = False

    @property
    def requests(self) -> list[tuple[str, dict[str, str], bytes]]:
        """First line, headers and body of each request."""
        read = []
        for request in self.heard:
            head, _, body = request.partition(b"\r\n\r\n")
            first, *lines = head.decode("ascii").split("\r\n")
            read.append((first, dict(line.split(": ", 1) for line in lines), body))
        return read


@pytest.fixture
def trusted(tmp_path: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate(tmp_path, HOST)))


@pytest.fixture
def service(tmp_path: Path, trusted: ssl.SSLContext) -> Iterator[Service]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem")
    listening = socket.create_server(("127.0.0.1", 0))
    running = Service(listening.getsockname()[1])
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            with suppress(OSError, IndexError):  # whoever says nothing is asked nothing
                plain, _ = listening.accept()
                plain.settimeout(5)
                with context.wrap_socket(plain, server_side=True) as line:
                    request = line.recv(65_536)
                    head, _, body = request.partition(b"\r\n\r\n")
                    length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                    while len(body) < length:
                        body += line.recv(65_536)
                    running.heard.append(head + b"\r\n\r\n" + body)
                    if running.endless:
                        while not over.wait(0.05):
                            line.sendall(b"H")
                    line.sendall(running.answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield running
    over.set()
    with suppress(OSError), socket.create_connection(("127.0.0.1", running.port), timeout=1):
        pass
    listening.close()
    thread.join(5)


class Browser:
    """A browser that has subscribed: its keys, and what it makes of a message."""

    def __init__(self) -> None:
        self._key, self._auth = ec.generate_private_key(ec.SECP256R1()), b"sixteen bytes..."

    @property
    def form(self) -> dict[str, str]:
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        plain = {"p256dh": point, "auth": self._auth}
        return {"endpoint": ENDPOINT} | {
            name: base64.urlsafe_b64encode(value).rstrip(b"=").decode() for name, value in plain.items()
        }

    def read(self, body: bytes) -> dict[str, str]:
        return dict(json.loads(http_ece.decrypt(body, private_key=self._key, auth_secret=self._auth, version="aes128gcm")))


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    made = make_house(KINFOLD_PUSH="yes", KINFOLD_QUIET_HOURS="0-0")
    make_key(made)
    return made


def pinned(service: Service, trusted: ssl.SSLContext, resolve: Callable[[str, int], Sequence[str]] | None = None) -> Pinned:
    """The one that we use, but for where the service is, which certificate it has, and that loopback may be asked."""
    return Pinned(
        SERVICES,
        resolve=resolve or (lambda host, port: ["127.0.0.1"]),
        public=lambda address: True,
        port=service.port,
        context=trusted,
        patience=2,
    )


def tell(house: House, push: Push, clock: HandClock, later: timedelta = 5 * MINUTE) -> None:
    clock.move(later)
    told.look_for_news(house)
    jobs: Any = house.jobs
    jobs.run_all(told.handlers(house, push) | dict.fromkeys(("prepare-photo", "remove-objects"), lambda _: None))
    assert jobs.failures == []


def add_photo(family: Family) -> None:
    clock: Any = family.house.clock
    clock.move(timedelta(seconds=1))
    family.photo(BRITTANY)


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_a_browser_that_asks_for_it_is_told_and_nobody_on_the_way_can_read_it(
    cast: Family,
    house: House,
    service: Service,
    trusted: ssl.SSLContext,
    clock: HandClock,
    browser_of: Callable[..., LintingClient],
) -> None:
    rose, browser = browser_of(device=cast.people["Rose"].cookie), Browser()
    page = rose.get("/shared").text
    assert f'data-key="{public_key(house)}"' in page and "Tell me when there are new photos" in page
    assert rose.send("/shared/push", **browser.form).headers["Location"] == "/shared"
    assert "Don’t tell me any more" in rose.get("/shared").text
    add_photo(cast)
    push = Push(house, pinned(service, trusted))
    tell(house, push, clock)
    ((first, headers, body),) = service.requests
    assert first == "POST /wpush/v2/abc?x=1 HTTP/1.1"
    assert (headers["Host"], headers["Content-Encoding"], headers["TTL"]) == (HOST, "aes128gcm", "86400")
    assert Vapid02.verify(headers["Authorization"])
    claims = json.loads(base64.urlsafe_b64decode(headers["Authorization"].split("t=")[1].split(".")[1] + "=="))
    assert claims["aud"] == f"https://{HOST}"
    assert browser.read(body) == {"text": "There are new photos for you", "url": "/shared"}
    add_photo(cast)
    tell(house, push, clock)
    assert len(service.requests) == 1, "at most once a day"
    tell(house, push, clock, DAY)
    assert len(service.requests) == 2
    rose.send("/shared/push/end")
    add_photo(cast)
    tell(house, push, clock, 2 * DAY)
    assert len(service.requests) == 2


@pytest.mark.parametrize("status", [404, 410])
def test_a_browser_that_has_gone_is_forgotten(
    cast: Family, house: House, service: Service, trusted: ssl.SSLContext, clock: HandClock, rose: LintingClient, status: int
) -> None:
    rose.send("/shared/push", **Browser().form)
    service.answer = f"HTTP/1.1 {status} Gone\r\n\r\n".encode()
    add_photo(cast)
    tell(house, Push(house, pinned(service, trusted)), clock)
    assert len(service.requests) == 1 and all_rows(house.database)["push_subscription"] == []


def test_one_that_can_not_be_told_is_given_up_after_a_while(
    cast: Family, house: House, service: Service, trusted: ssl.SSLContext, clock: HandClock, rose: LintingClient
) -> None:
    rose.send("/shared/push", **Browser().form)
    service.answer = b"HTTP/1.1 503 Busy\r\n\r\n"
    push, failures = Push(house, pinned(service, trusted)), []
    with house.database.reading() as session:
        subscription = session.scalars(sa.select(PushSubscription)).one()
    for _ in range(3):
        add_photo(cast)
        tell(house, push, clock, DAY)
        with house.database.reading() as session:
            failures.append(session.get_one(PushSubscription, subscription.id).failures)
    assert failures == [1, 2, 3]
    service.answer = b"HTTP/1.1 201 Created\r\n\r\n"
    add_photo(cast)
    tell(house, push, clock, DAY)
    with house.database.reading() as session:
        assert session.get_one(PushSubscription, subscription.id).failures == 0


def test_the_red_button_ends_push_and_the_addresses_go(
    cast: Family, house: House, service: Service, trusted: ssl.SSLContext, clock: HandClock, rose: LintingClient
) -> None:
    rose.send("/shared/push", **Browser().form)
    add_photo(cast)
    with house.database.writing() as session:
        sharing.stop_all(session, cast.owner, at=clock.now())
    tell(house, Push(house, pinned(service, trusted)), clock)
    assert service.heard == []
    with house.database.writing() as session:
        told.service.forget_old(session, at=clock.now())
    assert all_rows(house.database)["push_subscription"] == []


def test_the_key_is_made_once_and_outlives_a_change_of_the_master_key(house: House) -> None:
    key = public_key(house)
    make_key(house)
    assert public_key(house) == key and key is not None
    old = house.settings.master_key or (house.settings.data / "keys" / "master.key").read_text().strip()
    new = MasterKey.generate()
    rewrap(house.database, f"{new},{old}")
    with house.database.reading() as session:
        assert push_key(session, MasterKey.parse(new)) is not None
        assert push_key(session, house.master) is None
        sealed = session.execute(sa.text("SELECT sealed_push_key FROM instance")).scalar_one()
        assert push_key(session, MasterKey.parse(new)) not in bytes(sealed)


# --- what can't be reached --------------------------------------------------------------------------------------------


WRONG = [
    f"http://{HOST}/x",
    f"https://{HOST}:8443/x",
    f"https://user@{HOST}/x",
    f"https://{HOST}@evil.example/x",
    f"https://{HOST}.evil.example/x",
    f"https://evil{HOST}/x",
    "https://push.apple.com/x",
    "https://.push.apple.com/x",
    "https://evilpush.apple.com.example/x",
    "https://127.0.0.1/x",
    "https://localhost/x",
    "https://[::1]/x",
    f"https://{HOST}/x\r\nX-Evil: 1",
    f"https://{HOST}/x y",
    f"https://{HOST}/" + "x" * 1000,
    f"//{HOST}/x",
    "https://[/x",
    "",
]


def test_only_known_services_may_be_named(cast: Family, rose: LintingClient) -> None:
    for endpoint in WRONG:
        with pytest.raises(Refused, match="push-wrong"):
            check_endpoint(endpoint, SERVICES)
        answer = rose.send("/shared/push", json=True, **Browser().form | {"endpoint": endpoint})
        assert (answer.status_code, answer.get_json()) == (400, {"error": "push-wrong"}), endpoint


def test_services_under_a_name_are_known_too() -> None:
    assert check_endpoint("https://web.push.apple.com/x", SERVICES) == "web.push.apple.com"
    assert check_endpoint("https://push.example.org/x", ["push.example.org"]) == "push.example.org"


def test_keys_that_are_none_are_refused(cast: Family, rose: LintingClient) -> None:
    for wrong in ({"p256dh": "AAAA"}, {"auth": "AAAA"}, {"p256dh": "é"}, {"auth": ""}, {"p256dh": "*" * 87}):
        answer = rose.send("/shared/push", json=True, **Browser().form | wrong)
        assert (answer.status_code, answer.get_json()) == (400, {"error": "push-wrong"}), wrong


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1", "fe80::1", "fd00::1",
     "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:1::", "ff02::1", "::"],
)  # fmt: skip
def test_an_address_that_is_not_everybodys_is_never_connected_to(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_public(address)
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("it connected"))
    for resolved in ([address], ["8.8.8.8", address]):
        with pytest.raises(Unreachable):
            Pinned(SERVICES, resolve=lambda host, port, resolved=resolved: resolved).post(ENDPOINT, {}, b"x")


def test_a_name_that_changes_its_meaning_is_asked_once_and_what_was_checked_is_what_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, connected = [], []

    def resolve(_host: str, _port: int) -> list[str]:
        asked.append(1)
        return ["8.8.8.8"] if len(asked) == 1 else ["127.0.0.1"]

    def connect(address: tuple[str, int], **_: object) -> socket.socket:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(Unreachable):
        Pinned(SERVICES, resolve=resolve).post(ENDPOINT, {}, b"x")
    assert (len(asked), connected) == (1, [("8.8.8.8", 443)])


def test_a_redirect_is_not_followed(service: Service, trusted: ssl.SSLContext) -> None:
    service.answer = f"HTTP/1.1 307 Elsewhere\r\nLocation: https://{HOST}/internal\r\n\r\n".encode()
    assert pinned(service, trusted).post(ENDPOINT, {}, b"x") == 307
    assert len(service.heard) == 1


def test_a_server_that_shows_another_name_is_told_nothing(service: Service, trusted: ssl.SSLContext) -> None:
    with pytest.raises(Unreachable, match="SSLCertVerificationError"):
        pinned(service, trusted).post("https://fcm.googleapis.com/x", {}, b"x")
    with pytest.raises(Unreachable, match="SSLCertVerificationError"):
        pinned(service, ssl.create_default_context()).post(ENDPOINT, {}, b"x")
    assert service.heard == []


def test_an_answer_that_never_ends_and_a_name_that_never_resolves_take_no_longer_than_they_may(
    service: Service, trusted: ssl.SSLContext
) -> None:
    service.endless = True
    with pytest.raises(Unreachable):
        replace_patience(pinned(service, trusted), 0.4).post(ENDPOINT, {}, b"x")
    never = threading.Event()
    with pytest.raises(Unreachable):
        hanging = pinned(service, trusted, resolve=lambda host, port: [str(never.wait(30))])
        replace_patience(hanging, 0.4).post(ENDPOINT, {}, b"x")
    never.set()


def replace_patience(to: Pinned, seconds: float) -> Pinned:
    to._patience = seconds
    return to


def test_headers_can_not_be_made_by_what_is_put_into_them(service: Service, trusted: ssl.SSLContext) -> None:
    with pytest.raises(Unreachable):
        pinned(service, trusted).post(ENDPOINT, {"Topic": "a\r\nX-Evil: 1"}, b"x")
    assert service.heard == []
