"""What it costs a worker to find its next job, when a group has 5,000 waiting against 100.

`python -m tests.bench.queue FOLDER JOBS` is a worker that does so many jobs, which are nothing, and prints the CPU seconds for one.
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from app.config import Settings
from app.db import Database
from app.jobs.engine import EngineJobs, prepare_engine, run_worker
from tests.bench.measure import Line, Options, compare
from tests.server import PROJECT

FEW, MANY = 100, 5_000
DONE = 60


def run(options: Options) -> Iterator[Line]:
    rounds = 3 if options.quick else 7
    costs = [(_cost(MANY), _cost(FEW)) for _ in range(rounds)]
    yield compare(f"queue: a job with {MANY:,} waiting, of one with {FEW}", *zip(*costs, strict=True), at_most=1.1)


def _cost(waiting: int) -> float:
    """CPU seconds of a worker for one job."""
    with tempfile.TemporaryDirectory(prefix="kinfold-bench-") as folder:
        database = Database(_settings(folder).database_url)
        prepare_engine(database)
        jobs = EngineJobs(database)
        with database.writing() as session:
            for number in range(waiting):
                jobs.enqueue(session, "nothing", f"photo{number}", group="smiths")
        database.close()
        worker = [sys.executable, "-m", "tests.bench.queue", folder, str(DONE)]
        return float(subprocess.run(worker, cwd=PROJECT, capture_output=True, check=True, text=True).stdout)


def _work(folder: str, most: int) -> float:
    settings, stop, done = _settings(folder), threading.Event(), 0
    began = 0.0

    def nothing(_subject: str) -> None:
        nonlocal done, began
        if done == 0:
            began = time.process_time()
        done += 1
        if done > most:
            stop.set()

    run_worker(settings, Database(settings.database_url), {"nothing": nothing}, {}, stop)
    return (time.process_time() - began) / most


def _settings(folder: str) -> Settings:
    return Settings.from_env({"KINFOLD_DATA": folder})


if __name__ == "__main__":
    print(_work(str(Path(sys.argv[1])), int(sys.argv[2])), flush=True)
