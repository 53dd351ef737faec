"""The file that a backup is, and how to read one that somebody else may have touched.

It is an uncompressed tar (POSIX ustar), so that anybody can look at it with `tar -tv`. In this order:

    kinfold-backup.json   what it is: format, version, revision of the tables, when, of which instance; the key of the rows, wrapped by the
                          master key; and, only when asked for, the keys of the instance under a passphrase
    rows                  the lines of `app/ops/rows.py`, sealed as every object is (`app/security/sealing.py`) under a fresh key
    albums/...            the objects of all renditions and voices, sealed as they lie in storage, in the order in which the rows name them
    digests               the SHA-256 of each of these objects, 32 bytes one after the other
    left-out              photos and voices (identifiers) that were deleted while the backup was made: rows without an object
    complete              the SHA-256 of the parts that are no objects, and how many bytes and objects there are; one block, the last

`complete` is written when all the rest is on the disk, and the file gets its name after that. A reader knows every header before it sees
it: nothing in a tar's headers is ever used as a path, and a byte that is changed anywhere is noticed.
"""

import base64
import fcntl
import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from app.errors import KinfoldError
from app.security.sealing import ChunkSealer, SealBroken, open_range, plain_size

FORMAT = 1
MANIFEST, ROWS, DIGESTS, LEFT_OUT, COMPLETE = "kinfold-backup.json", "rows", "digests", "left-out", "complete"
BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)
DIGEST = hashlib.sha256().digest_size
PIECE = 1 << 20
LARGEST_MANIFEST = 1 << 16


class BackupBroken(KinfoldError):
    """This file can't be restored; the message says why, in plain words."""


class BackupBusy(KinfoldError):
    """Somebody else is writing this backup just now."""


@dataclass(frozen=True)
class Entry:
    """An object as the rows name it: a photo's, or that of a voice about it. `size` is its length in sealed bytes."""

    photo: str
    name: str
    size: int
    voice: str | None = None

    @property
    def of(self) -> str:
        """What goes without it: the voice, or the photo."""
        return self.voice or self.photo


@dataclass(frozen=True)
class Place:
    """Where the content of an object lies in the file."""

    start: int
    size: int
    digest: bytes


class Writing:
    """A backup on its way. `finish` or `give_up`; before `finish` has returned, nothing carries its name."""

    def __init__(self, path: Path, made_at: datetime) -> None:
        self._path, self._partial = path, path.with_name(f"{path.name}.partial")
        self._modified = int(made_at.timestamp())
        self._sums: dict[str, str] = {}
        self._digests = bytearray()
        self._bytes = 0
        descriptor = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise BackupBusy from None
        os.fchmod(descriptor, 0o600)
        os.ftruncate(descriptor, 0)  # what a run that was killed has left
        self._file = os.fdopen(descriptor, "wb", PIECE)

    def add(self, name: str, told: object) -> None:
        """A small part, as JSON."""
        self._add(name, as_json(told))

    def _add(self, name: str, content: bytes) -> None:
        self._sums[name] = hashlib.sha256(content).hexdigest()
        self._file.write(_header(name, len(content), self._modified) + content + _padding(len(content)))

    def add_rows(self, lines: Iterable[bytes], key: bytes) -> None:
        """The rows, sealed under a key that seals nothing else."""
        begin, digest = self._file.tell(), hashlib.sha256()
        self._file.write(bytes(BLOCK))

        def write(sealed: bytes) -> None:
            digest.update(sealed)
            self._file.write(sealed)

        sealer = ChunkSealer(key, write)
        for line in lines:
            sealer.add(line)
        sealer.finish()
        end = self._file.tell()
        size = end - begin - BLOCK
        self._file.seek(begin)
        self._file.write(_header(ROWS, size, self._modified))
        self._file.seek(end)
        self._file.write(_padding(size))
        self._sums[ROWS] = digest.hexdigest()

    def lines(self, key: bytes) -> Iterator[bytes]:
        """The rows again, from the file."""
        self._file.flush()
        with _opened(self._partial) as reading:
            _, size = _read_manifest(reading)
            size, start = _read_head(reading, BLOCK + _padded(size), ROWS)
            yield from _lines(reading, start, size, key)

    def add_object(self, name: str, pieces: Iterable[bytes], size: int, digest: bytes | None = None) -> None:
        """An object of so many bytes; whoever knows its SHA-256 saves us the time. Whatever is raised while its pieces come, or
        `BackupBroken` for another length: then it is as if it had never been begun."""
        summed, length, begin = hashlib.sha256(), 0, self._file.tell()
        self._file.write(_header(name, size, self._modified))
        try:
            for piece in pieces:
                if digest is None:
                    summed.update(piece)
                length += len(piece)
                self._file.write(piece)
            if length != size:
                raise BackupBroken("A photo in the storage changed its length while it was read.")
        except BaseException:
            self._file.seek(begin)
            self._file.truncate()
            raise
        self._file.write(_padding(size))
        self._digests += digest or summed.digest()
        self._bytes += size

    def finish(self, left_out: Iterable[str], *, path: Path | None = None) -> int:
        """Make it durable and give it its name, or another one beside it. Returns its size in bytes."""
        objects, told = len(self._digests) // DIGEST, as_json(sorted(left_out))
        self._add(DIGESTS, bytes(self._digests))
        self._add(LEFT_OUT, told)
        last = as_json({"objects": objects, "bytes": self._bytes, "left_out": len(told), "sha256": self._sums})
        self._file.flush()
        os.fsync(self._file.fileno())
        self._add(COMPLETE, last)
        self._file.write(END)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._partial.replace(path or self._path)
        sync_folder(self._path.parent)
        size = self._file.tell()
        self._file.close()
        return size

    def give_up(self) -> None:
        """Leave nothing behind."""
        if not self._file.closed:
            self._partial.unlink(missing_ok=True)
            with suppress(OSError):  # a full disk does not take what was held back either
                self._file.close()


class Archive:
    """A backup to read from; whole, or `BackupBroken` says what is wrong with it. Several threads may read objects."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise BackupBroken(f"{path} can't be read: {error.strerror}.") from None
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self.size = os.fstat(self._file).st_size
        with _opened(self._file) as reading:
            self.manifest, size = _read_manifest(reading)
        _check_format(self.manifest)
        self._modified = int(datetime.fromisoformat(self.manifest["made_at"]).timestamp())
        self.complete = self._read_complete()
        self.objects: int = self.complete["objects"]
        end = self.size - len(END) - 2 * BLOCK
        self.left_out = frozenset(json.loads(self._part(LEFT_OUT, self.complete["left_out"], end)))
        end -= BLOCK + _padded(self.complete["left_out"])
        self._digests = self._part(DIGESTS, DIGEST * self.objects, end)
        self._objects_end = end - BLOCK - _padded(DIGEST * self.objects)
        self._check_content(MANIFEST, size, 0)
        after = BLOCK + _padded(size)
        with _opened(self._file) as reading:
            self._rows_size, self._rows_start = _read_head(reading, after, ROWS)
        self._check_content(ROWS, self._rows_size, after)

    def close(self) -> None:
        os.close(self._file)

    def lines(self, key: bytes) -> Iterator[bytes]:
        """The lines of the rows. Raises `BackupBroken` when they don't open with this key."""
        with _opened(self._file) as reading:
            try:
                yield from _lines(reading, self._rows_start, self._rows_size, key)
            except SealBroken:
                raise BackupBroken("The rows in this backup don't open with its key.") from None

    def places(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, Place | None]]:
        """Where each object lies that the rows name; None for one that is not here, which only photos that were left out may miss."""
        at, number, total = self._rows_start + _padded(self._rows_size), 0, 0
        for entry in entries:
            expected = _header(entry.name, entry.size, self._modified)
            found = self._whole(at, BLOCK) if at < self._objects_end else b""
            if found != expected:
                if entry.of not in self.left_out:
                    raise BackupBroken(_what_is_wrong(found))
                yield entry, None
                continue
            digest = self._digests[DIGEST * number : DIGEST * (number + 1)]
            yield entry, Place(at + BLOCK, entry.size, digest)
            at, number, total = at + BLOCK + _padded(entry.size), number + 1, total + entry.size
        if (number, total) != (self.complete["objects"], self.complete["bytes"]) or at != self._objects_end:
            raise BackupBroken(_what_is_wrong(self._whole(at, BLOCK)))

    def read(self, place: Place) -> Iterator[bytes]:
        """The bytes of an object; raises `BackupBroken` at the end when they are not those that were written."""
        digest, end = hashlib.sha256(), place.start + place.size
        for start in range(place.start, end, PIECE):
            piece = self._whole(start, min(PIECE, end - start))
            digest.update(piece)
            yield piece
        if digest.digest() != place.digest or any(self._whole(end, _padded(place.size) - place.size)):
            raise BackupBroken("A photo in this backup was changed after it was made.")

    def _read_complete(self) -> dict[str, Any]:
        start = self.size - len(END) - 2 * BLOCK
        half = BackupBroken("This is only a part of a backup: its end is missing. Copy it again, or take another one.")
        if start < 0:
            raise half
        block = self._whole(start + BLOCK, BLOCK)
        content = block.rstrip(b"\0")
        tail = _header(COMPLETE, len(content), self._modified) + content.ljust(BLOCK, b"\0") + END
        if self._whole(start, BLOCK)[: len(COMPLETE) + 1] != COMPLETE.encode() + b"\0":
            raise half
        try:
            told = json.loads(content)
            usable = {*told} == {"objects", "bytes", "left_out", "sha256"} and as_json(told) == content
            usable = usable and all(isinstance(told[name], int) and told[name] >= 0 for name in ("objects", "bytes", "left_out"))
        except (ValueError, TypeError):
            usable = False
        if not usable or self._whole(start, self.size - start) != tail:
            raise BackupBroken("The end of this backup was changed after it was made.")
        return dict(told)

    def _part(self, name: str, size: int, end: int) -> bytes:
        """A part that ends there, with its padding."""
        start = end - BLOCK - _padded(size)
        self._check_content(name, size, start)
        return self._whole(start + BLOCK, size)

    def _check_content(self, name: str, size: int, start: int) -> None:
        """Whether a part that is no object is as it was written, from its header to its padding."""
        found = self._whole(start, BLOCK) if start >= 0 else b""
        if found != _header(name, size, self._modified):
            raise BackupBroken(_what_is_wrong(found))
        digest, end = hashlib.sha256(), start + BLOCK + size
        for at in range(start + BLOCK, end, PIECE):
            digest.update(self._whole(at, min(PIECE, end - at)))
        if digest.hexdigest() != self.complete["sha256"].get(name) or any(self._whole(end, _padded(size) - size)):
            raise BackupBroken(f"The part {name!r} of this backup was changed after it was made.")

    def _whole(self, start: int, size: int) -> bytes:
        found = os.pread(self._file, size, start)
        if len(found) != size:
            raise BackupBroken("This is only a part of a backup: its end is missing. Copy it again, or take another one.")
        return found


def _what_is_wrong(found: bytes) -> str:
    """A sentence about a header that should have been another one. Nothing it says is used for anything else."""
    begin = "This backup was changed after it was made: "
    try:
        told = tarfile.TarInfo.frombuf(found, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return begin + "it can't be read from there on."
    if told.name.startswith("/"):
        return begin + "it holds an absolute path."
    if ".." in told.name.split("/"):
        return begin + "it holds a path that leads out of it."
    if told.islnk() or told.issym():
        return begin + "it holds a link."
    if told.isdev():
        return begin + "it holds a device."
    return begin + "it holds a file twice, in another place, or one that is not its own."


def _check_format(manifest: dict[str, Any]) -> None:
    if manifest.get("format") != FORMAT:
        raise BackupBroken("This backup was made by a newer version of Kinfold. Install that version, then restore.")


def _read_manifest(reading: Callable[[int, int], bytes]) -> tuple[dict[str, Any], int]:
    """The first part and its size, checked as far as it can be before the end of the file was seen."""
    no_backup = BackupBroken("This is not a backup of Kinfold.")
    try:
        size, start = _read_head(reading, 0, MANIFEST)
        manifest = json.loads(reading(start, size)) if size <= LARGEST_MANIFEST else None
    except (ValueError, BackupBroken):
        raise no_backup from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise no_backup
    if manifest["format"] == FORMAT:
        try:
            datetime.fromisoformat(manifest["made_at"])
            base64.b64decode(manifest["key"], validate=True), base64.b64decode(manifest["rows_key"], validate=True)
            usable = isinstance(manifest["revision"], str)
        except (KeyError, TypeError, ValueError):
            usable = False
        if not usable:
            raise no_backup
    return manifest, size


def _read_head(reading: Callable[[int, int], bytes], start: int, name: str) -> tuple[int, int]:
    """The size that the header of this part tells, and where its content begins."""
    try:
        told = tarfile.TarInfo.frombuf(reading(start, BLOCK), "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        raise BackupBroken("This backup was changed after it was made: it can't be read from there on.") from None
    if told.name != name or told.size < 0:
        raise BackupBroken("This backup was changed after it was made: its parts are not where they belong.")
    return told.size, start + BLOCK


class _opened:  # noqa: N801  a context manager, read as a verb
    """Reads anywhere in a file, named by its path or open already, without moving in it."""

    def __init__(self, file: Path | int) -> None:
        self._mine = isinstance(file, Path)
        self._file = os.open(file, os.O_RDONLY) if isinstance(file, Path) else file

    def __enter__(self) -> Callable[[int, int], bytes]:
        return lambda start, size: os.pread(self._file, size, start)

    def __exit__(self, *_: object) -> None:
        if self._mine:
            os.close(self._file)


def _lines(reading: Callable[[int, int], bytes], start: int, size: int, key: bytes) -> Iterator[bytes]:
    pieces = (reading(at, min(PIECE, start + size - at)) for at in range(start, start + size, PIECE))
    plain, rest = plain_size(size), b""
    for chunk in open_range(key, pieces, plain, 0, plain):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"


def _header(name: str, size: int, modified: int) -> bytes:
    told = tarfile.TarInfo(name)
    told.size, told.mode, told.mtime = size, 0o600, modified
    return told.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _padding(size: int) -> bytes:
    return bytes(_padded(size) - size)


def as_json(value: object) -> bytes:
    """The one way in which JSON is written here."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def sync_folder(folder: Path) -> None:
    """Make what was renamed in a folder survive a power loss."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
