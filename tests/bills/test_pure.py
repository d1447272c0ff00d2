"""Canonical form, container numbers, the mappings: pure functions, round trips."""

from __future__ import annotations

import csv
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from referencing import Registry, Resource

from bills import examples as example
from bills import rules
from bills.canonical import NotCanonical, canonical, decimal_text, document_checksum, number, parse
from bills.content import shape_faults
from bills.envelope import schema_fault
from bills.wire import dcsa, efbl
from bills.wire.overlay import difference, overlay

DATA = Path(__file__).parents[3] / "shared" / "data"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_the_canonical_form_is_a_fixed_point(value):
    once = canonical(value)
    assert canonical(parse(once)) == once


def test_the_canonical_form_is_rfc_8785s_example():
    value = {"numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
             "string": '€$\u000f\nA\'B"\\\\"/', "literals": [None, True, False]}  # fmt: skip
    assert (
        canonical(value)
        == (
            '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
            '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        ).encode()
    )


@pytest.mark.parametrize(
    "text", ['{"a":1,"a":2}', "[NaN]", "[Infinity]", '"\\ud800"', "[" * 100 + "]" * 100, "{", "", b"\xff"]
)
def test_what_has_no_single_meaning_is_refused(text):
    with pytest.raises(NotCanonical):
        canonical(parse(text))


@given(st.decimals(min_value=0, max_value=Decimal("999999999999.999"), places=3))
def test_a_quantity_survives_the_json_number(value):
    assert Decimal(decimal_text(number(value))) == value


@pytest.mark.parametrize(
    ("text", "deep"),
    [
        ("[" * 64 + "]" * 64, False), ("[" * 65 + "]" * 65, True), ('{"a":' * 65 + "1" + "}" * 65, True),
        (json.dumps(["[{" * 500, '\\"[' * 100, "\\"]), False), ("[" + "[]," * 200 + "[]]", False),
    ],
)  # fmt: skip
def test_nesting_is_counted_outside_of_strings(text, deep):
    if deep:
        with pytest.raises(NotCanonical, match="deeply"):
            parse(text)
    else:
        assert parse(text) == json.loads(text)


@pytest.mark.parametrize("text", ['"' + '\\"[' * 100_000, '["' + "[" * 100 + "\\", "{" * 100_000, '"[' * 99_999])
def test_a_text_without_an_end_is_refused(text):
    with pytest.raises(NotCanonical):
        parse(text)


def test_a_number_past_a_double_is_refused():
    with pytest.raises(NotCanonical):
        number("1234567890123456.789")


def test_container_check_digits():
    path = DATA / "vectors" / "iso6346.csv"
    if not path.exists():
        pytest.skip(f"{path} is not at hand: the vectors are not part of the product")
    for row in csv.DictReader(path.read_text().splitlines()):
        text = row["container_no"]
        assert (len(text) == 11 and rules.container_check_digit(text) == text[10]) == (row["valid"] == "1"), row


# Rules ------------------------------------------------------------------------------------------------------------
def codes(content: dict[str, Any]) -> set[str]:
    return {violation.code for violation in rules.check(content)}


def test_the_example_holds():
    assert rules.check(example.content()) == []


def test_a_leg_that_does_not_join_the_last_is_refused():
    content = example.content()
    content["legs"][1]["from"] = {"unlocode": "CNNNG"}
    assert rules.check(content)[0][:2] == ("/legs/1/from", "leg-does-not-join")


def test_a_wrong_check_digit_is_refused():
    content = example.content()
    content["containers"][0]["number"] = content["goods"][0]["stowage"][0]["container"] = "CSQU3054384"
    assert codes(content) == {"container-check-digit"}


def test_all_faults_are_told_at_once():
    content = example.content(negotiability="straight")
    content["containers"].append(content["containers"][0])
    content["legs"][0]["planned_arrival"] = "2026-11-01T00:00:00+08:00"
    content["goods"][0]["net_weight_kg"] = "99999"
    content["goods"][0]["packages"] = "17"
    del content["places"]["issue"]
    assert codes(content) >= {
        "container-twice", "leg-out-of-time", "net-above-gross", "stowage-sum", "consignee-missing", "place-missing",
    }  # fmt: skip


@pytest.mark.parametrize(
    "broken",
    [None, [], "x", {}, {"kind": "multimodal"}, {**example.CONTENT, "goods": "none"}, {**example.CONTENT, "new": 1},
     {**example.CONTENT, "goods": [{"description": ["x"], "packages": "-1", "gross_weight_kg": "1e9"}]}],
)  # fmt: skip
def test_a_wrong_shape_is_told_and_never_raises(broken):
    assert codes(broken) == {"shape"}


# DCSA -------------------------------------------------------------------------------------------------------------
def document(content: dict[str, Any]) -> dict[str, Any]:
    return dcsa.to_document(
        content, reference="NLSC26000000001", version=1, issued_on=date(2026, 11, 23), platform="NLSC",
        endorsee=content["parties"]["consignor"],
    )  # fmt: skip


def test_the_transport_document_is_dcsas_and_comes_back_whole():
    made = document(example.content())
    assert schema_fault("TransportDocument", made) == ""
    assert dcsa.from_document(parse(canonical(made))) == example.CONTENT


def test_a_one_bill_that_tells_another_story_than_its_document_is_not_believed():
    made = document(example.content())
    made["transports"]["portOfDischarge"]["UNLocationCode"] = "DEHAM"
    found = dcsa.from_document(made)
    assert found["places"]["discharge"]["unlocode"] == "DEHAM"
    assert found["kind"] == "sea"


def test_a_one_bill_that_is_shaped_as_none_is_not_believed():
    made = document(example.content())
    made["oneBill"]["legs"][1]["carrier"] = "a name alone"
    assert dcsa.from_document(made)["kind"] == "sea"


def test_a_plain_dcsa_document_makes_content_of_the_right_shape():
    made = document(example.content())
    del made["oneBill"]
    found = dcsa.from_document(made)
    assert shape_faults(found) == []
    assert found["goods"][0]["gross_weight_kg"] == "20160.5"


def test_our_copy_of_the_schema_is_the_standards_own():
    yaml = pytest.importorskip("yaml")
    path = DATA / "dcsa" / "EBL_PINT_v3.0.0.yaml"
    if not path.exists():
        pytest.skip(f"{path} is not at hand: the standard's own file is not part of the product")
    theirs = yaml.safe_load(path.read_text())["components"]["schemas"]
    ours = json.loads((Path(rules.__file__).parent / "data" / "dcsa_pint_3.0.0.schema.json").read_text())
    assert set(ours["components"]["schemas"]) == set(theirs)
    for name, schema in theirs.items():
        assert ours["components"]["schemas"][name].get("required", []) == schema.get("required", []), name


# eFBL -------------------------------------------------------------------------------------------------------------
def efbl_examples() -> list[Any]:
    return ["first", "second", "third"]


def efbl_example(name: str) -> Any:
    path = DATA / "efbl" / f"{name}_cargo.json"
    if not path.exists():
        pytest.skip(f"{path} is not at hand: FIATA states no licence, so its examples are not part of the product")
    return json.loads(path.read_text())


@pytest.fixture(scope="session")
def efbl_schema() -> jsonschema.Draft202012Validator:
    base = DATA / "efbl" / "json-schemas"
    if not base.exists():
        pytest.skip(f"{base} is not at hand: FIATA states no licence, so its schema is not part of the product")
    registry: Registry = Registry()
    for path in base.rglob("*.json"):
        schema = json.loads(path.read_text())
        schema.pop("$id")  # their $id values do not fit their own relative references
        registry = registry.with_resource(path.as_uri(), Resource.from_contents(schema))
    return jsonschema.Draft202012Validator({"$ref": (base / "efbl.schema.json").as_uri()}, registry=registry)


@pytest.mark.parametrize("name", efbl_examples())
def test_an_efbl_comes_in_and_leaves_without_loss(name, efbl_schema):
    theirs = efbl_example(name)
    content = efbl.from_efbl(theirs)
    assert shape_faults(content) == []
    left = efbl.to_efbl(content)
    assert left == theirs
    assert not list(efbl_schema.iter_errors(efbl.as_schema_wants(left)))


def test_fiatas_own_examples_say_one_member_its_schema_does_not_know(efbl_schema):
    """The reason for ``as_schema_wants``: when FIATA mends its examples, this test says so."""
    for name in ("second", "third"):
        faults = [fault.message for fault in efbl_schema.iter_errors(efbl_example(name))]
        assert len(faults) == 1
        assert "cargoInsuranceNotProvidedByCTO" in faults[0]


def test_our_bill_is_a_valid_efbl(efbl_schema):
    made = efbl.to_efbl(example.content(), number_="NLSC26000000001", status="issued", signature="0" * 64)
    assert not list(efbl_schema.iter_errors(made))
    back = efbl.from_efbl(made)
    for member in ("parties", "places", "goods", "freight", "insurance", "terms"):
        if member != "insurance":
            assert back[member].keys() == example.CONTENT[member].keys() if isinstance(back[member], dict) else True
    assert back["places"]["receipt"]["unlocode"] == "SGSIN"
    assert back["places"]["delivery"]["unlocode"] == "CNCKG"


@given(data=st.data())
def test_an_efbl_with_anything_in_it_leaves_as_it_came(data):
    """Members taken away, replaced and added at random."""
    theirs = efbl_example(data.draw(st.sampled_from(efbl_examples())))
    consignment = theirs["supply_chain_consignment"]
    for name in data.draw(st.sets(st.sampled_from(sorted(consignment)), max_size=6)):
        if name not in ("includedConsignmentItem",):
            consignment.pop(name, None)
    theirs["exchanged_document"]["id"] = data.draw(st.text(max_size=5))
    consignment["numberOfPackages"] = data.draw(st.integers(0, 10**6))
    consignment["insurancePolicyCompany"] = data.draw(st.text(max_size=200))
    assert efbl.to_efbl(efbl.from_efbl(theirs)) == theirs


def test_what_was_changed_since_wins_over_what_was_carried():
    theirs = efbl_example("third")
    content = efbl.from_efbl(theirs)
    content["goods"][0]["gross_weight_kg"] = "1700"
    content["parties"]["consignor"]["name"] = "Someone Else"
    left = efbl.to_efbl(content)
    assert left["supply_chain_consignment"]["consignor"]["name"]["value"] == "Someone Else"
    assert left["supply_chain_consignment"]["includedConsignmentItem"][0]["grossWeight"]["value"] == 1700


@given(ours=json_values, theirs=json_values)
def test_the_overlay_turns_ours_into_theirs(ours, theirs):
    notes = parse(json.dumps(difference(ours, theirs)))
    assert overlay(parse(json.dumps(ours)), notes) == parse(json.dumps(theirs))


def test_checksums_name_versions():
    assert document_checksum({"b": 1, "a": 2}) == document_checksum({"a": 2.0, "b": 1})
