"""Clearance times as charts: median and ninth decile by month, by office and by mode with the published limits kept and broken;
declarations lodged in advance apart, because their goods arrive after them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from clearance import times
from clearance.modes import MODES
from common.text import T
from console import charts, queue
from console.pages import page, who

STAGES: dict[str, Any] = {
    "overall": T("运抵 → 放行", "arrival → release"),
    "declaration": T("运抵 → 申报", "arrival → declaration"),
    "acceptance": T("申报 → 接受", "declaration → acceptance"),
    "release": T("接受 → 放行", "acceptance → release"),
    "gate_out": T("放行 → 提离", "release → gate-out"),
}


@require_GET
def show(request: HttpRequest) -> HttpResponse:
    principal = who(request)
    asked = request.GET
    stage = asked.get("stage", "")
    stage = stage if stage in STAGES else "overall"
    offices = queue.offices_of(principal)
    chosen: dict[str, Any] = {
        "direction": asked.get("direction", "") if asked.get("direction") in ("I", "E") else "",
        "office": asked.get("office", "") if asked.get("office") in offices else "",
        "mode": asked.get("mode", "") if asked.get("mode") in MODES else "",
        "with_advance": asked.get("advance") != "false",
    }

    def figures(*by: str) -> list[dict[str, Any]]:
        return times.statistics(operation=stage, by=by, **chosen)

    months = figures("month")[-12:]
    query = {name: chosen[name] for name in ("direction", "office", "mode") if chosen[name]}
    if not chosen["with_advance"]:
        query["advance"] = "false"
    return page(
        request,
        "console/durations.html",
        title=T("通关时间", "Clearance times"),
        stage=stage,
        stages=STAGES,
        chosen=chosen,
        my_offices=offices,
        all_modes=[(code, mode.label) for code, mode in MODES.items()],
        chart=charts.bars(
            str(STAGES[stage]),
            [f"{row['month']:%Y-%m}" for row in months],
            [
                charts.Series(str(T("中位数", "median")), "", [round(float(row["median_hours"]), 1) for row in months]),
                charts.Series("P90", "warn", [round(float(row["p90_hours"]), 1) for row in months]),
            ],
        ),
        months=months,
        offices=figures("office")[:100],
        modes=[row | {"label": MODES[row["mode"]].label} for row in figures("mode", "advance") if row["mode"] in MODES],
        csv="/api/v1/clearance-times?"
        + urlencode({"operation": stage, "by": "office,mode,month,advance", "format": "csv"} | query),
    )
