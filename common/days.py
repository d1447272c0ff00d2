"""Legal days: the law's days are days of Asia/Shanghai, whatever zone a clock or a caller is in."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

LEGAL_ZONE = ZoneInfo("Asia/Shanghai")


def legal_day(moment: datetime) -> date:
    """The legal day on which ``moment`` (aware) falls."""
    return moment.astimezone(LEGAL_ZONE).date()


def today() -> date:
    return legal_day(timezone.now())


def last_time(at: time, now: datetime) -> datetime:
    """The latest moment, not after ``now``, at which legal clocks showed ``at``."""
    moment = datetime.combine(legal_day(now), at, LEGAL_ZONE)
    return moment if moment <= now else moment - timedelta(days=1)
