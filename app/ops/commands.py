"""What whoever runs the server types: `flask serve`, `flask worker`, `flask demo` and a few more."""

import os
import signal
import socket
import sys

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext

from app.accounts import service as accounts
from app.accounts.models import AddressKind
from app.config import Settings
from app.groups import service as groups
from app.house import House
from app.ops.supervise import Child, supervise
from app.ops.worker import work

group = AppGroup("group", help="Families, schools and clubs on this server.")
member = AppGroup("member", help="The people who have an account.")


def install(app: Flask) -> None:
    """Give `flask` our commands."""
    for command in (serve, worker, set_up, demo, group, member):
        app.cli.add_command(command)


@click.command("serve")
@with_appcontext
def serve() -> None:
    """Run everything: the web server and the workers, until Ctrl-C."""
    house = _house()
    settings = house.settings
    _check_port(settings)
    _print_set_up(house)
    print(_where(settings), file=sys.stderr, flush=True)
    house.database.close()
    flask = [sys.executable, "-m", "flask", "--app", "wsgi:app"]
    children = [Child("web", [sys.executable, "-m", "app.ops.web"])]
    children += [Child(f"worker-{number}", [*flask, "worker"], orphaned=signal.SIGKILL) for number in range(settings.workers)]
    sys.exit(supervise(children))


@click.command("worker")
@with_appcontext
def worker() -> None:
    """Run one worker: it prepares photos and tidies up."""
    work(_house())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a job that does not come to its end must not keep a stopped worker alive; it is taken up again


@click.command("set-up")
@with_appcontext
def set_up() -> None:
    """Print a new set-up address, as long as nobody has an account."""
    if not _print_set_up(_house()):
        raise click.ClickException("There is an account already. `flask group add` prints an address for another group.")


@click.command("demo")
@with_appcontext
def demo() -> None:
    """Make a family with an album of 24 pictures and two guests, and print how to get in."""
    from app.ops.demo import make_demo  # draws with Pillow, which a web process need not load

    house = _house()
    made = make_demo(house)
    print(f"Sign in at {house.settings.base_url}/sign-in as {made.email} with the password {made.password}")
    for name, token in made.links:
        print(f"The link for {name}: {house.settings.base_url}/i/{token}")


@group.command("add")
def add_group() -> None:
    """Print a one-time address where another family, school or club can be set up."""
    house = _house()
    with house.database.writing() as session:
        token = accounts.issue_address(session, kind=AddressKind.SET_UP, tokens=house.tokens, at=house.clock.now())
    print(f"{house.settings.base_url}/setup/{token}")


@member.command("reset")
@click.argument("email")
def reset_password(email: str) -> None:
    """Print a one-time address where the member with this e-mail address can choose a new password."""
    house = _house()
    with house.database.writing() as session:
        account = accounts.find_by_email(session, email=email)
        if account is None:
            raise click.ClickException("Nobody has an account with this e-mail address.")
        token = accounts.issue_address(
            session, kind=AddressKind.RESET, member=account.id, instead=True, tokens=house.tokens, at=house.clock.now()
        )
    print(f"{house.settings.base_url}/reset/{token}")


def _house() -> House:
    found = current_app.extensions["kinfold"]
    assert isinstance(found, House)
    return found


def _print_set_up(house: House) -> bool:
    """The one line on standard output that Marc is waiting for; each start without a member makes a new one."""
    with house.database.writing() as session:
        token = groups.first_set_up_token(session, tokens=house.tokens, at=house.clock.now())
    if token is not None:
        print(f"Open this address to set up Kinfold: {house.settings.base_url}/setup/{token}", flush=True)
    return token is not None


def _where(settings: Settings) -> str:
    if settings.host in ("127.0.0.1", "localhost", "::1"):
        return (
            f"Kinfold answers at {settings.base_url}, on this machine only. For phones on the home network set KINFOLD_HOST=0.0.0.0 and "
            "KINFOLD_BASE_URL=http://<this machine's address>:"
            + str(settings.port)
            + ". The phone's share sheet needs https: see the README."
        )
    return f"Kinfold answers at {settings.base_url}"


def _check_port(settings: Settings) -> None:
    """A clear word now, rather than a web server that dies and is started again for ever."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise click.ClickException(
                f"Can't listen on {settings.host} port {settings.port}: {error.strerror}. "
                "Is it running already? KINFOLD_PORT chooses another."
            ) from None
