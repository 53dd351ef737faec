"""What files and folders are called in a copy to take away: pure decisions."""

import unicodedata
from collections.abc import Collection

LONGEST = 60
"""Characters of a folder's name: with its number it fits into the 255 bytes that file systems take, in every script."""

_NOT_IN_NAMES = '/\\:*?"<>|'
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
"""What Windows takes for a device, whatever follows after a point."""


def folder_name(title: str, *, taken: Collection[str]) -> str:
    """A folder for an album: its title without what a file system can't take or could be led astray by, and unlike all that are `taken`
    also where capitals don't count."""
    kept = "".join(
        " " if c in _NOT_IN_NAMES or unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") else c
        for c in unicodedata.normalize("NFC", title)
    )
    name = _trim(" ".join(kept.split())[:LONGEST])
    if not name or name.split(".")[0].strip().casefold() in _DEVICES:
        name = f"album {name}".strip()
    known, numbered, number = {each.casefold() for each in taken}, name, 1
    while numbered.casefold() in known:
        number += 1
        numbered = f"{name} ({number})"
    return numbered


def _trim(name: str) -> str:
    """No hidden folder, no way up, and no end that Windows would drop."""
    return name.strip(". ")
