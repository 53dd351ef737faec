"""A real mail server on loopback that keeps what it is given, and says no when a test wants it to."""

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from tests.server import free_port


class Post:
    """What arrived, in its order: envelopes and messages. `no` is what it answers instead of taking a recipient, `late_no` instead of
    taking what a mail says."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.no = self.late_no = ""

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if self.no:
            return self.no
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.late_no:
            return self.late_no
        assert max(map(len, envelope.original_content.split(b"\r\n"))) < 998
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        message = message_from_bytes(envelope.original_content, policy=policy.default)
        assert isinstance(message, EmailMessage) and not message.defects
        self.messages.append(message)
        return "250 OK"


@contextmanager
def mail_server(**options: Any) -> Iterator[tuple[Post, int]]:
    """The server, and the port on which it listens."""
    post, port = Post(), free_port()
    controller = Controller(post, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield post, port
    finally:
        controller.stop()


def parts(message: EmailMessage) -> tuple[str, str]:
    """What it says as text and as HTML."""
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None and html is not None
    return text.get_content().replace("\r\n", "\n"), html.get_content().replace("\r\n", "\n")
