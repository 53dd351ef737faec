"""Passwords: argon2id, at most two hashes at once, and the commonest ones refused."""

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from app.errors import Refused
from app.security.common_passwords import COMMON

SHORTEST = 10
LONGEST = 1024


def check_new_password(password: str, *, email: str) -> None:
    """Refuse a password that others would guess. Raises `Refused` with `password-too-short`, `password-too-long` or `password-common`."""
    size = len(password.encode("utf-8"))
    if size < SHORTEST:
        raise Refused("password-too-short", least=SHORTEST)
    if size > LONGEST:
        raise Refused("password-too-long", most=LONGEST)
    plain = password.casefold().strip()
    guessable = {email.casefold(), email.casefold().partition("@")[0]}
    if plain in COMMON or plain in guessable or len(set(plain)) < 4 or plain.rstrip("0123456789!.?") in COMMON:
        raise Refused("password-common")


class Passwords:
    """Hashes and verifies. Hashing takes 64 MiB and some 50 ms on purpose, so no more than two run at once."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._two_at_once = threading.BoundedSemaphore(2)
        self._nobody: str | None = None

    def hash(self, password: str) -> str:
        with self._two_at_once:
            return self._hasher.hash(password)

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password fits. Without a hash (an address nobody has) it takes as long, and never fits."""
        if self._nobody is None:
            self._nobody = self.hash("nobody has this password")
        if len(password.encode("utf-8")) > LONGEST:
            password = ""
        with self._two_at_once:
            try:
                fits = self._hasher.verify(password_hash or self._nobody, password)
            except (VerifyMismatchError, VerificationError, InvalidHashError):
                return False
        return fits and password_hash is not None

    def outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with weaker settings than today's."""
        return self._hasher.check_needs_rehash(password_hash)
