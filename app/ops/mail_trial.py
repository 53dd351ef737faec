"""`flask mail-test`: whether mail goes out as the settings say, and what the server says if it does not."""

import click
from flask.cli import with_appcontext

from app.ids import new_id
from app.mail.message import build
from app.mail.port import MailFailed
from app.notifications.letters import Letters
from app.ops.console import the_house


@click.command("mail-test")
@click.argument("address")
@with_appcontext
def mail_test(address: str) -> None:
    """Send one mail to this address, by the server that KINFOLD_SMTP_URL names."""
    house = the_house()
    if house.mail is None:
        raise click.ClickException(
            "KINFOLD_SMTP_URL is not set, so no mail is sent. Everything else works: people send links themselves."
        )
    letter = Letters(house).write("trial", to=address, language=None)
    try:
        house.mail.send(build(letter, sender=house.settings.mail_from, identifier=new_id(), at=house.clock.now()))
    except MailFailed as failed:
        raise click.ClickException(
            f"The mail server did not take it ({failed.reason}). Are host, port, user and password in KINFOLD_SMTP_URL right, does its "
            "certificate have that name, and may it send as KINFOLD_MAIL_FROM?"
        ) from None
    click.echo(f"The mail server has taken a mail from {house.settings.mail_from}. It may take a minute; look among spam too.")
