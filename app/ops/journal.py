"""What must not come back, kept outside backups: restoring an older backup takes away again what was taken away since.

`<data>/deletions.jsonl` has one line for each: `{"at": "2026-11-22T12:00:00+00:00", "id": "...", "kind": "photo"}`. Identifiers and
moments, nothing else, and a line only ever takes something away. There are three sorts:

- what was deleted, a row of the table `deletion`: album, photo, guest, member, group;
- what was taken from a row that stays, also in that table: a member's old `password`, their place as an `owner`, the right of `saving`,
  a guest's `mail`;
- what was ended by hand, which its own row tells: grant, link, device; and `replaced`, a link in whose place a newer one was sent.
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
from app.answers.models import Note, Voice
from app.db import Database
from app.errors import KinfoldError
from app.groups.models import Group
from app.instance import open_private
from app.media.models import PREPARED, Photo, PhotoState
from app.security.viewer import Role
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
    DeletionKind.NOTE: Note,
    DeletionKind.VOICE: Voice,
}


class JournalBroken(KinfoldError):
    """A line of the file is none of ours; the message says which."""


@dataclass(frozen=True, order=True)
class Line:
    """This was deleted, taken away or ended at this moment."""

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

    def catch_up(self, database: Database, *, at: datetime) -> None:
        """Append what was deleted, taken away or ended since the last line.

        Lines from the future, by a clock that was ahead, don't count as the last one: what happens until then would be missed.
        """
        with _Locked(self._path) as file:
            self._known.update(_parse(file.text_from(self._read_to), NAME))
            self._read_to = file.size()
            newest = max((line.at for line in self._known if line.at <= at), default=None)
            since = newest - OVERLAP if newest else None
            self._known = {line for line in self._known if since is None or line.at >= since}  # what could come again
            with database.reading() as session:
                file.append(set(lines_of(session, since=since)) - self._known)

    def add(self, lines: Iterable[Line]) -> None:
        """Append lines that are not there yet, however old they are."""
        with _Locked(self._path) as file:
            file.append(set(lines) - set(_parse(file.text_from(0), NAME)))


class _Locked:
    """The file, while nobody else writes to it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> "_Locked":
        self._file = open_private(self._path, os.O_RDWR | os.O_APPEND)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._drop_half_a_line()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def size(self) -> int:
        return os.fstat(self._file).st_size

    def text_from(self, start: int) -> str:
        return os.pread(self._file, max(0, self.size() - start), start).decode()

    def append(self, lines: Iterable[Line]) -> None:
        left = "".join(f"{line}\n" for line in sorted(lines)).encode()
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
    """What the database knows of; what was deleted or taken away is a row of its own, what was ended by hand is still there."""
    by_hand = DeviceRow.ended_at < DeviceRow.expires_at, DeviceRow.ended_at < DeviceRow.unused_after
    ended_grants = sa.select(Grant.ended_at, sa.literal("grant"), Grant.id).where(Grant.ended_by == EndedBy.HAND)
    revoked = sa.select(Link.revoked_at, sa.literal("link"), Link.id).where(Link.revoked_at.is_not(None))
    replaced = sa.select(Link.replaced_at, sa.literal("replaced"), Link.id).where(Link.replaced_at.is_not(None))
    removed = sa.select(DeviceRow.ended_at, sa.literal("device"), DeviceRow.id).where(*by_hand)
    deleted = sa.select(Deletion.at, Deletion.kind, Deletion.subject)
    for select, moment in (
        (deleted, Deletion.at),
        (ended_grants, Grant.ended_at),
        (revoked, Link.revoked_at),
        (replaced, Link.replaced_at),
        (removed, DeviceRow.ended_at),
    ):
        for at, kind, subject in session.execute(select if since is None else select.where(moment >= since)):
            assert at is not None, "chosen by being there"
            yield Line(at, str(kind), subject)


def read_file(path: Path) -> list[Line]:
    """The lines of a journal, none when there is no file. Raises `JournalBroken`."""
    return _parse(path.read_text(encoding="utf-8"), path.name) if path.exists() else []


def apply(session: Session, lines: Iterable[Line], *, made_at: datetime, no_password: str) -> int:
    """Delete, take away and end in a restored database what these lines say and it does not know yet; returns how many rows that were.

    What was taken away or ended before the backup was made may have been given again since: it stands in the backup as it was then. A
    password that was changed since is replaced by the hash `no_password`, because we do not know the new one.
    """
    new = sorted(set(lines) - set(lines_of(session)))
    done = 0
    for kind, model in DELETED.items():
        for ids in _ids([line for line in new if line.kind == kind]):
            done += session.execute(sa.delete(model).where(model.id.in_(ids))).rowcount  # type: ignore[attr-defined]
    for line in new:
        if line.at >= made_at - LATE and (take := _taking(line, no_password)) is not None:
            done += session.execute(take).rowcount  # type: ignore[attr-defined]
    kinds = {str(kind): kind for kind in DeletionKind}
    session.add_all(Deletion(kind=kinds[line.kind], subject=line.id, at=line.at) for line in new if line.kind in kinds)
    return done


def _taking(line: Line, no_password: str) -> sa.Update | None:
    match line.kind:
        case "grant":
            return sa.update(Grant).where(Grant.id == line.id).values(ended_at=line.at, ended_by=EndedBy.HAND)
        case "link":
            return sa.update(Link).where(Link.id == line.id).values(revoked_at=line.at)
        case "replaced":
            return sa.update(Link).where(Link.id == line.id).values(replaced_at=line.at)
        case "device":
            return sa.update(DeviceRow).where(DeviceRow.id == line.id).values(ended_at=line.at)
        case DeletionKind.PASSWORD:
            return sa.update(Account).where(Account.id == line.id).values(password_hash=no_password)
        case DeletionKind.OWNER:
            return sa.update(Account).where(Account.id == line.id).values(role=Role.EDITOR)
        case DeletionKind.SAVING:
            return sa.update(Grant).where(Grant.id == line.id).values(may_save=False)
        case DeletionKind.ADDING:
            return sa.update(Grant).where(Grant.id == line.id).values(may_add=False)
        case DeletionKind.NOTE_HIDDEN:
            return sa.update(Note).where(Note.id == line.id).values(hidden_at=line.at)
        case DeletionKind.VOICE_HIDDEN:
            return sa.update(Voice).where(Voice.id == line.id).values(hidden_at=line.at)
        case DeletionKind.PHOTO_HELD:
            return sa.update(Photo).where(Photo.id == line.id, Photo.state.in_(PREPARED)).values(state=PhotoState.HELD)
        case DeletionKind.MAIL:
            return sa.update(Guest).where(Guest.id == line.id).values(mail_ended_at=line.at)
    return None


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
