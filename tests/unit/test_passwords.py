"""Passwords: what is refused, what fits, and what an unknown address costs."""

import threading
import time

import pytest
from argon2 import PasswordHasher, Type

from app.errors import Refused
from app.security.passwords import Passwords, check_new_password


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("a boat and two gulls", None),
        ("tenletters", None),
        ("ängström!", None),
        ("🐚🐟🌊🦀", None),
        ("x" * 500 + "abc" * 174, None),
        ("", "password-too-short"),
        ("ninechars", "password-too-short"),
        ("ab1" * 342, "password-too-long"),
        ("ä" * 513, "password-too-long"),
        ("aaaaaaaaaaaa", "password-common"),
        ("1234567890", "password-common"),
        ("QWERTYUIOP", "password-common"),
        ("qwertyuiop2026!", "password-common"),
        ("anna.smith@example.org", "password-common"),
        ("Anna.Smith", "password-common"),
    ],
)
def test_a_password_that_others_would_guess_is_refused(password: str, reason: str | None) -> None:
    if reason is None:
        check_new_password(password, email="anna.smith@example.org")
        return
    with pytest.raises(Refused) as told:
        check_new_password(password, email="anna.smith@example.org")
    assert told.value.reason == reason


def test_a_password_fits_its_own_hash_only(passwords: Passwords) -> None:
    kept = passwords.hash("a boat and two gulls")
    assert passwords.verify(kept, "a boat and two gulls")
    for other in ("a boat and two gull", "A boat and two gulls", "", "a boat and two gulls" * 100):
        assert not passwords.verify(kept, other)


def test_nobody_has_no_password(passwords: Passwords) -> None:
    assert not passwords.verify(None, "nobody has this password")
    assert not passwords.verify("no hash at all", "a boat and two gulls")


def test_hashes_are_argon2id_and_say_when_they_are_outdated(passwords: Passwords) -> None:
    weak = passwords.hash("a boat and two gulls")
    assert weak.startswith("$argon2id$")
    assert not passwords.outdated(weak)
    assert Passwords().outdated(weak)
    assert Passwords()._hasher.type is Type.ID


def test_no_more_than_two_are_hashed_at_once() -> None:
    busy, most = [0], [0]

    class Slow(PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
            time.sleep(0.02)
            busy[0] -= 1
            return "hash"

    passwords = Passwords(Slow())
    threads = [threading.Thread(target=passwords.hash, args=("x",)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2
