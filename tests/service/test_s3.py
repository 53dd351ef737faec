"""What only a bucket can do to us: versions, lost answers, uploads in parts, strangers, locks. On a real SeaweedFS."""

import random
import threading
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from app.errors import WrongSetting
from app.ingest import receiving
from app.security.sealing import sealed_size
from app.storage.check import is_exposed, round_trip
from app.storage.port import Kept, ObjectExists, ObjectMissing, StorageFailed, StorageRefuses
from app.storage.s3 import BATCH, PART, S3, SINGLE
from tests.line import Line
from tests.seaweed import KEYS, OTHER_KEYS, Seaweed, seaweed_in

pytestmark = pytest.mark.slow

BEACH, DUNES = "albums/brittany/beach", "albums/brittany/dunes"
LARGE = SINGLE + PART + 1000


@pytest.fixture
def bucket(seaweed: Seaweed) -> str:
    return seaweed.bucket()


@pytest.fixture
def storage(seaweed: Seaweed, bucket: str) -> S3:
    return seaweed.storage(bucket)


@pytest.fixture
def line(seaweed: Seaweed) -> Iterator[Line]:
    with Line(urlsplit(seaweed.endpoint).port or 0) as line:
        yield line


@pytest.fixture
def over_the_line(seaweed: Seaweed, bucket: str, line: Line, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The same bucket, reached by a line that can break."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return S3(f"s3://{bucket}/kinfold?endpoint={quote(f'http://127.0.0.1:{line.port}')}")


def put(storage: S3, name: str, content: bytes) -> None:
    writer = storage.create(name)
    writer.write(content)
    writer.commit()


def get(storage: S3, name: str) -> bytes:
    return b"".join(storage.read(name))


def picture(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def uploads(client: Any, bucket: str) -> list[str]:
    return [upload["Key"] for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


def versions(client: Any, bucket: str) -> list[str]:
    found = client.list_object_versions(Bucket=bucket)
    return [each["Key"] for kind in ("Versions", "DeleteMarkers") for each in found.get(kind, [])]


# --- addresses and keys


@pytest.mark.parametrize(
    "url", ["s3://", "s3:///prefix", "https://bucket", "s3://bucket?endpoint=bucket.example", "s3://bucket?region=x&key=y"]
)
def test_an_address_that_can_not_be_understood(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(WrongSetting, match="s3://bucket/prefix"):
        S3(url)


def test_without_keys_nobody_is_asked_for_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(WrongSetting, match="AWS_ACCESS_KEY_ID"):
        S3("s3://bucket")


@pytest.mark.parametrize(
    "keys", [OTHER_KEYS, {**KEYS, "AWS_SECRET_ACCESS_KEY": "wrong"}, {**KEYS, "AWS_ACCESS_KEY_ID": "nobody"}]
)
def test_other_keys_are_refused_whatever_they_try(seaweed: Seaweed, bucket: str, storage: S3, keys: dict[str, str]) -> None:
    put(storage, BEACH, b"waves")
    other = seaweed.storage(bucket, keys=keys)
    for attempt in (
        lambda: get(other, BEACH),
        lambda: other.size(BEACH),
        lambda: list(other.list("albums/")),
        lambda: put(other, DUNES, b"sand"),
        lambda: other.delete(BEACH),
        other.kept,
    ):
        with pytest.raises(StorageRefuses) as refused:
            attempt()
        assert refused.value.code in ("AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId", "403")
    assert get(storage, BEACH) == b"waves"
    assert [stored.name for stored in storage.list("")] == [BEACH]


def test_a_bucket_that_is_not_there_is_no_missing_photo(seaweed: Seaweed) -> None:
    nowhere = seaweed.storage("never-made")
    for attempt in (
        lambda: get(nowhere, BEACH),
        lambda: nowhere.size(BEACH),
        lambda: list(nowhere.list("")),
        lambda: round_trip(nowhere),
    ):
        with pytest.raises(StorageFailed):
            attempt()


def test_folders_of_a_bucket_do_not_meet(seaweed: Seaweed, bucket: str) -> None:
    one, other, none = seaweed.storage(bucket, "one"), seaweed.storage(bucket, "two/deep"), seaweed.storage(bucket, "")
    put(one, BEACH, b"one")
    put(other, BEACH, b"other")
    put(none, BEACH, b"none")
    assert [get(each, BEACH) for each in (one, other, none)] == [b"one", b"other", b"none"]
    one.delete(BEACH)
    assert [list(each.list("")) == [] for each in (one, other, none)] == [True, False, False]


# --- large objects


@pytest.mark.parametrize("size", [SINGLE, SINGLE + 1, LARGE, 2 * SINGLE])
@pytest.mark.parametrize("piece", [65_552, 5_000_000, 40_000_000])
def test_large_objects_arrive_as_they_are(storage: S3, seaweed: Seaweed, bucket: str, size: int, piece: int) -> None:
    content = picture(size)
    writer = storage.create(BEACH)
    for start in range(0, size, piece):
        writer.write(content[start : start + piece])
    assert list(storage.list("")) == []
    writer.commit()
    assert get(storage, BEACH) == content
    assert storage.size(BEACH) == size
    assert b"".join(storage.read(BEACH, PART - 5, PART + 5)) == content[PART - 5 : PART + 5]
    in_parts = "-" in seaweed.client().head_object(Bucket=bucket, Key=f"kinfold/{BEACH}")["ETag"]
    assert in_parts == (size > SINGLE)
    assert uploads(seaweed.client(), bucket) == []


def test_a_part_of_a_file_that_comes_in_parts_is_sent_in_one_request() -> None:
    assert sealed_size(receiving.PART) <= SINGLE


def test_a_large_object_needs_little_memory(storage: S3) -> None:
    piece = picture(1_000_000)
    tracemalloc.start()
    try:
        writer = storage.create(BEACH)
        for _ in range(80):
            writer.write(piece)
        writer.commit()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert storage.size(BEACH) == 80_000_000
    assert peak < 3 * SINGLE


@pytest.mark.parametrize("end", ["abort", "forget", "taken"])
def test_parts_of_what_did_not_come_to_its_end_are_gone(storage: S3, seaweed: Seaweed, bucket: str, end: str) -> None:
    writer = storage.create(BEACH)
    writer.write(picture(LARGE))
    assert uploads(seaweed.client(), bucket) == [f"kinfold/{BEACH}"]
    if end == "abort":
        writer.abort()
    elif end == "taken":
        put(storage, BEACH, b"waves")
        with pytest.raises(ObjectExists):
            writer.commit()
        assert get(storage, BEACH) == b"waves"
    else:
        del writer
    assert uploads(seaweed.client(), bucket) == []


def test_parts_that_a_crash_left_are_cleared_and_what_is_coming_in_is_not(storage: S3, seaweed: Seaweed, bucket: str) -> None:
    seaweed.client().create_multipart_upload(Bucket=bucket, Key=f"kinfold/{DUNES}")
    storage.clear_incoming(datetime.now(UTC) - timedelta(hours=1))
    assert uploads(seaweed.client(), bucket) == [f"kinfold/{DUNES}"]
    storage.clear_incoming(datetime.now(UTC) + timedelta(hours=1))
    assert uploads(seaweed.client(), bucket) == []
    writer = storage.create(BEACH)
    writer.write(picture(LARGE))
    storage.clear_incoming(datetime.now(UTC) - timedelta(hours=24))
    writer.commit()
    assert storage.size(BEACH) == LARGE


def test_an_upload_that_was_swept_away_is_said_to_have_failed(storage: S3) -> None:
    writer = storage.create(BEACH)
    writer.write(picture(LARGE))
    storage.clear_incoming(datetime.now(UTC) + timedelta(hours=1))
    with pytest.raises(StorageFailed):
        writer.commit()
    with pytest.raises(ValueError, match="finished"):
        writer.commit()
    assert list(storage.list("")) == []


# --- many


def test_more_objects_than_fit_on_a_page(storage: S3) -> None:
    names = [f"albums/brittany/photo{number:04}" for number in range(BATCH + 200)]
    _in_threads(8, [lambda name=name: put(storage, name, b"x") for name in names])
    assert sorted(stored.name for stored in storage.list("albums/brittany/")) == names
    storage.delete(*names[1:])
    assert [stored.name for stored in storage.list("")] == names[:1]


def test_thirty_two_threads_share_one_storage(storage: S3) -> None:
    def one(number: int) -> None:
        name, content = f"albums/brittany/photo{number}", picture(200_000, number)
        put(storage, name, content)
        assert get(storage, name) == content
        storage.delete(name)

    _in_threads(32, [lambda number=number: one(number) for number in range(64)])
    assert list(storage.list("")) == []


def _in_threads(threads: int, work: list[Any]) -> None:
    problems: list[BaseException] = []

    def run(mine: list[Any]) -> None:
        try:
            for each in mine:
                each()
        except BaseException as error:
            problems.append(error)

    started = [threading.Thread(target=run, args=(work[at::threads],)) for at in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join(120)
    assert problems == []


# --- versions and locks


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_deleting_removes_every_version_and_marker(seaweed: Seaweed, bucket: str, status: str) -> None:
    client = seaweed.client()
    storage = seaweed.storage(bucket)
    assert storage.kept() is Kept.NOTHING
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    storage = seaweed.storage(bucket)
    for name in (BEACH, DUNES, f"{BEACH}-too"):
        put(storage, name, b"first")
    client.put_object(Bucket=bucket, Key=f"kinfold/{BEACH}", Body=b"second, by another hand")
    client.delete_object(Bucket=bucket, Key=f"kinfold/{BEACH}")
    client.delete_object(Bucket=bucket, Key=f"kinfold/{DUNES}")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
    assert len(versions(client, bucket)) == 6
    storage = seaweed.storage(bucket)
    assert storage.kept() is Kept.VERSIONS
    storage.delete(BEACH)
    assert sorted(set(versions(client, bucket))) == [f"kinfold/{BEACH}-too", f"kinfold/{DUNES}"]
    storage.delete(DUNES, f"{BEACH}-too")
    assert versions(client, bucket) == []


def test_what_another_hand_deleted_is_tidied_away(seaweed: Seaweed, bucket: str) -> None:
    client = seaweed.client()
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    storage = seaweed.storage(bucket)
    put(storage, BEACH, b"waves")
    put(storage, DUNES, b"sand")
    client.delete_object(Bucket=bucket, Key=f"kinfold/{BEACH}")
    client.put_object(Bucket=bucket, Key="others/albums/brittany/beach", Body=b"not ours")
    client.delete_object(Bucket=bucket, Key="others/albums/brittany/beach")
    storage.clear_incoming(datetime.now(UTC))
    assert versions(client, bucket).count(f"kinfold/{BEACH}") == 0
    assert versions(client, bucket).count("others/albums/brittany/beach") == 2
    assert get(storage, DUNES) == b"sand"


def test_a_locked_bucket_is_recognised(seaweed: Seaweed, bucket: str) -> None:
    seaweed.client().create_bucket(Bucket=f"{bucket}-locked", ObjectLockEnabledForBucket=True)
    assert seaweed.storage(f"{bucket}-locked").kept() is Kept.LOCKED


# --- strangers


def test_a_bucket_that_is_opened_and_closed_again(storage: S3, seaweed: Seaweed, bucket: str) -> None:
    assert not is_exposed(storage)
    seaweed.open_to_strangers(bucket)
    assert is_exposed(storage)
    seaweed.close_to_strangers(bucket)
    assert not is_exposed(storage)
    assert list(storage.list("")) == []


@pytest.mark.parametrize("action", ["s3:GetObject", "s3:ListBucket"])
def test_half_open_is_open(storage: S3, seaweed: Seaweed, bucket: str, action: str) -> None:
    seaweed.open_to_strangers(bucket, action)
    assert is_exposed(storage)


# --- lines that break


@pytest.mark.parametrize("size", [1000, LARGE])
def test_an_answer_that_was_lost_is_no_failure(over_the_line: S3, line: Line, size: int) -> None:
    """The object is there, but the name would be said to be taken: by ourselves."""
    writer = over_the_line.create(BEACH)
    writer.write(picture(size))
    line.lose_answers = 1 if size < SINGLE else 0
    if size > SINGLE:
        writer._send_part = lambda content, send=writer._send_part: (send(content), setattr(line, "lose_answers", 1))  # type: ignore[attr-defined]
    writer.commit()
    assert line.broke == 1
    assert get(over_the_line, BEACH) == picture(size)


def test_a_lost_answer_does_not_make_another_object_ours(over_the_line: S3, storage: S3, line: Line) -> None:
    put(storage, BEACH, b"waves")
    writer = over_the_line.create(BEACH)
    writer.write(b"other waves")
    with pytest.raises(ObjectExists):
        writer.commit()
    assert get(storage, BEACH) == b"waves"


def test_a_read_that_breaks_off_goes_on_where_it_was(over_the_line: S3, line: Line) -> None:
    content = picture(10_000_000)
    put(over_the_line, BEACH, content)
    for cut in (1_000, 3_000_000, 9_999_000):
        line.cut_after = cut
        assert get(over_the_line, BEACH) == content
    assert line.broke == 3
    line.cut_after = 2_000_000
    assert b"".join(over_the_line.read(BEACH, 1_000_000, 8_000_000)) == content[1_000_000:8_000_000]
    assert line.broke == 4


def test_an_answer_that_breaks_in_its_headers_is_a_failure(over_the_line: S3, line: Line) -> None:
    put(over_the_line, BEACH, b"waves")
    line.cut_after = 100
    with pytest.raises(StorageFailed):
        get(over_the_line, BEACH)
    assert get(over_the_line, BEACH) == b"waves"


def test_a_read_that_breaks_off_never_goes_on_in_another_object(over_the_line: S3, storage: S3, line: Line) -> None:
    old = picture(10_000_000)
    put(storage, BEACH, old)
    line.cut_after = 3_000_000
    pieces = over_the_line.read(BEACH)
    came = next(pieces)
    storage.delete(BEACH)
    put(storage, BEACH, picture(10_000_000, 2))
    with pytest.raises(ObjectMissing):
        for piece in pieces:
            came += piece
    assert old.startswith(came)


def test_a_storage_that_dies_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.storage.s3.TRIES", 2)  # the same, only sooner
    with seaweed_in(tmp_path) as seaweed:
        storage = seaweed.storage()
        put(storage, DUNES, b"sand")
        small, large = storage.create(BEACH), storage.create(f"{BEACH}-too")
        small.write(picture(1000))
        large.write(picture(LARGE))
        seaweed.kill()
        for attempt in (
            small.commit,
            lambda: large.write(picture(LARGE)),
            lambda: get(storage, DUNES),
            lambda: is_exposed(storage),
        ):
            with pytest.raises(StorageFailed) as failed:
                attempt()
            assert failed.value.reason == "unreachable"
        for writer in (small, large):
            with pytest.raises(ValueError, match="finished"):
                writer.commit()
        seaweed.start()
        assert get(storage, DUNES) == b"sand"
        assert [stored.name for stored in storage.list("")] == [DUNES]
        put(storage, BEACH, picture(1000))
        assert get(storage, BEACH) == picture(1000)
