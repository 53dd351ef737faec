"""What people read in a mail or a push message: templates under `templates/mail`, written where there is no request.

A letter is two templates of one name. The first line of the text is the subject; the HTML has the same words. Names stand between marks
that keep the direction of what is around them (FSI and PDI of Unicode). Addresses begin with the instance's own.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment

from app.house import House
from app.mail.message import Letter
from app.web.application import Kinfold, make_application
from app.web.forms import tidy
from app.web.i18n import LANGUAGES, in_language

PROJECT = Path(__file__).resolve().parents[2]


class Letters:
    """Writes in the language of whoever reads it, else in the instance's."""

    def __init__(self, house: House) -> None:
        self._house = house

    def write(self, name: str, *, to: str, language: str | None, unsubscribe: str | None = None, **facts: object) -> Letter:
        """The letter `name` (`digest`, `happened`, `trial`) to this address."""
        spoken = self._spoken(language)
        with self._application.app_context(), in_language(spoken):
            known: dict[str, Any] = {
                "base_url": self._house.settings.base_url,
                "language": LANGUAGES[spoken],
                "unsubscribe": unsubscribe,
                **facts,
            }
            subject, _, text = self._templates.get_template(f"mail/{name}.txt").render(known).strip().partition("\n")
            html = self._templates.get_template(f"mail/{name}.html").render(known | {"subject": subject})
        return Letter(to, spoken, subject, text.strip() + "\n", html, unsubscribe)

    def sentence(self, name: str, *, language: str | None) -> str:
        """A sentence of its own (`push`)."""
        with self._application.app_context(), in_language(self._spoken(language)):
            return self._templates.get_template(f"mail/{name}.txt").render().strip()

    def _spoken(self, language: str | None) -> str:
        return language if language in LANGUAGES else self._house.settings.language

    @cached_property
    def _application(self) -> Kinfold:
        """Flask without a page, for its templates and their words."""
        return make_application(self._house, PROJECT)

    @cached_property
    def _templates(self) -> Environment:
        templates = self._application.jinja_env
        templates.filters["isolated"] = lambda name: f"\u2068{tidy(name)}\u2069"
        return templates
