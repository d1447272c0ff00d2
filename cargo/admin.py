from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html

from cargo.models import (
    Consignment,
    DesignatedSite,
    Manifest,
    ManifestLimit,
    ManifestMessage,
    Place,
    PlaceService,
    SiteGoods,
    Stuffing,
    Voyage,
)
from common.admin import ReadOnlyAdmin, ReadOnlyInline
from common.text import T


class StuffingInline(ReadOnlyInline):
    model = Stuffing


@admin.register(Consignment)
class ConsignmentAdmin(ReadOnlyAdmin):
    list_display = ["bill_number", "manifest", "direction", "packages", "gross_mass", "arrived_at", "released_at"]
    list_filter = ["direction"]
    list_select_related = ["manifest"]
    search_fields = ["=bill_number", "=declaration_number"]
    inlines = [StuffingInline]


@admin.register(Manifest)
class ManifestAdmin(ReadOnlyAdmin):
    list_display = ["number", "kind", "sender", "voyage", "office", "created_at"]
    list_filter = ["kind"]
    list_select_related = ["sender", "voyage"]
    search_fields = ["=number"]


@admin.register(ManifestMessage)
class ManifestMessageAdmin(ReadOnlyAdmin):
    list_display = ["message_id", "message_type", "function_code", "number", "response_code", "received_at"]
    list_filter = ["response_code", "message_type"]
    search_fields = ["=message_id", "=number"]


@admin.register(Voyage)
class VoyageAdmin(ReadOnlyAdmin):
    list_display = [
        "number", "means", "mode", "direction", "carrier", "planned_arrival", "arrived_at", "entry_declared_at", "correction",
    ]  # fmt: skip
    list_filter = ["mode", "direction"]
    list_select_related = ["carrier", "means"]
    search_fields = ["=number"]

    @admin.display(description=T("更正", "put right"))
    def correction(self, row: Voyage) -> str:
        """The way to the page on which an officer puts a reported time right."""
        if (row.arrived_at or row.departed_at or row.entry_declared_at) is None:
            return ""
        url = reverse("admin:voyage_correct", args=[row.pk])
        return format_html('<a href="{}">{}</a>', url, T("更正时间", "put right"))


@admin.register(Place)
class PlaceAdmin(admin.ModelAdmin):
    list_display = ["code", "name", "name_en", "unlocode", "office", "operator"]
    search_fields = ["code", "name", "name_en"]


@admin.register(DesignatedSite, PlaceService, SiteGoods, ManifestLimit)
class DatedAdmin(admin.ModelAdmin):
    list_display = ["__str__", "valid", "source"]
