"""Late-declaration fee (滞报金) and late-payment charge (滞纳金)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

from .basis import Notice, Step
from .book import Book
from .inputs import AssessmentInput
from .rates import ZERO, fen, plain
from .workdays import last_free_day

YUAN = Decimal(1)


def declaration_fee(
    request: AssessmentInput,
    results: Sequence[Any],
    book: Book,
    day: date,
    steps: list[Step],
    notices: list[Notice],
) -> tuple[Decimal, int]:
    """The fee and the days late.

    Customs Law art. 24: 14 days from the entry of the means of transport, moved on from a day off; from the next day to
    the day of declaration inclusive a rate a day of the customs value, whole yuan, nothing below the threshold.
    """
    if request.direction != "I" or request.entered_on is None or request.completed_on <= request.entered_on:
        return ZERO, 0
    free_days = int(book.parameter("late_declaration.free_days", day))
    last_free = last_free_day(request.entered_on, book.calendar, free_days)
    if not book.calendar.covers(last_free) and request.completed_on > last_free - timedelta(days=7):
        notices.append(Notice("calendar-missing", params={"year": str(last_free.year)}))
    days = max(0, (request.completed_on - last_free).days)
    steps.append(
        Step("days-late", None, f"{request.completed_on} − {last_free}", Decimal(days), "customs-law-24", "", {
            "entered_on": request.entered_on.isoformat(), "free_days": str(free_days),
            "last_free_day": last_free.isoformat(), "completed_on": request.completed_on.isoformat(),
        })
    )  # fmt: skip
    if not days:
        return ZERO, 0
    rate = book.parameter("late_declaration.daily_percent", day)
    threshold = book.parameter("late_declaration.threshold_yuan", day)
    value = sum((result.value for result in results), ZERO)
    fee = (value * rate / 100 * days).quantize(YUAN, ROUND_DOWN)
    if fee < threshold:
        fee = ZERO
    steps.append(
        Step("late-declaration-fee", None, f"{value:f} × {plain(rate)}% × {days}", fee, "order-128", "yuan-down", {
            "customs_value": f"{value:f}", "daily_rate": f"{plain(rate)}%", "days": str(days),
            "last_free_day": last_free.isoformat(), "threshold": plain(threshold),
        })
    )  # fmt: skip
    return fee, days


def deferred_interest(
    request: AssessmentInput, tax: Decimal, book: Book, day: date, steps: list[Step]
) -> tuple[Decimal, int]:
    """Interest on duties that a bonded regime had suspended (缓税利息), where the goods now pay them: a rate a day on the
    taxes from the day of the import under suspension to the day before the declaration that pays. The rate is a parameter that
    an operator loads; none is shipped. Raises KeyError where it is not loaded."""
    since = request.deferred_since
    if request.direction != "I" or since is None or tax <= 0:
        return ZERO, 0
    days = (request.completed_on - since).days
    if days <= 0:
        return ZERO, 0
    rate = book.parameter("deferred_interest.daily_percent", day)
    amount = fen(tax * rate / 100 * days)
    steps.append(
        Step("deferred-interest", None, f"{tax:f} × {plain(rate)}% × {days}", amount, "deferred-interest", inputs={
            "tax": f"{tax:f}", "daily_rate": f"{plain(rate)}%", "days": str(days), "since": since.isoformat(),
        })
    )  # fmt: skip
    return amount, days


@dataclass(frozen=True, slots=True)
class LatePayment:
    days: int
    amount: Decimal
    step: Step | None


def late_payment(tax: Decimal, due_on: date, paid_on: date, book: Book) -> LatePayment:
    """Tariff Law art. 43: a rate a day on the tax from the day after the limit to the day of payment."""
    days = (paid_on - due_on).days
    if days <= 0 or tax <= 0:
        return LatePayment(0, ZERO, None)
    rate = book.parameter("late_payment.daily_percent", paid_on)
    amount = fen(tax * rate / 100 * days)
    if amount < book.parameter("late_payment.threshold_yuan", paid_on):
        amount = ZERO
    step = Step(
        "late-payment", None, f"{tax:f} × {plain(rate)}% × {days}", amount, "tariff-law-43",
        inputs={"tax": f"{tax:f}", "daily_rate": f"{plain(rate)}%", "days": str(days), "due_on": due_on.isoformat()},
    )  # fmt: skip
    return LatePayment(days, amount, step)
