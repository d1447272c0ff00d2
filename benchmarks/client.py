"""A small HTTP client that keeps several connections busy and costs little itself: requests are bytes made beforehand."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Callable
from typing import NamedTuple


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def send(self, data: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self.socket.sendall(data)
        received = self.rest
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        while len(body) < length:
            body += self._more()
        self.rest = body[length:]
        return int(head[9:12]), body[:length]

    def _more(self) -> bytes:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data


class Result(NamedTuple):
    per_second: float
    median: float
    statuses: dict[int, int]


def load(port: int, make: Callable[[], bytes], *, connections: int, seconds: float) -> Result:
    """Send what ``make`` makes over ``connections`` for ``seconds``. ``make`` is called by several threads."""
    took: list[float] = []
    statuses: dict[int, int] = {}
    begin = threading.Barrier(connections + 1)
    end = [0.0]

    def work() -> None:
        connection = Connection(port)
        begin.wait()
        while time.perf_counter() < end[0]:
            data = make()
            started = time.perf_counter()
            status, body = connection.send(data)
            took.append(time.perf_counter() - started)
            statuses[status] = statuses.get(status, 0) + 1
            if status >= 400:
                raise AssertionError(f"{status}: {body[:500]!r}")

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    end[0] = time.perf_counter() + seconds + 0.05
    begin.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return Result(len(took) / (time.perf_counter() - started), statistics.median(took), statuses)
