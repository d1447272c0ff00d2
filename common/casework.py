"""Two people never work on the same case: a case is taken before it is worked on, and comes back by itself.

The table is here, not in an app of cases, because declarations, inspections and petitions are taken alike."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from common.models import CaseLease
from common.problems import conflict
from common.text import T

#: How long a case stays with the one who took it since they last touched it.
LEASE = timedelta(minutes=30)

_TAKE = """
INSERT INTO common_caselease AS held (kind, number, holder, holder_name, taken_at, until)
SELECT %(kind)s, number, %(holder)s, %(holder_name)s, %(now)s, %(until)s FROM unnest(%(numbers)s::text[]) AS number
ON CONFLICT (kind, number) DO UPDATE
SET holder = excluded.holder, holder_name = excluded.holder_name, until = excluded.until,
    taken_at = CASE WHEN held.holder = excluded.holder THEN held.taken_at ELSE excluded.taken_at END
WHERE held.until <= %(now)s OR held.holder = excluded.holder
RETURNING number
"""


def take(
    *, kind: str, numbers: Iterable[str], holder: str, holder_name: str = "", lease: timedelta = LEASE
) -> list[str]:
    """Take those of ``numbers`` that nobody else holds (or keep them longer); returns the ones that are now held."""
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE,
            {
                "kind": kind,
                "numbers": sorted(set(numbers)),  # in one order, so that two takers do not lock each other out
                "holder": holder,
                "holder_name": holder_name,
                "now": now,
                "until": now + lease,
            },
        )
        return [row[0] for row in cursor.fetchall()]


def hold(*, kind: str, number: str, holder: str, holder_name: str = "") -> None:
    """Take the case, or raise Problem 409 that says who has it."""
    if not take(kind=kind, numbers=[number], holder=holder, holder_name=holder_name):
        lease = held(kind, [number]).get(number)
        raise conflict(
            "case-taken",
            T(
                "此案正由{who}办理（至 {until}）",
                "{who} is working on this case (until {until})",
                who=(lease.holder_name or lease.holder) if lease else "?",
                until=_clock(lease.until) if lease else "?",
            ),
        )


def give_back(*, kind: str, numbers: Iterable[str], holder: str) -> int:
    """Let go of cases; others' are left alone."""
    return CaseLease.objects.filter(kind=kind, number__in=list(numbers), holder=holder).delete()[0]


def held(kind: str, numbers: Iterable[str]) -> dict[str, CaseLease]:
    """Who holds which of ``numbers`` now."""
    leases = CaseLease.objects.filter(kind=kind, number__in=list(numbers), until__gt=timezone.now())
    return {lease.number: lease for lease in leases}


def held_by(kind: str, holder: str) -> list[str]:
    return list(
        CaseLease.objects.filter(kind=kind, holder=holder, until__gt=timezone.now())
        .order_by("taken_at", "id")
        .values_list("number", flat=True)
    )


def _clock(moment: datetime) -> str:
    return timezone.localtime(moment).strftime("%H:%M")
