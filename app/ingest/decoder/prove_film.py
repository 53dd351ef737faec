"""The proof that a finished film is picture and sound: an allow-list reader of MP4 that knows nothing of how films are made, and shares
no code with what reads uploads.

It accounts for each box by its place, order and content, and for the media data by the tables of samples, which must cover it without a
gap. Of the picture's samples it lets those units through that draw, and those parameter sets again that stand in the configuration. It
decodes neither: what such a unit has behind its last block, and what numbers that are allowed could be made to spell, it can't tell.
ISO/IEC 14496-12 (boxes), 14496-14 and 14496-1 (AAC), 14496-15 (H.264, HEVC). It works on a buffer without copying it, in one pass, and
reads the tables as it goes: it needs no more memory for a million samples than for one.
"""

import heapq
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, repeat

from .limits import NotClean

Buffer = memoryview

MOST_SAMPLES = 1_000_000
UNITS_A_SAMPLE = 64  # on average
LONGEST_SET = 4096  # bytes of one parameter set
LANGUAGE = b"\x55\xc4"  # "und"
BRANDS = frozenset((b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"avc1", b"hvc1", b"dby1"))
ONE = 1 << 16
TURNS = {  # 14496-12, 6.2.2: matrices a b c d of the four turns, in 16.16; what is shown on its side is True
    (ONE, 0, 0, ONE): False,
    (0, ONE, -ONE & 0xFFFFFFFF, 0): True,
    (-ONE & 0xFFFFFFFF, 0, 0, -ONE & 0xFFFFFFFF): False,
    (0, -ONE & 0xFFFFFFFF, ONE, 0): True,
}
UNITS = {  # types that draw, and those that describe what is drawn: in the configuration, and in samples only the same once more
    b"avc1": (frozenset((1, 5)), frozenset((7, 8))),
    b"hvc1": (frozenset((*range(10), *range(16, 22))), frozenset((32, 33, 34))),
}


# What every iPhone says of the light around whoever looks at a film: 314 lux, D65 (ITU-T H.274, 8.18).
AMBIENT = bytes.fromhex("002fe9a03d134042")


@dataclass(frozen=True)
class ProvenFilm:
    """A clean film: pixels as shown, milliseconds, and `avc1` or `hvc1`."""

    width: int
    height: int
    duration: int
    codec: str


@dataclass
class _Track:
    sound: bool
    size: tuple[int, int]
    codec: bytes
    unit_length: int = 0
    sets: frozenset[bytes] = frozenset()  # the parameter sets of the configuration
    count: int = 0
    samples: Iterable[tuple[int, int, bool]] = ()  # where each begins, its size in bytes, whether it is sound; can be read once


def prove_film(data: bytes | Buffer) -> ProvenFilm:
    """Walk a film. Raises `NotClean` for anything out of place."""
    try:
        return _Proof(memoryview(data)).film()
    except (struct.error, IndexError) as error:
        raise NotClean("cut short") from error


class _Proof:
    def __init__(self, data: Buffer) -> None:
        self._data = data
        self._duration = 0
        self._units = 0

    def film(self) -> ProvenFilm:
        boxes = self._boxes(0, len(self._data))
        brands, film, free, media = self._expect(boxes, b"ftyp", b"moov", b"free", b"mdat")
        self._brands(*brands)
        tracks = self._film(*film)
        self._need(not any(self._data[slice(*free)]), "bytes in a free box")
        picture = [track for track in tracks if not track.sound]
        self._need(len(picture) == 1 and len(tracks) <= 2, "other tracks")
        self._units = UNITS_A_SAMPLE * picture[0].count
        self._media(tracks, picture[0], *media)
        return ProvenFilm(*picture[0].size, duration=self._duration, codec=picture[0].codec.decode())

    # ---- boxes

    def _need(self, right: bool, what: str) -> None:
        if not right:
            raise NotClean(what)

    def _number(self, at: int, size: int = 4) -> int:
        return int.from_bytes(self._data[at : at + size], "big")

    def _boxes(self, start: int, stop: int) -> list[tuple[bytes, int, int]]:
        """The boxes that fill a place exactly: kind, begin and end of the content."""
        found: list[tuple[bytes, int, int]] = []
        while start < stop:
            self._need(stop - start >= 8 and len(found) < 64, "no box")
            size, kind, head = self._number(start), bytes(self._data[start + 4 : start + 8]), 8
            if size == 1:
                size, head = self._number(start + 8, 8), 16
                self._need(kind == b"mdat", "a long box")
            self._need(size >= head and start + size <= stop, "no box")
            found.append((kind, start + head, start + size))
            start += size
        return found

    def _expect(self, boxes: list[tuple[bytes, int, int]], *kinds: bytes) -> list[tuple[int, int]]:
        """The contents of just these boxes in just this order; (-1, -1) for one that is not there. Kinds that end in "?" may be missing."""
        rest = list(boxes)
        found: list[tuple[int, int]] = []
        for kind in kinds:
            if rest and rest[0][0] == kind[:4]:
                found.append(rest.pop(0)[1:])
            else:
                self._need(kind.endswith(b"?"), f"no {kind.decode()}")
                found.append((-1, -1))
        self._need(not rest, f"another box: {rest and rest[0][0]!r}")
        return found

    def _parts(self, place: tuple[int, int], *kinds: bytes) -> list[tuple[int, int]]:
        return self._expect(self._boxes(*place), *kinds)

    def _is(self, place: tuple[int, int], content: bytes) -> None:
        self._need(bytes(self._data[slice(*place)]) == content, "another content")

    # ---- the film and its tracks

    def _brands(self, start: int, stop: int) -> None:
        self._need(0 < stop - start <= 64 and (stop - start) % 4 == 0, "brands")
        words = [bytes(self._data[at : at + 4]) for at in range(start, stop, 4)]
        self._need(words[0] in BRANDS and words[1] == b"\0\0\2\0" and BRANDS.issuperset(words[2:]), "another brand")

    def _film(self, start: int, stop: int) -> list[_Track]:
        boxes = self._boxes(start, stop)
        self._need(
            len(boxes) >= 2 and boxes[0][0] == b"mvhd" and all(kind == b"trak" for kind, _, _ in boxes[1:]), "another film"
        )
        begin, end = boxes[0][1:]
        version = self._head(begin, end, 100)
        timescale, duration = self._lasting(begin, version)
        self._need(timescale > 0, "no time")
        self._duration = duration * 1000 // timescale
        rest = begin + (32 if version else 20)
        self._is((rest, rest + 16), struct.pack(">IHH8x", ONE, 0x100, 0))
        self._is((rest + 16, rest + 76), struct.pack(">9I24x", ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30))
        self._need(0 < self._number(rest + 76) <= 3, "another number of tracks")
        return [self._track(begin, end) for _, begin, end in boxes[1:]]

    def _head(self, start: int, stop: int, size: int) -> int:
        """A full box whose dates are nothing; its version. Dates and lengths of version 1 are longer: 12 bytes in all."""
        version = self._data[start]
        self._need(version in (0, 1) and stop - start == size + 12 * version, "another size")
        self._need(not any(self._data[start + 4 : start + (20 if version else 12)]), "a date")
        return version

    def _lasting(self, start: int, version: int) -> tuple[int, int]:
        at = start + (20 if version else 12)
        return self._number(at), self._number(at + 4, 8 if version else 4)

    def _track(self, start: int, stop: int) -> _Track:
        head, edits, media = self._parts((start, stop), b"tkhd", b"edts?", b"mdia")
        shown = self._track_head(*head)
        if edits != (-1, -1):
            (edit_list,) = self._parts(edits, b"elst")
            version, count = self._data[edit_list[0]], self._number(edit_list[0] + 4)
            size = 20 if version else 12
            self._need(version < 2 and count <= 2 and edit_list[1] - edit_list[0] == 8 + count * size, "edits")
            self._need(not any(self._data[edit_list[0] + 1 : edit_list[0] + 4]), "edits")
            for at in range(edit_list[0] + 8, edit_list[1], size):
                self._is((at + size - 4, at + size), struct.pack(">I", ONE))
        medium, handler, information = self._parts(media, b"mdhd", b"hdlr", b"minf")
        version = self._head(*medium, 24)
        self._is((medium[1] - 4, medium[1]), LANGUAGE + b"\0\0")
        sound = bytes(self._data[handler[0] + 8 : handler[0] + 12]) == b"soun"
        name = b"soun" + bytes(12) + b"SoundHandler\0" if sound else b"vide" + bytes(12) + b"VideoHandler\0"
        self._is(handler, bytes(8) + name)
        kind, where, tables = self._parts(information, b"smhd" if sound else b"vmhd", b"dinf", b"stbl")
        self._is(kind, bytes(8) if sound else b"\0\0\0\1" + bytes(8))
        self._is(where, b"\0\0\0\x1cdref\0\0\0\0\0\0\0\1\0\0\0\x0curl \0\0\0\1")
        track = self._tables(*tables, sound=sound)
        if not sound:
            self._need(all(shown[:2]), "no size")
            track.size = shown[:2] if not shown[2] else shown[1::-1]
        return track

    def _track_head(self, start: int, stop: int) -> tuple[int, int, bool]:
        """Width and height as stored, and whether they change places when shown."""
        version = self._head(start, stop, 84)
        at = start + (36 if version else 24)
        self._need(self._number(start + 1, 3) in (1, 2, 3) and self._number(at - (12 if version else 8)) == 0, "flags")
        matrix = struct.unpack_from(">9I", self._data, at + 16)
        self._need(not any(self._data[at : at + 10]) and not any(self._data[at + 14 : at + 16]), "another head")
        self._need(self._number(at + 10, 2) in (0, 1) and self._number(at + 12, 2) in (0, 0x100), "another head")
        turn = matrix[0:2] + matrix[3:5]
        self._need(turn in TURNS and matrix[2] == matrix[5] == 0 and matrix[8] == 1 << 30, "another matrix")
        width, height = (self._number(at + place) for place in (52, 56))
        return (width + 0x8000) >> 16, (height + 0x8000) >> 16, TURNS[turn]

    # ---- the tables of samples

    def _tables(self, start: int, stop: int, *, sound: bool) -> _Track:
        boxes = self._boxes(start, stop)
        offsets_kind = b"co64" if any(kind == b"co64" for kind, _, _ in boxes) else b"stco"
        description, times, syncs, depends, shifts, chunks, sizes, offsets, groups, group_of = self._expect(
            boxes, b"stsd", b"stts", b"stss?", b"sdtp?", b"ctts?", b"stsc", b"stsz", offsets_kind, b"sgpd?", b"sbgp?"
        )
        track = self._sound(description) if sound else self._picture(description)
        uniform, count = self._number(sizes[0] + 4), self._number(sizes[0] + 8)
        self._need(self._number(sizes[0]) == 0 and 0 < count <= MOST_SAMPLES, "no samples")
        self._need(sizes[1] - sizes[0] == 12 + (0 if uniform else 4 * count), "sizes")
        each = repeat(uniform, count) if uniform else (size for (size,) in self._rows(">I", sizes[0] + 12, count))
        self._count(times, 8, samples=count)
        if shifts != (-1, -1):
            self._count(shifts, 8, samples=count, versions=(0, 1))
        if syncs != (-1, -1):
            self._entries(syncs, 4)
        if depends != (-1, -1):
            self._need(self._number(depends[0]) == 0 and depends[1] - depends[0] == 4 + count, "dependencies")
        self._rolls(groups, group_of, samples=count)
        places = self._chunks(chunks, offsets, ">Q" if offsets_kind == b"co64" else ">I")
        track.count, track.samples = count, self._placed(each, places, sound=sound)
        return track

    def _rows(self, row: str, at: int, count: int) -> Iterator[tuple[int, ...]]:
        """This many rows of a table, each read when it is asked for."""
        return struct.iter_unpack(row, self._data[at : at + count * struct.calcsize(row)])

    def _entries(self, place: tuple[int, int], size: int, *, versions: Sequence[int] = (0,)) -> int:
        count = self._number(place[0] + 4)
        self._need(self._data[place[0]] in versions and self._number(place[0] + 1, 3) == 0, "flags")
        self._need(place[1] - place[0] == 8 + count * size, "a table of another length")
        return count

    def _count(self, place: tuple[int, int], size: int, *, samples: int, versions: Sequence[int] = (0,)) -> None:
        """A table of runs that speaks of each sample once."""
        entries = self._entries(place, size, versions=versions)
        self._need(sum(many for many, _ in self._rows(">II", place[0] + 8, entries)) == samples, "a table of other samples")

    def _rolls(self, groups: tuple[int, int], group_of: tuple[int, int], *, samples: int) -> None:
        """How many samples a decoder of sound needs before one is right (14496-12, 10.1): one short number, and which samples it is for."""
        self._need((groups == (-1, -1)) == (group_of == (-1, -1)), "groups")
        if groups != (-1, -1):
            self._need(groups[1] - groups[0] == 18, "groups")
            self._is((groups[0], groups[1] - 2), b"\1\0\0\0roll\0\0\0\2\0\0\0\1")
            self._is((group_of[0], group_of[0] + 8), b"\0\0\0\0roll")
            entries = self._number(group_of[0] + 8)
            self._need(group_of[1] - group_of[0] == 12 + 8 * entries and entries == 1, "groups")
            self._is((group_of[0] + 12, group_of[1]), struct.pack(">II", samples, 1))

    def _chunks(self, chunks: tuple[int, int], offsets: tuple[int, int], row: str) -> Iterator[tuple[int, int]]:
        """Where each chunk begins, and how many samples lie in it: runs of chunks of the same number (8.7.4)."""
        number = self._entries(offsets, struct.calcsize(row))
        places = self._rows(row, offsets[0] + 8, number)
        entries = self._entries(chunks, 12)
        self._need(entries > 0 and self._number(chunks[0] + 8) == 1, "chunks")
        runs = chain(self._rows(">III", chunks[0] + 8, entries), [(number + 1, 0, 1)])
        for (first, many, description), (behind, _, _) in pairwise(runs):
            self._need(first < behind <= number + 1, "chunks")
            self._need(description == 1, "chunks of another description")
            for _ in range(first, behind):
                yield next(places)[0], many

    def _placed(self, sizes: Iterator[int], chunks: Iterator[tuple[int, int]], *, sound: bool) -> Iterator[tuple[int, int, bool]]:
        """Where each sample lies: in chunks, one behind the other."""
        for at, many in chunks:
            for _ in range(many):
                size = next(sizes, -1)
                self._need(size >= 0, "more samples than there are")
                yield at, size, sound
                at += size
        self._need(next(sizes, -1) < 0, "samples without a place")

    def _media(self, tracks: list[_Track], picture: _Track, start: int, stop: int) -> None:
        """The samples of all tracks, each track's in order, fill the media data, without a gap and without a byte in two of them."""
        for at, size, sound in heapq.merge(*(track.samples for track in tracks)):
            self._need(at == start and size <= stop - at, "bytes between samples")
            if not sound:
                self._sample(at, size, picture)
            start += size
        self._need(start == stop, "bytes after the last sample")

    # ---- what the samples are

    def _description(self, place: tuple[int, int]) -> tuple[bytes, int, int]:
        self._is((place[0], place[0] + 8), b"\0\0\0\0\0\0\0\1")
        boxes = self._boxes(place[0] + 8, place[1])
        self._need(len(boxes) == 1, "two descriptions")
        _, start, _ = boxes[0]
        self._is((start, start + 8), b"\0\0\0\0\0\0\0\1")
        return boxes[0]

    def _picture(self, place: tuple[int, int]) -> _Track:
        codec, start, stop = self._description(place)
        self._need(codec in UNITS, "another codec")
        self._is((start + 8, start + 24), bytes(16))
        self._is((start + 28, start + 42), struct.pack(">IIIH", 72 << 16, 72 << 16, 0, 1))
        self._is((start + 42, start + 78), bytes(32) + b"\0\x18\xff\xff")
        width, height = self._number(start + 24, 2), self._number(start + 26, 2)
        self._need(width > 0 and height > 0, "no size")
        sizes: dict[bytes, tuple[int, ...]] = {
            b"fiel": (2,), b"colr": (11,), b"pasp": (8,), b"btrt": (12,), b"clli": (4,), b"mdcv": (24,), b"amve": (8,),
        }  # fmt: skip
        boxes = self._boxes(start + 78, stop)
        self._need(bool(boxes) and boxes[0][0] == (b"avcC" if codec == b"avc1" else b"hvcC"), "no configuration")
        seen = [kind for kind, _, _ in boxes]
        self._need(len(set(seen)) == len(seen), "a box twice")
        for kind, begin, end in boxes[1:]:
            self._need(end - begin in sizes.get(kind, ()), f"another box: {kind!r}")
            self._need(kind != b"colr" or bytes(self._data[begin : begin + 4]) == b"nclx", "another colour")
            self._need(kind != b"amve" or bytes(self._data[begin:end]) == AMBIENT, "light of the surroundings")
        read: Callable[[int, int], tuple[int, frozenset[bytes]]] = self._avc if codec == b"avc1" else self._hevc
        unit_length, sets = read(*boxes[0][1:])
        return _Track(sound=False, size=(width, height), codec=codec, unit_length=unit_length, sets=sets)

    def _set(self, at: int, count: int, codec: bytes) -> tuple[int, bytes]:
        """One parameter set of a kind, which the picture needs, behind its length; it ends with the bit that ends it. Returns where, and
        the set."""
        self._need(count == 1, "another parameter set")
        length = self._number(at, 2)
        self._need(0 < length <= LONGEST_SET and self._unit(at + 2, codec) in UNITS[codec][1], "another unit")
        self._need(self._data[at + 1 + length] != 0, "bytes after a parameter set")
        return at + 2 + length, bytes(self._data[at + 2 : at + 2 + length])

    def _unit(self, at: int, codec: bytes) -> int:
        """The type of a unit; of a second layer (H.265, 7.3.1.2) none is let through."""
        if codec == b"avc1":
            return self._data[at] & 0x1F
        self._need(self._data[at] & 1 == 0 and self._data[at + 1] >> 3 == 0, "another layer")
        return self._data[at] >> 1 & 0x3F

    def _avc(self, start: int, stop: int) -> tuple[int, frozenset[bytes]]:
        """AVCDecoderConfigurationRecord (14496-15, 5.3.3.1); returns how many bytes a unit's length has, and the parameter sets."""
        self._need(
            self._data[start] == 1 and self._data[start + 4] & 0xFC == 0xFC and self._data[start + 5] & 0xE0 == 0xE0, "avcC"
        )
        at, sequence = self._set(start + 6, self._data[start + 5] & 0x1F, b"avc1")
        at, picture = self._set(at + 1, self._data[at], b"avc1")
        if self._data[start + 1] in (100, 110, 122, 144) and at < stop:  # the High profiles also say their format of colour
            self._need(self._data[at] & 0xFC == 0xFC and self._data[at + 1] & 0xF8 == self._data[at + 2] & 0xF8 == 0xF8, "avcC")
            self._need(self._data[at + 3] == 0, "avcC")
            at += 4
        self._need(at == stop, "bytes after the configuration")
        return (self._data[start + 4] & 3) + 1, frozenset((sequence, picture))

    def _hevc(self, start: int, stop: int) -> tuple[int, frozenset[bytes]]:
        """HEVCDecoderConfigurationRecord (14496-15, 8.3.3.1)."""
        self._need(self._data[start] == 1, "hvcC")
        at, seen, sets = start + 23, set[int](), list[bytes]()
        for _ in range(self._data[start + 22]):
            kind = self._data[at] & 0x3F
            self._need(kind in UNITS[b"hvc1"][1] - seen, "another unit")
            seen.add(kind)
            at, unit = self._set(at + 3, self._number(at + 1, 2), b"hvc1")
            sets.append(unit)
        self._need(at == stop, "bytes after the configuration")
        return (self._data[start + 21] & 3) + 1, frozenset(sets)

    def _sample(self, start: int, size: int, track: _Track) -> None:
        """Units, each behind its length, that fill the sample. Cameras repeat the parameter sets in front of every picture that can be
        begun with: that says what is known."""
        at, stop, (drawing, describing) = start, start + size, UNITS[track.codec]
        while at < stop:
            length = self._number(at, track.unit_length)
            at += track.unit_length
            self._need(0 < length <= stop - at, "another unit")
            kind = self._unit(at, track.codec)
            repeated = kind in describing and length <= LONGEST_SET and bytes(self._data[at : at + length]) in track.sets
            self._need(kind in drawing or repeated, "another unit")
            at += length
            self._units -= 1
            self._need(self._units >= 0, "more units than a film has")

    def _sound(self, place: tuple[int, int]) -> _Track:
        codec, start, stop = self._description(place)
        self._need(codec == b"mp4a", "another codec")
        self._is((start + 8, start + 16), bytes(8))
        self._need(self._number(start + 16, 2) in range(1, 9) and self._number(start + 18, 2) == 16, "another sound")
        self._is((start + 20, start + 24), bytes(4))
        configuration, _ = self._parts((start + 28, stop), b"esds", b"btrt?")
        self._elementary(*configuration)
        return _Track(sound=True, size=(0, 0), codec=codec)

    def _elementary(self, start: int, stop: int) -> None:
        """ES_Descriptor (14496-1, 7.2.6.5): AAC with its few bytes of configuration, and nothing else."""
        self._is((start, start + 4), bytes(4))
        at, end = self._descriptor(start + 4, stop, 3)
        self._need(end == stop and self._data[at + 2] == 0, "another stream")
        inner, inner_end = self._descriptor(at + 3, end, 4)
        self._is((inner, inner + 2), b"\x40\x15")
        own, own_end = self._descriptor(inner + 13, inner_end, 5)
        self._need(own_end == inner_end and own_end - own <= 8, "another configuration")
        last, last_end = self._descriptor(inner_end, end, 6)
        self._is((last, last_end), b"\2")
        self._need(last_end == end, "bytes after the configuration")

    def _descriptor(self, at: int, stop: int, tag: int) -> tuple[int, int]:
        """The content of a descriptor: its tag, then its length in groups of seven bits."""
        self._need(self._data[at] == tag, "another descriptor")
        length = 0
        for _ in range(4):
            at += 1
            length = length << 7 | self._data[at] & 0x7F
            if not self._data[at] & 0x80:
                break
        self._need(at + 1 + length <= stop, "cut short")
        return at + 1, at + 1 + length
