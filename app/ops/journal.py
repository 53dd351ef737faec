"""What was deleted or ended, kept outside backups: restoring an older backup must bring none of it back.

`<data>/deletions.jsonl` has one line for each: `{"at": "2026-11-22T12:00:00+00:00", "id": "...", "kind": "photo"}`. The kinds are those of
the table `deletion` (album, photo, guest, member, group) and what was ended by hand: grant, link, device. Identifiers and moments,
nothing else.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import Account
from app.activity.models import Deletion, DeletionKind
from app.albums.models import Album
from app.db import Database
from app.errors import KinfoldError
from app.groups.models import Group
from app.media.models import Photo
from app.sharing.models import DeviceRow, EndedBy, Grant, Guest, Link

NAME = "deletions.jsonl"
OVERLAP = timedelta(hours=1)
"""A transaction writes down the moment at which it began: what another one committed later may carry an earlier moment."""

LATE = timedelta(seconds=30)
"""So much older than the backup an end may look that is not in it: it was committed later than it was begun (see `db.PATIENCE`), or on
another machine, whose clock is behind."""

AT_ONCE = 500
DELETED = {
    DeletionKind.GROUP: Group,
    DeletionKind.MEMBER: Account,
    DeletionKind.GUEST: Guest,
    DeletionKind.ALBUM: Album,
    DeletionKind.PHOTO: Photo,
}


class JournalBroken(KinfoldError):
    """A line of the file is none of ours; the message says which."""


@dataclass(frozen=True, order=True)
class Line:
    """This was deleted, or ended by hand, at this moment."""

    at: datetime
    kind: str
    id: str

    def __str__(self) -> str:
        return json.dumps({"at": self.at.isoformat(), "id": self.id, "kind": self.kind})


class Journal:
    """The file in one data folder. The worker's sweep calls `catch_up` every minute; several workers may share the folder."""

    def __init__(self, data: Path) -> None:
        self._path = data / NAME
        self._read_to = 0
        self._known: set[Line] = set()

    def catch_up(self, database: Database) -> None:
        """Append what was deleted or ended since the last line."""
        with self._locked() as file:
            self._read_on(file)
            newest = max((line.at for line in self._known), default=None)
            with database.reading() as session:
                self._append(file, lines_of(session, since=newest - OVERLAP if newest else None))

    def add(self, lines: Iterable[Line]) -> None:
        """Append lines that are not there yet, however old they are."""
        with self._locked() as file:
            self._known.update(read_file(self._path))
            self._read_on(file)
            self._append(file, lines)

    def _append(self, file: "_Locked", lines: Iterable[Line]) -> None:
        new = sorted(set(lines) - self._known)
        if new:
            file.append("".join(f"{line}\n" for line in new))
            self._read_on(file)

    def _read_on(self, file: "_Locked") -> None:
        """Take notice of what is there, and keep in mind only what could come again."""
        self._known.update(_parse(file.text_from(self._read_to), NAME))
        self._read_to = file.size()
        newest = max((line.at for line in self._known), default=None)
        if newest:
            self._known = {line for line in self._known if line.at >= newest - OVERLAP}

    def _locked(self) -> "_Locked":
        return _Locked(self._path)


class _Locked:
    """The file, while nobody else writes to it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> "_Locked":
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._drop_half_a_line()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def size(self) -> int:
        return os.fstat(self._file).st_size

    def text_from(self, start: int) -> str:
        return os.pread(self._file, max(0, self.size() - start), start).decode()

    def append(self, text: str) -> None:
        left = text.encode()
        while left:
            left = left[os.write(self._file, left) :]
        os.fsync(self._file)

    def _drop_half_a_line(self) -> None:
        """A power cut or a full disk in the middle of a line: it is written again."""
        size = self.size()
        tail = os.pread(self._file, min(size, 4096), max(0, size - 4096))
        if tail and not tail.endswith(b"\n"):
            os.ftruncate(self._file, size - len(tail) + tail.rfind(b"\n") + 1)


def lines_of(session: Session, *, since: datetime | None = None) -> Iterator[Line]:
    """What the database knows of; a deletion is a row of its own, what was ended is still there."""
    ended_grants = sa.select(Grant.ended_at, sa.literal("grant"), Grant.id).where(Grant.ended_by == EndedBy.HAND)
    revoked = sa.select(Link.revoked_at, sa.literal("link"), Link.id).where(Link.revoked_at.is_not(None))
    removed = sa.select(DeviceRow.ended_at, sa.literal("device"), DeviceRow.id).where(DeviceRow.ended_at.is_not(None))
    deleted = sa.select(Deletion.at, Deletion.kind, Deletion.subject)
    for select, moment in (
        (deleted, Deletion.at),
        (ended_grants, Grant.ended_at),
        (revoked, Link.revoked_at),
        (removed, DeviceRow.ended_at),
    ):
        for at, kind, subject in session.execute(select if since is None else select.where(moment >= since)):
            assert at is not None, "chosen by being there"
            yield Line(at, str(kind), subject)


def read_file(path: Path) -> list[Line]:
    """The lines of a journal, none when there is no file. Raises `JournalBroken`."""
    return _parse(path.read_text(encoding="utf-8"), path.name) if path.exists() else []


def apply(session: Session, lines: Iterable[Line], *, made_at: datetime) -> int:
    """Delete and end in a restored database what these lines say; returns how many rows that were.

    What was ended before the backup was made may have been given again since: it stands in the backup as it was then.
    """
    by_kind: dict[str, list[Line]] = {}
    for line in lines:
        by_kind.setdefault(line.kind, []).append(line)
    done = 0
    for kind, model in DELETED.items():
        for ids in _ids(by_kind.get(kind, [])):
            done += session.execute(sa.delete(model).where(model.id.in_(ids))).rowcount  # type: ignore[attr-defined]
    for line in (each for kind in ("grant", "link", "device") for each in by_kind.get(kind, []) if each.at >= made_at - LATE):
        match line.kind:
            case "grant":
                end = sa.update(Grant).where(Grant.id == line.id).values(ended_at=line.at, ended_by=EndedBy.HAND)
            case "link":
                end = sa.update(Link).where(Link.id == line.id).values(revoked_at=line.at)
            case _:
                end = sa.update(DeviceRow).where(DeviceRow.id == line.id).values(ended_at=line.at)
        done += session.execute(end).rowcount  # type: ignore[attr-defined]
    session.add_all(
        Deletion(kind=DeletionKind(line.kind), subject=line.id, at=line.at) for kind in DELETED for line in by_kind.get(kind, [])
    )
    return done


def _ids(lines: list[Line]) -> Iterator[list[str]]:
    for start in range(0, len(lines), AT_ONCE):
        yield [line.id for line in lines[start : start + AT_ONCE]]


def _parse(text: str, name: str) -> list[Line]:
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            told = json.loads(line)
            found.append(Line(datetime.fromisoformat(told["at"]), str(told["kind"]), str(told["id"])))
            if found[-1].at.tzinfo is None:
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise JournalBroken(f"Line {number} of {name} is not a line of a deletion journal.") from None
    return found
