"""A HEIC as phones make them, from received to ready, against what pillow-heif takes to decode it and does nothing else.

`python -m tests.bench.heic FILE COUNT` decodes a file so often and prints the CPU seconds for one; loading the library does not count.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pillow_heif

from tests.bench.ingest import prepare, send, wait_until_done
from tests.bench.measure import Line, Options, compare, said
from tests.bench.picture import another_heic, phone_heic
from tests.bench.stage import stage


def run(options: Options) -> Iterator[Line]:
    rounds, photos = (3, 3) if options.quick else (7, 5)
    with stage() as place:
        file = place.settings.data / "photo.heic"
        file.write_bytes(phone_heic())
        album = place.anna.album("Brittany 2026").id
        with place.serving() as server:
            anna = place.anna_at_her_phone()
            send(anna, album, [("IMG_0.heic", another_heic(phone_heic(), 0))])  # starts the decoder
            wait_until_done(place)
            ours, alone, clocks = [], [], []
            for round_ in range(1, rounds + 1):
                alone.append(_decode_alone(file, photos))
                roll = [(f"IMG_{number}.heic", another_heic(phone_heic(), 1000 * round_ + number)) for number in range(photos)]
                _, working, decoding, clock = prepare(place, server, anna, album, roll)
                ours.append(working + decoding)
                clocks.append(clock)
    yield compare("heic: a photo in all, of pillow-heif's decoding alone", ours, alone, at_most=1.3)
    yield Line(
        "heic: a photo by the clock",
        statistics.median(clocks),
        "s",
        note=f"decoding alone {said(statistics.median(alone))} of CPU",
    )


def _decode_alone(file: Path, times: int) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.heic", file, str(times)], capture_output=True, check=True, text=True
    )
    return float(done.stdout)


def _decode(data: bytes) -> None:
    pillow_heif.open_heif(data).to_pillow()


if __name__ == "__main__":
    content, times = Path(sys.argv[1]).read_bytes(), int(sys.argv[2])
    _decode(content)
    before = time.process_time()
    for _ in range(times):
        _decode(content)
    print((time.process_time() - before) / times)
