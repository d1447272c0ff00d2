"""How long a case may lie in a state before it counts as due and as late.

Where a time limit of the operation is published (口岸作业时限标准, dated data of the clearance app), it is the target: for
import and export, and for an office that has one of its own. For the rest there are working targets of the instance that
runs the console, given as examples; no law sets them. Either is counted from when the case came into its state."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.core.cache import cache
from django.utils import timezone

from clearance.models import TimeLimit
from common.days import today
from common.text import pick
from declarations.lifecycle import State
from declarations.models import Declaration

#: Working targets, where nothing is published. Past half of it a case is due, past all of it late.
TARGETS: dict[str, timedelta] = {
    State.LODGED: timedelta(hours=1),
    State.UNDER_REVIEW: timedelta(hours=8),
    State.ACCEPTED: timedelta(hours=24),
    State.HELD: timedelta(hours=48),
    State.UNDER_INSPECTION: timedelta(hours=48),
    State.RETURNED: timedelta(days=5),
    State.REJECTED: timedelta(days=5),
    State.RELEASED: timedelta(days=10),
}


#: State -> operation whose published limit is its target.
OPERATIONS: dict[str, str] = {
    State.LODGED: "acceptance",
    State.UNDER_REVIEW: "acceptance",
    State.ACCEPTED: "release",
    State.RELEASED: "gate_out",
}
#: Seconds for which published limits are kept in the cache.
KEPT = 60


def published() -> dict[tuple[str, str, str], timedelta]:
    """The limits in force today: (operation, office or "", direction) -> time."""
    day = today()
    found: dict[tuple[str, str, str], timedelta] | None = cache.get(f"time-limits:{day}")
    if found is None:
        found = {
            (row.operation, row.office, row.direction): timedelta(hours=float(row.hours))
            for row in TimeLimit.objects.on(day)
        }
        cache.set(f"time-limits:{day}", found, KEPT)
    return found


def target(state: str, office: str, direction: str) -> timedelta | None:
    """How long a case of this office and direction may lie in this state; None where nothing waits for anybody here."""
    known = published()
    for where in (office, ""):
        limit = known.get((OPERATIONS.get(state, ""), where, direction))
        if limit is not None:
            return limit
    return TARGETS.get(state)


class Age(NamedTuple):
    text: str
    level: str
    since: datetime


def lasting(span: timedelta) -> str:
    """A length of time in its two largest units."""
    minutes = max(0, int(span.total_seconds() // 60))
    days, hours, minutes = minutes // 1440, minutes % 1440 // 60, minutes % 60
    if days:
        return pick("{d}天{h}时", "{d}d {h}h", d=days, h=hours)
    if hours:
        return pick("{h}时{m}分", "{h}h {m}m", h=hours, m=minutes)
    return pick("{m}分", "{m}m", m=minutes)


def age(declaration: Declaration, now: datetime | None = None) -> Age:
    since = declaration.state_since
    span = (now or timezone.now()) - since
    limit = target(declaration.state, declaration.customs_office, declaration.direction)
    level = "none" if limit is None else "late" if span > limit else "due" if span * 2 > limit else "fresh"
    return Age(lasting(span), level, since)
