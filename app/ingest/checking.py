"""`KINFOLD_CHECK_COMMAND`: a program of whoever runs the server looks at every picture before anybody else does, say for its hash.

It gets the picture as we have written it (a JPEG of at most 1920 pixels; of a video its still) on standard input and says by its exit code
what becomes of it: 0, it may be shown; 10, it is held. Whatever else it does, nothing is shown unchecked.

It is started behind walls (`check_start.py`): an empty environment, no network where the kernel allows that, no file written, limits of
memory and of time.
"""

import os
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from app.errors import KinfoldError

PASSES, HOLDS = 0, 10
SECONDS = 60
"""Time for one picture, by the clock on the wall and by the processor's."""

_START = Path(__file__).with_name("check_start.py")


class CheckFailed(KinfoldError):
    """The program has not said what becomes of a picture; the message goes on from its name."""


class Check:
    """Asks the program, anew for each picture."""

    def __init__(self, command: str, *, seconds: float = SECONDS) -> None:
        self._command = [sys.executable, "-I", str(_START), str(SECONDS), *shlex.split(command)]
        self._seconds = seconds

    def passes(self, picture: bytes) -> bool:
        """Whether a picture may be shown; if not it is to be held. Raises `CheckFailed`."""
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
        try:
            process.communicate(picture, timeout=self._seconds)
        except subprocess.TimeoutExpired:
            raise CheckFailed(f"has not answered within {self._seconds:g} seconds") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and whatever it has started
            process.wait()
        if process.returncode not in (PASSES, HOLDS):
            raise CheckFailed(f"ended with {process.returncode}, which is neither {PASSES} (may be shown) nor {HOLDS} (is held)")
        return process.returncode == PASSES
