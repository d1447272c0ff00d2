"""Lodging one by one and in batches, and reading, against the SQL limit and a plain DRF application."""

from __future__ import annotations

import multiprocessing
import statistics
import time
import uuid
from itertools import count
from typing import Any

import orjson
import psycopg2
from psycopg2.extras import Json

from benchmarks.cast import Cast, cast, fill, template
from benchmarks.client import load, request
from singlewindow.processes import BASE_DIR, Instance, scratch_instance

PROCESSES, CONNECTIONS, BATCH = 2, 8, 100
ROUNDS, SECONDS = 3, 2.0

#: The tables a lodgement writes, in order.
TABLES = (
    "declarations_declaration",
    "declarations_declarationversion",
    "declarations_goodsitem",
    "declarations_container",
    "events_event",
    "common_idempotencykey",
)


def _read(database: str, number: str) -> dict[str, tuple[list[str], list[tuple[Any, ...]]]]:
    """The rows one lodgement wrote, per table, without generated keys."""
    where = {
        "declarations_declaration": "id = %(id)s",
        "events_event": "subject_number = %(number)s",
        "common_idempotencykey": "true ORDER BY id DESC LIMIT 1",
    }
    rows = {}
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM declarations_declaration WHERE unified_number = %s", [number])
        keys = {"id": cursor.fetchone()[0], "number": number}
        for table in TABLES:
            cursor.execute(f"SELECT * FROM {table} WHERE {where.get(table, 'declaration_id = %(id)s')}", keys)
            names = [column.name for column in cursor.description or ()]
            rows[table] = (names, cursor.fetchall())
    return rows


def _insert(database: str, rows: Any, seconds: float, batch: int, worker: int, results: Any) -> None:
    """A bare loop: one INSERT per table, a commit per ``batch`` declarations."""
    connection = psycopg2.connect(database)
    cursor = connection.cursor()
    statements = []
    for table, (names, found) in rows.items():
        kept = [at for at, name in enumerate(names) if name != "id" or table == "events_event"]
        row = f"({', '.join(['%s'] * len(kept))})"
        columns = ", ".join(names[at] for at in kept)
        sql = f"INSERT INTO {table} ({columns}) VALUES {', '.join([row] * len(found))}"
        if table == "declarations_declaration":
            sql += " RETURNING id"
        values = [[Json(line[at]) if isinstance(line[at], dict) else line[at] for at in kept] for line in found]
        statements.append((table, sql, [names[at] for at in kept], values))
    serial = count(1)
    done, declaration_id = 0, 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(batch):
            mark = f"{worker}{next(serial):012d}"
            new = {
                "unified_number": f"S2026{mark}",
                "client_reference": f"S{uuid.uuid4().hex[:17]}",
                "subject_number": f"S2026{mark}-{seconds}",
                "key": uuid.uuid4().hex,
                "position": None,
            }
            new["unified_number"] = f"S{uuid.uuid4().hex[:17]}"
            new["subject_number"] = new["unified_number"]
            for table, sql, names, values in statements:
                new["id"] = str(uuid.uuid4())
                new["declaration_id"] = declaration_id
                own = new.keys() - ({"position"} if table != "events_event" else set())
                cursor.execute(
                    sql,
                    [
                        new[name] if name in own else value
                        for line in values
                        for name, value in zip(names, line, strict=True)
                    ],
                )
                if table == "declarations_declaration":
                    declaration_id = cursor.fetchone()[0]
        connection.commit()
        done += batch
    results.put(done / (seconds + time.perf_counter() - end))


def _sql_limit(database: str, rows: Any, batch: int, processes: int = PROCESSES) -> float:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [
        context.Process(target=_insert, args=(database, rows, SECONDS, batch, number, results))
        for number in range(processes)
    ]
    for worker in workers:
        worker.start()
    total = sum(results.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
    return float(total)


class _Peer(Instance):
    def start(self) -> None:
        self.start_process("web")
        self.wait_ready()


def _peer(instance: Instance) -> Instance:
    return _Peer(
        environment=instance.environment | {"DJANGO_SETTINGS_MODULE": "benchmarks.peers.settings"},
        logs=BASE_DIR / "var" / "log" / "bench-peer",
        web_processes=PROCESSES,
        worker=False,
    )


def _plain(message: dict[str, Any], rows: Any) -> bytes:
    """The same declaration as the peer takes it: the columns of the two tables."""
    names, (row,) = rows["declarations_declaration"]
    stored = dict(zip(names, row, strict=True))
    body = {
        name: stored[name]
        for name in stored
        if not name.endswith("_id") and name not in ("id", "customs_number") and stored[name] is not None
    }
    body |= {name.removesuffix("_id"): stored[name] for name in stored if name.endswith("_id") and stored[name]}
    item_names, items = rows["declarations_goodsitem"]
    body["goodsitem_set"] = [
        {
            name: value
            for name, value in zip(item_names, item, strict=True)
            if name not in ("id", "declaration_id") and value is not None
        }
        for item in items
    ]
    body |= {"unified_number": "@@@@@@@@@@@@@@@@@@", "client_reference": "@@@@@@@@@@@@@@@@@@"}
    return orjson.dumps(body, default=str)


def run() -> dict[str, float]:
    found: dict[str, list[float]] = {
        "lodgement_vs_sql": [], "lodgement_vs_sql_of_8_connections": [], "lodgement_vs_drf": [], "batch_vs_sql": [],
        "status_vs_drf": [],
    }  # fmt: skip
    with scratch_instance("bench", redis_database=9, web_processes=PROCESSES, worker=False) as instance:
        players = cast(instance)
        database = instance.environment["DATABASE_URL"]
        keys = count(1)
        message = template(players.message)

        def one() -> bytes:
            headers = players.headers(**{"Idempotency-Key": f"bench-{next(keys)}"})
            return request("POST", "/api/v1/declarations", headers, fill(message))

        def many() -> bytes:
            body = b"[" + b",".join(fill(message) for _ in range(BATCH)) + b"]"
            return request("POST", "/api/v1/declarations/batch", players.headers(), body)

        number = _lodge_one(instance, one())
        rows = _read(database, number)
        read = request("GET", f"/api/v1/declarations/{number}", players.headers())
        with _peer(instance) as peer:  # on the same database
            plain = _plain(players.message, rows)
            json_headers = {"Content-Type": "application/json"}
            plain_read = request("GET", f"/declarations/{number}", json_headers)
            for port, make in (
                (instance.port, one),
                (peer.port, lambda: _plain_one(plain)),
                (instance.port, lambda: read),
            ):
                load(port, make, connections=CONNECTIONS, seconds=1.0)  # warm
            for _ in range(ROUNDS):
                ours = load(instance.port, one, connections=CONNECTIONS, seconds=SECONDS)
                limit = _sql_limit(database, rows, 1)
                # The server's threads share its two processes, so it commits on eight connections: the same for the loop.
                grouped = _sql_limit(database, rows, 1, CONNECTIONS)
                theirs = load(peer.port, lambda: _plain_one(plain), connections=CONNECTIONS, seconds=SECONDS)
                batch = load(instance.port, many, connections=PROCESSES * 2, seconds=SECONDS).per_second * BATCH
                batch_limit = _sql_limit(database, rows, BATCH)
                seen = load(instance.port, lambda: read, connections=CONNECTIONS, seconds=SECONDS)
                seen_there = load(peer.port, lambda: plain_read, connections=CONNECTIONS, seconds=SECONDS)
                print(
                    f"   lodged {ours.per_second:.0f}/s (p50 {ours.median * 1000:.1f} ms), SQL limit {limit:.0f}/s"
                    f" ({grouped:.0f}/s on {CONNECTIONS} connections),"
                    f" plain DRF {theirs.per_second:.0f}/s; batch {batch:.0f}/s, SQL limit {batch_limit:.0f}/s;"
                    f" read {seen.per_second:.0f}/s, plain DRF {seen_there.per_second:.0f}/s",
                    flush=True,
                )
                found["lodgement_vs_sql"].append(ours.per_second / limit)
                found["lodgement_vs_sql_of_8_connections"].append(ours.per_second / grouped)
                found["lodgement_vs_drf"].append(ours.per_second / theirs.per_second)
                found["batch_vs_sql"].append(batch / batch_limit)
                found["status_vs_drf"].append(seen.per_second / seen_there.per_second)
    return {key: statistics.median(values) for key, values in found.items()}


def _plain_one(plain: bytes) -> bytes:
    return request("POST", "/declarations", {"Content-Type": "application/json"}, fill(plain))


def _lodge_one(instance: Instance, data: bytes) -> str:
    from benchmarks.client import Connection

    status, body = Connection(instance.port).send(data)
    assert status == 201, body
    return str(orjson.loads(body)["unified_number"])


__all__ = ["Cast", "run"]
