"""Background work by DBOS Transact, kept in the app's own database. The only file that knows this engine.

How it comes that no acknowledged job is lost or run by two workers at once:
- A job is a row of the engine, written in the transaction that wants the work done. Its identifier is ours, so asking
  twice is asking once.
- A worker's name for the engine is that of a lock which only a living worker can hold (`executors.py`). A worker that
  was killed leaves its jobs under its name. The next one of that name goes on with them by itself; any other that can
  take the lock resumes them.
- The version of the application is pinned. By default the engine hashes our source, and one changed comment would
  strand every waiting job.
- Everything in its tables is JSON and consists of identifiers. By default it would be pickles.
"""

import logging
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer, WorkflowStatus
from sqlalchemy.orm import Session

from app.config import Settings
from app.db import CONNECT, Database
from app.errors import KinfoldError
from app.jobs.executors import Lock, Locks, locks_for
from app.jobs.port import Handler, Stopping, job_id, log, log_failure, perform, subject_of

ENGINE_TABLES = frozenset(
    {
        "application_versions",
        "dbos_migrations",
        "notifications",
        "operation_outputs",
        "queues",
        "streams",
        "workflow_events",
        "workflow_events_history",
        "workflow_input",
        "workflow_output",
        "workflow_schedules",
        "workflow_status",
    }
)
"""Its tables in our SQLite file (on PostgreSQL they have the schema `dbos` to themselves): migrations leave them alone."""

APPLICATION = "kinfold"
VERSION = "1"
QUEUE, LONG_QUEUE = "kinfold", "kinfold-long"
WORKFLOWS = {QUEUE: "job", LONG_QUEUE: "long-job"}  # what does the jobs of a queue
POLLING = {
    QUEUE: 0.4,
    LONG_QUEUE: 2.0,
}  # seconds; a look costs a few milliseconds of CPU, and what takes minutes can wait for two more
WATCHING = 0.2
TAKE_OVER_EVERY = 10  # times WATCHING
# One job is being done while the next already wait at the door: no time is lost between two polls, and to take four at once costs little
# more than to take one. Another worker can't have these, so there are few of them, and of long ones none.
CLAIMED = {QUEUE: 4, LONG_QUEUE: 1}
MOST_ATTEMPTS = 10  # a job that kills its worker each time is given up; the sweep will ask again
KEPT = timedelta(days=1)

_JSON = DBOSPortableJSONSerializer()


class _FewWords(logging.Filter):
    """Of what the engine says the first line, once in ten seconds. While the database is away it would print a traceback for every look."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        words = record.getMessage().partition("\n")[0].partition(": Traceback")[0]
        record.msg, record.args, record.exc_info, now = words, (), None, time.monotonic()
        kind = words[:40]
        if now - self._said.get(kind, -math.inf) < 10:
            return False
        self._said[kind] = now
        return True


# The engine would install a handler of its own and say at every start where the database is.
logging.getLogger("dbos").addHandler(logging.NullHandler())
logging.getLogger("dbos").setLevel(logging.WARNING)
logging.getLogger("dbos").addFilter(_FewWords())


class ExecutorLost(KinfoldError):
    """The database has dropped this worker's lock, so another worker may go by its name: it has to end."""


def prepare_engine(database: Database) -> None:
    """Create or migrate the engine's tables, and its queue. Before the first enqueue and before the first worker."""
    with database.engine.connect():
        pass  # a first connection of our own turns a new SQLite file to WAL
    url = _url(database)
    DBOS.migrate(url)
    client = DBOSClient(system_database_url=url, serializer=_JSON, application_name=APPLICATION)
    try:
        for queue, claimed in CLAIMED.items():
            client.register_queue(
                queue, worker_concurrency=claimed, partition_worker_concurrency=claimed, polling_interval_sec=POLLING[queue]
            )
    finally:
        client.destroy()


class EngineJobs:
    """The engine as web processes use it: it writes rows in their transactions and starts no thread."""

    def __init__(self, database: Database) -> None:
        self._client = DBOSClient(
            system_database_engine=database.engine, serializer=_JSON, application_name=APPLICATION, lazy=True
        )
        self._status = sa.table(
            "workflow_status",
            *(sa.column(name, sa.Text()) for name in ("workflow_uuid", "queue_name", "status")),
            schema=None if database.engine.dialect.name == "sqlite" else "dbos",
        )

    def enqueue(self, session: Session, job: str, subject: str, *, group: str, generation: int = 0, long: bool = False) -> None:
        queue = LONG_QUEUE if long else QUEUE
        self._client.enqueue_in_transaction(
            session,
            {
                "workflow_name": WORKFLOWS[queue],
                "queue_name": queue,
                "queue_partition_key": group,
                "workflow_id": job_id(job, subject, generation),
                "app_version": VERSION,
            },
            job,
            subject,
        )

    def live_subjects(self, session: Session, job: str) -> set[str]:
        status = self._status.c
        found = session.scalars(
            sa.select(status.workflow_uuid).where(
                status.queue_name.in_(CLAIMED),
                # written out, so that SQLite sees that its partial index on just these two fits
                status.status.in_([sa.literal_column("'ENQUEUED'"), sa.literal_column("'PENDING'")]),
                status.workflow_uuid.startswith(f"{job}:", autoescape=True),
            )
        )
        return {subject_of(identifier) for identifier in found}

    def clear_finished(self) -> None:
        """Delete the engine's rows of jobs that ended some time ago, as a worker does by itself."""
        _clear_finished(self._client)


def run_worker(
    settings: Settings,
    database: Database,
    handlers: Mapping[str, Handler],
    sweeps: Mapping[str, Callable[[], None]],
    stop: threading.Event,
    *,
    sweep_every: float = 60.0,
    patience: float = 5.0,
) -> None:
    """Do jobs, one at a time and one long one beside it, until `stop` is set; then let the running ones end, for `patience` seconds.

    `sweeps` run in a thread of their own at the start and every `sweep_every` seconds, in one worker at a time. A job
    that is still running when this returns goes on until the process ends; its worker's name stays taken until then.
    Raises `ExecutorLost` when another worker may have taken this one's name: end the process at once.
    """
    locks = locks_for(settings, database)
    executor, lock = _take_name(locks)
    hands = {queue: threading.Lock() for queue in WORKFLOWS}  # whoever does a job of this queue holds it
    begun = set[str]()  # jobs that are being done, or wait for those hands
    _launch(database, executor, handlers, hands, begun, stop)
    sweeper = threading.Thread(
        target=_sweep, args=(locks, {"clear finished jobs": _clear_finished, **sweeps}, stop, sweep_every), daemon=True
    )
    sweeper.start()
    try:
        _keep_watch(locks, executor, lock, begun, stop)
    finally:
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=round(patience))
        if all(each.acquire(blocking=False) for each in hands.values()):
            lock.release()


def _take_name(locks: Locks) -> tuple[str, Lock]:
    """The first free of worker-0, worker-1, ...: after a crash, most often the name of the one that died."""
    number = 0
    while (lock := locks.take(f"worker-{number}")) is None:
        number += 1
    return f"worker-{number}", lock


def _launch(
    database: Database,
    executor: str,
    handlers: Mapping[str, Handler],
    hands: Mapping[str, threading.Lock],
    begun: set[str],
    stop: threading.Event,
) -> None:
    sqlite = database.engine.dialect.name == "sqlite"
    DBOS(
        config={
            "name": APPLICATION,
            "system_database_url": _url(database),
            "system_database_engine": _sqlite_engine(database) if sqlite else None,
            "db_engine_kwargs": {"hide_parameters": True, "connect_args": CONNECT["postgresql"]},
            "run_migrations": False,
            "application_version": VERSION,
            "executor_id": executor,
            "serializer": _JSON,
            "log_level": "WARNING",
            "enable_otlp": False,
            "scheduler_polling_interval_sec": 3600.0,  # we have no schedules there
        }
    )

    for queue, name in WORKFLOWS.items():
        DBOS.workflow(name=name, max_recovery_attempts=MOST_ATTEMPTS)(_doing(handlers, hands[queue], begun, stop))
    DBOS.listen_queues(list(WORKFLOWS))
    DBOS.launch()


def _sqlite_engine(database: Database) -> sa.Engine:
    """As the engine would make it, but it does not wait for the disk after each of its own commits. It writes down there which job it
    begins and which has ended; if the power fails and that is lost, the job is done once more, and jobs may be repeated. What asks for a
    job is written by us, and that waits."""
    engine = sa.create_engine(database.engine.url, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("busy_timeout=30000", "foreign_keys=ON", "synchronous=NORMAL", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _doing(
    handlers: Mapping[str, Handler], hand: threading.Lock, begun: set[str], stop: threading.Event
) -> Callable[[str, str], None]:
    """What does a job as soon as nobody else holds this hand. Left by `Stopping`, it is as after a kill -9: the engine records an outcome
    for every `Exception`, but not for that."""

    def do(job: str, subject: str) -> None:
        identifier = str(DBOS.workflow_id)
        begun.add(identifier)
        try:
            with hand:
                if stop.is_set():
                    raise Stopping
                perform(handlers, job, subject)
        finally:
            begun.discard(identifier)

    return do


def _keep_watch(locks: Locks, executor: str, lock: Lock, begun: set[str], stop: threading.Event) -> None:
    """What a worker does besides jobs: it looks whether others have died, whether it still has its own name, and whether a job of its own
    was left lying. Time is counted in naps: while the machine stands still there are none, and so a job that is about to begin is not
    taken for one that nobody does."""
    naps, idle = 0, set[str]()
    while not stop.is_set():
        # Not stop.wait(): a signal handler that sets the event in this very thread could find it locked by the wait.
        time.sleep(WATCHING)
        naps += 1
        if naps % TAKE_OVER_EVERY == 0:
            if not lock.held():
                raise ExecutorLost(executor)
            running = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
            _take_over(locks, {str(job.executor_id) for job in running if job.executor_id})
            own = [job for job in running if job.executor_id == executor and job.workflow_id not in begun]
            idle = _pick_up(own, idle)


def _take_over(locks: Locks, owners: set[str]) -> None:
    """Resume the running jobs of every worker that is dead, which is whoever does not hold its lock."""
    for owner in owners:
        lock = locks.take(owner)
        if lock is None:
            continue
        try:  # only what it holds now, under its lock, was surely left behind
            left = DBOS.list_workflows(status="PENDING", executor_id=owner, load_input=False, load_output=False)
            if left:
                _resume(left)
                log.warning("%s has died; its %d jobs go on here", owner, len(left))
        finally:
            lock.release()


def _pick_up(idle: Sequence[WorkflowStatus], before: set[str]) -> set[str]:
    """Resume the jobs that the engine takes for running in this worker and that nobody does: what could not be written down of their
    beginning or their end, on a full disk, it does not try again. Those of one look may be about to begin, or to end, so it takes two;
    returns those of this one."""
    names = {job.workflow_id for job in idle}
    lost = [job for job in idle if job.workflow_id in before]
    if lost:
        try:
            _resume(lost)
        except sa.exc.DBAPIError:
            return names  # it still can't be written down
        log.warning("%d jobs were left lying and are done again", len(lost))
    return names - before


def _resume(jobs: Sequence[WorkflowStatus]) -> None:
    for queue in WORKFLOWS:
        DBOS.resume_workflows([job.workflow_id for job in jobs if job.queue_name == queue], queue_name=queue)


def _sweep(locks: Locks, sweeps: Mapping[str, Callable[[], None]], stop: threading.Event, every: float) -> None:
    while not stop.is_set():
        lock = locks.take("sweep")
        if lock is not None:
            for name, sweep in sweeps.items():
                try:
                    sweep()
                except Exception as error:  # noqa: BLE001  the next round may do better, and the other sweeps go on
                    log_failure(f"sweep: {name}", error)
            lock.release()
        stop.wait(every)


def _clear_finished(engine: type[DBOS] | DBOSClient = DBOS) -> None:
    """Delete the engine's rows of jobs that ended some time ago. It never does so by itself."""
    before = (datetime.now(UTC) - KEPT).isoformat()
    while ended := engine.list_workflows(completed_before=before, limit=500, load_input=False, load_output=False):
        engine.delete_workflows([job.workflow_id for job in ended])


def _url(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)
