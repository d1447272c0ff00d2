"""Published time limits, and the milestones from which clearance times are reckoned."""

from __future__ import annotations

from django.db import models

from cargo.models import Direction
from common.text import T
from common.validity import Validity, ValidityQuerySet, no_overlap


class TimeLimit(Validity):
    """How long an operation may take, as published (口岸作业时限标准); rows with an office go before rows without."""

    operation = models.CharField(T("作业", "operation"), max_length=30)
    office = models.CharField(T("海关", "customs office"), max_length=4, blank=True)
    direction = models.CharField(T("进出口", "direction"), max_length=1, choices=Direction.choices)
    hours = models.DecimalField(T("时限（小时）", "hours"), max_digits=7, decimal_places=2)
    source = models.CharField(T("依据", "source"), max_length=300)

    objects = ValidityQuerySet.as_manager()

    class Meta:
        verbose_name = T("作业时限", "time limit")
        verbose_name_plural = T("作业时限", "time limits")
        constraints = [no_overlap("time_limit_once", "operation", "office", "direction")]

    def __str__(self) -> str:
        return f"{self.operation} {self.direction} {self.hours} h"


class ClearanceTime(models.Model):
    """The milestones of one declaration, read from the event log and nowhere else; rebuilt at will."""

    unified_number = models.CharField(T("统一编号", "unified number"), max_length=18, primary_key=True)
    office = models.CharField(T("海关", "customs office"), max_length=4)
    direction = models.CharField(T("进出口", "direction"), max_length=1)
    mode = models.CharField(T("通关模式", "mode"), max_length=30, default="ordinary")
    advance = models.BooleanField(T("提前申报", "lodged in advance"), default=False)
    #: First day of the month of release (or of acceptance, while not released).
    month = models.DateField(T("月份", "month"), null=True)
    arrived_at = models.DateTimeField(T("运抵", "arrived"), null=True)
    lodged_at = models.DateTimeField(T("申报", "declared"), null=True)
    accepted_at = models.DateTimeField(T("接受申报", "accepted"), null=True)
    released_at = models.DateTimeField(T("放行", "released"), null=True)
    gate_out_at = models.DateTimeField(T("提离", "gate out"), null=True)

    class Meta:
        verbose_name = T("通关时间", "clearance time")
        verbose_name_plural = T("通关时间", "clearance times")
        indexes = [models.Index(fields=["month", "office"], name="clearance_time_month")]

    def __str__(self) -> str:
        return self.unified_number
