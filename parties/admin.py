from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from common.admin import ReadOnlyAdmin, ReadOnlyInline
from common.text import T
from parties.models import ApiClient, Mandate, OfficeAssignment, Officer, Organisation, OrganisationRole


class Clients(ReadOnlyInline):
    model = ApiClient
    fields = ["client", "scopes", "created_at", "revoked_at"]
    readonly_fields = ["client"]

    @admin.display(description=T("客户端", "client"))
    def client(self, row: ApiClient) -> str:
        return format_html('<a href="{}">{}</a>', reverse("admin:parties_apiclient_change", args=[row.pk]), row)


class MandatesGiven(ReadOnlyInline):
    model = Mandate
    fk_name = "firm"
    verbose_name_plural = T("给出的委托", "mandates given")


@admin.register(Organisation)
class OrganisationAdmin(ReadOnlyAdmin):
    list_display = ["name", "social_credit_code", "customs_code", "role_names", "province", "suspended_since"]
    search_fields = ["name", "name_en", "social_credit_code", "customs_code"]
    list_filter = ["province"]
    inlines = [MandatesGiven, Clients]
    fields = [
        "name", "name_en", "social_credit_code", "customs_code", "role_names", "province", "address", "telephone",
        "email", "suspended_since", "created_at",
    ]  # fmt: skip
    readonly_fields = ["role_names"]

    @admin.display(description=T("角色", "roles"))
    def role_names(self, organisation: Organisation) -> str:
        return "、".join(str(OrganisationRole(role).label) for role in organisation.roles)


@admin.register(Mandate)
class MandateAdmin(ReadOnlyAdmin):
    list_display = ["firm", "broker", "period", "customs_procedures", "agreement_number"]
    search_fields = ["firm__name", "broker__name", "agreement_number"]
    list_select_related = ["firm", "broker"]


@admin.register(ApiClient)
class ApiClientAdmin(ReadOnlyAdmin):
    list_display = ["application", "organisation", "created_at", "revoked_at"]
    list_select_related = ["application", "organisation"]
    search_fields = ["organisation__name", "application__client_id"]


class Assignments(admin.TabularInline):
    model = OfficeAssignment
    extra = 0


@admin.register(Officer)
class OfficerAdmin(admin.ModelAdmin):
    """Who works where: the one place where rights are given, by superusers only; the change is in Django's log."""

    list_display = ["__str__", "organisation", "duties"]
    search_fields = ["user__username", "user__last_name"]
    list_select_related = ["user", "organisation"]
    inlines = [Assignments]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(getattr(request.user, "is_superuser", False))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)
