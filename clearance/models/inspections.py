"""One inspection by all agencies: when and where, what each ordered and found, the evidence, the penalty case."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from common.text import T
from declarations.models import Declaration
from parties.models import Organisation

if TYPE_CHECKING:
    from parties.principals import Principal


class Appointment(models.Model):
    """One time and place at which all agencies look at a consignment together (一次查验)."""

    class State(models.TextChoices):
        OPEN = "open", T("待约定", "to be agreed")
        BOOKED = "booked", T("已预约", "booked")
        DONE = "done", T("已完成", "done")
        CANCELLED = "cancelled", T("已取消", "cancelled")

    declaration = models.ForeignKey(
        Declaration, models.CASCADE, related_name="appointments", verbose_name=T("报关单", "declaration")
    )
    place = models.CharField(T("查验场所", "place"), max_length=17, blank=True)
    starts_at = models.DateTimeField(T("开始", "from"), null=True, blank=True)
    ends_at = models.DateTimeField(T("结束", "to"), null=True, blank=True)
    state = models.CharField(T("状态", "state"), max_length=10, choices=State.choices, default=State.OPEN)
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)

    class Meta:
        verbose_name = T("查验预约", "inspection appointment")
        verbose_name_plural = T("查验预约", "inspection appointments")
        constraints = [
            models.UniqueConstraint(
                fields=["declaration"], condition=Q(state__in=["open", "booked"]), name="one_appointment_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(starts_at=None) | Q(ends_at__gt=models.F("starts_at")), name="appointment_has_length"
            ),
        ]
        indexes = [models.Index(fields=["place", "starts_at"], name="appointment_calendar")]

    def __str__(self) -> str:
        return f"{self.declaration} {self.starts_at}"


class InspectionOrderQuerySet(models.QuerySet["InspectionOrder"]):
    def visible_to(self, principal: Principal) -> Self:
        if principal.is_officer:
            return self.filter(declaration__in=Declaration.objects.visible_to(principal))
        return self.filter(
            Q(agency_id=principal.organisation_id) | Q(declaration__in=Declaration.objects.visible_to(principal))
        )

    def open(self) -> Self:
        return self.filter(state=InspectionOrder.State.ORDERED)


class InspectionOrder(models.Model):
    """One agency wants to look at the goods."""

    class State(models.TextChoices):
        ORDERED = "ordered", T("待查验", "ordered")
        PASSED = "passed", T("通过", "passed")
        #: Something differs from what was declared: followed up by an amendment or a penalty case.
        DIFFERENCE = "difference", T("有差异", "difference found")
        CANCELLED = "cancelled", T("已取消", "cancelled")

    class Stage(models.TextChoices):
        PORT = "port", T("口岸查验", "at the port")
        DESTINATION = "destination", T("目的地查验", "at destination")

    declaration = models.ForeignKey(
        Declaration, models.CASCADE, related_name="inspection_orders", verbose_name=T("报关单", "declaration")
    )
    appointment = models.ForeignKey(
        Appointment, models.PROTECT, related_name="orders", verbose_name=T("预约", "appointment")
    )
    #: Null for customs itself.
    agency = models.ForeignKey(
        Organisation, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=T("查验单位", "agency")
    )
    stage = models.CharField(T("阶段", "stage"), max_length=12, choices=Stage.choices, default=Stage.PORT)
    instruction = models.CharField(T("查验要求", "instruction"), max_length=500, blank=True)
    ordered_by = models.CharField(T("下达人", "ordered by"), max_length=120)
    ordered_at = models.DateTimeField(T("下达时间", "ordered at"), default=timezone.now)
    state = models.CharField(T("状态", "state"), max_length=10, choices=State.choices, default=State.ORDERED)
    result_note = models.CharField(T("结果说明", "result"), max_length=1000, blank=True)
    result_by = models.CharField(T("登记人", "result by"), max_length=120, blank=True)
    result_at = models.DateTimeField(T("登记时间", "result at"), null=True, blank=True)
    #: For a difference: "amendment" or "penalty", and when it was settled.
    follow_up = models.CharField(T("后续", "follow-up"), max_length=10, blank=True)
    settled_at = models.DateTimeField(T("处理完毕", "settled at"), null=True, blank=True)

    objects = InspectionOrderQuerySet.as_manager()

    class Meta:
        verbose_name = T("查验指令", "inspection order")
        verbose_name_plural = T("查验指令", "inspection orders")
        constraints = [
            models.UniqueConstraint(
                fields=["declaration", "agency", "stage"], condition=Q(state="ordered"), nulls_distinct=False,
                name="one_open_order_per_agency",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.declaration} {self.state}"


class Evidence(models.Model):
    """A photo, a sample slip or a report that belongs to an inspection. The file lies outside the web root under a name of
    our own; its type is what its content says."""

    order = models.ForeignKey(
        InspectionOrder, models.CASCADE, related_name="evidence", verbose_name=T("查验指令", "order")
    )
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(T("文件名", "file name"), max_length=200)
    content_type = models.CharField(T("类型", "type"), max_length=40)
    size = models.PositiveIntegerField(T("大小", "size"))
    sha256 = models.CharField(max_length=64)
    #: A sample taken: its number; empty for photos and reports.
    sample_number = models.CharField(T("样品编号", "sample"), max_length=40, blank=True)
    added_by = models.CharField(T("上传人", "added by"), max_length=120)
    added_at = models.DateTimeField(T("上传时间", "added at"), default=timezone.now)

    class Meta:
        verbose_name = T("查验凭证", "evidence")
        verbose_name_plural = T("查验凭证", "evidence")

    def __str__(self) -> str:
        return self.name


class PenaltyCase(models.Model):
    """A difference that has to be dealt with as a breach of rules. Release waits until it is closed."""

    declaration = models.ForeignKey(
        Declaration, models.PROTECT, related_name="penalty_cases", verbose_name=T("报关单", "declaration")
    )
    order = models.OneToOneField(InspectionOrder, models.PROTECT, verbose_name=T("查验指令", "inspection order"))
    reason = models.CharField(T("事由", "reason"), max_length=1000)
    opened_at = models.DateTimeField(T("立案时间", "opened at"), default=timezone.now)
    outcome = models.CharField(T("处理结果", "outcome"), max_length=1000, blank=True)
    closed_by = models.CharField(T("结案人", "closed by"), max_length=120, blank=True)
    closed_at = models.DateTimeField(T("结案时间", "closed at"), null=True, blank=True)

    class Meta:
        verbose_name = T("处罚案件", "penalty case")
        verbose_name_plural = T("处罚案件", "penalty cases")

    def __str__(self) -> str:
        return str(self.declaration)
