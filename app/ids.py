"""Identifiers that say nothing: 128 random bits, no time, no order."""

import base64
import hashlib
import secrets

LENGTH = 26


def new_id() -> str:
    """A fresh identifier: 26 lower-case base32 characters, safe in addresses and file names."""
    return _spelled(secrets.token_bytes(16))


def id_of(owner: str, mark: bytes) -> str:
    """The one identifier of what its owner calls by this mark; a random mark makes a random one."""
    return _spelled(hashlib.sha256(owner.encode() + b"\0" + mark).digest()[:16])


def _spelled(number: bytes) -> str:
    return base64.b32encode(number).decode("ascii").rstrip("=").lower()
