from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from portfees.freetime import last_free_day
from portfees.quotation import free_time
from tests.portfees.conftest import item

#: National Day 2026 off, Saturday 10 October worked.
HOLIDAYS = {date(2026, 10, day) for day in range(1, 8)}


def working(day: date) -> bool:
    return day == date(2026, 10, 10) or (day.weekday() < 5 and day not in HOLIDAYS)


@pytest.fixture(autouse=True)
def reference() -> None:
    """Arithmetic alone: no database."""


@pytest.mark.parametrize(
    ("start", "free", "counted", "last"),
    [
        (date(2026, 11, 2), 7, "calendar", date(2026, 11, 8)),
        (date(2026, 11, 2), 0, "calendar", date(2026, 11, 1)),
        # Monday 2 November, three working days: Wednesday is the last.
        (date(2026, 11, 2), 3, "working", date(2026, 11, 4)),
        # Thursday, three working days: Thu, Fri, Mon.
        (date(2026, 11, 5), 3, "working", date(2026, 11, 9)),
        # Ends on a Friday: the weekend after it is free as well.
        (date(2026, 11, 4), 3, "working", date(2026, 11, 8)),
        # Over the holiday: 30 Sep is one day, then 8 and 9 October; the worked Saturday is charged.
        (date(2026, 9, 30), 3, "working", date(2026, 10, 9)),
    ],
)
def test_the_last_free_day_on_the_legal_calendar(start, free, counted, last):
    assert last_free_day(start, free, counted, working) == last


def test_the_days_after_it_are_charged_by_tiers():
    """2 to 20 November, 7 free: the last free day is the 8th, 12 days are charged: 7 × 20 + 5 × 40 = 340, twice."""
    line = item(unit="container_day", free_days=7, tiers=[{"from_day": 1, "rate": "20"}, {"from_day": 8, "rate": "40"}])
    found = free_time(line, start=date(2026, 11, 2), end=date(2026, 11, 20), count=2, is_working=working)
    assert (found.last_free_day, found.days, found.charged_days) == (date(2026, 11, 8), 19, 12)
    assert (found.charge.amount, found.charge.arithmetic) == (Decimal("680.00"), "2 × (7 × 20 + 5 × 40) = 680.00")


def test_nothing_is_charged_within_the_free_time():
    line = item(unit="container_day", free_days=7, rate=Decimal(20))
    found = free_time(line, start=date(2026, 11, 2), end=date(2026, 11, 8), count=1, is_working=working)
    assert (found.charged_days, found.charge.amount) == (0, Decimal("0.00"))
