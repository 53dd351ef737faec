"""From an upload to a photo: nothing acknowledged is lost, whatever happens in between, and nothing is kept that should be gone."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from io import BytesIO

import pytest
import sqlalchemy as sa
from PIL import Image
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.albums import jobs as album_jobs
from app.albums.service import REMOVE_OBJECTS
from app.clock import HandClock
from app.house import House
from app.ingest import jobs as ingest_jobs
from app.ingest import service
from app.ingest.decoding import Decoded, Decoder, DecoderMissing, NotDecoded
from app.ingest.service import PREPARE_PHOTO, Taken
from app.jobs import port
from app.jobs.memory import InMemoryJobs
from app.jobs.port import Stopping
from app.media import jobs as media_jobs
from app.media import service as media
from app.media.models import Photo, PhotoState, Rendition, Upload
from app.ops.worker import handlers
from app.storage.memory import InMemory
from app.storage.models import Removal
from app.storage.port import StorageFailed
from tests.conftest import Family


class ScriptedDecoder(Decoder):
    """The real interface with an answer that a test chooses: something to return, something to raise, or something to do first."""

    def __init__(self, *answers: object) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked = 0

    def stand_by(self) -> None:
        """Nothing to start: what a test does not script, `decode` starts itself."""

    def decode(self, data: bytes | Iterable[bytes], *, group: str, size: int) -> Decoded | NotDecoded:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            assert isinstance(answer, Decoded | NotDecoded)
            return answer
        return super().decode(data, group=group, size=size)


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    made = Decoder()
    yield made
    made.close()


@pytest.fixture
def album(smiths: Family) -> Family:
    smiths.album("Brittany 2026")
    return smiths


def work(house: House, decoder: Decoder) -> InMemoryJobs:
    """A worker does all there is to do."""
    assert isinstance(house.jobs, InMemoryJobs)
    house.jobs.run_all(handlers(house, decoder))
    return house.jobs


def sweep(house: House) -> None:
    ingest_jobs.enqueue_forgotten_uploads(house)
    ingest_jobs.drop_old_uploads(house)
    album_jobs.enqueue_forgotten_removals(house)


def delete(album: Family, photos: list[str]) -> int:
    """Anna deletes photos of her album."""
    house = album.house
    with house.database.writing() as session:
        at, album_id = house.clock.now(), album.albums["Brittany 2026"].id
        return media.delete_photos(session, album.owner, album=album_id, photos=photos, jobs=house.jobs, at=at)


def look(house: House, photo: str) -> Photo:
    with house.database.reading() as session:
        row = session.get(Photo, photo)
        assert row is not None
        return row


def objects(house: House) -> set[str]:
    return {stored.name for stored in house.storage.list("albums/")}


def claimed(session: Session) -> set[str]:
    return set(session.scalars(sa.select(Rendition.object_name))) | set(
        session.scalars(sa.select(Upload.object_name).where(Upload.object_name.is_not(None)))
    )


def assert_tidy(house: House) -> None:
    """Storage holds what rows point to and nothing else; no promise to remove is open."""
    with house.database.reading() as session:
        assert objects(house) == claimed(session)
        assert not session.scalars(sa.select(Removal)).all()


def picture(taken: str = "2026:07:14 10:11:12") -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = taken
    exif.get_ifd(0x8825)[1] = "N"
    out = BytesIO()
    Image.effect_noise((640, 480), 40).convert("RGB").save(out, "JPEG", exif=exif)
    return out.getvalue()


def test_a_photo_becomes_ready_and_its_upload_is_destroyed(album: Family, decoder: Decoder) -> None:
    photo = album.upload("Brittany 2026", picture())
    work(album.house, decoder)
    row = look(album.house, photo)
    assert row.state is PhotoState.READY
    assert row.taken_at == datetime(2026, 7, 14, 10, 11, 12)
    assert (row.width, row.height) == (640, 480)
    assert "place" in row.removed and "time" in row.removed
    with album.house.database.reading() as session:
        assert session.get(Upload, photo) is None
        names = session.scalars(sa.select(Rendition.name).where(Rendition.photo_id == photo)).all()
    assert sorted(names) == ["full", "grid", "screen"]
    assert len(objects(album.house)) == 3
    assert_tidy(album.house)


def test_a_job_that_is_done_twice_changes_nothing(album: Family, decoder: Decoder) -> None:
    photo = album.upload("Brittany 2026", picture())
    work(album.house, decoder)
    before = objects(album.house)
    handlers(album.house, decoder)[PREPARE_PHOTO](photo)
    assert objects(album.house) == before


@pytest.mark.parametrize(
    ("content", "reason", "kept"),
    [
        (b"this is a letter, not a picture" * 9, "not-a-picture", False),
        (picture()[:3000], "broken", True),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(200), "broken", True),
        (b"OggS" + bytes(200), "film-unsupported", False),
    ],
)
def test_what_is_no_photo_is_refused_with_its_reason(
    album: Family, decoder: Decoder, content: bytes, reason: str, kept: bool
) -> None:
    photo = album.upload("Brittany 2026", content, "holiday.jpg")
    work(album.house, decoder)
    row = look(album.house, photo)
    assert (row.state, row.reason) == (PhotoState.REFUSED, reason)
    assert bool(objects(album.house)) is kept
    with album.house.database.reading() as session:
        unfinished = service.list_in_states(session, album=album.albums["Brittany 2026"], states=[PhotoState.REFUSED])
    assert [name for _, _, name in unfinished] == ["holiday.jpg"]
    assert_tidy(album.house)


def test_the_file_of_a_refused_photo_is_kept_a_week_and_then_destroyed(album: Family, clock: HandClock) -> None:
    photo = album.upload("Brittany 2026", picture())
    work(album.house, ScriptedDecoder(NotDecoded("failed")))
    clock.move(timedelta(days=6, hours=23))
    sweep(album.house)
    assert len(objects(album.house)) == 1
    clock.move(timedelta(hours=2))
    sweep(album.house)
    work(album.house, ScriptedDecoder(NotDecoded("failed")))
    assert not objects(album.house)
    with album.house.database.reading() as session:
        upload = session.get(Upload, photo)
        assert upload is not None and upload.wrapped_key is None


def test_try_again_gives_a_refused_photo_another_chance(album: Family, decoder: Decoder) -> None:
    photo = album.upload("Brittany 2026", picture())
    work(album.house, ScriptedDecoder(NotDecoded("failed")))
    with album.house.database.writing() as session:
        row = session.get(Photo, photo)
        assert row is not None
        service.retry(session, photo=row, jobs=album.house.jobs, at=album.house.clock.now())
    work(album.house, decoder)
    assert look(album.house, photo).state is PhotoState.READY
    assert_tidy(album.house)


def test_sending_a_refused_file_again_gives_it_another_chance_too(album: Family, decoder: Decoder) -> None:
    content = picture()
    photo = album.upload("Brittany 2026", content)
    work(album.house, ScriptedDecoder(NotDecoded("failed")))
    assert album.upload("Brittany 2026", content) == photo
    work(album.house, decoder)
    assert look(album.house, photo).state is PhotoState.READY
    assert_tidy(album.house)


def test_a_file_that_kills_its_worker_is_given_up_after_three_attempts(album: Family) -> None:
    photo = album.upload("Brittany 2026", picture())
    killer = ScriptedDecoder(RuntimeError("killed"))
    for _ in range(3):
        work(album.house, killer)
        assert look(album.house, photo).state is PhotoState.RECEIVED
        sweep(album.house)
    work(album.house, killer)
    assert killer.asked == 3
    assert (look(album.house, photo).state, look(album.house, photo).reason) == (PhotoState.REFUSED, "failed")


def test_a_broken_installation_refuses_nothing(album: Family, decoder: Decoder) -> None:
    """When the decoder can't even start, photos wait; they are not blamed."""
    photo = album.upload("Brittany 2026", picture())
    for _ in range(5):
        work(album.house, ScriptedDecoder(DecoderMissing()))
        sweep(album.house)
    assert look(album.house, photo).state is PhotoState.RECEIVED
    work(album.house, decoder)
    assert look(album.house, photo).state is PhotoState.READY


@contextmanager
def commits_fail(house: House, times: int, *, kept: bool) -> Iterator[None]:
    """The database fails at so many commits, before it keeps anything or, with `kept`, when only its answer is lost."""
    left = times

    def fail(_: Session) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise OperationalError("COMMIT", None, Exception("database or disk is full"))

    moment = "after_commit" if kept else "before_commit"
    event.listen(Session, moment, fail)
    try:
        yield
    finally:
        event.remove(Session, moment, fail)


@pytest.mark.parametrize("kept", [False, True], ids=["nothing is kept", "only the answer is lost"])
def test_a_database_that_fails_when_the_outcome_is_written_costs_no_attempt_and_no_photo(
    album: Family, decoder: Decoder, clock: HandClock, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    monkeypatch.setattr(port, "ASK_AGAIN", 0.01)
    photo = album.upload("Brittany 2026", picture())
    house, fails = album.house, ExitStack()

    def then_the_database_fails() -> None:
        fails.enter_context(commits_fail(house, 1 if kept else 4, kept=kept))

    with fails:
        scripted = ScriptedDecoder(then_the_database_fails)
        assert work(house, scripted).failures == []
        scripted.close()
    assert (look(house, photo).state, scripted.asked) == (PhotoState.READY, 1)
    clock.move(timedelta(minutes=2))
    sweep(house)
    work(house, decoder)
    assert_tidy(house)


def test_a_worker_that_stops_while_the_database_fails_leaves_its_photo_to_the_next(album: Family) -> None:
    photo, stop = album.upload("Brittany 2026", picture()), threading.Event()
    fails = ExitStack()

    def then_the_database_fails() -> NotDecoded:
        fails.enter_context(commits_fail(album.house, 1, kept=False))
        stop.set()
        return NotDecoded("broken")

    with fails, pytest.raises(Stopping):
        handlers(album.house, ScriptedDecoder(then_the_database_fails), stop)[PREPARE_PHOTO](photo)
    assert look(album.house, photo).state is PhotoState.RECEIVED


def test_a_worker_that_has_lost_the_database_gives_back_what_it_has_in_hand(
    album: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_jobs, "ASK_AGAIN", 0.01)
    photo, house, in_hand = album.upload("Brittany 2026", picture()), album.house, dict[str, Taken]()

    def tried() -> int:
        with house.database.reading() as session:
            return session.scalars(sa.select(Upload.attempts).where(Upload.photo_id == photo)).one()

    def the_worker_ends() -> RuntimeError:
        assert (tried(), list(in_hand)) == (1, [photo])
        with commits_fail(house, 2, kept=False):
            ingest_jobs.give_back(house, in_hand, threading.Event())
        assert tried() == 0
        return RuntimeError("and here it is gone")

    with pytest.raises(RuntimeError):
        handlers(house, ScriptedDecoder(the_worker_ends), in_hand=in_hand)[PREPARE_PHOTO](photo)
    assert not in_hand


class Breaks(InMemory):
    """A storage whose writes fail from the n-th on, until it is mended."""

    def __init__(self, clock: HandClock, after: int) -> None:
        super().__init__(clock)
        self.left = after

    def create(self, name: str):  # type: ignore[no-untyped-def]
        self.left -= 1
        if self.left < 0:
            raise StorageFailed("disk-full")
        return super().create(name)


@pytest.mark.parametrize("survives", [1, 2, 3])
def test_a_disk_that_fills_up_in_the_middle_loses_nothing(
    album: Family, decoder: Decoder, clock: HandClock, survives: int
) -> None:
    storage = Breaks(clock, survives)
    object.__setattr__(album.house, "storage", storage)
    photo = album.upload("Brittany 2026", picture())
    work(album.house, decoder)
    assert look(album.house, photo).state is PhotoState.RECEIVED
    storage.left = 1000
    sweep(album.house)
    work(album.house, decoder)
    assert look(album.house, photo).state is PhotoState.READY
    hours = 0.0
    tidy = media_jobs.UnclaimedObjects(album.house, lambda: hours * 3600)
    tidy()
    hours = 25
    tidy()
    assert_tidy(album.house)


def test_objects_are_not_tidied_away_because_a_clock_is_wrong_or_a_database_is_another(album: Family, clock: HandClock) -> None:
    for each in range(250):
        writer = album.house.storage.create(f"albums/{'x' * 26}/object{each}")
        writer.commit()
    hours = 0.0
    tidy = media_jobs.UnclaimedObjects(album.house, lambda: hours * 3600)
    tidy()
    clock.move(timedelta(days=400))
    tidy()
    hours = 25
    tidy()
    assert len(objects(album.house)) == 250, "most objects without a row: the database is wrong, not the photos"


def test_a_photo_that_is_deleted_while_it_is_prepared_leaves_nothing(album: Family, decoder: Decoder) -> None:
    photo = album.upload("Brittany 2026", picture())

    def delete_meanwhile() -> None:
        delete(album, [photo])

    work(album.house, ScriptedDecoder(delete_meanwhile))
    with album.house.database.reading() as session:
        assert session.get(Photo, photo) is None
    assert not objects(album.house)


def test_deleting_photos_destroys_keys_rows_and_objects(album: Family, decoder: Decoder) -> None:
    photos = [album.photo("Brittany 2026") for _ in range(3)]
    album.upload("Brittany 2026", picture())
    deleted = delete(album, [*photos[:2], photos[0], "nonsense"])
    assert deleted == 2
    work(album.house, decoder)
    with album.house.database.reading() as session:
        assert {photo.id for photo in session.scalars(sa.select(Photo))} >= {photos[2]}
        assert not session.scalars(sa.select(Rendition).where(Rendition.photo_id.in_(photos[:2]))).all()
    assert_tidy(album.house)


def test_a_removal_that_storage_refused_is_tried_again(album: Family, decoder: Decoder, clock: HandClock) -> None:
    photo = album.photo("Brittany 2026")
    work(album.house, decoder)

    def down(name: str) -> None:
        raise StorageFailed("unreachable")

    assert isinstance(album.house.storage, InMemory)
    album.house.storage.delete = down  # type: ignore[method-assign]
    delete(album, [photo])
    work(album.house, decoder)
    assert len(objects(album.house)) == 3
    del album.house.storage.delete
    clock.move(timedelta(minutes=2))
    album_jobs.enqueue_forgotten_removals(album.house)
    work(album.house, decoder)
    assert_tidy(album.house)


def test_a_lost_job_is_found_by_the_sweep(album: Family, decoder: Decoder) -> None:
    photo = album.upload("Brittany 2026", picture())
    object.__setattr__(album.house, "jobs", InMemoryJobs())  # as if the engine had forgotten everything
    work(album.house, decoder)
    assert look(album.house, photo).state is PhotoState.RECEIVED
    sweep(album.house)
    work(album.house, decoder)
    assert look(album.house, photo).state is PhotoState.READY


def test_an_upload_that_storage_lost_is_said_to_be_lost(album: Family, decoder: Decoder) -> None:
    photo = album.upload("Brittany 2026", picture())
    for name in objects(album.house):
        album.house.storage.delete(name)
    work(album.house, decoder)
    assert (look(album.house, photo).state, look(album.house, photo).reason) == (PhotoState.REFUSED, "lost")


def test_photos_are_numbered_and_ordered_by_when_they_were_taken(album: Family, decoder: Decoder) -> None:
    for taken in ("2026:07:16 09:00:00", "2026:07:14 09:00:00", "2026:07:15 09:00:00"):
        album.upload("Brittany 2026", picture(taken=taken))
    work(album.house, decoder)
    with album.house.database.reading() as session:
        page = media.photo_page(session, album=album.albums["Brittany 2026"].id)
    assert [photo.number for photo in page.photos] == [2, 3, 1]


def test_a_groups_quota_counts_what_is_stored_now(album: Family, decoder: Decoder) -> None:
    group = album.owner.group

    def left() -> int:
        with album.house.database.reading() as session:
            return service.room_left(session, group=group, quota=1_000_000)

    assert left() == 1_000_000
    content = picture()
    photo = album.upload("Brittany 2026", content)
    assert left() == 1_000_000 - len(content)
    work(album.house, decoder)
    stored = 1_000_000 - left()
    with album.house.database.reading() as session:
        assert stored == session.scalars(sa.select(sa.func.sum(Rendition.size)).where(Rendition.photo_id == photo)).one()
    delete(album, [photo])
    assert left() == 1_000_000


def test_removing_is_one_job_for_each_object(album: Family) -> None:
    assert REMOVE_OBJECTS in handlers(album.house, ScriptedDecoder(None))
