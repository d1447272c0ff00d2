"""Time limits over the API, and the warnings firms get."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from cargo import places
from clearance import deadlines
from clearance.models import Deadline
from events import log
from events.models import Audience, Event
from tests import make
from tests.clearance import states

pytestmark = pytest.mark.django_db


def test_a_firm_sees_the_limits_of_its_declaration_and_is_warned_of_them(api):
    places.load()
    goods = states.goods(states.carrier(), "BLLIMIT")
    deadlines.sweep()
    declaration = states.declared(goods, document_type="  5   ")
    states.proceed(declaration)
    deadlines.sweep()
    client = api(declaration.firm)
    path = f"/api/v1/declarations/{declaration.unified_number}/deadlines"

    def rows():
        return {row["kind"]: row for row in client.get(path).json()["results"]}

    found = rows()
    assert {kind: row["state"] for kind, row in found.items()} == {
        "declare": "met", "abandonment": "met", "full_declaration": "running",
    }  # fmt: skip
    assert found["declare"]["basis"].endswith("Customs Law art. 24")
    assert found["full_declaration"]["due_on"] == Deadline.objects.get(kind="full_declaration").due_on.isoformat()
    due = Deadline.objects.get(kind="full_declaration").due_on
    now = timezone.now()
    with time_machine.travel(now + (due - now.date()) - timedelta(days=2), tick=True):
        deadlines.sweep()
        assert deadlines.state(Deadline.objects.get(kind="full_declaration")) == "near"
    log.publish()
    warning = Event.objects.get(type="deadline.near")
    assert warning.data["declaration"] == declaration.unified_number
    assert Audience.objects.filter(organisation_id=declaration.firm_id, position=warning.position).exists()
    with time_machine.travel(now + (due - now.date()) + timedelta(days=2), tick=True):
        deadlines.sweep()
        assert deadlines.state(Deadline.objects.get(kind="full_declaration")) == "missed"
    assert api(make.firm()).get(path).status_code == 404
