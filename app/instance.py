"""What this instance knows about itself: which keys belong to it, and how late it has been already.

One row. Its check values prove at every start that the keys fit the database: an unmounted volume, a second node or a mistyped key
would otherwise silently begin a second life with other keys, and everything stored would be lost.
"""

import hashlib
import hmac
import os
import secrets
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.clock import Clock
from app.config import Settings
from app.db import Base, Database
from app.errors import WrongSetting
from app.security.sealing import MasterKey
from app.security.tokens import Tokens


class Instance(Base):
    """The one row. `latest` is the highest time any process has seen; access never goes back behind it. `exposed_at`: since when strangers
    could read the bucket, as far as we know. `backed_up_at`: when the last whole backup was made."""

    __tablename__ = "instance"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    master_check: Mapped[bytes]
    secret_check: Mapped[bytes]
    latest: Mapped[datetime]
    exposed_at: Mapped[datetime | None]
    backed_up_at: Mapped[datetime | None]


@dataclass(frozen=True)
class Keys:
    """The two secrets everything rests on: one seals what is stored, one signs what travels."""

    master: MasterKey
    tokens: Tokens
    secret_keys: tuple[str, ...] = field(repr=False)


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
    folder = settings.data / "keys"
    may_make = known is None and settings.embedded
    master_text = _find_or_make(settings.master_key, folder / "master.key", "KINFOLD_MASTER_KEY", may_make)
    secret_text = _find_or_make(settings.secret_key, folder / "secret.key", "KINFOLD_SECRET_KEY", may_make)
    master = MasterKey.parse(master_text)
    secret_keys = tuple(key.strip() for key in secret_text.split(",") if key.strip())
    if not secret_keys or min(map(len, secret_keys)) < 32:
        raise WrongSetting("KINFOLD_SECRET_KEY needs at least 32 characters; several keys (new, old) are separated by commas.")
    checks = [_secret_check(key) for key in secret_keys]
    if known is None:
        with database.writing() as session:
            session.add(Instance(id=1, master_check=master.check_value(), secret_check=checks[0], latest=clock.now()))
    else:
        if not master.fits(known.master_check):
            raise WrongSetting(
                "The master key does not belong to this database: photos sealed with another key could not be opened. "
                "Put the right key back (KINFOLD_MASTER_KEY, or keys/master.key in the data folder). Nothing was changed."
            )
        if not any(hmac.compare_digest(check, known.secret_check) for check in checks):
            raise WrongSetting(
                "The secret key does not belong to this database: every link that was sent would stop working. Put the right key "
                "back, or name both, the new one first: KINFOLD_SECRET_KEY=new,old. Nothing was changed."
            )
        if checks[0] != known.secret_check:
            with database.writing() as session:
                session.execute(sa.update(Instance).values(secret_check=checks[0]))
    return Keys(master, Tokens(secret_keys), secret_keys)


def note_time(session: Session, *, clock: Clock) -> None:
    """Store how late it is and take notice of how late others have seen it."""
    stored = session.scalars(sa.select(Instance.latest)).one()
    clock.not_before(stored)
    session.execute(sa.update(Instance).values(latest=clock.now()))


_LOOK_EVERY = 60.0
_looked_at: WeakKeyDictionary[Database, float] = WeakKeyDictionary()


def look_at_time(database: Database, clock: Clock) -> None:
    """Take notice, once a minute, of how late other processes have seen it."""
    now = time.monotonic()
    if now - _looked_at.get(database, float("-inf")) < _LOOK_EVERY:
        return
    _looked_at[database] = now
    with database.reading() as session:
        clock.not_before(session.scalars(sa.select(Instance.latest)).one())


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
    _write_private(path, text)
    return text


def _write_private(path: Path, text: str) -> None:
    """A file that only we can read, on the disk before it is used: a key that is lost in a power cut loses every photo."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
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
