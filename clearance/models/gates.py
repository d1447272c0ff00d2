"""What lets goods go and what keeps them: holds, releases, and containers at the gates."""

from __future__ import annotations

import uuid
from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from common.text import T
from declarations.models import Declaration
from parties.models import Organisation
from parties.visibility import AudienceQuerySet


class HoldQuerySet(AudienceQuerySet["Hold"]):
    def standing(self) -> Self:
        return self.filter(lifted_at=None)


class Hold(models.Model):
    """Somebody with the right to does not want goods to go. ``reference`` is ``declaration:…``, ``bill:…`` or
    ``container:…``. PostgreSQL refuses to release a declaration while one stands on it."""

    class Kind(models.TextChoices):
        CUSTOMS = "customs", T("海关", "customs")
        INSPECTION = "inspection", T("查验单位", "inspection agency")
        CARRIER = "carrier", T("承运人", "carrier")
        TERMINAL = "terminal", T("码头/场站", "terminal")
        DUTY = "duty", T("税费", "duty")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    reference = models.CharField(T("对象", "on"), max_length=60)
    kind = models.CharField(T("类别", "kind"), max_length=10, choices=Kind.choices)
    reason = models.CharField(T("原因", "reason"), max_length=300)
    holder = models.ForeignKey(
        Organisation,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=T("扣留单位", "holder"),
        db_index=False,
    )
    #: The holder's own number of this hold: a repeated message is the same hold.
    holder_reference = models.CharField(T("扣留方编号", "holder's reference"), max_length=64)
    audience: ArrayField = ArrayField(models.BigIntegerField(), default=list)
    placed_by = models.CharField(T("扣留人", "placed by"), max_length=120)
    placed_at = models.DateTimeField(T("扣留时间", "placed at"), default=timezone.now)
    #: Placed after release: it cannot take the release back, but no gate lets the goods out.
    after_release = models.BooleanField(T("放行后扣留", "after release"), default=False)
    lifted_by = models.CharField(T("解除人", "lifted by"), max_length=120, blank=True)
    lifted_at = models.DateTimeField(T("解除时间", "lifted at"), null=True, blank=True)

    objects = HoldQuerySet.as_manager()

    class Meta:
        verbose_name = T("扣留", "hold")
        verbose_name_plural = T("扣留", "holds")
        constraints = [
            models.UniqueConstraint(fields=["holder", "holder_reference"], name="hold_once", nulls_distinct=False),
        ]
        indexes = [models.Index(fields=["reference"], condition=Q(lifted_at=None), name="hold_standing")]

    def __str__(self) -> str:
        return f"{self.reference} {self.kind}"


class Release(models.Model):
    """The one fact that terminal, carrier and firm ask for: customs lets the goods go. ``pickup`` lets them leave the
    port before everything is done (two-step, two-stage); ``final`` is the release."""

    class Stage(models.TextChoices):
        PICKUP = "pickup", T("提离放行", "released for pick-up")
        FINAL = "final", T("放行", "released")

    declaration = models.ForeignKey(
        Declaration, models.PROTECT, related_name="releases", verbose_name=T("报关单", "declaration"), db_index=False
    )
    stage = models.CharField(T("阶段", "stage"), max_length=6, choices=Stage.choices)
    at = models.DateTimeField(T("时间", "at"), default=timezone.now)
    actor = models.CharField(T("放行人", "by"), max_length=120)
    #: What had been fulfilled: the conditions of the mode, by name.
    conditions: models.JSONField[Any, Any] = models.JSONField(T("条件", "conditions"), default=list)

    class Meta:
        verbose_name = T("放行", "release")
        verbose_name_plural = T("放行", "releases")
        constraints = [models.UniqueConstraint(fields=["declaration", "stage"], name="release_once")]

    def __str__(self) -> str:
        return f"{self.declaration} {self.stage}"


class GateMove(models.Model):
    """A container passes a gate, or is kept from passing. Codes as terminals send them: GTIN/GTOT, EMPTY/LADEN."""

    class Move(models.TextChoices):
        IN = "GTIN", T("进闸", "gate in")
        OUT = "GTOT", T("出闸", "gate out")

    class Fullness(models.TextChoices):
        EMPTY = "EMPTY", T("空箱", "empty")
        LADEN = "LADEN", T("重箱", "laden")

    reporter = models.ForeignKey(
        Organisation, models.PROTECT, related_name="+", verbose_name=T("报送单位", "reported by"), db_index=False
    )
    message_id = models.CharField(T("报文编号", "message id"), max_length=64)
    container = models.CharField(T("集装箱号", "container"), max_length=11)
    move = models.CharField(T("进出", "move"), max_length=4, choices=Move.choices)
    fullness = models.CharField(T("空重", "fullness"), max_length=5, choices=Fullness.choices)
    place = models.CharField(T("场所", "place"), max_length=17)
    truck = models.CharField(T("车牌", "truck"), max_length=35, blank=True)
    seal = models.CharField(T("封志号", "seal"), max_length=35, blank=True)
    at = models.DateTimeField(T("发生时间", "at"))
    recorded_at = models.DateTimeField(T("记录时间", "recorded at"), default=timezone.now)
    permitted = models.BooleanField(T("准予通过", "permitted"))
    #: Why not: codes.
    reasons: ArrayField = ArrayField(models.CharField(max_length=120), default=list)
    declarations: ArrayField = ArrayField(models.CharField(max_length=18), default=list)
    audience: ArrayField = ArrayField(models.BigIntegerField(), default=list)

    objects = AudienceQuerySet["GateMove"].as_manager()

    class Meta:
        verbose_name = T("闸口记录", "gate move")
        verbose_name_plural = T("闸口记录", "gate moves")
        constraints = [models.UniqueConstraint(fields=["reporter", "message_id"], name="gate_move_once")]
        indexes = [models.Index(fields=["container", "at"], name="gate_move_container")]

    def __str__(self) -> str:
        return f"{self.container} {self.move}"
