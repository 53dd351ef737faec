"""`make fuzz`: damaged files of every format against the real decoder.

`python -m tests.fuzz [--count 20000] [--seed 4] [--hands 2] [--only N]`; the same seed gives the same files. Ends with 1 when one of them
was not answered as it should be; those are kept in the temporary folder.
"""

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.fuzz.fuzz import KEPT, Report, parts, run


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Damaged files of every format against the decoder."
    )
    parser.add_argument("--count", type=int, default=20_000, help="how many files")
    parser.add_argument("--seed", type=int, default=4, help="which files: the same seed makes the same ones")
    parser.add_argument("--hands", type=int, default=os.cpu_count() or 1, help="how many at once")
    parser.add_argument("--only", type=int, help="only the file of this number, to look at it again")
    asked = parser.parse_args()
    start = time.monotonic()
    if asked.only is not None:
        reports = [run(seed=asked.seed, numbers=range(asked.only, asked.only + 1))]
    else:
        with ProcessPoolExecutor(asked.hands) as hands:
            reports = list(hands.map(_part, [asked.seed] * asked.hands, parts(asked.count, asked.hands)))
    answers = sum((report.answers for report in reports), Counter[str]())
    wrong = sum(len(report.wrong) for report in reports)
    grown = max(report.growth for report in reports)
    print(", ".join(f"{reason}: {count}" for reason, count in answers.most_common()))
    print(
        f"{wrong or 'None'} of {answers.total()} wrong, seed {asked.seed}, {time.monotonic() - start:.0f} s, {grown >> 20} MB grown."
    )
    if wrong:
        print(f"Those are in {KEPT}.")
    return 0 if all(report.ok for report in reports) else 1


def _part(seed: int, numbers: range) -> Report:
    return run(seed=seed, numbers=numbers, say=lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(main())
