"""From lodged to accepted while 20 declarations a second come in, and what a worker weighs after it."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg2

from benchmarks.cast import cast, fill, template
from benchmarks.client import Connection, request
from singlewindow.processes import Instance, scratch_instance

RATE, SECONDS = 20, 20.0

_LATENCY = """
SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY took), percentile_disc(0.5) WITHIN GROUP (ORDER BY took), count(*)
FROM (SELECT extract(epoch FROM a.recorded_at - l.recorded_at)::float AS took
  FROM events_event l JOIN events_event a USING (subject_kind, subject_number)
  WHERE l.type = 'declaration.lodged' AND a.type = 'declaration.accepted') latency
"""


def _workers_rss(instance: Instance) -> float:
    """Resident megabytes of the heaviest process of the worker."""
    group = instance.processes["worker"].pid
    heaviest = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if int((status.parent / "stat").read_text().rpartition(")")[2].split()[2]) != group:
                continue
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
            heaviest = max(heaviest, int(lines["VmRSS"].split()[0]))
        except (OSError, KeyError, ValueError):
            continue
    return heaviest / 1024


def run() -> dict[str, float]:
    with scratch_instance("bench", redis_database=9, web_processes=1, worker_processes=2) as instance:
        instance.manage("load_reference")
        players = cast(instance)
        message = template(players.message)
        connection = Connection(instance.port)
        for _ in range(10):  # warm: imports, plans, code lists
            connection.send(request("POST", "/api/v1/declarations", players.headers(), fill(message)))
        time.sleep(5)
        total = 10 + int(RATE * SECONDS)
        started = time.perf_counter()
        for number in range(total - 10):
            time.sleep(max(0.0, started + number / RATE - time.perf_counter()))
            status, body = connection.send(request("POST", "/api/v1/declarations", players.headers(), fill(message)))
            assert status == 201, body
        with psycopg2.connect(instance.environment["DATABASE_URL"]) as database, database.cursor() as cursor:
            p95, p50, count = 0.0, 0.0, 0
            deadline = time.monotonic() + 90
            while count < total and time.monotonic() < deadline:
                time.sleep(0.5)
                cursor.execute(_LATENCY)
                p95, p50, count = cursor.fetchone()
        assert count == total, f"only {count} of {total} were accepted"
        rss = _workers_rss(instance)
        print(f"   accepted {count}: p50 {p50:.3f} s, p95 {p95:.3f} s; worker {rss:.0f} MB", flush=True)
        return {"accept_p95_s": p95, "worker_rss_mb": rss}
