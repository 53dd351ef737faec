"""The web server process: granian, as `flask serve` starts it (`python -m app.ops.web`); any other WSGI server can run `wsgi:app` too."""

import resource

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from app.config import Settings
from app.ops.logs import set_up_logs

CONNECTIONS = 8192
"""Open connections, idle ones included: every phone keeps up to six for half a minute, and who finds no place waits as long. Requests at
work are limited by the threads."""


def run(settings: Settings) -> None:
    """Serve until told to stop. What granian itself has to say goes to standard error, in our style."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection is an open file, and usually only 1,024 are given
    Granian(
        "wsgi:app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=settings.threads,
        backpressure=CONNECTIONS,
        http=HTTPModes.http1,
        websockets=False,
        respawn_failed_workers=True,
        log_level=LogLevels.error,
        log_dictconfig={
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"generic": {"()": f"app.ops.logs.{'JsonLines' if settings.log == 'json' else 'PlainLines'}"}},
            "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "generic", "stream": "ext://sys.stderr"}},
            "loggers": {"_granian": {"handlers": ["console"], "level": "ERROR", "propagate": False}},
        },
    ).serve()


if __name__ == "__main__":
    settings = Settings.from_env()
    set_up_logs(settings.log)
    run(settings)
