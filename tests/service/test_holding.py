"""What whoever runs the server does about a photo that may be a crime: holding it, handing it to the police, and having every picture
checked before anybody sees it. The check command is a real small script behind its real walls."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from app.config import Settings
from app.errors import WrongSetting
from app.house import House
from app.ingest.checking import Check, CheckFailed
from app.ingest.jobs import enqueue_forgotten_uploads
from app.models import Activity, Photo, Report
from app.ops.doctor import examine
from tests.conftest import Family, found
from tests.web.conftest import work

BRITTANY = "Brittany 2026"
PASSPHRASE = "three boats and a gull"

Types = Callable[..., Result]


@pytest.fixture
def types(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Types:
    monkeypatch.setenv("KINFOLD_BACKUP_PASSPHRASE", PASSPHRASE)

    def type_in(*words: str, ends: int = 0) -> Result:
        result = app.test_cli_runner().invoke(args=list(words))
        assert result.exit_code == ends, (result.output, result.exception)
        return result

    return type_in


@pytest.fixture
def photo(cast: Family) -> str:
    return cast.photos[BRITTANY][0]


def test_holding_and_releasing_by_hand(cast: Family, house: House, types: Types, photo: str) -> None:
    assert "No photo is held" in types("hold", "--list").output
    with house.database.writing() as session:
        session.add(Report(photo_id=photo, at=house.clock.now()))
    assert "REPORTS    1 not answered" in types("status").output
    assert "nobody can delete it" in types("hold", photo).output
    assert f"{photo}  held  reported once" in types("hold").output
    said = types("status").output
    assert "held       1 as evidence" in said and "4 ready" in said and "REPORTS" not in said
    assert types("group", "delete", cast.owner.group, "--yes", ends=1).output.startswith("Error: A photo of theirs is held")
    assert "can be seen again" in types("hold", photo, "--release").output
    assert "not held" in types("hold", photo, "--release", ends=1).output
    assert "no photo with this identifier" in types("hold", "a" * 26, ends=1).output


def test_the_police_get_one_sealed_file_with_the_photo_and_what_is_known(
    cast: Family, house: House, types: Types, photo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, folder = tmp_path / "for-the-police", tmp_path / "opened"
    assert "Hold it first" in types("hold-export", photo, "--to", str(file), ends=1).output
    types("hold", photo)
    types("hold-export", photo, "--to", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "is there already" in types("hold-export", photo, "--to", str(file), ends=1).output
    content = file.read_bytes()
    for secret in (b"Rose", b"Anna", b"Brittany", b"\xff\xd8\xff", b"facts.json"):
        assert secret not in content
    types("hold-open", str(file), "--to", str(folder))
    assert {path.name for path in folder.iterdir()} == {"facts.json", "grid.jpeg", "screen.jpeg", "full.jpeg"}
    facts = json.loads((folder / "facts.json").read_text())
    assert (facts["photo"], facts["group"], facts["album"]) == (photo, "The Smiths", BRITTANY)
    assert facts["added_by_member"] == f"Anna <{cast.email}>"
    assert {each["guest"] for each in facts["shared_with"]} == {"Rose", "Olga", "Egon"}
    assert (folder / "screen.jpeg").read_bytes().endswith(b"0screen")
    monkeypatch.setenv("KINFOLD_BACKUP_PASSPHRASE", "another passphrase")
    assert "does not open" in types("hold-open", str(file), "--to", str(tmp_path / "other"), ends=1).output
    monkeypatch.setenv("KINFOLD_BACKUP_PASSPHRASE", PASSPHRASE)
    for changed in (content[:-1], content[:-40] + bytes(40), content + b"x"):
        file.write_bytes(changed)
        said = types("hold-open", str(file), "--to", str(tmp_path / "changed"), ends=1).output
        assert "was changed after it was written" in said and not (tmp_path / "changed").exists()


def test_a_backup_keeps_what_is_held(cast: Family, types: Types, photo: str, tmp_path: Path) -> None:
    types("hold", photo)
    file = str(tmp_path / "backup")
    types("backup", file)
    assert "5 photos in 3 albums can be restored" in types("backup", "--check", file).output


# --- the check command


def script(folder: Path, body: str) -> str:
    """A check command that does this."""
    path = folder / "check.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_a_check_sees_the_picture_and_nothing_else_and_answers_by_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINFOLD_MASTER_KEY", "what no check may see")
    body = "/usr/bin/env | /bin/grep -q KINFOLD && exit 3\n[ $(/usr/bin/head -c 3) = BAD ] && exit 10\nexit 0"
    check = Check(script(tmp_path, body))
    assert (check.passes(b"BAD picture"), check.passes(b"a good one"), check.passes(b"x" * 5_000_000)) == (False, True, True)


@pytest.mark.parametrize(
    ("body", "state", "word"),
    [("exit 0", "ok", "answers"), ("exit 10", "failure", "holds a harmless picture"), ("exit 1", "failure", "ended with 1")],
)
def test_the_doctor_tries_it(tmp_path: Path, body: str, state: str, word: str) -> None:
    env = {"KINFOLD_DATA": str(tmp_path / "data"), "KINFOLD_CHECK_COMMAND": script(tmp_path, body)}
    (finding,) = (each for each in examine(env) if each.name == "check command")
    assert finding.state == state and word in finding.says


@pytest.mark.parametrize("body", ["exit 1", "exit 127", "kill -9 $$", "echo text > written"])
def test_whatever_else_a_check_does_is_no_yes(tmp_path: Path, body: str) -> None:
    with pytest.raises(CheckFailed):
        Check(script(tmp_path, f"cd {tmp_path}\n{body} || exit 4")).passes(b"a picture")
    assert not (tmp_path / "written").exists() or (tmp_path / "written").stat().st_size == 0


def test_a_check_that_does_not_end_is_ended_with_all_that_it_has_started(tmp_path: Path) -> None:
    check = Check(script(tmp_path, "/bin/sleep 60 &\n/bin/sleep 60"), seconds=0.5)
    with pytest.raises(CheckFailed, match="has not answered"):
        check.passes(b"a picture")


def test_a_check_reaches_nobody_where_the_kernel_can_see_to_it(tmp_path: Path) -> None:
    can = os.system("unshare --user --net true 2> /dev/null") == 0
    if not can:
        pytest.skip("users may not have a network of their own here")
    body = "[ $(/bin/grep -c : /proc/net/dev) = 1 ] || exit 5"  # the loopback, which is down, and no other
    assert Check(script(tmp_path, f"{body}\nexit 0")).passes(b"a picture")


@pytest.fixture
def checked(make_house: Callable[..., House], tmp_path: Path) -> tuple[House, Family, Path]:
    """A server with a check command, and a family whose album has one photo that has arrived."""
    path = Path(script(tmp_path, "exit 0"))
    house = make_house(KINFOLD_CHECK_COMMAND=f"{path} --strict")
    family = found(house, group_name="The Smiths", name="Anna", email="anna@example.org")
    family.album(BRITTANY)
    return house, family, path


def state_of(house: House, photo: str) -> str:
    with house.database.reading() as session:
        return session.get_one(Photo, photo).state.value


def test_a_photo_is_shown_only_after_the_check_said_yes(
    checked: tuple[House, Family, Path], caplog: pytest.LogCaptureFixture
) -> None:
    house, family, path = checked
    photo = family.upload(BRITTANY, b"a file")
    script(path.parent, "exit 3")
    work(house)
    assert state_of(house, photo) == "received"
    assert "ended with 3" in caplog.text and "it is tried again" in caplog.text
    assert len(list(house.storage.list("albums/"))) == 1, "what was made of it is not left lying"
    for _ in range(5):  # as often as it takes: it is not the file's fault
        enqueue_forgotten_uploads(house)
        work(house)
    assert state_of(house, photo) == "received"
    script(path.parent, "exit 0")
    enqueue_forgotten_uploads(house)
    work(house)
    assert state_of(house, photo) == "ready"


def test_a_photo_that_the_check_holds_is_seen_by_nobody_and_kept(
    checked: tuple[House, Family, Path], caplog: pytest.LogCaptureFixture
) -> None:
    house, family, path = checked
    script(path.parent, '[ "$1" = --strict ] && exit 10')
    photo = family.upload(BRITTANY, b"a file")
    work(house)
    assert state_of(house, photo) == "held"
    assert f"holds photo {photo}" in caplog.text
    with house.database.reading() as session:
        row = session.get_one(Photo, photo)
        assert [each.kind for each in session.query(Activity) if each.photo_id == photo] == ["photo-held"]
        assert (row.stored > 0, family.albums[BRITTANY].row.ready) == (True, 0)


@pytest.mark.parametrize("command", ["check.sh", "/no/such/program", "/etc/passwd", '/bin/sh "'])
def test_a_command_that_can_not_be_run_stops_the_start(command: str) -> None:
    with pytest.raises(WrongSetting, match="KINFOLD_CHECK_COMMAND"):
        Settings.from_env({"KINFOLD_CHECK_COMMAND": command})
