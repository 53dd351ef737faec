"""`flask purge`: everything that the workers tidy up on their own schedule, now, and told in numbers. Safe to repeat."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime

import click
import sqlalchemy as sa
from flask.cli import with_appcontext

from app.albums.jobs import keep_promise
from app.house import House
from app.jobs.engine import EngineJobs
from app.jobs.executors import AtWork, alone
from app.media.jobs import UNCLAIMED
from app.media.service import claimed_objects
from app.ops.console import the_house
from app.storage.models import Removal

TOLD = {
    "activity": "lines of what happened",
    "invitation": "old invitations",
    "member_session": "old sign-ins",
    "one_time_address": "old one-time addresses",
    "guest": "forgotten guests",
    "grant": "ended permissions",
    "link": "ended links",
    "device": "ended devices",
    "upload": "old uploads",
    "incoming": "files that stopped arriving",
    "removal": "promised removals",
    "deletion": "old lines of the deletion journal",
    "workflow_status": "finished jobs",
}
"""Tables out of which tidying takes rows, and what these are for a person."""

ENDED = ("grant", "link", "device")


@click.command("purge")
@with_appcontext
def purge() -> None:
    """Tidy up now: end what is over, forget what is old, and remove what nobody needs from the storage."""
    from app.ops.worker import sweeps

    house = the_house()
    steps: dict[str, Callable[[], object]] = {**sweeps(house), "remove what was promised": lambda: keep_promises(house)}
    if isinstance(house.jobs, EngineJobs):
        steps["clear finished jobs"] = house.jobs.clear_finished
    gone: list[int] = []
    steps["remove what was left half done"] = lambda: gone.append(remove_leftovers(house))
    before = _count_rows(house)
    failed = []
    with click.progressbar(steps.items(), label="Tidying up", show_pos=True) as bar:
        for name, step in bar:
            try:
                step()
            except click.ClickException as refusal:
                failed.append(refusal.message)
            except Exception as error:  # noqa: BLE001  the other steps can still be done
                failed.append(f"This could not be done: {name} ({type(error).__name__}).")
    house.database.flatten()
    after = _count_rows(house)
    lines = [f"{before[name] - after[name]} {what} removed" for name, what in TOLD.items() if after[name] < before[name]]
    lines += [
        f"{after[f'{name} ended'] - before[f'{name} ended']} {name}s ended by their date"
        for name in ENDED
        if after[f"{name} ended"] > before[f"{name} ended"]
    ]
    lines += [f"{number} objects that belong to no photo removed" for number in gone if number]
    click.echo("\n".join(lines) or "Nothing was left to tidy up.")
    if failed:
        raise click.ClickException(" ".join(failed))


def keep_promises(house: House) -> None:
    """Remove from storage what was promised to be removed."""
    with house.database.reading() as session:
        promised = session.scalars(sa.select(Removal.id)).all()
    for removal in promised:
        keep_promise(house, removal)


def remove_leftovers(house: House) -> int:
    """Remove what processes have left that died on their way; how many whole objects there were.

    While Kinfold is stopped nobody is on their way, so all of it goes; otherwise only what is too old to be in use.
    """
    with ExitStack() as stack:
        before = datetime.now(UTC)
        try:
            stack.enter_context(alone(house.database))
        except AtWork:
            before -= UNCLAIMED
        house.storage.clear_incoming(before)
        return remove_unclaimed(house, before=before)


def remove_unclaimed(house: House, *, before: datetime) -> int:
    """Remove objects that were written before then and that no row points to; how many there were.

    The workers go by when they first saw such an object. Whoever types a command has only its date, which the storage gave it: so the rows
    are read after the objects, and when most objects have none, it is the database that is wrong. Raises `ClickException` then.
    """
    stored = {stored.name: stored.modified for stored in house.storage.list("albums/")}
    with house.database.reading() as session:
        unclaimed = stored.keys() - claimed_objects(session)
    if len(unclaimed) > 100 + len(stored) / 2:
        raise click.ClickException(
            f"{len(unclaimed)} of {len(stored)} stored objects belong to no photo. Is this the right database? None of them was removed."
        )
    old = [name for name in unclaimed if stored[name] < before]
    house.storage.delete(*old)
    return len(old)


def _count_rows(house: House) -> dict[str, int]:
    """How many rows there are, and how many of them have ended."""
    database = house.database
    schema = None if database.engine.dialect.name == "sqlite" else "dbos"
    tables = {name: sa.table(name, schema=schema if name == "workflow_status" else None) for name in TOLD}
    with database.reading() as session:
        counted = {name: sa.select(sa.func.count()).select_from(table) for name, table in tables.items()}
        counted |= {f"{name} ended": counted[name].where(sa.column("ended_at").is_not(None)) for name in ENDED}
        return {name: session.scalar(query) or 0 for name, query in counted.items()}
