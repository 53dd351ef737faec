"""Starting ffmpeg behind walls: `python -I .../decoder/main.py ffmpeg <process that starts it> <largest file> <path of ffmpeg> <its
arguments>`.

This process closes the doors and then becomes ffmpeg: what is read of strangers' films is read behind them.
"""

import json
import os
import sys

from . import sandbox
from .limits import NOT_STARTED

# Beside ffmpeg itself: where the loader of the system (ld.so(8)) finds the C library.
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
NICENESS = 10  # photos and pages go first


def serve() -> None:
    """Become ffmpeg. What it would ask of the outside is refused; with `walls` for a path it only says which there are, as JSON."""
    parent, largest, path, *arguments = sys.argv[2:]
    os.nice(NICENESS)
    files = sandbox.close_files_around_program(program=(path, *LIBRARIES), largest_file=int(largest), parent=int(parent))
    calls = sandbox.close_calls(program=True)
    if path == "walls":
        sys.stdout.write(json.dumps({"landlock": files, "seccomp": calls}))
        return
    try:
        os.execve(path, [path, *arguments], {"LC_ALL": "C"})
    except OSError:
        sys.exit(NOT_STARTED)
