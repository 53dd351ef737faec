"""Who is asking: facts only, frozen, without a database or a request behind them."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a member is in their group."""

    OWNER = "owner"
    EDITOR = "editor"


@dataclass(frozen=True)
class Member:
    """A person with an account who is signed in; `group` is the only group they belong to."""

    id: str
    group: str
    role: Role


@dataclass(frozen=True)
class Device:
    """A browser that was let in by a link; `guests` are the people whose device it is (a shared tablet has several)."""

    guests: tuple[str, ...]


@dataclass(frozen=True)
class Nobody:
    """A stranger, or somebody whose time has ended."""


Viewer = Member | Device | Nobody
