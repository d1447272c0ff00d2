"""The public pages of the fee catalogues: search, one list with its history, the difference of two versions, a feed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.syndication.views import Feed
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.feedgenerator import Atom1Feed

from common.asked import day_or
from common.days import today
from common.problems import Problem
from common.text import T
from portfees import catalogues, sheets
from portfees.api.catalogues import public_list, search
from portfees.models import BodyClass, FeeItem, FeeList

#: Lists shown on one page; the search narrows them.
PAGE = 100


def _page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A page for people answers 404 with Django's own handling where the API would answer a problem."""

    @wraps(view)
    def run(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Problem as problem:
            raise Http404(str(problem)) from problem

    return run


@_page
def index(request: HttpRequest) -> HttpResponse:
    day = day_or(today(), request.GET.get("on"))
    found = search(request.GET, day).order_by("port", "body__name", "-version")[: PAGE + 1]
    lists = list(found)
    ports = FeeList.objects.public().values_list("port", flat=True).distinct().order_by("port")
    return render(
        request,
        "portfees/index.html",
        {
            "lists": lists[:PAGE],
            "more": len(lists) > PAGE,
            "day": day,
            "wanted": request.GET,
            "ports": ports,
            "classes": BodyClass.choices,
        },
    )


@_page
def detail(request: HttpRequest, number: str) -> HttpResponse:
    fee_list = public_list(number)
    history = (
        FeeList.objects.public()
        .filter(body=fee_list.body, port=fee_list.port, area=fee_list.area)
        .exclude(pk=fee_list.pk)
        .order_by("-version")
    )
    return render(
        request,
        "portfees/detail.html",
        {"list": fee_list, "items": fee_list.items.all(), "history": history, "today": today()},
    )


@_page
def difference(request: HttpRequest, number: str, other: str) -> HttpResponse:
    before, after = public_list(other), public_list(number)
    found = catalogues.difference(list(before.items.all()), list(after.items.all()))
    changed = [
        (
            change.after,
            [
                (FeeItem._meta.get_field(name).verbose_name, sheets.shown(old), sheets.shown(new))  # type: ignore[union-attr]
                for name, (old, new) in change.fields.items()
            ],
        )
        for change in found.changed
    ]
    return render(
        request, "portfees/difference.html", {"before": before, "after": after, "found": found, "changed": changed}
    )


class Changes(Feed):
    """Atom feed of published lists, newest first."""

    feed_type = Atom1Feed
    title = T("口岸收费目录清单：变更", "Port-fee catalogues: changes")
    subtitle = T("新公布的清单版本", "Newly published versions")
    link = "/port-fees/"

    def items(self) -> list[FeeList]:
        return list(FeeList.objects.public().select_related("body").order_by("-published_at")[:50])

    def item_title(self, item: Any) -> str:
        return f"{item.title} · {item.body} · {item.port} v{item.version}"

    def item_description(self, item: Any) -> str:
        example = str(T("（示例数据）", "(example data)")) if item.is_example else ""
        return f"{item.period} {example}".strip()

    def item_link(self, item: Any) -> str:
        return f"/port-fees/{item.number}/"

    def item_guid(self, item: Any) -> str:
        return f"{settings.PUBLIC_URL}/port-fees/{item.number}/"

    def item_updateddate(self, item: Any) -> Any:
        return item.published_at

    def item_pubdate(self, item: Any) -> Any:
        return item.published_at
