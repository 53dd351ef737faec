"""The worker's part: take an upload, have it decoded, write the renditions, show the photo."""

from app.albums.jobs import keep_promise
from app.house import House
from app.ids import new_id
from app.ingest import service
from app.ingest.decoding import Decoded, Decoder, DecoderMissing, NotDecoded
from app.ingest.service import PREPARE_PHOTO, Taken, Written
from app.jobs.port import Handler
from app.media.models import RenditionName
from app.security.sealing import SealBroken
from app.storage.port import ObjectMissing, StorageFailed
from app.storage.sealed import Sealed, SealedKey


def handlers(house: House, decoder: Decoder) -> dict[str, Handler]:
    """The jobs of this room; `decoder` is this worker's own, long-lived helper process."""

    def prepare_photo(photo: str) -> None:
        """Turn a received photo into a ready or a refused one. Safe to repeat and safe to be killed at any point."""
        with house.database.writing() as session:
            waiting = service.take(session, photo=photo, master=house.master, jobs=house.jobs, at=house.clock.now())
        if waiting is None:
            return
        try:
            result = _decode(house, decoder, waiting)
            written = _write_renditions(house, waiting, result) if isinstance(result, Decoded) else []
        except (DecoderMissing, StorageFailed):
            with house.database.writing() as session:
                service.give_back(session, waiting=waiting)
            raise  # our fault and not the file's: the sweep asks again, as often as it takes
        if not isinstance(result, Decoded):
            with house.database.writing() as session:
                service.refuse(session, waiting=waiting, reason=result.reason, jobs=house.jobs, at=house.clock.now())
            return
        with house.database.writing() as session:
            removal = service.make_ready(session, waiting=waiting, decoded=result, written=written, at=house.clock.now())
        if removal is not None:
            keep_promise(house, removal)
        else:  # it was deleted while we worked
            house.storage.delete(*(each.object_name for each in written))

    return {PREPARE_PHOTO: prepare_photo}


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


def _decode(house: House, decoder: Decoder, waiting: Taken) -> Decoded | NotDecoded:
    sealed = Sealed(house.storage, waiting.key, {waiting.object_name: waiting.sealed})
    try:
        return decoder.decode(sealed.read(waiting.object_name), group=waiting.group, size=waiting.sealed.size)
    except (ObjectMissing, SealBroken):
        return NotDecoded("lost")


def _write_renditions(house: House, waiting: Taken, decoded: Decoded) -> list[Written]:
    keys: dict[str, SealedKey] = {}
    sealed = Sealed(house.storage, waiting.key, keys)
    written = []
    for made in decoded.renditions:
        name = f"albums/{waiting.key.album_id}/{new_id()}"
        writer = sealed.create(name)
        try:
            writer.write(made.data)
            writer.commit()
        finally:
            writer.abort()
        written.append(Written(RenditionName(made.name), name, keys[name], made.mime, made.width, made.height))
    return written
