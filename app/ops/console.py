"""What the operator's commands have in common."""

from flask import current_app

from app.house import House


def the_house() -> House:
    """The tools of the process in which a command runs."""
    found = current_app.extensions["kinfold"]
    assert isinstance(found, House)
    return found
