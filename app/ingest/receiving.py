"""An upload on its way in: files in a multipart body, or a file in parts (tus), sealed while it arrives.

Nothing of a file ever touches a disk in the clear, not even a temporary one. A file that has arrived whole is kept at once, so when the
line breaks in the middle of the third file, the first two are safe.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import IO

from werkzeug.exceptions import BadRequest, ClientDisconnected
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from app.albums.service import OpenAlbum
from app.errors import TooLarge
from app.ids import new_id
from app.ingest.service import Arrived
from app.storage.port import Storage
from app.storage.sealed import Sealed, SealedKey

PIECE = 64 * 1024
LARGEST_HEAD = 1_000_000
"""Bytes that may be held in memory while looking for the end of a part's headers; what belongs to a file is handed on at once."""

PART = 16 * 1024 * 1024
"""Bytes of a file that comes in parts after which they are written down: so many are lost at most when the plug is pulled."""

LONGEST_FIELD = 10_000
LONGEST_NAME = 255


class FileOnItsWay:
    """One file of an upload: sealed and hashed piece by piece, kept or given up at its end."""

    def __init__(self, storage: Storage, album: OpenAlbum, name: str, *, limit: int, room: int) -> None:
        self._keys: dict[str, SealedKey] = {}
        self._object = f"albums/{album.id}/{new_id()}"
        self._writer = Sealed(storage, album.key, self._keys).create(self._object)
        self._fingerprint = album.key.fingerprint()
        self._name = name
        self._limit, self._room = limit, room
        self.size = 0

    def add(self, data: bytes) -> None:
        """Take a piece. What goes over the limit is read to its end but not kept. Raises `TooLarge` when the group's room is used up."""
        self.size += len(data)
        if self.size > self._limit:
            self._writer.abort()
            return
        if self.size > self._room:
            raise TooLarge("quota-full")
        self._fingerprint.update(data)
        self._writer.write(data)

    def finish(self) -> Arrived:
        """The file has arrived whole: in storage for good, or known to be no photo."""
        refused = "empty" if self.size == 0 else "too-large" if self.size > self._limit else None
        if refused is not None:
            self._writer.abort()
            return Arrived(self._name, secrets.token_bytes(32), None, SealedKey(b"", self.size), refused)
        self._writer.commit()
        return Arrived(self._name, self._fingerprint.digest(), self._object, self._keys[self._object])

    def give_up(self) -> None:
        """Leave nothing behind of a file that did not arrive."""
        self._writer.abort()


def boundary_of(content_type: str) -> bytes:
    """The boundary of a multipart body. Raises `BadRequest` when it is none."""
    kind, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not boundary or not boundary.isascii():
        raise BadRequest
    return boundary.encode("ascii")


def read_files(
    stream: IO[bytes], boundary: bytes, *, field: Callable[[str, str], None], begin: Callable[[str], FileOnItsWay]
) -> Iterator[FileOnItsWay]:
    """Read a multipart body: `field` gets each plain field, `begin` makes the taker of each file; yields every file that has arrived whole.

    Raises `BadRequest` for a body that is cut off or broken, after what arrived whole before.
    """
    decoder = MultipartDecoder(boundary, max_form_memory_size=LARGEST_HEAD, max_parts=5_000)
    name, value, file = "", bytearray(), None
    try:
        while True:
            event = decoder.next_event()
            match event:
                case NeedData():
                    piece = stream.read(PIECE)
                    decoder.receive_data(piece or None)
                case Field():
                    name, value, file = event.name, bytearray(), None
                case File():
                    name, file = event.name, begin(shown_name(event.filename)) if event.filename else None
                case Data():
                    if file is not None:
                        file.add(event.data)
                    elif name:
                        value += event.data
                        if len(value) > LONGEST_FIELD:
                            raise BadRequest
                    if not event.more_data:
                        if file is not None:
                            yield file
                        elif name:
                            field(name, value.decode("utf-8", "replace"))
                        name, file = "", None
                case Epilogue():
                    return
    except ValueError:
        raise BadRequest from None  # the decoder's word for a body that ends too early or is none
    finally:
        if file is not None:
            file.give_up()


def read_parts(
    stream: IO[bytes], size: int, *, begin: Callable[[], FileOnItsWay], hear: Callable[[bytes], object]
) -> Iterator[FileOnItsWay]:
    """Cut a body of so many bytes into parts; when the line breaks, what had arrived until then is the last one. `begin` makes the taker
    of a part, and `hear` gets every byte."""
    part = None
    try:
        while piece := _next_piece(stream, min(PIECE, size, PART - (part.size if part else 0))):
            size -= len(piece)
            part = part or begin()
            part.add(piece)
            hear(piece)
            if part.size == PART:
                whole, part = part, None
                yield whole
        if part is not None:
            whole, part = part, None
            yield whole
    finally:
        if part is not None:
            part.give_up()


def join(
    storage: Storage, album: OpenAlbum, name: str, parts: Mapping[str, SealedKey], *, after_each: Callable[[], object]
) -> Arrived:
    """One file of its parts: opened, sealed under a key of its own and hashed, piece by piece; after each piece something is done. Raises
    `ObjectMissing`, `SealBroken` and `StorageFailed`."""
    size = sum(part.size for part in parts.values())
    whole, sealed = FileOnItsWay(storage, album, name, limit=size, room=size), Sealed(storage, album.key, dict(parts))
    try:
        for part in parts:
            for piece in sealed.read(part):
                whole.add(piece)
                after_each()
        return whole.finish()
    finally:
        whole.give_up()


def _next_piece(stream: IO[bytes], most: int) -> bytes:
    try:
        return stream.read(most) if most else b""
    except ClientDisconnected:
        return b""


def shown_name(name: str) -> str:
    """The name a file had on the phone, without folders."""
    return name.replace("\\", "/").rpartition("/")[2][-LONGEST_NAME:]
