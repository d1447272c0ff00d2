"""A receiver for the benchmarks: notes when each message came. ``/hang/...`` answers after half a minute."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import datetime

import orjson
from aiohttp import web

received: list[tuple[str, float, float]] = []  # endpoint, when, age when it came


async def take(request: web.Request) -> web.Response:
    body = await request.read()
    now = time.time()
    if request.match_info["name"].startswith("hang"):
        await asyncio.sleep(30)
    told = orjson.loads(body).get("time")
    age = now - datetime.fromisoformat(told).timestamp() if told else 0.0
    received.append((request.match_info["name"], now, age))
    return web.Response(body=b"{}", content_type="application/json")


async def stats(request: web.Request) -> web.Response:
    return web.json_response(received)


async def reset(request: web.Request) -> web.Response:
    received.clear()
    return web.Response()


def main(port: int) -> None:
    application = web.Application()
    application.add_routes([web.get("/stats", stats), web.get("/reset", reset), web.post("/{name}", take)])
    web.run_app(application, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
