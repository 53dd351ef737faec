"""Background work without an engine: the queue is a list, and whoever holds it says when the work is done."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from app.jobs.port import Handler, job_id, perform, subject_of

_ASKED = "kinfold_jobs_asked_for"


@dataclass(frozen=True)
class _Asked:
    identifier: str
    within: SessionTransaction


class InMemoryJobs:
    """Keeps what was committed; `run_all` does it, here and now."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self._known: set[str] = set()
        self._waiting: list[str] = []

    def enqueue(self, session: Session, job: str, subject: str, *, group: str, generation: int = 0, long: bool = False) -> None:
        if _ASKED not in session.info:
            session.info[_ASKED] = []
            event.listen(session, "after_commit", self._deliver)
            event.listen(session, "after_soft_rollback", _forget)
        within = session.get_nested_transaction() or session.get_transaction() or session.begin()
        session.info[_ASKED].append(_Asked(job_id(job, subject, generation), within))

    def live_subjects(self, session: Session, job: str) -> set[str]:
        return {subject_of(identifier) for identifier in self._waiting if identifier.startswith(f"{job}:")}

    def run_all(self, handlers: Mapping[str, Handler]) -> None:
        """Do everything that waits, and what that asks for in its turn. Errors end up in `failures` and in the log."""
        while self._waiting:
            job, subject, _ = self._waiting.pop(0).split(":")
            error = perform(handlers, job, subject)
            if error is not None:
                self.failures.append(error)

    def _deliver(self, session: Session) -> None:
        if session.in_nested_transaction():
            return  # only a savepoint was kept; the transaction around it may still be rolled back
        for asked in session.info[_ASKED]:
            if asked.identifier not in self._known:
                self._known.add(asked.identifier)
                self._waiting.append(asked.identifier)
        session.info[_ASKED].clear()


def _forget(session: Session, ended: SessionTransaction) -> None:
    """Drop what was asked for within a transaction or savepoint that was rolled back."""

    def lost(asked: _Asked) -> bool:
        within: SessionTransaction | None = asked.within
        while within is not None and within is not ended:
            within = within.parent
        return within is ended

    session.info[_ASKED][:] = [asked for asked in session.info[_ASKED] if not lost(asked)]
