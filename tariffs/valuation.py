"""The customs value (计税价格): prices, freight, insurance, charges, additions and deductions, in yuan to the fen.

Header charges are split over the items by price with cumulative rounding: each item gets the rounded running total less
what the items before it got. The last item so takes the remainder, and no share is off by a fen or more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate

from common.problems import Fault
from common.text import T

from .basis import Notice, Step
from .inputs import ADDITIONS, AssessmentInput, Fee
from .rates import ZERO, AdValorem, Choice, Goods, Rate, RateMissing, Specific, Sum, fen, plain

HUNDRED = Decimal(100)
#: What a customs value is made of, in order.
PARTS = ("price", "freight", "insurance", "misc", "adjustments")

#: trade terms -> (freight is not in the price, insurance is not in the price)
IMPORT_TERMS = {
    "1": (False, False), "2": (False, True), "3": (True, True), "4": (True, False), "7": (True, True),
    "5": (False, False), "6": (False, False),
}  # fmt: skip
#: trade terms -> (freight is in the price, insurance is in the price): on export they come off
EXPORT_TERMS = {
    "1": (True, True), "2": (True, False), "3": (False, False), "4": (False, True), "7": (False, False),
    "5": (False, False), "6": (False, False),
}  # fmt: skip

Convert = Callable[[Decimal, str], Decimal]


@dataclass(slots=True)
class Build:
    """What the items' values are made of; all lists run along the items."""

    prices: list[Decimal]
    values: list[Decimal]
    steps: list[Step]
    notices: list[Notice]
    faults: list[Fault]


def split(total: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Shares of a sum of fen by weight, cumulative rounding; equal shares where all weights are zero."""
    if len(weights) == 1:
        return [total]
    if sum(weights) == 0:
        weights = [Decimal(1)] * len(weights)
    whole = sum(weights)
    shares = []
    running = given = ZERO
    for weight in weights:
        running += weight
        share = fen(total * running / whole) - given
        given += share
        shares.append(share)
    return shares


def build(
    request: AssessmentInput, convert: Convert, describe: Callable[[str], str], default_insurance: Decimal
) -> Build:
    """Customs values of an import, or FOB prices of an export, item by item."""
    out = Build([], [], [], [], [])
    for item in request.items:
        try:
            price = fen(convert(item.total, item.currency))
        except RateMissing:
            out.faults.append(
                Fault(f"{item.pointer}/currency", "exchange-rate-missing", T(
                    "{currency} 在该月没有汇率", "no exchange rate for {currency} in that month", currency=item.currency
                ))
            )  # fmt: skip
            continue
        out.prices.append(price)
        if item.currency != "CNY":
            invoiced = plain(item.total)
            out.steps.append(
                Step("price", item.number, f"{invoiced} {item.currency} × {describe(item.currency)}", price,
                     "order-272-13", inputs={"total": invoiced, "currency": item.currency})
            )  # fmt: skip
    if out.faults:
        return out
    total = sum(out.prices, ZERO)
    export = request.direction == "E"
    terms = (EXPORT_TERMS if export else IMPORT_TERMS).get(request.trade_terms)
    if terms is None:
        out.faults.append(Fault("/trade_terms", "unknown-trade-terms", T("成交方式不明", "unknown trade terms")))
        return out
    takes_freight, takes_insurance = terms
    if not export and request.trade_terms in ("5", "6"):
        # No formula is published for these; what is declared as a charge is added to the price.
        takes_freight, takes_insurance = request.freight is not None, request.insurance is not None
    sign = -1 if export else 1

    freight = _freight(request, out, total, convert, describe, takes_freight, export)
    insurance = _insurance(request, out, total, freight, convert, describe, takes_insurance, export, default_insurance)
    misc = _misc(request, out, total, convert, describe)
    if request.trade_terms == "7" and not export and request.misc is None and not request.adjustments:
        out.notices.append(Notice("exw-costs"))
    if out.faults:
        return out

    charges = {"freight": sign * freight, "insurance": sign * insurance, "misc": misc}
    shares = [split(charge, out.prices) for charge in charges.values()]
    if len(request.items) > 1:
        _say_shares(request, out, charges, shares)
    adjustments = _adjustments(request, out, convert, describe)
    for place, item in enumerate(request.items):
        parts = [out.prices[place], *(share[place] for share in shares), adjustments[place]]
        value = sum(parts, ZERO)
        out.values.append(value)
        if value <= 0:
            out.faults.append(
                Fault(f"{item.pointer}/total", "value-not-positive", T(
                    "计税价格须大于零，现为 {value}", "the customs value must be above zero; it is {value}", value=plain(value)
                ))
            )  # fmt: skip
        if not export:
            said = [f"{part:f}" for part in parts]
            worked = " + ".join(
                text if part >= 0 else f"({text})" for part, text in zip(parts, said, strict=True) if part
            )
            out.steps.append(
                Step("customs-value", item.number, worked, value, "tariff-law-24",
                     inputs=dict(zip(PARTS, said, strict=True)))
            )  # fmt: skip
    return out


def _charge(fee: Fee, name: str, out: Build, convert: Convert) -> Decimal:
    try:
        return fen(convert(fee.value, fee.currency))
    except RateMissing:
        out.faults.append(
            Fault(f"/{name}/currency", "exchange-rate-missing", T(
                "{currency} 在该月没有汇率", "no exchange rate for {currency} in that month", currency=fee.currency
            ))
        )  # fmt: skip
        return ZERO


def _freight(
    request: AssessmentInput,
    out: Build,
    total: Decimal,
    convert: Convert,
    describe: Callable[[str], str],
    wanted: bool,
    export: bool,
) -> Decimal:
    fee = request.freight
    if not wanted:
        if fee is not None and fee.value:
            out.notices.append(Notice("fee-in-price", params={"fee": "freight"}))
        return ZERO
    if fee is None:
        out.faults.append(
            Fault(
                "/freight", "freight-missing", T("该成交方式须申报运费", "these trade terms need the freight declared")
            )
        )
        return ZERO
    basis = "tariff-law-29" if export else "tariff-law-24"
    if fee.mark == "1":
        amount = fen(total * fee.value / HUNDRED)
        worked = f"{total:f} × {plain(fee.value)}%"
        out.steps.append(
            Step("freight-rate", None, worked, amount, basis, inputs={"price": f"{total:f}", "rate": plain(fee.value)})
        )
        return amount
    if fee.mark == "2":
        if request.gross_weight is None:
            out.faults.append(
                Fault("/gross_weight", "gross-weight-missing", T(
                    "按单价申报运费须有毛重", "freight by unit price needs the gross weight"
                ))
            )  # fmt: skip
            return ZERO
        tonnes = request.gross_weight / 1000
        amount = _charge(Fee("3", fee.value * tonnes, fee.currency), "freight", out, convert)
        rate = "" if fee.currency == "CNY" else f" × {describe(fee.currency)}"
        worked = f"{plain(tonnes)} t × {plain(fee.value)} {fee.currency}{rate}"
        out.steps.append(
            Step("freight-unit", None, worked, amount, basis, inputs={"tonnes": plain(tonnes)} | _declared(fee))
        )
        return amount
    amount = _charge(fee, "freight", out, convert)
    if amount:
        out.steps.append(Step("freight", None, _in_yuan(fee, describe), amount, basis, inputs=_declared(fee)))
    return amount


def _insurance(
    request: AssessmentInput,
    out: Build,
    total: Decimal,
    freight: Decimal,
    convert: Convert,
    describe: Callable[[str], str],
    wanted: bool,
    export: bool,
    default: Decimal,
) -> Decimal:
    fee = request.insurance
    if not wanted:
        if fee is not None and fee.value:
            out.notices.append(Notice("fee-in-price", params={"fee": "insurance"}))
        return ZERO

    def insured(rate: Decimal) -> dict[str, str]:
        return {"price": f"{total:f}", "freight": f"{freight:f}", "rate": plain(rate)}

    if fee is None:
        if export:
            out.faults.append(
                Fault("/insurance", "insurance-missing", T(
                    "该成交方式须申报保险费", "these trade terms need the insurance declared"
                ))
            )  # fmt: skip
            return ZERO
        amount = fen((total + freight) * default / HUNDRED)
        worked = f"({total:f} + {freight:f}) × {plain(default)}%"
        out.steps.append(Step("insurance-default", None, worked, amount, "order-213", inputs=insured(default)))
        out.notices.append(Notice("insurance-default"))
        return amount
    if fee.mark == "1":
        if fee.value >= HUNDRED:
            out.faults.append(
                Fault("/insurance/value", "insurance-rate-too-high", T(
                    "保险费率须小于 100%", "the insurance rate must be below 100 %"
                ))
            )  # fmt: skip
            return ZERO
        if export:
            # The price already holds the insurance: the rate is of the insured price itself.
            amount = fen(total * fee.value / HUNDRED)
            worked = f"{total:f} × {plain(fee.value)}%"
            out.steps.append(
                Step("insurance-included", None, worked, amount, "tariff-law-29",
                     inputs={"price": f"{total:f}", "rate": plain(fee.value)})
            )  # fmt: skip
            return amount
        amount = fen((total + freight) * fee.value / (HUNDRED - fee.value))
        worked = f"({total:f} + {freight:f}) × {plain(fee.value)}% ÷ (1 − {plain(fee.value)}%)"
        out.steps.append(Step("insurance-rate", None, worked, amount, "tariff-law-24", inputs=insured(fee.value)))
        return amount
    amount = _charge(fee, "insurance", out, convert)
    if amount:
        out.steps.append(
            Step(
                "insurance",
                None,
                _in_yuan(fee, describe),
                amount,
                "tariff-law-29" if export else "tariff-law-24",
                inputs=_declared(fee),
            )
        )
    return amount


def _misc(
    request: AssessmentInput, out: Build, total: Decimal, convert: Convert, describe: Callable[[str], str]
) -> Decimal:
    fee = request.misc
    if fee is None or not fee.value:
        return ZERO
    basis = "tariff-law-29" if request.direction == "E" else "tariff-law-25" if fee.value > 0 else "tariff-law-26"
    if fee.mark == "1":
        amount = fen(total * fee.value / HUNDRED)
        worked = f"{total:f} × {plain(fee.value)}%"
        out.steps.append(
            Step("misc-rate", None, worked, amount, basis, inputs={"price": f"{total:f}", "rate": plain(fee.value)})
        )
        return amount
    amount = _charge(fee, "misc", out, convert)
    out.steps.append(Step("misc", None, _in_yuan(fee, describe), amount, basis, inputs=_declared(fee)))
    return amount


def _adjustments(
    request: AssessmentInput, out: Build, convert: Convert, describe: Callable[[str], str]
) -> list[Decimal]:
    sums = [ZERO] * len(request.items)
    place = {item.number: index for index, item in enumerate(request.items)}
    for index, adjustment in enumerate(request.adjustments):
        fee = Fee("3", adjustment.amount, adjustment.currency)
        amount = _charge(fee, f"adjustments/{index}", out, convert)
        adds = adjustment.kind in ADDITIONS
        code, basis = ("addition", "tariff-law-25") if adds else ("deduction", "tariff-law-26")
        out.steps.append(
            Step(
                code,
                adjustment.item,
                _in_yuan(fee, describe),
                amount,
                basis,
                inputs={"kind": adjustment.kind} | _declared(fee),
            )
        )
        signed = amount if adds else -amount
        if adjustment.item is None:
            for position, share in enumerate(split(signed, out.prices)):
                sums[position] += share
        else:
            sums[place[adjustment.item]] += signed
    return sums


def _say_shares(
    request: AssessmentInput, out: Build, charges: dict[str, Decimal], shares: Sequence[Sequence[Decimal]]
) -> None:
    prices = [f"{price:f}" for price in out.prices]
    running = [f"{price:f}" for price in accumulate(out.prices)]
    whole = running[-1]
    for (name, charge), parts in zip(charges.items(), shares, strict=True):
        if not charge:
            continue
        total, given = f"{charge:f}", ZERO
        for item, price, so_far, share in zip(request.items, prices, running, parts, strict=True):
            out.steps.append(
                Step("share", item.number, f"{total} × {so_far} ÷ {whole} − {given:f}", share, "split", inputs={
                    "charge": name, "total": total, "price": price,
                })
            )  # fmt: skip
            given += share


def _declared(fee: Fee) -> dict[str, str]:
    return {"declared": plain(fee.value), "currency": fee.currency}


def _in_yuan(fee: Fee, describe: Callable[[str], str]) -> str:
    if fee.currency == "CNY":
        return f"{plain(fee.value)}"
    return f"{plain(fee.value)} {fee.currency} × {describe(fee.currency)}"


def export_value(fob: Decimal, rate: Rate | None, goods: Goods) -> tuple[Decimal, str]:
    """The FOB price without the export duty in it (Tariff Law art. 29), and the arithmetic. Raises RateMissing where the rate
    does not say how much of the price is duty: an officer fixes the value then."""
    if rate is None:
        return fob, f"{fob:f}"
    value, worked = _without_duty(fob, rate, goods)
    return fen(value), worked


def _without_duty(fob: Decimal, rate: Rate, goods: Goods) -> tuple[Decimal, str]:
    if isinstance(rate, Choice):
        # Value and duty together rise with the value: where the higher duty is owed, the lowest value leaves room for it.
        found = [_without_duty(fob, term, goods) for term in rate.terms]
        pick, name = (min, "min") if rate.pick == "max" else (max, "max")
        return pick(value for value, _ in found), f"{name}({'; '.join(worked for _, worked in found)})"
    percent = specific = ZERO
    for term in rate.terms if isinstance(rate, Sum) else (rate,):
        if isinstance(term, AdValorem) and not term.part:
            percent += term.percent / term.over
        elif isinstance(term, AdValorem | Specific):
            specific += term.amount(goods)
        else:
            raise RateMissing("reference", str(rate))
    value = (fob - specific) / (1 + percent / HUNDRED)
    if not percent and not specific:
        return value, f"{fob:f}"
    return value, f"({fob:f} − {plain(specific)}) ÷ (1 + {plain(percent)}%)"
