"""Attack 11: a hostile file has taken the decoder over. What can the code do that now runs in it?

Hostile code runs in the decoder's place, behind the decoder's own walls. It first runs without walls, to show that
what fails behind them would work otherwise.
"""

import contextlib
import io
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from app.ingest import decoding
from app.ingest.decoder.limits import FILM_MEMORY
from app.ingest.decoding import Decoded, Decoder, NotDecoded
from app.ingest.filming import Filming
from tests.made_films import film

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")

DECODER = Path(decoding.__file__).parent
BOTH = "sandbox.close_files(); assert sandbox.close_calls()"
# Each wall alone; neither goes up without this promise.
PROMISE = "sandbox._prctl(sandbox.PR_SET_NO_NEW_PRIVS, 1)\n"

# What core dumps are limited to: 1, but where nobody may raise it from 0.
CORE = "1" if resource.getrlimit(resource.RLIMIT_CORE)[1] != 0 else "0"

HOSTILE = """
import ctypes, importlib, json, os, socket, struct, sys
sys.path.append({folder!r})
sandbox = importlib.import_module("decoder.sandbox")
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
here = 0 if os.uname().machine == "x86_64" else 1
parent, key = os.getppid(), {key!r}
"x".encode("idna")  # loads what connecting needs
buffer = ctypes.create_string_buffer(256)
vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 64)

def call(numbers, *arguments):
    if libc.syscall(numbers[here], *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")

def new_process():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)

attempts = {{
    "key file": lambda: open(key).read(),
    "key file by openat": lambda: call((257, 56), -100, key.encode(), 0, 0),
    "list folder": lambda: os.listdir("/"),
    "write file": lambda: open(key + ".new", "w"),
    "memory file": lambda: os.memfd_create("x"),
    "environ of parent": lambda: open(f"/proc/{{parent}}/environ").read(),
    "memory of parent": lambda: open(f"/proc/{{parent}}/mem", "rb"),
    "memory of parent by call": lambda: call((310, 270), parent, vector, 1, vector, 1, 0),
    "ptrace": lambda: call((101, 117), 0x4206, parent, 0, 0),
    "signal to parent": lambda: os.kill(parent, 0),
    "handle on parent": lambda: call((434, 434), parent, 0),
    "connect": lambda: socket.create_connection(("127.0.0.1", {port})),
    "unix socket": lambda: socket.socket(socket.AF_UNIX),
    "new process": new_process,
    "memory that runs": lambda: call((9, 222), 0, 4096, 7, 0x22, -1, 0),
    "io_uring": lambda: call((425, 425), 1, buffer),
    "limits": lambda: call((302, 261), 0, 4, struct.pack("QQ", 0, 0), 0),
    "limits of parent": lambda: call((302, 261), parent, 4, None, buffer),
    "traceable again": lambda: call((157, 167), 4, 1, 0, 0, 0),
    "another owner": lambda: call((72, 25), 1, 8, os.getpid()),
    "another signal": lambda: call((72, 25), 1, 10, 9),
    "lock": lambda: call((72, 25), 1, 5, ctypes.create_string_buffer(64)),
    "device": lambda: call((16, 29), 1, 0x5421, buffer),
    "another program": lambda: os.execv("/bin/true", ["true"]),
}}
{walls}
result = {{}}
for name, attempt in attempts.items():
    if name == "another program" and {can_leave}:
        continue  # it would work, and nothing would be told
    try:
        attempt()
        result[name] = "done"
    except OSError as error:
        result[name] = "refused"
    except BaseException as error:
        result[name] = repr(error)
os.write(1, json.dumps(result).encode())
"""


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def attack(walls: str, *, port: int, folder: Path, can_leave: bool = False) -> dict[str, str]:
    """What each attempt came to. Where it could become another program (`can_leave`) that is not tried."""
    key = folder / "master.key"
    key.write_text("secret")
    program = HOSTILE.format(folder=str(DECODER), walls=walls, port=port, key=str(key), can_leave=can_leave)
    run = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, timeout=30, env=decoding.ENVIRONMENT, check=False
    )
    assert run.returncode == 0, run.stderr.decode()
    result: dict[str, str] = json.loads(run.stdout)
    return result


def has_landlock() -> bool:
    return attack_free("print(int(sandbox._landlock()))") == "1"


def attack_free(body: str) -> str:
    program = f"import sys, importlib; sys.path.append({str(DECODER)!r}); sandbox = importlib.import_module('decoder.sandbox')\n"
    run = subprocess.run([sys.executable, "-I", "-c", program + PROMISE + body], capture_output=True, timeout=30, check=True)
    return run.stdout.decode().strip()


def test_without_walls_the_attacks_work(listening: int, tmp_path: Path) -> None:
    worked = {name for name, what in attack("", port=listening, folder=tmp_path, can_leave=True).items() if what == "done"}
    assert worked >= {
        "key file", "key file by openat", "list folder", "write file", "memory file", "environ of parent", "signal to parent",
        "connect", "unix socket", "new process", "memory that runs", "another owner", "another signal", "lock", "device",
    }  # fmt: skip


def test_behind_both_walls_every_attack_fails(listening: int, tmp_path: Path) -> None:
    result = attack(BOTH, port=listening, folder=tmp_path)
    assert len(result) == 24 and set(result.values()) == {"refused"}, result
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]


def test_the_list_of_calls_is_enough_alone(listening: int, tmp_path: Path) -> None:
    result = attack(PROMISE + "assert sandbox.close_calls()", port=listening, folder=tmp_path)
    assert set(result.values()) == {"refused"}, result


def test_landlock_alone_keeps_the_keys(listening: int, tmp_path: Path) -> None:
    if not has_landlock():
        pytest.skip("this kernel has no Landlock")
    result = attack(PROMISE + "assert sandbox._landlock()", port=listening, folder=tmp_path)
    for name in ("key file", "key file by openat", "list folder", "write file", "environ of parent", "memory of parent", "ptrace",
                 "memory of parent by call", "connect", "signal to parent", "another program"):  # fmt: skip
        assert result[name] == "refused", name


AROUND_FFMPEG = (
    "sandbox.close_files_around_program(program=(), largest_file=1000, parent=parent); assert sandbox.close_calls(program=True)"
)
LOADING = {"memory that runs", "limits"}
"""What a program may do that is loaded behind the walls: have memory that runs, and lower its own limits."""


def test_behind_the_walls_around_ffmpeg_every_attack_fails_too(listening: int, tmp_path: Path) -> None:
    if not has_landlock():
        pytest.skip("this kernel has no Landlock")
    result = attack(AROUND_FFMPEG, port=listening, folder=tmp_path)
    assert len(result) == 24 and {name for name, what in result.items() if what != "refused"} == LOADING, result
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]


def test_the_list_of_calls_around_ffmpeg_keeps_others_safe_alone(listening: int, tmp_path: Path) -> None:
    result = attack(PROMISE + "assert sandbox.close_calls(program=True)", port=listening, folder=tmp_path, can_leave=True)
    for name in ("connect", "unix socket", "ptrace", "memory of parent by call", "signal to parent", "limits of parent", "new process",
                 "handle on parent", "io_uring", "traceable again", "another owner", "another signal", "lock", "device"):  # fmt: skip
        assert result[name] == "refused", name


HOSTILE_PROGRAM = """
read key < {key} && echo key
: > {key}.new && echo new
kill -0 $PPID && echo signal
(echo child)
exec /bin/echo program
"""


def test_a_program_in_the_place_of_ffmpeg_gets_nowhere(tmp_path: Path) -> None:
    """The same by the way that films go: a shell is started as ffmpeg would be, and told what to do."""
    if not has_landlock():
        pytest.skip("this kernel has no Landlock")
    key = tmp_path / "master.key"
    key.write_text("secret\n")
    script = HOSTILE_PROGRAM.format(key=key)
    free = subprocess.run(["/bin/sh", "-c", script], capture_output=True, timeout=30, check=True)
    assert free.stdout.split() == [b"key", b"new", b"signal", b"child", b"program"]
    (tmp_path / "master.key.new").unlink()
    for attempt in script.strip().splitlines():
        command = Filming(Decoder()).command("/bin/sh", ["-c", f"{attempt}; echo went on; set"], size=0)
        walled = subprocess.run(command, env={"KINFOLD_MASTER_KEY": "secret"}, capture_output=True, timeout=30, check=False)
        said = walled.stdout.decode()
        assert not set(said.split()) & {"key", "new", "signal", "child", "program"}, attempt
        assert "KINFOLD" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]


def test_what_is_started_by_a_worker_that_has_died_since_does_not_begin() -> None:
    """Its end was no signal to a process that had not asked for one yet."""
    command = Filming(Decoder()).command("/bin/echo", ["began"], size=0)
    assert subprocess.run(command, capture_output=True, timeout=30, check=True).stdout == b"began\n"
    orphan = [word if word != str(os.getpid()) else "1" for word in command]
    ended = subprocess.run(orphan, capture_output=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, b"")


BUSY = """
import sys
sys.path.insert(0, {project!r})
from app.ingest.decoding import Decoder
from app.ingest.filming import Filming
data = open({film!r}, "rb").read()
Filming(Decoder()).make([data], container="mov", group="a", size=len(data), keep=lambda made: print(made.name, flush=True))
"""


def test_ffmpeg_is_walled_in_with_every_thread_and_dies_with_its_worker(tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(film("-c:v", "mpeg4", picture="testsrc2=size=1280x720:rate=30:duration=20", sound=None))
    program = BUSY.format(project=str(DECODER.parents[2]), film=str(tmp_path / "film"))
    worker = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    try:
        assert worker.stdout is not None and worker.stdout.readline() == b"grid\n" and worker.stdout.readline() == b"screen\n"
        until(lambda: ffmpeg_of(worker.pid) is not None)
        ffmpeg = ffmpeg_of(worker.pid)
        assert ffmpeg is not None
        for task in (ffmpeg / "task").iterdir():
            status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
            assert (status["Seccomp"].strip(), status["NoNewPrivs"].strip()) == ("2", "1")
        limits = (ffmpeg / "limits").read_text()
        assert re.search(rf"Max core file size +{CORE} +{CORE}", limits) and re.search(
            rf"Max data size +{FILM_MEMORY} +{FILM_MEMORY}", limits
        )
        assert (ffmpeg / "environ").read_bytes() == b"LC_ALL=C\0"
        files = {os.readlink(file).split(":")[0] for file in (ffmpeg / "fd").iterdir()}
        assert files == {"/memfd", "pipe"} or files == {"/memfd", "pipe", "anon_inode"}
    finally:
        worker.kill()
        worker.wait()
    until(lambda: not ffmpeg.exists() or "State:\tZ" in (ffmpeg / "status").read_text())


def ffmpeg_of(parent: int) -> Path | None:
    """The ffmpeg that a process has started and that makes a film just now."""
    for found in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            child = f"PPid:\t{parent}\n" in (found / "status").read_text()
            if child and b"libx264" in (found / "cmdline").read_bytes() and b"decoder" not in (found / "cmdline").read_bytes():
                return found
    return None


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end, "waited for nothing"
        time.sleep(0.02)


def a_jpeg() -> bytes:
    file = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(file, "JPEG")
    return file.getvalue()


def test_the_real_process_is_walled_in_with_every_thread() -> None:
    decoder = Decoder()
    try:
        data = a_jpeg()
        assert isinstance(decoder.decode(data, group="a", size=len(data)), Decoded)
        assert decoder.sandbox["seccomp"]
        assert decoder._process is not None
        proc = Path("/proc") / str(decoder._process.pid)
        for task in (proc / "task").iterdir():
            status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
            assert (status["Seccomp"].strip(), status["NoNewPrivs"].strip()) == ("2", "1")
        limits = (proc / "limits").read_text()
        for name, most in (("Max core file size", CORE), ("Max open files", "0"), ("Max file size", "0")):
            line = next(line for line in limits.splitlines() if line.startswith(name))
            assert line[len(name) :].split()[:2] == [most, most], line
        if os.geteuid() != 0:  # root may look at everything
            with pytest.raises(PermissionError):
                (proc / "environ").read_bytes()
    finally:
        decoder.close()


STUB = f"""
import sys, os, json, importlib
sys.path.append({str(DECODER)!r})
frames = importlib.import_module("decoder.frames")
say = lambda header: os.write(1, frames.pack(header))
"""


def test_the_process_gets_no_descriptor_and_no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KINFOLD_MASTER_KEY", "secret")
    key = os.open(tmp_path / "master.key", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(key, True)
    program = (
        STUB
        + """
files = {os.readlink("/proc/self/fd/" + fd).split(":")[0] for fd in os.listdir("/proc/self/fd") if os.path.islink("/proc/self/fd/" + fd)}
strange = {name for name in os.environ if "KINFOLD" in name}
say({"ready": {"landlock": files <= {"pipe", "/dev/null"}, "seccomp": not strange}})
while request := frames.receive(sys.stdin.buffer):
    sys.stdin.buffer.read(request["size"])
    say({"refused": "film"})
"""
    )
    decoder = Decoder(command=[sys.executable, "-I", "-c", program])
    try:
        assert decoder.decode(b"x", group="a", size=1) == NotDecoded("film")
        assert decoder.sandbox == {"landlock": True, "seccomp": True}
    finally:
        decoder.close()
        os.close(key)


def test_no_process_sees_the_files_of_two_groups() -> None:
    program = (
        STUB
        + """
say({"ready": {"landlock": False, "seccomp": False}})
seen = []
while request := frames.receive(sys.stdin.buffer):
    seen.append(sys.stdin.buffer.read(request["size"]))
    say({"refused": "unsupported" if len(seen) > 1 else "film"})
"""
    )
    decoder = Decoder(command=[sys.executable, "-I", "-c", program])
    try:
        answers = [decoder.decode(b"x", group=group, size=1) for group in ("smiths", "smiths", "school", "smiths")]
    finally:
        decoder.close()
    assert answers == [NotDecoded(reason) for reason in ("film", "unsupported", "film", "film")]


def test_a_process_whose_worker_is_gone_ends() -> None:
    read, write = os.pipe()
    process = subprocess.Popen(
        decoding.COMMAND, stdin=read, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=decoding.ENVIRONMENT
    )
    os.close(read)
    assert process.stdout is not None
    assert b"ready" in process.stdout.read(20)
    os.close(write)
    deadline = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() == 0
    process.stdout.close()
