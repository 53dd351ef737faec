"""Eight phones on slow lines are uploading; everybody else's pages still come at once."""

import asyncio
import statistics
from collections.abc import Iterator
from contextlib import suppress

from tests.bench.load import head, repeat
from tests.bench.measure import Line, Options
from tests.bench.stage import Stage, stage
from tests.server import multipart

UPLOADS = 8
MOST = 100  # ms
TRICKLE, EVERY = b"\xff" * 500, 0.05  # bytes, and seconds between them: 10 kB/s a phone


def run(options: Options) -> Iterator[Line]:
    rounds = 3 if options.quick else 7
    with stage() as place:
        place.fill("Brittany 2026", 60)
        with place.serving():
            alone, together = asyncio.run(_measure(place, rounds))
    slowest = [max(took) * 1000 for took in together]
    pages = [each * 1000 for took in together for each in took]
    note = f"without uploads {statistics.median(alone) * 1000:.0f} ms"
    yield Line("waiting: an album page beside eight slow uploads", statistics.median(pages), "ms", at_most=MOST, note=note)
    nine_in_ten = statistics.quantiles(pages, n=10)[-1]
    note = f"the slowest of all {max(slowest):.0f} ms; of twenty, median of {rounds} rounds, {statistics.median(slowest):.0f} ms"
    yield Line("waiting: nine pages in ten come within", nine_in_ten, "ms", at_most=MOST, note=note)


async def _measure(place: Stage, rounds: int) -> tuple[list[float], list[list[float]]]:
    """Seconds that pages took alone, and in rounds of twenty beside the uploads."""
    anna, port, album = place.anna_at_her_phone(), place.server.port, f"/albums/{place.anna.albums['Brittany 2026'].id}"
    body, _, _ = multipart(anna.token(album), ("IMG_1.jpg", b"")).rpartition(b"\r\n--")
    cookies = {cookie.name: cookie.value or "" for cookie in anna.cookies}
    page = head(port, "GET", album, cookies, Accept_Encoding="gzip")
    kind = {"Content_Type": "multipart/form-data; boundary=b0und", "Content_Length": "50000000"}
    upload = head(port, "POST", f"{album}/photos", cookies, **kind) + body
    alone = await repeat(port, page, times=20)
    uploads = [asyncio.create_task(_trickle(port, upload)) for _ in range(UPLOADS)]
    incoming = place.settings.data / "photos" / "incoming"
    while len(list(incoming.iterdir())) < UPLOADS:
        await asyncio.sleep(0.1)
        if any(each.done() for each in uploads):
            raise RuntimeError("an upload did not last")
    together = [await repeat(port, page, times=20) for _ in range(rounds)]
    if len(list(incoming.iterdir())) != UPLOADS:
        raise RuntimeError("an upload did not last")
    for each in uploads:
        each.cancel()
        with suppress(asyncio.CancelledError):
            await each
    return alone, together


async def _trickle(port: int, begun: bytes) -> None:
    """An upload that comes in drop by drop and has no end."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(begun)
        while True:
            writer.write(TRICKLE)
            await writer.drain()
            await asyncio.sleep(EVERY)
    finally:
        writer.close()
