"""Cross-border e-commerce retail imports: the composite tax within a buyer's limits.

facts.md is silent on this; everything here is from general knowledge (docs/tariffs.md says so) and is dated data: the
limits, the share levied, the regimes. Within both limits no duty, and 70 % of the statutory consumption tax and VAT.
Over the single limit with one article only, and still within the year's: the full taxes of goods. Otherwise the order
is no retail import.
"""

from __future__ import annotations

from decimal import Decimal

from common.problems import Fault
from common.text import T

from . import inland
from .assessed import ItemResult, TaxLine
from .basis import Notice, Step
from .inputs import AssessmentInput
from .rates import NOTHING, ZERO, fen, plain
from .run import Run

REGIMES = ("1210", "1239", "9610")


def applies(request: AssessmentInput) -> bool:
    """A retail order has a buyer; a bonded regime without one is the goods' entry into the zone."""
    return request.direction == "I" and request.regime in REGIMES and request.buyer is not None


def levy(run: Run, results: list[ItemResult]) -> None:
    """Replace what the ordinary rules made of the items by the composite tax, or by the full taxes of goods."""
    buyer = run.request.buyer
    assert buyer is not None
    single = run.book.parameter("retail.single_limit_yuan", run.day)
    annual = run.book.parameter("retail.annual_limit_yuan", run.day)
    value = sum((result.value for result in results), ZERO)
    compared = f"{value:f} {'>' if value > single else '≤'} {plain(single)}"
    run.steps.append(
        Step("retail-limit", None, compared, value, "retail-2018-49", inputs={
            "single_limit": plain(single), "annual_limit": plain(annual), "used_this_year": plain(buyer.used_this_year),
        })
    )  # fmt: skip
    if buyer.used_this_year + value > annual:
        run.faults.append(
            Fault("/buyer/used_this_year", "retail-annual-limit", T(
                "超过个人年度交易限值 {limit} 元，应按一般贸易申报",
                "over the buyer's annual limit of {limit} yuan; declare as general trade", limit=plain(annual),
            ))
        )  # fmt: skip
        return
    if value > single:
        if len(results) > 1 or buyer.articles > 1:
            run.faults.append(
                Fault("/items", "retail-single-limit", T(
                    "超过单次交易限值 {limit} 元且不止一件商品，应按一般贸易申报",
                    "over the single limit of {limit} yuan with more than one article; declare as general trade",
                    limit=plain(single),
                ))
            )  # fmt: skip
            return
        run.notices.append(Notice("retail-over-limit"))
        run.each(results, lambda result: _taxes(run, result, Decimal(100), "retail-2018-49"))
        return
    share = run.book.parameter("retail.levied_percent", run.day)
    for result in results:
        for line in result.taxes:
            line.due = line.payable = NOTHING
            line.status = "exempt"
    run.each(results, lambda result: _taxes(run, result, share, "retail-2016-18"))


def _taxes(run: Run, result: ItemResult, share: Decimal, basis: str) -> None:
    for line in result.taxes:
        if share == 100:
            line.due = line.payable = line.computed
            line.status = "levied"
    found = inland.consumption(run, result)
    if found is not None:
        base, amount, rate = found
        consumption = run.add(result, "consumption-tax", base, rate, amount, "levy")
        base, amount, rate = inland.vat(run, result)
        _cut(run, result, consumption, share, basis, "retail-consumption-tax")
    else:
        base, amount, rate = inland.vat(run, result)
    vat = run.add(result, "vat", base, rate, amount, "levy")
    _cut(run, result, vat, share, basis, "retail-vat")


def _cut(run: Run, result: ItemResult, line: TaxLine, share: Decimal, basis: str, code: str) -> None:
    if share == 100:
        return
    line.due = line.payable = fen(line.computed * share / 100)
    line.status = "reduced"
    run.steps.append(
        Step(
            code,
            result.item.number,
            f"{line.computed:f} × {plain(share)}%",
            line.payable,
            basis,
            inputs={"tax": f"{line.computed:f}", "share": f"{plain(share)}%"},
        )
    )
