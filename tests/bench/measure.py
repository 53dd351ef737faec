"""What benchmarks have in common: a line to print, and how to look at processes from outside.

Times are CPU seconds, because a busy machine changes them least. What is compared runs in turns, round after round; a line says the
median of the rounds and how far apart they lie.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

NOISY = 0.15
"""When the middle half of the rounds lies further apart than this share of their median, the line says so."""


@dataclass(frozen=True)
class Options:
    """How much to measure: `quick` makes fewer rounds under the same limits, `profile` also says where the time goes."""

    quick: bool = False
    profile: bool = False


@dataclass(frozen=True)
class Line:
    """One figure. At most one of `at_most` and `at_least` is its limit; without any it is told for information."""

    what: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def ok(self) -> bool:
        return (self.at_most is None or self.value <= self.at_most) and (self.at_least is None or self.value >= self.at_least)

    def __str__(self) -> str:
        verdict, limit = "", ""
        if self.at_most is not None or self.at_least is not None:
            verdict = "ok" if self.ok else "NOT"
            limit = f"<= {self.at_most:g}" if self.at_most is not None else f">= {self.at_least:g}"
        return f"{verdict:3} {self.what:64} {self.value:8.2f} {self.unit:3} {limit:8} {self.note}".rstrip()


def compare(what: str, ours: Sequence[float], others: Sequence[float], *, at_most: float | None = None) -> Line:
    """How many times the others' cost ours is: the median over the rounds."""
    ratios = [our / other for our, other in zip(ours, others, strict=True)]
    note = f"{said(statistics.median(ours))} against {said(statistics.median(others))}, {spread_of(ratios)}"
    return Line(what, statistics.median(ratios), at_most=at_most, note=note)


def said(seconds: float) -> str:
    """A duration as people say it."""
    return f"{seconds * 1000:.3g} ms" if seconds >= 0.001 else f"{seconds * 1_000_000:.0f} us"


def spread_of(values: Sequence[float]) -> str:
    """How many rounds there were, and how far apart the middle half of them lies."""
    if len(values) < 3:
        return f"{len(values)} rounds"
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    spread = (high - low) / statistics.median(values)
    return f"{len(values)} rounds {spread:.0%} apart" + (", NOISY: repeat it on a quiet machine" if spread > NOISY else "")


def own_cpu(call: Callable[[], object], *, times: int = 1) -> float:
    """CPU seconds of this process for one call, over so many of them."""
    before = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - before) / times


def cpu(processes: Sequence[int]) -> float:
    """CPU seconds that other processes have used (the clock id as linux/posix-timers_types.h makes it)."""
    return sum(time.clock_gettime(~process << 3 | 2) for process in processes)


def peak_memory(processes: Sequence[int]) -> float:
    """The most memory that one of these processes has ever had, in MB (VmHWM of proc_pid_status(5))."""
    lines = [line for each in processes for line in Path(f"/proc/{each}/status").read_text(encoding="ascii").splitlines()]
    return max(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1_000_000
