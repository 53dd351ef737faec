"""The worker's part: see what is worth telling, and tell it by mail and by push."""

import json
import logging
import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from app.activity.models import ActivityKind
from app.activity.service import TELL
from app.house import House
from app.jobs.port import Handler
from app.mail.message import Letter, build, mailable
from app.mail.port import AddressRefused, MailFailed
from app.notifications import service
from app.notifications.letters import Letters
from app.notifications.models import Notification
from app.notifications.push import Push
from app.security.tokens import Purpose
from app.sharing import service as sharing
from app.sharing.models import Guest

log = logging.getLogger("kinfold.told")

SEND = "send"


def handlers(house: House, push: Push | None = None) -> dict[str, Handler]:
    """The jobs of this room. `push` is how browsers are reached, if not as the settings say."""
    sender = Sender(house, push)

    def tell(happened: str) -> None:
        """Have members told of one thing that happened, at once where it can't wait."""
        if house.mail is None:
            return
        with house.database.writing() as session:
            service.tell(session, happened=happened, quiet=house.settings.quiet_hours, at=house.clock.now())
            _enqueue_due(house, session)

    return {TELL: tell, SEND: sender.send}


def look_for_news(house: House) -> None:
    """A sweep: find what is worth telling, and hand what is due to the workers. Looking keeps nobody from writing."""
    mail, push, quiet, at = house.mail is not None, house.settings.push, house.settings.quiet_hours, house.clock.now()
    if not (mail or push):
        return
    with house.database.reading() as session:
        happened = service.untold(session, at=at) if mail else []
        ending = service.ending(session, at=at) if mail else []
        guests = service.with_news(session, by_mail=mail, by_push=push, at=at)
        due = service.due(session, at=at)
    if not (happened or ending or guests or due):
        return
    with house.database.writing() as session:
        for each in happened:
            service.tell(session, happened=each, quiet=quiet, at=at)
        if ending:
            service.remind(session, quiet=quiet, at=at)
        service.announce(session, guests=guests, quiet=quiet, at=at)
        _enqueue_due(house, session)


def _enqueue_due(house: House, session: Session) -> None:
    at = house.clock.now()
    session.flush()
    live = house.jobs.live_subjects(session, SEND)
    for notification, group in service.due(session, at=at):
        if notification not in live:
            house.jobs.enqueue(session, SEND, notification, group=group, generation=int(at.timestamp()) // 60)


class Sender:
    """Sends what is due to one person."""

    def __init__(self, house: House, push: Push | None = None) -> None:
        self._house = house
        self._letters = Letters(house)
        self._push = push or (Push(house) if house.settings.push else None)
        self._operator = _address_in(house.settings.contact)

    def send(self, notification: str) -> None:
        """All that is due for the person whom this notification is for. Safe to repeat."""
        house, at = self._house, self._house.clock.now()
        with house.database.writing() as session:
            taken = service.take(session, notification=notification, quiet=house.settings.quiet_hours, at=at)
        if taken and taken[0].guest_id is not None:
            self._to_guest(taken, taken[0].guest_id)
        elif taken:
            self._to_member(taken)

    # --- members and whoever runs the server ----------------------------------------------------------------------------

    def _to_member(self, taken: Sequence[Notification]) -> None:
        house, ids = self._house, [each.id for each in taken]
        with house.database.reading() as session:
            facts = service.facts(session, taken, at=house.clock.now())
            reader = service.reader(session, taken[0], operator=self._operator)
        if not facts or reader is None:
            with house.database.writing() as session:
                service.give_up(session, notifications=ids, at=house.clock.now())
            return
        letter = self._letters.write(
            "happened", to=reader.email, language=reader.language, facts=facts, operator=taken[0].member_id is None
        )
        try:
            self._mail(letter, ids[0])
        except AddressRefused as refused:
            log.warning("mail to a member can't be delivered: %s", refused.reason)
            with house.database.writing() as session:
                service.give_up(session, notifications=ids, at=house.clock.now())
        except MailFailed as failed:
            self._put_off(ids, failed)
        else:
            self._note_sent(ids, house.clock.now())

    # --- guests ---------------------------------------------------------------------------------------------------------

    def _to_guest(self, taken: Sequence[Notification], guest_id: str) -> None:
        house, at, ids = self._house, self._house.clock.now(), [each.id for each in taken]
        with house.database.writing() as session:
            guest = session.get(Guest, guest_id)
            photos = service.news(session, guest=guest, at=at) if guest is not None else 0
            if guest is None or not photos:
                service.give_up(session, notifications=ids, at=at)
                return
            address = guest.email if house.mail is not None and guest.mail_ended_at is None else None
            link = sharing.make_mail_link(session, guest=guest, tokens=house.tokens, at=at) if address else None
        if taken[0].attempts == 1:
            self._tell_browsers(guest)
        if not address or link is None:
            self._note_sent(ids, at)
            return
        letter = self._letters.write(
            "digest",
            to=address,
            language=guest.language,
            photos=photos,
            link=f"{house.settings.base_url}/i/{link.token}",
            until=link.until,
            unsubscribe=f"{house.settings.base_url}/unsubscribe/{house.tokens.sign(Purpose.NO_MORE_MAIL, guest.id)}",
        )
        try:
            self._mail(letter, ids[0])
        except MailFailed as failed:
            with house.database.writing() as session:
                sharing.drop_mail_link(session, link=link.id)
            if not isinstance(failed, AddressRefused):
                self._put_off(ids, failed)
                return
            log.warning("mail to a guest can't be delivered, no more is sent: %s", failed.reason)
            with house.database.writing() as session:
                service.give_up(session, notifications=ids, at=at)
                sharing.end_mail(session, guest=guest.id, at=at, why=ActivityKind.MAIL_REFUSED)
        else:
            self._note_sent(ids, at)

    def _tell_browsers(self, guest: Guest) -> None:
        if self._push is None:
            return
        with self._house.database.reading() as session:
            browsers = service.subscriptions(session, guest=guest.id, at=self._house.clock.now())
        text = self._letters.sentence("push", language=guest.language) if browsers else ""
        for browser in browsers:
            status = self._push.send(browser, json.dumps({"text": text, "url": "/shared"}, ensure_ascii=False).encode())
            with self._house.database.writing() as session:
                service.note_push(
                    session, subscription=browser.id, told=status is not None and 200 <= status < 300, gone=status in (404, 410)
                )

    # --- both -----------------------------------------------------------------------------------------------------------

    def _mail(self, letter: Letter, identifier: str) -> None:
        house = self._house
        if house.mail is None:  # another node has found out that this was to be mailed
            raise MailFailed("KINFOLD_SMTP_URL is not set here")
        house.mail.send(build(letter, sender=house.settings.mail_from, identifier=identifier, at=house.clock.now()))

    def _put_off(self, ids: list[str], failed: MailFailed) -> None:
        log.warning("mail could not be handed over, it is tried again: %s", failed.reason)
        house = self._house
        with house.database.writing() as session:
            service.put_off(session, notifications=ids, quiet=house.settings.quiet_hours, at=house.clock.now())

    def _note_sent(self, ids: list[str], at: datetime) -> None:
        with self._house.database.writing() as session:
            service.note_sent(session, notifications=ids, at=at)


def _address_in(contact: str) -> str | None:
    """The e-mail address in what `KINFOLD_CONTACT` says; people may have written a sentence around it."""
    return next((word for word in re.split(r"[\s<>(),;:]+", contact) if mailable(word.rstrip(".")) and "@" in word), None)
