"""What `ingest.py` compares with: a script that only makes the pictures. No seal, no cleaning, no sandbox, no database, no fsync.

`python -m tests.bench.bare PHOTO FOLDER COUNT` makes grid and screen of a JPEG in the same sizes and qualities as Kinfold and copies
the file itself, COUNT times, and prints the CPU seconds that this took; loading Python and libvips does not count.
"""

import sys
import time
from pathlib import Path

import pyvips

pyvips.cache_set_max(0)


def make_renditions(photo: Path, folder: Path) -> None:
    """Three files from one."""
    data = photo.read_bytes()
    half = pyvips.Image.jpegload_buffer(data, shrink=2, access="sequential")
    screen = half.resize(1920 / half.width, vscale=1440 / half.height).copy_memory()
    grid = screen.resize(480 / screen.width, vscale=360 / screen.height)
    (folder / "grid.jpg").write_bytes(grid.jpegsave_buffer(Q=80, optimize_coding=True, keep="none"))
    (folder / "screen.jpg").write_bytes(screen.jpegsave_buffer(Q=82, optimize_coding=True, keep="none"))
    (folder / "full.jpg").write_bytes(data)


if __name__ == "__main__":
    make_renditions(Path(sys.argv[1]), Path(sys.argv[2]))
    before = time.process_time()
    for _ in range(int(sys.argv[3])):
        make_renditions(Path(sys.argv[1]), Path(sys.argv[2]))
    print(time.process_time() - before)
