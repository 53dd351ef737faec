"""Reasons are words in Python and sentences in templates: none without the other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from app.ingest.decoder.limits import REASONS, REMOVED

PROJECT = Path(__file__).resolve().parents[2]
TAKERS = {"Refused", "TooLarge", "StorageFailed", "ValidationError", "needed", "at_most", "NotDecoded"}
"""Functions and errors that take a reason word."""

GENERAL = {"request-bad", "request-too-large", "form-expired"}
"""Said with a page of their own, or when a request is no request."""


def raised() -> Iterator[tuple[str, str]]:
    """Every reason word that the app can tell somebody, with the place where it does."""
    for path in sorted((PROJECT / "app").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            words: list[ast.expr] = []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TAKERS:
                words = node.args
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute) and node.targets[0].attr == "errors":
                words = getattr(node.value, "elts", [])
            for word in words:
                if (
                    isinstance(word, ast.Constant)
                    and isinstance(word.value, str)
                    and re.fullmatch(r"[a-z]+(-[a-z]+)*", word.value)
                ):
                    yield word.value, f"{path.relative_to(PROJECT)}:{node.lineno}"


def sentences() -> str:
    return (PROJECT / "templates" / "components" / "reasons.html").read_text(encoding="utf-8")


def test_every_reason_has_a_sentence() -> None:
    missing = {f"{word} ({place})" for word, place in raised() if f'"{word}"' not in sentences()} - GENERAL
    missing |= {f"{word} (decoder)" for word in REASONS if f'"{word}"' not in sentences()}
    assert not missing, f"write a sentence for each in templates/components/reasons.html: {sorted(missing)}"


def test_every_kind_of_thing_that_is_taken_out_has_a_word() -> None:
    assert not [kind for kind in REMOVED if f'"{kind}"' not in sentences()]
