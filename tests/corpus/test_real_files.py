"""Files that others made, where they are at hand: accepted and refused as they should be, and nothing of what exiftool reads in them is
delivered."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.ingest.decoding import Decoded
from tests.conftest import SHARED
from tests.corpus.canaries import SHORTEST, Canaries
from tests.corpus.judge import SENTENCES, Judge, exiftool
from tests.corpus.taking import taking

SAMPLES = SHARED / "samples"
TELLING = {
    "IFD0",
    "IFD1",
    "ExifIFD",
    "GPS",
    "IPTC",
    "ItemList",
    "UserData",
    "Keys",
    "QuickTime",
    "PNG",
    "Photoshop",
    "GIF",
    "Samsung",
    "Apple",
}
"""Groups of exiftool's whose texts say something about the picture; XMP's and the makers' come in many."""


def listed() -> Iterator[tuple[Path, str]]:
    """Each file, and whether it must be accepted, must be rejected, or either."""
    for line in (SAMPLES / "SOURCES.tsv").read_text().splitlines()[1:]:
        name, _, _, _, expected, *_ = line.split("\t")
        yield SAMPLES / name, expected


def known(path: Path) -> Canaries:
    """What exiftool reads in a file, as canaries."""
    told = subprocess.run([exiftool(), "-json", "-G1", "-a", "-ee", str(path)], capture_output=True, timeout=60).stdout
    canaries = Canaries(path.name)
    for key, value in json.loads(told or b"[{}]")[0].items():
        group = key.partition(":")[0]
        telling = group in TELLING or group.startswith(("XMP", "Track"))
        if telling and isinstance(value, str) and len(value.encode()) > SHORTEST and not value.startswith("(Binary data"):
            canaries.words.append(value)
    return canaries


@pytest.mark.slow
@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples are not here")
def test_files_that_others_made(tmp_path: Path) -> None:
    judge, expectations = Judge(tmp_path), []
    with taking() as taker:
        for path, expected in listed():
            answer, made = taker.take(path.read_bytes())
            if isinstance(answer, Decoded):
                expectations += [f"{path.name} was accepted"] if expected == "must-reject" else []
                canaries = known(path)
                for each in made:
                    judge.look(f"{path.name}-{each.name}", each.mime, each.data, canaries)
            else:
                expectations += [f"{path.name}: {answer.reason}"] if expected == "must-accept" else []
                assert answer.reason in SENTENCES, path.name
    verdict = [*expectations, *judge.verdict()]
    assert not verdict, "\n".join(verdict)
