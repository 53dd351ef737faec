"""Everything a request or a job may need, put together once: settings, database, storage, keys, jobs, mail, clock."""

from dataclasses import dataclass

from app.clock import Clock, SystemClock
from app.config import Settings
from app.db import Database
from app.errors import WrongSetting
from app.instance import Keys, hold_master_key, is_new, open_keys
from app.jobs.engine import EngineJobs
from app.jobs.port import Jobs
from app.mail.port import Mail
from app.mail.smtp import open_mail
from app.security.passwords import Passwords
from app.security.sealing import MasterKey
from app.security.tokens import Tokens
from app.storage.open import open_storage
from app.storage.port import Storage, StorageFailed


@dataclass(frozen=True, kw_only=True)
class House:
    """The tools of one process. Views reach it through `house()` of `app.web.session`, jobs get it when they are made."""

    settings: Settings
    clock: Clock
    database: Database
    storage: Storage
    keys: Keys
    passwords: Passwords
    jobs: Jobs
    mail: Mail | None = None
    """None: nobody is told anything by mail."""

    @property
    def tokens(self) -> Tokens:
        return self.keys.tokens

    @property
    def master(self) -> MasterKey:
        return self.keys.master


def open_house(settings: Settings, *, clock: Clock | None = None) -> House:
    """The real tools, as the settings name them; the database must have been migrated. Raises `WrongSetting`."""
    clock = clock or SystemClock()
    database = Database(settings.database_url, connections=settings.threads)
    storage = open_storage(settings)
    check_they_belong_together(database, storage)
    hold_master_key(settings)  # before it is read: what we hold is never newer than what we have
    keys = open_keys(settings, database, clock)
    hold_master_key(settings)  # and when it was made just now
    return House(
        settings=settings,
        clock=clock,
        database=database,
        storage=storage,
        keys=keys,
        passwords=Passwords(),
        jobs=EngineJobs(database),
        mail=open_mail(settings),
    )


def check_they_belong_together(database: Database, storage: Storage) -> None:
    """Raises `WrongSetting` for photos with an empty database: it is not mounted or mistyped, and its photos would be tidied away."""
    if is_new(database) and _has_photos(storage):
        raise WrongSetting(
            "There are photos in the storage, but the database is empty. Was it moved, mistyped or not mounted? "
            "Put it back, or choose an empty storage; if a restore broke off, type it again. Nothing was changed."
        )


def _has_photos(storage: Storage) -> bool:
    try:
        return any(not stored.name.startswith("albums/check/") for stored in storage.list("albums/"))
    except StorageFailed:
        return False  # it can't be reached: we start and are not ready, and the sweep removes nothing that it does not know
