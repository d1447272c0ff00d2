"""What is looked for, in whom there is more or less trust, and what was found in a declaration."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from clearance.models.cases import Case
from common.text import T
from common.validity import Validity, ValidityQuerySet, no_overlap
from declarations.models import Declaration
from parties.models import Organisation


class RiskRule(Validity):
    """What is looked for in declarations from-to. Edited by writing another row of the same code, which takes the place of
    this one when it is switched on; tried before that."""

    class Action(models.TextChoices):
        SCORE = "score", T("加分", "adds to the score")
        REVIEW = "review", T("人工审核", "an officer looks")
        INSPECT = "inspect", T("查验", "inspect")

    code = models.SlugField(T("代码", "code"), max_length=40)
    name = models.CharField(T("名称", "name"), max_length=120)
    condition: models.JSONField[Any, Any] = models.JSONField(T("条件", "condition"))
    action = models.CharField(T("处置", "action"), max_length=10, choices=Action.choices)
    #: Agencies that inspect together: "customs" or an organisation's id.
    agencies: ArrayField = ArrayField(
        models.CharField(max_length=20), default=list, blank=True, verbose_name=T("查验单位", "agencies")
    )
    instruction = models.CharField(T("查验要求", "instruction"), max_length=500, blank=True)
    #: Of those the condition hits, how many per cent are taken; drawn once per declaration.
    share = models.DecimalField(T("抽中比例（%）", "share (%)"), max_digits=6, decimal_places=3, default=100)
    basis = models.CharField(T("依据", "basis"), max_length=300)
    active = models.BooleanField(T("启用", "switched on"), default=False)
    #: What the last trial found: days, declarations, hits.
    trial: models.JSONField[Any, Any] = models.JSONField(T("试算结果", "trial"), null=True, blank=True)
    created_by = models.CharField(T("建立人", "created by"), max_length=120)
    created_at = models.DateTimeField(T("建立时间", "created at"), default=timezone.now)

    objects = ValidityQuerySet.as_manager()

    class Meta:
        verbose_name = T("风险规则", "risk rule")
        verbose_name_plural = T("风险规则", "risk rules")
        constraints = [
            no_overlap("risk_rule_once", "code", condition=Q(active=True)),
            models.CheckConstraint(condition=Q(share__gte=0, share__lte=100), name="risk_rule_share"),
            models.CheckConstraint(condition=Q(active=False) | Q(trial__isnull=False), name="risk_rule_tried_first"),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class CreditStanding(Validity):
    """What a firm's conduct earned it from-to (红黑名单), and on what basis; it scales the random shares."""

    class Standing(models.TextChoices):
        RED = "red", T("红名单", "red list: trusted")
        BLACK = "black", T("黑名单", "black list: distrusted")

    organisation = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name=T("单位", "organisation")
    )
    standing = models.CharField(T("名单", "list"), max_length=5, choices=Standing.choices)
    #: Multiplies the share of every rule: 0.2 for a fifth of the inspections, 5 for five times.
    factor = models.DecimalField(T("抽查系数", "factor"), max_digits=5, decimal_places=2)
    basis = models.CharField(T("依据", "basis"), max_length=300)

    objects = ValidityQuerySet.as_manager()

    class Meta:
        verbose_name = T("信用名单", "credit standing")
        verbose_name_plural = T("信用名单", "credit standings")
        constraints = [no_overlap("credit_standing_once", "organisation")]

    def __str__(self) -> str:
        return f"{self.organisation} {self.standing}"


class Selection(models.Model):
    """What the rules of the day found in one version of a declaration. Written once, never changed."""

    declaration = models.ForeignKey(
        Declaration, models.CASCADE, related_name="selections", verbose_name=T("报关单", "declaration"), db_index=False
    )
    version = models.PositiveIntegerField(T("版本", "version"))
    lane = models.CharField(T("通道", "lane"), max_length=10, choices=Case.Lane.choices)
    #: Rules that hit: code, action, drawn, share.
    hits: models.JSONField[Any, Any] = models.JSONField(T("命中规则", "rules hit"), default=list)
    score = models.PositiveIntegerField(T("风险分", "score"), default=0)
    at = models.DateTimeField(T("时间", "at"), default=timezone.now)

    class Meta:
        verbose_name = T("选查结果", "selection")
        verbose_name_plural = T("选查结果", "selections")
        constraints = [models.UniqueConstraint(fields=["declaration", "version"], name="selection_once")]

    def __str__(self) -> str:
        return f"{self.declaration} v{self.version} {self.lane}"
