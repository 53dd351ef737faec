"""What a film's container has beside picture and sound: when it was taken, which *kinds* of things there are, and what ties it to the
still of a Live Photo.

As in `metadata.py`, kinds are found by presence, no other value leaves this file, and nothing here is needed to make a film clean: that is
decided by what is written. ISO-BMFF and QuickTime: ISO/IEC 14496-12, Apple's QuickTime File Format; Matroska and WebM: RFC 9559.
"""

import mmap
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from .limits import FILM_BOXES, FILM_DEPTH, PAIR, Refusal
from .metadata import kinds_of_xmp, moment

Data = bytes | mmap.mmap

LONGEST_VALUE = 64 << 10  # bytes of a text or a packet that are looked at
CUT = 0.5  # seconds that an edit list may leave out: a decoder's delay, a frame at the end
MOST_EDITS = 1000


@dataclass
class Found:
    """`taken_at` is ISO 8601: the film's own local time without a zone, or a moment in UTC. `pair` is Apple's content identifier.
    `cut` says that the film has pictures which are not to be shown: a film shortened on the phone keeps what was cut off."""

    taken_at: str | None = None
    kinds: set[str] = field(default_factory=set)
    pair: str | None = None
    cut: bool = False


def read(film: Data, container: str) -> Found:
    """Read a film whose container is what `sniff.film` says. Of a damaged one, what stands before the damage is told, and it counts as cut:
    whether its pictures can be shown is for ffmpeg to say."""
    if container in ("mov", "matroska"):
        walk = _Boxes(film) if container == "mov" else _Elements(film)
        try:
            return walk.read()
        except (Refusal, struct.error, IndexError, OverflowError):
            return replace(walk.found, cut=True)
    return Found(kinds={kind for mark, kind in MARKS.items() if mark in film[:LONGEST_VALUE]} | {"time"})


# Of older containers, what names such things in their heads: RIFF's chunks of AVI. They nearly always have a time.
MARKS = {b"ISFT": "device", b"IART": "owner", b"ICMT": "description", b"INAM": "description", b"strd": "device"}


# --- ISO-BMFF and QuickTime ------------------------------------------------------------------------------------------------------

NESTS = frozenset((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"ilst"))
ONCE = frozenset((b"moov", b"mdia", b"minf", b"stbl"))
"""Boxes that can't lie in one of their own kind: nested by the thousand they only cost time."""

STRUCTURE = frozenset(
    (b"ftyp", b"styp", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"mfra", b"sidx", b"iods", b"mvex")
)
PLUMBING = frozenset((b"meta", b"free", b"hnti", b"hinf", b"WLOC", b"LOOP", b"SelO", b"AllF"))
"""What stands among a film's words and says nothing: room, hints for streaming, how a player's window was."""

SCRIPTS = frozenset((b"text", b"sbtl", b"subt", b"clcp"))
TRACKS = {b"tmcd": "time", b"gpmd": "place", b"camm": "place"}
"""Tracks of data by their format: time codes, and where action cameras and phones write their way."""

EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
APPLE = b"com.apple.quicktime."
XMP, C2PA = bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), bytes.fromhex("d8fec3d61b0e483c92975828877ec481")

ITEMS = {
    b"\xa9xyz": "place", b"loci": "place", b"\xa9day": "time", b"date": "time", b"\xa9mak": "device", b"\xa9mod": "device",
    b"\xa9swr": "device", b"\xa9too": "device", b"\xa9enc": "device", b"manu": "device", b"modl": "device", b"FIRM": "device",
    b"CAME": "device", b"LENS": "device", b"\xa9ART": "owner", b"\xa9aut": "owner", b"\xa9cpy": "owner", b"auth": "owner", b"cprt": "owner",
    b"perf": "owner", b"\xa9nam": "description", b"\xa9cmt": "description", b"\xa9des": "description", b"desc": "description",
    b"titl": "description", b"dscp": "description", b"kywd": "description", b"chpl": "description", b"covr": "thumbnail",
    b"thmb": "thumbnail",
}  # fmt: skip
KEYS = (
    ("place", re.compile(rb"location|gps|xyz", re.IGNORECASE)),
    ("time", re.compile(rb"date|time", re.IGNORECASE)),
    ("device", re.compile(rb"make|model|software|version|camera|encoder|device", re.IGNORECASE)),
    ("owner", re.compile(rb"author|artist|copyright|owner|publisher|director|producer|credit", re.IGNORECASE)),
    ("description", re.compile(rb"title|description|comment|keyword|information|displayname|face", re.IGNORECASE)),
)


@dataclass
class _Track:
    """Of one track: what it is, how long a second and it all are, and its edits (how long, from where) in their own units."""

    kind: bytes = b""
    timescale: int = 1
    duration: int = 0
    edits: list[tuple[int, int]] = field(default_factory=list)

    def is_cut(self, film_timescale: int) -> bool:
        """Whether its edits show less of it than there is (14496-12, 8.6.6). An edit from before the beginning is a pause."""
        shown = [(length / film_timescale, start / self.timescale) for length, start in self.edits if start >= 0]
        left_out = self.duration / self.timescale - sum(length for length, _ in shown)
        return self.kind == b"vide" and bool(shown) and (len(shown) > 1 or max(shown[0][1], left_out) > CUT)


class _Boxes:
    """The walk through the boxes of a film; it looks at no more than `FILM_BOXES` of them."""

    def __init__(self, film: Data) -> None:
        self._film, self._left = film, FILM_BOXES
        self.found = Found()
        self._own_time: str | None = None
        self._timescale = 1
        self._track = _Track()
        self._seen_tracks: set[bytes] = set()
        self._keys: list[bytes] = []

    def read(self) -> Found:
        for kind, start, stop in self._boxes(0, len(self._film)):
            if kind == b"moov":
                self._within(kind, start, stop, (kind,))
            elif kind == b"meta":
                self._meta(start, stop, ())
            elif kind == b"uuid":
                self._uuid(start, stop)
            elif kind not in STRUCTURE:
                self.found.kinds.add("other")
        self.found.taken_at = self._own_time or self.found.taken_at
        return self.found

    def _boxes(self, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
        while stop - start >= 8:
            size, kind = struct.unpack_from(">I4s", self._film, start)
            head = 8
            if size == 1 and stop - start >= 16:
                size, head = *struct.unpack_from(">Q", self._film, start + 8), 16
            elif size == 0:
                size = stop - start
            self._left -= 1
            if self._left < 0:
                raise Refusal("broken")
            if size < head:
                return
            yield kind, start + head, min(start + size, stop)
            start += size

    def _within(self, parent: bytes, start: int, stop: int, path: tuple[bytes, ...]) -> None:
        if len(path) > FILM_DEPTH:
            raise Refusal("broken")
        for kind, begin, end in self._boxes(start, stop):
            if kind in path and kind in ONCE:
                raise Refusal("broken")
            if parent == b"ilst" and self._keys:
                self._value(kind, begin, end)
            elif parent in (b"udta", b"ilst") and kind not in PLUMBING:
                self._item(kind, begin, end)
            elif kind in (b"mvhd", b"tkhd", b"mdhd"):
                self._times(kind, begin)
            elif kind == b"hdlr":
                self._handler(begin)
            elif kind == b"stsd" and end - begin >= 16:
                self._format(bytes(self._film[begin + 12 : begin + 16]))
            elif kind == b"elst":
                self._edits(begin, end)
            elif kind == b"meta":
                self._meta(begin, end, path)
            elif kind == b"uuid":
                self._uuid(begin, end)
            elif kind in NESTS:
                if kind == b"trak":
                    self._track = _Track()
                self._within(kind, begin, end, (*path, kind))
                if kind == b"trak" and self._track.is_cut(self._timescale):
                    self.found.cut = True

    def _times(self, kind: bytes, at: int) -> None:
        """The head of film, track or medium: when it was made and changed, how long a second is, and how long it lasts."""
        version = self._film[at]
        created, changed, timescale = struct.unpack_from(">QQI" if version else ">III", self._film, at + 4)
        if created or changed:
            self.found.kinds.add("time")
        if kind == b"mvhd":
            self._timescale = max(1, timescale)
            made = EPOCH + timedelta(seconds=min(created, 1 << 33))
            self.found.taken_at = made.isoformat() if 1971 <= made.year <= 2100 else None
        elif kind == b"mdhd":
            self._track.timescale = max(1, timescale)
            self._track.duration = struct.unpack_from(">Q" if version else ">I", self._film, at + (24 if version else 16))[0]

    def _handler(self, at: int) -> None:
        """Which kind of track, or what else: the first picture and the first sound are the film."""
        kind = bytes(self._film[at + 8 : at + 12])
        if kind in (b"vide", b"soun"):
            self._track.kind = kind
            if kind in self._seen_tracks:
                self.found.kinds.add("film" if kind == b"vide" else "sound")
            self._seen_tracks.add(kind)
        elif kind in SCRIPTS:
            self.found.kinds.add("description")
        elif bytes(self._film[at + 4 : at + 8]) != b"dhlr" and kind not in (b"mdir", b"mdta", b"tmcd", b"url ", b"alis"):
            self.found.kinds.add("other")

    def _format(self, kind: bytes) -> None:
        if kind in TRACKS:
            self.found.kinds.add(TRACKS[kind])

    def _edits(self, at: int, end: int) -> None:
        entry = struct.Struct(">QqI" if self._film[at] else ">IiI")
        count = min(struct.unpack_from(">I", self._film, at + 4)[0], (end - at - 8) // entry.size, MOST_EDITS)
        self._track.edits = [entry.unpack_from(self._film, at + 8 + entry.size * n)[:2] for n in range(count)]

    def _meta(self, start: int, stop: int, path: tuple[bytes, ...]) -> None:
        """A box of metadata: a full box in ISO files, a plain one in QuickTime's; its keys come before its values."""
        if bytes(self._film[start + 4 : start + 8]) != b"hdlr":
            start += 4
        self._keys = []
        for kind, begin, end in self._boxes(start, stop):
            if kind == b"keys":
                self._keys = [bytes(self._film[at:to]).removeprefix(APPLE) for _, at, to in self._boxes(begin + 8, end)]
            elif kind == b"ilst":
                self._within(kind, begin, end, (*path, kind))
            elif kind == b"xml ":
                self.found.kinds |= kinds_of_xmp(bytes(self._film[begin : min(end, begin + LONGEST_VALUE)]))
        self._keys = []

    def _value(self, number: bytes, start: int, stop: int) -> None:
        """A value of QuickTime's metadata by the number of its key, from 1."""
        position = int.from_bytes(number, "big") - 1
        key = self._keys[position] if 0 <= position < len(self._keys) else b""
        text = bytes(self._film[start + 16 : min(stop, start + 16 + 256)])  # after the head of its "data" box
        if key == b"content.identifier":
            told = text.decode("latin-1")
            self.found.pair = told if PAIR.fullmatch(told) else None
        if key == b"creationdate":
            self._own_time = local_time(text)
        self.found.kinds.add(next((kind for kind, names in KEYS if names.search(key)), "other"))

    def _item(self, kind: bytes, start: int, stop: int) -> None:
        self.found.kinds.add(ITEMS.get(kind, "other"))
        if kind == b"XMP_":
            self.found.kinds |= kinds_of_xmp(bytes(self._film[start : min(stop, start + LONGEST_VALUE)]))
        if kind == b"\xa9day" and self._own_time is None:
            value = bytes(self._film[start : min(stop, start + 256)])
            match = DATE.search(value)
            self._own_time = local_time(value[match.start() :]) if match else None

    def _uuid(self, start: int, stop: int) -> None:
        name = bytes(self._film[start : start + 16])
        if name == XMP:
            self.found.kinds |= kinds_of_xmp(bytes(self._film[start + 16 : min(stop, start + LONGEST_VALUE)]))
        else:
            self.found.kinds.add("history" if name == C2PA else "other")


DATE = re.compile(rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)")


def local_time(text: bytes) -> str | None:
    """A date with a time as phones write it, `2024-01-22T10:47:18+0000`: the time on its clock, or None when it can't be meant."""
    return moment(DATE.match(text))


# --- Matroska and WebM -----------------------------------------------------------------------------------------------------------

SEGMENT, INFO, TRACKS_ELEMENT, TRACK, TAGS, TAG, SIMPLE_TAG = 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0x1254C367, 0x7373, 0x67C8
CHAPTERS, ATTACHMENTS, DATE_UTC, TITLE, WRITTEN_BY = 0x1043A770, 0x1941A469, 0x4461, 0x7BA9, (0x4D80, 0x5741)
TRACK_TYPE, TRACK_NAME, TAG_NAME = 0x83, 0x536E, 0x45A3
PARENTS = frozenset((SEGMENT, INFO, TRACKS_ELEMENT, TRACK, TAGS, TAG, SIMPLE_TAG))
MATROSKA_EPOCH = datetime(2001, 1, 1, tzinfo=UTC)


class _Elements:
    """The walk through the elements of a film (EBML, RFC 8794), in the same manner."""

    def __init__(self, film: Data) -> None:
        self._film, self._left = film, FILM_BOXES
        self.found = Found()
        self._seen_tracks: set[int] = set()

    def read(self) -> Found:
        self._within(0, len(self._film), 0)
        return self.found

    def _within(self, start: int, stop: int, depth: int) -> None:
        while start < stop and depth <= FILM_DEPTH:
            name, start = self._number(start, keep_marker=True)
            size, start = self._number(start, keep_marker=False)
            end = stop if size is None else min(start + size, stop)  # of unknown size: as far as what it lies in
            self._left -= 1
            if self._left < 0:
                raise Refusal("broken")
            if name in PARENTS:
                self._within(start, end, depth + 1)
            else:
                self._look(name, start, end)
            start = end

    def _number(self, at: int, *, keep_marker: bool) -> tuple[int | None, int]:
        """A variable-size integer (RFC 8794, 4): the leading zeros of its first byte tell how long it is. None for "unknown"."""
        length = 9 - self._film[at].bit_length()
        if length > 8:
            raise Refusal("broken")
        number = int.from_bytes(self._film[at : at + length], "big")
        if not keep_marker:
            number -= 1 << (7 * length)
            if number == (1 << (7 * length)) - 1:
                return None, at + length
        return number, at + length

    def _look(self, name: int | None, start: int, stop: int) -> None:
        kinds = self.found.kinds
        value = bytes(self._film[start : min(stop, start + 256)])
        if name == DATE_UTC:
            kinds.add("time")
            made = MATROSKA_EPOCH + timedelta(microseconds=int.from_bytes(value[:8], "big", signed=True) // 1000)
            self.found.taken_at = made.isoformat() if 1971 <= made.year <= 2100 else None
        elif name in (TITLE, TRACK_NAME, CHAPTERS):
            kinds.add("description")
        elif name in WRITTEN_BY:
            kinds.add("device")
        elif name == ATTACHMENTS:
            kinds.add("other")
        elif name == TRACK_TYPE:
            self._track(int.from_bytes(value[:8], "big"))
        elif name == TAG_NAME and value.upper() not in (
            b"DURATION",
            b"NUMBER_OF_FRAMES",
            b"NUMBER_OF_BYTES",
            b"BPS",
            b"LANGUAGE",
        ):
            kinds.add(next((kind for kind, names in KEYS if names.search(value)), "other"))

    def _track(self, kind: int) -> None:
        """1 is picture, 2 is sound, all others are scripts, menus and data (RFC 9559, 5.1.4.1.3)."""
        if kind in (1, 2) and kind not in self._seen_tracks:
            self._seen_tracks.add(kind)
        else:
            self.found.kinds.add({1: "film", 2: "sound", 0x11: "description"}.get(kind, "other"))
