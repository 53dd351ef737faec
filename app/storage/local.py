"""Objects as files below one folder of this machine.

A file is written under a random name in `incoming/`, made durable, and only then given its own name: a crash at any
moment leaves the whole object or none, and at worst a file in `incoming/` that `clear_incoming` removes.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from app.ids import new_id
from app.security.sealing import SEALED_CHUNK
from app.storage.port import (
    Data,
    Kept,
    ObjectExists,
    ObjectMissing,
    StorageFailed,
    Stored,
    Writer,
    check_name,
    check_range,
    is_name,
)

# About 256 KiB, in whole chunks: what is sealed is then opened without being copied first. So much stays in the processor's cache, and its
# memory is not given back and asked for again: with 1 MiB an album is sent a quarter slower.
PIECE = 4 * SEALED_CHUNK


class Local:
    """A `Storage` in the folder `root`, which is made when missing. Several processes may share it."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._incoming = self._root / "incoming"
        self._durable: set[Path] = set()
        self._at_once = False
        try:
            missing = [folder for folder in (self._root, *self._root.parents) if not folder.is_dir()]
            for folder in (*reversed(missing), self._incoming, self._root / "albums"):
                self.make_durable(folder)
        except OSError as error:
            raise _failed(error) from error

    def create(self, name: str) -> Writer:
        return _LocalWriter(self, self._path(name), self._incoming / new_id())

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        check_range(start, stop)
        pieces = _pieces(self._path(name), start, stop)
        next(pieces)  # opens the file now: a removal from here on does not matter
        return pieces

    def size(self, name: str) -> int:
        try:
            return self._path(name).stat().st_size
        except FileNotFoundError:
            raise ObjectMissing from None
        except OSError as error:
            raise _failed(error) from error

    def delete(self, *names: str) -> None:
        # Not made durable on purpose: a file that a power loss brings back has lost its key, and the sweep removes it.
        paths = [self._path(name) for name in names]
        try:
            for path in paths:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise _failed(error) from error

    def list(self, prefix: str) -> Iterator[Stored]:
        # The prefix is only compared, never made into a path: it can't lead anywhere else.
        try:
            for album in list(os.scandir(self._root / "albums")):
                folder = f"albums/{album.name}/"
                if album.is_dir() and (folder.startswith(prefix) or prefix.startswith(folder)):
                    yield from self._stored(folder, prefix)
        except OSError as error:
            raise _failed(error) from error

    @contextmanager
    def all_at_once(self) -> Iterator[None]:
        self._at_once = True
        try:
            yield
            os.sync()
        finally:
            self._at_once = False

    def clear_incoming(self, older_than: datetime) -> None:
        try:
            for entry in list(os.scandir(self._incoming)):
                with suppress(FileNotFoundError):
                    if _modified(entry.stat()) < older_than:
                        os.unlink(entry.path)  # noqa: PTH108  an entry of scandir has no Path
        except OSError as error:
            raise _failed(error) from error

    def shown_to_strangers(self, name: str) -> bool:  # noqa: ARG002  a port's signature
        return False  # the folder is ours alone (mode 0700), and nothing but this program serves it

    def kept(self) -> Kept:
        return Kept.NOTHING

    def _stored(self, folder: str, prefix: str) -> Iterator[Stored]:
        for entry in list(os.scandir(self._root / folder)):
            name = folder + entry.name
            if name.startswith(prefix) and is_name(name):  # what somebody else left here is none of ours
                with suppress(FileNotFoundError):  # deleted since we looked
                    found = entry.stat()
                    yield Stored(name, found.st_size, _modified(found))

    def _path(self, name: str) -> Path:
        return self._root / check_name(name)

    def sync(self, file: int) -> None:
        """Make what was written into an open file survive a power loss: now, or with everything else."""
        if not self._at_once:
            os.fsync(file)

    def sync_folder(self, folder: Path) -> None:
        """The same for what was created and renamed in a folder."""
        if self._at_once:
            return
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)

    def make_durable(self, folder: Path) -> None:
        """Make a folder that survives a power loss. Its parent is synced even when another process made it just now."""
        if folder not in self._durable:
            folder.mkdir(mode=0o700, exist_ok=True)
            self.sync_folder(folder.parent)
            self._durable.add(folder)


class _LocalWriter:
    _file: int | None = None

    def __init__(self, storage: Local, path: Path, incoming: Path) -> None:
        self._storage, self._path, self._incoming = storage, path, incoming
        try:
            self._file = os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise _failed(error) from error

    def write(self, data: Data) -> None:
        file = self._open_file()
        try:
            with memoryview(data).cast("B") as view:
                written = 0
                while written < len(view):
                    written += os.write(file, view[written:])
        except OSError as error:
            self.abort()  # gives a full disk its room back at once
            raise _failed(error) from error

    def commit(self) -> None:
        file = self._open_file()
        try:
            self._storage.sync(file)
            self._storage.make_durable(self._path.parent)
            _give_name(self._incoming, self._path)
            self._storage.sync_folder(self._path.parent)
        except FileExistsError:
            self.abort()
            raise ObjectExists from None
        except OSError as error:
            self.abort()
            raise _failed(error) from error
        self._close()

    def abort(self) -> None:
        if self._file is not None:
            self._close()
            with suppress(OSError):  # what can't be removed now, clear_incoming removes
                self._incoming.unlink()

    def _open_file(self) -> int:
        if self._file is None:
            raise ValueError("this object is finished")
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            with suppress(OSError):  # what matters was said by fsync
                os.close(file)

    def __del__(self) -> None:
        self.abort()  # forgotten by whoever created it


def _pieces(path: Path, start: int, stop: int | None) -> Iterator[bytes]:
    """An empty piece once the file is open, then its content; the file is closed with the iterator."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        raise ObjectMissing from None
    except OSError as error:
        raise _failed(error) from error
    try:
        end = os.fstat(file).st_size
        end = end if stop is None else min(stop, end)
        yield b""
        while start < end:
            piece = os.pread(file, min(PIECE, end - start), start)
            if not piece:
                raise StorageFailed("unreachable")
            start += len(piece)
            yield piece
    except OSError as error:
        raise _failed(error) from error
    finally:
        os.close(file)


def _give_name(file: Path, name: Path) -> None:
    """Rename what has no name yet. Unlike a rename, a link never takes the place of another file; raises `FileExistsError`."""
    try:
        os.link(file, name)
        file.unlink()
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP):
            raise
        if name.exists():  # a disk that knows no links, such as a memory card: names are fresh, so it's enough to look
            raise FileExistsError from None
        file.rename(name)


def _modified(found: os.stat_result) -> datetime:
    return datetime.fromtimestamp(found.st_mtime, UTC)


def _failed(error: OSError) -> StorageFailed:
    return StorageFailed("disk-full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "unreachable")
