"""Saving an album at once: one zip, of the photos that one may save just now, that can be taken up again where it broke off."""

import re
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from zipfile import ZipFile

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from app.errors import NotVisible
from app.house import House
from app.media.jobs import Checksums
from app.media.models import Rendition, RenditionName
from app.models import Photo
from app.security.tokens import EVERYTHING, cookie_digest
from app.viewing import media as photo_bytes
from tests.conftest import Family
from tests.lint import LintingClient
from tests.web.conftest import BRITTANY, TOM, photo_address

BUTTON = re.compile(r'href="(/m/[^"]+)">Save all')


@pytest.fixture
def june(cast: Family, browser_of: Callable[..., LintingClient]) -> LintingClient:
    """The phone of somebody who may save what is in Brittany."""
    return browser_of(device=cast.share(BRITTANY, "June", may_save=True).cookie)


@pytest.fixture
def address(june: LintingClient, brittany: str) -> str:
    """Where her page says that everything can be saved from."""
    return BUTTON.findall(june.get(f"/shared/{brittany}").text)[0]


def everything(cast: Family, title: str, **cookie: str) -> str:
    return photo_address(cast, cast.albums[title].id, EVERYTHING, save=True, **cookie)


def opened(answer: TestResponse) -> ZipFile:
    assert answer.status_code == 200, answer.status
    made = ZipFile(BytesIO(answer.data))
    assert made.testzip() is None
    return made


def test_a_guest_who_may_save_gets_every_photo_in_one_zip(cast: Family, june: LintingClient, address: str) -> None:
    cast.film(BRITTANY)
    answer = june.get(address)
    made = opened(answer)
    assert made.namelist() == ["photo-001.jpg", "photo-002.jpg", "photo-003.jpg", "video-004.mp4"]
    for photo, name in zip(cast.photos[BRITTANY], made.namelist(), strict=True):
        whole = photo_address(cast, photo, "full", device=cast.people["June"].cookie, save=True)
        assert made.read(name) == june.get(whole).data
    assert answer.content_length == len(answer.data)
    assert answer.mimetype == "application/zip"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="photos.zip"'
    assert (answer.headers["Cache-Control"], answer.headers["CDN-Cache-Control"]) == ("no-store", "no-store")
    assert not answer.headers["ETag"].startswith("W/")


def test_a_member_gets_it_from_her_page_too(cast: Family, anna: LintingClient, brittany: str) -> None:
    (address,) = BUTTON.findall(anna.get(f"/albums/{brittany}").text)
    assert len(opened(anna.get(address)).namelist()) == 3


def test_only_what_is_ready(cast: Family, house: House, june: LintingClient, address: str) -> None:
    cast.upload(BRITTANY, b"has just arrived")
    for state in ("awaiting", "held"):
        with house.database.writing() as session:
            session.execute(sa.update(Photo).where(Photo.id == cast.photos[BRITTANY][1]).values(state=state))
        assert opened(june.get(address)).namelist() == ["photo-001.jpg", "photo-003.jpg"], state


def test_whoever_was_given_an_album_twice_gets_each_photo_once(cast: Family, browser_of: Callable[..., LintingClient]) -> None:
    june = cast.share(BRITTANY, "June", may_save=True)
    jo = cast.share(BRITTANY, "Jo", may_save=True, open_it=False)
    shared = cast.enrol(jo, cookie_digest(june.cookie))
    assert len(opened(browser_of(device=shared).get(everything(cast, BRITTANY, device=shared))).namelist()) == 3


# --- who gets nothing


def test_who_may_not_save_is_offered_nothing_and_gets_nothing(
    cast: Family, browser_of: Callable[..., LintingClient], marcs: Family, brittany: str
) -> None:
    rose = browser_of(device=cast.people["Rose"].cookie)
    assert "Save all" not in rose.get(f"/shared/{brittany}").text
    for name in ("Rose", "Jim", "Olga", "Egon"):
        cookie = cast.people[name].cookie
        for method, headers in (("GET", {}), ("HEAD", {}), ("GET", {"Range": "bytes=0-"}), ("GET", {"If-None-Match": "*"})):
            answer = browser_of(device=cookie).open(everything(cast, BRITTANY, device=cookie), method=method, headers=headers)
            assert (answer.status_code, answer.headers.get("ETag")) == (404, None), (name, method, headers)
    marc = browser_of(member=marcs.cookie)
    assert marc.get(everything(cast, BRITTANY, member=marcs.cookie)).status_code == 404


def test_a_copied_address_opens_nothing_in_another_browser(
    cast: Family, anna: LintingClient, address: str, browser_of: Callable[..., LintingClient]
) -> None:
    kim = cast.share(BRITTANY, "Kim", may_save=True)
    for browser in (browser_of(), browser_of(device=kim.cookie), anna):
        assert browser.get(address).status_code == 404


def test_it_opens_no_other_album_and_an_album_is_no_photo(cast: Family, june: LintingClient, address: str) -> None:
    cookie = cast.people["June"].cookie
    assert june.get(everything(cast, TOM, device=cookie)).status_code == 404
    for rendition in ("grid", "full"):
        assert june.get(photo_address(cast, cast.albums[BRITTANY].id, rendition, device=cookie)).status_code == 404
    assert june.get(photo_address(cast, cast.photos[BRITTANY][0], EVERYTHING, device=cookie, save=True)).status_code == 404


def test_saving_that_is_switched_off_ends_it(cast: Family, anna: LintingClient, june: LintingClient, address: str) -> None:
    etag = june.get(address).headers["ETag"]
    assert anna.send(f"/grants/{cast.people['June'].grant}/saving").status_code == 303
    assert june.get(address, headers={"If-None-Match": etag}).status_code == 404


def test_an_empty_album_offers_none(anna: LintingClient, cast: Family) -> None:
    album = cast.album("Nothing yet").id
    assert "Save all" not in anna.get(f"/albums/{album}").text
    assert anna.get(everything(cast, "Nothing yet", member=cast.cookie)).status_code == 404


# --- taken up again


def test_ranges_are_parts_of_the_same_zip(june: LintingClient, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_bytes, "LOT", 100)
    whole = june.get(address)
    etag, size = whole.headers["ETag"], len(whole.data)
    for start in (0, 1, 29, 30, 43, 44, 500, size // 2, size - 100, size - 22, size - 1):
        answer = june.get(address, headers={"Range": f"bytes={start}-", "If-Range": etag})
        assert (answer.status_code, answer.data) == (206, whole.data[start:]), "to its end, however long"
        assert answer.headers["Content-Range"] == f"bytes {start}-{size - 1}/{size}"
    assert june.get(address, headers={"Range": f"bytes={size}-"}).status_code == 416
    head = june.head(address)
    assert (head.status_code, head.data, head.content_length, head.headers["ETag"]) == (200, b"", size, etag)
    assert june.get(address, headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize("change", ["added", "deleted"])
def test_a_zip_that_has_changed_begins_anew(
    cast: Family, anna: LintingClient, june: LintingClient, address: str, change: str
) -> None:
    old = june.get(address)
    if change == "added":
        cast.photo(BRITTANY)
    else:
        anna.send(f"/photos/{cast.photos[BRITTANY][2]}/delete")
    answer = june.get(address, headers={"Range": "bytes=100-", "If-Range": old.headers["ETag"]})
    assert answer.headers["ETag"] != old.headers["ETag"]
    assert len(opened(answer).namelist()) == (4 if change == "added" else 2)


# --- in the middle


@pytest.fixture
def begun(june: LintingClient, address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[bytes]:
    """An answer of which the first photo has come; each is a lot of its own."""
    (first, *_) = opened(june.get(address)).infolist()
    monkeypatch.setattr(photo_bytes, "WHOLE", 0)
    monkeypatch.setattr(photo_bytes, "LOT", first.file_size)
    pieces = iter(june.get(address).iter_encoded())
    assert next(pieces).startswith(b"PK")
    return pieces


def test_it_breaks_off_at_the_next_photo_when_its_viewer_is_ended(
    cast: Family, anna: LintingClient, begun: Iterator[bytes]
) -> None:
    anna.send(f"/people/{cast.people['June'].id}/stop")
    with pytest.raises(NotVisible):
        next(begun)


def test_it_breaks_off_where_a_photo_was_deleted(cast: Family, anna: LintingClient, begun: Iterator[bytes]) -> None:
    anna.send(f"/photos/{cast.photos[BRITTANY][1]}/delete")
    with pytest.raises(NotVisible):
        next(begun)


def test_before_a_photo_access_is_asked_again_when_the_last_answer_is_old(
    cast: Family, anna: LintingClient, june: LintingClient, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is for whoever reads slowly: a lot has many small photos."""
    monkeypatch.setattr(photo_bytes, "WHOLE", 0)
    monkeypatch.setattr(photo_bytes, "PIECE", 0)
    monkeypatch.setattr(photo_bytes, "RECENT", 0)
    pieces = iter(june.get(address).iter_encoded())
    came = next(pieces) + next(pieces)
    assert came.startswith(b"PK")
    anna.send(f"/people/{cast.people['June'].id}/stop")
    with pytest.raises(NotVisible):
        for piece in pieces:
            came += piece
    assert came.count(b"PK\x03\x04") == 2, "the first photo, and no more than the name of the next"


def test_inside_a_long_photo_access_is_asked_again(
    cast: Family, anna: LintingClient, june: LintingClient, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_bytes, "WHOLE", 0)
    monkeypatch.setattr(photo_bytes, "LOT", 100)
    pieces = iter(june.get(address).iter_encoded())
    next(pieces)
    anna.send(f"/people/{cast.people['June'].id}/stop")
    with pytest.raises(NotVisible):
        next(pieces)


# --- photos from before checksums were written down


def forget_checksums(house: House, *photos: str) -> None:
    with house.database.writing() as session:
        session.execute(sa.update(Rendition).where(Rendition.photo_id.in_(photos)).values(crc32=None))


def test_a_photo_without_its_checksum_keeps_the_zip_back_until_a_sweep_has_read_it(
    cast: Family, house: House, june: LintingClient, address: str, brittany: str
) -> None:
    before = june.get(address).data
    forget_checksums(house, cast.photos[BRITTANY][1])
    page = june.get(f"/shared/{brittany}")
    assert page.status_code == 200 and "Save all" not in page.text
    answer = june.get(address)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    Checksums(house)()
    assert BUTTON.findall(june.get(f"/shared/{brittany}").text) == [address]
    assert june.get(address).data == before


def test_the_sweep_goes_on_where_its_time_was_over_and_passes_over_what_is_lost(cast: Family, house: House) -> None:
    ids = sorted(cast.photos[BRITTANY])
    forget_checksums(house, *ids)
    with house.database.reading() as session:
        lost = session.get_one(Rendition, (ids[0], RenditionName.FULL)).object_name
    house.storage.delete(lost)
    now = iter(range(0, 1000, 4))  # every look at the clock takes four seconds
    sweep = Checksums(house, monotonic=lambda: next(now))

    def summed() -> list[bool]:
        with house.database.reading() as session:
            return [session.get_one(Rendition, (photo, RenditionName.FULL)).crc32 is not None for photo in ids]

    sweep()
    assert summed() == [False, False, False]
    sweep()
    assert summed() == [False, True, False]
    sweep()
    assert summed() == [False, True, True]


def test_a_checksum_is_written_down_with_the_photo(cast: Family, house: House, anna: LintingClient) -> None:
    photo = cast.photos[TOM][0]
    for name in ("grid", "screen", "full"):
        content = anna.get(photo_address(cast, photo, name, member=cast.cookie)).data
        with house.database.reading() as session:
            assert session.get_one(Rendition, (photo, RenditionName(name))).crc32 == zlib.crc32(content)
