"""Values that exist once in the world: put into every slot that a file has, and then looked for in everything that comes out.

A canary is found however it was written: as ASCII, UTF-8, Latin-1 or UTF-16, in base64 at any phase, in capitals or not, and inside
deflated streams.
"""

import base64
import random
import re
import string
import struct
import zlib
from dataclasses import dataclass, field

MARK = "Qz7"  # every word begins so; what a slot cuts short is found by `MARK` and the letters after it
SHORTEST = 8  # bytes: anything shorter is found in noise by accident
MOST_INFLATED = 4 << 20
ZLIB_HEAD = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
MOST_STREAMS = 200  # of a file; what looks like the head of one often is none


@dataclass
class Canaries:
    """What one file knows and nobody shall learn. The same seed gives the same values."""

    seed: str
    words: list[str] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def word(self, length: int = 12) -> str:
        """A name, a place, a serial number: letters and digits."""
        found = MARK + "".join(self._random.choices(string.ascii_letters + string.digits, k=length - len(MARK)))
        self.words.append(found)
        return found

    def accented(self) -> str:
        """The same with a letter that encodings differ about."""
        found = MARK + "é" + self.word()[3:]
        self.words[-1] = found
        return found

    def number(self) -> str:
        """A serial number of digits alone, for slots that take no letters."""
        found = str(self._random.randrange(10**11, 10**12))
        self.words.append(found)
        return found

    def date(self) -> str:
        """A moment as EXIF writes it. Ours to keep as the time a photo was taken, and never in a file."""
        pick = self._random.randrange
        found = f"{pick(1981, 1999)}:{pick(1, 13):02}:{pick(1, 29):02} {pick(24):02}:{pick(60):02}:{pick(60):02}"
        self.dates.append(found)
        return found

    def place(self) -> tuple[float, float]:
        """Latitude and longitude, as decimals with six digits; wherever they are written as text, they are looked for."""
        north, east = (round(self._random.uniform(-80, 80), 6) for _ in range(2))
        self.words += [f"{abs(value):.6f}" for value in (north, east)]
        return north, east

    def rational(self, order: str = ">") -> bytes:
        """Degrees, minutes and seconds as a GPS directory holds them; the seconds are the canary."""
        top, bottom = self._random.randrange(1 << 24, 1 << 30), self._random.randrange(1 << 24, 1 << 25)
        self.raw.append(struct.pack(order + "II", top, bottom))
        return struct.pack(order + "6I", self._random.randrange(80), 1, self._random.randrange(60), 1, top, bottom)

    def blob(self, length: int = 24) -> bytes:
        """Something binary: a maker's note, a box nobody knows."""
        assert length >= SHORTEST
        found = self._random.randbytes(length)
        self.raw.append(found)
        return found

    def found_in(self, data: bytes, *, dates: bool = True) -> list[str]:
        """Which of the canaries can be read out of `data`, plainly or inflated."""
        needles = [(word, form) for word in self.words for form in forms(word)]
        needles += [(raw.hex(), form) for raw in self.raw for form in (raw, *base64_forms(raw))]
        if dates:
            needles += [(date, form) for date in self.dates for form in date_forms(date)]
        text = b"\0".join((data, *inflated(data)))
        return sorted({name for name, form in needles if form in text})

    def keep_only_what_is_in(self, data: bytes) -> "Canaries":
        """Forget what a writer would not take, so that whatever is left was really there to be taken out."""
        there = set(self.found_in(data))
        self.words = [word for word in self.words if word in there]
        self.raw = [raw for raw in self.raw if raw.hex() in there]
        self.dates = [date for date in self.dates if date in there]
        return self


def forms(word: str) -> list[bytes]:
    """A word in every encoding that a file may have it in."""
    plain = {word.encode("utf-8"), word.encode("latin-1", "ignore")}
    wide = {word.encode("utf-16-le"), word.encode("utf-16-be")}
    cased = {form for each in plain for form in (each.lower(), each.upper())}
    packed = [form for each in (*plain, *wide) for form in base64_forms(each)]
    return [form for form in (*plain, *wide, *cased, *packed) if len(form) >= SHORTEST]


def base64_forms(raw: bytes) -> list[bytes]:
    """The middle of what base64 makes of these bytes, for each of the three places in a triple where they may begin."""
    found = []
    for phase in range(3):
        whole = base64.b64encode(bytes(phase) + raw)
        found.append(whole[(0, 2, 3)[phase] : len(whole) // 4 * 4 - 4])
    return [form for form in found if len(form) >= SHORTEST]


def date_forms(date: str) -> list[bytes]:
    """`1987:03:14 05:06:07` in the ways that files say it."""
    day, time = date.split(" ")
    dashed, run_together = day.replace(":", "-"), day.replace(":", "")
    texts = [date, f"{dashed}T{time}", f"{dashed} {time}", f"{run_together}T{time.replace(':', '')}", day, dashed]
    return [form for text in texts for form in (text.encode(), text.encode("utf-16-le"), text.encode("utf-16-be"))]


def inflated(data: bytes) -> list[bytes]:
    """Whatever is deflated in there, opened: text chunks of a PNG, strips of a TIFF, boxes that are compressed."""
    found = []
    for head in list(ZLIB_HEAD.finditer(data))[:MOST_STREAMS]:
        opener = zlib.decompressobj()
        try:
            text = opener.decompress(data[head.start() :], MOST_INFLATED)
        except zlib.error:
            continue
        if len(text) >= SHORTEST:
            found.append(text)
    return found
