"""Guests' pages meet browsers of 2018: what those can't read must not stand in the scripts and styles that guests get.

A syntax error stops a whole module there; a rule of CSS that is not known is passed over, so it may only stand beside one that is.
"""

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[2] / "app" / "static"

MEMBERS_ONLY = ("upload.js", "upload/", "select.js")
"""Scripts that only members' pages load: these may speak as browsers do today."""

SCRIPTS = sorted(
    path for path in (STATIC / "js").rglob("*.js") if not str(path.relative_to(STATIC / "js")).startswith(MEMBERS_ONLY)
)

LATER_SYNTAX = {
    "optional chaining (2020)": r"\?\.(?!\d)",
    "?? (2020)": r"\?\?",
    "logical assignment (2021)": r"(\|\||&&)=",
    "private members (2021)": r"[.\s]#\w+",
    "numeric separators (2021)": r"\b\d+_\d",
    "class fields (2021)": r"(?m)^  (static )?\w+( = [^\n]*)?;$(?=(.|\n)*^  \w+\([^)]*\) \{$)",
    "top-level await (2021)": r"(?m)^(const .* = )?await ",
    "regular expressions with named groups or looking behind (2018 in one engine only)": r"\(\?<",
}

LATER_CSS = {
    "nesting": r"(?m)^\s*&",
    "layers": r"@layer",
    ":has()": r":has\(",
    ":is() or :where() in a list (makes the whole rule unknown)": r":(is|where)\(",
    "inset": r"(?m)[;{\s]inset:",
    "dvh, svh": r"\d[ds]vh",
    "color-mix()": r"color-mix\(",
    "@container": r"@container",
}


def code(script: Path) -> str:
    """What a browser parses, without comments and texts."""
    text = re.sub(r"/\*(.|\n)*?\*/", "", script.read_text(encoding="utf-8"))
    text = re.sub(r"(?m)(^|\s)//.*$", "", text)
    return re.sub(r'"(\\.|[^"\\\n])*"' r"|'(\\.|[^'\\\n])*'", '""', text)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(STATIC)))
def test_a_guests_script_is_read_by_a_browser_of_2018(script: Path) -> None:
    found = [name for name, pattern in LATER_SYNTAX.items() if re.search(pattern, code(script))]
    assert not found, f"{script.name} has {found}: write it in words of ES2018, or list it as members' own"


def test_the_sheet_of_guests_is_read_by_a_browser_of_2018() -> None:
    sheet = re.sub(r"/\*(.|\n)*?\*/", "", (STATIC / "css" / "guest.css").read_text(encoding="utf-8"))
    assert not [name for name, pattern in LATER_CSS.items() if re.search(pattern, sheet)]


@pytest.mark.parametrize("line", ["a?.b()", "a ?? b", "a ||= b", "  this.#x = 1", "const n = 1_000;", "await import('x');"])
def test_the_look_is_a_look(line: str) -> None:
    assert any(re.search(pattern, line) for pattern in LATER_SYNTAX.values())
