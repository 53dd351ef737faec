"""The most memory that any process of Kinfold ever has while it takes in what phones make: HEICs of 12 and of 48 megapixels."""

from collections.abc import Iterator

from tests.bench.ingest import send, wait_until_done
from tests.bench.measure import Line, Options, peak_memory
from tests.bench.picture import HEIGHT, WIDTH, another_heic, phone_heic
from tests.bench.stage import decoder_of, stage, web_of, worker_of

LIMITS = {12: 250, 48: 400}
"""MB, by megapixels."""


def run(options: Options) -> Iterator[Line]:
    photos = 2 if options.quick else 4
    with stage() as place:
        album = place.anna.album("Brittany 2026").id
        with place.serving() as server:
            anna = place.anna_at_her_phone()
            for megapixels, factor in ((12, 1), (48, 2)):
                photo = phone_heic(WIDTH * factor, HEIGHT * factor)
                send(anna, album, [(f"IMG_{number}.heic", another_heic(photo, number)) for number in range(photos)])
                wait_until_done(place)
                for name, processes in (("web server", web_of), ("worker", worker_of), ("decoder", decoder_of)):
                    what, note = f"memory: most of the {name}, HEIC of {megapixels} megapixels", f"{len(photo) / 1e6:.1f} MB each"
                    yield Line(what, peak_memory(processes(server)), "MB", at_most=LIMITS[megapixels], note=note)
