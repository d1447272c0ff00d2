"""An assessment as the API gives it: one shape for a quotation and for a declaration."""

from __future__ import annotations

from typing import Any

from common.text import side

from .assessed import TAXES, Assessment, ItemResult
from .basis import FORMULAS


def as_json(found: Assessment, *, explain: bool = False) -> dict[str, Any]:
    request, language = found.request, side()
    totals: dict[str, dict[str, Any]] = {}
    items = []
    for result in found.items:
        taxes = []
        for line in result.taxes:
            taxes.append(
                {
                    "tax": line.tax,
                    "base": line.base,
                    "rate": line.rate,
                    "computed": line.computed,
                    "due": line.due,
                    "payable": line.payable,
                    "status": line.status,
                    "secured": line.secured,
                }
            )
            total = totals.get(line.tax)
            if total is None:
                totals[line.tax] = {"computed": line.computed, "payable": line.payable}
            else:
                total["computed"] += line.computed
                total["payable"] += line.payable
        items.append(
            {
                "number": result.item.number,
                "code": result.item.code,
                "origin": result.item.origin,
                "customs_value": result.value,
                "rate_taken": _rate_taken(result),
                "taxes": taxes,
                "candidates": [candidate.as_json(language) for candidate in result.selection.candidates],
            }
        )
    answer: dict[str, Any] = {
        "id": None,
        "declaration": None,
        "version": 0,
        "direction": request.direction,
        "regime": request.regime,
        "levy_nature": request.levy_nature,
        "rate_day": found.rate_day,
        "tariff_version": found.version,
        "example": found.example,
        "currency": "CNY",
        "customs_value": found.customs_value,
        "items": items,
        "totals": [
            {"tax": tax, "name": FORMULAS[tax][0][language], **totals[tax]} for tax in TAXES if tax in totals
        ],
        "late_declaration_fee": found.late_declaration_fee,
        "days_late": found.days_late,
        "deferred_interest": found.deferred_interest,
        "days_deferred": found.days_deferred,
        "payable": found.payable,
        "exchange_rates": [
            {"currency": rate.currency, "rate": rate.rate, "per": rate.per, "inverse": rate.inverse,
             "quoted_on": rate.quoted_on}
            for rate in found.exchange_rates.values()
        ],
        "notices": [notice.as_json(language) for notice in found.notices],
    }  # fmt: skip
    if explain:
        answer["explanation"] = explanation(found)
    return answer


def _rate_taken(result: ItemResult) -> dict[str, str] | None:
    chosen = result.selection
    if chosen.reason == "officer":
        return {"kind": "officer", "rate": result.taxes[0].rate, "reason": "officer"}
    if chosen.duty is None:
        return None
    return {"kind": chosen.duty.kind, "rate": str(chosen.duty.rate), "reason": chosen.reason}


def explanation(found: Assessment) -> list[dict[str, Any]]:
    language = side()
    return [step.as_json(language) for step in found.steps]
