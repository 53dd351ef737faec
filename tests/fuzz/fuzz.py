"""Damaged files, one after the other, against the real processes: each becomes a clean picture or film, or is refused with a reason that
we know, within its time; and the worker's side does not grow."""

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.ingest.decoding import Decoded, MadeRendition
from tests.corpus import walks
from tests.corpus.films import films
from tests.corpus.judge import SENTENCES, quick_faults
from tests.corpus.photos import Sample, photos
from tests.corpus.taking import Taking, resident, taking
from tests.fuzz.mutations import mutated

KEPT = Path(tempfile.gettempdir()) / "kinfold-fuzz"
SECONDS = 60.0  # for one file: what a worker gives a photo
FILM_IN = 40  # one case in so many is a film: it costs as much as fifty photos
WARM = 200  # cases until memory is looked at
GROWTH = 64 << 20  # bytes that the worker's side may grow afterwards


@dataclass
class Report:
    """How it went: what became of how many, and what went wrong."""

    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    growth: int = 0

    @property
    def ok(self) -> bool:
        return not self.wrong and self.growth < GROWTH


@dataclass(frozen=True)
class Case:
    """Number `n` of a seed."""

    name: str
    data: bytes
    sample: Sample


def case(seed: int, n: int) -> Case:
    """The same file every time."""
    rng = random.Random(f"{seed}/{n}")
    kind = films() if n % FILM_IN == 0 else photos()
    sample = rng.choice(kind)
    others = [other.data for other in kind]
    return Case(f"{seed}-{n}-{sample.name}", mutated(sample.data, others, rng), sample)


def run(*, seed: int, numbers: range, say: Callable[[str], None] = print) -> Report:
    """Try these cases; each that goes wrong is said at once, and kept in `KEPT`."""
    report, floor = Report(), 0
    with taking(stays=True) as taker:
        for count, n in enumerate(numbers):
            one = case(seed, n)
            wrong = _try(taker, one, report)
            if wrong:
                KEPT.mkdir(exist_ok=True)
                (KEPT / one.name).write_bytes(one.data)
                report.wrong.append(f"{one.name}: {'; '.join(dict.fromkeys(wrong))}")
                say(report.wrong[-1])
            if count == WARM:
                floor = resident()
    report.growth = resident() - floor if floor else 0
    return report


def _try(taker: Taking, one: Case, report: Report) -> list[str]:
    start = time.monotonic()
    answer, made = taker.take(one.data)
    took = time.monotonic() - start
    wrong = [f"took {took:.0f} s"] if took > SECONDS + 10 else []
    if isinstance(answer, Decoded):
        report.answers["made"] += 1
        return wrong + [f"{each.name}: {fault}" for each in made for fault in _faults(each, one.sample)]
    report.answers[answer.reason] += 1
    if answer.reason not in SENTENCES or answer.reason == "failed":
        wrong.append(f"refused as {answer.reason}")
    return wrong


def _faults(made: MadeRendition, sample: Sample) -> list[str]:
    """The fast part of the judge. Among the coded data of a JPEG, which stay bit for bit, damage may put words that are then drawn."""
    if made.name == "full" and sample.name.startswith("jpeg"):
        return walks.faults(made.mime, made.data)
    return quick_faults(made.mime, made.data, sample.canaries)


def parts(count: int, hands: int) -> Iterator[range]:
    """The numbers of all cases, for so many hands."""
    yield from (range(first, count, hands) for first in range(hands))
