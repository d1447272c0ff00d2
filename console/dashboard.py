"""The workbench: what waits, how long it has waited, and what the day has brought; for the officer's own offices."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from common import casework
from common.days import LEGAL_ZONE, today
from common.text import T
from console import charts, queue
from console.ages import target
from console.pages import page, who
from parties.principals import Principal

DAYS = 14
#: How long the numbers of a page may be behind, in seconds. The queue itself is always read afresh.
KEPT = 20

#: What happened on which day and hour. Whatever was lodged, accepted or released since then has been changed since then,
#: so the index of changes leads to it.
_VOLUME = """
SELECT kind, at_day, at_hour, count(*) FROM (
  SELECT kind, (moment AT TIME ZONE 'Asia/Shanghai')::date AS at_day,
         extract(hour FROM moment AT TIME ZONE 'Asia/Shanghai')::int AS at_hour
  FROM declarations_declaration d,
       LATERAL (VALUES ('lodged', d.lodged_at), ('released', d.released_at)) AS said(kind, moment)
  WHERE d.updated_at >= %(start)s AND d.customs_office = ANY(%(offices)s) AND moment >= %(start)s
) AS happened GROUP BY 1, 2, 3
"""

_AGES = """
SELECT state, customs_office, direction, least(9, floor(extract(epoch FROM now() - state_since) / 3600 / %(step)s)::int)
  AS bucket, count(*)
FROM declarations_declaration
WHERE customs_office = ANY(%(offices)s) AND state = ANY(%(states)s) GROUP BY 1, 2, 3, 4
"""

_BY_OFFICE = """
SELECT customs_office, state, count(*) FROM declarations_declaration
WHERE customs_office = ANY(%(offices)s) AND state = ANY(%(states)s) GROUP BY 1, 2
"""


def _rows(sql: str, **params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def figures(offices: list[str]) -> dict[str, Any]:
    """The day's and fortnight's numbers of these offices, a few seconds old at most."""
    key = "workbench:" + ",".join(offices)
    found: dict[str, Any] | None = cache.get(key)
    if found is None:
        start = datetime.combine(today() - timedelta(days=DAYS - 1), time(), LEGAL_ZONE)
        states = sorted(queue.OPEN)
        found = {
            "volume": _rows(_VOLUME, start=start, offices=offices),
            "ages": _rows(_AGES, offices=offices, states=states, step=STEP_HOURS),
            "by_office": _rows(_BY_OFFICE, offices=offices, states=states),
        }
        cache.set(key, found, KEPT)
    return found


STEP_HOURS = 6


def dashboard(request: HttpRequest) -> HttpResponse:
    principal = who(request)
    offices = queue.offices_of(principal)
    found = figures(offices)
    counts = queue.counts(principal)
    day = today()
    this_day = {
        kind: sum(n for k, at, _, n in found["volume"] if k == kind and at == day) for kind in ("lodged", "released")
    }
    return page(
        request,
        "console/dashboard.html",
        title=T("工作台", "Workbench"),
        desks=[
            {
                "desk": desk,
                "count": counts[key],
                "url": f"{reverse('admin:queue')}?desk={key}",
                "mine": queue.works_at(principal, desk.key),
            }
            for key, desk in queue.DESKS.items()
            if key in counts
        ],
        whole=[desk.title for desk in queue.DESKS.values() if desk.whole],
        today=this_day,
        in_hand=len(casework.held_by(queue.KIND, principal.actor)),
        hours=_hours(found["volume"], day),
        days=_days(found["volume"], day),
        ages=_ages(found["ages"]),
        offices_open=_offices(found["by_office"]),
        late=_late(principal),
        day=day,
    )


def _hours(volume: list[tuple[Any, ...]], day: Any) -> Any:
    counted = {(kind, hour): n for kind, at, hour, n in volume if at == day}
    return charts.bars(
        str(T("今日每小时申报与放行", "Lodged and released today, by the hour")),
        [str(hour) for hour in range(24)],
        [
            charts.Series(str(T("申报", "lodged")), "", [counted.get(("lodged", hour), 0) for hour in range(24)]),
            charts.Series(
                str(T("放行", "released")), "two", [counted.get(("released", hour), 0) for hour in range(24)]
            ),
        ],
        every=2,
    )


def _days(volume: list[tuple[Any, ...]], day: Any) -> Any:
    span = [day - timedelta(days=n) for n in reversed(range(DAYS))]
    counted: dict[tuple[str, Any], int] = {}
    for kind, at, _, n in volume:
        counted[kind, at] = counted.get((kind, at), 0) + n
    return charts.bars(
        str(T("近 14 日申报与放行", "Lodged and released, fourteen days")),
        [f"{at:%m-%d}" for at in span],
        [
            charts.Series(str(T("申报", "lodged")), "", [counted.get(("lodged", at), 0) for at in span]),
            charts.Series(str(T("放行", "released")), "two", [counted.get(("released", at), 0) for at in span]),
        ],
        every=2,
    )


def _ages(ages: list[tuple[Any, ...]]) -> Any:
    """Open cases by age, with those past their target apart."""
    inside, past = [0] * 10, [0] * 10
    for state, office, direction, bucket, n in ages:
        limit = target(state, office, direction)
        late = limit is not None and limit <= timedelta(hours=STEP_HOURS * bucket)
        (past if late else inside)[bucket] += n
    labels = [f"{STEP_HOURS * n}–{STEP_HOURS * (n + 1)}" for n in range(9)] + [f">{STEP_HOURS * 9}"]
    return charts.bars(
        str(T("在办报关单的等待时间（小时）", "Open cases by age (hours)")),
        labels,
        [
            charts.Series(str(T("时限内", "in time")), "", inside),
            charts.Series(str(T("超时", "late")), "bad", past),
        ],
        stacked=True,
    )


def _offices(rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    by: dict[str, dict[str, int]] = {}
    for office, state, n in rows:
        by.setdefault(office, {})[state] = n
    return [
        {
            "office": office,
            "counts": [sum(states.get(state, 0) for state in desk.states) for desk in queue.DESKS.values() if desk.whole],
        }
        for office, states in sorted(by.items())
    ]  # fmt: skip


def _late(principal: Principal) -> list[dict[str, Any]]:
    """The oldest cases past their target, whatever the desk."""
    found: list[dict[str, Any]] = []
    for key, desk in queue.DESKS.items():
        if desk.whole:
            rows, _ = queue.page(queue.Filters(desk=key, late=True), principal, size=8)
            found += rows

    def due(row: dict[str, Any]) -> datetime:
        one = row["declaration"]
        return one.state_since + (target(one.state, one.customs_office, one.direction) or timedelta())

    return sorted(found, key=due)[:8]
