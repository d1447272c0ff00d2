"""Lodging and reading with 10 000 and with 1 000 000 declarations stored: medians, the larger over the smaller."""

from __future__ import annotations

import contextlib
import random
import statistics
import time
from collections.abc import Callable

import orjson
import psycopg2

from benchmarks import _database
from benchmarks.cast import cast, fill, template
from benchmarks.client import Connection, request
from singlewindow.processes import Instance, scratch_instance

SMALL, LARGE = 10_000, 1_000_000
REQUESTS = 400

#: Copies of the declaration stored first: of one firm, each with the one item, the message and the event it was lodged by.
_COPIES = {
    "declarations_declaration": {
        "id": "1000 + n",
        "unified_number": "'I2025' || lpad(n::text, 13, '0')",
        "client_reference": "'G' || n",
        "transport_document_number": "'BL' || n",
        "customs_number": "'800020251' || lpad(n::text, 9, '0')",
        "state": "'cleared'",
        "created_at": "created_at - n * interval '30 seconds'",
        "updated_at": "created_at - n * interval '30 seconds'",
        "state_since": "created_at - n * interval '30 seconds'",
    },
    "declarations_declarationversion": {"id": "1000 + n", "declaration_id": "1000 + n"},
    "declarations_goodsitem": {"id": "1000 + n", "declaration_id": "1000 + n"},
    "events_event": {
        "id": "gen_random_uuid()",
        "entry": "1000 + n",
        "position": "1000 + n",
        "subject_number": "'I2025' || lpad(n::text, 13, '0')",
        "sequence": "1",
    },
}


def _copies(cursor: psycopg2.extensions.cursor, table: str, stored: int) -> str:
    cursor.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped", [table]
    )
    columns = [name for (name,) in cursor.fetchall()]
    values = ", ".join(_COPIES[table].get(name, name) for name in columns)
    one = (
        "SELECT * FROM events_event WHERE type = 'declaration.lodged'" if table == "events_event" else f"TABLE {table}"
    )
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM ({one} LIMIT 1) one,"
        f" generate_series(1, {stored}) n"
    )


def _multiply(url: str, stored: int) -> None:
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        inserts = {table: _copies(cursor, table, stored) for table in _COPIES}
        with _database.Filling(url, *inserts) as database:
            connection.rollback()
            database.together(*([statement] for statement in inserts.values()))
        for sequence, table in (("events_entry", "entry"), ("events_position", "position")):
            cursor.execute(f"SELECT setval('{sequence}', max({table})) FROM events_event")
        for table in list(inserts)[:3]:
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")
        connection.commit()


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
