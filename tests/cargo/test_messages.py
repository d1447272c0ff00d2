"""Reading and writing manifest messages."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from cargo import equipment
from cargo.fields import message_type
from cargo.message import read
from cargo.schema import message_schema
from cargo.wire import manifest as wire
from common.json import dumps, loads
from common.problems import Problem
from tests.cargo.cargo_make import message

SAMPLES = Path(__file__).parent / "samples"


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("road_MT*.xml")))
def test_every_sample_message_is_read_without_fault(name):
    found, faults = wire.parse_with_faults((SAMPLES / name).read_bytes())
    assert faults == []
    assert found["number"] == "8006202601001"


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("road_MT*.xml")))
def test_what_is_written_is_read_back_the_same(name):
    found = wire.parse((SAMPLES / name).read_bytes())
    assert wire.parse(wire.write(found)) == found


def test_an_original_manifest_means_what_it_says():
    found = wire.parse((SAMPLES / "road_MT1401_new.xml").read_bytes())
    (bill,) = found["consignments"]
    assert found["sent_at"] == datetime(2026, 1, 15, 2, 30, tzinfo=UTC)
    assert (bill["packages"], bill["package_unit"], bill["gross_mass"]) == (500, "CT", Decimal(5200))
    assert (bill["value"], bill["currency"]) == (Decimal("105000.00"), "USD")
    assert [box["number"] for box in bill["equipment"]] == ["TCNU7200794"]


def test_all_faults_are_told_at_once_each_with_its_place():
    found = message(
        office="80068", consignments=[{"bill_number": "A B", "packages": 0, "equipment": [{"number": "TCNU7200795"}]}]
    )
    _, faults = read(found)
    assert {(fault.pointer, fault.code) for fault in faults} == {
        ("/office", "too-long"), ("/consignments/0/equipment/0/number", "container-number"),
    }  # fmt: skip
    del found["office"], found["consignments"][0]["equipment"]
    _, faults = read(found)
    assert {(fault.pointer, fault.code) for fault in faults} == {
        ("/consignments/0/bill_number", "number"), ("/consignments/0/gross_mass", "required"),
        ("/consignments/0/packages", "positive"),
    }  # fmt: skip


def test_faults_of_xml_carry_an_xpath():
    body = (SAMPLES / "road_MT1401_new.xml").read_bytes().replace(b"TCNU7200794", b"TCNU7200795")
    _, faults = wire.parse_with_faults(body)
    assert [fault.pointer for fault in faults] == ["/Manifest/Declaration/Consignment[1]/TransportEquipment[1]/ID"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<Manifest>", "malformed-xml"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><Manifest>&x;</Manifest>', "document-type"),
        (b"<DecMessage/>", "not-a-manifest"),
        (b"", "malformed-xml"),
    ],
)
def test_what_is_no_manifest_is_refused(body, code):
    with pytest.raises(Problem) as caught:
        wire.parse(body)
    assert caught.value.code == code


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_json_whatever_breaks_the_reader(raw):
    _, faults = read(raw)
    assert faults


def made_from(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What a JSON Schema of the kinds used here allows."""
    if "anyOf" in schema:
        return st.one_of([made_from(one) for one in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "integer":
        return st.integers(schema["minimum"], schema["maximum"])
    if schema["type"] == "array":
        return st.lists(made_from(schema["items"]), max_size=2)
    if schema["type"] == "object":
        made = {name: made_from(one) for name, one in schema["properties"].items()}
        required = schema.get("required", [])
        return st.fixed_dictionaries(
            {name: made.pop(name) for name in required}, optional=made
        )  # fmt: skip
    if schema.get("format") == "date-time":
        return st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].removesuffix("$"), fullmatch=True).filter(
            lambda text: len(text) <= schema.get("maxLength", 100)
        )
    return st.text(max_size=schema["maxLength"])


@settings(suppress_health_check=list(HealthCheck))
@given(made_from(message_schema()))
def test_what_the_published_schema_allows_is_refused_for_its_meaning_alone(raw):
    Draft202012Validator(message_schema()).validate(raw)
    _, faults = read(raw)
    assert {fault.code for fault in faults} <= {
        "required", "message-type", "container-number", "not-time", "positive", "repeated",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("road_MT*.xml")))
def test_every_sample_message_fits_the_published_schema(name):
    found = loads(dumps(wire.parse((SAMPLES / name).read_bytes())))
    Draft202012Validator(message_schema()).validate(found)


@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3), st.integers(0, 999999))
def test_one_wrong_digit_of_a_container_number_is_found(owner, serial):
    from stdnum import iso6346

    stem = f"{owner}U{serial:06d}"
    number = stem + iso6346.calc_check_digit(stem)
    assert equipment.is_valid(number)
    wrong = number[:9] + str((int(number[9]) + 1) % 10) + number[10]
    # 0 and 10 share a check digit: the standard advises against such serials
    assert not equipment.is_valid(wrong) or iso6346.calc_check_digit(wrong[:10]) == number[10]


@pytest.mark.parametrize(
    ("code", "kind", "direction", "mode"),
    [
        ("MT1101", "original", "I", "2"), ("MT2401", "advance", "E", "4"), ("MT3101", "arrival", "E", "2"),
        ("MT4101", "loading", "E", "2"), ("MT4401", "conveyance", "I", "4"), ("MT4402", "conveyance", "E", "4"),
        ("MT5201", "tally", "I", "5"), ("MT5402", "tally", "E", "4"),
    ],
)  # fmt: skip
def test_message_types_follow_the_pattern(code, kind, direction, mode):
    assert message_type(code) == (kind, direction, mode)


@pytest.mark.parametrize("code", ["MT6101", "MT8402", "MT1901", "XX1101", "MT11", "MT1102", "MT1100"])
def test_message_types_that_are_not_taken(code):
    assert message_type(code) is None
