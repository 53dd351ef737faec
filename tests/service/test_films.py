"""From an upload to a video that can be seen: what is written down on the way, and what of a Live Photo stays."""

import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image

from app.house import House
from app.ingest import jobs as ingest_jobs
from app.ingest import service
from app.ingest.decoding import Decoded, Decoder, NotDecoded
from app.ingest.filming import Filming
from app.ingest.service import PREPARE_FILM, PREPARE_PHOTO
from app.jobs.memory import InMemoryJobs
from app.jobs.port import Stopping
from app.media import service as media
from app.media.models import Photo, PhotoKind, PhotoState, Rendition, RenditionName, Upload
from app.ops.worker import handlers
from app.storage.port import StorageFailed
from tests.conftest import Family
from tests.made_films import apple_words, film, with_boxes

ALBUM = "Brittany 2026"


class Pairing(Decoder):
    """The real decoder, for whom every still belongs to the same Live Photo."""

    def stand_by(self) -> None:
        pass

    def decode(self, data: bytes | Iterable[bytes], *, group: str, size: int) -> Decoded | NotDecoded:
        made = super().decode(data, group=group, size=size)
        return replace(made, pair="A1B2-C3D4") if isinstance(made, Decoded) else made


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    made = Pairing()
    yield made
    made.close()


@pytest.fixture
def album(smiths: Family) -> Family:
    smiths.album(ALBUM)
    return smiths


def work(house: House, decoder: Decoder) -> InMemoryJobs:
    assert isinstance(house.jobs, InMemoryJobs)
    house.jobs.run_all(handlers(house, decoder))
    return house.jobs


def still() -> bytes:
    out = BytesIO()
    Image.new("RGB", (64, 48), "red").save(out, "JPEG")
    return out.getvalue()


def moving(*, pair: str = "A1B2-C3D4", seconds: int = 1) -> bytes:
    picture = f"testsrc2=size=96x64:rate=15:duration={seconds}"
    return with_boxes(film("-pix_fmt", "yuv420p", picture=picture, ending="mov"), apple_words(content_identifier=pair))


def rows(house: House) -> list[Photo]:
    with house.database.reading() as session:
        return list(session.scalars(sa.select(Photo).order_by(Photo.number)))


def stored(house: House) -> int:
    return sum(1 for _ in house.storage.list("albums/"))


def test_a_film_becomes_a_video_with_four_renditions(album: Family, decoder: Decoder) -> None:
    house = album.house
    photo = album.upload(ALBUM, film("-pix_fmt", "yuv420p"), "VID_0001.mp4")
    jobs = work(house, decoder)
    assert jobs.failures == []
    (row,) = rows(house)
    assert (row.kind, row.state, row.width, row.height) == (PhotoKind.VIDEO, PhotoState.READY, 96, 64)
    assert 900 <= (row.duration or 0) <= 1200
    with house.database.reading() as session:
        assert session.get(Upload, photo) is None
        renditions = session.scalars(sa.select(Rendition).where(Rendition.photo_id == photo)).all()
        assert {each.name for each in renditions} == set(RenditionName)
        assert row.stored == sum(each.size for each in renditions)
    assert stored(house) == 4


def test_how_far_it_is_is_written_down_and_a_deleted_one_is_left(
    album: Family, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ingest.filming.TELL_SECONDS", 0.2)
    house, noted = album.house, []
    photo = album.upload(ALBUM, film("-c:v", "mpeg4", picture="testsrc2=size=640x480:rate=30:duration=20", sound=None))
    real = service.note_progress

    def note(session, *, waiting, percent):  # type: ignore[no-untyped-def]
        going = real(session, waiting=waiting, percent=percent)
        session.flush()
        upload = session.get(Upload, photo)
        noted.append(upload.progress if upload else None)
        if len(noted) == 3:
            album_id = album.albums[ALBUM].id
            media.delete_photos(session, album.owner, album=album_id, photos=[photo], jobs=house.jobs, at=house.clock.now())
        return going

    monkeypatch.setattr(service, "note_progress", note)
    assert work(house, decoder).failures == []
    assert noted[0] == 0 and noted[-1] is None and 4 <= len(noted) < 8, "it went on for nobody"
    assert rows(house) == [] and stored(house) == 0


def test_stopping_uses_up_no_attempt_and_a_broken_storage_neither(
    album: Family, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = album.house
    photo = album.upload(ALBUM, film("-pix_fmt", "yuv420p"))
    todo = handlers(house, decoder)
    todo[PREPARE_PHOTO](photo)
    for failure in (Stopping(), StorageFailed("away"), Stopping(), StorageFailed("away")):

        def fail(*_: object, failure: BaseException = failure, **__: object) -> None:
            raise failure

        with monkeypatch.context() as broken, pytest.raises(type(failure)):
            broken.setattr(Filming, "make", fail)
            todo[PREPARE_FILM](photo)
        with house.database.reading() as session:
            upload = session.get(Upload, photo)
            assert upload is not None and upload.attempts == 0
    todo[PREPARE_FILM](photo)
    assert rows(house)[0].state is PhotoState.READY


def test_a_film_that_kills_its_worker_is_given_up(album: Family, decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = album.upload(ALBUM, film("-pix_fmt", "yuv420p"))
    todo = handlers(album.house, decoder)
    todo[PREPARE_PHOTO](photo)

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    monkeypatch.setattr(Filming, "make", die)
    for _ in range(3):
        with pytest.raises(SystemExit):
            todo[PREPARE_FILM](photo)
    todo[PREPARE_FILM](photo)
    assert [(row.state, row.reason) for row in rows(album.house)] == [(PhotoState.REFUSED, "failed")]


def test_a_film_whose_ffmpeg_is_killed_each_time_is_given_up(
    album: Family, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a kernel that is out of memory: each time counts, it waits behind others, and what was written for it goes."""
    listen, killed = Filming._listen, []

    def kill(self: Filming, process: subprocess.Popen[bytes], *rest: Any) -> str:
        if "libx264" in process.args:  # grid and screen are written by then
            process.kill()
            killed.append(process)
        return listen(self, process, *rest)

    monkeypatch.setattr(Filming, "_listen", kill)
    album.upload(ALBUM, film("-pix_fmt", "yuv420p"))
    assert work(album.house, decoder).failures == []
    assert len(killed) == 3
    assert [(row.state, row.reason) for row in rows(album.house)] == [(PhotoState.REFUSED, "failed")]
    assert stored(album.house) == 1, "only the file itself is kept, for a week"


def test_a_refused_film_leaves_nothing_and_can_be_tried_again(album: Family, decoder: Decoder) -> None:
    house = album.house
    broken = film("-pix_fmt", "yuv420p")[:3000]
    photo = album.upload(ALBUM, broken)
    work(house, decoder)
    assert [(row.kind, row.state, row.reason) for row in rows(house)] == [(PhotoKind.VIDEO, PhotoState.REFUSED, "broken")]
    assert stored(house) == 1, "only the file itself is kept, for a week"
    with house.database.writing() as session:
        row = session.get(Photo, photo)
        assert row is not None
        service.retry(session, photo=row, jobs=house.jobs, at=house.clock.now())
    work(house, decoder)
    assert rows(house)[0].reason == "broken"


def test_a_sweep_finds_a_forgotten_film(album: Family, decoder: Decoder) -> None:
    house = album.house
    photo = album.upload(ALBUM, film("-pix_fmt", "yuv420p"))
    handlers(house, decoder)[PREPARE_PHOTO](photo)
    assert isinstance(house.jobs, InMemoryJobs)
    house.jobs.run_all({PREPARE_PHOTO: lambda _: None, PREPARE_FILM: lambda _: None})  # and nothing came of it
    ingest_jobs.enqueue_forgotten_uploads(house)
    with house.database.reading() as session:
        assert house.jobs.live_subjects(session, PREPARE_FILM) == {photo}
    work(house, decoder)
    assert rows(house)[0].state is PhotoState.READY


@pytest.mark.parametrize("first", ["still", "film"])
def test_of_a_live_photo_the_still_stays(album: Family, decoder: Decoder, first: str) -> None:
    house = album.house
    for content in (still(), moving()) if first == "still" else (moving(), still()):
        album.upload(ALBUM, content)
        work(house, decoder)
    (row,) = rows(house)
    assert (row.kind, row.state) == (PhotoKind.PHOTO, PhotoState.READY)
    assert "film" in row.removed
    assert row.pair is not None and b"A1B2-C3D4" not in row.pair
    assert stored(house) == 3
    with house.database.reading() as session:
        assert media.count(session, album=album.albums[ALBUM].id) == media.Counts(ready=1)


def test_a_long_film_or_one_of_another_pair_or_album_stays(album: Family, decoder: Decoder) -> None:
    house = album.house
    album.album("Another")
    album.upload("Another", moving())
    for content in (still(), moving(pair="A1B2-C3D5"), moving(seconds=7)):
        album.upload(ALBUM, content)
    work(house, decoder)
    assert [row.state for row in rows(house)] == [PhotoState.READY] * 4
