"""A house whose photos are in a bucket: when it refuses to start, when it hides everything, and what is left of a deleted photo."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import create_app, instance
from app.albums.jobs import keep_promise
from app.errors import PhotosHidden, WrongSetting
from app.house import House, check_they_belong_together
from app.instance import Instance
from app.media import service as media
from app.media.models import Rendition
from app.ops.exposure import check_storage, watch
from app.security.permissions import Asks
from app.security.sealing import SealBroken
from app.storage.local import Local
from app.storage.memory import InMemory
from app.storage.models import Removal
from app.storage.port import StorageFailed
from app.storage.s3 import S3
from app.storage.sealed import Sealed, SealedKey
from app.viewing.media import see
from app.web.viewer import cookie_name
from tests import postgres
from tests.conftest import Family, found, tiny_jpeg
from tests.lint import LintingClient
from tests.seaweed import KEYS, OTHER_KEYS, Seaweed
from tests.server import PROJECT, Browser, Server, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def bucket(seaweed: Seaweed) -> str:
    return seaweed.bucket()


@pytest.fixture
def house(make_house: Callable[..., House], seaweed: Seaweed, bucket: str) -> House:
    return replace(make_house(), storage=seaweed.storage(bucket))


@pytest.fixture
def brittany(house: House) -> Family:
    """Anna's family with an album of two photos, in the bucket."""
    family = found(house, group_name="The Smiths", name="Anna", email="anna@example.org")
    family.album("Brittany 2026")
    for _ in range(2):
        family.photo("Brittany 2026")
    return family


@pytest.fixture
def anna(house: House, brittany: Family) -> LintingClient:
    client = LintingClient(create_app(house.settings, house))
    client.set_cookie(cookie_name(Asks.MEMBER, https=False), brittany.cookie, domain=client.domain)
    return client


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What others have stored is looked at at every request."""
    monkeypatch.setattr(instance, "LOOK_EVERY", 0)


# --- at the start


def test_a_closed_bucket_is_fine(house: House, brittany: Family, caplog: pytest.LogCaptureFixture) -> None:
    check_storage(house)
    assert caplog.records == []


def test_an_open_bucket_is_refused(house: House, seaweed: Seaweed, bucket: str) -> None:
    seaweed.open_to_strangers(bucket)
    with pytest.raises(WrongSetting, match="Strangers can read the storage"):
        check_storage(house)
    assert instance.is_hidden(house.database), "whoever is running already hides its photos"


def test_a_locked_bucket_is_refused(house: House, seaweed: Seaweed, bucket: str) -> None:
    seaweed.client().create_bucket(Bucket=f"{bucket}-locked", ObjectLockEnabledForBucket=True)
    with pytest.raises(WrongSetting, match="Object Lock"):
        check_storage(replace(house, storage=seaweed.storage(f"{bucket}-locked")))


def test_a_bucket_with_versions_is_warned_about(
    house: House, seaweed: Seaweed, bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    seaweed.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    check_storage(house)
    assert "Suspend versioning" in caplog.text


@pytest.mark.parametrize("keys", [OTHER_KEYS, {**KEYS, "AWS_SECRET_ACCESS_KEY": "wrong"}])
def test_keys_that_do_not_fit_are_refused(house: House, seaweed: Seaweed, bucket: str, keys: dict[str, str]) -> None:
    with pytest.raises(WrongSetting, match="AWS_SECRET_ACCESS_KEY"):
        check_storage(replace(house, storage=seaweed.storage(bucket, keys=keys)))


def test_a_bucket_that_is_not_there_is_refused(house: House, seaweed: Seaweed) -> None:
    with pytest.raises(WrongSetting, match="NoSuchBucket"):
        check_storage(replace(house, storage=seaweed.storage("never-made")))


def test_a_storage_that_can_not_be_reached_is_no_reason_not_to_start(
    house: House, make_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("app.storage.s3.TRIES", 1)
    away = S3("s3://bucket?endpoint=http://127.0.0.1:9")
    check_they_belong_together(house.database, away)
    check_storage(replace(house, storage=away))
    assert "can't be reached" in caplog.text
    client = LintingClient(create_app(house.settings, replace(house, storage=away)))
    assert (client.get("/readyz").status_code, client.get("/healthz").status_code) == (503, 200)


@pytest.mark.parametrize("other", ["memory", "local", "s3"])
def test_photos_that_are_in_another_storage_are_missed(
    house: House, brittany: Family, seaweed: Seaweed, tmp_path: Path, other: str
) -> None:
    empty = {"memory": InMemory, "local": lambda: Local(tmp_path / "elsewhere"), "s3": seaweed.storage}[other]()
    with pytest.raises(WrongSetting, match="flask move-storage"):
        check_storage(replace(house, storage=empty))


def test_some_photos_that_are_missing_are_no_reason_to_refuse(house: House, brittany: Family) -> None:
    with house.database.reading() as session:
        names = session.scalars(sa.select(Rendition.object_name)).all()
    house.storage.delete(*names[1:])
    check_storage(house)


# --- while it runs


def test_an_open_bucket_hides_everything_until_it_is_closed(
    house: House, anna: LintingClient, seaweed: Seaweed, bucket: str, at_once: None, caplog: pytest.LogCaptureFixture
) -> None:
    watch(house)
    albums = anna.get("/albums", headers={"Accept": "application/json"}).json
    assert albums is not None
    picture = anna.get(f"/albums/{albums['albums'][0]['id']}").text.partition('src="/m/')[2].partition('"')[0]
    assert anna.get(f"/m/{picture}").status_code == 200

    seaweed.open_to_strangers(bucket)
    watch(house)
    assert '"Principal": "*"' in caplog.text
    for address in ("/", "/albums", "/sign-in", "/shared", "/nowhere"):
        page = anna.get(address)
        assert (page.status_code, "Photos are hidden for now" in page.text) == (503, True), address
    assert anna.get("/albums", headers={"Accept": "application/json"}).json == {"error": "hidden"}
    assert anna.get(f"/m/{picture}").status_code == 503
    assert anna.get(f"/m/{picture}", headers={"Range": "bytes=0-10"}).status_code == 503
    assert anna.get("/readyz").status_code == 503
    assert anna.get("/healthz").status_code == 200
    assert anna.get("/robots.txt").status_code == 200
    style = anna.get("/albums").text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    assert style.startswith("/static/") and anna.get(style).status_code == 200

    watch(house)
    assert anna.get("/albums").status_code == 503
    seaweed.close_to_strangers(bucket)
    watch(house)
    assert anna.get("/albums").status_code == 200
    assert anna.get(f"/m/{picture}").status_code == 200
    assert anna.get("/readyz").status_code == 200


def test_a_look_that_tells_nothing_changes_nothing(
    house: House, seaweed: Seaweed, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_name: str) -> bool:
        raise StorageFailed("unreachable")

    for hidden in (False, True):
        if hidden:
            seaweed.open_to_strangers(bucket)
            watch(house)
        with monkeypatch.context() as broken:
            broken.setattr(house.storage, "shown_to_strangers", fails)
            with pytest.raises(StorageFailed):
                watch(house)
        assert instance.is_hidden(house.database) is hidden
    seaweed.close_to_strangers(bucket)
    watch(house)
    assert not instance.is_hidden(house.database)


def test_a_long_answer_stops_when_photos_are_hidden(house: House, brittany: Family, at_once: None) -> None:
    with house.database.writing() as session:
        session.execute(sa.update(Instance).values(exposed_at=house.clock.now()))
    with pytest.raises(PhotosHidden):
        see(house, photo=brittany.photos["Brittany 2026"][0], rendition="full", kind="member", save=True, cookie=b"")


# --- attack 9, the last sentence


def test_the_old_version_of_a_deleted_photo_can_not_be_opened(
    house: House, brittany: Family, seaweed: Seaweed, bucket: str, tmp_path: Path
) -> None:
    """Somebody kept every object of the bucket, and has the database as it is now and the master key."""
    client, album = seaweed.client(), brittany.albums["Brittany 2026"]
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    gone, stays = brittany.photos["Brittany 2026"]
    with house.database.reading() as session:
        rows = session.scalars(sa.select(Rendition).where(Rendition.photo_id == gone)).all()
        kept = session.scalars(sa.select(Rendition).where(Rendition.photo_id == stays)).all()
    copies = {row.object_name: client.get_object(Bucket=bucket, Key=f"kinfold/{row.object_name}")["Body"].read() for row in rows}
    for row in rows:  # a second version, so that the bucket keeps the first
        client.put_object(Bucket=bucket, Key=f"kinfold/{row.object_name}", Body=copies[row.object_name])

    with house.database.writing() as session:
        media.delete_photos(session, brittany.owner, album=album.id, photos=[gone], jobs=house.jobs, at=house.clock.now())
    storage = seaweed.storage(bucket)  # has not looked yet whether versions are kept
    with house.database.reading() as session:
        promised = session.scalars(sa.select(Removal.id)).all()
    for removal in promised:
        keep_promise(replace(house, storage=storage), removal)
    house.database.flatten()

    left = client.list_object_versions(Bucket=bucket)
    assert not {f"kinfold/{name}" for name in copies} & {
        each["Key"] for kind in ("Versions", "DeleteMarkers") for each in left.get(kind, [])
    }
    for name, content in copies.items():
        client.put_object(Bucket=bucket, Key=f"kinfold/{name}", Body=content)
    for row in rows:
        for other in kept:
            sealed = Sealed(storage, album.key, {row.object_name: SealedKey(other.wrapped_key, row.size)})
            with pytest.raises(SealBroken):
                b"".join(sealed.read(row.object_name))
    if not postgres.EVERYWHERE:
        files = b"".join(path.read_bytes() for path in tmp_path.glob("kinfold.sqlite3*"))
        assert kept[0].wrapped_key in files, "the search finds what is there"
        assert not any(row.wrapped_key in files for row in rows)


# --- the whole server


@pytest.fixture
def server(tmp_path: Path, seaweed: Seaweed, bucket: str) -> Server:
    return Server(tmp_path, KINFOLD_STORAGE_URL=seaweed.url(bucket), **postgres.KEYS, **KEYS)


def test_a_whole_server_on_a_bucket(server: Server, seaweed: Seaweed, bucket: str) -> None:
    """A photo comes in and is shown; the bucket is opened and everything hidden; it is closed, and all is well again."""
    server.start()
    try:
        anna = Browser(server.base)
        anna.set_up(server.set_up_address())
        album = f"/albums/{anna.album('Brittany')}"
        assert anna.upload(f"{album}/photos", anna.token(album), ("IMG_1.jpg", tiny_jpeg())).status == 202
        picture = wait_for(lambda: re.findall(r'src="(/m/[^"]+)"', anna.get(album).body.decode()), "the photo to be ready", 60)[0]
        assert anna.get(picture).status == 200
        stored = seaweed.client().list_objects_v2(Bucket=bucket)["Contents"]
        assert len([each for each in stored if "/check/" not in each["Key"]]) == 3, "the upload is gone, the renditions are there"
        assert not any((server.folder / "var").rglob("photos")), "nothing lies on this machine"

        seaweed.open_to_strangers(bucket)
        (worker,) = server.children("\0worker")
        os.kill(worker, signal.SIGKILL)  # the next one looks at once
        wait_for(lambda: anna.get(album).status == 503 and anna.get(picture).status == 503, "everything to be hidden", 30)
        assert (server.get_status("/readyz"), server.get_status("/healthz")) == (503, 200)

        seaweed.close_to_strangers(bucket)
        wait_for(lambda: anna.get(picture).status == 200 and server.get_status("/readyz") == 200, "everything to be back", 60)
    finally:
        server.stop()


def test_a_whole_server_does_not_start_on_an_open_bucket(server: Server, seaweed: Seaweed, bucket: str) -> None:
    seaweed.open_to_strangers(bucket)
    for command in (
        ["-m", "flask", "--app", "wsgi:app", "serve"],
        ["-m", "flask", "--app", "wsgi:app", "worker"],
        ["-c", "import wsgi"],
    ):
        done = subprocess.run(
            [sys.executable, *command], cwd=PROJECT, env=server._env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode != 0
        assert "Kinfold can't start. Strangers can read the storage." in done.stderr
        assert "Traceback" not in done.stderr
