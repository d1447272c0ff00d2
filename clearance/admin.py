"""What clearance keeps, to look at. Commands decide; only what is published or listed as of a day is entered here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from clearance import riskrules
from clearance.models import (
    Appointment,
    Case,
    ChangeRequest,
    Confirmation,
    CreditStanding,
    Deadline,
    Evidence,
    GateMove,
    Hold,
    InspectionOrder,
    PenaltyCase,
    PortPaper,
    Release,
    Selection,
    TimeLimit,
)
from common import reading
from common.admin import DutyAdmin, ReadOnlyAdmin, ReadOnlyInline, caller
from common.days import today
from common.text import T
from declarations.models import Declaration
from parties.principals import SYSTEM

RISK = ("risk",)
SUPERVISION = ("supervision",)


class OfDeclaration(ReadOnlyAdmin):
    """Rows of declarations: those of the officer's offices, each with the way to its declaration."""

    #: From the row to its declaration.
    path: ClassVar[str] = "declaration"

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Who looks at a row of a case has read of the case."""
        answer = super().change_view(request, object_id, *args, **kwargs)
        row = self.get_object(request, object_id)
        if row is not None and answer.status_code == 200 and (principal := caller(request)) is not None:
            reading.record(
                actor=principal.actor,
                kind="declaration",
                number=self._declaration(row).unified_number,
                page=str(self.model._meta.model_name),
                request=request,
            )
        return answer

    def _declaration(self, row: Any) -> Declaration:
        for name in self.path.split("__"):
            row = getattr(row, name)
        assert isinstance(row, Declaration)
        return row

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).select_related(self.path)
        principal = caller(request)
        if principal is None or principal.is_superuser:
            return rows
        return rows.filter(**{f"{self.path}__in": Declaration.objects.visible_to(principal)})

    @admin.display(description=T("报关单", "declaration"))
    def page(self, row: Any) -> str:
        declaration = self._declaration(row)
        url = reverse("admin:declaration", args=[declaration.unified_number])
        return format_html('<a href="{}">{}</a>', url, declaration)


class ConfirmationInline(ReadOnlyInline):
    model = Confirmation


class DeadlineInline(ReadOnlyInline):
    model = Deadline
    fields = ["kind", "due_on", "due_at", "warned_at", "met_at", "missed_at"]


@admin.register(Case)
class CaseAdmin(OfDeclaration):
    list_display = ["id", "page", "mode", "lane", "place", "advance", "reviewed_at", "created_at"]
    list_filter = ["mode", "lane", "advance"]
    search_fields = ["=declaration__unified_number", "=declaration__customs_number"]
    raw_id_fields = ["declaration", "consignment"]
    inlines = [ConfirmationInline, DeadlineInline]


@admin.register(Release)
class ReleaseAdmin(OfDeclaration):
    list_display = ["id", "page", "stage", "at", "actor"]
    list_filter = ["stage"]
    date_hierarchy = "at"
    search_fields = ["=declaration__unified_number", "=declaration__customs_number"]
    raw_id_fields = ["declaration"]


@admin.register(Selection)
class SelectionAdmin(OfDeclaration):
    """Which rules hit: for risk staff and examiners."""

    view_duties = ("risk", "examination", "supervision")
    list_display = ["id", "page", "version", "lane", "score", "rules", "at"]
    list_filter = ["lane"]
    date_hierarchy = "at"
    search_fields = ["=declaration__unified_number", "=declaration__customs_number"]
    raw_id_fields = ["declaration"]

    @admin.display(description=T("命中规则", "rules hit"))
    def rules(self, row: Selection) -> str:
        return ", ".join(str(one.get("code", "")) for one in row.hits) or "—"


@admin.register(ChangeRequest)
class ChangeRequestAdmin(OfDeclaration):
    list_display = ["id", "page", "kind", "state", "requested_at", "decided_at", "decided_by"]
    list_filter = ["state", "kind"]
    search_fields = ["=declaration__unified_number", "=declaration__customs_number"]
    raw_id_fields = ["declaration"]


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    list_display = ["reference", "kind", "reason", "holder", "placed_at", "lifted_at", "after_release"]
    list_filter = ["kind", ("lifted_at", admin.EmptyFieldListFilter), "after_release"]
    list_select_related = ["holder"]
    search_fields = ["=reference", "=holder_reference"]


@admin.register(GateMove)
class GateMoveAdmin(ReadOnlyAdmin):
    list_display = ["container", "move", "fullness", "place", "at", "permitted", "truck", "reporter"]
    list_filter = ["permitted", "move", "fullness"]
    list_select_related = ["reporter"]
    date_hierarchy = "at"
    search_fields = ["=container", "=truck"]


@admin.register(Appointment)
class AppointmentAdmin(OfDeclaration):
    list_display = ["id", "page", "place", "starts_at", "ends_at", "state"]
    list_filter = ["state"]
    search_fields = ["=declaration__unified_number", "=declaration__customs_number", "=place"]
    raw_id_fields = ["declaration"]


class EvidenceInline(ReadOnlyInline):
    model = Evidence
    fields = ["name", "content_type", "size", "sample_number", "added_by", "added_at"]


@admin.register(InspectionOrder)
class InspectionOrderAdmin(OfDeclaration):
    list_display = ["id", "page", "agency", "stage", "state", "follow_up", "ordered_at", "result_at", "settled_at"]
    list_filter = ["state", "stage", "follow_up"]
    list_select_related = ["agency"]
    search_fields = ["=declaration__unified_number", "=declaration__customs_number"]
    raw_id_fields = ["declaration", "appointment"]
    inlines = [EvidenceInline]


@admin.register(Evidence)
class EvidenceAdmin(OfDeclaration):
    path = "order__declaration"
    list_display = ["name", "page", "content_type", "size", "sample_number", "added_by", "added_at", "look"]
    list_filter = ["content_type", ("sample_number", admin.EmptyFieldListFilter)]
    search_fields = ["=sample_number", "=order__declaration__unified_number"]
    raw_id_fields = ["order"]

    @admin.display(description="")
    def look(self, row: Evidence) -> str:
        return format_html('<a href="{}">{}</a>', reverse("admin:evidence", args=[row.pk]), T("查看", "look"))


@admin.register(PenaltyCase)
class PenaltyCaseAdmin(OfDeclaration):
    list_display = ["id", "page", "reason", "opened_at", "closed_at", "closed_by"]
    list_filter = [("closed_at", admin.EmptyFieldListFilter)]
    search_fields = ["=declaration__unified_number", "=declaration__customs_number"]
    raw_id_fields = ["declaration", "order"]


@admin.register(Deadline)
class DeadlineAdmin(ReadOnlyAdmin):
    """Limits of declarations of the officer's offices, and of goods nobody has declared."""

    list_display = ["kind", "case", "consignment", "due_on", "due_at", "warned_at", "met_at", "missed_at"]
    list_filter = ["kind", ("met_at", admin.EmptyFieldListFilter), ("missed_at", admin.EmptyFieldListFilter)]
    list_select_related = ["case__declaration", "consignment"]
    date_hierarchy = "due_on"
    search_fields = ["=case__declaration__unified_number", "=consignment__bill_number"]
    raw_id_fields = ["case", "consignment"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        principal = caller(request)
        if principal is None or principal.is_superuser:
            return rows
        return rows.filter(case=None) | rows.filter(case__declaration__in=Declaration.objects.visible_to(principal))


@admin.register(PortPaper)
class PortPaperAdmin(ReadOnlyAdmin):
    list_display = ["number", "version", "kind", "issuer", "container", "issued_at", "superseded_at", "cancelled_at"]
    list_filter = ["kind"]
    list_select_related = ["issuer"]
    search_fields = ["=number", "=container"]
    raw_id_fields = ["consignment"]
    exclude = ["code"]


class DatedAdmin(DutyAdmin):
    """Rows in force from-to: entered, and closed by their end; what was in force stays as it was."""

    #: Members that may still be changed: the end of the period.
    closing = ("valid",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        names = [field.name for field in self.model._meta.fields if field.name not in ("id", *self.closing)]
        return names if obj is not None else []

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        over = obj is not None and obj.valid.upper is not None and obj.valid.upper <= today() - timedelta(days=1)
        return not over and super().has_change_permission(request, obj)


class CreditStandingForm(forms.ModelForm):
    """What the command would refuse is said at its field."""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.instance.pk is None and {"standing", "factor", "basis"} <= cleaned.keys():
            for fault in riskrules.credit_faults(**{name: cleaned[name] for name in ("standing", "factor", "basis")}):
                self.add_error(fault.pointer.strip("/"), str(fault.text))
        valid = cleaned.get("valid")
        if valid is not None and valid.lower is None:
            self.add_error("valid", str(T("须有起始日", "It needs a first day")))
        elif valid is not None and self.instance.pk and valid.upper is not None and valid.upper <= today():
            self.add_error("valid", str(T("不得终止于今日之前", "It cannot have ended before today")))
        return cleaned


@admin.register(CreditStanding)
class CreditStandingAdmin(DatedAdmin):
    form = CreditStandingForm
    view_duties = RISK
    change_duties = RISK
    list_display = ["organisation", "standing", "factor", "basis", "period"]
    list_filter = ["standing"]
    list_select_related = ["organisation"]
    search_fields = ["organisation__name"]
    raw_id_fields = ["organisation"]

    def save_model(self, request: HttpRequest, obj: CreditStanding, form: Any, change: bool) -> None:
        """Through the commands, so that it is in the log who listed whom."""
        principal = caller(request) or SYSTEM
        if change:
            riskrules.end_credit(pk=obj.pk, valid_to=obj.valid.upper, principal=principal)
            return
        row = riskrules.list_credit(
            organisation_id=obj.organisation_id, standing=obj.standing, factor=obj.factor, basis=obj.basis,
            valid_from=obj.valid.lower, valid_to=obj.valid.upper, principal=principal,
        )  # fmt: skip
        obj.pk = row.pk


@admin.register(TimeLimit)
class TimeLimitAdmin(DatedAdmin):
    """口岸作业时限标准, as published."""

    change_duties = SUPERVISION
    list_display = ["operation", "office", "direction", "hours", "period", "source"]
    list_filter = ["operation", "direction", "office"]
