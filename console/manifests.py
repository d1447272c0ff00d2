"""Changes of manifests that wait for an officer: bills that a declaration refers to, as they are and as they would be; and
reported times of a trip that an officer puts right."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from cargo import manifests, reports, voyages
from cargo.models import Consignment, Manifest, ManifestMessage, Voyage
from clearance import goods
from common.asked import asked_moment
from common.problems import Fault, Problem, invalid, not_found
from common.text import T
from console import decisions
from console.forms import Field, faults_of, shown, typed
from console.pages import officer, page, reader
from parties.models import Officer
from parties.principals import Principal

DUTY = Officer.Duty.EXAMINATION
#: On one page; what is decided makes room for the next.
SHOWN = 50


def waiting(principal: Principal) -> QuerySet[ManifestMessage]:
    """Messages that wait, of manifests of one's offices or of goods declared there, the oldest first."""
    rows = ManifestMessage.objects.filter(response_code=ManifestMessage.Response.REVIEW).order_by("received_at", "pk")
    if principal.is_superuser:
        return rows
    offices = sorted(principal.offices)
    ours = Manifest.objects.filter(sender=OuterRef("sender"), number=OuterRef("number"), office__in=offices)
    declared = Consignment.objects.live().filter(
        manifest__sender=OuterRef("sender"), manifest__number=OuterRef("number"),
        cases__declaration__customs_office__in=offices,
    )  # fmt: skip
    return rows.filter(Q(Exists(ours)) | Q(Exists(declared)))


@require_GET
def show(request: HttpRequest) -> HttpResponse:
    """Each message that waits, what it would change, and the declarations it would change it for."""
    principal = reader(request, DUTY)
    rows = []
    for row in waiting(principal).select_related("sender")[:SHOWN]:
        changes = [
            {
                "change": change,
                "declarations": list(goods.claimants(change.consignment.pk)) if change.consignment else [],
            }
            for change in manifests.changes(row)
        ]
        rows.append({"message": row, "changes": changes})
    return page(
        request, "console/manifest_changes.html", title=T("舱单变更审核", "Manifest changes"), rows=rows, most=SHOWN,
        may=principal.is_officer,
    )  # fmt: skip


@require_POST
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    principal = officer(request, DUTY)
    if not waiting(principal).filter(pk=pk).exists():
        raise not_found()
    approve = request.POST.get("approve") == "1"
    note = request.POST.get("note", "").replace("\x00", "").strip()[:200]
    try:
        row = manifests.decide(pk, approve=approve, note=note, principal=principal)
    except Problem as problem:
        messages.error(request, decisions.told(problem))
    else:
        told = "; ".join(f"{one['bill_number']}: {one['text']}" for one in manifests.as_receipt(row)["consignments"])
        messages.success(request, T("已审核。{t}", "Decided. {t}", t=told))
    return redirect("admin:manifest_changes")


TIMES = {
    "arrived": T("抵港", "arrived"), "departed": T("离港", "departed"),
    "entry_declared": T("申报进境", "entry declared"),
}  # fmt: skip


@require_http_methods(["GET", "POST"])
def correct(request: HttpRequest, pk: int) -> HttpResponse:
    """Put a reported time of a trip right, also after its goods were released."""
    principal = officer(request, DUTY)
    voyage = Voyage.objects.select_related("carrier", "means").filter(pk=pk).first()
    if voyage is None:
        raise not_found()
    given, faults = typed(request.POST, "what", "at"), list[Fault]()
    if request.method == "POST":
        try:
            at = asked_moment(given, "at")
            if at is None:
                raise invalid([Fault("/at", "required", T("必须填写", "Required"))])
            voyages.correct(pk, what=given["what"], at=at, principal=principal)
            messages.success(request, T("航次 {n} 的时间已更正。", "The time of trip {n} is put right.", n=voyage))
            return redirect("admin:cargo_voyage_changelist")
        except Problem as problem:
            faults = faults_of(problem)
    reported = [
        (what, text) for what, text in TIMES.items() if getattr(voyage, reports.MILESTONES[what][0]) is not None
    ]
    fields = (
        Field("what", T("报告", "Report"), "select", options=reported, required=True),
        Field("at", T("实际时间", "Actual time"), "datetime-local", required=True, hint=T("北京时间", "Beijing time")),
    )
    return page(
        request, "console/voyage_form.html", title=T("更正航次时间", "Put a time of a trip right"), voyage=voyage,
        form=shown(fields, given, faults),
        times=[(text, getattr(voyage, reports.MILESTONES[what][0])) for what, text in TIMES.items()],
    )  # fmt: skip
