"""Who may do what: the whole policy on one page.

Every route names one `Action`. The action says *which* of a browser's powers is asked, so powers never add up: a browser that is
both a member's and a guest's is only the member on `/albums` and only the guest's device on `/shared`. Which albums and photos it
may then touch is decided by loading them for that viewer (`albums.service`, `media.service`, `sharing.service`).
"""

from enum import Enum

from app.security.viewer import Device, Member, Role, Viewer


class Asks(Enum):
    """The power that an action asks of a browser."""

    NOBODY = "nobody"
    MEMBER = "member"
    DEVICE = "device"


EVERY_ROLE = frozenset(Role)
OWNERS = frozenset({Role.OWNER})


class Action(Enum):
    """What can be done here: the power it asks, and for members the roles that have it."""

    KNOCK = ("open to anyone: sign-in, set-up, a personal link, health", Asks.NOBODY, frozenset[Role]())
    KEEP_ACCOUNT = ("look after one's own account and sessions", Asks.MEMBER, EVERY_ROLE)
    SEE_ALBUMS = ("look at the group's albums and photos", Asks.MEMBER, EVERY_ROLE)
    KEEP_ALBUMS = ("make, change and delete albums", Asks.MEMBER, EVERY_ROLE)
    ADD_PHOTOS = ("add photos to an album", Asks.MEMBER, EVERY_ROLE)
    KEEP_PHOTOS = ("caption and delete photos", Asks.MEMBER, EVERY_ROLE)
    SHARE = ("see, invite and stop the people an album is shared with", Asks.MEMBER, EVERY_ROLE)
    SEE_GROUP = ("see who is in the group and what they did", Asks.MEMBER, EVERY_ROLE)
    MANAGE_MEMBERS = ("invite members, change their roles, remove them", Asks.MEMBER, OWNERS)
    KEEP_GROUP = ("change the group, take a copy of everything in it, delete it", Asks.MEMBER, OWNERS)
    ANSWER_REPORTS = ("answer what was said to be wrong with a photo", Asks.MEMBER, OWNERS)
    STOP_ALL_SHARING = ("end everything that the group shares", Asks.MEMBER, OWNERS)
    SEE_SHARED = ("look at what was shared with this browser's people", Asks.DEVICE, frozenset[Role]())
    ANSWER = ("say something about a photo that was shared, or add one where that is allowed", Asks.DEVICE, frozenset[Role]())

    def __init__(self, meaning: str, asks: Asks, roles: frozenset[Role]) -> None:
        self.meaning = meaning
        self.asks = asks
        self.roles = roles


def may(viewer: Viewer, action: Action) -> bool:
    """Whether this viewer has the power that the action asks; what it may be used on is decided when it is loaded."""
    match action.asks, viewer:
        case Asks.NOBODY, _:
            return True
        case Asks.MEMBER, Member(role=role):
            return role in action.roles
        case Asks.DEVICE, Device(guests=guests):
            return bool(guests)
        case _:
            return False
