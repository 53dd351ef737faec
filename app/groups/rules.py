"""Who may decide about whom in a group: pure decisions over members' identifiers.

A group always has an owner. Owners decide about editors, and each about themselves; an editor manages nobody.
"""

from collections.abc import Set
from datetime import timedelta

from app.errors import NotVisible, Refused
from app.security.viewer import Role

INVITATION_LASTS = timedelta(days=7)


def check_manages(by: str, *, owners: Set[str]) -> None:
    """Raises `NotVisible` unless it is an owner who asks: still, now that nobody else can change who is one."""
    if by not in owners:
        raise NotVisible


def check_role(*, by: str, whom: str, role: Role, owners: Set[str]) -> None:
    """Raises `Refused` when `by` can't make `whom` an owner or an editor: an owner steps down, nobody takes it from them."""
    check_manages(by, owners=owners)
    if role is Role.EDITOR and whom in owners:
        if whom != by:
            raise Refused("owner-stays")
        check_leaving(whom, owners=owners)


def check_removal(*, by: str, whom: str, owners: Set[str]) -> None:
    """Raises `Refused` when `by` can't remove `whom`: an owner leaves, nobody removes them."""
    check_manages(by, owners=owners)
    if whom in owners:
        raise Refused("owner-stays")


def check_leaving(whom: str, *, owners: Set[str]) -> None:
    """Raises `Refused` for the last owner: a group that nobody looks after would go on sharing for ever."""
    if owners == {whom}:
        raise Refused("last-owner")
