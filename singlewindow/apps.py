from __future__ import annotations

from datetime import date
from decimal import Decimal

from django.apps import AppConfig


class SingleWindowConfig(AppConfig):
    """The composition: tells siblings what they may know of each other."""

    name = "singlewindow"

    def ready(self) -> None:
        from portfees import sources

        sources.use(yuan=_yuan, working=_working)


def _yuan(currency: str, on: date) -> Decimal | None:
    """Yuan for one unit of ``currency`` by the customs rate of the month of ``on``."""
    from tariffs.lookup import current

    rate = current().exchange_rate(currency, on)
    if rate is None:
        return None
    return rate.per / rate.rate if rate.inverse else rate.rate / rate.per


def _working(day: date) -> bool:
    from tariffs.lookup import current

    return current().calendar.is_working(day)
