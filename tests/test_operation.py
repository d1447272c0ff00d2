from __future__ import annotations

import pytest
from django.db import transaction
from django.test import Client

from events import log
from singlewindow import relay

pytestmark = pytest.mark.django_db


def happen(type: str, number: str = "X") -> None:
    with transaction.atomic():
        log.append(type=type, subject=("thing", number), actor="t", audience=[], data={})


def test_alive_needs_nothing():
    assert Client().get("/livez").json() == {"status": "alive"}


def test_ready_says_what_it_looked_at():
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "ready", "database": "ok", "redis": "ok", "migrations": "ok", "relay": "ok"},
    )


def test_not_ready_while_redis_does_not_answer(settings):
    from common.redis import client

    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    client.cache_clear()
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["redis"]) == (503, "ConnectionError")


def test_the_metrics_count_what_was_published_and_tell_the_lag():
    happen("declaration.lodged")
    happen("declaration.accepted")
    waiting = Client().get("/metrics").content.decode()
    assert "singlewindow_events_total{" not in waiting
    relay.run()
    told = Client().get("/metrics").content.decode()
    assert 'singlewindow_events_total{type="declaration.lodged"} 1.0' in told
    assert "singlewindow_relay_lag_seconds 0.0" in told
    assert 'singlewindow_check_latency_seconds{quantile="0.95"}' in told
    assert 'singlewindow_queue_depth{queue="checks"} 0.0' in told


def test_a_request_number_is_taken_or_made_and_returned():
    assert Client().get("/livez", headers={"X-Request-ID": "firm-0001"})["X-Request-ID"] == "firm-0001"
    assert len(Client().get("/livez", headers={"X-Request-ID": "a b"})["X-Request-ID"]) == 32


@pytest.mark.parametrize("path", ["/no/such/page", "/api/v1/nothing"])
def test_what_is_not_there_is_a_problem_document(path):
    answer = Client().get(path)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
