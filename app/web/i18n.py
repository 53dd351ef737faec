"""Words, dates and sizes as people read them.

Every sentence stands in a template inside `{% trans %}` or `_()`; only the words for days, sizes and devices are in Python (here and in
`labels.py`). This version speaks English; what is marked is what later languages translate. Times are shown in the server's own time zone
(the usual `TZ` variable).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from flask import Flask

from app.clock import Clock

_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]  # not strftime: that would speak the server's locale


_WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


@dataclass(frozen=True)
class Language:
    """A language that people can choose: its code, and its name as its speakers write it."""

    code: str
    name: str

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`."""
        return "rtl" if self.code == "ar" else "ltr"


LANGUAGES = {
    code: Language(code, name)
    for code, name in (
        ("en", "English"),
        ("de", "Deutsch"),
        ("fr", "Français"),
        ("es", "Español"),
        ("it", "Italiano"),
        ("nl", "Nederlands"),
        ("pl", "Polski"),
        ("pt", "Português"),
        ("uk", "Українська"),
        ("tr", "Türkçe"),
        ("ar", "العربية"),
    )
}


def in_language(code: str | None) -> AbstractContextManager[None]:  # noqa: ARG001  English is all there is yet
    """Write in a language, whoever asks: a mail to a guest. Needs the application's context. None is the instance's own."""
    return nullcontext()


def local(moment: datetime) -> datetime:
    """A moment as the family's clock shows it; a photo's own local time stays as it is."""
    return moment if moment.tzinfo is None else moment.astimezone()


def day(clock: Clock, moment: datetime) -> str:
    """22 December, with the year when it is not this one."""
    shown, today = local(moment), local(clock.now())
    text = f"{shown.day} {_MONTHS[shown.month - 1]}"
    return text if shown.year == today.year else f"{text} {shown.year}"


def weekday(clock: Clock, moment: datetime) -> str:
    """Tuesday 14 July, with the year when it is not this one: the heading of a day."""
    return f"{_WEEKDAYS[local(moment).weekday()]} {day(clock, moment)}"


def moment(clock: Clock, at: datetime) -> str:
    """22 December, 14:05."""
    return f"{day(clock, at)}, {hour(at)}"


def when(clock: Clock, at: datetime) -> str:
    """today, yesterday, or the day."""
    past = (local(clock.now()).date() - local(at).date()).days
    return {0: "today", 1: "yesterday"}.get(past) or day(clock, at)


def hour(at: datetime) -> str:
    """14:05."""
    return f"{local(at):%H:%M}"


def size(count: int) -> str:
    """12 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count = round(count / 1000)
    return f"{count:.0f} TB"


def clock_length(seconds: int) -> str:
    """0:42, 12:05, 1:02:33: as players show it."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def install(app: Flask, clock: Clock) -> None:
    """Give the templates their words."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_null_translations(newstyle=True)  # type: ignore[attr-defined]
    filters: dict[str, Callable[..., str]] = {
        "day": partial(day, clock),
        "weekday": partial(weekday, clock),
        "moment": partial(moment, clock),
        "when": partial(when, clock),
        "hour": hour,
        "size": size,
        "clock_length": clock_length,
    }
    app.jinja_env.filters.update(filters)
