"""The forms of sharing."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from wtforms import BooleanField, EmailField, SelectMultipleField, StringField
from wtforms.validators import ValidationError

from app.accounts.forms import ConfirmedForm
from app.errors import Refused
from app.mail.message import mailable
from app.sharing import rules
from app.web.forms import KinfoldForm, LanguageField, LineField, at_most, needed

NO = (False, "false", "", "0", "no", "off")


class PeriodForm(KinfoldForm):
    """How long: `days`, or `until` a date. Neither means the usual 30 days."""

    days = StringField()
    until = StringField()
    may_save = BooleanField(false_values=NO)
    may_add = BooleanField(false_values=NO)

    def end(self, *, at: datetime, max_days: int, longer: datetime | None = None) -> datetime | None:
        """The end that was asked for, or None with the mistake marked on its field. With `longer`, an end that there is already, days are
        added to that one."""
        try:
            days = self._days()
            end = rules.until(days=days, date=self.until.data or None, at=at, max_days=max_days)
        except Refused as refusal:
            field: Any = self.until if self.until.data else self.days
            field.errors = [refusal.reason]
            return None
        if longer is None or self.until.data:
            return end
        return rules.extended(expires_at=longer, days=days or rules.usual_days(max_days), at=at, max_days=max_days)

    def _days(self) -> int | None:
        text = (self.days.data or "").strip()
        if not text:
            return None
        if len(text) > 4 or not text.isascii() or not text.isdigit() or int(text) == 0:
            raise Refused("date-wrong")
        return int(text)


class ShareForm(PeriodForm):
    """`guest` is somebody we know, else `name` is somebody new; `another` says that a known name is a different person."""

    guest = StringField()
    name = LineField(validators=[at_most(100, "name-too-long")])
    another = BooleanField(false_values=NO)


class GiveForm(PeriodForm):
    album = StringField(validators=[needed("album-missing")])


class CardForm(KinfoldForm):
    """`call`: whom to call when the card does not work, as it is printed."""

    call = LineField(validators=[at_most(100, "call-too-long")])


class WordsForm(KinfoldForm):
    words = LineField(validators=[at_most(200, "words-wrong")])


class NoMoreTimeForm(KinfoldForm):
    never = BooleanField(false_values=NO)


class GuestForm(KinfoldForm):
    """Who somebody is, where they are told of new photos if they want that, and what they read."""

    name = LineField(validators=[needed("name-missing"), at_most(100, "name-too-long")])
    email = EmailField()
    language = LanguageField()

    def validate_email(self, field: Any) -> None:
        """None when there is none."""
        typed = (field.data or "").strip()
        field.data = mailable(typed) if typed else None
        if typed and field.data is None:
            field.data = typed
            raise ValidationError("email-wrong")


class RemoveMemberForm(ConfirmedForm):
    """The people and links of a member that end together with the account; `everybody` means all of those people, `offered` the links
    that were on the page. One that was made since was never kept by anybody: it ends."""

    guest = SelectMultipleField(choices=[], validate_choice=False)
    everybody = BooleanField(false_values=NO)
    link = SelectMultipleField(choices=[], validate_choice=False)
    offered = SelectMultipleField(choices=[], validate_choice=False)

    def links_to_end(self, links: Iterable[str]) -> list[str]:
        """Which of these links are ticked, or were not there to be left out."""
        ticked, offered = set(self.link.data or ()), set(self.offered.data or ())
        return [link for link in links if link in ticked or link not in offered]
