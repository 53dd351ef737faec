"""Every tag that exiftool can write, in every format that it can write: slots that nobody here has thought of."""

import re
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.corpus.canaries import Canaries
from tests.corpus.films import H264, film
from tests.corpus.judge import exiftool
from tests.corpus.photos import Sample, encoded, heic, picture, raw_picture

DRAWN = re.compile(
    r"Orientation|Rotation|Image(Width|Height|Length)?$|JpgFromRaw|Offsets?$|ByteCounts?$|Length$|Start$|Compression|^Tile"
)
"""Without these there is no picture, or another one."""

XMP_IN = 5  # one in so many of its 2,800 names: they all go the same way


@cache
def tags(group: str) -> tuple[str, ...]:
    """The names that can be written in a group of exiftool's."""
    told = subprocess.run([exiftool(), "-listw", f"-{group}:All"], capture_output=True, text=True, timeout=60).stdout
    return tuple(name for line in told.splitlines() if line.startswith("  ") for name in line.split() if not DRAWN.search(name))


def samples() -> tuple[Sample, ...]:
    """A file of each kind with all of them."""
    plain = {
        "wide.jpg": encoded("JPEG", quality=95),
        "wide.png": encoded("PNG"),
        "wide.webp": encoded("WEBP", lossless=True),
        "wide.tif": encoded("TIFF"),
        "wide.gif": encoded("GIF", picture().quantize(4)),
        "wide.avif": encoded("AVIF", quality=95, subsampling="4:4:4"),
        "wide.heic": heic(Canaries("wide")),
        "wide.jxl": encoded("JXL", lossless=True),
        "wide.dng": raw_picture(Canaries("wide"), like="DNG"),
        "wide.mp4": film(Canaries("wide"), "mp4", *H264),
        "wide.mov": film(Canaries("wide"), "mov", *H264),
        "wide.m4v": film(Canaries("wide"), "ipod", *H264),
        "wide.3gp": film(Canaries("wide"), "3gp", "-c:v", "mpeg4", "-q:v", "2"),
    }
    groups = ("EXIF", "GPS", "IPTC", "PNG", "Keys", "ItemList", "UserData", "Photoshop")
    names = [f"{group}:{tag}" for group in groups for tag in tags(group)]
    names.append("Comment")
    names += [f"XMP:{tag}" for tag in tags("XMP")[::XMP_IN]]
    made = []
    with tempfile.TemporaryDirectory() as scratch:
        folder, known = Path(scratch), {name: Canaries(name) for name in plain}
        order = []
        for name, data in plain.items():
            (folder / name).write_bytes(data)
            order += ["-m", "-q", "-q", "-overwrite_original", "-charset", "utf8"]
            order += [f"-{tag}={known[name].word()}" for tag in names]
            north, east = known[name].place()
            order += [
                f"-GPSLatitude={north}",
                f"-GPSLongitude={east}",
                f"-XMP:GPSLatitude={north}",
                f"-AllDates={known[name].date()}",
            ]
            order += [str(folder / name), "-execute"]
        (folder / "order.txt").write_text("\n".join(order))
        subprocess.run([exiftool(), "-@", str(folder / "order.txt")], capture_output=True, timeout=300)
        for name, canaries in known.items():
            data = (folder / name).read_bytes()
            made.append(Sample(name, data, canaries.keep_only_what_is_in(data)))
    return tuple(made)
