"""One tiny picture of every kind, before the doors close: what libraries load at first use is loaded then.

What can't be made here without loading an encoder is written out: at most 16 x 16 px, one colour, made for this file.
"""

import base64

import pillow_heif
import pyvips

from . import canned, render

HEIC = (
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAAAAAERA"
    "AAEAAQAAAAABoAABAAAAAAAAACUAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/GlwcnAAAADcaXBjbwAA"
    "AHVodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQApQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq"
    "rprm4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAChjbGFwAAAAEAAAAAEAAAAQ"
    "AAAAAf///9AAAAAC////0AAAAAIAAAAQcGl4aQAAAAADCAgIAAAAGGlwbWEAAAAAAAAAAQABBYECAwWEAAAALW1kYXQAAAAhKAGvBBITDOD46cJoLz/F"
    "qVKU8n7QqyvjSZ93sRiSqf+g"
)
AVIF = (
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUIAAADrbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAAAAAAAAAOcGl0bQAA"
    "AAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAETAAAAIwAAAChpaW5mAAAAAAABAAAAGmluZmUCAAAAAAEAAGF2MDFDb2xvcgAAAABqaXBycAAAAEtp"
    "cGNvAAAAFGlzcGUAAAAAAAAAEAAAABAAAAAQcGl4aQAAAAADCAgIAAAADGF2MUOBAAwAAAAAE2NvbHJuY2x4AAEADQAGgAAAABdpcG1hAAAAAAAAAAEA"
    "AQQBAoMEAAAAK21kYXQSAAoJGAz/2iAhoNCAMhQex4eFWd///+LAAAB1fVmPKXPeHg=="
)

JXL = "/wpDBgATiAIA1AC1nyAAABUqo4wbvJzr+fJDh8W0jesMbbVtYQljs70wSEg4Q9ztvETNM5LYXw7miGAoCqgkAQ=="
GIF = "R0lGODdhEAAQAIEAAFp4yAAAAAAAAAAAACwAAAAAEAAQAEAIHQABCBxIsKDBgwgTKlzIsKHDhxAjSpxIsaLFgQEBADs="
BMP = "Qk1GAAAAAAAAADYAAAAoAAAAAgAAAAIAAAABABgAAAAAABAAAADEDgAAxA4AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="


def warm_up() -> None:
    """Set the libraries to small and single-minded, then run every kind of picture through the whole way."""
    pyvips.block_untrusted_set(True)
    pyvips.cache_set_max(0)
    pillow_heif.options.DECODE_THREADS = 1
    square = pyvips.Image.black(600, 400).bandjoin([120, 200]).copy(interpretation="srgb")
    plain = square.jpegsave_buffer(keep="none")
    wide_gamut = plain[:2] + canned.orientation(5) + canned.profile_segment("p3") + plain[2:]
    inks = square.bandjoin(9).copy(interpretation="cmyk").jpegsave_buffer(keep="none")
    transparent = square.bandjoin(square[0]).pngsave_buffer(keep="none")
    deep = (square.cast("ushort") * 256).cast("ushort").copy(interpretation="rgb16").pngsave_buffer(keep="none")
    webp = square.crop(0, 0, 16, 16).webpsave_buffer(keep="none")
    tiff = square.tiffsave_buffer(compression="deflate", keep="none")
    written_out = (base64.b64decode(text) for text in (HEIC, AVIF, JXL, GIF, BMP))
    for picture in (plain, wide_gamut, inks, transparent, deep, webp, tiff, *written_out):
        render.render(picture)
