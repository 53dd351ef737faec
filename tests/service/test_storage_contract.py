"""What every storage does, in one suite that runs on all of them: on disk, in memory, on a real S3, and sealed around each."""

import errno
import os
import random
import threading
from copy import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.ids import new_id
from app.security.sealing import CHUNK, MasterKey
from app.storage.local import PIECE, Local
from app.storage.memory import InMemory
from app.storage.port import ObjectExists, ObjectMissing, Objects, StorageFailed, Stored, Writer
from app.storage.s3 import S3
from app.storage.sealed import Sealed
from tests.seaweed import Seaweed

BEACH, DUNES = "albums/brittany/beach", "albums/brittany/dunes"
SIZES = [0, 1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + CHUNK + 5]


def sealed(inner: Objects) -> Objects:
    key, _ = MasterKey.parse(MasterKey.generate()).new_album("brittany")
    return Sealed(inner, key, {})


def inner(kind: str, folder: Path, request: pytest.FixtureRequest) -> Objects:
    if kind == "s3":
        return request.getfixturevalue("shelf_on_s3")
    return Local(folder / "photos") if kind == "local" else InMemory()


@pytest.fixture(scope="session")
def one_s3(seaweed: Seaweed) -> S3:
    return seaweed.storage()


@pytest.fixture
def shelf_on_s3(one_s3: S3) -> Objects:
    """One bucket and one client for the session, because they take long to make, with a folder for each test."""
    shelf = copy(one_s3)
    shelf._prefix = f"{new_id()}/"
    return shelf


@pytest.fixture(params=["local", "memory", "s3", "sealed local", "sealed memory", "sealed s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    kind = request.param.removeprefix("sealed ")
    made = inner(kind, tmp_path, request)
    return made if kind == request.param else sealed(made)


def picture(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def put(storage: Objects, name: str, content: bytes, writer: Writer | None = None) -> None:
    writer = writer or storage.create(name)
    writer.write(content)
    writer.commit()


def get(storage: Objects, name: str, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join(storage.read(name, start, stop))


def names(storage: Objects, prefix: str = "albums/") -> list[str]:
    return sorted(stored.name for stored in storage.list(prefix))


def unwrapped(storage: Objects) -> Objects:
    return storage._inner if isinstance(storage, Sealed) else storage


def is_missing(storage: Objects, name: str = BEACH) -> bool:
    with pytest.raises(ObjectMissing):
        get(storage, name)
    with pytest.raises(ObjectMissing):
        get(storage, name, 0, 0)
    with pytest.raises(ObjectMissing):
        storage.size(name)
    return names(storage) == []


@pytest.mark.parametrize("size", SIZES)
def test_what_was_put_comes_back(storage: Objects, size: int) -> None:
    put(storage, BEACH, picture(size))
    assert get(storage, BEACH) == picture(size)
    assert storage.size(BEACH) == size
    (stored,) = storage.list("albums/")
    assert (stored.name, stored.size) == (BEACH, size)


@pytest.mark.parametrize("piece", [1, 1000, CHUNK, 300_000])
def test_pieces_of_any_size_and_kind(storage: Objects, piece: int) -> None:
    content = picture(3000 if piece == 1 else 3 * PIECE)
    writer = storage.create(BEACH)
    kinds = (bytes, bytearray, memoryview)
    for count, start in enumerate(range(0, len(content), piece)):
        writer.write(kinds[count % 3](content[start : start + piece]))
    writer.write(b"")
    writer.commit()
    assert get(storage, BEACH) == content


def test_nothing_is_seen_before_the_commit(storage: Objects) -> None:
    writer = storage.create(BEACH)
    writer.write(picture(3 * CHUNK))
    assert is_missing(storage)
    writer.commit()
    assert storage.size(BEACH) == 3 * CHUNK


def test_an_aborted_object_was_never_there(storage: Objects, tmp_path: Path) -> None:
    writer = storage.create(BEACH)
    writer.write(picture(3 * CHUNK))
    writer.abort()
    writer.abort()
    assert is_missing(storage)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_forgotten_object_was_never_there(storage: Objects, tmp_path: Path) -> None:
    writer = storage.create(BEACH)
    writer.write(picture(3 * CHUNK))
    del writer
    assert is_missing(storage)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_abort_after_commit_changes_nothing(storage: Objects) -> None:
    writer = storage.create(BEACH)
    writer.write(b"waves")
    writer.commit()
    writer.abort()
    assert get(storage, BEACH) == b"waves"


@pytest.mark.parametrize("end", ["commit", "abort"])
def test_nothing_follows_the_end(storage: Objects, end: str) -> None:
    writer = storage.create(BEACH)
    getattr(writer, end)()
    with pytest.raises(ValueError, match="finished"):
        writer.write(b"more")
    with pytest.raises(ValueError, match="finished"):
        writer.commit()


@pytest.mark.parametrize("size", SIZES)
def test_ranges(storage: Objects, size: int) -> None:
    content = picture(size)
    put(storage, BEACH, content)
    edges = {0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, PIECE, size // 2, size - 1, size, size + 1, size + 10 * CHUNK}
    for start in sorted(edge for edge in edges if edge >= 0):
        assert get(storage, BEACH, start) == content[start:]
        for stop in sorted(edge for edge in edges if edge >= start):
            assert get(storage, BEACH, start, stop) == content[start:stop], (start, stop)


@pytest.mark.parametrize("seed", range(3))
def test_random_ranges(storage: Objects, seed: int) -> None:
    chance = random.Random(seed)
    size = chance.randrange(4 * CHUNK)
    content = picture(size, seed)
    put(storage, BEACH, content)
    for _ in range(60):
        start = chance.randrange(size + 2)
        stop = chance.randrange(start, size + CHUNK)
        assert get(storage, BEACH, start, stop) == content[start:stop], (start, stop)


@pytest.mark.parametrize(("start", "stop"), [(-1, None), (-5, 5), (5, 4), (0, -1)])
def test_ranges_that_can_not_be(storage: Objects, start: int, stop: int | None) -> None:
    put(storage, BEACH, b"0123456789")
    with pytest.raises(ValueError, match="range"):
        storage.read(BEACH, start, stop)


def test_missing_is_said_at_the_call(storage: Objects) -> None:
    with pytest.raises(ObjectMissing):
        storage.read(BEACH)
    assert is_missing(storage)


def test_deleting_twice_is_fine(storage: Objects) -> None:
    storage.delete(BEACH)
    put(storage, BEACH, picture(100))
    storage.delete(BEACH)
    storage.delete(BEACH)
    assert is_missing(storage)


def test_list_goes_by_prefix(storage: Objects) -> None:
    everything = ["albums/a-b/one", "albums/a/one", "albums/a/onetwo", "albums/a/two", "albums/ab/one"]
    for name in everything:
        put(storage, name, name.encode())
    assert names(storage, "") == everything
    assert names(storage, "albums/") == everything
    assert names(storage, "albums/a/") == ["albums/a/one", "albums/a/onetwo", "albums/a/two"]
    assert names(storage, "albums/a/one") == ["albums/a/one", "albums/a/onetwo"]
    for prefix in ("albums/b/", "albums/../", "/", "..", "../../", "incoming", "albums/a/one/"):
        assert names(storage, prefix) == []


def test_list_says_when(storage: Objects) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    put(storage, BEACH, b"waves")
    (stored,) = storage.list("albums/brittany/")
    assert stored.size == 5
    assert before < stored.modified < datetime.now(UTC) + timedelta(seconds=5)


def test_a_sweep_may_delete_while_it_lists(storage: Objects) -> None:
    for number in range(50):
        put(storage, f"albums/brittany/photo{number}", b"x")
    swept: list[Stored] = []
    for stored in storage.list("albums/brittany/"):
        storage.delete(stored.name)
        swept.append(stored)
    assert len(swept) == 50
    assert names(storage) == []


HOSTILE = [
    "",
    "albums",
    "albums/",
    "albums/brittany",
    "albums/brittany/",
    "albums//beach",
    "albums/brittany/beach/more",
    "albums/brittany/../beach",
    "albums/../../etc",
    "albums/./beach",
    "albums/brittany/..",
    "/albums/brittany/beach",
    "../albums/brittany/beach",
    "incoming/brittany/beach",
    "albums/brittany/Beach",
    "albums/brittany/beach.jpg",
    "albums/brittany/beach\n",
    "albums/brittany/be\0ach",
    "albums/brittany/be ach",
    "albums\\brittany\\beach",
    "albums/brittany/b\u00e9ach",
    "albums/brittany/\u0661",
    "albums/brittany/" + "x" * 101,
]


@pytest.mark.parametrize("name", HOSTILE, ids=[str(number) for number in range(len(HOSTILE))])
def test_other_names_are_refused(storage: Objects, name: str) -> None:
    for refused in (storage.create, storage.read, storage.size, storage.delete):
        with pytest.raises(ValueError, match="name"):
            refused(name)
    assert names(storage, "") == []


def test_what_is_there_is_never_overwritten(storage: Objects) -> None:
    put(storage, BEACH, picture(3 * CHUNK, 1))
    writer = storage.create(BEACH)
    writer.write(picture(1000, 2))
    with pytest.raises(ObjectExists):
        writer.commit()
    with pytest.raises(ValueError, match="finished"):
        writer.commit()
    assert get(storage, BEACH) == picture(3 * CHUNK, 1)
    assert storage.size(BEACH) == 3 * CHUNK
    assert names(storage) == [BEACH]


def test_a_name_is_free_again_once_it_is_deleted(storage: Objects) -> None:
    put(storage, BEACH, picture(3 * CHUNK, 1))
    storage.delete(BEACH)
    put(storage, BEACH, picture(1000, 2))
    assert get(storage, BEACH) == picture(1000, 2)
    assert storage.size(BEACH) == 1000


def test_an_abort_leaves_what_is_there(storage: Objects) -> None:
    put(storage, BEACH, b"old")
    writer = storage.create(BEACH)
    writer.write(picture(3 * CHUNK))
    assert get(storage, BEACH) == b"old"
    writer.abort()
    assert get(storage, BEACH) == b"old"


@pytest.mark.parametrize("afterwards", ["nothing", "another"])
def test_who_reads_never_gets_a_mixture(storage: Objects, afterwards: str) -> None:
    """What was deleted while it was read comes to its end or is missing, whatever has its name by now."""
    old = picture(3 * PIECE, 1)
    put(storage, BEACH, old)
    unstarted, started = storage.read(BEACH), storage.read(BEACH)
    first = next(started)
    storage.delete(BEACH)
    if afterwards == "another":
        put(storage, BEACH, picture(3 * PIECE, 2))
    assert first == old[: len(first)]
    for rest, expected in ((started, old[len(first) :]), (unstarted, old)):
        try:
            assert b"".join(rest) == expected
        except ObjectMissing:
            assert isinstance(unwrapped(storage), S3)


def test_the_first_commit_wins(storage: Objects) -> None:
    first, second = storage.create(BEACH), storage.create(BEACH)
    first.write(b"first")
    second.write(b"second")
    second.commit()
    with pytest.raises(ObjectExists):
        first.commit()
    assert get(storage, BEACH) == b"second"


def test_of_many_writers_of_one_name_one_wins(storage: Objects) -> None:
    """Whole photos of one colour, of different lengths: a mixture, or a wrong key, would show."""
    for turn in range(4):
        name, won, problems = f"albums/brittany/turn{turn}", list[int](), list[object]()

        def commit(colour: int, writer: Writer, *, won: list[int] = won, problems: list[object] = problems) -> None:
            try:
                writer.commit()
                won.append(colour)
            except ObjectExists:
                pass
            except Exception as error:
                problems.append(error)

        writers = [(colour, storage.create(name)) for colour in (1, 2, 3, 4)]
        for colour, writer in writers:
            writer.write(bytes([colour]) * (CHUNK * colour + colour))
        threads = [threading.Thread(target=commit, args=each) for each in writers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert problems == []
        (winner,) = won
        assert get(storage, name) == bytes([winner]) * (CHUNK * winner + winner)


def test_several_are_deleted_at_once(storage: Objects) -> None:
    everything = [f"albums/{album}/photo{number}" for album in ("alps", "brittany") for number in range(3)]
    for name in everything:
        put(storage, name, b"x")
    storage.delete(*everything[1:], "albums/brittany/never-was")
    assert names(storage) == everything[:1]
    storage.delete()
    assert names(storage) == everything[:1]


def test_threads_with_their_own_names(storage: Objects) -> None:
    def work(number: int) -> None:
        for turn in range(4):
            put(storage, f"albums/brittany/photo{number}-{turn}", picture(CHUNK + number, number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(names(storage)) == 16
    assert all(get(storage, f"albums/brittany/photo{n}-{turn}") == picture(CHUNK + n, n) for n in range(4) for turn in range(4))


# --- on disk


@pytest.fixture(params=["local", "sealed local"])
def on_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    local = Local(tmp_path / "photos")
    return local if request.param == "local" else sealed(local)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_files_are_for_the_server_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        storage = Local(tmp_path / "data" / "photos")
        writer = storage.create(BEACH)
        modes = {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "data").rglob("*") if path.is_file()}
        writer.commit()
    finally:
        os.umask(before)
    assert modes == {"0o600"}
    assert (tmp_path / "data" / "photos" / BEACH).stat().st_mode & 0o777 == 0o600
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "data").rglob("*") if path.is_dir()} == {0o700}


def test_what_is_committed_survives_a_power_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order that makes it so: bytes, then the new folder in its parent, then the name, then the folder of the name."""
    storage = Local(tmp_path)
    done: list[str] = []

    def noted(file: int) -> None:
        path = Path(f"/dev/fd/{file}").resolve().relative_to(tmp_path.resolve())
        done.append("sync bytes" if path.parts[:1] == ("incoming",) else f"sync {path}")

    def named(source: Path, target: Path) -> None:
        done.append("name")
        link(source, target)

    link = os.link
    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "link", named)
    put(storage, BEACH, b"waves")
    assert done == ["sync bytes", "sync albums", "name", "sync albums/brittany"]
    done.clear()
    put(storage, DUNES, b"waves")
    assert done == ["sync bytes", "name", "sync albums/brittany"]


def test_a_disk_that_knows_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory card, for example."""

    def refusing(*_: object) -> None:
        raise OSError(errno.EPERM, "")

    monkeypatch.setattr(os, "link", refusing)
    storage = Local(tmp_path)
    put(storage, BEACH, b"waves")
    with pytest.raises(ObjectExists):
        put(storage, BEACH, b"other waves")
    assert get(storage, BEACH) == b"waves"
    assert files(tmp_path) == [BEACH]


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.ENOSPC, "disk-full"), (errno.EDQUOT, "disk-full"), (errno.EIO, "unreachable"), (errno.EROFS, "unreachable")],
)
@pytest.mark.parametrize("call", ["write", "fsync", "link"])
def test_a_disk_that_fails_loses_nothing_and_leaves_nothing(
    on_disk: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, reason: str
) -> None:
    put(on_disk, BEACH, b"old")
    write = os.write

    def failing(file: int, data: bytes | memoryview) -> int:
        if len(data) > 100:
            return write(file, data[:100])  # a disk is filled to its last byte first
        raise OSError(number, "")

    def refusing(*_: object) -> None:
        raise OSError(number, "")

    writer = on_disk.create(DUNES)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing if call == "write" else refusing)
        with pytest.raises(StorageFailed) as failed:
            put(on_disk, DUNES, picture(3 * CHUNK), writer)
    assert failed.value.reason == reason
    with pytest.raises(ValueError, match="finished"):
        writer.commit()
    assert get(on_disk, BEACH) == b"old"
    assert files(tmp_path) == [f"photos/{BEACH}"]
    put(on_disk, DUNES, b"new")
    assert get(on_disk, DUNES) == b"new"


def test_a_short_write_is_carried_on(on_disk: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: write(file, data[:1000]))
        put(on_disk, BEACH, picture(2 * CHUNK))
    assert get(on_disk, BEACH) == picture(2 * CHUNK)


def test_a_folder_that_can_not_be_used(tmp_path: Path) -> None:
    (tmp_path / "photos").write_bytes(b"a file")
    with pytest.raises(StorageFailed) as failed:
        Local(tmp_path / "photos")
    assert failed.value.reason == "unreachable"


def test_what_a_crash_left_is_cleared_and_what_is_coming_in_is_not(tmp_path: Path) -> None:
    storage = Local(tmp_path)
    (tmp_path / "incoming" / "left").write_bytes(b"half a photo")
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).timestamp()
    os.utime(tmp_path / "incoming" / "left", (an_hour_ago, an_hour_ago))
    writer = storage.create(BEACH)
    writer.write(b"a whole photo")
    storage.clear_incoming(datetime.now(UTC) - timedelta(minutes=30))
    assert len(files(tmp_path)) == 1
    writer.commit()
    assert get(storage, BEACH) == b"a whole photo"
    assert files(tmp_path) == [BEACH]


def test_strange_files_are_none_of_ours(on_disk: Objects, tmp_path: Path) -> None:
    put(on_disk, BEACH, b"waves")
    (tmp_path / "photos" / "albums" / ".DS_Store").write_bytes(b"")
    (tmp_path / "photos" / "albums" / "brittany" / "Thumbs.db").write_bytes(b"")
    (tmp_path / "photos" / "albums" / "Lost+Found").mkdir()
    assert names(on_disk, "") == [BEACH]


def test_two_processes_share_a_folder(tmp_path: Path) -> None:
    one, other = Local(tmp_path), Local(tmp_path)
    put(one, BEACH, b"from one")
    assert get(other, BEACH) == b"from one"
    with pytest.raises(ObjectExists):
        put(other, BEACH, b"from the other")
    other.delete(BEACH)
    assert is_missing(one)


def test_readers_give_their_files_back(on_disk: Objects) -> None:
    put(on_disk, BEACH, picture(3 * PIECE))
    before = len(os.listdir("/dev/fd"))
    for _ in range(20):
        on_disk.read(BEACH)
        next(on_disk.read(BEACH))
        get(on_disk, BEACH, 5, 50)
        get(on_disk, BEACH, 5, 5)
        on_disk.create(BEACH)
    assert len(os.listdir("/dev/fd")) == before
