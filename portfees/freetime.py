"""How long a container may stand without charge (demurrage, detention, storage). Pure.

Days are legal days, the first one counted whole, whatever the hour (the usual reading of published lists; a list that
counts otherwise says so in its service content)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from portfees.models import DayCount

DAY = timedelta(days=1)


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
