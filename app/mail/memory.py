"""Mail that stays here: what would have been sent, in the order in which it was handed over."""

from email.message import EmailMessage


class InMemoryMail:
    def __init__(self) -> None:
        self.sent: list[EmailMessage] = []

    def send(self, message: EmailMessage) -> None:
        self.sent.append(message)
