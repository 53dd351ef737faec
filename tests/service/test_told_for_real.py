"""Mail leaves a whole Kinfold: a real worker takes what its engine gives it, and a real mail server takes it."""

from pathlib import Path

import pytest

from app.activity import service as activity
from app.activity.models import ActivityKind
from app.jobs.engine import EngineJobs
from tests.browser.server import serving
from tests.conftest import found
from tests.mail import mail_server, parts
from tests.server import wait_for

pytestmark = pytest.mark.slow


def test_a_worker_tells_anna_at_once_that_a_phone_waits_and_in_a_minute_what_was_reported(tmp_path: Path) -> None:
    with mail_server() as (post, port):
        settings = {"KINFOLD_SMTP_URL": f"smtp://127.0.0.1:{port}", "KINFOLD_MAIL_FROM": "photos@kinfold.test"}
        with serving(tmp_path, KINFOLD_CONTACT="marta@kinfold.test", **settings) as server:
            assert "has taken a mail" in server.command("mail-test", "marta@kinfold.test")
            assert post.messages.pop()["Subject"] == "Mail from Kinfold arrives"
            house = server.house
            family = found(house, group_name="The Smiths", name="Anna", email="anna@example.org")
            family.album("Brittany 2026")
            rose = family.share("Brittany 2026", "Rose", open_it=False)
            of_rose = {"group": family.owner.group, "guest": rose.id, "at": house.clock.now()}
            with house.database.writing() as session:
                happened = activity.record_guest(session, ActivityKind.NEW_PHONE_ASKS, **of_rose)
                EngineJobs(house.database).enqueue(session, "tell", happened, group=family.owner.group)
            (message,) = wait_for(lambda: post.messages, "the mail about the phone", 30)
            assert f"{server.base}/people/{rose.id}" in parts(message)[0]
            post.messages.clear()
            with house.database.writing() as session:
                activity.record_guest(session, ActivityKind.PHOTO_REPORTED, **of_rose)
            wait_for(lambda: len(post.messages) == 2, "the mails about the report", 90)
            assert sorted(each["To"] for each in post.messages) == ["anna@example.org", "marta@kinfold.test"]
