"""`flask group` and `flask member`: who is on this server, letting a group in, deleting one for good, and what members can't do for
themselves: helping in who forgot the password, and deciding about owners."""

from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass

import click
import sqlalchemy as sa
from flask.cli import AppGroup
from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.accounts.models import Account, AddressKind, SignedIn
from app.activity import service as activity
from app.activity.models import ActivityKind
from app.albums.models import Album
from app.errors import Refused
from app.groups import rules
from app.groups import service as groups
from app.groups.models import Group
from app.media.models import Photo
from app.ops.console import printable, the_house
from app.ops.status import size
from app.security.viewer import Role
from app.sharing import service as sharing

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
    owners = of_group(sa.func.count(), Account).where(Account.role == Role.OWNER)
    counts_of = (owners, *(of_group(sa.func.count(), table) for table in (Account, Album, Photo)))
    with the_house().database.reading() as session:
        rows = session.execute(sa.select(Group, *counts_of, stored).order_by(Group.created_at, Group.id)).all()
    if not rows:
        click.echo("There is no group yet. `flask set-up` prints an address where the first one is set up.")
        return
    _print_table(
        ("id", "name", "kind", "owners", "members", "albums", "photos", "stored", "since"),
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
    with _unless_evidence(), house.database.writing() as session:
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
        account = _find(session, email)
        token = accounts.issue_address(
            session, kind=AddressKind.RESET, member=account.id, instead=True, tokens=house.tokens, at=house.clock.now()
        )
    click.echo(f"{house.settings.base_url}/reset/{token}")


@member.command("role")
@click.argument("email")
@click.argument("role", type=click.Choice([str(role) for role in Role]))
def set_role(email: str, role: str) -> None:
    """Make the member with this e-mail address an owner or an editor, whoever else is one."""
    house = the_house()
    at = house.clock.now()
    with house.database.writing() as session:
        account = _find(session, email)
        owners = groups.lock_owners(session, group=account.group_id)
        if role == Role.EDITOR and account.id in owners:
            _check_not_last(account, owners)
        if not groups.change_role(session, account, role=Role(role), owners=owners, at=at):
            click.echo(f"{printable(account.name)} is an {role} already.")
            return
        kind = ActivityKind.OWNER_MADE if role == Role.OWNER else ActivityKind.EDITOR_MADE
        activity.record_from_outside(session, kind, group=account.group_id, other=account.id, at=at)
    click.echo(f"{printable(account.name)} is an {role} now.")


@member.command("remove")
@click.argument("email")
@click.option("--keep-links", is_flag=True, help="Let the links that they made go on; they have those addresses.")
def remove(email: str, keep_links: bool) -> None:
    """Delete the account with this e-mail address, and end the links that this member made. Albums, photos and people stay."""
    house = the_house()
    at = house.clock.now()
    with _unless_evidence(), house.database.writing() as session:
        account = _find(session, email)
        _check_not_last(account, groups.lock_owners(session, group=account.group_id))
        viewer = accounts.as_viewer(account)
        made = sharing.made_by(session, viewer, member=account.id, at=at)
        ended = () if keep_links else [link.id for link in made.links]
        sharing.end_made(session, viewer, made=made, guests=(), links=ended, at=at)
        activity.record_from_outside(session, ActivityKind.MEMBER_REMOVED, group=account.group_id, other=account.id, at=at)
        accounts.delete_account(session, account=account.id, at=at)
    house.database.flatten()
    click.echo(f"{printable(account.name)} is removed, and signed out everywhere. Links that ended with them: {len(ended)}.")


@dataclass(frozen=True)
class Ownerless:
    """A group in which nobody is an owner, and how many members it has left."""

    id: str
    name: str
    members: int

    @property
    def says(self) -> str:
        """What that means, and what to type."""
        if self.members:
            return (
                f"{printable(self.name)} has no owner. Make one of its members one (flask member list shows them): "
                "flask member role EMAIL owner"
            )
        return f"{printable(self.name)} has no member any more. To delete it for good: flask group delete {self.id}"


def without_owner(session: Session) -> Sequence[Ownerless]:
    """The groups that nobody looks after: only a restore can leave one so."""
    of_group = Account.group_id == Group.id
    members = sa.select(sa.func.count()).select_from(Account).where(of_group).correlate(Group).scalar_subquery()
    owned = sa.exists().where(of_group, Account.role == Role.OWNER)
    rows = session.execute(sa.select(Group.id, Group.name, members).where(~owned).order_by(Group.created_at, Group.id))
    return [Ownerless(*row) for row in rows]


def _find(session: Session, email: str) -> Account:
    account = accounts.find_by_email(session, email=email)
    if account is None:
        raise click.ClickException("Nobody has an account with this e-mail address.")
    return account


@contextmanager
def _unless_evidence() -> Iterator[None]:
    try:
        yield
    except Refused:
        raise click.ClickException(
            "A photo of theirs is held as evidence, so nothing was deleted. `flask hold --list` shows it, and what can be done."
        ) from None


def _check_not_last(account: Account, owners: Set[str]) -> None:
    try:
        rules.check_leaving(account.id, owners=owners)
    except Refused:
        raise click.ClickException(
            f"{printable(account.name)} is the only owner of the group. Make somebody else one first (flask member role EMAIL owner), or "
            f"delete the group: flask group delete {account.group_id}"
        ) from None


def _print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as they need to be."""
    lines = [head, *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
