"""What guests ask and members answer: more time, a new phone, a card. With the attacks on them: whoever waits learns nothing, and only the
browser that asked is let in."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from app.activity.service import TELL
from app.clock import HandClock
from app.config import Settings
from app.house import House
from app.models import Activity, DeviceRow, Link, NewPhone
from app.ops.backup.restoring import end_ways_in
from app.security.tokens import Tokens
from app.sharing import rules
from app.sharing.service import end_what_is_over
from app.sharing.words import draw, parse
from tests.conftest import PASSWORD, Family
from tests.lint import LintingClient
from tests.rows import SEEN, all_rows
from tests.web.conftest import TOM, refused_with

Browsers = Callable[..., LintingClient]
THIRTY = timedelta(days=30)


def rows(house: House, model: type) -> list:
    with house.database.reading() as session:
        return list(session.scalars(sa.select(model)))


def told(house: House) -> int:
    """How many times members are told of something at once."""
    with house.database.reading() as session:
        return len(house.jobs.live_subjects(session, TELL))


# --- more time


@pytest.fixture
def egon(cast: Family, browser_of: Browsers) -> LintingClient:
    """The phone of somebody whose time ran out a minute ago."""
    return browser_of(device=cast.people["Egon"].cookie)


def ask(egon: LintingClient, album: str) -> None:
    assert egon.send(f"/shared/{album}/more-time").location == f"/shared/{album}"


def test_more_time_is_asked_once_and_given_with_one_tap(
    cast: Family, house: House, anna: LintingClient, egon: LintingClient, brittany: str
) -> None:
    page = egon.get("/shared")
    assert (page.status_code, "Ask <bdi>Anna</bdi> for more time" in page.text) == (410, True)
    for _ in range(2):
        ask(egon, brittany)
    assert (told(house), [row.kind for row in rows(house, Activity)].count("more-time-asked")) == (1, 1)
    page = egon.get(f"/shared/{brittany}")
    assert "<bdi>Anna</bdi> has been asked." in page.text and "/more-time" not in page.text
    person = f"/people/{cast.people['Egon'].id}"
    for where in ("/albums", person):
        assert "asks for more time for <bdi>Brittany 2026</bdi>" in anna.get(where).text
    assert anna.send(f"/grants/{cast.people['Egon'].grant}/extend", days="30").status_code == 303
    assert "asks for more time" not in anna.get("/albums").text
    assert egon.get(f"/shared/{brittany}").status_code == 200
    ask(egon, brittany)  # an old page: nothing to ask
    assert "asks for more time" not in anna.get("/albums").text


@pytest.mark.parametrize("never", [False, True])
def test_a_no_is_the_end_of_asking_until_there_is_more_time_or_for_good(
    cast: Family, house: House, clock: HandClock, anna: LintingClient, egon: LintingClient, brittany: str, never: bool
) -> None:
    grant = cast.people["Egon"].grant
    ask(egon, brittany)
    assert anna.send(f"/grants/{grant}/no-more-time", **({"never": "y"} if never else {})).status_code == 303
    ask(egon, brittany)
    page = egon.get("/shared")
    assert "/more-time" not in page.text and "Ask <bdi>Anna</bdi> if you would like more time." in page.text
    assert "asks for more time" not in anna.get("/albums").text
    before = all_rows(house.database, without=SEEN)
    anna.send(f"/grants/{grant}/no-more-time", never="y")  # a second tap, or one who answers an answered question
    assert all_rows(house.database, without=SEEN) == before
    anna.send(f"/grants/{grant}/extend", days="7")
    clock.move(timedelta(days=7, minutes=1))
    assert ("/more-time" in egon.get("/shared").text) is not never
    ask(egon, brittany)
    assert ("asks for more time" in anna.get("/albums").text) is not never


def test_who_was_ended_by_hand_is_foreign_or_unknown_can_not_ask(
    cast: Family, house: House, marcs: Family, browser_of: Browsers, anna: LintingClient, brittany: str
) -> None:
    ben = browser_of(device=cast.people["Egon"].cookie)
    anna.send(f"/grants/{cast.people['Egon'].grant}/end")
    jim, olga = (browser_of(device=cast.people[name].cookie) for name in ("Jim", "Olga"))
    before = all_rows(house.database, without=SEEN)
    answers = {(browser.send(f"/shared/{brittany}/more-time").status_code) for browser in (ben, jim, olga, browser_of())}
    assert answers == {404}
    assert all_rows(house.database, without=SEEN) == before
    marc = browser_of(member=marcs.cookie)
    assert marc.send(f"/grants/{cast.people['Egon'].grant}/no-more-time").status_code == 404


def test_another_group_sees_no_question(marcs: Family, egon: LintingClient, brittany: str, browser_of: Browsers) -> None:
    ask(egon, brittany)
    assert "asks for" not in browser_of(member=marcs.cookie).get("/albums").text


def test_an_album_that_ends_in_three_days_says_so(cast: Family, clock: HandClock, rose: LintingClient, brittany: str) -> None:
    pages = ("/shared", f"/shared/{brittany}")
    assert not any("more day" in rose.get(page).text for page in pages)
    clock.move(timedelta(days=26))  # of thirty, one has passed
    assert all("3 more days." in rose.get(page).text for page in pages)
    clock.move(timedelta(days=2))
    assert all("1 more day." in rose.get(page).text for page in pages)


# --- a new phone


@pytest.fixture
def full(cast: Family, house: House, browser_of: Browsers) -> str:
    """Rose's link, on which as many phones are as it lets in at once."""
    for _ in range(house.settings.phones - 1):
        browser_of().send(f"/i/{cast.people['Rose'].token}")
    return f"/i/{cast.people['Rose'].token}"


@pytest.fixture
def fourth(full: str, browser_of: Browsers) -> LintingClient:
    """The phone that came next, and waits."""
    browser = browser_of()
    assert browser.send(full).location == "/waiting"
    return browser


def phone_of(house: House) -> NewPhone:
    (phone,) = rows(house, NewPhone)
    return phone


def test_the_fourth_phone_asks_and_is_let_in(
    cast: Family, house: House, anna: LintingClient, fourth: LintingClient, full: str, browser_of: Browsers, brittany: str
) -> None:
    phone, person = phone_of(house), f"/people/{cast.people['Rose'].id}"
    page = fourth.get("/waiting").text
    assert f'class="two-digits">{phone.number}<' in page
    assert not any(word in page for word in ("Rose", "Anna", "Brittany", "Smith"))
    assert fourth.get("/waiting", headers={"Accept": "application/json"}).get_json() == {"state": "waiting"}
    for where in ("/albums", person):
        seen = anna.get(where).text
        assert "A new phone wants to open the link of <bdi>Rose</bdi>" in seen and f"Yes, they see {phone.number}" in seen
    assert fourth.send("/waiting", page="/waiting").location == "/waiting"  # asking again is no yes
    assert anna.send(f"/new-phones/{phone.id}/let-in").location == person
    assert fourth.get("/shared").status_code == 404, "a yes alone is no device"
    before = all_rows(house.database, without=SEEN)
    assert fourth.get("/waiting", headers={"Accept": "application/json"}).get_json() == {"state": "yes"}
    assert "Open the photos" in fourth.get("/waiting").text and fourth.head("/waiting").status_code == 200
    assert all_rows(house.database, without=SEEN) == before, "a GET lets nobody in"
    assert fourth.send("/waiting", page="/waiting").location == "/shared"
    assert fourth.get(f"/shared/{brittany}").status_code == 200
    assert rows(house, NewPhone) == [] and "A new phone wants" not in anna.get("/albums").text
    assert browser_of().send(full).location == "/waiting", "the yes was for one"


def test_who_waits_comes_in_by_the_link_too_and_by_one_more_place(
    cast: Family, house: House, anna: LintingClient, fourth: LintingClient, full: str, browser_of: Browsers
) -> None:
    assert fourth.send(full).location == "/waiting"
    anna.send(f"/new-phones/{phone_of(house).id}/let-in")
    assert fourth.send(full).location == "/shared"
    fifth = browser_of()
    fifth.send(full)
    anna.send(f"/links/{cast.people['Rose'].link}/one-more")
    assert fifth.send(full).location == "/shared"
    assert rows(house, NewPhone) == []


def test_a_yes_is_for_the_browser_that_asked_and_for_no_other(
    cast: Family, house: House, anna: LintingClient, fourth: LintingClient, browser_of: Browsers
) -> None:
    phone, thief = phone_of(house), browser_of()
    anna.send(f"/new-phones/{phone.id}/let-in")
    for guess in ("", "garbage", phone.id, str(phone.number), phone.cookie_hash.hex(), "x" * 3000):
        thief.set_cookie("kinfold_waiting", guess, domain=thief.domain)
        answer = thief.send("/waiting")
        assert answer.status_code in (404, 410) and thief.get("/shared").status_code == 404
        assert "Rose" not in answer.text
    assert len(rows(house, NewPhone)) == 1 and fourth.send("/waiting").location == "/shared"


def test_a_planted_secret_is_never_taken_over(house: House, full: str, fourth: LintingClient, browser_of: Browsers) -> None:
    victim = browser_of()
    planted = fourth.cookie("kinfold_waiting")
    assert planted is not None
    own = "planted by somebody who knows it"
    victim.set_cookie("kinfold_waiting", own, domain=victim.domain)
    assert victim.send(full).location == "/waiting"
    assert victim.cookie("kinfold_waiting") not in (own, planted, None)
    assert len(rows(house, NewPhone)) == 2


def test_a_second_tap_waits_once_and_two_tabs_are_one_phone(
    cast: Family, house: House, anna: LintingClient, full: str, browser_of: Browsers
) -> None:
    browser = browser_of()
    token = browser.form_token(full)
    for _ in range(2):
        assert browser.post(full, data={"csrf_token": token}).location == "/waiting"
        first = browser.cookie("kinfold_waiting")
        browser.delete_cookie("kinfold_waiting", domain=browser.domain)  # both were on their way before the first answer came
    assert len(rows(house, NewPhone)) == 1
    assert first is not None
    browser.set_cookie("kinfold_waiting", first, domain=browser.domain)
    anna.send(f"/new-phones/{phone_of(house).id}/let-in")
    other_tab = browser.form_token("/waiting")
    assert browser.post("/waiting", data={"csrf_token": other_tab}).location == "/shared"
    assert browser.get("/waiting").status_code == 404, "its secret is gone"
    browser.set_cookie("kinfold_waiting", first, domain=browser.domain)
    assert browser.get("/waiting").location == "/shared"
    replayed = browser_of()
    replayed.set_cookie("kinfold_waiting", first, domain=replayed.domain)
    assert replayed.send("/waiting").status_code == 410
    assert len([row for row in rows(house, DeviceRow) if row.guest_id == cast.people["Rose"].id]) == 4


def test_a_no_ends_the_link_and_offers_a_new_one_and_lets_devices_stay(
    cast: Family, house: House, anna: LintingClient, rose: LintingClient, fourth: LintingClient, full: str, browser_of: Browsers
) -> None:
    person = f"/people/{cast.people['Rose'].id}"
    assert anna.send(f"/new-phones/{phone_of(house).id}/refuse").location == person
    assert "lets anybody in just now" in anna.get(person).text and "Send a new link" in anna.get(person).text
    answer = fourth.get("/waiting")
    assert (answer.status_code, "This link has ended" in answer.text) == (410, True)
    assert fourth.send("/waiting").status_code == 410
    assert [browser_of().get(full).status_code, browser_of().send(full).status_code, fourth.send(full).status_code] == [404] * 3
    assert rose.get("/shared").status_code == 200
    new = anna.send(f"{person}/links", json=True).get_json()["link"]
    assert browser_of().send(urlsplit(new).path).location == "/shared"
    assert "lets anybody in just now" not in anna.get(person).text


def test_only_a_member_of_the_group_answers(
    cast: Family, house: House, marcs: Family, rose: LintingClient, fourth: LintingClient, browser_of: Browsers
) -> None:
    phone, before = phone_of(house), all_rows(house.database, without=SEEN)
    for browser in (browser_of(member=marcs.cookie), rose, fourth, browser_of()):
        for answer in ("let-in", "refuse"):
            assert browser.send(f"/new-phones/{phone.id}/{answer}").status_code == 404
    assert all_rows(house.database, without=SEEN) == before
    assert "A new phone" not in browser_of(member=marcs.cookie).get("/albums").text


def endings(cast: Family, anna: LintingClient) -> Iterator[Callable[[], object]]:
    person, link = f"/people/{cast.people['Rose'].id}", cast.people["Rose"].link
    yield lambda: anna.send(f"{person}/stop")
    yield lambda: anna.send(f"/links/{link}/revoke")
    yield lambda: anna.send(f"{person}/links", days="7")
    yield lambda: anna.send("/stop-sharing", password="a boat and two gulls")
    yield lambda: anna.send(f"{person}/delete")


@pytest.mark.parametrize("which", range(5), ids=["stop", "end the link", "a new link", "red button", "delete the person"])
@pytest.mark.parametrize("answered", [False, True])
def test_whatever_ends_a_link_ends_who_waits_before_it(
    cast: Family, house: House, anna: LintingClient, fourth: LintingClient, which: int, answered: bool
) -> None:
    if answered:
        anna.send(f"/new-phones/{phone_of(house).id}/let-in")
    list(endings(cast, anna))[which]()
    assert rows(house, NewPhone) == []
    assert (fourth.get("/waiting").status_code, fourth.send("/waiting").status_code) == (410, 410)
    assert fourth.get("/shared").status_code == 404


def test_the_yes_of_a_member_who_is_taken_out_is_no_yes_any_more(
    cast: Family, house: House, anna: LintingClient, fourth: LintingClient, browser_of: Browsers
) -> None:
    ben = cast.join("Ben")
    assert browser_of(member=ben.cookie).send(f"/new-phones/{phone_of(house).id}/let-in").status_code == 303
    assert anna.send(f"/members/{ben.viewer.id}/remove", password=PASSWORD).status_code == 303
    assert fourth.send("/waiting").location == "/waiting" and fourth.get("/shared").status_code == 404
    assert "A new phone" in anna.get("/albums").text, "somebody else is asked"
    assert anna.send(f"/new-phones/{phone_of(house).id}/let-in").status_code == 303
    assert fourth.send("/waiting").location == "/shared"


def test_nobody_waits_for_longer_than_a_day_or_than_the_link_and_no_clock_brings_it_back(
    house: House, clock: HandClock, anna: LintingClient, fourth: LintingClient
) -> None:
    phone = phone_of(house)
    anna.send(f"/new-phones/{phone.id}/let-in")
    clock.move(rules.NEW_PHONE_WAITS)
    assert fourth.send("/waiting").status_code == 410
    assert anna.send(f"/new-phones/{phone.id}/let-in").status_code == 404
    with house.database.writing() as session:
        end_what_is_over(session, at=clock.now())
    assert rows(house, NewPhone) == []


@pytest.mark.parametrize("keep_links", [False, True])
def test_a_restored_backup_lets_nobody_in_who_waited_then(
    house: House, clock: HandClock, anna: LintingClient, fourth: LintingClient, keep_links: bool
) -> None:
    anna.send(f"/new-phones/{phone_of(house).id}/let-in")
    with house.database.writing() as session:
        end_ways_in(session, clock.now(), keep_links=keep_links)
    assert fourth.send("/waiting").status_code == 410 and fourth.get("/shared").status_code == 404


def test_few_wait_at_once_with_numbers_of_their_own(
    house: House, full: str, browser_of: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "NUMBERS", range(10, 13))
    browsers = [browser_of() for _ in range(rules.NEW_PHONES_AT_ONCE)]
    assert {browser.send(full).location for browser in browsers} == {"/waiting"}
    assert sorted(phone.number for phone in rows(house, NewPhone)) == [10, 11, 12]
    before = all_rows(house.database, without=SEEN)
    one_too_many = browser_of().send(full)
    assert (one_too_many.status_code, one_too_many.headers["Retry-After"]) == (429, "600")
    assert "Rose" not in one_too_many.text and all_rows(house.database, without=SEEN) == before


def knock(browser_of: Browsers, link: str, network: str) -> LintingClient:
    """A browser somewhere in the world begins to wait, or not."""
    browser = browser_of()
    browser.environ_base["REMOTE_ADDR"] = network
    browser.send(link)
    return browser


def test_a_stranger_who_has_the_link_does_not_keep_rose_from_waiting(
    house: House, clock: HandClock, full: str, browser_of: Browsers
) -> None:
    for _ in range(2 * rules.NEW_PHONES_AT_ONCE):
        knock(browser_of, full, "203.0.113.5")
        knock(browser_of, full, "2001:db8:0:1::1")
        knock(browser_of, full, "2001:db8:0:1::2")
    assert len(rows(house, NewPhone)) == 2 * rules.NEW_PHONES_AT_ONCE, "as many from one network, and IPv6 by /64"
    rose = knock(browser_of, full, "198.51.100.7")
    assert rose.get("/waiting").status_code == 200
    assert not any("203.0.113.5" in repr(row) or "2001:db8" in repr(row) for row in all_rows(house.database).values())
    for network in range(9):
        knock(browser_of, full, f"192.0.2.{network}")
    assert len(rows(house, NewPhone)) == rules.NEW_PHONES_IN_ALL
    other = knock(browser_of, full, "198.51.100.8")
    assert other.get("/waiting").status_code == 404, "all places are taken"
    clock.move(rules.GIVES_WAY)
    other.send(full)
    assert other.get("/waiting").status_code == rose.get("/waiting").status_code == 200, "who came first made room"
    assert len(rows(house, NewPhone)) == rules.NEW_PHONES_IN_ALL


def test_who_has_got_a_yes_keeps_their_place(
    house: House, clock: HandClock, anna: LintingClient, fourth: LintingClient, full: str, browser_of: Browsers
) -> None:
    anna.send(f"/new-phones/{phone_of(house).id}/let-in")
    clock.move(rules.GIVES_WAY)
    for _ in range(rules.NEW_PHONES_AT_ONCE + 1):
        browser_of().send(full)
    assert len(rows(house, NewPhone)) == rules.NEW_PHONES_AT_ONCE + 1
    assert fourth.send("/waiting").location == "/shared"


def test_a_member_is_told_once_in_a_while_and_less_and_less_often(
    house: House, clock: HandClock, full: str, browser_of: Browsers
) -> None:
    """However often somebody knocks whom the link was passed on to, Anna sleeps."""
    for _ in range(13):
        browser_of().send(full)
        clock.move(rules.TOLD_AGAIN)
    assert told(house) == 3, "at once, after ten minutes, after an hour more"


def test_bots_before_a_full_link_change_nothing(house: House, full: str, fourth: LintingClient, browser_of: Browsers) -> None:
    before = all_rows(house.database, without=SEEN)
    for address in (full, "/waiting", "/c/", f"/c/{draw()}"):
        for headers in ({"User-Agent": "WhatsApp/2.23"}, {"Sec-Purpose": "prefetch"}):
            for browser in (browser_of(), fourth):
                browser.get(address, headers=headers)
                browser.head(address, headers=headers)
    assert all_rows(house.database, without=SEEN) == before


def test_a_waiting_page_that_lay_open_for_long_still_works(house: House, anna: LintingClient, fourth: LintingClient) -> None:
    anna.send(f"/new-phones/{phone_of(house).id}/let-in")
    answer = fourth.post("/waiting", data={"csrf_token": "garbage"})
    assert (answer.status_code, "tap the button once more" in answer.text) == (400, True)
    assert rows(house, NewPhone) != []


def test_the_setting_says_how_many_phones_come_in_at_once(make_house: Callable[..., House]) -> None:
    assert make_house(KINFOLD_PHONES="5").settings.phones == 5
    assert Settings.from_env({}).phones == 3


# --- a card


@pytest.fixture
def words(cast: Family, anna: LintingClient) -> str:
    """The words on a card that was made for Jim."""
    made = anna.send(f"/people/{cast.people['Jim'].id}/card", json=True)
    assert made.status_code == 201
    return "-".join(made.get_json()["words"])


def test_a_card_is_printed_once_and_only_a_keyed_hash_is_kept(cast: Family, house: House, anna: LintingClient) -> None:
    page = anna.send(f"/people/{cast.people['Jim'].id}/card", call="Anna, 030 1234567")
    assert (page.status_code, "Photos for <bdi>Jim</bdi>" in page.text, "030 1234567" in page.text) == (201, True, True)
    printed = [item.partition("</li>")[0] for item in page.text.partition("postcard-words")[2].split("<li>")[1:7]]
    assert parse(" ".join(printed)) == "-".join(printed)
    kept = repr(all_rows(house.database))
    assert "030 1234567" not in kept and not any(f"{a}-{b}" in kept for a, b in pairwise(printed))
    assert "A card to print" in anna.get(f"/people/{cast.people['Jim'].id}").text


def test_a_card_always_asks_and_works_once(
    cast: Family, house: House, anna: LintingClient, browser_of: Browsers, words: str
) -> None:
    phone = browser_of()
    typed = words.replace("-", "  ").title()
    to = phone.send("/c/", words=typed).location
    assert to == f"/c/{words}"
    assert "Jim" not in phone.get(to).text
    assert phone.send(to, page=to).location == "/waiting"
    assert "the link of <bdi>Jim</bdi>" in anna.get("/albums").text
    anna.send(f"/new-phones/{phone_of(house).id}/let-in")
    assert phone.send("/waiting").location == "/shared"
    assert phone.get(f"/shared/{cast.albums[TOM].id}").status_code == 200
    assert phone.send(to).location == "/shared", "it is his phone"
    assert browser_of().send(to).status_code == 404, "for anybody else it is spent"
    assert browser_of().send(f"/i/{cast.people['Jim'].token}").location == "/shared", "his link is as it was"


def test_a_card_ends_after_thirty_days_and_with_the_next(
    cast: Family, clock: HandClock, anna: LintingClient, browser_of: Browsers, words: str
) -> None:
    second = "-".join(anna.send(f"/people/{cast.people['Jim'].id}/card", json=True).get_json()["words"])
    assert browser_of().send(f"/c/{words}").status_code == 404
    assert browser_of().send(f"/c/{second}").location == "/waiting"
    clock.move(THIRTY)
    assert browser_of().send(f"/c/{second}").status_code == 410


def test_words_that_open_nothing_look_like_all_others_and_are_counted(
    house: House, browser_of: Browsers, words: str, clock: HandClock
) -> None:
    guess = draw()
    strip = 'name="csrf_token" value="'
    pages = {browser_of().get(f"/c/{each}").text.partition(strip)[0].replace(each, "") for each in (words, guess)}
    assert len(pages) == 1, "a GET tells nobody whether words open anything"
    assert browser_of().get("/c/acorn").status_code == 404
    assert browser_of().get("/c/" + "x" * 3000).status_code == 404
    answers = [browser_of().send(f"/c/{draw()}").status_code for _ in range(31)]
    assert answers == [404] * 30 + [429]
    assert browser_of().send(f"/c/{words}").status_code == 429
    clock.move(timedelta(minutes=16))
    for _ in range(2):
        assert browser_of().send(f"/c/{words}").location == "/waiting"


def test_words_and_passwords_of_one_household_do_not_lock_each_other_out(
    cast: Family, browser_of: Browsers, words: str, clock: HandClock
) -> None:
    assert [browser_of().send(f"/c/{draw()}").status_code for _ in range(31)][-1] == 429
    assert browser_of().send("/sign-in", email=cast.email, password=PASSWORD).status_code == 303
    clock.move(timedelta(minutes=16))
    signed_in = [
        browser_of().send("/sign-in", email=f"nobody{number}@example.org", password="wrong password") for number in range(31)
    ]
    assert signed_in[-1].status_code == 429
    assert browser_of().send(f"/c/{words}").location == "/waiting"


def test_what_can_not_be_on_a_card_is_told_so(browser_of: Browsers) -> None:
    for typed in ("", "acorn", "fjord " * 6, draw() + " acorn", "ä" * 300):
        answer = browser_of().send("/c/", words=typed)
        assert (answer.status_code, "not the six words" in answer.text) == (400, True), typed


@pytest.mark.parametrize("how", [" ", "", " - ", "\n", ", "])
def test_words_are_understood_however_they_are_typed(how: str) -> None:
    for _ in range(50):
        words = draw()
        assert parse(how.join(words.split("-"))) == words == parse(words.upper())


def test_a_card_for_too_long_a_caller_is_refused(cast: Family, anna: LintingClient) -> None:
    refused_with(anna.send(f"/people/{cast.people['Jim'].id}/card", json=True, call="1" * 101), 400, "call-too-long")
    assert {link.kind for link in rows(cast.house, Link)} == {"sent"}


def test_secret_keys_may_change_while_a_card_is_in_the_post(house: House) -> None:
    words, old, new = draw(), "o" * 32, "n" * 32
    (kept,) = Tokens([old]).word_digests(words)
    assert kept in Tokens([new, old]).word_digests(words)
    assert kept not in Tokens([new]).word_digests(words)
