"""`flask move-storage`: from the disk to a bucket and back, while people go on, proven object by object."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from app import create_app
from app.albums.jobs import keep_promise
from app.house import House
from app.media import service as media
from app.media.models import Rendition
from app.ops import move_storage
from app.ops.exposure import check_storage
from app.storage.local import Local
from app.storage.models import Removal
from app.storage.port import Storage, StorageFailed
from tests.conftest import Family, found
from tests.seaweed import KEYS, Seaweed

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def house(make_house: Callable[..., House], tmp_path: Path) -> House:
    made = make_house()
    return replace(made, storage=Local(made.settings.data / "photos"))


@pytest.fixture
def brittany(house: House) -> Family:
    """An album of two photos, and an upload that no worker has looked at."""
    family = found(house, group_name="The Smiths", name="Anna", email="anna@example.org")
    family.album("Brittany 2026")
    for _ in range(2):
        family.photo("Brittany 2026")
    family.upload("Brittany 2026", b"just arrived")
    return family


@pytest.fixture
def app(house: House) -> Flask:
    return create_app(house.settings, house)


@pytest.fixture
def bucket(seaweed: Seaweed) -> str:
    return seaweed.bucket()


@pytest.fixture
def url(seaweed: Seaweed, bucket: str) -> str:
    return seaweed.url(bucket)


@pytest.fixture
def there(seaweed: Seaweed, bucket: str) -> Storage:
    return seaweed.storage(bucket)


def moving(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["move-storage", *words])


def contents(storage: Storage) -> dict[str, bytes]:
    return {stored.name: b"".join(storage.read(stored.name)) for stored in storage.list("albums/")}


def now_using(house: House, url: str) -> House:
    """The house after its setting was changed."""
    return replace(house, settings=replace(house.settings, storage_url=url))


def test_there_and_back_again(house: House, brittany: Family, app: Flask, url: str, there: Storage, tmp_path: Path) -> None:
    before = contents(house.storage)
    assert len(before) == 7
    done = moving(app, "--to", url)
    assert (done.exit_code, "Every photo is there" in done.output) == (0, True), done.output
    assert contents(there) == before == contents(house.storage)
    check_storage(replace(house, storage=there))

    later = create_app(house.settings, replace(now_using(house, url), storage=there))
    done = moving(later, "--from", "local", "--remove-source")
    assert done.exit_code == 0, done.output
    assert (contents(house.storage), contents(there)) == ({}, before)

    done = moving(later, "--to", str(tmp_path / "elsewhere"))
    assert done.exit_code == 0, done.output
    assert contents(Local(tmp_path / "elsewhere")) == before


def test_only_what_is_missing_is_copied_again(
    house: House, brittany: Family, app: Flask, url: str, there: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert moving(app, "--to", url).exit_code == 0
    photo = brittany.photo("Brittany 2026")
    with house.database.reading() as session:
        new = set(session.scalars(sa.select(Rendition.object_name).where(Rendition.photo_id == photo)))
    copied: list[str] = []
    copy = move_storage.copy
    monkeypatch.setattr(move_storage, "copy", lambda source, target, name: (copied.append(name), copy(source, target, name)))
    assert moving(app, "--to", url).exit_code == 0
    assert set(copied) == new and len(copied) == 3
    assert contents(there) == contents(house.storage)


def test_what_broke_off_is_carried_on(
    house: House, brittany: Family, app: Flask, url: str, there: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = move_storage.copy

    def breaking(source: Storage, target: Storage, name: str) -> None:
        if len(list(target.list(""))) >= 3:
            raise StorageFailed("unreachable")
        copy(source, target, name)

    monkeypatch.setattr(move_storage, "AT_ONCE", 1)
    monkeypatch.setattr(move_storage, "copy", breaking)
    done = moving(app, "--to", url)
    assert (done.exit_code, "can't be reached" in done.output, "Traceback" in done.output) == (1, True, False)
    assert len(contents(there)) == 3
    monkeypatch.setattr(move_storage, "copy", copy)
    assert moving(app, "--to", url).exit_code == 0
    assert contents(there) == contents(house.storage)


def test_what_differs_is_replaced_from_where_photos_are_kept(
    house: House, brittany: Family, app: Flask, url: str, there: Storage, seaweed: Seaweed, bucket: str
) -> None:
    assert moving(app, "--to", url).exit_code == 0
    name, content = min(contents(there).items())
    seaweed.client().put_object(Bucket=bucket, Key=f"kinfold/{name}", Body=bytes(len(content)))
    assert moving(app, "--to", url).exit_code == 0
    assert contents(there) == contents(house.storage)


def test_what_differs_where_photos_are_kept_is_told_and_left_alone(
    house: House, brittany: Family, app: Flask, url: str, there: Storage, seaweed: Seaweed, bucket: str
) -> None:
    """Nobody knows which of the two is right, so neither is lost, and the old ones are not removed."""
    assert moving(app, "--to", url).exit_code == 0
    name, content = min(contents(there).items())
    seaweed.client().put_object(Bucket=bucket, Key=f"kinfold/{name}", Body=bytes(len(content)))
    later = create_app(house.settings, replace(now_using(house, url), storage=there))
    done = moving(later, "--from", "local", "--remove-source")
    assert done.exit_code == 1
    assert name in done.output and "1 objects" in done.output
    assert contents(house.storage)[name] == content
    assert contents(there)[name] == bytes(len(content))


def test_a_photo_that_is_nowhere_is_named(house: House, brittany: Family, app: Flask, url: str) -> None:
    lost = min(contents(house.storage))
    house.storage.delete(lost)
    done = moving(app, "--to", url)
    assert done.exit_code == 1
    assert lost in done.output.splitlines()


def test_what_is_deleted_meanwhile_is_not_left_there(
    house: House, brittany: Family, app: Flask, url: str, there: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = brittany.photos["Brittany 2026"][0]
    names: list[str] = []

    def deleting(label: str, work: Callable[[str], Any], objects: Any) -> list[Any]:
        answers = [work(each) for each in objects]
        if label == "Copying":
            with house.database.reading() as session:
                names.extend(session.scalars(sa.select(Rendition.object_name).where(Rendition.photo_id == photo)))
            with house.database.writing() as session:
                album = brittany.albums["Brittany 2026"].id
                media.delete_photos(session, brittany.owner, album=album, photos=[photo], jobs=house.jobs, at=house.clock.now())
            with house.database.reading() as session:
                promised = session.scalars(sa.select(Removal.id)).all()
            for removal in promised:
                keep_promise(house, removal)
        return answers

    monkeypatch.setattr(move_storage, "_with_progress", deleting)
    assert moving(app, "--to", url).exit_code == 0
    assert len(names) == 3
    assert not set(names) & set(contents(there))
    assert contents(there) == contents(house.storage)


def test_places_where_no_photo_should_be(
    house: House, brittany: Family, app: Flask, url: str, there: Storage, seaweed: Seaweed, bucket: str
) -> None:
    seaweed.open_to_strangers(bucket)
    done = moving(app, "--to", url)
    assert (done.exit_code, "Strangers can read" in done.output, contents(there)) == (1, True, {})
    seaweed.client().create_bucket(Bucket=f"{bucket}-locked", ObjectLockEnabledForBucket=True)
    done = moving(app, "--to", seaweed.url(f"{bucket}-locked"))
    assert (done.exit_code, "Object Lock" in done.output) == (1, True)


def test_the_same_folder_under_another_name_is_not_emptied(house: House, brittany: Family, app: Flask, tmp_path: Path) -> None:
    before = contents(house.storage)
    (tmp_path / "by another way").symlink_to(house.settings.data / "photos")
    for name in (house.settings.data / "photos", tmp_path / "by another way"):
        done = moving(app, "--from", str(name), "--remove-source")
        assert (done.exit_code, "the same storage twice" in done.output) == (1, True), done.output
        assert contents(house.storage) == before


def test_the_same_bucket_under_another_name_is_not_emptied(
    house: House, brittany: Family, app: Flask, url: str, there: Storage
) -> None:
    assert moving(app, "--to", url).exit_code == 0
    before = contents(there)
    later = create_app(house.settings, replace(now_using(house, url), storage=there))
    done = moving(later, "--from", f"{url}&region=us-east-1", "--remove-source")
    assert (done.exit_code, "the same storage twice" in done.output, contents(there)) == (1, True, before), done.output


def test_what_is_not_ours_is_left_where_it_is(house: House, brittany: Family, app: Flask, tmp_path: Path) -> None:
    others = Local(tmp_path / "others")
    writer = others.create("albums/theirs/photo")
    writer.write(b"a photo of somebody else's")
    writer.commit()
    done = moving(app, "--from", str(tmp_path / "others"), "--remove-source")
    assert (done.exit_code, "1 objects in the old storage belong to no album" in done.output) == (0, True), done.output
    assert contents(others) == {"albums/theirs/photo": b"a photo of somebody else's"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "the same storage twice"),
        (("--from", "local", "--to", "local"), "the same storage twice"),
        (("--to", "s3://"), "needs to look like"),
        (("--to", "s3:/bucket/kinfold"), "needs to look like"),
        (("--from", "/somewhere", "--to", "/elsewhere"), "has to be the storage that Kinfold uses now"),
        (("--to", "/elsewhere", "--remove-source"), "still uses the old storage"),
    ],
)
def test_what_can_not_be_meant(app: Flask, words: tuple[str, ...], says: str) -> None:
    done = moving(app, *words)
    assert (done.exit_code, says in done.output, "Traceback" in done.output) == (1, True, False), done.output
