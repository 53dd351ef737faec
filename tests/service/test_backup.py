"""Backups: what is in one and what is not, restoring it anywhere, and what a file gets that somebody has touched."""

import base64
import errno
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import Result

from app.accounts import service as accounts
from app.accounts.models import Account
from app.activity import service as activity
from app.activity.models import ActivityKind, DeletionKind
from app.albums.models import Album
from app.answers import service as answers
from app.answers.models import Heart, Note, Voice
from app.clock import HandClock
from app.config import Settings
from app.db import Database
from app.errors import WrongSetting
from app.groups import service as groups
from app.groups.models import Group, Invitation
from app.house import House, open_house
from app.ingest import service as ingest
from app.instance import Instance, open_private
from app.jobs.executors import FileLocks, locks_for
from app.media import service as media
from app.media.models import Photo, PhotoState, Rendition, Upload
from app.notifications import service as notifications
from app.ops import journal
from app.ops.backup import archive as archive_format
from app.ops.backup import restoring
from app.ops.backup.archive import BLOCK, Archive, BackupBroken, BackupBusy, Writing
from app.ops.backup.checking import prove
from app.ops.backup.commands import backup as backup_command
from app.ops.backup.commands import restore as restore_command
from app.ops.backup.making import Made, make
from app.ops.backup.reading import tidy_scratch
from app.ops.backup.restoring import NotEmpty, Restored, restore
from app.ops.journal import Journal, JournalBroken
from app.ops.keyfiles import key_texts
from app.ops.migrate import migrate
from app.ops.people import without_owner
from app.security.sealing import MasterKey
from app.security.viewer import Role
from app.sharing import service as sharing
from app.sharing.models import DeviceRow, EndedBy, Grant, Guest, Link
from app.sharing.rules import LinkState
from app.storage.memory import InMemory
from app.storage.port import ObjectMissing, StorageFailed
from app.storage.sealed import Sealed, SealedKey
from tests.conftest import PASSWORD, START, Family, tiny_jpeg
from tests.machine import lines_by_table, plain_bytes

PASSPHRASE = "six ducks on a red boat"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kinfold.tar"


def write(house: House, file: Path, passphrase: str | None = None) -> Made:
    return make(house, file, version="0.1.0", passphrase=passphrase)


class Elsewhere:
    """Another machine: an empty data folder, with the keys of the first one unless told otherwise."""

    def __init__(self, house: House, folder: Path, clock: HandClock) -> None:
        self._house, self.folder, self.clock = house, folder, clock
        self.settings = Settings.from_env({"KINFOLD_DATA": str(folder)})

    def take_keys(self) -> "Elsewhere":
        keys = key_texts(self._house.settings)
        self.settings = replace(self.settings, master_key=keys.master, secret_key=keys.secret)
        return self

    def restore(self, file: Path, **how: object) -> Restored:
        archive = Archive(file)
        try:
            return restore(self.settings, archive, clock=self.clock, **how)  # type: ignore[arg-type]
        finally:
            archive.close()

    def open(self) -> House:
        return open_house(self.settings, clock=self.clock)

    def is_untouched(self) -> bool:
        """No row, no photo, no key, nothing begun."""
        left = [path for path in self.folder.rglob("*") if path.is_file() and path.parent.name in ("keys", "restoring")]
        photos = [path for path in (self.folder / "photos").rglob("*") if path.is_file()]
        database = self.folder / "kinfold.sqlite3"
        tables = sa.inspect(Database(f"sqlite:///{database}").engine).get_table_names() if database.exists() else []
        return not left and not photos and "group" not in tables


@pytest.fixture
def elsewhere(house: House, tmp_path: Path, clock: HandClock) -> Elsewhere:
    return Elsewhere(house, tmp_path / "elsewhere", clock).take_keys()


# --- there and back --------------------------------------------------------------------------------------------------


def test_what_is_backed_up_comes_back(cast: Family, file: Path, elsewhere: Elsewhere) -> None:
    house = cast.house
    made = write(house, file)
    assert (made.photos, made.albums, made.waiting, made.damaged) == (5, 3, [], [])
    assert file.stat().st_mode & 0o777 == 0o600 and made.bytes == file.stat().st_size
    restored = elsewhere.restore(file)
    assert (restored.photos, restored.albums) == (5, 3)
    there = elsewhere.open()
    assert plain_bytes(there) == plain_bytes(house)
    here, back = lines_by_table(house.database), lines_by_table(there.database)
    # of Egon's date both know, and the restored one has written it down
    back["grant"] = [line.replace(b'"2026-11-23T12:00:00","date",', b"null,null,") for line in back["grant"]]
    kept = set(here) - {"instance", "member_session", "one_time_address", "link", "device", "removal"}
    assert {name: back[name] for name in kept} == {name: here[name] for name in kept}
    assert not (elsewhere.folder / "restoring").exists()


def test_the_file_is_a_tar_that_shows_only_how_many_how_large_and_when(cast: Family, file: Path) -> None:
    write(cast.house, file)
    with tarfile.open(file) as tar:
        names, times, kinds = tar.getnames(), {each.mtime for each in tar}, {each.type for each in tar}
        manifest = json.load(tar.extractfile("kinfold-backup.json"))  # type: ignore[arg-type]
    assert [name for name in names if not name.startswith("albums/")] == [
        "kinfold-backup.json",
        "rows",
        "digests",
        "left-out",
        "complete",
    ]
    assert len(names) == 5 + 15 and kinds == {tarfile.REGTYPE} and times == {int(cast.house.clock.now().timestamp())}
    assert set(manifest) == {"format", "kinfold", "revision", "made_at", "instance", "key", "rows_key"}


def test_attack_10_no_canary_is_in_a_backup(cast: Family, file: Path) -> None:
    house = cast.house
    album = cast.album("Canary Title")
    photo = cast.photo("Canary Title")
    with house.database.writing() as session:
        row, _ = media.get_photo(session, cast.owner, photo=photo, master=house.master)
        media.set_caption(row, album.key, text="canary caption", at=house.clock.now())
        hashes = list(session.scalars(sa.select(sa.column("password_hash")).select_from(sa.table("member"))))
    cast.share("Canary Title", "Canary Rose")
    cast.upload("Canary Title", tiny_jpeg((9, 9, 9)) + b"Canary-Place", "canary-file-name.jpg")
    write(house, file, PASSPHRASE)
    content = file.read_bytes()
    keys = [str(key).encode() for key in vars(key_texts(house.settings)).values()]
    plain = [b"Canary", b"canary", b"anna@example.org", b"The Smiths", b"Brittany", b"argon2", PASSPHRASE.encode()]
    for canary in [*plain, *keys, *(each.encode() for each in hashes), tiny_jpeg((9, 9, 9))]:
        assert canary not in content, canary


def test_an_upload_that_waits_is_left_out_and_named(cast: Family, file: Path, elsewhere: Elsewhere) -> None:
    waiting = cast.upload("Brittany 2026", tiny_jpeg((1, 2, 3)), "IMG_0042.jpg")
    refused = cast.upload("Brittany 2026", b"no picture", "broken.jpg")
    with cast.house.database.writing() as session:
        session.execute(sa.update(Photo).where(Photo.id == refused).values(state=PhotoState.REFUSED, reason="failed"))
        objects = list(session.scalars(sa.select(Upload.object_name)))
    made = write(cast.house, file)
    assert made.waiting == ["IMG_0042.jpg"] and made.photos == 5
    with tarfile.open(file) as tar:
        assert not set(objects) & set(tar.getnames())
    elsewhere.restore(file)
    with elsewhere.open().database.reading() as session:
        assert session.get(Photo, waiting) is None
        kept = session.get(Upload, refused)
        assert kept is not None and kept.object_name is None and kept.wrapped_key is None
        assert session.get(Photo, refused).stored == 0  # type: ignore[union-attr]


def test_a_photo_that_is_deleted_meanwhile_is_left_out(cast: Family, file: Path, elsewhere: Elsewhere) -> None:
    photo = cast.photos["Brittany 2026"][1]
    with cast.house.database.writing() as session:
        names = list(session.scalars(sa.select(Rendition.object_name).where(Rendition.photo_id == photo)))
    cast.house.storage.delete(names[1])
    made = write(cast.house, file)
    assert made.photos == 4 and made.damaged == [photo]  # nobody has deleted it: that is told
    assert prove_it(file, cast.house) == (4, set())
    assert elsewhere.restore(file).photos == 4
    with elsewhere.open().database.reading() as session:
        assert session.get(Photo, photo) is None
        ready = session.execute(sa.text("SELECT ready FROM album ORDER BY ready")).scalars().all()
        assert ready == [1, 1, 2]
    stored = {stored.name for stored in elsewhere.open().storage.list("albums/")}
    assert not set(names) & stored and len(stored) == 12


def test_a_backup_that_lacks_photos_never_takes_the_place_of_one_that_has_them(cast: Family, file: Path) -> None:
    """A disk that is not mounted, a bucket that somebody has emptied: last night's backup is what is left."""
    write(cast.house, file)
    whole, then = file.read_bytes(), _backed_up_at(cast.house)
    for stored in list(cast.house.storage.list("albums/")):
        cast.house.storage.delete(stored.name)
    cast.house.clock.move(timedelta(days=1))  # type: ignore[attr-defined]
    made = write(cast.house, file)
    assert made.photos == 0 and len(made.damaged) == 5
    assert file.read_bytes() == whole and made.path == file.with_name(f"{file.name}.damaged") and made.path.exists()
    assert _backed_up_at(cast.house) == then, "flask doctor goes on counting the days"


def _backed_up_at(house: House) -> datetime | None:
    with house.database.reading() as session:
        return session.scalars(sa.select(Instance.backed_up_at)).one()


def test_large_objects_stream(cast: Family, file: Path, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ops.backup.making.SMALL", 0)
    write(cast.house, file)
    elsewhere.restore(file)
    assert plain_bytes(elsewhere.open()) == plain_bytes(cast.house)


def test_a_large_object_that_is_deleted_while_it_is_read_is_left_out(
    cast: Family, file: Path, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = cast.photos["Brittany 2026"][1]
    with cast.house.database.reading() as session:
        gone = session.scalars(sa.select(Rendition.object_name).where(Rendition.photo_id == photo).limit(1)).one()
    real = InMemory.read

    def read(storage: InMemory, name: str, *range_: int) -> Iterator[bytes]:
        pieces = real(storage, name, *range_)
        if name == gone:
            yield next(pieces)[:10]
            raise ObjectMissing
        yield from pieces

    monkeypatch.setattr("app.ops.backup.making.SMALL", 0)
    monkeypatch.setattr(InMemory, "read", read)
    assert write(cast.house, file).damaged == [photo]
    assert prove_it(file, cast.house) == (4, set())
    assert elsewhere.restore(file).photos == 4


def test_the_instance_knows_when_it_was_backed_up(cast: Family, file: Path, elsewhere: Elsewhere) -> None:
    write(cast.house, file)
    with cast.house.database.reading() as session:
        assert session.scalars(sa.select(Instance.backed_up_at)).one() == cast.house.clock.now()
    elsewhere.restore(file)
    with elsewhere.open().database.reading() as session:
        assert session.scalars(sa.select(Instance.backed_up_at)).one() == cast.house.clock.now()


# --- making it -------------------------------------------------------------------------------------------------------


def test_an_old_backup_is_replaced_only_by_a_whole_one(cast: Family, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(cast.house, file)
    before = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Writing, "add_object", full)
    with pytest.raises(OSError, match="No space"):
        write(cast.house, file)
    assert file.read_bytes() == before and not file.with_name("kinfold.tar.partial").exists()


def test_what_a_dead_run_has_left_is_replaced_and_a_living_one_is_not_disturbed(cast: Family, file: Path) -> None:
    partial = file.with_name("kinfold.tar.partial")
    partial.write_bytes(b"x" * 1_000_000)
    partial.chmod(0o644)
    running = Writing(file, START)
    with pytest.raises(BackupBusy):
        write(cast.house, file)
    running.give_up()
    partial.write_bytes(b"x" * 1_000_000)
    write(cast.house, file)
    assert not partial.exists() and file.stat().st_mode & 0o777 == 0o600
    assert prove_it(file, cast.house) == (5, set())


def test_a_storage_that_is_gone_leaves_nothing_behind(cast: Family, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise StorageFailed("unreachable")

    monkeypatch.setattr(InMemory, "read", gone)
    with pytest.raises(StorageFailed):
        write(cast.house, file)
    assert list(file.parent.glob("kinfold.tar*")) == []


# --- proving it ------------------------------------------------------------------------------------------------------


def prove_it(file: Path, house: House) -> tuple[int, set[str]]:
    archive = Archive(file)
    try:
        proof = prove(archive, house.master, beside=file.parent)
    finally:
        archive.close()
    assert not (file.parent / "checking").exists()
    return proof.photos, proof.broken


def test_every_photo_is_proven(cast: Family, file: Path) -> None:
    write(cast.house, file)
    assert prove_it(file, cast.house) == (5, set())


def test_what_a_check_that_was_killed_has_left_is_removed_and_two_do_not_disturb_each_other(cast: Family, file: Path) -> None:
    write(cast.house, file)
    left = file.parent / "checking" / "rows.sqlite3"
    left.parent.mkdir()
    left.write_bytes(b"names of people")
    lock = FileLocks(file.parent).take("checking")
    assert lock is not None
    with pytest.raises(BackupBusy):
        prove_it(file, cast.house)
    lock.release()
    assert prove_it(file, cast.house) == (5, set())


def test_a_photo_whose_object_was_changed_is_named(cast: Family, file: Path) -> None:
    write(cast.house, file)
    photo, start = _an_object(file)
    _flip(file, start + 20)
    assert prove_it(file, cast.house) == (4, {photo(cast.house)})


def test_a_photo_that_was_damaged_before_the_backup_is_found(cast: Family, file: Path) -> None:
    """Its bytes are those that were recorded, and still it does not open."""
    photo = cast.photos["Brittany 2026"][0]
    with cast.house.database.reading() as session:
        name = session.scalars(sa.select(Rendition.object_name).where(Rendition.photo_id == photo).limit(1)).one()
    content = bytearray(b"".join(cast.house.storage.read(name)))
    content[5] ^= 1
    cast.house.storage.delete(name)
    writer = cast.house.storage.create(name)
    writer.write(content)
    writer.commit()
    write(cast.house, file)
    assert prove_it(file, cast.house) == (4, {photo})


def test_what_was_left_by_a_kill_is_swept(cast: Family) -> None:
    """There are names in it, so the worker removes it, but not under the hands of whoever is at it."""
    settings, folders = cast.house.settings, [cast.house.settings.data / name for name in ("restoring", "checking")]
    for folder in folders:
        folder.mkdir()
    locks = [locks_for(settings, cast.house.database).take("restoring"), FileLocks(settings.data).take("checking")]
    tidy_scratch(settings, cast.house.database)
    assert all(folder.exists() for folder in folders)
    for lock in locks:
        assert lock is not None
        lock.release()
    tidy_scratch(settings, cast.house.database)
    assert not any(folder.exists() for folder in folders)


def test_a_restore_that_fails_at_the_very_end_puts_the_keys_back(
    cast: Family, file: Path, tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(cast.house, file, PASSPHRASE)
    elsewhere = Elsewhere(cast.house, tmp_path / "elsewhere", clock)
    migrate(elsewhere.settings)
    elsewhere.open()
    before = key_texts(elsewhere.settings)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("app.ops.backup.restoring._put_rows", full)
        with pytest.raises(OSError, match="No space"):
            elsewhere.restore(file, passphrase=PASSPHRASE)
    assert key_texts(elsewhere.settings) == before
    assert list(elsewhere.open().storage.list("albums/")) == []  # and it starts as it did before
    elsewhere.restore(file, passphrase=PASSPHRASE)
    assert plain_bytes(elsewhere.open()) == plain_bytes(cast.house)


# --- what somebody has touched -----------------------------------------------------------------------------------------


def _flip(file: Path, at: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(at)
        (byte,) = opened.read(1)
        opened.seek(at)
        opened.write(bytes([byte ^ 1]))


def _an_object(file: Path) -> tuple[Callable[[House], str], int]:
    with tarfile.open(file) as tar:
        member = next(each for each in tar if each.name.startswith("albums/"))

    def photo(house: House) -> str:
        with house.database.reading() as session:
            return session.scalars(sa.select(Rendition.photo_id).where(Rendition.object_name == member.name)).one()

    return photo, member.offset_data


def _places(file: Path) -> dict[str, int]:
    """A byte of every class there is in the file."""
    found, size = {}, file.stat().st_size
    with tarfile.open(file) as tar:
        for member in tar:
            part = "object" if member.name.startswith("albums/") else member.name
            end = member.offset_data + member.size
            found |= {
                f"header of {part}": member.offset + 130,
                f"name of {part}": member.offset + 2,
                f"{part}": member.offset_data + 11,
            }
            if member.size % BLOCK:
                found[f"padding of {part}"] = end + (BLOCK - member.size % BLOCK) // 2
    return found | {"the end": size - 700, "the last byte": size - 1}


def test_a_byte_that_was_changed_anywhere_is_refused_and_nothing_is_changed(
    cast: Family, file: Path, house: House, tmp_path: Path, clock: HandClock
) -> None:
    write(house, file)
    places = _places(file)
    assert len(places) >= 20
    for number, (what, at) in enumerate(places.items()):
        touched = tmp_path / "touched.tar"
        shutil.copy(file, touched)
        _flip(touched, at)
        elsewhere = Elsewhere(house, tmp_path / f"elsewhere-{number}", clock).take_keys()
        try:
            elsewhere.restore(touched)
        except (BackupBroken, WrongSetting) as refused:
            assert str(refused).endswith("."), what
        else:
            pytest.fail(f"a changed byte was not noticed: {what}")
        assert elsewhere.is_untouched(), what


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9, 0.999])
def test_half_a_backup_is_refused(cast: Family, file: Path, elsewhere: Elsewhere, share: float) -> None:
    write(cast.house, file)
    os.truncate(file, int(file.stat().st_size * share))
    with pytest.raises(BackupBroken, match=r"only a part of a backup|not a backup"):
        elsewhere.restore(file)
    assert elsewhere.is_untouched()


def test_what_was_added_behind_the_end_is_refused(cast: Family, file: Path, elsewhere: Elsewhere) -> None:
    write(cast.house, file)
    with file.open("ab") as opened:
        opened.write(bytes(BLOCK))
    with pytest.raises(BackupBroken):
        elsewhere.restore(file)


@pytest.mark.parametrize("content", [b"", b"hello", bytes(10_240), b"PK\x03\x04" * 1000])
def test_something_else_is_no_backup(file: Path, elsewhere: Elsewhere, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(BackupBroken, match="not a backup of Kinfold"):
        elsewhere.restore(file)


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    told = tarfile.TarInfo(name)
    told.type, told.linkname = kind, link
    return told


@pytest.mark.parametrize(
    ("member", "sentence"),
    [
        (_member("/etc/cron.d/evil"), "an absolute path"),
        (_member("albums/../../evil"), "leads out of it"),
        (_member("albums/a/b", tarfile.SYMTYPE, "/etc/passwd"), "a link"),
        (_member("albums/a/b", tarfile.LNKTYPE, "rows"), "a link"),
        (_member("albums/a/b", tarfile.CHRTYPE), "a device"),
        (_member("albums/a/b", tarfile.FIFOTYPE), "a device"),
        (_member("albums/a/b"), "a file twice, in another place, or one that is not its own"),
        (None, "a file twice, in another place, or one that is not its own"),
    ],
)
def test_nothing_is_unpacked_that_kinfold_did_not_put_there(
    cast: Family, file: Path, elsewhere: Elsewhere, member: tarfile.TarInfo | None, sentence: str
) -> None:
    """Put in front of the second object; None: the first object once more."""
    write(cast.house, file)
    with tarfile.open(file) as tar:
        first, second = [each for each in tar if each.name.startswith("albums/")][:2]
    content = file.read_bytes()
    evil = content[first.offset : second.offset] if member is None else member.tobuf(tarfile.USTAR_FORMAT)
    file.write_bytes(content[: second.offset] + evil + content[second.offset :])
    with pytest.raises(BackupBroken, match=sentence):
        elsewhere.restore(file)
    assert elsewhere.is_untouched()
    assert not (elsewhere.folder.parent / "evil").exists()


def test_a_backup_of_a_newer_version_is_refused(
    cast: Family, file: Path, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ops.backup.making.revision", lambda _: "9999")
    write(cast.house, file)
    with pytest.raises(BackupBroken, match="newer version"):
        elsewhere.restore(file)
    assert elsewhere.is_untouched()
    monkeypatch.setattr("app.ops.backup.making.FORMAT", archive_format.FORMAT + 1)
    write(cast.house, file)
    with pytest.raises(BackupBroken, match="newer version"):
        elsewhere.restore(file)


def test_a_backup_of_an_older_version_is_brought_up_to_date(file: Path, elsewhere: Elsewhere, house: House) -> None:
    """Written by hand as the first version of the tables would have it."""
    key, wrapped = house.master.new_album("backup")
    rows_key = key.new_object_key()
    at, group = "2026-01-01T00:00:00", "g" * 26
    tables = {
        "instance": [{"id": 1, "master_check": "", "secret_check": "", "latest": at}],
        "group": [{"id": group, "name": "The Smiths", "kind": "family", "quota": None, "created_at": at}],
        "guest": [{"id": "r" * 26, "group_id": group, "name": "Rose", "created_at": at, "created_by": None}],
    }
    lines = []
    for table, content in tables.items():
        lines.append(archive_format.as_json({"table": table, "columns": list(content[0])}) + b"\n")
        lines += [json.dumps(list(row.values())).encode() + b"\n" for row in content]
    writing = Writing(file, START)
    writing.add(
        archive_format.MANIFEST,
        {
            "format": 1,
            "kinfold": "0.0.1",
            "revision": "0001",
            "made_at": START.isoformat(),
            "instance": "",
            "key": base64.b64encode(wrapped).decode(),
            "rows_key": base64.b64encode(key.seal_field("rows", "backup", rows_key)).decode(),
        },
    )
    writing.add_rows(lines, rows_key)
    writing.finish([])
    elsewhere.restore(file)
    with elsewhere.open().database.reading() as session:
        assert session.scalars(sa.select(Group.name)).one() == "The Smiths"
        assert session.execute(sa.text("SELECT folded FROM guest")).scalar_one() == "rose"


# --- only into an empty instance ----------------------------------------------------------------------------------------


def test_restoring_onto_a_family_is_refused(cast: Family, file: Path, elsewhere: Elsewhere) -> None:
    write(cast.house, file)
    elsewhere.restore(file)
    before = lines_by_table(elsewhere.open().database)
    with pytest.raises(NotEmpty, match="family, school or club"):
        elsewhere.restore(file)
    assert lines_by_table(elsewhere.open().database) == before and plain_bytes(elsewhere.open()) == plain_bytes(cast.house)


def test_restoring_onto_photos_of_somebody_else_is_refused(cast: Family, file: Path, elsewhere: Elsewhere) -> None:
    write(cast.house, file)
    somebodys = elsewhere.folder / "photos/albums/a/b"
    somebodys.parent.mkdir(parents=True)
    somebodys.write_bytes(b"theirs")
    with pytest.raises(NotEmpty, match="photos in the storage"):
        elsewhere.restore(file)
    assert somebodys.read_bytes() == b"theirs"


def test_an_instance_that_was_only_started_once_is_empty_too(cast: Family, file: Path, tmp_path: Path, clock: HandClock) -> None:
    """Its keys were just made and have sealed nothing: those in the backup take their place."""
    write(cast.house, file, PASSPHRASE)
    elsewhere = Elsewhere(cast.house, tmp_path / "elsewhere", clock)
    migrate(elsewhere.settings)
    elsewhere.open()
    elsewhere.restore(file, passphrase=PASSPHRASE)
    assert plain_bytes(elsewhere.open()) == plain_bytes(cast.house)


def test_a_newer_database_is_left_alone(cast: Family, file: Path, elsewhere: Elsewhere) -> None:
    write(cast.house, file)
    migrate(elsewhere.settings)
    database = Database(elsewhere.settings.database_url)
    with database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NotEmpty, match="newer version"):
        elsewhere.restore(file)


# --- keys ------------------------------------------------------------------------------------------------------------


def test_without_the_master_key_nothing_is_restored(cast: Family, file: Path, tmp_path: Path, clock: HandClock) -> None:
    write(cast.house, file)
    elsewhere = Elsewhere(cast.house, tmp_path / "elsewhere", clock)
    with pytest.raises(BackupBroken, match="no master key here"):
        elsewhere.restore(file)
    elsewhere.take_keys()
    elsewhere.settings = replace(elsewhere.settings, master_key=MasterKey.generate())
    with pytest.raises(BackupBroken, match="does not open this backup"):
        elsewhere.restore(file)
    assert elsewhere.is_untouched()


def test_the_keys_travel_under_a_passphrase(cast: Family, file: Path, tmp_path: Path, clock: HandClock) -> None:
    write(cast.house, file, PASSPHRASE)
    elsewhere = Elsewhere(cast.house, tmp_path / "elsewhere", clock)
    with pytest.raises(BackupBroken, match="passphrase of the keys"):
        elsewhere.restore(file)
    with pytest.raises(BackupBroken, match="This passphrase does not open"):
        elsewhere.restore(file, passphrase="another one, quite long")
    assert elsewhere.is_untouched()
    elsewhere.restore(file, passphrase=PASSPHRASE)
    assert key_texts(elsewhere.settings) == key_texts(cast.house.settings)
    assert {key.name: key.stat().st_mode & 0o777 for key in (elsewhere.folder / "keys").iterdir()} == {
        "master.key": 0o600,
        "secret.key": 0o600,
    }
    assert plain_bytes(elsewhere.open()) == plain_bytes(cast.house)


def test_without_the_secret_key_a_new_one_will_do_but_not_for_keeping_links(
    cast: Family, file: Path, tmp_path: Path, clock: HandClock
) -> None:
    write(cast.house, file)
    for keep_links in (True, False):
        elsewhere = Elsewhere(cast.house, tmp_path / f"elsewhere-{keep_links}", clock).take_keys()
        elsewhere.settings = replace(elsewhere.settings, secret_key=None)
        if keep_links:
            with pytest.raises(WrongSetting, match="secret key does not belong"):
                elsewhere.restore(file, keep_links=True)
            assert elsewhere.is_untouched()
        else:
            elsewhere.restore(file)
            assert elsewhere.open().keys.secret_keys != cast.house.keys.secret_keys


# --- attack 13, the second half: nothing revives ------------------------------------------------------------------------


def ways_in(house: House) -> dict[str, int]:
    at = house.clock.now()
    with house.database.reading() as session:
        count = lambda query: len(session.execute(query).all())  # noqa: E731
        return {
            "links": count(sa.select(Link.id).where(*sharing.live_link(at))),
            "devices": count(sa.select(DeviceRow.id).where(*sharing.live_device(at))),
            "grants": count(sa.select(Grant.id).where(*sharing.live_grant(at))),
            "sessions": count(sa.text("SELECT id FROM member_session")),
            "invitations": count(sa.select(Invitation.id)),
        }


@pytest.fixture
def busy(cast: Family) -> Family:
    """The cast, with an invitation that is open."""
    at = cast.house.clock.now()
    with cast.house.database.writing() as session:
        session.add(
            Invitation(
                group_id=cast.owner.group,
                role="editor",
                name="Tom",
                digest=b"d",
                created_by=cast.owner.id,
                created_at=at,
                expires_at=at + timedelta(days=7),
            )
        )
    return cast


def test_restoring_ends_every_way_in(busy: Family, file: Path, elsewhere: Elsewhere) -> None:
    before = ways_in(busy.house)
    assert all(before.values())
    write(busy.house, file)
    elsewhere.restore(file)
    assert ways_in(elsewhere.open()) == {"links": 0, "devices": 0, "grants": before["grants"], "sessions": 0, "invitations": 0}


def test_unless_they_are_to_be_kept(busy: Family, file: Path, elsewhere: Elsewhere) -> None:
    write(busy.house, file)
    restored = elsewhere.restore(file, keep_links=True)
    kept = ways_in(busy.house) | {
        "sessions": 0,
        "invitations": 0,
    }  # what works once may have been used, and nobody noted who signed out
    assert ways_in(elsewhere.open()) == kept and kept["links"] and kept["devices"]
    assert not restored.without_password and not restored.without_owner


def test_what_was_taken_from_somebody_since_is_not_given_back(
    busy: Family, file: Path, elsewhere: Elsewhere, clock: HandClock
) -> None:
    """A password that was changed, a link that was sent again, the right to save, and the place of an owner."""
    house, rose = busy.house, busy.people["Rose"]
    ben, cora, dan = busy.join("Ben", Role.OWNER), busy.join("Cora", Role.OWNER), busy.join("Dan")
    with house.database.writing() as session:
        session.get_one(Grant, rose.grant).may_save = True
        dans = session.get_one(Account, dan.viewer.id)  # a moment before the backup: it has the new one
        accounts.set_password(session, account=dans, password_hash=house.passwords.hash(PASSWORD), at=clock.now())
    clock.move(timedelta(seconds=5))
    write(house, file)
    clock.move(timedelta(minutes=5))
    at = clock.now()
    with house.database.writing() as session:
        account = session.get_one(Account, ben.viewer.id)
        accounts.set_password(session, account=account, password_hash=house.passwords.hash("another boat"), at=at)
        groups.set_role(session, cora.viewer, member=cora.viewer.id, role=Role.EDITOR, at=at)
        sharing.set_saving(session, grant=session.get_one(Grant, rose.grant), may_save=False, at=at)
        guest = sharing.get_guest(session, busy.owner, guest=rose.id)
        sharing.make_link(session, busy.owner, guest=guest, until=at + timedelta(days=9), phones=3, tokens=house.tokens, at=at)
    Journal(house.settings.data).catch_up(house.database, at=at)
    restored = elsewhere.restore(file, keep_links=True, deletions=house.settings.data / journal.NAME)
    assert restored.without_password == [ben.email] and not restored.without_owner
    there = elsewhere.open()
    with there.database.reading() as session:
        for who, fits in ((ben, False), (cora, True), (dan, True)):
            found = accounts.check_password(session, email=who.email, password=PASSWORD, passwords=there.passwords)
            assert (found is not None) is fits, who
        assert session.get_one(Account, cora.viewer.id).role is Role.EDITOR
        assert session.get_one(Account, ben.viewer.id).role is Role.OWNER
        assert not session.get_one(Grant, rose.grant).may_save
        link = session.get_one(Link, rose.link)
        assert sharing.state_of_link(link, there.clock.now()) is LinkState.REPLACED and link.revoked_at is None
        assert session.scalars(sa.select(DeviceRow.id).where(DeviceRow.link_id == link.id, *sharing.live_device(at))).all()
        lines = list(journal.lines_of(session))
        assert len(lines) == len(set(lines)) and {"password", "owner", "saving", "replaced"} <= {line.kind for line in lines}


def test_a_group_that_lost_its_owner_by_it_is_named(cast: Family, file: Path, elsewhere: Elsewhere, clock: HandClock) -> None:
    house, ben = cast.house, cast.join("Ben")
    write(house, file)
    clock.move(timedelta(minutes=5))
    with house.database.writing() as session:
        groups.set_role(session, cast.owner, member=ben.viewer.id, role=Role.OWNER, at=clock.now())
        groups.leave(session, cast.owner, at=clock.now())
    Journal(house.settings.data).catch_up(house.database, at=clock.now())
    restored = elsewhere.restore(file, deletions=house.settings.data / journal.NAME)
    (group,) = restored.without_owner
    assert (group.id, group.members) == (cast.owner.group, 1) and "flask member role EMAIL owner" in group.says
    with house.database.writing() as session:
        session.execute(sa.delete(Account).where(Account.group_id == cast.owner.group))
        (empty,) = without_owner(session)
    assert empty.says == f"The Smiths has no member any more. To delete it for good: flask group delete {group.id}"


def test_a_restore_that_was_killed_clears_its_own_storage_and_no_other(
    cast: Family, file: Path, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address of the storage was changed before it was typed again: those are somebody else's photos."""
    write(cast.house, file)

    half, theirs = InMemory(), InMemory()
    for name, storage in (("half", half), ("theirs", theirs)):
        writer = storage.create(f"albums/{name}/photo")
        writer.write(b"x")
        writer.commit()
    monkeypatch.setattr(restoring, "open_storage", lambda settings: half if settings.storage_url is None else theirs)
    elsewhere.folder.mkdir()
    restoring._begin(elsewhere.folder / "restoring", elsewhere.settings)
    there = elsewhere.settings
    elsewhere.settings = replace(there, storage_url="s3://theirs/photos")
    with pytest.raises(NotEmpty, match="photos in the storage"):
        elsewhere.restore(file)
    assert [stored.name for stored in theirs.list("albums/")] == ["albums/theirs/photo"]
    elsewhere.settings = there
    assert elsewhere.restore(file).photos == 5
    assert "albums/half/photo" not in {stored.name for stored in half.list("albums/")}


def test_attack_13_an_old_backup_revives_nothing(busy: Family, file: Path, elsewhere: Elsewhere, clock: HandClock) -> None:
    """Even with --keep-links: a link that was revoked, a photo that was deleted and a grant that was ended after the backup stay so."""
    house, rose, jim = busy.house, busy.people["Rose"], busy.people["Jim"]
    write(house, file)
    clock.move(timedelta(minutes=5))
    at = clock.now()
    photo = busy.photos["Brittany 2026"][0]
    with house.database.writing() as session:
        names = list(session.scalars(sa.select(Rendition.object_name).where(Rendition.photo_id == photo)))
        sharing.revoke_link(session, busy.owner, link=rose.link, at=at)
        sharing.end_grant(session, busy.owner, grant=sharing.get_grant(session, busy.owner, grant=jim.grant), at=at)
        media.delete_photos(session, busy.owner, album=busy.albums["Brittany 2026"].id, photos=[photo], jobs=house.jobs, at=at)
    Journal(house.settings.data).catch_up(house.database, at=house.clock.now())
    clock.move(timedelta(days=10))
    restored = elsewhere.restore(file, keep_links=True, deletions=house.settings.data / journal.NAME)
    assert restored.photos == 4 and restored.undone >= 4
    there = elsewhere.open()
    with there.database.reading() as session:
        assert session.get(Link, rose.link).revoked_at == at  # type: ignore[union-attr]
        devices = session.scalars(sa.select(DeviceRow).where(DeviceRow.guest_id == rose.id)).all()
        assert devices and all(device.ended_at is not None for device in devices)
        ended = session.get(Grant, jim.grant)
        assert ended is not None and ended.ended_by is EndedBy.HAND and ended.ended_at == at
        assert session.get(Photo, photo) is None
        album = session.execute(sa.text("SELECT ready FROM album WHERE id = :id"), {"id": busy.albums["Brittany 2026"].id})
        assert album.scalar_one() == 2
    assert not set(names) & {stored.name for stored in there.storage.list("albums/")}
    # and the new instance knows it too, for the next time
    assert {line.id for line in journal.read_file(elsewhere.folder / journal.NAME)} >= {photo, jim.grant, rose.link}
    with there.database.reading() as session:
        assert photo in {line.id for line in journal.lines_of(session)}


def test_what_was_given_again_before_the_backup_is_not_ended(
    busy: Family, file: Path, elsewhere: Elsewhere, clock: HandClock
) -> None:
    house, jim = busy.house, busy.people["Jim"]
    with house.database.writing() as session:
        grant = sharing.get_grant(session, busy.owner, grant=jim.grant)
        until = grant.expires_at
        sharing.end_grant(session, busy.owner, grant=grant, at=clock.now())
    Journal(house.settings.data).catch_up(house.database, at=house.clock.now())
    clock.move(timedelta(minutes=1))
    with house.database.writing() as session:
        guest = sharing.get_guest(session, busy.owner, guest=jim.id)
        sharing.give(
            session, busy.owner, album=busy.albums["Tom is six"], guest=guest, until=until, may_save=False, at=clock.now()
        )
    write(house, file)
    elsewhere.restore(file, keep_links=True, deletions=house.settings.data / journal.NAME)
    with elsewhere.open().database.reading() as session:
        assert session.get(Grant, jim.grant).ended_at is None  # type: ignore[union-attr]


def test_what_was_committed_after_the_backup_with_an_earlier_moment_is_ended(
    busy: Family, file: Path, elsewhere: Elsewhere, clock: HandClock
) -> None:
    """It waited for somebody else, or happened on a machine whose clock is a few seconds behind."""
    house, jim, before = busy.house, busy.people["Jim"], clock.now()
    clock.move(timedelta(seconds=15))
    write(house, file)
    with house.database.writing() as session:
        sharing.stop_guest(session, busy.owner, guest=sharing.get_guest(session, busy.owner, guest=jim.id), at=before)
    Journal(house.settings.data).catch_up(house.database, at=house.clock.now())
    elsewhere.restore(file, keep_links=True, deletions=house.settings.data / journal.NAME)
    with elsewhere.open().database.reading() as session:
        assert session.get_one(Grant, jim.grant).ended_by is EndedBy.HAND
        assert session.get_one(Link, jim.link).revoked_at is not None


def test_the_journal_in_the_data_folder_is_used_by_itself(busy: Family, file: Path, elsewhere: Elsewhere) -> None:
    write(busy.house, file)
    photo = busy.photos["Tom is six"][0]
    line = journal.Line(busy.house.clock.now(), "photo", photo)
    elsewhere.folder.mkdir()
    (elsewhere.folder / journal.NAME).write_text(f"{line}\n")
    assert elsewhere.restore(file).photos == 4


def test_a_journal_that_is_none_is_refused(busy: Family, file: Path, elsewhere: Elsewhere, tmp_path: Path) -> None:
    write(busy.house, file)
    (tmp_path / "no.jsonl").write_text('{"at": "2026-01-01T00:00:00+00:00", "id": "a", "kind": "photo"}\nhello\n')
    with pytest.raises(JournalBroken, match=r"Line 2 of no\.jsonl"):
        elsewhere.restore(file, deletions=tmp_path / "no.jsonl")
    assert elsewhere.is_untouched()


def test_what_may_have_been_told_since_is_not_told_again(
    cast: Family, file: Path, elsewhere: Elsewhere, clock: HandClock
) -> None:
    """An open notification, what nobody was told of yet, an album that ends, and photos that wait for Rose."""
    clock.move(timedelta(days=27))
    rose, at = cast.people["Rose"], clock.now()
    cast.photo("Brittany 2026")
    with cast.house.database.writing() as session:
        sharing.change_guest(session.get_one(Guest, rose.id), name="Rose", email="rose@example.org", language=None)
        told, _ = (
            activity.record_guest(session, ActivityKind.NOTE_WRITTEN, group=cast.owner.group, guest=rose.id, at=at)
            for _ in range(2)
        )
        session.flush()
        notifications.tell(session, happened=told, quiet=(0, 0), at=at)

    def to_tell(house: House) -> list[int]:
        at = house.clock.now()
        with house.database.reading() as session:
            guests = notifications.with_news(session, by_mail=True, by_push=True, at=at)
            asked = notifications.due(session, at=at), notifications.untold(session, at=at), notifications.ending(session, at=at)
            return [len(each) for each in (*asked, guests)]

    clock.move(timedelta(minutes=6))
    assert all(to_tell(cast.house))
    write(cast.house, file)
    elsewhere.restore(file, keep_links=True)
    there = elsewhere.open()
    assert to_tell(there) == [0, 0, 0, 0]
    clock.move(timedelta(days=1, minutes=1))
    assert to_tell(there) == [0, 0, 0, 0], "nor tomorrow"
    with there.database.writing() as session:
        activity.record_guest(session, ActivityKind.NOTE_WRITTEN, group=cast.owner.group, guest=rose.id, at=clock.now())
    assert to_tell(there) == [0, 1, 0, 0], "but what happens from now on is"


@pytest.mark.parametrize("why", [ActivityKind.MAIL_ENDED, ActivityKind.MAIL_REFUSED])
def test_mail_that_was_ended_since_stays_ended(
    cast: Family, file: Path, elsewhere: Elsewhere, clock: HandClock, why: ActivityKind
) -> None:
    house, rose, jim = cast.house, cast.people["Rose"], cast.people["Jim"]
    for guest in (rose, jim):
        with house.database.writing() as session:
            row = session.get_one(Guest, guest.id)
            sharing.change_guest(row, name=row.name, email=f"{guest.id}@example.org", language=None)
            if guest is jim:
                sharing.end_mail(session, guest=jim.id, at=clock.now())
                sharing.mail_again(row)
    clock.move(timedelta(minutes=5))
    write(house, file)
    clock.move(timedelta(minutes=5))
    for _ in range(2):
        with house.database.writing() as session:
            sharing.end_mail(session, guest=rose.id, at=clock.now(), why=why)
    Journal(house.settings.data).catch_up(house.database, at=clock.now())
    elsewhere.restore(file, deletions=house.settings.data / journal.NAME)
    with elsewhere.open().database.reading() as session:
        assert session.get_one(Guest, rose.id).mail_ended_at == clock.now()
        assert session.get_one(Guest, jim.id).mail_ended_at is None, "he asked for it again before"
        assert [line.kind for line in journal.lines_of(session)].count("mail") == 2


def test_time_only_goes_forward(busy: Family, file: Path, house: House, tmp_path: Path) -> None:
    """A machine whose clock is a year back: what was over stays over, and what the backup has seen is not undone."""
    write(house, file)
    elsewhere = Elsewhere(house, tmp_path / "elsewhere", HandClock(START - timedelta(days=365))).take_keys()
    elsewhere.restore(file, keep_links=True)
    with elsewhere.open().database.reading() as session:
        assert session.scalars(sa.select(Instance.latest)).one() >= START
        egon = session.get(Grant, busy.people["Egon"].grant)
        assert egon is not None and egon.ended_at is not None
    late = Elsewhere(house, tmp_path / "late", HandClock(START + timedelta(days=400))).take_keys()
    late.restore(file, keep_links=True)
    assert {name: count for name, count in ways_in(late.open()).items() if name in ("links", "devices", "grants")} == {
        "links": 0,
        "devices": 0,
        "grants": 0,
    }


# --- the journal -----------------------------------------------------------------------------------------------------


def test_every_line_is_written_once_by_whichever_worker(cast: Family, clock: HandClock) -> None:
    house = cast.house
    one, other = Journal(house.settings.data), Journal(house.settings.data)
    for _ in range(2):
        one.catch_up(house.database, at=clock.now()), other.catch_up(house.database, at=clock.now())
    before = journal.read_file(house.settings.data / journal.NAME)
    assert {line.kind for line in before} == {"grant", "link", "device"}  # what Olga had
    for number in range(3):
        clock.move(timedelta(hours=2))
        with house.database.writing() as session:
            album = cast.albums["Brittany 2026"].id
            photos = [cast.photos["Brittany 2026"][number]]
            media.delete_photos(session, cast.owner, album=album, photos=photos, jobs=house.jobs, at=clock.now())
        for each in (one, other, Journal(house.settings.data)):
            each.catch_up(house.database, at=house.clock.now())
    after = journal.read_file(house.settings.data / journal.NAME)
    assert len(after) == len(set(after)) == len(before) + 3
    assert [line.id for line in after[-3:]] == cast.photos["Brittany 2026"][:3]
    content = (house.settings.data / journal.NAME).read_text()
    assert "Olga" not in content and {*json.loads(content.splitlines()[0])} == {"at", "id", "kind"}


def test_a_line_from_the_future_hides_none_of_now(cast: Family, clock: HandClock) -> None:
    """A clock was a year ahead for a while; and what ended by its date then was ended by nobody's hand."""
    house, photos = cast.house, cast.photos["Brittany 2026"]
    path, at = house.settings.data / journal.NAME, clock.now()
    album = cast.albums["Brittany 2026"].id
    with house.database.writing() as session:
        activity.record_deletion(session, DeletionKind.GUEST, "somebody", at=at + timedelta(days=366))
        sharing.end_what_is_over(session, at=at + timedelta(days=366))
    one = Journal(house.settings.data)
    one.catch_up(house.database, at=at + timedelta(days=366))
    assert [line.kind for line in journal.read_file(path) if line.at > at] == ["guest"]
    for number, each in enumerate((one, one, Journal(house.settings.data))):
        clock.move(timedelta(hours=2))
        with house.database.writing() as session:
            media.delete_photos(session, cast.owner, album=album, photos=[photos[number]], jobs=house.jobs, at=clock.now())
        each.catch_up(house.database, at=clock.now())
        lines = journal.read_file(path)
        assert photos[number] in {line.id for line in lines} and len(lines) == len(set(lines))


def test_what_is_added_is_added_once(cast: Family) -> None:
    data = cast.house.settings.data
    lines = {journal.Line(START - timedelta(days=days), "photo", f"photo-{days}") for days in (0, 1, 400)}
    for _ in range(2):
        Journal(data).add(lines)
    assert journal.read_file(data / journal.NAME) == sorted(lines)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_belongs_to_whom_the_folder_belongs_to(cast: Family) -> None:
    """`flask purge` typed as root: the worker has to be able to write there afterwards."""
    data = cast.house.settings.data
    os.chown(data, 65534, 65534)
    Journal(data).catch_up(cast.house.database, at=cast.house.clock.now())
    lock = FileLocks(data).take("restoring")
    assert lock is not None
    lock.release()
    for name in (journal.NAME, "restoring.lock"):
        made = (data / name).stat()
        assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (65534, 65534, 0o600)
    (data / "elses").touch(mode=0o600)
    os.close(open_private(data / "elses", os.O_RDWR))
    assert (data / "elses").stat().st_uid == 0  # what is there already is given to nobody


def test_half_a_line_is_written_again(cast: Family) -> None:
    path = cast.house.settings.data / journal.NAME
    Journal(cast.house.settings.data).catch_up(cast.house.database, at=cast.house.clock.now())
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    Journal(cast.house.settings.data).catch_up(cast.house.database, at=cast.house.clock.now())
    assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines())


# --- what is typed -----------------------------------------------------------------------------------------------------


@pytest.fixture
def typed(app, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:  # type: ignore[no-untyped-def]
    runner = app.test_cli_runner()

    def run(*words: object, **env: str) -> Result:
        command = restore_command if words[0] == "restore" else backup_command
        return runner.invoke(command, [str(word) for word in words[1:]], env=env)  # type: ignore[no-any-return]

    yield run


def test_what_the_commands_say(cast: Family, file: Path, typed: Callable[..., Result], tmp_path: Path) -> None:
    cast.upload("Brittany 2026", tiny_jpeg((1, 2, 3)), "IMG_0042.jpg")
    made = typed("backup", file, "--wait", 0)
    assert made.exit_code == 0, made.output
    assert "5 photos in 3 albums" in made.output and "1 upload was not ready yet" in made.output
    assert "IMG_0042" not in made.output  # nobody is at the terminal: this may be a log
    checked = typed("backup", "--check", file)
    assert (checked.exit_code, checked.output) == (0, "5 photos in 3 albums can be restored.\n")
    _, start = _an_object(file)
    _flip(file, start)
    checked = typed("backup", "--check", file)
    assert checked.exit_code == 1 and "4 photos of 5 in 3 albums can be restored. These can't:" in checked.output
    keys, here = key_texts(cast.house.settings), {"KINFOLD_DATABASE_URL": cast.house.settings.database_url}
    here |= {"KINFOLD_MASTER_KEY": str(keys.master), "KINFOLD_SECRET_KEY": str(keys.secret)}
    refused = typed("restore", file, KINFOLD_DATA=str(tmp_path), **here)
    assert refused.exit_code == 1 and "already" in refused.output
    nothing = typed("restore", tmp_path / "nothing.tar", KINFOLD_DATA=str(tmp_path / "elsewhere"))
    assert nothing.exit_code == 1 and "can't be read" in nothing.output


def test_a_full_disk_is_a_sentence(cast: Family, typed: Callable[..., Result]) -> None:
    full = typed("backup", "/dev/full/x")
    assert full.exit_code == 1 and "can't be written" in full.output


def test_keys_need_a_passphrase_of_some_length(cast: Family, file: Path, typed: Callable[..., Result]) -> None:
    assert "no terminal to ask on" in typed("backup", file, "--keys").output
    assert "at least 10" in typed("backup", file, "--keys", KINFOLD_BACKUP_PASSPHRASE="short").output
    assert not file.exists()
    assert typed("backup", file, "--keys", KINFOLD_BACKUP_PASSPHRASE=PASSPHRASE).exit_code == 0
    assert "keys" in Archive(file).manifest


# --- what guests have said and added ---------------------------------------------------------------------------------


def test_what_guests_have_said_and_added_comes_back(cast: Family, file: Path, elsewhere: Elsewhere) -> None:
    house, album, rose = cast.house, cast.albums["Brittany 2026"], cast.people["Rose"]
    photo, at = cast.photos["Brittany 2026"][0], house.clock.now()
    voice, awaiting = cast.voice("Brittany 2026", "Rose"), cast.added("Brittany 2026", "Rose")
    received = cast.upload("Brittany 2026", tiny_jpeg((1, 2, 3)))
    with house.database.writing() as session:
        answers.write_note(session, album=album, photo=photo, guest=rose.id, text="The lighthouse", at=at)
        answers.set_heart(session, photo=photo, guest=rose.id, given=True, at=at)
        session.add(Heart(photo_id=received, guest_id=rose.id, at=at))  # of a photo that is being prepared again
    made = write(house, file)
    assert (made.photos, made.damaged) == (6, [])
    assert prove(Archive(file), house.master, beside=house.settings.data).photos == 6
    assert elsewhere.restore(file).photos == 6
    there = elsewhere.open()
    assert plain_bytes(there) == plain_bytes(house)
    with there.database.reading() as session:
        said = answers.for_members(session, photos=[photo, received], key=album.key)
        assert {each.text for each in said[photo].said} == {"", "The lighthouse"} and list(said) == [photo]
        row = session.get_one(Voice, voice)
        key = Sealed(there.storage, album.key, {str(row.object_name): SealedKey(row.wrapped_key, row.size)})  # type: ignore[arg-type]
        assert b"".join(key.read(str(row.object_name))) == b"the voice of Rose"
        assert session.get_one(Photo, awaiting).state is PhotoState.AWAITING


def test_a_voice_that_is_missing_costs_no_photo(cast: Family, file: Path, elsewhere: Elsewhere) -> None:
    house, voice = cast.house, cast.voice("Brittany 2026", "Rose")
    with house.database.reading() as session:
        house.storage.delete(str(session.get_one(Voice, voice).object_name))
    made = write(house, file)
    assert (made.photos, made.damaged) == (5, [voice])
    proof = prove(Archive(file), house.master, beside=house.settings.data)
    assert (proof.photos, proof.broken) == (5, set())
    elsewhere.restore(file)
    with elsewhere.open().database.reading() as session:
        assert session.get(Voice, voice) is None
        assert session.get(Photo, cast.photos["Brittany 2026"][0]) is not None


def test_a_photo_that_is_held_since_is_shown_to_nobody(cast: Family, file: Path, elsewhere: Elsewhere) -> None:
    house, photo = cast.house, cast.photos["Brittany 2026"][0]
    write(house, file)
    with house.database.writing() as session:
        ingest.hold(session, photo=photo, at=house.clock.now())
    Journal(house.settings.data).catch_up(house.database, at=house.clock.now())
    elsewhere.restore(file, deletions=house.settings.data / "deletions.jsonl")
    with elsewhere.open().database.reading() as session:
        row = session.get_one(Photo, photo)
        assert (row.state, session.get_one(Album, row.album_id).ready) == (PhotoState.HELD, 2)


def test_what_was_said_and_taken_back_or_hidden_since_stays_so(
    cast: Family, file: Path, elsewhere: Elsewhere, clock: HandClock
) -> None:
    house, album, rose = cast.house, cast.albums["Brittany 2026"], cast.people["Rose"]
    photo, at = cast.photos["Brittany 2026"][0], house.clock.now()
    voice = cast.voice("Brittany 2026", "Rose")
    with house.database.writing() as session:
        for text in ("One", "Two"):
            answers.write_note(session, album=album, photo=photo, guest=rose.id, text=text, at=at)
        one, two = session.scalars(sa.select(Note.id)).all()
    write(house, file)
    clock.move(timedelta(hours=1))
    with house.database.writing() as session:
        at = house.clock.now()
        answers.delete_said(session, Note, photo=photo, said=one, guests=[rose.id], at=at)
        answers.delete_said(session, Voice, photo=photo, said=voice, guests=[rose.id], at=at)
        answers.set_hidden(session, cast.owner, Note, said=two, hidden=True, at=at)
    Journal(house.settings.data).catch_up(house.database, at=house.clock.now())
    elsewhere.restore(file, deletions=house.settings.data / "deletions.jsonl")
    with elsewhere.open().database.reading() as session:
        assert [(note.id, note.hidden_at is not None) for note in session.scalars(sa.select(Note))] == [(two, True)]
        assert session.get(Voice, voice) is None
