"""Objects in memory: for tests, and for anything else that may forget. Safe for many threads."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from threading import Lock

from app.clock import Clock, SystemClock
from app.storage.port import Data, Kept, ObjectExists, ObjectMissing, Stored, Writer, check_name, check_range

PIECE = 256 * 1024


class InMemory:
    """A `Storage` that lives as long as the process."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._objects: dict[str, tuple[bytes, datetime]] = {}
        self._lock = Lock()

    def create(self, name: str) -> Writer:
        return _MemoryWriter(self, check_name(name))

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        check_range(start, stop)
        content = self._content(name)
        end = len(content) if stop is None else min(stop, len(content))
        return (content[at : min(at + PIECE, end)] for at in range(start, end, PIECE))

    def size(self, name: str) -> int:
        return len(self._content(name))

    def delete(self, *names: str) -> None:
        for name in map(check_name, names):
            with self._lock:
                self._objects.pop(name, None)

    def list(self, prefix: str) -> Iterator[Stored]:
        with self._lock:
            objects = list(self._objects.items())
        return (Stored(name, len(content), modified) for name, (content, modified) in objects if name.startswith(prefix))

    def all_at_once(self) -> AbstractContextManager[None]:
        return nullcontext()

    def clear_incoming(self, older_than: datetime) -> None:
        pass  # what was never finished is not here

    def shown_to_strangers(self, name: str) -> bool:  # noqa: ARG002  a port's signature
        return False

    def kept(self) -> Kept:
        return Kept.NOTHING

    def put(self, name: str, content: bytes) -> None:
        """Make an object of these bytes. Raises `ObjectExists`."""
        with self._lock:
            if check_name(name) in self._objects:
                raise ObjectExists
            self._objects[name] = (content, self._clock.now())

    def _content(self, name: str) -> bytes:
        with self._lock:
            try:
                return self._objects[check_name(name)][0]
            except KeyError:
                raise ObjectMissing from None


class _MemoryWriter:
    def __init__(self, storage: InMemory, name: str) -> None:
        self._storage, self._name = storage, name
        self._content: bytearray | None = bytearray()

    def write(self, data: Data) -> None:
        self._open_content().extend(data)

    def commit(self) -> None:
        content, self._content = bytes(self._open_content()), None
        self._storage.put(self._name, content)

    def abort(self) -> None:
        self._content = None

    def _open_content(self) -> bytearray:
        if self._content is None:
            raise ValueError("this object is finished")
        return self._content
