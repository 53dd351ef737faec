"""Over https, where a page without a referrer and a strict check of it would refuse every form, and plain http never shows it."""

import re
import secrets
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit
from zipfile import ZipFile

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, Response, expect

from app import create_app
from app.accounts.models import Account
from app.answers import service as answers
from app.models import Album, Guest, Link, NewPhone, Note, Notification
from app.notifications.push import public_key
from app.security.tokens import Purpose
from app.sharing import service as sharing
from tests.browser import pictures
from tests.browser.conftest import Phone, end_by_date, new_family, payloads, photos, pick, sign_up, tap
from tests.browser.server import Instance
from tests.browser.test_main_job import make_album, share
from tests.browser.test_members import invite, join
from tests.browser.test_told import ENDPOINT
from tests.conftest import PASSWORD
from tests.rows import SEEN, all_rows

NEW_PASSWORD = "three gulls and no boat"
ELSEWHERE = {
    "ingest.retry": "needs a photo that our decoder failed on",
    "ingest.receive": "is for phones without JavaScript, see test_without_javascript.py",
}
"""Endpoints whose form is not posted here, and why."""

ASKED_AND_ANSWERED = {
    "accounts.told",
    "answers.delete_note",
    "answers.delete_voice",
    "answers.heart",
    "answers.hide_note",
    "answers.hide_voice",
    "answers.speak",
    "answers.write",
    "door.ask_for_more_time",
    "door.come_in",
    "door.do_type_words",
    "door.open_card",
    "ingest.receive_shared",
    "ingest.say_yes",
    "ingest.take_back",
    "languages.choose",
    "notifications.end_mail",
    "notifications.subscribe",
    "notifications.unsubscribe",
    "reports.answer",
    "reports.report_photo",
    "reports.report_shared_photo",
    "sharing.adding",
    "sharing.let_in",
    "sharing.mail_again",
    "sharing.new_card",
    "sharing.no_more_time",
    "sharing.refuse_phone",
    "viewing.seen",
}
"""What a guest and a member have to say to each other, see `test_what_is_asked_and_answered_is_posted_from_our_pages_alone`."""


class Posts:
    """What a browser has posted, and that each was answered well."""

    def __init__(self, page: Page) -> None:
        self.paths: list[str] = []
        page.context.on("response", self._note)  # a download answers, but is never "finished"

    def _note(self, answer: Response) -> None:
        request = answer.request
        if request.method != "POST":
            return
        assert answer.status < 400, f"{request.url}: {answer.status}"
        assert "referer" not in request.all_headers(), request.url
        self.paths.append("/" + request.url.split("/", 3)[3])


def test_every_form_posts(secure_server: Instance, phone: Phone) -> None:
    """Anna and Rose use each form that there is, under no-referrer and with cookies that only https may carry."""
    anna, rose = phone(at=secure_server), phone(at=secure_server)
    posts = [Posts(anna), Posts(rose)]
    email = f"{secrets.token_hex(6)}@example.org"

    sign_up(anna, secure_server.new_set_up(), email=email)
    make_album(anna, "Brittany 2026")
    expect(anna.get_by_role("heading", name="Brittany 2026")).to_be_visible()
    album = anna.url
    pick(anna, ("IMG_1.jpg", pictures.tiny(1)), ("IMG_2.jpg", pictures.tiny(2)), ("IMG_3.jpg", pictures.tiny(3)))
    expect(photos(anna)).to_have_count(3, timeout=30_000)
    anna_looks_after_her_photos(anna, album)
    rose_opens_and_leaves(anna, rose, album)
    anna_changes_what_rose_has(anna, rose)
    anna_looks_after_members(anna, phone(at=secure_server), posts)
    anna_stops_everything(anna, album)
    anna_signs_in_and_out(anna, email, secure_server)
    anna_takes_a_copy_and_deletes_everything(anna, email)

    addresses = create_app(secure_server.house.settings, secure_server.house).url_map
    reached = {addresses.bind("localhost").match(path, method="POST")[0] for each in posts for path in each.paths}
    there_are = {rule.endpoint for rule in addresses.iter_rules() if "POST" in (rule.methods or ())}
    assert there_are - reached == ASKED_AND_ANSWERED | ELSEWHERE.keys()


def anna_looks_after_her_photos(anna: Page, album: str) -> None:
    anna.goto(album)
    photos(anna).nth(1).click()
    expect(anna.get_by_role("dialog")).to_be_visible()
    anna.reload()  # the address is that of the photo's own page by now
    tap(anna, "Use as cover")
    anna.get_by_label("Words for this photo").fill("The lighthouse")
    tap(anna, "Save the words")
    anna.get_by_role("link", name="Delete this photo").click()
    tap(anna, "Delete it")
    expect(photos(anna)).to_have_count(2)
    anna.get_by_role("link", name="Select photos").click()
    anna.get_by_role("checkbox").first.check(force=True)
    anna.get_by_role("link", name="Delete 1").click()
    tap(anna, "Delete them")
    expect(photos(anna)).to_have_count(1)
    anna.get_by_role("link", name="Edit album").click()
    anna.get_by_label("Title", exact=True).fill("Brittany, at last")
    tap(anna, "Save")
    expect(anna.get_by_role("heading", name="Brittany, at last")).to_be_visible()


def rose_opens_and_leaves(anna: Page, rose: Page, album: str) -> None:
    anna.goto(album)
    link = share(anna, "Rose")
    for name in ("leaves again", "stays"):
        rose.goto(link)
        tap(rose, "Open the photos")
        expect(rose.get_by_role("link", name="Brittany, at last")).to_be_visible()
        assert_cookies_are_safe(rose, "__Host-kinfold_device")
        if name == "leaves again":
            rose.get_by_text("This is not my phone").click()
            tap(rose, "Take the photos off this phone")
            expect(rose.get_by_role("heading", name="Sign in")).to_be_visible()


def anna_changes_what_rose_has(anna: Page, rose: Page) -> None:
    anna.goto("/people")
    anna.get_by_role("link", name="Add a person").click()
    anna.get_by_role("textbox", name="Name").fill("Jim")
    tap(anna, "Add")
    expect(anna.get_by_role("heading", name="Jim", exact=True)).to_be_visible()
    anna.get_by_role("link", name="Add an album").click()
    tap(anna, "Share this album")
    tap(anna, "30 more days Brittany, at last")
    tap(anna, "Allow saving Brittany, at last")
    expect(anna.get_by_text("may save")).to_be_visible()
    tap(anna, "Make a link")
    expect(anna.get_by_role("heading", name="The link for Jim is ready")).to_be_visible()
    anna.get_by_role("link", name="What Jim can see").click()
    tap(anna, "End now Brittany, at last")
    anna.get_by_role("link", name="Change name, mail or language").click()
    anna.get_by_role("textbox", name="Name").fill("James")
    tap(anna, "Save")
    tap(anna, "Stop sharing with James")
    anna.get_by_role("link", name="Delete this person for good").click()
    tap(anna, "Delete")
    anna.get_by_role("link", name="Rose").click()
    tap(anna, "Let one more phone in")
    tap(anna, "Remove Android phone")
    tap(anna, "End this link and its phones")
    answer = rose.goto("/shared")
    assert answer is not None and answer.status == 404


def anna_looks_after_members(anna: Page, ben: Page, posts: list[Posts]) -> None:
    """Ben joins, becomes an owner, steps down, is removed, comes back and leaves."""
    posts.append(Posts(ben))
    for name, gone in (("Ben", "removed"), ("Ben again", "left")):
        ben.goto(invite(anna, name))
        join(ben, name, f"{secrets.token_hex(6)}@example.org")
        assert_cookies_are_safe(ben, "__Host-kinfold_member")
        anna.goto("/members")
        if gone == "removed":
            anna.get_by_role("link", name="Make an owner Ben").click()
            tap(anna, "Make an owner")
            ben.goto("/members")
            ben.get_by_role("link", name="Stop being an owner").click()
            tap(ben, "Become an editor")
            anna.reload()
            anna.get_by_role("link", name="Remove Ben").click()
            tap(anna, "Remove")
        else:
            ben.goto("/account/delete")
            tap(ben, "Delete my account")
    invite(anna, "Carla")
    anna.goto("/members")
    tap(anna, "Take back Carla")
    anna.goto("/group")
    anna.get_by_label("What is it called?").fill("The Smiths")
    tap(anna, "Save the name")


def anna_stops_everything(anna: Page, album: str) -> None:
    anna.goto("/stop-sharing")
    tap(anna, "Stop all sharing")
    expect(anna.get_by_role("heading", name="People")).to_be_visible()
    anna.goto(f"{album}/edit")
    anna.get_by_label("To delete it, type its title").fill("Brittany, at last")
    tap(anna, "Delete the album")
    expect(anna.get_by_text("Your first album")).to_be_visible()


def anna_signs_in_and_out(anna: Page, email: str, server: Instance) -> None:
    assert_cookies_are_safe(anna, "__Host-kinfold_member")
    anna.goto("/account")
    tap(anna, "Sign out here")
    for _ in range(2):  # another session is left behind, to be ended from the list
        sign_in(anna, email, PASSWORD)
        anna.context.clear_cookies()
    sign_in(anna, email, PASSWORD)
    anna.goto("/account")
    tap(anna, "Sign out Android phone")
    anna.get_by_label("Password now").fill(PASSWORD)
    anna.get_by_label("New password").fill(NEW_PASSWORD)
    tap(anna, "Change the password")
    expect(anna).to_have_url(re.compile("/account"))
    me = member_of(server, email)
    anna.context.clear_cookies()
    anna.goto(server.new_password_address(me))
    anna.get_by_label("New password").fill(PASSWORD)
    tap(anna, "Save the new password")
    anna.goto("/account")
    anna.context.clear_cookies()
    sign_in(anna, email, PASSWORD)
    anna.goto("/account")
    tap(anna, "Sign out everywhere")
    expect(anna.get_by_role("heading", name="Sign in")).to_be_visible()


def anna_takes_a_copy_and_deletes_everything(anna: Page, email: str) -> None:
    sign_in(anna, email, PASSWORD)
    anna.goto("/group/data")
    with anna.expect_download() as copy:
        anna.get_by_role("button", name="Save a copy").click()
    with ZipFile(copy.value.path()) as contents:
        assert "members.json" in contents.namelist()
    anna.get_by_role("link", name="Delete everything for good").click()
    anna.get_by_label("To delete all of it, type its name").fill("The Smiths")
    tap(anna, "Delete everything")
    expect(anna).to_have_url(re.compile("/goodbye"))


CROSS_SITE = """<!doctype html><title>Kittens</title>
<form method="post" action="{target}">
  <input name="csrf_token" value="{token}"><input name="email" value="{email}"><input name="password" value="{password}">
</form>
<script>document.forms[0].submit()</script>"""


@pytest.fixture
def kittens() -> Iterator[Callable[[str], str]]:
    """Another site: it serves the page that it is given, at the address that it gives back."""
    page = b""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    def put_up(content: str) -> str:
        nonlocal page
        page = content.encode()
        return f"http://127.0.0.1:{site.server_port}/"

    with HTTPServer(("127.0.0.1", 0), Site) as site:
        thread = threading.Thread(target=site.serve_forever, daemon=True)
        thread.start()
        yield put_up
        site.shutdown()
        thread.join(5)


def test_another_site_can_post_nothing_and_plants_no_cookie(
    secure_server: Instance, phone: Phone, kittens: Callable[[str], str]
) -> None:
    """Not even with a form's token that is good: it may have been given to the attacker's own browser."""
    family = new_family(secure_server)
    family.album("Brittany 2026")
    rose = family.share("Brittany 2026", "Rose", open_it=False)
    jim = family.share("Brittany 2026", "Jim")
    victim = phone(at=secure_server, member=family.cookie, device=jim.cookie, watched=False)
    victim.goto("/account")
    token = victim.locator("[name=csrf_token]").first.input_value()
    for path in (
        f"/i/{rose.token}",
        "/sign-in",
        "/stop-sharing",
        "/sign-out",
        "/shared/leave",
        "/members/invite",
        "/account/delete",
    ):
        before = sorted(map(str, victim.context.cookies()))
        attack = CROSS_SITE.format(target=secure_server.address + path, token=token, email=family.email, password=PASSWORD)
        with victim.expect_response(secure_server.address + path) as answered:
            victim.goto(kittens(attack))
        assert answered.value.request.method == "POST"
        assert answered.value.request.all_headers()["sec-fetch-site"] == "cross-site"
        assert answered.value.status == 404, path
        assert "set-cookie" not in answered.value.all_headers(), path
        victim.wait_for_load_state()
        assert sorted(map(str, victim.context.cookies())) == before, path
    victim.goto(f"/people/{rose.id}")
    expect(victim.get_by_text("It lets 3 more phones in")).to_be_visible()
    victim.goto("/shared")
    expect(victim.get_by_role("link", name="Brittany 2026")).to_be_visible()


class Stage:
    """Rose, Otto whose time is over, and whoever waits before Rose's link: everything that the forms between them and Anna are about."""

    def __init__(self, server: Instance) -> None:
        self.server, self.family, at = server, new_family(server), server.house.clock.now()
        family, title, house = self.family, "Brittany 2026", server.house
        album, photo = family.album(title), family.photo(title)
        rose, otto = family.share(title, "Rose", may_add=True), family.share(title, "Otto")
        end_by_date(family, "Otto")
        voice = family.voice(title, "Rose")
        self.device, self.otto, self.link = rose.cookie, otto.cookie, rose.token
        for _ in range(2):
            family.enrol(rose)
        with house.database.writing() as session:
            session.get_one(Album, album.id).takes_voice = True
            answers.write_note(session, album=album, photo=photo, guest=rose.id, text="Lovely", at=at)
            sharing.change_guest(session.get_one(Guest, rose.id), name="Rose", email="rose@example.org", language=None)
            guest = sharing.get_guest(session, family.owner, guest=rose.id)
            until = at + timedelta(days=30)
            _, words = sharing.make_card(session, family.owner, guest=guest, until=until, tokens=house.tokens, at=at)
            note = session.scalars(sa.select(Note.id).where(Note.photo_id == photo)).one()
        self.names = {
            "album": album.id,
            "photo": photo,
            "own": family.added(title, "Rose"),
            "guest": rose.id,
            "note": note,
            "voice": voice,
            "grant": otto.grant,
            "grant_of_rose": rose.grant,
            "words": words,
            "token": house.tokens.sign(Purpose.NO_MORE_MAIL, rose.id),
        }
        self._addresses = create_app(house.settings, house).url_map.bind("localhost")

    def wait_before_the_link(self, visitor: Page) -> None:
        """One phone too many, which then waits."""
        visitor.goto(f"/i/{self.link}")
        tap(visitor, "Open the photos")
        with self.server.house.database.reading() as session:
            waiting = sa.select(NewPhone.id).join(Link, Link.id == NewPhone.link_id).where(Link.guest_id == self.names["guest"])
            self.names["phone"] = session.scalars(waiting.order_by(NewPhone.asked_at.desc()).limit(1)).one()

    def path(self, endpoint: str) -> str:
        """The address that a form is sent to."""
        (rule,) = (rule for rule in self._addresses.map.iter_rules(endpoint) if "POST" in (rule.methods or ()))
        own = {"ingest.take_back": {"photo": self.names["own"]}, "sharing.adding": {"grant": self.names["grant_of_rose"]}}
        names = self.names | own.get(endpoint, {})
        return self._addresses.build(endpoint, {name: names[name] for name in rule.arguments}, method="POST")

    def endpoint(self, path: str) -> str:
        return str(self._addresses.match(urlsplit(path).path, method="POST")[0])


SUBMIT = """(form, fields) => {
  for (const [name, value] of Object.entries(fields)) {
    const box = form.querySelector(`input[name=${name}], textarea[name=${name}]`)
      || form.appendChild(Object.assign(document.createElement("input"), { name }));
    box.value = value;
  }
  HTMLFormElement.prototype.submit.call(form);
}"""


def post(page: Page, shown_at: str, address: str, *, file: bytes | None = None, stays: bool = False, **fields: str) -> None:
    """Send the form for this address which stands on that page, as a browser without scripts does. `stays`: no page comes of it."""
    page.goto(shown_at)
    form = page.locator(f"form[action='{address}']").first
    if file is not None:
        form.locator("[type=file]").set_input_files(payloads(("IMG_0001.jpg", file)))
    with page.expect_response(f"**{address}") if stays else page.expect_navigation():
        form.evaluate(SUBMIT, fields)


def test_what_is_asked_and_answered_is_posted_from_our_pages_alone(
    secure_server: Instance, phone: Phone, kittens: Callable[[str], str]
) -> None:
    stage = Stage(secure_server)
    visitor, otto = phone(at=secure_server), phone(at=secure_server, device=stage.otto)
    stage.wait_before_the_link(visitor)
    another_site_tries(stage, phone, visitor, kittens)

    anna = phone(at=secure_server, member=stage.family.cookie)
    rose = phone(at=secure_server, device=stage.device, javascript=False)
    posts = [Posts(each) for each in (anna, rose, otto, visitor)]
    names, path = stage.names, stage.path
    album, person = f"/albums/{names['album']}", f"/people/{names['guest']}"
    shown = f"/shared/{names['album']}/{names['photo']}"
    post(anna, "/albums", path("sharing.let_in"))
    expect(visitor).to_have_url("/shared", timeout=15_000)  # its page sends the form by itself
    post(rose, shown, path("answers.heart"), guest=names["guest"])
    post(rose, shown, path("answers.write"), guest=names["guest"], text="The lighthouse")
    post(rose, shown, path("answers.speak"), file=b"no recording")
    post(anna, f"/photos/{names['photo']}", path("answers.hide_note"))
    post(anna, f"/photos/{names['photo']}", path("answers.hide_voice"))
    post(rose, shown, path("answers.delete_note"))
    post(rose, shown, path("answers.delete_voice"))
    post(rose, f"{shown}/wrong", path("reports.report_shared_photo"))
    post(anna, f"/photos/{names['photo']}/wrong", path("reports.report_photo"))
    post(anna, f"/photos/{names['photo']}", path("reports.answer"))
    post(rose, f"/shared/{names['album']}", path("viewing.seen"), stays=True, photo=names["photo"])
    post(rose, f"/shared/{names['album']}", path("languages.choose"), language="en")
    post(rose, f"/shared/{names['album']}", path("ingest.receive_shared"), file=pictures.tiny(1))
    post(anna, album, path("ingest.say_yes"))
    own = f"/shared/{names['album']}/{names['own']}"
    post(rose, own, path("ingest.take_back"))
    post(rose, f"/unsubscribe/{names['token']}", path("notifications.end_mail"))
    post(anna, person, path("sharing.mail_again"))
    post(rose, "/shared", path("notifications.subscribe"), **told_by_push(stage))
    post(rose, "/shared", path("notifications.unsubscribe"))
    post(anna, "/account", path("accounts.told"))
    post(otto, f"/shared/{names['album']}", path("door.ask_for_more_time"))
    post(anna, "/albums", path("sharing.no_more_time"))
    post(anna, person, path("sharing.adding"))
    stranger = phone(at=secure_server)
    posts.append(Posts(stranger))
    post(stranger, "/c/", path("door.do_type_words"), words=names["words"])
    post(stranger, f"/c/{names['words']}", path("door.open_card"))
    expect(stranger.get_by_role("heading")).to_have_text("Waiting for the person who sent you this")
    stage.wait_before_the_link(phone(at=secure_server))
    post(anna, "/albums", path("sharing.refuse_phone"))
    post(anna, person, path("sharing.new_card"))

    reached = {stage.endpoint(path) for each in posts for path in each.paths}
    assert reached - {"sharing.open_invite"} == ASKED_AND_ANSWERED


def told_by_push(stage: Stage) -> dict[str, str]:
    """What a browser that wants to be told sends of itself."""
    return {"endpoint": ENDPOINT, "p256dh": str(public_key(stage.server.house)), "auth": "A" * 22}


def another_site_tries(stage: Stage, phone: Phone, visitor: Page, kittens: Callable[[str], str]) -> None:
    """In the name of somebody who is a member, a guest, and waits; with a form's token that is good."""
    victim = phone(at=stage.server, member=stage.family.cookie, device=stage.device, watched=False)
    victim.context.add_cookies([each for each in visitor.context.cookies() if each["name"] != "__Host-kinfold_device"])  # type: ignore[misc]
    victim.goto("/account")
    fields = {
        "csrf_token": victim.locator("[name=csrf_token]").first.input_value(),
        "given": "y",
        "hidden": "y",
        "text": "Kittens",
        "language": "de",
        "words": stage.names["words"],
        "guest": stage.names["guest"],
        "photo": stage.names["own"],
        "may_add": "y",
        "List-Unsubscribe": "One-Click",
        **told_by_push(stage),
    }
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    aside = SEEN | {"instance", "notification"}  # where a worker writes down when it was there, and whom it has told
    told = sa.select(Notification.id).order_by(Notification.id)
    with stage.server.house.database.reading() as session:
        queued = session.scalars(told).all()
    before, cookies = all_rows(stage.server.house.database, without=aside), sorted(map(str, victim.context.cookies()))
    for endpoint in sorted(ASKED_AND_ANSWERED):
        target = stage.server.address + stage.path(endpoint)
        attack = f'<form method="post" action="{target}">{inputs}</form><script>document.forms[0].submit()</script>'
        with victim.expect_response(target) as answered:
            victim.goto(kittens(attack))
        assert answered.value.request.all_headers()["sec-fetch-site"] == "cross-site"
        assert answered.value.status == 404, endpoint
        assert "set-cookie" not in answered.value.all_headers(), endpoint
        victim.wait_for_load_state()
    assert all_rows(stage.server.house.database, without=aside) == before
    with stage.server.house.database.reading() as session:
        assert session.scalars(told).all() == queued
    assert sorted(map(str, victim.context.cookies())) == cookies


def sign_in(page: Page, email: str, password: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("checkbox", name="Stay signed in").check()
    tap(page, "Sign in")
    expect(page.get_by_role("heading", name="The Smiths")).to_be_visible()


def assert_cookies_are_safe(page: Page, power: str) -> None:
    """Out of reach for scripts and for plain http; those that count also for other hosts."""
    cookies = {str(cookie["name"]): cookie for cookie in page.context.cookies()}
    assert power in cookies
    assert all(cookie["secure"] and cookie["httpOnly"] and cookie["sameSite"] == "Lax" for cookie in cookies.values())
    assert [name for name in cookies if not name.startswith("__Host-")] in ([], ["kinfold_known"])


def member_of(server: Instance, email: str) -> str:
    with server.house.database.reading() as session:
        return session.scalars(sa.select(Account.id).where(Account.email == email)).one()
