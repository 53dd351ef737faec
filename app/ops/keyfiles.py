"""The two keys as text: where they stand, how they are kept in a file, and how they travel in a backup under a passphrase."""

import base64
import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.config import Settings
from app.errors import WrongSetting
from app.instance import open_private

MASTER, SECRET = "master.key", "secret.key"
SHORTEST_PASSPHRASE = 10
_SALT, _NONCE = 16, 12
_PLACE = b"kinfold 1 keys in a backup"


@dataclass(frozen=True)
class KeyTexts:
    """Both keys as text: each may be a list with commas, the newest first."""

    master: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Found:
    """Both keys, as far as they are there."""

    master: str | None = field(repr=False)
    secret: str | None = field(repr=False)


def key_texts(settings: Settings) -> Found:
    """The keys of this instance as they are written down; a setting goes before the file."""
    return Found(settings.master_key or _read(settings, MASTER), settings.secret_key or _read(settings, SECRET))


def write_key(settings: Settings, name: str, text: str) -> None:
    """Write a key file, durably and in one step: at any moment there is the old one or the new one, whole, for us alone."""
    folder = settings.data / "keys"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path, new = folder / name, folder / f"{name}.new"
    new.unlink(missing_ok=True)
    with os.fdopen(open_private(new, os.O_WRONLY | os.O_EXCL), "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    for each in (folder, settings.data):
        opened = os.open(each, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def wrap_keys(keys: KeyTexts, passphrase: str) -> dict[str, str]:
    """Both keys under a passphrase."""
    return seal_with_passphrase(json.dumps({"master": keys.master, "secret": keys.secret}).encode(), passphrase, _PLACE)


def unwrap_keys(told: Mapping[str, str], passphrase: str) -> KeyTexts | None:
    """The keys again, or None when it is not this passphrase."""
    plain = open_with_passphrase(told, passphrase, _PLACE)
    try:
        found = json.loads(plain or b"")
        return KeyTexts(found["master"], found["secret"])
    except (KeyError, ValueError):
        return None


def seal_with_passphrase(plain: bytes, passphrase: str, place: bytes) -> dict[str, str]:
    """A few bytes under a passphrase: argon2id with 64 MiB, 3 passes and 4 lanes (RFC 9106, second recommendation), then AES-256-GCM.
    `place` says what they are, so that nothing is taken for something else."""
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    sealed = AESGCM(_stretched(passphrase, salt)).encrypt(nonce, plain, place)
    return {name: base64.b64encode(value).decode() for name, value in (("salt", salt), ("nonce", nonce), ("sealed", sealed))}


def open_with_passphrase(told: Mapping[str, str], passphrase: str, place: bytes) -> bytes | None:
    """The same bytes again, or None when it is not this passphrase."""
    try:
        salt, nonce, sealed = (base64.b64decode(told[name], validate=True) for name in ("salt", "nonce", "sealed"))
        return AESGCM(_stretched(passphrase, salt)).decrypt(nonce, sealed, place)
    except (KeyError, ValueError, InvalidTag):
        return None


def passphrase_from_env(env: Mapping[str, str] = os.environ) -> str | None:
    """`KINFOLD_BACKUP_PASSPHRASE`, or what is in the file that `..._FILE` names; for backups that nobody watches."""
    path = env.get("KINFOLD_BACKUP_PASSPHRASE_FILE")
    if not path:
        return env.get("KINFOLD_BACKUP_PASSPHRASE") or None
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except OSError as error:
        raise WrongSetting(f"KINFOLD_BACKUP_PASSPHRASE_FILE points to {path}, which can't be read: {error.strerror}.") from None


def nobody_holds(path: Path) -> bool:
    """Whether no living process began its work with this very file (`instance.hold_master_key`); it may have another name by now."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _stretched(passphrase: str, salt: bytes) -> bytes:
    return hash_secret_raw(
        passphrase.encode(), salt, time_cost=3, memory_cost=64 * 1024, parallelism=4, hash_len=32, type=Type.ID
    )


def _read(settings: Settings, name: str) -> str | None:
    path = settings.data / "keys" / name
    return path.read_text(encoding="ascii").strip() if path.exists() else None
