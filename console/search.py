"""The search field of every page: a number leads to its declaration, anything else to a short list."""

from __future__ import annotations

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from common.text import T
from console import queue
from console.pages import page, who
from declarations.models import Container, Declaration

SHOWN = 50


@require_GET
def find(request: HttpRequest) -> HttpResponse:
    principal = who(request)
    text = request.GET.get("q", "").replace("\x00", "").strip()[:60]
    found: list[int] = []
    if text:
        visible = Declaration.objects.visible_to(principal)
        exact = Q(unified_number=text.upper()) | Q(customs_number=text) | Q(client_reference=text)
        found = list(visible.filter(exact).values_list("pk", flat=True)[:SHOWN])
        if not found:
            boxes = Container.objects.filter(container_number=text.upper()).values("declaration_id")
            found = list(
                visible.filter(Q(transport_document_number=text) | Q(pk__in=boxes))
                .order_by("-pk")
                .values_list("pk", flat=True)[:SHOWN]
            )
        if not found and len(text) >= 2:
            named = Q(domestic_party_name__icontains=text) | Q(declarant_name__icontains=text)
            named |= Q(domestic_party_credit_code=text.upper()) | Q(domestic_party_code=text.upper())
            recent = visible.order_by("-pk").values("pk")[:20_000]
            found = list(
                Declaration.objects.filter(named, pk__in=recent).order_by("-pk").values_list("pk", flat=True)[:SHOWN]
            )
    rows = queue.rows(found)
    if len(rows) == 1:
        return redirect("admin:declaration", number=rows[0]["declaration"].unified_number)
    return page(request, "console/find.html", title=T("查找", "Search"), find=text, rows=rows, shown=SHOWN)
