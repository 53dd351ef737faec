"""Who may call what: every address there is, by everybody who might try.

Read a line as: Nobody gets this, Marc (who owns another family's albums) gets that, and so on. `both` is one browser in which Marc
is signed in and that is also Rose's device: powers never add up. Whoever adds a route adds a line here.
"""

from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from app.accounts import service as accounts
from app.accounts.models import Account, AddressKind
from app.answers import service as answers
from app.answers.models import VoiceState
from app.config import Settings
from app.groups import service as groups
from app.house import House
from app.ingest import service as ingest
from app.models import Album, DeviceRow, Grant, Link, NewPhone, Note, Voice
from app.security.permissions import Asks
from app.security.tokens import EVERYTHING, Purpose, cookie_digest
from app.security.viewer import Role
from app.sharing import asking
from app.sharing import service as sharing
from app.web.access import check_every_route_declares
from app.web.viewer import cookie_name
from tests.conftest import PASSWORD, Family, found
from tests.lint import LintingClient
from tests.rows import SEEN, all_rows

LISTED = ("nobody", "marc", "anna", "rose", "jim", "olga", "egon", "both")
"""Nobody; another group's owner; the owner; guest of this album; of another album; stopped by hand; past his date; see above."""

VIEWERS = (*LISTED, "ben")
"""And Ben, an editor in Anna's group: he gets what she gets, unless it is in `BEN`."""

TABLE = """
#                                                                          nobody marc anna rose jim olga egon both
GET  static                        /static/{version}/css/guest.css            200  200  200  200 200  200  200  200
GET  groups.join                   /join/{join}                               200  200  200  200 200  200  200  200
GET  groups.members                /members                                   404  200  200  404 404  404  404  200
GET  groups.invite                 /members/invite                            404  200  200  404 404  404  404  200
GET  groups.role                   /members/{ben}/role                        404  404  200  404 404  404  404  404
GET  sharing.remove_member         /members/{carl}/remove                     404  404  200  404 404  404  404  404
GET  groups.leave                  /account/delete                            404  200  200  404 404  404  404  200
GET  groups.group                  /group                                     404  200  200  404 404  404  404  200
HEAD tus.ask                       /uploads/{upload}                          404  404  200  404 404  404  404  404
OPTIONS tus.offer                  /albums/{album}/uploads                    404  404  204  404 404  404  404  404
GET  viewing.activity              /activity                                  404  200  200  404 404  404  404  200
GET  notifications.no_more_mail    /unsubscribe/{no_more_mail}               200  200  200  200 200  200  200  200
GET  public.robots                 /robots.txt                                200  200  200  200 200  200  200  200
GET  public.manifest               /manifest.webmanifest                      200  200  200  200 200  200  200  200
GET  public.service_worker         /service-worker.js                         200  200  200  200 200  200  200  200
GET  public.offline                /offline                                   200  200  200  200 200  200  200  200
GET  public.healthz                /healthz                                   200  200  200  200 200  200  200  200
GET  public.readyz                 /readyz                                    200  200  200  200 200  200  200  200
GET  groups.home                   /                                          303  303  303  303 303  303  303  303
GET  groups.set_up                 /setup/{set_up}                            200  200  200  200 200  200  200  200
GET  accounts.sign_in              /sign-in                                   200  303  303  200 200  200  200  303
GET  accounts.reset                /reset/{reset}                             200  200  200  200 200  200  200  200
GET  accounts.account              /account                                   404  200  200  404 404  404  404  200
GET  viewing.albums                /albums                                    404  200  200  404 404  404  404  200
GET  viewing.album                 /albums/{album}                            404  404  200  404 404  404  404  404
GET  answers.of_album              /albums/{album}/answers                    404  404  200  404 404  404  404  404
GET  albums.edit                   /albums/{album}/edit                       404  404  200  404 404  404  404  404
GET  ingest.status                 /albums/{album}/photos                     404  404  200  404 404  404  404  404
GET  sharing.share                 /albums/{album}/share                      404  404  200  404 404  404  404  404
GET  viewing.photo                 /photos/{photo}                            404  404  200  404 404  404  404  404
GET  sharing.people                /people                                    404  200  200  404 404  404  404  200
GET  sharing.person                /people/{guest}                            404  404  200  404 404  404  404  404
GET  rights.person                 /people/{guest}/export                     404  404  200  404 404  404  404  404
GET  rights.data                   /group/data                                404  200  200  404 404  404  404  200
GET  rights.delete                 /group/delete                              404  200  200  404 404  404  404  200
GET  rights.goodbye                /goodbye                                   200  200  200  200 200  200  200  200
GET  sharing.stop_all              /stop-sharing                              404  200  200  404 404  404  404  200
GET  sharing.invite                /i/{token}                                 200  200  200  303 200  200  200  303
GET  door.wait                     /waiting                                   404  404  404  404 404  404  404  404
GET  door.type_words               /c/                                        200  200  200  200 200  200  200  200
GET  door.card                     /c/{words}                                 200  200  200  200 200  200  200  200
GET  viewing.shared                /shared                                    404  404  404  200 200  404  410  200
GET  viewing.shared_album          /shared/{album}                            404  404  404  200 404  404  410  200
GET  viewing.shared_photo          /shared/{album}/{photo}                    404  404  404  200 404  404  410  200
GET  reports.shared_photo           /shared/{album}/{photo}/wrong              404  404  404  200 404  404  410  200
GET  reports.photo                  /photos/{photo}/wrong                      404  404  200  404 404  404  404  404
GET  installed.install             /shared/install                            404  404  404  200 200  404  200  200
GET  installed.kept                /shared/kept?photos={photo}                404  404  404  200 200  404  200  200
GET  bytes                         /m/{screen}                                404  404  200  200 404  404  404  200
GET  bytes                         /m/{everything}                            404  404  200  404 404  404  404  404

POST bytes                         /m/{screen}                                404  404  404  404 404  404  404  404
POST ingest.receive_shared         /shared/{album}/photos                     404  404  404  303 404  404  410  303
POST ingest.take_back              /shared/{album}/{own}/take-back            404  404  404  303 404  404  410  303
POST ingest.say_yes                /albums/{album}/photos/yes                 404  404  303  404 404  404  404  404
POST answers.heart                 /shared/{album}/{photo}/heart              404  404  404  303 404  404  410  303
POST answers.write                 /shared/{album}/{photo}/notes              404  404  404  303 404  404  410  303
POST answers.speak                 /shared/{album}/{photo}/voices             404  404  404  303 404  404  410  303
POST answers.hide_note             /notes/{note}/hide                         404  404  303  404 404  404  404  404
POST answers.hide_voice            /voices/{voice}/hide                       404  404  303  404 404  404  404  404
POST answers.delete_note           /shared/{album}/{photo}/notes/{note}/delete   404 404 404 303 404  404  410  303
POST answers.delete_voice          /shared/{album}/{photo}/voices/{voice}/delete 404 404 404 303 404  404  410  303
POST door.ask_for_more_time         /shared/{album}/more-time                  404  404  404  303 404  404  303  303
POST reports.report_shared_photo    /shared/{album}/{photo}/wrong              404  404  404  303 404  404  410  303
POST reports.report_photo           /photos/{photo}/wrong                      404  404  303  404 404  404  404  404
POST reports.answer                 /photos/{photo}/wrong/answer               404  404  303  404 404  404  404  404
POST albums.create                 /albums                                    404  303  303  404 404  404  404  303
POST albums.do_edit                /albums/{album}/edit                       404  404  303  404 404  404  404  404
POST albums.cover                  /albums/{album}/cover                      404  404  303  404 404  404  404  404
POST ingest.receive                /albums/{album}/photos                     404  404  303  404 404  404  404  404
POST tus.create                    /albums/{album}/uploads                    404  404  201  404 404  404  404  404
PATCH tus.go_on                    /uploads/{upload}                          404  404  204  404 404  404  404  404
DELETE tus.give_up                 /uploads/{upload}                          404  404  204  404 404  404  404  404
POST ingest.retry                  /photos/{refused}/retry                    404  404  303  404 404  404  404  404
POST media.caption                 /photos/{photo}/caption                    404  404  303  404 404  404  404  404
POST sharing.do_share              /albums/{album}/share                      404  404  201  404 404  404  404  404
POST sharing.add_person            /people                                    404  303  303  404 404  404  404  303
POST sharing.edit                  /people/{guest}/edit                       404  404  303  404 404  404  404  404
POST sharing.give                  /people/{guest}/grants                     404  404  303  404 404  404  404  404
POST sharing.extend                /grants/{grant}/extend                     404  404  303  404 404  404  404  404
POST sharing.saving                /grants/{grant}/saving                     404  404  303  404 404  404  404  404
POST sharing.adding                /grants/{grant}/adding                     404  404  303  404 404  404  404  404
POST sharing.mail_again            /people/{guest}/mail                       404  404  303  404 404  404  404  404
POST accounts.told                 /account/told                              404  303  303  404 404  404  404  303
POST viewing.seen                  /shared/{album}/seen                       404  404  404  204 404  404  410  204
POST notifications.subscribe       /shared/push                               404  404  404  404 404  404  404  404
POST notifications.unsubscribe     /shared/push/end                           404  404  404  303 303  404  303  303
POST notifications.end_mail        /unsubscribe/{no_more_mail}               200  200  200  200 200  200  200  200
POST sharing.one_more              /links/{link}/one-more                     404  404  303  404 404  404  404  404
POST sharing.new_link              /people/{guest}/links                      404  404  201  404 404  404  404  404
POST sharing.new_card              /people/{guest}/card                       404  404  201  404 404  404  404  404
POST sharing.no_more_time          /grants/{grant}/no-more-time               404  404  303  404 404  404  404  404
POST sharing.revoke_link           /links/{link}/revoke                       404  404  303  404 404  404  404  404
POST sharing.remove_device         /devices/{device}/remove                   404  404  303  404 404  404  404  404
POST sharing.end_grant             /grants/{grant}/end                        404  404  303  404 404  404  404  404
POST sharing.stop_guest            /people/{guest}/stop                       404  404  303  404 404  404  404  404
POST sharing.delete                /people/{somebody}/delete                  404  404  303  404 404  404  404  404
POST media.delete                  /photos/{refused}/delete                   404  404  303  404 404  404  404  404
POST media.delete_selected         /albums/{album}/photos/delete              404  404  303  404 404  404  404  404
POST albums.delete                 /albums/{album}/delete                     404  404  303  404 404  404  404  404
POST sharing.leave                 /shared/leave                              404  404  404  303 303  404  303  303
POST sharing.open_invite           /i/{token_of_jim}                          303  303  200  303 303  303  303  303
POST door.come_in                  /waiting                                   404  404  404  404 404  404  404  404
POST door.do_type_words            /c/                                        303  303  303  303 303  303  303  303
POST door.open_card                /c/{words}                                 303  303  200  303 303  303  303  303
POST sharing.let_in                /new-phones/{phone}/let-in                 404  404  303  404 404  404  404  404
POST sharing.refuse_phone          /new-phones/{phone}/refuse                 404  404  303  404 404  404  404  404
POST groups.do_invite              /members/invite                            404  201  201  404 404  404  404  201
POST groups.end_invitation         /members/invitations/{invitation}/end      404  404  303  404 404  404  404  404
POST groups.do_role                /members/{ben}/role                        404  404  303  404 404  404  404  404
POST sharing.do_remove_member      /members/{carl}/remove                     404  404  303  404 404  404  404  404
POST groups.do_group               /group                                     404  303  303  404 404  404  404  303
POST sharing.do_stop_all           /stop-sharing                              404  303  303  404 404  404  404  303
POST rights.export                 /group/export                              404  200  200  404 404  404  404  200
POST rights.do_delete              /group/delete                              404  400  400  404 404  404  404  400
POST accounts.end_session          /account/sessions/{session}/end            404  404  303  404 404  404  404  404
POST accounts.change_password      /account/password                          404  303  303  404 404  404  404  303
POST groups.do_leave               /account/delete                            404  400  400  404 404  404  404  400
POST accounts.sign_out_everywhere  /account/sign-out-everywhere               404  303  303  404 404  404  404  303
POST languages.choose              /language                                  303  303  303  303 303  303  303  303
POST accounts.sign_out             /sign-out                                  303  303  303  303 303  303  303  303
POST groups.do_join                /join/{join}                               303  303  303  303 303  303  303  303
POST accounts.do_sign_in           /sign-in                                   303  303  303  303 303  303  303  303
POST accounts.do_reset             /reset/{reset}                             303  303  303  303 303  303  303  303
POST groups.do_set_up              /setup/{set_up}                            303  303  303  303 303  303  303  303
"""

BEN = {
    "tus.ask": 404,  # the file that is arriving is hers
    "tus.go_on": 404,
    "tus.give_up": 404,
    "reports.answer": 404,
    "groups.invite": 404,
    "groups.role": 404,
    "groups.group": 404,
    "groups.do_invite": 404,
    "groups.end_invitation": 404,
    "groups.do_role": 404,
    "groups.do_group": 404,
    "groups.do_leave": 303,
    "sharing.remove_member": 404,
    "sharing.do_remove_member": 404,
    "sharing.stop_all": 404,
    "sharing.do_stop_all": 404,
    "rights.data": 404,
    "rights.delete": 404,
    "rights.export": 404,
    "rights.do_delete": 404,
    "accounts.end_session": 404,
    "accounts.sign_out_everywhere": 404,  # he has left by then
}

FORMS: dict[str, dict[str, str]] = {
    "languages.choose": {"language": "en"},
    "groups.do_invite": {"role": "editor", "name": "Dora", "password": PASSWORD},
    "groups.do_role": {"role": "editor", "password": PASSWORD},
    "groups.do_group": {"group_name": "The Smiths"},
    "groups.do_leave": {"password": PASSWORD},
    "groups.do_join": {"name": "Dora", "email": "dora@example.org", "password": PASSWORD},
    "sharing.do_remove_member": {"password": PASSWORD},
    "answers.heart": {"given": "y"},
    "answers.write": {"text": "The lighthouse"},
    "answers.hide_note": {"hidden": "y"},
    "albums.create": {"title": "Picnic"},
    "albums.do_edit": {"title": "Brittany 2026", "description": "By the sea"},
    "albums.cover": {"photo": "{photo}"},
    "media.caption": {"caption": "Low tide"},
    "media.delete_selected": {"photo": "{photo}"},
    "albums.delete": {"confirm": "Brittany 2026"},
    "sharing.do_share": {"name": "Grandpa"},
    "sharing.add_person": {"name": "Grandpa"},
    "sharing.edit": {"name": "Granny Rose"},
    "sharing.give": {"album": "{album}"},
    "sharing.saving": {"may_save": "y"},
    "sharing.adding": {"may_add": "y"},
    "door.do_type_words": {"words": "{words}"},
    "sharing.do_stop_all": {"password": PASSWORD},
    "rights.export": {"password": PASSWORD},
    "rights.do_delete": {"password": PASSWORD, "confirm": "Not its name"},
    "accounts.change_password": {"current": PASSWORD, "password": "three boats and a gull"},
    "accounts.do_sign_in": {"email": "nora@example.org", "password": PASSWORD},
    "accounts.do_reset": {"password": "three boats and a gull"},
    "groups.do_set_up": {
        "name": "Nina",
        "email": "nina@example.org",
        "password": "three boats and a gull",
        "group_name": "Chess",
        "group_kind": "club",
    },
}

Row = tuple[str, str, str, dict[str, int]]


def table() -> list[Row]:
    rows: list[Row] = []
    for line in TABLE.strip().splitlines():
        if line and not line.startswith("#"):
            method, endpoint, path, *statuses = line.split()
            expected = dict(zip(LISTED, map(int, statuses), strict=True))
            rows.append((method, endpoint, path, expected | {"ben": BEN.get(endpoint, expected["anna"])}))
    return rows


class Stage:
    """The cast with everything that the addresses of the table name, and one of the viewers at his browser."""

    def __init__(self, who: str, cast: Family, marcs: Family, browser: LintingClient) -> None:
        self.house, self.browser = cast.house, browser
        ben, carl = cast.join("Ben"), cast.join("Carl")
        member = {"anna": cast.cookie, "ben": ben.cookie, "marc": marcs.cookie, "both": marcs.cookie}.get(who, "")
        device = (
            "" if who in ("nobody", "anna", "ben", "marc") else cast.people["Rose" if who == "both" else who.capitalize()].cookie
        )
        self.cookies = {Asks.MEMBER: member, Asks.DEVICE: device}
        rose, jim = cast.people["Rose"], cast.people["Jim"]
        self.stolen = rose.cookie
        album, photo = cast.albums["Brittany 2026"].id, cast.photos["Brittany 2026"][0]
        refused = cast.upload("Brittany 2026", b"no picture at all")
        own, note, voice = self._said(cast)
        walkers = found(self.house, group_name="Walkers", name="Wim", email="wim@example.org")
        at = self.house.clock.now()
        with self.house.database.writing() as session:
            waiting = ingest.take(session, photo=refused, master=self.house.master, jobs=self.house.jobs, at=at)
            assert waiting is not None
            ingest.refuse(session, waiting=waiting, reason="broken", jobs=self.house.jobs, at=at)
            account = session.get_one(Account, cast.owner.id)
            other_browser = accounts.sign_in(session, account=account, label="iPad", stay=True, replaces=None, at=at)
            nora = accounts.add_member(
                session,
                group=marcs.owner.group,
                name="Nora",
                email="nora@example.org",
                password_hash=self.house.passwords.hash(PASSWORD),
                role=Role.EDITOR,
                at=at,
            )
            tokens = {
                "set_up": accounts.issue_address(session, kind=AddressKind.SET_UP, tokens=self.house.tokens, at=at),
                "reset": accounts.issue_address(session, kind=AddressKind.RESET, member=nora.id, tokens=self.house.tokens, at=at),
            }
            arriving = ingest.begin(
                session, cast.owner, album=cast.albums["Brittany 2026"], name="IMG_0003.jpg", size=7, quota=10**9, at=at
            )
            invite = {"role": Role.EDITOR, "name": "", "tokens": self.house.tokens, "at": at}
            invitation, _ = groups.invite(session, cast.owner, **invite)
            _, tokens["join"] = groups.invite(session, walkers.owner, **invite)
            somebody = sharing.add_guest(session, cast.owner, name="Somebody", at=at)
            link = session.scalars(sa.select(Link.id).where(Link.guest_id == rose.id)).one()
            grandson = sharing.get_guest(session, cast.owner, guest=jim.id)
            until = at + timedelta(days=30)
            card, words = sharing.make_card(session, cast.owner, guest=grandson, until=until, tokens=self.house.tokens, at=at)
            asking.ask_to_come_in(
                session,
                link=sharing.find_card(session, words=words, tokens=self.house.tokens),
                cookie=None,
                label="iPhone",
                jobs=self.house.jobs,
                opened_by=b"",
                asked_from="somewhere",
                at=at,
            )
            phone = session.scalars(sa.select(NewPhone.id).where(NewPhone.link_id == card.id)).one()
            device_row = session.scalars(sa.select(DeviceRow.id).where(DeviceRow.guest_id == rose.id)).one()
        self.names = tokens | {
            "version": browser.application.static_url_path.rpartition("/")[2],
            "album": album,
            "photo": photo,
            "refused": refused,
            "own": own,
            "note": note,
            "voice": voice,
            "guest": rose.id,
            "ben": ben.viewer.id,
            "carl": carl.viewer.id,
            "invitation": invitation.id,
            "somebody": somebody.id,
            "upload": arriving.id,
            "grant": rose.grant,
            "link": link,
            "device": device_row,
            "session": other_browser.signed_in.id,
            "token": rose.token,
            "no_more_mail": self.house.tokens.sign(Purpose.NO_MORE_MAIL, rose.id),
            "words": words,
            "phone": phone,
            "token_of_jim": jim.token,
            "screen": self.address(photo, "screen"),
            "everything": self.address(album, EVERYTHING, save=True),
        }

    def _said(self, cast: Family) -> tuple[str, str, str]:
        """Rose has added a photo, and said something about one of Anna's: a note, and a voice that nobody has prepared yet."""
        rose, shared, photo = cast.people["Rose"], cast.albums["Brittany 2026"], cast.photos["Brittany 2026"][0]
        at = self.house.clock.now()
        with self.house.database.writing() as session:
            session.get_one(Grant, rose.grant).may_add = True
            session.get_one(Album, shared.id).takes_voice = True
            answers.write_note(session, album=shared, photo=photo, guest=rose.id, text="Lovely", at=at)
            voice = Voice(photo_id=photo, guest_id=rose.id, state=VoiceState.REFUSED, size=0, attempts=1, at=at)
            session.add(voice)
            session.flush()
            note = session.scalars(sa.select(Note.id)).one()
        return cast.added("Brittany 2026", "Rose"), note, voice.id

    def address(self, photo: str, rendition: str, *, save: bool = False) -> str:
        """The token of a photo address, for the browser of this viewer."""
        member, device = self.cookies[Asks.MEMBER], self.cookies[Asks.DEVICE]
        return self.house.tokens.media(
            photo=photo,
            rendition=rendition,
            kind="device" if device or not member else "member",
            cookie=cookie_digest(device or member or self.stolen),
            at=self.house.clock.now(),
            save=save,
        )

    def call(self, method: str, endpoint: str, path: str) -> TestResponse:
        """Ask for an address of the table as this viewer, with a valid form token of this browser's own."""
        data: Any = {}
        headers = {"Tus-Resumable": "1.0.0"} if endpoint.startswith("tus.") else {}
        if endpoint == "tus.create":
            headers["Upload-Length"] = "7"
        if method in ("PATCH", "DELETE"):
            headers |= {"X-CSRFToken": self.browser.any_token(), "Upload-Offset": "0"}
            headers["Content-Type"] = "application/offset+octet-stream"
            data = b"a file" if method == "PATCH" else b""
        if method == "POST":
            data = {name: value.format(**self.names) for name, value in FORMS.get(endpoint, {}).items()}
            data = {"csrf_token": self.browser.any_token()} | data
        if endpoint in ("ingest.receive", "ingest.receive_shared", "answers.speak"):
            data["files"] = (BytesIO(b"a file"), "IMG_0002.jpg")
        self.hold_cookies()
        answer = self.browser.open(path.format(**self.names), method=method, data=data or None, headers=headers)
        if endpoint == "accounts.change_password" and answer.status_code == 303:  # it gives a fresh cookie for the one that asked
            fresh = self.browser.cookie(cookie_name(Asks.MEMBER, https=self.house.settings.https))
            assert fresh is not None
            self.cookies[Asks.MEMBER] = fresh
        return answer

    def hold_cookies(self) -> None:
        """An answer to somebody whose time is over takes the cookie away; here it is brought back every time."""
        for asks, value in self.cookies.items():
            if value:
                name = cookie_name(asks, https=self.house.settings.https)
                self.browser.set_cookie(name, value, domain=self.browser.domain)


@pytest.fixture(params=VIEWERS)
def who(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stage(who: str, cast: Family, marcs: Family, browser_of: Callable[..., LintingClient]) -> Stage:
    return Stage(who, cast, marcs, browser_of())


def test_every_route_stands_in_the_table(app: Flask) -> None:
    there_are = {
        (method, rule.endpoint)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - ({"HEAD"} if "GET" in rule.methods else set())
        if method != "OPTIONS" or not rule.provide_automatic_options
    }
    listed = {(method, endpoint) for method, endpoint, _, _ in table() if endpoint != "bytes"}
    assert there_are == listed, "add the new route to TABLE, with the answer that each viewer gets"
    assert all(
        (rule.methods or set()) <= {"GET", "HEAD", "POST", "OPTIONS", "PATCH", "DELETE"} for rule in app.url_map.iter_rules()
    )


def test_everybody_gets_what_the_table_says(who: str, stage: Stage) -> None:
    wrong = []
    for method, endpoint, path, expected in table():
        before = all_rows(stage.house.database, without=SEEN)
        answer = stage.call(method, endpoint, path)
        if answer.status_code != expected[who]:
            wrong.append(f"{method} {path}: {who} got {answer.status_code}, the table says {expected[who]}")
        if answer.status_code >= 400 and all_rows(stage.house.database, without=SEEN) != before:
            wrong.append(f"{method} {path}: {who} got {answer.status_code}, and yet it changed something")
    assert not wrong, "\n".join(wrong)


def test_head_answers_like_get_without_a_body(who: str, stage: Stage) -> None:
    for method, endpoint, path, expected in table():
        if method == "GET":
            answer = stage.call("HEAD", endpoint, path)
            assert (answer.status_code, answer.data) == (expected[who], b""), path


def test_a_get_notes_a_visit_once_an_hour_and_neither_changes_nor_gives_anything_else(stage: Stage) -> None:
    looking = [(endpoint, path) for method, endpoint, path, _ in table() if method == "GET"]
    before = all_rows(stage.house.database, without=SEEN)
    for endpoint, path in looking:
        answer = stage.call("GET", endpoint, path)
        assert all_rows(stage.house.database, without=SEEN) == before, path
        given = [cookie.split(";")[0] for cookie in answer.headers.getlist("Set-Cookie")]
        assert all(cookie.startswith("kinfold_form=") or cookie.endswith("=") for cookie in given), f"{path} hands out {given}"
    noted = all_rows(stage.house.database)
    for endpoint, path in looking:
        stage.call("HEAD", endpoint, path)
    assert all_rows(stage.house.database) == noted, "a visit is noted at most once an hour"


def test_what_is_not_there_and_what_is_not_for_you_look_the_same(stage: Stage, who: str) -> None:
    for method, endpoint, path, expected in table():
        names = {name: value for name, value in stage.names.items() if "{" + name + "}" in path}
        if expected[who] != 404 or not names or endpoint == "bytes":
            continue
        foreign = stage.call(method, endpoint, path)
        missing = stage.call(method, endpoint, path.format(**dict.fromkeys(names, "a" * 26)))
        assert (foreign.status_code, foreign.data) == (missing.status_code, missing.data), path
        assert sorted(foreign.headers) == sorted(missing.headers), path


def test_a_route_that_says_not_who_may_use_it_stops_the_start(app: Flask) -> None:
    app._got_first_request = False
    app.add_url_rule("/forgotten", "forgotten", lambda: "hello")
    with pytest.raises(RuntimeError, match=r"forgotten.*|@allow"):
        check_every_route_declares(app)


def test_a_route_that_says_not_who_may_use_it_is_not_there_at_run_time(
    app: Flask, browser_of: Callable[..., LintingClient]
) -> None:
    app._got_first_request = False
    app.add_url_rule("/forgotten", "forgotten", lambda: "hello")
    assert browser_of().get("/forgotten").status_code == 404


def test_a_visit_moves_the_sleep_of_a_device_but_not_its_end(
    cast: Family, house: House, browser_of: Callable[..., LintingClient]
) -> None:
    def row() -> DeviceRow:
        with house.database.reading() as session:
            return session.scalars(sa.select(DeviceRow).where(DeviceRow.guest_id == cast.people["Rose"].id)).one()

    before = row()
    browser_of(device=cast.people["Rose"].cookie).get("/shared")
    assert row().unused_after - before.unused_after == timedelta(days=1, minutes=1)
    assert row().expires_at == before.expires_at


def test_the_settings_of_the_tests_are_those_of_a_fresh_instance(house: House) -> None:
    assert house.settings == Settings.from_env({"KINFOLD_DATA": str(house.settings.data)})
