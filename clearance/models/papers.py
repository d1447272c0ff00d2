"""The port's papers as issued, versioned documents."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from cargo.models import Consignment
from common.text import T
from parties.models import Organisation
from parties.visibility import AudienceQuerySet


def _code() -> str:
    return secrets.token_urlsafe(18)


class PortPaper(models.Model):
    """A paper of the port, without the paper: issued, versioned, verifiable by anybody who holds its code."""

    class Kind(models.TextChoices):
        EIR = "EIR", T("设备交接单", "equipment interchange receipt")
        CLP = "CLP", T("装箱单", "container packing list")
        DO = "DO", T("提货单", "delivery order")

    number = models.CharField(T("编号", "number"), max_length=40)
    version = models.PositiveIntegerField(T("版本", "version"), default=1)
    kind = models.CharField(T("类别", "kind"), max_length=3, choices=Kind.choices)
    issuer = models.ForeignKey(Organisation, models.PROTECT, related_name="+", verbose_name=T("签发单位", "issuer"))
    consignment = models.ForeignKey(
        Consignment, models.PROTECT, null=True, blank=True, related_name="papers", verbose_name=T("货物", "consignment")
    )
    container = models.CharField(T("集装箱号", "container"), max_length=11, blank=True)
    content: models.JSONField[Any, Any] = models.JSONField(T("内容", "content"))
    audience: ArrayField = ArrayField(models.BigIntegerField(), default=list)
    code = models.CharField(T("验证码", "verification code"), max_length=24, unique=True, default=_code)
    issued_by = models.CharField(T("签发人", "issued by"), max_length=120)
    issued_at = models.DateTimeField(T("签发时间", "issued at"), default=timezone.now)
    superseded_at = models.DateTimeField(T("被替代时间", "superseded at"), null=True, blank=True)
    cancelled_at = models.DateTimeField(T("作废时间", "cancelled at"), null=True, blank=True)

    objects = AudienceQuerySet["PortPaper"].as_manager()

    class Meta:
        verbose_name = T("港口单证", "port paper")
        verbose_name_plural = T("港口单证", "port papers")
        constraints = [models.UniqueConstraint(fields=["number", "version"], name="port_paper_version_once")]

    def __str__(self) -> str:
        return f"{self.number} v{self.version}"
