"""The worker's part: make of a recording what every phone plays."""

import threading
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.orm import Session

from app.albums.jobs import keep_promise
from app.answers import service
from app.answers.service import PREPARE_VOICE, WaitingVoice
from app.house import House
from app.ids import new_id
from app.ingest.decoding import Decoder, DecoderMissing, NotDecoded
from app.ingest.filming import Filming
from app.ingest.voicing import MadeVoice, make_voice
from app.jobs.port import Handler, Stopping, surely
from app.media import service as media
from app.security.sealing import SealBroken
from app.storage.port import ObjectMissing, StorageFailed, put
from app.storage.sealed import Sealed, SealedKey

T = TypeVar("T")


def handlers(house: House, decoder: Decoder, stop: threading.Event | None = None) -> dict[str, Handler]:
    """The jobs of this room; `stop` is set when the worker is to end."""
    stop = stop or threading.Event()
    filming = Filming(decoder, stop=stop)

    def prepare_voice(voice: str) -> None:
        """Turn a received voice into a ready or a refused one. Safe to repeat and safe to be killed at any point."""
        with house.database.writing() as session:
            waiting = service.take_voice(session, voice=voice, master=house.master, at=house.clock.now())
        if waiting is None:
            return
        try:
            made = make(waiting)
            kept = None if isinstance(made, NotDecoded) else keep(waiting, made)
        except (DecoderMissing, StorageFailed, Stopping):
            write_down(waiting, lambda session: service.give_back(session, waiting=waiting))
            raise  # our fault and not the recording's: it is begun anew
        if kept is not None:
            let_hear(waiting, *kept)
        else:
            write_down(waiting, lambda session: service.refuse_voice(session, waiting=waiting, at=house.clock.now()))

    def write_down(waiting: WaitingVoice, write: Callable[[Session], T]) -> T:
        return surely(house.database, write, subject=waiting.id, stop=stop)

    def make(waiting: WaitingVoice) -> MadeVoice | NotDecoded:
        sealed = Sealed(house.storage, waiting.key, {waiting.object_name: waiting.sealed})
        try:
            return make_voice(filming, b"".join(sealed.read(waiting.object_name)))
        except (ObjectMissing, SealBroken):
            return NotDecoded("lost")

    def keep(waiting: WaitingVoice, made: MadeVoice) -> tuple[str, SealedKey, int]:
        """Seal it away, under a fresh name."""
        keys: dict[str, SealedKey] = {}
        name = f"albums/{waiting.key.album_id}/{new_id()}"
        put(Sealed(house.storage, waiting.key, keys), name, [made.data])
        return name, keys[name], made.duration

    def let_hear(waiting: WaitingVoice, name: str, sealed: SealedKey, duration: int) -> None:
        def make_heard(session: Session) -> str | None:
            at = house.clock.now()
            return service.make_heard(session, waiting=waiting, object_name=name, sealed=sealed, duration=duration, at=at)

        removal = write_down(waiting, make_heard)
        if removal is not None:
            keep_promise(house, removal)
            return
        with house.database.reading() as session:  # it can be heard all the same when only the answer to our commit was lost
            house.storage.delete(*media.unclaimed(session, objects=[name]))

    return {PREPARE_VOICE: prepare_voice}


def enqueue_forgotten_voices(house: House) -> None:
    """A sweep: every received voice has a live job."""
    with house.database.writing() as session:
        service.enqueue_forgotten(session, jobs=house.jobs, at=house.clock.now())
