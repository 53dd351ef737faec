"""Objects in a bucket of any S3: Amazon's, or a SeaweedFS of one's own. The only file that knows boto3.

An object is sent whole when it is small, and in parts when it is large; either way the last request makes it visible, on the condition
that the name is free. The answer to that request may be lost, and asked again it would say that the name is taken: so each write
carries a random mark, by which it knows its own object again.

Deleting removes every version and every delete marker when the bucket keeps versions, or once did.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from functools import partial
from io import BytesIO
from itertools import groupby
from operator import itemgetter
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from app.errors import KinfoldError, WrongSetting
from app.ids import new_id
from app.security.sealing import SEALED_CHUNK, sealed_size
from app.storage.port import (
    Data,
    Kept,
    ObjectExists,
    ObjectMissing,
    StorageFailed,
    StorageRefuses,
    Stored,
    Writer,
    check_name,
    check_range,
    is_name,
)

log = logging.getLogger("kinfold.storage")
for _chatty in ("boto3", "botocore", "urllib3"):  # they tell where keys were found, and when one connection more is opened
    logging.getLogger(_chatty).setLevel(logging.ERROR)

PIECE = 16 * SEALED_CHUNK
SINGLE = sealed_size(16 * 1024 * 1024)
"""Bytes up to which an object is sent in one request: a whole part of a file that comes in parts. A writer holds no more than this in
memory."""

PART = 8 * 1024 * 1024
"""Bytes of a part of what is larger."""

BATCH = 1000
"""The most names that one request may delete."""

TRIES = 5
"""How often a request is tried, with growing pauses of a second at most together, and how often in a row a read may break off.
One that hangs is given ten seconds each time, until so many have hung that nobody waits twice."""

LOOK_EVERY = 60.0
"""Seconds that we rely on what a bucket last said about keeping versions."""

NOT_UNDERSTOOD = "The storage's address needs to look like s3://bucket/prefix?endpoint=https://s3.example.org&region=us-east-1."


class S3:
    """A `Storage` below a prefix of a bucket. Any number of processes and threads may share it; `connections` are kept open.

    `url` is `s3://bucket/prefix?endpoint=https://s3.example.org&region=...`; without an endpoint it is Amazon's. The keys come from
    the usual AWS variables. Raises `WrongSetting` when the address can't be understood or there are no keys.
    """

    def __init__(self, url: str, *, connections: int = 32) -> None:
        self._bucket, folder, place = _address(url)
        self._prefix = f"{folder}/" if folder else ""
        self._versions_known = (float("-inf"), False)
        session = botocore.session.Session()
        session.get_component("credential_provider").remove(
            "iam-role"
        )  # would ask around in the network whenever keys are missing
        if session.get_credentials() is None:
            raise WrongSetting("The storage needs keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
        config = Config(
            connect_timeout=3,
            read_timeout=10,
            retries={"mode": "standard", "total_max_attempts": TRIES},
            max_pool_connections=connections,
            s3={"addressing_style": "path" if "endpoint_url" in place else "auto"},
            # What is stored is proven by its seal, and what is sent by the signature over its hash.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        make = boto3.Session(botocore_session=session).client
        try:
            self._client = make("s3", config=config, **place)
            self._stranger = make("s3", config=config.merge(Config(signature_version=UNSIGNED)), **place)
        except (BotoCoreError, ValueError):
            raise WrongSetting(NOT_UNDERSTOOD) from None

    def create(self, name: str) -> Writer:
        return _S3Writer(self, self._key(name))

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        check_range(start, stop)
        key = self._key(name)
        if start == stop:
            self.head(key)
            return iter(())
        pieces = self._pieces(key, start, stop)
        next(pieces)  # asks now
        return pieces

    def size(self, name: str) -> int:
        return int(self.head(self._key(name))["ContentLength"])

    def delete(self, *names: str) -> None:
        keys = sorted(map(self._key, names))
        if not self._versioned():
            self._destroy({"Key": key} for key in keys)
            return
        for folder, same in groupby(keys, key=lambda key: key.rpartition("/")[0]):
            wanted = set(same)
            begins = f"{folder}/" if len(wanted) > 1 else min(wanted)
            self._destroy(each for each in self._versions(begins) if each["Key"] in wanted)

    def list(self, prefix: str) -> Iterator[Stored]:
        for page in self._pages("list_objects_v2", self._prefix + prefix):
            for found in page.get("Contents", ()):
                name = found["Key"].removeprefix(self._prefix)
                if is_name(name) and name.startswith(prefix):  # some take ".." in a prefix for a way up
                    yield Stored(name, found["Size"], found["LastModified"])

    def all_at_once(self) -> AbstractContextManager[None]:
        return nullcontext()

    def clear_incoming(self, older_than: datetime) -> None:
        everything = f"{self._prefix}albums/"
        for page in self._pages("list_multipart_uploads", everything):
            for upload in page.get("Uploads", ()):
                if upload["Initiated"] < older_than:
                    with suppress(_NotAsExpected):  # it has ended since
                        self.ask("abort_multipart_upload", Key=upload["Key"], UploadId=upload["UploadId"])
        if self._versioned():  # what was deleted by another hand, or by ours before we knew that versions are kept
            for _, same in groupby(self._versions(everything), key=itemgetter("Key")):
                versions = list(same)
                if any(version["IsMarker"] and version["IsLatest"] for version in versions):
                    self._destroy(versions)

    def shown_to_strangers(self, name: str) -> bool:
        return self._answers_a_stranger("get_object", Key=self._key(name)) or self._answers_a_stranger(
            "list_objects_v2", Prefix=self._prefix, MaxKeys=1
        )

    def kept(self) -> Kept:
        with suppress(_NoSuchThing):
            lock = self.ask("get_object_lock_configuration")["ObjectLockConfiguration"]
            if lock.get("ObjectLockEnabled") == "Enabled":
                return Kept.LOCKED
        return Kept.VERSIONS if self._versioned() else Kept.NOTHING

    def ask(self, action: str, **arguments: object) -> Any:
        """One request about our bucket, by boto3's name for it."""
        with _in_our_words(action):
            return getattr(self._client, action)(Bucket=self._bucket, **arguments)

    def head(self, key: str) -> Any:
        """What is known of an object. Raises `ObjectMissing`."""
        try:
            return self.ask("head_object", Key=key)
        except _NoSuchThing:
            pass
        try:  # an answer without a body does not say what is missing
            self.ask("head_bucket")
        except _NoSuchThing:
            raise StorageRefuses("NoSuchBucket") from None
        raise ObjectMissing

    def _key(self, name: str) -> str:
        return self._prefix + check_name(name)

    def _pieces(self, key: str, start: int, stop: int | None) -> Iterator[bytes]:
        """An empty piece once the object answers, then its content. What breaks off is taken up again, in the same object and no other."""
        try:
            answer = self._get(key, start, stop)
        except _OutsideObject:
            yield b""
            return
        try:
            left, broken = answer["ContentLength"], 0
            yield b""
            while left:
                try:
                    piece = answer["Body"].read(min(PIECE, left))
                except (BotoCoreError, HTTPError, OSError):
                    piece = b""
                if piece:
                    start, left, broken = start + len(piece), left - len(piece), 0
                    yield piece
                else:
                    broken += 1
                    if broken == TRIES:
                        raise StorageFailed("unreachable")
                    answer["Body"].close()
                    answer = self._get(key, start, stop, IfMatch=answer["ETag"])
        except _NotAsExpected:
            raise ObjectMissing from None
        finally:
            answer["Body"].close()

    def _get(self, key: str, start: int, stop: int | None, **conditions: str) -> Any:
        part = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"} if start or stop is not None else {}
        answer = self.ask("get_object", Key=key, **part, **conditions)
        if "ETag" not in answer:  # a line that breaks in the middle of the headers looks to Python like their end
            raise StorageFailed("unreachable")
        return answer

    def _versioned(self) -> bool:
        """Whether the bucket keeps versions, or once did."""
        at, known = self._versions_known
        if time.monotonic() - at > LOOK_EVERY:
            try:
                known = "Status" in self.ask("get_bucket_versioning")
            except _NoSuchThing:  # a storage that has no versions
                known = False
            self._versions_known = (time.monotonic(), known)
        return known

    def _versions(self, key_prefix: str) -> Iterator[dict[str, Any]]:
        """Every version and every delete marker of what begins so, those of one key together unless they fill more than a page."""
        for page in self._pages("list_object_versions", key_prefix):
            found = [
                {**each, "IsMarker": kind == "DeleteMarkers"}
                for kind in ("Versions", "DeleteMarkers")
                for each in page.get(kind, ())
            ]
            yield from sorted(found, key=itemgetter("Key"))

    def _destroy(self, objects: Iterable[dict[str, Any]]) -> None:
        """Remove keys, or single versions of them, in as few requests as can be."""
        named = [{word: each[word] for word in ("Key", "VersionId") if word in each} for each in objects]
        for at in range(0, len(named), BATCH):
            answer = self.ask("delete_objects", Delete={"Objects": named[at : at + BATCH], "Quiet": True})
            refused = {error.get("Code", "") for error in answer.get("Errors", ())} - {"NoSuchKey", "NoSuchVersion"}
            if refused:
                log.error("the storage answers %s to delete_objects", ", ".join(sorted(refused)))
                raise StorageFailed("unreachable")

    def _pages(self, action: str, prefix: str) -> Iterator[dict[str, Any]]:
        with _in_our_words(action):
            yield from self._client.get_paginator(action).paginate(Bucket=self._bucket, Prefix=prefix)

    def _answers_a_stranger(self, action: str, **arguments: object) -> bool:
        """Whether a request without a signature gets anything but "you may not". Trouble of the storage's own says nothing either way."""
        try:
            answer = getattr(self._stranger, action)(Bucket=self._bucket, **arguments)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status >= 500:
                raise StorageFailed("unreachable") from error
            return status not in (401, 403)
        except (BotoCoreError, HTTPError) as error:
            raise StorageFailed("unreachable") from error
        if "Body" in answer:
            answer["Body"].close()
        return True


class _S3Writer:
    """Collects an object up to `SINGLE` bytes and sends it at the commit; of a larger one, parts are sent while it is written."""

    _collected: BytesIO | None = None
    _upload: str | None = None

    def __init__(self, storage: S3, key: str) -> None:
        self._storage, self._key = storage, key
        self._mark = {"write": new_id()}
        self._parts: list[dict[str, object]] = []
        self._collected = BytesIO()

    def write(self, data: Data) -> None:
        collected = self._open()
        collected.write(data)
        if collected.tell() > (PART if self._upload else SINGLE):
            try:
                self._send_parts(collected)
            except BaseException:
                self.abort()
                raise

    def commit(self) -> None:
        content = self._open().getvalue()
        try:
            try:
                self._send_last(content)
            except _NotAsExpected:
                if not self._is_ours():
                    raise ObjectExists from None
            self._upload = None
        finally:
            self.abort()

    def abort(self) -> None:
        upload, self._upload, self._collected = self._upload, None, None
        if upload is not None:
            with suppress(StorageFailed):  # what can't be removed now, clear_incoming removes
                self._storage.ask("abort_multipart_upload", Key=self._key, UploadId=upload)

    def _open(self) -> BytesIO:
        if self._collected is None:
            raise ValueError("this object is finished")
        return self._collected

    def _send_parts(self, collected: BytesIO) -> None:
        """Send what fills parts and keep the rest, which is never nothing: the last part has yet to come."""
        if self._upload is None:
            begun = self._storage.ask("create_multipart_upload", Key=self._key, Metadata=self._mark)
            self._upload = begun["UploadId"]
        content, sent = collected.getvalue(), 0
        while len(content) - sent > PART:
            self._send_part(content[sent : sent + PART])
            sent += PART
        self._collected = BytesIO()
        self._collected.write(content[sent:])

    def _send_part(self, content: bytes) -> None:
        number = len(self._parts) + 1
        answer = self._storage.ask("upload_part", Key=self._key, UploadId=self._upload, PartNumber=number, Body=content)
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    def _send_last(self, content: bytes) -> None:
        if self._upload is None:
            self._storage.ask("put_object", Key=self._key, Body=content, Metadata=self._mark, IfNoneMatch="*")
            return
        self._send_part(content)
        parts = {"Parts": self._parts}
        self._storage.ask(
            "complete_multipart_upload", Key=self._key, UploadId=self._upload, MultipartUpload=parts, IfNoneMatch="*"
        )

    def _is_ours(self) -> bool:
        """Whether what has the name is this very object, of whose arrival we were not told. Raises `StorageFailed` when nothing has it."""
        try:
            found = self._storage.head(self._key)
        except ObjectMissing:
            raise StorageFailed("unreachable") from None
        return bool(found["Metadata"].get("write") == self._mark["write"])

    def __del__(self) -> None:
        self.abort()  # forgotten by whoever created it


class _Said(StorageFailed):
    """Something that S3 says and this file understands; to anybody else it is a storage that does not do what it was asked."""

    def __init__(self) -> None:
        super().__init__("unreachable")


class _NoSuchThing(_Said):
    """An object or bucket that is not there, or a feature that this storage does not have."""


class _NotAsExpected(_Said):
    """The name is taken, the object is another one by now, or the upload has ended."""


class _OutsideObject(_Said):
    """The range begins behind the last byte."""


_MEANINGS: dict[str, Callable[[], KinfoldError]] = {
    "NoSuchKey": ObjectMissing,
    "InvalidRange": _OutsideObject,
    **dict.fromkeys(("404", "NotImplemented", "MethodNotAllowed", "ObjectLockConfigurationNotFoundError"), _NoSuchThing),
    **dict.fromkeys(("PreconditionFailed", "ConditionalRequestConflict", "NoSuchUpload"), _NotAsExpected),
    **dict.fromkeys(("QuotaExceeded", "XMinioStorageFull"), partial(StorageFailed, "disk-full")),
}


@contextmanager
def _in_our_words(action: str) -> Iterator[None]:
    """Turns whatever goes wrong with a request into the errors of the port. The log gets the storage's own word, and no names."""
    try:
        yield
    except ClientError as error:
        code, status = error.response["Error"].get("Code", ""), error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code in _MEANINGS:
            raise _MEANINGS[code]() from error
        log.warning("the storage answers %s %s to %s", status, code, action)
        if status == 507:
            raise StorageFailed("disk-full") from error
        if status in (408, 429) or status >= 500:
            raise StorageFailed("unreachable") from error
        raise StorageRefuses(code) from error
    except (BotoCoreError, HTTPError) as error:
        log.warning("the storage does not answer to %s: %s", action, type(error).__name__)
        raise StorageFailed("unreachable") from error


def _address(url: str) -> tuple[str, str, dict[str, str]]:
    """Bucket, folder in it, and where the bucket is, in boto3's words. Raises `WrongSetting`."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    place = {"region_name": options.pop("region", "") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"}
    endpoint = options.pop("endpoint", "")
    if endpoint:
        place["endpoint_url"] = endpoint
    if parts.scheme != "s3" or not parts.netloc or options or (endpoint and not endpoint.startswith(("http://", "https://"))):
        raise WrongSetting(NOT_UNDERSTOOD)
    return parts.netloc, parts.path.strip("/"), place
