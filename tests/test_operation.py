from __future__ import annotations

import logging

import pytest
import structlog
from django.db import transaction
from django.test import Client
from kombu import Connection

from common import redis as redis_client
from common.work import each
from events import log
from singlewindow import relay
from tests import make

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
    assert 'singlewindow_queue_depth{queue="checks"} ' in told


def test_what_the_checks_sent_to_review_counts_in_their_latency(firm):
    before = Client().get("/metrics").content.decode()
    assert "singlewindow_check_latency_seconds{" not in before
    make.declaration(firm, "under_review")
    relay.run()
    assert 'singlewindow_check_latency_seconds{quantile="0.5"}' in Client().get("/metrics").content.decode()


def test_the_metrics_are_told_while_the_broker_does_not_answer(settings):
    settings.CELERY_BROKER_URL = settings.REDIS_URL = "redis://127.0.0.1:1/0"
    redis_client.client.cache_clear()
    happen("declaration.lodged")
    answer = Client().get("/metrics")
    assert answer.status_code == 200
    told = answer.content.decode()
    assert "singlewindow_relay_lag_seconds" in told
    assert "singlewindow_queue_depth{" not in told


def test_the_depth_of_a_queue_is_asked_of_the_broker_whichever_it_is(settings):
    """kombu's own transport in memory stands for a broker that is no Redis."""
    settings.CELERY_BROKER_URL = "memory://"
    with Connection("memory://") as broker:
        queue = broker.SimpleQueue("checks")
        for _ in range(3):
            queue.put("x")
        told = Client().get("/metrics").content.decode()
        queue.clear()
        queue.close()
    assert 'singlewindow_queue_depth{queue="checks"} 3.0' in told
    assert 'singlewindow_queue_depth{queue="bulk"} 0.0' in told


def test_a_log_line_names_the_declaration_it_is_about(firm, caplog):
    caller = make.Api(firm)
    with caplog.at_level(logging.INFO):
        number = caller.post("/api/v1/declarations", make.message(firm)).json()["unified_number"]
        caller.get(f"/api/v1/declarations/{number}")
        each(["N-1"], lambda number: structlog.get_logger("work").info("done"))
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    assert [line["number"] for line in lines if line["event"] == "request"] == [number, number]
    assert {line["organisation"] for line in lines if line["event"] == "request"} == {firm.pk}
    assert [line["number"] for line in lines if line["event"] == "done"] == ["N-1"]


def test_a_request_number_is_taken_or_made_and_returned():
    assert Client().get("/livez", headers={"X-Request-ID": "firm-0001"})["X-Request-ID"] == "firm-0001"
    assert len(Client().get("/livez", headers={"X-Request-ID": "a b"})["X-Request-ID"]) == 32


@pytest.mark.parametrize("path", ["/no/such/page", "/api/v1/nothing"])
def test_what_is_not_there_is_a_problem_document(path):
    answer = Client().get(path)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
