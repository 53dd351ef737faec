"""Groups: founding one by a one-time address, who belongs to it, and who is asked in."""

from collections.abc import Sequence, Set
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.models import Account, AddressKind, OneTimeAddress
from app.activity import service as activity
from app.activity.models import ActivityKind, DeletionKind
from app.errors import NotVisible
from app.groups import rules
from app.groups.models import Group, GroupKind, Invitation
from app.security.tokens import Purpose, Tokens
from app.security.viewer import Member, Role


def found_group(
    session: Session,
    *,
    address: OneTimeAddress,
    group_name: str,
    kind: GroupKind,
    name: str,
    email: str,
    password_hash: str,
    at: datetime,
) -> Account:
    """Use up a set-up address: a new group and its first owner. Raises `NotVisible` when the address was used meanwhile, `Refused`
    for an e-mail address that can't be taken (the address then stays good)."""
    accounts.use_up(session, address)
    group = Group(name=group_name, kind=kind, created_at=at)
    session.add(group)
    session.flush()
    owner = accounts.add_member(
        session, group=group.id, name=name, email=email, password_hash=password_hash, role=Role.OWNER, at=at
    )
    activity.record(session, ActivityKind.GROUP_FOUNDED, by=accounts.as_viewer(owner), at=at)
    return owner


def first_set_up_token(session: Session, *, tokens: Tokens, at: datetime) -> str | None:
    """A fresh set-up token while nobody has an account here (the one before stops working), else None."""
    if accounts.has_members(session):
        return None
    return accounts.issue_address(session, kind=AddressKind.SET_UP, instead=True, tokens=tokens, at=at)


def own_group(session: Session, viewer: Member) -> Group:
    """The group of a member."""
    group = session.get(Group, viewer.group)
    if group is None:
        raise NotVisible
    return group


def rename_group(session: Session, viewer: Member, *, name: str, at: datetime) -> None:
    """Another name for the same group."""
    own_group(session, viewer).name = name
    activity.record(session, ActivityKind.GROUP_CHANGED, by=viewer, at=at)


# --- who belongs to it -----------------------------------------------------------------------------------------------


def list_members(session: Session, viewer: Member) -> Sequence[Account]:
    """Who belongs to the member's group: owners first, then by name."""
    return session.scalars(
        sa.select(Account)
        .where(Account.group_id == viewer.group)
        .order_by(Account.role.desc(), sa.func.lower(Account.name), Account.id)
    ).all()


def get_member(session: Session, viewer: Member, *, member: str) -> Account:
    """Somebody of the member's group. Raises `NotVisible` for any other."""
    found = session.scalars(sa.select(Account).where(Account.id == member, Account.group_id == viewer.group)).one_or_none()
    if found is None:
        raise NotVisible
    return found


def is_last_owner(session: Session, viewer: Member) -> bool:
    """Whether the group would be without an owner if this member left."""
    return _owners(session, viewer.group) == {viewer.id}


def other_role(session: Session, viewer: Member, *, member: str) -> tuple[Account, Role]:
    """Somebody, and the role that `set_role` could give them: an editor can be made an owner, an owner can step down. Raises `Refused`."""
    found = get_member(session, viewer, member=member)
    role = Role.EDITOR if found.role is Role.OWNER else Role.OWNER
    rules.check_role(by=viewer.id, whom=found.id, role=role, owners=_owners(session, viewer.group))
    return found, role


def removable(session: Session, viewer: Member, *, member: str) -> Account:
    """Somebody whom `remove_member` would take out. Raises `Refused` for an owner."""
    found = get_member(session, viewer, member=member)
    rules.check_removal(by=viewer.id, whom=found.id, owners=_owners(session, viewer.group))
    return found


def set_role(session: Session, viewer: Member, *, member: str, role: Role, at: datetime) -> None:
    """Make somebody an owner or an editor. An editor asks nobody in, so the invitations of one who steps down end. Raises `Refused`."""
    owners = lock_owners(session, group=viewer.group)
    found = get_member(session, viewer, member=member)
    rules.check_role(by=viewer.id, whom=found.id, role=role, owners=owners)
    if change_role(session, found, role=role, owners=owners, at=at):
        kind = ActivityKind.OWNER_MADE if role is Role.OWNER else ActivityKind.EDITOR_MADE
        activity.record(session, kind, by=viewer, at=at, other=found.id)


def change_role(session: Session, account: Account, *, role: Role, owners: Set[str], at: datetime) -> bool:
    """The same for a caller who holds the lock on `owners` and has asked the rules. False when there is nothing to change: the second tap
    on the button."""
    if (role is Role.OWNER) is (account.id in owners):
        return False
    account.role = role
    if role is Role.EDITOR:
        session.execute(sa.delete(Invitation).where(Invitation.created_by == account.id))
        activity.record_deletion(session, DeletionKind.OWNER, account.id, at=at)
    return True


def remove_member(session: Session, viewer: Member, *, member: str, at: datetime) -> None:
    """Take somebody out of the group: their account, sign-ins and invitations end; what they made stays. Raises `Refused`."""
    owners = lock_owners(session, group=viewer.group)
    found = get_member(session, viewer, member=member)
    rules.check_removal(by=viewer.id, whom=found.id, owners=owners)
    activity.record(session, ActivityKind.MEMBER_REMOVED, by=viewer, at=at, other=found.id)
    accounts.delete_account(session, account=found.id, at=at)


def leave(session: Session, viewer: Member, *, at: datetime) -> None:
    """A member's own account ends; what they made stays with the group. Raises `Refused` for the last owner."""
    rules.check_leaving(viewer.id, owners=lock_owners(session, group=viewer.group))
    activity.record(session, ActivityKind.MEMBER_LEFT, by=viewer, at=at)
    accounts.delete_account(session, account=viewer.id, at=at)


# --- who is asked in -------------------------------------------------------------------------------------------------


def list_invitations(session: Session, viewer: Member, *, at: datetime) -> Sequence[tuple[Invitation, str]]:
    """The invitations to the member's group that nobody has used yet, the newest first, each with the name of who made it."""
    rows = session.execute(
        sa.select(Invitation, Account.name)
        .join(Account, Account.id == Invitation.created_by)
        .where(Invitation.group_id == viewer.group, Invitation.expires_at > at)
        .order_by(Invitation.created_at.desc(), Invitation.id)
    )
    return [(invitation, by) for invitation, by in rows]


def invite(session: Session, viewer: Member, *, role: Role, name: str, tokens: Tokens, at: datetime) -> tuple[Invitation, str]:
    """An address that works once and for a week: whoever opens it joins the member's group in this role. Its token is told this once."""
    rules.check_manages(viewer.id, owners=lock_owners(session, group=viewer.group))
    issued = tokens.issue(Purpose.JOIN)
    invitation = Invitation(
        group_id=viewer.group,
        role=role,
        name=name,
        digest=issued.digest,
        created_by=viewer.id,
        created_at=at,
        expires_at=at + rules.INVITATION_LASTS,
    )
    session.add(invitation)
    activity.record(session, ActivityKind.MEMBER_INVITED, by=viewer, at=at)
    session.flush()
    return invitation, issued.value


def end_invitation(session: Session, viewer: Member, *, invitation: str, at: datetime) -> None:
    """Take an invitation back. Raises `NotVisible` for one of another group, or one that was used."""
    ended = session.execute(
        sa.delete(Invitation).where(Invitation.id == invitation, Invitation.group_id == viewer.group).returning(Invitation.id)
    )
    if ended.one_or_none() is None:
        raise NotVisible
    activity.record(session, ActivityKind.INVITATION_ENDED, by=viewer, at=at)


def end_invitations(session: Session, viewer: Member) -> None:
    """Take back every invitation to the member's group."""
    session.execute(sa.delete(Invitation).where(Invitation.group_id == viewer.group))


def find_invitation(session: Session, *, token: str, tokens: Tokens, at: datetime) -> Invitation:
    """The open invitation behind a token. Raises `NotVisible` for one that is used, taken back, over or not ours."""
    digest = tokens.digest(Purpose.JOIN, token)
    found = session.scalars(sa.select(Invitation).where(Invitation.digest == digest, Invitation.expires_at > at)).one_or_none()
    if found is None:
        raise NotVisible
    return found


def join(session: Session, *, invitation: Invitation, name: str, email: str, password_hash: str, at: datetime) -> Account:
    """Use up an invitation: a new member. Raises `NotVisible` when it was used meanwhile, `Refused` for an e-mail address that can't be
    taken (the invitation then stays good)."""
    used = session.execute(
        sa.delete(Invitation).where(Invitation.id == invitation.id, Invitation.expires_at > at).returning(Invitation.id)
    )
    if used.one_or_none() is None:
        raise NotVisible
    account = accounts.add_member(
        session,
        group=invitation.group_id,
        name=name,
        email=email,
        password_hash=password_hash,
        role=invitation.role,
        at=at,
    )
    activity.record(session, ActivityKind.MEMBER_JOINED, by=accounts.as_viewer(account), at=at, other=invitation.created_by)
    return account


def forget_ended(session: Session, *, at: datetime) -> None:
    """Drop invitations whose time is over, so that a clock that is set back revives none."""
    session.execute(sa.delete(Invitation).where(Invitation.expires_at <= at))


def _owners(session: Session, group: str) -> Set[str]:
    return frozenset(session.scalars(sa.select(Account.id).where(Account.group_id == group, Account.role == Role.OWNER)))


def lock_owners(session: Session, *, group: str) -> Set[str]:
    """The owners of a group, of whom nobody else makes more or fewer until this transaction ends: two who leave at once would otherwise
    each count on the other. (SQLite has one writer anyway.)"""
    session.execute(sa.select(Group.id).where(Group.id == group).with_for_update(key_share=True))
    return _owners(session, group)
