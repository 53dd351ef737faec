"""A letter becomes a message: pure. It has its words twice, as text and as HTML, and nothing that a reader's program would fetch."""

import re
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime

from app.mail.port import AddressRefused

_ADDRESS = re.compile(r"(?!\.|.*\.[.@])[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}")
"""What browsers take for an e-mail address (HTML, "valid e-mail address"), but a dot stands only between others (RFC 5322, "dot-atom")."""


@dataclass(frozen=True)
class Letter:
    """What one person is written. `unsubscribe` is the address that ends such mail by one click (RFC 8058)."""

    to: str
    language: str
    subject: str
    text: str
    html: str
    unsubscribe: str | None = None


class _Policy(EmailPolicy):
    """Lines end as mail wants it. Python by itself would encode a long address in a header, and put second spaces into a subject."""

    def fold(self, name: str, value: str) -> str:
        match name:
            case "List-Unsubscribe":
                return f"{name}: {value}\r\n"
            case "Subject":
                encoded = Header(str(value), "us-ascii" if value.isascii() else "utf-8", header_name=name).encode(linesep="\r\n")
                return f"{name}: {encoded}\r\n"
        return str(super().fold(name, value))

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode("ascii")


def mailable(address: str) -> str | None:
    """The address as mail servers write it (names of hosts in ASCII); None for what is none."""
    name, _, host = address.strip().rpartition("@")
    try:
        plain = f"{name}@{host.encode('idna').decode()}" if host else ""
    except UnicodeError:
        return None
    return plain if len(plain) <= 254 and _ADDRESS.fullmatch(plain) else None


def build(letter: Letter, *, sender: str, identifier: str, at: datetime) -> EmailMessage:
    """The message for a letter. `identifier` makes its Message-ID: the same for every try, so that a message that arrives twice is seen
    once. Nobody's program is to answer it. Raises `AddressRefused` when it can go to nobody."""
    to = mailable(letter.to)
    if to is None:
        raise AddressRefused("no address")
    message = EmailMessage(policy=_Policy(linesep="\r\n", cte_type="7bit"))  # not every server takes 8 (RFC 6152)
    message["From"] = Address("Kinfold", addr_spec=sender)
    message["To"] = Address(addr_spec=to)
    message["Subject"] = " ".join(letter.subject.split())
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{identifier}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834
    message["X-Auto-Response-Suppress"] = "All"  # the same for Exchange
    if letter.unsubscribe:
        message["List-Unsubscribe"] = f"<{letter.unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    message["Content-Language"] = letter.language
    return message
