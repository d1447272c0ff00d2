from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Upper

from common.text import T, pick
from common.validity import Validity, ValidityQuerySet, no_overlap


class CodeList(models.Model):
    """A table of codes with one owner: what is in it, how far it can be trusted, and which state of it is loaded."""

    slug = models.CharField(T("代码表", "list"), max_length=40, primary_key=True)
    name_zh = models.CharField(T("中文名称", "Chinese name"), max_length=100)
    name_en = models.CharField(T("英文名称", "English name"), max_length=100)
    #: What a code of this list looks like (a regular expression the loader holds every row to).
    pattern = models.CharField(T("代码格式", "pattern"), max_length=100)
    #: Whether a code that is not in the list is certainly wrong. A check may only warn where it is not.
    complete = models.BooleanField(T("完整", "complete"))
    trust = models.CharField(T("可信度", "trust"), max_length=20)
    rests_on = models.CharField(T("依据", "rests on"), max_length=300)
    #: Headings of the attribute columns, with their types, in the order of the file.
    columns: ArrayField = ArrayField(models.CharField(max_length=40), default=list, verbose_name=T("附加列", "columns"))
    #: False once an operator has loaded a table of their own in its place: the shipped one then leaves it alone.
    shipped = models.BooleanField(T("随系统提供", "shipped with the system"), default=True)
    size = models.PositiveIntegerField(T("条数", "entries"), default=0)
    #: SHA-256 of the file last loaded, and of the rows as they stand: the second is the list's version.
    checksum = models.CharField(max_length=64)
    version = models.CharField(T("版本", "version"), max_length=64)
    loaded_at = models.DateTimeField(T("载入时间", "loaded at"))

    class Meta:
        verbose_name = T("代码表", "code list")
        verbose_name_plural = T("代码表", "code lists")
        ordering = ["slug"]

    def __str__(self) -> str:
        return pick(self.name_zh, self.name_en)


class Code(Validity):
    """What a code means, and from when to when. Rows come from files only (refdata.loading)."""

    list = models.ForeignKey(
        CodeList, models.CASCADE, related_name="codes", verbose_name=T("代码表", "list"), db_index=False
    )
    code = models.CharField(T("代码", "code"), max_length=20, db_collation="C")
    name_zh = models.CharField(T("中文名称", "Chinese name"), max_length=250, blank=True)
    name_en = models.CharField(T("英文名称", "English name"), max_length=250, blank=True)
    attributes = models.JSONField(T("属性", "attributes"), default=dict)

    objects = ValidityQuerySet.as_manager()

    class Meta:
        verbose_name = T("代码", "code")
        verbose_name_plural = T("代码", "codes")
        constraints = [no_overlap("refdata_one_meaning_a_day", "list", "code")]
        indexes = [
            models.Index(fields=["list", "code"], name="refdata_code_in_list"),
            GinIndex(
                OpClass(Upper("name_zh"), "gin_trgm_ops"),
                OpClass(Upper("name_en"), "gin_trgm_ops"),
                name="refdata_code_names",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"

    @property
    def name(self) -> str:
        """The name in the active language, or in the other one where the list has none."""
        return pick(self.name_zh or self.name_en, self.name_en or self.name_zh)
