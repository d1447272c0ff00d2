"""What holds for any declaration: sums, splits, texts that read back, a quotation that equals the assessment."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_CEILING, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tariffs import answers, fixing, inputs
from tariffs.assessment import assess
from tariffs.rates import (
    AdValorem,
    Choice,
    Classes,
    Goods,
    RateTextError,
    Specific,
    Sum,
    fen,
    parse,
    units,
)
from tariffs.valuation import IMPORT_TERMS, split
from tests import make
from tests.tariffs import golden

BOOK = golden.book()
AMOUNTS = st.decimals(min_value="0.01", max_value="99999999", places=2)
PERCENTS = st.decimals(min_value=0, max_value=400, places=3)
CODES = st.sampled_from(["8509800000", "0810600000", "2204210000", "2208200000", "3304990099", "8703234100"])


def charges(currency):
    """A header charge: a total in a currency, or per cent of the price."""
    rated = st.decimals(0, 20, places=3).map(lambda value: {"mark": "1", "value": str(value)})
    return st.one_of(AMOUNTS.map(lambda value: {"mark": "3", "value": str(value), "currency": currency}), rated)


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
        "freight": draw(charges("USD")),
        "insurance": draw(st.one_of(st.none(), charges("USD"))),
        "misc": draw(charges("EUR")),
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


HALF = Decimal("0.005")


def up(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_CEILING)


def below(amount: Decimal) -> Decimal:
    """The most whole fen that are strictly less."""
    return up(amount) - Decimal("0.01")


def value_moved(request, count) -> Decimal:
    """How far the customs value may move when the first item is split into so many parts."""
    foreign = request.items[0].currency != "CNY"
    price = below((count + 1) * HALF) if foreign else Decimal(0)
    takes_freight, takes_insurance = IMPORT_TERMS[request.trade_terms]
    value = price
    if takes_freight and request.freight.mark == "1":
        value += up(price * request.freight.value / 100)
    if takes_insurance and (request.insurance is None or request.insurance.mark == "1"):
        rate = Decimal("0.003") if request.insurance is None else (
            request.insurance.value / (100 - request.insurance.value)
        )  # fmt: skip
        value += up(value * rate)
    if request.misc.mark == "1":
        value += up(price * request.misc.value / 100)
    return value


def moved(request, whole, parts) -> dict[str, Decimal]:
    """How far the total of each figure may move when the only item is split into k parts: the roundings, and no more.

    Half-up rounding errs by e with -1/2 < e <= 1/2 fen. Sums of whole fen therefore differ by fewer than (k + 1)/2 fen where
    k figures are rounded instead of one; `x` that moved by d before it is rounded once moves by at most d rounded up;
    k figures of a rate a, on a base that moved by d, by fewer than (k + 1)/2 + a*d fen. docs/tariffs.md has the list."""
    roundings = (len(parts.items) + 1) * HALF
    value = value_moved(request, len(parts.items))
    allowed = {"customs_value": value}
    due = Decimal(0)
    lines = {line.tax: line for line in whole.items[0].taxes}
    for tax, line in lines.items():
        share = sum(
            (leaf.percent / 100 for leaf in parse(line.rate).leaves() if isinstance(leaf, AdValorem)), Decimal(0)
        )
        base = value + due
        if tax in ("duty", "safeguard"):
            base = value
        elif tax == "consumption-tax":
            base = below(roundings + base / (1 - share))
        allowed[tax] = below(roundings + share * base) if line.rate != "0%" else Decimal(0)
        other = next(part for part in parts.items[0].taxes if part.tax == tax)
        if other.status != line.status:  # the threshold: the whole tax, and not its roundings, falls away
            due += max(whole.total(tax, "computed"), parts.total(tax, "computed"))
        elif line.due or line.computed == 0:
            due += allowed[tax]
    return allowed


def split_into(request, percents):
    """The request with its first item in parts: the given shares of price and quantity, and the rest."""
    item, *others = request.items
    prices = [(item.total * percent / 100).quantize(Decimal("0.01")) for percent in percents]
    prices.append(item.total - sum(prices))
    whole = item.quantities["035"]
    quantities = [whole * price / item.total for price in prices[:-1]]
    quantities.append(whole - sum(quantities))
    parts = [
        replace(item, number=number, total=price, quantities={"035": quantity}, pointer=f"/items/{number - 1}")
        for number, (price, quantity) in enumerate(zip(prices, quantities, strict=True), 1)
    ]
    parts += [
        replace(other, number=number, pointer=f"/items/{number - 1}")
        for number, other in enumerate(others, len(parts) + 1)
    ]
    return replace(request, items=tuple(parts))


@given(requests(most=1), st.lists(st.integers(10, 30), min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_splitting_an_item_moves_no_tax_beyond_the_rounding(request, percents):
    whole, parts = assess(request, BOOK), assess(split_into(request, percents), BOOK)
    for name, most in moved(request, whole, parts).items():
        if name == "customs_value":
            apart = abs(whole.customs_value - parts.customs_value)
        else:
            apart = abs(whole.total(name, "computed") - parts.total(name, "computed"))
        assert apart <= most, name


@given(requests(most=4), st.lists(st.integers(10, 30), min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_splitting_one_of_several_items_leaves_the_header_charges_as_they_are(request, percents):
    whole, parts = assess(request, BOOK), assess(split_into(request, percents), BOOK)
    assert abs(whole.customs_value - parts.customs_value) <= value_moved(request, len(percents) + 1)


@pytest.mark.parametrize(
    ("total", "insurance", "percents", "apart"),
    [
        ("5.00", "0", [50], "0.01"),
        ("9.06", "5", [50], "0.02"),
        ("5.63", "0", [25, 25, 25], "0.02"),
        ("9.20", "5", [30, 30], "0.02"),
    ],
)
def test_the_bounds_of_a_split_are_reached(total, insurance, percents, apart):
    """No smaller bound is true: one rounding more of the price, and with a rated insurance that of the insurance too."""
    request = inputs.from_json({
        "completed_on": "2026-10-12", "trade_terms": "2", "misc": {"mark": "3", "value": "1"},
        "insurance": {"mark": "1", "value": insurance},
        "items": [{"code": "8509800000", "total": total, "currency": "USD", "origin": "DEU", "quantities": {"035": "1"}}],
    })  # fmt: skip
    whole, parts = assess(request, BOOK), assess(split_into(request, percents), BOOK)
    assert abs(whole.customs_value - parts.customs_value) == Decimal(apart)
    assert moved(request, whole, parts)["customs_value"] == Decimal(apart)


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
PLAIN = st.builds(AdValorem, st.decimals(0, 99, places=2))
CLASSES = st.builds(
    Classes, st.sampled_from(["070", "143"]), st.sampled_from(["value", "price"]), st.decimals(1, 9999, places=2),
    st.sampled_from(["CNY", "USD"]), PLAIN, PLAIN,
)  # fmt: skip


@given(st.one_of(RATES, CLASSES, st.lists(RATES, min_size=2, max_size=3).map(lambda terms: Sum(tuple(terms)))))
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


@given(requests())
@settings(max_examples=60, deadline=None)
def test_what_is_quoted_is_what_is_assessed_from_the_stored_request(request):
    assert answers.as_json(assess(inputs.from_json(inputs.to_json(request)), BOOK)) == answers.as_json(
        assess(request, BOOK)
    )


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
