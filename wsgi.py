"""What a WSGI server and the `flask` command load."""

import click
from flask import Flask
from sqlalchemy.exc import DBAPIError

from app import create_app
from app.config import Settings
from app.errors import WrongSetting
from app.jobs.executors import show_at_work
from app.ops.exposure import check_storage
from app.ops.first_aid import first_aid
from app.ops.harden import harden
from app.ops.logs import set_up_logs
from app.ops.migrate import migrate, why


def start() -> Flask:
    """The whole application, on a database that is brought up to date first."""
    settings = Settings.from_env()
    set_up_logs(settings.log)
    migrate(settings)
    app = create_app(settings)
    if click.get_current_context(silent=True) is None:  # a web server; of the commands, `serve` and `worker` look themselves
        check_storage(app.extensions["kinfold"])
        show_at_work(app.extensions["kinfold"].database)
    return app


try:
    harden()
    app = first_aid() or start()
except WrongSetting as wrong:
    raise SystemExit(f"Kinfold can't start. {wrong}") from None
except DBAPIError as away:
    raise SystemExit(f"Kinfold can't start, because it can't use the database. {why(away)}") from None
