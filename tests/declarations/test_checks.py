"""Checks: what each finds, and what follows from the gravest."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone, translation

from clearance import duties
from common.days import legal_day, today
from declarations import decisions, fields, lodgement, receipts
from declarations.checks import codes as check_codes
from declarations.checks import registry, running
from declarations.checks.registry import Finding, Severity
from declarations.models import Declaration
from parties import registration
from parties.models import Organisation
from refdata import codes as list_codes
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


#: Every member whose value is a code of a list: written down a second time on purpose (data/message_fields.csv, codes).
CODED = {
    "declaration": (
        "border_customs_office border_port call_or_destination_port customs_office customs_procedure declaration_flag"
        " departure_arrival_country departure_port destination_customs_office document_type entry_type freight_currency"
        " freight_mark insurance_currency insurance_mark levy_nature other_fee_currency other_fee_mark package_type"
        " trade_terms trading_country transit_relation transport_mode"
    ),
    "goods_items": (
        "destination_country domestic_district duty_mode first_statutory_unit invoice_currency origin_country"
        " preferential_origin quantity_unit second_statutory_unit"
    ),
    "goods_limits": "licence_type write_off_unit",
    "company_qualifications": "qualification_type",
    "containers": "container_type",
    "attached_documents": "document_code",
    "requested_certificates": "certificate_code",
    "other_packages": "package_type",
    "transit": "domestic_transport_mode transit_type",
    "transit_consignments": "transport_mode",
    "transit_containers": "container_type",
    "supplements": "currency origin_country transport_mode",
    "royalty": "currency",
    "electronic_documents": "document_type",
    "origin_certificates": "certificate_type",
    "self_assessed_tax": (
        "customs_procedure direction freight_currency freight_mark insurance_currency insurance_mark levy_nature"
        " other_fee_currency other_fee_mark trade_terms"
    ),
}


def nowhere(block: fields.Block, at: str = "") -> tuple[dict, set[str]]:
    """A message in which every coded member holds a code that is in no list, and where they all are."""
    parts = {"document_type": "??0   ", "certificate_type": "Y00"}
    node = {
        one.name: parts.get(one.name, "?") if (block.name, one.name) in check_codes.PARTS else "?"
        for one in block.fields.values()
        if one.name in CODED.get(block.name, "").split()
    }
    pointers = {f"{at}/{name}" for name in node}
    for child in block.children.values():
        below, found = nowhere(child, f"{at}/{child.name}" + ("/0" if child.repeats else ""))
        node[child.name] = [below] if child.repeats else below
        pointers |= found
    return node, pointers


def test_every_coded_member_is_looked_up_in_its_list(firm):
    assert {
        block.name: " ".join(sorted(one.name for one in block.fields.values() if one.codes))
        for block in fields.blocks().values()
        if any(one.codes for one in block.fields.values())
    } == CODED
    message, pointers = nowhere(fields.declaration())
    context = registry.Context(make.declaration(firm), message, today(), today())
    findings = list(check_codes.codes_hold_on_the_day(context.declaration, context))
    assert {finding.pointer for finding in findings} == pointers
    assert len(pointers) == sum(len(members.split()) for members in CODED.values())
    for finding in findings:
        incomplete = not list_codes.is_complete(finding.params["list"])
        assert finding.severity == (Severity.WARNING if incomplete else Severity.ERROR), finding


def test_a_list_is_told_by_its_name_in_the_readers_language():
    params = {"value": "9998", "list": "customs_procedure"}
    assert registry.render("code-unknown", params) == "代码 9998 不在代码表“监管方式”中"
    with translation.override("en"):
        assert "Customs procedures" in registry.render("code-unknown", params)


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


@pytest.mark.parametrize("reference", ["1", "01", " 1 "])
def test_an_item_is_pointed_at_with_or_without_leading_zeros(firm, reference):
    """Rules, checks and duties read a reference to an item in one way."""
    message = make.message(firm, origin_certificates=[certificate(reference)])
    message["goods_items"][0]["preferential_origin"] = "SGP"
    number = lodgement.lodge(message, make.principal(firm)).unified_number
    declaration = checked(Declaration.objects.get(unified_number=number))
    assert "origin-certificate-missing" not in codes(declaration)
    assert duties._agreement(message, 1) == "10"
    assert duties._agreement(message, 2) == ""


def certificate(item_number: str) -> dict:
    return {
        "certificate_type": "Y10",
        "item_number": item_number,
        "certificate_number": "C1",
        "certificate_item_number": "1",
    }


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


def test_the_same_goods_are_found_behind_others_that_share_the_bill(firm):
    first = make.declaration(firm, transport_document_number="THREE")
    make.declaration(firm, transport_document_number="THREE", gross_weight="20600", package_count=12)
    third = make.declaration(firm, transport_document_number="THREE")
    assert found(third, "bill-declared-before") == ("/transport_document_number", "under_review")
    assert third.check_results.get(code="bill-declared-before").params["number"] == first.unified_number


def test_the_same_goods_are_found_however_many_share_the_bill(firm):
    make.declaration(firm, transport_document_number="MANY")
    for packages in range(21):
        make.declaration(firm, transport_document_number="MANY", gross_weight="20600", package_count=packages + 1)
    assert found(make.declaration(firm, transport_document_number="MANY"), "bill-declared-before")


def test_whoever_was_checked_before_this_one_was_to_be_seen_counts(firm):
    """A transaction that began earlier may commit later than one that began, committed and was checked meanwhile."""
    late = make.declaration(firm, transport_document_number="LATE")
    Declaration.objects.filter(pk=late.pk).update(transport_document_number="NOT YET TO BE SEEN")
    assert checked(make.declaration(firm, transport_document_number="LATE")).state == "accepted"
    Declaration.objects.filter(pk=late.pk).update(transport_document_number="LATE")
    assert found(late, "bill-declared-before")[1] == "under_review"


def test_an_amendment_moves_neither_the_day_of_declaration_nor_that_of_the_law(firm, monkeypatch):
    """The law of the day of the first acceptance goes on holding; who may take part is a matter of the new day."""
    days = []
    monkeypatch.setattr(registry, "_checks", dict(registry._checks))

    @registry.register("days", "日", "days", {})
    def note_the_days(declaration, context):
        days.append((context.day, context.sent))
        return ()

    declaration = checked(make.declaration(firm))
    lodged_at, told = declaration.lodged_at, receipts_of(declaration)
    assert {receipt.declared_on for receipt in told} == {today()}
    number, first_day = declaration.unified_number, today()
    for days_later in (40, 80):
        with time_machine.travel(timezone.now() + timedelta(days=days_later), tick=False):
            officer = make.officer_principal()
            decisions.decide(number=number, command="return", principal=officer, reason_code="documents")
            lodgement.amend(
                number=number,
                message=declaration.message | {"remarks": str(days_later)},
                reason="x",
                principal=make.principal(firm),
            )
            checked(declaration)
            assert legal_day(declaration.amended_at) == today() == first_day + timedelta(days=days_later)
            assert declaration.state == "accepted"
    assert days == [(first_day, first_day), *((first_day, first_day + timedelta(days=n)) for n in (40, 80))]
    assert (declaration.lodged_at, receipts_of(declaration)[: len(told)]) == (lodged_at, told)


def receipts_of(declaration):
    return receipts.receipts(declaration, receipts.events_of(declaration, make.officer_principal()))


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
    decisions.decide(
        command="return",
        number=declaration.unified_number,
        principal=make.officer_principal(),
        reason_code="declarant-asks",
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
