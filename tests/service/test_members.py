"""Members at the same time, on SQLite and on PostgreSQL, where a transaction does not see what another is about to do."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import Account, SignedIn
from app.activity.models import Activity, ActivityKind, Deletion, DeletionKind
from app.errors import KinfoldError, NotVisible, Refused, TooLarge
from app.groups import service as groups
from app.groups.models import Invitation
from app.house import House
from app.ingest import service as ingest
from app.ingest.service import Arrived
from app.security.viewer import Member, Role
from app.storage.sealed import SealedKey
from tests import postgres
from tests.conftest import Family, found


@pytest.fixture(params=["sqlite", "postgresql"])
def family(request: pytest.FixtureRequest, make_house: Callable[..., House]) -> Family:
    """Anna's, on a database of either kind."""
    there: dict[str, str] = {}
    if request.param == "postgresql" and not postgres.EVERYWHERE:
        there = {"KINFOLD_DATABASE_URL": request.getfixturevalue("migrated_postgres"), **postgres.KEYS}
        postgres.empty(there["KINFOLD_DATABASE_URL"])
    return found(make_house(**there), group_name="The Smiths", name="Anna", email="anna@example.org")


def at_once(family: Family, *verbs: Callable[[Session], object]) -> list[KinfoldError | None]:
    """Each in a transaction of its own, all begun before any of them is kept; what each was told."""
    together = threading.Barrier(len(verbs))

    def run(verb: Callable[[Session], object]) -> KinfoldError | None:
        together.wait(10)
        try:
            with family.house.database.writing() as session:
                verb(session)
        except KinfoldError as error:
            return error
        return None

    with ThreadPoolExecutor(len(verbs)) as threads:
        return list(threads.map(run, verbs))


def owners(family: Family) -> int:
    with family.house.database.reading() as session:
        return session.scalars(
            sa.select(sa.func.count()).where(Account.group_id == family.owner.group, Account.role == Role.OWNER)
        ).one()


def leaving(family: Family, who: Member) -> Callable[[Session], object]:
    return lambda session: groups.leave(session, who, at=family.house.clock.now())


def stepping_down(family: Family, who: Member) -> Callable[[Session], object]:
    return lambda session: groups.set_role(session, who, member=who.id, role=Role.EDITOR, at=family.house.clock.now())


@pytest.mark.parametrize("first", [leaving, stepping_down])
@pytest.mark.parametrize("second", [leaving, stepping_down])
def test_of_two_owners_who_go_at_once_one_stays(
    family: Family, first: Callable[..., Callable[[Session], object]], second: Callable[..., Callable[[Session], object]]
) -> None:
    for number in range(4):
        olaf = family.join(f"Olaf{number}", Role.OWNER)
        told = at_once(family, first(family, family.owner), second(family, olaf.viewer))
        assert owners(family) == 1
        assert [error for error in told if error] and all(
            isinstance(error, Refused) and error.reason == "last-owner" for error in told if error
        )
        if told[0] is None:  # whoever stayed is the owner of the next round
            family.owner = olaf.viewer


def test_whoever_goes_second_waits_for_the_first_and_then_knows(family: Family) -> None:
    """Not by chance: the first one's transaction is open all the while, and the second would not see it."""
    olaf, at = family.join("Olaf", Role.OWNER), family.house.clock.now()
    told: list[KinfoldError] = []

    def leave() -> None:
        try:
            with family.house.database.writing() as session:
                groups.leave(session, olaf.viewer, at=at)
        except KinfoldError as error:
            told.append(error)

    second = threading.Thread(target=leave)
    with family.house.database.writing() as session:
        groups.leave(session, family.owner, at=at)
        second.start()
        second.join(0.5)
        assert second.is_alive(), "it waits"
    second.join(20)
    assert [error.reason for error in told if isinstance(error, Refused)] == ["last-owner"]
    assert owners(family) == 1


def test_an_invitation_that_eight_use_at_once_makes_one_member(family: Family) -> None:
    house, at = family.house, family.house.clock.now()
    with house.database.writing() as session:
        _, token = groups.invite(session, family.owner, role=Role.OWNER, name="", tokens=house.tokens, at=at)

    def joining(number: int) -> Callable[[Session], object]:
        def join(session: Session) -> None:
            invitation = groups.find_invitation(session, token=token, tokens=house.tokens, at=at)
            name = f"Guest {number}"
            groups.join(
                session,
                invitation=invitation,
                name=name,
                email=f"guest{number}@example.org",
                password_hash=house.passwords.hash("a boat and two gulls"),
                at=at,
            )

        return join

    told = at_once(family, *(joining(number) for number in range(8)))
    assert [isinstance(error, NotVisible) for error in told if error] == [True] * 7
    with house.database.reading() as session:
        assert session.scalars(sa.select(sa.func.count()).select_from(Account)).one() == 2
        assert session.scalars(sa.select(sa.func.count()).select_from(Invitation)).one() == 0


def test_who_is_no_owner_any_more_manages_nobody_though_the_request_began_before(family: Family) -> None:
    house, at = family.house, family.house.clock.now()
    olaf, ben = family.join("Olaf", Role.OWNER), family.join("Ben")
    was = olaf.viewer
    with house.database.writing() as session:
        groups.set_role(session, was, member=was.id, role=Role.EDITOR, at=at)
    verbs: list[Callable[[Session], object]] = [
        lambda session: groups.invite(session, was, role=Role.OWNER, name="", tokens=house.tokens, at=at),
        lambda session: groups.set_role(session, was, member=was.id, role=Role.OWNER, at=at),
        lambda session: groups.remove_member(session, was, member=ben.viewer.id, at=at),
    ]
    for verb in verbs:
        with pytest.raises(NotVisible), house.database.writing() as session:
            verb(session)
    assert owners(family) == 1


def test_removing_a_member_takes_sign_ins_and_invitations_along_and_leaves_no_name(family: Family) -> None:
    house, at = family.house, family.house.clock.now()
    olaf = family.join("Olaf", Role.OWNER)
    with house.database.writing() as session:
        groups.invite(session, olaf.viewer, role=Role.EDITOR, name="", tokens=house.tokens, at=at)
        groups.set_role(session, olaf.viewer, member=olaf.viewer.id, role=Role.EDITOR, at=at)
    with house.database.writing() as session:
        groups.remove_member(session, family.owner, member=olaf.viewer.id, at=at)
    with house.database.reading() as session:
        assert session.scalars(sa.select(SignedIn).where(SignedIn.member_id == olaf.viewer.id)).all() == []
        assert session.scalars(sa.select(Invitation)).all() == []
        assert session.scalars(sa.select(Deletion.subject).where(Deletion.kind == DeletionKind.MEMBER)).all() == [olaf.viewer.id]
        noted = session.scalars(sa.select(Activity).where(Activity.kind == ActivityKind.MEMBER_REMOVED)).one()
        assert (noted.member_id, noted.other_id) == (family.owner.id, None)


def test_the_second_tap_makes_no_second_change(family: Family) -> None:
    ben, at = family.join("Ben"), family.house.clock.now()
    for _ in range(2):
        with family.house.database.writing() as session:
            groups.set_role(session, family.owner, member=ben.viewer.id, role=Role.OWNER, at=at)
    with family.house.database.reading() as session:
        made = session.scalars(sa.select(Activity).where(Activity.kind == ActivityKind.OWNER_MADE)).all()
    assert len(made) == 1 and made[0].other_id == ben.viewer.id


def test_of_two_members_whose_photos_would_take_the_same_room_one_finds_it(family: Family) -> None:
    family.album("Brittany 2026")
    album, house = family.albums["Brittany 2026"], family.house

    def adding(who: Member, name: str) -> Callable[[Session], object]:
        arrived = Arrived(name, name.encode(), f"albums/{album.id}/{name}", SealedKey(b"key", 600))

        def add(session: Session) -> None:
            ingest.take_room(session, who, album=album, size=600, quota=1000)
            time.sleep(0.1)  # in which the other looks too, if it may
            ingest.receive(session, who, album=album, arrived=arrived, jobs=house.jobs, at=house.clock.now())

        return add

    told = at_once(family, adding(family.owner, "a"), adding(family.join("Ben").viewer, "b"))
    assert sorted(type(error) for error in told if error) == [TooLarge]
