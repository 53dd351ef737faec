"""Commands that must run when nothing else does: without a database, without keys, with a setting that is wrong."""

import sys

import click
from flask import Flask

from app.ops.backup.commands import restore
from app.ops.doctor import doctor
from app.ops.holding import hold_open

COMMANDS: tuple[click.Command, ...] = (doctor, restore, hold_open)


def first_aid() -> Flask | None:
    """An application with these commands and nothing else, when `flask` was typed with one of them; it touches nothing by itself."""
    typed = click.get_current_context(silent=True) is not None
    if not typed or not any(command.name in sys.argv[1:] for command in COMMANDS):
        return None
    app = Flask("kinfold", static_folder=None)
    for command in COMMANDS:
        app.cli.add_command(command)
    return app
