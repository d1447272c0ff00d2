from django.db import models

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
