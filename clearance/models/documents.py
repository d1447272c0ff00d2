"""What accompanies a declaration: the documents themselves."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils import timezone

from common.text import T
from declarations.models import Declaration


class AttachedFile(models.Model):
    """A document a declaration names, as its declarant sent it, with what its declarant says stands in it. Never changed:
    another file of the same document stands beside it, and the latest counts."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    declaration = models.ForeignKey(
        Declaration,
        models.PROTECT,
        related_name="attached_files",
        verbose_name=T("报关单", "declaration"),
        db_index=False,
    )
    #: The number under which the declaration names it.
    document_id = models.CharField(T("单证编号", "document number"), max_length=64)
    #: Code of the list "edocument"; empty for licences and certificates.
    document_type = models.CharField(T("单证类别", "document type"), max_length=8, blank=True)
    name = models.CharField(T("文件名", "file name"), max_length=200)
    content_type = models.CharField(T("类型", "type"), max_length=40)
    size = models.PositiveIntegerField(T("大小", "size"))
    sha256 = models.CharField(max_length=64)
    #: What stands in it: bill_number, packages, gross_weight and so on, as text.
    states: models.JSONField[Any, Any] = models.JSONField(T("所载内容", "what it states"), default=dict)
    added_by = models.CharField(T("上传人", "added by"), max_length=120)
    added_at = models.DateTimeField(T("上传时间", "added at"), default=timezone.now)

    class Meta:
        verbose_name = T("随附单证文件", "attached document")
        verbose_name_plural = T("随附单证文件", "attached documents")
        constraints = [
            models.UniqueConstraint(fields=["declaration", "document_id", "sha256"], name="attached_file_once")
        ]

    def __str__(self) -> str:
        return self.document_id
