"""Lodging and reading with 10 000 and with 1 000 000 declarations stored: medians, the larger over the smaller."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

import orjson
import psycopg2

from benchmarks.cast import cast, fill, template
from benchmarks.client import Connection, request
from singlewindow.processes import Instance, scratch_instance

SMALL, LARGE = 10_000, 1_000_000
REQUESTS = 400

#: Declarations like the one stored last, of 200 firms, with one item and a short message each.
_MULTIPLY = """
INSERT INTO declarations_declaration ({columns})
SELECT {values} FROM generate_series(1, {last}) n,
  (SELECT * FROM declarations_declaration ORDER BY id LIMIT 1) d;
INSERT INTO declarations_declarationversion (declaration_id, version, message, reason, actor, created_at)
SELECT d.id, 1, '{{"direction": "I"}}', '', 'bench', d.created_at
FROM declarations_declaration d WHERE starts_with(d.unified_number, 'I2025');
INSERT INTO declarations_goodsitem ({item_columns})
SELECT {item_values} FROM declarations_declaration d,
  (SELECT * FROM declarations_goodsitem ORDER BY id LIMIT 1) i
WHERE starts_with(d.unified_number, 'I2025');
INSERT INTO events_event (id, entry, position, type, subject_kind, subject_number, sequence, occurred_at, recorded_at,
  actor, audience, data)
SELECT gen_random_uuid(), nextval('events_entry'), nextval('events_position'), 'declaration.lodged', 'declaration',
  d.unified_number, 1, d.created_at, d.created_at, 'bench', '{{}}', '{{}}'
FROM declarations_declaration d WHERE starts_with(d.unified_number, 'I2025');
"""


def _columns(cursor: psycopg2.extensions.cursor, table: str) -> list[str]:
    cursor.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped", [table]
    )
    return [name for (name,) in cursor.fetchall() if name != "id"]


def _multiply(url: str, stored: int) -> None:
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
                last=stored,
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


class _Firm:
    """One firm at one instance that holds ``stored`` declarations."""

    connection: Connection

    def __init__(self, instance: Instance, stored: int) -> None:
        self.stored, self.players = stored, cast(instance)
        self.port, self.message = instance.port, template(self.players.message)
        status, body = Connection(self.port).send(self.lodge())
        assert status == 201, orjson.loads(body)
        _multiply(instance.environment["DATABASE_URL"], stored)

    def lodge(self) -> bytes:
        return request("POST", "/api/v1/declarations", self.players.headers(), fill(self.message))

    def read(self) -> bytes:
        number = f"I2025{random.randint(1, self.stored):013d}"
        return request("GET", f"/api/v1/declarations/{number}", self.players.headers())

    def time(self, data: bytes) -> float:
        started = time.perf_counter()
        status, body = self.connection.send(data)
        assert status in (200, 201), body
        return time.perf_counter() - started


def _medians(small: _Firm, large: _Firm, make: Callable[[_Firm], bytes]) -> tuple[float, float]:
    """p50 of both, asked in turn, so that what else the machine does falls on both alike."""
    for firm in (small, large):
        firm.connection = Connection(firm.port)
        for _ in range(50):
            firm.connection.send(make(firm))
    took = [(small.time(make(small)), large.time(make(large))) for _ in range(REQUESTS)]
    return statistics.median(one for one, _ in took), statistics.median(other for _, other in took)


def run() -> dict[str, float]:
    with (
        scratch_instance("bench_small", redis_database=8, web_processes=1, worker=False) as few,
        scratch_instance("bench_large", redis_database=9, web_processes=1, worker=False) as many,
    ):
        small, started = _Firm(few, SMALL), time.monotonic()
        large = _Firm(many, LARGE)
        print(f"   {LARGE} declarations made in {time.monotonic() - started:.0f} s", flush=True)
        found = {}
        for name, make in (("lodgement", _Firm.lodge), ("status", _Firm.read)):
            before, after = _medians(small, large, make)
            print(f"   {name}: p50 {before * 1000:.2f} ms at {SMALL}, {after * 1000:.2f} ms at {LARGE}", flush=True)
            found[f"growth_{name}"] = after / before
        return found
