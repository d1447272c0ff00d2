"""A small fault proxy: every push between two instances goes through it, and it does to some what networks and
receivers do. What it does is decided by a seeded generator, one per pair of instances."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter

import aiohttp
import orjson
from aiohttp import web

#: fault -> weight; "none" is the rest of a hundred. The worst is a middleman who says 200 and forwards later ("reorder": what is
#: sent next overtakes it) or never ("swallow"): the sender holds it for delivered, and only the receiver can notice.
WEIGHTS = {
    "delay": 6, "duplicate": 6, "reorder": 4, "swallow": 1, "corrupt": 4, "drop": 4, "lose_answer": 4, "500": 3,
    "429": 2, "timeout": 1,
}  # fmt: skip


class FaultProxy:
    """``url(source, target)`` is what ``source`` sends to; ``targets`` says where it goes in truth."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.targets: dict[str, str] = {}
        self.faulty = False
        self.tally: Counter[str] = Counter()
        #: What inboxes said of what they took: applied, late, gap, duplicate, …
        self.answers: Counter[str] = Counter()
        #: (source, target) pairs that are answered 410 once
        self.gone: set[tuple[str, str]] = set()
        self._random: dict[tuple[str, str], random.Random] = {}
        #: on their way although the sender was told that they had arrived
        self.held: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        threading.Thread(target=self._serve, args=(started,), daemon=True).start()
        started.wait(10)

    def url(self, source: str, target: str) -> str:
        return f"http://127.0.0.1:{self.port}/{source}/{target}"

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _end(self) -> None:
        await self.runner.cleanup()
        await self.client.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        started.set()
        self._loop.run_forever()
        self._loop.close()

    async def _start(self) -> None:
        self.client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        application = web.Application(client_max_size=8 * 1024 * 1024)
        application.router.add_post("/{source}/{target}", self._handle)
        self.runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    def _choose(self, pair: tuple[str, str]) -> str:
        if pair in self.gone:
            self.gone.discard(pair)
            return "410"
        if not self.faulty:
            return "none"
        generator = self._random.setdefault(pair, random.Random(f"{self.seed}/{pair}"))
        names = [*WEIGHTS, "none"]
        return generator.choices(names, [*WEIGHTS.values(), 100 - sum(WEIGHTS.values())])[0]

    async def _handle(self, request: web.Request) -> web.Response:
        source, target = request.match_info["source"], request.match_info["target"]
        body = await request.read()
        fault = self._choose((source, target))
        self.tally[fault] += 1
        if fault in ("500", "410"):
            return web.Response(status=int(fault))
        if fault == "429":
            return web.Response(status=429, headers={"Retry-After": "1"})
        if fault == "timeout":
            await asyncio.sleep(5)
            return web.Response(status=504)
        if fault == "drop":
            self._cut(request)
        if fault == "delay":
            await asyncio.sleep(0.3)
        if fault == "reorder":
            task = asyncio.create_task(self._later(request, source, target, body))
            self.held.add(task)
            task.add_done_callback(self.held.discard)
        if fault in ("reorder", "swallow"):
            return web.json_response({"status": "applied"})
        if fault == "corrupt":
            body = body[:40] + bytes([body[40] ^ 1]) + body[41:]
        answer = await self._forward(request, source, target, body)
        if fault == "duplicate":
            answer = await self._forward(request, source, target, body)
        if fault == "lose_answer":
            self._cut(request)
        return answer

    async def _later(self, request: web.Request, source: str, target: str, body: bytes) -> None:
        await asyncio.sleep(1.0)
        await self._forward(request, source, target, body)

    def _cut(self, request: web.Request) -> None:
        if request.transport is not None:
            request.transport.abort()
        raise asyncio.CancelledError

    async def _forward(self, request: web.Request, source: str, target: str, body: bytes) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower().startswith("webhook-")}
        headers["Content-Type"] = request.headers.get("Content-Type", "application/json")
        url = f"{self.targets[target]}/api/v1/exchange/inbox/{source}"
        try:
            async with self.client.post(url, data=body, headers=headers) as answer:
                said = await answer.read()
                if answer.ok:
                    self.answers[orjson.loads(said)["status"]] += 1
                return web.Response(status=answer.status, body=said)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return web.Response(status=502)
