"""Every secret that travels in an address or a cookie is made and checked here.

Three kinds: *one-purpose tokens* (links, invitations, set-up and reset addresses) are 128 random bits with an itsdangerous
signature, one salt per purpose, and the database keeps only a SHA-256 of the bits; *cookies* are 256 random bits, also kept as a
hash; *photo addresses* carry signed facts and are bound to a cookie that is never in the address itself.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from itsdangerous import BadSignature, Signer

from app.errors import NotVisible

MEDIA_WINDOW = 12 * 3600
"""Photo addresses are signed for windows of this many seconds, so that a page that is opened again names the same addresses."""


class Purpose(StrEnum):
    """What a token is good for; a token of one purpose never opens another."""

    LINK = "link"
    SET_UP = "set-up"
    RESET = "reset"
    JOIN = "join"
    CARD = "card"
    MEDIA = "media"
    KNOWN_BROWSER = "known-browser"
    NO_MORE_MAIL = "no-more-mail"


@dataclass(frozen=True)
class Issued:
    """A new secret: `value` is told once, `digest` is what the database keeps."""

    value: str
    digest: bytes


@dataclass(frozen=True)
class MediaClaim:
    """What a photo address says: this rendition of this photo, asked by a `member` or a `device`, to look at or to `save`. For the
    rendition `voice` it names no photo but what somebody said about one; for `EVERYTHING` an album, all of whose photos are saved."""

    photo: str
    rendition: str
    kind: str
    save: bool
    expires: int


def new_cookie() -> Issued:
    """A fresh cookie value. A value that a browser sends is never adopted."""
    value = secrets.token_urlsafe(32)
    return Issued(value, cookie_digest(value))


def cookie_digest(value: str) -> bytes:
    """What the database keeps of a cookie."""
    return hashlib.sha256(value.encode("utf-8", "replace")).digest()


EVERYTHING = "everything"

_RENDITIONS = {"grid": "g", "screen": "s", "play": "p", "full": "f", "voice": "v", EVERYTHING: "e"}
_KINDS = {"member": "m", "device": "d"}
_RENDITION_OF = {letter: name for name, letter in _RENDITIONS.items()}
_KIND_OF = {letter: name for name, letter in _KINDS.items()}


class Tokens:
    """Makes and checks tokens with the instance's secret keys, the newest first."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        oldest_first = list(reversed(secret_keys))
        self._signers = {
            purpose: Signer(oldest_first, salt=f"kinfold.{purpose}", key_derivation="hmac", digest_method=hashlib.sha256)
            for purpose in Purpose
        }

    def issue(self, purpose: Purpose) -> Issued:
        """A new token of 128 random bits for one purpose."""
        bits = secrets.token_bytes(16)
        text = base64.urlsafe_b64encode(bits).rstrip(b"=")
        return Issued(self._signers[purpose].sign(text).decode("ascii"), hashlib.sha256(bits).digest())

    def digest(self, purpose: Purpose, token: str) -> bytes:
        """The digest to look a token up by. Raises `NotVisible` when we did not make it for this purpose."""
        try:
            text = self._signers[purpose].unsign(token)
            return hashlib.sha256(base64.urlsafe_b64decode(text + b"==")).digest()
        except (BadSignature, ValueError):
            raise NotVisible from None

    def word_digests(self, words: str) -> list[bytes]:
        """What is kept of the words on a card, by each of the secret keys, the newest first: words are fewer than random bits, and without
        the key nobody can try them out on a stolen database."""
        signer = self._signers[Purpose.CARD]
        return [hmac.digest(signer.derive_key(key), words.encode(), "sha256") for key in reversed(signer.secret_keys)]

    def sign(self, purpose: Purpose, text: str) -> str:
        """`text` with a signature: for facts that a browser keeps for us."""
        return self._signers[purpose].sign(text).decode("ascii")

    def unsign(self, purpose: Purpose, signed: str) -> str:
        """The text behind a signature of ours. Raises `NotVisible` for anybody else's."""
        try:
            return self._signers[purpose].unsign(signed).decode("utf-8")
        except (BadSignature, ValueError):
            raise NotVisible from None

    def media(self, *, photo: str, rendition: str, kind: str, cookie: bytes, at: datetime, save: bool = False) -> str:
        """The token of a photo address for the browser whose cookie digest is `cookie`.

        It is good until the end of the window after the present one, for this browser only.
        """
        expires = (int(at.timestamp()) // MEDIA_WINDOW + 2) * MEDIA_WINDOW
        claim = f"{photo}{_RENDITIONS[rendition]}{_KINDS[kind]}{'1' if save else '0'}{expires:x}"
        return f"{claim}.{self._media_signature(claim, cookie)}"

    def open_media(self, token: str, *, member: bytes | None, device: bytes | None, at: datetime) -> MediaClaim:
        """The claim of a photo address, checked against the cookie of the kind that it names.

        Raises `NotVisible` for a token that was changed, has expired, or was made for another browser.
        """
        claim, _, signature = token.partition(".")
        if len(claim) < 30 or not claim.isascii():
            raise NotVisible
        photo, rendition, kind, save, expires = claim[:26], claim[26], claim[27], claim[28], claim[29:]
        cookie = {"m": member, "d": device}.get(kind)
        if cookie is None or rendition not in _RENDITION_OF:
            raise NotVisible
        signer = self._signers[Purpose.MEDIA]
        if not signer.verify_signature(_bound(claim, cookie), signature):
            raise NotVisible
        until = int(expires, 16)
        if datetime.fromtimestamp(until, UTC) <= at:
            raise NotVisible
        return MediaClaim(photo, _RENDITION_OF[rendition], _KIND_OF[kind], save == "1", until)

    def _media_signature(self, claim: str, cookie: bytes) -> str:
        return self._signers[Purpose.MEDIA].get_signature(_bound(claim, cookie)).decode("ascii")


def _bound(claim: str, cookie: bytes) -> bytes:
    return claim.encode("ascii") + b"|" + cookie
