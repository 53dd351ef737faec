"""Places for long answers and long bodies: whoever is slow, or stops, never holds all of the threads."""

import weakref
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

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


class SharedPlaces:
    """Half of the threads of a process for bodies that come in at a sender's own pace; nobody has more than `MOST` of these places, so that
    one family's slow phones leave room for everybody else's."""

    MOST = 4

    def __init__(self, threads: int) -> None:
        self._free = BoundedSemaphore(max(1, threads // 2))
        self._taken: Counter[str] = Counter()
        self._together = Lock()

    @contextmanager
    def take(self, whose: str) -> Iterator[None]:
        """A place for as long as it takes. Raises `ServiceUnavailable` when there is none; phones try again."""
        with self._together:
            if self._taken[whose] >= self.MOST or not self._free.acquire(blocking=False):
                raise ServiceUnavailable
            self._taken[whose] += 1
        try:
            yield
        finally:
            with self._together:
                self._taken[whose] -= 1
                self._taken += Counter()  # forgets whoever has none
            self._free.release()
