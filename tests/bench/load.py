"""A light load: requests over open connections, by bare sockets, so that the server has most of the machine."""

import asyncio
import time
from collections.abc import Mapping, Sequence


def head(port: int, method: str, path: str, cookies: Mapping[str, str], **fields: str) -> bytes:
    """The head of a request, as it goes over the line; `_` in a field's name stands for `-`."""
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    lines = {"Host": f"127.0.0.1:{port}", "Cookie": cookie} | {name.replace("_", "-"): value for name, value in fields.items()}
    return "\r\n".join([f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items()), "", ""]).encode(
        "ascii"
    )


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, bytes]:
    """One request over an open connection: the status, and the body as it came."""
    writer.write(request)
    answer = await reader.readuntil(b"\r\n\r\n")
    fields = answer.lower().split(b"\r\n")
    size = next(int(line.split(b":")[1]) for line in fields if line.startswith(b"content-length:"))
    return int(fields[0].split()[1]), await reader.readexactly(size)


async def repeat(port: int, request: bytes, *, times: int, connections: int = 1) -> list[float]:
    """`times` requests in all over so many connections at once; returns how long each took, in seconds by the wall."""

    async def one_connection(share: int) -> list[float]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        took = []
        for _ in range(share):
            began = time.perf_counter()
            status, _ = await ask(reader, writer, request)
            took.append(time.perf_counter() - began)
            if status != 200:
                raise RuntimeError(f"answered with {status}")
        writer.close()
        return took

    shares: Sequence[list[float]] = await asyncio.gather(*(one_connection(times // connections) for _ in range(connections)))
    return [each for share in shares for each in share]
