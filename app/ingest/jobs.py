"""The worker's part: take an upload, have it decoded, write the renditions, show the photo."""

import logging
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum, auto
from itertools import chain
from typing import TypeVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.albums.jobs import keep_promise
from app.house import House
from app.ids import new_id
from app.ingest import service
from app.ingest.checking import Check, CheckFailed
from app.ingest.decoder import sniff
from app.ingest.decoding import Decoded, Decoder, DecoderKilled, DecoderMissing, MadeRendition, NotDecoded
from app.ingest.filming import Filming
from app.ingest.service import PREPARE_FILM, PREPARE_PHOTO, Taken, Written
from app.jobs.port import ASK_AGAIN, Handler, Stopping, surely
from app.media import service as media
from app.media.models import RenditionName
from app.security.sealing import SealBroken
from app.storage.port import ObjectMissing, StorageFailed, put
from app.storage.sealed import Sealed, SealedKey

log = logging.getLogger("kinfold.ingest")

T = TypeVar("T")


class Otherwise(Enum):
    """What may come of an attempt besides a photo or the reason why there is none."""

    FILM = auto()
    """It is a film, for the job that makes these."""

    AGAIN = auto()
    """Somebody killed the decoder: it may be the file's fault, or not."""

    GONE = auto()
    """The photo was deleted meanwhile."""


Make = Callable[[Taken, Iterator[bytes], list[Written]], Decoded | NotDecoded | Otherwise]
"""Makes the renditions of an upload out of its bytes, and notes each one that it has written."""


class _Deleted(Exception):
    """The photo was deleted while we worked."""


def handlers(
    house: House, decoder: Decoder, stop: threading.Event | None = None, in_hand: dict[str, Taken] | None = None
) -> dict[str, Handler]:
    """The jobs of this room; `decoder` is this worker's own, long-lived helper process. `stop` is set when the worker is to end: a film
    is then left for later at once. `in_hand` holds, by photo, what it has taken and of which it is not written down what came of it."""
    stop, in_hand = stop or threading.Event(), {} if in_hand is None else in_hand
    filming = Filming(decoder, stop=stop)
    check = Check(house.settings.check_command) if house.settings.check_command else None

    def prepare_photo(photo: str) -> None:
        """Turn a received photo into a ready or a refused one, or hand a film over. Safe to repeat and safe to be killed at any point."""

        def make(waiting: Taken, pieces: Iterator[bytes], written: list[Written]) -> Decoded | NotDecoded | Otherwise:
            first = next(pieces, b"")
            if sniff.film(first) is not None:
                return Otherwise.FILM
            result = decoder.decode(chain((first,), pieces), group=waiting.group, size=waiting.sealed.size)
            for rendition in result.renditions if isinstance(result, Decoded) else ():
                written.append(write(house, waiting, rendition))
            return result

        prepare(photo, make)

    def prepare_film(photo: str) -> None:
        """The same for a film, which may take minutes; how far it is, is written down meanwhile."""

        def make(waiting: Taken, pieces: Iterator[bytes], written: list[Written]) -> Decoded | NotDecoded:
            def tell(percent: int) -> None:
                # A database that is away for a moment is no reason to begin hours of work anew.
                with suppress(OperationalError), house.database.writing() as session:
                    if not service.note_progress(session, waiting=waiting, percent=percent):
                        raise _Deleted

            first = next(pieces, b"")
            return filming.make(
                chain((first,), pieces),
                container=sniff.film(first) or "",
                group=waiting.group,
                size=waiting.sealed.size,
                keep=lambda rendition: written.append(write(house, waiting, rendition)),
                tell=tell,
            )

        prepare(photo, make)

    def prepare(photo: str, make: Make) -> None:
        """Take a photo, have its renditions made and written, and write down what became of it.

        Whoever takes a photo has a decoder for it already: what kills a worker while that starts is no fault of the file."""
        decoder.stand_by()
        with house.database.writing() as session:
            waiting = service.take(session, photo=photo, master=house.master, jobs=house.jobs, at=house.clock.now())
        if waiting is None:
            return
        in_hand[photo] = waiting
        try:
            attend(waiting, make)
        finally:
            del in_hand[photo]

    def attend(waiting: Taken, make: Make) -> None:
        written: list[Written] = []
        sealed = Sealed(house.storage, waiting.key, {waiting.object_name: waiting.sealed})
        result: Decoded | NotDecoded | Otherwise
        held = False
        try:
            result = make(waiting, sealed.read(waiting.object_name), written)
            if check is not None and isinstance(result, Decoded):
                held = not check.passes(picture_of(house, waiting, written))
        except CheckFailed as failed:
            write_down(waiting, lambda session: service.give_back(session, waiting=waiting))
            house.storage.delete(*(each.object_name for each in written))
            log.error(
                "KINFOLD_CHECK_COMMAND %s. Photo %s is shown to nobody and waits; it is tried again in a minute",
                failed,
                waiting.photo,
            )
            return
        except (ObjectMissing, SealBroken):
            result = NotDecoded("lost")
        except DecoderKilled:
            result = Otherwise.AGAIN
        except _Deleted:
            result = Otherwise.GONE
        except (DecoderMissing, StorageFailed, Stopping):
            write_down(waiting, lambda session: service.give_back(session, waiting=waiting))
            raise  # our fault and not the file's: it is begun anew, as often as it takes; what was written is left to the sweep
        removal = write_down(waiting, lambda session: settle(session, waiting, result, written, held=held))
        if removal is not None:
            keep_promise(house, removal)
        elif written:
            names = [each.object_name for each in written]
            with house.database.reading() as session:  # it is shown all the same when only the answer to our commit was lost
                house.storage.delete(*media.unclaimed(session, objects=names))

    def write_down(waiting: Taken, write: Callable[[Session], T]) -> T:
        return surely(house.database, write, subject=waiting.photo, stop=stop)

    def settle(
        session: Session, waiting: Taken, result: Decoded | NotDecoded | Otherwise, written: list[Written], *, held: bool
    ) -> str | None:
        """Write down what becomes of a photo. Returns the promise to remove its upload; None when what was written is not needed."""
        at = house.clock.now()
        match result:
            case Decoded():
                if held:
                    log.warning("KINFOLD_CHECK_COMMAND holds photo %s: `flask hold --list` says what to do", waiting.photo)
                return service.make_ready(
                    session, waiting=waiting, decoded=result, written=written, held=held, jobs=house.jobs, at=at
                )
            case NotDecoded():
                service.refuse(session, waiting=waiting, reason=result.reason, jobs=house.jobs, at=at)
            case Otherwise.FILM:
                service.turn_into_film(session, waiting=waiting, jobs=house.jobs)
            case Otherwise.AGAIN:
                service.hand_back(session, waiting=waiting, jobs=house.jobs, at=at)
        return None

    return {PREPARE_PHOTO: prepare_photo, PREPARE_FILM: prepare_film}


def give_back(house: House, in_hand: dict[str, Taken], stop: threading.Event) -> None:
    """For a worker that has to end because the database went away: as soon as it is back, the attempts at what it has in hand are
    uncounted. Gives up when `stop` is set."""
    while in_hand and not stop.is_set():
        try:
            with house.database.writing() as session:
                for waiting in list(in_hand.values()):
                    service.give_back(session, waiting=waiting)
            return
        except OperationalError:
            time.sleep(ASK_AGAIN)


def enqueue_forgotten_uploads(house: House) -> None:
    """A sweep: every received photo has a live job."""
    with house.database.writing() as session:
        service.enqueue_forgotten(session, jobs=house.jobs, at=house.clock.now())


def drop_old_uploads(house: House) -> None:
    """A sweep: the files of refused photos are kept a week and no longer."""
    with house.database.writing() as session:
        service.drop_old_uploads(session, jobs=house.jobs, at=house.clock.now())


def drop_expired_uploads(house: House) -> None:
    """A sweep: what has arrived of a file is kept for a day after its last bytes."""
    with house.database.writing() as session:
        service.drop_expired(session, at=house.clock.now())


def picture_of(house: House, waiting: Taken, written: list[Written]) -> bytes:
    """The picture of a photo or a film as people would see it, a JPEG, out of the storage."""
    screen = next(each for each in written if each.name is RenditionName.SCREEN)
    keys = {screen.object_name: screen.sealed}
    return b"".join(Sealed(house.storage, waiting.key, keys).read(screen.object_name))


def write(house: House, waiting: Taken, made: MadeRendition) -> Written:
    """Seal a finished rendition away, under a fresh name."""
    keys: dict[str, SealedKey] = {}
    name = f"albums/{waiting.key.album_id}/{new_id()}"
    put(Sealed(house.storage, waiting.key, keys), name, [made.data])
    return Written(RenditionName(made.name), name, keys[name], zlib.crc32(made.data), made.mime, made.width, made.height)
