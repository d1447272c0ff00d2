"""How long a container may stand without charge, and what it costs after (demurrage, detention, storage). Pure.

Days are legal days, the first one counted whole, whatever the hour (the usual reading of published lists; a list that
counts otherwise says so in its service content)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from portfees.models import DayCount
from portfees.quotation import Charge, Item, charge

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class FreeTime:
    """``last_free_day`` is the last day without charge; ``charged_days`` those after it up to and with the last day."""

    last_free_day: date
    days: int
    charged_days: int
    charge: Charge


def last_free_day(start: date, free_days: int, counted: str, is_working: Callable[[date], bool]) -> date:
    """The last of ``free_days`` days from ``start`` on. With none free, the day before ``start``.

    Counted in working days, days off within and right after the free time are free as well: the first charged day is a working
    day."""
    if counted == DayCount.CALENDAR:
        return start + DAY * (free_days - 1)
    day = start
    left = free_days
    while left or not is_working(day):
        left -= is_working(day)
        day += DAY
    return day - DAY


def free_time(item: Item, *, start: date, end: date, count: int, is_working: Callable[[date], bool]) -> FreeTime:
    """What ``count`` containers standing from ``start`` to ``end`` (both counted) cost by a line charged by the day."""
    last = last_free_day(start, item.free_days or 0, item.free_days_counted, is_working)
    charged = max(0, (end - last).days)
    cost = charge(item, Decimal(count), charged + (item.free_days or 0))
    return FreeTime(last, (end - start).days + 1, charged, cost)
