"""How much the decoder will do for one file, and how it says no."""

import re

PIXELS = 180_000_000
MEMORY = 1 << 30  # bytes of private memory of the whole process, by RLIMIT_DATA
OWN_MEMORY = 160 << 20  # what Python, the libraries and their threads take of it before a file comes
CPU_SECONDS = 3600  # of one process over its whole life; the worker limits each file
SCANS = 200  # a progressive JPEG has about ten
SEGMENTS = 10_000  # of a JPEG, 64 kB each at most
CHUNKS = 100_000  # of a PNG, which is often cut into pieces of 8 kB

FILM_MEMORY = 2 << 30  # bytes of private memory of ffmpeg; what it reads and writes is not in it
FILM_CPU_SECONDS = 4 * 3600  # of one run of ffmpeg
FILM_OPEN_FILES = 32
FILM_ROOM = 512 << 20  # bytes that what is made of a film may have beyond the size of the upload
FILM_BOXES = 100_000  # boxes or elements of a film's container that are looked at
READING_SECONDS = 20  # for all of that
FILM_DEPTH = 12  # how deep they lie in each other

GRID_EDGE = 480  # px
SCREEN_EDGE = 1920  # px
ANSWER_ROOM = 256 << 20  # bytes of renditions that one answer may have beyond the size of the upload
HEADER_SIZE = 16 << 10  # bytes of JSON in one frame

# Stable words: the pages have a sentence for each.
REASONS = frozenset(
    ("empty", "not-a-picture", "broken", "too-many-pixels", "too-slow", "too-much-memory", "film", "unsupported", "failed")
)
REMOVED = (
    "place", "time", "device", "owner", "description", "thumbnail", "film", "depth", "sound", "history", "edits", "other",
)  # fmt: skip
PAIR = re.compile(r"[0-9A-Fa-f-]{8,64}")  # an identifier that joins the files of a Live Photo
RENDITIONS = ("grid", "screen", "full")


class Refusal(Exception):
    """This file does not become a photo; `reason` is one of `REASONS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotClean(Exception):
    """There is something in a finished file that drawing or playing it does not need."""
