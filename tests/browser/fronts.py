"""The web servers of `deploy/`, really running in front of Kinfold, with a certificate of our own and the files as they are delivered."""

import contextlib
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.server import Instance, _running
from tests.server import PROJECT, free_port, wait_for
from tests.tls import certificate

DEPLOY = PROJECT / "deploy"


def program(name: str) -> str:
    """Where a web server is. Without it `.ci/run` fails, and others are told that a test was skipped."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        missing = f"{name} is not installed"
        pytest.fail(missing) if os.environ.get("KINFOLD_CI") else pytest.skip(missing)
    return found


def nginx_files(folder: Path, *, port: int, inner: int) -> Path:
    """`deploy/nginx.conf` with this machine's names, ports and folder, and around it what Debian's nginx.conf would say."""
    pem = certificate(folder)
    text = (DEPLOY / "nginx.conf").read_text()
    text = re.sub(r"\n *listen \[::\].*", "", text)
    for old, new in (
        ("CERTIFICATE_KEY;", f"{pem};"),
        ("CERTIFICATE;", f"{pem};"),
        ("SITE", "localhost"),
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        ("listen 80;", f"listen 127.0.0.1:{free_port()};"),
        ("127.0.0.1:8000", f"127.0.0.1:{inner}"),
        ("/var/log/nginx/", f"{folder}/"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    (folder / "kinfold.conf").write_text(text)
    paths = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    whole = folder / "nginx.conf"
    user = "user root; " if os.getuid() == 0 else ""
    whole.write_text(
        f"{user}daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log crit; "
        f"events {{}} http {{ {paths} include {folder}/kinfold.conf; }}"
    )
    return whole


def caddy_files(folder: Path) -> Path:
    """`deploy/Caddyfile`, except that the certificate is Caddy's own, that nobody is told to trust it, and that port 80 is left alone."""
    text = (DEPLOY / "Caddyfile").read_text()
    assert "\tadmin off\n" in text
    path = folder / "Caddyfile"
    path.write_text(text.replace("\tadmin off\n", "\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n", 1))
    return path


@contextlib.contextmanager
def behind(front: str, folder: Path, **env: str) -> Iterator[Instance]:
    """Kinfold, as people reach it through `nginx` or `caddy`. What the web server logs is in the folder's `*.log`."""
    tool, port = program(front), free_port()
    instance = Instance(folder, address=f"https://localhost:{port}", KINFOLD_TRUSTED_PROXIES="1", **env)
    settings = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "caddy"),
        "KINFOLD_SITE": f"localhost:{port}",
        "KINFOLD_NODES": f"127.0.0.1:{instance.port}",
    }
    command = (
        [tool, "-e", f"{folder}/error.log", "-c", str(nginx_files(folder, port=port, inner=instance.port))]
        if front == "nginx"
        else [tool, "run", "--adapter", "caddyfile", "--config", str(caddy_files(folder))]
    )
    with (folder / "front.log").open("ab") as log, _running(instance):
        process = subprocess.Popen(command, env=settings, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_for(lambda: _answers(port), f"{front} to answer", 30)
            yield instance
        finally:
            process.terminate()
            process.wait(20)


def _answers(port: int) -> bool:
    import socket

    context = trusting()
    with (
        socket.create_connection(("127.0.0.1", port), 5) as line,
        context.wrap_socket(line, server_hostname="localhost") as secure,
    ):
        secure.sendall(f"GET /healthz HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode())
        return b" 200 " in secure.recv(200)


def trusting() -> ssl.SSLContext:
    """Whoever answers is believed: the certificate was made a moment ago."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
