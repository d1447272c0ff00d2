"""Selection: the rules of the day over a declaration, once per version; and what follows from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from clearance import cases, inspections, references, risk
from clearance.models import Case, CreditStanding, InspectionOrder, RiskRule, Selection
from common.days import legal_day
from declarations.models import Container, Declaration, GoodsItem
from events.log import append
from parties.principals import SYSTEM


class Rule(NamedTuple):
    code: str
    action: str
    share: Decimal
    agencies: tuple[str, ...]
    instruction: str
    test: Callable[[risk.Facts], bool]


@lru_cache(maxsize=4096)
def _compiled(condition: bytes) -> Callable[[risk.Facts], bool]:
    return risk.compile(orjson.loads(condition))


def rules(day: date) -> list[Rule]:
    """The rules switched on and in force on ``day``, ready to run."""
    return [
        Rule(
            row.code, row.action, row.share, tuple(row.agencies), row.instruction,
            _compiled(orjson.dumps(row.condition, option=orjson.OPT_SORT_KEYS)),
        )
        for row in RiskRule.objects.on(day).filter(active=True).order_by("code")
    ]  # fmt: skip


class Hit(NamedTuple):
    rule: Rule
    drawn: bool


def hits(rules: Iterable[Rule], number: str, facts: risk.Facts, factor: Decimal = Decimal(1)) -> list[Hit]:
    """The rules a declaration meets, and of which of them it was drawn; the firm's credit scales every random share."""
    found = []
    for rule in rules:
        if rule.test(facts):
            share = rule.share if rule.share >= 100 else rule.share * factor
            found.append(Hit(rule, risk.drawn(rule.code, number, share)))
    return found


def lane(found: Iterable[Hit]) -> str:
    """Inspection goes before review, review before release."""
    actions = {hit.rule.action for hit in found if hit.drawn}
    if RiskRule.Action.INSPECT in actions:
        return Case.Lane.INSPECT
    if RiskRule.Action.REVIEW in actions:
        return Case.Lane.REVIEW
    return Case.Lane.RELEASE


def facts_of(declarations: Sequence[Declaration], day: date) -> dict[int, tuple[risk.Facts, Decimal]]:
    """For each declaration its facts and its firm's credit factor, in a handful of queries however many there are."""
    pks = [row.pk for row in declarations]
    goods: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for pk, *item in GoodsItem.objects.filter(declaration_id__in=pks).values_list(
        "declaration_id", "commodity_code", "goods_name", "origin_country", "invoice_amount"
    ):
        goods[pk].append(tuple(item))
    boxes: dict[int, list[str]] = defaultdict(list)
    for pk, number in Container.objects.filter(declaration_id__in=pks).values_list(
        "declaration_id", "container_number"
    ):
        boxes[pk].append(number)
    modes = dict(Case.objects.filter(declaration_id__in=pks).values_list("declaration_id", "mode"))
    firms = {row.firm_id for row in declarations if row.firm_id}
    credit = {row.organisation_id: row for row in CreditStanding.objects.on(day).filter(organisation_id__in=firms)}
    since = timezone.now() - timedelta(days=365)
    past = dict(
        Declaration.objects.filter(firm_id__in=firms, created_at__gte=since)
        .values_list("firm_id").annotate(n=Count("pk"))
    )  # fmt: skip
    bad = dict(
        InspectionOrder.objects.filter(
            declaration__firm_id__in=firms, state=InspectionOrder.State.DIFFERENCE, result_at__gte=since
        )
        .values_list("declaration__firm_id")
        .annotate(n=Count("pk"))
    )
    found = {}
    for row in declarations:
        items = goods[row.pk]
        standing = credit.get(row.firm_id)  # type: ignore[arg-type]
        amounts = [item[3] for item in items if item[3] is not None]
        found[row.pk] = (
            {
                "direction": row.direction, "office": row.customs_office, "border_office": row.border_customs_office,
                "procedure": row.customs_procedure, "transport_mode": row.transport_mode,
                "trading_country": row.trading_country, "route_country": row.departure_arrival_country,
                "border_port": row.border_port, "mode": modes.get(row.pk, "ordinary"),
                "gross_weight": row.gross_weight, "packages": row.package_count, "value": sum(amounts, Decimal(0)),
                "items": len(items), "score": row.risk_score or 0,
                "goods.code": [item[0] for item in items], "goods.name": [item[1] for item in items],
                "goods.origin": [item[2] for item in items], "goods.amount": amounts,
                "party.firm": row.domestic_party_code, "party.declarant": row.declarant_code,
                "party.credit": standing.standing if standing else "none",
                "history.declarations": past.get(row.firm_id, 0), "history.differences": bad.get(row.firm_id, 0),
                "container.number": boxes[row.pk],
            },
            standing.factor if standing else Decimal(1),
        )  # fmt: skip
    return found


def select(number: str) -> str:
    """Apply the rules of the day to an accepted declaration; returns its lane, "" where there is nothing to select.

    Result, orders and event are one transaction: a worker that dies in the middle leaves nothing, and the sweep finds the
    declaration again. A version that has been selected keeps its result."""
    with transaction.atomic():
        declaration = references.locked(number, state="accepted")
        return select_locked(declaration, cases.open_case(declaration)) if declaration is not None else ""


def select_locked(declaration: Declaration, case: Case) -> str:
    """:func:`select` for an accepted declaration that the caller has locked, with its case."""
    if case.selected_version == declaration.version:
        return case.lane
    day = legal_day(declaration.accepted_at or timezone.now())
    facts, factor = facts_of([declaration], day)[declaration.pk]
    found = hits(rules(day), declaration.unified_number, facts, factor)
    if _inspected(declaration):
        # What was inspected under an earlier version is not ordered again for an amendment of it.
        found = [hit for hit in found if hit.rule.action != RiskRule.Action.INSPECT]
    chosen = lane(found)
    Selection.objects.create(
        declaration=declaration,
        version=declaration.version,
        lane=chosen,
        score=sum(10 for hit in found if hit.rule.action == RiskRule.Action.SCORE and hit.drawn),
        hits=[
            {"rule": hit.rule.code, "action": hit.rule.action, "drawn": hit.drawn, "share": str(hit.rule.share)}
            for hit in found
        ],
    )
    case.selected_version, case.lane, case.reviewed_at = declaration.version, chosen, None
    case.save(update_fields=["selected_version", "lane", "reviewed_at"])
    append(
        type="clearance.selected",
        subject=("clearance", declaration.unified_number),
        actor=SYSTEM.actor,
        audience=[],
        data={"version": declaration.version, "lane": chosen, "mode": case.mode},
    )
    if chosen == Case.Lane.INSPECT:
        for hit in found:
            if hit.drawn and hit.rule.action == RiskRule.Action.INSPECT:
                for agency in hit.rule.agencies or ("customs",):
                    inspections.order_locked(
                        declaration,
                        agency_id=None if agency == "customs" else int(agency),
                        instruction=hit.rule.instruction,
                        principal=SYSTEM,
                    )
    return chosen


def _inspected(declaration: Declaration) -> bool:
    return declaration.inspection_orders.exclude(state=InspectionOrder.State.CANCELLED).exists()


def waiting(limit: int = 500) -> list[str]:
    """Accepted declarations whose present version nobody has selected yet (the sweep's list)."""
    from django.db.models import F, Q

    return list(
        Declaration.objects.filter(state="accepted")
        .filter(Q(case__isnull=True) | ~Q(case__selected_version=F("version")))
        .order_by("state_since")
        .values_list("unified_number", flat=True)[:limit]
    )
