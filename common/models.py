import pgtrigger
from django.db import models
from django.utils import timezone

from common.text import T


class IdempotencyKey(models.Model):
    """See :mod:`common.idempotency`, which reads and writes this table."""

    caller = models.CharField(max_length=120)
    key = models.CharField(max_length=255)
    fingerprint = models.BinaryField()
    status = models.PositiveSmallIntegerField()
    headers = models.TextField()
    body = models.BinaryField()
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = T("幂等键", "idempotency key")
        verbose_name_plural = T("幂等键", "idempotency keys")
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="idempotency_key_once")]


class CaseLease(models.Model):
    """Who works on a case, until when. See :mod:`common.casework`."""

    kind = models.CharField(T("类别", "kind"), max_length=40)
    number = models.CharField(T("编号", "number"), max_length=80)
    holder = models.CharField(T("办理人", "holder"), max_length=120)
    holder_name = models.CharField(T("姓名", "name"), max_length=150, blank=True)
    taken_at = models.DateTimeField(T("领取时间", "taken at"))
    until = models.DateTimeField(T("到期", "until"))

    class Meta:
        verbose_name = T("在办案件", "case in hand")
        verbose_name_plural = T("在办案件", "cases in hand")
        constraints = [models.UniqueConstraint(fields=["kind", "number"], name="case_lease_once")]
        indexes = [models.Index(fields=["holder", "kind"], name="case_lease_by_holder")]

    def __str__(self) -> str:
        return f"{self.number} · {self.holder_name or self.holder}"


class ReadRecord(models.Model):
    """That somebody opened a page of a case. See :mod:`common.reading`; never changed."""

    actor = models.CharField(T("操作者", "actor"), max_length=120)
    kind = models.CharField(T("类别", "kind"), max_length=40)
    number = models.CharField(T("编号", "number"), max_length=80)
    page = models.CharField(T("页面", "page"), max_length=40)
    read_at = models.DateTimeField(T("查看时间", "read at"), default=timezone.now)
    request_id = models.CharField(T("请求号", "request"), max_length=64, blank=True)
    address = models.CharField(T("网络地址", "address"), max_length=45, blank=True)

    class Meta:
        verbose_name = T("查看记录", "reading")
        verbose_name_plural = T("查看记录", "readings")
        ordering = ["-read_at", "-id"]
        indexes = [
            models.Index(fields=["kind", "number", "-read_at"], name="reading_of_case"),
            models.Index(fields=["actor", "-read_at"], name="reading_by_actor"),
            models.Index(fields=["-read_at", "-id"], name="reading_latest"),
        ]
        triggers = [pgtrigger.Protect(name="reading_append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.actor} {self.number}"
