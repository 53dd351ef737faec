"""The bytes of photos: what a browser gets, how long it may keep it, and every way not to get it (attacks 2, 4 and 5)."""

import base64
from collections.abc import Callable
from datetime import timedelta
from itertools import product

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from app.clock import HandClock
from app.errors import NotVisible
from app.house import House
from app.models import DeviceRow, Grant, SignedIn
from app.security.tokens import MEDIA_WINDOW, MediaClaim, Purpose, cookie_digest
from app.sharing.models import EndedBy
from app.sharing.rules import GrantState, device_live, grant_state
from app.viewing import media as photo_bytes
from app.viewing.media import PhotoBytes
from app.web.places import Places
from tests.conftest import Family
from tests.lint import LintingClient
from tests.web.conftest import BRITTANY, TOM, photo_address

LOOKS = ("grid", "screen")


@pytest.fixture
def photo(cast: Family) -> str:
    return cast.photos[BRITTANY][0]


@pytest.fixture
def content(cast: Family, photo: str, rose: LintingClient) -> bytes:
    """What Rose's phone gets for the screen rendition."""
    return rose.get(photo_address(cast, photo, "screen", device=cast.people["Rose"].cookie)).data


def test_rose_gets_the_picture_from_the_address_on_her_page(cast: Family, rose: LintingClient, brittany: str) -> None:
    page = rose.get(f"/shared/{brittany}").text
    address = page.split('src="/m/')[1].split('"')[0]
    answer = rose.get(f"/m/{address}")
    assert answer.status_code == 200
    assert answer.mimetype == "image/jpeg"
    assert answer.data.startswith(b"\xff\xd8")
    assert answer.content_length == len(answer.data)
    assert "." not in address.partition(".")[2], "no image extension"


def test_a_member_gets_every_rendition(cast: Family, anna: LintingClient, photo: str) -> None:
    for rendition in ("grid", "screen", "full"):
        answer = anna.get(photo_address(cast, photo, rendition, member=cast.cookie))
        assert answer.data.endswith(rendition.encode())


def test_the_page_names_the_same_addresses_when_it_is_opened_again(rose: LintingClient, brittany: str, clock: HandClock) -> None:
    before = rose.get(f"/shared/{brittany}").text
    clock.move(timedelta(minutes=30))
    assert rose.get(f"/shared/{brittany}").text.count("/m/") == before.count("/m/")
    assert before.split('src="/m/')[1].split('"')[0] in rose.get(f"/shared/{brittany}").text


RANGES = [
    ("bytes=0-9", 206, slice(0, 10)),
    ("bytes=10-", 206, slice(10, None)),
    ("bytes=-5", 206, slice(-5, None)),
    ("bytes=5-999999999", 206, slice(5, None)),
    ("bytes=0-0", 206, slice(0, 1)),
    ("bytes=999999999-", 416, slice(0, 0)),
    ("bytes=-0", 416, slice(0, 0)),
    ("bytes=9-2", 200, slice(None)),
    ("bytes=a-b", 200, slice(None)),
    ("bytes=-", 200, slice(None)),
    ("bytes=0-1,4-5", 200, slice(None)),
    ("pages=0-9", 200, slice(None)),
    ("bytes=" + "9" * 40 + "-", 200, slice(None)),
]


def test_a_range_is_answered_with_that_part(cast: Family, rose: LintingClient, photo: str, content: bytes) -> None:
    address = photo_address(cast, photo, "screen", device=cast.people["Rose"].cookie)
    for wanted, status, said in RANGES:
        answer = rose.get(address, headers={"Range": wanted})
        assert (answer.status_code, answer.data) == (status, content[said]), wanted
        assert answer.content_length == len(answer.data)
        assert answer.headers["Cache-Control"], wanted
        first = said.indices(len(content))[0]
        told = {206: f"bytes {first}-{first + len(answer.data) - 1}/{len(content)}", 416: f"bytes */{len(content)}", 200: None}
        assert answer.headers.get("Content-Range") == told[status], wanted


def test_a_range_of_another_version_gets_the_whole(cast: Family, rose: LintingClient, photo: str, content: bytes) -> None:
    address = photo_address(cast, photo, "screen", device=cast.people["Rose"].cookie)
    etag = rose.get(address).headers["ETag"]
    assert rose.get(address, headers={"Range": "bytes=0-3", "If-Range": etag}).status_code == 206
    other = rose.get(address, headers={"Range": "bytes=0-3", "If-Range": '"another"'})
    assert (other.status_code, other.data) == (200, content)


def test_head_says_what_get_would_send(cast: Family, rose: LintingClient, photo: str, content: bytes) -> None:
    address = photo_address(cast, photo, "screen", device=cast.people["Rose"].cookie)
    answer = rose.head(address)
    assert (answer.status_code, answer.data, answer.content_length) == (200, b"", len(content))
    assert answer.headers["ETag"] == rose.get(address).headers["ETag"]


def test_a_browser_that_has_the_picture_is_told_so(cast: Family, rose: LintingClient, photo: str) -> None:
    address = photo_address(cast, photo, "screen", device=cast.people["Rose"].cookie)
    etag = rose.get(address).headers["ETag"]
    answer = rose.get(address, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", etag)
    assert not etag.startswith("W/")


def test_each_rendition_has_its_own_etag(cast: Family, anna: LintingClient) -> None:
    addresses = [photo_address(cast, p, r, member=cast.cookie) for p in cast.photos[BRITTANY] for r in LOOKS]
    assert len({anna.get(address).headers["ETag"] for address in addresses}) == len(addresses)


# --- how long a copy may be kept


@pytest.mark.parametrize(
    ("left", "most"), [(timedelta(days=3), 600), (timedelta(seconds=90), 90), (timedelta(seconds=0.5), None)]
)
def test_a_copy_is_kept_ten_minutes_and_never_past_the_end(
    cast: Family, rose: LintingClient, photo: str, clock: HandClock, house: House, left: timedelta, most: int | None
) -> None:
    with house.database.writing() as session:
        session.execute(sa.update(Grant).where(Grant.id == cast.people["Rose"].grant).values(expires_at=clock.now() + left))
    for rendition in LOOKS:
        answer = rose.get(photo_address(cast, photo, rendition, device=cast.people["Rose"].cookie))
        expected = "no-store" if most is None else f"private, no-transform, max-age={most}"
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, expected)
        assert answer.headers["CDN-Cache-Control"] == "no-store"


def test_a_copy_is_not_kept_past_the_signature(cast: Family, anna: LintingClient, photo: str, clock: HandClock) -> None:
    address = photo_address(cast, photo, "grid", member=cast.cookie)
    end = (int(clock.now().timestamp()) // MEDIA_WINDOW + 2) * MEDIA_WINDOW
    clock.move(timedelta(seconds=end - clock.now().timestamp() - 40))
    assert anna.get(address).headers["Cache-Control"] == "private, no-transform, max-age=40"
    clock.move(timedelta(seconds=40))
    assert anna.get(address).status_code == 404


def test_whole_photos_and_saves_are_never_kept(cast: Family, anna: LintingClient, photo: str) -> None:
    for save in (False, True):
        answer = anna.get(photo_address(cast, photo, "full", member=cast.cookie, save=save))
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")


# --- saving


def test_a_saved_photo_has_a_neutral_name(cast: Family, browser_of: Callable[..., LintingClient]) -> None:
    june = cast.share(BRITTANY, "June", may_save=True)
    browser = browser_of(device=june.cookie)
    page = browser.get(f"/shared/{cast.albums[BRITTANY].id}/{cast.photos[BRITTANY][1]}").text
    save = [part.split('"')[0] for part in page.split('href="')[1:] if part.startswith("/m/")]
    answer = browser.get(save[0])
    assert answer.headers["Content-Disposition"] == 'attachment; filename="photo-002.jpg"'
    assert answer.data.endswith(b"full")


def test_who_may_not_save_is_offered_no_address_to_save_from(
    cast: Family, rose: LintingClient, brittany: str, photo: str
) -> None:
    assert "data-save" not in rose.get(f"/shared/{brittany}").text.replace("data-save-word", "")
    assert 'href="/m/' not in rose.get(f"/shared/{brittany}/{photo}").text


def test_switching_saving_off_kills_a_copied_address_of_the_whole_photo(
    cast: Family, anna: LintingClient, browser_of: Callable[..., LintingClient], photo: str
) -> None:
    june = cast.share(BRITTANY, "June", may_save=True)
    browser = browser_of(device=june.cookie)
    copied = [photo_address(cast, photo, "full", device=june.cookie, save=save) for save in (True, False)]
    assert [browser.get(address).status_code for address in copied] == [200, 200]
    assert anna.send(f"/grants/{june.grant}/saving", may_save="no").status_code == 303
    assert [browser.get(address).status_code for address in copied] == [404, 404]
    assert browser.get(photo_address(cast, photo, "screen", device=june.cookie)).status_code == 200


def test_only_the_whole_photo_is_ever_saved(cast: Family, anna: LintingClient, photo: str) -> None:
    for rendition in LOOKS:
        assert anna.get(photo_address(cast, photo, rendition, member=cast.cookie, save=True)).status_code == 404


# --- every way not to get it


def nothing(answer: TestResponse) -> tuple[int, bytes, list[tuple[str, str]]]:
    return answer.status_code, answer.data, sorted(answer.headers)


ASKING = [{}, {"If-None-Match": "*"}, {"Range": "bytes=0-3"}, {"If-None-Match": "*", "Range": "bytes=0-"}]


def test_revoked_expired_and_foreign_get_the_same_answer_whatever_they_ask(
    cast: Family, browser_of: Callable[..., LintingClient], marcs: Family, photo: str
) -> None:
    for method, extra in product(("GET", "HEAD"), ASKING):
        answers = []
        for name in ("Jim", "Olga", "Egon"):
            cookie = cast.people[name].cookie
            for rendition in ("grid", "screen", "full"):
                address = photo_address(cast, photo, rendition, device=cookie, save=rendition == "full")
                answers.append(nothing(browser_of(device=cookie).open(address, method=method, headers=extra)))
        marc = browser_of(member=marcs.cookie)
        answers.append(nothing(marc.open(photo_address(cast, photo, "grid", member=marcs.cookie), method=method, headers=extra)))
        answers.append(nothing(browser_of().open("/m/garbage", method=method, headers=extra)))
        assert answers[0][0] == 404, (method, extra)
        assert all(answer == answers[0] for answer in answers), (method, extra)


def test_a_copied_address_opens_nothing_in_another_browser(
    cast: Family, browser_of: Callable[..., LintingClient], marcs: Family, photo: str
) -> None:
    june = cast.share(BRITTANY, "June", may_save=True)
    roses = photo_address(cast, photo, "screen", device=cast.people["Rose"].cookie)
    annas = photo_address(cast, photo, "full", member=cast.cookie)
    for browser in (
        browser_of(),
        browser_of(device=june.cookie),
        browser_of(member=marcs.cookie, device=cast.people["Jim"].cookie),
    ):
        assert browser.get(roses).status_code == 404
        assert browser.get(annas).status_code == 404
    assert browser_of(member=cast.cookie).get(roses).status_code == 404
    assert browser_of(device=cast.cookie).get(annas).status_code == 404


def test_surgery_on_a_token_opens_nothing(cast: Family, rose: LintingClient, photo: str) -> None:
    cookie = cast.people["Rose"].cookie
    good = photo_address(cast, photo, "grid", device=cookie).removeprefix("/m/")
    claim, signature = good.split(".")
    other = cast.photos[BRITTANY][1]
    forged = {
        "another photo": other + claim[26:],
        "another rendition": claim[:26] + "s" + claim[27:],
        "the whole photo": claim[:26] + "f" + claim[27:],
        "an unknown rendition": claim[:26] + "x" + claim[27:],
        "a member": claim[:27] + "m" + claim[28:],
        "nobody": claim[:27] + "n" + claim[28:],
        "a save": claim[:28] + "1" + claim[29:],
        "a later end": claim[:29] + "f" * 8,
        "an end without a number": claim[:29] + "zz",
        "a short claim": claim[:20],
        "another alphabet": claim[:26] + "ｇ" + claim[27:],
    }
    assert rose.get(f"/m/{good}").status_code == 200
    for what, changed in forged.items():
        assert rose.get(f"/m/{changed}.{signature}").status_code == 404, what
    for changed in (
        claim,
        f"{claim}.",
        f"{claim}.{signature[:-2]}",
        f"{claim}.{signature}.x",
        f"{good}/",
        f"x/{good}",
        "",
        "é",
        "%00",
    ):
        assert rose.get(f"/m/{changed}").status_code == 404, changed


def test_a_token_of_another_purpose_opens_no_photo(cast: Family, house: House, rose: LintingClient, photo: str) -> None:
    cookie = cast.people["Rose"].cookie
    claim = photo_address(cast, photo, "grid", device=cookie).removeprefix("/m/").split(".")[0]
    bound = claim + "|" + base64.urlsafe_b64encode(cookie_digest(cookie)).decode()
    for purpose in Purpose:
        signed = house.tokens.sign(purpose, bound)
        assert rose.get(f"/m/{claim}.{signed.rpartition('.')[2]}").status_code == 404
        assert rose.get(f"/m/{house.tokens.issue(purpose).value}").status_code == 404
    assert rose.get(f"/m/{cast.people['Rose'].token}").status_code == 404


def test_a_photo_address_is_no_link_and_no_set_up_address(cast: Family, stranger: LintingClient, photo: str) -> None:
    token = photo_address(cast, photo, "grid", device=cast.people["Rose"].cookie).removeprefix("/m/")
    for door in ("/i/", "/setup/", "/reset/"):
        assert stranger.get(door + token).status_code == 404
        for other in (cast.people["Rose"].token,):
            assert stranger.get(door + other).status_code == (200 if door == "/i/" else 404)


def test_the_cookie_is_never_in_an_address(cast: Family, rose: LintingClient, brittany: str) -> None:
    cookie = cast.people["Rose"].cookie
    page = rose.get(f"/shared/{brittany}").text
    for secret in (cookie, cookie_digest(cookie).hex(), base64.urlsafe_b64encode(cookie_digest(cookie)).decode().rstrip("=")):
        assert secret not in page


@pytest.mark.parametrize(
    "end",
    ["/grants/{grant}/end", "/people/{id}/stop", "/stop-sharing"],
)
def test_what_is_ended_is_ended_for_bytes_at_once(
    cast: Family, anna: LintingClient, rose: LintingClient, photo: str, end: str
) -> None:
    person = cast.people["Rose"]
    address = photo_address(cast, photo, "screen", device=person.cookie)
    etag = rose.get(address).headers["ETag"]
    assert anna.send(end.format(grant=person.grant, id=person.id), password="a boat and two gulls").status_code == 303
    assert rose.get(address).status_code == 404
    assert rose.get(address, headers={"If-None-Match": etag}).status_code == 404


def test_a_long_answer_breaks_off_when_its_viewer_is_ended_in_the_middle(
    cast: Family, anna: LintingClient, rose: LintingClient, photo: str, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_bytes, "STRETCH", 200)
    monkeypatch.setattr(photo_bytes, "WHOLE", 400)
    address = photo_address(cast, photo, "screen", device=cast.people["Rose"].cookie)
    assert rose.get(address).data == content
    assert len(rose.get(address, headers={"Range": "bytes=0-"}).data) == 200, "a range is one stretch"
    pieces = iter(rose.get(address).iter_encoded())
    assert next(pieces) == content[:200]
    anna.send(f"/people/{cast.people['Rose'].id}/stop")
    with pytest.raises(NotVisible):
        next(pieces)


def test_sharing_again_gives_new_addresses(
    cast: Family, anna: LintingClient, photo: str, browser_of: Callable[..., LintingClient]
) -> None:
    person = cast.people["Rose"]
    old = photo_address(cast, photo, "screen", device=person.cookie)
    anna.send(f"/people/{person.id}/stop")
    again = anna.send(f"/albums/{cast.albums[BRITTANY].id}/share", json=True, guest=person.id).get_json()["link"]
    browser = browser_of(device=person.cookie)
    assert browser.send(again.removeprefix("http://127.0.0.1:8000")).status_code == 303
    assert browser.cookie("kinfold_device") != person.cookie
    assert browser.get("/shared").status_code == 200
    assert browser.get(old).status_code == 404
    assert browser_of(device=person.cookie).get(old).status_code == 404


def test_a_signed_out_member_gets_no_more_bytes(cast: Family, anna: LintingClient, photo: str, house: House) -> None:
    address = photo_address(cast, photo, "grid", member=cast.cookie)
    assert anna.get(address).status_code == 200
    with house.database.writing() as session:
        session.execute(sa.delete(SignedIn))
    assert anna.get(address).status_code == 404


def test_a_deleted_photo_is_gone_for_everybody(cast: Family, anna: LintingClient, rose: LintingClient, photo: str) -> None:
    address = photo_address(cast, photo, "screen", device=cast.people["Rose"].cookie)
    anna.send(f"/photos/{photo}/delete")
    assert rose.get(address).status_code == 404


def test_a_photo_that_waits_has_no_bytes(cast: Family, anna: LintingClient) -> None:
    waiting = cast.upload(TOM, b"\xff\xd8 not looked at yet")
    assert anna.get(photo_address(cast, waiting, "grid", member=cast.cookie)).status_code == 404


# --- cookies and storage in a bad state


def test_another_programs_cookies_are_in_nobodys_way(cast: Family, rose: LintingClient, photo: str) -> None:
    address = photo_address(cast, photo, "screen", device=cast.people["Rose"].cookie)
    for name, value in (("settings[a]", "1"), ("json", '{"a": 1, "b": [2]}'), ("comma,name", "x"), ("empty", "")):
        headers = {"Cookie": f"{name}={value}; kinfold_device={cast.people['Rose'].cookie}"}
        client = LintingClient(rose.application, use_cookies=False)
        assert client.get(address, headers=headers).status_code == 200, name


def test_of_two_cookies_pages_and_bytes_believe_the_same(cast: Family, rose: LintingClient, brittany: str) -> None:
    headers = {"Cookie": f"kinfold_device={cast.people['Rose'].cookie}; kinfold_device=planted"}
    client = LintingClient(rose.application, use_cookies=False)
    page = client.get(f"/shared/{brittany}", headers=headers)
    address = "/m/" + page.text.split('src="/m/')[1].split('"')[0]
    assert client.get(address, headers=headers).status_code == 200


def test_a_foreign_host_gets_nothing(cast: Family, rose: LintingClient, photo: str) -> None:
    address = photo_address(cast, photo, "screen", device=cast.people["Rose"].cookie)
    cookie = {"Cookie": f"kinfold_device={cast.people['Rose'].cookie}"}
    assert rose.get(address, headers=cookie | {"Host": "evil.example"}).status_code == 400


def test_an_object_that_is_lost_is_no_half_answer(cast: Family, house: House, rose: LintingClient, photo: str) -> None:
    address = photo_address(cast, photo, "screen", device=cast.people["Rose"].cookie)
    for stored in list(house.storage.list("albums/")):
        house.storage.delete(stored.name)
    answer = rose.get(address)
    assert answer.status_code in (404, 503)
    assert answer.headers["Cache-Control"] == "no-store"


# --- one decision in two languages


def test_the_statement_about_bytes_decides_like_the_rules(cast: Family, house: House, clock: HandClock, photo: str) -> None:
    """`sharing.rules` decides about pages in Python, `PhotoBytes.see` about bytes in SQL: every combination of facts, held side by side."""
    person, now = cast.people["Rose"], clock.now()
    served, claim = PhotoBytes(house, Places(1)), MediaClaim(photo, "screen", "device", False, 2**40)
    moments = (now - timedelta(days=1), now, now + timedelta(days=1))
    for expires, ended, by in product(moments, (None, moments[0]), (None, EndedBy.DATE, EndedBy.HAND)):
        if (ended is None) != (by is None):
            continue
        for device_expires, unused_after, device_ended in product(moments, moments, (None, moments[0])):
            with house.database.writing() as session:
                values = {"expires_at": expires, "ended_at": ended, "ended_by": by}
                session.execute(sa.update(Grant).where(Grant.id == person.grant).values(values))
                values = {"expires_at": device_expires, "unused_after": unused_after, "ended_at": device_ended}
                session.execute(sa.update(DeviceRow).where(DeviceRow.guest_id == person.id).values(values))
            state = grant_state(expires_at=expires, ended_at=ended, ended_by_hand=by is EndedBy.HAND, at=now)
            live = device_live(expires_at=device_expires, unused_after=unused_after, ended_at=device_ended, at=now)
            try:
                served.see(claim, cookie_digest(person.cookie))
                seen = True
            except NotVisible:
                seen = False
            assert seen == (live and state is GrantState.LIVE), (expires, ended, by, device_expires, unused_after, device_ended)
