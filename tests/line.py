"""A line between a client and a server on loopback, which can be told to break at a bad moment."""

import contextlib
import socket
import threading
from types import TracebackType


class Line:
    """Passes bytes on both ways. So many `lose_answers` are swallowed whole, and the line with them; `cut_after` so many bytes back, it
    breaks; `cut` breaks everything that is under way."""

    def __init__(self, port: int = 0) -> None:
        self.server = port
        self._ends: list[socket.socket] = []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])
        self.lose_answers = 0
        self.cut_after: int | None = None
        self.broke = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._door.close()

    def cut(self) -> None:
        ends, self._ends = self._ends, []
        _hang_up(*ends)

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._door.accept()
                server = socket.create_connection(("127.0.0.1", self.server))
                self._ends += [client, server]
                for work in (self._there, self._back):
                    threading.Thread(target=work, args=(client, server), daemon=True).start()

    def _there(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65_536):
                server.sendall(data)
        _hang_up(client, server)

    def _back(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                if self.lose_answers and b"HTTP/1.1 200" in data:
                    self.lose_answers -= 1
                    break
                if self.cut_after is not None and (len(data) >= self.cut_after):
                    client.sendall(data[: self.cut_after])
                    self.cut_after = None
                    break
                if self.cut_after is not None:
                    self.cut_after -= len(data)
                client.sendall(data)
            else:
                _hang_up(client, server)
                return
            self.broke += 1
        _hang_up(client, server)


def _hang_up(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
