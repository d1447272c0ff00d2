"""What differs between two days of the tariff, and what changes on which day."""

# Table and column names in the SQL come from tables.TABLES alone.
# ruff: noqa: S608

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.db import connection

from common.text import pick

from .selection import KIND_NAMES
from .tables import TABLES, Table

MAX_ROWS = 1000

# A row that holds on both days is no difference: only what begins or ends between them is joined.
_ONE_DAY = "until_version IS NULL AND valid @> %({day})s::date AND NOT valid @> %({other})s::date"
_BETWEEN = f"""
SELECT coalesce(a.code, b.code), coalesce(a.kind, b.kind), coalesce(a."group", b."group"),
  coalesce(a.exporter, b.exporter), a.rate, b.rate
FROM (SELECT * FROM tariffs_tariffmeasure WHERE {_ONE_DAY.format(day="first", other="second")}
  AND code LIKE %(prefix)s) a
FULL JOIN (SELECT * FROM tariffs_tariffmeasure WHERE {_ONE_DAY.format(day="second", other="first")}
  AND code LIKE %(prefix)s) b
  ON a.code = b.code AND a.kind = b.kind AND a."group" = b."group" AND a.exporter = b.exporter
WHERE a.rate IS DISTINCT FROM b.rate ORDER BY 1, 2, 3, 4 LIMIT %(limit)s
"""
#: Of a row, what says where it comes from is no difference in law.
_NOT_SHOWN = ("source", "example")


def between(first: date, second: date, *, prefix: str = "") -> dict[str, Any]:
    """The tables of one day against those of the other, as they are known now. With a prefix the measures alone."""
    with connection.cursor() as cursor:
        cursor.execute(_BETWEEN, {"first": first, "second": second, "prefix": f"{prefix}%", "limit": MAX_ROWS + 1})
        rows = cursor.fetchall()
    others = [] if prefix else [found for table in _others() for found in _differences(table, first, second)]
    return {
        "from": first,
        "to": second,
        "complete": len(rows) <= MAX_ROWS and len(others) <= MAX_ROWS,
        "changes": [
            {
                "code": code,
                "kind": kind,
                "kind_text": pick(*KIND_NAMES[kind]),
                "origin": origin,
                "exporter": exporter,
                "before": before,
                "after": after,
            }
            for code, kind, origin, exporter, before, after in rows[:MAX_ROWS]
        ],
        "others": others[:MAX_ROWS],
    }


def _others() -> list[Table]:
    """The tables of periods beside the measures. The calendar's rows hold on one day each."""
    return [table for table in TABLES.values() if table.period == "range" and table.name != "measures"]


def _differences(table: Table, first: date, second: date) -> list[dict[str, Any]]:
    key = "concat_ws(' ', " + ", ".join(f'"{name}"::text' for name in table.key) + ")"
    shown = [name for name in table.payload() if name not in _NOT_SHOWN]
    text = "concat_ws(' · ', " + ", ".join(f"nullif(\"{name}\"::text, '')" for name in shown) + ")"
    side = f"SELECT {key} AS key, {text} AS said FROM {table.model._meta.db_table} WHERE {_ONE_DAY}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT coalesce(a.key, b.key), a.said, b.said FROM ({side.format(day='first', other='second')}) a"
            f" FULL JOIN ({side.format(day='second', other='first')}) b ON a.key = b.key"
            " WHERE a.said IS DISTINCT FROM b.said ORDER BY 1 LIMIT %(limit)s",
            {"first": first, "second": second, "limit": MAX_ROWS + 1},
        )
        return [
            {"table": table.name, "key": name, "before": before, "after": after}
            for name, before, after in cursor.fetchall()
        ]


def days(first: date, second: date) -> list[dict[str, Any]]:
    """Days on which rows of any table begin or end, with how many."""
    moves = " UNION ALL ".join(
        f"SELECT {bound}(valid) AS day, '{what}' AS what FROM {table.model._meta.db_table}"
        f" WHERE until_version IS NULL AND {bound}(valid) BETWEEN %(first)s AND %(second)s"
        for table in TABLES.values()
        if table.period == "range"
        for bound, what in (("lower", "begins"), ("upper", "ends"))
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT day, count(*) FILTER (WHERE what = 'begins'), count(*) FILTER (WHERE what = 'ends')"
            f" FROM ({moves}) AS moves GROUP BY day ORDER BY day LIMIT 400",
            {"first": first, "second": second},
        )
        return [
            {"day": day, "before": day - timedelta(days=1), "begin": begin, "end": end}
            for day, begin, end in cursor.fetchall()
        ]
