"""Views of the work queue: see, take, give back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from clearance.models import Case
from clearance.modes import MODES
from common import casework
from common.problems import standard
from common.text import T
from console import queue
from console.site import principal_of
from parties.principals import Principal


def who(request: HttpRequest) -> Principal:
    """The person at this page; ``admin_view`` has made sure there is one."""
    principal = principal_of(request)
    if principal is None:
        raise standard(403)
    return principal


def reader(request: HttpRequest, duty: str) -> Principal:
    """Who may read what officers with ``duty`` work at: they, and whoever sets the house up. Raises Problem 403."""
    principal = who(request)
    if not principal.has_duty(duty):
        raise standard(403)
    return principal


def officer(request: HttpRequest, duty: str) -> Principal:
    """The officer at this page, who has ``duty``. Raises Problem 403."""
    principal = who(request)
    if not (principal.is_officer and principal.has_duty(duty)):
        raise standard(403)
    return principal


def name_of(principal: Principal) -> str:
    return (principal.user.get_full_name() or principal.user.get_username()) if principal.user else principal.actor


def page(request: HttpRequest, template: str, **context: Any) -> HttpResponse:
    return render(request, template, admin.site.each_context(request) | context)


@require_GET
def show(request: HttpRequest) -> HttpResponse:
    principal = who(request)
    filters = queue.Filters.of(request.GET, principal)
    rows, more = queue.page(filters, principal, request.GET.get("after", ""))
    counts = queue.counts(principal, filters.office)
    query = {key: value for key, value in request.GET.items() if key not in ("desk", "after") and value}
    desk = queue.DESKS[filters.desk]
    return page(
        request,
        "console/queue.html",
        title=T("报关单工作队列", "Work queue"),
        rows=rows,
        filters=filters,
        desk=desk,
        decides=queue.works_at(principal, filters.desk),
        bulk=filters.desk == "accepted" and principal.has_duty("release"),
        tabs=[
            {
                "title": one.title,
                "url": "?" + urlencode({"desk": one.key} | query),
                "here": one.key == filters.desk,
                "count": counts.get(one.key),
            }
            for one in queue.DESKS.values()
        ],
        modes=[(code, mode.label) for code, mode in MODES.items()],
        lanes=Case.Lane.choices,
        opened_from=urlencode({"desk": filters.desk} | ({"office": filters.office} if filters.office else {})),
        my_offices=queue.offices_of(principal),
        next_page="?" + urlencode({"desk": filters.desk} | query | {"after": more}) if more else "",
        first_page="?" + urlencode({"desk": filters.desk} | query) if request.GET.get("after") else "",
        low_risk=queue.LOW_RISK,
        high_risk=queue.HIGH_RISK,
    )


@require_POST
def take_next(request: HttpRequest) -> HttpResponse:
    """Take the oldest free case of the desk and open it."""
    principal = who(request)
    filters = queue.Filters.of(request.POST, principal)
    if not queue.works_at(principal, filters.desk):
        raise standard(403)
    return hand_out(request, filters.desk, filters.office, principal)


def hand_out(request: HttpRequest, desk: str, office: str, principal: Principal) -> HttpResponse:
    """Take the oldest free case of a desk where this officer works and open it; back to the queue where there is none."""
    number = queue.take_next(queue.Filters(desk=desk, office=office), principal, name_of(principal))
    came = {"desk": desk, "office": office}
    if number is None:
        messages.info(request, T("此队列已无可领取的报关单。", "Nothing is left to take in this queue."))
        return redirect(reverse("admin:queue") + "?" + urlencode(came))
    return redirect(case_url(number, came))


def came_from(given: Mapping[str, str]) -> dict[str, str]:
    """The desk, and the office chosen there, that a case was opened from: its page carries them on to the next case."""
    desk = given.get("desk", "")
    return {"desk": desk, "office": given.get("office", "")[:4]} if desk in queue.DESKS else {}


def case_url(number: str, came: dict[str, str]) -> str:
    """The page of a case that was opened from there (:func:`came_from`)."""
    query = urlencode({name: value for name, value in came.items() if value})
    return reverse("admin:declaration", args=[number]) + (f"?{query}" if query else "")


@require_POST
def give_back(request: HttpRequest, number: str) -> HttpResponse:
    if casework.give_back(kind=queue.KIND, numbers=[number], holder=who(request).actor):
        messages.info(request, T("已交回 {number}。", "{number} given back.", number=number))
    return redirect("admin:queue")
