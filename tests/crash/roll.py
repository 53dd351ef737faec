"""The roll that is uploaded while everything is killed: small pictures and films, what is neither, and some of it twice.

Every file holds a place of its own (`CANARY`), where a phone would write it, so that none of it may ever be found in the clear. Every
picture has four colours of its own, so that it can be told from all others after whatever was done to it.
"""

import random
from dataclasses import dataclass
from io import BytesIO

import pillow_heif
from PIL import Image

from tests.made_films import film

pillow_heif.register_heif_opener()

CANARY = b"Canary-Place-Ker-Lann"
NAME = "canary-file-name"
FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "heic": "HEIF", "avif": "AVIF"}
LEVELS = (40, 95, 150, 205)
Colours = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class File:
    """A file of the roll. `reason` is why it is refused; `colours` are those of its quarters when it becomes a photo."""

    name: str
    data: bytes
    reason: str | None = None
    colours: Colours = ()


def roll(count: int, chance: random.Random) -> list[File]:
    """So many files, in the order in which they are sent: of a dozen about one is broken, one is sent twice, and half a one is a film."""
    files: list[File] = [File(f"{NAME}-empty.jpg", b"", "empty")]
    while len(files) < count:
        number, kind = len(files), chance.randrange(12)
        if kind == 0:
            files.append(_broken(number, chance))
        elif kind == 1:
            again = chance.choice(files)
            files.append(File(f"{NAME}-{number}-again.jpg", again.data, again.reason, again.colours))
        elif kind == 2 and chance.random() < 0.5:
            files.append(_film(number, chance))
        else:
            files.append(_picture(number, chance))
    return files


def colours_of(picture: bytes) -> Colours:
    """The colours in the middle of the quarters of a picture."""
    with Image.open(BytesIO(picture)) as opened:
        image = opened.convert("RGB")
    width, height = image.size
    found = [image.getpixel((width * x // 4, height * y // 4)) for y in (1, 3) for x in (1, 3)]
    return tuple((int(r), int(g), int(b)) for r, g, b in found)  # type: ignore[misc]


def look_alike(one: Colours, other: Colours) -> bool:
    """Whether these are the same colours, but for what saving a picture does to them."""
    return len(one) == len(other) and all(
        abs(a - b) < 25 for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True)
    )


def _picture(number: int, chance: random.Random) -> File:
    ending = chance.choice(("jpg", "jpg", *FORMATS))
    most = 4000 if ending == "jpg" else 1600
    width, height = (chance.randrange(200, most, 2) for _ in range(2))
    colours = _colours(number, chance)
    image = Image.new("RGB", (width, height))
    for at, colour in enumerate(colours):
        left, top = at % 2 * width // 2, at // 2 * height // 2
        image.paste(colour, (left, top, left + width, top + height))
    exif = Image.Exif()
    exif[0x010E] = CANARY.decode()
    exif.get_ifd(0x8825)[29] = CANARY.decode()
    out = BytesIO()
    further = {"comment": CANARY, "progressive": number % 3 == 0} if ending == "jpg" else {}
    image.save(out, FORMATS[ending], exif=exif, quality=90, **further)
    behind = CANARY if ending == "jpg" else b""
    return File(f"{NAME}-{number}.{ending}", out.getvalue() + behind, None, colours)


def _film(number: int, chance: random.Random) -> File:
    colours = _colours(number, chance)
    picture = "color=black:size=192x128:rate=15:duration=1" + "".join(
        f",drawbox={at % 2 * 96}:{at // 2 * 64}:96:64:0x{red:02x}{green:02x}{blue:02x}:fill"
        for at, (red, green, blue) in enumerate(colours)
    )
    told = ("-metadata", f"title={CANARY.decode()}", "-metadata", f"comment={CANARY.decode()}")
    return File(f"{NAME}-{number}.mp4", film(*told, picture=picture), None, colours)


def _colours(number: int, chance: random.Random) -> Colours:
    """The first two tell the file from all others."""
    digits = [number // 4**place % 4 for place in range(6)] + [chance.randrange(4) for _ in range(6)]
    levels = [LEVELS[digit] for digit in digits]
    return tuple((levels[at], levels[at + 1], levels[at + 2]) for at in range(0, 12, 3))


def _broken(number: int, chance: random.Random) -> File:
    if chance.random() < 0.5:
        return File(f"{NAME}-{number}.txt", b"%d: a letter about %s " % (number, CANARY) * 40, "not-a-picture")
    whole = _picture(number, chance)
    while not whole.name.endswith(".jpg"):
        whole = _picture(number, chance)
    return File(whole.name, whole.data[: len(whole.data) // 2], "broken")
