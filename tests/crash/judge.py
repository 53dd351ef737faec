"""What must be true after an ingest, however often it was killed."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unittest import mock

import sqlalchemy as sa

from app.config import Settings
from app.house import House, open_house
from app.ingest.service import PREPARE_FILM, PREPARE_PHOTO
from app.media.service import claimed_objects
from app.storage.models import Removal
from tests.crash.harness import Anna, Story, until_settled
from tests.crash.roll import CANARY, NAME, File, colours_of, look_alike
from tests.seaweed import KEYS as AWS_KEYS
from tests.server import Server
from tests.service.test_whole_server import everything_on_disk

SAID = re.compile(r'(?:src|href)="(/m/[^"]+)"')


@dataclass
class Given:
    """How many good photos were given up because they were hit three times, and became photos by "Try again"."""

    up: int = 0


def judge(server: Server, anna: Anna, files: Sequence[File], story: Story) -> tuple[list[str], Given]:
    """Everything that is wrong, in words; nothing when all is well. Stops the server."""
    given = Given(_try_again(anna, files, story))
    wrong = [
        f"the server answered {status}" for status in story.answers if status.startswith("5") and status not in ("503", "507")
    ]
    wrong += _rows(anna, files, story)
    wrong += _bytes(anna, files, story)
    if code := server.stop():
        wrong.append(f"flask serve ended with {code}")
    wrong += _leftovers(server)
    wrong += in_the_clear(server)
    return wrong, given


def in_the_clear(server: Server) -> list[str]:
    """Where a word of what was uploaded can be read: no folder of the server, its database or its bucket may hold one."""
    return [
        f"{canary!r} lies in the clear in {name}"
        for name, content in everything_on_disk(server.folder, *server.disks)
        for canary in (CANARY, NAME.encode())
        if canary in content
    ]


def _try_again(anna: Anna, files: Sequence[File], story: Story) -> int:
    """What the member would do: press "Try again" where we say that a good photo could not be prepared."""
    good = {story.acknowledged[file.name] for file in files if file.reason is None}
    failed = [photo["id"] for photo in anna.browser.photos(anna.album) if photo["reason"] == "failed" and photo["id"] in good]
    token = anna.browser.token(f"/albums/{anna.album}")
    for photo in failed:
        anna.browser.post(f"/photos/{photo}/retry", token)
    until_settled(anna)
    return len(failed)


def _rows(anna: Anna, files: Sequence[File], story: Story) -> Iterator[str]:
    """Every acknowledged file is one photo, ready or refused for the right reason; the same bytes twice are the same one."""
    photos = {photo["id"]: photo for photo in anna.browser.photos(anna.album)}
    ids = defaultdict(set)
    for file in files:
        if file.data:  # each empty file is told of for itself
            ids[file.data].add(story.acknowledged[file.name])
        photo = photos.get(story.acknowledged[file.name])
        if photo is None:
            yield f"{file.name} was acknowledged and is gone"
        elif (photo["state"], photo["reason"]) != (("refused", file.reason) if file.reason else ("ready", None)):
            yield f"{file.name} is {photo['state']} ({photo['reason']}), and not {file.reason or 'ready'}"
    yield from (f"the same file is {len(each)} photos" for each in ids.values() if len(each) > 1)
    held = [photo for photo in photos.values() if photo["reason"] != "empty"]
    if len(held) != len(ids):
        yield f"{len(held)} photos of {len(ids)} different files"


def _bytes(anna: Anna, files: Sequence[File], story: Story) -> Iterator[str]:
    """What is delivered for each photo is that picture, in every size, and nothing else. Of a film the pictures are looked at."""
    for file in files:
        if file.reason:
            continue
        page = anna.browser.get(f"/photos/{story.acknowledged[file.name]}")
        addresses = set(SAID.findall(page.body.decode()))
        if page.status != 200 or not addresses:
            yield f"{file.name} has no page with a picture"
        for address in addresses:
            answer = anna.browser.get(address)
            is_film = answer.headers["Content-Type"] == "video/mp4"
            if answer.status != 200 or not (is_film or look_alike(colours_of(answer.body), file.colours)):
                yield f"{file.name}: what is delivered is another picture, or none ({answer.status})"
            if CANARY in answer.body:
                yield f"{file.name}: what is delivered tells the place"


def _leftovers(server: Server) -> Iterator[str]:
    """After tidying up storage holds what rows point to and nothing else, and nothing is left to do."""
    server.command("purge")
    with mock.patch.dict(os.environ, AWS_KEYS):  # the only settings that are not handed on
        house = open_house(Settings.from_env(server.settings))
    try:
        yield from _left_in(house)
    finally:
        house.database.close()


def _left_in(house: House) -> Iterator[str]:
    stored = {each.name for each in house.storage.list("albums/")}
    with house.database.reading() as session:
        claimed = claimed_objects(session)
        jobs = {subject for job in (PREPARE_PHOTO, PREPARE_FILM) for subject in house.jobs.live_subjects(session, job)}
        promised = session.scalars(sa.select(Removal.name)).all()
    if stored - claimed:
        yield f"{len(stored - claimed)} objects belong to no photo"
    if claimed - stored:
        yield f"{len(claimed - stored)} objects are missing"
    if promised or jobs:
        yield f"{len(promised)} removals and {len(jobs)} jobs are left to do"
    incoming = house.settings.data / "photos" / "incoming"
    if incoming.exists() and any(incoming.iterdir()):
        yield "files are left in the folder of what is arriving"
