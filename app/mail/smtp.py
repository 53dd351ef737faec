"""Mail by SMTP (RFC 5321), to the one server that the settings name.

The envelope's sender is our own address, so what comes back goes to whoever runs the server; Kinfold reads no mail and answers none.
"""

import smtplib
import ssl
import time
from contextlib import suppress
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from app.config import Settings, is_private
from app.mail.port import AddressRefused, Mail, MailFailed

PATIENCE = 10.0
"""Seconds that we wait for each answer."""

AWAY = 60.0
"""Seconds for which a server that did not answer is left alone: photos must not wait for each mail that it keeps us with."""

_POLICY = "5.7."
"""RFC 3463: it is us whom the server does not let through, and not the person who can't be reached."""


class SmtpMail:
    """`smtp://user:password@host:587` with STARTTLS, or `smtps://...:465`. Certificates are checked; only to this machine and the home
    network we talk without any, where we are told to."""

    def __init__(self, url: str, *, sender: str, context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        self._host, self._implicit = parts.hostname or "", parts.scheme == "smtps"
        self._port = parts.port or (465 if self._implicit else 587)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._sender = sender
        self._context = context or ssl.create_default_context()
        self._away_until = 0.0

    def send(self, message: EmailMessage) -> None:
        if time.monotonic() < self._away_until:
            raise MailFailed("away a moment ago")
        try:
            server = self._connect()
            try:
                server.sendmail(self._sender, [message["To"].addresses[0].addr_spec], message.as_bytes())
                with suppress(smtplib.SMTPException):  # it has taken the mail, whatever it says to our leaving
                    server.quit()
            finally:
                server.close()
        except smtplib.SMTPRecipientsRefused as refused:
            code, words = next(iter(refused.recipients.values()))
            raise _refusal(code, words) from None
        except smtplib.SMTPDataError as refused:
            raise _refusal(refused.smtp_code, refused.smtp_error) from None
        except smtplib.SMTPResponseException as refused:
            raise MailFailed(f"{type(refused).__name__} {refused.smtp_code}") from None
        except (smtplib.SMTPException, OSError) as error:
            self._away_until = time.monotonic() + AWAY
            raise MailFailed(type(error).__name__) from None

    def _connect(self) -> smtplib.SMTP:
        """A connection that is encrypted where it has to be, and signed in."""
        us = self._sender.rpartition("@")[2]
        if self._implicit:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, self._port, local_hostname=us, timeout=PATIENCE, context=self._context
            )
        else:
            server = smtplib.SMTP(self._host, self._port, local_hostname=us, timeout=PATIENCE)
        try:
            if not self._implicit and not is_private(self._host):
                server.starttls(context=self._context)
            if self._user:
                server.login(self._user, self._password)
        except BaseException:
            server.close()
            raise
        return server


def open_mail(settings: Settings) -> Mail | None:
    """The mail server that the settings name; None: nobody is told anything by mail."""
    return None if settings.smtp_url is None else SmtpMail(settings.smtp_url, sender=settings.mail_from)


def _refusal(code: int, words: bytes | str) -> MailFailed:
    said = words.decode("ascii", "replace") if isinstance(words, bytes) else words
    for_good = 500 <= code < 600 and not said.startswith(_POLICY)
    return AddressRefused(f"refused {code}") if for_good else MailFailed(f"refused {code}")
