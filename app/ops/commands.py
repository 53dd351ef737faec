"""What whoever runs the server types: `flask serve`, `flask worker`, `flask demo` and a few more."""

import logging
import os
import signal
import socket
import sys

import click
from flask import Flask
from flask.cli import with_appcontext

from app.config import Settings
from app.errors import WrongSetting
from app.groups import service as groups
from app.house import House
from app.ops.backup.commands import backup, restore
from app.ops.console import the_house
from app.ops.doctor import doctor
from app.ops.exposure import check_storage
from app.ops.holding import hold, hold_export, hold_open
from app.ops.mail_trial import mail_test
from app.ops.move_database import move_database
from app.ops.move_storage import move_storage
from app.ops.people import group, member
from app.ops.purge import purge
from app.ops.rotate import rotate_keys
from app.ops.status import status
from app.ops.supervise import Child, supervise
from app.ops.worker import work

log = logging.getLogger("kinfold.serve")


def install(app: Flask) -> None:
    """Give `flask` our commands."""
    looking_after = (doctor, mail_test, status, purge, backup, restore, rotate_keys, move_storage, move_database)
    evidence = (hold, hold_export, hold_open)
    for command in (serve, worker, set_up, demo, group, member, *looking_after, *evidence):
        app.cli.add_command(command)


@click.command("serve")
@with_appcontext
def serve() -> None:
    """Run everything: the web server and the workers, until Ctrl-C. With KINFOLD_WORKERS=0 the web server alone."""
    house = the_house()
    settings = house.settings
    _check_port(settings)
    _check_storage(house)
    _print_set_up(house)
    log.info(_where(settings))
    house.database.close()
    flask = [sys.executable, "-m", "flask", "--app", "wsgi:app"]
    children = [Child("web", [sys.executable, "-m", "app.ops.web"])]
    children += [Child(f"worker-{number}", [*flask, "worker"], orphaned=signal.SIGKILL) for number in range(settings.workers)]
    sys.exit(supervise(children))


@click.command("worker")
@with_appcontext
def worker() -> None:
    """Run one worker: it prepares photos and tidies up."""
    house = the_house()
    _check_storage(house)
    work(house)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a job that does not come to its end must not keep a stopped worker alive; it is taken up again


@click.command("set-up")
@with_appcontext
def set_up() -> None:
    """Print a new set-up address, as long as nobody has an account."""
    if not _print_set_up(the_house()):
        raise click.ClickException("There is an account already. `flask group add` prints an address for another group.")


@click.command("demo")
@with_appcontext
def demo() -> None:
    """Make a family with an album of 24 pictures and two guests, and print how to get in."""
    from app.ops.demo import make_demo  # draws with Pillow, which a web process need not load

    house = the_house()
    made = make_demo(house)
    print(f"Sign in at {house.settings.base_url}/sign-in as {made.email} with the password {made.password}")
    for name, token in made.links:
        print(f"The link for {name}: {house.settings.base_url}/i/{token}")


def _print_set_up(house: House) -> bool:
    """The one line on standard output that Marc is waiting for; each start without a member makes a new one."""
    with house.database.writing() as session:
        token = groups.first_set_up_token(session, tokens=house.tokens, at=house.clock.now())
    if token is not None:
        print(f"Open this address to set up Kinfold: {house.settings.base_url}/setup/{token}", flush=True)
    return token is not None


def _where(settings: Settings) -> str:
    if settings.host in ("127.0.0.1", "localhost", "::1") and not settings.https:
        return (
            f"Kinfold answers at {settings.base_url}, on this machine only. For phones on the home network set KINFOLD_HOST=0.0.0.0 and "
            "KINFOLD_BASE_URL=http://<this machine's address>:"
            + str(settings.port)
            + ". The phone's share sheet needs https: see the README."
        )
    return f"Kinfold answers at {settings.base_url}"


def _check_storage(house: House) -> None:
    try:
        check_storage(house)
    except WrongSetting as wrong:
        raise click.ClickException(f"Kinfold can't start. {wrong}") from None


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
