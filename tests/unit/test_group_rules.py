"""Who may decide about whom in a group."""

import pytest

from app.errors import NotVisible, Refused
from app.groups import rules
from app.security.viewer import Role

ANNA, BEN, CARL = "anna", "ben", "carl"
ONE, TWO = frozenset({ANNA}), frozenset({ANNA, BEN})


@pytest.mark.parametrize(
    ("by", "whom", "role", "owners"),
    [
        (ANNA, CARL, Role.OWNER, ONE),
        (ANNA, CARL, Role.EDITOR, ONE),
        (ANNA, BEN, Role.OWNER, TWO),
        (ANNA, ANNA, Role.OWNER, ONE),
        (ANNA, ANNA, Role.EDITOR, TWO),
        (BEN, BEN, Role.EDITOR, TWO),
    ],
)
def test_an_owner_makes_owners_and_steps_down_beside_another(by: str, whom: str, role: Role, owners: frozenset[str]) -> None:
    rules.check_role(by=by, whom=whom, role=role, owners=owners)


@pytest.mark.parametrize(
    ("by", "whom", "owners", "reason"),
    [(ANNA, BEN, TWO, "owner-stays"), (BEN, ANNA, TWO, "owner-stays"), (ANNA, ANNA, ONE, "last-owner")],
)
def test_nobody_takes_it_from_an_owner_and_the_last_one_keeps_it(by: str, whom: str, owners: frozenset[str], reason: str) -> None:
    with pytest.raises(Refused) as refused:
        rules.check_role(by=by, whom=whom, role=Role.EDITOR, owners=owners)
    assert refused.value.reason == reason


def test_an_owner_removes_editors_only() -> None:
    rules.check_removal(by=ANNA, whom=CARL, owners=TWO)
    for whom in (ANNA, BEN):
        with pytest.raises(Refused, match="owner-stays"):
            rules.check_removal(by=ANNA, whom=whom, owners=TWO)


def test_anybody_leaves_but_the_last_owner() -> None:
    rules.check_leaving(CARL, owners=ONE)
    rules.check_leaving(ANNA, owners=TWO)
    with pytest.raises(Refused, match="last-owner"):
        rules.check_leaving(ANNA, owners=ONE)


@pytest.mark.parametrize("whom", [ANNA, BEN, CARL])
def test_an_editor_manages_nobody(whom: str) -> None:
    with pytest.raises(NotVisible):
        rules.check_manages(CARL, owners=TWO)
    with pytest.raises(NotVisible):
        rules.check_removal(by=CARL, whom=whom, owners=TWO)
    for role in Role:
        with pytest.raises(NotVisible):
            rules.check_role(by=CARL, whom=whom, role=role, owners=TWO)
