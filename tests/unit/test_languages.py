"""Every sentence is there in every language, with everything that is filled in, and in as many forms as the language counts with."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from app.web.i18n import CATALOGS, LANGUAGES, read_catalog

PROJECT = Path(__file__).resolve().parents[2]
OTHERS = sorted(set(LANGUAGES) - {"en"})
FILLED_IN = re.compile(r"%\((\w+)\)s|\{(\w+)\}|(</?\w+)")
"""What the templates fill in, what scripts fill in, and the tags that must stay."""


def said() -> set[str | tuple[str, ...]]:
    """Every sentence of the templates and of Python, as it is looked up."""
    templates = extract_from_dir(
        PROJECT / "templates", method_map=[("**.*", "jinja2")], options_map={"**.*": {"newstyle_gettext": "true"}}
    )
    python = extract_from_dir(PROJECT / "app" / "web", method_map=[("**.py", "python")])
    found = {message for _, _, message, _, _ in (*templates, *python)}
    assert len(found) > 400, "the sentences are not found any more"
    return found


def catalog(code: str) -> Catalog:
    with (CATALOGS / code / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=code)


def test_there_is_a_catalog_for_each_language() -> None:
    assert {path.name for path in CATALOGS.iterdir() if path.is_dir()} == set(OTHERS)


@pytest.mark.parametrize("code", OTHERS)
def test_no_sentence_is_missing_and_none_is_left_over(code: str) -> None:
    sentences = said()
    there = {
        message.id
        for message in catalog(code)
        if message.id and all(message.string if message.pluralizable else [message.string])
    }
    missing = sentences - there
    assert not missing, f"say these in {code} (README: languages): {sorted(map(str, missing))[:10]} and {len(missing)} in all"
    assert not there - sentences, f"nobody says these any more: {sorted(map(str, there - sentences))[:10]}"
    assert not [message.id for message in catalog(code) if message.id and message.fuzzy]


@pytest.mark.parametrize("code", OTHERS)
def test_what_is_filled_in_is_filled_in_in_every_form(code: str) -> None:
    for message in catalog(code):
        if message.id:
            for form in forms(message):
                check_filled_in(code, message, form)


def forms(message: Message) -> list[str]:
    return list(message.string) if message.pluralizable else [str(message.string)]


def check_filled_in(code: str, message: Message, form: str) -> None:
    whole = message.id[-1] if message.pluralizable else message.id
    wanted, there = (sorted(map(str, FILLED_IN.findall(text))) for text in (whole, form))
    if message.pluralizable:  # a form for exactly one, or two, may say so in words
        assert set(there) <= set(wanted) and len(set(wanted) - set(there)) <= 1, f"{code}: {form!r} for {whole!r}"
    else:
        assert there == wanted, f"{code}: {form!r} for {whole!r}"
    assert not re.search(r"%(?!\(\w+\)s|%)", form), f"{code}: a stray % in {form!r}"


@pytest.mark.parametrize("code", OTHERS)
def test_each_language_counts_in_all_its_forms(code: str) -> None:
    found = catalog(code)
    assert found.num_plurals == Catalog(locale=code).num_plurals
    assert not [m.id for m in found if m.id and m.pluralizable and not (len(m.string) == found.num_plurals and all(m.string))]


@pytest.mark.parametrize("code", OTHERS)
def test_most_sentences_are_really_translated(code: str) -> None:
    same = [message.id for message in catalog(code) if message.id and message.id == message.string and " " in str(message.id)]
    assert len(same) < 8, f"{code} says these in English: {same}"
    assert read_catalog(code).gettext("Open the photos") != "Open the photos"
