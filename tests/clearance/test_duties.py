"""What a declaration owes: asked of the tariff as declared, fixed when accepted, in the way of release until settled."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from cargo import voyages
from cargo.models import Consignment
from clearance import duties, requests
from common.days import legal_day, today
from common.problems import Problem
from declarations import decisions, lodgement
from declarations.models import Declaration
from parties.principals import SYSTEM
from tariffs import fixing, inputs, memos
from tariffs.models import DutyMemo, Guarantee, StoredAssessment
from tests import make
from tests.cargo.cargo_make import acting_for
from tests.clearance import states

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _tariff(db):
    make.tariff()


def entered() -> str:
    return (today() - timedelta(days=1)).isoformat()


def worked_example(firm, **changes: Any) -> dict[str, Any]:
    """The import of facts.md 3: FOB USD 22,000, freight USD 1,200, insurance 0.3 %."""
    return make.message(
        firm,
        **{
            "trade_terms": "3",
            "freight_mark": "3",
            "freight_value": "1200",
            "freight_currency": "USD",
            "insurance_mark": "1",
            "insurance_value": "0.3",
            "border_crossing_date": entered(),
        }
        | changes,
    )


def lodged(firm, message: dict[str, Any]) -> Declaration:
    made = lodgement.lodge(message, make.principal(firm))
    make.settle()
    return Declaration.objects.get(unified_number=made.unified_number)


def figures(stored: StoredAssessment) -> dict[str, str]:
    return {row["tax"]: row["payable"] for row in stored.answer["en"]["totals"]}


def test_the_worked_example_comes_out_of_a_lodged_declaration(firm):
    declaration = lodged(firm, worked_example(firm))
    stored = fixing.latest(declaration.unified_number)
    assert stored is not None
    assert stored.customs_value == Decimal("157369.07")
    assert figures(stored) == {"duty": "10228.99", "vat": "21787.75"}
    memo = DutyMemo.objects.get(subject=declaration.unified_number)
    assert (memo.amount, memo.state, memo.payer_id) == (Decimal("32016.74"), "open", firm.pk)


def test_money_due_is_told_by_receipt_t_and_stands_in_the_way_of_release(firm):
    declaration = lodged(firm, worked_example(firm))
    assert declaration.state == "accepted"
    assert "declaration.duty_due" in make.events_of("declaration", declaration.unified_number)
    assert [fault.code for fault in duties.standing(declaration)] == ["duty"]


def test_what_is_paid_is_released(firm):
    declaration = lodged(firm, worked_example(firm))
    memo = DutyMemo.objects.get(subject=declaration.unified_number)
    with transaction.atomic():
        fixing.lock(memo.subject)
        memos.settle(memo, paid_on=today(), late_charge=Decimal(0), actor="bank", data={})
    make.settle()
    declaration.refresh_from_db()
    assert duties.standing(declaration) == []
    assert declaration.state in ("released", "cleared")


def test_a_quotation_is_the_assessment(api, firm):
    declaration = lodged(firm, worked_example(firm))
    caller = api(firm)
    fixed = caller.get(f"/api/v1/declarations/{declaration.unified_number}/assessment").json()
    question = fixing.latest(declaration.unified_number).request
    quoted = caller.post("/api/v1/tariff/assessments", question).json()
    own = {"id", "declaration", "version", "fixed_at", "reason", "overrides"}
    assert {name: value for name, value in fixed.items() if name not in own} == {
        name: value for name, value in quoted.items() if name not in own
    }
    assert set(quoted) <= set(fixed)


def test_each_figure_is_explained(api, firm):
    declaration = lodged(firm, worked_example(firm))
    told = api(firm).get(f"/api/v1/declarations/{declaration.unified_number}/assessment/explain").json()
    assert "10228.99" in {step["amount"] for step in told["steps"] if "amount" in step} | {
        str(value) for step in told["steps"] for value in step.values()
    }


def test_another_firms_assessment_is_not_found(api, firm):
    declaration = lodged(firm, worked_example(firm))
    assert api(make.firm()).get(f"/api/v1/declarations/{declaration.unified_number}/assessment").status_code == 404


def test_an_amendment_makes_a_new_version_and_a_new_memo(firm):
    message = worked_example(firm)
    declaration = lodged(firm, message)
    number = declaration.unified_number
    decisions.decide(command="return", number=number, principal=SYSTEM, reason_code="checks-failed")
    goods = [message["goods_items"][0] | {"unit_price": "1.2000", "invoice_amount": "24000.0000"}]
    lodgement.amend(
        number=number, message=message | {"goods_items": goods}, reason="price", principal=make.principal(firm)
    )
    make.settle()
    assert [row.number for row in StoredAssessment.objects.filter(subject=number).order_by("number")] == [1, 2]
    assert list(DutyMemo.objects.filter(subject=number).order_by("pk").values_list("state", flat=True)) == [
        "void",
        "open",
    ]
    assert Declaration.objects.get(unified_number=number).version == 2


def test_an_amendment_that_changes_no_figure_keeps_the_assessment(firm):
    message = worked_example(firm)
    declaration = lodged(firm, message)
    number = declaration.unified_number
    decisions.decide(command="return", number=number, principal=SYSTEM, reason_code="checks-failed")
    lodgement.amend(
        number=number, message=message | {"goods_location": "另一堆场"}, reason="place", principal=make.principal(firm)
    )
    make.settle()
    assert StoredAssessment.objects.filter(subject=number).count() == 1
    assert "duty.confirmed" in make.events_of("duty", number)
    assert duties.waiting(timedelta(0)) == []


def test_a_code_the_tariff_does_not_hold_is_accepted_and_waits_for_an_officer(api, firm):
    message = worked_example(firm)
    message["goods_items"][0]["commodity_code"] = "0506909090"
    declaration = lodged(firm, message)
    assert declaration.state == "accepted"
    finding = declaration.check_results.get(check_name="duties")
    assert (finding.code, finding.pointer) == ("duty-needs-officer", "/goods_items/0/commodity_code")
    assert [fault.code for fault in duties.standing(declaration)] == ["duty-needs-officer"]
    answer = api(firm).get(f"/api/v1/declarations/{declaration.unified_number}/assessment")
    assert answer.status_code == 409
    assert answer.json()["errors"][0]["pointer"] == "/goods_items/0/commodity_code"

    officer = make.officer_principal(make.officer(duties=("duties",)))
    duties.settle_by_hand(number=declaration.unified_number, reason="assessed on paper", principal=officer)
    assert duties.standing(declaration) == []
    with pytest.raises(Problem):
        duties.settle_by_hand(number=declaration.unified_number, reason="again", principal=officer)


def test_only_an_officer_for_duties_settles_by_hand(firm):
    declaration = lodged(firm, worked_example(firm))
    officer = make.officer_principal(make.officer(duties=("examination",)))
    with pytest.raises(Problem) as told:
        duties.settle_by_hand(number=declaration.unified_number, reason="x", principal=officer)
    assert told.value.status == 403


def test_a_currency_without_a_rate_is_told_and_never_an_exception(firm):
    message = worked_example(firm)
    message["goods_items"][0]["invoice_currency"] = "CHF"
    declaration = lodged(firm, message)
    finding = declaration.check_results.get(check_name="duties")
    assert (finding.pointer, finding.params["fault"]) == (
        "/goods_items/0/invoice_currency",
        "exchange-rate-missing",
    )
    assert "duty.not_assessed" in make.events_of("duty", declaration.unified_number)


def test_what_the_declarant_can_put_right_returns_the_declaration(firm):
    """A specific duty asks for a quantity that was not declared."""
    message = worked_example(firm, trade_terms="3", insurance_value="100")
    declaration = Declaration(
        direction="I",
        customs_procedure="0110",
        trade_terms="3",
        insurance_mark="1",
        insurance_value=Decimal(100),
        document_type="  0",
    )
    context = duties.Context(declaration, message, today(), today())
    context.__dict__["items"] = []
    findings = list(duties.duties_can_be_worked_out(declaration, context))
    assert {finding.severity for finding in findings} == {"error"}


def test_telling_twice_changes_nothing(firm):
    message = worked_example(firm)
    message["goods_items"][0]["commodity_code"] = "0506909090"
    number = lodged(firm, message).unified_number
    before = make.events_of("duty", number)
    assert duties.assess(number) is None
    assert make.events_of("duty", number) == before == ["duty.not_assessed"]
    assert duties.not_assessed() == [number]


def claiming(firm, **item: Any) -> dict[str, Any]:
    """The worked example with a certificate of origin of the agreement with ASEAN."""
    message = worked_example(
        firm,
        attached_documents=[{"document_code": "Y", "document_number": "<02>E26SGP0000123"}],
        electronic_documents=[
            {"document_id": f"{kind}.pdf", "document_type": kind, "document_format": "US"}
            for kind in ("00000001", "00000003")
        ],
        origin_certificates=[
            {
                "certificate_type": "Y02",
                "item_number": "1",
                "certificate_number": "E26SGP0000123",
                "certificate_item_number": "1",
            }
        ],
    )
    message["goods_items"][0] |= item
    return message


def rate_taken(firm, message: dict[str, Any]) -> str:
    stored = fixing.latest(lodged(firm, message).unified_number)
    assert stored is not None
    return str(stored.answer["en"]["items"][0]["rate_taken"]["kind"])


def test_an_agreement_claimed_for_an_item_takes_its_rate(firm):
    assert rate_taken(firm, claiming(firm)) == "conventional"


@pytest.mark.parametrize(
    ("origin", "preferential", "kind"),
    [("DEU", "SGP", "conventional"), ("DEU", "", "mfn"), ("SGP", "DEU", "mfn"), ("SGP", "SGP", "conventional")],
)
def test_the_origin_under_the_agreement_decides_on_its_rate_alone(firm, origin, preferential, kind):
    """RcepOrigPlaceCode: an agreement's own rules may find another origin than the one MFN and remedies go by."""
    message = claiming(firm, origin_country=origin, preferential_origin=preferential)
    assert rate_taken(firm, message) == kind


def test_an_export_owes_nothing_and_goes_on(firm):
    declaration = lodged(firm, make.message(firm, direction="E"))
    assert declaration.state in ("released", "cleared")
    assert "duty.nothing_due" in make.events_of("duty", declaration.unified_number)
    assert not DutyMemo.objects.filter(subject=declaration.unified_number).exists()


def test_declared_before_arrival_the_arrival_fixes_the_day(firm):
    """Tariff Law art. 20: declared before arrival, the rates of the day the means declares entry apply."""
    ahead = (today() + timedelta(days=3)).isoformat()
    declaration = lodged(firm, worked_example(firm, border_crossing_date=ahead))
    number = declaration.unified_number
    stored = fixing.latest(number)
    assert stored is not None
    assert stored.request["advance"] is True
    assert stored.request["entered_on"] is None
    assert Consignment.objects.filter(declaration_number=number).count() == 0


def test_the_arrival_of_the_means_makes_a_new_version(firm):
    carrier = states.carrier()
    goods = states.goods(carrier, "DUTYBL1", arrived=False, boxes=["CSQU3054383"])
    message = worked_example(
        firm,
        border_crossing_date=(today() + timedelta(days=3)).isoformat(),
        transport_document_number=goods.bill_number,
        voyage_number=goods.voyage.number,
    )
    declaration = lodged(firm, message)
    number = declaration.unified_number
    assert declaration.state == "accepted", list(declaration.check_results.values("code", "pointer", "params"))
    assert [row.request["advance"] for row in StoredAssessment.objects.filter(subject=number)] == [True]
    for what in ("arrived", "entry_declared"):
        voyages.report(goods.voyage_id, what=what, at=timezone.now(), principal=acting_for(carrier))
    make.settle()
    stored = fixing.latest(number)
    assert stored is not None
    assert (stored.number, stored.request["advance"]) == (2, False)
    assert stored.request["entered_on"] == today().isoformat()
    assert duties.waiting(timedelta(0)) == []
    # The same money: the memo the firm was told of stands, and it is told of no other.
    (memo,) = DutyMemo.objects.filter(subject=number)
    assert (memo.state, memo.assessment.number) == ("open", 1)
    assert make.events_of("declaration", number).count("declaration.duty_due") == 1


def test_a_declaration_of_goods_that_are_here_is_assessed_once(firm):
    """The manifest is matched before the duties are worked out: it says when the means declared entry."""
    carrier = states.carrier()
    goods = states.goods(carrier, "DUTYBL2", arrived=False, boxes=["CSQU3054383"])
    for what in ("arrived", "entry_declared"):
        voyages.report(goods.voyage_id, what=what, at=timezone.now(), principal=acting_for(carrier))
    declaration = lodged(
        firm,
        worked_example(
            firm,
            border_crossing_date=(today() - timedelta(days=1)).isoformat(),
            transport_document_number=goods.bill_number,
            voyage_number=goods.voyage.number,
        ),
    )
    (stored,) = StoredAssessment.objects.filter(subject=declaration.unified_number)
    assert stored.request["entered_on"] == today().isoformat()


def test_the_sweep_finds_what_no_hint_reached(firm):
    declaration = make.declaration(firm, "accepted", trade_terms="1", border_crossing_date=entered())
    assert duties.waiting(timedelta(0)) == [declaration.unified_number]
    assert duties.assess(declaration.unified_number) is not None
    assert duties.waiting(timedelta(0)) == []
    assert duties.assess(declaration.unified_number) is None


def test_release_against_a_guarantee_waits_for_no_payment(firm):
    memos.open_guarantee(
        number="G1", organisation_id=firm.pk, amount=Decimal(100000), valid_from=today(), last_day=None, summary=True,
        actor="tests",
    )  # fmt: skip
    declaration = lodged(firm, worked_example(firm, guarantee_release="1"))
    assert DutyMemo.objects.get(subject=declaration.unified_number).state == "guaranteed"
    assert declaration.state in ("released", "cleared")
    assert "declaration.duty_due" not in make.events_of("declaration", declaration.unified_number)


def test_a_guarantee_that_a_declaration_uses_up_secures_its_next_memo_too(firm):
    goods = states.goods(states.carrier(), "DUTYBL3", arrived=False, boxes=["CSQU3054383"])
    message = worked_example(
        firm, border_crossing_date=(today() + timedelta(days=3)).isoformat(), guarantee_release="1",
        transport_document_number=goods.bill_number, voyage_number=goods.voyage.number,
    )  # fmt: skip
    amount = fixing.quote(duties.request_of(lodged(firm, worked_example(firm)))).payable
    memos.open_guarantee(
        number="G2", organisation_id=firm.pk, amount=amount, valid_from=today(), last_day=None, summary=True,
        actor="tests",
    )  # fmt: skip
    number = lodged(firm, message).unified_number
    assert DutyMemo.objects.get(subject=number).state == "guaranteed"
    decisions.decide(command="return", number=number, principal=SYSTEM, reason_code="checks-failed")
    goods_items = [message["goods_items"][0] | {"unit_price": "1.0000", "invoice_amount": "20000.0000"}]
    lodgement.amend(
        number=number, message=message | {"goods_items": goods_items}, reason="price", principal=make.principal(firm)
    )
    make.settle()
    assert list(DutyMemo.objects.filter(subject=number).order_by("pk").values_list("state", flat=True)) == [
        "void", "guaranteed",
    ]  # fmt: skip
    assert Guarantee.objects.get(number="G2").drawn == DutyMemo.objects.get(subject=number, state="guaranteed").amount


def test_no_officer_releases_what_is_not_paid(firm):
    declaration = lodged(firm, worked_example(firm))
    with pytest.raises(Problem) as told:
        decisions.decide(
            command="release",
            number=declaration.unified_number,
            principal=make.officer_principal(),
            reason_code="examined",
        )
    assert [fault.code for fault in told.value.errors] == ["duty"]


def test_what_is_withdrawn_owes_nothing(firm):
    declaration = lodged(firm, worked_example(firm))
    number = declaration.unified_number
    decisions.decide(command="return", number=number, principal=SYSTEM, reason_code="checks-failed")
    lodgement.withdraw(number=number, reason="not needed", principal=make.principal(firm))
    make.settle()
    assert DutyMemo.objects.get(subject=number).state == "void"
    events = make.events_of("duty", number)
    duties.fall_away(number)
    assert make.events_of("duty", number) == events


def test_without_a_tariff_duties_are_nobodys_business_outside_production(firm, settings):
    from tariffs import lookup
    from tariffs.models import Version

    Version.objects.all().delete()
    lookup.forget()
    declaration = make.declaration(firm, "accepted")
    assert duties.standing(declaration) == []
    settings.PRODUCTION = True
    assert [fault.code for fault in duties.standing(declaration)] == ["duty-not-assessed"]
    lookup.forget()


def test_the_question_reads_back(firm):
    declaration = lodged(firm, worked_example(firm))
    question = duties.request_of(declaration)
    assert inputs.to_json(inputs.from_json(inputs.to_json(question))) == inputs.to_json(question)
    assert question.completed_on == legal_day(timezone.now())


def test_a_correction_after_release_asks_for_the_difference_and_the_release_stands(firm):
    declaration = lodged(firm, worked_example(firm))
    first = DutyMemo.objects.get(subject=declaration.unified_number)
    with transaction.atomic():
        fixing.lock(first.subject)
        memos.settle(first, paid_on=today(), late_charge=Decimal(0), actor="bank", data={})
    make.settle()
    declaration.refresh_from_db()
    assert declaration.state in ("released", "cleared")
    row = requests.ask(
        number=declaration.unified_number, kind="amend", reason="运费有误", principal=make.principal(firm),
        message=declaration.message | {"freight_value": "1300"},
    )  # fmt: skip
    requests.decide(pk=row.pk, approve=True, principal=make.officer_principal())
    second = DutyMemo.objects.exclude(pk=first.pk).get(subject=declaration.unified_number)
    stored = fixing.latest(declaration.unified_number)
    assert stored is not None
    assert second.state == "open"
    assert first.amount + second.amount == stored.payable > first.amount
    declaration.refresh_from_db()
    assert declaration.state in ("released", "cleared")
    assert declaration.releases.filter(stage="final").exists()
