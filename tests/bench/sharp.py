"""The same photos through `sharp` (npm), which makes of each what Immich shows: 1440 px JPEG and 250 px WebP, both of quality 80.

sharp is installed by npm in a scratch folder outside the project, at the version below, and gone afterwards. It does what Immich's server
does with it (`decodeImage`, `generateThumbnail` and `generateThumbhash` of its media.repository.ts, called by its media.service.ts): decode
once, turn, shrink, and make both pictures and the thumbhash of that; in sRGB when the photo says so or says nothing, else in Display-P3
through 16 bits, which is what Immich sets out with and what iPhones take. The photo itself is kept as it is and costs nothing there.
Counted is the CPU time of node after its first photo, and on our side all that `ingest.py` counts.

In sRGB nothing that makes our pictures can be twice as cheap: both decode by the same library, and `bare.py`, which does nothing else,
takes six tenths of sharp's time. What we promise is a family's roll, half of it from iPhones; each half is told apart.
"""

import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from tests.bench.ingest import prepare, send, wait_until_done
from tests.bench.measure import Line, Options, said, spread_of
from tests.bench.picture import another, iphone_photo, phone_photo
from tests.bench.stage import stage

VERSION, THUMBHASH = "0.35.5", "0.1.1"
SCRIPT = """
const sharp = require("sharp");
sharp.concurrency(0);
sharp.cache(false);  // Immich keeps its cache, but never sees a photo twice
const [, , photo, colorspace, count] = process.argv;
function pipeline(input, size, raw) {
  const options = { failOn: "error", limitInputPixels: false, unlimited: true, raw };
  const begun = sharp(input, options).pipelineColorspace(colorspace === "srgb" ? "srgb" : "rgb16").withIccProfile(colorspace);
  return (raw ? begun : begun.rotate()).resize(size, size, { fit: "outside", withoutEnlargement: true });
}
async function make() {
  const { rgbaToThumbHash } = await import("thumbhash");
  const { data, info } = await pipeline(photo, 1440).raw().toBuffer({ resolveWithObject: true });
  const tiny = sharp(data, { raw: info }).resize(100, 100, { fit: "inside", withoutEnlargement: true });
  const subsampling = { quality: 80, chromaSubsampling: "4:4:4" };
  const [small] = await Promise.all([
    tiny.raw().ensureAlpha().toBuffer({ resolveWithObject: true }),
    pipeline(data, 250, info).toFormat("webp", subsampling).toFile("thumbnail.webp"),
    pipeline(data, 1440, info).toFormat("jpeg", subsampling).toFile("preview.jpeg"),
  ]);
  rgbaToThumbHash(small.info.width, small.info.height, small.data);
}
async function main() {
  await make();
  const before = process.cpuUsage();
  for (let each = 0; each < count; each++) await make();
  const { user, system } = process.cpuUsage(before);
  console.log((user + system) / 1e6 / count);
}
main();
"""


@dataclass(frozen=True)
class Kind:
    """A photo, and the colours in which Immich has sharp work on it."""

    name: str
    photo: Callable[[], bytes]
    colours: str


KINDS = (Kind("Display-P3, as iPhones take them", iphone_photo, "p3"), Kind("sRGB", phone_photo, "srgb"))


def run(options: Options) -> Iterator[Line]:
    if shutil.which("npm") is None:
        print("    sharp: skipped, npm is not installed (Debian: npm)")
        return
    rounds, photos = (3, 6) if options.quick else (9, 12)
    with tempfile.TemporaryDirectory(prefix="kinfold-sharp-") as name, stage() as place:
        folder = Path(name)
        _install(folder)
        album = place.anna.album("Brittany 2026").id
        with place.serving() as server:
            anna = place.anna_at_her_phone()
            send(anna, album, [("IMG_0.jpg", another(phone_photo(), 0))])  # starts the decoder
            wait_until_done(place)
            numbers = count(1)
            ours, theirs = [0.0] * rounds, [0.0] * rounds  # CPU seconds for one photo of each kind
            for kind in KINDS:
                our, their = [], []
                for _ in range(rounds):
                    their.append(_sharp(folder, kind, photos))
                    roll = [(f"IMG_{number}.jpg", another(kind.photo(), number)) for number in islice(numbers, photos)]
                    _, working, decoding, _ = prepare(place, server, anna, album, roll)
                    our.append(working + decoding)
                yield _line(kind.name, our, their)
                ours, theirs = ([a + b for a, b in zip(*both, strict=True)] for both in ((ours, our), (theirs, their)))
    yield _line("half of each", ours, theirs, at_least=2.0)


def _line(name: str, ours: Sequence[float], theirs: Sequence[float], at_least: float | None = None) -> Line:
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    note = f"{said(statistics.median(ours))} against {said(statistics.median(theirs))} of sharp {VERSION}, {spread_of(ratios)}"
    return Line(f"sharp: photos per CPU second, of sharp's, {name}", statistics.median(ratios), at_least=at_least, note=note)


def _install(folder: Path) -> None:
    (folder / "package.json").write_text('{"private": true}')
    (folder / "make.js").write_text(SCRIPT)
    install = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", f"sharp@{VERSION}", f"thumbhash@{THUMBHASH}"]
    subprocess.run(install, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _sharp(folder: Path, kind: Kind, photos: int) -> float:
    """CPU seconds of node for one photo."""
    (folder / "photo.jpg").write_bytes(kind.photo())
    make = ["node", "make.js", "photo.jpg", kind.colours, str(photos)]
    return float(subprocess.run(make, cwd=folder, capture_output=True, check=True, text=True).stdout)
