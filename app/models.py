"""Every feature's models, for the migrations and the tests that look at all tables at once."""

from app.accounts.models import Account, OneTimeAddress, SignedIn
from app.activity.models import Activity, Deletion
from app.albums.models import Album
from app.answers.models import Heart, Note, Seen, Voice
from app.db import Base
from app.groups.models import Group, Invitation
from app.instance import Instance
from app.media.models import Incoming, IncomingPart, Photo, Rendition, Upload
from app.notifications.models import Notification, PushSubscription
from app.reports.models import Report
from app.sharing.models import DeviceRow, Grant, Guest, Link, NewPhone
from app.storage.models import Removal

__all__ = [
    "Account",
    "Activity",
    "Album",
    "Base",
    "Deletion",
    "DeviceRow",
    "Grant",
    "Group",
    "Guest",
    "Heart",
    "Incoming",
    "IncomingPart",
    "Instance",
    "Invitation",
    "Link",
    "NewPhone",
    "Note",
    "Notification",
    "OneTimeAddress",
    "Photo",
    "PushSubscription",
    "Removal",
    "Rendition",
    "Report",
    "Seen",
    "SignedIn",
    "Upload",
    "Voice",
]
