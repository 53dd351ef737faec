"""The worker's side of the decoder: hands over an upload, gets back clean renditions or a reason.

The decoder is another process, see `decoder/`. It is treated as captured by the first hostile file: it serves one group,
is ended when it takes too long, is replaced after a failure, and what it answers is checked as strictly as an upload.
"""

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from app.errors import KinfoldError
from app.ingest.decoder import frames
from app.ingest.decoder.limits import ANSWER_ROOM, GRID_EDGE, MEMORY, PAIR, REASONS, REMOVED, RENDITIONS, SCREEN_EDGE
from app.ingest.decoder.prove import NotClean, prove

COMMAND = (sys.executable, "-I", str(Path(__file__).with_name("decoder") / "main.py"))
"""What starts a process of the decoder; beside its own service it has parts that are named behind it, see `decoder/main.py`."""
# All that the process has for an environment. One thread of libvips and one heap: small, and as fast. Up to 64 MB of the memory of one
# photo are kept for the next: giving it back to the system and asking for it again costs 3 ms.
ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "VIPS_CONCURRENCY": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}

FILES_PER_PROCESS = 300
START_SECONDS = 60.0
LOOK_SECONDS = 0.25  # how often the CPU time of a busy decoder is looked at
PIPE_SIZE = 1 << 20
F_SETPIPE_SZ = 1031  # linux/fcntl.h

# Decided by reading the header, before any library saw the file: the process is as good as new.
HARMLESS = frozenset(("not-a-picture", "film", "unsupported", "too-many-pixels"))


class DecoderMissing(KinfoldError):
    """The decoder does not start: the installation is at fault, never a file."""


class DecoderKilled(KinfoldError):
    """Somebody has killed the decoder: the kernel for want of memory, or a person. Perhaps it was the file, perhaps not."""


@dataclass(frozen=True)
class MadeRendition:
    """One finished file. Width and height in pixels, as shown."""

    name: str
    mime: str
    width: int
    height: int
    data: bytes | bytearray | memoryview


@dataclass(frozen=True)
class Decoded:
    """A photo: its renditions, proven clean, and the little that is kept of its metadata.

    `taken_at` is naive local time; `width` and `height` are those of `full` as shown; `removed` holds kinds, no values.
    `duration` is a film's, in milliseconds; `pair` is what ties the two parts of a Live Photo together, ASCII.
    """

    taken_at: datetime | None
    width: int
    height: int
    thumbhash: bytes
    removed: tuple[str, ...]
    renditions: tuple[MadeRendition, ...]
    duration: int | None = None
    pair: str | None = None


@dataclass(frozen=True)
class NotDecoded:
    """No photo; `reason` is one of `limits.REASONS`."""

    reason: str


class _Failed(Exception):
    """The process is to be ended, for this reason."""


class _Gone(Exception):
    """The process has ended by itself."""


class Decoder:
    """One decoder process at a time, started when first needed. Safe to share between threads, which then take turns."""

    def __init__(
        self,
        *,
        wall_seconds: float = 60,
        cpu_seconds: float = 30,
        files_per_process: int = FILES_PER_PROCESS,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.sandbox: dict[str, bool] = {}  # which walls the last process has raised
        self._wall_seconds = wall_seconds
        self._cpu_seconds = cpu_seconds
        self._files_per_process = files_per_process
        self._command = command
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._group = ""
        self._served = 0

    def decode(self, data: bytes | Iterable[bytes], *, group: str, size: int) -> Decoded | NotDecoded:
        """Make the renditions of an upload of `size` bytes that belongs to `group`.

        Raises what `data` raises while it is read, `DecoderMissing` and `DecoderKilled`; nothing else because of what the file holds.
        """
        if size == 0:
            return NotDecoded("empty")
        if size > MEMORY // 3:  # the upload, its drawing part and its clean copy must fit at once
            return NotDecoded("too-much-memory")
        with self._lock:
            process = self._process_for(group)
            whole = False
            try:
                answer = self._exchange(process, [data] if isinstance(data, bytes) else data, size)
                whole = isinstance(answer, Decoded) or answer.reason in HARMLESS
                return answer
            except _Gone:
                if (code := process.wait()) == -signal.SIGKILL:
                    raise DecoderKilled from None
                return NotDecoded(_reason_of_death(code))
            except _Failed as failure:
                return NotDecoded(str(failure))
            finally:
                if not whole:
                    self._end()

    def stand_by(self) -> None:
        """Have a process ready, whoever's file comes next. Raises `DecoderMissing`."""
        with self._lock:
            if self._process is None:
                self._start()

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._end()

    def _process_for(self, group: str) -> subprocess.Popen[bytes]:
        # One that says something unasked, or hangs up, is not used again.
        strange = self._served > 0 and self._group != group
        if self._process and (strange or self._served >= self._files_per_process or _speaks(self._process)):
            self._end()
        process = self._process or self._start()
        self._group = group
        self._served += 1
        return process

    def _start(self) -> subprocess.Popen[bytes]:
        self._served = 0
        process = self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            close_fds=True,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,  # Ctrl-C is for the worker, which ends the decoder when it is done
            bufsize=0,
        )
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            if sys.platform == "linux":
                with contextlib.suppress(PermissionError):  # the user's share of pipe memory is used up: a small one works too
                    fcntl.fcntl(pipe.fileno(), F_SETPIPE_SZ, PIPE_SIZE)
        try:
            ready = _Talk(process, START_SECONDS, START_SECONDS).header()["ready"]
            self.sandbox = {wall: ready[wall] is True for wall in ("landlock", "seccomp")}
        except (_Failed, _Gone, KeyError, TypeError, ValueError) as error:
            self._end()
            raise DecoderMissing("the decoder process does not start") from error
        return process

    def _exchange(self, process: subprocess.Popen[bytes], pieces: Iterable[bytes], size: int) -> Decoded | NotDecoded:
        talk = _Talk(process, self._wall_seconds, self._cpu_seconds)
        talk.send(frames.pack({"size": size, "seconds": self._wall_seconds + 5}))
        sent = 0
        for piece in pieces:
            sent += len(piece)
            if sent > size:
                raise _Failed("failed")
            talk.send(piece)
        if sent != size:
            raise _Failed("failed")
        try:
            return _read_answer(talk, most=size + ANSWER_ROOM)
        except (ValueError, TypeError, KeyError, NotClean) as error:
            raise _Failed("failed") from error

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


class _Talk:
    """Bytes to and from the process, for at most `wall_seconds` together and `cpu_seconds` of its work.

    Time that passes between the calls is not counted: a slow storage is not the file's fault.
    """

    def __init__(self, process: subprocess.Popen[bytes], wall_seconds: float, cpu_seconds: float) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._in, self._out = process.stdin.fileno(), process.stdout.fileno()
        self.process = process
        self._left = wall_seconds
        self._most_cpu = _cpu_time(self.process.pid) + cpu_seconds

    def send(self, data: bytes) -> None:
        deadline = time.monotonic() + self._left
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._in, rest) :]
            except BlockingIOError:
                self._wait(self._in, select.POLLOUT, deadline)
            except BrokenPipeError:
                raise _Gone from None
        self._left = deadline - time.monotonic()

    def header(self) -> dict[str, Any]:
        return frames.unpack(bytes(self.receive(frames.length(self.receive(frames.LENGTH)))))

    def receive(self, size: int) -> bytearray:
        deadline = time.monotonic() + self._left
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            try:
                got = os.readv(self._out, [rest])
            except BlockingIOError:
                self._wait(self._out, select.POLLIN, deadline)
                continue
            if got == 0:
                raise _Gone
            rest = rest[got:]
        self._left = deadline - time.monotonic()
        return data

    def _wait(self, pipe: int, event: int, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0 or _cpu_time(self.process.pid) > self._most_cpu:
            raise _Failed("too-slow")
        _poll(pipe, event, min(left, LOOK_SECONDS))


def _speaks(process: subprocess.Popen[bytes]) -> bool:
    """Whether there is something to read, be it only the end."""
    assert process.stdout is not None
    return _poll(process.stdout.fileno(), select.POLLIN, 0)


def _poll(pipe: int, event: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(pipe, event)
    return bool(poll.poll(seconds * 1000))


def _cpu_time(pid: int) -> float:
    """Seconds of CPU that another process has used (the clock id as linux/posix-timers_types.h makes it)."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:  # it is gone, or this is not Linux: the wall clock decides alone
        return 0.0


def _reason_of_death(code: int) -> str:
    """Out of memory GLib traps; any other end is a crash."""
    if code == -signal.SIGTRAP:
        return "too-much-memory"
    return "too-slow" if code in (-signal.SIGXCPU, -signal.SIGALRM) else "failed"


def _read_answer(talk: _Talk, *, most: int) -> Decoded | NotDecoded:
    """Read and check one answer. Raises `ValueError`, `TypeError`, `KeyError` or `NotClean` at anything out of order."""
    header = talk.header()
    if set(header) == {"refused"}:
        if header["refused"] not in REASONS or _speaks(talk.process):
            raise ValueError("no reason that we know")
        return NotDecoded(header["refused"])
    if set(header) != {"taken_at", "pair", "width", "height", "thumbhash", "removed", "renditions"}:
        raise ValueError("other fields")
    told = header["renditions"]
    if not isinstance(told, list) or [one["name"] for one in told] != list(RENDITIONS):
        raise ValueError("other renditions")
    if sum(_count(one["size"]) for one in told) > most:
        raise ValueError("too large an answer")
    renditions = tuple(_read_rendition(talk, one) for one in told)
    full = renditions[-1]
    if (_count(header["width"]), _count(header["height"])) != (full.width, full.height) or _speaks(talk.process):
        raise ValueError("another size")
    removed = header["removed"]
    if not isinstance(removed, list) or len(set(removed)) != len(removed) or not set(removed) <= set(REMOVED):
        raise ValueError("other kinds")
    thumbhash = bytes.fromhex(header["thumbhash"])
    if not 5 < len(thumbhash) <= 32:
        raise ValueError("no thumbhash")
    taken_at = None if header["taken_at"] is None else datetime.fromisoformat(header["taken_at"])
    if taken_at and (taken_at.tzinfo or not 1900 <= taken_at.year <= 2100):
        raise ValueError("no local time")
    pair = header["pair"]
    if pair is not None and not (isinstance(pair, str) and PAIR.fullmatch(pair)):
        raise ValueError("no identifier")
    return Decoded(
        taken_at=taken_at,
        width=full.width,
        height=full.height,
        thumbhash=thumbhash,
        removed=tuple(kind for kind in REMOVED if kind in removed),
        renditions=renditions,
        pair=pair,
    )


def _read_rendition(talk: _Talk, told: dict[str, Any]) -> MadeRendition:
    data = talk.receive(_count(told["size"]))
    made = MadeRendition(told["name"], told["mime"], _count(told["width"]), _count(told["height"]), data)
    if set(told) != {"name", "mime", "width", "height", "size"} or prove(made.mime, data) != (made.width, made.height):
        raise ValueError("not the picture that was told")
    edge = {"grid": GRID_EDGE, "screen": SCREEN_EDGE}.get(made.name)
    if edge and (made.mime != "image/jpeg" or max(made.width, made.height) > edge):
        raise ValueError("too large a rendition")
    return made


def _count(value: object) -> int:
    if type(value) is not int or value < 1:
        raise ValueError("not a count")
    return value
