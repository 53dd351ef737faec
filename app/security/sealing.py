"""Sealing: how everything that is stored about a photo is kept unreadable without the keys. Pure, no input or output.

The keys hang on one another; whoever destroys one destroys all that hangs on it:

    master key (outside the database) -> album key -> object key, a fresh random one for every write -> chunks
                                                   -> fields: captions, titles, notes, thumbhashes
                                                   -> fingerprints: "the same bytes twice", "two files of one Live Photo"

**A sealed value** (a wrapped key, a sealed field) is

    version (1 byte, now 1) | nonce (12 random bytes) | AES-256-GCM ciphertext | tag (16 bytes)

AES-GCM is NIST SP 800-38D with its random 96-bit nonce; a wrapped key takes 61 bytes. The associated data says what the
value is and where it belongs: version, then purpose, then the places, each with its length in 4 bytes (big-endian) before
it, so that no two lists of places look the same. For an object key the places are album, object name and plain length:
a key moved to another row, or a row whose length was changed, does not open.

**A sealed object** is a row of chunks of 64 KiB of plaintext, each followed by its tag and nothing else; chunk i begins at
byte i * 65552. The last one may be shorter, and an empty object is one empty chunk. This is STREAM of Hoang, Reyhanitabar,
Rogaway and Vizar, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance" (CRYPTO 2015,
https://eprint.iacr.org/2015/189), with the nonce

    version (1 byte) | zeros (6 bytes) | chunk number (4 bytes, big-endian) | 1 for the last chunk, else 0 (1 byte)

A chunk that was moved, changed or brought from another object does not open; one that was cut off or put behind the end
is missed, because the plain length is known. The nonces count, so they are safe only as long as **no key seals two
objects**: that is why every write takes a new one, even of the same name. The version of an object is that of its wrapped key.

Keys for one purpose each are derived with HKDF-SHA256 (RFC 5869), so that no key is used in two ways.
"""

import base64
import binascii
import hmac
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.errors import KinfoldError, WrongSetting

VERSION = b"\x01"
KEY = 32
NONCE = 12
TAG = 16
CHUNK = 64 * 1024
SEALED_CHUNK = CHUNK + TAG


class SealBroken(KinfoldError):
    """What was sealed is not what is there: changed, moved, cut off, or under another key. Nobody learns which."""


class MasterKey:
    """The one key of an instance. It opens album keys and the few other keys of the instance, and nothing else.

    While it is being changed it stands for several, the newest first: that one seals, and what any of them sealed opens. New albums are
    sealed by the one that `sealing_as` picks, because there may be nodes that do not know the newest yet.
    """

    def __init__(self, key: bytes, *older: bytes) -> None:
        self._key = _checked(key)
        self._older = [_checked(one) for one in older]

    @classmethod
    def generate(cls) -> str:
        """A new master key in its text form: 43 characters of URL-safe base64."""
        return base64.urlsafe_b64encode(os.urandom(KEY)).decode("ascii").rstrip("=")

    @classmethod
    def parse(cls, text: str) -> "MasterKey":
        """The key that `text` stands for, or several with commas between them, the newest first; ordinary base64 will do too. Raises
        `WrongSetting`, which never repeats the text."""
        try:
            ordinary = (part.strip().rstrip("=").replace("-", "+").replace("_", "/") for part in text.split(","))
            return cls(*(base64.b64decode(part + "=", validate=True) for part in ordinary))
        except (binascii.Error, ValueError):
            raise WrongSetting(
                "KINFOLD_MASTER_KEY does not look like a key: it needs the 43 characters that the first start wrote. "
                "Several keys (new, old) are separated by commas."
            ) from None

    def new_album(self, album_id: str) -> tuple["AlbumKey", bytes]:
        """A fresh key for an album, and the same key wrapped for the album's row."""
        key = os.urandom(KEY)
        return AlbumKey(album_id, key), _seal(self._wrapping, key, _places("album key", album_id))

    def open_album(self, album_id: str, wrapped: bytes) -> "AlbumKey":
        """The key of an album, from its row. Raises `SealBroken`."""
        return AlbumKey(album_id, self._open_album(album_id, wrapped))

    def rewrap_album(self, album_id: str, wrapped: bytes) -> bytes:
        """The same album key, wrapped by the newest master key. Raises `SealBroken`."""
        return _seal(self._wrapping, self._open_album(album_id, wrapped), _places("album key", album_id))

    def seal_key(self, name: str, key: bytes) -> bytes:
        """Another key of this instance, such as the one that signs push messages, sealed for its row."""
        return _seal(self._wrapping, _checked(key), _places("instance key", name))

    def open_key(self, name: str, sealed: bytes) -> bytes:
        """What `seal_key` sealed under this name. Raises `SealBroken`."""
        return self._open_with_any(sealed, _places("instance key", name))

    def check_value(self) -> bytes:
        """What to store to recognise this key later; it does not help to find the key."""
        return VERSION + _derive(self._key, "master key check")

    def fits(self, check: bytes) -> bool:
        """Whether `check` was made with this key, or with an older one that it stands for."""
        return any(hmac.compare_digest(check, each.check_value()) for each in (self, *map(MasterKey, self._older)))

    def sealing_as(self, check: bytes) -> "MasterKey":
        """The same keys, of which the one that `check` was made with seals. Raises `SealBroken` when it is none of them."""
        keys = [self._key, *self._older]
        for key in keys:
            if hmac.compare_digest(check, MasterKey(key).check_value()):
                return MasterKey(key, *(other for other in keys if other != key))
        raise SealBroken

    def _open_album(self, album_id: str, wrapped: bytes) -> bytes:
        return self._open_with_any(wrapped, _places("album key", album_id))

    def _open_with_any(self, sealed: bytes, places: bytes) -> bytes:
        for cipher in (self._wrapping, *self._older_wrapping):
            with suppress(SealBroken):
                return _open(cipher, sealed, places)
        raise SealBroken

    @cached_property
    def _wrapping(self) -> AESGCM:
        return AESGCM(_derive(self._key, "album keys"))

    @cached_property
    def _older_wrapping(self) -> list[AESGCM]:
        return [AESGCM(_derive(key, "album keys")) for key in self._older]


class AlbumKey:
    """The key of one album: wraps the keys of its objects, seals its fields, recognises bytes seen before."""

    def __init__(self, album_id: str, key: bytes) -> None:
        self.album_id = album_id
        self._key = _checked(key)

    @staticmethod
    def new_object_key() -> bytes:
        """A fresh random key, for one write of one object."""
        return os.urandom(KEY)

    def wrap(self, object_name: str, key: bytes, size: int) -> bytes:
        """Wrap the key of an object of `size` plain bytes, for the row of that object."""
        return _seal(self._wrapping, _checked(key), _places("object key", self.album_id, object_name, str(size)))

    def unwrap(self, object_name: str, wrapped: bytes, size: int) -> bytes:
        """The key of an object. Raises `SealBroken`, also when `size` is not the length that was wrapped."""
        return _open(self._wrapping, wrapped, _places("object key", self.album_id, object_name, str(size)))

    def seal_field(self, field: str, row: str, text: str | bytes) -> bytes:
        """Seal one column of one row, such as the caption of a photo."""
        plain = text.encode() if isinstance(text, str) else text
        return _seal(self._fields, plain, _places("field", self.album_id, field, row))

    def open_field(self, field: str, row: str, sealed: bytes) -> bytes:
        """What was sealed for this column of this row. Raises `SealBroken`."""
        return _open(self._fields, sealed, _places("field", self.album_id, field, row))

    def fingerprint(self) -> hmac.HMAC:
        """Feed it a file, and its digest tells the same bytes again in this album; to anybody else it says nothing."""
        return hmac.new(_derive(self._key, "fingerprints"), digestmod="sha256")

    def pair(self, identifier: str) -> bytes:
        """What the two files of a Live Photo have in common, told by nobody else either."""
        return hmac.digest(_derive(self._key, "pairs"), identifier.encode(), "sha256")

    @cached_property
    def _wrapping(self) -> AESGCM:
        return AESGCM(_derive(self._key, "object keys"))

    @cached_property
    def _fields(self) -> AESGCM:
        return AESGCM(_derive(self._key, "fields"))


class ChunkSealer:
    """Seals one object that arrives in pieces of any size, and hands every sealed chunk to `write`."""

    def __init__(self, key: bytes, write: Callable[[bytes], object]) -> None:
        self.size = 0  # plain bytes so far
        self._cipher = AESGCM(_checked(key))
        self._write = write
        self._index = 0
        self._held = bytearray()  # at most one chunk: only when more follows do we know that it is not the last
        self.finished = False

    def add(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next piece of the plaintext."""
        if self.finished:
            raise ValueError("this object is finished")
        with memoryview(data).cast("B") as view:
            self.size += len(view)
            start = 0
            if self._held and len(self._held) + len(view) > CHUNK:
                start = CHUNK - len(self._held)
                self._held += view[:start]
                self._seal(self._held)
                self._held = bytearray()
            while len(view) - start > CHUNK:
                self._seal(view[start : start + CHUNK])
                start += CHUNK
            self._held += view[start:]

    def finish(self) -> None:
        """Seal what is held as the last chunk. Nothing can follow it: that would use a nonce twice."""
        if self.finished:
            raise ValueError("this object is finished")
        self.finished = True
        self._seal(self._held, last=True)

    def _seal(self, plain: bytearray | memoryview, *, last: bool = False) -> None:
        nonce = _chunk_nonce(self._index, last)
        self._index += 1  # before anything can fail: a number is never used again
        self._write(self._cipher.encrypt(nonce, plain, None))


def sealed_size(size: int) -> int:
    """How many bytes an object of `size` plain bytes takes when sealed."""
    return size + TAG * (_last_chunk(size) + 1)


def plain_size(sealed: int) -> int:
    """How many plain bytes are in an object that takes `sealed` bytes."""
    return max(0, sealed - TAG * -(-sealed // SEALED_CHUNK))


def sealed_range(size: int, start: int, stop: int) -> tuple[int, int | None]:
    """Which sealed bytes are needed for the plain bytes from `start` to before `stop`; None means all there is after.

    Whoever reads the last chunk reads on to the end, because bytes behind it must be noticed.
    """
    after = _chunk_of(size, stop - 1) + 1
    return start // CHUNK * SEALED_CHUNK, None if after > _last_chunk(size) else after * SEALED_CHUNK


def open_range(key: bytes, pieces: Iterable[bytes], size: int, start: int, stop: int) -> Iterator[bytes]:
    """The plain bytes from `start` to before `stop` of an object of `size`, from the pieces of its `sealed_range`.

    Every piece it gives is authentic; raises `SealBroken` before the first one that would not be.
    """
    cipher, coming, rest = AESGCM(key), iter(pieces), memoryview(b"")
    for index in range(start // CHUNK, _chunk_of(size, stop - 1) + 1):
        begin, last = index * CHUNK, index == _last_chunk(size)
        length = (size - begin if last else CHUNK) + TAG
        sealed, rest = _take(length, rest, coming)
        if last and (rest or any(coming)):
            raise SealBroken
        try:
            plain = cipher.decrypt(_chunk_nonce(index, last), sealed, None)
        except InvalidTag:
            raise SealBroken from None
        yield plain[max(0, start - begin) : stop - begin]


def _take(length: int, rest: memoryview, coming: Iterator[bytes]) -> tuple[memoryview, memoryview]:
    """The next `length` bytes and what is left over; copies only where a chunk straddles two pieces."""
    if len(rest) < length:
        parts, have = [rest] if rest else [], len(rest)
        while have < length:
            piece = next(coming, None)
            if piece is None:
                raise SealBroken
            parts.append(memoryview(piece))
            have += len(piece)
        rest = parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
    return rest[:length], rest[length:]


def _last_chunk(size: int) -> int:
    return max(0, size - 1) // CHUNK


def _chunk_of(size: int, position: int) -> int:
    """The number of the chunk that holds a byte; positions outside belong to the first and the last one."""
    return min(max(0, position) // CHUNK, _last_chunk(size))


def _chunk_nonce(index: int, last: bool) -> bytes:
    return VERSION + bytes(6) + index.to_bytes(4, "big") + (b"\x01" if last else b"\x00")


def _places(purpose: str, *places: str) -> bytes:
    """The associated data of a sealed value: what it is and where it belongs."""
    parts = [part.encode() for part in (purpose, *places)]
    return VERSION + b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _seal(cipher: AESGCM, plain: bytes, places: bytes) -> bytes:
    nonce = os.urandom(NONCE)
    return VERSION + nonce + cipher.encrypt(nonce, plain, places)


def _open(cipher: AESGCM, sealed: bytes, places: bytes) -> bytes:
    if sealed[:1] != VERSION or len(sealed) < 1 + NONCE + TAG:
        raise SealBroken
    try:
        return cipher.decrypt(sealed[1 : 1 + NONCE], sealed[1 + NONCE :], places)
    except InvalidTag:
        raise SealBroken from None


def _derive(key: bytes, purpose: str) -> bytes:
    return HKDF(hashes.SHA256(), KEY, salt=None, info=b"kinfold 1 " + purpose.encode()).derive(key)


def _checked(key: bytes) -> bytes:
    if len(key) != KEY:
        raise ValueError(f"a key has {KEY} bytes")
    return key
