"""Which storage it is: a folder of this machine, or a bucket."""

from pathlib import Path

from app.config import Settings
from app.errors import WrongSetting
from app.storage.local import Local
from app.storage.port import Storage, StorageFailed

LOCAL = "local"
"""How the folder for photos inside the data folder is called where an address may stand."""


def open_storage(settings: Settings, where: str | None = None) -> Storage:
    """The storage that the settings name, or another one: `local`, the path of a folder, or `s3://...`. A bucket need not be reachable yet.

    Raises `WrongSetting`.
    """
    where = where or settings.storage_url or LOCAL
    if where.startswith("s3://"):
        from app.storage.s3 import S3  # with boto3, which takes a while to load

        return S3(where, connections=settings.threads)
    if where != LOCAL and not Path(where).is_absolute():  # s3:/bucket is no folder, but a slip of the finger
        raise WrongSetting("The address of a storage needs to look like s3://bucket/prefix?endpoint=..., local, or /a/folder.")
    folder = settings.data / "photos" if where == LOCAL else Path(where)
    try:
        return Local(folder)
    except StorageFailed:
        raise WrongSetting(
            f"The folder for photos, {folder}, can't be used. Is its disk mounted, and may this user write there?"
        ) from None
