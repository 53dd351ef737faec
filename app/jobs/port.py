"""Background work, as the rest of Kinfold sees it.

A job is two words and a number: what to do, with what, and for the how-manieth time. It carries nothing else, so that
no name, title or key ever lies in a queue. The rows of the product stay the truth: a handler looks there for what is
still to do, and a sweep asks again for whatever was left lying.
"""

import logging
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.db import Database

log = logging.getLogger("kinfold.jobs")

T = TypeVar("T")

ASK_AGAIN = 1.0
"""Seconds between two tries to write down what became of a job's subject."""

Handler = Callable[[str], None]
"""Does one job. Gets the subject (an identifier); may run twice for one job, so it is idempotent; takes its own short transactions."""


class Stopping(BaseException):
    """The worker is told to stop: leave a job as a kill -9 would. Whoever comes next begins it anew, by the same name."""


class Jobs(Protocol):
    def enqueue(self, session: Session, job: str, subject: str, *, group: str, generation: int = 0, long: bool = False) -> None:
        """Have `job` done with `subject` once `session` commits; a roll-back means that nobody ever asked.

        The same job, subject and generation is one job for good, also after it has ended. Whoever wants it done again
        gives a higher generation: a counter of its own, or simply the time in whole minutes.
        Groups take turns, so a group with 2,000 photos waiting does not hold up another group's one. A `long` job may take minutes:
        these have a queue of their own, so that no other job waits for one.
        """
        ...

    def live_subjects(self, session: Session, job: str) -> set[str]:
        """The subjects for which this job waits or runs just now. A sweep enqueues the others."""
        ...


def job_id(job: str, subject: str, generation: int) -> str:
    """The one name of a job. `subject_of` reads it back."""
    if ":" in job or ":" in subject:
        raise ValueError("a job and its subject are plain words without a colon")
    return f"{job}:{subject}:{generation}"


def subject_of(identifier: str) -> str:
    return identifier.split(":")[1]


def perform(handlers: Mapping[str, Handler], job: str, subject: str) -> Exception | None:
    """Do one job. What goes wrong ends this job and no other; it is logged and handed back."""
    try:
        handlers[job](subject)
    except Exception as error:  # noqa: BLE001  whatever it is, the other jobs go on
        log_failure(f"job {job} {subject}", error)
        return error
    return None


def surely(database: Database, write: Callable[[Session], T], *, subject: str, stop: threading.Event) -> T:
    """Write down what became of a job's subject as soon as the database takes it. It may be away, locked or full: that is no fault of the
    subject's, and what was made of it is as good as before. Raises `Stopping` when the worker is to end earlier."""
    told = False
    while True:
        try:
            with database.writing() as session:
                return write(session)
        except OperationalError as error:
            if not told:
                log_failure(f"writing down what became of {subject}", error)
            told = True
            if stop.wait(ASK_AGAIN):
                raise Stopping from None


def log_failure(what: str, error: Exception) -> None:
    """One line with the kind of error and its place: the message of an error may hold a name or a path."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
    log.error("%s failed: %s at %s", what, type(error).__name__, place)
