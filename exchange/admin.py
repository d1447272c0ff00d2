"""The exchange in the console: partners on one page, deliveries, agreements as a matrix, quarantine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, Max, Min, OuterRef, Prefetch, Q, QuerySet, Subquery, Sum
from django.db.models.fields.json import KeyTextTransform
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from common.admin import ReadOnlyAdmin, ReadOnlyInline
from common.problems import Problem
from common.text import T, pick
from events.models import Event
from exchange import conformance, cooperation, endpoints, inbox, partners, reconciliation
from exchange.models import (
    Agreement,
    Attempt,
    ConformanceRun,
    Delivery,
    DigestReport,
    Endpoint,
    IncomingTransit,
    Mirror,
    MirrorEvent,
    Partner,
    Quarantine,
    Refusal,
)
from parties.authentication import officer_principal
from parties.models import Officer
from parties.principals import Principal


class PartnerFilter(admin.RelatedFieldListFilter):
    """The partners by name, in one query."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        return [(one.pk, str(one)) for one in Partner.objects.select_related("organisation")]


class ExchangeAdmin(ReadOnlyAdmin):
    """Seen and acted on by officers with the duty “exchange”."""

    view_duties = (Officer.Duty.EXCHANGE,)

    def _principal(self, request: HttpRequest) -> Principal | None:
        found = officer_principal(request.user)
        return found if found is not None and any(map(found.has_duty, self.view_duties)) else None

    def each(self, request: HttpRequest, rows: QuerySet[Any], act: Callable[[Any, Principal], object]) -> None:
        """Run a command on each row and say how it went."""
        principal, done = self._principal(request), 0
        if principal is None:
            return
        for row in rows:
            try:
                act(row, principal)
                done += 1
            except (Problem, reconciliation.Unreachable) as problem:
                self.message_user(request, f"{row}: {problem}", messages.ERROR)
        if done:
            self.message_user(request, T("已处理 {n} 项", "{n} done", n=done), messages.SUCCESS)


class AgreementsInline(ReadOnlyInline):
    model = Agreement
    fields = ["direction", "version", "valid", "kinds", "types", "agreed_by", "agreed_at"]
    readonly_fields = fields  # type: ignore[assignment]


class ReportsInline(ReadOnlyInline):
    model = DigestReport
    fields = ["started_at", "made_by", "subjects", "differing", "repaired", "agrees", "seconds"]
    readonly_fields = fields  # type: ignore[assignment]
    max_num = 10

    def get_queryset(self, request: HttpRequest) -> QuerySet[DigestReport]:
        recent = super().get_queryset(request)
        return recent.filter(started_at__gt=timezone.now() - timedelta(days=7))


def _does(endpoint: Endpoint) -> tuple[str, str]:
    """How an endpoint's chip looks, and what it says."""
    name = endpoint.get_state_display()
    if endpoint.state == Endpoint.State.DISABLED:
        return "bad", f"{name} {endpoint.get_state_reason_display()}".strip()
    if endpoint.failures:
        name += str(T("，连续失败 {n}", ", {n} failures in a row", n=endpoint.failures))
    if endpoint.spared_until and endpoint.spared_until > timezone.now():
        until = timezone.localtime(endpoint.spared_until)
        name += str(T("，暂缓至 {t}", ", spared until {t}", t=f"{until:%H:%M:%S}"))
    return "warn" if endpoint.failures or endpoint.state == Endpoint.State.PAUSED else "ok", name


@admin.register(Partner)
class PartnerAdmin(ExchangeAdmin):
    list_display = [
        "code", "organisation", "state", "hooks", "lag", "waiting", "parked", "gaps", "quarantined", "refused",
        "last_agreement", "last_received_at", "last_error",
    ]  # fmt: skip
    list_select_related = ["organisation"]
    search_fields = ["code", "organisation__name"]
    inlines = [AgreementsInline, ReportsInline]
    exclude = ["client_secret"]
    actions = ["compare_now", "pull_missing", "suspend", "reinstate"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Partner]:
        open_deliveries = Delivery.objects.filter(endpoint__partner=OuterRef("pk"), state__in=Delivery.OPEN).values(
            "endpoint__partner"
        )
        return (
            super()
            .get_queryset(request)
            .prefetch_related(
                Prefetch("endpoints", Endpoint.objects.exclude(state=Endpoint.State.DELETED).order_by("created_at"))
            )
            .annotate(
                oldest=Subquery(open_deliveries.annotate(x=Min("created_at")).values("x")),
                open=Subquery(open_deliveries.annotate(x=Count("pk")).values("x")),
                parked_count=Subquery(open_deliveries.annotate(x=Count("pk", filter=Q(state="parked"))).values("x")),
                gap_count=Subquery(
                    Mirror.objects.filter(partner=OuterRef("pk"), missing__gt=0)
                    .values("partner")
                    .annotate(x=Count("pk"))
                    .values("x")
                ),
                quarantine_count=Subquery(
                    Quarantine.objects.filter(message__partner=OuterRef("pk"), state="waiting")
                    .values("message__partner")
                    .annotate(x=Count("pk"))
                    .values("x")
                ),
                refused_count=Subquery(
                    Refusal.objects.filter(partner=OuterRef("pk"))
                    .values("partner")
                    .annotate(x=Sum("count"))
                    .values("x")
                ),
                # By our own comparison: what the partner reports is its word.
                agreed=Subquery(
                    DigestReport.objects.filter(partner=OuterRef("pk"), agrees=True, made_by="own")
                    .values("partner")
                    .annotate(x=Max("started_at"))
                    .values("x")
                ),
            )
        )

    @admin.display(description=T("滞后", "lag"), ordering="oldest")
    def lag(self, partner: Any) -> str:
        return f"{(timezone.now() - partner.oldest).total_seconds():.0f} s" if partner.oldest else "0"

    @admin.display(description=T("待送", "waiting"), ordering="open")
    def waiting(self, partner: Any) -> int:
        return partner.open or 0

    @admin.display(description=T("搁置", "parked"), ordering="parked_count")
    def parked(self, partner: Any) -> int:
        return partner.parked_count or 0

    @admin.display(description=T("缺口", "gaps"), ordering="gap_count")
    def gaps(self, partner: Any) -> int:
        return partner.gap_count or 0

    @admin.display(description=T("隔离", "quarantine"), ordering="quarantine_count")
    def quarantined(self, partner: Any) -> int:
        return partner.quarantine_count or 0

    @admin.display(description=T("拒收", "refused"), ordering="refused_count")
    def refused(self, partner: Any) -> int:
        return partner.refused_count or 0

    @admin.display(description=T("端点", "endpoints"))
    def hooks(self, partner: Partner) -> SafeString:
        """How each endpoint of the partner does: its state, failures in a row, whether it is spared."""
        return format_html_join(
            " ", '<a class="chip {}" href="{}" title="{}">{}</a>',
            (
                (look, reverse("admin:endpoint", args=[one.pk]), one.url, text)
                for one in partner.endpoints.all()
                for look, text in [_does(one)]
            ),
        ) or SafeString("—")  # fmt: skip

    @admin.display(description=T("最近一致", "last agreement"), ordering="agreed")
    def last_agreement(self, partner: Any) -> Any:
        return partner.agreed or "—"

    @admin.action(description=T("立即对账（数秒后见报告）", "Compare now (the report follows in seconds)"))
    def compare_now(self, request: HttpRequest, queryset: QuerySet[Partner]) -> None:
        self.each(request, queryset, lambda partner, principal: reconciliation.want(partner=partner, actor=principal))

    @admin.action(description=T("补拉缺失", "Pull what is missing"))
    def pull_missing(self, request: HttpRequest, queryset: QuerySet[Partner]) -> None:
        self.each(request, queryset, lambda partner, principal: reconciliation.pull_missing(partner))

    @admin.action(description=T("暂停协作", "Suspend"))
    def suspend(self, request: HttpRequest, queryset: QuerySet[Partner]) -> None:
        self.each(request, queryset, lambda partner, who: partners.suspend(partner=partner, actor=who))

    @admin.action(description=T("恢复协作", "Reinstate"))
    def reinstate(self, request: HttpRequest, queryset: QuerySet[Partner]) -> None:
        self.each(request, queryset, lambda partner, who: partners.reinstate(partner=partner, actor=who))


@admin.register(Agreement)
class AgreementAdmin(ExchangeAdmin):
    """All versions, with what each lets through. The page that opens first is the matrix (``console.sharing``)."""

    list_display = ["partner", "direction", "version", "valid", "kinds_shown", "matrix", "agreed_by", "note"]
    list_filter = [("partner", PartnerFilter), "direction"]
    list_select_related = ["partner"]

    @admin.display(description=T("对象", "kinds"))
    def kinds_shown(self, agreement: Agreement) -> str:
        return "、".join(agreement.kinds)

    @admin.display(description=T("字段", "fields"))
    def matrix(self, agreement: Agreement) -> SafeString:
        rows = format_html_join(
            "", "<tr><th>{}</th><td>{}</td></tr>",
            ((pattern, ", ".join(paths) or "—") for pattern, paths in sorted(agreement.fields.items())),
        )  # fmt: skip
        return format_html("<table>{}</table>", rows)


@admin.register(Endpoint)
class EndpointAdmin(ExchangeAdmin):
    list_display = ["url", "organisation", "partner", "state", "state_reason", "failures", "spared_until",
                    "last_success_at"]  # fmt: skip
    list_filter = ["state", ("partner", PartnerFilter)]
    list_select_related = ["organisation", "partner__organisation"]
    search_fields = ["url", "organisation__name"]
    actions = ["pause", "resume", "send_test"]

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """An endpoint has a page of its own (``console.hooks``)."""
        return redirect("admin:endpoint", object_id)

    @admin.action(description=T("暂停", "Pause"))
    def pause(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        self.each(request, queryset, lambda row, who: endpoints.pause(endpoint_id=row.pk, principal=who))

    @admin.action(description=T("恢复", "Resume"))
    def resume(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        self.each(request, queryset, lambda row, who: endpoints.resume(endpoint_id=row.pk, principal=who))

    @admin.action(description=T("发送测试消息", "Send a test message"))
    def send_test(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        self.each(request, queryset[:5], lambda row, who: endpoints.test(endpoint_id=row.pk, principal=who))


#: Characters of a body shown.
SHOWN = 20_000


def _raw(text: str) -> SafeString:
    return format_html('<pre style="margin:0;white-space:pre-wrap;overflow-wrap:anywhere">{}</pre>', text[:SHOWN])


class AttemptsInline(ReadOnlyInline):
    model = Attempt
    fields = ["number", "at", "status", "error", "milliseconds", "answer"]
    readonly_fields = fields  # type: ignore[assignment]


@admin.register(Delivery)
class DeliveryAdmin(ExchangeAdmin):
    list_display = ["id", "subject", "type", "endpoint", "state", "tries", "last_status", "last_error", "ready_at",
                    "created_at"]  # fmt: skip
    list_filter = ["state", "last_status", ("endpoint__partner", PartnerFilter)]
    list_select_related = ["payload", "endpoint"]
    search_fields = ["payload__subject_number"]
    fields = ["subject", "type", "endpoint", "position", "state", "ready_at", "tries", "last_status", "last_error",
              "created_at", "done_at", "body"]  # fmt: skip
    readonly_fields = ["subject", "type", "body"]
    inlines = [AttemptsInline]
    actions = ["retry", "skip"]
    list_per_page = 50

    @admin.display(description=T("对象", "subject"))
    def subject(self, delivery: Delivery) -> str:
        return f"{delivery.payload.subject_kind}/{delivery.payload.subject_number}"

    @admin.display(description=T("类型", "type"))
    def type(self, delivery: Delivery) -> str:
        return delivery.payload.type

    @admin.display(description=T("消息体", "body"))
    def body(self, delivery: Delivery) -> SafeString:
        return _raw(delivery.payload.body)

    def get_list_display(self, request: HttpRequest) -> Any:
        first, *rest = super().get_list_display(request)
        return [first, "try_now", *rest] if self._principal(request) else [first, *rest]

    @admin.display(description="")
    def try_now(self, delivery: Delivery) -> SafeString:
        """One click: the button sends the form that stands above the list."""
        if not delivery.may_be_retried:
            return SafeString("")
        return format_html(
            '<button class="button tiny" form="retry" formaction="{}">{}</button>',
            reverse("admin:delivery_retry", args=[delivery.pk]), T("重试", "Retry"),
        )  # fmt: skip

    @admin.action(description=T("立即重试", "Retry now"))
    def retry(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self.each(request, queryset, lambda row, who: endpoints.retry(
            delivery_id=row.pk, principal=None, actor=who.actor))  # fmt: skip

    @admin.action(description=T("放弃", "Skip"))
    def skip(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self.each(request, queryset, lambda row, who: endpoints.skip(
            delivery_id=row.pk, principal=None, actor=who.actor))  # fmt: skip


@admin.register(Quarantine)
class QuarantineAdmin(ExchangeAdmin):
    list_display = ["created_at", "partner", "message_id", "code", "detail", "state", "runs", "settled_by"]
    list_filter = ["state", "code", ("message__partner", PartnerFilter)]
    list_select_related = ["message__partner__organisation"]
    readonly_fields = ["body"]
    actions = ["run_again", "drop"]

    @admin.display(description=T("伙伴", "partner"))
    def partner(self, row: Quarantine) -> str:
        return str(row.message.partner)

    @admin.display(description=T("消息编号", "message id"))
    def message_id(self, row: Quarantine) -> str:
        return row.message.message_id

    @admin.display(description=T("原文", "raw body"))
    def body(self, row: Quarantine) -> SafeString:
        return _raw(bytes(row.message.body[: SHOWN * 4]).decode("utf-8", "replace"))

    @admin.action(description=T("重新处理", "Run again"))
    def run_again(self, request: HttpRequest, queryset: QuerySet[Quarantine]) -> None:
        self.each(request, queryset, lambda row, who: inbox.run_again(quarantine_id=row.pk, actor=who))

    @admin.action(description=T("放弃", "Drop"))
    def drop(self, request: HttpRequest, queryset: QuerySet[Quarantine]) -> None:
        self.each(request, queryset, lambda row, who: inbox.drop(quarantine_id=row.pk, actor=who))


@admin.register(Mirror)
class MirrorAdmin(ExchangeAdmin):
    list_display = ["partner", "subject_kind", "subject_number", "last_type", "last_time", "sequence", "missing"]
    list_filter = [("partner", PartnerFilter), "subject_kind"]
    list_select_related = ["partner__organisation"]
    search_fields = ["subject_number"]


@admin.register(IncomingTransit)
class IncomingTransitAdmin(ExchangeAdmin):
    """Transits that other provinces opened for an office here: confirmed by officers who release goods."""

    view_duties = (Officer.Duty.RELEASE,)
    list_display = ["subject_number", "partner", "from_office", "to_office", "containers", "said", "last_time"]
    list_filter = [("partner", PartnerFilter)]
    list_select_related = ["partner__organisation"]
    search_fields = ["subject_number"]
    actions = ["confirm_arrival", "confirm_departure"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[IncomingTransit]:
        expected = super().get_queryset(request)
        said = Event.objects.annotate(of=KeyTextTransform("province", "data")).filter(
            subject_kind="transit_confirmation", subject_number=OuterRef("subject_number"), of=OuterRef("partner__code")
        )
        return expected.filter(subject_kind="transit", count__gt=0, data__to_province=settings.PROVINCE).annotate(
            confirmed=ArraySubquery(said.values("type"))
        )

    @admin.display(description=T("启运地海关", "office of departure"))
    def from_office(self, row: IncomingTransit) -> str:
        return row.data.get("from_office", "")

    @admin.display(description=T("指运地海关", "office of destination"))
    def to_office(self, row: IncomingTransit) -> str:
        return row.data.get("to_office", "")

    @admin.display(description=T("集装箱", "containers"))
    def containers(self, row: IncomingTransit) -> str:
        return "、".join(row.data.get("containers") or [])

    @admin.display(description=T("已确认", "confirmed"))
    def said(self, row: Any) -> str:
        names = {"arrived": T("运抵", "arrival"), "departure_confirmed": T("离境", "departure")}
        return "、".join(str(name) for step, name in names.items() if f"transit.{step}" in row.confirmed) or "—"

    @admin.action(description=T("确认运抵", "Confirm arrival"))
    def confirm_arrival(self, request: HttpRequest, queryset: QuerySet[IncomingTransit]) -> None:
        self._confirm(request, queryset, "arrived")

    @admin.action(description=T("确认离境", "Confirm departure from the country"))
    def confirm_departure(self, request: HttpRequest, queryset: QuerySet[IncomingTransit]) -> None:
        self._confirm(request, queryset, "departure_confirmed")

    def _confirm(self, request: HttpRequest, queryset: QuerySet[IncomingTransit], step: str) -> None:
        self.each(request, queryset, lambda row, who: cooperation.confirm_transit(
            partner_code=row.partner.code, number=row.subject_number, step=step, principal=who))  # fmt: skip


@admin.register(MirrorEvent)
class MirrorEventAdmin(ExchangeAdmin):
    list_display = ["partner", "subject_kind", "subject_number", "sequence", "type", "occurred_at", "received_at"]
    list_select_related = ["partner__organisation"]
    search_fields = ["subject_number"]


@admin.register(DigestReport)
class DigestReportAdmin(ExchangeAdmin):
    list_display = ["started_at", "partner", "made_by", "subjects", "differing", "repaired", "agrees", "seconds"]
    list_filter = [("partner", PartnerFilter), "agrees", "made_by"]
    list_select_related = ["partner__organisation"]


@admin.register(Refusal)
class RefusalAdmin(ExchangeAdmin):
    list_display = ["day", "partner", "code", "count", "last_at"]
    list_filter = ["code", ("partner", PartnerFilter)]
    list_select_related = ["partner__organisation"]


#: verdict of a step -> what it is called, how it looks
_VERDICTS = {
    "passed": (T("通过", "passed"), "ok"),
    "failed": (T("未通过", "failed"), "bad"),
    "not-shown": (T("看不出", "not shown"), "warn"),
}


_RUNS = {
    conformance.WAITING: T("等待", "waiting"),
    conformance.RUNNING: T("进行中", "under way"),
    conformance.FINISHED: T("已结束", "finished"),
    conformance.GONE: T("已丢失", "lost"),
}


def _said(both: dict[str, str]) -> str:
    return pick(both["zh"], both["en"])


@admin.register(ConformanceRun)
class ConformanceRunAdmin(ExchangeAdmin):
    list_display = ["started_at", "owner", "url", "stands", "passed"]
    list_select_related = ["organisation"]
    fields = ["owner", "url", "stands", "started_at", "finished_at", "outcome", "steps"]
    readonly_fields = ["owner", "stands", "outcome", "steps"]

    @admin.display(description=T("单位", "organisation"))
    def owner(self, run: ConformanceRun) -> str:
        return str(run.organisation)

    @admin.display(description=T("状态", "state"), ordering="state")
    def stands(self, run: ConformanceRun) -> str:
        return str(_RUNS.get(run.state, run.state))

    @admin.display(description=T("结论", "verdict"))
    def outcome(self, run: ConformanceRun) -> SafeString | str:
        if run.state != conformance.FINISHED:
            return "—"
        name, look = _VERDICTS[{True: "passed", False: "failed", None: "not-shown"}[run.passed]]
        return format_html('<span class="chip {}">{}</span>', look, name)

    @admin.display(description=T("步骤", "steps"))
    def steps(self, run: ConformanceRun) -> SafeString:
        """What each step expected, what came, and what to look at."""
        rows = format_html_join(
            "", '<tr><td>{}<div class="mono small quiet">{}</div></td><td><span class="chip {}">{}</span></td>'
            '<td class="mono">{}</td><td class="mono">{}</td><td class="right mono nowrap">{} ms</td><td>{}</td></tr>',
            (
                (
                    _said(one["title"]), one["check"], *reversed(_VERDICTS[one["verdict"]]), one["expected"], one["seen"],
                    one["milliseconds"], _said(one["advice"]) if one["advice"] else "",
                )
                for one in run.results
            ),
        )  # fmt: skip
        heads = (
            T("步骤", "Step"),
            T("结论", "Verdict"),
            T("应为", "Expected"),
            T("实为", "Came"),
            T("用时", "Took"),
            T("建议", "Look at"),
        )
        return format_html(
            '<table class="rows" id="steps"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>',
            format_html_join("", "<th>{}</th>", ((head,) for head in heads)), rows,
        )  # fmt: skip
