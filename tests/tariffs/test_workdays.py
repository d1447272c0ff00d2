"""Working days, the day of the month's exchange rate, limits that move."""

from __future__ import annotations

from datetime import date

import pytest

from tariffs import example
from tariffs.workdays import Calendar, last_free_day, payment_due, quotation_day, third_wednesday

ROWS = example.rows("calendar")
CALENDAR = Calendar(
    frozenset(date.fromisoformat(row["day"]) for row in ROWS if row["working"] == "0"),
    frozenset(date.fromisoformat(row["day"]) for row in ROWS if row["working"] == "1"),
    frozenset({2025, 2026}),
    tuple(
        (int(row["name"][-4:-2]), int(row["name"][-2:]), date.fromisoformat(row["valid_from"]), None)
        for row in example.rows("parameters")
        if row["name"].startswith("statutory_day.")
    ),
)


@pytest.mark.parametrize(
    ("day", "working"),
    [
        (date(2026, 2, 14), True),  # a Saturday worked for the Spring Festival
        (date(2026, 2, 18), False),  # Spring Festival, a Wednesday
        (date(2026, 2, 24), True),
        (date(2026, 9, 20), True),  # a Sunday worked for National Day
        (date(2025, 10, 8), False),
        (date(2026, 5, 10), False),  # a plain Sunday
        (date(2026, 5, 11), True),
    ],
)
def test_working_days_follow_the_published_calendar(day, working):
    assert CALENDAR.is_working(day) is working


@pytest.mark.parametrize(
    ("day", "working"),
    [
        (date(2027, 1, 1), False),
        (date(2027, 1, 4), True),
        (date(2024, 5, 2), True),  # a day off since 2025
        (date(2028, 5, 2), False),
        (date(2027, 10, 1), False),
        (date(2027, 10, 4), True),  # what the State Council will add is not known
        (date(2026, 10, 5), False),  # of a year with data the data alone counts
    ],
)
def test_before_a_years_calendar_is_published_the_statutory_days_of_fixed_date_are_off(day, working):
    assert CALENDAR.is_working(day) is working


def test_every_make_up_day_is_a_weekend_day_and_every_day_off_a_weekday():
    assert all(day.weekday() >= 5 for day in CALENDAR.make_up)
    assert all(day.weekday() < 5 for day in CALENDAR.holidays)


@pytest.mark.parametrize(
    ("day", "quoted"),
    [
        (date(2026, 10, 1), date(2026, 9, 16)),  # facts.md: 6.7628 of 2026-09-16 for October
        (date(2026, 10, 31), date(2026, 9, 16)),
        (date(2026, 11, 1), date(2026, 10, 21)),
        (date(2026, 1, 15), date(2025, 12, 17)),
        (date(2026, 3, 2), date(2026, 2, 24)),  # 18 February is in the Spring Festival: the next trading day
    ],
)
def test_the_rate_of_a_month_is_that_of_the_third_wednesday_before_or_the_next_trading_day(day, quoted):
    """GACC Order 272 art. 13."""
    assert quotation_day(day, CALENDAR) == quoted


def test_third_wednesdays():
    assert [third_wednesday(2026, month).day for month in range(1, 13)] == [
        21,
        18,
        18,
        15,
        20,
        17,
        15,
        19,
        16,
        21,
        18,
        16,
    ]


@pytest.mark.parametrize(
    ("completed", "due"),
    [
        (date(2026, 11, 2), date(2026, 11, 17)),
        (date(2026, 11, 6), date(2026, 11, 23)),  # the 21st is a Saturday
        (date(2026, 9, 16), date(2026, 10, 8)),  # 1 October
        (date(2026, 1, 30), date(2026, 2, 14)),  # a Saturday, but worked
        (date(2026, 1, 31), date(2026, 2, 24)),  # the first day of the Spring Festival
    ],
)
def test_fifteen_days_to_pay_move_on_from_a_day_off(completed, due):
    """Tariff Law art. 43."""
    assert payment_due(completed, CALENDAR) == due


@pytest.mark.parametrize(
    ("completed", "due"),
    [
        (date(2026, 9, 30), date(2026, 10, 13)),
        (date(2026, 1, 5), date(2026, 2, 6)),
        (date(2026, 12, 31), date(2027, 1, 8)),  # a year without data: weekends and New Year's Day, a Friday
    ],
)
def test_with_a_summary_guarantee_the_fifth_working_day_of_the_next_month(completed, due):
    assert payment_due(completed, CALENDAR, summary_guarantee=True) == due


def test_the_last_free_day_to_declare_moves_on_from_a_holiday():
    assert last_free_day(date(2026, 9, 20), CALENDAR) == date(2026, 10, 8)
    assert last_free_day(date(2026, 9, 26), CALENDAR) == date(2026, 10, 10)  # a worked Saturday
