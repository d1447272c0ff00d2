"""What holds for any declaration: sums, splits, texts that read back, a quotation that equals the assessment."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tariffs import answers, fixing, inputs
from tariffs.assessment import assess
from tariffs.rates import (
    AdValorem,
    Choice,
    Goods,
    RateTextError,
    Specific,
    Sum,
    fen,
    parse,
    units,
)
from tariffs.valuation import split
from tests import make
from tests.tariffs import golden

BOOK = golden.book()
AMOUNTS = st.decimals(min_value="0.01", max_value="99999999", places=2)
PERCENTS = st.decimals(min_value=0, max_value=400, places=3)
CODES = st.sampled_from(["8509800000", "0810600000", "2204210000", "2208200000", "3304990099", "8703234100"])


@st.composite
def requests(draw, most=6):
    rows = [
        {
            "code": draw(CODES),
            "total": str(draw(st.decimals(min_value="100", max_value="99999999", places=2))),
            "currency": draw(st.sampled_from(["CNY", "USD", "EUR", "JPY", "KRW"])),
            "origin": draw(st.sampled_from(["DEU", "USA", "JPN", "THA", "PRK", ""])),
            "quantities": {"035": str(draw(AMOUNTS))},
        }
        for _ in range(draw(st.integers(1, most)))
    ]
    request = {
        "completed_on": "2026-10-12",
        "trade_terms": draw(st.sampled_from("12347")),
        "freight": {"mark": "3", "value": str(draw(AMOUNTS)), "currency": "USD"},
        "insurance": {"mark": "1", "value": str(draw(st.decimals(0, 5, places=3)))},
        "misc": {"mark": "3", "value": str(draw(AMOUNTS)), "currency": "EUR"},
        "items": rows,
    }
    return inputs.from_json(request)


@given(requests())
@settings(max_examples=150, deadline=None)
def test_the_items_add_up_to_the_totals(request):
    found = assess(request, BOOK)
    answer = answers.as_json(found)
    for total in answer["totals"]:
        lines = [line for item in answer["items"] for line in item["taxes"] if line["tax"] == total["tax"]]
        assert sum(line["payable"] for line in lines) == total["payable"]
        assert sum(line["computed"] for line in lines) == total["computed"]
    assert answer["payable"] == sum(total["payable"] for total in answer["totals"]) + answer["late_declaration_fee"]
    assert answer["customs_value"] == sum(item["customs_value"] for item in answer["items"])
    assert all(line["payable"] == fen(line["payable"]) for item in answer["items"] for line in item["taxes"])


@given(AMOUNTS, st.lists(AMOUNTS, min_size=1, max_size=50))
def test_shares_add_up_to_the_charge_and_none_is_off_by_a_fen(total, weights):
    shares = split(total, weights)
    assert sum(shares) == total
    whole = sum(weights)
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - total * weight / whole) < Decimal("0.01")
        assert share >= 0


@given(requests(most=1), st.integers(10, 90))
@settings(max_examples=150, deadline=None)
def test_splitting_an_item_in_two_moves_no_tax_beyond_the_rounding(request, percent):
    """Each figure of two parts is rounded by itself. Their prices in yuan may differ by one fen from the whole's, and the
    insurance reckoned on those prices by one more."""
    item = request.items[0]
    part = (item.total * percent / 100).quantize(Decimal("0.01"))
    quantity = item.quantities["035"]
    share = quantity * part / item.total
    halves = (
        replace(item, total=part, quantities={"035": share}),
        replace(item, number=2, total=item.total - part, quantities={"035": quantity - share}, pointer="/items/1"),
    )
    whole, parts = assess(request, BOOK), assess(replace(request, items=halves), BOOK)
    assert abs(whole.customs_value - parts.customs_value) <= Decimal("0.02")
    for tax in ("duty", "safeguard", "consumption-tax", "vat"):
        apart = abs(whole.total(tax, "computed") - parts.total(tax, "computed"))
        assert apart <= Decimal("0.10"), tax


RATES = st.recursive(
    st.one_of(
        st.builds(AdValorem, PERCENTS, st.sampled_from([1, 3]), st.sampled_from(["", "case"])),
        st.builds(
            Specific, st.decimals(0, 1000, places=4), st.sampled_from(["035", "kg", "095"]),
            st.sampled_from(["CNY", "USD"]), st.sampled_from([Decimal(1), Decimal(1000)]), st.sampled_from(["", "lead"]),
        ),
    ),
    lambda inner: st.one_of(
        st.builds(lambda terms: Choice("max", tuple(terms)), st.lists(inner, min_size=2, max_size=3)),
        st.builds(lambda terms: Choice("min", tuple(terms)), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=5,
)  # fmt: skip


@given(st.one_of(RATES, st.lists(RATES, min_size=2, max_size=3).map(lambda terms: Sum(tuple(terms)))))
def test_a_rate_reads_back_as_it_was_written(rate):
    assert str(parse(str(rate))) == str(rate)
    assert units(parse(str(rate))) == units(rate)


@given(st.text(max_size=60))
def test_any_text_is_a_rate_or_refused(text):
    try:
        rate = parse(text)
    except RateTextError:
        return
    assert str(parse(str(rate))) == str(rate)


@given(AMOUNTS, PERCENTS)
def test_an_ad_valorem_amount_is_exact(value, percent):
    assert AdValorem(percent).amount(Goods(value)) * 100 == value * percent


@given(requests())
@settings(max_examples=60, deadline=None)
def test_a_request_reads_back_from_what_is_stored(request):
    assert inputs.from_json(inputs.to_json(request)) == request


def test_a_quotation_equals_the_assessment_that_follows(tariff):
    request = make.assessment_request()
    quoted = fixing.quote(request)
    stored = fixing.fix(subject="800020261000000009", request=request, audience=[1], actor="test")
    assert (stored.payable, stored.customs_value) == (quoted.payable, quoted.customs_value)


@pytest.mark.parametrize("table", ["measures", "exchange-rates", "parameters"])
def test_a_later_load_changes_no_past_answer(tariff, table):
    from tariffs import loading, lookup

    request = make.assessment_request()
    before = answers.as_json(fixing.quote(request))
    row = {
        "measures": {"code": "8509801000", "kind": "mfn", "origin": "MFN", "rate": "1%"},
        "exchange-rates": {"currency": "USD", "rate": "9.9999", "quoted_on": "2026-12-16"},
        "parameters": {"name": "vat.standard_percent", "value": "17"},
    }[table] | {"valid_from": "2030-01-01"}
    loading.load_rows(table, [row], actor="test", reason="later")
    lookup.forget()
    after = answers.as_json(fixing.quote(request))
    for answer in (before, after):
        answer["tariff_version"] = 0
        for item in answer["items"]:
            for candidate in item["candidates"]:
                candidate["valid_to"] = None  # that a rate will end one day is news, but no other answer
    assert after == before
