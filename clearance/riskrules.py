"""How risk staff keep their rules: drafted, tried against the last month, switched on, closed."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.db.backends.postgresql.psycopg_any import DateRange  # type: ignore[attr-defined]
from django.utils import timezone

from clearance import risk, selection
from clearance.models import CreditStanding, RiskRule
from common.days import today
from common.problems import Fault, Problem, conflict, invalid, not_found
from common.text import T
from declarations.models import Declaration
from events.log import append
from parties.principals import SYSTEM, Principal

TRIAL_DAYS = 30
#: Of more than these the latest are looked at, and the trial says that it is not complete.
TRIAL_LIMIT = 20_000


def _may(principal: Principal) -> None:
    if principal is not SYSTEM and not (principal.is_officer and principal.has_duty("risk")):
        raise Problem(403, "not-your-duty", T("不属您的职责", "This is not among your duties"))


def draft(
    *, code: str, name: str, condition: Any, action: str, basis: str, principal: Principal, share: Decimal = Decimal(100),
    agencies: list[str] | None = None, instruction: str = "", valid_from: date | None = None, valid_to: date | None = None,
) -> RiskRule:  # fmt: skip
    """Write a rule, switched off. A rule of the same code that is in force stays so until this one is switched on.

    Raises Problem 403 or 422 (every fault)."""
    _may(principal)
    faults = risk.check(condition)
    if action not in RiskRule.Action.values:
        faults.append(Fault("/action", "action", T("处置无效", "Unknown action")))
    if not 0 <= share <= 100:
        faults.append(Fault("/share", "share", T("比例应在 0 到 100 之间", "A share is between 0 and 100")))
    if not basis.strip():
        faults.append(Fault("/basis", "required", T("须写明依据", "State the basis")))
    faults.extend(
        Fault(f"/agencies/{i}", "agency", T("应为 customs 或单位编号", "Write customs or an organisation's id"))
        for i, one in enumerate(agencies or [])
        if one != "customs" and not one.isdigit()
    )
    start = valid_from or today()
    if valid_to is not None and valid_to <= start:
        faults.append(Fault("/valid_to", "order", T("终止日应晚于生效日", "It ends before it begins")))
    if faults:
        raise invalid(faults)
    with transaction.atomic():
        row = RiskRule.objects.create(
            code=code, name=name, condition=condition, action=action, share=share, agencies=agencies or [],
            instruction=instruction, basis=basis, valid=DateRange(start, valid_to), created_by=principal.actor,
        )  # fmt: skip
        _say(row, "risk_rule.drafted", principal)
    return row


#: Columns that the facts of a declaration are made of.
_LOOKED_AT = (
    "unified_number", "direction", "customs_office", "border_customs_office", "customs_procedure", "transport_mode",
    "trading_country", "departure_arrival_country", "border_port", "gross_weight", "package_count", "risk_score",
    "domestic_party_code", "declarant_code", "firm_id",
)  # fmt: skip


def trial(*, pk: int, principal: Principal, days: int = TRIAL_DAYS) -> dict[str, Any]:
    """How many of the last month's declarations the rule would have hit, and of them drawn; changes nothing else."""
    _may(principal)
    row = RiskRule.objects.filter(pk=pk).first()
    if row is None:
        raise not_found()
    rule = selection.Rule(row.code, row.action, row.share, tuple(row.agencies), "", risk.compile(row.condition))
    since = timezone.now() - timedelta(days=days)
    looked = hit = taken = 0
    offices: Counter[str] = Counter()
    rows = Declaration.objects.declared().filter(lodged_at__gte=since).order_by("-pk").only(*_LOOKED_AT)
    batch: list[Declaration] = []

    def look() -> None:
        nonlocal looked, hit, taken
        facts = selection.facts_of(batch, today())
        for declaration in batch:
            looked += 1
            known, factor = facts[declaration.pk]
            for found in selection.hits([rule], declaration.unified_number, known, factor):
                hit += 1
                taken += found.drawn
                offices[declaration.customs_office] += 1
        batch.clear()

    for declaration in rows[:TRIAL_LIMIT].iterator(chunk_size=1000):
        batch.append(declaration)
        if len(batch) == 1000:
            look()
    look()
    result = {
        "days": days, "declarations": looked, "hit": hit, "drawn": taken, "by_office": dict(sorted(offices.items())),
        "at": timezone.now().isoformat(), "complete": looked < TRIAL_LIMIT,
    }  # fmt: skip
    RiskRule.objects.filter(pk=pk).update(trial=result)
    return result


def switch(*, pk: int, on: bool, principal: Principal) -> RiskRule:
    """Switch a rule on (only after a trial) or off. Switched on, it takes the place of the rule of the same code that was on:
    that one ends on the day this one begins, today or later."""
    _may(principal)
    with transaction.atomic():
        code = RiskRule.objects.filter(pk=pk).values_list("code", flat=True).first()
        rows = {one.pk: one for one in RiskRule.objects.select_for_update().filter(code=code).order_by("pk")}
        row = rows.get(pk)
        if row is None:
            raise not_found()
        if on and row.trial is None:
            raise conflict("not-tried", T("规则须先试算再启用", "A rule is tried before it is switched on"))
        if row.active != on:
            if on:
                _begin(row, [one for one in rows.values() if one.active], principal)
            row.active = on
            row.save(update_fields=["active", "valid"])
            _say(row, "risk_rule.switched_on" if on else "risk_rule.switched_off", principal)
    return row


def _begin(row: RiskRule, others: list[RiskRule], principal: Principal) -> None:
    """Make room for a rule: what was in force until today stays the answer for the days before."""
    start = max(row.valid.lower or today(), today())
    if row.valid.upper is not None and row.valid.upper <= start:
        raise conflict("ended", T("规则的有效期已过", "The rule has ended"))
    row.valid = DateRange(start, row.valid.upper)
    for other in others:
        if other.valid.upper is not None and other.valid.upper <= start:
            continue
        if row.valid.upper is not None and other.valid.lower is not None and other.valid.lower >= row.valid.upper:
            continue
        if other.valid.lower is None or other.valid.lower < start:
            other.valid = DateRange(other.valid.lower, start)
        else:
            other.active = False
        other.save(update_fields=["active", "valid"])
        _say(other, "risk_rule.switched_off", principal)


def list_credit(
    *, organisation_id: int, standing: str, factor: Decimal, basis: str, valid_from: date, valid_to: date | None,
    principal: Principal,
) -> CreditStanding:  # fmt: skip
    """Put a firm on the red or black list for a period, with its basis. Raises Problem 403, 409 or 422."""
    _may(principal)
    faults = credit_faults(standing=standing, factor=factor, basis=basis)
    if valid_to is not None and valid_to <= valid_from:
        faults.append(Fault("/valid", "order", T("终止日应晚于生效日", "It ends before it begins")))
    if faults:
        raise invalid(faults)
    try:
        with transaction.atomic():
            row = CreditStanding.objects.create(
                organisation_id=organisation_id, standing=standing, factor=factor, basis=basis,
                valid=DateRange(valid_from, valid_to),
            )  # fmt: skip
            _say_credit(row, "credit_standing.listed", principal)
    except IntegrityError as error:
        raise conflict("overlaps", T("该单位该期间已在名单内", "The firm is on a list in that period")) from error
    return row


def end_credit(*, pk: int, valid_to: date | None, principal: Principal) -> CreditStanding:
    """A firm's standing ends on ``valid_to``, tomorrow at the earliest: what it was until now stays. Raises Problem 404, 409."""
    _may(principal)
    with transaction.atomic():
        row = CreditStanding.objects.select_for_update().filter(pk=pk).first()
        if row is None:
            raise not_found()
        if valid_to is not None and valid_to <= today():
            raise conflict("in-the-past", T("不得终止于今日之前", "It cannot have ended before today"))
        if row.valid.upper != valid_to:
            try:
                with transaction.atomic():
                    row.valid = DateRange(row.valid.lower, valid_to)
                    row.save(update_fields=["valid"])
            except IntegrityError as error:
                raise conflict(
                    "overlaps", T("该单位该期间已在名单内", "The firm is on a list in that period")
                ) from error
            _say_credit(row, "credit_standing.ended", principal)
    return row


def credit_faults(*, standing: str, factor: Decimal, basis: str) -> list[Fault]:
    faults = []
    if standing not in CreditStanding.Standing.values:
        faults.append(Fault("/standing", "standing", T("名单无效", "Unknown list")))
    elif (standing == "red") != (factor <= 1):
        faults.append(
            Fault(
                "/factor",
                "factor",
                T("红名单系数不大于 1，黑名单大于 1", "Red lists lower, black lists raise the share"),
            )
        )
    if not basis.strip():
        faults.append(Fault("/basis", "required", T("须写明依据", "State the basis")))
    if factor < 0 or factor > 100:
        faults.append(Fault("/factor", "factor", T("系数应在 0 到 100 之间", "A factor is between 0 and 100")))
    return faults


def _say(row: RiskRule, type_: str, principal: Principal) -> None:
    append(
        type=type_, subject=("risk_rule", f"{row.code}/{row.pk}"), actor=principal.actor, audience=[],
        data={"code": row.code, "action": row.action, "share": str(row.share)},
    )  # fmt: skip


def _say_credit(row: CreditStanding, type_: str, principal: Principal) -> None:
    append(
        type=type_, subject=("credit_standing", str(row.pk)), actor=principal.actor, audience=[],
        data={
            "organisation": row.organisation_id, "standing": row.standing, "factor": str(row.factor),
            "valid_from": row.valid.lower, "valid_to": row.valid.upper,
        },
    )  # fmt: skip
