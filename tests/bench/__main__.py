"""`make bench`: what Kinfold promises about its cost, measured on this machine.

`python -m tests.bench [--quick] [--profile] [name ...]`; every figure that has a limit is a ratio, a size or a time people can feel.
Exit code 1 when a limit is missed.
"""

import argparse
import os
import sys

from tests.bench import (
    backup,
    databases,
    films,
    first_view,
    full,
    group,
    guests,
    heic,
    ingest,
    line,
    memory,
    pages,
    queue,
    s3,
    seeing,
    sharp,
    waiting,
    workers,
)
from tests.bench import bytes as photo_bytes
from tests.bench import zip as whole_album
from tests.bench.measure import Options

BENCHMARKS = {
    "ingest": ingest.run,
    "sharp": sharp.run,
    "heic": heic.run,
    "workers": workers.run,
    "memory": memory.run,
    "queue": queue.run,
    "full": full.run,
    "films": films.run,
    "pages": pages.run,
    "bytes": photo_bytes.run,
    "zip": whole_album.run,
    "waiting": waiting.run,
    "first_view": first_view.run,
    "seeing": seeing.run,
    "line": line.run,
    "s3": s3.run,
    "group": group.run,
    "guests": guests.run,
    "databases": databases.run,
    "backup": backup.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure what the README promises, as ratios.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"only these: {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, same limits")
    parser.add_argument("--profile", action="store_true", help="also say where the time of an album page goes")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    missed = 0
    for name in asked.names or BENCHMARKS:
        for figure in BENCHMARKS[name](Options(quick=asked.quick, profile=asked.profile)):
            print(figure, flush=True)
            missed += not figure.ok
    print(f"{missed or 'No'} limit{'' if missed == 1 else 's'} missed. {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
