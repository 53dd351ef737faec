"""What all forms share."""

import unicodedata
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Response, make_response, request
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import ValidationError

from app.errors import Refused
from app.web.errors import wants_json
from app.web.i18n import LANGUAGES
from app.web.session import SAFE_METHODS

_INVISIBLE = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
_JOINERS = {"\u200d", "\u200c", "\ufe0f"}  # needed inside emoji and in several scripts


def tidy(text: str | None) -> str:
    """A line as a person meant it: composed, without control and direction characters, single spaces."""
    composed = unicodedata.normalize("NFC", text or "")
    kept = "".join(
        " " if c in "\r\n\t" else c
        for c in composed
        if c in _JOINERS or c in "\r\n\t" or unicodedata.category(c) not in _INVISIBLE
    )
    line = " ".join(kept.split())
    return line if line.strip("".join(_JOINERS) + " ") else ""


def tidy_lines(text: str | None) -> str:
    """Several such lines."""
    lines = [tidy(line) for line in (text or "").replace("\r\n", "\n").split("\n")]
    return "\n".join(lines).strip()


def own_path(path: str | None) -> str | None:
    """A path on this site to go on to; anything that could lead elsewhere is dropped."""
    if not path or not path.startswith("/") or path.startswith("//") or "\\" in path or not path.isprintable():
        return None
    parts = urlsplit(path)
    return None if parts.scheme or parts.netloc else path


class KinfoldForm(FlaskForm):  # type: ignore[misc]
    """A form whose errors are reason words; `templates/components/reasons.html` has their sentences."""

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        def wrap_formdata(self, form: Any, formdata: Any) -> Any:
            """What was posted as a form. Flask-WTF would take JSON too, and a field's value then be no text, or no field at all."""
            submitted = formdata is not None and request.method not in SAFE_METHODS
            return request.form if submitted else super().wrap_formdata(form, formdata)

    @property
    def first_error(self) -> str:
        """The first thing that is wrong with it."""
        return str(next(field.errors[0] for field in self if field.errors))


def once_more(form: KinfoldForm, page: Callable[[], str]) -> Response:
    """The form again with what is wrong in it; a script is told the first of it by `Refused`."""
    if wants_json():
        raise Refused(form.first_error)
    return make_response(page(), 400)


class LineField(StringField):  # type: ignore[misc]
    """One line of text, tidied."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        self.data = tidy(valuelist[0]) if valuelist else ""


class LinesField(StringField):  # type: ignore[misc]
    """Several lines of text, tidied."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        self.data = tidy_lines(valuelist[0]) if valuelist else ""


class LanguageField(StringField):  # type: ignore[misc]
    """A language that we speak; None: that of the reader's browser."""

    choices = tuple(LANGUAGES.values())

    def process_formdata(self, valuelist: list[Any]) -> None:
        self.data = valuelist[0] or None if valuelist else None

    def pre_validate(self, form: Any) -> None:  # noqa: ARG002
        if self.data is not None and self.data not in LANGUAGES:
            raise ValidationError("language-unknown")


def needed(reason: str) -> Any:
    """The field must not be empty, or the person is told `reason`."""

    def check(_form: Any, field: Any) -> None:
        if not (field.data or "").strip():
            raise ValidationError(reason)

    return check


def at_most(characters: int, reason: str) -> Any:
    """The field holds no more characters than that."""

    def check(_form: Any, field: Any) -> None:
        if len(field.data or "") > characters:
            raise ValidationError(reason)

    return check


def email_like() -> Any:
    """Something, an @, something: whether it exists, only a mail could tell."""

    def check(_form: Any, field: Any) -> None:
        name, at, host = (field.data or "").strip().rpartition("@")
        if not (name and at and host) or any(c.isspace() for c in name + host):
            raise ValidationError("email-wrong")

    return check
