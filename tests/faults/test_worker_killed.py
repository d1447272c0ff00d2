"""A worker that is killed, at whatever point, loses nothing and doubles nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request

import psycopg2
import pytest

from singlewindow.processes import BASE_DIR, WORKERS, Instance, scratch_instance

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.xdist_group("instance")]

DECLARATIONS, KILLS = 40, 4

_CAST = """
import django, json
django.setup()
from tests import make
firm = make.firm()
print(json.dumps({"token": make.token(firm), "messages": [make.message(firm) for _ in range(%d)]}))
"""


def _cast(instance: Instance) -> dict:
    made = subprocess.run(
        [sys.executable, "-c", _CAST % DECLARATIONS],
        cwd=BASE_DIR,
        env=instance.environment,
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(made.stdout.splitlines()[-1])


def _lodge(instance: Instance, token: str, message: dict) -> str:
    request = urllib.request.Request(  # noqa: S310
        f"{instance.url}/api/v1/declarations",
        json.dumps(message).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)["unified_number"]


def test_every_declaration_arrives_once_however_often_the_worker_is_killed():
    with scratch_instance("faults", redis_database=11, web_processes=1, worker_processes=2) as instance:
        instance.manage("load_reference")
        cast = _cast(instance)
        numbers = []
        for index, message in enumerate(cast["messages"]):
            numbers.append(_lodge(instance, cast["token"], message))
            if index % (DECLARATIONS // KILLS) == DECLARATIONS // KILLS - 1:
                for name in WORKERS:
                    instance.kill(name)
                    instance.start_process(name)
        with psycopg2.connect(instance.environment["DATABASE_URL"]) as database, database.cursor() as cursor:
            deadline = time.monotonic() + 300
            waiting = DECLARATIONS
            while waiting and time.monotonic() < deadline:
                time.sleep(0.5)
                cursor.execute("SELECT count(*) FROM declarations_declaration WHERE state IN ('draft', 'lodged')")
                waiting = cursor.fetchone()[0]
            assert waiting == 0
            cursor.execute(
                "SELECT subject_number, count(*) FILTER (WHERE type = 'declaration.lodged'),"
                " count(*) FILTER (WHERE type = 'declaration.accepted'), max(sequence) = count(*)"
                " FROM events_event WHERE subject_kind = 'declaration' GROUP BY 1"
            )
            found = {number: rest for number, *rest in cursor.fetchall()}
        assert found == {number: [1, 1, True] for number in numbers}
