"""Bases of the console's pages. What the law keeps is shown, not edited: changes go through commands.

The console puts the caller's principal on the request (``console.site``). An officer reads what their duties allow and
only the rows that ``visible_to`` gives; Django's own permissions are not used, because rights are given in one place."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from common.text import T
from common.validity import written


def caller(request: HttpRequest) -> Any:
    """The principal the console found for this request; None outside the console."""
    return getattr(request, "principal", None)


def has_duty(request: HttpRequest, duties: tuple[str, ...]) -> bool:
    """Whether the caller has one of ``duties`` (none named: any officer). Superusers have all."""
    principal = caller(request)
    if principal is None:
        return bool(getattr(request.user, "is_superuser", False))
    if principal.is_superuser:
        return True
    return bool(principal.is_officer and (not duties or any(principal.has_duty(duty) for duty in duties)))


class DutyAdmin(admin.ModelAdmin):
    """Rights by duty. ``view_duties = ()`` lets every officer read; ``change_duties = None`` lets nobody write."""

    view_duties: ClassVar[tuple[str, ...]] = ()
    change_duties: ClassVar[tuple[str, ...] | None] = None
    show_full_result_count = False
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset = super().get_queryset(request)
        principal = caller(request)
        if principal is not None and not principal.is_superuser and hasattr(queryset, "visible_to"):
            return queryset.visible_to(principal)
        return queryset

    @admin.display(description=T("有效期", "in force"), ordering="valid")
    def period(self, row: Any) -> str:
        """The half-open range ``valid`` as people write it; put ``period`` in ``list_display``."""
        return written(row.valid)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_duty(request, self.view_duties)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.change_duties is not None and has_duty(request, self.change_duties)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(DutyAdmin):
    """Browse and search only."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyInline(admin.TabularInline):
    extra = 0
    can_delete = False
    show_change_link = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may read the page may read its parts."""
        return True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
