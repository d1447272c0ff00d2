"""A receiver of webhooks on loopback: keeps what came, answers as told."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import orjson


class Received(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        return orjson.loads(self.body)


Answer = tuple[int, dict[str, str], bytes]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a sender that did not wait for a slow answer
            super().handle_error(request, client_address)


class Receiver:
    """``answer`` gets the request and how many came before it."""

    def __init__(self, answer: Callable[[Received, int], int | Answer] | None = None) -> None:
        self.answer = answer or (lambda received, nth: 200)
        self.received: list[Received] = []
        self.taken: list[Received] = []  # those answered with 2xx
        self.most_at_once = 0
        self._now = 0
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                one = Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                with receiver._lock:
                    nth = len(receiver.received)
                    receiver.received.append(one)
                    receiver._now += 1
                    receiver.most_at_once = max(receiver.most_at_once, receiver._now)
                answer = receiver.answer(one, nth)
                status, headers, content = answer if isinstance(answer, tuple) else (answer, {}, b'{"status":"ok"}')
                with receiver._lock:
                    receiver._now -= 1
                    if 200 <= status < 300:
                        receiver.taken.append(one)
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(content))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def numbers(self) -> list[tuple[str, int]]:
        """(subject number, sequence) of what was taken, in order."""
        return [(one.message["subjectnumber"], one.message["seq"]) for one in self.taken]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def slow(seconds: float, status: int = 200) -> Callable[[Received, int], int]:
    def answer(received: Received, nth: int) -> int:
        time.sleep(seconds)
        return status

    return answer
