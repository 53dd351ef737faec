"""One command, several processes: what dies comes back, and nothing is ever left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

# Children for the tests, as programs: each first writes its number down.
SIGNS = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n');"
STAYS = SIGNS + "time.sleep(60)"
DIES = SIGNS + "sys.exit(3)"
IS_DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + STAYS
HAS_A_CHILD = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[2], sys.argv[1]]);" + STAYS

SUPERVISOR = """
import logging, signal, sys
from app.ops.supervise import Child, supervise
logging.basicConfig(format="%(message)s")
folder, patience, orphaned, *programs = sys.argv[1:]
children = [
    Child(f"child-{number}", [sys.executable, "-c", program, f"{folder}/{number}", programs[0]], orphaned=signal.Signals[orphaned])
    for number, program in enumerate(programs)
]
sys.exit(supervise(children, patience=float(patience)))
"""


@contextmanager
def supervisor(
    folder: Path, *programs: str, patience: float = 10.0, orphaned: str = "SIGTERM"
) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", SUPERVISOR, str(folder), str(patience), orphaned, *programs]
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, stderr=said)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for number in range(len(programs)):
            for pid in signed(folder, number):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def signed(folder: Path, number: int) -> list[int]:
    """The processes that a child has been so far."""
    path = folder / str(number)
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # an orphan may wait unburied where nobody buries


def until(what: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited for nothing"
        time.sleep(0.02)


def test_a_child_that_dies_comes_back_and_its_brother_does_not_notice(tmp_path: Path) -> None:
    with supervisor(tmp_path, STAYS, STAYS):
        until(lambda: signed(tmp_path, 0) and signed(tmp_path, 1))
        os.kill(signed(tmp_path, 0)[0], signal.SIGKILL)
        until(lambda: len(signed(tmp_path, 0)) == 2)
        assert alive(signed(tmp_path, 0)[1])
        assert len(signed(tmp_path, 1)) == 1
        assert alive(signed(tmp_path, 1)[0])
    assert (tmp_path / "said").read_text() == "child-0 ended with -9; starting it again in 0.5 s\n"


def test_a_child_that_dies_at_once_is_started_less_and_less_often(tmp_path: Path) -> None:
    with supervisor(tmp_path, DIES):
        until(lambda: len(signed(tmp_path, 0)) == 3)
    said = (tmp_path / "said").read_text().splitlines()
    assert said[:2] == ["child-0 ended with 3; starting it again in 0.5 s", "child-0 ended with 3; starting it again in 1.0 s"]


@pytest.mark.parametrize("asked_by", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_ends_all_children_and_is_content(tmp_path: Path, asked_by: signal.Signals) -> None:
    with supervisor(tmp_path, STAYS, STAYS) as process:
        until(lambda: signed(tmp_path, 0) and signed(tmp_path, 1))
        process.send_signal(asked_by)
        assert process.wait(5) == 0
        assert not alive(signed(tmp_path, 0)[0])
        assert not alive(signed(tmp_path, 1)[0])
    assert (tmp_path / "said").read_text() == ""


def test_a_child_that_does_not_listen_is_killed_when_patience_ends(tmp_path: Path) -> None:
    with supervisor(tmp_path, IS_DEAF, patience=0.5) as process:
        until(lambda: signed(tmp_path, 0))
        process.terminate()
        assert process.wait(5) == 0
        assert not alive(signed(tmp_path, 0)[0])


def test_what_a_dead_child_had_started_does_not_stay_in_the_way(tmp_path: Path) -> None:
    with supervisor(tmp_path, STAYS, HAS_A_CHILD):
        until(lambda: len(signed(tmp_path, 1)) == 2)
        first = signed(tmp_path, 1)
        parent = next(pid for pid in first if os.getsid(pid) == pid)
        os.kill(parent, signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in first))


@pytest.mark.parametrize(("program", "orphaned"), [(STAYS, "SIGTERM"), (IS_DEAF, "SIGKILL")])
def test_when_the_supervisor_itself_is_killed_no_child_is_left(tmp_path: Path, program: str, orphaned: str) -> None:
    with supervisor(tmp_path, program, program, orphaned=orphaned) as process:
        until(lambda: signed(tmp_path, 0) and signed(tmp_path, 1))
        process.kill()
        process.wait()
        until(lambda: not alive(signed(tmp_path, 0)[0]) and not alive(signed(tmp_path, 1)[0]))
