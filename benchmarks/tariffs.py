"""The tariff with a million measures: loading, look-up, memory, assessment, quotation over HTTP.

`tariff_load_million_s`  seconds from the CSV file to the commit, exclusion constraint on (limit 300)
`measure_lookup_p99_ms`  applicable measures of one item, warm, 99th percentile (limit 1)
`measure_lookup_cold_p99_ms`  the same for codes the cache does not hold
`tariff_cache_mb`        memory the cache takes when it is full (limit 200)
`tariff_visible_s`       until both of two web processes answer by a load (limit 5)
`assessment50_cpu_ms`    CPU of the assessment of a declaration of 50 items, from the cache (limit 10)
`quotation_vs_noop`      requests a second of a quotation / of an authenticated view that does nothing (at least 0.5)
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CODES = 100_000
KINDS = (
    ("mfn", "MFN"), ("general", "ALL"), ("conventional", "ACFTA"), ("conventional", "RCEP-ASEAN"),
    ("conventional", "RCEP-JPN"), ("conventional", "AUS-FTA"), ("conventional", "KOR-FTA"), ("conventional", "CHL-FTA"),
    ("preferential", "LDC"), ("provisional", "MFN"),
)  # fmt: skip
RATES = [f"{number / 2:g}%" for number in range(200)] + ["0.5 CNY/035", "10% + 2 CNY/035", "max(5%; 1 CNY/035)"]
DAY = date(2026, 10, 12)


def run() -> dict[str, float]:
    """Everything on one database: what is asked over HTTP is asked of a tariff with a million measures."""
    from singlewindow import processes

    original, processes.Instance = processes.Instance, _bench_instance()  # type: ignore[misc]
    try:
        with processes.scratch_instance("bench_tariff", redis_database=14, worker=False, web_processes=2) as instance:
            figures: dict[str, float] = {}
            for part in (_prepared, _million, _rounds, _visible):
                started = time.perf_counter()
                figures |= part(instance)
                print(f"   {part.__name__.strip('_')}: {time.perf_counter() - started:.0f} s", flush=True)
            return figures
    finally:
        processes.Instance = original  # type: ignore[misc]


def _bench_instance() -> type[Any]:
    """An instance whose web processes also have a view that does nothing."""
    from singlewindow.processes import Instance

    class Bench(Instance):
        def commands(self) -> dict[str, list[str]]:
            return {
                name: [part.replace("singlewindow.wsgi:", "benchmarks._wsgi:") for part in command]
                for name, command in super().commands().items()
            }

    return Bench


def _prepared(instance: Any) -> dict[str, float]:
    instance.manage("prepare", "--quiet")
    return {}


def _million(instance: Any) -> dict[str, float]:
    """In a process of its own, so that memory and caches are its own."""
    command = [sys.executable, "-m", "benchmarks.tariffs"]
    done = subprocess.run(command, cwd=ROOT, env=instance.environment, check=True, stdout=subprocess.PIPE)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _write_million(path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("code,kind,origin,rate,valid_from,last_day,source,example\n")
        for number in range(CODES):
            code = f"{10 + number % 80:02d}{number:06d}00"
            for place, (kind, group) in enumerate(KINDS):
                rate = RATES[(number * 7 + place) % len(RATES)]
                file.write(f"{code},{kind},{group},{rate},2024-01-01,,benchmark,1\n")


def _code(number: int) -> str:
    return f"{10 + number % 80:02d}{number:06d}00"


def _rss_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _p99(samples: list[float]) -> float:
    return statistics.quantiles(samples, n=100)[98] * 1000


def million() -> dict[str, float]:
    import django

    django.setup()
    from tariffs import loading, lookup

    path = ROOT / "var" / "benchmark-measures.csv"
    path.parent.mkdir(exist_ok=True)
    _write_million(path)
    started = time.perf_counter()
    done = loading.load(path, actor="benchmark", correct_past=True)
    load_s = time.perf_counter() - started
    path.unlink()
    assert done.added == CODES * len(KINDS)
    loading.load_rows(
        "commodities",
        [{"code": _code(number), "name_zh": "x", "unit1": "035", "valid_from": "2024-01-01"} for number in range(2000)],
        actor="benchmark", reason="benchmark",
    )  # fmt: skip

    lookup.forget()
    dice = random.Random(1)
    book = lookup.current()

    def look(number: int) -> float:
        before = time.perf_counter()
        book.measures(_code(number), DAY)
        book.groups("THA", DAY)
        return time.perf_counter() - before

    cold = [look(number) for number in dice.sample(range(CODES), 2000)]
    warm_codes = dice.sample(range(CODES), 3000)
    for number in warm_codes:
        look(number)
    gc.collect()
    warm = [look(dice.choice(warm_codes)) for _ in range(30_000)]
    assessment = _assessment50()
    lookup.forget()
    del book
    gc.collect()
    before = _rss_mb()
    book = lookup.current()
    # Both generations full, and the third begun: the most a process ever holds.
    for first in range(0, 20_000, 500):
        book.preload(_code(number) for number in range(first, first + 500))
    assert book.nodes.old
    gc.collect()
    return {
        "tariff_load_million_s": round(load_s, 1),
        "measure_lookup_p99_ms": round(_p99(warm), 4),
        "measure_lookup_cold_p99_ms": round(_p99(cold), 3),
        "assessment50_cpu_ms": round(assessment, 2),
        "tariff_cache_mb": round(_rss_mb() - before, 1),
    }


def _assessment50() -> float:
    from tariffs import answers, fixing, inputs

    request = inputs.from_json(
        {
            "completed_on": DAY.isoformat(),
            "trade_terms": "3",
            "freight": {"mark": "3", "value": "1200", "currency": "USD"},
            "insurance": {"mark": "1", "value": "0.3"},
            "items": [
                {"code": _code(number), "total": str(1000 + number), "currency": "USD", "origin": "THA",
                 "quantities": {"035": "1000"}}
                for number in range(50)
            ],
        }
    )  # fmt: skip
    answers.as_json(fixing.quote(request))
    times = []
    for _ in range(30):
        before = time.process_time()
        answers.as_json(fixing.quote(request))
        times.append(time.process_time() - before)
    return statistics.median(times) * 1000


QUOTATION = {
    "completed_on": "2026-10-12",
    "trade_terms": "3",
    "freight": {"mark": "3", "value": "1200", "currency": "USD"},
    "insurance": {"mark": "1", "value": "0.3"},
    "items": [{"code": "8509801000", "total": "22000", "currency": "USD", "origin": "DEU"}],
}


def _rounds(instance: Any) -> dict[str, float]:
    return asyncio.run(_compare(instance.url))


async def _compare(url: str, seconds: float = 1.5) -> dict[str, float]:
    """Five rounds of each, one after the other, so that what else the machine does falls on both."""
    import aiohttp

    from singlewindow.demo.cast import PASSWORD

    body = json.dumps(QUOTATION).encode()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=8)) as session:
        form = {"grant_type": "client_credentials", "client_id": "demo-firm", "client_secret": PASSWORD}
        async with session.post(f"{url}/api/v1/oauth/token", data=form) as answer:
            token = (await answer.json())["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

        async def rate(path: str) -> float:
            stop = time.perf_counter() + seconds
            count = 0

            async def ask() -> None:
                nonlocal count
                while time.perf_counter() < stop:
                    async with session.post(url + path, data=body, headers=headers) as answer:
                        await answer.read()
                        assert answer.status == 200, await answer.text()
                    count += 1

            await asyncio.gather(*(ask() for _ in range(8)))
            return count / seconds

        await rate("/api/v1/tariff/assessments")
        ratios, quotations, nothings = [], [], []
        for _ in range(5):
            nothing = await rate("/api/v1/nothing")
            quotation = await rate("/api/v1/tariff/assessments")
            nothings.append(nothing)
            quotations.append(quotation)
            ratios.append(quotation / nothing)
    return {
        "quotation_per_s": round(statistics.median(quotations), 1),
        "noop_per_s": round(statistics.median(nothings), 1),
        "quotation_vs_noop": round(statistics.median(ratios), 3),
    }


def _visible(instance: Any) -> dict[str, float]:
    """Seconds from the moment a load writes its version, just before its commit, until no answer of two web processes is by
    the tariff before it any more."""
    import urllib.parse
    import urllib.request
    from contextlib import closing

    import psycopg2

    from singlewindow.demo.cast import PASSWORD

    form = {"grant_type": "client_credentials", "client_id": "demo-firm", "client_secret": PASSWORD}
    with urllib.request.urlopen(f"{instance.url}/api/v1/oauth/token", urllib.parse.urlencode(form).encode()) as answer:
        token = json.load(answer)["access_token"]

    def version() -> int:
        request = urllib.request.Request(
            f"{instance.url}/api/v1/tariff/commodities/8509801000", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request) as answer:
            return int(json.load(answer)["tariff_version"])

    before = max(version() for _ in range(20))
    path = ROOT / "var" / "benchmark-change.csv"
    path.write_text("code,kind,origin,rate,valid_from\n8509801000,mfn,MFN,1%,2040-01-01\n")
    command = [sys.executable, "manage.py", "load_tariff", str(path)]
    load = subprocess.Popen(command, cwd=ROOT, env=instance.environment, stdout=subprocess.DEVNULL)
    started = last_old = time.time()
    while load.poll() is None or time.time() - last_old < 3:
        if version() == before:
            last_old = time.time()
        assert last_old - started < 60, "the load is not seen"
        time.sleep(0.02)
    path.unlink()
    assert load.returncode == 0
    with closing(psycopg2.connect(instance.environment["DATABASE_URL"])) as database, database.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM max(created_at)) FROM tariffs_version")
        (written,) = cursor.fetchone()
    return {"tariff_visible_s": round(max(0.0, last_old - float(written)), 2)}


if __name__ == "__main__":
    print(json.dumps(million()))
