"""docs/api.http runs, request by request, against the system as `make run` starts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from singlewindow.processes import scratch_instance
from tests.e2e.http_file import Session

COLLECTION = Path(__file__).resolve().parents[2] / "docs" / "api.http"

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.xdist_group("processes")]


def test_the_http_collection_runs_against_the_running_system():
    with scratch_instance("http", redis_database=14) as instance:
        instance.manage("prepare", "--quiet")
        session = Session(COLLECTION, host=instance.url)
        wrong = [
            f"line {request.line} {request.title}: {answer.status}, expected {request.expect}: {answer.body[:500]!r}"
            for request, answer in session.run()
            if answer.status not in request.expect
        ]
    assert wrong == []


def test_every_request_of_the_collection_says_what_to_expect():
    session = Session(COLLECTION)
    assert len(session.requests) > 10
    assert [request.line for request in session.requests if not request.expect] == []
