"""`flask group` and `flask member`: who is on this server, letting a group in, helping somebody in, and deleting a group for good."""

from collections.abc import Sequence

import click
import sqlalchemy as sa
from flask.cli import AppGroup

from app.accounts import service as accounts
from app.accounts.models import Account, AddressKind, SignedIn
from app.albums.models import Album
from app.groups.models import Group
from app.media.models import Photo
from app.ops.console import the_house
from app.ops.status import size

group = AppGroup("group", help="Families, schools and clubs on this server.")
member = AppGroup("member", help="The people who have an account.")


@group.command("add")
def add_group() -> None:
    """Print a one-time address where another family, school or club can be set up."""
    house = the_house()
    with house.database.writing() as session:
        token = accounts.issue_address(session, kind=AddressKind.SET_UP, tokens=house.tokens, at=house.clock.now())
    click.echo(f"{house.settings.base_url}/setup/{token}")


@group.command("list")
def list_groups() -> None:
    """Show every group: its id, and how much there is of it."""

    def of_group(what: sa.ColumnElement[int], table: type[Account] | type[Album] | type[Photo]) -> sa.ScalarSelect[int]:
        return sa.select(what).where(table.group_id == Group.id).correlate(Group).scalar_subquery()

    stored = of_group(sa.func.coalesce(sa.func.sum(Photo.stored), 0), Photo)
    with the_house().database.reading() as session:
        rows = session.execute(
            sa.select(Group, *(of_group(sa.func.count(), table) for table in (Account, Album, Photo)), stored).order_by(
                Group.created_at, Group.id
            )
        ).all()
    if not rows:
        click.echo("There is no group yet. `flask set-up` prints an address where the first one is set up.")
        return
    _print_table(
        ("id", "name", "kind", "members", "albums", "photos", "stored", "since"),
        [(row.id, row.name, row.kind, *counts, size(used), f"{row.created_at:%Y-%m-%d}") for row, *counts, used in rows],
    )


@group.command("delete")
@click.argument("group_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Don't ask; for scripts.")
def delete_group(group_id: str, yes: bool) -> None:
    """Delete the group with this id (see `flask group list`): its members, albums, photos and everybody's access. For good."""
    from app.rights import service as rights

    house = the_house()
    with house.database.reading() as session:
        found = session.get(Group, group_id)
        if found is None:
            raise click.ClickException("There is no group with this id. `flask group list` shows them.")
        photos = session.scalar(sa.select(sa.func.count()).where(Photo.group_id == found.id))
    if not yes:
        click.echo(f"This destroys {photos} photos of {found.name}, and nobody can bring them back from here.")
        if click.prompt("To delete it, type its name") != found.name:
            raise click.ClickException("That is not its name. Nothing was deleted.")
    with house.database.writing() as session:
        rights.delete_group(session, group=found.id, jobs=house.jobs, at=house.clock.now())
    house.database.flatten()
    click.echo(f"{found.name} is deleted. A worker removes its {photos} photos from the storage; nobody can open them any more.")


@member.command("list")
def list_members() -> None:
    """Show everybody who has an account: group, name, e-mail, role, and when they were here last."""
    seen = sa.select(sa.func.max(SignedIn.last_seen_at)).where(SignedIn.member_id == Account.id).scalar_subquery()
    with the_house().database.reading() as session:
        rows = session.execute(
            sa.select(Group.name, Account.name, Account.email, Account.role, seen)
            .join(Group, Group.id == Account.group_id)
            .order_by(Group.created_at, Group.id, Account.created_at, Account.id)
        ).all()
    if not rows:
        click.echo("Nobody has an account yet. `flask set-up` prints an address where the first group is set up.")
        return
    _print_table(
        ("group", "name", "e-mail", "role", "last seen"),
        [(*words, f"{at:%Y-%m-%d}" if at else "not signed in") for *words, at in rows],
    )


@member.command("reset")
@click.argument("email")
def reset_password(email: str) -> None:
    """Print a one-time address where the member with this e-mail address can choose a new password."""
    house = the_house()
    with house.database.writing() as session:
        account = accounts.find_by_email(session, email=email)
        if account is None:
            raise click.ClickException("Nobody has an account with this e-mail address.")
        token = accounts.issue_address(
            session, kind=AddressKind.RESET, member=account.id, instead=True, tokens=house.tokens, at=house.clock.now()
        )
    click.echo(f"{house.settings.base_url}/reset/{token}")


def _print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as they need to be. What people typed stays on its line and can't steer the terminal."""
    lines = [head, *([_printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
