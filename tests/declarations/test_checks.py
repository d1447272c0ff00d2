"""Checks: what each finds, and what follows from the gravest."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import transaction

from common.days import today
from declarations import decisions, lodgement
from declarations.checks import registry, running
from declarations.checks.registry import Finding, Severity
from declarations.models import Declaration
from parties import registration
from parties.models import Organisation
from tests import make

pytestmark = pytest.mark.django_db


def checked(declaration: Declaration) -> Declaration:
    running.run(declaration.unified_number)
    declaration.refresh_from_db()
    return declaration


def codes(declaration: Declaration) -> list[str]:
    return sorted(declaration.check_results.filter(version=declaration.version).values_list("code", flat=True))


def found(declaration: Declaration, code: str) -> tuple[str, str]:
    result = checked(declaration).check_results.get(code=code)
    assert registry.render(result.code, result.params)
    return result.pointer, declaration.state


def test_a_faultless_declaration_is_accepted_and_gets_its_customs_number(firm):
    declaration = checked(make.declaration(firm))
    assert (declaration.state, declaration.risk_score) == ("accepted", 5)
    assert declaration.customs_number
    assert declaration.customs_number.startswith(f"8000{today():%Y}1")
    assert len(declaration.customs_number) == 18
    assert make.events_of("declaration", declaration.unified_number) == ["declaration.lodged", "declaration.accepted"]


def test_an_export_number_says_so(firm):
    assert checked(make.declaration(firm, direction="E")).customs_number[8] == "0"


def test_checks_run_once(firm):
    declaration = make.declaration(firm)
    assert running.run(declaration.unified_number) == "accept"
    assert running.run(declaration.unified_number) is None
    assert len(make.events_of("declaration", declaration.unified_number)) == 2


def test_a_code_that_is_in_no_list_returns_the_declaration(firm):
    assert found(make.declaration(firm, customs_procedure="9998"), "code-unknown") == ("/customs_procedure", "returned")


def test_a_code_of_an_incomplete_list_only_warns(firm):
    assert found(make.declaration(firm, customs_office="9990"), "code-not-listed") == ("/customs_office", "accepted")


def test_a_code_that_does_not_hold_on_the_day_returns_it(firm):
    declaration = make.declaration(firm, attached_documents=[{"document_code": "A", "document_number": "1"}])
    assert found(declaration, "code-not-in-force") == ("/attached_documents/0/document_code", "returned")


def test_a_suspended_party_is_rejected(firm):
    declaration = make.declaration(firm)
    Organisation.objects.filter(pk=firm.pk).update(suspended_since=date(2026, 1, 1))
    assert found(declaration, "party-suspended")[1] == "rejected"


def test_a_mandate_that_ended_between_lodgement_and_check_returns_it(firm, broker):
    mandate = make.mandate(firm, broker)
    declaration = make.declaration(firm, lodger=broker)
    registration.end_mandate(mandate_id=mandate.pk, principal=make.principal(firm))
    assert found(declaration, "mandate-missing") == ("/domestic_party_credit_code", "returned")


def test_codes_of_two_organisations_in_one_party_return_it(firm):
    declaration = make.declaration(firm, domestic_party_code=make.firm().customs_code)
    assert found(declaration, "party-codes-differ") == ("/domestic_party_code", "returned")


@pytest.mark.parametrize(("procedure", "levy"), [("0110", "502"), ("0214", "101"), ("0615", "101")])
def test_procedure_and_levy_nature_go_together(firm, procedure, levy):
    declaration = make.declaration(firm, customs_procedure=procedure, levy_nature=levy)
    assert found(declaration, "levy-nature") == ("/levy_nature", "returned")


def test_a_preference_claimed_needs_its_certificate(firm):
    message = make.message(firm)
    message["goods_items"][0]["preferential_origin"] = "SGP"
    number = lodgement.lodge(message, make.principal(firm)).unified_number
    declaration = Declaration.objects.get(unified_number=number)
    assert found(declaration, "origin-certificate-missing") == ("/goods_items/0/preferential_origin", "returned")


def test_the_same_goods_of_one_bill_are_looked_at(firm):
    checked(make.declaration(firm, transport_document_number="TWICE"))
    second = make.declaration(firm, transport_document_number="TWICE")
    assert found(second, "bill-declared-before") == ("/transport_document_number", "under_review")


def test_the_first_to_declare_a_bill_is_no_duplicate_whichever_is_checked_first(firm):
    first = make.declaration(firm, transport_document_number="RACE")
    second = make.declaration(firm, transport_document_number="RACE")
    assert checked(second).state == "under_review"
    assert checked(first).state == "accepted"


def test_a_bill_may_be_split(firm):
    checked(make.declaration(firm, transport_document_number="SPLIT"))
    second = make.declaration(firm, transport_document_number="SPLIT", gross_weight="20600", package_count=12)
    assert found(second, "bill-shared")[1] == "accepted"


def test_a_withdrawn_declaration_frees_its_bill(firm):
    make.declaration(firm, "withdrawn", transport_document_number="FREE")
    assert "bill-declared-before" not in codes(checked(make.declaration(firm, transport_document_number="FREE")))


@pytest.mark.parametrize(
    ("price", "expected"), [("1.2000", "accepted"), ("2.4000", "accepted"), ("5.0000", "under_review")]
)
def test_a_price_far_from_the_firms_own_history_is_looked_at(firm, price, expected):
    for _ in range(5):
        make.declaration(firm, "accepted")
    message = make.message(firm)
    message["goods_items"][0] |= {"unit_price": price, "invoice_amount": str(20000 * float(price))}
    number = lodgement.lodge(message, make.principal(firm)).unified_number
    declaration = checked(Declaration.objects.get(unified_number=number))
    assert declaration.state == expected
    assert ("price-outlier" in codes(declaration)) is (price != "1.2000")


def test_points_add_up_to_a_score_that_sends_it_to_review(firm):
    for _ in range(2):
        checked(make.declaration(firm, transport_document_number="RISKY"))
    declaration = checked(make.declaration(firm, transport_document_number="RISKY", price_confirmations="11001"))
    assert declaration.state == "under_review"
    assert declaration.risk_score >= 60
    assert "high-risk" in codes(declaration)


def test_a_check_registered_from_above_takes_part_and_one_that_breaks_asks_for_an_officer(firm, monkeypatch):
    monkeypatch.setattr(registry, "_checks", dict(registry._checks))
    monkeypatch.setattr(registry, "_texts", dict(registry._texts))

    @registry.register("weather", "天气", "weather", {"storm": ("{port} 有风暴", "a storm over {port}")})
    def weather(declaration, context):
        yield Finding("storm", Severity.WARNING, "/border_port", {"port": declaration.border_port}, 1)

    @registry.register("broken", "坏", "broken", {})
    def broken(declaration, context):
        with transaction.atomic():
            Declaration.objects.raw("SELECT 1/0")[0]

    declaration = checked(make.declaration(firm))
    assert declaration.state == "under_review"
    assert {"storm", "check-failed"} <= set(codes(declaration))
    assert registry.render("storm", {"port": "450702"}) == "450702 有风暴"


def test_a_fault_found_again_keeps_the_day_it_was_first_found(firm):
    declaration = checked(make.declaration(firm, customs_procedure="9998"))
    first = declaration.check_results.get(code="code-unknown")
    lodgement.amend(
        number=declaration.unified_number,
        message=declaration.message | {"remarks": "x"},
        reason="x",
        principal=make.principal(firm),
    )
    checked(declaration)
    again = declaration.check_results.get(code="code-unknown", version=2)
    assert (again.since, again.version) == (first.since, 2)
    assert again.found_at > first.found_at


def test_an_amended_declaration_keeps_its_customs_number(firm):
    declaration = make.declaration(firm, "accepted")
    number = declaration.customs_number
    decisions.return_for_amendment(
        number=declaration.unified_number, principal=make.officer_principal(), reason_code="declarant-asks"
    )
    lodgement.amend(
        number=declaration.unified_number,
        message=declaration.message | {"remarks": "x"},
        reason="x",
        principal=make.principal(firm),
    )
    assert checked(declaration).customs_number == number
    assert declaration.state == "accepted"


def test_the_whole_way_runs_on_hints_alone(firm):
    declaration = make.declaration(firm)
    make.settle()
    declaration.refresh_from_db()
    assert declaration.state == "cleared"
    assert make.events_of("declaration", declaration.unified_number) == [
        "declaration.lodged",
        "declaration.accepted",
        "declaration.released",
        "declaration.cleared",
    ]
