"""A copy of everything in a group, for its owner to take away: a zip that is made while it is sent.

    people.json  members.json
    Brittany 2026/album.json
    Brittany 2026/photo-001.jpg ...
    Brittany 2026/photo-001-voice-1.mp3 ...
    missing.txt                       only when something could not be read

Before each file it is asked again whether this owner may have it, and no transaction stays open while bytes are sent. Dates are in the
JSON alone, in UTC but for when a photo was taken: neither the zip nor a picture in it says anything of the kind.
"""

import json
from collections.abc import Generator, Iterator

from sqlalchemy.orm import Session

from app.accounts import service as accounts
from app.albums import service as albums
from app.albums.service import OpenAlbum
from app.errors import NotVisible
from app.house import House
from app.media.models import RenditionName
from app.rights import service
from app.rights.rules import folder_name
from app.rights.service import WholePhoto
from app.security.permissions import Action, may
from app.security.sealing import SealBroken
from app.security.viewer import Member
from app.storage.port import ObjectMissing
from app.viewing import media
from app.viewing.zipping import Zip

PEOPLE, MEMBERS, ABOUT, MISSING = "people.json", "members.json", "album.json", "missing.txt"

_SAID_OF_MISSING = "These files were deleted while this copy was made, or could not be read:\n\n"


class GroupCopy:
    """The copy for the owner whose browser holds the cookie of this digest."""

    def __init__(self, house: House, cookie: bytes) -> None:
        self._house, self._cookie = house, cookie
        self._zip = Zip()
        self._missing: list[str] = []

    def send(self) -> Generator[bytes, None, None]:
        """The zip, piece by piece. Raises `NotVisible` in the middle when the owner may not have it any more: the answer breaks off, and
        whoever gets it can tell, because the list of contents is missing."""
        folders = self._folders()
        with self._house.database.reading() as look:
            viewer = self._owner(look)
            people = service.about_people(look, viewer, folders=folders, at=self._house.clock.now())
            members = service.about_members(look, viewer)
        yield from self._zip.add(PEOPLE, [service.as_json(people)])
        yield from self._zip.add(MEMBERS, [service.as_json(members)])
        for album, folder in folders.items():
            yield from self._album(album, folder)
        if self._missing:
            yield from self._zip.add(MISSING, [_SAID_OF_MISSING.encode(), *(f"{name}\n".encode() for name in self._missing)])
        yield from self._zip.finish()

    def _folders(self) -> dict[str, str]:
        """The folder of each album by its id."""
        folders: dict[str, str] = {}
        with self._house.database.reading() as look:
            for album in albums.list_albums(look, self._owner(look), master=self._house.master):
                folders[album.id] = folder_name(album.title, taken={PEOPLE, MEMBERS, MISSING, *folders.values()})
        return folders

    def _album(self, album_id: str, folder: str) -> Iterator[bytes]:
        try:
            with self._house.database.reading() as look:
                album = albums.get_album(look, self._owner(look), album=album_id, master=self._house.master)
        except NotVisible:
            self._check()
            self._missing.append(f"{folder}/")
            return
        yield from self._zip.add(f"{folder}/{ABOUT}", self._about(album))
        for photo in self._photos(album):
            yield from self._file(photo.row.id, RenditionName.FULL, f"{folder}/{photo.file}")
            for voice, name in photo.voices.items():
                yield from self._file(voice, media.VOICE, f"{folder}/{name}")

    def _about(self, album: OpenAlbum) -> Iterator[bytes]:
        """JSON of any length, a photo at a time."""
        words = json.dumps({"title": album.title, "description": album.description}, ensure_ascii=False)
        yield words.removesuffix("}").encode() + b', "photos": ['
        between = b"\n"
        for photo in self._photos(album):
            yield between + json.dumps(photo.about(album.key), ensure_ascii=False).encode()
            between = b",\n"
        yield b"\n]}\n"

    def _photos(self, album: OpenAlbum) -> Iterator[WholePhoto]:
        """The photos of an album, loaded a page at a time."""
        last: WholePhoto | None = None
        while True:
            with self._house.database.reading() as look:
                self._owner(look)
                page = service.whole_photos(look, album=album, after=last)
            if not page:
                return
            yield from page
            last = page[-1]

    def _file(self, of: str, rendition: str, name: str) -> Iterator[bytes]:
        """One file, of a photo or of a voice. What was deleted meanwhile, or has an object that is gone or damaged, is named at the end
        instead; a storage that can't be reached at all breaks the answer off."""
        self._check()
        try:
            save = rendition == RenditionName.FULL
            seen = media.see(self._house, photo=of, rendition=rendition, kind="member", save=save, cookie=self._cookie)
            content = media.read(self._house, seen)
            yield from self._zip.add(name, content, size=seen.size)
        except (NotVisible, ObjectMissing, SealBroken):
            self._missing.append(name)

    def _check(self) -> None:
        with self._house.database.reading() as look:
            self._owner(look)

    def _owner(self, look: Session) -> Member:
        """Who takes the copy, as long as they are signed in and an owner. Raises `NotVisible`."""
        viewer, _ = accounts.identify(look, cookie=self._cookie, at=self._house.clock.now())
        if not isinstance(viewer, Member) or not may(viewer, Action.KEEP_GROUP):
            raise NotVisible
        return viewer
