"""Opening a case for a declaration, matching it with its manifest bill, choosing its mode, confirming its steps."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from cargo import places
from cargo.models import Consignment, Place
from clearance import goods, references
from clearance.models import Case, Confirmation, InspectionOrder
from clearance.modes import MODES, STEPS, of_message
from common.days import legal_day, today
from common.problems import Fault, Problem, conflict, invalid, not_found
from common.text import T
from declarations.models import Declaration
from events.log import append
from parties.models import OrganisationRole
from parties.principals import SYSTEM, Principal

TOLERANCE = timedelta(minutes=15)
OVER = ("released", "cleared", "withdrawn")


def visible(number: str, principal: Principal) -> Declaration:
    """The declaration of this number. Raises Problem 404 where it is not the caller's to see."""
    row = Declaration.objects.visible_to(principal).numbered(number, principal).first()
    if row is None:
        raise not_found()
    return row


def open_case(declaration: Declaration) -> Case:
    """The case of a declaration whose row the caller has locked, bound to its consignment as far as that is known."""
    case = _locked(declaration)
    if case is not None:
        goods.bind(case, declaration)
    else:
        found = goods.consignment_of(declaration)
        arrived = _arrived(found)
        mode = of_message(declaration.message, arrived)
        advance = not arrived and declaration.direction == "I"
        case = Case.objects.create(
            declaration=declaration, mode=mode if advance or mode != "advance" else "ordinary", advance=advance
        )
        append(
            type="clearance.opened",
            subject=("clearance", declaration.unified_number),
            actor=SYSTEM.actor,
            audience=declaration.parties,
            data={"mode": case.mode, "advance": case.advance, "customs_office": declaration.customs_office},
        )
        goods.bind_to(case, declaration, found)
    return case


def _locked(declaration: Declaration) -> Case | None:
    return (
        Case.objects.select_for_update(of=("self",))
        .select_related("consignment__voyage")
        .filter(declaration=declaration)
        .first()
    )


def give_up_goods(number: str) -> None:
    """A withdrawn or rejected declaration frees its goods for another one. Idempotent."""
    with transaction.atomic():
        declaration = references.locked(number)
        if declaration is None or declaration.state not in goods.GONE:
            return
        if (case := _locked(declaration)) is not None:
            goods.let_go(case)


def _arrived(consignment: Consignment | None) -> bool:
    return consignment is not None and (consignment.arrived_at is not None or consignment.voyage.arrived_at is not None)


def choose_mode(*, number: str, mode: str, place: str = "", principal: Principal) -> Case:
    """The firm chooses how its goods are handed over. Raises Problem 404, 409 (over), 422."""
    visible(number, principal)
    with transaction.atomic():
        declaration = references.locked(visible(number, principal).unified_number)
        assert declaration is not None
        case = open_case(declaration)
        faults = []
        row = MODES.get(mode)
        if row is None or not (row.by_choice or mode in ("ordinary", "advance")):
            faults.append(Fault("/mode", "mode", T("不可选择此模式", "This mode cannot be chosen")))
        else:
            if declaration.direction not in row.directions:
                faults.append(Fault("/mode", "direction", T("此模式不适用于该进出口方向", "Not for this direction")))
            if row.service and not places.offers(place, row.service, today()):
                faults.append(
                    Fault(
                        "/place", "not-offered", T("该港区未开展此项服务", "This port area does not offer the service")
                    )
                )
            if place and not row.service:
                faults.append(Fault("/place", "no-place", T("此模式不选场所", "No place is chosen for this mode")))
        if faults:
            raise invalid(faults)
        if declaration.state in OVER:
            raise conflict("over", T("报关单已放行或撤销", "The declaration is released or withdrawn"))
        if InspectionOrder.objects.open().filter(declaration=declaration).exists():
            raise conflict(
                "inspection-open", T("查验尚未完成，不能更改模式", "An inspection is open; the mode cannot be changed")
            )
        if case.mode in ("two_step", "transit") or case.confirmations.exists():
            raise conflict(
                "mode-begun", T("现有模式已开始，不能更改", "The present mode has begun; it cannot be changed")
            )
        case.mode, case.place = mode, place
        case.save(update_fields=["mode", "place"])
        append(
            type="clearance.mode_chosen",
            subject=("clearance", declaration.unified_number),
            actor=principal.actor,
            audience=declaration.parties,
            data={"mode": mode, "place": place},
        )
    return case


def confirm(*, number: str, step: str, at: datetime, place: str = "", principal: Principal) -> Confirmation:
    """Confirm a step of the mode. The same confirmation again is the same one. Raises Problem 404, 403, 409, 422."""
    if step not in STEPS:
        raise invalid([Fault("/step", "step", T("没有此步骤", "There is no such step"))])
    if at > timezone.now() + TOLERANCE:
        raise invalid([Fault("/at", "in-the-future", T("发生时间晚于当前时间", "Says it happened in the future"))])
    with transaction.atomic():
        declaration = references.locked(_confirmable(number, step, principal))
        assert declaration is not None
        case = open_case(declaration)
        mode = MODES[case.mode]
        if step not in mode.steps:
            raise conflict("not-in-mode", T("此通关模式没有这一步骤", "The mode of this case has no such step"))
        found = case.confirmations.filter(step=step).first()
        if found is not None:
            if found.at != at:
                raise conflict("already-confirmed", T("已按其他时间确认", "Confirmed before, with another time"))
            return found
        if declaration.state in OVER:
            raise conflict("over", T("报关单已放行或撤销", "The declaration is released or withdrawn"))
        missing = [
            earlier for earlier in mode.steps[: mode.steps.index(step)]
            if earlier != "transferred" and not case.confirmations.filter(step=earlier).exists()
        ]  # fmt: skip
        if missing:
            raise conflict(
                "out-of-order", T("上一步骤尚未确认：{s}", "An earlier step is not confirmed: {s}", s=missing[0])
            )
        if step == "transferred":
            _transfer(case, declaration, place)
        row = Confirmation.objects.create(case=case, step=step, at=at, place=place, actor=principal.actor)
        append(
            type="clearance.confirmed",
            subject=("clearance", declaration.unified_number),
            actor=principal.actor,
            audience=declaration.parties,
            occurred_at=at,
            data={"step": step, "place": place},
        )
    return row


def _confirmable(number: str, step: str, principal: Principal) -> str:
    """The unified number, where the caller may confirm the step."""
    if principal.is_officer:
        if not principal.has_duty("release"):
            raise Problem(403, "not-your-duty", T("不属您的职责", "This is not among your duties"))
        return visible(number, principal).unified_number
    if principal.is_customs or principal is SYSTEM:
        found = Declaration.objects.declared().numbered(number, principal).first()
        if found is None:
            raise not_found()
        return found.unified_number
    if STEPS[step][1] == "customs":
        raise Problem(403, "not-permitted", T("此步骤由海关确认", "Customs confirms this step"))
    case = (
        Case.objects.filter(
            declaration__unified_number=number, consignment__audience__contains=[principal.organisation_id]
        )
        .select_related("declaration")
        .first()
    )
    movers = {OrganisationRole.CARRIER, OrganisationRole.TERMINAL, OrganisationRole.MULTIMODAL_OPERATOR}
    if case is None or not principal.roles & movers:
        raise not_found()
    return case.declaration.unified_number


def _transfer(case: Case, declaration: Declaration, place: str) -> None:
    """The goods are at another site now: the one that was declared, where that is a place known here, and one that takes
    them, where they need a designated site."""
    faults = []
    declared = (declaration.message.get("two_stage_entry") or {}).get("transfer_site", "")
    if not Place.objects.filter(code=place).exists():
        faults.append(Fault("/place", "place", T("没有此场所", "There is no such place")))
    elif declared and declared != place and Place.objects.filter(code=declared).exists():
        faults.append(
            Fault("/place", "other-site", T("申报的转入场地为 {s}", "{s} was declared as the site", s=declared))
        )
    day = legal_day(timezone.now())
    codes = declaration.goodsitem_set.values_list("commodity_code", flat=True)
    faults += [
        Fault("/place", "site", T("该场地不接收商品 {c} 所属类别", "The site does not take goods of code {c}", c=code))
        for code, category in places.categories(codes, day).items()
        if not places.takes(place, category, day)
    ]
    if faults:
        raise invalid(faults)
    case.place = place
    case.save(update_fields=["place"])


def as_json(case: Case) -> dict[str, Any]:
    declaration = case.declaration
    from clearance import conditions

    return {
        "declaration": declaration.unified_number,
        "customs_number": declaration.customs_number,
        "state": declaration.state,
        "mode": case.mode,
        "mode_text": str(MODES[case.mode].label),
        "place": case.place,
        "advance": case.advance,
        "lane": case.lane,
        "releases": [{"stage": row.stage, "at": row.at} for row in declaration.releases.order_by("at")],
        "confirmations": [
            {"step": row.step, "text": str(STEPS[row.step][0]), "at": row.at, "place": row.place}
            for row in case.confirmations.order_by("at")
        ],
        "waiting_for": [fault.as_json() for fault in conditions.open_for(declaration, case)],
    }
