"""How the server is doing, in numbers: `flask status`, and what `/metrics` and the doctor tell of the same. No names."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

import click
import sqlalchemy as sa
from flask.cli import with_appcontext
from sqlalchemy.orm import Session

from app.accounts.models import Account, SignedIn
from app.albums.models import Album
from app.groups.models import Group
from app.instance import Instance
from app.jobs.executors import living_workers
from app.media.models import Photo, PhotoState
from app.ops.console import the_house
from app.reports.models import Report
from app.sharing.models import DeviceRow, Guest, Link
from app.sharing.service import live_device, live_link


@dataclass(frozen=True)
class Totals:
    """Everything together. `waiting` and `since_backup` are in seconds, `stored` in bytes."""

    groups: int
    members: int
    guests: int
    albums: int
    photos: Mapping[PhotoState, int]
    reports: int
    waiting: float | None
    stored: int
    links: int
    sessions: int
    devices: int
    exposed: bool
    since_backup: float | None


def count_up(session: Session, *, at: datetime) -> Totals:
    """A few statements, each answered from an index: also with 100,000 photos some milliseconds."""
    photos = dict.fromkeys(PhotoState, 0)
    for state, number in session.execute(sa.select(Photo.state, sa.func.count()).group_by(Photo.state)):
        photos[state] = number
    waiting = session.scalar(sa.select(sa.func.min(Photo.changed_at)).where(Photo.state == PhotoState.RECEIVED))
    held = sa.select(Photo.id).where(Photo.state == PhotoState.HELD)  # holding it is the answer; no owner could give another
    instance = session.get(Instance, 1)
    return Totals(
        groups=_count(session, Group),
        members=_count(session, Account),
        guests=_count(session, Guest),
        albums=_count(session, Album),
        photos=photos,
        reports=_count(session, Report, Report.answered_at.is_(None), Report.photo_id.not_in(held)),
        waiting=seconds_since(waiting, at),
        stored=int(session.scalar(sa.select(sa.func.coalesce(sa.func.sum(Photo.stored), 0))) or 0),
        links=_count(session, Link, *live_link(at)),
        sessions=_count(session, SignedIn, SignedIn.expires_at > at),
        devices=_count(session, DeviceRow, *live_device(at)),
        exposed=instance is not None and instance.exposed_at is not None,
        since_backup=seconds_since(instance.backed_up_at if instance else None, at),
    )


def seconds_since(moment: datetime | None, at: datetime) -> float | None:
    """How long ago something was, never less than nothing."""
    return None if moment is None else max(0.0, (at - moment).total_seconds())


@click.command("status")
@click.option("as_json", "--json", is_flag=True, help="One JSON object, for a script.")
@with_appcontext
def status(as_json: bool) -> None:
    """Say how many groups, people and photos there are, and whether work is waiting."""
    house = the_house()
    with house.database.reading() as session:
        totals = count_up(session, at=house.clock.now())
    workers = living_workers(house.settings, house.database)
    if as_json:
        click.echo(json.dumps(asdict(totals) | {"workers": workers}))
        return
    if not totals.groups:
        click.echo("Nobody has set up a group yet. `flask set-up` prints an address for it.")
    for label, says in told(totals, workers=workers).items():
        click.echo(f"{label:<10} {says}")


def told(totals: Totals, *, workers: int) -> dict[str, str]:
    """The totals in words."""
    photos = totals.photos
    waits = "" if totals.waiting is None else f", the oldest for {ago(totals.waiting)}"
    return {
        "groups": f"{totals.groups} with {totals.members} members and {totals.guests} guests",
        "albums": f"{totals.albums}",
        "photos": (
            f"{photos[PhotoState.READY]} ready, {photos[PhotoState.RECEIVED]} waiting{waits}, "
            f"{photos[PhotoState.AWAITING]} for a member's yes, {photos[PhotoState.REFUSED]} refused"
        ),
        **({"held": f"{photos[PhotoState.HELD]} as evidence; `flask hold --list` shows them"} if photos[PhotoState.HELD] else {}),
        **({"REPORTS": f"{totals.reports} not answered; `flask hold --list` shows them"} if totals.reports else {}),
        "stored": size(totals.stored),
        "links": f"{totals.links} still let somebody in",
        "browsers": f"{totals.sessions} of members, {totals.devices} of guests",
        "workers": f"{workers} at work" if workers else "none is at work; photos wait until one is",
        "backup": "never made" if totals.since_backup is None else f"made {ago(totals.since_backup)} ago",
        **({"WARNING": "strangers can read the bucket; `flask doctor` says more"} if totals.exposed else {}),
    }


def ago(seconds: float) -> str:
    """A stretch of time in the largest unit that fits: `3 days`."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {unit}{'s' * (number > 1)}"
    return f"{int(seconds)} seconds" if int(seconds) != 1 else "1 second"


def size(number: float) -> str:
    """Bytes as people write them: `1.5 GB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def _count(session: Session, table: type[object], *where: sa.ColumnElement[bool]) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(table).where(*where)) or 0
