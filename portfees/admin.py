from __future__ import annotations

from django.contrib import admin

from common.admin import ReadOnlyAdmin, ReadOnlyInline
from common.text import T
from portfees.models import FeeItem, FeeList, Invoice, InvoiceLine


class Items(ReadOnlyInline):
    model = FeeItem
    fields = [
        "line",
        "code",
        "name_zh",
        "unit",
        "container_size",
        "condition",
        "direction",
        "rate",
        "currency",
        "pricing",
    ]
    readonly_fields = fields  # type: ignore[assignment]


@admin.register(FeeList)
class FeeListAdmin(ReadOnlyAdmin):
    list_display = ["number", "title", "body", "port", "area", "version", "state", "valid", "is_example"]
    list_filter = ["state", "body_class", "port"]
    search_fields = ["number", "title", "body__name", "items__name_zh", "items__code"]
    list_select_related = ["body"]
    inlines = [Items]


class Lines(ReadOnlyInline):
    model = InvoiceLine
    fields = ["line", "code", "service_day", "quantity", "amount", "currency", "finding", "listed_amount"]
    readonly_fields = fields  # type: ignore[assignment]


@admin.register(Invoice)
class InvoiceAdmin(ReadOnlyAdmin):
    list_display = ["number", "body", "payer", "port", "issued_on", "deviating"]
    list_filter = ["lines__finding", "port"]
    search_fields = ["number", "reference", "body__name", "payer__name"]
    list_select_related = ["body", "payer"]
    inlines = [Lines]

    @admin.display(description=T("偏差行", "deviating lines"))
    def deviating(self, invoice: Invoice) -> int:
        return sum(line.finding in ("above", "not_listed", "no_list") for line in invoice.lines.all())

    def get_queryset(self, request):  # type: ignore[no-untyped-def]
        return super().get_queryset(request).prefetch_related("lines")
