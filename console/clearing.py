"""What clearance knows of a declaration, for its page: the way it takes, what it waits for, holds, inspections, requests;
and its goods side by side with the manifest and the attached documents."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from cargo import equipment
from clearance import cases, conditions, holds, references, release, requests
from clearance.models import Case, ChangeRequest, Hold, InspectionOrder
from clearance.modes import MODES, STEPS
from common.problems import Problem
from common.text import T, pick
from console import decisions
from console.pages import who
from declarations.models import Declaration
from parties.principals import Principal


def beside(declaration: Declaration, principal: Principal) -> dict[str, Any]:
    """The panel next to what was declared."""
    case = Case.objects.filter(declaration=declaration).select_related("consignment__voyage").first()
    pending = ChangeRequest.objects.filter(declaration=declaration, state=ChangeRequest.State.PENDING).first()
    return {
        "case": case,
        "mode": MODES[case.mode].label if case else "",
        "steps": _steps(case, principal) if case else [],
        "waits_for": conditions.open_for(declaration, case) if case else [],
        "may_review": case is not None
        and case.lane == Case.Lane.REVIEW
        and case.reviewed_at is None
        and declaration.state == "accepted"
        and principal.is_officer
        and principal.has_duty("examination"),
        "holds": Hold.objects.standing().filter(reference__in=references.of(declaration)),
        "may_lift": holds.kinds(principal) if principal.has_duty("release") and principal.is_officer else set(),
        "orders": InspectionOrder.objects.filter(declaration=declaration)
        .select_related("agency", "appointment")
        .order_by("pk"),
        "request_pending": pending,
        "request_difference": requests.readable(pending.difference) if pending else [],
        "may_decide_request": principal.is_officer and principal.has_duty("examination"),
    }


def _steps(case: Case, principal: Principal) -> list[dict[str, Any]]:
    """The steps of the mode that somebody confirms: what each is, when it was confirmed, whether this officer may now."""
    done = {row.step: row for row in case.confirmations.all()}
    open_ = case.declaration.state not in cases.OVER
    return [
        {
            "code": step,
            "text": STEPS[step][0],
            "done": done.get(step),
            "may": open_ and step not in done and STEPS[step][1] == "customs" and principal.has_duty("release"),
        }
        for step in MODES[case.mode].steps
    ]


@require_POST
def confirm_step(request: HttpRequest, number: str, step: str) -> HttpResponse:
    """Customs' part of a mode: stage one, stage two."""
    principal = who(request)
    number = cases.visible(number, principal).unified_number
    return _back(
        request,
        number,
        lambda: cases.confirm(number=number, step=step, at=timezone.now(), principal=principal),
        T("已确认。", "Confirmed."),
    )


def _back(request: HttpRequest, number: str, work: Any, done: Any) -> HttpResponse:
    """Do it, say how it went, and go back to the declaration."""
    try:
        work()
    except Problem as problem:
        if problem.status in (403, 404):
            raise
        messages.error(request, decisions.told(problem))
    else:
        messages.success(request, done)
    return redirect("admin:declaration", number=number)


@require_POST
def lift_hold(request: HttpRequest, number: str, hold: str) -> HttpResponse:
    principal = who(request)
    declaration = cases.visible(number, principal)
    if not principal.has_duty("release"):
        raise Problem(403, "not-your-duty", T("不属您的职责", "This is not among your duties"))
    known = Hold.objects.filter(reference__in=references.of(declaration)).values_list("pk", flat=True)
    if hold not in {str(pk) for pk in known}:
        raise Problem(404, "not-found", T("没有此扣留", "There is no such hold"))
    return _back(
        request, number, lambda: holds.lift(pk=hold, principal=principal), T("扣留已解除。", "The hold is lifted.")
    )


@require_POST
def review(request: HttpRequest, number: str) -> HttpResponse:
    """An officer has looked at what selection sent to review; release may follow by itself."""
    principal = who(request)
    return _back(
        request,
        cases.visible(number, principal).unified_number,
        lambda: release.review(number=number, principal=principal),
        T("已记录审核完毕。", "Recorded as looked at."),
    )


@require_POST
def decide_request(request: HttpRequest, number: str, pk: int) -> HttpResponse:
    """Approve or refuse what a declarant asks for after acceptance."""
    principal = who(request)
    declaration = cases.visible(number, principal)
    if not ChangeRequest.objects.filter(declaration=declaration, pk=pk).exists():
        raise Problem(404, "not-found", T("没有此申请", "There is no such request"))
    approve = request.POST.get("approve") == "1"
    note = request.POST.get("note", "").replace("\x00", "").strip()[:500]
    return _back(
        request,
        number,
        lambda: requests.decide(pk=pk, approve=approve, note=note, principal=principal),
        T("申请已同意并办理。", "Approved and carried out.") if approve else T("申请已拒绝。", "Refused."),
    )


class Row(NamedTuple):
    title: str
    declared: Any
    manifest: Any
    documents: str
    differs: bool


def _plain(value: Decimal | None) -> str:
    return "" if value is None else f"{value.normalize():f}"


#: Attached documents that speak of the same thing as a row: electronic document codes (refdata list "edocument").
INVOICE, PACKING_LIST, BILL, CONTRACT = "00000001", "00000002", "00000003", "00000004"


def compare(declaration: Declaration) -> dict[str, Any]:
    """Declaration, manifest and attached documents side by side, what differs marked."""
    goods = cases.consignment_of(declaration)
    message = declaration.message
    files: dict[str, list[str]] = {}
    for one in message.get("electronic_documents") or []:
        files.setdefault(str(one.get("document_type", "")), []).append(str(one.get("document_id", "")))

    def papers(*kinds: str) -> str:
        return "\n".join(name for kind in kinds for name in files.get(kind, []))

    def row(zh: str, en: str, declared: Any, manifest: Any, *kinds: str) -> Row:
        differs = goods is not None and str(declared or "") != str(manifest or "")
        return Row(pick(zh, en), declared, manifest, papers(*kinds), differs)

    g = goods
    rows = [
        row("提运单号", "Bill", declaration.transport_document_number, g and g.bill_number, BILL),
        row("航次号", "Voyage", declaration.voyage_number, g and g.voyage.number, BILL),
        row("件数", "Packages", declaration.package_count, g and g.packages, PACKING_LIST),
        row(
            "毛重（千克）",
            "Gross weight (kg)",
            _plain(declaration.gross_weight),
            g and _plain(g.gross_mass),
            PACKING_LIST,
        ),
    ]
    # Names are written in two languages and by two hands: shown side by side, not judged.
    party = declaration.domestic_party_name
    rows += [
        Row(pick("收货人", "Consignee"), party if declaration.direction == "I" else declaration.overseas_consignee_foreign_name, g and g.consignee, papers(INVOICE, CONTRACT), False),
        Row(pick("发货人", "Consignor"), declaration.overseas_consignor_foreign_name if declaration.direction == "I" else party, g and g.consignor, papers(INVOICE, CONTRACT), False),
    ]  # fmt: skip
    listed = {one.equipment_id: one for one in g.stuffings.all()} if g else {}
    declared = {equipment.normal(one.container_number): one for one in declaration.container_set.all()}
    boxes = [
        Row(
            number,
            number if number in declared else "",
            f"{number} {listed[number].seal}".strip() if number in listed else "",
            "",
            g is not None and (number in declared) != (number in listed),
        )
        for number in sorted({*listed, *declared})
    ]
    certified: dict[str, list[str]] = {}
    for one in message.get("origin_certificates") or []:
        certified.setdefault(str(one.get("item_number", "")), []).append(str(one.get("certificate_number", "")))
    numbers = {str(item.item_number) for item in declaration.goodsitem_set.all()}
    items = [
        Row(
            str(item.item_number or item.position),
            f"{item.commodity_code} {item.goods_name}",
            _manifest_goods(g.items[item.position - 1]) if g and len(g.items) >= item.position else "",
            "、".join(certified.get(str(item.item_number), [])),
            False,
        )
        for item in declaration.goodsitem_set.all()
    ] + [Row(number, "", "", "、".join(names), True) for number, names in certified.items() if number not in numbers]
    return {
        "goods": goods,
        "rows": rows,
        "boxes": boxes,
        "items": items,
        "differing": sum(one.differs for one in (*rows, *boxes, *items)),
        "expected": [(code, bool(files.get(code))) for code in (INVOICE, PACKING_LIST, BILL, CONTRACT)],
    }


def _manifest_goods(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    return " ".join(
        str(item[name]) for name in ("commodity_code", "description", "goods_name", "name") if item.get(name)
    )
