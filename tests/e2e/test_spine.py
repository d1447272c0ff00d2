"""A declaration's whole way with real processes: over HTTP, through worker and beat, to its release. And the worker dies."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest

from singlewindow.demo import bank
from singlewindow.demo.step_10_declarations import example, export_message, settled
from singlewindow.demo.story import Demo
from singlewindow.processes import WORKERS

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.xdist_group("processes")]

_serial = itertools.count(1)


def own(message: dict[str, Any]) -> dict[str, Any]:
    """The message under a reference and a bill of its own."""
    number = next(_serial)
    return message | {"client_reference": f"CQSPINE{number:011d}", "transport_document_number": f"SPINE{number:04d}"}


def events(story: Demo, number: str) -> list[str]:
    told = story.get(f"/api/v1/declarations/{number}/events", as_="demo-broker")
    return [event["type"] for event in told["events"]]


def test_an_import_lodged_over_http_is_accepted_paid_and_released(story):
    number = story.post("/api/v1/declarations", own(example("import")), as_="demo-broker", expect=201)["unified_number"]

    def memos() -> list[dict[str, Any]]:
        return story.get(f"/api/v1/tariff/memos?declaration={number}&state=open", as_="demo-broker")["results"]

    (memo,) = story.until("duties", memos)
    assert story.get(f"/api/v1/declarations/{number}", as_="demo-broker")["state"] == "accepted"
    assert bank.pay(story, memo, f"SPINE-{number}")["settled"] is True
    settled(story, number)
    seen = events(story, number)
    assert seen[:2] == ["declaration.lodged", "declaration.accepted"]
    assert seen[-2:] == ["declaration.released", "declaration.cleared"]
    channels = [
        row["channel"] for row in story.get(f"/api/v1/declarations/{number}/receipts", as_="demo-broker")["receipts"]
    ]
    assert channels == ["7", "L", "J", "T", "P", "R"]


def test_a_killed_worker_loses_nothing_and_doubles_nothing(story):
    """SIGKILL while declarations are under way, and again after the restart."""
    messages = [own(export_message("export")) for _ in range(15)]
    answer = story.post("/api/v1/declarations/batch", messages, as_="demo-broker", expect=200)
    numbers = [row["unified_number"] for row in answer["results"]]
    story.until("the first is accepted", lambda: any("declaration.accepted" in events(story, n) for n in numbers))
    for name in WORKERS:
        story.instance.kill(name)
    late = story.post("/api/v1/declarations", own(export_message("export")), as_="demo-broker", expect=201)
    numbers.append(late["unified_number"])
    for name in WORKERS:
        story.instance.start_process(name)
    story.until("the last is accepted", lambda: "declaration.accepted" in events(story, numbers[-1]), timeout=60)
    for name in WORKERS:
        story.instance.kill(name)
        story.instance.start_process(name)
    for number in numbers:
        settled(story, number)
        assert Counter(events(story, number)) == Counter(
            ["declaration.lodged", "declaration.accepted", "declaration.released", "declaration.cleared"]
        )
