"""The tools of this process and the database session of this request, for views."""

from typing import cast

from flask import current_app, g, request
from sqlalchemy.orm import Session

from app.house import House

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def house() -> House:
    """The tools of this process."""
    return cast(House, current_app.extensions["kinfold"])


def session() -> Session:
    """The one session of this request: it may write when the method is unsafe, and begins when it is first used.

    For an unsafe request that is after its body has been read (see `access.guard`), so that a slow phone never holds the write lock.
    """
    if "session" not in g:
        database = house().database
        g.session = database.open_reading() if request.method in SAFE_METHODS else database.open_writing()
    return cast(Session, g.session)


def commit() -> None:
    """Keep what an unsafe request did. Raises when the database can't, so that nobody is told it worked."""
    if "session" in g and request.method not in SAFE_METHODS:
        cast(Session, g.session).commit()


def drop_session(_error: BaseException | None = None) -> None:
    """Give the session back; what was not committed never happened."""
    opened = cast("Session | None", g.pop("session", None))
    if opened is not None:
        opened.close()
