from __future__ import annotations

import threading
import time

import pytest
from django.db import connection, transaction

from events import log
from tests import make

pytestmark = pytest.mark.django_db


def say(number: str, audience: list[int]) -> None:
    with transaction.atomic():
        log.append(type="thing.done", subject=("thing", number), actor="test", audience=audience, data={"n": number})


def test_a_party_reads_its_own_events_page_by_page(api, firm):
    other = make.firm()
    for n in range(5):
        say(f"T{n}", [firm.pk] if n != 2 else [other.pk])
    log.publish()
    caller = api(firm)
    after, met = 0, []
    while True:
        page = caller.get(f"/api/v1/events?after={after}&limit=2").json()
        if not page["events"]:
            break
        numbers = [event["subject"]["number"] for event in page["events"]]
        met += [number for number in numbers if number.startswith("T")]
        after = page["next"]
    assert met == ["T0", "T1", "T3", "T4"]


@pytest.mark.parametrize("query", ["after=x", "after=-1", "limit=0", "limit=1e9", "wait=9999", "wait=NaN"])
def test_an_odd_query_is_answered_with_its_faults(api, firm, query):
    answer = api(firm).get(f"/api/v1/events?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed")


@pytest.mark.django_db(transaction=True)
def test_a_reader_that_waits_is_answered_as_soon_as_there_is_news(api):
    firm = make.firm()
    caller = api(firm)
    log.publish()
    start = caller.get("/api/v1/events").json()["next"]

    def later() -> None:
        say("T1", [firm.pk])
        log.publish()
        connection.close()

    timer = threading.Timer(0.1, later)
    timer.start()
    started = time.monotonic()
    page = caller.get(f"/api/v1/events?after={start}&wait=20").json()
    timer.join()
    assert [event["subject"]["number"] for event in page["events"]] == ["T1"]
    assert time.monotonic() - started < 10
