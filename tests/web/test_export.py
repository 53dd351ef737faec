"""A copy to take away: everything in a group as a zip that is made while it is sent, and everything about one person as JSON."""

import json
import tracemalloc
import zipfile
from collections.abc import Generator, Iterator
from datetime import datetime, timedelta
from io import BytesIO
from zipfile import ZipFile

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from app.accounts import service as accounts
from app.activity.models import ActivityKind
from app.clock import HandClock
from app.errors import NotVisible
from app.house import House
from app.ids import new_id
from app.media.models import RenditionName
from app.models import Account, Activity, DeviceRow, Link, Photo, Rendition
from app.rights import service
from app.rights.export import GroupCopy
from app.rights.rules import LONGEST, folder_name
from app.security.sealing import CHUNK
from app.security.tokens import cookie_digest
from app.security.viewer import Role
from app.storage.memory import InMemory
from app.storage.sealed import Sealed, SealedKey
from app.viewing.zipping import DATE, Zip
from tests.conftest import PASSWORD, Family
from tests.lint import LintingClient
from tests.web.conftest import BRITTANY, TOM, photo_address


def export(browser: LintingClient, password: str = PASSWORD) -> TestResponse:
    return browser.send("/group/export", password=password)


def opened(answer: TestResponse) -> ZipFile:
    assert answer.status_code == 200, answer.status
    copy = ZipFile(BytesIO(answer.data))
    assert copy.testzip() is None
    return copy


def of(copy: ZipFile, name: str) -> object:
    return json.loads(copy.read(name))


# --- everything in a group


def test_a_copy_has_every_photo_in_full_in_a_folder_for_its_album(cast: Family, anna: LintingClient) -> None:
    copy = opened(export(anna))
    assert sorted(copy.namelist()) == sorted(
        [
            "people.json",
            "members.json",
            f"{BRITTANY}/album.json",
            *(f"{BRITTANY}/photo-00{number}.jpg" for number in (1, 2, 3)),
            f"{TOM}/album.json",
            f"{TOM}/photo-001.jpg",
        ]
    )
    for title in (BRITTANY, TOM):
        for number, photo in enumerate(cast.photos[title], start=1):
            shown = anna.get(photo_address(cast, photo, "full", member=cast.cookie, save=True)).data
            assert copy.read(f"{title}/photo-00{number}.jpg") == shown


def test_what_guests_have_said_and_added_is_in_it(cast: Family, anna: LintingClient, rose: LintingClient) -> None:
    photo, album = cast.photos[BRITTANY][0], cast.albums[BRITTANY].id
    rose.send(f"/shared/{album}/{photo}/notes", text="The lighthouse")
    rose.send(f"/shared/{album}/{photo}/heart", given="y")
    cast.voice(BRITTANY, "Rose")
    cast.added(BRITTANY, "Rose")
    copy, at = opened(export(anna)), cast.house.clock.now().isoformat()
    photos = of(copy, f"{BRITTANY}/album.json")["photos"]  # type: ignore[index]
    assert (photos[0]["hearts"], photos[0]["said"]) == (
        ["Rose"],
        [
            {"by": "Rose", "at": at, "hidden": False, "text": "The lighthouse"},
            {"by": "Rose", "at": at, "hidden": False, "file": "photo-001-voice-1.mp3"},
        ],
    )
    assert copy.read(f"{BRITTANY}/photo-001-voice-1.mp3") == b"the voice of Rose"
    assert f"{BRITTANY}/photo-004.jpg" in copy.namelist(), "also what waits for a yes"
    told = anna.get(f"/people/{cast.people['Rose'].id}/export").get_json()
    assert [each.get("text") or each.get("seconds") or each["heart"] for each in told["said"]] == [True, "The lighthouse", 3]
    assert told["photos_added"] == [{"album": BRITTANY, "photo": 4, "at": at}]
    assert told["albums"][0]["may_add"] is False


def test_the_words_and_the_times_are_in_json(cast: Family, anna: LintingClient) -> None:
    taken = datetime(2026, 7, 3, 14, 5)
    first = cast.photo(TOM, taken_at=taken)
    anna.send(f"/photos/{first}/caption", caption="Six, and a “cake”\nwith gulls")
    anna.send(f"/albums/{cast.albums[TOM].id}/edit", title=TOM, description="At home")
    copy = opened(export(anna))
    album = of(copy, f"{TOM}/album.json")
    assert isinstance(album, dict)
    assert (album["title"], album["description"]) == (TOM, "At home")
    told = {"file": "photo-002.jpg", "taken": taken.isoformat(), "caption": "Six, and a “cake”\nwith gulls"}
    assert album["photos"][0] == told | {"hearts": [], "said": []}
    assert [photo["file"] for photo in album["photos"]] == ["photo-002.jpg", "photo-001.jpg"], "in the album's order"
    assert of(copy, "members.json") == [
        {"name": "Anna", "email": "anna@example.org", "role": "owner", "since": "2026-11-22T12:00:00+00:00"}
    ]
    people = of(copy, "people.json")
    assert isinstance(people, list)
    by_name = {person["name"]: person for person in people}
    assert set(by_name) == {"Rose", "Jim", "Olga", "Egon"}
    assert [(a["folder"], a["state"], a["may_save"], a["given_by"]) for a in by_name["Rose"]["albums"]] == [
        (BRITTANY, "live", False, "Anna")
    ]
    assert [person["albums"][0]["state"] for person in (by_name["Olga"], by_name["Egon"])] == ["ended", "expired"]


def test_a_copy_carries_no_dates_outside_its_json(cast: Family, anna: LintingClient) -> None:
    answer = export(anna)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="photos.zip"'
    assert (answer.headers["Cache-Control"], answer.mimetype) == ("no-store", "application/zip")
    copy = opened(answer)
    assert copy.comment == b""
    for entry in copy.infolist():
        assert (entry.date_time, entry.extra, entry.comment, entry.compress_type) == (DATE, b"", b"", zipfile.ZIP_STORED)


def test_only_photos_of_the_own_group_that_are_ready(cast: Family, marcs: Family, anna: LintingClient) -> None:
    cast.upload(TOM, b"has just arrived")
    copy = opened(export(anna))
    assert not [name for name in copy.namelist() if name.startswith("Alps")]
    assert len([name for name in copy.namelist() if name.startswith(TOM)]) == 2
    assert "1 photo is still being prepared" in anna.get("/group/data").text


def test_hostile_and_equal_titles_get_folders_of_their_own(cast: Family, anna: LintingClient) -> None:
    for title in ("../../etc/passwd", "brittany 2026", "CON", "...", "a:b*c?", "people.json"):
        cast.album(title)
        cast.photo(title)
    names = opened(export(anna)).namelist()
    folders = {name.rpartition("/")[0].casefold() for name in names} - {""}
    assert folders == {
        "brittany 2026",
        "brittany 2026 (2)",
        "tom is six",
        "etc passwd",
        "album con",
        "album",
        "a b c",
        "people.json (2)",
    }
    assert len(names) == len({name.casefold() for name in names}), "also where capitals don't count"


@pytest.mark.parametrize(
    ("title", "taken", "name"),
    [
        ("Brittany 2026", (), "Brittany 2026"),
        ("Brittany 2026", ("BRITTANY 2026",), "Brittany 2026 (2)"),
        ("Alps", ("Alps", "alps (2)"), "Alps (3)"),
        ("../../etc/passwd", (), "etc passwd"),
        ("C:\\Windows\\nul.txt", (), "C Windows nul.txt"),
        ("nul.txt", (), "album nul.txt"),
        ("com1", (), "album com1"),
        (".hidden ", (), "hidden"),
        ("the end. . .", (), "the end"),
        ("/", (), "album"),
        ("a\u202egnp.exe\x00\n", (), "a gnp.exe"),
        ("Été à l'été", (), "Été à l'été"),
        ("E\u0301te\u0301", ("Été",), "Été (2)"),
        ("夏" * 100, (), "夏" * LONGEST),
        ("x" * (LONGEST - 1) + ". y", (), "x" * (LONGEST - 1)),
    ],
)
def test_a_folder_is_safe_everywhere(title: str, taken: tuple[str, ...], name: str) -> None:
    assert folder_name(title, taken=taken) == name
    assert len(folder_name(title, taken=taken).encode()) <= 240


# --- what goes wrong in the middle


def test_a_photo_whose_object_is_missing_or_damaged_is_named_and_the_rest_comes(
    cast: Family, house: House, anna: LintingClient
) -> None:
    lost, damaged, _ = (object_of(house, photo) for photo in cast.photos[BRITTANY])
    house.storage.delete(lost)
    damage(house, damaged)
    copy = opened(export(anna))
    assert copy.read("missing.txt").decode().splitlines()[2:] == [f"{BRITTANY}/photo-001.jpg", f"{BRITTANY}/photo-002.jpg"]
    assert f"{BRITTANY}/photo-003.jpg" in copy.namelist()
    assert f"{BRITTANY}/photo-001.jpg" not in copy.namelist()


def test_of_a_photo_that_is_damaged_further_on_the_good_part_comes_and_it_is_named(
    cast: Family, house: House, anna: LintingClient
) -> None:
    content = bytes(range(256)) * 1000
    damage(house, full_photos(cast, TOM, content, count=1))
    copy = opened(export(anna))
    assert copy.read("missing.txt").decode().splitlines()[2:] == [f"{TOM}/photo-002.jpg"]
    part = copy.read(f"{TOM}/photo-002.jpg")
    assert content.startswith(part) and len(part) == 3 * CHUNK, "nothing that its seal does not vouch for"


def test_a_photo_and_an_album_that_are_deleted_meanwhile_are_named(cast: Family, house: House, anna: LintingClient) -> None:
    copying = started(cast)
    until(copying, b"members.json")
    anna.send(f"/albums/{cast.albums[TOM].id}/delete", confirm=TOM)
    until(copying, f"{BRITTANY}/photo-001.jpg".encode())
    anna.send(f"/photos/{cast.photos[BRITTANY][2]}/delete")
    sent = b"".join(copying)
    for name in (f"{TOM}/", f"{BRITTANY}/photo-003.jpg"):
        assert f"{name}\n".encode() in sent


def test_a_long_album_is_whole_whatever_is_deleted_between_its_pages(
    cast: Family, anna: LintingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.whole_photos, "__kwdefaults__", {"after": None, "size": 2})
    for _ in range(4):
        cast.photo(TOM)
    copy = opened(export(anna))
    photos = [f"{TOM}/photo-00{number}.jpg" for number in range(1, 6)]
    assert [name for name in copy.namelist() if name in photos] == photos
    copying = started(cast)
    until(copying, f"{TOM}/photo-001.jpg".encode())
    anna.send(f"/photos/{cast.photos[TOM][1]}/delete")  # the last of the page that was loaded
    rest = b"".join(copying)
    assert f"{TOM}/photo-005.jpg".encode() in rest


@pytest.mark.parametrize("how", ["removed", "demoted", "signed out"])
def test_an_owner_who_is_none_any_more_gets_nothing_from_then_on(cast: Family, house: House, how: str) -> None:
    copying = started(cast)
    until(copying, b"/photo-001.jpg")
    with house.database.writing() as session:
        mine = sa.select(Account).where(Account.id == cast.owner.id)
        if how == "removed":
            session.delete(session.scalars(mine).one())
        elif how == "demoted":
            session.scalars(mine).one().role = Role.EDITOR
        else:
            accounts.end_sessions(session, member=cast.owner.id)
    rest = b""
    with pytest.raises(NotVisible):
        for piece in copying:
            rest += piece
    assert b".jpg" not in rest
    assert b"PK\x05\x06" not in rest, "without its list of contents nobody takes it for whole"


def test_no_connection_is_held_while_bytes_are_sent(cast: Family, house: House) -> None:
    for _ in GroupCopy(house, cookie_digest(cast.cookie)).send():
        assert house.database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_reader_who_goes_away_ends_it(cast: Family) -> None:
    copying = started(cast)
    next(copying)
    copying.close()
    assert list(copying) == []


def test_memory_stays_flat_over_300_megabytes(cast: Family) -> None:
    full_photos(cast, TOM, bytes(5_000_000), count=60)
    copying, sent = started(cast), 0
    next(copying)
    tracemalloc.start()
    for piece in copying:
        sent += len(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent > 300_000_000
    assert peak < 8_000_000, f"{peak / 1e6:.1f} MB"


# --- who gets it


def test_the_password_is_asked_again(cast: Family, house: House, anna: LintingClient, clock: HandClock) -> None:
    assert "Your password, please" in anna.get("/group/data").text
    for wrong in ("", "not hers"):
        assert export(anna, wrong).status_code == 400
    assert not exports(house)
    assert export(anna).status_code == 200
    assert export(anna, "").status_code == 200, "for a while it need not be typed again"
    clock.move(timedelta(minutes=16))
    assert export(anna, "").status_code == 400
    assert exports(house) == [cast.owner.id] * 2


def test_an_editor_may_not_take_everything(cast: Family, house: House, anna: LintingClient) -> None:
    with house.database.writing() as session:
        session.get_one(Account, cast.owner.id).role = Role.EDITOR
    assert [anna.get("/group/data").status_code, export(anna).status_code] == [404, 404]
    assert anna.get(f"/people/{cast.people['Rose'].id}/export").status_code == 200


def test_the_page_says_how_much_there_is(cast: Family, anna: LintingClient) -> None:
    page = anna.get("/group/data").text
    for words in ("4 photos in 2 albums", "4 people you have shared with", "4 links", "4 phones and computers", "1 member"):
        assert words in page


# --- everything about a person


def test_a_person_can_have_all_that_is_kept_about_them(cast: Family, house: House, anna: LintingClient) -> None:
    rose = cast.people["Rose"]
    answer = anna.get(f"/people/{rose.id}/export")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="person.json"'
    facts = answer.get_json()
    assert (facts["name"], facts["added_by"], facts["added"]) == ("Rose", "Anna", "2026-11-22T12:00:00+00:00")
    assert [(album["title"], album["state"], album["until"]) for album in facts["albums"]] == [
        (BRITTANY, "live", "2026-12-22T12:00:00+00:00")
    ]
    assert [(link["state"], link["lets_in"], link["let_in"], link["made_by"]) for link in facts["links"]] == [
        ("live", 3, 1, "Anna")
    ]
    assert [(device["kind"], device["ended"]) for device in facts["devices"]] == [("Android phone", None)]
    assert {(each["what"], each["by"], each["album"]) for each in facts["happened"]} == {
        ("shared", "Anna", BRITTANY),
        ("first-opened", None, None),
    }
    assert facts["forgotten"] == "2027-03-22T12:00:00+00:00"


def test_nothing_that_opens_anything_is_given_out(cast: Family, house: House, anna: LintingClient) -> None:
    rose = cast.people["Rose"]
    with house.database.reading() as look:
        digest = look.scalars(sa.select(Link.digest).where(Link.guest_id == rose.id)).one()
        cookie = look.scalars(sa.select(DeviceRow.cookie_hash).where(DeviceRow.guest_id == rose.id)).one()
        hashed = look.get_one(Account, cast.owner.id).password_hash
    secrets = [rose.token, rose.cookie, rose.id, rose.grant, rose.link, digest.hex(), cookie.hex(), hashed, cast.cookie, "argon2"]
    copy = opened(export(anna))
    told = [anna.get(f"/people/{rose.id}/export").text, *(copy.read(name).decode("latin-1") for name in copy.namelist())]
    assert not [secret for secret in secrets for text in told if secret in text]


# --- the zip itself


def test_a_zip_beyond_its_old_limits_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The format has another form from 2 GB and from 65,535 files on; here already much earlier."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100_000)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)
    made, sent = Zip(), b""
    for number in range(5):
        sent += b"".join(made.add(f"{number}.bin", iter([bytes([number]) * 90_000] * 2), size=180_000))
    sent += b"".join(made.finish())
    assert b"PK\x06\x06" in sent
    copy = ZipFile(BytesIO(sent))
    assert [copy.read(f"{number}.bin") for number in range(5)] == [bytes([number]) * 180_000 for number in range(5)]


def test_its_length_is_known_from_names_and_sizes() -> None:
    def length(byte: bytes) -> int:
        made = Zip()
        return sum(map(len, [*made.add("é.jpg", [byte * 70_000], size=70_000), *made.add("b", []), *made.finish()]))

    assert length(b"a") == length(b"z")


def started(family: Family) -> Generator[bytes, None, None]:
    return GroupCopy(family.house, cookie_digest(family.cookie)).send()


def until(copying: Iterator[bytes], name: bytes) -> None:
    """Take pieces until a file of this name has come."""
    while name not in next(copying):
        pass


def full_photos(family: Family, title: str, content: bytes, *, count: int) -> str:
    """Photos of these bytes in full. Their rows point at one and the same object, so that the storage takes no more than that: its name."""
    keys: dict[str, SealedKey] = {}
    name = f"albums/{family.albums[title].id}/{new_id()}"
    writer = Sealed(family.house.storage, family.albums[title].key, keys).create(name)
    writer.write(content)
    writer.commit()
    with family.house.database.writing() as session:
        row = session.get_one(Photo, family.photos[title][0])
        facts = {column.name: getattr(row, column.name) for column in Photo.__table__.columns}
        for number in range(2, 2 + count):
            photo = Photo(**facts | {"id": new_id(), "number": number, "fingerprint": number.to_bytes(32, "big")})
            session.add(photo)
            session.flush()
            full = {"object_name": name, "wrapped_key": keys[name].wrapped, "size": len(content), "mime": "image/jpeg"}
            session.add(Rendition(photo_id=photo.id, name=RenditionName.FULL, width=64, height=48, **full))
    return name


def damage(house: House, name: str) -> None:
    """One bit of an object turns over, at its end."""
    storage = house.storage
    assert isinstance(storage, InMemory)
    content = b"".join(storage.read(name))
    storage.delete(name)
    storage.put(name, content[:-1] + bytes([content[-1] ^ 1]))


def object_of(house: House, photo: str) -> str:
    with house.database.reading() as look:
        return look.get_one(Rendition, (photo, RenditionName.FULL)).object_name


def exports(house: House) -> list[str | None]:
    with house.database.reading() as look:
        return list(look.scalars(sa.select(Activity.member_id).where(Activity.kind == ActivityKind.DATA_EXPORTED)))
