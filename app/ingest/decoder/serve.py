"""The decoder's loop: close the doors, say "ready", then one upload after the other until the worker hangs up."""

import os
import signal
import sys
from typing import BinaryIO

from . import frames, render, sandbox, warm
from .limits import RENDITIONS, Refusal


def serve() -> None:
    """Serve this process's standard input and output, which nothing else may write to."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    files = sandbox.close_files()
    warm.warm_up()
    calls = sandbox.close_calls()
    _send(answers, {"ready": {"landlock": files, "seccomp": calls}})
    while (request := frames.receive(requests)) is not None:
        upload = requests.read(request["size"])
        # The worker ends what takes too long; this is for the case that the worker itself is gone.
        signal.setitimer(signal.ITIMER_REAL, request["seconds"])
        _answer(answers, upload)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _answer(answers: BinaryIO, upload: bytes) -> None:
    try:
        photo = render.render(upload)
    except Refusal as refusal:
        _send(answers, {"refused": refusal.reason})
        return
    except MemoryError:
        _send(answers, {"refused": "too-much-memory"})
        return
    except Exception:  # noqa: BLE001 - a mistake of ours: this file is not for us, the next one may be
        _send(answers, {"refused": "failed"})
        return
    renditions = sorted(photo.renditions, key=lambda rendition: RENDITIONS.index(rendition.name))
    header: dict[str, object] = {
        "taken_at": photo.taken_at,
        "pair": photo.pair,
        "width": photo.width,
        "height": photo.height,
        "thumbhash": photo.thumbhash.hex(),
        "removed": sorted(photo.removed),
        "renditions": [
            {"name": made.name, "mime": made.mime, "width": made.width, "height": made.height, "size": len(made.data)}
            for made in renditions
        ],
    }
    _send(answers, header, *(made.data for made in renditions))


def _send(answers: BinaryIO, header: dict[str, object], *blobs: bytes) -> None:
    answers.write(frames.pack(header))
    answers.writelines(blobs)
    answers.flush()
