"""Clearance times as charts: median and ninth decile by month, and by office with the published limits kept and broken."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from clearance import times
from common.text import T
from console import charts
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
    who(request)
    stage = request.GET.get("stage", "")
    stage = stage if stage in STAGES else "overall"
    direction = request.GET.get("direction", "")
    direction = direction if direction in ("I", "E") else ""
    months = times.statistics(operation=stage, by=["month"], direction=direction)[-12:]
    return page(
        request,
        "console/durations.html",
        title=T("通关时间", "Clearance times"),
        stage=stage,
        stages=STAGES,
        direction=direction,
        chart=charts.bars(
            str(STAGES[stage]),
            [f"{row['month']:%Y-%m}" for row in months],
            [
                charts.Series(str(T("中位数", "median")), "", [round(float(row["median_hours"])) for row in months]),
                charts.Series("P90", "warn", [round(float(row["p90_hours"])) for row in months]),
            ],
        ),
        months=months,
        offices=times.statistics(operation=stage, by=["office"], direction=direction)[:100],
    )
