"""Several bills of one, and one of several: the holder gives them up, the issuer makes the new ones in the same hands.
Quantities, containers and money are preserved, and what the journey has brought so far goes with the goods."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from bills import issuing, journey, keys, recording, rules
from bills.models import Bill, BillState, Involvement, Succession, Version
from bills.numbering import next_number
from bills.title import GUARDS, party_key
from common.problems import Fault, conflict, invalid
from common.text import T
from parties.models import Organisation
from parties.principals import Principal


def _successor(old: list[Bill], content: dict[str, Any], principal: Principal, operator: Organisation) -> Bill:
    bill = Bill.objects.create(
        number=next_number("bills_bill_number"), kind=content["kind"], negotiability=content["negotiability"],
        issuer=operator, issuer_key=party_key(keys.party_of(operator)), draft=content, issued_at=timezone.now(),
    )  # fmt: skip
    Succession.objects.bulk_create(Succession(old=one, new=bill) for one in old)
    recording.involve(bill, operator, Involvement.Role.OPERATOR)
    holder = old[0].holder
    assert holder is not None
    bill.draft = None
    issuing.new_version(
        bill, "ISSUE", principal=principal, operator=operator, content=content, holder=holder,
        extra={"replaces": [one.number for one in old]},
    )  # fmt: skip
    journey.carry_over(old, bill)
    return bill


def _holder_is_here(bill: Bill) -> None:
    if bill.holder_id is None:
        raise recording.refused([GUARDS["here"]])


#: What each part of a split says for itself; the rest is the old bill's.
OF_A_PART = ("goods", "containers", "charges", "total_charge", "declared_value", "insurance")
#: Most charges that one bill takes (bills/content.py).
MOST_CHARGES = 100


def _parts(version: Version, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each part is the old content with its own goods and containers, and its own share of the money."""
    if len(parts) < 2:
        raise invalid([Fault("/parts", "too-few-parts", T("至少分成两票", "A bill is split into two at least"))])
    shared = {name: value for name, value in version.content.items() if name not in OF_A_PART}
    made = [
        shared | {"goods": [], "containers": []} | {name: value for name, value in part.items() if name in OF_A_PART}
        for part in parts
    ]
    for index, content in enumerate(made):
        issuing.refuse(rules.check(content), f"/parts/{index}")
    issuing.refuse(rules.preserved([version.content], made))
    return made


@transaction.atomic
def split(*, number: str, principal: Principal, parts: list[dict[str, Any]], comments: str = "") -> list[Bill]:
    """One bill, given up by its holder, into several in the same hands. Quantities, containers and money are preserved."""
    bill = recording.lock(number, principal)
    operator = issuing.as_issuer(bill, principal)
    if bill.state != BillState.AMENDING:
        raise conflict(
            "state-conflict", T("须由持有人先交单更改", "The holder has to surrender it for amendment first")
        )
    _holder_is_here(bill)
    made = [_successor([bill], content, principal, operator) for content in _parts(issuing.current(bill), parts)]
    recording.record(
        bill, "SPLIT", actor=operator, by=principal.actor, recipient=bill.holder, comments=comments,
        details={"into": [{"bill": new.number, "transportDocumentChecksum": new.checksum} for new in made]},
    )  # fmt: skip
    return made


_ONE_JOURNEY = ("kind", "negotiability", "places", "legs")


def _added_up(contents: list[dict[str, Any]]) -> dict[str, Any]:
    """The money of several bills in one. Raises Problem 422 where it does not add up: two currencies, two insurances, more
    charges than one bill takes."""
    made: dict[str, Any] = {}
    faults = []
    if charges := [charge for content in contents for charge in content.get("charges", ())]:
        made["charges"] = charges
    if len(charges) > MOST_CHARGES:
        faults.append(
            Fault(
                "/numbers", "too-many-charges",
                T("合计 {n} 项费用，一票最多 {m} 项", "{n} charges together, a bill takes {m}", n=len(charges), m=MOST_CHARGES),
            )
        )  # fmt: skip
    for name in ("total_charge", "declared_value"):
        values = [content[name] for content in contents if content.get(name)]
        if values:
            made[name] = _sum(values)
        if len({value["currency"] for value in values}) > 1:
            faults.append(Fault("/numbers", "two-currencies", T("{n} 币种不同", "{n} is in two currencies", n=name)))
    insurances = [content["insurance"] for content in contents if content.get("insurance")]
    if insurances:
        amounts = [one["amount"] for one in insurances if one.get("amount")]
        made["insurance"] = insurances[0] | ({"amount": _sum(amounts)} if amounts else {})
        if len({tuple(sorted((k, v) for k, v in one.items() if k != "amount")) for one in insurances}) > 1:
            faults.append(Fault("/numbers", "two-insurances", T("保险不同", "The bills are insured differently")))
        if len({amount["currency"] for amount in amounts}) > 1:
            faults.append(
                Fault("/numbers", "two-currencies", T("保险金额币种不同", "The insured sums are in two currencies"))
            )
    if faults:
        raise invalid(faults)
    return made


def _sum(values: list[dict[str, str]]) -> dict[str, str]:
    total = sum((Decimal(value["amount"]) for value in values), Decimal(0))
    return {"amount": f"{total:f}", "currency": values[0]["currency"]}


@transaction.atomic
def combine(*, numbers: list[str], principal: Principal, comments: str = "") -> Bill:
    """Several bills of one holder over one journey, given up for it, into one."""
    if len(set(numbers)) < 2:
        raise invalid([Fault("/numbers", "too-few-bills", T("至少两票才能并单", "It takes two bills to combine"))])
    bills = [recording.lock(number, principal) for number in sorted(set(numbers))]
    operator = issuing.as_issuer(bills[0], principal)
    contents = [issuing.current(bill).content if bill.version else {} for bill in bills]
    faults = []
    for index, (bill, content) in enumerate(zip(bills, contents, strict=True)):
        if bill.state != BillState.AMENDING:
            faults.append(
                Fault(f"/numbers/{index}", "state-conflict", T("未交单更改", "Not surrendered for amendment"))
            )
        if (bill.issuer_id, bill.holder_key) != (operator.pk, bills[0].holder_key):
            faults.append(
                Fault(f"/numbers/{index}", "another-holder", T("签发人或持有人不同", "Another issuer or holder"))
            )
        if any(content.get(name) != contents[0].get(name) for name in _ONE_JOURNEY) or any(
            content.get("parties", {}).get(role) != contents[0].get("parties", {}).get(role)
            for role in ("consignor", "consignee")
        ):
            faults.append(
                Fault(f"/numbers/{index}", "another-journey", T("行程或当事人不同", "Another journey or other parties"))
            )
    if faults:
        raise invalid(faults)
    _holder_is_here(bills[0])
    goods = [item for content in contents for item in content["goods"]]
    boxes = {box["number"]: box for content in contents for box in content.get("containers", ())}
    combined = {name: value for name, value in contents[0].items() if name not in OF_A_PART}
    combined |= {"goods": goods, "containers": list(boxes.values())} | _added_up(contents)
    for name in ("received_on", "shipped_on"):
        combined.pop(name, None)
        if all(content.get(name) for content in contents):
            combined[name] = max(content[name] for content in contents)
    issuing.refuse(rules.preserved(contents, [combined]))
    new = _successor(bills, combined, principal, operator)
    for bill in bills:
        recording.record(
            bill, "COMBINE", actor=operator, by=principal.actor, recipient=bill.holder, comments=comments,
            details={"into": [{"bill": new.number, "transportDocumentChecksum": new.checksum}]},
        )  # fmt: skip
    return new


def totals(contents: list[dict[str, Any]]) -> dict[str, Decimal]:
    """Packages and weights over ``contents``."""
    return {
        measure: sum(
            (Decimal(goods.get(measure, "0")) for content in contents for goods in content["goods"]), Decimal(0)
        )
        for measure in rules.MEASURES
    }
