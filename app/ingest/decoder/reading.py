"""What a film's container says, read in a process of its own: `python -I .../decoder/main.py reading <container>`.

The film is the file on standard input, which lies in memory; the answer is one frame of JSON on standard output.
"""

import mmap
import signal
import sys

from . import containers, frames, sandbox
from .limits import READING_SECONDS, Refusal


def serve() -> None:
    """Answer `{"taken_at", "removed", "pair", "cut"}` as `containers.Found` has them, or `{"refused": reason}`."""
    with mmap.mmap(0, 0, prot=mmap.PROT_READ) as film:
        sandbox.close_files()
        sandbox.close_calls()
        signal.setitimer(signal.ITIMER_REAL, READING_SECONDS)
        sys.stdout.buffer.write(frames.pack(_answer(film, sys.argv[2])))
        sys.stdout.flush()


def _answer(film: mmap.mmap, container: str) -> dict[str, object]:
    try:
        found = containers.read(film, container)
    except Refusal as refusal:
        return {"refused": refusal.reason}
    except (MemoryError, RecursionError):
        return {"refused": "too-much-memory"}
    except Exception:  # noqa: BLE001 - a mistake of ours: this file is not for us
        return {"refused": "failed"}
    return {"taken_at": found.taken_at, "removed": sorted(found.kinds), "pair": found.pair, "cut": found.cut}
