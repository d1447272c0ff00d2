"""What differs between two days of the tariff, and what changes on which day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.db import connection

from common.text import pick

from .selection import KIND_NAMES

MAX_ROWS = 1000

_BETWEEN = """
SELECT coalesce(a.code, b.code), coalesce(a.kind, b.kind), coalesce(a."group", b."group"),
  coalesce(a.exporter, b.exporter), a.rate, b.rate
FROM (SELECT * FROM tariffs_tariffmeasure WHERE until_version IS NULL AND valid @> %(first)s::date
  AND code LIKE %(prefix)s) a
FULL JOIN (SELECT * FROM tariffs_tariffmeasure WHERE until_version IS NULL AND valid @> %(second)s::date
  AND code LIKE %(prefix)s) b
  ON a.code = b.code AND a.kind = b.kind AND a."group" = b."group" AND a.exporter = b.exporter
WHERE a.rate IS DISTINCT FROM b.rate ORDER BY 1, 2, 3, 4 LIMIT %(limit)s
"""

_DAYS = """
SELECT day, count(*) FILTER (WHERE what = 'begins'), count(*) FILTER (WHERE what = 'ends') FROM (
  SELECT lower(valid) AS day, 'begins' AS what FROM tariffs_tariffmeasure
  WHERE until_version IS NULL AND lower(valid) BETWEEN %(first)s AND %(second)s
  UNION ALL
  SELECT upper(valid), 'ends' FROM tariffs_tariffmeasure
  WHERE until_version IS NULL AND upper(valid) BETWEEN %(first)s AND %(second)s) AS moves
GROUP BY day ORDER BY day LIMIT 400
"""


def between(first: date, second: date, *, prefix: str = "") -> dict[str, Any]:
    """Measures of one day against those of the other, as they are known now."""
    with connection.cursor() as cursor:
        cursor.execute(_BETWEEN, {"first": first, "second": second, "prefix": f"{prefix}%", "limit": MAX_ROWS + 1})
        rows = cursor.fetchall()
    return {
        "from": first,
        "to": second,
        "complete": len(rows) <= MAX_ROWS,
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
    }


def days(first: date, second: date) -> list[dict[str, Any]]:
    """Days on which measures begin or end, with how many."""
    with connection.cursor() as cursor:
        cursor.execute(_DAYS, {"first": first, "second": second})
        return [
            {"day": day, "before": day - timedelta(days=1), "begin": begin, "end": end}
            for day, begin, end in cursor.fetchall()
        ]
