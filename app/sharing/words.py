"""Six words that somebody reads off a card and types: an address for people without a messenger.

The words are the large list of the Electronic Frontier Foundation, 7,776 of them, made by Joseph Bonneau for being typed without mistakes
(https://www.eff.org/dice, 2016; Creative Commons Attribution 3.0 US), in `words.txt`, one a line, as they were published. Six drawn at
random are 77.5 bits. No word is the beginning of another one, so they can be told apart however they were typed: with spaces, dashes,
capitals or nothing between them.
"""

import secrets
from functools import cache
from pathlib import Path

WORDS = 6


def draw() -> str:
    """Six random words, as they stand in an address: acorn-blue-..."""
    return "-".join(secrets.choice(_in_order()) for _ in range(WORDS))


def parse(text: str) -> str | None:
    """The six words that somebody typed, as they stand in an address; None when they are not six words of the list."""
    letters = "".join(each for each in text.casefold() if each.isalpha())
    found: list[str] = []
    while letters and len(found) < WORDS:
        word = next((letters[:length] for length in range(1, _longest() + 1) if letters[:length] in _known()), None)
        if word is None:
            return None
        found.append(word)
        letters = letters[len(word) :]
    return "-".join(found) if len(found) == WORDS and not letters else None


@cache
def _in_order() -> tuple[str, ...]:
    """Without the dash that four of them have, which stands between words here; so yo-yo and yoyo are one."""
    return tuple(Path(__file__).with_name("words.txt").read_text(encoding="ascii").replace("-", "").split())


@cache
def _known() -> frozenset[str]:
    return frozenset(_in_order())


@cache
def _longest() -> int:
    return max(map(len, _in_order()))
