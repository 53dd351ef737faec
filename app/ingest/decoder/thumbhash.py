"""A placeholder of about 20 bytes: ThumbHash by Evan Wallace (https://evanw.github.io/thumbhash/, MIT), for opaque pictures.

The picture is taken apart into brightness and two colour differences, each of them into a few cosine waves: five bytes
with averages, scales and shape, then four bits a wave. `thumbHashToRGBA` of the thumbhash package paints it. This is our
own implementation; it sums along rows first and columns then, which gives the same numbers at a tenth of the work.
"""

from math import cos, pi
from operator import mul

EDGE = 48  # px: more changes nothing that can be seen


def thumbhash(rgb: bytes, width: int, height: int) -> bytes:
    """The hash of `width` x `height` pixels of three bytes each; neither side may be more than 100 px."""
    longest = max(width, height)
    if not 1 <= longest <= 100 or len(rgb) != 3 * width * height:
        raise ValueError("a thumbhash is made from at most 100 x 100 pixels of RGB")
    red, green, blue = ([value / 255 for value in rgb[channel::3]] for channel in range(3))
    brightness = [(r + g + b) / 3 for r, g, b in zip(red, green, blue, strict=True)]
    yellow_blue = [(r + g) / 2 - b for r, g, b in zip(red, green, blue, strict=True)]
    red_green = [r - g for r, g in zip(red, green, strict=True)]

    across, down = max(1, _round(7 * width / longest)), max(1, _round(7 * height / longest))
    l_mean, l_scale, l_waves = _waves(brightness, width, height, max(3, across), max(3, down))
    p_mean, p_scale, p_waves = _waves(yellow_blue, width, height, 3, 3)
    q_mean, q_scale, q_waves = _waves(red_green, width, height, 3, 3)

    landscape = width > height
    averages = (
        _round(63 * l_mean) | _round(31.5 + 31.5 * p_mean) << 6 | _round(31.5 + 31.5 * q_mean) << 12 | _round(31 * l_scale) << 18
    )
    shape = (down if landscape else across) | _round(63 * p_scale) << 3 | _round(63 * q_scale) << 9 | landscape << 15
    halves = [_round(15 * wave) for wave in (*l_waves, *p_waves, *q_waves)]
    halves += [0] * (len(halves) % 2)
    waves = bytes(low | high << 4 for low, high in zip(halves[::2], halves[1::2], strict=True))
    return averages.to_bytes(3, "little") + shape.to_bytes(2, "little") + waves


def _waves(channel: list[float], width: int, height: int, across: int, down: int) -> tuple[float, float, list[float]]:
    """The mean, the largest strength, and the strengths of the low waves brought to 0..1, rows of waves first."""
    columns = [[cos(pi / width * wave * (x + 0.5)) for x in range(width)] for wave in range(across)]
    rows = [[cos(pi / height * wave * (y + 0.5)) for y in range(height)] for wave in range(down)]
    lines = [channel[y * width : (y + 1) * width] for y in range(height)]
    strengths = []
    for cx, column in enumerate(columns):
        sums = [sum(map(mul, line, column)) for line in lines]
        for cy, row in enumerate(rows):
            if cx * down < across * (down - cy):  # only the triangle of low waves is kept
                strengths.append((cy, cx, sum(map(mul, sums, row)) / (width * height)))
    strengths.sort()
    mean, rest = strengths[0][2], [strength for _, _, strength in strengths[1:]]
    scale = max((abs(strength) for strength in rest), default=0.0)
    if scale:
        rest = [0.5 + 0.5 / scale * strength for strength in rest]
    return mean, scale, rest


def _round(value: float) -> int:
    """As JavaScript does: halves up."""
    return int(value + 0.5)
