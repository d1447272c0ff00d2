"""Pages for people without a log-in: the time line of a reference, and whether a port paper is genuine."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation

from clearance import papers, tracking
from common.problems import Problem


def _language(request: HttpRequest) -> str:
    asked = request.GET.get("lang") or request.headers.get("Accept-Language", "zh")
    return "en" if asked.lower().startswith("en") else "zh-hans"


def track(request: HttpRequest, reference: str = "") -> HttpResponse:
    reference = (reference or request.GET.get("reference", "")).strip()
    token = request.GET.get("share", "")
    with translation.override(_language(request)):
        context: dict[str, object] = {
            "reference": reference,
            "share": token,
            "english": translation.get_language() == "en",
        }
        status = 200
        if reference:
            try:
                viewer = tracking.opens(reference, token) if token else None
                context["line"] = tracking.timeline(reference, full=bool(token), viewer=viewer)
            except Problem as problem:
                status, context["problem"] = problem.status, problem
        return _page(request, "clearance/track.html", context, status)


def paper(request: HttpRequest, code: str) -> HttpResponse:
    with translation.override(_language(request)):
        context: dict[str, object] = {"english": translation.get_language() == "en"}
        status = 200
        try:
            context["paper"] = papers.verify(code)
        except Problem as problem:
            status, context["problem"] = problem.status, problem
        return _page(request, "clearance/paper.html", context, status)


def _page(request: HttpRequest, template: str, context: dict[str, object], status: int) -> HttpResponse:
    answer = render(request, template, context, status=status)
    answer["Referrer-Policy"] = "no-referrer"  # a shared link must not leak through a click
    answer["Cache-Control"] = "no-store"
    answer["Vary"] = "Accept-Language"
    return answer
