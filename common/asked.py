"""Days and times as a query or a form gives them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from django.utils import timezone

from common.days import LEGAL_ZONE
from common.problems import Fault, invalid
from common.text import T

#: No rule of this trade is older, no plan goes further.
FIRST, LAST = date(1949, 10, 1), date(2199, 12, 31)


def asked_day(asked: Mapping[str, str], name: str) -> date | None:
    """The day ``asked`` under ``name``, None where it is not asked. Raises Problem 422."""
    text = asked.get(name)
    if not text:
        return None
    found = _day(text)
    if found is None:
        raise invalid([Fault(f"/{name}", "date", T("日期应为 YYYY-MM-DD", "A day is written YYYY-MM-DD"))])
    return found


def day_or(default: date, text: str | None) -> date:
    """For pages, where a day that is none is as good as no day."""
    return _day(text or "") or default


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text) if len(text) == 10 else date.max
    except ValueError:
        return None
    return found if FIRST <= found <= LAST else None


def asked_moment(asked: Mapping[str, str], name: str) -> datetime | None:
    """The time ``asked`` under ``name``, of legal time where it has no offset; None where it is not asked. Raises Problem 422."""
    text = asked.get(name)
    if not text:
        return None
    try:
        # A plus sign that was not escaped arrives as a blank.
        found = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        found = None
    if found is None or not FIRST <= found.date() <= LAST:
        raise invalid([Fault(f"/{name}", "time", T("时间应为 ISO 8601", "A time is written as ISO 8601"))])
    return found if timezone.is_aware(found) else found.replace(tzinfo=LEGAL_ZONE)
