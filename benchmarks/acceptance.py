"""From lodged to accepted while 20 declarations a second come in, and what a worker weighs after it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psycopg2

from benchmarks.cast import cast, fill, template
from benchmarks.client import Connection, request
from singlewindow.processes import WORKERS, Instance, scratch_instance

RATE, SECONDS, WARM = 20, 20.0, 10

_LATENCY = """
SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY took), percentile_disc(0.5) WITHIN GROUP (ORDER BY took), count(*)
FROM (SELECT extract(epoch FROM a.recorded_at - l.recorded_at)::float AS took
  FROM events_event l JOIN events_event a USING (subject_kind, subject_number)
  WHERE l.type = 'declaration.lodged' AND a.type = 'declaration.accepted'
  ORDER BY l.recorded_at OFFSET %s) latency
"""


def _workers_rss(instance: Instance) -> float:
    """Resident megabytes of the heaviest process of the worker."""
    groups = {process.pid for name, process in instance.processes.items() if name in WORKERS}
    heaviest = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if int((status.parent / "stat").read_text().rpartition(")")[2].split()[2]) not in groups:
                continue
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
            heaviest = max(heaviest, int(lines["VmRSS"].split()[0]))
        except (OSError, KeyError, ValueError):
            continue
    return heaviest / 1024


def _accepted(database: Any, total: int) -> tuple[float, float, int]:
    """p95, p50 (s) and count of all but the warm ones, as soon as ``total`` are accepted."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        with database.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM events_event WHERE type = 'declaration.accepted'")
            if (accepted := cursor.fetchone()[0]) >= total:
                cursor.execute(_LATENCY, [WARM])
                return cursor.fetchone()
        time.sleep(0.1)
    raise AssertionError(f"only {accepted} of {total} were accepted")


def run() -> dict[str, float]:
    with scratch_instance("bench", redis_database=9, web_processes=1, worker_processes=2) as instance:
        instance.manage("load_reference")
        players = cast(instance)
        message = template(players.message)
        connection = Connection(instance.port)
        with psycopg2.connect(instance.environment["DATABASE_URL"]) as database:
            database.autocommit = True
            for _ in range(WARM):  # imports, plans, code lists
                connection.send(request("POST", "/api/v1/declarations", players.headers(), fill(message)))
            _accepted(database, WARM)
            total = WARM + int(RATE * SECONDS)
            started = time.perf_counter()
            for number in range(total - WARM):
                time.sleep(max(0.0, started + number / RATE - time.perf_counter()))
                status, body = connection.send(
                    request("POST", "/api/v1/declarations", players.headers(), fill(message))
                )
                assert status == 201, body
            p95, p50, count = _accepted(database, total)
        rss = _workers_rss(instance)
        print(f"   accepted {count}: p50 {p50:.3f} s, p95 {p95:.3f} s; worker {rss:.0f} MB", flush=True)
        return {"accept_p95_s": p95, "worker_rss_mb": rss}
