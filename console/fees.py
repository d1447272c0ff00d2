"""Port fees as people keep them: a body's own lists (upload, dry run, publication), complaints, the port authority's figures.
Writes only through the commands of ``portfees``."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from common.asked import asked_day
from common.days import today
from common.problems import Fault, Problem, invalid, not_found, standard
from common.text import T
from console.pages import page, who
from events.models import Event
from parties.models import OrganisationRole
from parties.principals import Principal
from parties.scopes import SCOPES
from portfees import catalogues, figures, invoices, sheets
from portfees.models import (
    COMPLAINT,
    BodyClass,
    Ceiling,
    Complaint,
    FeeItem,
    FeeList,
    ListState,
    Parameter,
    Unit,
)
from portfees.rules import SIZES

#: Lines of a difference shown; the rest is counted.
SHOWN = 200
#: The way of a list, for people: each state with the command that leads on.
STEPS = (
    (ListState.DRAFT, T("草稿：上传并试算", "Draft: upload and try")),
    (ListState.CHECKED, T("已校核：待公布", "Checked: to be published")),
    (ListState.PUBLISHED, T("已公布", "Published")),
)


def _told(problem: Problem) -> list[Fault]:
    if problem.status in (403, 404):
        raise problem
    return problem.errors or [Fault("", problem.code, problem.detail or problem.title)]


def _number(text: str, pointer: str) -> Decimal:
    try:
        return Decimal(text.strip())
    except InvalidOperation:
        raise invalid([Fault(pointer, "number", T("须为数字", "Must be a number"))]) from None


# A body's own lists -----------------------------------------------------------------------------------------------
@require_http_methods(["GET", "POST"])
def lists(request: HttpRequest) -> HttpResponse:
    """The lists of the officer's organisation; POST begins the next version."""
    principal, faults = who(request), []
    form: Any = request.POST
    charges = bool(SCOPES["portfees:write"].roles & principal.roles)
    if request.method == "POST":
        if not charges:
            raise standard(403)
        try:
            made = catalogues.draft(
                principal=principal,
                body_class=form.get("body_class", ""),
                port=form.get("port", "").strip().upper()[:5],
                area=form.get("area", "").strip()[:80],
                title=form.get("title", "").strip()[:200],
                valid_from=asked_day(form, "valid_from") or today(),
                valid_to=asked_day(form, "valid_to"),
                complaint_telephone=form.get("complaint_telephone", "").strip()[:60],
                items=[],
            )
            return redirect("admin:fee_list", number=made.number)
        except Problem as problem:
            faults = _told(problem)
    return page(
        request, "console/fee_lists.html", title=T("本单位收费清单", "Our fee lists"), form=form, faults=faults,
        lists=FeeList.objects.filter(body_id=principal.organisation_id).order_by("port", "area", "-version")[:200],
        classes=BodyClass.choices, today=today(), charges=charges,
    )  # fmt: skip


def _own(number: str, principal: Principal) -> FeeList:
    found = FeeList.objects.select_related("body").filter(number=number, body_id=principal.organisation_id).first()
    if found is None:
        raise not_found()
    return found


@require_http_methods(["GET", "POST"])
def fee_list(request: HttpRequest, number: str) -> HttpResponse:
    """One list of one's own: a sheet is tried first, with its faults by row and column and its difference; what was tried is
    what is then written."""
    principal = who(request)
    row = _own(number, principal)
    faults: list[Fault] = []
    tried: list[FeeItem] | None = None
    if request.method == "POST":
        try:
            if "title" in request.POST:
                catalogues.redraft(
                    number=number, principal=principal, title=request.POST["title"].strip()[:200],
                    valid_from=asked_day(request.POST, "valid_from"), valid_to=asked_day(request.POST, "valid_to"),
                    complaint_telephone=request.POST.get("complaint_telephone", "").strip()[:60],
                )  # fmt: skip
                messages.success(request, T("已修改。", "Changed."))
                return redirect("admin:fee_list", number=number)
            if "sheet" in request.POST:
                items = sheets.read_csv(request.POST["sheet"].encode())
                catalogues.replace_items(number=number, items=items, principal=principal)
                messages.success(request, T("已写入 {n} 行。", "{n} lines written.", n=len(items)))
                return redirect("admin:fee_list", number=number)
            upload = request.FILES.get("file")
            if upload is None:
                raise invalid([Fault("/file", "required", T("请选择文件", "Choose a file"))])
            tried = sheets.try_sheet(row, sheets.read(upload.read(sheets.MAX_BYTES + 1))).items
        except Problem as problem:
            faults = _told(problem)
    items = list(row.items.all())
    compared = tried if tried is not None else items
    shown = sheets.compared(row, compared)
    before, found = shown.before, shown.difference
    return page(
        request, "console/fee_list.html", title=row.title, row=row, faults=faults, tried=tried, before=before,
        sheet=sheets.write_csv(tried).decode("utf-8-sig") if tried is not None and not faults else "",
        steps=[(title, state == row.state, _done(state, row.state)) for state, title in STEPS],
        counts={kind: len(rows) for kind, rows in found.by_kind().items()}, lines=len(compared), progress=_progress(row),
        changes=_changes(found)[:SHOWN], items=items[:SHOWN], period=row.period, draft=row.state == ListState.DRAFT,
    )  # fmt: skip


def _progress(row: FeeList) -> int:
    return {ListState.DRAFT: 1 if row.items.exists() else 0, ListState.CHECKED: 2, ListState.DISCARDED: 0}.get(
        ListState(row.state), 3
    )


def _done(state: str, now: str) -> bool:
    if now == ListState.DISCARDED:
        return False
    order = [ListState.DRAFT, ListState.CHECKED, ListState.PUBLISHED, ListState.SUPERSEDED]
    return order.index(ListState(state)) < order.index(ListState(now)) or now == ListState.SUPERSEDED


def _changes(found: catalogues.Difference) -> list[dict[str, Any]]:
    rows = [{"kind": "added", "item": item, "fields": []} for item in found.added]
    rows += [
        {
            "kind": "changed",
            "item": change.after,
            "fields": [
                (sheets.HEADINGS[name], sheets.shown(old), sheets.shown(new))
                for name, (old, new) in change.fields.items()
            ],
        }
        for change in found.changed
    ]
    return rows + [{"kind": "removed", "item": item, "fields": []} for item in found.removed]


COMMANDS = {
    "check": catalogues.check, "reopen": catalogues.reopen, "publish": catalogues.publish, "discard": catalogues.discard,
}  # fmt: skip


@require_POST
def fee_list_act(request: HttpRequest, number: str, act: str) -> HttpResponse:
    """Check, reopen, publish, discard."""
    if act not in COMMANDS:
        raise not_found()
    try:
        row = COMMANDS[act](number=number, principal=who(request))
        messages.success(
            request, T("{title}：{state}", "{title}: {state}", title=row.title, state=row.get_state_display())
        )
    except Problem as problem:
        for fault in _told(problem)[:20]:
            messages.error(request, fault.text)
    return redirect("admin:fee_list", number=number)


# Complaints -------------------------------------------------------------------------------------------------------
@require_GET
def complaints(request: HttpRequest) -> HttpResponse:
    found = Complaint.objects.visible_to(who(request)).select_related("line__invoice__body", "line__invoice__payer")
    state = request.GET.get("state", "")
    if state:
        found = found.filter(state=state)
    return page(
        request, "console/complaints.html", title=T("收费投诉", "Complaints about fees"), state=state,
        complaints=found.order_by("-created_at")[:200],
        states=Complaint._meta.get_field("state").choices,
    )  # fmt: skip


#: Events of a complaint as people call them.
_SAID = {"complaint.opened": T("提出投诉", "Opened")} | {
    move.event: move.label for move in COMPLAINT.transitions.values()
}


@require_http_methods(["GET", "POST"])
def complaint(request: HttpRequest, number: str) -> HttpResponse:
    """A complaint with what was said on it; each side has its own next steps."""
    principal, faults = who(request), []
    if request.method == "POST":
        command = request.POST.get("command", "")
        try:
            if command not in invoices.MAY:
                raise not_found()
            text = request.POST.get("text", "").strip()
            if not text:
                raise invalid([Fault("/text", "text-missing", T("请写明理由", "Say why"))])
            invoices.follow_up(number=number, command=command, text=text[:2000], principal=principal)
            messages.success(request, T("已记录。", "Recorded."))
            return redirect("admin:complaint", number=number)
        except Problem as problem:
            faults = _told(problem)
    row = (
        Complaint.objects.visible_to(principal)
        .select_related("line__invoice__body", "line__invoice__payer", "line__fee_item__fee_list")
        .filter(number=number)
        .first()
    )
    if row is None:
        raise not_found()
    open_ = {name for name, move in COMPLAINT.transitions.items() if row.state in move.sources}
    return page(
        request, "console/complaint.html", title=T("投诉 {n}", "Complaint {n}", n=number), row=row, faults=faults,
        history=[
            (event, _SAID.get(event.type, event.type))
            for event in Event.objects.filter(subject_kind="complaint", subject_number=number).order_by("sequence")
        ],
        commands=[
            (name, COMPLAINT.transitions[name].label)
            for name, may in invoices.MAY.items()
            if name in open_ and may(row, principal)
        ],
    )  # fmt: skip


# Figures ----------------------------------------------------------------------------------------------------------
@require_http_methods(["GET", "POST"])
def fee_figures(request: HttpRequest) -> HttpResponse:
    """Parameters and ceilings, day by day; the port authority begins new rows."""
    principal, faults = who(request), []
    form: Any = request.POST
    if request.method == "POST":
        try:
            begins = asked_day(form, "valid_from") or today()
            if form.get("what") == "parameter":
                figures.set_parameter(
                    name=form.get("name", ""), value=_number(form.get("value", ""), "/value"),
                    basis=form.get("basis", "")[:300], valid_from=begins, principal=principal,
                )  # fmt: skip
            else:
                figures.set_ceiling(
                    code=form.get("code", "")[:40], unit=form.get("unit", ""), port=form.get("port", "").strip().upper(),
                    container_size=form.get("container_size", ""), amount=_number(form.get("amount", ""), "/amount"),
                    currency=form.get("currency", "CNY").strip().upper(), basis=form.get("basis", "")[:300],
                    valid_from=begins, valid_to=asked_day(form, "valid_to"), principal=principal,
                )  # fmt: skip
            messages.success(request, T("已设定，自 {d} 起生效。", "Set, in force from {d}.", d=begins))
            return redirect("admin:fee_figures")
        except Problem as problem:
            faults = _told(problem)
    return page(
        request, "console/fee_figures.html", title=T("收费参数与上限", "Fee parameters and ceilings"), form=form, faults=faults,
        parameters=Parameter.objects.order_by("name", "-valid"), ceilings=Ceiling.objects.order_by("code", "-valid")[:500],
        names=Parameter.objects.order_by("name").values_list("name", flat=True).distinct(), units=Unit.choices, sizes=SIZES,
        today=today(), may_set=principal.is_superuser or OrganisationRole.PORT_AUTHORITY in principal.roles,
    )  # fmt: skip
