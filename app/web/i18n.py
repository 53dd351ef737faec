"""Words, dates, numbers and sizes as people read them, in the language that they read.

Every sentence stands in a template inside `{% trans %}` or `_()`; only the words for days, sizes and devices are in Python (here and in
`labels.py`). English is what the templates say; the other languages are catalogs in `app/translations`, read as people write them, so that
there is nothing to compile and nothing that can be stale. Dates, numbers and sizes are written as Unicode's CLDR says (Babel). Times are
shown in the server's own time zone (the usual `TZ` variable).

Which language: the one that was chosen on this browser, else the one of whoever is known here (a member's own, or what a member set for a
guest), else the best that the browser asks for, else the instance's (`KINFOLD_LANGUAGE`).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, cast

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import NullTranslations, Translations
from babel.units import format_unit
from flask import Flask, g, has_request_context, request
from flask_babel import Babel, Domain, force_locale, get_babel, get_locale, get_translations, gettext
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from app.clock import Clock
from app.errors import WrongSetting

CHOSEN = "kinfold_language"
"""The cookie with the language that was chosen on this browser."""

CATALOGS = Path(__file__).resolve().parents[1] / "translations"


@dataclass(frozen=True)
class Language:
    """A language we speak: its code, its name as its speakers write it, and how its dates and numbers are written."""

    code: str
    name: str
    locale: Locale

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`."""
        return self.locale.text_direction


LANGUAGES = {
    code: Language(code, name, Locale.parse(locale))
    for code, name, locale in (
        ("en", "English", "en_GB"),
        ("de", "Deutsch", "de"),
        ("fr", "Français", "fr"),
        ("es", "Español", "es"),
        ("it", "Italiano", "it"),
        ("nl", "Nederlands", "nl"),
        ("pl", "Polski", "pl"),
        ("pt", "Português", "pt_PT"),
        ("uk", "Українська", "uk"),
        ("tr", "Türkçe", "tr"),
        ("ar", "العربية", "ar"),
    )
}


# --- which language ---------------------------------------------------------------------------------------------------


def language() -> Language:
    """The language of this answer, or of what is being written just now (`in_language`)."""
    locale = get_locale()
    return LANGUAGES[locale.language if locale is not None else "en"]


def prefer(code: str | None) -> None:
    """Whoever is known here reads this language; None when nobody has said which."""
    if code in LANGUAGES:
        g.setdefault("preferred_language", code)


def in_language(code: str | None) -> AbstractContextManager[None]:
    """Write in a language, whoever asks: a mail to a guest. Needs the application's context. None is the instance's own."""
    locale = LANGUAGES[code].locale if code in LANGUAGES else get_babel().instance.default_locale
    return cast("AbstractContextManager[None]", force_locale(locale))


def _choose(usual: str) -> str:
    """The language of this request."""
    if not has_request_context():
        return usual
    chosen = request.cookies.get(CHOSEN) or g.get("preferred_language")
    return chosen if chosen in LANGUAGES else request.accept_languages.best_match(LANGUAGES, default=usual)


class Catalogs(Domain):  # type: ignore[misc]  # Flask-Babel has no types
    """The sentences of all languages, each read when it is first needed."""

    def get_translations(self) -> NullTranslations:
        code = language().code
        if code not in self.cache:
            self.cache[code] = NullTranslations() if code == "en" else read_catalog(code)
        found: NullTranslations = self.cache[code]
        return found


def read_catalog(code: str) -> Translations:
    """A catalog as gettext wants it."""
    with (CATALOGS / code / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalog = read_po(file, locale=code)
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Translations(compiled)


# --- dates, numbers, sizes --------------------------------------------------------------------------------------------


def local(moment: datetime) -> datetime:
    """A moment as the family's clock shows it; a photo's own local time stays as it is."""
    return moment if moment.tzinfo is None else moment.astimezone()


def day(clock: Clock, moment: datetime) -> str:
    """22 December, with the year when it is not this one."""
    shown, locale = local(moment), language().locale
    if shown.year != local(clock.now()).year:
        return format_date(shown, "long", locale=locale)
    return format_skeleton("MMMMd", shown, locale=locale)


def weekday(clock: Clock, moment: datetime) -> str:
    """Tuesday 14 July, with the year when it is not this one: the heading of a day."""
    name = format_date(local(moment), "EEEE", language().locale)
    return str(gettext("%(weekday)s %(day)s", weekday=name, day=day(clock, moment)))


def moment(clock: Clock, at: datetime) -> str:
    """22 December, 14:05."""
    return str(gettext("%(day)s, %(hour)s", day=day(clock, at), hour=hour(at)))


def when(clock: Clock, at: datetime) -> str:
    """today, yesterday, or the day."""
    past = (local(clock.now()).date() - local(at).date()).days
    return {0: gettext("today"), 1: gettext("yesterday")}.get(past) or day(clock, at)


def hour(at: datetime) -> str:
    """14:05."""
    return format_time(local(at), "short", locale=language().locale)


def number(count: float) -> str:
    """1,234."""
    return format_decimal(count, locale=language().locale)


_UNITS = ("digital-byte", "digital-kilobyte", "digital-megabyte", "digital-gigabyte", "digital-terabyte")


def size(count: int) -> str:
    """12 MB."""
    units = iter(_UNITS)
    unit = next(units)
    while count >= 1000 and unit != _UNITS[-1]:
        count, unit = round(count / 1000), next(units)
    return format_unit(count, unit, length="long" if unit == _UNITS[0] else "short", locale=language().locale)


def clock_length(seconds: int) -> str:
    """0:42, 12:05, 1:02:33: as players show it."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def listed(things: Sequence[str]) -> Markup:
    """Rose, Jim and Olga."""
    return Markup(format_list([escape(each) for each in things], locale=language().locale))


# --- templates --------------------------------------------------------------------------------------------------------


def install(app: Flask, clock: Clock, usual: str) -> None:
    """Give the templates their words. Raises `WrongSetting` for an instance's language that we do not speak."""
    if usual not in LANGUAGES:
        raise WrongSetting(f"KINFOLD_LANGUAGE is {usual!r}; it can be one of {', '.join(LANGUAGES)}.")
    babel = Babel(configure_jinja=False)
    babel.init_app(app, default_locale=str(LANGUAGES[usual].locale), locale_selector=lambda: LANGUAGES[_choose(usual)].locale)
    babel.domain_instance = Catalogs()
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.globals.update(
        gettext=_gettext, _=_gettext, ngettext=_ngettext, page_language=language, languages=tuple(LANGUAGES.values())
    )
    app.jinja_env.newstyle_gettext = True  # type: ignore[attr-defined]
    filters: dict[str, Callable[..., str]] = {
        "day": partial(day, clock),
        "weekday": partial(weekday, clock),
        "moment": partial(moment, clock),
        "when": partial(when, clock),
        "hour": hour,
        "number": number,
        "size": size,
        "clock_length": clock_length,
        "listed": listed,
    }
    app.jinja_env.filters.update(filters)


@pass_context
def _gettext(context: Context, text: str, /, **variables: Any) -> str:
    return _filled(context, get_translations().ugettext(text), variables)


@pass_context
def _ngettext(context: Context, one: str, many: str, count: int, /, **variables: Any) -> str:
    variables.setdefault("num", count)
    return _filled(context, get_translations().ungettext(one, many, count), variables)


def _filled(context: Context, text: str, variables: Mapping[str, Any]) -> str:
    """A sentence with what belongs into it; numbers are written as its language writes them."""
    sentence = Markup(text) if context.eval_ctx.autoescape else text
    return sentence % {name: number(value) if type(value) in (int, float) else value for name, value in variables.items()}
