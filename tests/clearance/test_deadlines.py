"""Time limits over the API, and the warnings firms get."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from cargo import places, voyages
from clearance import deadlines, selection, tracking
from clearance.models import Deadline
from common.days import legal_day
from declarations import decisions, lodgement
from events import log
from events.models import Audience, Event
from parties.principals import SYSTEM
from tests import make
from tests.cargo.cargo_make import acting_for
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


def test_exports_are_to_be_declared_a_day_before_their_loading():
    """Customs Law art. 24: 24 hours before loading."""
    carrier = states.carrier()
    goods = states.goods(carrier, "BLEXP", direction="E")
    loading = timezone.now() + timedelta(hours=60)
    voyages.plan(goods.voyage_id, departure=loading, principal=acting_for(carrier))
    deadlines.sweep()
    limit = Deadline.objects.get()
    assert (limit.kind, limit.due_at, deadlines.state(limit)) == ("export", loading - timedelta(hours=24), "running")
    voyages.plan(goods.voyage_id, departure=loading - timedelta(hours=20), principal=acting_for(carrier))
    deadlines.sweep()
    limit.refresh_from_db()
    assert limit.due_at == loading - timedelta(hours=44)
    assert make.events_of("deadline", str(limit.pk)) == ["deadline.near"], "16 hours are left"
    assert tracking.timeline("BLEXP", full=False)["next"]["by"] == limit.due_at
    with time_machine.travel(limit.due_at + timedelta(minutes=1), tick=True):
        deadlines.sweep()
        deadlines.sweep()
    assert make.events_of("deadline", str(limit.pk)) == ["deadline.near", "deadline.missed"]


def test_an_export_that_was_declared_in_time_has_kept_its_limit():
    carrier = states.carrier()
    goods = states.goods(carrier, "BLEXP", direction="E")
    voyages.plan(goods.voyage_id, departure=timezone.now() + timedelta(hours=60), principal=acting_for(carrier))
    deadlines.sweep()
    states.proceed(states.declared(goods))
    deadlines.sweep()
    assert deadlines.state(Deadline.objects.get()) == "met"


def test_a_withdrawn_summary_has_no_full_declaration_to_come():
    declaration = states.declared(states.goods(states.carrier(), "BLSUM"), document_type="  5   ")
    selection.select(declaration.unified_number)
    deadlines.sweep()
    limit = Deadline.objects.get(kind="full_declaration")
    decisions.decide(
        command="return", number=declaration.unified_number, principal=SYSTEM, reason_code="declarant-asks"
    )
    lodgement.withdraw(number=declaration.unified_number, reason="x", principal=make.principal(declaration.firm))
    deadlines.sweep()
    limit.refresh_from_db()
    assert deadlines.state(limit) == "met"


def test_a_corrected_entry_declaration_moves_the_limits_that_run_from_it():
    """Customs Law art. 24: the limit runs from the means' entry declaration."""
    goods = states.goods(states.carrier(), "BLCORR")
    deadlines.sweep()
    before = dict(Deadline.objects.values_list("kind", "due_on"))
    at = timezone.now() - timedelta(days=7)
    voyages.correct(goods.voyage_id, what="entry_declared", at=at, principal=make.officer_principal())
    make.settle()
    after = dict(Deadline.objects.values_list("kind", "due_on"))
    assert after == {
        "declare": deadlines.last_day(at, days=14), "abandonment": deadlines.months_later(legal_day(at), 3),
    }  # fmt: skip
    assert all(after[kind] < before[kind] for kind in before)
    line = tracking.timeline("BLCORR", full=True)["entries"]
    assert [one["at"] for one in line if one["type"] == "voyage.entry_declared"] == [at]
