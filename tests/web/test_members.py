"""Inviting, joining, roles, removing, leaving: what owners can do, and what nobody can."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from markupsafe import escape

from app.accounts import service as accounts
from app.accounts.models import Account, AddressKind, OneTimeAddress, SignedIn
from app.activity.models import Deletion, DeletionKind
from app.clock import HandClock
from app.groups import service as groups
from app.groups.models import Group, Invitation
from app.ops.worker import _end_what_is_over
from app.security.viewer import Role
from app.sharing.models import Guest
from tests.conftest import PASSWORD, Colleague, Family, share_as
from tests.lint import LintingClient, lint_page
from tests.rows import SEEN, all_rows
from tests.web.conftest import BRITTANY, TOM, photo_address, refused_with

Browsers = Callable[..., LintingClient]
CARLA = {"name": "Carla", "email": "carla@example.org", "password": "three boats and a gull"}
SURE = {"password": PASSWORD}


@pytest.fixture
def ben(cast: Family) -> Colleague:
    return cast.join("Ben")


@pytest.fixture
def bens(ben: Colleague, browser_of: Browsers) -> LintingClient:
    """Ben's browser."""
    return browser_of(member=ben.cookie)


def path_of(link: str) -> str:
    return "/" + link.split("/", 3)[3]


def invitation(family: Family, role: Role = Role.EDITOR, name: str = "Carla") -> str:
    """The path of a fresh invitation."""
    house = family.house
    with house.database.writing() as session:
        _, token = groups.invite(session, family.owner, role=role, name=name, tokens=house.tokens, at=house.clock.now())
    return f"/join/{token}"


def role_of(family: Family, member: str) -> Role | None:
    with family.house.database.reading() as session:
        return session.scalars(sa.select(Account.role).where(Account.id == member)).one_or_none()


def count(family: Family, table: Any, *which: sa.ColumnElement[bool]) -> int:
    with family.house.database.reading() as session:
        return session.scalars(sa.select(sa.func.count()).select_from(table).where(*which)).one()


# --- inviting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
def test_an_invitation_makes_one_member_with_its_role(
    cast: Family, anna: LintingClient, browser_of: Browsers, clock: HandClock, role: Role
) -> None:
    made = anna.send("/members/invite", json=True, role=role.value, **SURE)
    assert made.status_code == 201
    told = made.get_json()
    assert sorted(told) == ["expires_at", "invitation", "link"]
    assert datetime.fromisoformat(told["expires_at"]) == clock.now() + timedelta(days=7)
    assert told["link"].startswith(f"{cast.house.settings.base_url}/join/")
    carla = browser_of()
    assert carla.get(path_of(told["link"])).status_code == 200
    joined = carla.send(path_of(told["link"]), **CARLA)
    assert (joined.status_code, joined.headers["Location"]) == (303, "/albums")
    assert BRITTANY in carla.get("/albums").text
    assert {"name": "Carla", "role": role.value} in [
        {"name": each["name"], "role": each["role"]}
        for each in anna.get("/members", headers=[("Accept", "application/json")]).json["members"]
    ]
    late = browser_of()
    assert late.get(path_of(told["link"])).status_code == 404
    assert late.send(path_of(told["link"]), **(CARLA | {"email": "late@example.org"})).status_code == 404


def test_the_address_is_shown_once_with_a_code_to_scan(cast: Family, anna: LintingClient, ben: Colleague) -> None:
    made = anna.send("/members/invite", role="editor", name="Carla", **SURE)
    link = re.search(r'value="(http[^"]+/join/[^"]+)"', made.text)
    assert (
        made.status_code == 201 and link and "<svg" in made.text and "The invitation for <bdi>Carla</bdi> is ready" in made.text
    )
    with cast.house.database.reading() as session:
        digest = session.scalars(sa.select(Invitation.digest).where(Invitation.name == "Carla")).one()
    assert digest.hex() not in made.text
    for page in (anna.get("/members"), anna.get("/members", headers=[("Accept", "application/json")])):
        assert "Carla" in page.text and "/join/" not in page.text and digest.hex() not in page.text


def test_every_member_sees_who_is_there_and_who_is_invited(cast: Family, bens: LintingClient) -> None:
    invitation(cast)
    page = bens.get("/members").text
    assert all(words in page for words in ("Anna", "Ben", "Owner, since", "Editor, since", "Carla", "invited by"))
    assert "Take back" not in page and "Make an owner" not in page and "/members/invite" not in page
    told = bens.get("/members", headers={"Accept": "application/json"}).get_json()
    assert [(each["name"], each["role"]) for each in told["members"]] == [("Anna", "owner"), ("Ben", "editor")]
    assert [(each["name"], each["role"]) for each in told["invitations"]] == [("Carla", "editor")]


@pytest.mark.parametrize("fields", [{"role": "admin"}, {"role": ""}, {}, {"role": "Owner"}])
def test_there_are_two_roles(cast: Family, anna: LintingClient, fields: dict[str, str]) -> None:
    refused_with(anna.send("/members/invite", json=True, **fields, **SURE), 400, "role-wrong")
    assert count(cast, Invitation) == 0
    page = anna.send("/members/invite", **fields, **SURE)
    assert (page.status_code, "Please choose owner or editor." in page.text) == (400, True)


@pytest.mark.parametrize("name", ['"><script>alert(1)</script>', "<b onclick=x>Ben</b>", "{{ 7 * 7 }}", "' data-module='share"])
def test_a_name_on_an_invitation_is_no_markup(cast: Family, anna: LintingClient, browser_of: Browsers, name: str) -> None:
    """Every page that is fetched is read strictly; what is posted is read here."""
    made = anna.send("/members/invite", role="editor", name=name, **SURE)
    assert made.status_code == 201
    lint_page(made.text, "/members/invite")
    link = re.search(r'value="(http[^"]+/join/[^"]+)"', made.text)
    assert link and anna.get("/members").status_code == 200
    assert browser_of().send(path_of(link[1]), **(CARLA | {"name": name})).status_code == 303
    for page in ("/members", "/activity"):
        assert str(escape(name)) in anna.get(page).text


# --- the address that joins ------------------------------------------------------------------------------------------


def test_opening_an_invitation_shows_no_name_and_changes_nothing(cast: Family, stranger: LintingClient) -> None:
    address = invitation(cast)
    before = all_rows(cast.house.database)
    page = stranger.get(address).text
    assert not [
        word for word in ("Anna", "Carla", "Smiths", BRITTANY, "editor", "photo-", "/m/") if word in page.replace("you: Anna", "")
    ]
    assert stranger.head(address).status_code == 200
    assert all_rows(cast.house.database) == before


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("email", "anna@example.org", "There is an account with this e-mail address already."),
        ("email", "nobody", "This does not look like an e-mail address."),
        ("password", "short", "at least 10 characters"),
        ("password", "carla@example.org", "easy to guess"),
        ("name", " \u202e ", "Please type a name."),
    ],
)
def test_a_mistake_leaves_the_invitation_good(cast: Family, stranger: LintingClient, field: str, value: str, told: str) -> None:
    address = invitation(cast)
    answer = stranger.send(address, **(CARLA | {field: value}))
    assert (answer.status_code, told in answer.text) == (400, True)
    assert not stranger.cookie("kinfold_member")
    assert stranger.send(address, **CARLA).status_code == 303


def test_an_invitation_ends_after_a_week(cast: Family, stranger: LintingClient, clock: HandClock) -> None:
    address = invitation(cast)
    clock.move(timedelta(days=7) - timedelta(seconds=1))
    assert stranger.get(address).status_code == 200
    clock.move(timedelta(seconds=1))
    assert (stranger.get(address).status_code, stranger.send(address, **CARLA).status_code) == (404, 404)
    _end_what_is_over(cast.house)
    assert count(cast, Invitation) == 0, "a clock that is set back revives nothing"


def test_an_invitation_is_taken_back_by_an_owner_of_the_same_group(
    cast: Family, marcs: Family, anna: LintingClient, bens: LintingClient, browser_of: Browsers
) -> None:
    address = invitation(cast)
    with cast.house.database.reading() as session:
        end = f"/members/invitations/{session.scalars(sa.select(Invitation.id)).one()}/end"
    for other in (bens, browser_of(member=marcs.cookie), browser_of()):
        assert other.send(end).status_code == 404
    assert browser_of().get(address).status_code == 200
    assert anna.send(end).status_code == 303
    assert browser_of().get(address).status_code == 404
    assert anna.send(end).status_code == 404


def test_the_red_button_ends_the_groups_invitations(
    cast: Family, marcs: Family, anna: LintingClient, browser_of: Browsers
) -> None:
    ours, theirs = invitation(cast), invitation(marcs)
    assert "1 invitation of a member ends" in anna.get("/stop-sharing").text
    assert anna.send("/stop-sharing", **SURE).status_code == 303
    assert (browser_of().get(ours).status_code, browser_of().get(theirs).status_code) == (404, 200)


def test_somebody_who_is_signed_in_is_told_so_and_uses_nothing_up(
    cast: Family, marcs: Family, anna: LintingClient, browser_of: Browsers
) -> None:
    address = invitation(cast)
    for browser in (anna, browser_of(member=marcs.cookie)):
        before = all_rows(cast.house.database, without=SEEN)
        for answer in (browser.get(address), browser.send(address, **CARLA)):
            assert (answer.status_code, "You are signed in already" in answer.text) == (200, True)
        assert all_rows(cast.house.database, without=SEEN) == before
    assert browser_of().send(address, **CARLA).status_code == 303


def test_more_fields_make_nobody_more_than_the_invitation_says(cast: Family, marcs: Family, stranger: LintingClient) -> None:
    wishes = {
        "role": "owner",
        "group": marcs.owner.group,
        "group_id": marcs.owner.group,
        "id": cast.owner.id,
        "created_at": "2020-01-01",
    }
    assert stranger.send(invitation(cast), **CARLA, **wishes).status_code == 303
    with cast.house.database.reading() as session:
        carla = session.scalars(sa.select(Account).where(Account.email == "carla@example.org")).one()
    assert (carla.role, carla.group_id) == (Role.EDITOR, cast.owner.group)
    assert stranger.get("/members/invite").status_code == 404


def test_a_planted_cookie_is_worth_nothing_after_joining(cast: Family, browser_of: Browsers) -> None:
    planted = "planted-by-an-attacker-who-waits-for-carla"
    carla = browser_of(member=planted)
    form = carla.form_token(address := invitation(cast))
    assert carla.send(address, **CARLA).status_code == 303
    assert carla.cookie("kinfold_member") not in (None, planted)
    assert browser_of(member=planted).get("/albums").status_code == 404
    refused = carla.post("/albums", data={"csrf_token": form, "title": "Picnic"})
    assert refused.status_code == 400, "a form's token from before joining is worth nothing after it"


def test_a_guest_who_becomes_a_member_keeps_both_powers_apart(cast: Family, rose: LintingClient) -> None:
    assert rose.send(invitation(cast), **CARLA).status_code == 303
    assert (rose.get("/albums").status_code, rose.get("/shared").status_code) == (200, 200)
    assert rose.get(f"/shared/{cast.albums[TOM].id}").status_code == 404


def test_each_address_opens_its_own_door_only(cast: Family, stranger: LintingClient) -> None:
    house, at = cast.house, cast.house.clock.now()
    with house.database.writing() as session:
        set_up = accounts.issue_address(session, kind=AddressKind.SET_UP, tokens=house.tokens, at=at)
        reset = accounts.issue_address(session, kind=AddressKind.RESET, member=cast.owner.id, tokens=house.tokens, at=at)
    join = invitation(cast).rpartition("/")[2]
    doors = {"join": join, "i": cast.people["Rose"].token, "setup": set_up, "reset": reset}
    for door in doors:
        for made_for, token in doors.items():
            expected = 200 if made_for == door else 404
            assert stranger.get(f"/{door}/{token}").status_code == expected, (door, made_for)
    for damaged in (join[:-1], join + "x", join.partition(".")[0], "a" * 26, "%00", "🦆"):
        assert stranger.get(f"/join/{damaged}").status_code == 404


def test_nobody_asks_about_everybodys_address(cast: Family, marcs: Family, browser_of: Browsers) -> None:
    """The answer "already" tells who has an account in any group: not sixty times."""
    address = invitation(cast)
    asked = [browser_of().send(address, **(CARLA | {"email": marcs.email})).status_code for _ in range(11)]
    assert asked == [400] * 10 + [429]
    others = [browser_of().send(invitation(cast), **(CARLA | {"email": marcs.email})).status_code for _ in range(21)]
    assert others == [400] * 20 + [429], "with other invitations either"


def test_a_whole_school_joins_from_one_address(cast: Family, browser_of: Browsers) -> None:
    for number in range(31):
        parent = CARLA | {"email": f"parent{number}@example.org"}
        assert browser_of().send(invitation(cast), **parent).status_code == 303


# --- roles -----------------------------------------------------------------------------------------------------------


def test_an_owner_makes_another_who_can_then_do_the_same(
    cast: Family, ben: Colleague, anna: LintingClient, bens: LintingClient
) -> None:
    assert "Make <bdi>Ben</bdi> an owner?" in anna.get(f"/members/{ben.viewer.id}/role").text
    assert anna.send(f"/members/{ben.viewer.id}/role", role="owner", **SURE).status_code == 303
    assert bens.get("/members/invite").status_code == 200
    assert bens.send("/members/invite", json=True, role="owner", **SURE).status_code == 201


def test_an_owner_is_neither_removed_nor_demoted_by_another(cast: Family, anna: LintingClient, browser_of: Browsers) -> None:
    olaf = cast.join("Olaf", Role.OWNER)
    told = "An owner can only leave or step down by themselves."
    for what, fields in (("role", {"role": "editor"}), ("remove", {})):
        address = f"/members/{olaf.viewer.id}/{what}"
        for answer in (anna.get(address), anna.send(address, **fields, **SURE)):
            assert (answer.status_code, told in answer.text) == (400, True), what
        refused_with(anna.send(address, json=True, **fields, **SURE), 400, "owner-stays")
    assert role_of(cast, olaf.viewer.id) is Role.OWNER
    assert browser_of(member=olaf.cookie).get("/members/invite").status_code == 200


def test_the_last_owner_neither_steps_down_nor_leaves(cast: Family, ben: Colleague, anna: LintingClient) -> None:
    me = f"/members/{cast.owner.id}"
    assert "Stop being an owner" not in anna.get("/members").text
    refused_with(anna.send(f"{me}/role", json=True, role="editor", **SURE), 400, "last-owner")
    assert anna.send(f"{me}/remove", **SURE).status_code == 400
    page = anna.get("/account/delete").text
    assert "You are the last owner" in page and "Delete my account" not in page
    refused_with(anna.send("/account/delete", json=True, **SURE), 400, "last-owner")
    assert role_of(cast, cast.owner.id) is Role.OWNER


def test_an_owner_steps_down_beside_another_and_their_invitations_end(
    cast: Family, anna: LintingClient, browser_of: Browsers
) -> None:
    cast.join("Olaf", Role.OWNER)
    address, me = invitation(cast, Role.OWNER), f"/members/{cast.owner.id}/role"
    assert "Stop being an owner?" in anna.get(me).text
    assert anna.send(me, role="editor", **SURE).status_code == 303
    assert anna.get("/members").status_code == 200
    assert anna.get("/members/invite").status_code == 404, "the role is read again at each request"
    assert anna.send(me, role="owner", **SURE).status_code == 404
    assert browser_of().get(address).status_code == 404, "or an owner's invitation would bring her back"


# --- removing --------------------------------------------------------------------------------------------------------


def test_a_removed_members_pages_and_photo_addresses_die_at_once(
    cast: Family, ben: Colleague, anna: LintingClient, bens: LintingClient, browser_of: Browsers
) -> None:
    laptop = browser_of()
    assert laptop.send("/sign-in", email=ben.email, password=PASSWORD).status_code == 303
    photo = photo_address(cast, cast.photos[BRITTANY][0], "full", member=ben.cookie)
    assert [bens.get(address).status_code for address in ("/albums", photo)] == [200, 200]
    assert anna.send(f"/members/{ben.viewer.id}/remove", **SURE).status_code == 303
    assert [bens.get(address).status_code for address in (photo, "/albums", "/members", "/activity")] == [404] * 4
    assert laptop.get("/albums").status_code == 404
    assert laptop.send("/sign-in", email=ben.email, password=PASSWORD).status_code == 400
    assert count(cast, SignedIn, SignedIn.member_id == ben.viewer.id) == 0
    assert count(cast, Deletion, Deletion.kind == DeletionKind.MEMBER, Deletion.subject == ben.viewer.id) == 1
    assert anna.send(f"/members/{ben.viewer.id}/remove", **SURE).status_code == 404, "the second tap"


def test_a_removed_owners_invitations_and_new_password_address_end(
    cast: Family, anna: LintingClient, browser_of: Browsers
) -> None:
    """He stepped down just before; and what the operator sent him is for an account that is gone."""
    olaf = cast.join("Olaf", Role.OWNER)
    his = browser_of(member=olaf.cookie)
    made = his.send("/members/invite", json=True, role="owner", **SURE).get_json()
    house, at = cast.house, cast.house.clock.now()
    with house.database.writing() as session:
        token = accounts.issue_address(session, kind=AddressKind.RESET, member=olaf.viewer.id, tokens=house.tokens, at=at)
    assert his.send(f"/members/{olaf.viewer.id}/role", role="editor", **SURE).status_code == 303
    assert anna.send(f"/members/{olaf.viewer.id}/remove", **SURE).status_code == 303
    assert browser_of().get(path_of(made["link"])).status_code == 404
    assert browser_of().get(f"/reset/{token}").status_code == 404
    assert (count(cast, Invitation), count(cast, OneTimeAddress)) == (0, 0)


def test_the_page_lists_what_they_made_with_their_links_ticked(
    cast: Family, marcs: Family, ben: Colleague, anna: LintingClient
) -> None:
    theo, vera = share_as(ben, cast, BRITTANY, "Theo"), marcs.share("Alps", "Vera")
    page = anna.get(f"/members/{ben.viewer.id}/remove").text
    assert f'name="link" id="link-{theo.link}" value="{theo.link}" checked' in page
    assert f'name="guest" id="guest-{theo.id}" value="{theo.id}"' in page and f'value="{theo.id}" checked' not in page
    others = [cast.people[name] for name in ("Rose", "Jim", "Egon", "Olga")] + [vera]
    assert not [person for person in others if person.id in page or person.link in page]


def test_what_is_not_ticked_stays(cast: Family, ben: Colleague, anna: LintingClient, browser_of: Browsers) -> None:
    theo = share_as(ben, cast, BRITTANY, "Theo")
    phone = browser_of(device=theo.cookie)
    assert anna.send(f"/members/{ben.viewer.id}/remove", offered=theo.link, **SURE).status_code == 303
    assert phone.get(f"/shared/{cast.albums[BRITTANY].id}").status_code == 200
    assert browser_of().get(f"/i/{theo.token}").status_code == 200
    assert "Theo" in anna.get("/people").text


@pytest.mark.parametrize("tick", ["link", "guest", "everybody"])
def test_what_is_ticked_ends_too(cast: Family, ben: Colleague, anna: LintingClient, browser_of: Browsers, tick: str) -> None:
    theo, uma = share_as(ben, cast, BRITTANY, "Theo"), share_as(ben, cast, BRITTANY, "Uma")
    ticked = {"link": theo.link, "guest": theo.id, "everybody": "y"}[tick]
    offered = [theo.link, uma.link]
    assert anna.send(f"/members/{ben.viewer.id}/remove", **{tick: ticked}, offered=offered, **SURE).status_code == 303
    assert browser_of(device=theo.cookie).get("/shared").status_code == 404
    assert browser_of().get(f"/i/{theo.token}").status_code == 404
    left = 404 if tick == "everybody" else 200
    assert browser_of(device=uma.cookie).get("/shared").status_code == left


def test_a_link_made_after_the_page_was_opened_ends_too(
    cast: Family, ben: Colleague, anna: LintingClient, browser_of: Browsers
) -> None:
    theo, remove = share_as(ben, cast, BRITTANY, "Theo"), f"/members/{ben.viewer.id}/remove"
    offered = re.findall(r'name="offered" value="([^"]+)"', anna.get(remove).text)
    assert offered == [theo.link]
    late = share_as(ben, cast, BRITTANY, "Late")
    page = anna.send(remove, offered=offered, password="wrong password").text
    assert f'value="{late.link}" checked' in page and f'value="{theo.link}" checked' not in page
    assert anna.send(remove, offered=offered, **SURE).status_code == 303
    assert [browser_of(device=each.cookie).get("/shared").status_code for each in (theo, late)] == [200, 404]
    assert browser_of().get(f"/i/{late.token}").status_code == 404


@pytest.mark.parametrize("over", ["replaced", "past its date"])
def test_phones_that_they_let_in_by_a_link_that_is_over_can_be_ended_too(
    cast: Family, ben: Colleague, anna: LintingClient, bens: LintingClient, browser_of: Browsers, clock: HandClock, over: str
) -> None:
    """Ben opens a link for Rose on a phone of his own, and makes another one for her."""
    made = bens.send(f"/people/{cast.people['Rose'].id}/links", json=True, days="1").get_json()
    his_own = browser_of()
    assert his_own.send(path_of(made["link"]), page=path_of(made["link"])).status_code == 303
    if over == "replaced":
        assert bens.send(f"/people/{cast.people['Rose'].id}/links", json=True, days="1").status_code == 201
    else:
        clock.move(timedelta(days=2))
    page = anna.get(f"/members/{ben.viewer.id}/remove").text
    assert f'id="link-{made["id"]}" value="{made["id"]}" checked' in page
    assert anna.send(f"/members/{ben.viewer.id}/remove", link=made["id"], **SURE).status_code == 303
    assert his_own.get("/shared").status_code == 404


def test_only_what_this_member_made_can_be_ended_with_them(
    cast: Family, marcs: Family, ben: Colleague, anna: LintingClient, rose: LintingClient, browser_of: Browsers
) -> None:
    vera = marcs.share("Alps", "Vera")
    fields = {"guest": [cast.people["Rose"].id, vera.id], "link": [cast.people["Jim"].link, vera.link], "everybody": "y"}
    assert anna.send(f"/members/{ben.viewer.id}/remove", **fields, **SURE).status_code == 303
    phones = [rose, *(browser_of(device=person.cookie) for person in (cast.people["Jim"], vera))]
    assert [phone.get("/shared").status_code for phone in phones] == [200] * 3


def test_a_wrong_password_keeps_the_ticks(cast: Family, ben: Colleague, anna: LintingClient) -> None:
    theo = share_as(ben, cast, BRITTANY, "Theo")
    answer = anna.send(f"/members/{ben.viewer.id}/remove", guest=theo.id, offered=theo.link, password="wrong password")
    assert answer.status_code == 400
    assert f'value="{theo.id}" checked' in answer.text and f'value="{theo.link}" checked' not in answer.text


# --- leaving ---------------------------------------------------------------------------------------------------------


def test_whoever_leaves_is_gone_and_what_they_made_stays(
    cast: Family, ben: Colleague, anna: LintingClient, bens: LintingClient, browser_of: Browsers
) -> None:
    theo = share_as(ben, cast, BRITTANY, "Theo")
    assert bens.send("/albums", title="Ben's picnic").status_code == 303
    page = bens.get("/account/delete").text
    assert "stay with the group" in page and "at once and for good" in page
    gone = bens.send("/account/delete", **SURE)
    assert (gone.status_code, gone.headers["Clear-Site-Data"]) == (303, '"cache", "storage"')
    assert "Your account is deleted." in bens.get(gone.headers["Location"]).text
    assert not bens.cookie("kinfold_member")
    assert browser_of(member=ben.cookie).get("/albums").status_code == 404
    assert role_of(cast, ben.viewer.id) is None
    assert count(cast, Deletion, Deletion.subject == ben.viewer.id) == 1
    assert "Ben&#39;s picnic" in anna.get("/albums").text
    assert browser_of(device=theo.cookie).get("/shared").status_code == 200
    with cast.house.database.reading() as session:
        assert ben.email not in repr(all_rows(cast.house.database))
        assert session.get_one(Guest, theo.id).created_by is None
    again = browser_of()
    assert again.send(invitation(cast), **(CARLA | {"email": ben.email})).status_code == 303, "a new invitation brings them back"


def test_an_owner_leaves_beside_another(cast: Family, anna: LintingClient) -> None:
    olaf = cast.join("Olaf", Role.OWNER)
    assert anna.send("/account/delete", **SURE).status_code == 303
    assert (role_of(cast, cast.owner.id), role_of(cast, olaf.viewer.id)) == (None, Role.OWNER)


# --- the password, once more -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "fields"),
    [
        ("/members/invite", {"role": "editor"}),
        ("/members/{ben}/role", {"role": "owner"}),
        ("/members/{ben}/remove", {}),
        ("/account/delete", {}),
    ],
)
def test_the_password_is_asked_again_after_a_quarter_of_an_hour(
    cast: Family, ben: Colleague, browser_of: Browsers, clock: HandClock, address: str, fields: dict[str, str]
) -> None:
    cast.join("Olaf", Role.OWNER)
    path, anna = address.format(ben=ben.viewer.id), browser_of()
    anna.send("/sign-in", email=cast.email, password=PASSWORD)
    assert 'type="password"' not in anna.get(path).text
    clock.move(timedelta(minutes=15))
    assert 'type="password"' in anna.get(path).text
    before = all_rows(cast.house.database, without=SEEN | {"confirmed_at"})
    for sent, reason, words in (
        ({}, "password-missing", "Please type a password."),
        ({"password": "wrong password"}, "password-wrong", "This is not your password."),
    ):
        answer = anna.send(path, **fields, **sent)
        assert (answer.status_code, words in answer.text) == (400, True)
        refused_with(anna.send(path, json=True, **fields, **sent), 400, reason)
    after = all_rows(cast.house.database, without=SEEN | {"confirmed_at"})
    assert {name for name in after if after[name] != before[name]} <= {"activity"}, "tries are counted, nothing else happens"
    assert anna.send(path, **fields, **SURE).status_code in (201, 303)
    if address != "/account/delete":
        assert 'type="password"' not in anna.get("/members/invite").text, "it was shown just now"


def test_the_password_can_not_be_guessed_by_who_has_the_phone(cast: Family, ben: Colleague, anna: LintingClient) -> None:
    for _ in range(10):
        assert anna.send(f"/members/{ben.viewer.id}/remove", password="a guess").status_code == 400
    answer = anna.send("/members/invite", role="owner", **SURE)
    assert answer.status_code == 429
    assert role_of(cast, ben.viewer.id) is Role.EDITOR
    assert count(cast, Invitation) == 0


# --- the group's name ------------------------------------------------------------------------------------------------


def test_an_owner_gives_the_group_another_name(cast: Family, marcs: Family, anna: LintingClient, bens: LintingClient) -> None:
    assert 'value="The Smiths"' in anna.get("/group").text
    assert anna.send("/group", group_name="  The\u202e Smiths & Sons ").status_code == 303
    assert "The Smiths &amp; Sons" in bens.get("/albums").text
    assert bens.send("/group", group_name="Ben's").status_code == 404
    wrong = anna.send("/group", group_name=" ")
    assert (wrong.status_code, "Please give it a name" in wrong.text) == (400, True)
    with cast.house.database.reading() as session:
        assert session.scalars(sa.select(Group.name).order_by(Group.name)).all() == ["The Martins", "The Smiths & Sons"]
