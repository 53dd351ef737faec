"""Groups: founding one by a one-time address."""

from datetime import datetime

from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.models import Account, AddressKind, OneTimeAddress
from app.activity import service as activity
from app.activity.models import ActivityKind
from app.errors import NotVisible
from app.groups.models import Group, GroupKind
from app.security.passwords import Passwords
from app.security.tokens import Tokens
from app.security.viewer import Member, Role


def found_group(
    session: Session,
    *,
    address: OneTimeAddress,
    group_name: str,
    kind: GroupKind,
    name: str,
    email: str,
    password: str,
    passwords: Passwords,
    at: datetime,
) -> Account:
    """Use up a set-up address: a new group and its first owner. Raises `NotVisible` when the address was used meanwhile, `Refused`
    for an e-mail address or password that can't be taken (the address then stays good)."""
    accounts.use_up(session, address)
    group = Group(name=group_name, kind=kind, created_at=at)
    session.add(group)
    session.flush()
    owner = accounts.add_member(
        session, group=group.id, name=name, email=email, password=password, role=Role.OWNER, passwords=passwords, at=at
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
