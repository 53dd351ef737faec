"""The cast, and the stage they stand on.

Anna (owner of The Smiths) has shared "Brittany 2026" with Rose, and "Tom is six" with Jim. Olga could see Brittany until Anna stopped it,
Egon until his date came. Marc belongs to another family. The database is a real SQLite file (or, see `postgres.py`, a real PostgreSQL
database); time stands still until a test moves it.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from PIL import Image
from sqlalchemy import event

from app import create_app
from app.accounts import service as accounts
from app.accounts.models import AddressKind
from app.albums import service as albums
from app.albums.jobs import keep_promise
from app.albums.service import OpenAlbum
from app.answers import service as answers
from app.clock import HandClock, SystemClock
from app.config import Settings
from app.db import Database
from app.groups import service as groups
from app.groups.models import GroupKind
from app.house import House
from app.ids import new_id
from app.ingest import service as ingest
from app.ingest.decoding import Decoded, MadeRendition
from app.ingest.jobs import write
from app.ingest.receiving import FileOnItsWay
from app.ingest.service import AddingGuest
from app.instance import open_keys
from app.jobs.memory import InMemoryJobs
from app.ops.migrate import migrate
from app.security.passwords import Passwords
from app.security.permissions import Asks
from app.security.viewer import Member, Role
from app.sharing import service as sharing
from app.storage.memory import InMemory
from app.storage.port import put
from app.storage.sealed import Sealed, SealedKey
from app.web.viewer import cookie_name
from tests import postgres
from tests.lint import LintingClient
from tests.seaweed import KEYS as AWS_KEYS
from tests.seaweed import Seaweed, seaweed_in
from tests.server import Server

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PASSWORD = "a boat and two gulls"
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without a row, copied for every test that needs one."""
    folder = tmp_path_factory.mktemp("empty")
    settings = Settings.from_env({"KINFOLD_DATA": str(folder)})
    migrate(settings)
    return folder / "kinfold.sqlite3"


@pytest.fixture(scope="session")
def migrated_postgres(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same on PostgreSQL, where it is emptied for every test: its address."""
    url = postgres.cluster().database("cast")
    migrate(Settings.from_env({"KINFOLD_DATA": str(tmp_path_factory.mktemp("empty")), "KINFOLD_DATABASE_URL": url}))
    return url


@pytest.fixture(scope="session", autouse=True)
def elsewhere(request: pytest.FixtureRequest) -> Iterator[None]:
    """With `KINFOLD_TEST_DATABASE=postgresql` and `KINFOLD_TEST_STORAGE=s3` real servers keep their things there. Whatever was started
    for it does not outlive the tests."""

    @cache
    def bucket(_folder: Path) -> dict[str, str]:
        seaweed: Seaweed = request.getfixturevalue("seaweed")
        Server.disks = [*Server.disks, seaweed.folder]
        return {"KINFOLD_STORAGE_URL": seaweed.url(seaweed.bucket()), **AWS_KEYS, **postgres.KEYS}

    Server.elsewhere = staticmethod(
        lambda folder: postgres.settings_for(folder) | (bucket(folder) if os.environ.get("KINFOLD_TEST_STORAGE") == "s3" else {})
    )
    if postgres.EVERYWHERE:
        Server.disks = [postgres.cluster().folder]
    yield
    postgres.remove_cluster()


@pytest.fixture
def own_database(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """A migrated database without a row for this test: the settings that lead to it."""
    if not postgres.EVERYWHERE:
        shutil.copy(request.getfixturevalue("empty_database"), tmp_path / "kinfold.sqlite3")
        return {}
    url = request.getfixturevalue("migrated_postgres")
    postgres.empty(url)
    return {"KINFOLD_DATABASE_URL": url, **postgres.KEYS}


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    """A real S3 on loopback, for whoever asks: see `seaweed.py`."""
    with seaweed_in(tmp_path_factory.mktemp("seaweed")) as running:
        yield running


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """A whole server with these settings, in this test's folder or another; whatever was started is killed at the end."""
    made: list[Server] = []

    def make(folder: Path = tmp_path, **env: str) -> Server:
        made.append(Server(folder, **env))
        return made[-1]

    yield make
    for each in made:
        if each.starts:
            each.kill()


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    """A whole server, at work."""
    return make_server().start()


@pytest.fixture
def clock() -> HandClock:
    return HandClock(START)


def without_waiting_for_the_disk(connection: Any, _record: object) -> None:
    """What a test writes need not survive a power cut."""
    connection.execute("PRAGMA synchronous=OFF")


class Compiled(BytecodeCache):
    """Templates are compiled once a run and not once a test."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._known:
            bucket.bytecode_from_string(self._known[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key] = bucket.bytecode_to_string()


COMPILED = Compiled()


@pytest.fixture
def make_house(tmp_path: Path, own_database: dict[str, str], clock: HandClock) -> Iterator[Callable[..., House]]:
    """Real database, real keys and sealing; storage and jobs in memory; cheap password hashes."""
    made: list[House] = []

    def make(**env: str) -> House:
        settings = Settings.from_env({"KINFOLD_DATA": str(tmp_path), **own_database, **env})
        database = Database(settings.database_url)
        if database.engine.dialect.name == "sqlite":
            event.listen(database.engine, "connect", without_waiting_for_the_disk)
        made.append(
            House(
                settings=settings,
                clock=clock,
                database=database,
                storage=InMemory(SystemClock()),  # a storage has the time of its own machine
                keys=open_keys(settings, database, clock),
                passwords=Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)),
                jobs=InMemoryJobs(),
            )
        )
        return made[-1]

    yield make
    for house in made:
        house.database.close()


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    return make_house()


@pytest.fixture
def app(house: House) -> Flask:
    made = create_app(house.settings, house)
    made.jinja_env.bytecode_cache = COMPILED
    return made


def tiny_jpeg(color: tuple[int, int, int] = (200, 120, 40), size: tuple[int, int] = (64, 48)) -> bytes:
    """A small picture."""
    out = BytesIO()
    Image.new("RGB", size, color).save(out, "JPEG")
    return out.getvalue()


@dataclass
class Person:
    """A guest, with the link that was sent and the cookie of the browser that opened it."""

    id: str
    grant: str
    link: str
    token: str
    cookie: str


@dataclass
class Colleague:
    """Another member, signed in on one browser."""

    viewer: Member
    email: str
    cookie: str


@dataclass
class Family:
    """A group with its owner signed in, and what it has."""

    house: House
    owner: Member
    email: str
    cookie: str
    albums: dict[str, OpenAlbum] = field(default_factory=dict)
    photos: dict[str, list[str]] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)

    def join(self, name: str, role: Role = Role.EDITOR) -> Colleague:
        """Somebody is invited, joins and is signed in."""
        at, tokens, email = self.house.clock.now(), self.house.tokens, f"{name.lower()}-{new_id()[:8]}@example.org"
        with self.house.database.writing() as session:
            _, token = groups.invite(session, self.owner, role=role, name=name, tokens=tokens, at=at)
            account = groups.join(
                session,
                invitation=groups.find_invitation(session, token=token, tokens=tokens, at=at),
                name=name,
                email=email,
                password_hash=self.house.passwords.hash(PASSWORD),
                at=at,
            )
            entered = accounts.sign_in(session, account=account, label="iPhone", stay=True, replaces=None, at=at)
        return Colleague(entered.member, email, entered.cookie.value)

    def album(self, title: str) -> OpenAlbum:
        """A new album."""
        with self.house.database.writing() as session:
            self.albums[title] = albums.make_album(
                session, self.owner, title=title, description="", master=self.house.master, at=self.house.clock.now()
            )
        self.photos[title] = []
        return self.albums[title]

    def upload(self, title: str, content: bytes, name: str = "IMG_0001.jpg", *, by: AddingGuest | None = None) -> str:
        """A file that has arrived, from a member or `by` a guest; a worker has not looked at it yet."""
        album = self.albums[title]
        file = FileOnItsWay(self.house.storage, album, name, limit=200_000_000, room=10**12)
        file.add(content)
        arrived = file.finish()
        with self.house.database.writing() as session:
            receipt = ingest.receive(
                session, by or self.owner, album=album, arrived=arrived, jobs=self.house.jobs, at=self.house.clock.now()
            )
        return receipt.id

    def added(self, title: str, name: str) -> str:
        """A photo that a guest has added; unless the album says otherwise it waits for a member's yes."""
        return self.photo(title, by=AddingGuest(self.people[name].id, self.owner.group))

    def voice(self, title: str, name: str) -> str:
        """What a guest has said about the first photo of an album: real sealing, but no sound."""
        album, photo, at = self.albums[title], self.photos[title][0], self.house.clock.now()
        file = FileOnItsWay(self.house.storage, album, "voice", limit=1000, room=1000)
        file.add(b"a recording")
        arrived = file.finish()
        said = {"album": album, "photo": photo, "guest": self.people[name].id, "jobs": InMemoryJobs(), "at": at}
        with self.house.database.writing() as session:
            voice = answers.receive_voice(session, arrived=arrived, **said)
            waiting = answers.take_voice(session, voice=voice, master=self.house.master, at=at)
            assert waiting is not None
            keys: dict[str, SealedKey] = {}
            put(Sealed(self.house.storage, album.key, keys), f"albums/{album.id}/{voice}", [f"the voice of {name}".encode()])
            ((made, sealed),) = keys.items()
            removal = answers.make_heard(session, waiting=waiting, object_name=made, sealed=sealed, duration=3_000, at=at)
            assert removal is not None
        keep_promise(self.house, removal)
        return voice

    def photo(self, title: str, taken_at: datetime | None = None, *, by: AddingGuest | None = None) -> str:
        """A ready photo, with real sealed renditions but without having been through a decoder."""
        number = len(self.photos[title])
        content = tiny_jpeg((number * 37 % 256, number * 101 % 256, len(title))) + str(number).encode()
        decoded = Decoded(
            taken_at=taken_at,
            width=64,
            height=48,
            thumbhash=b"\x1a\x08\x02\x05\x00\x77\x88\x88\x88\x88\x88\x88",
            removed=("place", "device"),
            renditions=tuple(
                MadeRendition(name, "image/jpeg", 64, 48, content + name.encode()) for name in ("grid", "screen", "full")
            ),
        )
        return self._ready(title, content, decoded, by)

    def film(self, title: str, *, duration: int = 42_000) -> str:
        """A ready film, as long as this in milliseconds; its bytes are as little a film as `photo` makes pictures."""
        content = b"\0\0\0\x18ftypisom" + bytes(64) + str(len(self.photos[title])).encode()
        mimes = {"grid": "image/jpeg", "screen": "image/jpeg", "play": "video/mp4", "full": "video/mp4"}
        renditions = tuple(MadeRendition(name, mime, 64, 48, content + name.encode()) for name, mime in mimes.items())
        decoded = Decoded(None, 64, 48, b"\x1a\x08\x02\x05\x00\x77\x88\x88\x88\x88\x88\x88", ("place",), renditions, duration)
        return self._ready(title, content, decoded)

    def _ready(self, title: str, content: bytes, decoded: Decoded, by: AddingGuest | None = None) -> str:
        photo, at = self.upload(title, content, by=by), self.house.clock.now()
        with self.house.database.writing() as session:
            waiting = ingest.take(session, photo=photo, master=self.house.master, jobs=self.house.jobs, at=at)
            assert waiting is not None
            if decoded.duration is not None:
                ingest.turn_into_film(session, waiting=waiting, jobs=self.house.jobs)
        written = [write(self.house, waiting, rendition) for rendition in decoded.renditions]
        with self.house.database.writing() as session:
            removal = ingest.make_ready(session, waiting=waiting, decoded=decoded, written=written, jobs=self.house.jobs, at=at)
            assert removal is not None
        keep_promise(self.house, removal)
        self.photos[title].append(photo)
        return photo

    def share(
        self, title: str, name: str, *, days: float = 30, may_save: bool = False, may_add: bool = False, open_it: bool = True
    ) -> Person:
        """Somebody new may see an album, and has opened the link on one browser."""
        at = self.house.clock.now()
        with self.house.database.writing() as session:
            guest = sharing.add_guest(session, self.owner, name=name, at=at)
            shared = sharing.share(
                session,
                self.owner,
                album=self.albums[title],
                guest=guest,
                until=at + timedelta(days=days),
                may_save=may_save,
                may_add=may_add,
                phones=self.house.settings.phones,
                tokens=self.house.tokens,
                at=at,
            )
        person = Person(guest.id, shared.grant.id, shared.link.id, shared.token, "")
        if open_it:
            person.cookie = self.enrol(person)
        self.people[name] = person
        return person

    def enrol(self, person: Person, cookie: bytes | None = None) -> str:
        """Another browser opens the link: its cookie."""
        with self.house.database.writing() as session:
            link = sharing.find_link(session, token=person.token, tokens=self.house.tokens)
            issued = sharing.enrol(session, link=link, cookie=cookie, label="Android phone", at=self.house.clock.now())
            assert issued is not None
        return issued.value


def share_as(who: Colleague, family: Family, title: str, name: str) -> Person:
    """Somebody whom another member than the owner has shared an album with."""
    owner, family.owner = family.owner, who.viewer
    try:
        return family.share(title, name)
    finally:
        family.owner = owner


def found(house: House, *, group_name: str, name: str, email: str) -> Family:
    """A group with its owner signed in on one browser."""
    at = house.clock.now()
    with house.database.writing() as session:
        token = accounts.issue_address(session, kind=AddressKind.SET_UP, tokens=house.tokens, at=at)
        address = accounts.find_address(session, kind=AddressKind.SET_UP, token=token, tokens=house.tokens, at=at)
        account = groups.found_group(
            session,
            address=address,
            group_name=group_name,
            kind=GroupKind.FAMILY,
            name=name,
            email=email,
            password_hash=house.passwords.hash(PASSWORD),
            at=at,
        )
        entered = accounts.sign_in(session, account=account, label="iPhone", stay=True, replaces=None, at=at)
    return Family(house, entered.member, email, entered.cookie.value)


@pytest.fixture
def smiths(house: House) -> Family:
    """Anna's family, without an album yet."""
    return found(house, group_name="The Smiths", name="Anna", email="anna@example.org")


@pytest.fixture
def marcs(house: House) -> Family:
    """Another family on the same server, with an album and a photo of its own."""
    family = found(house, group_name="The Martins", name="Marc", email="marc@example.org")
    family.album("Alps")
    family.photo("Alps")
    return family


@pytest.fixture
def cast(smiths: Family, marcs: Family, clock: HandClock) -> Family:
    """Everybody, on the day after Egon's date."""
    smiths.album("Brittany 2026")
    smiths.album("Tom is six")
    for _ in range(3):
        smiths.photo("Brittany 2026")
    smiths.photo("Tom is six")
    smiths.share("Brittany 2026", "Rose")
    smiths.share("Tom is six", "Jim")
    olga = smiths.share("Brittany 2026", "Olga")
    smiths.share("Brittany 2026", "Egon", days=1)
    with smiths.house.database.writing() as session:
        guest = sharing.get_guest(session, smiths.owner, guest=olga.id)
        sharing.stop_guest(session, smiths.owner, guest=guest, at=clock.now())
    clock.move(timedelta(days=1, minutes=1))
    return smiths


@pytest.fixture
def browser_of(app: Flask, house: House) -> Callable[..., LintingClient]:
    """A browser that holds a member's or a guest's cookie, or none; it lints every page it is given."""

    def make(*, member: str = "", device: str = "") -> LintingClient:
        client = LintingClient(app)
        for asks, value in ((Asks.MEMBER, member), (Asks.DEVICE, device)):
            if value:
                client.set_cookie(cookie_name(asks, https=house.settings.https), value, domain=client.domain)
        return client

    return make
