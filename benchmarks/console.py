"""The officers' queue page with 100 000 open declarations, as an officer's browser asks for it: session, permissions,
filters, counts, rows and template, page after page, desk after desk.

`queue_page_p95_ms`  95th percentile of the queue page (limit 300)
`workbench_p95_ms`   95th percentile of the workbench, its numbers reckoned anew each time
`take_next_p95_ms`   95th percentile of taking the next case
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks import _database
from singlewindow.processes import BASE_DIR

OPEN = 100_000
OFFICES = ("8000", "8001", "8010", "8011", "8012")
STATES = ("under_review", "accepted", "accepted", "held", "under_inspection", "lodged")


def run() -> dict[str, float]:
    found = _database.environment("bench_console")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.console"], cwd=BASE_DIR, env=found, check=True,
            stdout=subprocess.PIPE,
        )  # fmt: skip
    finally:
        _database.drop("bench_console")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def fill() -> None:
    """One declaration made by the commands, copied in the database with other numbers, offices, states and ages."""
    from django.db import connection

    from declarations.models import CheckResult, Declaration, GoodsItem
    from tests import make

    made = make.declaration(state="under_review", items=2)
    copied = {
        "unified_number": "'I' || to_char(90000000000000000 + n, 'FM00000000000000000')",
        "customs_number": "NULL",
        "client_reference": "'B' || n",
        "state": f"(ARRAY{list(STATES)!r})[1 + mod(n, {len(STATES)})]",
        "state_since": "now() - (mod(n, 86400) || ' seconds')::interval",
        "customs_office": f"(ARRAY{list(OFFICES)!r})[1 + mod(n / 7, {len(OFFICES)})]",
        "direction": "CASE WHEN mod(n / 11, 3) = 0 THEN 'E' ELSE 'I' END",
        "risk_score": "mod(n / 13, 100)",
        "domestic_party_name": "'示例进出口有限公司 ' || mod(n, 500)",
    }
    columns = [field.column for field in Declaration._meta.local_concrete_fields if field.column != "id"]
    values = ", ".join(copied.get(name, f'"{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    parts = {
        GoodsItem: "true",
        CheckResult: "mod(d.id, 3) = 0",
    }
    CheckResult.objects.create(
        declaration=made, version=1, check_name="x", code="x", severity="review", since=made.created_at
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO declarations_declaration ({names}) SELECT {values} FROM declarations_declaration,"
            f" generate_series(1, {OPEN}) AS n WHERE id = %s",
            [made.pk],
        )
        for model, where in parts.items():
            table = model._meta.db_table
            fields = [f.column for f in model._meta.local_concrete_fields if f.column not in ("id", "declaration_id")]
            listed, theirs = (", ".join(f'{of}"{name}"' for name in fields) for of in ("", "p."))
            cursor.execute(
                f"INSERT INTO {table} (declaration_id, {listed}) SELECT d.id, {theirs}"
                f" FROM declarations_declaration d, {table} p WHERE p.declaration_id = %s AND d.id <> %s AND {where}",
                [made.pk, made.pk],
            )
        cursor.execute("ANALYZE")


def p95(work: Callable[[int], object], times: int) -> float:
    samples = []
    for n in range(times):
        started = time.perf_counter()
        work(n)
        samples.append(time.perf_counter() - started)
    return statistics.quantiles(samples, n=20)[18] * 1000


def measure() -> dict[str, float]:
    import django

    django.setup()
    from django.core.cache import cache
    from django.core.management import call_command
    from django.test import Client

    from tests import make

    call_command("load_reference", verbosity=0)
    fill()
    officer = make.officer(offices=OFFICES)
    client = Client()
    client.force_login(officer.user)
    dice = random.Random(1)
    desks = ("review", "accepted", "held", "inspection", "lodged")
    after = {"": ""}

    def queue_page(n: int) -> None:
        query = {"desk": dice.choice(desks)}
        if n % 4 == 1:
            query["office"] = dice.choice(OFFICES)
        if n % 4 == 2:
            query |= {"direction": "E", "risk": "high"}
        if n % 4 == 3:
            query["party"] = f"公司 {dice.randrange(500)}"
        if n % 5 == 4 and after[""]:
            query = {"desk": "accepted", "after": after[""]}
        response = client.get("/console/queue/", query)
        assert response.status_code == 200
        shown = response.content.decode().count("data-href")
        assert shown == 50 or "party" in query, (query, shown)
        if query.get("desk") == "accepted" and "after=" in (text := response.content.decode()):
            from urllib.parse import unquote

            after[""] = unquote(text.split("after=", 1)[1].split('"', 1)[0])

    def workbench(n: int) -> None:
        cache.clear()
        assert client.get("/console/").status_code == 200

    def take(n: int) -> None:
        assert client.post("/console/queue/take/", {"desk": "review"}).status_code == 302

    for n in range(8):
        queue_page(n)
    return {
        "queue_page_p95_ms": p95(queue_page, 200),
        "workbench_p95_ms": p95(workbench, 20),
        "take_next_p95_ms": p95(take, 40),
    }


if __name__ == "__main__":
    print(json.dumps(measure()))
