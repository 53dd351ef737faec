"""What somebody sees and can do who holds the stored bytes, or even the rows, but not the keys (attacks 9 and 10)."""

import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.security.sealing import CHUNK, SEALED_CHUNK, TAG, AlbumKey, MasterKey, SealBroken, sealed_size
from app.storage.local import Local
from app.storage.memory import InMemory
from app.storage.port import ObjectMissing, StorageFailed
from app.storage.sealed import Sealed, SealedKey

BEACH, DUNES = "albums/brittany/beach", "albums/brittany/dunes"
CANARY = b"48.6333N 2.0333W Rose on the beach"
PHOTO = random.Random(1).randbytes(4 * CHUNK + 100)
REPOSITORY = Path(__file__).parents[2]


def album_key() -> AlbumKey:
    return MasterKey.parse(MasterKey.generate()).new_album("brittany")[0]


class Shelf:
    """A sealed storage whose other side lies open: `raw` is what is stored, `keys` what the rows hold."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.album = album_key()
        self.keys: dict[str, SealedKey] = {}
        self.storage = Sealed(Local(folder), self.album, self.keys)

    def put(self, name: str, content: bytes) -> None:
        writer = self.storage.create(name)
        writer.write(content)
        writer.commit()

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        return b"".join(self.storage.read(name, start, stop))

    def raw(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def set_raw(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path / "photos")
    shelf.put(BEACH, PHOTO)
    return shelf


def everything_below(folder: Path) -> bytes:
    return b"\n".join(str(path).encode() + path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_only_the_length_shows(shelf: Shelf) -> None:
    assert len(shelf.raw(BEACH)) == sealed_size(len(PHOTO))
    assert not any(PHOTO[at : at + 8] in shelf.raw(BEACH) for at in range(0, len(PHOTO), 8))


def test_the_same_photo_under_the_same_name_twice(shelf: Shelf) -> None:
    """Neither key nor bytes are used again, so two versions can't be XORed into plaintext."""
    key, raw = shelf.keys[BEACH], shelf.raw(BEACH)
    shelf.storage.delete(BEACH)
    shelf.put(BEACH, PHOTO)
    now = shelf.raw(BEACH)
    assert shelf.keys[BEACH].wrapped != key.wrapped
    unwrapped = {shelf.album.unwrap(BEACH, k.wrapped, k.size) for k in (key, shelf.keys[BEACH])}
    assert len(unwrapped) == 2
    assert all(raw[at : at + 16] != now[at : at + 16] for at in range(0, len(raw) - 16, 16))


REGIONS = {
    "first byte": 0,
    "inside the first chunk": 1000,
    "tag of the first chunk": CHUNK,
    "second chunk": SEALED_CHUNK,
    "third chunk": 2 * SEALED_CHUNK + 17,
    "first byte of the last chunk": 4 * SEALED_CHUNK,
    "last tag": 4 * SEALED_CHUNK + 100,
    "last byte": 4 * SEALED_CHUNK + 100 + TAG - 1,
}


@pytest.mark.parametrize("at", REGIONS.values(), ids=REGIONS.keys())
def test_a_flipped_bit_is_noticed_where_it_is_read_and_only_there(shelf: Shelf, at: int) -> None:
    raw = bytearray(shelf.raw(BEACH))
    raw[at] ^= 0x10
    shelf.set_raw(BEACH, bytes(raw))
    with pytest.raises(SealBroken):
        shelf.get(BEACH)
    hurt = at // SEALED_CHUNK
    for chunk in range(5):
        start, stop = chunk * CHUNK + 5, chunk * CHUNK + 50
        if chunk == hurt:
            with pytest.raises(SealBroken):
                shelf.get(BEACH, start, stop)
        else:
            assert shelf.get(BEACH, start, stop) == PHOTO[start:stop]


TAMPERED: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda raw: b"",
    "one byte short": lambda raw: raw[:-1],
    "without the last tag": lambda raw: raw[:-TAG],
    "without the last chunk": lambda raw: raw[: 4 * SEALED_CHUNK],
    "only the last chunk": lambda raw: raw[4 * SEALED_CHUNK :],
    "one byte longer": lambda raw: raw + b"\0",
    "last chunk twice": lambda raw: raw + raw[4 * SEALED_CHUNK :],
    "first chunk again": lambda raw: raw + raw[:SEALED_CHUNK],
    "twice": lambda raw: raw + raw,
    "first two swapped": lambda raw: raw[SEALED_CHUNK : 2 * SEALED_CHUNK] + raw[:SEALED_CHUNK] + raw[2 * SEALED_CHUNK :],
    "second left out": lambda raw: raw[:SEALED_CHUNK] + raw[2 * SEALED_CHUNK :],
    "second for third": lambda raw: raw[: 2 * SEALED_CHUNK] + raw[SEALED_CHUNK : 2 * SEALED_CHUNK] + raw[3 * SEALED_CHUNK :],
    "zeros": lambda raw: bytes(len(raw)),
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED.keys())
def test_cut_off_added_and_reordered_chunks_are_noticed(shelf: Shelf, tamper: Callable[[bytes], bytes]) -> None:
    shelf.set_raw(BEACH, tamper(shelf.raw(BEACH)))
    with pytest.raises(SealBroken):
        shelf.get(BEACH)
    if len(shelf.raw(BEACH)) != sealed_size(len(PHOTO)):
        with pytest.raises(SealBroken):
            shelf.storage.size(BEACH)
        with pytest.raises(SealBroken):
            shelf.get(BEACH, len(PHOTO) - 1)


@pytest.mark.parametrize("raw", [b"", b"\0", bytes(TAG - 1), bytes(TAG), bytes(TAG + 1)])
def test_an_empty_object_is_sealed_too(shelf: Shelf, raw: bytes) -> None:
    shelf.put(DUNES, b"")
    assert shelf.get(DUNES) == b""
    shelf.set_raw(DUNES, raw)
    with pytest.raises(SealBroken):
        shelf.get(DUNES)


def test_objects_can_not_be_swapped(shelf: Shelf) -> None:
    shelf.put(DUNES, PHOTO[::-1])
    beach, dunes = shelf.raw(BEACH), shelf.raw(DUNES)
    shelf.set_raw(BEACH, dunes)
    shelf.set_raw(DUNES, beach)
    for name in (BEACH, DUNES):
        with pytest.raises(SealBroken):
            shelf.get(name)


def test_wrapped_keys_can_not_be_swapped_even_with_their_objects(shelf: Shelf) -> None:
    shelf.put(DUNES, PHOTO[::-1])
    shelf.keys[BEACH], shelf.keys[DUNES] = shelf.keys[DUNES], shelf.keys[BEACH]
    for name in (BEACH, DUNES):
        with pytest.raises(SealBroken):
            shelf.get(name)
    beach, dunes = shelf.raw(BEACH), shelf.raw(DUNES)
    shelf.set_raw(BEACH, dunes)
    shelf.set_raw(DUNES, beach)
    for name in (BEACH, DUNES):
        with pytest.raises(SealBroken):
            shelf.get(name)


def test_another_album_can_not_read_it(shelf: Shelf) -> None:
    other = Sealed(Local(shelf.folder), album_key(), shelf.keys)
    with pytest.raises(SealBroken):
        b"".join(other.read(BEACH))


@pytest.mark.parametrize("size", [0, 1, CHUNK, len(PHOTO) - 1, len(PHOTO) + 1, len(PHOTO) + CHUNK])
def test_a_row_with_another_length_does_not_open(shelf: Shelf, size: int) -> None:
    shelf.keys[BEACH] = replace(shelf.keys[BEACH], size=size)
    with pytest.raises(SealBroken):
        shelf.get(BEACH)
    with pytest.raises(SealBroken):
        shelf.get(BEACH, 0, 0)
    with pytest.raises(SealBroken):
        shelf.storage.size(BEACH)


def test_an_old_version_does_not_open_with_the_new_key(shelf: Shelf) -> None:
    old = shelf.raw(BEACH)
    shelf.storage.delete(BEACH)
    shelf.put(BEACH, PHOTO)
    shelf.set_raw(BEACH, old)
    with pytest.raises(SealBroken):
        shelf.get(BEACH)


def test_what_was_deleted_does_not_come_back_with_its_bytes(shelf: Shelf) -> None:
    old = shelf.raw(BEACH)
    shelf.storage.delete(BEACH)
    assert BEACH not in shelf.keys
    shelf.set_raw(BEACH, old)
    with pytest.raises(ObjectMissing):
        shelf.get(BEACH)
    with pytest.raises(ObjectMissing):
        shelf.storage.size(BEACH)
    assert [stored.name for stored in shelf.storage.list("albums/")] == [BEACH]  # so that a sweep finds it


def test_the_key_goes_first_even_when_the_bytes_can_not(shelf: Shelf) -> None:
    class Unreachable(InMemory):
        def delete(self, *names: str) -> None:
            raise StorageFailed("unreachable")

    keys: dict[str, SealedKey] = {}
    storage = Sealed(Unreachable(), shelf.album, keys)
    storage.create(BEACH).commit()
    with pytest.raises(StorageFailed):
        storage.delete(BEACH)
    assert keys == {}


def test_a_key_without_its_object_is_missing(shelf: Shelf) -> None:
    (shelf.folder / BEACH).unlink()
    for read in (lambda: shelf.get(BEACH), lambda: shelf.storage.size(BEACH), lambda: shelf.get(BEACH, 5, 5)):
        with pytest.raises(ObjectMissing):
            read()


def test_only_the_needed_chunks_are_read() -> None:
    class Watched(InMemory):
        asked: tuple[int, int | None] = (0, 0)

        def read(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
            self.asked = (start, stop)
            return super().read(name, start, stop)

    watched = Watched()
    storage = Sealed(watched, album_key(), {})
    writer = storage.create(BEACH)
    writer.write(PHOTO)
    writer.commit()
    for (start, stop), chunks in {
        (0, 1): (0, 1),
        (0, CHUNK): (0, 1),
        (CHUNK - 1, CHUNK + 1): (0, 2),
        (CHUNK, 2 * CHUNK): (1, 2),
        (CHUNK + 5, 3 * CHUNK + 5): (1, 4),
    }.items():
        assert b"".join(storage.read(BEACH, start, stop)) == PHOTO[start:stop]
        assert watched.asked == (chunks[0] * SEALED_CHUNK, chunks[1] * SEALED_CHUNK)
    assert b"".join(storage.read(BEACH, 4 * CHUNK + 3)) == PHOTO[4 * CHUNK + 3 :]
    assert watched.asked == (4 * SEALED_CHUNK, None)  # to the very end, to see that nothing was added


def test_a_photo_in_plain_never_touches_the_disk(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "photos")
    photo = (CANARY * 200_000)[:5_000_000]
    writer = shelf.storage.create(BEACH)
    for start in range(0, len(photo), 300_000):
        writer.write(photo[start : start + 300_000])
        if start == 3_000_000:
            in_the_middle = everything_below(tmp_path)
            assert len(in_the_middle) > 3_000_000
            assert b"Rose on" not in in_the_middle
    writer.commit()
    assert b"Rose on" not in everything_below(tmp_path)
    assert shelf.get(BEACH) == photo


def test_killed_in_the_middle(tmp_path: Path) -> None:
    """kill -9 while a photo comes in: nothing is seen of it, nothing of it can be read, and a later start clears up."""
    upload = f"""
import os, signal
from pathlib import Path
from app.security.sealing import MasterKey
from app.storage.local import Local
from app.storage.sealed import Sealed
key, _ = MasterKey.parse(MasterKey.generate()).new_album("brittany")
writer = Sealed(Local(Path({str(tmp_path)!r})), key, {{}}).create({BEACH!r})
writer.write({CANARY!r} * 10_000)
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", upload], cwd=REPOSITORY, timeout=30, check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "incoming").iterdir()
    assert left.stat().st_size > 0
    assert b"Rose on" not in everything_below(tmp_path)
    assert list(Local(tmp_path).list("")) == []
