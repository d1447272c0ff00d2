"""Splitting and combining: what has to be preserved, and what goes with the goods."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from bills import division, exporting, issuing, journey, rules, verify
from bills.models import Bill
from tests.bills.cast import content, declared, handed_over
from tests.bills.test_title import refused


def two_box_content(cast) -> dict[str, Any]:
    made = content(cast)
    made["containers"].append({"number": "TCNU7200794", "size_type": "22G1", "seals": [{"number": "SG2"}]})
    made["goods"][0]["stowage"] = [
        {"container": "CSQU3054383", "packages": "10", "gross_weight_kg": "12600.5"},
        {"container": "TCNU7200794", "packages": "6", "gross_weight_kg": "7560"},
    ]
    return made


def parts_of(made: dict[str, Any]) -> list[dict[str, Any]]:
    goods, parts = made["goods"][0], []
    for stowed, net, volume, box in zip(
        goods["stowage"], ("12500", "7500"), ("18", "10.4"), made["containers"], strict=True
    ):
        item = goods | {k: stowed[k] for k in ("packages", "gross_weight_kg")}
        parts.append(
            {"goods": [item | {"net_weight_kg": net, "volume_m3": volume, "stowage": [stowed]}], "containers": [box]}
            | shares(made, first=not parts)
        )
    return parts


def shares(made: dict[str, Any], *, first: bool) -> dict[str, Any]:
    """A part's share of the money: 700 and 450 of the freight, 30 000 and 12 000 of what is insured."""
    (charge,), insurance = made["charges"], made["insurance"]
    insured = insurance["amount"] | {"amount": "30000" if first else "12000"}
    return {"charges": [charge | {"amount": "700" if first else "450"}], "insurance": insurance | {"amount": insured}}


def split_bill(cast) -> tuple[Bill, list[Bill], list[dict[str, Any]]]:
    made = two_box_content(cast)
    bill = issuing.draft(principal=cast.p("operator"), content=made)
    issuing.issue(number=bill.number, principal=cast.p("operator"))
    bill = handed_over(cast, bill)
    cast.does("buyer", "SURRENDER_FOR_AMENDMENT", bill)
    parts = parts_of(made)
    return bill, division.split(number=bill.number, principal=cast.p("operator"), parts=parts), parts


def test_splitting_preserves_every_quantity_and_the_holder(cast):
    bill, new, _ = split_bill(cast)
    bill.refresh_from_db()
    assert bill.state == "replaced"
    assert [one.holder for one in new] == [cast.buyer, cast.buyer]
    old = division.totals([bill.versions.get().content])
    assert division.totals([one.versions.get().content for one in new]) == old
    for one in new:
        assert verify.verify(exporting.export(one)).state == "issued"
    refused("state-conflict", cast.does, "buyer", "TRANSFER", bill, "third")


def test_a_split_that_loses_a_package_is_refused(cast):
    made = two_box_content(cast)
    bill = issuing.draft(principal=cast.p("operator"), content=made)
    issuing.issue(number=bill.number, principal=cast.p("operator"))
    cast.does("shipper", "SURRENDER_FOR_AMENDMENT", bill)
    parts = parts_of(made)
    parts[1]["goods"][0] |= {"packages": "5", "stowage": [parts[1]["goods"][0]["stowage"][0] | {"packages": "5"}]}
    refused("sum-not-preserved", division.split, number=bill.number, principal=cast.p("operator"), parts=parts)
    bill.refresh_from_db()
    assert bill.state == "amending"
    assert Bill.objects.count() == 1


@pytest.mark.parametrize("lost", ["charges", "insurance"])
def test_a_split_that_loses_or_doubles_money_is_refused(cast, lost):
    made = two_box_content(cast)
    bill = issuing.draft(principal=cast.p("operator"), content=made)
    issuing.issue(number=bill.number, principal=cast.p("operator"))
    cast.does("shipper", "SURRENDER_FOR_AMENDMENT", bill)
    split = {"number": bill.number, "principal": cast.p("operator")}
    whole = [part | {lost: made[lost]} for part in parts_of(made)]
    refused("money-not-preserved", division.split, **split, parts=whole)
    none = [{k: v for k, v in part.items() if k != lost} for part in parts_of(made)]
    refused("money-not-preserved", division.split, **split, parts=none)


def test_what_the_journey_brought_goes_with_the_goods_through_split_and_combination(cast):
    made = two_box_content(cast)
    bill = issuing.draft(principal=cast.p("operator"), content=made)
    issuing.issue(number=bill.number, principal=cast.p("operator"))
    bill = handed_over(cast, bill)
    operator = {"number": bill.number, "principal": cast.p("operator")}
    second = made["containers"][1]["number"]
    departed = timezone.now() - timedelta(days=3)
    journey.report(**operator, leg=1, kind="departed", occurred_at=departed)
    journey.report(**operator, leg=1, kind="damaged", container=second, occurred_at=departed + timedelta(hours=1))
    both = declared(bill, "released", containers=[])
    one = declared(bill, "lodged", containers=[
        {"container_number": second, "container_type": "11", "item_numbers": "1", "shared_load": "0"}
    ])  # fmt: skip
    for paper in (both, one):
        journey.link(**operator, kind="import_declaration", paper=paper)
    cast.does("buyer", "SURRENDER_FOR_AMENDMENT", bill)
    parts = division.split(**operator, parts=parts_of(made))
    assert [{paper.number for paper in part.papers.all()} for part in parts] == [{both}, {both, one}]
    assert [part.papers.get(number=both).released_at is not None for part in parts] == [True, True]
    assert [len(journey.damages(part)) for part in parts] == [0, 1]
    for part in parts:
        assert part.legs.get(sequence=1).actual_departure == departed
        assert journey.whereabouts(part)["status"] == "under_way"
        cast.does("buyer", "SURRENDER_FOR_AMENDMENT", part)
    whole = division.combine(numbers=[part.number for part in parts], principal=cast.p("operator"))
    assert sorted(whole.leg_events.values_list("kind", "container")) == [("damaged", second), ("departed", "")]
    assert whole.legs.get(sequence=1).actual_departure == departed
    assert {paper.number for paper in whole.papers.all()} == {both, one}
    content_ = whole.versions.get().content
    assert rules.money([content_]) == rules.money([made])


def test_more_charges_than_a_bill_takes_are_refused_and_not_cut_off(cast):
    charge = {"name": "THC", "amount": "1", "currency": "USD", "payment": "collect"}
    bills = []
    for number in ("CSQU3054383", "TCNU7200794"):
        made = content(cast, charges=[charge] * 51)
        made["containers"][0]["number"] = made["goods"][0]["stowage"][0]["container"] = number
        bill = issuing.draft(principal=cast.p("operator"), content=made)
        issuing.issue(number=bill.number, principal=cast.p("operator"))
        cast.does("shipper", "SURRENDER_FOR_AMENDMENT", bill)
        bills.append(bill.number)
    refused("too-many-charges", division.combine, numbers=bills, principal=cast.p("operator"))


def test_reports_out_of_order_leave_the_first_departure_and_the_last_arrival(cast):
    made = two_box_content(cast)
    bill = issuing.draft(principal=cast.p("operator"), content=made)
    issuing.issue(number=bill.number, principal=cast.p("operator"))
    report = {"number": bill.number, "principal": cast.p("operator"), "leg": 1}
    start = timezone.now() - timedelta(days=9)
    first, second = (box["number"] for box in made["containers"])
    days = {(first, "departed"): 1, (second, "departed"): 0, (second, "arrived"): 4, (first, "arrived"): 3}
    for (container, kind), day in days.items():
        journey.report(**report, kind=kind, container=container, occurred_at=start + timedelta(days=day))
    leg = bill.legs.get(sequence=1)
    assert (leg.actual_departure, leg.actual_arrival) == (start, start + timedelta(days=4))
    journey.report(**report | {"leg": 2}, kind="departed", container=first, occurred_at=start + timedelta(days=5))
    found = {row["container"]: (row["leg"], row["status"]) for row in journey.whereabouts(bill)["containers"]}
    assert found == {first: (2, "under_way"), second: (1, "arrived")}


def test_damage_belongs_to_the_leg_its_container_was_on(cast):
    """Civil Code arts 839-842: the segment decides whose liability rules apply; containers of one bill travel apart."""
    made = two_box_content(cast)
    bill = issuing.draft(principal=cast.p("operator"), content=made)
    issuing.issue(number=bill.number, principal=cast.p("operator"))
    start = timezone.now() - timedelta(days=9)
    first, second = (box["number"] for box in made["containers"])

    def told(kind: str, day: float, leg: int | None = None, container: str = "") -> None:
        journey.report(
            number=bill.number, principal=cast.p("operator"), kind=kind, leg=leg, container=container,
            occurred_at=start + timedelta(days=day),
        )  # fmt: skip

    told("departed", 0, 1)
    told("arrived", 3, 1, first)
    told("departed", 3.5, 2, first)
    told("arrived", 4, 1, second)
    for day, container in ((2, ""), (3, first), (3.2, first), (3.8, first), (3.8, second), (3.8, ""), (4.5, second)):
        told("damaged", day, None, container)
    found = [(row["container"], row["leg"]) for row in journey.damages(bill)]
    assert found == [("", 1), (first, 1), (first, None), (first, 2), (second, 1), ("", None), (second, None)]


def test_combining_brings_the_parts_back_together(cast):
    bill, new, _ = split_bill(cast)
    for one in new:
        cast.does("buyer", "SURRENDER_FOR_AMENDMENT", one)
    whole = division.combine(numbers=[one.number for one in new], principal=cast.p("operator"))
    assert division.totals([whole.versions.get().content]) == division.totals([bill.versions.get().content])
    assert whole.holder == cast.buyer
