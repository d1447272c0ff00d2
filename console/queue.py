"""The work queue: open declarations of the officer's customs offices, the oldest first, and the taking of cases."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from clearance.models import Case, ChangeRequest, InspectionOrder, PenaltyCase
from clearance.modes import MODES
from common import casework
from common.models import CaseLease
from common.text import T
from console.ages import age, target
from declarations.lifecycle import State
from declarations.models import CheckResult, Declaration, GoodsItem, Severity
from parties.principals import Principal
from tariffs.models import DutyMemo

KIND = "declaration"
PAGE = 50


@dataclass(frozen=True, slots=True)
class Desk:
    """One kind of work: the states its cases are in and the duty that decides on them. With ``of``, of these states only
    the cases in which that work is to be done, whatever desk of the states they lie on besides."""

    key: str
    title: Any
    states: tuple[str, ...]
    duties: tuple[str, ...]
    of: Callable[[], Q] | None = None

    @property
    def whole(self) -> bool:
        """Whether all cases of its states lie here, and somebody has something to do about them."""
        return self.of is None and OPEN.issuperset(self.states)


def _to_look_at() -> Q:
    """What the rules of risk sent to an officer."""
    return Q(Exists(Case.objects.filter(declaration=OuterRef("pk"), lane=Case.Lane.REVIEW, reviewed_at=None)))


def _asked_for() -> Q:
    """What a declarant asks to change or withdraw. Few, read first: cleared declarations are many."""
    pending = ChangeRequest.objects.filter(state=ChangeRequest.State.PENDING).order_by("pk")
    return Q(pk__in=list(pending.values_list("declaration_id", flat=True)[:FEW]))


def _to_settle() -> Q:
    """Differences that inspection found, and penalty cases, that are still open."""
    found = InspectionOrder.objects.filter(state=InspectionOrder.State.DIFFERENCE, settled_at=None)
    open_ = PenaltyCase.objects.filter(closed_at=None)
    return Q(
        pk__in=list(
            {
                *found.values_list("declaration_id", flat=True)[:FEW],
                *open_.values_list("declaration_id", flat=True)[:FEW],
            }
        )
    )


def _waits_outside() -> Q:
    """Accepted, and waiting for what nobody at this desk can do: the goods, the payment, the full declaration."""
    goods = Case.objects.filter(declaration=OuterRef("pk"), consignment__arrived_at=None).filter(
        Q(consignment__direction="E") | Q(consignment__voyage__arrived_at=None), consignment__isnull=False
    )
    memo = DutyMemo.objects.filter(subject=OuterRef("unified_number"), state=DutyMemo.State.OPEN)
    return Q(Exists(goods)) | Q(Exists(memo)) | Q(document_type__regex="^..5")


#: Of cases that one table leads to, how many are looked through at most.
FEW = 2000


DESKS = {
    desk.key: desk
    for desk in (
        Desk("review", T("待审核", "To review"), (State.UNDER_REVIEW,), ("examination",)),
        Desk("lodged", T("待检查", "Being checked"), (State.LODGED,), ("examination",)),
        Desk("accepted", T("待放行", "To release"), (State.ACCEPTED,), ("release",)),
        Desk("selected", T("风险复核", "Sent by risk"), (State.ACCEPTED,), ("examination",), _to_look_at),
        Desk(
            "requests",
            T("修撤单申请", "Change requests"),
            (State.ACCEPTED, State.HELD, State.RELEASED, State.CLEARED),
            ("examination",),
            _asked_for,
        ),
        Desk("held", T("挂起", "Held"), (State.HELD,), ("risk", "examination")),
        Desk("inspection", T("查验中", "Under inspection"), (State.UNDER_INSPECTION,), ("inspection",)),
        Desk(
            "differences",
            T("差异与处罚", "Differences"),
            (State.ACCEPTED, State.HELD, State.UNDER_INSPECTION, State.RETURNED, State.LODGED, State.UNDER_REVIEW),
            ("inspection",),
            _to_settle,
        ),
        Desk("returned", T("退回/退单", "Given back"), (State.RETURNED, State.REJECTED), ()),
        Desk("released", T("已放行", "Released"), (State.RELEASED,), ()),
    )
}


def works_at(principal: Principal, desk: str) -> bool:
    """Whether the work of the desk is among this officer's duties."""
    return any(principal.has_duty(duty) for duty in DESKS[desk].duties)


def first_desk(principal: Principal) -> str:
    """Where this officer's work lies."""
    return next((desk for desk in DESKS if works_at(principal, desk)), "review")


def desk_of(state: str) -> str:
    """The desk on which a declaration in this state lies."""
    return next((desk.key for desk in DESKS.values() if desk.of is None and state in desk.states), "review")


@dataclass(frozen=True, slots=True)
class Filters:
    desk: str
    office: str = ""
    direction: str = ""
    procedure: str = ""
    party: str = ""
    risk: str = ""
    mode: str = ""
    lane: str = ""
    late: bool = False
    mine: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str], principal: Principal) -> Filters:
        desk = query.get("desk", "")
        return cls(
            desk=desk if desk in DESKS else first_desk(principal),
            office=query.get("office", "")[:4],
            direction=query.get("direction", "") if query.get("direction") in ("I", "E") else "",
            procedure=query.get("procedure", "")[:4],
            party=query.get("party", "").replace("\x00", "").strip()[:60],
            risk=query.get("risk", "") if query.get("risk") in ("low", "high") else "",
            mode=query.get("mode", "") if query.get("mode") in MODES else "",
            lane=query.get("lane", "") if query.get("lane") in Case.Lane.values else "",
            late=query.get("late") == "1",
            mine=query.get("mine") == "1",
        )


#: Risk score below which a case may be released in bulk, and from which it counts as high.
LOW_RISK, HIGH_RISK = 20, 60


def offices_of(principal: Principal) -> list[str]:
    """The offices whose queues this person sees: those assigned; a superuser's are all that have declarations."""
    if not principal.is_superuser:
        return sorted(principal.offices)
    with connection.cursor() as cursor:  # distinct by skipping through the index, however many declarations there are
        cursor.execute(
            """
            WITH RECURSIVE office AS (
              SELECT min(customs_office) AS code FROM declarations_declaration
              UNION ALL
              SELECT (SELECT min(customs_office) FROM declarations_declaration WHERE customs_office > office.code)
              FROM office WHERE office.code IS NOT NULL
            ) SELECT code FROM office WHERE code <> ''
            """
        )
        return [row[0] for row in cursor.fetchall()]


def _only(filters: Filters) -> Q:
    """Which cases of its states lie on the desk, asked once for all offices."""
    of = DESKS[filters.desk].of
    return of() if of is not None else Q()


def _filtered(office: str, state: str, filters: Filters, holder: str, only: Q) -> QuerySet[Declaration]:
    found = Declaration.objects.filter(only, customs_office=office, state=state)
    if filters.mode:
        found = found.filter(case__mode=filters.mode)
    if filters.lane:
        found = found.filter(case__lane=filters.lane)
    if filters.direction:
        found = found.filter(direction=filters.direction)
    if filters.procedure:
        found = found.filter(customs_procedure=filters.procedure)
    if filters.party:
        # Upper and lower case cost most of the time of such a search, and Chinese names have neither.
        how = "icontains" if filters.party.isascii() else "contains"
        found = found.filter(
            Q(**{f"domestic_party_name__{how}": filters.party}) | Q(**{f"declarant_name__{how}": filters.party})
        )
    if filters.risk == "low":
        found = found.filter(risk_score__lt=LOW_RISK)
    elif filters.risk == "high":
        found = found.filter(risk_score__gte=HIGH_RISK)
    if filters.late:
        now = timezone.now()
        late = Q(pk__in=())
        for direction in "IE":
            limit = target(state, office, direction)
            if limit is not None:
                late |= Q(direction=direction, state_since__lt=now - limit)
        found = found.filter(late)
    if filters.mine:
        found = found.filter(unified_number__in=casework.held_by(KIND, holder))
    return found


def cursor_of(since: datetime, pk: int) -> str:
    return base64.urlsafe_b64encode(f"{since.isoformat()}|{pk}".encode()).decode()


def _read_cursor(text: str) -> tuple[datetime, int] | None:
    try:
        since, _, pk = base64.urlsafe_b64decode(text.encode()).decode().partition("|")
        moment = datetime.fromisoformat(since)
        return (moment, int(pk)) if moment.tzinfo and int(pk) < 2**63 else None
    except (ValueError, binascii.Error, OverflowError):
        return None


def page(
    filters: Filters, principal: Principal, after: str = "", size: int | None = None
) -> tuple[list[dict[str, Any]], str]:
    """One page of the queue, the oldest first, and the cursor of the next.

    Each office and state is read from its index in order, and the heads are merged: the cost does not grow with the
    number of open cases."""
    size = size or PAGE
    offices = [office for office in offices_of(principal) if not filters.office or office == filters.office]
    start = _read_cursor(after) if after else None
    only = _only(filters)
    heads: list[tuple[datetime, int]] = []
    for state in DESKS[filters.desk].states:
        for office in offices:
            found = _filtered(office, state, filters, principal.actor, only)
            if start:
                found = found.filter(Q(state_since__gt=start[0]) | Q(state_since=start[0], pk__gt=start[1])).filter(
                    state_since__gte=start[0]
                )
            heads += found.order_by("state_since", "pk").values_list("state_since", "pk")[: size + 1]
    heads.sort()
    shown = heads[:size]
    more = cursor_of(*shown[-1]) if len(heads) > size else ""
    return rows([pk for _, pk in shown]), more


_COLUMNS = (
    "unified_number", "customs_number", "state", "state_since", "version", "revision", "direction", "customs_office",
    "domestic_party_name", "declarant_name", "customs_procedure", "transport_mode", "transport_document_number",
    "risk_score", "lodged_at",
)  # fmt: skip


def rows(pks: list[int]) -> list[dict[str, Any]]:
    """What the queue shows of these declarations, in this order."""
    found = {row.pk: row for row in Declaration.objects.filter(pk__in=pks).only(*_COLUMNS)}
    goods: dict[int, list[GoodsItem]] = {}
    for item in GoodsItem.objects.filter(declaration_id__in=pks).only("declaration_id", "goods_name"):
        goods.setdefault(item.declaration_id, []).append(item)
    checks: dict[int, dict[str, int]] = {}
    for found_check in (
        CheckResult.objects.filter(declaration_id__in=pks)
        .exclude(severity=Severity.INFO)
        .values("declaration_id", "version", "severity")
        .annotate(count=Count("id"))
        .order_by()
    ):
        if found_check["version"] == found[found_check["declaration_id"]].version:
            checks.setdefault(found_check["declaration_id"], {})[found_check["severity"]] = found_check["count"]
    leases = casework.held(KIND, [row.unified_number for row in found.values()])
    now = timezone.now()
    return [
        {
            "declaration": row,
            "age": age(row, now),
            "goods": goods.get(pk, [None])[0],
            "more_goods": len(goods.get(pk, [])) - 1,
            "checks": _worst(checks.get(pk, {})),
            "lease": leases.get(row.unified_number),
        }
        for pk in pks
        if (row := found.get(pk)) is not None
    ]


def _worst(counts: dict[str, int]) -> dict[str, Any] | None:
    for severity, tone in (
        (Severity.FATAL, "bad"),
        (Severity.ERROR, "bad"),
        (Severity.REVIEW, "warn"),
        (Severity.WARNING, "warn"),
    ):
        if counts.get(severity):
            return {"label": severity.label, "tone": tone, "count": counts[severity], "all": sum(counts.values())}
    return None


def counts(principal: Principal, office: str = "") -> dict[str, dict[str, int]]:
    """For each desk: how many cases lie there, and how many of them are late. A few seconds old at most; the rows of
    the queue are always read afresh."""
    offices = [code for code in offices_of(principal) if not office or code == office]
    key = "queue-counts:" + ",".join(offices)
    known: dict[str, dict[str, int]] | None = cache.get(key)
    if known is None:
        known = _count(offices) | _count_further(offices)
        cache.set(key, known, COUNTS_KEPT)
    return known


#: Seconds that the numbers on the tabs may be behind.
COUNTS_KEPT = 5


def _count(offices: list[str]) -> dict[str, dict[str, int]]:
    states = sorted(OPEN)
    now = timezone.now()
    limits = [
        (state, office, direction, now - limit)
        for state in states
        for office in offices
        for direction in "IE"
        if (limit := target(state, office, direction)) is not None
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT t.state, sum(t.n), sum(t.late) FROM (
              SELECT state, count(*) AS n, 0 AS late FROM declarations_declaration
              WHERE state = ANY(%(states)s) AND customs_office = ANY(%(offices)s) GROUP BY 1
              UNION ALL
              SELECT l.state, 0, count(*)
              FROM unnest(%(state)s::text[], %(office)s::text[], %(direction)s::text[], %(limit)s::timestamptz[])
                AS l(state, office, direction, "limit")
              JOIN declarations_declaration d ON d.state = l.state AND d.customs_office = l.office
                AND d.direction = l.direction AND d.state_since < l.limit GROUP BY 1
            ) AS t GROUP BY 1
            """,
            {
                "states": states, "offices": offices, "state": [one[0] for one in limits],
                "office": [one[1] for one in limits], "direction": [one[2] for one in limits],
                "limit": [one[3] for one in limits],
            },
        )  # fmt: skip
        found = {state: (int(total), int(late)) for state, total, late in cursor.fetchall()}
    return {
        key: {
            "all": sum(found.get(state, (0, 0))[0] for state in desk.states),
            "late": sum(found.get(state, (0, 0))[1] for state in desk.states),
        }
        for key, desk in DESKS.items()
        if desk.whole
    }


def _count_further(offices: list[str]) -> dict[str, dict[str, int]]:
    """How many cases lie on the desks that hold only some of a state's; never more than can be worked at in a day."""
    return {
        key: {
            "all": Declaration.objects.filter(desk.of(), customs_office__in=offices, state__in=desk.states)[
                :FEW
            ].count(),
            "late": 0,
        }
        for key, desk in DESKS.items()
        if desk.of is not None
    }


#: States in which somebody here has something to do; only these are counted.
OPEN = frozenset({State.UNDER_REVIEW, State.LODGED, State.ACCEPTED, State.HELD, State.UNDER_INSPECTION})


def take_next(filters: Filters, principal: Principal, holder_name: str) -> str | None:
    """The oldest case of the desk that nobody holds, now held by this officer; None where there is none.

    What waits for something else than the desk's own work is not handed out. Officers who ask at the same moment skip each
    other's row and get different cases."""
    free: Any = ~Exists(CaseLease.objects.filter(kind=KIND, number=OuterRef("unified_number"), until__gt=Now()))
    if filters.desk == desk_of(State.ACCEPTED):
        free = Q(free) & ~(_waits_outside() | _to_look_at() | _asked_for() | _to_settle())
    only = _only(filters)
    queues = [
        _filtered(office, state, filters, principal.actor, only).filter(free).order_by("state_since", "pk")
        for state in DESKS[filters.desk].states
        for office in offices_of(principal)
        if not filters.office or office == filters.office
    ]
    oldest = [(queue.values_list("state_since", flat=True).first(), n) for n, queue in enumerate(queues)]
    for _, n in sorted((since, n) for since, n in oldest if since is not None):
        with transaction.atomic():
            row = queues[n].select_for_update(skip_locked=True, of=("self",)).only("unified_number").first()
            if row is not None and casework.take(
                kind=KIND, numbers=[row.unified_number], holder=principal.actor, holder_name=holder_name
            ):
                return row.unified_number
    return None


def low_risk(numbers: Iterable[str], principal: Principal) -> list[Declaration]:
    """Those of ``numbers`` that may be released in bulk: accepted, low risk, nothing above a warning, of one's offices;
    and the rules of risk sent them straight on, or to an officer who has looked at them."""
    bad = CheckResult.objects.filter(severity__in=[Severity.REVIEW, Severity.ERROR, Severity.FATAL])
    found = Declaration.objects.visible_to(principal).filter(
        Q(case__lane=Case.Lane.RELEASE) | Q(case__lane=Case.Lane.REVIEW, case__reviewed_at__isnull=False),
        unified_number__in=list(numbers), state=State.ACCEPTED, risk_score__lt=LOW_RISK, case__selected_version=F("version"),
    )  # fmt: skip
    return [
        row
        for row in found.order_by("state_since", "pk")
        if not bad.filter(declaration_id=row.pk, version=row.version).exists()
    ]
