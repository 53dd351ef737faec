"""What the operator's commands have in common."""

from flask import current_app

from app.house import House


def the_house() -> House:
    """The tools of the process in which a command runs."""
    found = current_app.extensions["kinfold"]
    assert isinstance(found, House)
    return found


def printable(text: str) -> str:
    """What a person typed, so that it stays on its line and can't steer the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
