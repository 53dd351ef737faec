"""`flask doctor`: is everything as it should be? Looks, changes nothing, and says in plain words what to do.

It runs also when nothing else does (see `first_aid.py`): every check stands on as little as it can, and what a broken part hides is told
once. Each check is a function from facts to a `Finding`; `examine` gathers the facts.
"""

import io
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click
import sqlalchemy as sa

from app import instance
from app.config import Settings
from app.db import Database
from app.errors import WrongSetting
from app.jobs.executors import living_workers
from app.ops.console import bar
from app.ops.exposure import check_photos_are_here
from app.ops.migrate import Standing, standing
from app.ops.people import without_owner
from app.ops.status import Totals, ago, count_up, size
from app.storage.check import RoundTripFailed, is_exposed, round_trip
from app.storage.memory import InMemory
from app.storage.open import open_storage
from app.storage.port import Kept, StorageFailed, StorageRefuses

if TYPE_CHECKING:
    from app.ops.proving import Unproven

ROOM = 1_000_000_000
"""Bytes that should be free: below it we warn, below a tenth of it uploads fail soon."""

BACKUP_EVERY = timedelta(days=7)
LONG_WAIT = 600.0
STEP_BACK = timedelta(minutes=5)
LONG_AWAY = timedelta(days=366)
WEB_ROOTS = {"www", "htdocs", "public_html", "wwwroot", "html", "static"}
FORMATS = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "avif": "AVIF", "heic": "HEIF"}
"""What the decoder reads, and what Pillow calls it."""


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """One check: what was found, in a sentence, and what to do about it, in another."""

    name: str
    state: State
    says: str
    do: str = ""


def _ok(name: str, says: str) -> Finding:
    return Finding(name, State.OK, says)


def _warning(name: str, says: str, do: str) -> Finding:
    return Finding(name, State.WARNING, says, do)


def _failure(name: str, says: str, do: str) -> Finding:
    return Finding(name, State.FAILURE, says, do)


@click.command("doctor")
@click.option("as_json", "--json", is_flag=True, help="One JSON object, for a script.")
@click.option("--prove", is_flag=True, help="Also read every stored photo and prove that nothing but the picture is in it.")
@click.option("--hide", is_flag=True, help="With --prove: show a photo that fails to nobody, until a member dismisses it.")
def doctor(as_json: bool, prove: bool, hide: bool) -> None:
    """Check keys, database, storage, decoder, clock, disk and settings, and say what to do. Ends with 1 when something is broken."""
    if hide and not prove:
        raise click.UsageError("--hide belongs to --prove.")
    findings = []
    for finding in chain(examine(os.environ), _guarded("proof", lambda: _prove(os.environ, hide=hide)) if prove else ()):
        findings.append(finding)
        if not as_json:
            _print(finding)
    failed = any(finding.state is State.FAILURE for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": not failed, "checks": [asdict(finding) for finding in findings]}))
    sys.exit(1 if failed else 0)


def _print(finding: Finding) -> None:
    colour = {State.OK: "green", State.WARNING: "yellow", State.FAILURE: "red"}[finding.state]
    click.echo(f"{click.style(f'{finding.state:<8}', fg=colour)} {finding.name:<15} {finding.says}")
    if finding.do:
        click.echo(f"{'':<24} {finding.do}")


def examine(env: Mapping[str, str]) -> Iterator[Finding]:
    """Every check that can be made, in an order in which the first failure explains the later ones."""
    try:
        settings = Settings.from_env(env)
    except WrongSetting as wrong:
        yield _failure("settings", str(wrong), "Mend this setting first; what depends on the settings was not looked at.")
    else:
        yield _ok("settings", "All settings can be understood.")
        yield check_address(settings)
        yield check_proxies(settings)
        yield from _guarded("data folder", lambda: [check_folder(settings.data, mode=_mode(settings.data))])
        yield from _guarded("key files", lambda: [check_key_files(_key_files(settings, env))])
        yield from _guarded("disk", lambda: _disks(settings))
        yield from _guarded("database", lambda: _look_at_database(settings))
        yield from _guarded("storage", lambda: _look_at_storage(settings))
        if settings.check_command:
            command = settings.check_command
            yield from _guarded("check command", lambda: [try_check(command)])
    yield from _guarded("decoder", _look_at_decoder)
    yield from _guarded("films", _look_at_films)
    yield from _guarded("swap", lambda: [check_swap(_swaps())])


def _guarded(name: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What a check finds; that it could not be made is a finding too."""
    try:
        yield from look()
    except Exception as error:  # noqa: BLE001  the doctor explains, whatever is broken
        yield _failure(name, f"This could not be checked ({type(error).__name__}).", "See what stands above; then ask again.")


# --- settings -----------------------------------------------------------------------------------------------------------


def check_address(settings: Settings) -> Finding:
    """Whether people reach us in a way that keeps their photos to themselves."""
    if settings.https:
        return _ok("address", f"People use {settings.base_url}.")
    if _is_loopback(urlsplit(settings.base_url).hostname or ""):
        return _ok("address", f"Only this machine uses {settings.base_url}; phones need an https address.")
    return _warning(
        "address",
        f"People use {settings.base_url}, without https: everybody on that network can read along, and phones offer no share sheet.",
        "Put a web server with a certificate in front and set KINFOLD_BASE_URL to its https address.",
    )


def check_proxies(settings: Settings) -> Finding:
    """Whether what proxies say is believed exactly when there is one."""
    if settings.https and not settings.trusted_proxies:
        return _warning(
            "proxies",
            "The address is https, so a proxy stands in front, but none is trusted: everybody seems to come from one address.",
            "Set KINFOLD_TRUSTED_PROXIES to how many proxies stand in front, usually 1.",
        )
    if settings.trusted_proxies and not _is_loopback(settings.host):
        return _warning(
            "proxies",
            f"X-Forwarded headers are believed, and port {settings.port} can be reached from other machines.",
            "Let only the proxy reach that port (KINFOLD_HOST=127.0.0.1, a firewall, or a network of the containers' own).",
        )
    return _ok(
        "proxies", f"{settings.trusted_proxies or 'No'} {'proxy is' if settings.trusted_proxies < 2 else 'proxies are'} trusted."
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# --- files --------------------------------------------------------------------------------------------------------------


def check_folder(folder: Path, *, mode: int | None) -> Finding:
    """Whether the data folder is nobody else's to read, and in no folder that a web server serves. `mode` is None when it is not there."""
    served = WEB_ROOTS.intersection(part.lower() for part in folder.parts)
    if served:
        return _failure(
            "data folder",
            f"{folder} looks like a folder that a web server serves ({sorted(served)[0]}).",
            "Move it elsewhere, for example to /var/lib/kinfold, and set KINFOLD_DATA.",
        )
    if mode is None:
        return _warning(
            "data folder", f"{folder} is not there yet.", "The first start makes it. If there was one, mount it again."
        )
    if mode & 0o007:
        return _failure("data folder", f"Everybody on this machine may look into {folder}.", f"chmod 700 {folder}")
    if mode & 0o070:
        return _warning("data folder", f"A group of users may look into {folder}.", f"chmod 700 {folder}")
    return _ok("data folder", f"Only its user may look into {folder}.")


def check_key_files(modes: Mapping[Path, int | None]) -> Finding:
    """Whether the files with keys are there and nobody else's to read."""
    missing = [path for path, mode in modes.items() if mode is None]
    if missing:
        return _failure("key files", f"{missing[0]} can't be found or read.", "Mount it, or put the key back from its copy.")
    loose = [path for path, mode in modes.items() if (mode or 0) & 0o077]
    if loose:
        return _warning("key files", f"Others on this machine may read {loose[0]}.", f"chmod 600 {loose[0]}")
    if not modes:
        return _ok("key files", "No key lies in a file: they come from the environment, or will be made by the first start.")
    return _ok("key files", f"Only their user may read {' and '.join(path.name for path in modes)}.")


def _key_files(settings: Settings, env: Mapping[str, str]) -> dict[Path, int | None]:
    named = [env.get(f"KINFOLD_{which}_KEY_FILE", "").strip() for which in ("MASTER", "SECRET")]
    own = [settings.data / "keys" / name for name in ("master.key", "secret.key")]
    given = [Path(path) for path in named if path] + [path for path in own if path.exists()]
    # what a container engine or systemd hands in is inside a wall of its own, whatever its mode says
    return {path: _mode(path) for path in given if not path.is_relative_to("/run/secrets")}


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def check_room(name: str, folder: Path, *, free: int) -> Finding:
    """Whether there is room on a disk; `free` is in bytes."""
    says = f"{size(free)} are free where {folder} is."
    if free < ROOM / 10:
        return _failure(name, says, "Make room now: uploads are refused when the disk is full.")
    if free < ROOM:
        return _warning(name, says, "Make room soon: uploads are refused when the disk is full.")
    return _ok(name, says)


def _disks(settings: Settings) -> Iterator[Finding]:
    folder = next(each for each in (settings.data, *settings.data.parents) if each.exists())
    yield check_room("disk", folder, free=shutil.disk_usage(folder).free)
    temporary = Path(tempfile.gettempdir())
    if temporary.stat().st_dev != folder.stat().st_dev:
        yield check_room("temporary disk", temporary, free=shutil.disk_usage(temporary).free * 10)  # it needs a tenth


def check_swap(plain: list[str] | None) -> Finding:
    """`plain` are the swap areas that are not encrypted; None where that can't be told."""
    if plain is None:
        return _ok("swap", "This system does not say whether it swaps.")
    if plain:
        return _warning(
            "swap",
            f"{plain[0]} is not encrypted: keys and pictures may be written there in the clear.",
            "Switch it off (swapoff), encrypt it, or use zram.",
        )
    return _ok("swap", "Nothing is swapped to a disk in the clear.")


def _swaps() -> list[str] | None:
    try:
        lines = Path("/proc/swaps").read_text(encoding="utf-8").splitlines()[1:]
    except OSError:
        return None
    return [name for name in (line.split()[0] for line in lines) if not _is_safe_swap(Path(name).resolve())]


def _is_safe_swap(path: Path) -> bool:
    """In memory, or behind dm-crypt."""
    if path.name.startswith("zram"):
        return True
    with suppress(OSError):
        return Path(f"/sys/block/{path.name}/dm/uuid").read_text(encoding="ascii").startswith("CRYPT-")
    return False


# --- the database and what it knows -------------------------------------------------------------------------------------


def _look_at_database(settings: Settings) -> Iterator[Finding]:
    path = settings.database_url.removeprefix("sqlite:///")
    if path != settings.database_url and not Path(path).exists():  # looking at it would make it
        yield _warning("database", "There is no database yet.", "The first start makes it. If there was one, put it back first.")
        return
    database = Database(settings.database_url)
    try:
        try:
            stands = standing(database)
        except sa.exc.DBAPIError as error:
            says = f"The database does not answer, or is none: {' '.join(str(error.orig).split()).rstrip('.?')}."
            yield _failure("database", says, "Is it running, and is KINFOLD_DATABASE_URL right?")
            return
        yield check_standing(stands)
        if stands in (Standing.OLDER, Standing.CURRENT):
            yield from _look_inside(settings, database, current=stands is Standing.CURRENT)
    finally:
        database.close()


def check_standing(stands: Standing) -> Finding:
    """Whether this version can work with the database."""
    if stands is Standing.NEWER:
        return _failure("database", "A newer version of Kinfold has used this database.", "Start that version.")
    if stands is Standing.CURRENT:
        return _ok("database", "It answers, and is at this version.")
    if stands is Standing.EMPTY:
        return _warning(
            "database", "It answers, and is empty.", "The first start fills it. If there were photos, name the right database."
        )
    return _warning(
        "database", "It answers, and is not at this version yet.", "The next start brings it up to date. Make a backup first."
    )


def _look_inside(settings: Settings, database: Database, *, current: bool) -> Iterator[Finding]:
    now, row = datetime.now(UTC), instance.Instance
    with database.reading() as session:  # the columns that every version has
        known = session.execute(sa.select(row.master_check, row.secret_check, row.latest)).one_or_none()
    if known is None:
        yield _warning("keys", "No server has started on this database yet.", "The first start notes which keys belong to it.")
        return
    yield check_keys(settings, master=known.master_check, secret=known.secret_check)
    yield check_clock(known.latest, now=now)
    if not current:
        return
    with database.reading() as session:
        totals = count_up(session, at=max(now, known.latest))
        ownerless = without_owner(session)
    yield from check_totals(totals)
    yield check_owners(len(ownerless))
    yield check_workers(living_workers(settings, database))
    yield from _look_for_photos(settings, database)


def _look_for_photos(settings: Settings, database: Database) -> Iterator[Finding]:
    """Only when they are somewhere else; whatever else is wrong with the storage is told where that is looked at."""
    no_folder = settings.storage_url is None and not (settings.data / "photos").exists()  # opening it would make it
    with suppress(StorageFailed):
        try:
            check_photos_are_here(database, InMemory() if no_folder else open_storage(settings))
        except WrongSetting as wrong:
            yield _failure("photos", str(wrong), "Kinfold does not start like this.")


def check_keys(settings: Settings, *, master: bytes, secret: bytes) -> Finding:
    """Whether the keys are those of the database with these check values."""
    try:
        instance.check_keys(instance.read_keys(settings), master_check=master, secret_check=secret)
    except WrongSetting as wrong:
        return _failure("keys", str(wrong), "Do not start with other keys: put these back, from the copy that you keep of them.")
    except OSError as error:
        return _failure(
            "keys", f"A key file can't be read: {error.strerror}.", "Give it to the user that Kinfold runs as, mode 600."
        )
    return _ok("keys", "Both keys belong to this database.")


def check_clock(latest: datetime, *, now: datetime) -> Finding:
    """Against the latest time that any process has noted: a clock that went back must be mended, though it revives nothing."""
    if latest > now + STEP_BACK:
        return Finding(
            "clock",
            State.FAILURE if latest > now + timedelta(days=1) else State.WARNING,
            f"The clock is {ago((latest - now).total_seconds())} behind what this server has seen. Nothing that ended comes back by that.",
            "Set the clock (timedatectl set-ntp true).",
        )
    if now > latest + LONG_AWAY:
        return _warning(
            "clock",
            f"Nobody has run this server for {ago((now - latest).total_seconds())}, or the clock is ahead.",
            "Make sure that the clock is right before you start: what ends by its date ends for good.",
        )
    return _ok("clock", "It goes forward from the latest time that this server has seen.")


def check_totals(totals: Totals) -> Iterator[Finding]:
    """What the counted rows say: the bucket, the backup and the queue."""
    if totals.exposed:
        yield _failure(
            "exposed",
            "Strangers could read the bucket when a worker looked last. Everything in it is sealed, and photos are hidden meanwhile.",
            "Make the bucket private. Photos come back by themselves after the next look.",
        )
    age = totals.since_backup
    if age is None:
        yield _warning(
            "backup", "No backup was ever made.", "flask backup FILE, regularly (deploy/ has a timer), to another place."
        )
    elif age > BACKUP_EVERY.total_seconds():
        yield _warning("backup", f"The last backup is {ago(age)} old.", "Find out why none was made since, and make one.")
    else:
        yield _ok("backup", f"The last backup is {ago(age)} old.")
    if (totals.waiting or 0) > LONG_WAIT:
        yield _warning(
            "queue", f"The oldest photo waits for {ago(totals.waiting or 0)}.", "Are workers at work? Their log says why not."
        )
    else:
        yield _ok("queue", "No photo waits for long.")


def check_owners(ownerless: int) -> Finding:
    """Whether every group has somebody who looks after it; `ownerless` groups have not."""
    if not ownerless:
        return _ok("owners", "Every group has an owner.")
    return _warning(
        "owners",
        f"{'1 group has' if ownerless == 1 else f'{ownerless} groups have'} no owner: nobody can invite or remove its members.",
        "flask group list shows which, flask member role EMAIL owner makes a member an owner, flask group delete ID ends a group.",
    )


def check_workers(alive: int) -> Finding:
    """Whether anybody prepares photos."""
    if alive:
        return _ok("workers", f"{alive} at work.")
    return _warning(
        "workers", "No worker is at work: photos wait until one is.", "flask serve starts them; flask worker is one alone."
    )


# --- storage and decoder ------------------------------------------------------------------------------------------------


def _look_at_storage(settings: Settings) -> Iterator[Finding]:
    if settings.storage_url is None and not (settings.data / "photos").exists():
        yield _warning(
            "storage", "There are no stored photos yet.", "The first start makes the folder. If there was one, mount it again."
        )
        return
    try:
        storage = open_storage(settings)
        round_trip(storage)
        yield _ok("storage", "An object was written, read and removed.")
        yield check_strangers(is_exposed(storage))
        yield check_kept(storage.kept())
    except WrongSetting as wrong:
        yield _failure("storage", str(wrong), "Mend this first.")
    except StorageRefuses as refused:
        says = f"It does not let us in; it says {refused.code or 'nothing more'}."
        yield _failure(
            "storage", says, "Look at the bucket's name, at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and at the clock."
        )
    except StorageFailed as failed:
        if failed.reason == "disk-full":
            yield _failure("storage", "The disk is full.", "Make room: nothing can be uploaded until there is some.")
        else:
            yield _failure(
                "storage", "It can't be reached, or nothing can be written there.", "Is it running, mounted, and this user's?"
            )
    except RoundTripFailed:
        yield _failure(
            "storage", "What is read is not what was written.", "It loses data: look at its disk before anything else."
        )


def check_strangers(exposed: bool) -> Finding:
    """Whether an object could be read without keys just now."""
    if exposed:
        return _failure(
            "strangers",
            "Strangers can read the storage. What is in it is sealed, but how much there is, and when it came, is not.",
            "Take away what lets everybody in: a policy, a public ACL, an anonymous identity, a public folder of a web server.",
        )
    return _ok("strangers", "Without keys the storage shows nothing.")


def check_kept(kept: Kept) -> Finding:
    """Whether what is deleted is gone."""
    if kept is Kept.LOCKED:
        return _failure(
            "deleting",
            "The bucket has Object Lock, so nothing can ever be deleted there.",
            "Make a bucket without it and move there: flask move-storage.",
        )
    if kept is Kept.VERSIONS:
        return _warning(
            "deleting",
            "The bucket keeps versions. What we delete goes with all its versions, which takes longer.",
            "Suspend versioning on this bucket.",
        )
    return _ok("deleting", "What is deleted is gone.")


def _look_at_decoder() -> Iterator[Finding]:
    from app.ingest.decoding import Decoded, Decoder, DecoderMissing

    decoder = Decoder()
    try:
        unread = []
        for name, sample in samples().items():
            result = decoder.decode(sample, group="doctor", size=len(sample))
            if not isinstance(result, Decoded):
                unread.append(name)
        yield check_formats(unread)
        yield check_sandbox(decoder.sandbox)
    except DecoderMissing:
        yield _failure(
            "decoder", "The program that reads pictures does not start.", "Install the requirements again: requirements.lock."
        )
    finally:
        decoder.close()


def _prove(env: Mapping[str, str], *, hide: bool) -> Iterator[Finding]:
    from app.house import open_house
    from app.ops.proving import hide as hide_it
    from app.ops.proving import how_many, prove_stored

    settings = Settings.from_env(env)
    if settings.database_url.startswith("sqlite") and not Path(settings.database_url.removeprefix("sqlite:///")).exists():
        yield _ok("proof", "There is no database yet, so there is nothing to prove.")
        return
    house = open_house(settings)
    try:
        with house.database.reading() as session:
            files = how_many(session)
        failed = set()
        with bar("Proving", files) as progress:
            for each in prove_stored(house, progress=progress):
                if hide and each.flaw.is_shown:
                    hide_it(house, each)
                failed.add(each.photo)
                yield check_proof(each, hidden=hide)
    finally:
        house.database.close()
    if not failed:
        yield _ok("proof", f"{files:,} stored files were proven: each holds a picture and nothing else.")


def check_proof(found: "Unproven", *, hidden: bool) -> Finding:
    """What is wrong with a file of a photo, or with a voice about it."""
    says = f"Photo {found.photo}: {found.rendition or f'voice {found.voice}'} {found.flaw}."
    if not found.flaw.is_shown:
        return _failure(
            "proof", says, "Is this the right storage, and is all of it there? If so, bring the file back from a backup."
        )
    if hidden and found.voice:
        return _failure("proof", says, "Nobody hears it any more.")
    if hidden:
        return _failure(
            "proof", says, "Nobody sees it any more. A member can dismiss it in its album and add the original again."
        )
    return _failure("proof", says, "flask doctor --prove --hide shows it to nobody; then look for how it came there.")


def samples() -> dict[str, bytes]:
    """A tiny picture in every format that the decoder reads."""
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    made = {}
    for name, kind in FORMATS.items():
        out = io.BytesIO()
        Image.radial_gradient("L").convert("RGB").resize((64, 48)).save(out, kind)
        made[name] = out.getvalue()
    return made


def _look_at_films() -> Iterator[Finding]:
    from app.ingest.decoding import Decoded, Decoder, DecoderMissing, MadeRendition
    from app.ingest.filming import Filming

    decoder, kept = Decoder(), list[MadeRendition]()
    filming = Filming(decoder)
    try:
        sample = filming.sample()
        result = filming.make([sample], container="matroska", group="doctor", size=len(sample), keep=kept.append)
        yield check_films(isinstance(result, Decoded), filming.walls())
    except DecoderMissing:
        yield _failure(
            "films", "ffmpeg, which reads videos, does not start.", "Install the requirements again: requirements.lock."
        )
    finally:
        decoder.close()


def check_films(made: bool, walls: Mapping[str, bool]) -> Finding:
    """Whether a tiny film could be `made`, and which walls stand around ffmpeg: without Landlock it can read files."""
    if not made:
        return _failure("films", "A tiny video could not be prepared.", "Install the requirements again: requirements.lock.")
    if not walls["landlock"]:
        return _warning(
            "films",
            "It prepares videos, but ffmpeg is without landlock: a hostile video could read this user's files.",
            "Use Linux 5.13 or newer with it switched on, and let containers and units allow it.",
        )
    if not walls["seccomp"]:
        return _warning("films", "It prepares videos, but ffmpeg is without seccomp.", "Let containers and units allow it.")
    return _ok("films", "It prepares videos, with ffmpeg behind landlock and seccomp.")


def try_check(command: str) -> Finding:
    """Whether the program of `KINFOLD_CHECK_COMMAND` lets a harmless little picture pass, as every photo waits for its answer."""
    from app.ingest.checking import Check, CheckFailed

    try:
        passes = Check(command).passes(samples()["jpeg"])
    except CheckFailed as failed:
        return _failure(
            "check command", f"KINFOLD_CHECK_COMMAND {failed}.", "Mend it or unset it: until then no photo is shown to anybody."
        )
    if not passes:
        return _failure(
            "check command", "KINFOLD_CHECK_COMMAND holds a harmless picture.", "Mend it: it would hold every photo as evidence."
        )
    return _ok("check command", "KINFOLD_CHECK_COMMAND answers, and lets a harmless picture pass.")


def check_formats(unread: list[str]) -> Finding:
    """`unread` are the formats whose sample was not read."""
    if unread:
        return _failure("decoder", f"It can't read {', '.join(unread)}.", "Install the requirements again: requirements.lock.")
    return _ok("decoder", f"It reads {', '.join(FORMATS)}.")


def check_sandbox(walls: Mapping[str, bool]) -> Finding:
    """Which walls stand around the program that reads strangers' pictures."""
    missing = [wall for wall, stands in walls.items() if not stands]
    if not missing:
        return _ok("sandbox", f"The decoder is behind {' and '.join(walls)}.")
    if len(missing) < len(walls):
        return _warning(
            "sandbox",
            f"The decoder is without {missing[0]}; the other wall stands.",
            "Use Linux 5.13 or newer with it switched on, and let containers and units allow it.",
        )
    return _failure(
        "sandbox",
        "The decoder has no wall around it: a hostile picture could reach this user's files.",
        "Use a Linux kernel with Landlock or seccomp, and let containers and units allow them.",
    )
