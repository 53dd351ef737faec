"""A letter becomes a message that no mail program misreads, and a mail server is talked to in private."""

import smtplib
import socket
import ssl
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult

from app.config import Settings
from app.errors import WrongSetting
from app.mail.message import Letter, build, mailable
from app.mail.port import AddressRefused, MailFailed
from app.mail.smtp import SmtpMail, open_mail
from tests.mail import mail_server, parts
from tests.server import free_port
from tests.tls import certificate

AT = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
HOST = "mail.example.org"


def letter(**facts: Any) -> Letter:
    return Letter(
        **{"to": "rose@example.org", "language": "en", "subject": "Hello", "text": "Hello\n", "html": "<p>Hello</p>"} | facts
    )


def built(**facts: Any) -> Any:
    """The message as whoever gets it reads it."""
    data = build(letter(**facts), sender="photos@kinfold.test", identifier="abc", at=AT).as_bytes()
    assert all(len(line) <= 998 for line in data.split(b"\r\n")) and b"\n" not in data.replace(b"\r\n", b"")
    return message_from_bytes(data, policy=policy.default)


@pytest.mark.parametrize(
    "subject",
    [
        "6 new photos are waiting for you",
        "\u2068Zoë\u2069 opened the photos of all of us for the first time, on a Tuesday in November",
        "Нові фото чекають на вас і на всіх, хто любить довгі речення в темі листа",
        "صور جديدة في انتظارك",
        "\u2068" + "x" * 100 + "\u2069 added photos",
    ],
)
def test_a_subject_arrives_as_it_was_written(subject: str) -> None:
    assert built(subject=subject)["Subject"] == subject


def test_a_subject_is_one_line() -> None:
    message = built(subject="Hello\r\nBcc: all@example.org")
    assert message["Bcc"] is None and message["Subject"] == "Hello Bcc: all@example.org"


def test_it_says_that_nobody_needs_to_answer_and_how_to_end_it() -> None:
    message = built(unsubscribe="https://photos.example.org/unsubscribe/" + "a" * 90)
    assert message["List-Unsubscribe"] == "<https://photos.example.org/unsubscribe/" + "a" * 90 + ">"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert (message["Auto-Submitted"], message["Date"].datetime) == ("auto-generated", AT)
    assert message["Message-ID"] == "<abc@kinfold.test>"
    assert built()["List-Unsubscribe"] is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (" rose@example.org ", "rose@example.org"),
        ("rose.o'hara+photos@bücher.example", "rose.o'hara+photos@xn--bcher-kva.example"),
        ("rose", None),
        ("rose@", None),
        ("@example.org", None),
        ("ro se@example.org", None),
        ("rose@example.org, jim@example.org", None),
        ("Rose <rose@example.org>", None),
        ("rose@example.org\r\nBcc: all@example.org", None),
        ("rose@example..org", None),
        ("röse@example.org", None),
        ("a" * 65 + "@example.org", None),
        ('"a b"@example.org', None),
        (".rose@example.org", None),
        ("rose.@example.org", None),
        ("ro..se@example.org", None),
    ],
)
def test_what_an_address_is(typed: str, meant: str | None) -> None:
    assert mailable(typed) == meant
    if meant is None:
        with pytest.raises(AddressRefused):
            build(letter(to=typed), sender="photos@kinfold.test", identifier="abc", at=AT)


def test_servers_that_take_nothing_but_ascii_take_every_language() -> None:
    told = letter(text="Дві нові світлини чекають\n" * 9, html="<p>صورتان جديدتان</p>\n", subject="Zwei Möwen")
    message = build(told, sender="photos@kinfold.test", identifier="abc", at=AT)
    assert message.as_bytes().isascii()
    assert parts(message_from_bytes(message.as_bytes(), policy=policy.default)) == (told.text, told.html)


# --- the mail server --------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mail server of somebody else is on loopback."""
    real = socket.create_connection
    monkeypatch.setattr(smtplib.socket, "create_connection", lambda address, *rest: real(("127.0.0.1", address[1]), *rest))


def contexts(folder: Path, host: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What the server shows, and what we trust."""
    path = certificate(folder, host)
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(path)
    return shown, ssl.create_default_context(cafile=str(path))


def send(url: str, trusted: ssl.SSLContext | None = None) -> None:
    message = build(letter(), sender="photos@kinfold.test", identifier="abc", at=AT)
    SmtpMail(url, sender="photos@kinfold.test", context=trusted).send(message)


def test_elsewhere_mail_goes_by_starttls_to_a_server_that_shows_who_it_is(tmp_path: Path, elsewhere: None) -> None:
    shown, trusted = contexts(tmp_path, HOST)
    with mail_server(tls_context=shown, require_starttls=True) as (post, port):
        send(f"smtp://{HOST}:{port}", trusted)
        assert len(post.messages) == 1
        with pytest.raises(MailFailed, match="SSLCertVerificationError"):
            send(f"smtp://{HOST}:{port}")
        with pytest.raises(MailFailed, match="SSLCertVerificationError"):
            send(f"smtp://other.example.org:{port}", trusted)
        assert len(post.messages) == 1


def test_elsewhere_nothing_is_said_to_a_server_without_encryption(elsewhere: None) -> None:
    with mail_server() as (post, port):
        with pytest.raises(MailFailed, match="SMTPNotSupportedError"):
            send(f"smtp://user:password@{HOST}:{port}")
        assert post.messages == []


def test_smtps_is_encrypted_from_the_beginning(tmp_path: Path, elsewhere: None) -> None:
    shown, trusted = contexts(tmp_path, HOST)
    with mail_server(ssl_context=shown) as (post, port):
        send(f"smtps://{HOST}:{port}", trusted)
        assert len(post.messages) == 1


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_user_and_password_are_said_as_they_were_meant(tmp_path: Path) -> None:
    heard: list[tuple[bytes, bytes]] = []

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> Any:
        heard.append((data.login, data.password))
        return AuthResult(success=data.password == b"p@ss:word", handled=False)

    with mail_server(authenticator=check, auth_require_tls=False, auth_required=True) as (post, port):
        send(f"smtp://photos%40example.org:p%40ss%3Aword@127.0.0.1:{port}")
        with pytest.raises(MailFailed, match="SMTPAuthenticationError 535"):
            send(f"smtp://photos:wrong@127.0.0.1:{port}")
    assert heard[0] == (b"photos@example.org", b"p@ss:word") and len(post.messages) == 1


@pytest.mark.parametrize(
    ("answer", "for_good"),
    [
        ("450 4.2.1 Later", False),
        ("550 5.1.1 Nobody here", True),
        ("553 Not here", True),
        ("550 5.7.1 Relaying denied", False),
    ],
)
def test_only_an_address_that_does_not_work_is_refused_for_good(answer: str, for_good: bool) -> None:
    with mail_server() as (post, port):
        for when in ("no", "late_no"):
            post.no = post.late_no = ""
            setattr(post, when, answer)
            with pytest.raises(MailFailed) as failed:
                send(f"smtp://127.0.0.1:{port}")
            assert isinstance(failed.value, AddressRefused) is for_good
            assert failed.value.reason == f"refused {answer[:3]}", "no name and no address"


def test_a_server_that_took_the_mail_and_is_rude_when_we_leave_gets_it_once() -> None:
    async def rude(*_: Any) -> str:
        return "421 4.3.2 Go away"

    with mail_server() as (post, port):
        post.handle_QUIT = rude  # type: ignore[attr-defined]
        send(f"smtp://127.0.0.1:{port}")
        assert len(post.messages) == 1


def test_a_server_that_is_away_is_a_failure_for_now_and_left_alone_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    mail = SmtpMail(f"smtp://127.0.0.1:{free_port()}", sender="photos@kinfold.test")
    message = build(letter(), sender="photos@kinfold.test", identifier="abc", at=AT)
    said = []
    for now in (1000, 1001, 1059, 1061):
        monkeypatch.setattr("app.mail.smtp.time.monotonic", lambda now=now: float(now))
        with pytest.raises(MailFailed) as failed:
            mail.send(message)
        said.append(failed.value.reason)
    assert said == ["ConnectionRefusedError", "away a moment ago", "away a moment ago", "ConnectionRefusedError"]


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["mail.example.org", "http://mail.example.org", "smtp://", "smtp://host:99999", "smtp://host/path"]
)
def test_a_wrong_address_of_a_mail_server_is_told_and_its_password_is_not(url: str) -> None:
    with pytest.raises(WrongSetting, match="KINFOLD_SMTP_URL") as wrong:
        Settings.from_env({"KINFOLD_SMTP_URL": url.replace("//", "//user:secret@"), "KINFOLD_MAIL_FROM": "a@b.example"})
    assert "secret" not in str(wrong.value)


@pytest.mark.parametrize("sender", ["", "photos", "Kinfold <photos@example.org>", "a@b\r\nBcc: c@d", "a@b@c", "a..b@c", "a,b@c"])
def test_mail_needs_an_address_that_it_comes_from(sender: str) -> None:
    with pytest.raises(WrongSetting, match="KINFOLD_MAIL_FROM"):
        Settings.from_env({"KINFOLD_SMTP_URL": "smtp://localhost", "KINFOLD_MAIL_FROM": sender})


@pytest.mark.parametrize("services", ["https://push.example.org", "*", "*.", "push.example.org:443", "127.0.0.1", "localhost"])
def test_push_goes_to_hosts_that_have_a_name(services: str) -> None:
    with pytest.raises(WrongSetting, match="KINFOLD_PUSH_SERVICES"):
        Settings.from_env({"KINFOLD_PUSH_SERVICES": services})
    named = Settings.from_env({"KINFOLD_PUSH_SERVICES": "push.example.org *.push.example.net"})
    assert named.push_services == ("push.example.org", "*.push.example.net")


def test_without_a_mail_server_there_is_no_mail() -> None:
    assert open_mail(Settings.from_env({})) is None
