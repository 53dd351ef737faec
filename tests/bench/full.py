"""The clean `full` of a JPEG, whose pixels stay bit for bit, against `jpegtran -copy none`, which does the same in its own way."""

import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from app.ingest.decoder import colour, jpeg, metadata
from app.ingest.decoder.prove import prove
from tests.bench.measure import Line, Options, compare, own_cpu
from tests.bench.picture import phone_photo


def run(options: Options) -> Iterator[Line]:
    if shutil.which("jpegtran") is None:
        print("    full: skipped, jpegtran is not installed (Debian: libjpeg-turbo-progs)")
        return
    rounds = 5 if options.quick else 15
    for name, photo in (("baseline", phone_photo()), ("progressive", phone_photo(interlace=True))):
        with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
            Path(file.name).write_bytes(photo)
            ours, theirs = [], []
            for _ in range(rounds):
                ours.append(own_cpu(lambda photo=photo: _clean(photo)))  # type: ignore[misc]
                theirs.append(_jpegtran(file.name))
        yield compare(f"full: cleaning a {name} JPEG, of jpegtran's CPU", ours, theirs, at_most=0.1)


def _clean(photo: bytes) -> None:
    """All that becoming `full` takes: find what draws, read what the rest says, write, prove."""
    source = jpeg.walk(photo)
    exif = metadata.read_exif(source.exif or b"")
    profile = colour.recognise(source.profile, bands=source.components)
    prove("image/jpeg", source.clean(orientation=exif.orientation, profile=profile))


def _jpegtran(path: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["jpegtran", "-copy", "none", "-outfile", "/dev/null", path], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
