"""Secrets in addresses and cookies: made once, good for one purpose, kept only as hashes."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from app.errors import NotVisible
from app.ids import LENGTH, new_id
from app.security.tokens import EVERYTHING, MEDIA_WINDOW, MediaClaim, Purpose, Tokens, cookie_digest, new_cookie

OLD, NEW = "o" * 40, "n" * 40
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PHOTO, COOKIE = "p" * LENGTH, cookie_digest("cookie")


@pytest.fixture
def tokens() -> Tokens:
    return Tokens([NEW])


def test_a_token_is_found_again_by_its_digest(tokens: Tokens) -> None:
    issued = tokens.issue(Purpose.LINK)
    assert tokens.digest(Purpose.LINK, issued.value) == issued.digest
    assert len(issued.digest) == 32
    assert tokens.issue(Purpose.LINK).value != issued.value


def test_a_token_is_good_for_one_purpose(tokens: Tokens) -> None:
    for purpose in Purpose:
        for other in set(Purpose) - {purpose}:
            with pytest.raises(NotVisible):
                tokens.digest(other, tokens.issue(purpose).value)
            with pytest.raises(NotVisible):
                tokens.unsign(other, tokens.sign(purpose, "facts"))


@pytest.mark.parametrize("garbage", ["", ".", "a", "a.b", "é.ü", "\x00", "a" * 100_000, "=.="])
def test_garbage_is_not_visible(tokens: Tokens, garbage: str) -> None:
    for purpose in Purpose:
        with pytest.raises(NotVisible):
            tokens.digest(purpose, garbage)
        with pytest.raises(NotVisible):
            tokens.unsign(purpose, garbage)
    with pytest.raises(NotVisible):
        tokens.open_media(garbage, member=COOKIE, device=COOKIE, at=NOW)


def test_what_an_old_key_signed_is_good_while_it_is_named_and_the_first_key_signs() -> None:
    before, both, after = Tokens([OLD]), Tokens([NEW, OLD]), Tokens([NEW])
    old = before.issue(Purpose.LINK)
    assert both.digest(Purpose.LINK, old.value) == old.digest
    with pytest.raises(NotVisible):
        after.digest(Purpose.LINK, old.value)
    new = both.issue(Purpose.LINK)
    assert after.digest(Purpose.LINK, new.value) == new.digest
    photo = before.media(photo=PHOTO, rendition="grid", kind="member", cookie=COOKIE, at=NOW)
    assert both.open_media(photo, member=COOKIE, device=None, at=NOW).photo == PHOTO


def test_signatures_are_sha256_hmacs_and_no_defaults(tokens: Tokens) -> None:
    signer = tokens._signers[Purpose.LINK]
    assert signer.digest_method is hashlib.sha256
    assert signer.key_derivation == "hmac"


def test_every_cookie_is_new_and_kept_as_its_hash() -> None:
    one, two = new_cookie(), new_cookie()
    assert one.value != two.value
    assert len(one.value) >= 43, "256 bits"
    assert one.digest == hashlib.sha256(one.value.encode()).digest() == cookie_digest(one.value)


@pytest.mark.parametrize("kind", ["member", "device"])
@pytest.mark.parametrize(
    ("rendition", "save"), [("grid", False), ("screen", False), ("full", False), ("full", True), (EVERYTHING, True)]
)
def test_a_photo_address_says_what_it_is_for(tokens: Tokens, kind: str, rendition: str, save: bool) -> None:
    token = tokens.media(photo=PHOTO, rendition=rendition, kind=kind, cookie=COOKIE, at=NOW, save=save)
    member, device = (COOKIE, None) if kind == "member" else (None, COOKIE)
    claim = tokens.open_media(token, member=member, device=device, at=NOW)
    assert claim == MediaClaim(PHOTO, rendition, kind, save, claim.expires)
    with pytest.raises(NotVisible):
        tokens.open_media(token, member=device, device=member, at=NOW)
    with pytest.raises(NotVisible):
        tokens.open_media(token, member=cookie_digest("x"), device=cookie_digest("x"), at=NOW)


def test_a_photo_address_is_good_for_its_window_and_the_next(tokens: Tokens) -> None:
    start = datetime.fromtimestamp(int(NOW.timestamp()) // MEDIA_WINDOW * MEDIA_WINDOW, UTC)
    window = timedelta(seconds=MEDIA_WINDOW)

    def token(at: datetime) -> str:
        return tokens.media(photo=PHOTO, rendition="grid", kind="member", cookie=COOKIE, at=at)

    assert token(start) == token(start + window - timedelta(seconds=1)) != token(start + window)
    end = start + 2 * window
    assert tokens.open_media(token(start), member=COOKIE, device=None, at=end - timedelta(seconds=1))
    with pytest.raises(NotVisible):
        tokens.open_media(token(start), member=COOKIE, device=None, at=end)


def test_ids_say_nothing_and_fit_into_names_and_addresses() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(each) == LENGTH and each.isalnum() and each == each.lower() and each.isascii() for each in ids)
