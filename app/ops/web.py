"""The web server process: granian, as `flask serve` starts it (`python -m app.ops.web`); any other WSGI server can run `wsgi:app` too."""

import resource
import socket
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import MPServer

from app.config import Settings
from app.ops.logs import set_up_logs

CONNECTIONS = 8192
"""Open connections, idle ones included: every phone keeps up to six for half a minute, and who finds no place waits as long. Requests at
work are limited by the threads."""

KEEP_ALIVE = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Seconds of silence after which a phone is asked whether it is still there, seconds between two such questions, and how many in a row may
stay without an answer. It is the phone's system that answers, however long a person or a program there says nothing."""


class _Server(MPServer):
    """Granian, but for one thing: a phone that has gone without a word, out of reach in the middle of an upload, does not hold a thread for
    good. What we ask of the socket that listens holds for every connection, so there has to be one that we can get at: Granian makes it
    here on other systems, and on Linux in each of its processes."""

    def _init_shared_socket(self) -> None:
        super()._init_shared_socket()  # type: ignore[no-untyped-call]
        mine: Any = self
        if mine._sso is None:
            mine._shd, mine._ssp = mine._ssp.build(), None
            mine._sso = socket.socket(fileno=mine._shd.get_fd())
            mine._sso.set_inheritable(True)
        mine._sso.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEP_ALIVE.items():
            if hasattr(socket, name):  # another system may know fewer of them
                mine._sso.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def run(settings: Settings) -> None:
    """Serve until told to stop. What granian itself has to say goes to standard error, in our style."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection is an open file, and usually only 1,024 are given
    _Server(
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
