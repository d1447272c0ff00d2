"""An envelope of a bill that no answer settled: an officer says what became of it. Writes only through ``bills.departing``."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from bills import departing
from bills.models import Departure
from common.problems import Fault, Problem, not_found, standard
from common.text import T
from console.pages import officer, page
from parties.models import Officer

LABELS = {
    "left": T("对方已接收", "The other platform has it"),
    "stay": T("仍在持有人处", "It stays with its holder"),
    "again": T("重新发送", "Send it again"),
}


@require_http_methods(["GET", "POST"])
def departure(request: HttpRequest, pk: int) -> HttpResponse:
    """The envelope with its answer; what people found out ends it."""
    principal = officer(request, Officer.Duty.EXCHANGE)
    if not principal.is_authority:
        raise standard(403)
    faults: list[Fault] = []
    if request.method == "POST":
        try:
            departing.settle_by_hand(
                pk=pk, outcome=request.POST.get("outcome", ""), reason=request.POST.get("reason", ""),
                evidence=request.POST.get("evidence", "").strip().lower(), principal=principal,
            )  # fmt: skip
            messages.success(request, T("已了结。", "Settled."))
            return redirect("admin:bills_departure_changelist")
        except Problem as problem:
            if problem.status in (403, 404):
                raise
            faults = problem.errors or [Fault("", problem.code, problem.detail)]
    row = Departure.objects.select_related("bill", "platform").filter(pk=pk).first()
    if row is None:
        raise not_found()
    return page(
        request, "console/departure.html", title=T("信封 {n}", "Envelope {n}", n=row.bill.number), row=row, faults=faults,
        form=request.POST, open=departing.stands_open(row),
        outcomes=[
            (name, label)
            for name, label in LABELS.items()
            if name != "stay" or row.purpose in (Departure.Purpose.TRANSFER, Departure.Purpose.SURRENDER)
        ],
    )  # fmt: skip
