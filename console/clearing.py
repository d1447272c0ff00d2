"""What clearance knows of a declaration, for its page: the way it takes, what it waits for, holds, inspections, requests;
and what an officer does about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from clearance import cases, conditions, duties, duty_desk, holds, references, release, requests
from clearance.models import Case, ChangeRequest, Hold, InspectionOrder
from clearance.modes import MODES, STEPS
from common.days import today
from common.problems import Problem, not_found
from common.text import T
from console import decisions
from console.pages import who
from declarations.decisions import in_charge
from declarations.models import Declaration
from parties.principals import Principal
from tariffs import fixing, memos
from tariffs.models import DutyMemo, DutyRefund


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
        and _decides(declaration, principal, "examination"),
        "holds": Hold.objects.standing().filter(reference__in=references.of(declaration)),
        "may_hold": [kind for kind in Hold.Kind.choices if kind[0] in holds.kinds(principal)]
        if principal.is_officer
        else [],
        "may_lift": holds.kinds(principal) if principal.is_officer else set(),
        "holdable": references.of(declaration),
        "orders": InspectionOrder.objects.filter(declaration=declaration)
        .select_related("agency", "appointment")
        .order_by("pk"),
        "duties": _duties(declaration, principal),
        "request_pending": pending,
        "request_difference": requests.readable(pending.difference) if pending else [],
        "may_decide_request": _decides(declaration, principal, "examination"),
    }


def _decides(declaration: Declaration, principal: Principal, duty: str) -> bool:
    """Whether this officer has the duty, at the office that decides."""
    return principal.is_officer and principal.has_duty(duty) and in_charge(declaration, principal, duty)


def _steps(case: Case, principal: Principal) -> list[dict[str, Any]]:
    """The steps of the mode that somebody confirms: what each is, when it was confirmed, whether this officer may now."""
    done = {row.step: row for row in case.confirmations.all()}
    order = [step for step in MODES[case.mode].steps if step != "transferred"]
    next_ = next((step for step in order if step not in done), "")
    open_ = case.declaration.state not in cases.OVER
    return [
        {
            "code": step,
            "text": STEPS[step][0],
            "done": done.get(step),
            "may": open_ and step == next_ and STEPS[step][1] == "customs" and principal.has_duty("release"),
        }
        for step in MODES[case.mode].steps
    ]


@require_POST
def confirm_step(request: HttpRequest, number: str, step: str) -> HttpResponse:
    """Customs' part of a mode: stage one, stage two."""
    principal = who(request)
    number = cases.visible(number, principal).unified_number
    return _in_hand(
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


def _in_hand(request: HttpRequest, number: str, work: Any, done: Any) -> HttpResponse:
    """:func:`_back` for what is a decision on the case: not while another officer has it, nor on what has changed."""
    principal, etag = who(request), request.POST.get("etag", "")
    return _back(request, number, lambda: decisions.act(number=number, principal=principal, etag=etag, work=work), done)


def _duties(declaration: Declaration, principal: Principal) -> dict[str, Any]:
    """The memos of the declaration, and what this officer may do about its duties."""
    memos_of = list(DutyMemo.objects.filter(subject=declaration.unified_number).order_by("pk"))
    sees_to = _decides(declaration, principal, "duties")
    may = sees_to and declaration.state in duties.STATES and duties.applies()
    open_ = next((memo for memo in memos_of if memo.state == DutyMemo.State.OPEN), None)
    refund = DutyRefund.objects.filter(
        subject=declaration.unified_number, state=DutyRefund.State.DUE, channel=None
    ).first()
    assessment = fixing.latest(declaration.unified_number)
    return {
        "memos": [(memo, memos.late_on(memo, today())) for memo in memos_of],
        "refund": refund if sees_to else None,
        "assessment": assessment,
        "version": assessment.number if assessment is not None else 0,
        "items": [(item.position, item.commodity_code) for item in declaration.goodsitem_set.all()],
        "by_hand": may and duty_desk.needs_hand(declaration),
        "open": open_ if sees_to else None,  # after release too: what was asked for since is paid then
        "guarantees": duty_desk.guarantees(open_) if may and open_ else [],
    }


#: What an officer does about duties: the command, and what is said when it is done.
_DUTIES: dict[str, tuple[Callable[[HttpRequest, str, Principal], Any], Any]] = {
    "settle": (
        lambda request, number, principal: duties.settle_by_hand(
            number=number, reason=_text(request, "reason", 255), principal=principal
        ),
        T("已登记人工核定。", "Recorded as seen to by hand."),
    ),
    "pay": (
        lambda request, number, principal: duty_desk.pay_by_hand(
            number=number, reference=_text(request, "reference", 64), principal=principal
        ),
        T("税款已登记为柜台缴纳。", "Recorded as paid at the counter."),
    ),
    "give-back": (
        lambda request, number, principal: duty_desk.give_back_by_hand(
            number=number, reference=_text(request, "reference", 64), principal=principal
        ),
        T("已登记为柜台退还。", "Recorded as given back at the counter."),
    ),
    "override": (
        lambda request, number, principal: duty_desk.override(
            number=number,
            changes={_text(request, "item", 2): _fixed(request)},
            reason=_text(request, "reason", 500),
            version=int(_text(request, "version", 9)) if _text(request, "version", 9).isdecimal() else -1,
            principal=principal,
        ),
        T("已核定为新的一版。", "Fixed as a new version."),
    ),
    "guarantee": (
        lambda request, number, principal: duty_desk.secure(
            number=number, guarantee=_text(request, "guarantee", 40), principal=principal
        ),
        T("税款已由担保账户担保。", "The duties are secured by the guarantee."),
    ),
}


def _text(request: HttpRequest, name: str, limit: int) -> str:
    return request.POST.get(name, "").replace("\x00", "").strip()[:limit]


def _fixed(request: HttpRequest) -> dict[str, str]:
    """What an officer fixes for an item: fields that are filled in; blank only those that are taken back."""
    filled = {name: _text(request, name, 500) for name in ("customs_value", "rate", "reduction")}
    return {name: value for name, value in filled.items() if value or name in request.POST.getlist("take_back")}


@require_POST
def see_to_duties(request: HttpRequest, number: str, act: str) -> HttpResponse:
    """Settle what the system cannot work out, fix a value or a rate, record a payment or refund at the counter, draw a
    guarantee."""
    principal = who(request)
    number = cases.visible(number, principal).unified_number
    if act not in _DUTIES:
        raise not_found()
    work, done = _DUTIES[act]
    return _in_hand(request, number, lambda: work(request, number, principal), done)


@require_POST
def place_hold(request: HttpRequest, number: str) -> HttpResponse:
    """Keep the goods from going: the whole declaration, its bill or one of its containers, also after release."""
    principal = who(request)
    declaration = cases.visible(number, principal)
    kind, reference = request.POST.get("kind", ""), request.POST.get("reference", "")
    if kind not in holds.kinds(principal):
        raise Problem(403, "not-your-duty", T("不属您的职责", "This is not among your duties"))
    if reference not in references.of(declaration):
        raise Problem(404, "not-found", T("报关单没有此对象", "The declaration has no such thing"))
    return _back(
        request,
        declaration.unified_number,
        lambda: holds.place(
            reference=reference, kind=kind, reason=_text(request, "reason", 300), holder_reference=str(uuid4()),
            principal=principal,
        ),
        T("已扣留。", "The hold is placed."),
    )  # fmt: skip


@require_POST
def lift_hold(request: HttpRequest, number: str, hold: str) -> HttpResponse:
    principal = who(request)
    declaration = cases.visible(number, principal)
    known = {str(row.pk): row for row in Hold.objects.filter(reference__in=references.of(declaration))}
    if hold not in known:
        raise Problem(404, "not-found", T("没有此扣留", "There is no such hold"))
    if known[hold].kind not in holds.kinds(principal):
        raise Problem(403, "not-your-duty", T("不属您的职责", "This is not among your duties"))
    return _back(
        request, number, lambda: holds.lift(pk=hold, principal=principal), T("扣留已解除。", "The hold is lifted.")
    )


@require_POST
def review(request: HttpRequest, number: str) -> HttpResponse:
    """An officer has looked at what selection sent to review; release may follow by itself."""
    principal = who(request)
    number = cases.visible(number, principal).unified_number
    return _in_hand(
        request,
        number,
        lambda: release.review(number=number, principal=principal),
        T("已记录审核完毕。", "Recorded as looked at."),
    )


@require_POST
def decide_request(request: HttpRequest, number: str, pk: int) -> HttpResponse:
    """Approve or refuse what a declarant asks for after acceptance."""
    principal = who(request)
    declaration = cases.visible(number, principal)
    number = declaration.unified_number
    if not ChangeRequest.objects.filter(declaration=declaration, pk=pk).exists():
        raise Problem(404, "not-found", T("没有此申请", "There is no such request"))
    approve = request.POST.get("approve") == "1"
    note = request.POST.get("note", "").replace("\x00", "").strip()[:500]
    return _in_hand(
        request,
        number,
        lambda: requests.decide(pk=pk, approve=approve, note=note, principal=principal),
        T("申请已同意并办理。", "Approved and carried out.") if approve else T("申请已拒绝。", "Refused."),
    )
