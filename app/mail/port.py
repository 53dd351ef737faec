"""Mail, as the rest of Kinfold sees it: one message to one person, handed over or not."""

from email.message import EmailMessage
from typing import Protocol

from app.errors import KinfoldError


class MailFailed(KinfoldError):
    """It could not be handed over just now; later it may. `reason` has no address and no name in it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class AddressRefused(MailFailed):
    """Nobody can ever be reached at this address: trying again is no use, and looks like spam."""


class Mail(Protocol):
    def send(self, message: EmailMessage) -> None:
        """Hand a message to the mail server. Raises `MailFailed`, or `AddressRefused` for good."""
        ...
