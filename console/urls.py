"""The console's own pages, beside the admin's (``/console/…``, names under ``admin:``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.admin import AdminSite
from django.urls import URLPattern, path

from console import search


def pages(site: AdminSite) -> list[URLPattern]:
    def page(route: str, view: Callable[..., Any], name: str) -> URLPattern:
        return path(route, site.admin_view(view), name=name)

    return [
        page("find/", search.find, "find"),
    ]
