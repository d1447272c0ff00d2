"""Changes of manifests that wait for an officer: bills that a declaration refers to, as they are and as they would be."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from cargo import manifests
from cargo.models import Consignment, Manifest, ManifestMessage
from clearance import goods
from common.problems import Problem, not_found
from common.text import T
from console import decisions
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
