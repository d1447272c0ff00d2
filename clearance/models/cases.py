"""A declaration on its way through clearance: its case, the steps confirmed, what its declarant asks for, its deadlines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from cargo.models import Consignment
from clearance.modes import MODES
from common.text import T
from declarations.models import Declaration
from parties.models import Organisation

if TYPE_CHECKING:
    from parties.principals import Principal


CASE_MODES = [(code, mode.label) for code, mode in MODES.items()]


class CaseQuerySet(models.QuerySet["Case"]):
    def visible_to(self, principal: Principal) -> Self:
        return self.filter(declaration__in=Declaration.objects.visible_to(principal))


class Case(models.Model):
    """A declaration on its way through clearance: which mode it takes, what was decided about it, what it waits for."""

    class Lane(models.TextChoices):
        RELEASE = "release", T("低风险直放", "low risk")
        REVIEW = "review", T("人工审核", "an officer looks")
        INSPECT = "inspect", T("布控查验", "inspection")

    declaration = models.OneToOneField(
        Declaration, models.CASCADE, related_name="case", verbose_name=T("报关单", "declaration")
    )
    mode = models.CharField(T("通关模式", "mode"), max_length=30, choices=CASE_MODES, default="ordinary")
    #: Where the firm wants the goods handed over (ship-side pick-up, direct loading) or kept (designated site).
    place = models.CharField(T("场所", "place"), max_length=17, blank=True)
    #: Lodged before the goods arrived.
    advance = models.BooleanField(T("提前申报", "lodged in advance"), default=False)
    consignment = models.ForeignKey(
        Consignment,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="cases",
        verbose_name=T("提运单货物", "consignment"),
    )
    #: The version of the declaration that selection has looked at; 0 for none yet.
    selected_version = models.PositiveIntegerField(T("已选查版本", "version selected"), default=0)
    lane = models.CharField(T("通道", "lane"), max_length=10, choices=Lane.choices, blank=True)
    #: An officer has looked at what selection sent to review.
    reviewed_at = models.DateTimeField(T("审核时间", "reviewed at"), null=True, blank=True)
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)

    objects = CaseQuerySet.as_manager()

    class Meta:
        verbose_name = T("通关案件", "clearance case")
        verbose_name_plural = T("通关案件", "clearance cases")

    def __str__(self) -> str:
        return str(self.declaration)


class Confirmation(models.Model):
    """A step of a mode that somebody has to confirm: the barge left, the transit arrived, the goods are allowed in."""

    case = models.ForeignKey(
        Case, models.CASCADE, related_name="confirmations", verbose_name=T("案件", "case"), db_index=False
    )
    step = models.CharField(T("步骤", "step"), max_length=30)
    at = models.DateTimeField(T("发生时间", "at"))
    place = models.CharField(T("场所", "place"), max_length=17, blank=True)
    actor = models.CharField(T("确认人", "confirmed by"), max_length=120)

    class Meta:
        verbose_name = T("步骤确认", "confirmation")
        verbose_name_plural = T("步骤确认", "confirmations")
        constraints = [models.UniqueConstraint(fields=["case", "step"], name="confirmation_once")]

    def __str__(self) -> str:
        return f"{self.case} {self.step}"


class ChangeRequest(models.Model):
    """A declarant asks customs to let an accepted declaration be amended or withdrawn (Customs Law art. 26)."""

    class Kind(models.TextChoices):
        AMEND = "amend", T("修改", "amend")
        WITHDRAW = "withdraw", T("撤销", "withdraw")

    class State(models.TextChoices):
        PENDING = "pending", T("待审核", "pending")
        APPROVED = "approved", T("同意", "approved")
        REFUSED = "refused", T("不同意", "refused")

    declaration = models.ForeignKey(
        Declaration, models.CASCADE, related_name="change_requests", verbose_name=T("报关单", "declaration")
    )
    kind = models.CharField(T("类别", "kind"), max_length=10, choices=Kind.choices)
    reason = models.CharField(T("理由", "reason"), max_length=255)
    message: models.JSONField[Any, Any] = models.JSONField(T("修改后内容", "proposed content"), null=True, blank=True)
    #: Against which version the difference was made.
    version = models.PositiveIntegerField(T("版本", "version"))
    difference: models.JSONField[Any, Any] = models.JSONField(T("差异", "difference"), default=list)
    requested_by = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name=T("申请人", "requested by")
    )
    actor = models.CharField(max_length=120)
    requested_at = models.DateTimeField(T("申请时间", "requested at"), default=timezone.now)
    state = models.CharField(T("状态", "state"), max_length=10, choices=State.choices, default=State.PENDING)
    decided_by = models.CharField(T("审核人", "decided by"), max_length=120, blank=True)
    decided_at = models.DateTimeField(T("审核时间", "decided at"), null=True, blank=True)
    note = models.CharField(T("意见", "note"), max_length=500, blank=True)

    class Meta:
        verbose_name = T("修撤单申请", "change request")
        verbose_name_plural = T("修撤单申请", "change requests")
        constraints = [
            models.UniqueConstraint(
                fields=["declaration"], condition=Q(state="pending"), name="one_pending_change_request"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.declaration} {self.kind}"


class Deadline(models.Model):
    """A day by which something has to be done, reckoned on the legal calendar; warned of before, told of when missed."""

    class Kind(models.TextChoices):
        DECLARE = "declare", T("进境申报期限", "declare after entry")
        EXPORT = "export", T("出口申报期限", "declare before loading")
        FULL_DECLARATION = "full_declaration", T("完整申报期限", "full declaration")
        ABANDONMENT = "abandonment", T("超期未报", "undeclared for three months")

    kind = models.CharField(T("类别", "kind"), max_length=20, choices=Kind.choices)
    consignment = models.ForeignKey(
        Consignment,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="deadlines",
        verbose_name=T("货物", "consignment"),
    )
    case = models.ForeignKey(
        Case, models.CASCADE, null=True, blank=True, related_name="deadlines", verbose_name=T("案件", "case")
    )
    due_on = models.DateField(T("截止日", "due on"))
    #: Where the limit is told in hours: the moment itself.
    due_at = models.DateTimeField(T("截止时间", "due at"), null=True, blank=True)
    warned_at = models.DateTimeField(T("提醒时间", "warned at"), null=True, blank=True)
    met_at = models.DateTimeField(T("完成时间", "met at"), null=True, blank=True)
    missed_at = models.DateTimeField(T("逾期时间", "missed at"), null=True, blank=True)

    class Meta:
        verbose_name = T("期限", "deadline")
        verbose_name_plural = T("期限", "deadlines")
        constraints = [
            models.UniqueConstraint(fields=["kind", "consignment", "case"], nulls_distinct=False, name="deadline_once"),
        ]
        indexes = [
            models.Index(fields=["due_on"], condition=Q(met_at=None, missed_at=None), name="deadline_running"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.due_on}"
