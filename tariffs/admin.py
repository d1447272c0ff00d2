"""The tariff in the console: assessments with their explanation, overrides, loads, what changes on which day."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse

from common.admin import DutyAdmin, ReadOnlyAdmin, ReadOnlyInline, caller, has_duty
from common.asked import day_or
from common.days import today
from common.problems import Problem, standard
from common.text import T, pick, side
from parties.models import Officer

from . import changes, fixing, loads, lookup, maps, memos, payments
from .basis import Notice
from .models import (
    CalendarDay,
    CommodityLine,
    DutyMemo,
    DutyRefund,
    Guarantee,
    GuaranteeDraw,
    Load,
    MonthlyRate,
    OriginMember,
    Parameter,
    Payment,
    PaymentChannel,
    Quota,
    RefundConfirmation,
    RegimeEffect,
    StoredAssessment,
    TariffMeasure,
    Version,
)
from .tables import TABLES

TARIFF, DUTIES = (Officer.Duty.TARIFF,), (Officer.Duty.DUTIES,)


def actor_of(request: HttpRequest) -> str:
    return str(caller(request).actor)


def page(request: HttpRequest, model_admin: admin.ModelAdmin, template: str, **context: Any) -> HttpResponse:
    base = admin.site.each_context(request) | {"opts": model_admin.model._meta}
    return render(request, template, base | context)


class TariffTable(ReadOnlyAdmin):
    """A versioned table: read here, changed by loading files."""

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(until_version=None)


@admin.register(CommodityLine)
class CommodityLineAdmin(TariffTable):
    list_display = ["code", "name_zh", "name_en", "unit1", "unit2", "documents", "period", "example"]
    search_fields = ["code__startswith", "words"]
    list_filter = ["example"]


@admin.register(TariffMeasure)
class TariffMeasureAdmin(TariffTable):
    list_display = ["code", "kind", "group", "exporter", "rate", "agreement", "period", "example"]
    search_fields = ["code__startswith"]
    list_filter = ["kind", "example"]
    ordering = ["code", "kind", "group"]
    change_list_template = "tariffs/measures.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.changes)
        return [path("changes/", view, name="tariffs_changes"), *super().get_urls()]

    def changes(self, request: HttpRequest) -> HttpResponse:
        """What differs between two days, and on which days something changes."""
        if not self.has_view_permission(request):
            raise standard(403)
        first = day_or(today(), request.GET.get("from"))
        second = day_or(first + timedelta(days=90), request.GET.get("to"))
        prefix = request.GET.get("prefix", "")
        prefix = prefix[:10] if prefix.isascii() and prefix.isdigit() else ""
        return page(
            request, self, "tariffs/changes.html", title=T("税率变动", "Changes of rates"), first=first, second=second,
            prefix=prefix, days=changes.days(min(first, second), max(first, second)),
            difference=changes.between(first, second, prefix=prefix),
        )  # fmt: skip


@admin.register(OriginMember)
class OriginMemberAdmin(TariffTable):
    list_display = ["group", "country", "agreement", "name_zh", "period", "source"]
    list_filter = ["group"]
    search_fields = ["country"]


@admin.register(MonthlyRate)
class MonthlyRateAdmin(TariffTable):
    list_display = ["currency", "rate", "per", "inverse", "quoted_on", "period", "example", "source"]
    list_filter = ["currency"]


@admin.register(Parameter)
class ParameterAdmin(TariffTable):
    list_display = ["name", "value", "basis", "period", "source"]
    search_fields = ["name"]


@admin.register(RegimeEffect)
class RegimeEffectAdmin(TariffTable):
    list_display = ["direction", "regime", "levy_nature", "duty", "consumption", "vat", "remedy", "period"]
    search_fields = ["regime", "levy_nature"]


class WarnsOfTheCalendar(DutyAdmin):
    """Limits move with the holidays: say in time that a year is not loaded. They are published in the autumn before."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        coming = today() + timedelta(days=60)
        if not lookup.current().calendar.covers(coming):
            messages.warning(request, Notice("calendar-missing", params={"year": str(coming.year)}).text(side()))
        return super().changelist_view(request, extra_context)


@admin.register(CalendarDay)
class CalendarDayAdmin(WarnsOfTheCalendar, TariffTable):
    list_display = ["valid", "working", "name", "source"]
    ordering = ["valid"]


@admin.register(Quota)
class QuotaAdmin(TariffTable):
    list_display = ["number", "name", "volume", "period", "example"]


@admin.register(Version)
class VersionAdmin(ReadOnlyAdmin):
    list_display = ["id", "table", "reason", "actor", "created_at"]
    ordering = ["-id"]


@admin.register(Load)
class LoadAdmin(WarnsOfTheCalendar):
    """Adding a load is uploading a file; a worker runs it."""

    change_duties = TARIFF
    list_display = ["id", "file_name", "table", "state", "rows", "actor", "created_at", "finished_at"]
    change_form_template = "tariffs/load.html"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_duty(request, TARIFF)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise standard(403)
        problem = None
        if request.method == "POST":
            upload: UploadedFile | None = request.FILES.get("file")  # type: ignore[assignment]
            options: dict[str, Any] = {
                name: request.POST.get(name, "").replace("\x00", "").strip()[:300]
                for name in ("table", "map", "encoding", "reason")
            }
            options |= {name: request.POST.get(name) == "on" for name in ("dry_run", "correct_past")}
            try:
                if upload is None:
                    raise standard(400)
                load = loads.queue(upload=upload, options=options, actor=actor_of(request))
            except Problem as refused:
                problem = refused
            else:
                from .tasks import bulk_load

                transaction.on_commit(lambda: bulk_load.delay())
                return redirect(reverse("admin:tariffs_load_change", args=[load.pk]))
        return page(
            request, self, "tariffs/upload.html", title=T("导入税则文件", "Load a tariff file"), problem=problem,
            tables=sorted(TABLES), maps=sorted(maps.MAPS),
        )  # fmt: skip

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **options: Any) -> HttpResponse:
        load: Load = context["original"]
        moving = loads.progress(load.pk)
        context |= {"load": load, "moving": moving, "samples": _samples(load)}
        context["faults"] = [
            fault | {"detail": pick(fault["detail"], fault.get("detail_en") or fault["detail"])}
            for fault in load.faults
        ]
        context["phase"] = PHASE_NAMES.get(moving["phase"], moving["phase"]) if moving else ""
        context["percent"] = load.progress or (loads.PHASES.get(moving["phase"], 0) if moving else 0)
        return super().render_change_form(request, context, *args, **options)


PHASE_NAMES = {"read": T("读取", "reading"), "compare": T("比较", "comparing"), "write": T("写入", "writing")}
DIFFERENCES = {"added": T("新增", "added"), "changed": T("变更", "changed"), "ended": T("终止", "ended")}


def _period(text: str) -> str:
    """Half-open ranges as PostgreSQL writes them, as people write them."""
    found = []
    for start, end in re.findall(r"[\[(]([\d-]*),([\d-]*)\)", text):
        last = str(date.fromisoformat(end) - timedelta(days=1)) if end else ""
        found.append(f"{start} – {last}" if last else str(T("{day} 起", "from {day}", day=start)))
    return "; ".join(found)


def _samples(load: Load) -> list[dict[str, Any]]:
    found = []
    for kind, rows in load.difference.get("samples", {}).items():
        for row in rows:
            period = row["valid"].strip("{}")
            rest = {key: value for key, value in row.items() if key not in ("row", "valid", "before")}
            found.append({"kind": kind, "kind_text": DIFFERENCES.get(kind, kind), "row": "" if row["row"] == "0" else row["row"], "valid": _period(period), "before": row.get("before", ""),
                          "text": ", ".join(rest.values())})  # fmt: skip
    return found


@admin.register(StoredAssessment)
class StoredAssessmentAdmin(ReadOnlyAdmin):
    """An assessment with every figure's arithmetic; an officer on duty for taxes may override a value or a rate (the console's
    page ``see_to_duties`` does it, for a declaration's memo follows)."""

    list_display = ["subject", "number", "payable", "customs_value", "rate_day", "reason", "actor", "created_at"]
    search_fields = ["=subject"]
    change_form_template = "tariffs/assessment.html"

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **options: Any) -> HttpResponse:
        stored: StoredAssessment = context["original"]
        versions = list(StoredAssessment.objects.filter(subject=stored.subject).order_by("-number"))
        context |= {
            "stored": stored,
            "answer": fixing.answer(stored),
            "steps": fixing.explanation(stored),
            "rows": _tax_rows(fixing.answer(stored)),
            "versions": versions,
            "latest": versions[0].pk == stored.pk,
            "may_override": has_duty(request, DUTIES) and not stored.subject.startswith("Q"),
            "items": [(item["number"], item["code"]) for item in fixing.answer(stored)["items"]],
            "memos": DutyMemo.objects.filter(subject=stored.subject),
            "refunds": DutyRefund.objects.filter(subject=stored.subject).select_related("channel"),
        }
        return super().render_change_form(request, context, *args, **options)


STATUSES = {
    "levied": T("照章征收", "levied"), "reduced": T("减征", "reduced"), "suspended": T("保税暂缓", "suspended"),
    "exempt": T("免征", "exempt"), "de-minimis": T("起征额以下免征", "below the threshold"),
}  # fmt: skip


def _tax_rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
    names = {total["tax"]: total["name"] for total in answer["totals"]}
    return [
        {"number": item["number"], "code": item["code"], "origin": item["origin"], "value": item["customs_value"],
         "name": names[line["tax"]], "status_text": STATUSES.get(line["status"], line["status"]), **line}
        for item in answer["items"] for line in item["taxes"]
    ]  # fmt: skip


class PaymentInline(ReadOnlyInline):
    model = Payment


@admin.register(DutyMemo)
class DutyMemoAdmin(ReadOnlyAdmin):
    list_display = [
        "number",
        "subject",
        "amount",
        "state",
        "issued_at",
        "due_on",
        "payable_today",
        "paid_on",
        "late_charge",
    ]
    list_filter = ["state"]
    search_fields = ["=subject", "=number"]
    inlines = [PaymentInline]

    @admin.display(description=T("今日应缴", "payable today"))
    def payable_today(self, memo: DutyMemo) -> str:
        waits = memo.state in (DutyMemo.State.OPEN, DutyMemo.State.GUARANTEED)
        return f"{memo.amount + memos.late_on(memo, today()).amount}" if waits else ""


class ConfirmationInline(ReadOnlyInline):
    model = RefundConfirmation


@admin.register(DutyRefund)
class DutyRefundAdmin(ReadOnlyAdmin):
    list_display = ["number", "subject", "amount", "state", "channel", "created_at", "refunded_on"]
    list_filter = ["state"]
    search_fields = ["=subject", "=number"]
    inlines = [ConfirmationInline]


class DrawInline(ReadOnlyInline):
    model = GuaranteeDraw


@admin.register(Guarantee)
class GuaranteeAdmin(DutyAdmin):
    """An account is opened here and then moves by memos alone."""

    view_duties = DUTIES
    change_duties = DUTIES
    list_display = ["number", "organisation_id", "amount", "drawn", "summary", "period"]
    search_fields = ["=number"]
    fields = ["number", "organisation_id", "amount", "valid", "summary"]
    inlines = [DrawInline]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_duty(request, DUTIES)

    def save_model(self, request: HttpRequest, obj: Guarantee, form: Any, change: bool) -> None:
        upper = obj.valid.upper
        opened = memos.open_guarantee(
            number=obj.number, organisation_id=obj.organisation_id, amount=obj.amount, valid_from=obj.valid.lower,
            last_day=upper - timedelta(days=1) if upper else None, summary=obj.summary, actor=actor_of(request),
        )  # fmt: skip
        obj.pk = opened.pk


class PaymentChannelForm(forms.ModelForm):
    new_secret = forms.CharField(
        label=T("新密钥", "new secret"), required=False, max_length=200, strip=True,
        help_text=T("原密钥继续有效，直至下次更换或停用", "the secret before it stays good until the next change or its end"),
    )  # fmt: skip
    end_old = forms.BooleanField(label=T("停用原密钥", "end the old secret"), required=False)

    def clean_new_secret(self) -> str:
        secret: str = self.cleaned_data["new_secret"]
        if secret and not payments.usable_secret(secret):
            raise forms.ValidationError(str(T("须为不少于 24 字节的 Base64", "must be Base64 of at least 24 bytes")))
        return secret


@admin.register(PaymentChannel)
class PaymentChannelAdmin(DutyAdmin):
    """Secrets are entered, never shown again, and changed with both good for a while."""

    view_duties = DUTIES
    change_duties = DUTIES
    form = PaymentChannelForm
    list_display = ["code", "name", "organisation_id", "active"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = ["code", "name", "organisation_id", "active"]
        return [*fields, "new_secret", "end_old"] if obj is not None else [*fields, "secrets"]

    def save_model(self, request: HttpRequest, obj: PaymentChannel, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and form.cleaned_data.get("new_secret"):
            payments.change_secret(channel_id=obj.pk, secret=form.cleaned_data["new_secret"])
        if change and form.cleaned_data.get("end_old"):
            payments.end_old_secret(channel_id=obj.pk)
