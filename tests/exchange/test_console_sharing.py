"""Agreements in the console: the matrix, a version field by field, the next version with its difference, its end; partners
suspended and reinstated."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from common.days import today
from events.models import Event
from exchange import agreements, coverage, partners
from exchange.models import Agreement, Partner
from exchange.terms import Terms
from parties.models import Officer
from parties.principals import SYSTEM
from tests.console.officers import Desk
from tests.exchange.conftest import TERMS, make_partner

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk() -> Desk:
    return Desk(duties=(Officer.Duty.EXCHANGE,))


def terms(**given: Any) -> Terms:
    given = TERMS | given
    return Terms(
        tuple(given["kinds"]),
        tuple(given["types"]),
        tuple((key, tuple(value)) for key, value in given["fields"].items()),
    )


def typed(**changes: Any) -> dict[str, Any]:
    """The terms of ``TERMS`` as they are typed."""
    return {
        "kinds": "declaration\nbill", "types": "declaration.*\nbill.*", "pattern": ["declaration.*", "bill.*", ""],
        "paths": ["state\nport", "state\nholder_code\ncontainers", ""], "valid_from": today().isoformat(),
        "valid_to": "", "note": "", "step": "preview",
    } | changes  # fmt: skip


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def test_the_matrix_shows_what_goes_out_and_comes_in_per_kind_and_a_mark_where_nothing_does(desk):
    make_partner("450000", incoming={"kinds": ["bill"], "types": ["bill.issued"], "fields": {"*": ["state"]}})
    make_partner("520000", out=None, incoming=None)
    page = text(desk.get("agreements"))
    declared = len([1 for one in coverage.of(terms())["declaration"].types])
    assert declared > 10
    assert f"↗ {declared} · 2</a>" in page  # declaration, out: state and port
    assert "↙ 1 · 1</a>" in page  # bill, in
    assert page.count("—</span>") == 1 + 4  # declaration, in; all four of the second partner
    assert page.count("无发出协议") == page.count("无收进协议") == 1
    # The menu leads here; the list of all versions stays.
    assert '<a class="leaf here" href="/console/exchange/agreements/">' in page
    assert 'class="leaf" href="/console/exchange/agreement/"' not in page
    assert 'href="/console/exchange/agreement/"' in page
    assert desk.http.get("/console/exchange/agreement/").status_code == 200


def test_a_version_that_begins_later_is_announced_and_not_counted(desk):
    partner = make_partner(incoming=None)
    later = today() + timedelta(days=10)
    agreements.agree(partner=partner, direction="out", actor=SYSTEM, valid_from=later, **TERMS | {"kinds": ["transit"]})
    page = text(desk.get("agreements"))
    assert f"v2 自 {later}" in page
    assert "transit" not in page


def test_the_matrix_asks_the_same_number_of_questions_for_one_partner_and_for_many(desk, django_assert_num_queries):
    make_partner("450000")
    desk.get("agreements")
    with CaptureQueriesContext(connection) as one:
        desk.get("agreements")
    questions = len(one)
    assert questions > 0
    for code in ("500000", "510000", "520000", "530000"):
        make_partner(code)
    with django_assert_num_queries(questions):
        desk.get("agreements")


def test_a_cell_leads_to_the_fields_and_the_versions_with_who_agreed_and_why(desk):
    partner = make_partner()
    agreements.agree(
        partner=partner, direction="out", actor=SYSTEM, note="会议纪要 7 号", **TERMS | {"kinds": ["bill"]}
    )
    page = text(desk.get("agreement", "450000", "out", kind="bill"))
    assert 'id="kind-bill" style="border-color' in page
    assert "holder_code" in page
    assert "当事人" in page
    for said in ("会议纪要 7 号", "system", f"{today()} 起", "现行"):
        assert said in page, said
    assert 'id="kind-declaration"' not in page
    assert 'id="kind-declaration"' in text(desk.get("agreement", "450000", "out", version="1"))
    assert desk.get("agreement", "450000", "sideways").status_code == 404
    assert desk.get("agreement", "999999", "out").status_code == 404


def test_the_next_version_is_looked_at_before_it_is_agreed(desk):
    make_partner()
    form = text(desk.get("agreement_new", "450000", "out"))
    for prefilled in ("declaration bill</textarea>", 'value="declaration.*"', "state holder_code containers"):
        assert prefilled in form, prefilled
    asked = typed(
        kinds="declaration\ntransit", types="declaration.released\ntransit.*",
        pattern=["declaration.*", "transit.*", "*"], paths=["state\nport\nduty_total", "state", "consignee.name"],
        note="备忘录甲",
    )  # fmt: skip
    answer = desk.post("agreement_new", "450000", "out", **asked)
    assert Agreement.objects.filter(direction="out").count() == 1
    found = answer.context["difference"]
    assert (found.kinds.added, found.kinds.removed) == (["transit"], ["bill"])
    assert (found.types.added, found.types.removed) == (
        ["declaration.released", "transit.*"],
        ["declaration.*", "bill.*"],
    )
    assert found.fields["declaration.*"] == (["duty_total"], [])
    assert found.fields["bill.*"] == ([], ["state", "holder_code", "containers"])
    leaving = {(one.kind, one.path): one.mark for one in found.leaving}
    assert leaving == {
        ("declaration", "duty_total"): "price", ("declaration", "consignee.name"): "party",
        ("transit", "consignee.name"): "party", ("transit", "state"): "",
    }  # fmt: skip
    page = text(answer)
    assert "4 个字段将首次发出" in page
    assert "备忘录甲" in page
    assert "<del>bill</del>" in page
    done = desk.post("agreement_new", "450000", "out", **asked | {"step": "agree", "after": "1"})
    made = Agreement.objects.get(direction="out", version=2)
    assert done.redirect_chain
    assert (made.kinds, made.types) == (["declaration", "transit"], ["declaration.released", "transit.*"])
    assert made.fields == {
        "declaration.*": ["state", "port", "duty_total"], "transit.*": ["state"], "*": ["consignee.name"],
    }  # fmt: skip
    assert (made.note, made.agreed_by) == ("备忘录甲", desk.actor)
    assert Event.objects.get(type="agreement.made", subject_number="450000/out", sequence=2).actor == desk.actor


def test_every_fault_of_a_version_stands_where_it_was_typed_and_nothing_is_lost(desk):
    make_partner()
    asked = typed(
        kinds="declaration\norganisation\nNot A Kind", types="Wrong Type", pattern=["declaration.*", "Bad Pattern", ""],
        paths=["state\ngoods_items.*", "x", "lonely"], valid_from="2026-13-40", valid_to="soon", note="依" * 301,
        step="agree", after="1",
    )  # fmt: skip
    answer = desk.post("agreement_new", "450000", "out", **asked)
    faults = {row["field"].name: row["faults"] for key in ("form", "period") for row in answer.context[key]["rows"]}
    assert {name for name, found in faults.items() if found} == {"kinds", "types", "valid_from", "valid_to", "note"}
    assert len(faults["kinds"]) == 2
    assert [bool(row["faults"]) for row in answer.context["rows"]] == [True, True, True, False, False, False]
    page = text(answer)
    for kept in ("Not A Kind", "Wrong Type", "Bad Pattern", "goods_items.*", "lonely", "2026-13-40", "依" * 301):
        assert kept in page, kept
    assert answer.context["difference"] is None
    assert Agreement.objects.filter(direction="out").count() == 1


def test_what_was_looked_at_is_not_agreed_over_another_version(desk):
    partner = make_partner()
    agreements.agree(partner=partner, direction="out", actor=SYSTEM, **TERMS | {"kinds": ["bill"]})
    for after in ("1", "", "x"):
        answer = desk.post("agreement_new", "450000", "out", **typed(step="agree", after=after))
        assert "其间已另有新版本" in text(answer)
    assert Agreement.objects.filter(direction="out").count() == 2


def test_an_agreement_ends_on_the_day_asked_for_and_never_in_the_past(desk):
    make_partner()
    yesterday, soon = today() - timedelta(days=1), today() + timedelta(days=5)
    for wrong in (yesterday.isoformat(), "someday"):
        desk.post("agreement_end", "450000", "out", 1, on=wrong)
        assert Agreement.objects.get(direction="out").valid.upper is None
    desk.post("agreement_end", "450000", "out", 1, on=soon.isoformat())
    assert Agreement.objects.get(direction="out").valid.upper == soon
    desk.post("agreement_end", "450000", "out", 1, on="")
    assert Agreement.objects.get(direction="out").valid.isempty
    assert "什么也不发出" in text(desk.get("agreement", "450000", "out"))
    assert "已终止" in text(desk.post("agreement_end", "450000", "out", 1, on=""))
    ended = Event.objects.filter(type="agreement.ended")
    assert {event.actor for event in ended} == {desk.actor}


def test_a_partner_is_suspended_and_reinstated_on_its_page(desk):
    partner = make_partner()
    home = f"/console/exchange/partner/{partner.pk}/change/"
    assert "暂停后不再向该省发出" in text(desk.http.get(home))
    desk.post("partner_act", "450000", "suspend")
    assert Partner.objects.get().state == "suspended"
    page = text(desk.http.get(home))
    assert "恢复后继续发出和收进" in page
    assert "暂缓至" in page
    desk.post("partner_act", "450000", "reinstate")
    assert Partner.objects.get().state == "active"
    desk.http.post("/console/exchange/partner/", {"action": "suspend", "_selected_action": [partner.pk]})
    assert Partner.objects.get().state == "suspended"
    said = Event.objects.filter(subject_kind="partner").exclude(type="partner.connected")
    assert {event.actor for event in said} == {desk.actor}
    assert desk.post("partner_act", "450000", "forget").status_code == 404


def test_nobody_without_the_duty_reads_or_makes_an_agreement():
    make_partner()
    other = Desk(duties=(Officer.Duty.RELEASE,))
    for name, args in (("agreements", ()), ("agreement", ("450000", "out")), ("agreement_new", ("450000", "out"))):
        assert other.get(name, *args).status_code == 403, name
    assert other.post("agreement_new", "450000", "out", **typed(step="agree", after="1")).status_code == 403
    assert other.post("agreement_end", "450000", "out", 1).status_code == 403
    assert other.post("partner_act", "450000", "suspend").status_code == 403
    assert Agreement.objects.count() == 2
    assert Partner.objects.get().state == "active"


def test_what_terms_cover_is_counted_by_kind_and_what_nobody_described_counts_as_written():
    found = coverage.of(
        terms(
            kinds=["widget", "transit_confirmation", "organisation"], types=["widget.*", "transit.arrived", "bill.*"],
            fields={"widget.made": ["a"], "transit.*": ["state"]},
        )
    )  # fmt: skip
    assert found == {
        "widget": (("widget.*",), {"a": ("widget.*",)}),
        "transit_confirmation": (("transit.arrived",), {"state": ("transit.arrived",)}),
    }
    inspected = coverage.of(terms(kinds=["clearance"], types=["inspection.*"], fields={"*": ["sample", "outcome"]}))
    assert "inspection.difference" in inspected["clearance"].types
    assert "inspection.difference" in inspected["clearance"].fields["outcome"]
    # A field under a narrower pattern that becomes wider leaves with more events than before.
    before = terms(fields={"declaration.released": ["value"]})
    after = terms(fields={"declaration.*": ["value"]})
    leaving = coverage.compare(before, after).leaving
    assert [(one.path, one.mark, "declaration.released" in one.types) for one in leaving] == [("value", "price", False)]
    assert not coverage.compare(before, before)
    # The same fields reach a new kind: they leave, though no field was added.
    grown = coverage.compare(terms(kinds=["bill"]), terms()).leaving
    assert {one.kind for one in grown} == {"declaration"}


def test_the_matrix_marks_a_suspended_partner(desk):
    partner = make_partner()
    partners.suspend(partner=partner, actor=SYSTEM)
    assert "暂停" in text(desk.get("agreements"))
