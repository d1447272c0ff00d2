"""The example receivers pass the conformance check, and one that does things wrong does not."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import orjson
import pytest
from django.test import Client

from exchange import conformance, messages, signing, standards
from singlewindow.processes import free_port
from tests import make
from tests.exchange.conftest import principal_of

pytestmark = pytest.mark.django_db

EXAMPLES = Path(__file__).parents[2] / "examples" / "partner"


def check(url: str, secret: str) -> conformance.ConformanceRun:
    made, _ = conformance.start(principal=principal_of(make.firm()), url=url, secret=secret)
    return conformance.run(made.pk)


@pytest.mark.parametrize("program", ["receiver.py", "receiver.mjs"])
def test_an_example_receiver_passes_every_step(program):
    runner = sys.executable if program.endswith(".py") else shutil.which("node")
    if runner is None:
        pytest.skip("node is not installed")
    secret, port = signing.new_secret(), free_port()
    process = subprocess.Popen([runner, EXAMPLES / program, secret, str(port)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        report = check(f"http://127.0.0.1:{port}/", secret)
    finally:
        process.kill()
        process.wait()
    assert [(one["check"], one["seen"]) for one in report.results if one["verdict"] != "passed"] == []
    assert (report.passed, len(report.results)) == (True, len(conformance.STEPS) + 1)


def test_every_schema_is_valid_and_is_served():
    client = Client()
    listed = client.get("/api/v1/standards").json()
    assert listed["changes"]
    paths = [f"events/{name}" for name in listed["events"]] + [f"documents/{name}" for name in listed["documents"]]
    for path in paths:
        jsonschema.Draft202012Validator.check_schema(client.get(f"/api/v1/standards/{path}/1").json())
    assert client.get("/api/v1/standards/events/declaration.released/9").status_code == 404
    assert client.get("/api/v1/standards/events/nothing.known/1").status_code == 404


def test_what_is_sent_is_what_the_schema_says():
    from datetime import UTC, datetime
    from uuid import uuid4

    from events.models import Event

    event = Event(
        id=uuid4(), type="declaration.released", subject_kind="declaration", subject_number="D1", sequence=2,
        position=7, occurred_at=datetime.now(UTC),
    )  # fmt: skip
    body = orjson.loads(messages.body(event, data={"state": "released"}, previous=1))
    jsonschema.validate(body, standards.event_schema("declaration.released"))
    jsonschema.validate(body, standards.documents()["message"])
