"""Is what is stored there, ours alone, and gone when it is deleted? Asked before anything is served, and then again and again."""

import logging

import sqlalchemy as sa

from app.db import Database
from app.errors import WrongSetting
from app.house import House
from app.instance import is_hidden, note_exposure
from app.media.models import Rendition, Upload
from app.storage.check import is_exposed
from app.storage.port import Kept, ObjectMissing, Storage, StorageFailed, StorageRefuses

log = logging.getLogger("kinfold.storage")

SAMPLE = 50
"""Objects that we look for in a storage before we believe that it has none of ours."""

HOW_TO_CLOSE = (
    'Take away what lets everybody in (a policy with "Principal": "*", a public ACL, an anonymous identity, a public folder of a web '
    "server), so that a request without keys is answered with 401 or 403."
)


def check_storage(house: House) -> None:
    """Raises `WrongSetting` when the storage must not be used: another one than the database's, open to strangers, or unable to forget.

    One that can't be reached just now is no reason not to start: the server is not ready until it is back.
    """
    try:
        check_photos_are_here(house.database, house.storage)
        kept = house.storage.kept()
        exposed = is_exposed(house.storage)
    except StorageRefuses as refused:
        raise WrongSetting(
            f"The storage does not let us in; it says {refused.code or 'nothing more'}. Look at the bucket's name, at AWS_ACCESS_KEY_ID "
            "and AWS_SECRET_ACCESS_KEY, and at this machine's clock."
        ) from None
    except StorageFailed:
        log.error("the storage can't be reached; photos can't be shown or received until it is back")
        return
    if exposed:
        _note(house, exposed=True)  # others may be running
        raise WrongSetting(f"Strangers can read the storage. {HOW_TO_CLOSE}")
    if kept is Kept.LOCKED:
        raise WrongSetting(
            "The bucket has Object Lock, so nothing could ever be deleted there. Make a bucket without it, and move there if photos are in "
            "this one (flask move-storage)."
        )
    if kept is Kept.VERSIONS:
        log.warning(
            "the bucket keeps versions: what is deleted is deleted with all its versions, which takes longer, and what somebody else "
            "deletes stays for hours. Suspend versioning"
        )


def watch(house: House) -> None:
    """A sweep: as long as strangers can read the storage, photos are hidden from everybody. When it can't be told, all stays as it is."""
    exposed = is_exposed(house.storage)
    if exposed:
        log.error("strangers can read the storage, so photos are hidden until it is closed. %s", HOW_TO_CLOSE)
    if exposed != is_hidden(house.database):
        _note(house, exposed=exposed)
        if not exposed:
            log.warning("strangers can't read the storage any more, photos are shown again")


def _note(house: House, *, exposed: bool) -> None:
    with house.database.writing() as session:
        note_exposure(session, since=house.clock.now() if exposed else None)


def check_photos_are_here(database: Database, storage: Storage) -> None:
    """Raises `WrongSetting` for another storage than the database's."""
    with database.reading() as session:
        found = [session.scalars(sa.select(table.object_name).limit(SAMPLE)).all() for table in (Rendition, Upload)]
    names = [name for some in found for name in some if name is not None]
    for name in names:
        try:
            storage.size(name)
        except ObjectMissing:
            continue
        return
    if names:
        raise WrongSetting(
            "The database has photos, but none of them is in this storage. Was KINFOLD_STORAGE_URL changed, or a disk not mounted? Put it "
            "back; to move photos from one storage to another, use flask move-storage first. Nothing was changed."
        )
