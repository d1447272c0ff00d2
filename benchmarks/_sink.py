"""A receiver for the benchmarks: notes when each message came. ``/hang…`` answers after half a minute. As bare as can be, so
that it takes little of the machine from what is measured."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import datetime

import orjson

received: list[tuple[str, float, float]] = []  # endpoint, when, age when it came
HANG = 30.0


def _answer(body: bytes = b"{}") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


OK = _answer()


class Sink(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            path = self.buffer.split(b" ", 2)[1].decode().lstrip("/")
            self.buffer = self.buffer[end + 4 + length :]
            self.answer(path, body)

    def answer(self, path: str, body: bytes) -> None:
        if path == "stats":
            self.transport.write(_answer(orjson.dumps(received)))
        elif path == "count":
            self.transport.write(_answer(str(len(received)).encode()))
        elif path == "reset":
            received.clear()
            self.transport.write(OK)
        elif path.startswith("hang"):
            asyncio.get_running_loop().call_later(HANG, self.late)
        else:
            now = time.time()
            told = orjson.loads(body).get("time")
            received.append((path, now, now - datetime.fromisoformat(told).timestamp() if told else 0.0))
            self.transport.write(OK)

    def late(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(OK)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
