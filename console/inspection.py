"""Inspections: the month's appointments, what still needs one, and the one inspection of a declaration with its results."""

from __future__ import annotations

from calendar import Calendar
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from cargo.models import Place
from clearance import files, inspections
from clearance.models import Appointment, Evidence, InspectionOrder
from common import reading
from common.days import LEGAL_ZONE, legal_day, today
from common.problems import Fault, Problem, invalid, not_found, standard
from common.text import T
from console import decisions, dossier, queue
from console.pages import page, who
from declarations.models import Declaration
from parties.models import Organisation, OrganisationRole

DUTY = "inspection"


def _month(text: str) -> date:
    try:
        found = date.fromisoformat(f"{text}-01")
    except ValueError:
        found = date.min
    return found if 2000 <= found.year <= 2100 else today().replace(day=1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), LEGAL_ZONE)


@require_GET
def calendar(request: HttpRequest) -> HttpResponse:
    """A month of appointments at the officer's offices, and the orders that have none yet."""
    principal = who(request)
    month = _month(request.GET.get("month", ""))
    weeks = Calendar().monthdatescalendar(month.year, month.month)
    visible = Declaration.objects.visible_to(principal)
    booked: dict[date, list[Appointment]] = {}
    for row in (
        Appointment.objects.filter(
            declaration__in=visible,
            starts_at__gte=_midnight(weeks[0][0]),
            starts_at__lt=_midnight(weeks[-1][-1] + timedelta(days=1)),
        )
        .exclude(state=Appointment.State.CANCELLED)
        .select_related("declaration")
        .order_by("starts_at")
    ):
        if row.starts_at is not None:
            booked.setdefault(legal_day(row.starts_at), []).append(row)
    waiting = (
        Appointment.objects.filter(state=Appointment.State.OPEN, declaration__in=visible)
        .select_related("declaration")
        .prefetch_related("orders__agency")
        .order_by("created_at")[:100]
    )
    return page(
        request,
        "console/calendar.html",
        title=T("查验日历", "Inspection calendar"),
        month=month,
        before=(month - timedelta(days=1)).strftime("%Y-%m"),
        after=(month + timedelta(days=32)).strftime("%Y-%m"),
        weeks=[
            [{"day": day, "out": day.month != month.month, "today": day == today(), "rows": booked.get(day, [])} for day in week]
            for week in weeks
        ],
        waiting=waiting,
        weekdays=[T("周一", "Mon"), T("周二", "Tue"), T("周三", "Wed"), T("周四", "Thu"), T("周五", "Fri"), T("周六", "Sat"), T("周日", "Sun")],
    )  # fmt: skip


@require_GET
def show(request: HttpRequest, number: str) -> HttpResponse:
    principal = who(request)
    declaration = dossier.find(number, principal)
    reading.record(
        actor=principal.actor, kind=queue.KIND, number=declaration.unified_number, page="inspection", request=request
    )
    return page(
        request,
        "console/inspection.html",
        title=T("查验 {number}", "Inspection of {number}", number=declaration),
        d=declaration,
        appointment=Appointment.objects.filter(declaration=declaration, state__in=("open", "booked")).first(),
        orders=InspectionOrder.objects.filter(declaration=declaration)
        .select_related("agency")
        .prefetch_related("evidence")
        .order_by("pk"),
        places=Place.objects.order_by("code")[:200],
        agencies=Organisation.objects.filter(roles__contains=[OrganisationRole.INSPECTION_AGENCY]).order_by("name"),
        stages=InspectionOrder.Stage.choices,
        may=principal.is_officer and principal.has_duty(DUTY),
        orderable=declaration.state in ("accepted", "held", "under_inspection"),
        soon=timezone.localtime(timezone.now() + timedelta(hours=2)).strftime("%Y-%m-%dT%H:00"),
        later=timezone.localtime(timezone.now() + timedelta(hours=4)).strftime("%Y-%m-%dT%H:00"),
    )


@require_GET
def evidence(request: HttpRequest, pk: UUID) -> FileResponse:
    """A photo or report itself, in the browser; that it was looked at is recorded."""
    principal = who(request)
    row = Evidence.objects.filter(pk=pk, order__in=InspectionOrder.objects.visible_to(principal)).first()
    if row is None:
        raise not_found()
    reading.record(
        actor=principal.actor, kind=queue.KIND, number=row.order.declaration.unified_number, page="evidence",
        request=request,
    )  # fmt: skip
    return files.served(inspections.path_of(row), row.content_type, str(row.pk), inline=True)


def _moment(text: str, pointer: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise invalid([Fault(pointer, "time", T("时间无效", "Not a time"))]) from None
    return found if found.tzinfo else found.replace(tzinfo=LEGAL_ZONE)


def _order(request: HttpRequest, number: str) -> Any:
    agency, stage = request.POST.get("agency", ""), request.POST.get("stage", "")
    return inspections.order(
        number=number,
        agency_id=int(agency) if agency.isdigit() and len(agency) < 18 else None,
        stage=stage if stage in InspectionOrder.Stage.values else "port",
        instruction=_text(request, "instruction", 500),
        principal=who(request),
    )  # fmt: skip


def _book(request: HttpRequest, number: str) -> Any:
    return inspections.book(
        number=number,
        place=_text(request, "place", 17),
        starts_at=_moment(request.POST.get("starts_at", ""), "/starts_at"),
        ends_at=_moment(request.POST.get("ends_at", ""), "/ends_at"),
        principal=who(request),
    )


def _pk(request: HttpRequest, number: str) -> int:
    """The order the form is about, which must be of this declaration."""
    pk = request.POST.get("order", "")
    if (
        not pk.isdigit()
        or not InspectionOrder.objects.filter(pk=int(pk[:18]), declaration__unified_number=number).exists()
    ):
        raise not_found()
    return int(pk)


def _finish(request: HttpRequest, number: str) -> Any:
    return inspections.finish(
        pk=_pk(request, number),
        passed=request.POST.get("passed") == "1",
        note=_text(request, "note", 1000),
        follow_up=request.POST.get("follow_up", "") if request.POST.get("passed") != "1" else "",
        principal=who(request),
    )


def _settle(request: HttpRequest, number: str) -> Any:
    return inspections.settle(pk=_pk(request, number), outcome=_text(request, "outcome", 1000), principal=who(request))


def _evidence(request: HttpRequest, number: str) -> Any:
    file = request.FILES.get("file")
    if file is None or (file.size or 0) > inspections.MAX_FILE:
        raise invalid([Fault("/file", "file", T("请选择不超过 10 MB 的文件", "Choose a file of 10 MB at most"))])
    return inspections.add_evidence(
        pk=_pk(request, number),
        name=str(file.name),
        data=file.read(),
        sample_number=_text(request, "sample_number", 40),
        principal=who(request),
    )


def _text(request: HttpRequest, name: str, limit: int) -> str:
    return request.POST.get(name, "").replace("\x00", "").strip()[:limit]


ACTS: dict[str, tuple[Callable[[HttpRequest, str], Any], Any]] = {
    "order": (_order, T("查验指令已下达。", "The inspection is ordered.")),
    "book": (_book, T("已预约。", "Booked.")),
    "finish": (_finish, T("查验结果已登记。", "The result is recorded.")),
    "settle": (_settle, T("差异已处理完毕。", "The difference is settled.")),
    "evidence": (_evidence, T("凭证已保存。", "The evidence is kept.")),
}


@require_POST
def act(request: HttpRequest, number: str, act: str) -> HttpResponse:
    principal = who(request)
    if not principal.has_duty(DUTY):
        raise standard(403)
    if act not in ACTS:
        raise not_found()
    number = dossier.find(number, principal).unified_number
    work, done = ACTS[act]
    try:
        decisions.act(
            number=number, principal=principal, etag=request.POST.get("etag", ""), work=lambda: work(request, number)
        )
    except Problem as problem:
        if problem.status in (403, 404):
            raise
        messages.error(request, decisions.told(problem))
    else:
        messages.success(request, done)
    return redirect("admin:inspection", number=number)
