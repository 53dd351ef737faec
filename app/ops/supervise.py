"""One command, several processes: start them, start again what dies, and never leave one behind.

Used by `flask serve` for the web server and the workers. Each child is the head of a session of its own, so that
Ctrl-C reaches only us, and we tell the children in good order.
"""

import contextlib
import ctypes
import functools
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

log = logging.getLogger("kinfold.supervise")

FIRST_DELAY = 0.5
LONGEST_DELAY = 10.0
STEADY = 30.0  # a child that lived so long died by accident: the next try is soon again
PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Child:
    """A process to keep running. `env` is its whole environment; None is our own.

    `orphaned` is what the kernel (Linux) sends it when we are killed ourselves: TERM for a server that has to take its
    own processes along, KILL for a worker, which takes that in its stride.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] | None = None
    orphaned: signal.Signals = signal.SIGTERM


def supervise(
    children: Sequence[Child],
    *,
    stop_signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT),
    patience: float = 10.0,
) -> int:
    """Keep `children` running until one of `stop_signals` comes; then end them within `patience` seconds. Returns 0.

    To be called in the main thread, with no other thread running.
    """
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _frame: came.append(number)) for number in stop_signals}
    kept = [_Kept(child) for child in children]
    try:
        while not came:
            for one in kept:
                one.look_after()
            time.sleep(0.1)
    finally:
        _end(kept, patience)
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


class _Kept:
    """A child and the process that it is at the moment, if it is one."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.process: subprocess.Popen[bytes] | None = None
        self._delay = FIRST_DELAY
        self._started = 0.0
        self._start_at = 0.0

    def look_after(self) -> None:
        """Start it when it is time to; notice when it has died, and choose when to start it again."""
        now = time.monotonic()
        if self.process is None:
            if now >= self._start_at:
                self._start(now)
        elif self.has_ended():
            if now - self._started >= STEADY:
                self._delay = FIRST_DELAY
            log.error("%s ended with %s; starting it again in %.1f s", self.child.name, self.bury(), self._delay)
            self._start_at = now + self._delay
            self._delay = min(self._delay * 2, LONGEST_DELAY)

    def _start(self, now: float) -> None:
        self._started = now
        self.process = subprocess.Popen(
            list(self.child.command),
            env=self.child.env,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            # safe here, because no other thread runs that could hold a lock at this moment
            preexec_fn=functools.partial(_die_with, os.getpid(), self.child.orphaned),
        )

    def tell(self) -> None:
        """Ask it to end. Only itself: it knows best how to end what it has started."""
        if self.process is not None and not self.has_ended():
            self.process.terminate()

    def has_ended(self) -> bool:
        """Whether it runs no more. Leaves it unburied, so that its number can't be given to another process meanwhile."""
        if self.process is None:
            return True
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def bury(self) -> int | None:
        """Kill what is left of it and of what it has started: a server's leftovers would keep its port."""
        if self.process is None:
            return None
        with contextlib.suppress(ProcessLookupError, PermissionError):  # what some systems say of a group of the dead
            os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        self.process = None
        return code


def _end(kept: Sequence[_Kept], patience: float) -> None:
    for one in kept:
        one.tell()
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and not all(one.has_ended() for one in kept):
        time.sleep(0.05)
    for one in kept:
        if not one.has_ended():
            log.error("%s did not end within %.0f s and was killed", one.child.name, patience)
        one.bury()


def _die_with(parent: int, orphaned: int) -> None:
    """In the child, just before it becomes its program: see to it that it does not outlive us."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, orphaned, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # we died before the kernel was told
