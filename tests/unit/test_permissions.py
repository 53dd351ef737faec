"""The policy on one page: which power an action asks, and who has it."""

from dataclasses import FrozenInstanceError

import pytest

from app.security.permissions import Action, Asks, may
from app.security.viewer import Device, Member, Nobody, Role, Viewer

OWNER, EDITOR = Member("anna", "smiths", Role.OWNER), Member("tom", "smiths", Role.EDITOR)
ROSE, NO_GUEST, STRANGER = Device(("rose",)), Device(()), Nobody()
EVERYBODY: tuple[Viewer, ...] = (OWNER, EDITOR, ROSE, NO_GUEST, STRANGER)

#                                  owner  editor  device  nobody's device  nobody
POLICY = {
    Action.KNOCK: (True, True, True, True, True),
    Action.KEEP_ACCOUNT: (True, True, False, False, False),
    Action.SEE_ALBUMS: (True, True, False, False, False),
    Action.KEEP_ALBUMS: (True, True, False, False, False),
    Action.ADD_PHOTOS: (True, True, False, False, False),
    Action.KEEP_PHOTOS: (True, True, False, False, False),
    Action.SHARE: (True, True, False, False, False),
    Action.SEE_GROUP: (True, True, False, False, False),
    Action.MANAGE_MEMBERS: (True, False, False, False, False),
    Action.KEEP_GROUP: (True, False, False, False, False),
    Action.ANSWER_REPORTS: (True, False, False, False, False),
    Action.STOP_ALL_SHARING: (True, False, False, False, False),
    Action.SEE_SHARED: (False, False, True, False, False),
    Action.ANSWER: (False, False, True, False, False),
}


@pytest.mark.parametrize("action", Action)
def test_everybody_may_do_what_the_policy_says(action: Action) -> None:
    assert tuple(may(viewer, action) for viewer in EVERYBODY) == POLICY[action]


@pytest.mark.parametrize("action", Action)
def test_every_action_says_what_it_means_and_who_has_it(action: Action) -> None:
    assert action.meaning
    assert bool(action.roles) == (action.asks is Asks.MEMBER)


def test_who_is_asking_can_not_be_changed_on_the_way() -> None:
    with pytest.raises(FrozenInstanceError):
        OWNER.group = "martins"  # type: ignore[misc]
