from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from common.admin import ReadOnlyAdmin
from common.days import today
from common.text import T
from refdata.models import Code, CodeList


@admin.register(CodeList)
class CodeListAdmin(ReadOnlyAdmin):
    list_display = ["slug", "name_zh", "name_en", "size", "complete", "trust", "shipped", "loaded_at"]
    list_filter = ["trust", "complete", "shipped"]
    search_fields = ["slug", "name_zh", "name_en"]


class InForce(admin.SimpleListFilter):
    title = T("今日是否有效", "in force today")  # type: ignore[assignment]
    parameter_name = "in_force"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("1", T("有效", "in force")), ("0", T("无效", "not in force"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Code]) -> QuerySet[Code]:
        if self.value() == "1":
            return queryset.filter(valid__contains=today())
        if self.value() == "0":
            return queryset.exclude(valid__contains=today())
        return queryset


@admin.register(Code)
class CodeAdmin(ReadOnlyAdmin):
    list_display = ["list", "code", "name_zh", "name_en", "valid"]
    list_select_related = ["list"]
    list_filter = [InForce, "list"]
    search_fields = ["code__istartswith", "name_zh", "name_en"]
    ordering = ["list", "code"]
