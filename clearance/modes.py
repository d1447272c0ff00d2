"""The modes of clearance: small declared paths through the one life cycle. A mode says what must be fulfilled before the
goods may be picked up (where that comes before release) and before release; :mod:`clearance.conditions` knows each
condition, and who may confirm a step that somebody has to confirm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from common.text import T


@dataclass(frozen=True, slots=True)
class Mode:
    label: Any
    #: Conditions of release, by name.
    release: tuple[str, ...]
    #: Conditions of a pick-up before release; empty where there is none.
    pickup: tuple[str, ...] = ()
    directions: str = "IE"
    #: The firm may choose it; others follow from what was declared.
    by_choice: bool = False
    #: Service a port area must offer for it.
    service: str = ""
    #: Steps to be confirmed, in order.
    steps: tuple[str, ...] = ()


#: What every release asks for.
COMMON = ("selected", "no_request", "holds", "inspection", "duty", "site")

MODES: dict[str, Mode] = {
    "ordinary": Mode(T("一般通关", "ordinary"), ("manifest", "manifest_agrees", "arrived", *COMMON)),
    "advance": Mode(T("提前申报", "advance declaration"), ("manifest", "manifest_agrees", "arrived", *COMMON)),
    "two_step": Mode(
        T("两步申报", "two-step declaration"),
        ("manifest", "manifest_agrees", "arrived", "full_declaration", *COMMON),
        pickup=(
            "manifest",
            "manifest_agrees",
            "arrived",
            "selected",
            "no_request",
            "holds",
            "inspection",
            "summary_guarantee",
            "site",
        ),
        directions="I",
    ),
    "two_stage": Mode(
        T("两段准入", "two-stage entry"),
        ("manifest", "manifest_agrees", "arrived", "allowed_in", "allowed_for_use", *COMMON),
        pickup=(
            "manifest",
            "manifest_agrees",
            "arrived",
            "selected",
            "no_request",
            "holds",
            "port_inspection",
            "duty",
            "allowed_in",
        ),
        directions="I",
        by_choice=True,
        steps=("allowed_in", "transferred", "allowed_for_use"),
    ),
    "departure_confirmation": Mode(
        T("离港确认", "departure confirmation"),
        ("manifest", "manifest_agrees", "departure_confirmed", "arrived", *COMMON),
        directions="I",
        by_choice=True,
        service="departure_confirmation",
        steps=("departure_confirmed",),
    ),
    "ship_side_pickup": Mode(
        T("船边直提", "ship-side pick-up"),
        ("manifest", "manifest_agrees", "means_arrived", "service_offered", *COMMON),
        directions="I",
        by_choice=True,
        service="ship_side_pickup",
    ),
    "direct_loading": Mode(
        T("抵港直装", "direct loading on arrival"),
        ("manifest", "manifest_agrees", "arrived", "service_offered", *COMMON),
        directions="E",
        by_choice=True,
        service="direct_loading",
    ),
    "transit": Mode(
        T("转关", "transit"),
        ("manifest", "manifest_agrees", "transit_departed", "transit_arrived", *COMMON),
        steps=("transit_departed", "transit_arrived"),
    ),
}

#: step -> text; who may confirm it: "customs" officers and customs offices, "movers" carriers and terminals.
STEPS: dict[str, tuple[Any, str]] = {
    "departure_confirmed": (T("沿海口岸确认驳船（列车）离港", "departure of the barge or train confirmed"), "movers"),
    "transit_departed": (T("转关货物起运", "transit departed"), "movers"),
    "transit_arrived": (T("转关货物运抵", "transit arrived"), "movers"),
    "allowed_in": (T("第一段：准许入境", "stage one: allowed in"), "customs"),
    "transferred": (T("已转运至指定场地", "transferred to another site"), "movers"),
    "allowed_for_use": (T("第二段：合格入市", "stage two: allowed for sale or use"), "customs"),
}

#: Types of transit (转关类型).
TRANSIT_TYPES = ("1", "AA", "1G", "1T", "1E", "1P", "1K")


def of_message(message: dict[str, Any], arrived: bool) -> str:
    """The mode that follows from what was declared."""
    kind = (message.get("document_type") or "").ljust(6)
    if kind[2] in "56" and kind[2].strip():
        return "two_step"
    if message.get("transit") or message.get("transit_relation") == "1":
        return "transit"
    if any((message.get("two_stage_entry") or {}).get(name) == "1" for name in _TWO_STAGE):
        return "two_stage"
    return "ordinary" if arrived else "advance"


_TWO_STAGE = ("transfer_requested", "conditional_pickup_requested")
