"""A file through the real processes, whatever it is: photos by the decoder, films by what makes films."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.ingest import decoding
from app.ingest.decoder import sniff
from app.ingest.decoding import Decoded, Decoder, MadeRendition, NotDecoded
from app.ingest.filming import Filming


class Taking:
    """`take` answers as a worker would, with the renditions beside it."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.filming = Filming(decoder)

    def take(self, data: bytes, group: str = "smiths") -> tuple[Decoded | NotDecoded, list[MadeRendition]]:
        """What became of an upload."""
        if (container := sniff.film(data[:1024])) is not None:
            made: list[MadeRendition] = []

            def keep(rendition: MadeRendition) -> None:
                made.append(
                    MadeRendition(rendition.name, rendition.mime, rendition.width, rendition.height, bytes(rendition.data))
                )

            answer = self.filming.make([data], container=container, group=group, size=len(data), keep=keep)
            return answer, made if isinstance(answer, Decoded) else []
        answer = self.decoder.decode(data, group=group, size=len(data))
        return answer, list(answer.renditions) if isinstance(answer, Decoded) else []


@contextmanager
def taking(*, stays: bool = False) -> Iterator[Taking]:
    """One that is closed afterwards. A decoder is replaced when it refuses a damaged file; with `stays` it goes on: it is faster, and
    what a file leaves behind would show."""
    decoder, usual = Decoder(), decoding.HARMLESS
    if stays:
        decoding.HARMLESS = usual | {"broken"}
    try:
        yield Taking(decoder)
    finally:
        decoding.HARMLESS = usual
        decoder.close()


def resident() -> int:
    """Bytes of memory that this process, the worker's side, has in use."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
