"""Exchange rates for quotations. The tariff app keeps the official ones; as a sibling it is not imported here: the
composition (singlewindow/apps.py) says where they come from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

Source = Callable[[str, date], Decimal | None]

_source: Source | None = None


def use(source: Source) -> None:
    """Take rates from ``source``: (currency, legal day) -> yuan for one unit, or None where it has none."""
    global _source
    _source = source


def yuan_for(currency: str, on: date) -> Decimal | None:
    return _source(currency, on) if _source else None
