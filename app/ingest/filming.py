"""The worker's side of films: from an upload to a poster, a film that every browser plays, and one to keep.

We write no film to a disk: what arrives and what is made lie in files of memory (memfd_create(2)), which only a system that swaps may put
there. Two processes read them, both behind walls, see `decoder/`: `reading`, ours, says what the container speaks of, and ffmpeg does the
rest. What they hand back is proven here before anybody may see it, as if an attacker had made it; what the proof can't see, it says itself.
"""

import contextlib
import fcntl
import logging
import mmap
import os
import re
import select
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import imageio_ffmpeg

from app.ingest.decoder import frames
from app.ingest.decoder.limits import FILM_ROOM, NOT_STARTED, PAIR, PIXELS, REMOVED, SCREEN_EDGE, NotClean
from app.ingest.decoder.prove_film import ProvenFilm, prove_film
from app.ingest.decoding import COMMAND, Decoded, Decoder, DecoderKilled, DecoderMissing, MadeRendition, NotDecoded
from app.jobs.port import Stopping

log = logging.getLogger("kinfold.ingest")

ENVIRONMENT = {"LC_ALL": "C.UTF-8"}
THREADS = 2
LOOK_SECONDS = 0.25  # how often it is looked whether to stop
TELL_SECONDS = 2.0  # how often it is told how far it is
READ_SECONDS = 60  # until `reading` is given up; its own clock is `READING_SECONDS`
PROBE_SECONDS, POSTER_SECONDS = 60, 300  # of ffmpeg
MOST_SAID = 256 << 10  # bytes of what ffmpeg says that are kept
LONGEST = 24 * 3600 * 1000  # milliseconds
PLAY_EDGE = 1080  # pixels of the shorter side; the longer one has `SCREEN_EDGE`
# Bytes of a film: the fewest that one second of it has, and how many are copied and encoded in one by a slow machine.
LEAST_A_SECOND, COPIED_A_SECOND, ENCODED_A_SECOND = 16_000, 4_000_000, 200_000
LARGEST_POSTER = 64 << 20  # bytes
LEAST_EDGE = 16  # pixels; nothing smaller is encoded
NO_MEMORY = 256 - 12  # how ffmpeg ends when it gets none: ENOMEM

SAY = ("-hide_banner", "-nostdin", "-loglevel", "info", "-nostats", "-progress", "pipe:2", "-stats_period", "0.5")
# What the source says of itself is not taken along, nor what made the film; `_tidy` cuts what ffmpeg writes all the same.
NOTHING_ELSE = (
    "-map_metadata", "-1", "-map_chapters", "-1", "-metadata:s", "encoder=", "-fflags", "+bitexact", "-flags:v", "+bitexact",
    "-flags:a", "+bitexact", "-sn", "-dn",
)  # fmt: skip
SOUND = ("-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000")
MP4 = ("-write_tmcd", "0", "-movflags", "+faststart", "-f", "mp4", "-y", "fd:")
# Units that draw, by ITU-T H.264, table 7-1, and H.265, table 7-1: no supplemental information, no filler, nothing unknown.
DRAWING = {"h264": "filter_units=pass_types=1|5|7|8", "hevc": "filter_units=pass_types=0-9|16-21|32-34"}
# Of what describes the picture only what was understood is written again: nothing stays behind its end.
AGAIN = {"h264": "h264_metadata", "hevc": "hevc_metadata"}
PICTURE = (
    "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-crf", "23", "-maxrate", "6M", "-bufsize", "12M", "-fpsmax", "60",
    "-bsf:v", DRAWING["h264"],
)  # fmt: skip
TAGS = {"h264": "avc1", "hevc": "hvc1"}
PLAYABLE = {
    ("h264", "Baseline"), ("h264", "Constrained Baseline"), ("h264", "Main"), ("h264", "High"), ("hevc", "Main"), ("hevc", "Main 10"),
}  # fmt: skip
TO_SIZE = "scale={width}:{height}:flags=bicubic:out_range=tv,format=yuv420p"
TO_SDR = (  # to linear light, to the colours of ordinary screens, highlights bent (Hable), and back; 203 nits are white (ITU-R BT.2408)
    "zscale=w={width}:h={height}:tin={transfer}:pin=bt2020:min=bt2020nc:t=linear:p=bt2020:m=gbr:npl=203,format=gbrpf32le,zscale=p=bt709,"
    "tonemap=tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
)
# The frame that says most of every fifth of the first seconds; as plain as a picture can be.
POSTER = (
    "select=not(mod(n\\,5)),{filters},thumbnail=n=24,format=rgb24,setparams=colorspace=gbr:color_primaries=unknown:color_trc=unknown",
    "-frames:v", "1", "-an", "-c:v", "png", "-f", "image2pipe", "-y", "fd:",
)  # fmt: skip

# An empty list of tags, with which ffmpeg ends the head of every film.
EMPTY_TAGS = b"\0\0\0\x3dudta\0\0\0\x35meta\0\0\0\0\0\0\0\x21hdlr" + bytes(8) + b"mdirappl" + bytes(9) + b"\0\0\0\x08ilst"

EMPTY_FREE = b"\0\0\0\x08free"
# Where the boxes within a box begin.
CONTENT = {b"moov": 8, b"trak": 8, b"mdia": 8, b"minf": 8, b"stbl": 8, b"stsd": 16, b"hvc1": 86}
SUPPLEMENTAL = (39, 40)  # H.265, table 7-1

STREAM = re.compile(
    r" {2,4}Stream #0:\d+[^:]*: Video: (?P<codec>\w+)(?: \((?P<profile>[\w .:]+)\))?[^,]*, (?P<pixels>\w+)(?:\((?P<colour>[^)]*)\))?, "
    r"(?P<width>\d{1,5})x(?P<height>\d{1,5})(?: \[SAR (?P<across>\d{1,9}):(?P<down>\d{1,9}) )?(?P<rest>.*)"
)
HEARD = re.compile(r" {2,4}Stream #0:(\d{1,4})[^:]*: Audio: (?!none\b)\w+")
TURN = re.compile(r" +Display Matrix: rotation of (-?\d{1,3})\.\d\d degrees")
LENGTH = re.compile(r"  Duration: (\d{1,6}):(\d\d):(\d\d)\.\d\d")
DONE = re.compile(r"(frame|out_time_us)=(\d{1,15})")


NOTHING_KNOWN: dict[str, Any] = {"taken_at": None, "removed": [], "pair": None, "cut": True}
"""What is taken for granted of a film whose container could not be read: it may have been cut."""


class _Refused(Exception):
    """This film is not shown; the argument is the reason."""


class _NotMade(_Refused):
    """ffmpeg ended by itself, and what it made is none, or is not clean: another way may do."""


@dataclass(frozen=True)
class Source:
    """What ffmpeg says of a film's picture: its codec, its size as shown in pixels, and what has to be done to play it.

    `seconds` is how long it claims to be: how far we are is told by it, and how long it may take.
    """

    codec: str
    profile: str
    pixels: str
    width: int
    height: int
    transfer: str | None  # of a picture that is brighter than ordinary screens: `arib-std-b67` (HLG), `smpte2084` (PQ)
    is_interlaced: bool
    sound: int | None  # the number of the first track of sound that can be read
    seconds: int

    def longest_copy(self, size: int) -> float:
        """How many seconds the copy of a film of this many bytes may take: it is read, and its sound is encoded."""
        return min(1800, 60 + size / COPIED_A_SECOND + self._believable(size) / 10)

    def longest(self, size: int) -> float:
        """How many seconds encoding it may take: ten times its length, or what 1080p of a phone with so many bytes would get."""
        return 600 + max(10 * self._believable(size), size / ENCODED_A_SECOND)

    def _believable(self, size: int) -> float:
        """Its seconds, as far as it has the bytes for them."""
        return min(self.seconds, size / LEAST_A_SECOND)

    @property
    def plays(self) -> bool:
        """Whether phones play the picture as it is: then it can be kept bit for bit."""
        plain = self.pixels in ("yuv420p", "yuvj420p") or (self.codec == "hevc" and self.pixels == "yuv420p10le")
        return plain and (self.codec, self.profile) in PLAYABLE and not self.is_interlaced

    def filters(self, *, shorter: int) -> str:
        """To square pixels, at most `SCREEN_EDGE` by `shorter` of them, even, eight bits, and no brighter than ordinary screens show."""
        shrink = min(1.0, SCREEN_EDGE / max(self.width, self.height), shorter / min(self.width, self.height))
        width, height = (max(LEAST_EDGE, round(side * shrink / 2) * 2) for side in (self.width, self.height))
        steps = ["yadif=deint=interlaced"] if self.is_interlaced else []
        steps.append((TO_SDR if self.transfer else TO_SIZE).format(width=width, height=height, transfer=self.transfer))
        return ",".join([*steps, "setsar=1", "sidedata=delete"])


class Filming:
    """Makes films, one at a time; no run of ffmpeg takes more than `wall_seconds`. `stop` ends the work on one at once: `Stopping` is
    raised, and somebody else begins it anew."""

    def __init__(
        self,
        decoder: Decoder,
        *,
        stop: threading.Event | None = None,
        wall_seconds: float = 4 * 3600,
        quiet_seconds: float = 120,
        ffmpeg: str | None = None,
    ) -> None:
        self._decoder = decoder
        self._stop = stop or threading.Event()
        self._wall_seconds = wall_seconds
        self._quiet_seconds = quiet_seconds
        self._ffmpeg = ffmpeg

    def make(
        self,
        data: Iterable[bytes],
        *,
        container: str,
        group: str,
        size: int,
        keep: Callable[[MadeRendition], None],
        tell: Callable[[int], None] = lambda _: None,
    ) -> Decoded | NotDecoded:
        """Make the renditions of a film of `size` bytes in this container (`sniff.film`) that belongs to `group`.

        Each is handed to `keep` when it is made and proven, and is gone afterwards, so that no more than one lies in memory beside the
        film; the answer has none. `tell` hears every few seconds how much is done, in percent; what it raises ends the work. Raises what
        `data`, `keep` and `tell` raise, `Stopping`, `DecoderMissing` and `DecoderKilled`; a film that raises anything else is a mistake of
        ours.
        """
        if not hasattr(os, "memfd_create") or not container:
            return NotDecoded("film-unsupported")
        work = _Work(self, group, keep, tell)
        try:
            with _memory() as film:
                for piece in data:
                    self.look()
                    _write(film, piece)
                if os.fstat(film).st_size != size:
                    return NotDecoded("failed")
                fcntl.fcntl(film, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
                return work.make(film, container)
        except _Refused as refused:
            return NotDecoded(str(refused))

    def sample(self) -> bytes:
        """A tiny film to try all this with: half a second, made by ffmpeg itself. Raises `DecoderMissing`."""
        made = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=0.5", "-c:v", "mpeg4", "-f", "matroska", "pipe:1"]
        command = self.command(self._path(), ["-hide_banner", "-nostdin", "-loglevel", "error", *made], size=0)
        made_film = subprocess.run(
            command, env=ENVIRONMENT, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False
        ).stdout
        if not made_film:
            raise DecoderMissing("ffmpeg does not start")
        return made_film

    def walls(self) -> dict[str, bool]:
        """Which walls stand around ffmpeg here. Raises `DecoderMissing`."""
        found = subprocess.run(self.command("walls", [], size=0), env=ENVIRONMENT, cwd="/", capture_output=True, check=False)
        try:
            told = frames.unpack(found.stdout)
            return {wall: told[wall] is True for wall in ("landlock", "seccomp")}
        except (ValueError, KeyError) as error:
            raise DecoderMissing("the program that starts ffmpeg does not start") from error

    def look(self) -> None:
        """Raises `Stopping` when that is wanted."""
        if self._stop.is_set():
            raise Stopping

    def command(self, ffmpeg: str, arguments: Sequence[str], *, size: int) -> list[str]:
        return [*COMMAND, "ffmpeg", str(os.getpid()), str(size + FILM_ROOM), ffmpeg, *arguments]

    def run(
        self, film: int, container: str, arguments: Sequence[str], *, out: int, seconds: float, tell: Callable[[int], None]
    ) -> tuple[int, str]:
        """Run ffmpeg over a film and have it write into `out`; how it ended, and what it said. `tell` hears how many microseconds are
        done. Raises `_Refused` when it takes more than `seconds`, or is ended by a limit, and `DecoderKilled`."""
        source = ["-threads", str(THREADS), "-max_pixels", str(PIXELS), "-protocol_whitelist", "fd", "-f", container]
        command = self.command(
            self._path(),
            [*SAY, *source, "-fd", str(film), "-i", "fd:", *arguments],
            size=os.fstat(film).st_size,
        )
        # When it moves the head of a film to the front, it opens what it has written once more, by the name "fd:", which is
        # standard input when read: so that is the same file, with a place of its own.
        os.lseek(film, 0, os.SEEK_SET)
        again = os.open(f"/proc/self/fd/{out}", os.O_RDONLY)
        try:
            process = subprocess.Popen(
                command,
                stdin=again,
                stdout=out,
                stderr=subprocess.PIPE,
                pass_fds=(film,),
                cwd="/",
                env=ENVIRONMENT,
                start_new_session=True,
                bufsize=0,
            )
        finally:
            os.close(again)
        with process:
            try:
                said = self._listen(process, min(seconds, self._wall_seconds), tell)
                code = process.wait()
            finally:
                process.kill()
        if code == NOT_STARTED:
            raise DecoderMissing("ffmpeg does not start")
        if code < 0 or code == NO_MEMORY:
            if code == -signal.SIGKILL:
                raise DecoderKilled  # none of its limits ends it so: somebody else did, or the kernel, which looks for the largest
            slow, large = (-signal.SIGXCPU,), (-signal.SIGXFSZ, NO_MEMORY)
            raise _Refused("too-slow" if code in slow else "too-much-memory" if code in large else "failed")
        return code, said

    def _listen(self, process: subprocess.Popen[bytes], seconds: float, tell: Callable[[int], None]) -> str:
        """Read what ffmpeg says until it hangs up; give up when that takes too long, or it says nothing new for too long."""
        assert process.stderr is not None
        began = moved = time.monotonic()
        said, line, done = bytearray(), b"", {"frame": 0, "out_time_us": 0}
        while True:
            self.look()
            tell(done["out_time_us"])
            now = time.monotonic()
            if now - moved > self._quiet_seconds or now - began > seconds:
                raise _Refused("too-slow")
            if not select.select([process.stderr], [], [], LOOK_SECONDS)[0]:
                continue
            piece = os.read(process.stderr.fileno(), 1 << 16)
            if not piece:
                return said.decode("utf-8", "replace")
            said += piece[: MOST_SAID - len(said)]
            *lines, line = (line[-1000:] + piece).split(b"\n")
            for match in filter(None, (DONE.fullmatch(each.decode("ascii", "replace")) for each in lines)):
                if int(match[2]) > done[match[1]]:
                    done[match[1]], moved = int(match[2]), now

    def read(self, film: int, container: str) -> dict[str, Any]:
        """What the container says, by a process of its own; `NOTHING_KNOWN` when that fails, as no rendition needs it. Raises
        `DecoderKilled`."""
        answer, inside = os.pipe()  # it is read when the process has ended: what does not fit in there is no answer
        with os.fdopen(answer, "rb") as said:
            try:
                ran = subprocess.run(
                    [*COMMAND, "reading", container],
                    stdin=film,
                    stdout=inside,
                    stderr=subprocess.DEVNULL,
                    env=ENVIRONMENT,
                    cwd="/",
                    timeout=READ_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return _unread("it takes too long")
            finally:
                os.close(inside)
            if ran.returncode == -signal.SIGKILL:
                raise DecoderKilled
            try:
                return _checked(frames.receive(said) or {})
            except ValueError:
                return _unread(f"it ends with {ran.returncode}, and without an answer")

    def poster(self, picture: bytes, group: str) -> Decoded:
        decoded = self._decoder.decode(picture, group=group, size=len(picture))
        if isinstance(decoded, NotDecoded):
            raise _Refused(decoded.reason if decoded.reason in ("too-slow", "too-much-memory") else "failed")
        return decoded

    def _path(self) -> str:
        try:
            return self._ffmpeg or imageio_ffmpeg.get_ffmpeg_exe()
        except RuntimeError as error:
            raise DecoderMissing("ffmpeg is not there") from error


class _Work:
    """The steps over one film."""

    def __init__(self, filming: Filming, group: str, keep: Callable[[MadeRendition], None], tell: Callable[[int], None]) -> None:
        self._filming, self._group = filming, group
        self._keep, self._tell = keep, tell
        self._told = time.monotonic()
        self._percent = 0

    def make(self, film: int, container: str) -> Decoded:
        told = self._filming.read(film, container)
        source = self._probe(film, container)
        poster = self._poster(film, container, source)
        for rendition in poster.renditions:
            if rendition.name in ("grid", "screen"):
                self._keep(rendition)
        whole = self._whole(film, container, source) if source.plays and not told["cut"] else None
        with _memory() as out:
            play = self._film(film, container, source, to_play(source), out, counts=True)
            self._keep(_rendition("play", out, play))
            if whole is None:
                self._keep(_rendition("full", out, play))
        return replace(
            poster,
            taken_at=told["taken_at"],
            width=(whole or play).width,
            height=(whole or play).height,
            duration=play.duration,
            pair=told["pair"],
            removed=tuple(kind for kind in REMOVED if kind in told["removed"]),
            renditions=(),
        )

    def _probe(self, film: int, container: str) -> Source:
        with _memory() as nothing:
            _, said = self._filming.run(film, container, [], out=nothing, seconds=PROBE_SECONDS, tell=self._alive)
        source = understand(said)
        if source is None:
            raise _Refused("film-unsupported" if "\nInput #0" in "\n" + said else "broken")
        if source.width * source.height > PIXELS:
            raise _Refused("too-many-pixels")
        return source

    def _poster(self, film: int, container: str, source: Source) -> Decoded:
        choice, *encoding = POSTER
        filters = choice.format(filters=source.filters(shorter=SCREEN_EDGE))
        with _memory() as out:
            self._filming.run(
                film,
                container,
                ["-map", "0:V:0", "-vf", filters, *NOTHING_ELSE, *encoding],
                out=out,
                seconds=POSTER_SECONDS,
                tell=self._alive,
            )
            size = os.fstat(out).st_size
            picture = os.pread(out, size, 0) if size <= LARGEST_POSTER else b""
        if not picture:
            raise _Refused("broken")
        return self._filming.poster(picture, self._group)

    def _whole(self, film: int, container: str, source: Source) -> ProvenFilm | None:
        """The film to keep, its picture bit for bit: kept already when it is returned. None when it can't be had clean that way. Raises
        `_Refused` when a limit ends it: encoding would cost far more."""
        picture = [
            "-map",
            "0:V:0",
            "-c:v",
            "copy",
            "-bsf:v",
            f"{DRAWING[source.codec]},{AGAIN[source.codec]}",
            "-tag:v",
            TAGS[source.codec],
        ]
        with _memory() as out:
            try:
                proven = self._film(film, container, source, picture, out, counts=False)
            except _NotMade as error:
                log.info("the picture of a film is not kept as it is: %s", error.__cause__ or "ffmpeg can't copy it")
                return None
            self._keep(_rendition("full", out, proven))
        return proven

    def _film(self, film: int, container: str, source: Source, picture: Sequence[str], out: int, *, counts: bool) -> ProvenFilm:
        """Have ffmpeg write a film, and prove it; `counts` says whether this is what takes the time. Raises `_Refused`."""
        size = os.fstat(film).st_size

        def tell(microseconds: int) -> None:
            if counts:
                self._percent = min(99, microseconds // (10_000 * max(1, source.seconds)))
            self._alive(microseconds)

        sound = [] if source.sound is None else ["-map", f"0:{source.sound}", *SOUND]
        arguments = [*picture, *sound, *NOTHING_ELSE, "-threads", str(THREADS), *MP4]
        seconds = source.longest(size) if counts else source.longest_copy(size)
        code, _ = self._filming.run(film, container, arguments, out=out, seconds=seconds, tell=tell)
        if code:
            raise _NotMade("broken")
        try:
            _tidy(out)
            proven = prove_film(_view(out))
        except (NotClean, IndexError, struct.error) as error:
            raise _NotMade("failed") from error
        if proven.duration > LONGEST:
            raise _Refused("broken")
        return proven

    def _alive(self, _: int) -> None:
        if time.monotonic() - self._told >= TELL_SECONDS:
            self._told = time.monotonic()
            self._tell(self._percent)


def to_play(source: Source) -> list[str]:
    """What ffmpeg is told, to make of a film's picture what every browser plays."""
    return ["-map", "0:V:0", "-vf", source.filters(shorter=PLAY_EDGE), *PICTURE]


def understand(said: str) -> Source | None:
    """The first picture of a film that is no cover, as ffmpeg describes it before it begins; None when there is none that it can read."""
    stream, sound, turn, seconds = None, None, 0, 0
    for line in said.split("\n"):  # and at nothing else: a title may have other ends of lines in it
        if match := STREAM.fullmatch(line):
            if stream is None and not re.search(r"\((attached pic|timed thumbnails)\)", match["rest"]):
                stream = match
        elif match := HEARD.match(line):
            sound = int(match[1]) if sound is None else sound
        elif match := LENGTH.match(line):
            seconds = seconds or 3600 * int(match[1]) + 60 * int(match[2]) + int(match[3])
        elif stream is not None and turn == 0 and (match := TURN.match(line)):
            turn = int(match[1])
    if stream is None or stream["codec"] == "none" or stream["pixels"] == "none":
        return None
    width, height = int(stream["width"]), int(stream["height"])
    across, down = int(stream["across"] or 1), int(stream["down"] or 1)
    if not (width and height and across and down) or not 1 / 16 <= across / down <= 16:
        return None
    width = max(1, round(width * across / down))
    colour = stream["colour"] or ""
    return Source(
        codec=stream["codec"],
        profile=stream["profile"] or "",
        pixels=stream["pixels"],
        width=height if turn % 180 else width,
        height=width if turn % 180 else height,
        transfer=next((name for name in ("arib-std-b67", "smpte2084") if name in colour), None),
        is_interlaced="first" in colour,
        sound=sound,
        seconds=seconds,
    )


def _checked(told: dict[str, Any]) -> dict[str, Any]:
    """What the reading process says, checked as an upload is, with the time as a `datetime`. Raises `ValueError`."""
    pair, removed = told.get("pair"), told.get("removed")
    if (
        set(told) != set(NOTHING_KNOWN)
        or not (pair is None or (isinstance(pair, str) and PAIR.fullmatch(pair)))
        or not (isinstance(removed, list) and all(kind in REMOVED for kind in removed))
        or type(told["cut"]) is not bool
    ):
        raise ValueError("another answer")
    return {**told, "taken_at": _local(told["taken_at"])}


def _local(told: object) -> datetime | None:
    """Local time without a zone: a film's own, or a moment by our own clock's zone. Raises `ValueError`."""
    try:
        moment = datetime.fromisoformat(told) if isinstance(told, str) else None
        local = moment.astimezone().replace(tzinfo=None) if moment and moment.tzinfo else moment
    except OverflowError as error:
        raise ValueError("beyond all calendars") from error
    return local if local and 1900 <= local.year <= 2100 else None


def _unread(why: str) -> dict[str, Any]:
    log.warning("a film's container is not read, and its date and what it hides are not told: %s", why)
    return NOTHING_KNOWN


@contextlib.contextmanager
def _memory() -> Iterator[int]:
    """A file of memory without a name."""
    file = os.memfd_create("film", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        yield file
    finally:
        os.close(file)


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _view(file: int) -> memoryview:
    """What is in a file of memory, without a copy; it may be closed meanwhile."""
    size = os.fstat(file).st_size
    return memoryview(mmap.mmap(file, size, prot=mmap.PROT_READ)) if size else memoryview(b"")


def _rendition(name: str, file: int, proven: ProvenFilm) -> MadeRendition:
    return MadeRendition(name, "video/mp4", proven.width, proven.height, _view(file))


def _tidy(file: int) -> None:
    """Cut what ffmpeg can't leave out of a film's head: the empty list of tags at its end, and supplemental information in the
    configuration of HEVC. The free space behind the head grows by as much, so that nothing else moves."""
    start, _ = _box(os.pread(file, 8, 0))
    head = bytearray(os.pread(file, _box(os.pread(file, 8, start))[0] + 8, start))
    size = len(head) - 8
    if head[size:] != EMPTY_FREE:
        return
    del head[size:]
    if head.endswith(EMPTY_TAGS):
        _cut(head, size - len(EMPTY_TAGS), size)
    configuration = head.find(b"hvcC") + 4
    if configuration > 4:
        at, arrays = configuration + 23, head[configuration + 22]  # ISO/IEC 14496-15, 8.3.3.1
        for _ in range(arrays):
            end = at + 3
            for _ in range(int.from_bytes(head[at + 1 : at + 3], "big")):
                end += 2 + int.from_bytes(head[end : end + 2], "big")
            if head[at] & 0x3F in SUPPLEMENTAL:
                head[configuration + 22] -= 1
                _cut(head, at, end)
            else:
                at = end
    os.pwrite(file, head + struct.pack(">I4s", size + 8 - len(head), b"free").ljust(size + 8 - len(head), b"\0"), start)


def _cut(head: bytearray, start: int, end: int) -> None:
    """Take these bytes out of the boxes that they lie in."""
    at, inside = 0, 0
    while inside < start:
        size, kind = _box(head[at : at + 8])
        if at + size <= start:
            at += size
        else:
            struct.pack_into(">I", head, at, size - (end - start))
            at += CONTENT.get(kind, start)
        inside = at
    del head[start:end]


def _box(head: bytes | bytearray) -> tuple[int, bytes]:
    """Size and kind of a box, from its first eight bytes; a size that can't be is 8."""
    size, kind = struct.unpack(">I4s", head.ljust(8, b"\0"))
    return max(size, 8), kind
