"""Identifiers that say nothing: 128 random bits, no time, no order."""

import base64
import secrets

LENGTH = 26


def new_id() -> str:
    """A fresh identifier: 26 lower-case base32 characters, safe in addresses and file names."""
    return base64.b32encode(secrets.token_bytes(16)).decode("ascii").rstrip("=").lower()
