"""How long a case may lie in a state before it counts as due and as late.

These are working targets of the instance that runs the console, given as examples; no law sets them. What the law or a
port publishes as a time limit is dated data of the clearance app."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils import timezone

from common.text import pick
from declarations.lifecycle import State

#: State -> target. Past half of it a case is due, past all of it late.
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


def age(state: str, since: datetime, now: datetime | None = None) -> Age:
    span = (now or timezone.now()) - since
    target = TARGETS.get(state)
    level = "none" if target is None else "late" if span > target else "due" if span * 2 > target else "fresh"
    return Age(lasting(span), level, since)
