"""`make crash`: kill -9 web server, worker or both at random moments of an ingest, start again, and look for what was lost.

`python -m tests.crash [--kills 200] [--files 300] [--where sqlite] [--where postgres] [--seed N]`. Exit code 1 when anything is wrong.
"""

import argparse
import random
import secrets
import signal
import sys
import time

from tests.crash.harness import PLACES, ingest, server_on
from tests.crash.judge import judge
from tests.crash.roll import roll


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description="Kill everything during an ingest, and look.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--where", action="append", choices=PLACES, help="only there; otherwise one after the other")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="repeat the same files and moments")
    parser.add_argument("--pace", type=float, default=1.5, help="seconds between two kills, on average")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and take the servers along
    return sum(run(where, asked) for where in asked.where or PLACES) and 1


def run(where: str, asked: argparse.Namespace) -> bool:
    """One whole ingest; whether anything was wrong."""

    def say(line: str) -> None:
        print(f"{where}: {line}", flush=True)

    say(f"seed {asked.seed}, {asked.files} files, {asked.kills} kills")
    chance, began = random.Random(asked.seed), time.monotonic()
    files = roll(asked.files, chance)
    with server_on(where) as server:
        anna, story = ingest(server, files, kills=asked.kills, pace=asked.pace, chance=chance, say=say)
        wrong, given = judge(server, anna, files, story)
    killed = ", ".join(f"{what} {number}" for what, number in sorted(story.killed.items()))
    say(f"killed: {killed}; the client was told: {dict(sorted(story.answers.items()))}")
    say(f"{len(story.acknowledged)} files acknowledged, of which {sum(1 for each in files if each.reason)} are no photos")
    say(f"{given.up} good photos were hit three times while they were being prepared, and became photos by Try again")
    for line in wrong:
        say(f"WRONG: {line}")
    say(f"{'NOT ok' if wrong else 'ok'} after {time.monotonic() - began:.0f} s")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
