"""Keeping the keys to ourselves: files that only we can read, no core files, no other process of this user looking into our memory."""

import ctypes
import os
import sys

from app.ingest.decoder.sandbox import forbid_core_dumps

PR_SET_DUMPABLE = 4  # linux/prctl.h


def harden() -> None:
    """For every process that holds keys. Where the system has no such switch (macOS), only core files are off."""
    os.umask(0o077)
    forbid_core_dumps()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
