"""Working off lists that do not get shorter."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from clearance import selection, tasks
from common import redis as redis_client
from common import work
from common.work import in_turn
from declarations.models import Declaration
from tests import make
from tests.clearance import states

pytestmark = pytest.mark.django_db


def a_round(size: int = 2) -> list[str]:
    return in_turn("tests", Declaration.objects.all(), number="unified_number", since="state_since", size=size)


def test_every_row_is_met_in_its_turn_whatever_waits_before_it():
    firm = make.firm()
    numbers = {make.declaration(firm, "draft").unified_number for _ in range(5)}
    Declaration.objects.update(state_since=timezone.now())  # all at once, as after a bulk command
    rounds = [a_round() for _ in range(6)]
    assert [len(found) for found in rounds] == [2, 2, 1, 2, 2, 1]
    assert Counter(number for found in rounds for number in found) == dict.fromkeys(numbers, 2)


def test_a_round_begins_anew_where_redis_forgot():
    firm = make.firm()
    for _ in range(3):
        make.declaration(firm, "draft")
    first = a_round()
    redis_client.client().flushdb()
    assert a_round() == first


def test_the_sweep_releases_what_no_hint_reached_behind_what_waits_longer(monkeypatch):
    monkeypatch.setattr(work, "ROUND", 1)
    ready = states.declared()
    assert selection.select(ready.unified_number) == "release"
    states.rule(action="review")
    waits = states.declared()
    assert selection.select(waits.unified_number) == "review"
    Declaration.objects.filter(pk=waits.pk).update(state_since=ready.state_since - timedelta(days=1))
    tasks.sweep()
    ready.refresh_from_db()
    assert ready.state == "accepted", "the first round looks at the one that waits longer"
    tasks.sweep()
    ready.refresh_from_db()
    assert ready.state in ("released", "cleared")
