"""Every feature's models, for the migrations and the tests that look at all tables at once."""

from app.accounts.models import Account, OneTimeAddress, SignedIn
from app.activity.models import Activity
from app.albums.models import Album
from app.db import Base
from app.groups.models import Group
from app.instance import Instance
from app.media.models import Photo, Rendition, Upload
from app.sharing.models import DeviceRow, Grant, Guest, Link
from app.storage.models import Removal

__all__ = [
    "Account",
    "Activity",
    "Album",
    "Base",
    "DeviceRow",
    "Grant",
    "Group",
    "Guest",
    "Instance",
    "Link",
    "OneTimeAddress",
    "Photo",
    "Removal",
    "Rendition",
    "SignedIn",
    "Upload",
]
