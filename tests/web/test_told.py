"""Being told by mail: guests at most once a day and without a name, members of what their guests do. A real mail server takes it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from app import create_app
from app.activity import service as activity
from app.activity.models import ActivityKind
from app.clock import HandClock
from app.house import House
from app.ingest import service as ingest
from app.mail.smtp import open_mail
from app.models import Account, DeviceRow, Grant, Guest, Link, Notification
from app.notifications import jobs as told
from app.notifications import service as notifications
from app.notifications.rules import ATTEMPTS
from app.sharing import service as sharing
from app.sharing.models import LinkKind, NewPhone
from tests.conftest import PASSWORD, Family, share_as
from tests.lint import LintingClient
from tests.mail import Post, mail_server, parts
from tests.rows import SEEN, all_rows
from tests.server import free_port
from tests.web.conftest import BRITTANY, TOM

Browsers = Callable[..., LintingClient]
HERE = "http://127.0.0.1:8000"
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def server() -> Iterator[tuple[Post, int]]:
    with mail_server() as running:
        yield running


@pytest.fixture
def post(server: tuple[Post, int]) -> Post:
    return server[0]


QUIET = "0-0"


@pytest.fixture
def house(make_house: Callable[..., House], server: tuple[Post, int], request: pytest.FixtureRequest) -> House:
    made = make_house(
        KINFOLD_SMTP_URL=f"smtp://127.0.0.1:{server[1]}",
        KINFOLD_MAIL_FROM="photos@kinfold.test",
        KINFOLD_CONTACT="Marta, who runs it (marta@kinfold.test).",
        KINFOLD_QUIET_HOURS=getattr(request, "param", QUIET),
    )
    return replace(made, mail=open_mail(made.settings))


def today_at(clock: HandClock, hour: int, minute: int) -> None:
    """It is this time of the family's day now."""
    clock.move(clock.now().astimezone().replace(hour=hour, minute=minute) - clock.now())


def minute(house: House, clock: HandClock, later: timedelta = MINUTE) -> None:
    """Time passes; then the sweep looks, and a worker does what it asks for."""
    clock.move(later)
    told.look_for_news(house)
    jobs: Any = house.jobs
    jobs.run_all(told.handlers(house) | dict.fromkeys(("prepare-photo", "remove-objects"), lambda _: None))
    assert jobs.failures == []


def adds(family: Family, title: str = BRITTANY) -> str:
    """Anna adds a photo."""
    clock: Any = family.house.clock
    clock.move(timedelta(seconds=1))
    return family.photo(title)


def write_to(family: Family, name: str, *, email: str = "rose@example.org", language: str | None = None) -> None:
    """Somebody wants to be told of new photos."""
    with family.house.database.writing() as session:
        guest = session.get_one(Guest, family.people[name].id)
        sharing.change_guest(guest, name=guest.name, email=email, language=language)


def happens(family: Family, kind: ActivityKind, name: str | None = "Rose", **facts: str) -> str:
    with family.house.database.writing() as session:
        guest = family.people[name].id if name else None
        return activity.record_guest(session, kind, group=family.owner.group, guest=guest, at=family.house.clock.now(), **facts)


def links_of(message: EmailMessage) -> list[str]:
    """Every address in both parts, each once."""
    return sorted(set(re.findall(r"https?://[^\s\"<>]+", " ".join(parts(message)))))


def path_of(message: EmailMessage, begins: str) -> str:
    (link,) = (link for link in links_of(message) if begins in link)
    assert link.startswith(HERE)
    return urlsplit(link).path


@pytest.fixture
def digest(cast: Family, house: House, post: Post, clock: HandClock) -> EmailMessage:
    """The mail that Rose gets when Anna has added two photos."""
    write_to(cast, "Rose")
    minute(house, clock)  # Olga's and Egon's first openings, of a day ago, are told no more
    post.messages.clear()
    adds(cast)
    adds(cast)
    minute(house, clock)
    assert post.messages == [], "more may still be coming"
    minute(house, clock, 3 * MINUTE)
    (message,) = post.messages
    return message


# --- guests -----------------------------------------------------------------------------------------------------------


def test_rose_is_told_that_photos_wait_in_a_mail_that_says_no_more_than_that(
    cast: Family, digest: EmailMessage, post: Post
) -> None:
    assert post.envelopes[-1] == ("photos@kinfold.test", ["rose@example.org"])
    assert (digest["From"], digest["To"]) == ("Kinfold <photos@kinfold.test>", "rose@example.org")
    assert digest["Subject"] == "2 new photos are waiting for you"
    assert re.fullmatch(r"<[a-z2-7]{26}@kinfold\.test>", digest["Message-ID"])
    assert digest["Date"].datetime == cast.house.clock.now()
    assert digest["Auto-Submitted"] == "auto-generated"
    assert digest["Content-Language"] == "en"
    assert digest["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert digest["List-Unsubscribe"] == f"<{HERE}{path_of(digest, '/unsubscribe/')}>"
    assert [part.get_content_type() for part in digest.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    text, html = parts(digest)
    assert "Look at the photos" in text and "Look at the photos" in html
    assert not re.search(r"<img|<link|<script|src=|url\(|@import|background=", html), (
        "nothing is fetched, and nothing counts readers"
    )
    everything = digest.as_string() + text + html
    names = ["Rose", "Anna", "Brittany", "Tom", "Smith", "jpg", "/m/", "/shared/"]
    assert [name for name in names if name in everything] == []


def test_the_button_opens_her_own_page_on_a_phone_that_we_know_and_lets_nobody_else_in(
    cast: Family, digest: EmailMessage, browser_of: Browsers
) -> None:
    button = path_of(digest, "/i/")
    known = browser_of(device=cast.people["Rose"].cookie).get(button)
    assert (known.status_code, known.headers["Location"]) == (303, "/shared")
    stranger = browser_of()
    assert stranger.get(button).status_code == 200
    before = all_rows(cast.house.database)
    assert stranger.send(button, page=button).location == "/waiting"
    assert all_rows(cast.house.database)["device"] == before["device"], "a new device needs Anna's yes"
    assert stranger.get("/shared").status_code == 404


def test_the_link_in_a_mail_ends_after_a_week_and_never_after_what_she_may_see(cast: Family, digest: EmailMessage) -> None:
    with cast.house.database.writing() as session:
        link = session.scalars(sa.select(Link).where(Link.kind == LinkKind.MAIL)).one()
        assert (link.places, link.expires_at - link.created_at) == (0, 7 * DAY)
        grant = session.get_one(Grant, cast.people["Rose"].grant)
        grant.expires_at = cast.house.clock.now() + DAY
        guest = session.get_one(Guest, cast.people["Rose"].id)
        made = sharing.make_mail_link(session, guest=guest, tokens=cast.house.tokens, at=cast.house.clock.now())
        assert made is not None and made.until == grant.expires_at


def test_scanners_that_open_every_link_of_a_mail_change_nothing(cast: Family, digest: EmailMessage, browser_of: Browsers) -> None:
    scanner = browser_of()
    before = all_rows(cast.house.database)
    assert len(links_of(digest)) == 2
    for link in links_of(digest):
        for method in ("HEAD", "GET"):
            assert scanner.open(urlsplit(link).path, method=method).status_code == 200
    assert all_rows(cast.house.database) == before


def test_her_mail_program_ends_it_by_one_click_without_a_cookie(
    cast: Family, house: House, digest: EmailMessage, post: Post, clock: HandClock, app: Any, anna: LintingClient
) -> None:
    address = digest["List-Unsubscribe"].strip("<>").removeprefix(HERE)
    program = LintingClient(app, use_cookies=False)
    answer = program.post(address, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200 and "You get no more mail" in answer.text
    assert program.post(address, data={"List-Unsubscribe": "One-Click"}).status_code == 200, "said twice, it is the same"
    assert program.post(address[:-1] + ("A" if address[-1] != "A" else "B")).status_code == 404
    post.messages.clear()
    adds(cast)
    minute(house, clock, 2 * DAY)
    assert post.messages == []
    page = f"/people/{cast.people['Rose'].id}"
    assert "No mail goes to <bdi>rose@example.org</bdi> since" in anna.get(page).text
    assert "Rose</bdi></a> wants no more mail" in anna.get("/activity").text
    assert anna.send(f"{page}/mail").status_code == 303
    minute(house, clock)
    assert [message["To"] for message in post.messages] == ["rose@example.org"]


def test_a_person_can_end_it_too_by_the_button_on_the_page(cast: Family, digest: EmailMessage, browser_of: Browsers) -> None:
    page = path_of(digest, "/unsubscribe/")
    browser = browser_of()
    assert "No more mail about new photos?" in browser.get(page).text
    assert browser.send(page, page=page).status_code == 200
    with cast.house.database.reading() as session:
        assert session.get_one(Guest, cast.people["Rose"].id).mail_ended_at == cast.house.clock.now()


def test_at_most_one_mail_a_day_and_only_of_what_she_has_not_seen(
    cast: Family, house: House, digest: EmailMessage, post: Post, clock: HandClock, rose: LintingClient, brittany: str
) -> None:
    post.messages.clear()
    adds(cast)
    minute(house, clock, HOUR)
    minute(house, clock, 22 * HOUR)
    assert post.messages == []
    minute(house, clock, 2 * HOUR)
    assert [message["Subject"] for message in post.messages] == ["A new photo is waiting for you"]
    one = adds(cast)
    rose.get(f"/shared/{brittany}/{one}")
    for _ in range(3):
        minute(house, clock, 25 * HOUR)
    assert len(post.messages) == 1, "she has been in the album since"
    adds(cast)
    for _ in range(3):
        minute(house, clock, 25 * HOUR)
    assert [message["Subject"] for message in post.messages[1:]] == ["A new photo is waiting for you"]


def test_a_worker_that_has_looked_for_news_too_and_comes_late_adds_no_second_mail(
    cast: Family, house: House, digest: EmailMessage, clock: HandClock
) -> None:
    rose, open_ones = cast.people["Rose"].id, sa.select(Notification).where(Notification.sent_at.is_(None))
    with house.database.writing() as session:
        notifications.announce(session, guests=[rose], quiet=(0, 0), at=clock.now())
        assert session.scalars(open_ones.where(Notification.guest_id == rose)).all() == []


def test_an_album_that_is_given_to_her_later_is_news_too_but_not_one_with_a_link_of_its_own(
    cast: Family, house: House, post: Post, clock: HandClock, anna: LintingClient
) -> None:
    write_to(cast, "Rose")
    clock.move(DAY)
    anna.send(f"/people/{cast.people['Rose'].id}/grants", album=cast.albums[TOM].id)
    minute(house, clock, 5 * MINUTE)
    assert [message["Subject"] for message in post.messages] == ["A new photo is waiting for you"]
    shared = cast.share(BRITTANY, "Zoe", open_it=False)
    with house.database.writing() as session:
        session.get_one(Guest, shared.id).email = "zoe@example.org"
    minute(house, clock, 5 * MINUTE)
    assert len(post.messages) == 1, "Anna sends her the link just now"


def test_nothing_goes_to_whom_nothing_is_shared_with_any_more(cast: Family, house: House, post: Post, clock: HandClock) -> None:
    write_to(cast, "Rose")
    adds(cast)
    clock.move(5 * MINUTE)
    told.look_for_news(house)
    with house.database.writing() as session:
        sharing.stop_all(session, cast.owner, at=clock.now())
    jobs: Any = house.jobs
    jobs.run_all(told.handlers(house) | dict.fromkeys(("prepare-photo", "remove-objects"), lambda _: None))
    minute(house, clock, 2 * DAY)
    assert [message for message in post.messages if "rose@example.org" in message["To"]] == []


def test_the_red_button_ends_links_in_mails(
    cast: Family, digest: EmailMessage, anna: LintingClient, browser_of: Browsers
) -> None:
    button = path_of(digest, "/i/")
    assert anna.send("/stop-sharing", password=PASSWORD).status_code == 303
    for browser in (browser_of(), browser_of(device=cast.people["Rose"].cookie)):
        assert browser.get(button).status_code == 404


@pytest.mark.parametrize("house", ["21-8"], indirect=True)
def test_at_night_nobody_is_told_but_of_a_phone_that_waits(cast: Family, house: House, post: Post, clock: HandClock) -> None:
    write_to(cast, "Rose")
    minute(house, clock)
    today_at(clock, 22, 30)
    post.messages.clear()
    adds(cast)
    happens(cast, ActivityKind.NOTE_WRITTEN, album=cast.albums[BRITTANY].id)
    minute(house, clock, 5 * MINUTE)
    minute(house, clock, 4 * HOUR)
    assert post.messages == []
    happens(cast, ActivityKind.NEW_PHONE_ASKS)
    minute(house, clock)
    assert [message["To"] for message in post.messages] == ["anna@example.org"]
    minute(house, clock, 7 * HOUR)
    assert sorted(message["To"] for message in post.messages) == ["anna@example.org", "anna@example.org", "rose@example.org"]


@pytest.mark.parametrize("house", ["21-8"], indirect=True)
def test_what_was_left_until_the_night_waits_for_the_morning(cast: Family, house: House, post: Post, clock: HandClock) -> None:
    """The server was off, or the mail server away."""
    write_to(cast, "Rose")
    minute(house, clock)
    today_at(clock, 20, 40)
    happens(cast, ActivityKind.NOTE_WRITTEN, album=cast.albums[BRITTANY].id)
    adds(cast)
    told.look_for_news(house)
    clock.move(4 * MINUTE)
    told.look_for_news(house)
    post.messages.clear()
    minute(house, clock, 6 * HOUR)
    assert post.messages == []
    minute(house, clock, 6 * HOUR)
    assert sorted(message["To"] for message in post.messages) == ["anna@example.org", "rose@example.org"]


def test_a_server_that_is_away_or_says_later_is_asked_again_and_not_for_ever(
    cast: Family, house: House, post: Post, clock: HandClock, server: tuple[Post, int]
) -> None:
    write_to(cast, "Rose")
    adds(cast)
    away = replace(house, mail=open_mail(replace(house.settings, smtp_url=f"smtp://127.0.0.1:{free_port()}")))
    minute(away, clock, 5 * MINUTE)
    post.no = "451 4.7.1 Come back later"
    minute(house, clock, MINUTE)
    post.no, post.late_no = "", "452 4.3.1 No room"
    minute(house, clock, 5 * MINUTE)
    post.late_no = "550 5.7.1 You are not allowed to send from here"  # our fault, and not hers
    minute(house, clock, 25 * MINUTE)
    post.late_no = ""
    minute(house, clock, MINUTE)
    assert [message for message in post.messages if message["To"] == "rose@example.org"] == []
    minute(house, clock, 2 * HOUR + 10 * MINUTE)
    assert [message["Subject"] for message in post.messages if message["To"] == "rose@example.org"] == [
        "A new photo is waiting for you"
    ]
    with house.database.reading() as session:
        assert session.scalars(sa.select(sa.func.count()).where(Link.kind == LinkKind.MAIL)).one() == 1, "one for each mail sent"
        assert session.get_one(Guest, cast.people["Rose"].id).mail_ended_at is None
    happens(cast, ActivityKind.NOTE_WRITTEN)
    post.no = "451 Later"
    for _ in range(40):
        minute(house, clock, 6 * HOUR)
    with house.database.reading() as session:
        row = session.scalars(sa.select(Notification).order_by(Notification.made_at.desc()).limit(1)).one()
    assert row.attempts == ATTEMPTS and row.given_up_at is not None


@pytest.mark.parametrize("when", ["no", "late_no"])
def test_an_address_that_is_refused_for_good_gets_no_more_and_anna_is_told(
    cast: Family, house: House, post: Post, clock: HandClock, when: str
) -> None:
    write_to(cast, "Rose")
    adds(cast)
    setattr(post, when, "550 5.1.1 No such person")
    with house.database.writing() as session:
        session.execute(sa.delete(Notification))
    clock.move(25 * HOUR)  # what is told of the beginning is old by now
    minute(house, clock)
    setattr(post, when, "")
    for _ in range(3):
        minute(house, clock, 6 * MINUTE)
    (message,) = post.messages
    assert (message["To"], message["Subject"]) == ("anna@example.org", "Mail to \u2068Rose\u2069 came back, so no more is sent")
    adds(cast)
    minute(house, clock, 2 * DAY)
    assert len(post.messages) == 1, "and no bounce is answered by another mail"


@pytest.mark.parametrize(
    ("language", "begins", "day"),
    [("de", '<html lang="de" dir="ltr">', "30. November"), ("ar", '<html lang="ar" dir="rtl">', "نوفمبر")],
)
def test_a_guest_is_written_to_in_their_language(
    cast: Family, house: House, post: Post, clock: HandClock, language: str, begins: str, day: str
) -> None:
    write_to(cast, "Rose", language=language)
    adds(cast)
    minute(house, clock, 5 * MINUTE)
    (message,) = (message for message in post.messages if message["To"] == "rose@example.org")
    assert message["Content-Language"] == language
    text, html = parts(message)
    assert begins in html and day in text and day in html


# --- members ----------------------------------------------------------------------------------------------------------


def test_anna_is_told_in_one_mail_what_her_people_did_without_the_titles_of_albums(
    cast: Family, house: House, post: Post, clock: HandClock
) -> None:
    minute(house, clock, DAY)
    post.messages.clear()
    for kind in (ActivityKind.NOTE_WRITTEN, ActivityKind.GUEST_ADDED_PHOTOS, ActivityKind.DEVICE_LET_IN):
        clock.move(MINUTE)
        happens(cast, kind, album=cast.albums[BRITTANY].id, photo=cast.photos[BRITTANY][0])
    minute(house, clock)
    minute(house, clock, 5 * MINUTE)
    (message,) = post.messages
    text, html = parts(message)
    assert message["Subject"] == "3 things happened in your albums"
    for sentence in ("wrote something about a photo", "added photos", "opened the photos on a new phone or computer"):
        assert f"\u2068Rose\u2069 {sentence}\n" in text and f"\u2068Rose\u2069 {sentence}</strong>" in html
    assert links_of(message) == sorted(
        f"{HERE}{path}"
        for path in (
            "/account",
            f"/albums/{cast.albums[BRITTANY].id}",
            f"/people/{cast.people['Rose'].id}",
            f"/photos/{cast.photos[BRITTANY][0]}",
        )
    )
    assert BRITTANY not in message.as_string() + text + html
    for _ in range(5):
        minute(house, clock, HOUR)
    assert len(post.messages) == 1, "nothing is told twice"


def test_the_first_opening_is_told_and_the_second_as_a_new_phone(
    cast: Family, house: House, post: Post, clock: HandClock
) -> None:
    minute(house, clock, DAY)
    post.messages.clear()
    clock.move(MINUTE)
    zoe = cast.share(BRITTANY, "Zoe")
    minute(house, clock)
    minute(house, clock, 5 * MINUTE)
    cast.enrol(zoe)
    minute(house, clock)
    minute(house, clock, 5 * MINUTE)
    assert [message["Subject"] for message in post.messages] == [
        "\u2068Zoe\u2069 opened the photos for the first time",
        "\u2068Zoe\u2069 opened the photos on a new phone or computer",
    ]


def test_whoever_shared_is_told_else_the_owners_and_nobody_who_wants_no_mail(
    cast: Family, house: House, post: Post, clock: HandClock
) -> None:
    ben = cast.join("Ben")
    share_as(ben, cast, BRITTANY, "Zoe")
    minute(house, clock)
    minute(house, clock, 5 * MINUTE)
    assert "Zoe" in next(message for message in post.messages if message["To"] == ben.email)["Subject"]
    assert not [message for message in post.messages if message["To"] == cast.email and "Zoe" in "".join(parts(message))]
    post.messages.clear()
    with house.database.writing() as session:
        session.get_one(Account, ben.viewer.id).wants_mail = False
    happens(cast, ActivityKind.NOTE_WRITTEN, "Zoe", album=cast.albums[BRITTANY].id)
    minute(house, clock)
    minute(house, clock, 5 * MINUTE)
    assert post.messages == []
    with house.database.writing() as session:
        session.delete(session.get_one(Account, ben.viewer.id))
    happens(cast, ActivityKind.NOTE_WRITTEN, "Zoe", album=cast.albums[BRITTANY].id)
    minute(house, clock)
    minute(house, clock, 5 * MINUTE)
    assert [message["To"] for message in post.messages] == ["anna@example.org"]


@pytest.mark.parametrize(
    ("numbers", "says"), [([7], "A new phone that shows the number 07 wants"), ([7, 8], "A new phone wants")]
)
def test_a_phone_that_waits_is_told_at_once_with_its_number_unless_several_wait(
    cast: Family, house: House, post: Post, clock: HandClock, numbers: list[int], says: str
) -> None:
    clock.move(DAY)
    happened = happens(cast, ActivityKind.NEW_PHONE_ASKS)
    with house.database.writing() as session:
        waits = {"link_id": cast.people["Rose"].link, "asked_from": "", "label": "iPhone", "asked_at": clock.now()}
        for number in numbers:
            session.add(NewPhone(**waits, cookie_hash=bytes([number]), number=number, expires_at=clock.now() + 10 * MINUTE))
        house.jobs.enqueue(session, told.TELL, happened, group=cast.owner.group)
    jobs: Any = house.jobs
    jobs.run_all(told.handlers(house) | dict.fromkeys(("prepare-photo", "remove-objects"), lambda _: None))
    (message,) = post.messages
    assert message["Subject"] == f"{says} to open the link of \u2068Rose\u2069"
    assert f"{HERE}/people/{cast.people['Rose'].id}" in links_of(message)
    minute(house, clock)
    assert len(post.messages) == 1


def test_a_report_goes_to_every_owner_and_to_whoever_runs_the_server_without_a_name(
    cast: Family, house: House, post: Post, clock: HandClock
) -> None:
    clock.move(DAY)
    with house.database.writing() as session:
        session.get_one(Account, cast.owner.id).wants_mail = False
    photo = cast.photos[TOM][0]
    happens(cast, ActivityKind.PHOTO_REPORTED, "Jim", album=cast.albums[TOM].id, photo=photo)
    minute(house, clock)
    assert sorted(message["To"] for message in post.messages) == ["anna@example.org", "marta@kinfold.test"]
    for message in post.messages:
        everything = message.as_string() + "".join(parts(message))
        assert [word for word in ("Tom", "Jim", "Rose", "image/", "/m/") if word in everything] == []
        assert photo in everything
    to_marta = next(message for message in post.messages if message["To"] == "marta@kinfold.test")
    assert links_of(to_marta) == [], "she has no account here"


def test_a_photo_that_is_held_is_told_to_whoever_runs_the_server_alone(
    cast: Family, house: House, post: Post, clock: HandClock
) -> None:
    clock.move(DAY)
    kept, released = cast.photos[BRITTANY][:2]
    with house.database.writing() as session:
        for photo in (kept, released):
            ingest.hold(session, photo=photo, at=clock.now())
        ingest.release(session, photo=released, jobs=house.jobs, at=clock.now())
    minute(house, clock)
    (message,) = post.messages
    everything = " ".join(parts(message))
    assert (message["To"], message["Subject"]) == ("marta@kinfold.test", "A photo is held as evidence")
    assert kept in everything and released not in everything and links_of(message) == []


def test_an_album_that_ends_is_told_three_days_before_and_once(cast: Family, house: House, post: Post, clock: HandClock) -> None:
    cast.share(TOM, "Zoe", days=2, open_it=False)  # short from the beginning
    minute(house, clock, DAY)
    post.messages.clear()
    minute(house, clock, 24 * DAY)
    minute(house, clock, 10 * MINUTE)
    assert post.messages == []
    clock.move(DAY + HOUR)
    minute(house, clock)
    minute(house, clock, 10 * MINUTE)
    (message,) = post.messages
    assert message["Subject"] == "2 things happened in your albums", "two albums, one mail"
    text = parts(message)[0]
    assert text.count("An album that you share ends for 1 person, on 22 December") == 2
    for _ in range(4):
        minute(house, clock, 6 * HOUR)
    assert len(post.messages) == 1


def test_names_of_people_are_no_headers_and_turn_no_line_around(cast: Family, house: House, post: Post, clock: HandClock) -> None:
    clock.move(DAY)
    hostile = "Rose\r\nBcc: all@example.org\r\n\r\n<script>\u202egro.elpmaxe"
    with house.database.writing() as session:
        session.get_one(Guest, cast.people["Rose"].id).name = hostile  # no form of ours lets this in
    happens(cast, ActivityKind.NOTE_WRITTEN)
    minute(house, clock)
    minute(house, clock, 5 * MINUTE)
    (message,) = post.messages
    assert post.envelopes[-1][1] == ["anna@example.org"] and message["Bcc"] is None
    assert "<script>" not in parts(message)[1]
    assert "\u2068Rose" in message["Subject"] and message["Subject"].count("\u2069") == 1


def test_without_a_mail_server_nothing_is_kept_to_be_told(
    cast: Family, house: House, clock: HandClock, anna: LintingClient
) -> None:
    write_to(cast, "Rose")
    adds(cast)
    minute(replace(house, mail=None), clock, DAY)
    assert all_rows(house.database)["notification"] == []


def test_a_new_address_begins_anew_and_a_wrong_one_is_refused(cast: Family, anna: LintingClient) -> None:
    page = f"/people/{cast.people['Rose'].id}"
    for wrong in ("rose", "rose@", "@example.org", "rose@exa mple.org", "a@b,c@d", "Rose <rose@example.org>", "ро@example.org"):
        assert anna.send(f"{page}/edit", json=True, name="Rose", email=wrong).get_json() == {"error": "email-wrong"}
    assert anna.send(f"{page}/edit", json=True, name="Rose", language="xx").get_json() == {"error": "language-unknown"}
    anna.send(f"{page}/edit", name="Rose", email=" rose@bücher.example ", language="de")
    anna.send(f"{page}/edit", name="Granny Rose")
    with cast.house.database.reading() as session:
        guest = session.get_one(Guest, cast.people["Rose"].id)
    assert (guest.name, guest.email, guest.language) == ("Granny Rose", "rose@xn--bcher-kva.example", "de")
    anna.send(f"{page}/edit", name="Granny Rose", email="", language="")
    with cast.house.database.reading() as session:
        guest = session.get_one(Guest, cast.people["Rose"].id)
    assert (guest.email, guest.language) == (None, None)


def test_a_member_chooses_mail_and_language(cast: Family, anna: LintingClient) -> None:
    assert anna.send("/account/told", language="fr").status_code == 303
    with cast.house.database.reading() as session:
        account = session.get_one(Account, cast.owner.id)
    assert (account.wants_mail, account.language) == (False, "fr")
    assert 'lang="fr" selected' in anna.get("/account").text
    anna.send("/account/told", wants_mail="y", language="")
    with cast.house.database.reading() as session:
        account = session.get_one(Account, cast.owner.id)
    assert (account.wants_mail, account.language) == (True, None)


def test_a_link_in_a_mail_gets_no_more_places(cast: Family, digest: EmailMessage, anna: LintingClient) -> None:
    with cast.house.database.reading() as session:
        link = session.scalars(sa.select(Link.id).where(Link.kind == LinkKind.MAIL)).one()
    page = anna.get(f"/people/{cast.people['Rose'].id}").text
    assert "It was sent in a mail about new photos" in page and f"/links/{link}/revoke" in page
    assert anna.send(f"/links/{link}/one-more", json=True).get_json() == {"error": "link-ended"}


def test_who_was_deleted_leaves_nothing_to_tell(cast: Family, digest: EmailMessage, anna: LintingClient) -> None:
    rose = cast.people["Rose"].id
    anna.send(f"/people/{rose}/delete")
    with cast.house.database.reading() as session:
        assert session.scalars(sa.select(Notification).where(Notification.guest_id == rose)).all() == []
        assert session.scalars(sa.select(DeviceRow).where(DeviceRow.guest_id == rose)).all() == []
    assert all_rows(cast.house.database, without=SEEN)["link"] == [
        row for row in all_rows(cast.house.database, without=SEEN)["link"] if rose not in row
    ]


# --- whoever runs the server ------------------------------------------------------------------------------------------


def test_the_mail_server_is_tried_out_by_a_command(app: Any, post: Post, make_house: Callable[..., House]) -> None:
    def type_it(where: Any) -> Any:
        return where.test_cli_runner().invoke(args=["mail-test", "marta@kinfold.test"])

    assert "has taken a mail from photos@kinfold.test" in type_it(app).output
    assert post.messages[-1]["Subject"] == "Mail from Kinfold arrives"
    post.no = "550 5.7.1 Not you"
    failed = type_it(app)
    assert failed.exit_code == 1 and "did not take it (refused 550)" in failed.output
    off = make_house()
    assert "KINFOLD_SMTP_URL is not set" in type_it(create_app(off.settings, off)).output
