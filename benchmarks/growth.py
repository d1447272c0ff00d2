"""Lodging and reading with 10 000 and with 1 000 000 declarations stored: medians, the larger over the smaller."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

import orjson
import psycopg2

from benchmarks.cast import Cast, cast, fill, template
from benchmarks.client import Connection, request
from singlewindow.processes import scratch_instance

SMALL, LARGE = 10_000, 1_000_000
REQUESTS = 400

#: Declarations like the one stored last, of 200 firms, with one item and a short message each.
_MULTIPLY = """
INSERT INTO declarations_declaration ({columns})
SELECT {values} FROM generate_series({first}, {last}) n,
  (SELECT * FROM declarations_declaration ORDER BY id LIMIT 1) d;
INSERT INTO declarations_declarationversion (declaration_id, version, message, reason, actor, created_at)
SELECT d.id, 1, '{{"direction": "I"}}', '', 'bench', d.created_at
FROM declarations_declaration d WHERE d.unified_number BETWEEN 'I2025{first:013d}' AND 'I2025{last:013d}';
INSERT INTO declarations_goodsitem ({item_columns})
SELECT {item_values} FROM declarations_declaration d,
  (SELECT * FROM declarations_goodsitem ORDER BY id LIMIT 1) i
WHERE d.unified_number BETWEEN 'I2025{first:013d}' AND 'I2025{last:013d}';
INSERT INTO events_event (id, entry, position, type, subject_kind, subject_number, sequence, occurred_at, recorded_at,
  actor, audience, data)
SELECT gen_random_uuid(), nextval('events_entry'), nextval('events_position'), 'declaration.lodged', 'declaration',
  d.unified_number, 1, d.created_at, d.created_at, 'bench', '{{}}', '{{}}'
FROM declarations_declaration d WHERE d.unified_number BETWEEN 'I2025{first:013d}' AND 'I2025{last:013d}';
"""


def _columns(cursor: psycopg2.extensions.cursor, table: str) -> list[str]:
    cursor.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped", [table]
    )
    return [name for (name,) in cursor.fetchall() if name != "id"]


def _multiply(url: str, first: int, last: int) -> None:
    own = {
        "unified_number": "'I2025' || lpad(n::text, 13, '0')",
        "client_reference": "'G' || n",
        "transport_document_number": "'BL' || n",
        "customs_number": "'800020251' || lpad(n::text, 9, '0')",
        "state": "'cleared'",
        "lodged_by_id": "d.lodged_by_id",
        "created_at": "d.created_at - n * interval '30 seconds'",
        "updated_at": "d.created_at - n * interval '30 seconds'",
        "state_since": "d.created_at - n * interval '30 seconds'",
    }
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(
            "SET session_replication_role = replica; SET synchronous_commit = off; SET maintenance_work_mem = '256MB'"
        )
        columns = _columns(cursor, "declarations_declaration")
        item_columns = _columns(cursor, "declarations_goodsitem")
        indexes = []
        if last - first > 100_000:
            # Secondary indexes are built afterwards: the result is the same, sooner.
            cursor.execute(
                "SELECT i.indexname, i.indexdef FROM pg_indexes i WHERE i.tablename IN"
                " ('declarations_declaration', 'declarations_goodsitem', 'declarations_declarationversion')"
                " AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conname = i.indexname)"
            )
            indexes = cursor.fetchall()
            for name, _ in indexes:
                cursor.execute(f'DROP INDEX "{name}"')
        cursor.execute(
            _MULTIPLY.format(
                first=first,
                last=last,
                columns=", ".join(columns),
                values=", ".join(own.get(name, f"d.{name}") for name in columns),
                item_columns=", ".join(item_columns),
                item_values=", ".join("d.id" if name == "declaration_id" else f"i.{name}" for name in item_columns),
            )
        )
        for _, definition in indexes:
            cursor.execute(definition)
        cursor.execute("ANALYZE; CHECKPOINT")
    connection.close()


def _median(connection: Connection, make: Callable[[], bytes]) -> float:
    took = []
    for _ in range(REQUESTS):
        data = make()
        started = time.perf_counter()
        status, body = connection.send(data)
        took.append(time.perf_counter() - started)
        assert status in (200, 201), body
    return statistics.median(took)


def _measure(port: int, players: Cast, stored: int) -> tuple[float, float]:
    connection = Connection(port)
    message = template(players.message)

    def one() -> bytes:
        return request("POST", "/api/v1/declarations", players.headers(), fill(message))

    def read() -> bytes:
        number = f"I2025{random.randint(1, stored):013d}"
        return request("GET", f"/api/v1/declarations/{number}", players.headers())

    for make in (one, read):
        for _ in range(50):
            connection.send(make())
    return _median(connection, one), _median(connection, read)


def run() -> dict[str, float]:
    with scratch_instance("bench", redis_database=9, web_processes=1, worker=False) as instance:
        players = cast(instance)
        status, body = Connection(instance.port).send(
            request("POST", "/api/v1/declarations", players.headers(), fill(template(players.message)))
        )
        assert status == 201, orjson.loads(body)
        url = instance.environment["DATABASE_URL"]
        _multiply(url, 1, SMALL)
        small = _measure(instance.port, players, SMALL)
        started = time.monotonic()
        _multiply(url, SMALL + 1, LARGE)
        print(f"   {LARGE} declarations made in {time.monotonic() - started:.0f} s", flush=True)
        large = _measure(instance.port, players, LARGE)
        for name, before, after in zip(("lodge", "read"), small, large, strict=True):
            print(f"   {name}: p50 {before * 1000:.2f} ms at {SMALL}, {after * 1000:.2f} ms at {LARGE}", flush=True)
        return {"growth_lodgement": large[0] / small[0], "growth_status": large[1] / small[1]}
