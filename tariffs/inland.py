"""What an import bears besides duty, consumption tax and VAT, and the threshold below which a tax is not levied."""

from __future__ import annotations

from decimal import Decimal

from .assessed import REMEDY_TAXES, ItemResult
from .basis import Notice, Step
from .rates import NOTHING, ZERO, AdValorem, Classes, Goods, RateMissing, Specific, Sum, fen, plain
from .run import Run


def levy(run: Run, results: list[ItemResult]) -> None:
    threshold(run, results, ("duty", *REMEDY_TAXES.values()))
    run.each(results, lambda result: _consumption(run, result))
    threshold(run, results, ("consumption-tax",))
    run.each(results, lambda result: _vat(run, result))
    threshold(run, results, ("vat",))


def consumption(run: Run, result: ItemResult) -> tuple[Decimal, Decimal, str] | None:
    """Base, tax and rate of consumption tax, with their steps; None where the goods bear none."""
    measure = result.measures.get("consumption")
    if measure is None:
        return None
    rate = measure.rate
    if isinstance(rate, Classes):
        rate, price, compared = rate.choose(result.goods, result.due())
        run.steps.append(
            Step("price-class", result.item.number, f"{compared}: {rate}", price, "price-class", "",
                 {"rate": str(measure.rate), "taken": str(rate)})
        )  # fmt: skip
    percent = specific = ZERO
    worked = []
    for term in rate.terms if isinstance(rate, Sum) else (rate,):
        if isinstance(term, AdValorem):
            percent += term.percent / term.over
        elif isinstance(term, Specific):
            specific += term.amount(result.goods)
            worked.append(term.worked(result.goods))
        else:
            raise RateMissing("reference", str(rate))
    if percent >= 100:  # no base has so much tax in it; loading refuses it
        raise RateMissing("reference", str(rate))
    number = result.item.number
    duties = result.due()
    base = result.value
    if percent:
        base = fen((result.value + duties + specific) / (1 - percent / 100))
        parts = f"{result.value:f} + {duties:f}" + (f" + {plain(specific)}" if specific else "")
        run.steps.append(
            Step("consumption-base", number, f"({parts}) ÷ (1 − {plain(percent)}%)", base, "consumption-9", inputs={
                "customs_value": f"{result.value:f}", "duty": f"{duties:f}", "specific": plain(specific),
                "rate": f"{plain(percent)}%",
            })
        )  # fmt: skip
        worked.insert(0, f"{base:f} × {plain(percent)}%")
    amount = fen(base * percent / 100 + specific)
    run.steps.append(
        Step(
            "consumption-tax",
            number,
            " + ".join(worked) or "0",
            amount,
            "consumption-5",
            inputs={"base": f"{base:f}", "rate": str(rate), "specific": plain(specific)},
        )
    )
    return base, amount, str(rate)


def _consumption(run: Run, result: ItemResult) -> None:
    if (found := consumption(run, result)) is not None:
        base, amount, rate = found
        run.add(result, "consumption-tax", base, rate, amount, result.effect.consumption)


def vat(run: Run, result: ItemResult) -> tuple[Decimal, Decimal, str]:
    """Base, tax and rate of VAT, with their steps. The standard rate where none is listed for the code."""
    measure = result.measures.get("vat")
    if measure is not None:
        rate = measure.rate
    else:
        rate = AdValorem(run.book.parameter("vat.standard_percent", run.day))
        run.notices.append(Notice("vat-default", result.item.number))
    parts = {"customs_value": result.value}
    for line in result.taxes:
        if line.due:
            parts[line.tax] = parts.get(line.tax, ZERO) + line.due
    base = fen(sum(parts.values(), ZERO))
    number = result.item.number
    inputs = {name: f"{part:f}" for name, part in parts.items()}
    run.steps.append(Step("vat-base", number, " + ".join(inputs.values()), base, "vat-law-10-14", inputs=inputs))
    amount = fen(rate.amount(Goods(base)))
    shown, said = f"{base:f}", str(rate)
    run.steps.append(
        Step("vat", number, f"{shown} × {said}", amount, "vat-law-10-14", inputs={"base": shown, "rate": said})
    )
    return base, amount, said


def _vat(run: Run, result: ItemResult) -> None:
    base, amount, rate = vat(run, result)
    run.add(result, "vat", base, rate, amount, result.effect.vat)


def threshold(run: Run, results: list[ItemResult], taxes: tuple[str, ...]) -> None:
    """Tariff Law art. 32(1): a tax that comes to no more than the threshold in all is not levied."""
    limit = run.book.parameter("de_minimis.tax_yuan", run.day)
    for tax in taxes:
        lines = [line for result in results for line in result.taxes if line.tax == tax and line.payable > 0]
        total = sum((line.payable for line in lines), ZERO)
        if lines and total <= limit:
            for line in lines:
                line.due = line.payable = NOTHING
                line.status, line.secured = "de-minimis", False
            run.steps.append(
                Step("de-minimis", None, f"{total:f} ≤ {plain(limit)}", ZERO, "tariff-law-32", "",
                     {"tax": tax, "total": f"{total:f}", "threshold": plain(limit)})
            )  # fmt: skip
