"""Tables of the exchange: out (endpoints, payloads, deliveries, attempts, shares), in (inbox, mirrors, quarantine), and
what was agreed and checked. A payload is stored once, a delivery per endpoint, an attempt per try."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from common.days import today
from common.text import T
from common.validity import Validity, ValidityQuerySet, no_overlap
from exchange import vault
from exchange.terms import Terms, of_row
from parties.models import Organisation

if TYPE_CHECKING:
    from parties.principals import Principal


class Visible(models.QuerySet):
    #: path to the organisation that owns the row
    owner = "organisation_id"

    def visible_to(self, principal: Principal) -> Self:
        """One's own; officers with the duty “exchange” see all."""
        if principal.is_officer and principal.has_duty("exchange"):
            return self
        return self.filter(**{self.owner: principal.organisation_id})


class Partner(models.Model):
    """Another province's instance (of this or any other software) with which facts are exchanged."""

    class State(models.TextChoices):
        ACTIVE = "active", T("正常", "active")
        SUSPENDED = "suspended", T("暂停", "suspended")

    organisation = models.OneToOneField(
        Organisation, models.PROTECT, related_name="partner", verbose_name=T("单位", "organisation")
    )
    #: How addresses name it: the province's GB/T 2260 code, or any short name.
    code = models.CharField(T("代码", "code"), max_length=20, unique=True)
    state = models.CharField(T("状态", "state"), max_length=10, choices=State.choices, default=State.ACTIVE)
    #: Where its API begins (…/api/v1); empty where there is nothing to pull from.
    base_url = models.CharField(T("接口地址", "API address"), max_length=300, blank=True)
    client_id = models.CharField(T("客户端标识", "client id"), max_length=100, blank=True)
    client_secret = models.TextField(blank=True)
    #: While its whole feed is read again: read to here. 0: nothing of that kind is under way.
    pulled_to = models.BigIntegerField(T("已拉取至", "pulled to"), default=0)
    #: Version of the agreement that its mirrors were last cut down to.
    obeyed = models.PositiveIntegerField(T("镜像所依协议版本", "agreement its mirrors obey"), default=0)
    #: While they are cut down to that version: the last mirror done. Empty: all are.
    obeyed_to = models.BigIntegerField(T("已裁减至", "obeyed to"), null=True, blank=True)
    #: Since when something is known to be missing; empty when nothing is.
    missing_since = models.DateTimeField(T("缺失自", "missing since"), null=True, blank=True)
    last_received_at = models.DateTimeField(T("最近收到", "last received"), null=True, blank=True)
    last_pulled_at = models.DateTimeField(T("最近拉取", "last pulled"), null=True, blank=True)
    #: When somebody last wanted it compared with.
    wanted_at = models.DateTimeField(T("要求对账", "comparison wanted"), null=True, blank=True)
    last_error = models.TextField(T("最近错误", "last error"), blank=True)
    #: Until then it is not asked: it could not be the last time.
    spared_until = models.DateTimeField(T("暂缓至", "spared until"), null=True, blank=True)
    #: How often in a row it could not be: the pause grows.
    asked_in_vain = models.PositiveIntegerField(T("连续未果", "asked in vain"), default=0)

    class Meta:
        verbose_name = T("协作省份", "partner")
        verbose_name_plural = T("协作省份", "partners")
        ordering = ["code"]

    def __str__(self) -> str:
        return f"{self.code} {self.organisation}"


class PartnerSecret(models.Model):
    """What verifies a partner's messages: a shared secret or an Ed25519 public key. Two are good during a rotation."""

    partner = models.ForeignKey(Partner, models.CASCADE, related_name="secrets")
    sealed = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)


class Agreement(Validity):
    """What may be shared with a partner in one direction, from-to. Never edited: a new version closes the old one."""

    class Direction(models.TextChoices):
        OUT = "out", T("发出", "out")
        IN = "in", T("收进", "in")

    partner = models.ForeignKey(
        Partner, models.PROTECT, related_name="agreements", verbose_name=T("伙伴", "partner"), db_index=False
    )
    direction = models.CharField(T("方向", "direction"), max_length=3, choices=Direction.choices)
    version = models.PositiveIntegerField(T("版本", "version"))
    kinds: ArrayField = ArrayField(models.CharField(max_length=40), verbose_name=T("对象类别", "kinds of subject"))
    types: ArrayField = ArrayField(models.CharField(max_length=80), verbose_name=T("事件类型", "event types"))
    #: event type or pattern -> list of field paths (exchange.terms); what is not named does not travel
    fields: models.JSONField[Any, Any] = models.JSONField(T("字段", "fields"), default=dict)
    agreed_by = models.CharField(T("经办", "agreed by"), max_length=120)
    agreed_at = models.DateTimeField(T("达成时间", "agreed at"), default=timezone.now)
    note = models.CharField(T("依据", "basis"), max_length=300, blank=True)

    objects = ValidityQuerySet.as_manager()

    class Meta:
        verbose_name = T("共享协议", "sharing agreement")
        verbose_name_plural = T("共享协议", "sharing agreements")
        ordering = ["partner", "direction", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["partner", "direction", "version"], name="agreement_version_once"),
            no_overlap("agreement_once_at_a_time", "partner", "direction"),
        ]

    def __str__(self) -> str:
        return f"{self.partner.code} {self.get_direction_display()} v{self.version}"

    def terms(self) -> Terms:
        return of_row(self.kinds, self.types, self.fields)


class Endpoint(models.Model):
    """Where an organisation or a partner wants to be told."""

    class State(models.TextChoices):
        ACTIVE = "active", T("启用", "active")
        #: By its owner: deliveries wait.
        PAUSED = "paused", T("暂停", "paused")
        #: By the system (410, or dead past its term): nothing new is queued until it is resumed.
        DISABLED = "disabled", T("停用", "disabled")
        DELETED = "deleted", T("已删除", "deleted")

    class Reason(models.TextChoices):
        """Why the system disabled it."""

        GONE = "gone", T("已应答 410", "it answered 410")
        DEAD = "no-success", T("期限内未成功一次", "no success within the term")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="endpoints", verbose_name=T("单位", "organisation")
    )
    #: Set where a partner's agreement decides what it gets; empty for a firm, which gets its own events whole.
    partner = models.ForeignKey(
        Partner, models.PROTECT, null=True, blank=True, related_name="endpoints", verbose_name=T("伙伴", "partner")
    )
    url = models.CharField(T("地址", "URL"), max_length=500)
    description = models.CharField(T("说明", "description"), max_length=200, blank=True)
    event_types: ArrayField = ArrayField(models.CharField(max_length=80), verbose_name=T("事件类型", "event types"))
    headers: models.JSONField[Any, Any] = models.JSONField(T("附加请求头", "headers"), default=dict, blank=True)
    #: Requests a second at most; empty means no limit of its own.
    rate_limit = models.PositiveIntegerField(T("限速（次/秒）", "rate limit (a second)"), null=True, blank=True)
    timeout = models.PositiveSmallIntegerField(T("超时（秒）", "timeout (s)"), default=15)
    state = models.CharField(T("状态", "state"), max_length=10, choices=State.choices, default=State.ACTIVE)
    state_reason = models.CharField(T("原因", "reason"), max_length=200, choices=Reason.choices, blank=True)
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)
    #: New, or back after it was disabled: what follows this position is queued for it in turn, until it has caught up with
    #: everybody's place in the log (empty).
    queued_to = models.BigIntegerField(T("已补排至", "caught up to"), null=True, blank=True)
    #: The circuit breaker: failures in a row, since when, and until when it is spared.
    failures = models.PositiveIntegerField(T("连续失败", "failures in a row"), default=0)
    failing_since = models.DateTimeField(T("失败自", "failing since"), null=True, blank=True)
    spared_until = models.DateTimeField(T("暂缓至", "spared until"), null=True, blank=True)
    last_success_at = models.DateTimeField(T("最近成功", "last success"), null=True, blank=True)

    objects = Visible.as_manager()

    class Meta:
        verbose_name = T("推送端点", "webhook endpoint")
        verbose_name_plural = T("推送端点", "webhook endpoints")
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.url

    def signing_secrets(self) -> list[str]:
        """All that sign now: two during a rotation, the newest first."""
        now = timezone.now()
        return vault.openable(
            row.sealed
            for row in sorted(self.secrets.all(), key=lambda row: row.created_at, reverse=True)
            if row.expires_at is None or row.expires_at > now
        )


class EndpointSecret(models.Model):
    """A secret an endpoint's messages are signed with (``whsec_`` or ``whsk_``), until it expires after a rotation."""

    #: How long the old secret still signs beside the new one.
    OVERLAP = timedelta(hours=24)

    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="secrets")
    sealed = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)


class Payload(models.Model):
    """A body as it is sent, once, however many endpoints get it."""

    #: Position of the event in the log; 0 for test messages.
    position = models.BigIntegerField()
    event_id = models.UUIDField()
    type = models.CharField(max_length=80)
    subject_kind = models.CharField(max_length=40)
    subject_number = models.CharField(max_length=80)
    body = models.TextField()
    #: sha256 of the body: partners with different agreements get different bodies of the same event.
    digest = models.BinaryField(max_length=32)
    #: Fingerprint of the terms it was made under (exchange.terms); empty for a firm's own events and where it is not known.
    terms = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = T("消息体", "payload")
        verbose_name_plural = T("消息体", "payloads")
        constraints = [models.UniqueConstraint(fields=["position", "event_id", "digest"], name="payload_once")]


class DeliveryQuerySet(Visible):
    owner = "endpoint__organisation_id"

    def visible_to(self, principal: Principal) -> Self:
        """… and of a partner's only what today's agreement still shares with it."""
        found = super().visible_to(principal)
        if found is self:  # an operator's
            return self
        shared = Agreement.objects.on(today()).filter(
            partner=OuterRef("endpoint__partner"),
            direction=Agreement.Direction.OUT,
            kinds__contains=[OuterRef("payload__subject_kind")],
        )
        return found.filter(Q(endpoint__partner=None) | Q(payload__subject_kind="webhook_endpoint") | Exists(shared))


class Delivery(models.Model):
    """One payload on its way to one endpoint.

    Deliveries of one subject to one endpoint stand in a ``line`` and go in order: only the first open one has a
    ``ready_at``. When it is done, the next becomes ready; while it fails or is parked, those behind it wait."""

    class State(models.TextChoices):
        PENDING = "pending", T("待送", "pending")
        DELIVERED = "delivered", T("已送达", "delivered")
        #: All tries of the schedule failed: waits, with what follows it, until somebody retries or skips it.
        PARKED = "parked", T("搁置", "parked")
        SKIPPED = "skipped", T("跳过", "skipped")
        #: Test messages are tried once.
        FAILED = "failed", T("未送达", "failed")

    OPEN = (State.PENDING, State.PARKED)

    endpoint = models.ForeignKey(
        Endpoint, models.CASCADE, related_name="deliveries", db_index=False, verbose_name=T("端点", "endpoint")
    )
    payload = models.ForeignKey(Payload, models.PROTECT, related_name="deliveries", verbose_name=T("消息", "payload"))
    position = models.BigIntegerField(T("位置", "position"))
    line = models.BigIntegerField()
    state = models.CharField(T("状态", "state"), max_length=10, choices=State.choices, default=State.PENDING)
    ready_at = models.DateTimeField(T("下次发送", "next try"), null=True, blank=True)
    tries = models.PositiveSmallIntegerField(T("次数", "tries"), default=0)
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)
    done_at = models.DateTimeField(T("完成时间", "done at"), null=True, blank=True)
    last_status = models.PositiveSmallIntegerField(T("应答码", "status"), null=True, blank=True)
    last_error = models.CharField(T("错误", "error"), max_length=200, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = T("投递", "delivery")
        verbose_name_plural = T("投递", "deliveries")
        indexes = [
            models.Index(
                fields=["endpoint", "ready_at"],
                condition=Q(state="pending", ready_at__isnull=False),
                name="delivery_ready",
            ),
            models.Index(
                fields=["line", "position"], condition=Q(state__in=["pending", "parked"]), name="delivery_line"
            ),
            BrinIndex(fields=["done_at"], name="delivery_done"),
            models.Index(fields=["endpoint", "-id"], name="delivery_of_endpoint"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"

    @property
    def may_be_retried(self) -> bool:
        """Open, and as far as it shows the first of its line: those behind it have no next try."""
        return self.state == self.State.PARKED or (self.state == self.State.PENDING and self.ready_at is not None)


class Attempt(models.Model):
    """One try: what came back, how long it took, and the first bytes of the answer."""

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField(T("次序", "number"))
    at = models.DateTimeField(T("时间", "at"), default=timezone.now)
    status = models.PositiveSmallIntegerField(T("应答码", "status"), null=True)
    error = models.CharField(T("错误", "error"), max_length=200, blank=True)
    milliseconds = models.PositiveIntegerField(T("毫秒", "milliseconds"))
    answer = models.TextField(T("应答开头", "start of the answer"), blank=True)

    class Meta:
        verbose_name = T("尝试", "attempt")
        verbose_name_plural = T("尝试", "attempts")
        ordering = ["pk"]  # numbers begin anew when somebody retries by hand

    def __str__(self) -> str:
        return f"#{self.number}"


class Share(models.Model):
    """One event as one partner may know it: the partner's feed, in the order of the log."""

    partner = models.ForeignKey(Partner, models.PROTECT, related_name="shares", db_index=False)
    position = models.BigIntegerField()
    payload = models.ForeignKey(Payload, models.PROTECT, related_name="+")
    subject_kind = models.CharField(max_length=40)
    subject_number = models.CharField(max_length=80)

    class Meta:
        verbose_name = T("已共享事件", "shared event")
        verbose_name_plural = T("已共享事件", "shared events")
        constraints = [models.UniqueConstraint(fields=["partner", "position"], name="share_once")]
        indexes = [models.Index(fields=["partner", "subject_kind", "subject_number"], name="share_of_subject")]


class Summary(models.Model):
    """What two sides compare about a subject: how many of its events, which the last, and where it is filed."""

    subject_kind = models.CharField(T("对象类别", "kind"), max_length=40)
    subject_number = models.CharField(T("对象编号", "number"), max_length=80)
    #: Legal day of the first event known.
    day = models.DateField(T("日期", "day"))
    #: First byte of sha256 of the number: 256 buckets.
    bucket = models.PositiveSmallIntegerField(T("分组", "bucket"))
    count = models.PositiveIntegerField(T("事件数", "events"))
    sequence = models.PositiveIntegerField(T("最后序号", "last sequence"))
    last_id = models.UUIDField(T("最近事件编号", "id of the last event"))
    changed_at = models.DateTimeField(T("更新时间", "changed at"), default=timezone.now)

    class Meta:
        abstract = True


class SharedSubject(Summary):
    """What a partner has been given about one of our subjects."""

    partner = models.ForeignKey(Partner, models.PROTECT, related_name="shared_subjects", db_index=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["partner", "subject_kind", "subject_number"], name="shared_subject_once")
        ]
        indexes = [models.Index(fields=["partner", "subject_kind", "day", "bucket"], name="shared_subject_filed")]


class Mirror(Summary):
    """A partner's record as we were told of it: marked with its source, never mixed with our own."""

    partner = models.ForeignKey(
        Partner, models.PROTECT, related_name="mirrors", db_index=False, verbose_name=T("来源", "source")
    )
    #: Events whose predecessor has not come.
    missing = models.PositiveIntegerField(T("缺口", "gaps"), default=0)
    #: When its owner was last asked for what is missing, and had nothing new.
    asked_at = models.DateTimeField(T("最近追问", "last asked for"), null=True, blank=True)
    last_type = models.CharField(T("最近事件", "last event"), max_length=80)
    last_time = models.DateTimeField(T("最近时间", "last time"))
    #: The values told so far, later over earlier by sequence.
    data: models.JSONField[Any, Any] = models.JSONField(T("内容", "data"), default=dict)

    class Meta:
        verbose_name = T("外省镜像", "mirror")
        verbose_name_plural = T("外省镜像", "mirrors")
        constraints = [
            models.UniqueConstraint(fields=["partner", "subject_kind", "subject_number"], name="mirror_once")
        ]
        indexes = [
            models.Index(fields=["subject_number"], name="mirror_number"),
            models.Index(fields=["partner"], condition=Q(missing__gt=0), name="mirror_missing"),
            models.Index(fields=["partner", "subject_kind", "day", "bucket"], name="mirror_filed"),
        ]

    def __str__(self) -> str:
        return f"{self.partner.code}/{self.subject_kind}/{self.subject_number}"


class IncomingTransit(Mirror):
    """A transit that another province opened for an office here, as the console shows it."""

    class Meta:
        proxy = True
        verbose_name = T("待确认转关", "transit for here")
        verbose_name_plural = T("待确认转关", "transits for here")


class MirrorEvent(models.Model):
    """An event of a partner's subject, as the agreement lets us keep it."""

    partner = models.ForeignKey(
        Partner, models.PROTECT, related_name="mirror_events", db_index=False, verbose_name=T("来源", "source")
    )
    subject_kind = models.CharField(T("对象类别", "kind"), max_length=40)
    subject_number = models.CharField(T("对象编号", "number"), max_length=80)
    sequence = models.PositiveIntegerField(T("序号", "sequence"))
    #: Sequence of the event shared before this one; 0 for the first. A gap shows as a predecessor that is not here.
    previous = models.PositiveIntegerField(T("前一序号", "sequence before"))
    event_id = models.UUIDField(T("事件编号", "event id"))
    type = models.CharField(T("类型", "type"), max_length=80)
    occurred_at = models.DateTimeField(T("发生时间", "occurred at"))
    data: models.JSONField[Any, Any] = models.JSONField(T("内容", "data"))
    #: Numbers of other subjects it names: how one time line finds what several provinces say of a consignment.
    links: ArrayField = ArrayField(
        models.CharField(max_length=80), default=list, verbose_name=T("关联编号", "numbers it names")
    )
    received_at = models.DateTimeField(T("收到时间", "received at"), default=timezone.now)

    class Meta:
        verbose_name = T("外省事件", "mirrored event")
        verbose_name_plural = T("外省事件", "mirrored events")
        constraints = [
            models.UniqueConstraint(
                fields=["partner", "subject_kind", "subject_number", "sequence"], name="mirror_event_once"
            )
        ]
        indexes = [GinIndex(fields=["links"], name="mirror_event_links")]

    def __str__(self) -> str:
        return f"{self.subject_kind}/{self.subject_number} #{self.sequence}"


class InboxMessage(models.Model):
    """A partner's message as it came, kept raw."""

    partner = models.ForeignKey(Partner, models.PROTECT, related_name="messages", db_index=False)
    message_id = models.CharField(T("消息编号", "message id"), max_length=200)
    body = models.BinaryField()
    #: sha256 of the content, however it was spaced: the same id with another content is refused.
    digest = models.BinaryField(max_length=32)
    received_at = models.DateTimeField(T("收到时间", "received at"), default=timezone.now)

    class Meta:
        verbose_name = T("收件", "inbox message")
        verbose_name_plural = T("收件", "inbox messages")
        constraints = [models.UniqueConstraint(fields=["partner", "message_id"], name="inbox_message_once")]
        indexes = [BrinIndex(fields=["received_at"], name="inbox_message_received")]

    def __str__(self) -> str:
        return self.message_id


class Quarantine(models.Model):
    """A message that was taken but could not be understood; an operator runs it again or drops it."""

    class State(models.TextChoices):
        WAITING = "waiting", T("待处理", "waiting")
        APPLIED = "applied", T("已重放", "applied")
        DROPPED = "dropped", T("已放弃", "dropped")

    message = models.OneToOneField(
        InboxMessage, models.CASCADE, related_name="quarantine", verbose_name=T("消息", "message")
    )
    state = models.CharField(T("状态", "state"), max_length=10, choices=State.choices, default=State.WAITING)
    code = models.CharField(T("原因代码", "code"), max_length=60)
    detail = models.TextField(T("原因", "reason"), blank=True)
    runs = models.PositiveSmallIntegerField(T("处理次数", "runs"), default=0)
    created_at = models.DateTimeField(T("时间", "at"), default=timezone.now)
    settled_at = models.DateTimeField(T("处理时间", "settled at"), null=True, blank=True)
    settled_by = models.CharField(T("处理人", "settled by"), max_length=120, blank=True)

    class Meta:
        verbose_name = T("隔离消息", "quarantined message")
        verbose_name_plural = T("隔离区", "quarantine")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"#{self.pk}"


class Refusal(models.Model):
    """How often a partner's messages were refused, by reason and day."""

    partner = models.ForeignKey(
        Partner, models.CASCADE, null=True, related_name="refusals", db_index=False, verbose_name=T("伙伴", "partner")
    )
    code = models.CharField(T("原因", "reason"), max_length=60)
    day = models.DateField(T("日期", "day"))
    count = models.PositiveBigIntegerField(T("次数", "count"), default=0)
    last_at = models.DateTimeField(T("最近", "last"), default=timezone.now)

    class Meta:
        verbose_name = T("拒收", "refusal")
        verbose_name_plural = T("拒收", "refusals")
        constraints = [
            models.UniqueConstraint(fields=["partner", "code", "day"], name="refusal_once", nulls_distinct=False)
        ]

    def __str__(self) -> str:
        return f"{self.code} × {self.count}"


class DigestReport(models.Model):
    """What a comparison with a partner found and repaired. Both sides can read it."""

    partner = models.ForeignKey(
        Partner, models.PROTECT, related_name="reports", verbose_name=T("伙伴", "partner"), db_index=False
    )
    #: Who compared: ourselves ("own") or the partner, who sent us its report ("theirs").
    made_by = models.CharField(
        T("对账方", "made by"), max_length=6, choices=[("own", T("本方", "own")), ("theirs", T("对方", "theirs"))],
        default="own",
    )  # fmt: skip
    started_at = models.DateTimeField(T("开始", "started"), default=timezone.now)
    seconds = models.FloatField(T("耗时（秒）", "seconds"), default=0)
    subjects = models.PositiveBigIntegerField(T("对象数", "subjects"), default=0)
    differing = models.PositiveBigIntegerField(T("不一致", "differing"), default=0)
    repaired = models.PositiveBigIntegerField(T("已修复", "repaired"), default=0)
    agrees = models.BooleanField(T("一致", "agrees"), default=False)
    details: models.JSONField[Any, Any] = models.JSONField(T("明细", "details"), default=dict)

    class Meta:
        verbose_name = T("对账报告", "comparison")
        verbose_name_plural = T("对账报告", "comparisons")
        ordering = ["-started_at"]
        indexes = [models.Index(F("partner"), F("started_at").desc(), name="digest_report_latest")]

    def __str__(self) -> str:
        return f"{self.partner.code} {timezone.localtime(self.started_at):%Y-%m-%d %H:%M}"


class ConformanceRun(models.Model):
    """A run of the conformance check against a partner's test endpoint."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    organisation = models.ForeignKey(Organisation, models.PROTECT, related_name="+")
    url = models.CharField(T("地址", "URL"), max_length=500)
    state = models.CharField(T("状态", "state"), max_length=10, default="running")
    started_at = models.DateTimeField(T("开始", "started"), default=timezone.now)
    finished_at = models.DateTimeField(T("结束", "finished"), null=True)
    passed = models.BooleanField(T("通过", "passed"), null=True)
    #: [{check, passed, expected, seen, advice}]
    results: models.JSONField[Any, Any] = models.JSONField(T("结果", "results"), default=list)
    sealed = models.TextField(blank=True)

    objects = Visible.as_manager()

    class Meta:
        verbose_name = T("符合性检查", "conformance check")
        verbose_name_plural = T("符合性检查", "conformance checks")
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return self.url
