"""What is to be told to whom. Rooms below write what happened into `activity`; here it is read, and what comes of it is kept as
notifications until they are sent: members hear what their guests did, guests at most once a day that there is something new."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from app.accounts.models import Account
from app.activity.models import Activity, ActivityKind
from app.albums.models import Album
from app.answers.models import Seen
from app.ids import new_id
from app.media.models import Photo, PhotoState
from app.notifications import rules
from app.notifications.models import Notification, NotificationKind, PushSubscription
from app.security.viewer import Role
from app.sharing import service as sharing
from app.sharing.models import DeviceRow, Grant, Guest, Link, LinkKind, NewPhone

TOLD = {ActivityKind(kind.value): kind for kind in NotificationKind if kind.value in {each.value for each in ActivityKind}}
"""What members are told of what happens."""

ABOUT_PHOTO = {NotificationKind.PHOTO_REPORTED, NotificationKind.PHOTO_HELD}
"""Told also to whoever runs the server, and without a name."""

URGENT = {NotificationKind.NEW_PHONE_ASKS, *ABOUT_PHOTO}


@dataclass(frozen=True)
class Fact:
    """One thing as a member is told of it: its kind, the name of the guest who did it, the page where it can be seen, and by kind the
    photo, the number that a new phone shows, how many people's time ends and when for the first of them."""

    kind: NotificationKind
    guest: str | None
    path: str
    photo: str | None = None
    number: int | None = None
    people: int = 0
    until: datetime | None = None


@dataclass(frozen=True)
class Reader:
    """A member, or whoever runs the server: where mail to them goes, and the language that they chose."""

    email: str
    language: str | None


# --- what happened is worth telling ---------------------------------------------------------------------------------


def untold(session: Session, *, at: datetime) -> Sequence[str]:
    """What has happened lately that members might be told of and that nobody was told yet."""
    lately = Activity.bucket.is_(None), Activity.at > at - rules.WORTH_TELLING
    told = sa.exists().where(Notification.activity_id == Activity.id)
    return session.scalars(
        sa.select(Activity.id).where(*lately, Activity.kind.in_(TOLD), ~told).order_by(Activity.at, Activity.id)
    ).all()


def tell(session: Session, *, happened: str, quiet: tuple[int, int], at: datetime) -> None:
    """Have everybody told who is to know of what happened; nobody twice."""
    row = session.get(Activity, happened, with_for_update=True)
    done = session.scalars(sa.select(Notification.id).where(Notification.activity_id == happened).limit(1)).one_or_none()
    if row is None or row.group_id is None or row.kind not in TOLD or done is not None:
        return
    kind = TOLD[row.kind]
    due = rules.due_at(at=at, urgent=kind in URGENT, quiet=quiet)
    readers: list[str | None] = [*_members_told(session, row, kind), *([None] if kind in ABOUT_PHOTO else [])]
    session.add_all(
        Notification(
            kind=kind,
            group_id=row.group_id,
            member_id=reader,
            album_id=row.album_id,
            activity_id=row.id,
            made_at=at,
            due_at=due,
            attempts=0,
        )
        for reader in readers
    )


def ending(session: Session, *, at: datetime) -> Sequence[Grant]:
    """What somebody can see only three days more, and no member was reminded of."""
    soon = sa.select(Grant).where(*sharing.live_grant(at), Grant.expires_at <= at + rules.SOON).options(joinedload(Grant.album))
    return [
        grant
        for grant in session.scalars(soon.order_by(Grant.id))
        if rules.ends_soon(given_at=grant.created_at, expires_at=grant.expires_at, reminded_at=grant.reminded_at, at=at)
    ]


def remind(session: Session, *, quiet: tuple[int, int], at: datetime) -> None:
    """Tell the members who shared them of albums that end for somebody: of each album once."""
    reminders: set[tuple[str, str, str]] = set()
    for grant in ending(session, at=at):
        grant.reminded_at = at
        group = grant.album.group_id
        reminders |= {(group, member, grant.album_id) for member in _willing(session, group, grant.created_by)}
    due = rules.due_at(at=at, urgent=False, quiet=quiet)
    session.add_all(
        Notification(
            kind=NotificationKind.ENDS_SOON,
            group_id=group,
            member_id=member,
            album_id=album,
            made_at=at,
            due_at=due,
            attempts=0,
        )
        for group, member, album in sorted(reminders)
    )


def with_news(session: Session, *, by_mail: bool, by_push: bool, at: datetime) -> Sequence[str]:
    """The guests for whom there is something new, who can be told and were not in the last 24 hours."""
    reachable: list[sa.ColumnElement[bool]] = []
    if by_mail:
        reachable.append(sa.and_(Guest.email.is_not(None), Guest.mail_ended_at.is_(None)))
    if by_push:
        devices = PushSubscription.device_id == DeviceRow.id, DeviceRow.guest_id == Guest.id
        reachable.append(sa.exists().where(*devices, *sharing.live_device(at)))
    waiting = sa.exists().where(Notification.guest_id == Guest.id, *_open())
    which = sa.or_(sa.false(), *reachable), _rested(at), ~waiting
    return [
        guest for guest, rows in _may_have_news(session, *which, at=at).items() if any(_has_news(session, row) for row in rows)
    ]


def announce(session: Session, *, guests: Collection[str], quiet: tuple[int, int], at: datetime) -> None:
    """Have these guests told that there is something new, unless they are about to be, or were meanwhile: several workers look for news."""
    found = session.scalars(sa.select(Guest).where(Guest.id.in_(guests), _rested(at)).with_for_update()).all()
    waiting = set(session.scalars(sa.select(Notification.guest_id).where(Notification.guest_id.in_(guests), *_open())))
    session.add_all(
        Notification(
            kind=NotificationKind.NEW_PHOTOS,
            group_id=guest.group_id,
            guest_id=guest.id,
            made_at=at,
            due_at=rules.awake(at, quiet),
            attempts=0,
        )
        for guest in found
        if guest.id not in waiting
    )


def news(session: Session, *, guest: Guest, at: datetime) -> int:
    """How many photos a guest may see now and has neither been told of nor looked at; none while more are still coming."""
    rows = _may_have_news(session, Guest.id == guest.id, at=at).get(guest.id, [])
    return sum(session.scalars(_new_photos(row).with_only_columns(sa.func.count())).one() for row in rows)


Sees = sa.Row[Guest, Grant, datetime, datetime]
"""A guest, something that they see, when a photo of it last changed, and when they were last sent a link."""


def _may_have_news(session: Session, *which: sa.ColumnElement[bool], at: datetime) -> dict[str, list[Sees]]:
    """Of these guests those who see an album that has changed since they were told, and to none of which anything is being added just
    now; with these albums. One statement."""
    newest = sa.select(sa.func.max(Photo.changed_at, type_=Photo.changed_at.type))
    changed = newest.where(Photo.album_id == Grant.album_id, Photo.state == PhotoState.READY).correlate(Grant)
    last = sa.select(sa.func.max(Link.created_at, type_=Link.created_at.type))
    sent = last.where(Link.guest_id == Guest.id, Link.kind == LinkKind.SENT).correlate(Guest)
    query = (
        sa.select(Guest, Grant, changed.scalar_subquery().label("changed_at"), sent.scalar_subquery().label("sent_at"))
        .join(Grant, Grant.guest_id == Guest.id)
        .where(*sharing.live_grant(at), *which)
        .order_by(Guest.id, Grant.id)
    )
    found: dict[str, list[Sees]] = {}
    for row in session.execute(query):
        since = _new_since(row)
        if row.changed_at is not None and (since is None or row.changed_at > since):
            found.setdefault(row.Guest.id, []).append(row)
    settled = at - rules.SETTLED
    return {
        guest: rows for guest, rows in found.items() if all(max(row.changed_at, row.Grant.created_at) <= settled for row in rows)
    }


def _has_news(session: Session, row: Sees) -> bool:
    return session.scalars(_new_photos(row).limit(1)).one_or_none() is not None


def _new_photos(row: Sees) -> sa.Select[str]:
    """The photos of an album that are news to a guest."""
    seen = sa.exists().where(Seen.photo_id == Photo.id, Seen.guest_id == row.Guest.id)
    mine = Photo.album_id == row.Grant.album_id, Photo.state == PhotoState.READY
    new = sa.select(Photo.id).where(*mine, Photo.guest_id.is_distinct_from(row.Guest.id), ~seen)
    since = _new_since(row)
    # the first for its index: nothing is shown after it has changed
    return new if since is None else new.where(Photo.changed_at > since, Photo.shown_at > since)


def _new_since(row: Sees) -> datetime | None:
    """Whoever sends a link says what it is for."""
    return rules.new_since(told=(row.Guest.mailed_at, row.sent_at, row.Grant.visited_at), given_at=row.Grant.created_at)


# --- sending ----------------------------------------------------------------------------------------------------------


def due(session: Session, *, at: datetime) -> Sequence[tuple[str, str]]:
    """For everybody who is to be told something now one notification, with its group."""
    whose = Notification.member_id, Notification.guest_id, Notification.group_id
    rows = session.execute(
        sa.select(sa.func.min(Notification.id), Notification.group_id).where(*_open(), Notification.due_at <= at).group_by(*whose)
    )
    return [(first, group) for first, group in rows]


def take(session: Session, *, notification: str, quiet: tuple[int, int], at: datetime) -> Sequence[Notification]:
    """All that is due for the same person as this one, to be sent now. The next try is set before: a member may hear the same twice from
    a worker that died in between, a guest waits a day instead. What was left until the quiet hours waits for their end. Nothing when
    another has done it."""
    first = session.get(Notification, notification, with_for_update=True)
    if first is None:
        return []
    same = (
        Notification.member_id.is_not_distinct_from(first.member_id),
        Notification.guest_id.is_not_distinct_from(first.guest_id),
        Notification.group_id == first.group_id,
    )
    due = session.scalars(
        sa.select(Notification)
        .where(*same, *_open(), Notification.due_at <= at)
        .order_by(Notification.made_at, Notification.id)
        .with_for_update()
    ).all()
    morning = rules.awake(at, quiet)
    rows = [row for row in due if row.kind in URGENT or morning == at]
    for row in due:
        if row not in rows:
            row.due_at = morning
    for row in rows:
        row.attempts += 1
        if row.guest_id is not None:
            row.due_at = at + rules.DIGEST_EVERY
        else:
            _put_off(row, quiet=quiet, at=at)
    return rows


def note_sent(session: Session, *, notifications: Collection[str], at: datetime) -> None:
    """They were told of what there was at this time."""
    rows = _rows(session, notifications)
    for row in rows:
        row.sent_at, row.given_up_at = at, None
    told = {row.guest_id for row in rows if row.guest_id is not None}
    session.execute(sa.update(Guest).where(Guest.id.in_(told)).values(mailed_at=at))


def put_off(session: Session, *, notifications: Collection[str], quiet: tuple[int, int], at: datetime) -> None:
    """They could not be told: once more later, or never."""
    for row in _rows(session, notifications):
        _put_off(row, quiet=quiet, at=at)


def give_up(session: Session, *, notifications: Collection[str], at: datetime) -> None:
    """They can't be told, or there is nothing left to tell."""
    for row in _rows(session, notifications):
        row.given_up_at = at


def reader(session: Session, notification: Notification, *, operator: str | None) -> Reader | None:
    """Who is told; None when that member is gone, or whoever runs the server has no address."""
    if notification.member_id is None:
        return Reader(operator, None) if operator else None
    account = session.get(Account, notification.member_id)
    return Reader(account.email, account.language) if account else None


def facts(session: Session, notifications: Collection[Notification], *, at: datetime) -> list[Fact]:
    """What these notifications tell. What is over meanwhile is not told any more."""
    found = (_fact(session, each, at=at) for each in notifications if each.made_at > at - 2 * rules.WORTH_TELLING)
    return list(dict.fromkeys(fact for fact in found if fact is not None))


def _fact(session: Session, notification: Notification, *, at: datetime) -> Fact | None:
    if notification.kind is NotificationKind.ENDS_SOON:
        return _ending(session, notification, at=at)
    happened = session.get(Activity, notification.activity_id)
    if happened is None:
        return None
    guest = session.get(Guest, happened.guest_id) if happened.guest_id else None
    if guest is None and notification.kind not in ABOUT_PHOTO:
        return None
    match notification.kind:
        case NotificationKind.NOTE_WRITTEN | NotificationKind.PHOTO_REPORTED if happened.photo_id:
            path = f"/photos/{happened.photo_id}"
        case NotificationKind.NOTE_WRITTEN | NotificationKind.GUEST_ADDED_PHOTOS if happened.album_id:
            path = f"/albums/{happened.album_id}"
        case _ if guest is not None:
            path = f"/people/{guest.id}"
        case _:
            path = "/activity"
    if notification.kind is NotificationKind.PHOTO_HELD and not _is_held(session, happened.photo_id):
        return None
    if notification.kind in ABOUT_PHOTO:
        return Fact(notification.kind, None, path, photo=happened.photo_id)
    assert guest is not None
    asking = notification.kind is NotificationKind.NEW_PHONE_ASKS
    return Fact(notification.kind, guest.name, path, number=_number_shown(session, guest, at=at) if asking else None)


def _ending(session: Session, notification: Notification, *, at: datetime) -> Fact | None:
    people, until = session.execute(
        sa.select(sa.func.count(), sa.func.min(Grant.expires_at, type_=Grant.expires_at.type))
        .join(Album, Album.id == Grant.album_id)
        .where(
            Grant.album_id == notification.album_id,
            Album.group_id == notification.group_id,
            *sharing.live_grant(at),
            Grant.expires_at <= at + rules.SOON,
        )
    ).one()
    return Fact(notification.kind, None, f"/albums/{notification.album_id}", people=people, until=until) if people else None


def _is_held(session: Session, photo: str | None) -> bool:
    return session.scalars(sa.select(Photo.state).where(Photo.id == photo)).one_or_none() is PhotoState.HELD


def _number_shown(session: Session, guest: Guest, *, at: datetime) -> int | None:
    """The number on the phone that asks just now; None when it is not the only one: the page shows them all."""
    asking = sa.select(NewPhone.number).join(NewPhone.link).where(Link.guest_id == guest.id, *sharing.live_link(at))
    numbers = session.scalars(asking.where(NewPhone.answered_at.is_(None), NewPhone.expires_at > at).limit(2)).all()
    return numbers[0] if len(numbers) == 1 else None


# --- browsers that want to be told ------------------------------------------------------------------------------------


def subscribe(session: Session, *, cookie: bytes, endpoint: str, public_key: bytes, auth: bytes, at: datetime) -> None:
    """This browser wants to be told by push, for each of the people whose device it is."""
    unsubscribe(session, cookie=cookie)
    devices = sa.select(DeviceRow.id).where(DeviceRow.cookie_hash == cookie, *sharing.live_device(at))
    session.add_all(
        PushSubscription(
            id=new_id(), device_id=device, endpoint=endpoint, public_key=public_key, auth=auth, created_at=at, failures=0
        )
        for device in session.scalars(devices).all()
    )


def unsubscribe(session: Session, *, cookie: bytes) -> None:
    """This browser wants to be told no more."""
    devices = sa.select(DeviceRow.id).where(DeviceRow.cookie_hash == cookie)
    session.execute(sa.delete(PushSubscription).where(PushSubscription.device_id.in_(devices)))


def subscribed(session: Session, *, cookie: bytes) -> bool:
    """Whether this browser is told by push."""
    mine = sa.select(PushSubscription.id).join(DeviceRow, DeviceRow.id == PushSubscription.device_id)
    return session.scalars(mine.where(DeviceRow.cookie_hash == cookie).limit(1)).one_or_none() is not None


def subscriptions(session: Session, *, guest: str, at: datetime) -> Sequence[PushSubscription]:
    """The browsers of a guest that want to be told, as long as they are let in."""
    devices = sa.select(DeviceRow.id).where(DeviceRow.guest_id == guest, *sharing.live_device(at))
    return session.scalars(sa.select(PushSubscription).where(PushSubscription.device_id.in_(devices))).all()


def note_push(session: Session, *, subscription: str, told: bool, gone: bool) -> None:
    """What came of a push message: a browser that has gone, or could not be told for long, is forgotten."""
    row = session.get(PushSubscription, subscription)
    if row is None:
        return
    row.failures = 0 if told else row.failures + 1
    if gone or row.failures >= rules.PUSH_FAILURES:
        session.delete(row)


# --- what time does ---------------------------------------------------------------------------------------------------


def call_it_told(session: Session, *, at: datetime) -> None:
    """What a restored backup still had to tell is told no more, because it may have been since. Better not at all than twice: members find
    it on their pages, guests in their albums, and whoever runs the server sees in `flask status` which reports wait for an answer."""
    for happened in untold(session, at=at):
        tell(session, happened=happened, quiet=(0, 0), at=at)
    remind(session, quiet=(0, 0), at=at)
    session.execute(sa.update(Notification).where(*_open()).values(given_up_at=at))
    guests = with_news(session, by_mail=True, by_push=True, at=at)
    session.execute(sa.update(Guest).where(Guest.id.in_(guests)).values(mailed_at=at))


def forget_old(session: Session, *, at: datetime) -> None:
    """Drop what was told long ago, and the addresses of browsers that are nobody's device any more."""
    session.execute(sa.delete(Notification).where(Notification.made_at < at - rules.KEPT))
    let_in = sa.select(DeviceRow.id).where(*sharing.live_device(at))
    session.execute(sa.delete(PushSubscription).where(PushSubscription.device_id.not_in(let_in)))


def _rested(at: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(Guest.mailed_at.is_(None), Guest.mailed_at <= at - rules.DIGEST_EVERY)


def _open() -> tuple[sa.ColumnElement[bool], ...]:
    return Notification.sent_at.is_(None), Notification.given_up_at.is_(None)


def _rows(session: Session, notifications: Collection[str]) -> Sequence[Notification]:
    return session.scalars(sa.select(Notification).where(Notification.id.in_(notifications))).all()


def _put_off(row: Notification, *, quiet: tuple[int, int], at: datetime) -> None:
    next_try = rules.again_at(attempts=row.attempts, at=at, quiet=(0, 0) if row.kind in URGENT else quiet)
    row.due_at, row.given_up_at = next_try or at, None if next_try else at


def _members_told(session: Session, happened: Activity, kind: NotificationKind) -> Sequence[str]:
    """Whoever shared with this guest; where that is not known any more, every owner. A report goes to every owner, also to those who want
    no mail; that a photo is held to none, because they may be who it is evidence against."""
    assert happened.group_id is not None
    if kind is NotificationKind.PHOTO_HELD:
        return []
    if kind is NotificationKind.PHOTO_REPORTED:
        owners = sa.select(Account.id).where(Account.group_id == happened.group_id, Account.role == Role.OWNER)
        return session.scalars(owners.order_by(Account.id)).all()
    return _willing(session, happened.group_id, _who_shared(session, happened))


def _willing(session: Session, group: str, shared_by: str | None) -> Sequence[str]:
    """Who is told about somebody whom this member has shared with, of those who want mail."""
    told = Account.id == shared_by if shared_by is not None else Account.role == Role.OWNER
    return session.scalars(
        sa.select(Account.id).where(Account.group_id == group, told, Account.wants_mail).order_by(Account.id)
    ).all()


def _who_shared(session: Session, happened: Activity) -> str | None:
    granted = sa.select(Grant.created_by).where(Grant.guest_id == happened.guest_id)
    if happened.album_id is not None:
        granted = granted.where(Grant.album_id == happened.album_id)
    else:
        sent = sa.select(Link.created_by).where(Link.guest_id == happened.guest_id, Link.kind == LinkKind.SENT)
        last = session.scalars(sent.order_by(Link.created_at.desc(), Link.id).limit(1)).one_or_none()
        if last is not None:
            return last
    return session.scalars(granted.order_by(Grant.created_at.desc(), Grant.id).limit(1)).one_or_none()
