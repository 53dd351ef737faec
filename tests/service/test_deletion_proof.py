"""After something was deleted it is looked for where it was: in every file of the data folder, in the database file and its log, and in
the bucket with every version that it keeps. Each trace is found there before, so that not finding it afterwards says something."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.accounts import service as accounts
from app.activity import service as activity
from app.activity.models import DeletionKind
from app.albums import service as albums
from app.clock import HandClock
from app.config import Settings
from app.db import Base
from app.groups import service as groups
from app.house import House, open_house
from app.ids import new_id
from app.media import service as media
from app.models import Account, Album, Deletion, DeviceRow, Group, Guest, Link, Photo, Rendition, SignedIn
from app.ops.migrate import migrate
from app.rights import service as rights
from app.rights.jobs import TABLES, Vacuum
from app.security.viewer import Role
from app.sharing import service as sharing
from app.storage.local import Local
from app.storage.open import open_storage
from app.storage.port import Kept
from tests import postgres
from tests.conftest import PASSWORD, found
from tests.rows import all_rows
from tests.seaweed import KEYS, Seaweed
from tests.web.conftest import work

TITLE, DESCRIPTION, CAPTION = "Harbour of Canaries", "A description like no other", "A caption like no other"
PLACE = b"Canary-Place-Ker-Lann"


@dataclass
class Traces:
    """What there is of something: bytes that lie in the database, and the names of its objects with the bytes that they begin with."""

    rows: dict[str, bytes]
    objects: dict[str, bytes] = field(default_factory=dict)


class Scene:
    """A family with one of everything, beside another family that nothing may happen to."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house, self.folder = house, folder
        self.family = found(house, group_name="The Canary Smiths", name="Wilhelmina Canary", email="wilhelmina@canary.example")
        self.others = found(house, group_name="The Martins", name="Marc", email="marc@example.org")
        for family, title, name in ((self.family, TITLE, "Rosalind Canary"), (self.others, "Alps", "Robert")):
            family.album(title)
            for _ in range(3):
                family.photo(title)
            family.share(title, name)
        with house.database.writing() as session:
            for photo in self.family.photos[TITLE]:
                key = self.family.albums[TITLE].key
                media.set_caption(session.get_one(Photo, photo), key, text=CAPTION, at=house.clock.now())
        self.tidy()

    def tidy(self) -> None:
        """What the worker does: its jobs, and then the sweep."""
        work(self.house)
        self.house.database.flatten()

    def of_photo(self, number: int = 0) -> Traces:
        photo = self.family.photos[TITLE][number]
        with self.house.database.reading() as look:
            row = look.get_one(Photo, photo)
            made = look.scalars(sa.select(Rendition).where(Rendition.photo_id == photo)).all()
        keys = {f"key of {each.name} {number}": each.wrapped_key for each in made}
        names = {f"name of {each.name} {number}": each.object_name.encode() for each in made}
        assert row.sealed_caption and row.sealed_thumbhash
        sealed = {f"caption {number}": row.sealed_caption, f"thumbhash {number}": row.sealed_thumbhash}
        return Traces(
            {**keys, **names, **sealed, f"fingerprint {number}": row.fingerprint},
            {each.object_name: next(iter(self.house.storage.read(each.object_name)))[:200] for each in made},
        )

    def of_album(self) -> Traces:
        row, photos = self.family.albums[TITLE].row, [self.of_photo(number) for number in range(3)]
        words = {"album's key": row.wrapped_key, "title": row.sealed_title, "description": row.sealed_description}
        return Traces(
            words | {what: trace for photo in photos for what, trace in photo.rows.items()},
            {name: begin for photo in photos for name, begin in photo.objects.items()},
        )

    def of_guest(self) -> Traces:
        guest = self.family.people["Rosalind Canary"]
        with self.house.database.reading() as look:
            link = look.scalars(sa.select(Link).where(Link.guest_id == guest.id)).one()
            device = look.scalars(sa.select(DeviceRow).where(DeviceRow.guest_id == guest.id)).one()
            folded = look.get_one(Guest, guest.id).folded
        return Traces(
            {
                "guest's name": b"Rosalind Canary",
                "guest's folded name": folded.encode(),
                "link": link.digest,
                "link's id": link.id.encode(),
                "cookie": device.cookie_hash,
            }
        )

    def of_member(self, account: str) -> Traces:
        with self.house.database.reading() as look:
            row = look.get_one(Account, account)
            cookies = look.scalars(sa.select(SignedIn.cookie_hash).where(SignedIn.member_id == account)).all()
        facts = {"member's name": row.name.encode(), "e-mail": row.email.encode(), "password": row.password_hash.encode()}
        return Traces(facts | {f"session {number}": cookie for number, cookie in enumerate(cookies)})

    def of_group(self) -> Traces:
        parts = [self.of_album(), self.of_guest(), self.of_member(self.family.owner.id)]
        rows = {what: trace for part in parts for what, trace in part.rows.items()}
        return Traces(rows | {"group's name": b"The Canary Smiths"}, parts[0].objects)

    def nothing_ever_lay_in_the_clear(self) -> None:
        for name, content in self.files():
            assert not [word for word in (TITLE, DESCRIPTION, CAPTION) if word.encode() in content], name
            assert b"\xff\xd8\xff" not in content, f"a picture in {name}"

    def files(self) -> Iterator[tuple[str, bytes]]:
        for path in self.folder.rglob("*"):
            if path.is_file():
                yield str(path.relative_to(self.folder)), path.read_bytes()

    def found(self, traces: Traces) -> set[str]:
        """Which of them are there: in a file, in a row, or among all versions of all objects."""
        everything = "\n".join([name for name, _ in self.files()]).encode() + b"".join(content for _, content in self.files())
        rows = repr(all_rows(self.house.database))
        there = {what for what, trace in traces.rows.items() if trace in everything or _as_in_rows(trace) in rows}
        there |= {name for name, begin in traces.objects.items() if name.encode() in everything or begin in everything}
        return there | (set(traces.objects) & self.stored())

    def stored(self) -> set[str]:
        return {stored.name for stored in self.house.storage.list("albums/")}


class InBucket(Scene):
    """The same with its objects in a bucket that keeps versions."""

    def __init__(self, house: House, folder: Path, seaweed: Seaweed, bucket: str) -> None:
        self.client, self.bucket = seaweed.client(), bucket
        super().__init__(house, folder)

    def stored(self) -> set[str]:
        """What any version or delete marker is called."""
        listed = self.client.list_object_versions(Bucket=self.bucket)
        assert not listed["IsTruncated"]
        kinds = [*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())]
        return {each["Key"].removeprefix("kinfold/") for each in kinds}


def _as_in_rows(trace: bytes) -> str:
    try:
        return repr(trace.decode())[1:-1]
    except UnicodeDecodeError:
        return repr(trace)


@pytest.fixture(params=["disk", "bucket"])
def scene(
    request: pytest.FixtureRequest,
    house: House,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_house: Callable[..., House],
) -> Scene:
    if request.param == "disk":
        return Scene(dataclasses.replace(house, storage=Local(tmp_path / "photos")), tmp_path)
    seaweed: Seaweed = request.getfixturevalue("seaweed")
    bucket = seaweed.bucket()
    seaweed.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    storage = open_storage(house.settings, seaweed.url(bucket))
    assert storage.kept() is Kept.VERSIONS
    return InBucket(dataclasses.replace(house, storage=storage), tmp_path, seaweed, bucket)


def check_gone(scene: Scene, traces: Traces, delete: Callable[[], None], *, but: Traces | None = None) -> None:
    """Everything is there before, and after deleting nothing; what is not part of it stays."""
    scene.nothing_ever_lay_in_the_clear()
    wanted = {*traces.rows, *traces.objects}
    assert scene.found(traces) == wanted, "a trace that can't be found proves nothing"
    stays = scene.stored() - set(traces.objects)
    delete()
    scene.tidy()
    assert scene.found(traces) == set()
    assert scene.stored() == stays
    if but is not None:
        assert scene.found(but) == {*but.rows, *but.objects}


def journal(scene: Scene) -> set[tuple[DeletionKind, str]]:
    with scene.house.database.reading() as look:
        return {(row.kind, row.subject) for row in look.scalars(sa.select(Deletion))}


def test_a_guest(scene: Scene) -> None:
    guest = scene.family.people["Rosalind Canary"].id

    def delete() -> None:
        with scene.house.database.writing() as session:
            row = sharing.get_guest(session, scene.family.owner, guest=guest)
            sharing.delete_guest(session, scene.family.owner, guest=row, at=scene.house.clock.now())

    check_gone(scene, scene.of_guest(), delete, but=scene.of_album())
    assert journal(scene) == {(DeletionKind.GUEST, guest)}


def test_a_guest_whose_time_is_over(scene: Scene, clock: HandClock) -> None:
    guest = scene.family.people["Rosalind Canary"].id

    def forget() -> None:
        clock.move(timedelta(days=30 + 90))
        with scene.house.database.writing() as session:
            sharing.end_what_is_over(session, at=clock.now())
            sharing.forget_people(session, at=clock.now())

    check_gone(scene, scene.of_guest(), forget, but=scene.of_album())
    assert (DeletionKind.GUEST, guest) in journal(scene)


def test_a_photo(scene: Scene) -> None:
    photo = scene.family.photos[TITLE][1]

    def delete() -> None:
        with scene.house.database.writing() as session:
            gone = media.delete_photos(
                session,
                scene.family.owner,
                album=scene.family.albums[TITLE].id,
                photos=[photo],
                jobs=scene.house.jobs,
                at=scene.house.clock.now(),
            )
            assert gone == 1

    check_gone(scene, scene.of_photo(1), delete, but=scene.of_photo(2))
    assert journal(scene) == {(DeletionKind.PHOTO, photo)}


def test_an_album(scene: Scene) -> None:
    album = scene.family.albums[TITLE]

    def delete() -> None:
        with scene.house.database.writing() as session:
            opened = albums.get_album(session, scene.family.owner, album=album.id, master=scene.house.master)
            albums.delete_album(
                session, scene.family.owner, album=opened, confirm=TITLE, jobs=scene.house.jobs, at=scene.house.clock.now()
            )

    check_gone(scene, scene.of_album(), delete, but=scene.of_guest())
    assert journal(scene) == {(DeletionKind.ALBUM, album.id)}


def test_an_account(scene: Scene) -> None:
    house, at = scene.house, scene.house.clock.now()
    with house.database.writing() as session:
        editor = accounts.add_member(
            session,
            group=scene.family.owner.group,
            name="Edwina Canary",
            email="edwina@canary.example",
            password_hash=house.passwords.hash(PASSWORD),
            role=Role.EDITOR,
            at=at,
        )
        entered = accounts.sign_in(session, account=editor, label="iPad", stay=True, replaces=None, at=at)
    scene.tidy()

    def leave() -> None:
        with house.database.writing() as session:
            groups.leave(session, entered.member, at=at)

    check_gone(scene, scene.of_member(editor.id), leave, but=scene.of_album())
    assert journal(scene) == {(DeletionKind.MEMBER, editor.id)}


def test_a_group(scene: Scene) -> None:
    group = scene.family.owner.group
    before = all_rows(scene.house.database)

    def delete() -> None:
        with scene.house.database.writing() as session:
            rights.delete_group(session, group=group, jobs=scene.house.jobs, at=scene.house.clock.now())

    check_gone(scene, scene.of_group(), delete)
    assert journal(scene) == {(DeletionKind.GROUP, group)}
    left = all_rows(scene.house.database)
    for name in ("album", "photo", "rendition", "guest", "grant", "link", "device", "member", "member_session"):
        assert len(left[name]) * 2 == len(before[name]), name
        assert all(row in before[name] for row in left[name]), name
    with scene.house.database.reading() as look:
        assert look.scalars(sa.select(Group.name)).all() == ["The Martins"]
        assert look.scalars(sa.select(Album.group_id)).all() == [scene.others.owner.group]
        assert scene.stored() == set(look.scalars(sa.select(Rendition.object_name)))


@pytest.mark.parametrize("scene", ["bucket"], indirect=True)
def test_older_versions_of_an_object_go_too(scene: Scene) -> None:
    """A photo that was overwritten, or deleted by another hand, leaves versions and delete markers in such a bucket."""
    assert isinstance(scene, InBucket)
    traces = scene.of_photo(0)
    for name in traces.objects:
        for _ in range(2):
            scene.client.put_object(Bucket=scene.bucket, Key=f"kinfold/{name}", Body=PLACE)
    with scene.house.database.writing() as session:
        rights.delete_group(session, group=scene.family.owner.group, jobs=scene.house.jobs, at=scene.house.clock.now())
    scene.tidy()
    assert not scene.stored() & set(traces.objects)


def test_what_was_never_claimed_is_no_reason_to_keep_a_group(scene: Scene) -> None:
    """An upload on its way when its album went: its object is removed with the album's other objects, or found by the sweep."""
    left = f"albums/{scene.family.albums[TITLE].id}/{new_id()}"
    writer = scene.house.storage.create(left)
    writer.write(b"sealed, and nobody's")
    writer.commit()
    with scene.house.database.writing() as session:
        rights.delete_group(session, group=scene.family.owner.group, jobs=scene.house.jobs, at=scene.house.clock.now())
    scene.tidy()
    assert left not in scene.stored()


def test_names_leave_postgresqls_own_files_but_its_log(tmp_path: Path, clock: HandClock) -> None:
    own = postgres.new_cluster()
    try:
        settings = {"KINFOLD_DATABASE_URL": own.database("names"), **postgres.KEYS}
        at_home = Settings.from_env({"KINFOLD_DATA": str(tmp_path), **settings})
        migrate(at_home)
        house = open_house(at_home, clock=clock)
        family = found(house, group_name="The Smiths", name="Anna", email="anna@example.org")
        names = [f"Zebedee Quillfeather {number}" for number in range(50)]
        with house.database.writing() as session:
            guests = [sharing.add_guest(session, family.owner, name=name, at=clock.now()) for name in names]
        with house.database.writing() as session:
            for guest in guests:
                found_guest = sharing.get_guest(session, family.owner, guest=guest.id)
                sharing.delete_guest(session, family.owner, guest=found_guest, at=clock.now())

        def left() -> list[str]:
            with house.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(sa.text("CHECKPOINT"))
            files = [path for path in own.folder.rglob("*") if path.is_file() and "pg_wal" not in path.parts]
            return [path.name for path in files if b"uillfeather" in path.read_bytes()]

        assert left()
        Vacuum(house)()
        assert left() == []
        house.database.close()
    finally:
        own.stop()
        own.remove()


def test_postgresql_is_asked_to_overwrite_what_was_deleted_and_only_then(tmp_path: Path, clock: HandClock) -> None:
    settings = {"KINFOLD_DATABASE_URL": postgres.cluster().database("vacuum"), **postgres.KEYS}
    at_home = Settings.from_env({"KINFOLD_DATA": str(tmp_path), **settings})
    migrate(at_home)
    house = open_house(at_home, clock=clock)
    vacuum = Vacuum(house)

    def vacuumed() -> set[int]:
        with house.database.engine.connect() as connection:
            connection.execute(sa.text("SELECT pg_stat_clear_snapshot()"))
            count = sa.text("SELECT vacuum_count FROM pg_stat_user_tables WHERE relname = ANY(:tables)")
            return set(connection.scalars(count, {"tables": list(TABLES)}))

    for number in (1, 2):
        with house.database.writing() as session:
            activity.record_deletion(session, DeletionKind.GUEST, new_id(), at=clock.now())
        for _ in range(2):
            vacuum()
            assert vacuumed() == {number}
        clock.move(timedelta(minutes=1))
    house.database.close()


def test_every_table_that_a_deletion_touches_is_vacuumed() -> None:
    touched = {"group"}
    while True:
        more = {
            table.name
            for table in Base.metadata.tables.values()
            for key in table.foreign_keys
            if key.column.table.name in touched
        }
        if more <= touched:
            break
        touched |= more
    assert touched <= set(TABLES)
