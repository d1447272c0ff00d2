"""Decisions of officers: the buttons a declaration offers, and the same commands as the API behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from common import casework
from common.problems import Problem, not_found, standard
from common.text import T
from console import queue
from console.pages import came_from, case_url, hand_out, name_of, page, who
from declarations import decisions, moves, reasons
from declarations.checks import registry
from declarations.lifecycle import LIFECYCLE, step
from declarations.models import CheckResult, Declaration
from parties.principals import Principal


class Button(NamedTuple):
    command: str
    label: Any
    key: str
    tone: str
    #: A reason must be chosen.
    must: bool
    reasons: list[reasons.Reason]


#: Command -> key on the keyboard, tone. The order is that of the buttons.
_LOOK = {
    "accept": ("a", "main"),
    "release": ("f", "main"),
    "inspect": ("i", ""),
    "finish_inspection": ("i", ""),
    "hold": ("h", ""),
    "resume": ("h", ""),
    "return": ("r", "bad"),
    "reject": ("x", "bad"),
    "review": ("v", ""),
    "clear": ("c", "main"),
    "withdraw": ("w", "bad"),
}
#: Decisions that the pages of inspection take, with what belongs to them.
ELSEWHERE = frozenset({"inspect", "finish_inspection"})


def buttons(declaration: Declaration, principal: Principal) -> list[Button]:
    """What this officer may decide now."""
    possible = set(decisions.allowed(declaration, principal)) - ELSEWHERE if principal.is_officer else set()
    return [
        Button(name, step(name).label, key, tone, step(name).reason, reasons.reasons_for(name))
        for name, (key, tone) in _LOOK.items()
        if name in possible
    ]


def check_text(row: CheckResult) -> str:
    return registry.render(row.code, row.params)


def reason_text(data: dict[str, Any]) -> str:
    """The reason an event gives, in words."""
    code = data.get("reason_code")
    if not code:
        return str(data.get("reason") or "")
    named = {row.name_zh: str(row) for (_, one), row in reasons.table().items() if one == code}
    return next(iter(named.values()), str(code))


def take_step(
    *, number: str, command: str, principal: Principal, holder_name: str, etag: str, reason_code: str, note: str
) -> Declaration:
    """Decide in one transaction with the case: nobody decides on what another holds, or on what they have not seen."""
    if not etag:
        raise standard(400)
    with transaction.atomic():
        casework.hold(kind=queue.KIND, number=number, holder=principal.actor, holder_name=holder_name)
        declaration = decisions.decide(
            number=number, command=command, principal=principal, reason_code=reason_code, note=note, if_match=etag
        )
        if declaration.state not in queue.OPEN:
            casework.give_back(kind=queue.KIND, numbers=[number], holder=principal.actor)
    return declaration


def act(*, number: str, principal: Principal, etag: str, work: Callable[[], Any]) -> None:
    """Do ``work`` on a case as one decides on it: taken from nobody else, and as it was when the page was opened."""
    with transaction.atomic():
        casework.hold(kind=queue.KIND, number=number, holder=principal.actor, holder_name=name_of(principal))
        moves.lock(number, principal, etag or None)
        work()
        if not Declaration.objects.filter(unified_number=number, state__in=queue.OPEN).exists():
            casework.give_back(kind=queue.KIND, numbers=[number], holder=principal.actor)


def told(problem: Problem) -> str:
    """A problem as the officer reads it."""
    if problem.status == 412:
        return str(
            T(
                "未执行：您打开页面之后，这票报关单已被更改。下面是最新内容，请核对后再决定。",
                "Not done: this declaration was changed after you opened it. Below is how it stands now; look, then decide.",
            )
        )
    lines = [str(problem.title), str(problem.detail), *(str(fault.text) for fault in problem.errors)]
    return str(T("未执行：", "Not done: ")) + "\n".join(line for line in lines if line)


@require_POST
def decide(request: HttpRequest, number: str, command: str) -> HttpResponse:
    principal = who(request)
    if command not in _LOOK or command in ELSEWHERE:
        raise not_found()
    found = Declaration.objects.visible_to(principal).filter(unified_number=number).first()
    if found is None:
        raise not_found()
    try:
        done = take_step(
            number=number,
            command=command,
            principal=principal,
            holder_name=name_of(principal),
            etag=request.POST.get("etag", ""),
            reason_code=request.POST.get("reason_code", ""),
            note=request.POST.get("note", "").replace("\x00", "").strip(),
        )
    except Problem as problem:
        if problem.status in (403, 404):
            raise
        messages.error(request, told(problem))
    else:
        messages.success(
            request,
            T(
                "{number}：{label} 已完成，现状态“{state}”。",
                "{number}: {label} done; its state is now “{state}”.",
                number=done,
                label=LIFECYCLE.transitions[command].label,
                state=done.get_state_display(),
            ),
        )
        if request.POST.get("next") == "1":
            return _next(request, found.state, principal)
    return redirect(case_url(number, came_from(request.POST)))


def _next(request: HttpRequest, state: str, principal: Principal) -> HttpResponse:
    """The next case of the desk that the last one was opened from, or else of the one where it lay in ``state``; back to the
    queue where that is not this officer's work."""
    came = came_from(request.POST)
    desk = came.get("desk") or queue.desk_of(state)
    if queue.works_at(principal, desk):
        return hand_out(request, desk, came.get("office", ""), principal)
    messages.info(request, T("此队列不属您的职责，未领取。", "This desk is not among your duties: nothing was taken."))
    return redirect("admin:queue")


@require_POST
def bulk_release(request: HttpRequest) -> HttpResponse:
    """Release several low-risk cases: first a page to look at each once more, then the release itself, one by one."""
    principal = who(request)
    if not principal.has_duty("release"):
        raise standard(403)
    numbers = list(dict.fromkeys(request.POST.getlist("number")))[: queue.PAGE]
    if not numbers:
        messages.warning(request, T("请先勾选要放行的报关单。", "Tick the declarations to release first."))
        return redirect("/console/queue/?desk=accepted")
    cases = queue.low_risk(numbers, principal)
    if request.POST.get("step") != "release":
        held = casework.held(queue.KIND, numbers)
        others = {number for number, lease in held.items() if lease.holder != principal.actor}
        rows = queue.rows([case.pk for case in cases if case.unified_number not in others])
        shown = {row["declaration"].unified_number for row in rows}
        return page(
            request,
            "console/bulk_release.html",
            title=T("批量放行：再核对一次", "Bulk release: a second look"),
            rows=rows,
            left_out=[number for number in numbers if number not in shown],
            reasons=reasons.reasons_for("release"),
        )
    etags = dict(zip(request.POST.getlist("number"), request.POST.getlist("etag"), strict=False))
    released, refused = [], []
    for case in cases:
        try:
            take_step(
                number=case.unified_number,
                command="release",
                principal=principal,
                holder_name=name_of(principal),
                etag=etags.get(case.unified_number, ""),
                reason_code=request.POST.get("reason_code", ""),
                note="",
            )
            released.append(str(case))
        except Problem as problem:
            refused.append(f"{case}: {told(problem)}")
    refused += [
        str(T("{number}：不属低风险待放行，未放行", "{number}: not a low-risk case awaiting release", number=number))
        for number in numbers
        if number not in {case.unified_number for case in cases}
    ]
    if released:
        messages.success(request, T("已放行 {n} 票。", "{n} released.", n=len(released)))
    for line in refused:
        messages.error(request, line)
    return redirect("/console/queue/?desk=accepted")
