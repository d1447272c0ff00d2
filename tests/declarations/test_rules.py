"""One test per rule: the example passes, one change breaks it, and the pointer says where."""

import csv
import json
from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from declarations import fields, rules
from declarations.lodgement import faults_of
from declarations.message import check, document_type, is_summary, price_confirmations, purpose_of
from declarations.wire.decmessage import parse

EXAMPLES = fields.DATA / "examples"


def example(name: str) -> dict:
    message, faults = parse((EXAMPLES / name).read_bytes())
    assert faults == []
    return message


def exported() -> dict:
    return example("export.xml")


def imported() -> dict:
    return example("import.xml")


def broken(message: dict) -> list[tuple[str, str]]:
    return [(fault.code, fault.pointer) for fault in rules.check(message, "declare")]


def second_item(message: dict, **changes: object) -> dict:
    message["goods_items"].append(message["goods_items"][0] | {"item_number": 2} | changes)
    return message


@pytest.mark.parametrize("name", ["import.xml", "import-summary.xml", "export.xml"])
def test_the_examples_break_nothing(name: str) -> None:
    message = example(name)
    assert check(message, "declare") == []
    assert broken(message) == []


def test_a_draft_breaks_no_rule() -> None:
    assert rules.check(imported() | {"gross_weight": "1"}, "save") == []
    assert purpose_of({"oper": "save"}) == "save"
    assert purpose_of({}) == purpose_of({"oper": "declare"}) == "declare"


Change = Callable[[dict], object]


def put(**members: object) -> Change:
    return lambda message: message.update(members)


def put_item(**members: object) -> Change:
    return lambda message: message["goods_items"][0].update(members)


def row(name: str, **members: object) -> Change:
    return lambda message: message.update({name: [members]})


CASES: list[tuple[str, str, Callable[[], dict], Change]] = [
    ("fee-required", "/freight_mark", imported, put(freight_mark="", freight_value="", freight_currency="")),
    ("fee-mark", "/insurance_mark", imported, put(insurance_mark="2")),
    ("fee-incomplete", "/freight_value", imported, put(freight_value="")),
    ("fee-incomplete", "/other_fee_mark", imported, put(other_fee_value="12")),
    ("fee-currency", "/freight_currency", imported, put(freight_currency="")),
    ("fee-rate", "/insurance_value", imported, put(insurance_value="300")),
    ("item-number-repeated", "/goods_items/1/item_number", imported, lambda m: second_item(m, item_number=1)),
    ("item-number-sequence", "/goods_items/1/item_number", imported, lambda m: second_item(m, item_number=3)),
    ("commodity-code-length", "/goods_items/0/commodity_code", imported, put_item(commodity_code="390210")),
    ("second-quantity", "/goods_items/0/second_statutory_quantity", imported, put_item(second_statutory_unit="035")),
    ("second-quantity", "/goods_items/0/second_statutory_unit", imported, put_item(second_statutory_quantity="5")),
    ("not-positive", "/package_count", imported, put(package_count=0)),
    ("not-positive", "/goods_items/0/quantity", imported, put_item(quantity="0.000")),
    ("total-mismatch", "/goods_items/0/invoice_amount", imported, put_item(invoice_amount="22002.0000")),
    ("gross-below-net", "/gross_weight", imported, put(gross_weight="19999.99")),
    ("no-such-item", "/containers/0/item_numbers", imported, lambda m: m["containers"][0].update(item_numbers="1,3")),
    ("no-such-item", "/origin_certificates/0/item_number", imported, row("origin_certificates", item_number="2")),
    (
        "item-numbers-form",
        "/containers/0/item_numbers",
        imported,
        lambda m: m["containers"][0].update(item_numbers="1;2"),
    ),
    (
        "container-number",
        "/containers/0/container_number",
        imported,
        lambda m: m["containers"][0].update(container_number="CSQU3054384"),
    ),
    ("container-repeated", "/containers", imported, lambda m: m["containers"].append(m["containers"][0])),
    ("credit-code", "/owner_credit_code", imported, put(owner_credit_code="91500000MA5U000024")),
    ("import-only", "/departure_port", exported, put(departure_port="SGP000")),
    ("two-step-import-only", "/document_type", exported, put(document_type="  6   ")),
    (
        "two-stage-entry-import-only",
        "/two_stage_entry/transfer_requested",
        exported,
        put(two_stage_entry={"transfer_requested": "1", "transfer_site": "CNCKG800001"}),
    ),
    (
        "transfer-site-required",
        "/two_stage_entry/transfer_site",
        imported,
        put(two_stage_entry={"transfer_requested": "1"}),
    ),
    ("transport-document-required", "/transport_document_number", imported, put(transport_document_number="")),
    ("summary-transport", "/voyage_number", lambda: example("import-summary.xml"), put(voyage_number="")),
    ("dates-order", "/departure_date", imported, put(departure_date="2026-11-21")),
    ("discharge-before-entry", "/discharge_date", imported, put(discharge_date="2026-11-19")),
    ("price-confirmations", "/price_confirmations", imported, put(price_confirmations="0000Y")),
    ("processing-document", "/attached_documents", imported, put(customs_procedure="0654")),
    (
        "import-prohibited",
        "/attached_documents/0/document_code",
        imported,
        row("attached_documents", document_code="9"),
    ),
    (
        "export-prohibited",
        "/attached_documents/0/document_code",
        exported,
        row("attached_documents", document_code="8"),
    ),
    ("origin-documents", "/electronic_documents", imported, row("attached_documents", document_code="Y")),
    (
        "certificate-type",
        "/origin_certificates/0/certificate_type",
        imported,
        row("origin_certificates", item_number="1", certificate_type="X1"),
    ),
    (
        "packages-contradict",
        "/other_packages",
        imported,
        put(no_other_packages="1", other_packages=[{"package_type": "22"}]),
    ),
]


@pytest.mark.parametrize(("code", "pointer", "start", "change"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_one_change_breaks_one_rule(code: str, pointer: str, start: Callable[[], dict], change: Change) -> None:
    message = start()
    change(message)
    assert broken(message) == [(code, pointer)]


WARNED: list[tuple[str, str, Callable[[], dict], Change]] = [
    ("overseas-party", "/overseas_consignor_foreign_name", imported, put(overseas_consignor_foreign_name="")),
    ("export-only", "/goods_items/0/producer_name", imported, put_item(producer_name="A")),
    ("home-as-destination", "/goods_items/0/destination_country", exported, put_item(destination_country="CHN")),
]


@pytest.mark.parametrize(("code", "pointer", "start", "change"), WARNED, ids=[case[0] for case in WARNED])
def test_a_doubt_is_a_warning_and_stops_nothing(
    code: str, pointer: str, start: Callable[[], dict], change: Change
) -> None:
    message = start()
    assert list(rules.broken(message, "warning")) == []
    change(message)
    assert [(one.code, at) for one, at, _ in rules.broken(message, "warning")] == [(code, pointer)]
    assert broken(message) == []


def test_every_rule_is_tested_and_says_where_it_comes_from() -> None:
    assert {one.code for one in rules.RULES} == {case[0] for case in CASES + WARNED}
    assert all(one.source and one.zh and one.en for one in rules.RULES)


@pytest.mark.parametrize(
    ("direction", "terms", "needed"),
    [
        ("I", "1", set()),
        ("I", "2", {"insurance"}),
        ("I", "3", {"freight", "insurance"}),
        ("I", "4", {"freight"}),
        ("I", "7", {"freight", "insurance"}),
        ("E", "1", {"freight", "insurance"}),
        ("E", "2", {"freight"}),
        ("E", "3", set()),
        ("E", "4", {"insurance"}),
    ],
)
def test_the_trade_terms_say_which_fees_are_needed(direction: str, terms: str, needed: set[str]) -> None:
    faults = rules.check({"direction": direction, "trade_terms": terms}, "declare")
    assert {fault.pointer for fault in faults if fault.code == "fee-required"} == {f"/{fee}_mark" for fee in needed}


@given(
    st.decimals(Decimal("0.0001"), 10_000, places=4),
    st.decimals(Decimal("0.001"), 1_000_000, places=3),
)
def test_a_total_rounded_to_the_cent_is_never_refused(price: Decimal, quantity: Decimal) -> None:
    amount = round(price * quantity, 2)
    item = {"unit_price": str(price), "quantity": str(quantity), "invoice_amount": f"{amount:f}"}
    assert not [f for f in rules.check({"goods_items": [item]}, "declare") if f.code == "total-mismatch"]


NAMES = [*fields.declaration().fields, *fields.declaration().children, *fields.blocks()["goods_items"].fields]
VECTORS = Path(__file__).parent / "vectors"


@pytest.mark.parametrize(
    ("file", "column", "member", "code"),
    [
        ("iso6346.csv", "container_no", "container_number", "container-number"),
        ("uscc.csv", "uscc", "owner_credit_code", "credit-code"),
    ],
)
def test_check_digits_agree_with_the_vectors(file: str, column: str, member: str, code: str) -> None:
    with (VECTORS / file).open(encoding="utf-8") as opened:
        for line in csv.DictReader(opened):
            value = {member: line[column]}
            message = {"containers": [value]} if member == "container_number" else value
            refused = code in [fault.code for fault in rules.check(message, "declare")]
            assert refused == (line["valid"] == "0"), line


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(NAMES), x),
    )
)
def test_no_message_however_wrong_makes_a_rule_fall_over(rubbish: object) -> None:
    message = (
        rubbish
        if isinstance(rubbish, dict)
        else {"goods_items": rubbish, "containers": rubbish, "two_stage_entry": rubbish}
    )
    for fault in [*check(message, "declare"), *rules.check(message, "declare")]:
        assert str(fault.text)
    for one, pointer, params in rules.broken(message, "warning"):
        assert pointer
        assert one.zh.format(**params)


@pytest.mark.parametrize("value", ["1e999999", "9" * 5000, "NaN", "-Infinity", 10**60, "١٢", ""])
def test_no_number_however_large_makes_a_rule_fall_over(value: object) -> None:
    item = dict.fromkeys(("unit_price", "quantity", "invoice_amount", "second_statutory_quantity"), value)
    message = {
        "goods_items": [item],
        "gross_weight": value,
        "net_weight": "1",
        "freight_value": value,
        "freight_mark": "1",
    }
    rules.check(message, "declare")


def test_document_type_and_price_confirmations_are_read_by_position() -> None:
    assert document_type({"document_type": "MU5   Z"}) == ("MU", "5", "   ", True)
    assert document_type({}) == ("", "", "   ", False)
    assert is_summary({"document_type": "  5"})
    assert not is_summary({"document_type": "ML1000"})
    assert price_confirmations({"price_confirmations": "10 9"}) == {
        "special_relationship": "1",
        "price_influence": "0",
        "royalty": "",
        "formula_pricing": "9",
        "provisional_price": "",
    }


def test_the_examples_are_not_changed_by_looking() -> None:
    message = imported()
    before = deepcopy(message)
    check(message)
    rules.check(message)
    list(rules.broken(message, "warning"))
    assert message == before


def test_the_guide_lists_every_rule() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "messages.md").read_text(encoding="utf-8")
    for one in rules.RULES:
        assert f"| `{one.code}` | {one.en}" in guide


def test_the_faulty_example_is_told_all_its_faults_at_once() -> None:
    message = json.loads((EXAMPLES / "faulty.json").read_text(encoding="utf-8"))
    assert [(fault.pointer, fault.code) for fault in faults_of(message)] == [
        ("/border_crossing_date", "not-a-date"),
        ("/goods_items/1/quantity", "not-a-decimal"),
        ("/goods_items/1/colour", "unknown-member"),
        ("/customs_procedure", "required"),
        ("/freight_mark", "fee-required"),
        ("/goods_items/0/invoice_amount", "total-mismatch"),
        ("/gross_weight", "gross-below-net"),
        ("/containers/0/item_numbers", "no-such-item"),
        ("/domestic_party_credit_code", "credit-code"),
        ("/transport_document_number", "transport-document-required"),
        ("/containers/0/container_number", "container-number"),
    ]
