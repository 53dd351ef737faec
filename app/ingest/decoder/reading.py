"""What a film's container says, read in a process of its own: `python -I .../decoder/main.py reading <container>`.

The film is the file on standard input, which lies in memory; the answer is one frame of JSON on standard output.
"""

import mmap
import signal
import sys

from . import containers, frames, sandbox
from .limits import READING_SECONDS


def serve() -> None:
    """Answer `{"taken_at", "removed", "pair", "cut"}` as `containers.Found` has them. What goes wrong ends it without an answer."""
    with mmap.mmap(0, 0, prot=mmap.PROT_READ) as film:
        sandbox.close_files()
        sandbox.close_calls()
        signal.setitimer(signal.ITIMER_REAL, READING_SECONDS)
        found = containers.read(film, sys.argv[2])
        answer = {"taken_at": found.taken_at, "removed": sorted(found.kinds), "pair": found.pair, "cut": found.cut}
        sys.stdout.buffer.write(frames.pack(answer))
        sys.stdout.flush()
