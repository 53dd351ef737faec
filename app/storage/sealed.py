"""Any storage, with everything in it sealed under the key of one album. The format is told in `app/security/sealing.py`."""

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, replace
from threading import Lock

from app.security.sealing import AlbumKey, ChunkSealer, SealBroken, open_range, plain_size, sealed_range, sealed_size
from app.storage.port import Data, ObjectMissing, Objects, Stored, Writer, check_name, check_range


@dataclass(frozen=True)
class SealedKey:
    """What the row of an object keeps: its wrapped key, and its plain length in bytes."""

    wrapped: bytes
    size: int


class Sealed:
    """The objects of one album in front of `inner`; reading may also raise `SealBroken`.

    `keys` is what the rows know: a commit adds the object's key, deleting takes it away first. An object without a key
    is missing, whatever `inner` holds. One of these belongs to one task: its commits wait for each other, so that key and
    bytes of a name that is deleted and written again change together.
    """

    def __init__(self, inner: Objects, album: AlbumKey, keys: MutableMapping[str, SealedKey]) -> None:
        self._inner, self._album, self._keys = inner, album, keys
        self._together = Lock()

    def create(self, name: str) -> Writer:
        return _SealedWriter(self, name, self._inner.create(name))

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        check_range(start, stop)
        with self._together:
            known = self._known(name)
            start, stop = min(start, known.size), known.size if stop is None else min(stop, known.size)
            nothing = start == stop and known.size > 0
            first, after = (0, 0) if nothing else sealed_range(known.size, start, stop)
            pieces = self._inner.read(name, first, after)
        key = self._album.unwrap(name, known.wrapped, known.size)
        return iter(()) if nothing else open_range(key, pieces, known.size, start, stop)

    def size(self, name: str) -> int:
        with self._together:
            known = self._known(name)
            stored = self._inner.size(name)
        if stored != sealed_size(known.size):
            raise SealBroken
        return known.size

    def delete(self, *names: str) -> None:
        with self._together:
            for name in map(check_name, names):
                self._keys.pop(name, None)
            self._inner.delete(*names)

    def list(self, prefix: str) -> Iterator[Stored]:
        """Also objects that have lost their keys: the sweep looks for just those. Sizes are plain ones."""
        return (replace(stored, size=plain_size(stored.size)) for stored in self._inner.list(prefix))

    def settle(self, name: str, key: bytes, size: int, writer: Writer) -> None:
        """Commit what a writer has sealed, and keep its key."""
        wrapped = self._album.wrap(name, key, size)
        with self._together:
            writer.commit()
            self._keys[name] = SealedKey(wrapped, size)

    def _known(self, name: str) -> SealedKey:
        try:
            return self._keys[check_name(name)]
        except KeyError:
            raise ObjectMissing from None


class _SealedWriter:
    def __init__(self, storage: Sealed, name: str, inner: Writer) -> None:
        self._storage, self._name, self._inner = storage, name, inner
        self._key = AlbumKey.new_object_key()
        self._sealer = ChunkSealer(self._key, inner.write)

    def write(self, data: Data) -> None:
        self._sealer.add(data)

    def commit(self) -> None:
        self._sealer.finish()
        self._storage.settle(self._name, self._key, self._sealer.size, self._inner)

    def abort(self) -> None:
        self._sealer.finished = True
        self._inner.abort()
