"""One inspection: the orders of all agencies for a declaration share one appointment; results, evidence and what follows."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from clearance import cases, files, references
from clearance.models import Appointment, Evidence, InspectionOrder, PenaltyCase
from clearance.modes import MODES
from common.problems import Fault, Problem, conflict, invalid, not_found
from common.text import T
from declarations.models import Declaration
from declarations.moves import move
from events.log import append
from parties.models import Organisation, OrganisationRole
from parties.principals import SYSTEM, Principal

State, Stage = InspectionOrder.State, InspectionOrder.Stage

MAX_FILE = 10 * 1024 * 1024
MAX_FILES = 50


def order(
    *, number: str, agency_id: int | None = None, stage: str = "port", instruction: str = "", principal: Principal
) -> InspectionOrder:
    """An agency, or customs, wants to look at the goods. Raises Problem 404, 403, 409."""
    unified = _orderable(number, agency_id, principal)
    with transaction.atomic():
        declaration = references.locked(unified)
        assert declaration is not None
        if declaration.state not in ("accepted", "held", "under_inspection"):
            raise conflict("state", T("报关单不在可查验的状态", "The declaration is not in a state to be inspected"))
        cases.open_case(declaration)
        return order_locked(declaration, agency_id=agency_id, stage=stage, instruction=instruction, principal=principal)


def _orderable(number: str, agency_id: int | None, principal: Principal) -> str:
    if principal.is_officer:
        if not principal.has_duty("inspection"):
            raise Problem(403, "not-your-duty", T("不属您的职责", "This is not among your duties"))
        return cases.visible(number, principal).unified_number
    if principal is SYSTEM or OrganisationRole.CUSTOMS_OFFICE in principal.roles:
        pass
    elif OrganisationRole.INSPECTION_AGENCY not in principal.roles or agency_id != principal.organisation_id:
        raise Problem(403, "not-permitted", T("只能为本单位下达查验", "An agency orders inspections of its own"))
    if not Declaration.objects.filter(unified_number=number).exists():
        raise not_found()
    return number


def order_locked(
    declaration: Declaration, *, agency_id: int | None, principal: Principal, stage: str = "port", instruction: str = ""
) -> InspectionOrder:
    """Order in the caller's transaction, the declaration locked; a standing order of the agency is the same one."""
    known = declaration.inspection_orders.open().filter(agency_id=agency_id, stage=stage).first()
    if known is not None:
        return known
    if (
        agency_id is not None
        and not Organisation.objects.filter(pk=agency_id, roles__contains=[OrganisationRole.INSPECTION_AGENCY]).exists()
    ):
        raise invalid([Fault("/agency", "agency", T("没有此查验单位", "There is no such agency"))])
    appointment = _appointment(declaration)
    row = InspectionOrder.objects.create(
        declaration=declaration,
        appointment=appointment,
        agency_id=agency_id,
        stage=stage,
        instruction=instruction,
        ordered_by=principal.actor,
    )
    if declaration.state in ("accepted", "held") and not (stage == Stage.DESTINATION and _before_pickup(declaration)):
        move(declaration, "inspect", principal)
    _say(
        "inspection.ordered", declaration, row, principal,
        agency=agency_id or "customs", stage=stage, appointment=appointment.pk,
    )  # fmt: skip
    return row


def _appointment(declaration: Declaration) -> Appointment:
    return declaration.appointments.filter(state__in=("open", "booked")).first() or Appointment.objects.create(
        declaration=declaration
    )


def _before_pickup(declaration: Declaration) -> bool:
    """Whether the goods are still to be picked up at the port, which an inspection at the destination does not hinder: the
    declaration comes under inspection for it once they are."""
    pickup = MODES[declaration.case.mode].pickup
    return "port_inspection" in pickup and not declaration.releases.exists()


def go_to_destination(declaration: Declaration, principal: Principal) -> None:
    """The goods were let go for pick-up: what was ordered at the destination is looked at next. The declaration is locked."""
    if declaration.inspection_orders.open().filter(stage=Stage.DESTINATION).exists():
        move(declaration, "inspect", principal)


def book(*, number: str, place: str, starts_at: datetime, ends_at: datetime, principal: Principal) -> Appointment:
    """Agree time and place of the one inspection; all orders of the declaration share it. An agency may that has one of
    them. Raises Problem 404, 409, 422."""
    if OrganisationRole.INSPECTION_AGENCY in principal.roles:
        ordered = InspectionOrder.objects.open().filter(agency_id=principal.organisation_id)
        if not ordered.filter(declaration__unified_number=number).exists():
            raise not_found()
    else:
        number = cases.visible(number, principal).unified_number
    faults = []
    if ends_at <= starts_at:
        faults.append(Fault("/ends_at", "order", T("结束时间应晚于开始时间", "It ends before it begins")))
    if starts_at < timezone.now():
        faults.append(Fault("/starts_at", "past", T("不能预约过去的时间", "It lies in the past")))
    if not place.strip():
        faults.append(Fault("/place", "required", T("必须填写", "Required")))
    if faults:
        raise invalid(faults)
    with transaction.atomic():
        declaration = references.locked(number)
        assert declaration is not None
        row = declaration.appointments.filter(state__in=("open", "booked")).first()
        if row is None:
            raise conflict("nothing-ordered", T("没有待查验的指令", "No inspection is ordered"))
        row.place, row.starts_at, row.ends_at, row.state = place, starts_at, ends_at, Appointment.State.BOOKED
        row.save()
        agencies = {pk for pk in row.orders.values_list("agency_id", flat=True) if pk is not None}
        append(
            type="inspection.booked",
            subject=("clearance", declaration.unified_number),
            actor=principal.actor,
            audience=sorted({*declaration.parties, *agencies}),
            data={"place": place, "starts_at": starts_at, "ends_at": ends_at, "orders": row.orders.count()},
        )
    return row


def _open_order(pk: int, principal: Principal) -> tuple[Declaration, InspectionOrder]:
    """The order, its declaration locked, for one who may record its result. Raises Problem 404 or 409."""
    rows = InspectionOrder.objects.visible_to(principal)
    if principal.is_officer:
        if not principal.has_duty("inspection"):
            raise Problem(403, "not-your-duty", T("不属您的职责", "This is not among your duties"))
    elif OrganisationRole.CUSTOMS_OFFICE in principal.roles:
        rows = InspectionOrder.objects.filter(agency=None)
    else:
        rows = rows.filter(agency_id=principal.organisation_id)
    found = rows.filter(pk=pk).select_related("declaration").first()
    if found is None:
        raise not_found()
    declaration = references.locked(found.declaration.unified_number)
    assert declaration is not None
    return declaration, InspectionOrder.objects.select_for_update().get(pk=pk)


def finish(*, pk: int, passed: bool, note: str = "", follow_up: str = "", principal: Principal) -> InspectionOrder:
    """Record what an agency found. A difference is followed up by "amendment" or "penalty".

    Raises Problem 404, 403, 422, 409: an order that was cancelled (the declaration was withdrawn or given back) or has a
    result takes no other one."""
    if not passed and follow_up not in ("amendment", "penalty"):
        raise invalid(
            [
                Fault(
                    "/follow_up",
                    "follow-up",
                    T("有差异须选择 amendment 或 penalty", "A difference needs a follow-up: amendment or penalty"),
                )
            ]
        )
    if not passed and not note.strip():
        raise invalid([Fault("/note", "required", T("须说明差异", "Say what differs"))])
    with transaction.atomic():
        declaration, row = _open_order(pk, principal)
        if row.state == State.ORDERED and row.stage == Stage.DESTINATION and _before_pickup(declaration):
            raise conflict("not-picked-up", T("货物尚未提离口岸", "The goods have not been picked up at the port yet"))
        if row.state == State.CANCELLED or declaration.state != "under_inspection":
            raise conflict(
                "order-cancelled",
                T(
                    "查验指令已取消（报关单已{s}）",
                    "The order was cancelled (the declaration is {s})",
                    s=declaration.get_state_display(),
                ),
            )
        wanted = State.PASSED if passed else State.DIFFERENCE
        if row.state != State.ORDERED:
            if (row.state, row.result_note) == (wanted, note):
                return row
            raise conflict("has-result", T("查验结果已登记", "The result has been recorded"))
        row.state, row.result_note, row.result_by, row.result_at = wanted, note, principal.actor, timezone.now()
        row.follow_up = "" if passed else follow_up
        row.save()
        _say(
            "inspection.passed" if passed else "inspection.difference",
            declaration,
            row,
            principal,
            follow_up=row.follow_up,
        )
        if follow_up == "penalty" and not passed:
            PenaltyCase.objects.create(declaration=declaration, order=row, reason=note)
        _conclude(declaration, row, principal)
    return row


def _conclude(declaration: Declaration, row: InspectionOrder, principal: Principal) -> None:
    """After the last result (at the port, where the goods are still to be picked up): the appointment is over, and the
    declaration goes on or back to its declarant."""
    open_ = declaration.inspection_orders.open()
    later = open_.filter(stage=Stage.DESTINATION) if _before_pickup(declaration) else open_.none()
    if open_.exclude(pk__in=later.values("pk")).exists():
        return
    Appointment.objects.filter(declaration=declaration, state__in=("open", "booked")).update(state="done")
    if later.exists():
        later.update(appointment=_appointment(declaration))
    amend = declaration.inspection_orders.filter(state=State.DIFFERENCE, follow_up="amendment", settled_at=None)
    if amend.exists():
        move(declaration, "return", principal, data={"reason_code": "inspection-difference", "note": row.result_note})
    else:
        move(declaration, "finish_inspection", principal)


def settle(*, pk: int, outcome: str, principal: Principal) -> InspectionOrder:
    """A difference is dealt with: the declaration was amended, or the penalty case is closed."""
    if not (principal is SYSTEM or (principal.is_officer and principal.has_duty("inspection"))):
        raise Problem(403, "not-your-duty", T("不属您的职责", "This is not among your duties"))
    with transaction.atomic():
        found = InspectionOrder.objects.visible_to(principal).filter(pk=pk).select_related("declaration").first()
        if found is None:
            raise not_found()
        declaration = references.locked(found.declaration.unified_number)
        assert declaration is not None
        row = InspectionOrder.objects.select_for_update().get(pk=pk)
        if row.state != State.DIFFERENCE:
            raise conflict("no-difference", T("没有待处理的差异", "There is no difference to settle"))
        if row.settled_at is None:
            row.settled_at = timezone.now()
            row.save(update_fields=["settled_at"])
            PenaltyCase.objects.filter(order=row, closed_at=None).update(
                outcome=outcome, closed_by=principal.actor, closed_at=row.settled_at
            )
            _say("inspection.settled", declaration, row, principal, outcome=outcome)
    return row


def cancel_all(declaration: Declaration, principal: Principal) -> int:
    """The declaration was withdrawn or given back: nothing is left to inspect. The declaration is locked."""
    rows = list(declaration.inspection_orders.open().select_for_update())
    for row in rows:
        row.state = State.CANCELLED
        row.save(update_fields=["state"])
        _say("inspection.cancelled", declaration, row, principal)
    declaration.appointments.filter(state__in=("open", "booked")).update(state="cancelled")
    return len(rows)


def tidy(number: str) -> int:
    """Cancel what stands of a declaration that is no longer in clearance. Idempotent."""
    with transaction.atomic():
        declaration = references.locked(number)
        if declaration is None or declaration.state not in ("withdrawn", "returned", "rejected"):
            return 0
        return cancel_all(declaration, SYSTEM)


def path_of(row: Evidence) -> Path:
    return files.path("evidence", row.pk)


def add_evidence(*, pk: int, name: str, data: bytes, sample_number: str = "", principal: Principal) -> Evidence:
    """Keep a photo, report or sample slip. Its type is what the content shows. Raises Problem 404, 409, 413, 415."""
    kind = files.kind_of(data, MAX_FILE)
    with transaction.atomic():
        declaration, order_ = _open_order(pk, principal)
        if order_.state == State.CANCELLED:
            raise conflict("order-cancelled", T("查验指令已取消", "The order was cancelled"))
        digest = hashlib.sha256(data).hexdigest()
        if (known := order_.evidence.filter(sha256=digest).first()) is not None:
            return known
        if order_.evidence.count() >= MAX_FILES:
            raise conflict("too-many", T("文件数量已达上限", "There are too many files"))
        row = Evidence.objects.create(
            order=order_,
            name=files.plain_name(name),
            content_type=kind,
            size=len(data),
            sha256=digest,
            sample_number=sample_number,
            added_by=principal.actor,
        )
        files.keep(path_of(row), data)
        _say("inspection.evidence", declaration, order_, principal, sha256=digest, sample=sample_number)
    return row


def _say(type_: str, declaration: Declaration, row: InspectionOrder, principal: Principal, **data: object) -> None:
    append(
        type=type_,
        subject=("clearance", declaration.unified_number),
        actor=principal.actor,
        audience=sorted({*declaration.parties, *([row.agency_id] if row.agency_id else [])}),
        data={"order": row.pk, **data},
    )
