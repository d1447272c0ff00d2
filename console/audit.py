"""Who has seen and done what: the readings and the events of an officer or of a case, side by side in time."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from common.asked import day_or
from common.days import LEGAL_ZONE, today
from common.models import ReadRecord
from common.problems import standard
from common.text import T
from console import dossier
from console.pages import page, who
from declarations.models import Declaration
from events.models import Event

SHOWN = 300
DUTIES = ("supervision",)


@require_GET
def show(request: HttpRequest) -> HttpResponse:
    principal = who(request)
    if not principal.has_duty("supervision"):
        raise standard(403)
    officer = request.GET.get("officer", "").replace("\x00", "")[:120]
    number = request.GET.get("number", "").replace("\x00", "").strip()[:40]
    day = day_or(today(), request.GET.get("day"))
    readings = ReadRecord.objects.all()
    events = Event.objects.order_by("-occurred_at")
    if number:
        found = Declaration.objects.filter(customs_number=number).values_list("unified_number", flat=True).first()
        readings = readings.filter(kind="declaration", number=found or number)
        events = events.filter(subject_kind="declaration", subject_number=found or number)
    else:
        start = datetime.combine(day, time(), LEGAL_ZONE)
        span = (start, start + timedelta(days=1))
        readings = readings.filter(read_at__range=span)
        events = events.filter(occurred_at__range=span, actor__startswith="officer:")
    if officer:
        readings = readings.filter(actor=officer)
        events = events.filter(actor=officer)
    names = dossier.actor_names()
    rows: list[dict[str, Any]] = [
        {
            "at": one.read_at,
            "who": names.get(one.actor, one.actor),
            "did": False,
            "what": dossier.READ.get(one.page, one.page),
            "number": one.number,
            "more": one.address,
        }
        for one in readings[:SHOWN]
    ] + [
        {
            "at": one.occurred_at,
            "who": dossier.actor_text(one.actor, names),
            "did": True,
            "what": dossier.event_title(one.type),
            "number": one.subject_number,
            "kind": one.subject_kind,
            "more": dossier.decisions.reason_text(one.data),
        }
        for one in events[:SHOWN]
    ]
    rows.sort(key=lambda row: row["at"] or timezone.now(), reverse=True)
    return page(
        request,
        "console/audit.html",
        title=T("操作与查看审计", "Audit of readings and decisions"),
        rows=rows[:SHOWN],
        names=sorted(names.items()),
        officer=officer,
        number=number,
        day=day,
    )
