"""One request to an address that a guest's browser has named: the only one Kinfold ever makes to where others point.

It goes to known push services over https alone. The name is resolved once; every address that it has must be a public one; the
connection goes to that address and to no other, while certificate and `Host` are those of the name. No redirect is followed, the answer's
body is not read, and all of it together may take five seconds.
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from urllib.parse import urlsplit

from app.errors import Refused

SERVICES = (
    "fcm.googleapis.com",
    "updates.push.services.mozilla.com",
    "*.push.apple.com",
    "*.notify.windows.com",
)
"""Where the push messages of Chrome, Firefox, Safari and Edge go."""

LONGEST = 1_000
"""Characters of an endpoint."""

PATIENCE = 5.0
"""Seconds for everything: the name, the connection, the request, the first line of the answer."""

_TRANSLATED = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")))
"""IPv6 addresses that lead on to an IPv4 address inside them, which may be any."""

Resolve = Callable[[str, int], Sequence[str]]


class Unreachable(Exception):
    """The service did not answer, or is not where it may be."""


def check_endpoint(endpoint: str, services: Sequence[str]) -> str:
    """The host of an endpoint of a push service that we know. Raises `Refused` for any other address."""
    try:
        parts = urlsplit(endpoint)
        plain = parts.scheme == "https" and parts.port in (None, 443) and not parts.username and not parts.fragment
        host = parts.hostname or ""
    except ValueError:
        raise Refused("push-wrong") from None
    printable = endpoint.isascii() and endpoint.isprintable() and " " not in endpoint
    if not (plain and printable and len(endpoint) <= LONGEST and any(_is(host, each) for each in services)):
        raise Refused("push-wrong")
    return host


def is_public(address: str) -> bool:
    """Whether an address is everybody's, and not of this machine, its network or something special."""
    ip = ipaddress.ip_address(address)
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _TRANSLATED)


def addresses_of(host: str, port: int) -> Sequence[str]:
    """What a name means just now."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class Pinned:
    """Posts to push services. Tests bring a resolver, a port, a certificate and another idea of what is public."""

    def __init__(
        self,
        services: Sequence[str],
        *,
        resolve: Resolve = addresses_of,
        public: Callable[[str], bool] = is_public,
        port: int = 443,
        context: ssl.SSLContext | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._services, self._resolve, self._public = services, resolve, public
        self._port, self._patience = port, patience
        self._context = context or ssl.create_default_context()

    def post(self, endpoint: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status that the service answers. Raises `Refused` for an address that is none of its, and `Unreachable`."""
        host = check_endpoint(endpoint, self._services)
        until = time.monotonic() + self._patience
        try:
            address = self._address(host, until)
            with closing(socket.create_connection((address, self._port), timeout=_left(until))) as plain:
                plain.settimeout(_left(until))
                with closing(self._context.wrap_socket(plain, server_hostname=host)) as line:
                    line.settimeout(_left(until))
                    line.sendall(_request(endpoint, host, headers, body))
                    return _status(line, until)
        except (OSError, ValueError) as error:
            raise Unreachable(type(error).__name__) from None

    def _address(self, host: str, until: float) -> str:
        """The one address that is used; resolved once, so that it can't be another when we connect."""
        found: list[str] = []

        def look() -> None:
            try:
                found.extend(self._resolve(host, self._port))
            except OSError:
                found.clear()

        looking = threading.Thread(target=look, daemon=True)  # a resolver takes no time limit
        looking.start()
        looking.join(_left(until))
        addresses = [] if looking.is_alive() else list(found)
        if not addresses or not all(map(self._public, addresses)):
            raise Unreachable("not public")
        return addresses[0]


def _is(host: str, service: str) -> bool:
    """Whether a host is this service, or under it where the service begins with `*.`."""
    return host.endswith(service[1:]) and len(host) >= len(service) if service.startswith("*.") else host == service


def _request(endpoint: str, host: str, headers: Mapping[str, str], body: bytes) -> bytes:
    parts = urlsplit(endpoint)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"POST {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [f"Content-Length: {len(body)}", "Connection: close"]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line is a line")
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


def _status(line: ssl.SSLSocket, until: float) -> int:
    """The status in the first line of an answer; nothing after it is read."""
    said = b""
    while b"\n" not in said and len(said) < 1_000:
        line.settimeout(_left(until))
        piece = line.recv(256)
        if not piece:
            break
        said += piece
    version, _, rest = said.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise ValueError("no answer")
    return int(rest[:3])


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
