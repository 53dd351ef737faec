"""Places for long answers and long bodies: whoever is slow, or stops, never holds all of the threads."""

import weakref
from collections import Counter, deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from threading import Lock

from werkzeug.exceptions import ServiceUnavailable


class Places:
    """Half of the threads of a process, for what goes in or out at somebody else's pace; nobody has more than `MOST` of these places, so
    that one family's slow phones leave room for everybody else's. Both ways of taking one raise `ServiceUnavailable` when there is none;
    phones try again."""

    MOST = 4

    def __init__(self, threads: int) -> None:
        self._most_in_all = max(1, threads // 2)
        self._taken: Counter[str] = Counter()
        self._given_back: deque[str] = deque()  # needs no lock: what is dropped may be tidied away in the middle of `_take`
        self._together = Lock()

    @contextmanager
    def held(self, whose: str) -> Iterator[None]:
        """A place while a body comes in."""
        self._take(whose)
        try:
            yield
        finally:
            self._given_back.append(whose)

    def sent(self, answer: Generator[bytes, None, None], whose: str) -> Generator[bytes, None, None]:
        """An answer that is made while it is sent, the same with a place until it was sent, broke off or was dropped. Short answers, which
        the server takes in one piece, need none."""
        self._take(whose)
        weakref.finalize(answer, self._given_back.append, whose)  # a generator that never began runs no `finally`
        return answer

    def _take(self, whose: str) -> None:
        with self._together:
            while self._given_back:
                self._taken[self._given_back.popleft()] -= 1
            self._taken += Counter()  # forgets whoever has none
            if self._taken[whose] >= self.MOST or self._taken.total() >= self._most_in_all:
                raise ServiceUnavailable
            self._taken[whose] += 1
