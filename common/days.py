"""Legal days: the law's days are days of Asia/Shanghai, whatever zone a clock or a caller is in."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.utils import timezone

LEGAL_ZONE = ZoneInfo("Asia/Shanghai")


def legal_day(moment: datetime) -> date:
    """The legal day on which ``moment`` (aware) falls."""
    return moment.astimezone(LEGAL_ZONE).date()


def today() -> date:
    return legal_day(timezone.now())
