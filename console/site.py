"""The operators' console: Django's admin in the console's look, in Chinese and English, with pages of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, URLResolver

from common.problems import Problem, not_found, standard
from common.text import T
from parties.authentication import officer_principal
from parties.principals import Principal


def principal_of(request: HttpRequest) -> Principal | None:
    """Who works here: an officer, or a superuser who sets the house up. Asked once a request."""
    if not hasattr(request, "principal"):
        user: Any = request.user
        principal = None
        if user.is_active and user.is_staff:
            principal = officer_principal(user)
            if principal is None and user.is_superuser:
                principal = Principal(actor=f"officer:{user.get_username()}", is_superuser=True, user=user)
        request.principal = principal  # type: ignore[attr-defined]
    return request.principal  # type: ignore[attr-defined,no-any-return]


def explained(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """``view`` whose problems are told on a page, not as JSON."""

    @wraps(view)
    def run(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
            if hasattr(response, "render") and not getattr(response, "is_rendered", True):
                response.render()
            return response
        except Problem as error:
            problem = error
        except Http404:
            problem = not_found()
        except PermissionDenied:
            problem = standard(403)
        context = admin.site.each_context(request) | {"problem": problem, "title": problem.title}
        return render(request, "console/problem.html", context, status=problem.status)

    return run


class ConsoleSite(admin.AdminSite):
    site_header = T("西部陆海新通道单一窗口", "Land-Sea Corridor Single Window")
    site_title = T("单一窗口", "Single Window")
    index_title = T("工作台", "Workbench")
    site_url = None
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        return principal_of(request) is not None

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        return super().admin_view(explained(view), cacheable)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        from console.urls import pages_of

        return [*pages_of(self), *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        from console.dashboard import dashboard

        return dashboard(request)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        from console.navigation import sections

        principal = principal_of(request)
        return super().each_context(request) | {
            "sections": sections(self, request) if principal else [],
            "principal": principal,
            "offices": sorted(principal.offices) if principal else [],
        }
