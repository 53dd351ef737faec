"""`flask doctor --prove`: what is stored is proven once more, and what fails is told, and hidden when that is asked for."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from app.albums.models import Album
from app.config import Settings
from app.house import House, open_house
from app.ids import new_id
from app.ingest import service as ingest
from app.ingest.decoding import Decoder
from app.ingest.jobs import handlers
from app.ingest.service import PREPARE_FILM, PREPARE_PHOTO
from app.media.models import Photo, PhotoState, Rendition, RenditionName, Upload
from app.ops import doctor as room
from app.ops import proving
from app.ops.doctor import doctor
from app.ops.migrate import migrate
from app.ops.proving import Flaw, Unproven, prove_stored
from app.storage.sealed import Sealed, SealedKey
from tests import postgres
from tests.conftest import Family, found
from tests.made_films import box, film
from tests.unit.test_decoder_process import a_jpeg

PLACE = b"Canary-Place-Ker-Lann"


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Family:
    """Anna's family on a real disk, with three photos that a real decoder has made."""
    monkeypatch.setattr(room, "_look_at_decoder", lambda: iter(()))
    for name, value in {"KINFOLD_DATA": str(tmp_path), **postgres.settings_for(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_env(os.environ)
    migrate(settings)
    made = found(open_house(settings), group_name="The Smiths", name="Anna", email="anna@example.org")
    made.album("Brittany 2026")
    decoder = Decoder()
    for number in range(3):
        handlers(made.house, decoder)[PREPARE_PHOTO](made.upload("Brittany 2026", a_jpeg((600 + number, 400))))
    decoder.close()
    return made


def photos(house: House) -> list[str]:
    with house.database.reading() as session:
        return list(session.scalars(sa.select(Photo.id).order_by(Photo.number)))


def change(family: Family, photo: str, rendition: RenditionName, edit: Callable[[bytes], bytes]) -> None:
    """Put other bytes in the place of a rendition, sealed as they should be: as whoever has the keys can."""
    house, keys = family.house, dict[str, SealedKey]()
    with house.database.writing() as session:
        row = session.get_one(Rendition, (photo, rendition))
        keys[row.object_name] = SealedKey(row.wrapped_key, row.size)
        sealed = Sealed(house.storage, family.albums["Brittany 2026"].key, keys)
        plain, row.object_name = b"".join(sealed.read(row.object_name)), f"albums/{sealed_in(row)}/{new_id()}"
        writer = sealed.create(row.object_name)
        writer.write(edit(plain))
        writer.commit()
        row.wrapped_key, row.size = keys[row.object_name].wrapped, keys[row.object_name].size


def sealed_in(row: Rendition) -> str:
    return row.object_name.split("/")[1]


def with_comment(jpeg: bytes) -> bytes:
    return jpeg[:2] + b"\xff\xfe" + struct.pack(">H", len(PLACE) + 2) + PLACE + jpeg[2:]


def ask(*options: str, ends: int) -> list[dict[str, str]]:
    """What the doctor says of the proof."""
    done = CliRunner().invoke(doctor, ["--json", "--prove", *options])
    assert done.exit_code == ends, done.output
    return [each for each in json.loads(done.stdout)["checks"] if each["name"] == "proof"]


def test_what_the_pipeline_has_stored_is_proven(family: Family) -> None:
    (said,) = ask(ends=0)
    assert said["says"] == "9 stored files were proven: each holds a picture and nothing else."


def test_every_flaw_is_found_and_told_by_the_photo_alone(family: Family) -> None:
    house, (first, second, third) = family.house, photos(family.house)
    change(family, first, RenditionName.FULL, with_comment)
    change(family, first, RenditionName.GRID, lambda jpeg: jpeg + PLACE)
    change(family, second, RenditionName.SCREEN, lambda _: a_jpeg((300, 200)))
    with house.database.reading() as session:
        missing = session.get_one(Rendition, (second, RenditionName.GRID)).object_name
        damaged = session.get_one(Rendition, (third, RenditionName.FULL)).object_name
    house.storage.delete(missing)
    path = house.settings.data / "photos" / damaged
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    expected = {
        Unproven(first, RenditionName.FULL, Flaw.NOT_CLEAN),
        Unproven(first, RenditionName.GRID, Flaw.NOT_CLEAN),
        Unproven(second, RenditionName.SCREEN, Flaw.ANOTHER_SIZE),
        Unproven(second, RenditionName.GRID, Flaw.MISSING),
        Unproven(third, RenditionName.FULL, Flaw.DAMAGED),
    }
    assert set(prove_stored(house)) == expected
    told = ask(ends=1)
    assert {(each["says"], each["state"]) for each in told} == {
        (f"Photo {each.photo}: {each.rendition} {each.flaw}.", "failure") for each in expected
    }
    with house.database.reading() as session:
        assert set(session.scalars(sa.select(Photo.state))) == {PhotoState.READY}, "it changes nothing unless it is asked to"


def test_films_are_proven_too(family: Family) -> None:
    house, decoder = family.house, Decoder()
    photo, work = family.upload("Brittany 2026", film()), handlers(house, decoder)
    work[PREPARE_PHOTO](photo)
    work[PREPARE_FILM](photo)
    decoder.close()
    assert not list(prove_stored(house))
    change(family, photo, RenditionName.PLAY, lambda played: played + box(b"free", PLACE))
    assert list(prove_stored(house)) == [Unproven(photo, RenditionName.PLAY, Flaw.NOT_CLEAN)]


def test_a_photo_that_fails_is_shown_to_nobody_when_that_is_asked_for(family: Family) -> None:
    house, (first, second, third) = family.house, photos(family.house)
    change(family, first, RenditionName.FULL, with_comment)
    change(family, first, RenditionName.GRID, with_comment)
    assert all("Nobody sees it any more" in each["do"] for each in ask("--hide", ends=1))
    album = family.albums["Brittany 2026"]
    with house.database.reading() as session:
        hidden = ingest.list_in_states(session, album=album, states=[PhotoState.REFUSED])
        assert [(photo.id, photo.reason, upload) for photo, upload, _ in hidden] == [(first, "hidden", None)]
        row = session.get_one(Album, album.id)
        stored = session.scalars(sa.select(sa.func.sum(Photo.stored)).where(Photo.id.in_([second, third]))).one()
        assert (row.ready, row.ready_bytes) == (2, stored)
    (said,) = ask(ends=0)
    assert said["says"].startswith("6 stored files were proven")


def test_what_is_held_stays_held(family: Family) -> None:
    """A member could dismiss what is only hidden, and with it evidence."""
    house, photo = family.house, photos(family.house)[0]
    with house.database.writing() as session:
        ingest.hold(session, photo=photo, at=house.clock.now())
    change(family, photo, RenditionName.FULL, with_comment)
    ask("--hide", ends=1)
    with house.database.reading() as session:
        assert session.get_one(Photo, photo).state is PhotoState.HELD


def test_what_is_only_missing_is_not_hidden(family: Family) -> None:
    """A folder that is not mounted would otherwise hide everything, and it comes back."""
    house = family.house
    house.storage.delete(*(stored.name for stored in house.storage.list("albums/")))
    assert all("Is this the right storage" in each["do"] for each in ask("--hide", ends=1))
    with house.database.reading() as session:
        assert set(session.scalars(sa.select(Photo.state))) == {PhotoState.READY}


def test_the_original_of_a_hidden_photo_is_taken_once_more(family: Family) -> None:
    house, original = family.house, b"as it came off the phone"
    photo = family.upload("Brittany 2026", original)
    with house.database.writing() as session:
        session.execute(sa.delete(Upload).where(Upload.photo_id == photo))
        session.execute(sa.update(Photo).where(Photo.id == photo).values(state=PhotoState.REFUSED, reason="hidden"))
    assert family.upload("Brittany 2026", original) == photo
    with house.database.reading() as session:
        row, upload = session.get_one(Photo, photo), session.get_one(Upload, photo)
        assert (row.state, row.reason, upload.attempts) == (PhotoState.RECEIVED, None, 0) and upload.object_name


def test_a_photo_that_is_deleted_while_it_works_is_no_failure(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "AT_ONCE", 2)
    house, steps = family.house, list[int]()
    last = max(photos(house))

    def delete_the_last(step: int) -> None:
        steps.append(step)
        if len(steps) == 7:  # two of its rows were read together with the file that comes before them
            with house.database.writing() as session:
                objects = session.scalars(sa.select(Rendition.object_name).where(Rendition.photo_id == last)).all()
                session.execute(sa.delete(Photo).where(Photo.id == last))
            house.storage.delete(*objects)

    assert not list(prove_stored(house, progress=delete_the_last))
    assert len(steps) == 8


def test_hide_belongs_to_prove() -> None:
    done = CliRunner().invoke(doctor, ["--hide"])
    assert done.exit_code == 2 and "--hide belongs to --prove" in done.output
