"""Members: signing in and out, passwords, one-time addresses."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from app.accounts import rules
from app.accounts.models import Account, AddressKind, OneTimeAddress, SignedIn
from app.activity import service as activity
from app.activity.models import ActivityKind, DeletionKind
from app.errors import NotVisible, Refused, TooOften
from app.evidence import check_no_evidence
from app.security.passwords import Passwords, check_new_password
from app.security.tokens import Issued, Purpose, Tokens, new_cookie
from app.security.viewer import Member, Nobody, Role, Viewer
from app.storage.models import Removal

# The room of these tables is above this one.
_INCOMING = sa.table("incoming", sa.column("id"), sa.column("member_id"))
_PART = sa.table("incoming_part", sa.column("incoming_id"), sa.column("object_name"))

_PURPOSE = {AddressKind.SET_UP: Purpose.SET_UP, AddressKind.RESET: Purpose.RESET}


@dataclass(frozen=True)
class SignIn:
    """A browser that has just been signed in: its cookie value is told this once."""

    cookie: Issued
    signed_in: SignedIn
    member: Member


def tidy_email(email: str) -> str:
    """An address as we compare it: without the spaces and capitals that phones add."""
    return email.strip().casefold()


def identify(session: Session, *, cookie: bytes, at: datetime) -> tuple[Viewer, SignedIn | None]:
    """The member behind a cookie, or Nobody."""
    found = session.scalars(
        sa.select(SignedIn).where(SignedIn.cookie_hash == cookie, SignedIn.expires_at > at).options(joinedload(SignedIn.account))
    ).one_or_none()
    return (as_viewer(found.account), found) if found else (Nobody(), None)


def as_viewer(account: Account) -> Member:
    """An account as the facts that decide about access."""
    return Member(account.id, account.group_id, account.role)


def note_visit(session: Session, *, signed_in: str, at: datetime) -> None:
    """Note that a signed-in browser was here."""
    session.execute(sa.update(SignedIn).where(SignedIn.id == signed_in).values(last_seen_at=at))


def has_members(session: Session) -> bool:
    """Whether anybody has an account here yet."""
    return session.scalars(sa.select(Account.id).limit(1)).one_or_none() is not None


def find_by_email(session: Session, *, email: str) -> Account | None:
    """The account that signs in with this address."""
    return session.scalars(sa.select(Account).where(Account.email == tidy_email(email))).one_or_none()


def hash_new_password(password: str, *, email: str, passwords: Passwords) -> str:
    """What is kept of a password that somebody chose. Raises `Refused` for a weak one.

    To be made before the writing session begins: it takes its time on purpose, and others must not wait for it.
    """
    check_new_password(password, email=tidy_email(email))
    return passwords.hash(password)


def add_member(session: Session, *, group: str, name: str, email: str, password_hash: str, role: Role, at: datetime) -> Account:
    """A new account in a group. Raises `Refused` for an e-mail address that has an account already."""
    email = tidy_email(email)
    if find_by_email(session, email=email) is not None:
        raise Refused("email-taken")
    account = Account(group_id=group, name=name, email=email, password_hash=password_hash, role=role, created_at=at)
    try:
        with session.begin_nested():
            session.add(account)
    except IntegrityError:  # somebody took the address at the same moment
        raise Refused("email-taken") from None
    return account


def one_tap_at_a_time(session: Session, viewer: Member) -> None:
    """Until this transaction ends, whatever else this member does that asks for the same waits: then the second tap sees the first."""
    session.execute(sa.select(Account.id).where(Account.id == viewer.id).with_for_update(key_share=True))


def check_password(session: Session, *, email: str, password: str, passwords: Passwords) -> Account | None:
    """The account, if the password is its own. An address that nobody has costs as much time."""
    account = find_by_email(session, email=email)
    return account if passwords.verify(account.password_hash if account else None, password) else None


def renew_hash(session: Session, *, account: str, password_hash: str) -> None:
    """The same password under today's settings; it is only known for a moment at sign-in."""
    session.execute(sa.update(Account).where(Account.id == account).values(password_hash=password_hash))


def check_not_too_often(session: Session, *, buckets: Sequence[tuple[str, int]], at: datetime) -> None:
    """Raises `TooOften` when one of the buckets (name, tries it holds) is full."""
    for bucket, tries in buckets:
        filled = activity.nth_last_failure(session, bucket=bucket, n=tries, since=at - rules.WINDOW)
        again = rules.again_at(filled)
        if again is not None:
            raise TooOften(again)


def sign_in(
    session: Session,
    *,
    account: Account,
    label: str,
    stay: bool,
    replaces: bytes | None,
    at: datetime,
    opened_by: bytes | None = None,
) -> SignIn:
    """Sign a browser in under a fresh cookie; what it held before is ended."""
    if replaces is not None:
        session.execute(sa.delete(SignedIn).where(SignedIn.cookie_hash == replaces))
    cookie = new_cookie()
    signed_in = SignedIn(
        member_id=account.id,
        cookie_hash=cookie.digest,
        label=label,
        created_at=at,
        last_seen_at=at,
        expires_at=at + (rules.STAY if stay else rules.VISIT),
        confirmed_at=at,
        opened_by=opened_by,
    )
    session.add(signed_in)
    session.flush()
    return SignIn(cookie, signed_in, as_viewer(account))


def sign_in_again(session: Session, *, opened_by: bytes, at: datetime) -> SignIn:
    """The browser that has just come in by this form, under another fresh cookie: a second tap, or a try after an answer that was lost.
    Raises `NotVisible` when none has."""
    signed_in = session.scalars(
        sa.select(SignedIn).where(
            SignedIn.opened_by == opened_by, SignedIn.created_at > at - rules.SAME_TAP, SignedIn.expires_at > at
        )
    ).first()
    if signed_in is None:
        raise NotVisible
    cookie = new_cookie()
    signed_in.cookie_hash = cookie.digest
    return SignIn(cookie, signed_in, as_viewer(signed_in.account))


def needs_password(session: Session, *, cookie: bytes, at: datetime) -> bool:
    """Whether a browser has to show the password again before something that one must be sure about. Raises `NotVisible` when it was
    signed out meanwhile."""
    confirmed = session.scalars(sa.select(SignedIn.confirmed_at).where(SignedIn.cookie_hash == cookie)).one_or_none()
    if confirmed is None:
        raise NotVisible
    return not rules.confirmed(confirmed, at)


def confirm(session: Session, *, cookie: bytes, at: datetime) -> None:
    """Note that a browser has shown the password again."""
    session.execute(sa.update(SignedIn).where(SignedIn.cookie_hash == cookie).values(confirmed_at=at))


def list_sessions(session: Session, viewer: Member, *, at: datetime) -> Sequence[SignedIn]:
    """The browsers in which a member is signed in, the latest first."""
    return session.scalars(
        sa.select(SignedIn)
        .where(SignedIn.member_id == viewer.id, SignedIn.expires_at > at)
        .order_by(SignedIn.last_seen_at.desc(), SignedIn.id)
    ).all()


def end_session(session: Session, viewer: Member, *, signed_in: str) -> None:
    """Sign one of a member's own browsers out. Raises `NotVisible` for anybody else's."""
    ended = session.execute(
        sa.delete(SignedIn).where(SignedIn.id == signed_in, SignedIn.member_id == viewer.id).returning(SignedIn.id)
    )
    if ended.one_or_none() is None:
        raise NotVisible


def end_sessions(session: Session, *, member: str) -> None:
    """Sign a member out everywhere."""
    session.execute(sa.delete(SignedIn).where(SignedIn.member_id == member))


def sign_out(session: Session, *, cookie: bytes) -> None:
    """End the session behind a cookie."""
    session.execute(sa.delete(SignedIn).where(SignedIn.cookie_hash == cookie))


def get_account(session: Session, viewer: Member) -> Account:
    """A member's own account."""
    account = session.get(Account, viewer.id)
    if account is None:
        raise NotVisible
    return account


def names_of(session: Session, viewer: Member, *, members: Collection[str]) -> dict[str, str]:
    """What these members of the group are called; who has left is not among them."""
    rows = session.execute(sa.select(Account.id, Account.name).where(Account.group_id == viewer.group, Account.id.in_(members)))
    return dict(rows.all())


def delete_account(session: Session, *, account: str, at: datetime) -> None:
    """Forget a member. Sign-ins, one-time addresses, invitations and files that are still arriving go with the row; what they made for
    the group stays. Raises `Refused` for one who added a photo that is held."""
    check_no_evidence(session, created_by=account)
    activity.record_deletion(session, DeletionKind.MEMBER, account, at=at)
    arriving = sa.select(_INCOMING.c.id).where(_INCOMING.c.member_id == account)
    session.execute(arriving.with_for_update())  # whoever writes down a part, or a photo of this member, is done first
    parts = sa.select(_PART.c.object_name).where(_PART.c.incoming_id.in_(arriving))
    session.add_all(Removal(name=name, created_at=at) for name in session.scalars(parts).all())
    session.execute(sa.delete(Account).where(Account.id == account))


def set_password(session: Session, *, account: Account, password_hash: str, at: datetime) -> None:
    """A new password; every browser is signed out (the one that asked is signed in anew), and no reset address works any more."""
    account.password_hash = password_hash
    end_sessions(session, member=account.id)
    session.execute(sa.delete(OneTimeAddress).where(OneTimeAddress.member_id == account.id))
    activity.record(session, ActivityKind.PASSWORD_CHANGED, by=as_viewer(account), at=at)
    activity.record_deletion(session, DeletionKind.PASSWORD, account.id, at=at)


def issue_address(
    session: Session, *, kind: AddressKind, member: str | None = None, instead: bool = False, tokens: Tokens, at: datetime
) -> str:
    """A new one-time token; with `instead`, the ones of this kind for the same person (or for nobody yet) stop working."""
    if instead:
        session.execute(
            sa.delete(OneTimeAddress).where(OneTimeAddress.kind == kind, OneTimeAddress.member_id.is_not_distinct_from(member))
        )
    issued = tokens.issue(_PURPOSE[kind])
    lasts = rules.SET_UP_LASTS if kind is AddressKind.SET_UP else rules.RESET_LASTS
    session.add(OneTimeAddress(kind=kind, digest=issued.digest, member_id=member, created_at=at, expires_at=at + lasts))
    return issued.value


def find_address(session: Session, *, kind: AddressKind, token: str, tokens: Tokens, at: datetime) -> OneTimeAddress:
    """The live one-time address behind a token. Raises `NotVisible` for one that is used, old or not ours."""
    digest = tokens.digest(_PURPOSE[kind], token)
    found = session.scalars(
        sa.select(OneTimeAddress).where(
            OneTimeAddress.digest == digest, OneTimeAddress.kind == kind, OneTimeAddress.expires_at > at
        )
    ).one_or_none()
    if found is None:
        raise NotVisible
    return found


def use_up(session: Session, address: OneTimeAddress) -> None:
    """It worked once, and never again. Raises `NotVisible` when somebody else was faster."""
    used = session.execute(sa.delete(OneTimeAddress).where(OneTimeAddress.id == address.id).returning(OneTimeAddress.id))
    if used.one_or_none() is None:
        raise NotVisible


def email_of(session: Session, *, address: OneTimeAddress) -> str:
    """The e-mail address that the person signs in with whom a reset address is for. Raises `NotVisible` when they are gone."""
    account = session.get(Account, address.member_id)
    if account is None:
        raise NotVisible
    return account.email


def reset_password(session: Session, *, address: OneTimeAddress, password_hash: str, at: datetime) -> Account:
    """Use up a reset address: a new password, and every browser signed out. Raises `NotVisible` when it was used meanwhile."""
    account = session.get(Account, address.member_id)
    if account is None:
        raise NotVisible
    use_up(session, address)
    set_password(session, account=account, password_hash=password_hash, at=at)
    return account


def forget_ended(session: Session, *, at: datetime) -> None:
    """Drop sign-ins and one-time addresses whose time is over."""
    session.execute(sa.delete(SignedIn).where(SignedIn.expires_at <= at))
    session.execute(sa.delete(OneTimeAddress).where(OneTimeAddress.expires_at <= at))
