"""The whole of Kinfold as Marc runs it: `flask serve` in a scratch folder, with a real worker, decoder, database and disk."""

import base64
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode

PROJECT = Path(__file__).resolve().parent.parent
PASSWORD = "a boat and two gulls"
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')

T = TypeVar("T")


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(look: Callable[[], T], what: str, seconds: float = 30) -> T:
    """Look until there is something; after too long, fail and say what was missing."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(ConnectionError, urllib.error.URLError):
            found = look()
            if found:
                return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


class Server:
    """One `flask serve`, started in `folder`; everything it writes is in there, or where `elsewhere` says."""

    elsewhere: Callable[[Path], Mapping[str, str]] = staticmethod(lambda _folder: {})
    """The settings that put database and photos of a server in this folder where this run of the tests wants them."""

    disks: ClassVar[list[Path]] = []
    """The folders of those places: what must not lie on our disk must not lie there either."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True, exist_ok=True)
        self._env = {
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self.temporary),
            "KINFOLD_DATA": str(folder / "var"),
            "KINFOLD_PORT": str(self.port),
            **self.elsewhere(folder),
            **env,
        }
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> Mapping[str, str]:
        """The environment it runs in."""
        return self._env

    def start(self) -> "Server":
        """Start it and wait until it answers."""
        self.launch()
        wait_for(lambda: self.get_status("/readyz") == 200, "the server to be ready", 60)
        return self

    def launch(self) -> None:
        """Start it."""
        self.starts += 1
        with (self.folder / "out").open("ab") as out, (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "flask", "--app", "wsgi:app", "serve"], cwd=PROJECT, env=self._env, stdout=out, stderr=log
            )

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def kill(self) -> None:
        """As if the plug were pulled: every process of it, at once."""
        assert self._process is not None
        for pid in [*self.children(), self._process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(30)

    def is_running(self) -> bool:
        """Whether what was started has not ended."""
        return self._process is not None and self._process.poll() is None

    def itself(self) -> set[int]:
        """The process that was started, while it runs."""
        return {self._process.pid} if self._process is not None and self.is_running() else set()

    def children(self, word: str = "") -> list[int]:
        """The processes of this server, those whose command has `word` in it."""
        assert self._process is not None
        found, wanted = [], {self._process.pid}
        parents = {int(p.name): _parent(p) for p in Path("/proc").iterdir() if p.name.isdigit()}
        for _ in range(4):
            wanted |= {pid for pid, parent in parents.items() if parent in wanted}
        for pid in sorted(wanted - {self._process.pid}):
            with contextlib.suppress(OSError):
                if word in Path(f"/proc/{pid}/cmdline").read_text():
                    found.append(pid)
        return found

    def get_status(self, path: str) -> int:
        """The status that nobody in particular gets."""
        try:
            with urllib.request.urlopen(self.base + path, timeout=10) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code

    def command(self, *words: str) -> str:
        """What a `flask` command prints."""
        done = self.try_command(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def try_command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A `flask` command that may fail."""
        return subprocess.run(
            [sys.executable, "-m", "flask", "--app", "wsgi:app", *words],
            cwd=PROJECT,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def set_up_address(self) -> str:
        """The address on standard output that Marc is told to open."""
        return wait_for(lambda: re.findall(r"http://\S+/setup/\S+", (self.folder / "out").read_text()), "the set-up address")[-1]


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


class Answer:
    """An answer, read whole."""

    def __init__(self, status: int, headers: Message, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Browser:
    """A browser without any cleverness: cookies, forms, no redirects."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.cookies = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies), _Stay())

    def get(self, path: str, **headers: str) -> Answer:
        return self._open(urllib.request.Request(self._whole(path), headers={k.replace("_", "-"): v for k, v in headers.items()}))

    def post(self, path: str, token: str, **fields: str) -> Answer:
        """A form, asking for JSON."""
        body = urlencode({"csrf_token": token, **fields}).encode()
        return self._open(urllib.request.Request(self._whole(path), data=body, headers={"Accept": "application/json"}))

    def upload(self, path: str, token: str, *files: tuple[str, bytes]) -> Answer:
        """Files, as a phone sends them."""
        return self.post_body(path, multipart(token, *files), "multipart/form-data; boundary=b0und")

    def post_body(self, path: str, body: bytes, content_type: str) -> Answer:
        """Any body at all, asking for JSON."""
        headers = {"Accept": "application/json", "Content-Type": content_type}
        return self._open(urllib.request.Request(self._whole(path), data=body, headers=headers))

    def begin(self, album: str, token: str, name: str, size: int) -> str:
        """Begin a file that comes in parts: its address."""
        told = {"Upload-Length": str(size), "Upload-Metadata": f"filename {base64.b64encode(name.encode()).decode()}"}
        answer = self.speak_tus("POST", f"/albums/{album}/uploads", token, told)
        assert answer.status == 201, answer.body
        return str(answer.headers["Location"])

    def how_far(self, upload: str) -> int:
        """How many bytes of it the server has; asked again for as long as it is said to be put together."""
        wait_for(lambda: self.speak_tus("HEAD", upload, "", {}).status != 423, "the file to be put together", 60)
        answer = self.speak_tus("HEAD", upload, "", {})
        assert answer.status == 200, answer.status
        return int(answer.headers["Upload-Offset"])

    def go_on(self, upload: str, token: str, start: int, data: bytes) -> Answer:
        """Send more of it."""
        told = {"Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"}
        return self.speak_tus("PATCH", upload, token, told, data)

    def speak_tus(self, method: str, path: str, token: str, headers: dict[str, str], data: bytes | None = None) -> Answer:
        """A request about a file that comes in parts."""
        told = {"Tus-Resumable": "1.0.0", "X-CSRFToken": token, "Accept": "application/json", **headers}
        return self._open(urllib.request.Request(self._whole(path), data=data, headers=told, method=method))

    def token(self, path: str) -> str:
        """The token of a page's first form."""
        found = TOKEN.search(self.get(path).body.decode())
        assert found, path
        return found.group(1)

    def set_up(self, address: str, email: str = "anna@example.org", name: str = "Anna", group: str = "The Smiths") -> None:
        """Found a family."""
        token = self.token(address)
        answer = self.post(address, token, name=name, email=email, password=PASSWORD, group_name=group, group_kind="family")
        assert answer.status == 303, answer.body

    def album(self, title: str, description: str = "") -> str:
        """A new album's id."""
        answer = self.post("/albums", self.token("/albums"), title=title, description=description)
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    def photos(self, album: str) -> list[dict[str, Any]]:
        """How an album's photos are doing."""
        return list(self.get(f"/albums/{album}/photos", Accept="application/json").json["photos"])

    def _whole(self, path: str) -> str:
        return path if path.startswith("http") else self.base + path

    def _open(self, request: urllib.request.Request) -> Answer:
        try:
            with self._opener.open(request, timeout=30) as response:
                return Answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


def multipart(token: str, *files: tuple[str, bytes], boundary: str = "b0und") -> bytes:
    """A form body: the token first, then files."""
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n{token}\r\n'.encode()]
    for name, content in files:
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\nContent-Type: image/jpeg\r\n\r\n'
        )
        parts += [head.encode(), content, b"\r\n"]
    return b"".join([*parts, f"--{boundary}--\r\n".encode()])
