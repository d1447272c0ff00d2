"""Working days of China and the day of the month's exchange rate.

The holiday calendar is data (`data/holidays.csv`): days off that would be working days, and weekend days worked to make
up for them. In a year without data weekends and the statutory days of fixed date are off (parameters `statutory_day.MMDD`),
and the answer says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Calendar:
    holidays: frozenset[date] = frozenset()
    make_up: frozenset[date] = frozenset()
    years: frozenset[int] = field(default_factory=frozenset)
    #: Days off every year, for years without data: (month, day, from, to), half-open.
    statutory: tuple[tuple[int, int, date | None, date | None], ...] = ()

    def covers(self, day: date) -> bool:
        return day.year in self.years

    def is_off(self, day: date) -> bool:
        """A holiday, as published or, before it is, as the law fixes its date."""
        if self.covers(day):
            return day in self.holidays
        return any(
            (day.month, day.day) == (month, number) and (start is None or start <= day) and (end is None or day < end)
            for month, number, start, end in self.statutory
        )

    def is_working(self, day: date) -> bool:
        return day in self.make_up or (day.weekday() < 5 and not self.is_off(day))

    def is_trading(self, day: date) -> bool:
        """Interbank foreign exchange trades on weekdays that are no holidays; make-up weekends do not count."""
        return day.weekday() < 5 and not self.is_off(day)

    def working_from(self, day: date) -> date:
        """The day itself, or the first working day after it: a limit that ends on a day off moves on."""
        while not self.is_working(day):
            day += DAY
        return day

    def nth_working_day(self, year: int, month: int, n: int) -> date:
        day = date(year, month, 1)
        while True:
            if self.is_working(day):
                n -= 1
                if n == 0:
                    return day
            day += DAY


def next_month(day: date) -> date:
    """The first day of the month after `day`'s."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def previous_month(day: date) -> date:
    """The first day of the month before `day`'s."""
    return date(day.year - (day.month == 1), (day.month - 2) % 12 + 1, 1)


def third_wednesday(year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(2 - first.weekday()) % 7 + 14)


def quotation_day(day: date, calendar: Calendar) -> date:
    """The day whose central parity holds in `day`'s month.

    GACC Order 272 art. 13: the third Wednesday of the previous month; where that is no interbank trading day, the next
    trading day.
    """
    month = previous_month(day)
    found = third_wednesday(month.year, month.month)
    while not calendar.is_trading(found):
        found += DAY
    return found


def payment_due(
    completed_on: date, calendar: Calendar, *, summary_guarantee: bool = False, days: int = 15, working_day: int = 5
) -> date:
    """The last day to pay.

    Tariff Law art. 43: 15 days from completing the declaration; with a guarantee for summary payment, the fifth working
    day of the next month. A limit that ends on a day off moves to the next working day.
    """
    if summary_guarantee:
        month = next_month(completed_on)
        return calendar.nth_working_day(month.year, month.month, working_day)
    return calendar.working_from(completed_on + timedelta(days=days))


def last_free_day(entered_on: date, calendar: Calendar, days: int = 14) -> date:
    """The last day to declare without a late-declaration fee (Customs Law art. 24), moved on from a day off."""
    return calendar.working_from(entered_on + timedelta(days=days))
