from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfees.quotation import Containers, Journey, charge, day_charge, quote, total
from tests.portfees.conftest import item

D = Decimal


@pytest.fixture(autouse=True)
def reference() -> None:
    """Arithmetic alone: no database."""


def journey(*containers: Containers, **details) -> Journey:
    return Journey(
        **{"port": "CNQZH", "day": date(2026, 6, 1), "direction": "import", "containers": containers} | details
    )


def test_each_container_pays_its_most_specific_line():
    lines = [
        item(rate=D(500)),
        item(container_size="40", rate=D(800)),
        item(container_size="40", condition="reefer", rate=D(1000)),
    ]
    found = quote(lines, journey(Containers("20", 2), Containers("40", 3), Containers("40", 1, "reefer")))
    assert [(one.item.rate, one.quantity, one.amount) for one in found.mandatory] == [
        (D(500), D(2), D("1000.00")),
        (D(800), D(3), D("2400.00")),
        (D(1000), D(1), D("1000.00")),
    ]
    assert found.totals == {"CNY": D("4400.00")}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("weightier", "lighter"),
    [
        ({"condition": "reefer"}, {"container_size": "40", "trade_lane": "SEA", "direction": "import"}),
        ({"container_size": "40"}, {"trade_lane": "SEA", "direction": "import"}),
        ({"trade_lane": "SEA"}, {"direction": "import"}),
        ({"direction": "import"}, {}),
    ],
)
def test_the_order_of_rows_does_not_decide_which_line_binds(weightier, lighter, turned):
    """Condition before size before trade lane before direction, as docs/port-fees.md says."""
    lines = [item(rate=D(1), **weightier), item(rate=D(2), **lighter)]
    found = quote(lines[::-1] if turned else lines, journey(Containers("40", 1, "reefer"), trade_lane="SEA"))
    assert [one.amount for one in found.mandatory] == [D("1.00")]


def test_a_box_or_a_service_without_a_line_is_told_and_not_quoted_at_nothing():
    lines = [item(container_size="20"), item("WASH", mandatory=False, direction="export")]
    found = quote(lines, journey(Containers("20", 1), Containers("45", 2), services=frozenset({"WASH", "WSAH"})))
    assert found.not_covered == (Containers("45", 2),)
    assert found.unknown_services == ("WASH", "WSAH")
    whole = quote(lines, journey(Containers("20", 1)))
    assert (whole.not_covered, whole.unknown_services) == ((), ())


def test_free_days_counted_in_working_days_are_those_of_the_calendar():
    """Four days from Thursday 4 June 2026, three working days free: Thu, Fri, Mon; nothing is charged. Six days: two are."""
    line = item(unit="container_day", rate=D(10), free_days=3, free_days_counted="working")
    thursday = {"day": date(2026, 6, 4)}
    assert quote([line], journey(Containers("20", 1, days=4), **thursday)).totals == {"CNY": D("0.00")}
    assert quote([line], journey(Containers("20", 1, days=7), **thursday)).totals == {"CNY": D("20.00")}


def test_a_line_for_exports_is_not_charged_on_an_import():
    assert quote([item(direction="export")], journey(Containers("20", 1))).mandatory == ()


def test_a_service_on_request_is_charged_when_it_is_wanted():
    lines = [item(), item("WASH", mandatory=False, rate=D(80))]
    assert quote(lines, journey(Containers("20", 1))).optional == ()
    wanted = quote(lines, journey(Containers("20", 1), services=frozenset({"WASH"})))
    assert [one.amount for one in wanted.optional] == [D("80.00")]
    assert wanted.totals == {"CNY": D("580.00")}


@pytest.mark.parametrize(
    ("unit", "details", "amount"),
    [
        ("bill", {"bills": 3}, "150.00"),
        ("declaration", {"declarations": 2}, "100.00"),
        ("tonne", {"tonnes": D("20.505")}, "1025.25"),
        ("cubic_metre", {"cubic_metres": D("1.5")}, "75.00"),
    ],
)
def test_documents_and_measures_are_charged_by_their_number(unit, details, amount):
    found = quote([item(unit=unit, rate=D(50))], journey(Containers("20", 1), **details))
    assert [str(one.amount) for one in found.mandatory] == [amount]


def test_nothing_is_charged_for_no_tonnes():
    assert quote([item(unit="tonne")], journey(Containers("20", 1))).mandatory == ()


@pytest.mark.parametrize(("days", "cost"), [(0, 0), (7, 0), (8, 50), (12, 250), (13, 350), (17, 750), (18, 1000)])
def test_days_after_the_free_ones_are_charged_by_rising_tiers(days, cost):
    """7 days free, then days 1-5 at 50, 6-10 at 100, from 11 at 250: worked by hand."""
    line = item(
        unit="container_day",
        free_days=7,
        tiers=[{"from_day": 1, "rate": "50"}, {"from_day": 6, "rate": "100"}, {"from_day": 11, "rate": "250"}],
    )
    assert day_charge(line, days)[0] == D(cost)


def test_tax_is_added_where_the_rate_is_without_it_and_rounded_half_up():
    """0.125 × 1 × 1.06 = 0.1325 -> 0.13; 3 × 33.335 × 1.06 = 106.0053 -> 106.01."""
    line = item(rate=D("33.335"), tax_included=False, tax_rate=D(6))
    assert charge(line, D(3)).amount == D("106.01")
    assert charge(item(rate=D("0.125")), D(1)).amount == D("0.13")
    assert charge(line, D(3)).arithmetic == "3 × 33.335 × (1 + 6%) = 106.01"


def test_the_sum_per_container_in_yuan_and_dollars():
    """2 × 500 CNY + 100 USD at 7.1 = 1710 CNY; 855 a container; 1710 / 7.1 = 240.845... -> 240.85 USD, 120.43 each."""
    lines = [item(), item("DOC", unit="bill", rate=D(100), currency="USD")]
    summed = total(quote(lines, journey(Containers("20", 2))), lambda currency, day: {"USD": D("7.1")}.get(currency))
    assert (summed.cny, summed.cny_per_container) == (D("1710.00"), D("855.00"))
    assert (summed.usd, summed.usd_per_container) == (D("240.85"), D("120.43"))


def test_a_missing_rate_leaves_the_sum_open_instead_of_wrong():
    found = quote([item(currency="EUR")], journey(Containers("20", 1)))
    assert total(found, lambda currency, day: None).cny is None


@given(
    counts=st.lists(st.integers(1, 500), min_size=1, max_size=5),
    rate=st.decimals("0", "99999.99", places=2),
)
def test_splitting_a_group_of_containers_changes_nothing(counts, rate):
    """With rates to the fen there is nothing to round, so the split must not show."""
    lines = [item(rate=rate)]
    whole = quote(lines, journey(Containers("40", sum(counts))))
    split = quote(lines, journey(*(Containers("40", count) for count in counts)))
    assert whole.totals == split.totals == {"CNY": rate * sum(counts)}
