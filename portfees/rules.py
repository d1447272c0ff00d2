"""What a fee list must fulfil before it is published. Each rule is one function that yields every fault it finds; its
docstring says what it rests on. ``check`` runs them all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from common.problems import Fault
from common.text import T
from portfees.models import Ceiling, Condition, DayCount, Direction, FeeItem, FeeList, Payer, Pricing, Unit
from refdata import codes

SIZES = ("", "20", "40", "45")
Rule = Callable[[FeeList, Sequence[FeeItem]], Iterable[Fault]]
RULES: list[Rule] = []


def rule(function: Rule) -> Rule:
    RULES.append(function)
    return function


def _at(item: FeeItem, field: str) -> str:
    return f"/items/{item.line}/{field}"


def check(fee_list: FeeList, items: Sequence[FeeItem]) -> list[Fault]:
    """Every fault of a list, in the order of the rules."""
    return [fault for found in RULES for fault in found(fee_list, items)]


@rule
def list_is_not_empty(fee_list: FeeList, items: Sequence[FeeItem]) -> Iterator[Fault]:
    """A published list binds the body: an empty one would say that nothing may be charged."""
    if not items:
        yield Fault("/items", "list-empty", T("清单没有收费项目", "The list has no items"))


@rule
def port_is_known(fee_list: FeeList, items: Sequence[FeeItem]) -> Iterator[Fault]:
    """UN/LOCODE."""
    if not codes.is_valid("unlocode", fee_list.port, fee_list.valid.lower):
        yield Fault("/port", "unknown-port", T("未知口岸代码 {c}", "Unknown port code {c}", c=fee_list.port))


@rule
def complaint_telephone_is_given(fee_list: FeeList, items: Sequence[FeeItem]) -> Iterator[Fault]:
    """A published list tells where to complain (the form of the published catalogues)."""
    if not fee_list.complaint_telephone.strip():
        yield Fault(
            "/complaint_telephone", "telephone-missing", T("缺少投诉电话", "The complaint telephone is missing")
        )


@rule
def codes_of_an_item_are_known(fee_list: FeeList, items: Sequence[FeeItem]) -> Iterator[Fault]:
    """Units, payers, conditions, directions, pricing types and currencies come from tables."""
    tables: dict[str, Iterable[str]] = {
        "unit": Unit.values,
        "payer": Payer.values,
        "condition": Condition.values,
        "direction": Direction.values,
        "pricing": Pricing.values,
        "free_days_counted": DayCount.values,
        "container_size": SIZES,
    }
    for item in items:
        for name, values in tables.items():
            if getattr(item, name) not in values:
                yield Fault(
                    _at(item, name),
                    f"unknown-{name.replace('_', '-')}",
                    T("第 {n} 行：未知的值“{v}”", "Line {n}: unknown value “{v}”", n=item.line, v=getattr(item, name)),
                )
        if not codes.is_valid("currency", item.currency, fee_list.valid.lower):
            yield Fault(
                _at(item, "currency"),
                "unknown-currency",
                T("第 {n} 行：未知币种 {v}", "Line {n}: unknown currency {v}", n=item.line, v=item.currency),
            )


@rule
def texts_of_an_item_are_given(fee_list: FeeList, items: Sequence[FeeItem]) -> Iterator[Fault]:
    """Item, service content and code are what a firm compares an invoice with."""
    for item in items:
        for name in ("code", "name_zh", "service_content"):
            if not str(getattr(item, name)).strip():
                yield Fault(_at(item, name), "text-missing", T("第 {n} 行：缺少内容", "Line {n}: missing", n=item.line))


@rule
def rate_is_not_negative(fee_list: FeeList, items: Sequence[FeeItem]) -> Iterator[Fault]:
    """A charge is not a payment."""
    for item in items:
        if item.rate < 0:
            yield Fault(
                _at(item, "rate"),
                "rate-negative",
                T("第 {n} 行：费率不得为负", "Line {n}: the rate is below zero", n=item.line),
            )


@rule
def tax_rate_is_told_where_the_rate_is_without_tax(fee_list: FeeList, items: Sequence[FeeItem]) -> Iterator[Fault]:
    """A firm must be able to know what it will pay."""
    for item in items:
        if not item.tax_included and item.tax_rate is None:
            yield Fault(
                _at(item, "tax_rate"),
                "tax-rate-missing",
                T("第 {n} 行：不含税的费率须注明税率", "Line {n}: a rate without tax needs its tax rate", n=item.line),
            )
        if item.tax_rate is not None and not 0 <= item.tax_rate < 100:
            yield Fault(
                _at(item, "tax_rate"),
                "tax-rate-range",
                T("第 {n} 行：税率超出范围", "Line {n}: tax rate out of range", n=item.line),
            )


@rule
def tiers_rise_from_the_first_day(fee_list: FeeList, items: Sequence[FeeItem]) -> Iterator[Fault]:
    """Tiers stand only with a charge by the day, start at day 1 after the free days and have no gap."""
    for item in items:
        if not item.tiers and item.free_days is None:
            continue
        if item.unit != Unit.CONTAINER_DAY:
            yield Fault(
                _at(item, "tiers"),
                "tiers-without-days",
                T(
                    "第 {n} 行：阶梯费率和免费天数仅用于按天计费",
                    "Line {n}: tiers and free days need a charge by the day",
                    n=item.line,
                ),
            )
        elif not _tiers_hold(item.tiers):
            yield Fault(
                _at(item, "tiers"),
                "tiers-shape",
                T(
                    "第 {n} 行：阶梯须从第 1 天起逐级递增，费率不得为负",
                    "Line {n}: tiers must start at day 1, rise, and have no rate below zero",
                    n=item.line,
                ),
            )


def _tiers_hold(tiers: Any) -> bool:
    try:
        days = [int(tier["from_day"]) for tier in tiers]
        rates = [Decimal(str(tier["rate"])) for tier in tiers]
    except (KeyError, TypeError, ValueError, InvalidOperation):
        return False
    rising = all(first < second for first, second in itertools.pairwise(days))
    return not days or (days[0] == 1 and rising and all(rate.is_finite() and rate >= 0 for rate in rates))


def _rates(tiers: Any) -> list[Decimal]:
    return [Decimal(str(tier["rate"])) for tier in tiers] if _tiers_hold(tiers) else []


@rule
def a_case_stands_once(fee_list: FeeList, items: Sequence[FeeItem]) -> Iterator[Fault]:
    """Two lines for the same case would leave open which one binds."""
    seen: dict[tuple[str, ...], int] = {}
    for item in items:
        case = (item.code, item.container_size, item.condition, item.direction, item.trade_lane)
        if case in seen:
            yield Fault(
                _at(item, "code"),
                "case-twice",
                T("第 {n} 行与第 {m} 行重复", "Line {n} repeats line {m}", n=item.line, m=seen[case]),
            )
        seen.setdefault(case, item.line)


@rule
def lines_of_a_code_agree(fee_list: FeeList, items: Sequence[FeeItem]) -> Iterator[Fault]:
    """One service is charged in one way: the lines of a code share unit and whether they are mandatory."""
    first: dict[str, FeeItem] = {}
    for item in items:
        other = first.setdefault(item.code, item)
        if (item.unit, item.mandatory) != (other.unit, other.mandatory):
            yield Fault(
                _at(item, "unit"),
                "code-disagrees",
                T(
                    "第 {n} 行与第 {m} 行同一代码，但计费单位或必收属性不同",
                    "Line {n} has the code of line {m} but another unit or mandatory mark",
                    n=item.line,
                    m=other.line,
                ),
            )


@rule
def set_and_guided_prices_name_their_basis(fee_list: FeeList, items: Sequence[FeeItem]) -> Iterator[Fault]:
    """A government-set or guided price rests on a document; market prices may name one."""
    for item in items:
        if item.pricing != Pricing.MARKET and not item.legal_basis.strip():
            yield Fault(
                _at(item, "legal_basis"),
                "basis-missing",
                T(
                    "第 {n} 行：政府定价或指导价须注明依据",
                    "Line {n}: a set or guided price needs its legal basis",
                    n=item.line,
                ),
            )


@rule
def guided_prices_stay_under_their_ceiling(fee_list: FeeList, items: Sequence[FeeItem]) -> Iterator[Fault]:
    """Government-guided price: at most the ceiling in force on the list's first day; none known, none publishable. A ceiling on
    an item binds whatever pricing the list declares for it."""
    known = list(Ceiling.objects.on(fee_list.valid.lower).filter(code__in={item.code for item in items}))
    for item in items:
        fitting = [
            ceiling
            for ceiling in known
            if (ceiling.code, ceiling.unit, ceiling.currency) == (item.code, item.unit, item.currency)
            and ceiling.container_size in ("", item.container_size)
            and ceiling.port in ("", fee_list.port)
        ]
        if not fitting and item.pricing != Pricing.GUIDED:
            continue
        if not fitting:
            yield Fault(
                _at(item, "rate"),
                "ceiling-unknown",
                T("第 {n} 行：没有此项目的指导价上限", "Line {n}: no ceiling is on record for this item", n=item.line),
            )
            continue
        ceiling = max(fitting, key=lambda one: (bool(one.port), bool(one.container_size)))
        highest = max([item.rate, *_rates(item.tiers)])
        if highest > ceiling.amount:
            yield Fault(
                _at(item, "rate"),
                "above-ceiling",
                T(
                    "第 {n} 行：{rate} 高于上限 {ceiling}（{basis}）",
                    "Line {n}: {rate} is above the ceiling of {ceiling} ({basis})",
                    n=item.line,
                    rate=f"{highest:f}",
                    ceiling=f"{ceiling.amount:f}",
                    basis=ceiling.basis,
                ),
            )
