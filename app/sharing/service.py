"""Sharing: people, which albums they may see until when, their links and their browsers.

Two kinds of callers: members, who load what belongs to their group, and guests' devices, whose door is `get_shared_album`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session, contains_eager, joinedload

from app.accounts import service as accounts
from app.accounts.models import Account
from app.activity import service as activity
from app.activity.models import ActivityKind, DeletionKind
from app.albums.rules import SECOND_TAP
from app.albums.service import OpenAlbum, open_album
from app.errors import AlbumClosed, LinkEnded, NotVisible, Refused
from app.evidence import check_no_evidence, is_evidence
from app.groups import service as groups
from app.media import service as media
from app.media.models import Incoming
from app.security.sealing import MasterKey
from app.security.tokens import Issued, Purpose, Tokens, new_cookie
from app.security.viewer import Device, Member, Nobody, Viewer
from app.sharing import rules
from app.sharing.models import DeviceRow, EndedBy, Grant, Guest, Link, LinkKind, NewPhone
from app.sharing.rules import GrantState, LinkState, Sight
from app.sharing.words import draw

OfGuest = TypeVar("OfGuest", Grant, Link, DeviceRow)

PEOPLE = 50
"""People on one page."""

_ORDER = (Guest.folded, Guest.id)


@dataclass(frozen=True)
class GuestPage:
    """Some of the people of a group; `more` says whether there are others after them."""

    guests: Sequence[Guest]
    more: bool


@dataclass(frozen=True)
class Shared:
    """A way into an album: whose, until when, and the link to send (told this once)."""

    guest: Guest
    grant: Grant
    link: Link
    token: str


@dataclass(frozen=True)
class MailLink:
    """A link for a mail: the id of its row, its token (told this once), and until when it is good."""

    id: str
    token: str
    until: datetime


@dataclass(frozen=True)
class SharedAlbum:
    """An album as a guest may see it: until when, whether it may be saved, and who shared it. `days_left` only when that is soon.
    `visited_at` is when the people of this device were here last, and `new_since` the end of the visit before; both are empty at first.
    `grants` are those of this device's people that are good now."""

    album: OpenAlbum
    until: datetime
    days_left: int | None
    may_save: bool
    sender: str
    visited_at: datetime | None
    new_since: datetime | None
    grants: Sequence[Grant]

    @property
    def guests(self) -> list[str]:
        """The people of this device who may see it."""
        return [grant.guest_id for grant in self.grants]

    @property
    def adding(self) -> list[str]:
        """Those of them who may add photos."""
        return [grant.guest_id for grant in self.grants if grant.may_add]


@dataclass(frozen=True)
class Sharing:
    """How much a group shares just now: what the red button would end."""

    people: int
    links: int
    devices: int
    invitations: int


@dataclass(frozen=True)
class Made:
    """What a member has brought in that is still good: people who see something now, and links that still let phones in or whose phones
    are still let in."""

    guests: Sequence[Guest]
    links: Sequence[Link]


# --- what members do -------------------------------------------------------------------------------------------------


def guest_page(session: Session, viewer: Member, *, wanted: str = "", after: str | None = None, size: int = PEOPLE) -> GuestPage:
    """The people of the member's group by name, after one of them or from the beginning; those with `wanted` in their name. One
    statement, the same cost at any depth. A cursor that is nobody of this group (they were deleted meanwhile) gives an empty page."""
    query = _called(viewer, wanted).order_by(*_ORDER).limit(size + 1)
    if after is not None:
        here = sa.select(*_ORDER).where(Guest.id == after, Guest.group_id == viewer.group).scalar_subquery()
        query = query.where(sa.tuple_(*_ORDER) > here)
    return _page(session, query, size)


def lately_shared_with(session: Session, viewer: Member, *, wanted: str = "", size: int) -> GuestPage:
    """The people of the member's group, or those with `wanted` in their name, whom somebody has shared with last."""
    return _page(session, _called(viewer, wanted).order_by(Guest.shared_at.desc(), Guest.id.desc()).limit(size + 1), size)


def get_guest(session: Session, viewer: Member, *, guest: str) -> Guest:
    """A guest of the member's group. Raises `NotVisible` for any other."""
    found = session.scalars(sa.select(Guest).where(Guest.id == guest, Guest.group_id == viewer.group)).one_or_none()
    if found is None:
        raise NotVisible
    return found


def add_guest(
    session: Session, viewer: Member, *, name: str, email: str | None = None, language: str | None = None, at: datetime
) -> Guest:
    """A new person, who may see nothing yet."""
    guest = Guest(
        group_id=viewer.group,
        name=name,
        email=email,
        language=language,
        created_at=at,
        created_by=viewer.id,
        shared_at=at,
    )
    session.add(guest)
    session.flush()
    return guest


def same_name(session: Session, viewer: Member, *, name: str) -> Guest | None:
    """Somebody of the group who is called the same, to ask whether it is them. Of two taps the second sees whom the first added."""
    accounts.one_tap_at_a_time(session, viewer)
    same = sa.select(Guest).where(Guest.group_id == viewer.group, Guest.folded == rules.folded(name))
    return session.scalars(same.order_by(Guest.shared_at.desc(), Guest.id).limit(1)).one_or_none()


def just_shared(session: Session, viewer: Member, *, album: str, guest: str, at: datetime) -> bool:
    """Whether this member has shared this album with this person a moment ago: then they tapped twice."""
    lately = sa.select(Grant.id).where(
        Grant.guest_id == guest, Grant.album_id == album, Grant.created_by == viewer.id, Grant.created_at > at - SECOND_TAP
    )
    return session.scalars(lately).one_or_none() is not None


def share(
    session: Session,
    viewer: Member,
    *,
    album: OpenAlbum,
    guest: Guest,
    until: datetime,
    may_save: bool,
    may_add: bool = False,
    phones: int,
    tokens: Tokens,
    at: datetime,
) -> Shared:
    """The one-tap way: the guest may see the album, and here is a new link for them, which lets so many phones in at once."""
    granted = give(session, viewer, album=album, guest=guest, until=until, may_save=may_save, may_add=may_add, at=at)
    link, token = _new_link(session, viewer, guest=guest, until=until, phones=phones, tokens=tokens, at=at)
    return Shared(guest, granted, link, token)


def give(
    session: Session,
    viewer: Member,
    *,
    album: OpenAlbum,
    guest: Guest,
    until: datetime,
    may_save: bool,
    may_add: bool = False,
    at: datetime,
) -> Grant:
    """The guest may see the album until then: a new grant, or another date for the one there is."""
    lock_guest(session, guest=guest.id)
    grant = session.scalars(sa.select(Grant).where(Grant.guest_id == guest.id, Grant.album_id == album.id)).one_or_none()
    if grant is None:
        grant = Grant(guest_id=guest.id, album_id=album.id, created_at=at)
        session.add(grant)
    grant.created_by = viewer.id
    _begin_anew(grant, until=until)
    set_saving(session, grant=grant, may_save=may_save, at=at)
    set_adding(session, grant=grant, may_add=may_add, at=at)
    grant.ended_at = grant.ended_by = None
    guest.shared_at = at
    activity.record(session, ActivityKind.SHARED, by=viewer, at=at, guest=guest.id, album=album.id)
    session.flush()
    return grant


def make_link(
    session: Session, viewer: Member, *, guest: Guest, until: datetime, phones: int, tokens: Tokens, at: datetime
) -> tuple[Link, str]:
    """A new link; the ones before let nobody in any more, and the devices that they let in stay."""
    made = _new_link(session, viewer, guest=guest, until=until, phones=phones, tokens=tokens, at=at)
    activity.record(session, ActivityKind.LINK_MADE, by=viewer, at=at, guest=guest.id)
    return made


def make_card(
    session: Session, viewer: Member, *, guest: Guest, until: datetime, tokens: Tokens, at: datetime
) -> tuple[Link, str]:
    """A card to send by post, and the words on it, told this once. It lets one phone in, after a member's yes; the card before is good
    for nothing any more."""
    words = draw()
    digest, *_ = tokens.word_digests(words)
    link = _add_link(session, viewer, guest=guest, kind=LinkKind.POSTCARD, digest=digest, places=0, until=until, at=at)
    activity.record(session, ActivityKind.LINK_MADE, by=viewer, at=at, guest=guest.id)
    return link, words


def _new_link(
    session: Session, viewer: Member, *, guest: Guest, until: datetime, phones: int, tokens: Tokens, at: datetime
) -> tuple[Link, str]:
    issued = tokens.issue(Purpose.LINK)
    link = _add_link(session, viewer, guest=guest, kind=LinkKind.SENT, digest=issued.digest, places=phones, until=until, at=at)
    return link, issued.value


def _add_link(
    session: Session,
    viewer: Member,
    *,
    guest: Guest,
    kind: LinkKind,
    digest: bytes,
    places: int,
    until: datetime,
    at: datetime,
) -> Link:
    """A link in the place of those of its kind that there are."""
    lock_guest(session, guest=guest.id)
    replace_links(session, Link.guest_id == guest.id, Link.kind == kind, at=at)
    link = Link(
        guest_id=guest.id,
        kind=kind,
        digest=digest,
        places=places,
        used=0,
        created_at=at,
        created_by=viewer.id,
        expires_at=until,
    )
    session.add(link)
    session.flush()
    return link


def replace_links(session: Session, *which: sa.ColumnElement[bool], at: datetime) -> None:
    """These links let nobody in any more, and nobody waits before them; the devices that they let in stay."""
    end_waiting(session, *which)
    session.execute(sa.update(Link).where(*which, Link.revoked_at.is_(None), Link.replaced_at.is_(None)).values(replaced_at=at))


def end_waiting(session: Session, *which: sa.ColumnElement[bool]) -> None:
    """Nobody waits before these links any more; also who has got a yes and was not here since is not let in."""
    session.execute(sa.delete(NewPhone).where(NewPhone.link_id.in_(sa.select(Link.id).where(*which))))


def get_grant(session: Session, viewer: Member, *, grant: str) -> Grant:
    """A grant of the member's group. Raises `NotVisible` for any other."""
    return _of_group(session, viewer, Grant, grant)


def extend(session: Session, viewer: Member, *, grant: Grant, until: datetime, may_save: bool | None, at: datetime) -> None:
    """More time, also after the date has passed. Raises `Refused` for a grant that was ended by hand: that takes sharing again."""
    if grant.ended_by is EndedBy.HAND:
        raise Refused("ended-by-hand")
    _begin_anew(grant, until=until)
    if may_save is not None:
        set_saving(session, grant=grant, may_save=may_save, at=at)
    activity.record(session, ActivityKind.SHARING_EXTENDED, by=viewer, at=at, guest=grant.guest_id, album=grant.album_id)


def _begin_anew(grant: Grant, *, until: datetime) -> None:
    """Another end. Whoever has asked for it may ask again when that has come, unless a member does not want to be asked."""
    grant.expires_at = until
    grant.ended_at = grant.ended_by = grant.reminded_at = None
    if grant.asked_at is not None:
        grant.asked_at = grant.declined_at = None


def set_saving(session: Session, *, grant: Grant, may_save: bool, at: datetime) -> None:
    """Allow or forbid saving; it holds from the next request on, also for addresses that were copied."""
    if grant.may_save and not may_save:
        activity.record_deletion(session, DeletionKind.SAVING, grant.id, at=at)
    grant.may_save = may_save


def set_adding(session: Session, *, grant: Grant, may_add: bool, at: datetime) -> None:
    """Allow or forbid adding photos; what was added stays."""
    if grant.may_add and not may_add:
        activity.record_deletion(session, DeletionKind.ADDING, grant.id, at=at)
    grant.may_add = may_add


def end_grant(session: Session, viewer: Member, *, grant: Grant, at: datetime) -> None:
    """The guest no longer sees this album."""
    _end_grants(session, Grant.id == grant.id, at=at)
    activity.record(session, ActivityKind.SHARING_ENDED, by=viewer, at=at, guest=grant.guest_id, album=grant.album_id)


def revoke_link(session: Session, viewer: Member, *, link: str, at: datetime) -> Link:
    """End a link and the devices that it let in."""
    found = _of_group(session, viewer, Link, link)
    end_waiting(session, Link.id == found.id)
    session.execute(sa.update(Link).where(Link.id == found.id, Link.revoked_at.is_(None)).values(revoked_at=at))
    _end_devices(session, DeviceRow.link_id == found.id, at=at)
    activity.record(session, ActivityKind.SHARING_ENDED, by=viewer, at=at, guest=found.guest_id)
    return found


def one_more(session: Session, viewer: Member, *, link: str, at: datetime) -> Link:
    """Let one more phone in by this link. Raises `Refused` when it lets nobody in any more."""
    found = _of_group(session, viewer, Link, link)
    if found.kind is not LinkKind.SENT or state_of_link(found, at) not in (LinkState.LIVE, LinkState.FULL):
        raise Refused("link-ended")
    found.places = max(found.places, found.used) + 1
    return found


def remove_device(session: Session, viewer: Member, *, device: str, at: datetime) -> DeviceRow:
    """End one browser, and close the places that its link has left, or it would come straight back; `one_more` opens one again. Raises
    `NotVisible` for a browser of another group."""
    found = _of_group(session, viewer, DeviceRow, device)
    _end_devices(session, DeviceRow.id == found.id, at=at)
    session.execute(sa.update(Link).where(Link.id == found.link_id).values(places=Link.used))
    activity.record(session, ActivityKind.SHARING_ENDED, by=viewer, at=at, guest=found.guest_id)
    return found


def stop_guest(session: Session, viewer: Member, *, guest: Guest, at: datetime) -> None:
    """End everything that a person sees, has and holds."""
    _stop(session, sa.select(Guest.id).where(Guest.id == guest.id), at=at)
    activity.record(session, ActivityKind.SHARING_ENDED, by=viewer, at=at, guest=guest.id)


def stop_all(session: Session, viewer: Member, *, at: datetime) -> None:
    """The red button: end everything that the group shares, every invitation to it, and every file that is still arriving."""
    groups.end_invitations(session, viewer)
    media.end_incoming(session, Incoming.group_id == viewer.group, Incoming.photo_id.is_(None), at=at)
    _stop(session, sa.select(Guest.id).where(Guest.group_id == viewer.group), at=at)
    activity.record(session, ActivityKind.ALL_SHARING_STOPPED, by=viewer, at=at)


def made_by(session: Session, viewer: Member, *, member: str, at: datetime) -> Made:
    """What a member of the group has brought in, and what would outlast their account."""
    seeing = sa.select(Grant.guest_id).where(*live_grant(at))
    guests = sa.select(Guest).where(Guest.group_id == viewer.group, Guest.created_by == member, Guest.id.in_(seeing))
    let_in = sa.exists().where(DeviceRow.link_id == Link.id, *live_device(at))  # phones outlast the time of their link
    good = sa.or_(sa.and_(*live_link(at)), sa.and_(Link.revoked_at.is_(None), let_in))
    links = (
        sa.select(Link)
        .join(Link.guest)
        .where(Guest.group_id == viewer.group, Link.created_by == member, good)
        .options(contains_eager(Link.guest))
    )
    return Made(
        session.scalars(guests.order_by(*_ORDER)).all(),
        session.scalars(links.order_by(*_ORDER, Link.created_at.desc())).all(),
    )


def end_made(
    session: Session, viewer: Member, *, made: Made, guests: Collection[str], links: Collection[str], at: datetime
) -> None:
    """End some of what a member has brought in: everything of these people, and these links with the phones that they let in."""
    for guest in made.guests:
        if guest.id in guests:
            stop_guest(session, viewer, guest=guest, at=at)
    for link in made.links:
        if link.id in links and link.guest_id not in guests:
            revoke_link(session, viewer, link=link.id, at=at)


def change_guest(guest: Guest, *, name: str, email: str | None, language: str | None) -> None:
    """Another name, address or language for the same person. At another address they have not said yet that they want no mail."""
    guest.name, guest.language = name, language
    if guest.email != email:
        guest.email, guest.mail_ended_at = email, None


def end_mail(session: Session, *, guest: str, at: datetime, why: ActivityKind = ActivityKind.MAIL_ENDED) -> None:
    """A guest wants no more mail, or none can reach them. Said twice, it is the same. Raises `NotVisible` when they were deleted."""
    found = session.get(Guest, guest)
    if found is None:
        raise NotVisible
    if found.mail_ended_at is None:
        found.mail_ended_at = at
        activity.record_guest(session, why, group=found.group_id, guest=found.id, at=at)
        activity.record_deletion(session, DeletionKind.MAIL, found.id, at=at)


def mail_again(guest: Guest) -> None:
    """They have asked a member to be told by mail again, or their address works again."""
    guest.mail_ended_at = None


def make_mail_link(session: Session, *, guest: Guest, tokens: Tokens, at: datetime) -> MailLink | None:
    """A link for a mail that we send by ourselves. It has no places, so it lets nobody new in, and it is never good for longer than
    what the guest may see. None when they see nothing now."""
    session.execute(
        sa.delete(Link).where(Link.guest_id == guest.id, Link.kind == LinkKind.MAIL, Link.expires_at <= at - rules.MAIL_LINK_KEPT)
    )
    last = sa.func.max(Grant.expires_at, type_=Grant.expires_at.type)
    seen_until = session.scalar(sa.select(last).where(Grant.guest_id == guest.id, *live_grant(at)))
    if seen_until is None:
        return None
    issued, until = tokens.issue(Purpose.LINK), min(seen_until, at + rules.MAIL_LINK_LASTS)
    link = Link(guest_id=guest.id, kind=LinkKind.MAIL, digest=issued.digest, places=0, used=0, created_at=at, expires_at=until)
    session.add(link)
    session.flush()
    return MailLink(link.id, issued.value, until)


def drop_mail_link(session: Session, *, link: str) -> None:
    """The mail was never sent."""
    session.execute(sa.delete(Link).where(Link.id == link, Link.kind == LinkKind.MAIL))


def delete_guest(session: Session, viewer: Member, *, guest: Guest, at: datetime) -> None:
    """Forget a person: what they see and said, their links and devices go with them. Raises `Refused` for one who added a photo that
    is held."""
    check_no_evidence(session, guest_id=guest.id)
    activity.record(session, ActivityKind.GUEST_DELETED, by=viewer, at=at)
    activity.record_deletion(session, DeletionKind.GUEST, guest.id, at=at)
    media.drop_voices(session, guests=[guest.id], at=at)
    session.execute(sa.delete(Guest).where(Guest.id == guest.id))


def list_grants(session: Session, *, guest: Guest, master: MasterKey) -> list[tuple[Grant, OpenAlbum]]:
    """Which albums a person may see, or could see until lately."""
    grants = session.scalars(
        sa.select(Grant)
        .where(Grant.guest_id == guest.id)
        .options(joinedload(Grant.album))
        .order_by(Grant.created_at.desc(), Grant.id)
    )
    return [(grant, open_album(grant.album, master=master)) for grant in grants]


def list_links(session: Session, *, guest: Guest, at: datetime) -> Sequence[Link]:
    """A person's links that a member has not ended, the newest first; of those in mails the ones that are good."""
    own = sa.or_(Link.kind != LinkKind.MAIL, sa.and_(*live_link(at)))
    return session.scalars(
        sa.select(Link).where(Link.guest_id == guest.id, Link.revoked_at.is_(None), own).order_by(Link.created_at.desc(), Link.id)
    ).all()


def list_devices(session: Session, *, guest: Guest, at: datetime) -> Sequence[DeviceRow]:
    """A person's browsers that are still good."""
    return session.scalars(
        sa.select(DeviceRow).where(DeviceRow.guest_id == guest.id, *live_device(at)).order_by(DeviceRow.created_at, DeviceRow.id)
    ).all()


def who_sees(session: Session, *, album: str, at: datetime, names: int) -> tuple[Sequence[Guest], int]:
    """A few of the people who may see an album now, those who may for longest, by name; and how many there are in all."""
    live = Grant.album_id == album, *live_grant(at)
    order = (
        Grant.ended_at.desc(),
        Grant.expires_at.desc(),
    )  # the index, backwards: PostgreSQL does not see that the first is always empty
    longest = sa.select(Grant).where(*live).order_by(*order).limit(names).subquery()
    number = sa.select(sa.func.count()).select_from(Grant).where(*live).scalar_subquery()
    rows = session.execute(sa.select(Guest, number).join(longest, longest.c.guest_id == Guest.id).order_by(*_ORDER)).all()
    return [row[0] for row in rows], rows[0][1] if rows else 0


def people_by_album(session: Session, *, albums: Sequence[str], at: datetime) -> dict[str, int]:
    """How many people may see each album now."""
    rows = session.execute(
        sa.select(Grant.album_id, sa.func.count()).where(Grant.album_id.in_(albums), *live_grant(at)).group_by(Grant.album_id)
    )
    return dict(rows.all())


def what_people_see(session: Session, *, guests: Sequence[str], at: datetime) -> dict[str, tuple[int, datetime]]:
    """For each person who sees anything: how many albums, and until when at the longest."""
    rows = session.execute(
        sa.select(Grant.guest_id, sa.func.count(), sa.func.max(Grant.expires_at, type_=Grant.expires_at.type))
        .where(Grant.guest_id.in_(guests), *live_grant(at))
        .group_by(Grant.guest_id)
    )
    return {guest: (count, until) for guest, count, until in rows}


def last_seen(session: Session, *, guests: Sequence[str]) -> dict[str, datetime]:
    """When each person was last here."""
    rows = session.execute(
        sa.select(DeviceRow.guest_id, sa.func.max(DeviceRow.last_seen_at, type_=DeviceRow.last_seen_at.type))
        .where(DeviceRow.guest_id.in_(guests))
        .group_by(DeviceRow.guest_id)
    )
    return dict(rows.all())


def how_much_is_shared(session: Session, viewer: Member, *, at: datetime) -> Sharing:
    """What the red button would end."""
    guests = sa.select(Guest.id).where(Guest.group_id == viewer.group)
    return Sharing(
        _count(session, sa.select(Grant.guest_id).where(Grant.guest_id.in_(guests), *live_grant(at)).distinct()),
        _count(
            session,
            sa.select(Link.id).where(Link.guest_id.in_(guests), *live_link(at)),
        ),
        _count(session, sa.select(DeviceRow.id).where(DeviceRow.guest_id.in_(guests), *live_device(at))),
        len(groups.list_invitations(session, viewer, at=at)),
    )


# --- what guests' browsers do ----------------------------------------------------------------------------------------


def identify(session: Session, *, cookie: bytes, at: datetime) -> tuple[Viewer, Sequence[DeviceRow]]:
    """The guests whose browser holds this cookie, or Nobody; each row comes with its guest."""
    rows = session.scalars(
        sa.select(DeviceRow)
        .join(DeviceRow.guest)
        .where(DeviceRow.cookie_hash == cookie, *live_device(at))
        .options(contains_eager(DeviceRow.guest))
        .order_by(DeviceRow.created_at, DeviceRow.id)
    ).all()
    return (Device(tuple(row.guest_id for row in rows)) if rows else Nobody()), rows


def note_visit(session: Session, *, cookie: bytes, at: datetime) -> None:
    """Note that a known browser was here; one that is used does not fall asleep."""
    session.execute(
        sa.update(DeviceRow)
        .where(DeviceRow.cookie_hash == cookie, *live_device(at))
        .values(last_seen_at=at, unused_after=at + rules.DEVICE_UNUSED)
    )


def note_visit_of_album(session: Session, viewer: Device, *, album: str, at: datetime) -> None:
    """Note that the people of this device begin to look at an album: what has come since they were here last is new to them. Of two
    requests at once only one begins the visit."""
    long_ago = sa.or_(Grant.visited_at.is_(None), Grant.visited_at <= at - rules.VISIT)
    session.execute(
        sa.update(Grant)
        .where(Grant.album_id == album, Grant.guest_id.in_(viewer.guests), *live_grant(at), long_ago)
        .values(new_since=Grant.visited_at, visited_at=at)
    )


def find_link(session: Session, *, token: str, tokens: Tokens) -> Link:
    """The link behind an address, in any state, with its guest. Raises `NotVisible` when we never made it."""
    return _find_link(session, [tokens.digest(Purpose.LINK, token)])


def find_card(session: Session, *, words: str, tokens: Tokens) -> Link:
    """The same for the words of a card."""
    return _find_link(session, tokens.word_digests(words))


def _find_link(session: Session, digests: Sequence[bytes]) -> Link:
    found = session.scalars(sa.select(Link).where(Link.digest.in_(digests)).options(joinedload(Link.guest))).one_or_none()
    if found is None:
        raise NotVisible
    return found


def state_of_link(link: Link, at: datetime) -> LinkState:
    """What a link is good for now."""
    return rules.link_state(
        expires_at=link.expires_at,
        revoked_at=link.revoked_at,
        replaced_at=link.replaced_at,
        ended_at=link.ended_at,
        used=link.used,
        places=link.places,
        at=at,
    )


def state_of_grant(grant: Grant, at: datetime) -> GrantState:
    """Whether a grant is good now."""
    return rules.grant_state(
        expires_at=grant.expires_at, ended_at=grant.ended_at, ended_by_hand=grant.ended_by is EndedBy.HAND, at=at
    )


def forgotten_at(guest: Guest, grants: Sequence[Grant]) -> datetime:
    """When a person with these grants is forgotten, unless more is shared with them."""
    ends = [grant.ended_at or grant.expires_at for grant in grants]
    return rules.forgotten_at(shared_at=guest.shared_at, ends=ends + ([guest.seen_until] if guest.seen_until else []))


def check_link_opens(link: Link, at: datetime) -> None:
    """A link that lets in, or needs one more place, passes. Raises `NotVisible` when a member ended it and `LinkEnded` past its date."""
    state = state_of_link(link, at)
    if state in (LinkState.REVOKED, LinkState.REPLACED):
        raise NotVisible
    if state is LinkState.EXPIRED:
        raise LinkEnded


def enrol(
    session: Session,
    *,
    link: Link,
    cookie: bytes | None,
    label: str,
    at: datetime,
    opened_by: bytes | None = None,
    asked: bool = False,
) -> Issued | None:
    """Let a browser in: it becomes a device of the link's guest, under a fresh cookie; what else it was good for moves along. One that
    has `asked`, and got a member's yes, brings its own place.

    The same form sent again (`opened_by`: a second tap, or a try after an answer that was lost) is the same device under another fresh
    cookie, and takes no further place. The places are counted by one conditional UPDATE, so that fifty taps at once let in exactly as
    many as there are. Returns None when no place is left.
    """
    if opened_by is not None:
        session.execute(
            sa.select(Link.id).where(Link.id == link.id).with_for_update()
        )  # of two taps at once one waits for the other
        again = session.scalars(
            sa.select(DeviceRow).where(
                DeviceRow.link_id == link.id,
                DeviceRow.opened_by == opened_by,
                DeviceRow.created_at > at - rules.SAME_TAP,
                *live_device(at),
            )
        ).first()
        if again is not None:
            return _move_cookie(session, again.cookie_hash, at=at)
    taken = session.execute(
        sa.update(Link)
        .where(Link.id == link.id, sa.true() if asked else Link.used < Link.places, *live_link(at))
        .values(used=Link.used + 1, places=Link.places + (1 if asked else 0))
        .returning(Link.id)
    ).one_or_none()
    if taken is None:
        return None
    known = session.scalars(sa.select(DeviceRow.id).where(DeviceRow.guest_id == link.guest_id).limit(1)).one_or_none()
    if cookie is None:
        issued = new_cookie()
    else:
        session.execute(sa.delete(DeviceRow).where(DeviceRow.cookie_hash == cookie, DeviceRow.guest_id == link.guest_id))
        issued = _move_cookie(session, cookie, at=at)
    session.add(
        DeviceRow(
            guest_id=link.guest_id,
            link_id=link.id,
            cookie_hash=issued.digest,
            opened_by=opened_by,
            label=label,
            created_at=at,
            last_seen_at=at,
            unused_after=at + rules.DEVICE_UNUSED,
            expires_at=at + rules.DEVICE_LASTS,
        )
    )
    kind = ActivityKind.FIRST_OPENED if known is None else ActivityKind.DEVICE_LET_IN
    activity.record_guest(session, kind, group=link.guest.group_id, guest=link.guest_id, at=at)
    session.flush()
    return issued


def _move_cookie(session: Session, cookie: bytes, *, at: datetime) -> Issued:
    """A fresh cookie for whatever a browser is good for."""
    issued = new_cookie()
    session.execute(
        sa.update(DeviceRow).where(DeviceRow.cookie_hash == cookie, *live_device(at)).values(cookie_hash=issued.digest)
    )
    return issued


def leave(session: Session, *, cookie: bytes, at: datetime) -> None:
    """ "This is not my phone": the browser is nobody's device any more."""
    _end_devices(session, DeviceRow.cookie_hash == cookie, at=at)


def list_shared(
    session: Session, viewer: Device, *, master: MasterKey, at: datetime, guest: str | None = None
) -> list[SharedAlbum]:
    """The albums that the people of this device may see, the newest first; of one of them if `guest` is named.

    Raises `AlbumClosed` when all there was has run out by date, `NotVisible` when a member has ended it.
    """
    guests = viewer.guests if guest is None else tuple(each for each in viewer.guests if each == guest)
    rows = _grants(session, Grant.guest_id.in_(guests))
    match rules.sight([(state_of_grant(grant, at), grant.ended_at or grant.expires_at) for grant, _ in rows]):
        case Sight.CLOSED:
            raise _closed(rows, at)
        case Sight.NOTHING:
            raise NotVisible
        case Sight.ALBUMS:
            live = [(grant, sender) for grant, sender in rows if state_of_grant(grant, at) is GrantState.LIVE]
    by_album: dict[str, list[tuple[Grant, str]]] = {}
    for grant, sender in sorted(live, key=lambda row: (row[0].album.created_at, row[0].album_id), reverse=True):
        by_album.setdefault(grant.album_id, []).append((grant, sender))
    return [_shared_album(grants, master, at) for grants in by_album.values()]


def get_shared_album(session: Session, viewer: Device, *, album: str, master: MasterKey, at: datetime) -> SharedAlbum:
    """The door for guests: an album that one of the people of this device may see now.

    Raises `AlbumClosed` when their time for it has run out, `NotVisible` for every other album there is or is not.
    """
    rows = _grants(session, Grant.guest_id.in_(viewer.guests), Grant.album_id == album)
    live = [(grant, sender) for grant, sender in rows if state_of_grant(grant, at) is GrantState.LIVE]
    if live:
        return _shared_album(live, master, at)
    if rules.sight([(state_of_grant(grant, at), grant.ended_at or grant.expires_at) for grant, _ in rows]) is Sight.CLOSED:
        raise _closed(rows, at)
    raise NotVisible


def names_of(session: Session, viewer: Member, *, guests: Collection[str]) -> dict[str, str]:
    """What these people of the group are called; who was deleted is not among them."""
    rows = session.execute(sa.select(Guest.id, Guest.name).where(Guest.group_id == viewer.group, Guest.id.in_(guests)))
    return dict(rows.all())


def guests_of(session: Session, viewer: Device) -> Sequence[Guest]:
    """The people whose device this is."""
    return session.scalars(sa.select(Guest).where(Guest.id.in_(viewer.guests)).order_by(*_ORDER)).all()


# --- what time does --------------------------------------------------------------------------------------------------


def end_what_is_over(session: Session, *, at: datetime) -> None:
    """Write down what has ended by date, so that a clock that is set back revives nothing."""
    session.execute(
        sa.update(Grant)
        .where(Grant.ended_at.is_(None), Grant.expires_at <= at)
        .values(ended_at=Grant.expires_at, ended_by=EndedBy.DATE)
    )
    session.execute(sa.update(Link).where(Link.ended_at.is_(None), Link.expires_at <= at).values(ended_at=Link.expires_at))
    over = sa.or_(DeviceRow.expires_at <= at, DeviceRow.unused_after <= at)
    session.execute(sa.update(DeviceRow).where(DeviceRow.ended_at.is_(None), over).values(ended_at=at))
    session.execute(sa.delete(NewPhone).where(NewPhone.expires_at <= at))


def forget_people(session: Session, *, at: datetime) -> None:
    """Forget everybody with whom nothing has been shared for so long: their names, links and devices. Not those who added a photo that is
    held."""
    last = at - rules.FORGOTTEN_AFTER
    lately = sa.exists().where(Grant.guest_id == Guest.id, sa.func.coalesce(Grant.ended_at, Grant.expires_at) > last)
    unseen = sa.or_(Guest.seen_until.is_(None), Guest.seen_until <= last)
    forgettable = Guest.shared_at <= last, unseen, ~lately, ~is_evidence(guest_id=Guest.id)
    forgotten = session.scalars(sa.select(Guest.id).where(*forgettable).with_for_update()).all()
    if forgotten:
        media.drop_voices(session, guests=forgotten, at=at)
        session.execute(sa.delete(Guest).where(Guest.id.in_(forgotten)))
        activity.record_deletion(session, DeletionKind.GUEST, *forgotten, at=at)


# --- the rules of `rules.py`, in SQL -----------------------------------------------------------------------------------


def live_link(at: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """The rule of `rules.link_state` for LIVE and FULL, in SQL."""
    return Link.revoked_at.is_(None), Link.replaced_at.is_(None), Link.ended_at.is_(None), Link.expires_at > at


def live_grant(at: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """The rule of `rules.grant_state` for LIVE, in SQL."""
    return Grant.ended_at.is_(None), Grant.expires_at > at


def live_device(at: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """The rule of `rules.device_live`, in SQL."""
    return DeviceRow.ended_at.is_(None), DeviceRow.expires_at > at, DeviceRow.unused_after > at


def _called(viewer: Member, wanted: str) -> sa.Select[Guest]:
    """The people of a member's group with these letters in their name, whatever their case and accents."""
    own, letters = sa.select(Guest).where(Guest.group_id == viewer.group), rules.folded(wanted.strip())
    return own.where(Guest.folded.contains(letters, autoescape=True)) if letters else own


def _page(session: Session, query: sa.Select[Guest], size: int) -> GuestPage:
    found = session.scalars(query).all()
    return GuestPage(found[:size], more=len(found) > size)


def _grants(session: Session, *which: sa.ColumnElement[bool]) -> list[tuple[Grant, str]]:
    rows = session.execute(
        sa.select(Grant, Account.name)
        .join(Grant.album)
        .outerjoin(Account, Account.id == Grant.created_by)
        .where(*which)
        .options(contains_eager(Grant.album))
    )
    return [(grant, sender or "") for grant, sender in rows]


def _shared_album(grants: Sequence[tuple[Grant, str]], master: MasterKey, at: datetime) -> SharedAlbum:
    longest, sender = max(grants, key=lambda row: row[0].expires_at)
    return SharedAlbum(
        open_album(longest.album, master=master),
        longest.expires_at,
        rules.days_left(expires_at=longest.expires_at, at=at),
        any(grant.may_save for grant, _ in grants),
        sender,
        visited_at=max((grant.visited_at for grant, _ in grants if grant.visited_at), default=None),
        new_since=max((grant.new_since for grant, _ in grants if grant.new_since), default=None),
        grants=[grant for grant, _ in grants],
    )


def _closed(grants: Sequence[tuple[Grant, str]], at: datetime) -> AlbumClosed:
    """The album of these whose time has run out last, as its guest is told."""
    over = [row for row in grants if state_of_grant(row[0], at) is GrantState.EXPIRED]
    last, sender = max(over, key=lambda row: row[0].ended_at or row[0].expires_at)
    more_time = rules.more_time(asked_at=last.asked_at, declined_at=last.declined_at)
    return AlbumClosed(sender, album=last.album_id, more_time=more_time)


def _of_group(session: Session, viewer: Member, kind: type[OfGuest], row: str) -> OfGuest:
    """A grant, link or device of somebody of the member's group. Raises `NotVisible` for any other."""
    found = session.scalars(
        sa.select(kind).join(Guest, Guest.id == kind.guest_id).where(kind.id == row, Guest.group_id == viewer.group)
    ).one_or_none()
    if found is None:
        raise NotVisible
    return found


def lock_guest(session: Session, *, guest: str) -> None:
    """Two members who share with one person at once, and whoever taps twice, do so one after the other."""
    session.execute(sa.select(Guest.id).where(Guest.id == guest).with_for_update(key_share=True))


def _stop(session: Session, guests: sa.Select[str], *, at: datetime) -> None:
    _end_grants(session, Grant.guest_id.in_(guests), at=at)
    end_waiting(session, Link.guest_id.in_(guests))
    session.execute(sa.update(Link).where(Link.guest_id.in_(guests), Link.revoked_at.is_(None)).values(revoked_at=at))
    _end_devices(session, DeviceRow.guest_id.in_(guests), at=at)


def _end_grants(session: Session, which: sa.ColumnElement[bool], *, at: datetime) -> None:
    """Also those past their date: from now on they have been ended by hand, and no name is told any more."""
    session.execute(sa.update(Grant).where(which).values(ended_at=at, ended_by=EndedBy.HAND))


def _end_devices(session: Session, which: sa.ColumnElement[bool], *, at: datetime) -> None:
    session.execute(sa.update(DeviceRow).where(which, DeviceRow.ended_at.is_(None)).values(ended_at=at))


def _count(session: Session, query: sa.Select[str]) -> int:
    return session.scalars(sa.select(sa.func.count()).select_from(query.subquery())).one()
