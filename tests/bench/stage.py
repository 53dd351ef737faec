"""The stage: a real instance in a folder of its own, with Anna's family in it, and the server that runs it when it is needed."""

import base64
import secrets
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import sqlalchemy as sa

from app.config import Settings
from app.house import House, open_house
from app.ids import new_id
from app.media import service as media
from app.media.models import Photo, PhotoKind, PhotoState, Rendition, RenditionName
from app.ops.migrate import migrate
from app.storage.sealed import Sealed, SealedKey
from tests.bench.picture import landscape
from tests.conftest import PASSWORD, Family, found
from tests.server import Browser, Server

SHAPES = ((1920, 1440), (1440, 1920), (1920, 1080), (1600, 1600))
THUMBHASH = base64.b64decode("YJqGPQw7sFlslqhFafSE+Q6oJ1h2iHB2Rw==")

FIRST_TAKEN = datetime(2026, 8, 1, 9)
A_DAY = timedelta(days=1)


@dataclass
class Stage:
    """An instance on this machine's disk: its tools as this process uses them, and its server, which has not been started."""

    settings: Settings
    house: House
    anna: Family
    server: Server

    def guest_of(self, title: str) -> str:
        """The cookie of a guest's browser that may see an album."""
        return self.anna.share(title, f"Rose of {title}").cookie

    def fill(self, title: str, photos: int) -> list[str]:
        """An album of so many ready photos, one row each, in the order of their ids here; there are no files behind them."""
        album, at = self.anna.album(title), self.house.clock.now()
        ids = [new_id() for _ in range(photos)]
        thumbhash = b"\x1a\x08\x02\x05\x00\x77\x88\x88\x88\x88\x88\x88"
        rows = [
            {
                "id": photo,
                "album_id": album.id,
                "group_id": self.anna.owner.group,
                "kind": PhotoKind.PHOTO,
                "state": PhotoState.READY,
                "number": number,
                "taken_at": FIRST_TAKEN + timedelta(minutes=number),
                "width": 4032,
                "height": 3024,
                "fingerprint": number.to_bytes(32, "big"),
                "sealed_thumbhash": album.key.seal_field("thumbhash", photo, thumbhash),
                "sealed_caption": album.key.seal_field("caption", photo, "The beach") if number % 3 == 0 else None,
                "removed": ["place", "device"],
                "stored": 5_000_000,
                "created_at": at - A_DAY,
                "created_by": self.anna.owner.id,
                "changed_at": at - A_DAY,
            }
            for number, photo in enumerate(ids, start=1)
        ]
        with self.house.database.writing() as session:
            session.execute(sa.insert(Photo), rows)
            media.count_ready(session, album=album.id, photos=photos, stored=photos * 5_000_000)
        return ids

    def develop(
        self, title: str, photos: Sequence[str], sizes: Mapping[RenditionName, int], *, objects: int | None = None
    ) -> None:
        """Put sealed renditions of these sizes behind photos of an album. With `objects` only so many of each are made, and the photos
        share them: the disk need not have room for everything that is sent."""
        album, keys = self.anna.albums[title], dict[str, SealedKey]()
        sealed, rows = Sealed(self.house.storage, album.key, keys), []
        made = photos[:objects]
        for photo in made:
            for rendition, size in sizes.items():
                name = f"albums/{album.id}/{new_id()}"
                writer = sealed.create(name)
                content = secrets.token_bytes(size)
                writer.write(content)
                writer.commit()
                shape = {"mime": "image/jpeg", "width": 480, "height": 360}
                facts = {"object_name": name, "wrapped_key": keys[name].wrapped, "size": size, "crc32": zlib.crc32(content)}
                rows.append({"photo_id": photo, "name": rendition} | shape | facts)
        for number, photo in enumerate(photos[len(made) :]):
            first = number % len(made) * len(sizes)
            rows += [row | {"photo_id": photo} for row in rows[first : first + len(sizes)]]
        with self.house.database.writing() as session:
            session.execute(sa.insert(Rendition), rows)

    def hang(self, title: str, photos: int) -> list[str]:
        """An album of photos that can be looked at: pictures of four shapes, forty a day. They share a few stored files, so that many are
        hung quickly; a browser still asks for each of them."""
        ids, album, at = self.fill(title, photos), self.anna.albums[title], self.house.clock.now()
        pictures = [_stored(self, title, number) for number in range(2 * len(SHAPES))]
        rows = []
        with self.house.database.writing() as session:
            for number, photo in enumerate(ids):
                width, height = SHAPES[number % len(SHAPES)]
                day = {
                    "taken_at": FIRST_TAKEN + number // 40 * A_DAY + timedelta(minutes=number % 40),
                    "width": width,
                    "height": height,
                }
                hash_ = album.key.seal_field("thumbhash", photo, THUMBHASH)
                session.execute(
                    sa.update(Photo).where(Photo.id == photo), day | {"shown_at": at - A_DAY, "sealed_thumbhash": hash_}
                )
                rows += [{"photo_id": photo} | each for each in pictures[number % len(pictures)]]
            session.execute(sa.insert(Rendition), rows)
        return ids

    @contextmanager
    def serving(self) -> Iterator[Server]:
        """`flask serve` on this instance, stopped in good order afterwards."""
        self.server.start()
        try:
            yield self.server
        finally:
            self.server.stop()

    def anna_at_her_phone(self) -> Browser:
        """Anna, signed in over HTTP."""
        browser = Browser(self.server.base)
        answer = browser.post("/sign-in", browser.token("/sign-in"), email=self.anna.email, password=PASSWORD)
        if answer.status != 303:
            raise RuntimeError(f"signing in was answered with {answer.status}")
        return browser


def _stored(place: Stage, title: str, number: int) -> list[dict[str, object]]:
    """One picture in storage, as rows of its renditions that only lack their photo: about 35 kB small and 300 kB large, as phones' are."""
    album, keys = place.anna.albums[title], dict[str, SealedKey]()
    sealed, rows = Sealed(place.house.storage, album.key, keys), []
    shape = SHAPES[number % len(SHAPES)]
    for rendition, edge, grain in ((RenditionName.GRID, 480, 8), (RenditionName.SCREEN, 1920, 4)):
        width, height = (side * edge // max(shape) for side in shape)
        out = BytesIO()
        landscape(number, (width, height), grain).save(out, "JPEG", quality=80)
        name = f"albums/{album.id}/{new_id()}"
        writer = sealed.create(name)
        writer.write(out.getvalue())
        writer.commit()
        facts = {"object_name": name, "wrapped_key": keys[name].wrapped, "size": len(out.getvalue())}
        rows.append({"name": rendition, "mime": "image/jpeg", "width": width, "height": height} | facts)
    return rows


@contextmanager
def stage(**env: str) -> Iterator[Stage]:
    """An instance with a family, gone afterwards; `env` are further settings of it."""
    with tempfile.TemporaryDirectory(prefix="kinfold-bench-") as folder:
        server = Server(Path(folder), **env)
        settings = Settings.from_env({"KINFOLD_DATA": f"{folder}/var", "KINFOLD_PORT": str(server.port), **env})
        migrate(settings)
        house = open_house(settings)
        try:
            family = found(house, group_name="The Smiths", name="Anna", email="anna@example.org")
            yield Stage(settings, house, family, server)
        finally:
            house.database.close()


def worker_of(server: Server) -> list[int]:
    """The process of the only worker."""
    return server.children("\0worker")


def decoder_of(server: Server) -> list[int]:
    """The worker's helper, once it has one."""
    return server.children("decoder/main.py")


def web_of(server: Server) -> list[int]:
    """Everything else that `flask serve` has started: the web server."""
    others = {*worker_of(server), *decoder_of(server)}
    return [each for each in server.children() if each not in others]
