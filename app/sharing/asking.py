"""What people ask of members, and what members answer: more time for an album, and whether a new phone is theirs."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, contains_eager

from app.activity import service as activity
from app.activity.models import Activity, ActivityKind
from app.albums.models import Album
from app.albums.service import open_album
from app.errors import LinkEnded, NotVisible, TooOften
from app.jobs.port import Jobs
from app.security.sealing import MasterKey
from app.security.tokens import Issued, new_cookie
from app.security.viewer import Device, Member
from app.sharing import rules, service
from app.sharing.models import EndedBy, Grant, Guest, Link, LinkKind, NewPhone
from app.sharing.rules import GrantState, MoreTime


@dataclass(frozen=True)
class Ask:
    """Somebody asks for more time for an album."""

    grant: str
    guest: str
    name: str
    title: str


# --- more time -------------------------------------------------------------------------------------------------------


def ask_for_more_time(session: Session, viewer: Device, *, album: str, jobs: Jobs, at: datetime) -> None:
    """The people of this device, whose time for an album has run out, ask for more. A second tap, or one after the answer, asks nothing.

    Raises `NotVisible` for an album that a member has ended, or that was never theirs.
    """
    rows = session.execute(
        sa.select(Grant, Guest.group_id)
        .join(Guest, Guest.id == Grant.guest_id)
        .where(Grant.guest_id.in_(viewer.guests), Grant.album_id == album)
        .with_for_update(of=Grant)
    ).all()
    states = [(service.state_of_grant(grant, at), grant.ended_at or grant.expires_at) for grant, _ in rows]
    match rules.sight(states):
        case rules.Sight.NOTHING:
            raise NotVisible
        case rules.Sight.ALBUMS:
            return  # it was opened again meanwhile
        case rules.Sight.CLOSED:
            over = [row for row, (state, _) in zip(rows, states, strict=True) if state is GrantState.EXPIRED]
    grant, group = max(over, key=lambda row: row[0].ended_at or row[0].expires_at)
    if rules.more_time(asked_at=grant.asked_at, declined_at=grant.declined_at) is MoreTime.MAY_ASK:
        grant.asked_at = at
        activity.record_urgent(
            session, ActivityKind.MORE_TIME_ASKED, group=group, guest=grant.guest_id, album=album, jobs=jobs, at=at
        )


def open_asks(session: Session, viewer: Member, *, master: MasterKey, guest: str | None = None) -> list[Ask]:
    """Who of the member's group, or which one of them, asks for more time and has no answer yet; the first to ask first."""
    rows = session.execute(
        sa.select(Grant, Guest.name, Album)
        .join(Guest, Guest.id == Grant.guest_id)
        .join(Album, Album.id == Grant.album_id)
        .where(
            Guest.group_id == viewer.group,
            sa.true() if guest is None else Guest.id == guest,
            Grant.asked_at.is_not(None),
            Grant.declined_at.is_(None),
            Grant.ended_by.is_distinct_from(EndedBy.HAND),
        )
        .order_by(Grant.asked_at, Grant.id)
    )
    return [Ask(grant.id, grant.guest_id, name, open_album(album, master=master).title) for grant, name, album in rows]


def refuse_more_time(session: Session, viewer: Member, *, grant: Grant, never: bool, at: datetime) -> None:
    """No; and with `never` this guest can't ask for this album again, also when they get more time one day."""
    if rules.more_time(asked_at=grant.asked_at, declined_at=grant.declined_at) is not MoreTime.ASKED:
        return  # somebody has answered already
    grant.declined_at = at
    if never:
        grant.asked_at = None
    activity.record(session, ActivityKind.MORE_TIME_REFUSED, by=viewer, at=at, guest=grant.guest_id, album=grant.album_id)


# --- a new phone -----------------------------------------------------------------------------------------------------


def ask_to_come_in(
    session: Session,
    *,
    link: Link,
    cookie: bytes | None,
    label: str,
    jobs: Jobs,
    at: datetime,
    opened_by: bytes,
    asked_from: str,
) -> Issued:
    """A browser begins to wait before a link, and members are told, now and then. Returns the secret by which it is known.

    `cookie` is what it was known by so far: it waits at one door at a time, and a second tap takes the place of the first. Raises
    `TooOften` when too many have begun to wait lately, there or from where it is.
    """
    service.lock_guest(session, guest=link.guest_id)
    before = sa.or_(
        sa.and_(NewPhone.link_id == link.id, NewPhone.opened_by == opened_by), NewPhone.cookie_hash == (cookie or b"")
    )
    session.execute(sa.delete(NewPhone).where(before, NewPhone.answered_at.is_(None)))
    waiting = session.scalars(
        sa.select(NewPhone).join(NewPhone.link).where(Link.guest_id == link.guest_id, NewPhone.expires_at > at)
    ).all()
    taken = {phone.number for phone in waiting}
    at_this_door = [phone for phone in waiting if phone.link_id == link.id and phone.answered_at is None]
    _make_room(session, at_this_door, asked_from=asked_from, at=at)
    issued = new_cookie()
    session.add(
        NewPhone(
            link_id=link.id,
            cookie_hash=issued.digest,
            opened_by=opened_by,
            asked_from=asked_from,
            number=secrets.choice([number for number in rules.NUMBERS if number not in taken]),
            label=label,
            asked_at=at,
            expires_at=at + rules.NEW_PHONE_WAITS,
        )
    )
    lately = sa.select(Activity.at).where(
        Activity.group_id == link.guest.group_id,
        Activity.guest_id == link.guest_id,
        Activity.kind == ActivityKind.NEW_PHONE_ASKS,
        Activity.at > at - rules.TOLD_WITHIN,
    )
    if rules.told_again(session.scalars(lately).all(), at=at):
        activity.record_urgent(
            session, ActivityKind.NEW_PHONE_ASKS, group=link.guest.group_id, guest=link.guest_id, jobs=jobs, at=at
        )
    session.flush()
    return issued


def _make_room(session: Session, waiting: Sequence[NewPhone], *, asked_from: str, at: datetime) -> None:
    """When all places before a link are taken, there or from one network, who has waited longest gives way. Raises `TooOften` as long as
    that is not long."""
    from_there = [phone for phone in waiting if phone.asked_from == asked_from]
    crowd = from_there if len(from_there) >= rules.NEW_PHONES_AT_ONCE else waiting
    if crowd is waiting and len(waiting) < rules.NEW_PHONES_IN_ALL:
        return
    longest = min(crowd, key=lambda phone: phone.asked_at)
    if at - longest.asked_at < rules.GIVES_WAY:
        raise TooOften(longest.asked_at + rules.GIVES_WAY)
    session.execute(sa.delete(NewPhone).where(NewPhone.id == longest.id, NewPhone.answered_at.is_(None)))


def find_waiting(session: Session, *, cookie: bytes, at: datetime) -> NewPhone:
    """The browser that waits under this secret, with its link. Raises `LinkEnded` when it waits no more, whyever: it learns no names."""
    found = session.scalars(
        sa.select(NewPhone)
        .join(NewPhone.link)
        .where(NewPhone.cookie_hash == cookie, NewPhone.expires_at > at, *service.live_link(at))
        .options(contains_eager(NewPhone.link).joinedload(Link.guest))
    ).one_or_none()
    if found is None:
        raise LinkEnded
    return found


def come_in(
    session: Session, *, phone: NewPhone, cookie: bytes | None, label: str, at: datetime, opened_by: bytes
) -> Issued | None:
    """The browser that waits is let in if it has got a yes, which is good for once; a card is then spent. None without one.

    Of two tabs that come in at once, the second finds that nobody waits any more, and is the same device (see `service.enrol`).
    """
    if not phone.let_in:
        return None
    link = phone.link
    taken = session.execute(sa.delete(NewPhone).where(NewPhone.id == phone.id).returning(NewPhone.id)).one_or_none()
    if taken is None:
        raise LinkEnded
    issued = service.enrol(session, link=link, cookie=cookie, label=label, opened_by=opened_by, asked=True, at=at)
    if link.kind is LinkKind.POSTCARD:
        service.replace_links(session, Link.id == link.id, at=at)
    return issued


def wait_no_more(session: Session, *, cookie: bytes) -> None:
    """The browser has come in by another way."""
    session.execute(sa.delete(NewPhone).where(NewPhone.cookie_hash == cookie))


def phones_at_the_door(session: Session, viewer: Member, *, at: datetime, guest: str | None = None) -> Sequence[NewPhone]:
    """The browsers that stand before a link of the member's group, or of one guest: those that wait for a yes, and those that have got it
    and have not come in yet (`let_in`). With their link and its guest, the first to ask first."""
    return session.scalars(
        sa.select(NewPhone)
        .join(NewPhone.link)
        .join(Link.guest)
        .where(
            Guest.group_id == viewer.group,
            sa.true() if guest is None else Guest.id == guest,
            NewPhone.expires_at > at,
            *service.live_link(at),
        )
        .order_by(NewPhone.asked_at, NewPhone.id)
        .options(contains_eager(NewPhone.link).contains_eager(Link.guest))
    ).all()


def let_in(session: Session, viewer: Member, *, phone: str, at: datetime) -> str:
    """Yes, it is theirs. Returns the guest. Raises `NotVisible` for a browser that does not wait, or not before this group."""
    found = _get_phone(session, viewer, phone=phone, at=at)
    if found.answered_at is None:
        found.answered_at, found.answered_by, found.let_in = at, viewer.id, True
    return found.link.guest_id


def take_back_yes(session: Session, *, member: str) -> None:
    """Whom this member has let in and who has not come in since waits anew: for a caller who takes the member out."""
    theirs = sa.update(NewPhone).where(NewPhone.answered_by == member)
    session.execute(theirs.values(answered_at=None, answered_by=None, let_in=None))


def refuse_phone(session: Session, viewer: Member, *, phone: str, at: datetime) -> str:
    """No: whoever it is has the address, so its link lets nobody in any more. The devices that it let in stay: each is listed, and can be
    removed. Returns the guest; raises like `let_in`."""
    found = _get_phone(session, viewer, phone=phone, at=at)
    guest = found.link.guest_id
    service.replace_links(session, Link.id == found.link_id, at=at)
    activity.record(session, ActivityKind.NEW_PHONE_REFUSED, by=viewer, at=at, guest=guest)
    return guest


def _get_phone(session: Session, viewer: Member, *, phone: str, at: datetime) -> NewPhone:
    found = session.scalars(
        sa.select(NewPhone)
        .join(NewPhone.link)
        .join(Link.guest)
        .where(NewPhone.id == phone, Guest.group_id == viewer.group, NewPhone.expires_at > at, *service.live_link(at))
        .options(contains_eager(NewPhone.link))
        .with_for_update(of=NewPhone)
    ).one_or_none()
    if found is None:
        raise NotVisible
    return found
