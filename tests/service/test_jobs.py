"""Background work: both queues keep the same promises, and the real one keeps them when workers are killed.

Run as a program, this file is the worker that the tests start and kill: `python test_jobs.py FOLDER`.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from dbos import WorkflowStatus

from app.config import Settings
from app.db import Database
from app.jobs import engine
from app.jobs.engine import ENGINE_TABLES, EngineJobs, prepare_engine, run_worker
from app.jobs.executors import FileLocks, locks_for
from app.jobs.memory import InMemoryJobs
from app.jobs.port import Jobs, Stopping
from tests import postgres

REPOSITORY = Path(__file__).parents[2]
CANARY = "grandmother's house"


def settings_in(folder: Path) -> Settings:
    return Settings.from_env({**os.environ, "KINFOLD_DATA": str(folder)})


def work(folder: Path) -> None:
    """A worker whose jobs leave lines in files: `done` gets one for each job that was done, `started` for each try."""
    settings = settings_in(folder)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def tell(file: str, subject: str) -> None:
        with (folder / file).open("a") as lines:
            lines.write(f"{subject} {os.getpid()} {time.time()}\n")

    def slow(subject: str) -> None:
        tell("started", subject)
        while not (folder / "go").exists():
            time.sleep(0.02)
        tell("done", subject)

    def fail(subject: str) -> None:
        tell("started", subject)
        raise ValueError(CANARY)

    def until_stopped(subject: str) -> None:
        tell("started", subject)
        stop.wait()
        raise Stopping

    handlers = {"until stopped": until_stopped, "quick": lambda subject: tell("done", subject), "slow": slow, "fail": fail}
    run_worker(settings, Database(settings.database_url), handlers, {"tell": lambda: tell("swept", "all")}, stop, sweep_every=2.0)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    for name, value in postgres.settings_for(tmp_path).items():
        monkeypatch.setenv(name, value)  # for the workers too
    database = Database(settings_in(tmp_path).database_url)
    prepare_engine(database)
    with database.writing() as session:
        session.execute(sa.text("CREATE TABLE photo (id TEXT)"))
    yield database
    database.close()


@contextmanager
def workers(folder: Path, number: int = 1) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many workers, killed at the end if they still live. What they say goes to the file `said`."""
    command, env = [sys.executable, __file__, str(folder)], {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with (folder / "said").open("w") as said:
        started = [subprocess.Popen(command, env=env, stderr=said) for _ in range(number)]
    try:
        yield started
    finally:
        for worker in started:
            worker.kill()
            worker.wait()


def lines(folder: Path, file: str) -> list[list[str]]:
    """What the handlers have left: subject, process, time."""
    path = folder / file
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def until(what: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited for nothing"
        time.sleep(0.02)


def ask(
    database: Database, jobs: Jobs, job: str, *subjects: str, group: str = "smiths", generation: int = 0, long: bool = False
) -> None:
    with database.writing() as session:
        for subject in subjects:
            jobs.enqueue(session, job, subject, group=group, generation=generation, long=long)


# What both queues promise


@pytest.fixture(params=["engine", "memory"])
def jobs(request: pytest.FixtureRequest, database: Database) -> Jobs:
    return EngineJobs(database) if request.param == "engine" else InMemoryJobs()


def live(database: Database, jobs: Jobs, job: str = "quick") -> set[str]:
    with database.reading() as session:
        return jobs.live_subjects(session, job)


def test_a_job_is_there_once_its_transaction_has_committed(database: Database, jobs: Jobs) -> None:
    with database.writing() as session:
        session.execute(sa.text("INSERT INTO photo VALUES ('a')"))
        jobs.enqueue(session, "quick", "a", group="smiths")
        jobs.enqueue(session, "quick", "b", group="smiths")
        assert live(database, jobs) == set()
    assert live(database, jobs) == {"a", "b"}
    assert live(database, jobs, "quic") == live(database, jobs, "quick_") == set()


def test_a_roll_back_takes_the_job_with_it(database: Database, jobs: Jobs) -> None:
    with pytest.raises(RuntimeError), database.writing() as session:
        session.execute(sa.text("INSERT INTO photo VALUES ('a')"))
        jobs.enqueue(session, "quick", "a", group="smiths")
        raise RuntimeError
    with database.open_writing() as session:
        jobs.enqueue(session, "quick", "b", group="smiths")
        session.rollback()
        jobs.enqueue(session, "quick", "c", group="smiths")
        session.commit()
    assert live(database, jobs) == {"c"}


def test_a_savepoint_that_is_rolled_back_takes_only_its_own_jobs_with_it(database: Database, jobs: Jobs) -> None:
    with database.writing() as session:
        jobs.enqueue(session, "quick", "a", group="smiths")
        with session.begin_nested():
            jobs.enqueue(session, "quick", "b", group="smiths")
        assert live(database, jobs) == set()
        with pytest.raises(RuntimeError), session.begin_nested():
            with session.begin_nested():
                jobs.enqueue(session, "quick", "c", group="smiths")
            raise RuntimeError
    assert live(database, jobs) == {"a", "b"}


def test_what_is_not_a_plain_word_is_refused(database: Database, jobs: Jobs) -> None:
    with pytest.raises(ValueError, match="colon"), database.writing() as session:
        jobs.enqueue(session, "quick", "a:b", group="smiths")


def test_in_memory_the_same_job_is_done_once_and_an_error_stops_no_other(database: Database) -> None:
    jobs, done = InMemoryJobs(), list[str]()

    def more(subject: str) -> None:
        ask(database, jobs, "quick", f"{subject}-and-more")

    ask(database, jobs, "fail", "a")
    ask(database, jobs, "more", "b", "b")
    jobs.run_all({"more": more, "quick": done.append})
    ask(database, jobs, "quick", "b-and-more")
    jobs.run_all({"quick": done.append})
    assert done == ["b-and-more"]
    assert [type(error) for error in jobs.failures] == [KeyError]
    ask(database, jobs, "quick", "b-and-more", generation=1)
    jobs.run_all({"quick": done.append})
    assert done == ["b-and-more", "b-and-more"]


# What only the engine has to promise


def test_all_tables_of_the_engine_beside_ours_are_known(database: Database) -> None:
    tables = set(sa.inspect(database.engine).get_table_names())
    assert tables - {"photo"} == (ENGINE_TABLES if schema(database) is None else set())


def test_preparing_twice_is_fine_and_keeps_the_jobs(database: Database) -> None:
    ask(database, EngineJobs(database), "quick", "a")
    prepare_engine(database)
    assert live(database, EngineJobs(database)) == {"a"}


def test_a_web_process_starts_no_thread(database: Database) -> None:
    before = threading.active_count()
    ask(database, EngineJobs(database), "quick", "a")
    assert threading.active_count() == before


def test_a_name_belongs_to_whoever_holds_its_lock(tmp_path: Path, database: Database) -> None:
    locks = locks_for(settings_in(tmp_path), database)
    held = locks.take("worker-0")
    assert held is not None
    assert locks.take("worker-0") is None
    held.release()
    again = locks.take("worker-0")
    assert again is not None and again.held()
    again.release()


def test_the_name_of_a_lock_is_no_path(tmp_path: Path) -> None:
    assert FileLocks(tmp_path / "here").take("../worker-0") is None


def test_a_worker_does_each_job_once_and_survives_those_that_fail(tmp_path: Path, database: Database) -> None:
    jobs = EngineJobs(database)
    subjects = [f"p{number}" for number in range(8)]
    ask(database, jobs, "fail", "f")
    ask(database, jobs, "unheard-of", "u")
    ask(database, jobs, "quick", *subjects, "p0")
    ask(database, jobs, "quick", "p0")
    with workers(tmp_path) as (worker,):
        until(lambda: len(lines(tmp_path, "done")) == len(subjects))
        assert sorted(line[0] for line in lines(tmp_path, "done")) == subjects
        ask(database, jobs, "quick", "p0")  # it has ended: the same job never again
        ask(database, jobs, "quick", "p0", generation=1)
        until(lambda: len(lines(tmp_path, "done")) == len(subjects) + 1)
        until(lambda: live(database, jobs) == set())
        until(lambda: lines(tmp_path, "swept"))
        assert not internet_sockets(worker.pid, but=database.engine.url.port), "the engine talks to nobody but the database"

        age_the_finished(database)
        until(
            lambda: rows(database, "workflow_status") + rows(database, "workflow_input") + rows(database, "workflow_output") == 0
        )

        worker.terminate()
        assert worker.wait(10) == 0
    said = (tmp_path / "said").read_text()
    assert len(lines(tmp_path, "done")) == len(subjects) + 1
    assert len(lines(tmp_path, "started")) == 1
    assert "job fail f failed: ValueError at " in said
    assert "job unheard-of u failed: KeyError at " in said
    assert CANARY not in said
    assert len(said.splitlines()) == 2, said


def test_a_group_with_few_jobs_does_not_wait_for_those_of_a_group_with_many(tmp_path: Path, database: Database) -> None:
    """Whose turn it is, is drawn by lot, two jobs at a time while they are this quick: that five of them take 80 of such turns happens
    once in a thousand million runs."""
    jobs = EngineJobs(database)
    ask(database, jobs, "quick", *(f"many{number}" for number in range(300)))
    ask(database, jobs, "quick", *(f"few{number}" for number in range(5)), group="martins")
    with workers(tmp_path):
        until(lambda: sum(line[0].startswith("few") for line in lines(tmp_path, "done")) == 5)
    assert len(lines(tmp_path, "done")) <= 80


def test_a_killed_worker_is_replaced_by_the_next_which_goes_on_with_its_job(tmp_path: Path, database: Database) -> None:
    jobs = EngineJobs(database)
    ask(database, jobs, "slow", "a", "b", "c")
    with workers(tmp_path) as (worker,):
        until(lambda: lines(tmp_path, "started"))
        worker.kill()
    (tmp_path / "go").touch()
    killed = time.time()
    with workers(tmp_path):
        until(lambda: len(lines(tmp_path, "done")) == 3)
    assert sorted(line[0] for line in lines(tmp_path, "done")) == ["a", "b", "c"]
    assert float(lines(tmp_path, "done")[-1][2]) - killed < 15


def test_workers_share_no_name_and_the_living_take_over_from_the_dead(tmp_path: Path, database: Database) -> None:
    jobs = EngineJobs(database)
    with workers(tmp_path, 2) as both:
        ask(database, jobs, "slow", "a")
        until(lambda: lines(tmp_path, "started"))
        ask(database, jobs, "slow", *"bcdefgh")  # more than one worker takes at once
        until(lambda: len(lines(tmp_path, "started")) == 2)
        with database.reading() as session:
            status = sa.table("workflow_status", sa.column("executor_id"), sa.column("status"), schema=schema(database)).c
            names = set(session.scalars(sa.select(status.executor_id).where(status.status == "PENDING")))
        assert names == {"worker-0", "worker-1"}

        subject, first, _ = lines(tmp_path, "started")[0]
        next(worker for worker in both if worker.pid == int(first)).kill()
        killed = time.time()
        (tmp_path / "go").touch()
        until(lambda: len(lines(tmp_path, "done")) == 8)
        until(lambda: live(database, jobs, "slow") == set())
    done = {line[0]: line for line in lines(tmp_path, "done")}
    assert set(done) == set("abcdefgh")
    assert done[subject][1] != first
    assert float(done[subject][2]) - killed < 15
    assert len(lines(tmp_path, "done")) == 8, "nothing was done twice"


def test_a_job_that_the_engine_takes_for_running_and_nobody_does_is_done(tmp_path: Path, database: Database) -> None:
    """So it is left when its beginning or its end could not be written down, because the disk was full just then."""
    jobs = EngineJobs(database)
    status = sa.table("workflow_status", *map(sa.column, ("status", "executor_id")), schema=schema(database))
    with workers(tmp_path):
        ask(database, jobs, "slow", "a")
        until(lambda: lines(tmp_path, "started"))
        with database.writing() as session:
            jobs.enqueue(session, "quick", "b", group="smiths")
            left = sa.update(status).where(status.c.status == "ENQUEUED").values(status="PENDING", executor_id="worker-0")
            session.execute(left)
        time.sleep(5)  # in which the one that is being done must not be taken for another such
        (tmp_path / "go").touch()
        until(lambda: len(lines(tmp_path, "done")) == 2)
        until(lambda: live(database, jobs) == set())
    assert len(lines(tmp_path, "started")) == 1
    assert (tmp_path / "said").read_text().count("1 jobs were left lying and are done again") == 1


def test_a_worker_that_is_asked_to_stop_leaves_what_it_has_not_begun(tmp_path: Path, database: Database) -> None:
    jobs = EngineJobs(database)
    ask(database, jobs, "slow", "a", "b", "c")
    with workers(tmp_path) as (worker,):
        until(lambda: lines(tmp_path, "started"))
        time.sleep(0.5)  # by now it has claimed a second one, which waits
        worker.terminate()
        time.sleep(0.3)
        (tmp_path / "go").touch()
        assert worker.wait(10) == 0
    assert (tmp_path / "said").read_text() == ""
    (done,) = {line[0] for line in lines(tmp_path, "done")}
    assert live(database, jobs, "slow") == {"a", "b", "c"} - {done}
    with workers(tmp_path):
        until(lambda: len(lines(tmp_path, "done")) == 3)


def schema(database: Database) -> str | None:
    """Where the engine's tables are."""
    return None if database.engine.dialect.name == "sqlite" else "dbos"


def rows(database: Database, table: str) -> int:
    with database.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(sa.table(table, schema=schema(database)))) or 0


def age_the_finished(database: Database) -> None:
    status = sa.table("workflow_status", sa.column("completed_at", sa.BigInteger), schema=schema(database))
    with database.writing() as session:
        session.execute(sa.update(status).values(completed_at=status.c.completed_at - 100_000_000))


def internet_sockets(process: int, *, but: int | None) -> set[str]:
    """The sockets of a process, by inode, that are of the kinds which the kernel lists as TCP or UDP, but for those to one port."""
    listed = {
        line.split()[9]
        for kind in ("tcp", "tcp6", "udp", "udp6")
        if (path := Path(f"/proc/{process}/net/{kind}")).exists()
        for line in path.read_text().splitlines()[1:]
        if int(line.split()[2].rpartition(":")[2], 16) != but
    }
    targets = [os.readlink(file) for file in Path(f"/proc/{process}/fd").iterdir()]
    return {target[8:-1] for target in targets if target.startswith("socket:[")} & listed


# A worker's watch


class DeadOwner:
    """Every worker but this one is dead."""

    def take(self, name: str) -> "DeadOwner":
        return self

    def held(self) -> bool:
        return True

    def release(self) -> None: ...


def test_a_machine_that_stood_still_takes_no_job_for_one_that_nobody_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much time has passed meanwhile: between two looks there are naps, in which what is about to begin does so."""
    stop, happened = threading.Event(), list[str]()

    def nap(_: float) -> None:
        happened.append("nap")
        if happened.count("nap") == 40:
            stop.set()

    def look(**_: object) -> list[WorkflowStatus]:
        happened.append("look")
        return []

    monkeypatch.setattr(engine.time, "sleep", nap)
    monkeypatch.setattr(engine.time, "monotonic", iter(range(0, 10**9, 3600)).__next__)
    monkeypatch.setattr(engine.DBOS, "list_workflows", look)
    engine._keep_watch(DeadOwner(), "worker-0", DeadOwner(), set(), stop)
    assert "".join(each[0] for each in happened) == 4 * ("n" * engine.TAKE_OVER_EVERY + "l")


def test_of_a_dead_worker_without_jobs_nothing_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Another was faster: what it held when we looked is done elsewhere now."""
    monkeypatch.setattr(engine.DBOS, "list_workflows", lambda **_: [])
    engine._take_over(DeadOwner(), {"worker-1"})
    assert caplog.text == ""


# Long jobs


def test_a_long_job_holds_up_no_other(database: Database, tmp_path: Path) -> None:
    jobs = EngineJobs(database)
    with workers(tmp_path):
        ask(database, jobs, "slow", "film-1", "film-2", long=True)
        until(lambda: lines(tmp_path, "started"))
        ask(database, jobs, "quick", "photo-1", "photo-2")
        until(lambda: {subject for subject, *_ in lines(tmp_path, "done")} == {"photo-1", "photo-2"})
        assert len(lines(tmp_path, "started")) == 1, "one long job at a time"
        with database.reading() as session:
            assert jobs.live_subjects(session, "slow") == {"film-1", "film-2"}
        (tmp_path / "go").touch()
        until(lambda: len(lines(tmp_path, "done")) == 4)


def test_a_long_job_of_a_dead_worker_goes_on_with_another(database: Database, tmp_path: Path) -> None:
    with workers(tmp_path, 2) as both:
        ask(database, EngineJobs(database), "slow", "film", long=True)
        until(lambda: lines(tmp_path, "started"))
        (doing,) = [worker for worker in both if str(worker.pid) == lines(tmp_path, "started")[0][1]]
        doing.kill()
        until(lambda: len(lines(tmp_path, "started")) == 2)
        (tmp_path / "go").touch()
        until(lambda: [line[0] for line in lines(tmp_path, "done")] == ["film"])


def test_a_long_job_that_stops_with_its_worker_is_begun_anew_by_the_next(database: Database, tmp_path: Path) -> None:
    ask(database, EngineJobs(database), "until stopped", "film", long=True)
    for times in (1, 2):
        with workers(tmp_path) as (worker,):
            until(lambda times=times: len(lines(tmp_path, "started")) == times)  # type: ignore[misc]
            worker.terminate()
            assert worker.wait(15) == 0


if __name__ == "__main__":
    work(Path(sys.argv[1]))
