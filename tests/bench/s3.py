"""Photos in a bucket: uploading to a real SeaweedFS by our storage, against plain boto3 with the same bytes; and bucket against disk.

Wall time, because what a bucket costs is waiting. What is uploaded comes from memory in the pieces in which a phone's upload arrives; plain
boto3 gets it as one file and does as it likes, with parts in ten threads. Ours is measured as it is handed sealed bytes, and once more with
the sealing.
"""

import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

from app.ids import new_id
from app.security.sealing import MasterKey
from app.storage.local import Local
from app.storage.port import Objects
from app.storage.sealed import Sealed
from tests.bench.measure import Line, Options, compare, said, spread_of
from tests.seaweed import seaweed_in

PIECE = 64 * 1024
PHOTO, LARGE, SCREEN = 5_000_000, 48_000_000, 60_000


def run(options: Options) -> Iterator[Line]:
    rounds = 5 if options.quick else 9
    with tempfile.TemporaryDirectory(prefix="kinfold-bench-") as folder, seaweed_in(Path(folder) / "seaweed") as seaweed:
        bucket, client = seaweed.bucket(), seaweed.client()
        ours, local = seaweed.storage(bucket), Local(Path(folder) / "photos")
        key, _ = MasterKey.parse(MasterKey.generate()).new_album("brittany")
        for what, size, times in (("photos of 5 MB", PHOTO, 4), ("a file of 48 MB", LARGE, 1)):
            content = secrets.token_bytes(size)
            alone, sealed, plain = _in_turns(
                rounds,
                times,
                lambda content=content: _put(ours, content),  # type: ignore[misc]
                lambda content=content: _put(Sealed(ours, key, {}), content),  # type: ignore[misc]
                lambda content=content: client.upload_fileobj(BytesIO(content), bucket, new_id()),  # type: ignore[misc]
            )
            yield _throughput(f"s3: uploading {what}, of plain boto3's throughput", size, alone, plain, at_least=0.8)
            yield _throughput(f"s3: uploading {what} with sealing, of the same", size, sealed, plain)
        screen = secrets.token_bytes(SCREEN)
        remote, here = (Sealed(each, key, {}) for each in (ours, local))
        names = {each: _put(each, screen) for each in (remote, here)}
        reads = _in_turns(rounds, 100, *(lambda each=each: b"".join(each.read(names[each])) for each in (remote, here)))  # type: ignore[misc]
        yield compare("s3: reading a screen rendition of 60 kB, of the disk's time", *reads)
        for what, size, times in (("a rendition of 60 kB", SCREEN, 50), ("a photo of 5 MB", PHOTO, 4)):
            content = secrets.token_bytes(size)
            writes = _in_turns(
                rounds, times, *(lambda each=each, content=content: _put(each, content) for each in (remote, here))
            )  # type: ignore[misc]
            yield compare(f"s3: writing {what}, sealed, of the disk's time", *writes)


def _put(storage: Objects, content: bytes) -> str:
    name = f"albums/brittany/{new_id()}"
    writer = storage.create(name)
    for at in range(0, len(content), PIECE):
        writer.write(content[at : at + PIECE])
    writer.commit()
    return name


def _in_turns(rounds: int, times: int, *calls: Callable[[], object]) -> list[list[float]]:
    """Seconds for one call of each, round after round, after a round to warm up."""
    took: list[list[float]] = [[] for _ in calls]
    for number in range(rounds + 1):
        for call, seconds in zip(calls, took, strict=True):
            before = time.perf_counter()
            for _ in range(times):
                call()
            if number:
                seconds.append((time.perf_counter() - before) / times)
    return took


def _throughput(what: str, size: int, ours: Sequence[float], plain: Sequence[float], *, at_least: float | None = None) -> Line:
    ratios = [theirs / our for our, theirs in zip(ours, plain, strict=True)]
    our = statistics.median(ours)
    note = f"{said(our)} against {said(statistics.median(plain))}, {size / our / 1_000_000:.0f} MB/s, {spread_of(ratios)}"
    return Line(what, statistics.median(ratios), at_least=at_least, note=note)
