"""``reference_load_s``: all shipped code lists into an empty database, one transaction (limit 10 s).
``code_lookup_us``: whether a code is valid on a day, asked of a process's memory."""

from __future__ import annotations

import subprocess
import sys

from singlewindow.processes import scratch_instance

_LOAD = """
import time
from refdata import loading
started = time.perf_counter()
found = loading.load()
assert found.count("added") > 20_000
print(time.perf_counter() - started)
"""

_ASK = """
import timeit
from datetime import date
from refdata import codes
day = date(2026, 1, 1)
assert codes.is_valid("country", "CHN", day)
print(min(timeit.repeat(lambda: codes.is_valid("country", "CHN", day), number=20_000, repeat=5)) / 20_000 * 1e6)
"""


def run() -> dict[str, float]:
    with scratch_instance("bench_reference", redis_database=12, worker=False) as instance:

        def shell(source: str) -> float:
            done = subprocess.run(
                [sys.executable, "manage.py", "shell", "--no-imports", "-c", source],
                env=instance.environment | {"LOG_LEVEL": "ERROR"},
                check=True,
                capture_output=True,
                text=True,
            )
            return float(done.stdout.split()[-1])

        return {"reference_load_s": shell(_LOAD), "code_lookup_us": shell(_ASK)}
