"""Places for long answers: readers who are slow, or stop, never hold all of the threads."""

import weakref
from collections.abc import Generator
from threading import BoundedSemaphore

from werkzeug.exceptions import ServiceUnavailable


class Places:
    """Half of the threads of a process. An answer that is made while it is sent holds one thread for as long as it is read, and whoever
    reads it decides how long that is; short answers, which the server takes in one piece, need no place."""

    def __init__(self, threads: int) -> None:
        self._free = BoundedSemaphore(max(1, threads // 2))

    def take(self, answer: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
        """The same answer, with a place until it was sent, broke off or was dropped. Raises `ServiceUnavailable` when none is free."""
        if not self._free.acquire(blocking=False):
            raise ServiceUnavailable
        weakref.finalize(answer, self._free.release)  # a generator that never began runs no `finally`
        return answer
