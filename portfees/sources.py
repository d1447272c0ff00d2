"""What quotations need to know from outside: the month's exchange rates and the legal calendar.

The tariff app keeps both. As its sibling this app does not import it; the composition (singlewindow/apps.py) says where the
answers come from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

_yuan: Callable[[str, date], Decimal | None] = lambda currency, on: None  # noqa: E731
_working: Callable[[date], bool] = lambda day: day.weekday() < 5  # noqa: E731


def use(*, yuan: Callable[[str, date], Decimal | None], working: Callable[[date], bool]) -> None:
    """``yuan``: (currency, legal day) -> yuan for one unit, or None; ``working``: whether a legal day is a working day."""
    global _yuan, _working
    _yuan, _working = yuan, working


def yuan_for(currency: str, on: date) -> Decimal | None:
    return _yuan(currency, on)


def is_working(day: date) -> bool:
    return _working(day)
