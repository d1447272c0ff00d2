"""Transits between provinces at the console: opened for an office of another province, and those on the way here, each with what
was confirmed. Writes only through the commands of ``exchange.cooperation``."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from common.problems import Fault, Problem, not_found
from common.text import T
from console.forms import Field, faults_of, lines, shown, typed
from console.pages import officer, page, reader
from exchange import cooperation
from parties.models import Officer
from parties.principals import Principal

DUTY = Officer.Duty.RELEASE
#: Of both ways together, on a page.
SHOWN = 200
#: Step -> what is said when it is confirmed.
SAID = {
    "arrived": T("已确认运抵 {n}。", "The arrival of {n} is confirmed."),
    "departure_confirmed": T("已确认 {n} 离境。", "The departure of {n} from the country is confirmed."),
}


@require_GET
def show(request: HttpRequest) -> HttpResponse:
    """Transits opened here and for here, side by side, the newest first."""
    principal = reader(request, DUTY)
    found = cooperation.transits(principal, cursor=request.GET.get("cursor", ""), most=SHOWN)
    for row in found.results:
        mine = not row["to_office"] or cooperation.acts_for(row["to_office"], principal)
        row["next"] = {"opened": "arrived", "arrived": "departure_confirmed"}.get(row["state"], "") if mine else ""
    return page(
        request, "console/transits.html", title=T("跨省转关", "Transits between provinces"), province=settings.PROVINCE,
        leaving=[row for row in found.results if row["direction"] == "out"],
        coming=[row for row in found.results if row["direction"] == "in"], most=SHOWN,
        older=found.next, latest="cursor" not in request.GET,
    )  # fmt: skip


def _fields(principal: Principal) -> tuple[Field, ...]:
    provinces = [(one.code, str(one)) for one in cooperation.provinces()]
    return (
        Field("number", T("转关申报单号", "Number of the transit declaration"), required=True, most=40),
        Field("from_office", T("启运地海关", "Office of departure"), required=True, most=4, suggested=sorted(principal.offices)),
        Field(
            "to_province", T("指运省份", "Province it goes to"), "select", required=True, options=[("", "—"), *provinces],
            hint=T("只列出协议共享转关的省份", "Those that an agreement tells of transits"),
        ),
        Field("to_office", T("指运地（出境地）海关", "Office of destination or exit"), required=True, most=4),
        Field("containers", T("集装箱", "Containers"), "area", hint=T("每行一个箱号", "One number a line")),
        Field(
            "declaration_number", T("报关单统一编号（可空）", "Number of the declaration (may be empty)"), most=18,
            hint=T("其当事人可见此转关", "Its parties may see the transit"),
        ),
    )  # fmt: skip


_NAMES = ("number", "from_office", "to_province", "to_office", "containers", "declaration_number")


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Open a transit for an office of another province."""
    principal = officer(request, DUTY)
    given, faults = typed(request.POST, *_NAMES), list[Fault]()
    if request.method == "POST":
        asked: dict[str, Any] = given | {"containers": lines(given["containers"])}
        try:
            cooperation.open_transit(principal=principal, **asked)
            messages.success(request, T("转关 {n} 已发起。", "Transit {n} is opened.", n=given["number"]))
            return redirect("admin:transits")
        except Problem as problem:
            faults = faults_of(problem)
    elif len(principal.offices) == 1:
        given["from_office"] = next(iter(principal.offices))
    return page(
        request, "console/transit_form.html", title=T("发起跨省转关", "Open a transit"),
        form=shown(_fields(principal), given, faults),
    )  # fmt: skip


@require_POST
def confirm(request: HttpRequest) -> HttpResponse:
    """Confirm what another province opened for an office here: arrived, left the country."""
    principal, asked = officer(request, DUTY), typed(request.POST, "province", "number", "step")
    if asked["step"] not in SAID:
        raise not_found()
    try:
        cooperation.confirm_transit(
            partner_code=asked["province"], number=asked["number"], step=asked["step"], principal=principal
        )
        messages.success(request, str(SAID[asked["step"]]).format(n=asked["number"]))
    except Problem as problem:
        for fault in faults_of(problem):
            messages.error(request, fault.text)
    return redirect("admin:transits")
