"""What the operator's commands have in common."""

import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from flask import current_app

from app.house import House
from app.ops.migrate import SCRIPTS


def the_house() -> House:
    """The tools of the process in which a command runs."""
    found = current_app.extensions["kinfold"]
    assert isinstance(found, House)
    return found


def version() -> str:
    """Which version of Kinfold this is."""
    return str(tomllib.loads((SCRIPTS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def printable(text: str) -> str:
    """What a person typed, so that it stays on its line and can't steer the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


@contextmanager
def bar(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """How far it is, on a terminal's standard error and nowhere else: call what you get with each number of steps."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as shown:
        yield shown.update
