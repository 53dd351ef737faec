"""Attacks on pages and forms: 1, 7, 8, 12 and 15 of the security design. 2, 4 and 5 are in test_photo_bytes.py, 14 in test_keys.py."""

import time
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from app import create_app
from app.clock import HandClock
from app.house import House
from app.models import Activity, DeviceRow
from tests.conftest import PASSWORD, Family
from tests.lint import LintingClient, lint_page
from tests.rows import SEEN, all_rows
from tests.server import TOKEN
from tests.web.conftest import BRITTANY, TOM, photo_address

FORMS = ("/sign-in", "/stop-sharing", "/albums", "/i/{token}", "/account/password", "/sign-out", "/shared/leave")


def everybody(cast: Family, browser_of: Callable[..., LintingClient]) -> LintingClient:
    """A browser with all the powers there are."""
    return browser_of(member=cast.cookie, device=cast.people["Rose"].cookie)


# --- 1: forms of other people's pages


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_a_form_on_somebody_elses_page_does_nothing(
    cast: Family, house: House, browser_of: Callable[..., LintingClient], site: str
) -> None:
    browser = everybody(cast, browser_of)
    token = browser.any_token()
    before = all_rows(house.database, without=SEEN)
    for form in FORMS:
        answer = browser.post(
            form.format(token=cast.people["Jim"].token),
            data={"csrf_token": token, "email": cast.email, "password": PASSWORD, "title": "Mine"},
            headers={"Sec-Fetch-Site": site, "Origin": "https://evil.example"},
        )
        assert answer.status_code == 404, form
        assert not answer.headers.getlist("Set-Cookie"), form
    assert all_rows(house.database, without=SEEN) == before


def test_our_own_forms_come_with_a_null_origin_and_are_taken(anna: LintingClient) -> None:
    for headers in ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, {"Origin": "null"}, {"Sec-Fetch-Site": "none"}):
        answer = anna.post("/albums", data={"csrf_token": anna.any_token(), "title": "Picnic"}, headers=headers)
        assert answer.status_code == 303


def test_a_form_without_our_token_does_nothing(cast: Family, house: House, browser_of: Callable[..., LintingClient]) -> None:
    browser = everybody(cast, browser_of)
    browser.any_token()
    before = all_rows(house.database, without=SEEN)
    fields = {"title": "Mine", "email": cast.email, "password": PASSWORD}
    for token in ({}, *({"csrf_token": text} for text in ("", "garbage", "é\x00", "x" * 5000))):
        for form in FORMS:
            if not form.startswith("/i/"):
                assert browser.post(form, data=fields | token).status_code == 400, (form, token)
    assert all_rows(house.database, without=SEEN) == before


def test_the_token_of_another_browser_is_worth_nothing(anna: LintingClient, stranger: LintingClient) -> None:
    anna.any_token()
    assert anna.post("/albums", data={"csrf_token": stranger.any_token(), "title": "Mine"}).status_code == 400


def test_a_form_that_lay_open_all_day_says_so_and_leads_back(anna: LintingClient, monkeypatch: pytest.MonkeyPatch) -> None:
    token = anna.form_token("/albums")
    monkeypatch.setitem(anna.application.config, "WTF_CSRF_TIME_LIMIT", -1)
    answer = anna.post("/albums", data={"csrf_token": token, "title": "Mine"})
    assert answer.status_code == 400
    assert "Please try once more" in answer.text
    assert 'href="/albums"' in answer.text


def test_roses_button_works_after_weeks(cast: Family, stranger: LintingClient, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"/i/{cast.people['Rose'].token}"
    token = stranger.form_token(address)
    monkeypatch.setitem(stranger.application.config, "WTF_CSRF_TIME_LIMIT", -1)
    assert stranger.post(address, data={"csrf_token": token}).status_code == 303


def test_the_back_button_of_an_expired_form_leads_to_a_page(cast: Family, anna: LintingClient) -> None:
    photo, rose = cast.photos[BRITTANY][0], cast.people["Rose"]
    forms = [
        f"/albums/{cast.albums[BRITTANY].id}/photos",
        f"/photos/{photo}/delete",
        f"/people/{rose.id}/links",
        f"/grants/{rose.grant}/end",
    ]
    for form in forms:
        answer = anna.post(form, data={}, content_type="multipart/form-data; boundary=x")
        back = answer.text.split('class="button primary" href="')[1].split('"')[0]
        assert anna.get(back, follow_redirects=True).mimetype == "text/html", f"{form} leads back to {back}"


# --- 7: several powers in one browser


def test_powers_never_add_up(cast: Family, marcs: Family, browser_of: Callable[..., LintingClient]) -> None:
    browser = browser_of(member=marcs.cookie, device=cast.people["Rose"].cookie)
    album, photo = cast.albums[BRITTANY].id, cast.photos[BRITTANY][0]
    assert browser.get(f"/shared/{album}").status_code == 200
    assert browser.get(f"/albums/{album}").status_code == 404
    assert browser.get(f"/photos/{photo}").status_code == 404
    assert browser.get(f"/shared/{marcs.albums['Alps'].id}").status_code == 404
    assert browser.get(photo_address(cast, photo, "grid", member=marcs.cookie)).status_code == 404
    assert browser.get(photo_address(cast, photo, "grid", device=cast.people["Rose"].cookie)).status_code == 200


def test_two_guests_and_a_member_in_one_browser_are_taken_apart_again(
    cast: Family, marcs: Family, browser_of: Callable[..., LintingClient], anna: LintingClient
) -> None:
    tablet = browser_of(member=marcs.cookie)
    for name in ("Rose", "Jim"):
        assert tablet.send(f"/i/{cast.people[name].token}").status_code == 303
    page = tablet.get("/shared").text
    assert "Whose photos?" in page
    assert BRITTANY in page and TOM in page and "Alps" not in page
    anna.send(f"/people/{cast.people['Rose'].id}/stop")
    page = tablet.get("/shared").text
    assert TOM in page and BRITTANY not in page
    assert tablet.get("/albums").status_code == 200
    assert tablet.send("/shared/leave").status_code == 303
    assert tablet.get("/shared").status_code == 404
    assert tablet.get("/albums").status_code == 200


@pytest.mark.parametrize("planted", ["planted-by-somebody", "{olga}", ""])
def test_a_planted_cookie_is_replaced_when_a_link_is_opened(
    cast: Family, browser_of: Callable[..., LintingClient], planted: str
) -> None:
    browser = browser_of(device=planted.format(olga=cast.people["Olga"].cookie))
    assert browser.send(f"/i/{cast.people['Rose'].token}").status_code == 303
    assert browser.cookie("kinfold_device") not in (None, planted, cast.people["Olga"].cookie)
    assert browser_of(device=planted or "x").get("/shared").status_code == 404


@pytest.mark.parametrize("planted", ["planted-by-somebody", "{marc}"])
def test_a_planted_cookie_is_replaced_at_sign_in(
    cast: Family, marcs: Family, browser_of: Callable[..., LintingClient], planted: str
) -> None:
    planted = planted.format(marc=marcs.cookie)
    browser = browser_of(member=planted)
    browser.send("/sign-in", email=cast.email, password=PASSWORD)
    assert browser.cookie("kinfold_member") not in (None, planted)
    assert "The Smiths" in browser.get("/albums").text
    assert browser_of(member=planted).get("/albums").status_code == 404, "what the browser held before is ended"


def test_what_a_tablet_could_see_before_moves_to_its_new_cookie(cast: Family, browser_of: Callable[..., LintingClient]) -> None:
    tablet = browser_of(device=cast.people["Rose"].cookie)
    assert tablet.send(f"/i/{cast.people['Jim'].token}").status_code == 303
    assert BRITTANY in tablet.get("/shared").text
    assert browser_of(device=cast.people["Rose"].cookie).get("/shared").status_code == 404, "the old value is worth nothing"


@pytest.mark.parametrize("power", ["device", "member"])
def test_opening_a_link_after_a_day_does_not_wait_for_itself(
    cast: Family, marcs: Family, browser_of: Callable[..., LintingClient], power: str
) -> None:
    """Noting the visit and letting the browser in both write; two writers in one request would wait 15 seconds for each other."""
    cookie = {"device": {"device": cast.people["Rose"].cookie}, "member": {"member": marcs.cookie}}[power]
    browser, other = browser_of(**cookie), browser_of()
    token = other.any_token()
    browser.set_cookie("kinfold_form", str(other.cookie("kinfold_form")), domain=browser.domain)
    began = time.monotonic()
    assert browser.post(f"/i/{cast.people['Jim'].token}", data={"csrf_token": token}).status_code == 303
    assert time.monotonic() - began < 5


# --- 8: bots, scanners, previews


BOTS = [
    {"User-Agent": "WhatsApp/2.23.20.0"},
    {"User-Agent": "facebookexternalhit/1.1"},
    {"Purpose": "prefetch", "Sec-Purpose": "prefetch;prerender"},
    {"User-Agent": "BarracudaSentinel", "Accept": "application/json"},
]


def test_a_bot_learns_nothing_and_changes_nothing(
    cast: Family, house: House, browser_of: Callable[..., LintingClient], clock: HandClock
) -> None:
    hostile = cast.share(TOM, "<b>Roşe‮</b> 🍕", open_it=False)
    people = [cast.people[name] for name in ("Rose", "Olga", "Egon")] + [hostile]
    before = all_rows(house.database)
    for headers in BOTS:
        for person in people:
            for method in ("GET", "HEAD", "OPTIONS"):
                answer = browser_of().open(f"/i/{person.token}", method=method, headers=headers)
                told = answer.text + str(answer.headers)
                for secret in ("Rose", "Roşe", "🍕", "Anna", "Smith", BRITTANY, TOM, "/m/", "photo-"):
                    assert secret not in told, (person, secret)
    assert all_rows(house.database) == before


def test_the_neutral_page_is_the_same_for_every_link(cast: Family, browser_of: Callable[..., LintingClient]) -> None:
    def page(name: str) -> str:
        browser, address = browser_of(), f"/i/{cast.people[name].token}"
        text = browser.get(address).text
        return text.replace(address, "").replace(text.split('csrf_token" value="')[1].split('"')[0], "")

    assert page("Rose") == page("Jim")


def test_a_garbage_link_is_a_plain_404(cast: Family, browser_of: Callable[..., LintingClient]) -> None:
    for token in ("x", "a.b", "%00", "é", "../albums", "a" * 3000):
        for door in ("/i/", "/setup/", "/reset/"):
            browser = browser_of()
            assert (browser.get(door + token).status_code, browser.send(door + token).status_code) == (404, 404), door + token


# --- 12: addresses and names that lead elsewhere


def test_another_host_gets_nothing(stranger: LintingClient) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "localhost.", "", "a b"):
        for address in ("/sign-in", "/healthz", "/m/x", "/static/icon.svg"):
            assert stranger.get(address, headers={"Host": host}).status_code == 400, (host, address)


def test_without_a_trusted_proxy_forwarded_headers_are_nobodys_business(anna: LintingClient, brittany: str) -> None:
    forged = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "6.6.6.6",
        "Forwarded": "host=evil.example",
    }
    data = {"csrf_token": anna.any_token(), "name": "Grandpa"}
    for headers in (forged, forged | {"Accept": "application/json"}):
        answer = anna.post(f"/albums/{brittany}/share", data=data, headers=headers)
        assert answer.status_code == 201
        assert "evil.example" not in answer.text + str(answer.headers)
        assert "http://127.0.0.1:8000/i/" in answer.text
    assert "evil.example" not in str(anna.get("/", headers=forged).headers)


def test_one_trusted_proxy_is_believed_about_the_address_and_no_further(make_house: Callable[..., House]) -> None:
    house = make_house(KINFOLD_TRUSTED_PROXIES="1", KINFOLD_BASE_URL="https://photos.example.org")
    browser = LintingClient(create_app(house.settings, house))
    behind = {"X-Forwarded-Host": "evil.example, photos.example.org", "X-Forwarded-Proto": "https"}
    assert browser.get("/sign-in", headers=behind | {"Host": "127.0.0.1:8000"}).status_code == 200
    assert browser.get("/sign-in", headers=behind | {"X-Forwarded-Host": "evil.example"}).status_code == 400
    token = browser.any_token()
    for number in range(40):
        forged = behind | {"X-Forwarded-For": f"10.0.0.{number}, 6.6.6.6"}
        answer = browser.post(
            "/sign-in", data={"csrf_token": token, "email": f"a{number}@b", "password": "x" * 12}, headers=forged
        )
    assert answer.status_code == 429, "an address that the visitor made up starts no new count"


def test_redirects_and_links_stay_here(anna: LintingClient, stranger: LintingClient) -> None:
    for address in ("//evil.example/albums", "/\\evil.example", "/%2f%2fevil.example", "/albums//", "//evil.example//i//x"):
        location = stranger.get(address).headers.get("Location", "/")
        assert urlsplit(location).netloc in ("", "127.0.0.1:8000"), address


ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "https://evil.example",
    "http:evil.example",
    "evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "javascript:alert(1)",
    "/\t/evil.example",
    "/\r\nSet-Cookie: a=b",
    " /albums",
    "/albums\x00",
]


def test_after_sign_in_nobody_is_led_elsewhere(cast: Family, browser_of: Callable[..., LintingClient]) -> None:
    for following in ELSEWHERE:
        answer = browser_of().send("/sign-in", email=cast.email, password=PASSWORD, next=following)
        assert answer.headers["Location"] == "/albums", following


def test_after_sign_in_anna_goes_on_to_where_she_wanted(cast: Family, stranger: LintingClient, brittany: str) -> None:
    answer = stranger.send("/sign-in", email=cast.email, password=PASSWORD, next=f"/albums/{brittany}?select=1")
    assert answer.headers["Location"] == f"/albums/{brittany}?select=1"


NAMES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "‮egnahc‬ ⁦RTL⁩ \u200f",
    "Rose\r\nSet-Cookie: a=b\r\n\r\n<h1>",
    "🍕🧀👩‍👩‍👧‍👦 Größe, ꙮ",
    "a" * 100,
    "%s %(name)s ${x} \\u0041",
    "رُوزا",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_only_a_name(
    cast: Family, anna: LintingClient, browser_of: Callable[..., LintingClient], name: str
) -> None:
    """The client lints every page: valid HTML, no inline script, no address that leads elsewhere."""
    album = anna.send("/albums", json=True, title=name, description=name).get_json()["id"]
    share = anna.send(f"/albums/{album}/share", json=True, name=name).get_json()
    lint_page(anna.send(f"/people/{cast.people['Jim'].id}/edit", name=name, follow_redirects=True).text, "the page of a person")
    lint_page(anna.send(f"/albums/{album}/share", name=f"{name} 2").text, "the page of a new link")
    rose = browser_of(device=cast.people["Rose"].cookie)
    rose.send(urlsplit(share["link"]).path)
    for browser, pages in (
        (
            anna,
            [
                "/albums",
                f"/albums/{album}",
                f"/albums/{album}/edit",
                f"/albums/{album}/share",
                "/people",
                f"/people/{share['guest']}",
            ],
        ),
        (rose, ["/shared", f"/shared/{album}"]),
    ):
        for page in pages:
            answer = browser.get(page)
            assert answer.status_code == 200, page
            assert not set("‮‭⁦⁧") & set(answer.text), "no direction overrides"
            assert "a=b" not in answer.headers.get("Set-Cookie", "")


def test_a_name_of_300_characters_is_told_to_be_too_long(cast: Family, anna: LintingClient, brittany: str) -> None:
    for address, fields, reason in (
        ("/people", {"name": "ä" * 300}, "name-too-long"),
        ("/albums", {"title": "ä" * 300}, "title-too-long"),
        (f"/albums/{brittany}/share", {"name": "ä" * 300}, "name-too-long"),
        (f"/people/{cast.people['Rose'].id}/edit", {"name": "ä" * 300}, "name-too-long"),
    ):
        answer = anna.send(address, json=True, **fields)
        assert (answer.status_code, answer.get_json()["error"]) == (400, reason)


# --- 15: guessing and flooding


def test_clicks_on_dead_links_lock_nobody_out(
    cast: Family, stranger: LintingClient, browser_of: Callable[..., LintingClient]
) -> None:
    dead = [f"/i/{cast.people['Olga'].token}", "/i/garbage"]
    assert {stranger.get(dead[number % 2]).status_code for number in range(500)} == {404}
    assert browser_of().send(f"/i/{cast.people['Rose'].token}").status_code == 303
    assert browser_of().send("/sign-in", email=cast.email, password=PASSWORD).status_code == 303


def test_wrong_passwords_from_one_address_end_in_a_break_and_anna_still_comes_in(
    cast: Family, browser_of: Callable[..., LintingClient], clock: HandClock
) -> None:
    annas = browser_of()
    assert annas.send("/sign-in", email=cast.email, password=PASSWORD).status_code == 303
    annas.send("/sign-out")
    guesser = browser_of()
    statuses = [guesser.send("/sign-in", email=cast.email, password=f"guess number {n}").status_code for n in range(200)]
    assert statuses == [400] * 10 + [429] * 190
    told = guesser.send("/sign-in", email=cast.email, password=PASSWORD)
    assert told.status_code == 429, "not even the right password is listened to"
    assert 0 < int(told.headers["Retry-After"]) <= 15 * 60
    assert guesser.send("/sign-in", json=True, email=cast.email, password="x" * 12).get_json() == {"error": "too-often"}
    assert annas.send("/sign-in", email=cast.email, password=PASSWORD).status_code == 303
    assert browser_of().send(f"/i/{cast.people['Rose'].token}").status_code == 303
    clock.move(timedelta(minutes=15, seconds=1))
    assert guesser.send("/sign-in", email=cast.email, password=PASSWORD).status_code == 303


def test_a_browser_that_is_known_can_not_guess_for_ever_either(cast: Family, browser_of: Callable[..., LintingClient]) -> None:
    known = browser_of()
    known.send("/sign-in", email=cast.email, password=PASSWORD)
    known.send("/sign-out")
    statuses = [known.send("/sign-in", email=cast.email, password=f"guess number {n}").status_code for n in range(12)]
    assert statuses == [400] * 10 + [429] * 2


def test_being_known_for_one_account_helps_with_no_other(
    cast: Family, marcs: Family, browser_of: Callable[..., LintingClient]
) -> None:
    marc, guesser = browser_of(), browser_of()
    marc.send("/sign-in", email=marcs.email, password=PASSWORD)
    marc.send("/sign-out")
    for number in range(10):
        guesser.send("/sign-in", email=cast.email, password=f"guess number {number}")
    assert marc.send("/sign-in", email=cast.email, password=PASSWORD).status_code == 429


def test_one_address_can_not_try_many_accounts(cast: Family, browser_of: Callable[..., LintingClient]) -> None:
    guesser = browser_of()
    statuses = [guesser.send("/sign-in", email=f"guest{n}@example.org", password="x" * 12).status_code for n in range(35)]
    assert statuses == [400] * 30 + [429] * 5


def test_known_and_unknown_addresses_get_the_same_answer_for_the_same_work(
    cast: Family, house: House, browser_of: Callable[..., LintingClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    work: list[str] = []
    for name in ("hash", "verify"):
        real = getattr(PasswordHasher, name)
        monkeypatch.setattr(PasswordHasher, name, lambda *args, name=name, real=real: (work.append(name), real(*args))[1])
    house.passwords.verify(None, "so that the dummy hash is there")
    browser = browser_of()
    token = browser.any_token()
    told = {}
    for email in (cast.email, "nobody@example.org"):
        work.clear()
        answer = browser.post("/sign-in", data={"csrf_token": token, "email": email, "password": "x" * 12})
        page = TOKEN.sub("", answer.text.replace(email, ""))  # which says what second it is
        told[email] = (answer.status_code, page, tuple(work))
    assert told[cast.email] == told["nobody@example.org"]
    assert told[cast.email][2] == ("verify",)


def test_what_is_counted_tells_nobodys_address(cast: Family, house: House, browser_of: Callable[..., LintingClient]) -> None:
    browser_of().send("/sign-in", email=cast.email, password="x" * 12)
    with house.database.reading() as session:
        buckets = session.scalars(sa.select(Activity.bucket).where(Activity.bucket.is_not(None))).all()
    assert len(buckets) == 2
    assert not any("anna" in str(bucket) or "127.0.0.1" in str(bucket) for bucket in buckets)


def test_a_link_lets_in_as_many_browsers_as_it_has_places(
    cast: Family, house: House, browser_of: Callable[..., LintingClient]
) -> None:
    address = f"/i/{cast.people['Rose'].token}"
    led = [browser_of().send(address).location for _ in range(4)]
    assert led == ["/shared", "/shared", "/waiting", "/waiting"], "Rose's own phone took the first of three places"
    with house.database.reading() as session:
        count = session.scalars(sa.select(sa.func.count()).where(DeviceRow.guest_id == cast.people["Rose"].id)).one()
    assert count == 3
