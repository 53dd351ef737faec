"""A school against a family: 100,000 photos, 2,000 guests and 5,000 grants may not make a page slower, nor an upload.

Both groups live on an instance of their own and have as many albums; pages are full in both. Through the whole application as a server
calls it, on a real database file, without a server around it.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from flask import Flask
from sqlalchemy import event

from app import create_app
from app.activity.models import Activity, ActivityKind
from app.ids import new_id
from app.ingest import service as ingest
from app.ingest.decoding import Decoded
from app.ingest.service import Arrived, Written
from app.media.models import RenditionName
from app.security.permissions import Asks
from app.security.tokens import new_cookie
from app.sharing import rules
from app.sharing.models import DeviceRow, Grant, Guest, Link
from app.storage.sealed import SealedKey
from tests.bench.measure import Line, Options, compare, own_cpu
from tests.bench.pages import in_turns, page_of
from tests.bench.stage import A_DAY, Stage, stage

ALBUMS = 20
NAMES = ("Rose", "Jim", "Olga", "Egon", "Zoë", "Noor", "Mehmet", "Agnès", "Wei", "Adaeze", "Tomás", "Sigrún")
LIMIT = 1.2
LIMIT_PER_PHOTO = 1.1


@dataclass(frozen=True)
class Size:
    """How much a group has. The first album has six in ten of its photos, and everybody may see it."""

    photos: int
    guests: int
    grants: int
    events: int


FAMILY = Size(photos=100, guests=60, grants=150, events=200)
SCHOOL = Size(photos=100_000, guests=2_000, grants=5_000, events=20_000)


@dataclass
class Crowd:
    """An instance with such a group, and the application on it."""

    place: Stage
    app: Flask
    guests: list[tuple[str, str]]
    photos: list[str]

    @property
    def album(self) -> str:
        """The album with most of the photos."""
        return self.place.anna.albums["Album 0"].id

    def page(self, path: str) -> Callable[[], None]:
        """Anna's request for a page, in which `{album}`, `{guest}` and its `{name}`, and `{photo}` stand for some of hers."""
        (guest, name), photo = self.guests[len(self.guests) // 2], self.photos[len(self.photos) // 2]
        path = path.format(album=self.album, guest=guest, name=name, photo=photo)
        return page_of(self.app, self.place, path, Asks.MEMBER, self.place.anna.cookie)

    def statements(self, call: Callable[[], None]) -> int:
        """How many statements the database is sent for it."""
        asked = []

        def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            asked.append(statement)

        event.listen(self.place.house.database.engine, "before_cursor_execute", note)
        call()
        event.remove(self.place.house.database.engine, "before_cursor_execute", note)
        return len(asked)

    def upload(self) -> None:
        """A photo comes in and becomes ready, as far as the database sees it."""
        house, owner, album = self.place.house, self.place.anna.owner, self.place.anna.albums["Album 0"]
        at = house.clock.now()
        arrived = Arrived("IMG_0001.jpg", random.randbytes(32), f"albums/{album.id}/{new_id()}", SealedKey(b"w" * 60, 4_000_000))
        with house.database.writing() as session:
            ingest.room_left(session, group=owner.group, quota=house.settings.quota)
            photo = ingest.receive(session, owner, album=album, arrived=arrived, jobs=house.jobs, at=at).id
        with house.database.writing() as session:
            waiting = ingest.take(session, photo=photo, master=house.master, jobs=house.jobs, at=at)
        if waiting is None:
            raise RuntimeError("the photo is not there")
        decoded = Decoded(at.replace(tzinfo=None), 4032, 3024, b"thumbhash", ("place",), ())
        written = [Written(name, new_id(), arrived.sealed, 0, "image/jpeg", 4032, 3024) for name in RenditionName]
        with house.database.writing() as session:
            ingest.make_ready(session, waiting=waiting, decoded=decoded, written=written, jobs=house.jobs, at=at)


def run(options: Options) -> Iterator[Line]:
    rounds = 7 if options.quick else 31
    with ExitStack() as stack:
        family, school = (crowd(stack.enter_context(stage()), size) for size in (FAMILY, SCHOOL))
        for what, path, first in (
            ("the albums", "/albums", None),
            ("an album", "/albums/{album}", None),
            ("an album from its middle", "/albums/{album}?after={photo}", "/albums/{album}"),
            ("how an upload goes", "/albums/{album}/photos?unfinished=1", None),
            ("the people", "/people", None),
            ("the people from the middle", "/people?after={guest}", "/people"),
            ("looking for a person", "/people?q={name}", None),
            ("a person", "/people/{guest}", None),
            ("sharing an album", "/albums/{album}/share", None),
            ("the members", "/members", None),
            ("what happened", "/activity", None),
        ):
            large, small = school.page(path), family.page(first or path)
            asked = school.statements(large), family.statements(small)
            yield Line(
                f"group: {what}: statements more than a family's", asked[0] - asked[1], at_most=0, note=f"{asked[0]} in all"
            )
            yield compare(f"group: {what}, of a family's", *in_turns(large, small, rounds), at_most=LIMIT)
        costs = [(own_cpu(school.upload, times=5), own_cpu(family.upload, times=5)) for _ in range(rounds)]
        yield compare("group: a photo from received to ready, of a family's", *zip(*costs, strict=True), at_most=LIMIT_PER_PHOTO)


def crowd(place: Stage, size: Size) -> Crowd:
    """Anna's group with so much in it."""
    photos = place.fill("Album 0", size.photos * 6 // 10)
    for number in range(1, ALBUMS):
        place.fill(f"Album {number}", size.photos * 4 // 10 // (ALBUMS - 1))
    guests = _people(place, size)
    return Crowd(place, create_app(place.settings, place.house), guests, photos)


def _people(place: Stage, size: Size) -> list[tuple[str, str]]:
    """Guests with a link and a browser each, what they may see, and what happened. Returns who they are, in the order of pages."""
    at, owner, chance = place.house.clock.now(), place.anna.owner, random.Random(0)
    albums = [album.id for album in place.anna.albums.values()]
    until = at + timedelta(days=30)
    by = {"created_at": at - timedelta(days=2), "created_by": owner.id}
    names = [f"{chance.choice(NAMES)} {chance.choice(NAMES)} {number}" for number in range(size.guests)]
    guests: list[dict[str, Any]] = [
        by | {"id": new_id(), "group_id": owner.group, "name": name, "folded": rules.folded(name), "shared_at": at - A_DAY * days}
        for days, name in enumerate(names)
    ]
    seen = [(each["id"], albums[0]) for each in guests]
    further = [(each["id"], album) for album in albums[1:] for each in guests]
    seen += further[:: max(1, len(further) // (size.grants - size.guests))][: size.grants - size.guests]
    grants = [
        by | {"guest_id": guest, "album_id": album, "may_save": False, "expires_at": until + timedelta(minutes=number)}
        for number, (guest, album) in enumerate(seen)
    ]
    links = [
        by | {"id": new_id(), "guest_id": each["id"], "digest": random.randbytes(32), "places": 3, "used": 1, "expires_at": until}
        for each in guests
    ]
    good = {"created_at": at, "last_seen_at": at, "unused_after": until, "expires_at": until, "label": "Android phone"}
    devices = [good | {"guest_id": link["guest_id"], "link_id": link["id"], "cookie_hash": new_cookie().digest} for link in links]
    happened = [
        {
            "at": at - timedelta(minutes=6 * number),
            "kind": (ActivityKind.SHARED, ActivityKind.PHOTOS_ADDED)[number % 2],
            "group_id": owner.group,
            "member_id": owner.id,
            "guest_id": guests[number % size.guests]["id"] if number % 2 == 0 else None,
            "album_id": albums[number % len(albums)],
        }
        for number in range(size.events)
    ]
    with place.house.database.writing() as session:
        for kind, rows in ((Guest, guests), (Grant, grants), (Link, links), (DeviceRow, devices), (Activity, happened)):
            session.execute(sa.insert(kind), rows)
    return [(each["id"], each["name"]) for each in sorted(guests, key=lambda each: (each["folded"], each["id"]))]
