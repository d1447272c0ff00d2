"""A load of the tariff reaches every process that already answers by the tariff before it, without a restart."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from singlewindow.demo.story import Demo
from singlewindow.processes import Instance

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.xdist_group("processes")]

LIMIT_SECONDS = 5.0
CODE, DAY = "8509801000", "2040-03-01"
QUOTATION = {
    "completed_on": DAY, "trade_terms": "1",
    "items": [{"code": CODE, "total": "100000", "currency": "CNY", "origin": "DEU"}],
}  # fmt: skip


@pytest.fixture
def second(story: Demo) -> Iterator[Demo]:
    """Another web process on the same database."""
    environment = {
        name: story.instance.environment[name] for name in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL")
    }
    logs = story.instance.logs / "second"
    with Instance(environment=environment, logs=logs, worker=False) as instance:
        yield Demo(instance)


def duty(process: Demo) -> str:
    """The rate this process quotes."""
    answer = process.post("/api/v1/tariff/assessments", QUOTATION, as_="demo-firm")
    return next(line["rate"] for line in answer["items"][0]["taxes"] if line["tax"] == "duty")


def measure(process: Demo) -> str:
    """The rate this process shows for the code."""
    answer = process.get(f"/api/v1/tariff/commodities/{CODE}?on={DAY}&origin=DEU", as_="demo-firm")
    return next(row["rate"] for row in answer["measures"] if row["kind"] == "mfn")


def test_a_load_is_visible_to_two_running_processes_within_five_seconds(story, second, tmp_path):
    processes = (story, second)
    pids = [process.instance.processes["web"].pid for process in processes]
    assert pids[0] != pids[1]
    before = [(duty(process), measure(process)) for process in processes]
    assert before[0] == before[1] != ("1%", "1%")

    file = tmp_path / "rates.csv"
    file.write_text(f"code,kind,origin,rate,valid_from,source,example\n{CODE},mfn,MFN,1%,{DAY},two processes,1\n")
    story.instance.manage("load_tariff", str(file))  # a third process
    loaded = time.monotonic()
    for process in processes:
        process.until(
            "the new rate", lambda process=process: (duty(process), measure(process)) == ("1%", "1%"), LIMIT_SECONDS
        )
    assert time.monotonic() - loaded <= LIMIT_SECONDS
    assert [process.instance.processes["web"].pid for process in processes] == pids
    assert all(process.instance.processes["web"].poll() is None for process in processes)
