"""Duty and trade remedies of one item, by the rate that is selected for it or that an officer has fixed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from common.problems import Fault
from common.text import T

from . import valuation
from .assessed import REMEDY_TAXES, ItemResult
from .basis import Notice, Step
from .book import ALL, TAX_KINDS, Commodity
from .inputs import Item
from .rates import Rate, RateMissing, RateTextError, fen, parse
from .run import Run
from .selection import UNKNOWN_ORIGINS, Claim, select_export, select_import


def import_item(run: Run, item: Item, commodity: Commodity, value: Decimal) -> ItemResult:
    if item.fixed_value is not None:
        value = fen(item.fixed_value)
        _say_fixed(run, item, value)
    goods = run.goods(item, value)
    measures = run.book.measures(item.code, run.day)
    claim = Claim(item.origin, item.agreement, item.certificate, item.origin_proven, bool(item.quota), item.exporter)
    groups = run.book.groups(item.origin, run.day)
    preferred = run.book.groups(item.preferential_origin, run.day) if item.preferential_origin else groups
    chosen = select_import(measures, groups, claim, goods, preferred, lambda origin: run.book.groups(origin, run.day))
    result = ItemResult(item, commodity, value, goods, run.effect(item), chosen)
    for measure in measures:
        if measure.kind in TAX_KINDS and measure.group in groups:
            held = result.measures.get(measure.kind)
            if held is None or held.group == ALL:
                result.measures[measure.kind] = measure
    if item.quota and (chosen.duty is None or not chosen.duty.kind.startswith("quota_in")):
        run.faults.append(
            Fault(f"{item.pointer}/quota", "no-quota-for-code", T(
                "该商品没有关税配额", "there is no tariff quota for this code and origin"
            ))
        )  # fmt: skip
    rate = _fixed(run, item, result)
    if rate is None:
        if chosen.duty is None:
            run.faults.append(
                Fault(f"{item.pointer}/origin", "no-rate-for-origin", T(
                    "{code} 对原产地 {origin} 没有可适用的税率", "no rate of {code} applies to origin {origin}",
                    code=item.code, origin=item.origin or "?",
                ))
            )  # fmt: skip
            return result
        rate = chosen.duty.rate
        for missing in chosen.needs:
            run.missing(item, missing)
    _duty(run, result, "duty", rate, "tariff-law-23")
    unproven = not item.origin_proven or item.origin in UNKNOWN_ORIGINS
    for remedy in chosen.remedies:
        basis = "tariff-law-18" if remedy.kind == "retaliation" else "tariff-law-16"
        if unproven:
            basis = "tariff-law-19"
        _duty(run, result, REMEDY_TAXES[remedy.kind], remedy.rate, basis)
    if chosen.exporters:
        named = [f"{measure.exporter} {measure.rate}" for measure in chosen.exporters[:10]]
        run.notices.append(Notice("exporter-rates", item.number, {"rates": "; ".join(named)}))
    for other in chosen.unclaimed:
        run.notices.append(
            Notice("preference-not-used", item.number, {"agreement": other.agreement or other.group,
                                                        "rate": str(other.rate)})
        )  # fmt: skip
    return result


def export_item(run: Run, item: Item, commodity: Commodity, fob: Decimal) -> ItemResult:
    chosen = select_export(run.book.measures(item.code, run.day))
    result = ItemResult(item, commodity, fob, run.goods(item, fob), run.effect(item), chosen)
    rate = _fixed(run, item, result) or (chosen.duty.rate if chosen.duty is not None else None)
    if item.fixed_value is not None:
        value = fen(item.fixed_value)
        _say_fixed(run, item, value)
    else:
        try:
            value, worked = valuation.export_value(fob, rate, result.goods)
        except RateMissing as missing:
            run.missing(item, missing)
            return result
        run.steps.append(
            Step(
                "customs-value-export",
                item.number,
                worked,
                value,
                "tariff-law-29",
                inputs={"fob": f"{fob:f}", "rate": str(rate) if rate is not None else ""},
            )
        )
    result.value, result.goods = value, run.goods(item, value)
    if rate is not None:
        _duty(run, result, "export-duty", rate, "tariff-law-23")
    return result


def _say_fixed(run: Run, item: Item, value: Decimal) -> None:
    run.steps.append(
        Step("customs-value-fixed", item.number, f"{value:f}", value, "officer", inputs={"fixed": f"{value:f}"})
    )


def _fixed(run: Run, item: Item, result: ItemResult) -> Rate | None:
    if not item.fixed_rate:
        return None
    try:
        rate = parse(item.fixed_rate)
    except RateTextError:
        run.faults.append(Fault(f"{item.pointer}/fixed_rate", "not-a-rate", T("税率格式不正确", "this is not a rate")))
        return None
    chosen = result.selection
    chosen.reason = "officer"
    chosen.candidates = [
        replace(candidate, taken=False, reason="officer") if candidate.measure is chosen.duty else candidate
        for candidate in chosen.candidates
    ]
    return rate


def _duty(run: Run, result: ItemResult, tax: str, rate: Rate, basis: str) -> None:
    try:
        amount = fen(rate.amount(result.goods))
        worked = rate.worked(result.goods)
    except RateMissing as missing:
        run.missing(result.item, missing)
        return
    said = str(rate)
    inputs = {"customs_value": f"{result.value:f}", "rate": said}
    run.steps.append(Step(tax, result.item.number, worked, amount, basis, inputs=inputs))
    effect = result.effect.duty if tax in ("duty", "export-duty") else result.effect.remedy
    run.add(result, tax, result.value, said, amount, effect)
