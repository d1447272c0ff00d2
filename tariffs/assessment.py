"""Every duty, tax and fee of a declaration, exact to the fen and explained. Pure: the same request and book, the same answer.

The order is the law's: customs value, duty and trade remedies, what the regime does with them, the threshold, consumption
tax, VAT, the late-declaration fee. A customs value, a tax base and a tax are each rounded half-up to the fen.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, localcontext

from common.problems import Fault, Problem, invalid
from common.text import T

from . import inland, itemduty, latefees, quotas, retail, valuation
from .assessed import Assessment
from .basis import Notice, Step
from .book import AS_PRESCRIBED, Book
from .inputs import AssessmentInput, with_pointers
from .rates import ZERO
from .run import Run

EXACT = Context(prec=60, rounding=ROUND_HALF_UP)


def assess(request: AssessmentInput, book: Book, subject: str = "") -> Assessment:
    """Fix everything. Raises Problem 422 with every fault found. ``subject`` is the declaration it is for, if there is one:
    what it drew on a quota before does not count against it."""
    with localcontext(EXACT):
        return _run(Run(with_pointers(request), book, subject))


def _run(run: Run) -> Assessment:
    request = run.request
    commodities = [run.commodity(item) for item in request.items]
    built = valuation.build(request, run.yuan, run.describe, run.book.parameter("insurance.default_percent", run.day))
    run.faults += built.faults
    if run.faults:
        raise invalid(run.faults)
    for currency, rate in run.rates.items():
        run.steps.append(
            Step("exchange-rate", None, f"{currency}: {rate}", rate.rate, "order-272-13", "",
                 {"currency": currency, "quoted_on": rate.quoted_on.isoformat()})
        )  # fmt: skip
    run.steps += built.steps
    run.notices += built.notices
    _say_day_and_regime(run)
    export = request.direction == "E"
    results = []
    for place, item in enumerate(request.items):
        commodity = commodities[place]
        assert commodity is not None
        make = itemduty.export_item if export else itemduty.import_item
        results.append(make(run, item, commodity, built.values[place]))
    quotas.check(run, results)
    if run.faults:
        raise invalid(run.faults)
    if not export:
        if retail.applies(request):
            retail.levy(run, results)
        else:
            inland.levy(run, results)
    elif results:
        inland.threshold(run, results, ("export-duty",))
    if run.faults:
        raise invalid(run.faults)
    fee, late = latefees.declaration_fee(request, results, run.book, run.day, run.steps, run.notices)
    levied = sum((line.payable for result in results for line in result.taxes), ZERO)
    try:
        interest, deferred = latefees.deferred_interest(request, levied, run.book, run.day, run.steps)
    except (KeyError, Problem):
        raise invalid([Fault("/deferred_since", "parameter-missing", T(
            "未加载缓税利息日利率（deferred_interest.daily_percent）",
            "the daily rate of deferred interest (deferred_interest.daily_percent) is not loaded",
        ))]) from None  # fmt: skip
    example = (
        any(rate.example for rate in run.rates.values())
        or any(result.commodity.example for result in results)
        or any(candidate.measure.example for result in results for candidate in result.selection.candidates)
    )
    if example:
        run.notices.append(Notice("example-tariff"))
    if request.advance and request.entered_on is None:
        run.notices.append(Notice("arrival-unknown"))
    return Assessment(
        request,
        run.day,
        run.book.version,
        results,
        run.rates,
        run.steps,
        run.notices,
        fee,
        late,
        example,
        interest,
        deferred,
    )


def _say_day_and_regime(run: Run) -> None:
    request = run.request
    days = {"completed_on": request.completed_on.isoformat()}
    if request.entered_on is not None:
        days["entered_on"] = request.entered_on.isoformat()
    run.steps.append(Step("rate-day", None, run.day.isoformat(), run.day.isoformat(), "tariff-law-20", "", days))
    effect = run.book.effect(request.direction, request.regime, request.levy_nature, run.day)
    found = effect or AS_PRESCRIBED
    done = {"duty": found.duty, "remedy": found.remedy, "consumption": found.consumption, "vat": found.vat}
    run.steps.append(
        Step("regime", None, f"{request.regime} / {request.levy_nature}", " / ".join(done.values()), "regime", "",
             {"direction": request.direction, "regime": request.regime, "levy_nature": request.levy_nature} | done)
    )  # fmt: skip
