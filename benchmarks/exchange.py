"""The exchange: deliveries a second against a plain Celery task each, lag to fourteen endpoints with and without one that
hangs, the inbox against the bare inserts, the digest of a million subjects, memory while a backlog of a million drains.

``backlog_rss_growth`` is measured for a bounded time: a million deliveries wait in the table, one process drains them for a
few seconds, and its resident memory at the end is divided by that after the first second. (To drain them all:
``python -m benchmarks._exchange backlog 1000000 3600 URL…``.)"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from statistics import median, quantiles
from typing import Any

import aiohttp
import psycopg2

from singlewindow import services
from singlewindow.processes import (
    BASE_DIR,
    BIN,
    Instance,
    free_port,
    migrated_template,
    recreate_database,
    with_redis_database,
)

LOOPBACK = {"EXCHANGE_ALLOW_NETWORKS": "127.0.0.1/32", "LOG_LEVEL": "WARNING"}


@contextlib.contextmanager
def _sink() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks._sink", str(port)], cwd=BASE_DIR)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(400):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/stats"):
                break
            time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


def _stats(sink: str) -> list[tuple[str, float, float]]:
    with urllib.request.urlopen(f"{sink}/stats") as answer:
        return [tuple(row) for row in json.load(answer)]


def _wait_for(sink: str, count: int, seconds: float) -> list[tuple[str, float, float]]:
    """What came, once ``count`` came; the sink is asked for the number only, so as not to be kept from its work."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{sink}/count") as answer:
            if int(answer.read()) >= count:
                break
        time.sleep(0.1)
    return _stats(sink)


def _rate(rows: list[tuple[str, float, float]]) -> float:
    times = sorted(row[1] for row in rows)
    return (len(times) - 1) / max(times[-1] - times[0], 1e-6)


def _server() -> str:
    return os.environ.get("DATABASE_URL") or services.postgres_url()


def _scratch(name: str) -> dict[str, str]:
    """Environment of an empty database of its own, so that one measure does not weigh on another."""
    url = recreate_database(_server(), f"singlewindow_{name}", template=migrated_template(_server()))
    broker = with_redis_database(os.environ.get("REDIS_URL") or services.redis_url(), 14)
    return {**os.environ, "DATABASE_URL": url, "REDIS_URL": broker, "CELERY_BROKER_URL": "", **LOOPBACK}


class _Running(Instance):
    """An instance on a database that is migrated already."""

    def start(self) -> None:
        for name in self.commands():
            self.start_process(name)
        self.wait_ready()


def _python(environment: dict[str, str], *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, *arguments], cwd=BASE_DIR, env=environment, check=True, capture_output=True, text=True
    ).stdout


def _inside(environment: dict[str, str], *arguments: str) -> Any:
    """Run a step of benchmarks/_exchange.py in a process on that database; its last line is JSON."""
    return json.loads(_python(environment, "-m", "benchmarks._exchange", *arguments).splitlines()[-1])


def _celery_rate(environment: dict[str, str], sink: str, count: int) -> float:
    from benchmarks.peers.celery_requests import TABLE

    url = environment["DATABASE_URL"]
    with contextlib.closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(TABLE)
        cursor.execute(
            "INSERT INTO peer_delivery (id, url, body) SELECT n, %s, %s FROM generate_series(1, %s) n",
            [f"{sink}/peer", json.dumps({"data": {"state": "released", "text": "x" * 200}}), count],
        )
    broker = environment["REDIS_URL"].replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
    peer = environment | {"PEER_BROKER": broker, "PEER_DATABASE": url}
    code = (
        "from benchmarks.peers.celery_requests import send\n"
        f"with send.app.connection_for_write() as c:\n for n in range(1, {count + 1}): send.apply_async((n,), connection=c)"
    )
    _python(peer, "-c", code)
    urllib.request.urlopen(f"{sink}/reset").close()
    worker = subprocess.Popen(
        [str(BIN / "celery"), "-A", "benchmarks.peers.celery_requests", "worker", "-Q", "peer", "-c", "1", "-l",
         "error", "--without-gossip", "--without-mingle", "--without-heartbeat"],
        cwd=BASE_DIR, env=peer, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        return _rate(_wait_for(sink, count, 120))
    finally:
        worker.terminate()
        worker.wait()


def _lag(environment: dict[str, str], sink: str, *, hanging: bool, seconds: float = 4.0, rate: int = 50) -> list[float]:
    """Seconds from commit to receipt at fourteen endpoints, while one more hangs or has nothing to do with it."""
    urllib.request.urlopen(f"{sink}/reset").close()
    count = int(seconds * rate)
    with contextlib.closing(psycopg2.connect(environment["DATABASE_URL"])) as connection:
        connection.autocommit = True
        started = time.monotonic()
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE exchange_endpoint SET state = %s WHERE url LIKE '%%hang'", ["active" if hanging else "deleted"]
            )
            for n in range(count):
                cursor.execute(
                    "SELECT events_append('declaration.lodged', 'declaration', %s, 'bench', ARRAY[1]::bigint[],"
                    ' \'{"state": "lodged"}\', clock_timestamp())',
                    [f"D{n % 200}"],
                )
                time.sleep(max(0.0, started + (n + 1) / rate - time.monotonic()))
    rows = _wait_for(sink, count * 14, 30)
    if len(rows) < count * 14:
        raise RuntimeError(f"only {len(rows)} of {count * 14} came")
    return [row[2] for row in rows]


def _p95(values: list[float]) -> float:
    return quantiles(values, n=20)[18]


def _inbox_rates(instance: Instance, prepared: dict[str, Any]) -> tuple[float, float]:
    """Messages a second that the inbox takes over HTTP, and rows a second that bare SQL writes for the same."""
    half = len(prepared["messages"]) // 2

    async def push() -> float:
        todo = iter(prepared["messages"][:half])

        async def one(client: aiohttp.ClientSession) -> None:
            for headers, body in todo:
                url = f"{instance.url}/api/v1/exchange/inbox/450000"
                async with client.post(url, data=body.encode(), headers=headers) as answer:
                    assert answer.status == 200, await answer.text()

        async with aiohttp.ClientSession() as client:
            started = time.perf_counter()
            await asyncio.gather(*(one(client) for _ in range(8)))
            return half / (time.perf_counter() - started)

    pushed = asyncio.run(push())
    with contextlib.closing(psycopg2.connect(instance.environment["DATABASE_URL"])) as connection:
        started = time.perf_counter()
        with connection.cursor() as cursor:
            for nth, (headers, body) in enumerate(prepared["messages"][half:]):
                cursor.execute(
                    "INSERT INTO exchange_inboxmessage (partner_id, message_id, body, digest, received_at)"
                    " VALUES (%s, %s, %s, %s, now())",
                    [prepared["partner"], headers["webhook-id"], body.encode(), b"x" * 32],
                )
                cursor.execute(
                    "INSERT INTO exchange_mirrorevent (partner_id, subject_kind, subject_number, sequence, previous,"
                    " event_id, type, occurred_at, data, links, received_at) VALUES (%s, 'declaration', %s, 1, 0,"
                    " common_uuid7(), 'declaration.lodged', now(), '{\"state\": \"lodged\"}', ARRAY[%s], now())",
                    [prepared["partner"], f"S{nth}", f"S{nth}"],
                )
                cursor.execute(
                    "INSERT INTO exchange_mirror (partner_id, subject_kind, subject_number, day, bucket, count,"
                    " sequence, last_id, changed_at, missing, last_type, last_time, data) VALUES (%s, 'declaration',"
                    " %s, current_date, 1, 1, 1, common_uuid7(), now(), 0, 'declaration.lodged', now(),"
                    ' \'{"state": "lodged"}\')',
                    [prepared["partner"], f"S{nth}"],
                )
                connection.commit()
        return pushed, half / (time.perf_counter() - started)


def run() -> dict[str, float]:
    figures: dict[str, float] = {}
    with _sink() as sink:
        environment = _scratch("exchange_lag")
        urls = [f"{sink}/e{n}" for n in range(14)]
        prepared = _inside(environment, "prepare", "2000", *urls, f"{sink}/hang")
        with _Running(
            environment=environment,
            logs=BASE_DIR / "var" / "log" / "bench-exchange",
            web_processes=2,
            worker_processes=2,
        ) as instance:
            _lag(environment, sink, hanging=True, seconds=1.0)  # until the worker is up, and the hanging one hangs
            calm: list[float] = []
            factors: list[float] = []
            for _ in range(
                3
            ):  # in turn, so that neither has the quieter machine; a burst of others' work spoils one pair
                hung = _lag(environment, sink, hanging=True)
                beside = _lag(environment, sink, hanging=False)
                factors.append(_p95(hung) / _p95(beside))
                calm += beside
            figures["exchange_lag_p95_s"] = _p95(calm)
            figures["hung_endpoint_lag_factor"] = median(factors)
            pushed, bare = _inbox_rates(instance, prepared)
            figures |= {"inbox_per_s": pushed, "inbox_vs_sql": pushed / bare}
        environment = _scratch("exchange_backlog")
        urllib.request.urlopen(f"{sink}/reset").close()
        _inside(environment, "drain", "8000", *urls[:8])
        figures["deliveries_per_s"] = _rate(_stats(sink))
        figures["celery_requests_per_s"] = _celery_rate(environment, sink, 600)
        figures["delivery_vs_celery_requests"] = figures["deliveries_per_s"] / figures["celery_requests_per_s"]
        backlog = _inside(environment, "backlog", "1000000", "6", *urls)
        figures |= {f"backlog_{name}": backlog[name] for name in ("deliveries_per_s", "rss_mb", "rss_growth")}
        figures["digest_million_s"] = _inside(environment, "digest", "1000000")["seconds"]
    return figures
