"""Logs, on standard error: plain lines or JSON. No token, cookie, password, name or address is ever in one.

Messages are ours and carry route templates and identifiers. What an exception says may quote what a person sent, so only its kind and
the places in our code are written down.
"""

import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from types import TracebackType

QUIET = ("alembic", "werkzeug", "flask_wtf", "PIL", "pyvips", "dbos", "boto3", "botocore", "s3transfer", "urllib3")


class PlainLines(logging.Formatter):
    """2026-11-22T14:05:03Z INFO kinfold.web GET /albums 200 12 ms"""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname} {record.name} {record.getMessage()}"
        return "\n".join([line, *_places(record)])


class JsonLines(logging.Formatter):
    """The same as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {"at": _time(record), "level": record.levelname, "from": record.name, "message": record.getMessage()}
        places = _places(record)
        return json.dumps(fields | ({"trace": places} if places else {}))


def set_up_logs(style: str) -> None:
    """Send everything to standard error in the style of `KINFOLD_LOG`: warnings and what ends a process or a thread too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else PlainLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = _log_the_end
    threading.excepthook = _log_the_end_of_a_thread


def _log_the_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("kinfold").critical("the process ends", exc_info=(kind, error, trace))


def _log_the_end_of_a_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        logging.getLogger("kinfold").critical("a thread ends", exc_info=args.exc_value)


def _time(record: logging.LogRecord) -> str:
    return f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _places(record: logging.LogRecord) -> list[str]:
    if not record.exc_info or record.exc_info[1] is None:
        return []
    error = record.exc_info[1]
    frames = traceback.extract_tb(error.__traceback__)
    return [f"  {type(error).__module__}.{type(error).__qualname__}"] + [
        f"  at {f.filename}:{f.lineno} in {f.name}" for f in frames
    ]
