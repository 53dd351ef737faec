"""What this instance knows about itself: which keys belong to it, and how late it has been already.

One row. Its check values prove at every start that the keys fit the database: an unmounted volume, a second node or a mistyped key
would otherwise silently begin a second life with other keys, and everything stored would be lost.
"""

import fcntl
import hashlib
import hmac
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.clock import Clock
from app.config import Settings
from app.db import Base, Database
from app.errors import WrongSetting
from app.security.sealing import MasterKey, SealBroken
from app.security.tokens import Tokens


class Instance(Base):
    """The one row. `latest` is the highest time any process has seen; access never goes back behind it. `exposed_at`: since when strangers
    could read the bucket, as far as we know. `backed_up_at`: when the last whole backup was made. `sealed_push_key`: what push messages are
    signed with (VAPID), sealed under the master key."""

    __tablename__ = "instance"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    master_check: Mapped[bytes]
    secret_check: Mapped[bytes]
    latest: Mapped[datetime]
    exposed_at: Mapped[datetime | None]
    backed_up_at: Mapped[datetime | None]
    sealed_push_key: Mapped[bytes | None]


@dataclass(frozen=True)
class Keys:
    """The two secrets everything rests on: one seals what is stored, one signs what travels."""

    master: MasterKey
    tokens: Tokens
    secret_keys: tuple[str, ...] = field(repr=False)

    def checks(self) -> dict[str, bytes]:
        """What the row keeps to recognise the keys that new things are made with."""
        return {"master_check": self.master.check_value(), "secret_check": _secret_check(self.secret_keys[0])}


def is_new(database: Database) -> bool:
    """Whether nothing has ever been started on this database."""
    with database.reading() as session:
        return session.get(Instance, 1) is None


def open_keys(settings: Settings, database: Database, clock: Clock) -> Keys:
    """The keys of this instance, proven against its database; made on the very first start of an embedded instance only.

    Raises `WrongSetting`, and writes nothing, when a key is missing for a database in use, or is another one's.
    """
    with database.reading() as session:
        known = session.get(Instance, 1)
    if known is not None:
        clock.not_before(known.latest)
    keys = read_keys(settings, may_make=known is None and settings.embedded)
    newest = _secret_check(keys.secret_keys[0])
    if known is None:
        try:
            with database.writing() as session:
                session.add(Instance(id=1, master_check=keys.master.check_value(), secret_check=newest, latest=clock.now()))
        except IntegrityError:  # another node was faster: its keys are the ones
            return open_keys(settings, database, clock)
    else:
        check_keys(keys, master_check=known.master_check, secret_check=known.secret_check)
        if newest != known.secret_check:
            with database.writing() as session:
                session.execute(sa.update(Instance).values(secret_check=newest))
    return keys


def read_keys(settings: Settings, *, may_make: bool = False) -> Keys:
    """The keys that the settings name, or those in the data folder. Raises `WrongSetting` when one is missing or can't be a key."""
    folder = settings.data / "keys"
    master_text = _find_or_make(settings.master_key, folder / "master.key", "KINFOLD_MASTER_KEY", may_make)
    secret_text = _find_or_make(settings.secret_key, folder / "secret.key", "KINFOLD_SECRET_KEY", may_make)
    return parse_keys(master_text, secret_text)


def parse_keys(master_text: str, secret_text: str) -> Keys:
    """The keys that these texts stand for. Raises `WrongSetting`."""
    secret_keys = tuple(key.strip() for key in secret_text.split(",") if key.strip())
    if not secret_keys or min(map(len, secret_keys)) < 32:
        raise WrongSetting("KINFOLD_SECRET_KEY needs at least 32 characters; several keys (new, old) are separated by commas.")
    return Keys(MasterKey.parse(master_text), Tokens(secret_keys), secret_keys)


def hold_master_key(settings: Settings) -> None:
    """Show, for as long as this process lives, that it works with the key file as it is now: the old key is not thrown away before."""
    path = settings.data / "keys" / "master.key"
    if settings.master_key is None and path.exists() and path not in _held:
        _held[path] = os.open(path, os.O_RDONLY)
        fcntl.flock(_held[path], fcntl.LOCK_SH)


_held: dict[Path, int] = {}


def check_keys(keys: Keys, *, master_check: bytes, secret_check: bytes) -> None:
    """Raises `WrongSetting` when one of the keys does not belong to the database with these check values."""
    if not keys.master.fits(master_check):
        raise WrongSetting(
            "The master key does not belong to this database: photos sealed with another key could not be opened. "
            "Put the right key back (KINFOLD_MASTER_KEY, or keys/master.key in the data folder). Nothing was changed."
        )
    if not any(hmac.compare_digest(_secret_check(key), secret_check) for key in keys.secret_keys):
        raise WrongSetting(
            "The secret key does not belong to this database: every link that was sent would stop working. Put the right key "
            "back, or name both, the new one first: KINFOLD_SECRET_KEY=new,old. Nothing was changed."
        )


def sealing_key(session: Session, master: MasterKey) -> MasterKey:
    """The master key as it seals new albums just now: by the key that is this instance's until `rotate-keys` has changed that, which
    every node has, also while they are started again one after another. Until the transaction ends no change of the key begins, so that
    none overlooks the new album. Raises `SealBroken` on a node that has only a key from before."""
    return master.sealing_as(session.scalars(sa.select(Instance.master_check).with_for_update(read=True)).one())


PUSH_KEY = "push"


def push_key(session: Session, master: MasterKey) -> bytes | None:
    """What push messages are signed with: 32 bytes, the private number of a P-256 key. None before it is made, and where it was sealed by a
    master key that is lost: then another is made, and browsers ask to be told anew."""
    sealed = session.scalars(sa.select(Instance.sealed_push_key)).one()
    with suppress(SealBroken):
        return None if sealed is None else master.open_key(PUSH_KEY, sealed)
    return None


def keep_push_key(session: Session, master: MasterKey, key: bytes) -> None:
    """Keep that key, sealed as new albums are, unless another worker was faster."""
    sealing = sealing_key(session, master)
    if push_key(session, master) is None:
        session.execute(sa.update(Instance).values(sealed_push_key=sealing.seal_key(PUSH_KEY, key)))


def note_time(session: Session, *, clock: Clock) -> None:
    """Store how late it is and take notice of how late others have seen it."""
    now = clock.now()
    session.execute(sa.update(Instance).where(Instance.latest < now).values(latest=now))
    clock.not_before(session.scalars(sa.select(Instance.latest)).one())


def note_exposure(session: Session, *, since: datetime | None) -> None:
    """Store since when strangers can read what is stored; None: they can't."""
    session.execute(sa.update(Instance).values(exposed_at=since))


def is_hidden(database: Database) -> bool:
    """Whether photos are to be hidden from everybody, because strangers can read the storage."""
    with database.reading() as session:
        return session.scalars(sa.select(Instance.exposed_at)).one() is not None


LOOK_EVERY = 10.0
"""Seconds after which a process looks again at what the others have stored here."""

_noticed: WeakKeyDictionary[Database, tuple[float, bool]] = WeakKeyDictionary()
_one_at_a_time = Lock()


def open_private(path: Path, flags: int) -> int:
    """Open a file that only we can read, made if it is not there; with O_EXCL it must not be there, or `FileExistsError`.

    What root makes belongs to whom its folder belongs to: a command that was typed as root must leave nothing that the server can't open.
    """
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if flags & os.O_EXCL:
            raise
        return os.open(path, flags)
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.fchown(descriptor, folder.st_uid, folder.st_gid)
    return descriptor


def take_notice(database: Database, clock: Clock) -> bool:
    """Take notice, every ten seconds, of how late other processes have seen it, and whether photos are to be hidden: that is the answer."""
    at, hidden = _noticed.get(database, (float("-inf"), False))
    if time.monotonic() - at < LOOK_EVERY:
        return hidden
    with _one_at_a_time:
        at, hidden = _noticed.get(database, (float("-inf"), False))
        if time.monotonic() - at >= LOOK_EVERY:
            with suppress(OperationalError):  # whoever asked us needs the database too, or can do without
                with database.reading() as session:
                    latest, exposed_at = session.execute(sa.select(Instance.latest, Instance.exposed_at)).one()
                clock.not_before(latest)
                hidden = exposed_at is not None
            _noticed[database] = (time.monotonic(), hidden)
    return hidden


def _find_or_make(given: str | None, path: Path, setting: str, may_make: bool) -> str:
    if given is not None:
        return given
    if path.exists():
        return path.read_text(encoding="ascii").strip()
    if not may_make:
        raise WrongSetting(
            f"{setting} is not set and {path} is not there, but this database is in use or shared. A new key would not open what is "
            "stored. Is a volume not mounted? Nothing was changed."
        )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = MasterKey.generate() if setting == "KINFOLD_MASTER_KEY" else secrets.token_urlsafe(48)
    try:
        _write_private(path, text)
    except FileExistsError:  # another first start was faster
        return path.read_text(encoding="ascii").strip()
    return text


def _write_private(path: Path, text: str) -> None:
    """A file that only we can read, on the disk before it is used: a key that is lost in a power cut loses every photo."""
    with os.fdopen(open_private(path, os.O_WRONLY | os.O_EXCL), "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _secret_check(key: str) -> bytes:
    return hmac.new(key.encode("utf-8"), b"kinfold secret key check", hashlib.sha256).digest()
