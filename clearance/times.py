"""Clearance times: the milestones of each declaration, read from the event log, and what they come to.

The table :class:`ClearanceTime` is a roll-up and nothing else: a row is made anew from the log whenever an event of its
declaration (or of its goods) is met, however late, so that following the log, or throwing the table away and rebuilding it,
comes to the same."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import DateRange  # type: ignore[attr-defined]
from django.db.models import Q

from clearance.models import Case, ClearanceTime, TimeLimit
from common.days import legal_day
from common.problems import Fault, invalid
from common.text import T
from declarations.models import Declaration
from events import log
from events.models import Event

DATA = Path(__file__).parent / "data"
READER = "clearance-times"

#: operation -> (from, to) milestones
OPERATIONS: dict[str, tuple[str, str]] = {
    "declaration": ("arrived_at", "lodged_at"),
    "acceptance": ("lodged_at", "accepted_at"),
    "release": ("accepted_at", "released_at"),
    "gate_out": ("released_at", "gate_out_at"),
    "overall": ("arrived_at", "released_at"),
}

_FIRST = {
    "declaration.lodged": "lodged_at",
    "declaration.accepted": "accepted_at",
    "declaration.released": "released_at",
}


def follow(limit: int = 1000) -> int:
    """Take in what the log published since the last time; returns how many events."""
    return log.follow(READER, _take_in, limit=limit)


def _take_in(events: list[Event]) -> None:
    rebuild(_touched(events))


def _touched(events: Iterable[Event]) -> set[str]:
    numbers: set[str] = set()
    goods: set[tuple[str, str]] = set()
    for event in events:
        if event.subject_kind in ("declaration", "clearance"):
            numbers.add(event.subject_number)
        elif event.type == "gate.passed":
            numbers.update(event.data.get("declarations") or ())
        elif event.type in ("consignment.arrived", "consignment.arrival_withdrawn") or event.type in (
            "voyage.arrived",
            "voyage.report_withdrawn",
        ):
            goods.add((event.subject_kind, event.subject_number))
    if goods:
        bound = Q(consignment__in=_pks(goods, "consignment")) | Q(consignment__voyage__in=_pks(goods, "voyage"))
        numbers.update(Case.objects.filter(bound).values_list("declaration__unified_number", flat=True))
    return numbers


def _pks(subjects: set[tuple[str, str]], kind: str) -> list[int]:
    """The rows that subjects "number/pk" of this kind stand for."""
    found = (number.rpartition("/")[2] for one, number in subjects if one == kind)
    return [int(pk) for pk in found if pk.isdigit()]


def rebuild_all() -> int:
    """Throw the roll-up away and make it anew from the log."""
    with transaction.atomic():
        ClearanceTime.objects.all().delete()
        numbers = (
            Event.objects.filter(type="declaration.lodged", position__isnull=False)
            .values_list("subject_number", flat=True)
            .distinct()
        )
        batch: list[str] = []
        count = 0
        for number in numbers.iterator(chunk_size=1000):
            batch.append(number)
            if len(batch) == 1000:
                count += rebuild(batch)
                batch = []
        return count + rebuild(batch)


def rebuild(numbers: Iterable[str]) -> int:
    """Make the rows of these declarations anew from their events."""
    numbers = sorted(set(numbers))
    if not numbers:
        return 0
    by_number: dict[str, list[Event]] = {number: [] for number in numbers}
    for event in Event.objects.filter(
        subject_kind__in=("declaration", "clearance"), subject_number__in=numbers, position__isnull=False
    ).order_by("occurred_at", "position"):
        by_number[event.subject_number].append(event)
    gates: dict[str, list[datetime]] = {}
    for event in _gate_outs(numbers):
        for number in event.data["declarations"]:
            gates.setdefault(number, []).append(event.occurred_at)
    rows = [row for number in numbers if (row := _row(number, by_number[number], gates.get(number, []))) is not None]
    ClearanceTime.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["unified_number"],
        update_fields=[f.name for f in ClearanceTime._meta.fields if f.name != "unified_number"],
    )
    return len(rows)


def _gate_outs(numbers: list[str]) -> list[Event]:
    from clearance.models import GateMove

    pks = [
        str(pk)
        for pk in GateMove.objects.filter(
            declarations__overlap=numbers, move="GTOT", fullness="LADEN", permitted=True
        ).values_list("pk", flat=True)
    ]
    return list(
        Event.objects.filter(
            subject_kind="gate_move", subject_number__in=pks, type="gate.passed", position__isnull=False
        )
    )


def _row(number: str, events: list[Event], gates: list[datetime]) -> ClearanceTime | None:
    row = ClearanceTime(unified_number=number)
    for event in events:
        if (name := _FIRST.get(event.type)) and getattr(row, name) is None:
            setattr(row, name, event.occurred_at)
        if event.type in ("clearance.opened", "clearance.mode_chosen"):
            row.mode = event.data.get("mode", row.mode)
            row.advance = event.data.get("advance", row.advance)
        if event.data.get("customs_office"):
            row.office = event.data["customs_office"]
        if event.type == "clearance.matched":
            row.arrived_at = _arrival(event)
    if row.lodged_at is None:
        return None
    row.direction = "E" if number.startswith("E") else "I"
    if gates:
        row.gate_out_at = min(gates)
    last = row.released_at or row.accepted_at or row.lodged_at
    row.month = legal_day(last).replace(day=1)
    return row


def _arrival(matched: Event) -> datetime | None:
    """When the goods of the match arrived: in the supervised area, else their means of transport."""
    for kind, name, arrived, withdrawn in (
        ("consignment", "consignment", "consignment.arrived", "consignment.arrival_withdrawn"),
        ("voyage", "voyage", "voyage.arrived", "voyage.report_withdrawn"),
    ):
        found = None
        for event in Event.objects.filter(
            subject_kind=kind, subject_number=matched.data.get(name, ""), position__isnull=False
        ).order_by("sequence"):
            if event.type == arrived:
                found = event.occurred_at
            elif event.type == withdrawn:
                found = None
        if found is not None:
            return found
    return None


# What it comes to.

GROUPS = ("office", "mode", "month", "direction", "advance")


def statistics(
    *, operation: str, by: Iterable[str] = ("month",), since: date | None = None, until: date | None = None,
    direction: str = "", office: str = "", mode: str = "", with_advance: bool = True,
) -> list[dict[str, Any]]:  # fmt: skip
    """Count, median, mean and P90 in hours, and the share within the published limit, per group. Raises Problem 422."""
    groups = list(dict.fromkeys(by))
    faults = []
    if operation not in OPERATIONS:
        faults.append(Fault("/operation", "operation", T("没有此环节", "There is no such stage")))
    if not groups or set(groups) - set(GROUPS):
        faults.append(Fault("/by", "group", T("分组无效", "Unknown group")))
    if faults:
        raise invalid(faults)
    start, end = OPERATIONS[operation]
    columns = ", ".join(groups)  # names from GROUPS only
    sql = f"""
        WITH taken AS (
          SELECT c.*, EXTRACT(EPOCH FROM ({end} - {start}))::numeric / 3600 AS hours,
            (SELECT l.hours FROM clearance_timelimit l WHERE l.operation = %(operation)s AND l.direction = c.direction
               AND l.office IN ('', c.office) AND l.valid @> (c.{end} AT TIME ZONE 'Asia/Shanghai')::date
             ORDER BY l.office DESC LIMIT 1) AS allowed
          FROM clearance_clearancetime c
          WHERE {start} IS NOT NULL AND {end} IS NOT NULL AND {end} >= {start}
            AND (%(since)s::date IS NULL OR month >= %(since)s::date)
            AND (%(until)s::date IS NULL OR month <= %(until)s::date)
            AND (%(direction)s = '' OR direction = %(direction)s) AND (%(office)s = '' OR office = %(office)s)
            AND (%(mode)s = '' OR mode = %(mode)s)
            AND (%(advance)s OR NOT advance))
        SELECT {columns}, count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY hours), avg(hours),
          percentile_cont(0.9) WITHIN GROUP (ORDER BY hours), count(*) FILTER (WHERE allowed IS NOT NULL),
          count(*) FILTER (WHERE hours <= allowed)
        FROM taken GROUP BY {columns} ORDER BY {columns}"""  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, {
            "operation": operation, "since": since, "until": until, "direction": direction, "office": office,
            "mode": mode, "advance": with_advance,
        })  # fmt: skip
        rows = cursor.fetchall()
    answer = []
    for row in rows:
        *keys, count, median, mean, p90, limited, kept = row
        answer.append(
            dict(zip(groups, keys, strict=True))
            | {"operation": operation, "count": count, "median_hours": _hours(median), "mean_hours": _hours(mean),
               "p90_hours": _hours(p90), "limited": limited, "kept": kept, "broken": limited - kept}
        )  # fmt: skip
    return answer


def _hours(value: Any) -> str:
    return format(Decimal(str(value)).quantize(Decimal("0.01")), "f")


def limit_for(declaration: Declaration) -> dict[str, Decimal]:
    """The limits in force today for a declaration's office and direction, by operation."""
    from common.days import today

    found: dict[str, Decimal] = {}
    rows = TimeLimit.objects.on(today()).filter(
        direction=declaration.direction, office__in=("", declaration.customs_office)
    )
    for row in rows.order_by("office"):
        found[row.operation] = row.hours
    return found


def by(since: datetime | None, hours: Decimal | None) -> datetime | None:
    return since + timedelta(hours=float(hours)) if since is not None and hours is not None else None


def load() -> int:
    """Enter the shipped time limits that are not there yet."""
    with (DATA / "time_limits.csv").open(encoding="utf-8", newline="") as file, transaction.atomic():
        for row in csv.DictReader(file):
            TimeLimit.objects.get_or_create(
                operation=row["operation"], office=row["office"], direction=row["direction"],
                valid__startswith=row["valid_from"],
                defaults={
                    "hours": Decimal(row["hours"]), "source": row["source"],
                    "valid": DateRange(date.fromisoformat(row["valid_from"]), None),
                },
            )  # fmt: skip
    return TimeLimit.objects.count()
