"""What must be fulfilled before goods may go. Each condition is a function from declaration and case to what is missing
(a fault with a stable code) or None; a mode names those it asks for."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings

from cargo import places
from clearance import duties, goods, references, summary_goods
from clearance.models import Case, ChangeRequest, Hold, InspectionOrder, PenaltyCase
from clearance.modes import MODES
from common.days import legal_day
from common.problems import Fault
from common.text import T
from declarations.checks.registry import render
from declarations.models import Declaration

Condition = Callable[[Declaration, Case], Fault | None]


def _missing(code: str, zh: str, en: str, pointer: str = "") -> Fault:
    return Fault(pointer, code, T(zh, en))


def manifest_required() -> bool:
    """Whether a declaration without a manifest bill in this system waits for one."""
    return bool(settings.MANIFEST_REQUIRED)


def manifest(declaration: Declaration, case: Case) -> Fault | None:
    """The manifest bill is there (Customs Law art. 14), where this instance receives the manifests."""
    if case.consignment is None:
        return (
            _missing("manifest", "没有对应的舱单提运单", "No manifest has this bill") if manifest_required() else None
        )
    if case.consignment.deleted_at is not None:
        return _missing("manifest-deleted", "舱单提运单已删除", "The manifest bill was deleted")
    return None


def manifest_agrees(declaration: Declaration, case: Case) -> Fault | None:
    """The goods are those of the manifest bill, as it is now: it may have come, or changed, after acceptance."""
    if case.consignment is None:
        return None
    found = goods.not_seen(declaration, case.consignment)
    return Fault(found[0].pointer, found[0].code, render(found[0].code, found[0].params)) if found else None


def arrived(declaration: Declaration, case: Case) -> Fault | None:
    if case.consignment is None:
        return None
    row = case.consignment
    if row.arrived_at is None and (declaration.direction == "E" or row.voyage.arrived_at is None):
        return _missing("not-arrived", "货物尚未运抵", "The goods have not arrived")
    return None


def means_arrived(declaration: Declaration, case: Case) -> Fault | None:
    if case.consignment is not None and case.consignment.voyage.arrived_at is None:
        return _missing("not-arrived", "运输工具尚未抵港", "The means of transport has not arrived")
    return None


NOT_SELECTED = _missing("selection", "风险选查尚未完成", "Selection has not been made yet")


def selected(declaration: Declaration, case: Case) -> Fault | None:
    if case.selected_version != declaration.version:
        return NOT_SELECTED
    if case.lane == Case.Lane.REVIEW and case.reviewed_at is None:
        return _missing("review", "待人工审核", "An officer has to look at it")
    return None


def no_request(declaration: Declaration, case: Case) -> Fault | None:
    if declaration.change_requests.filter(state=ChangeRequest.State.PENDING).exists():
        return _missing("change-request", "有待审核的修撤单申请", "A request to amend or withdraw is pending")
    return None


def holds(declaration: Declaration, case: Case) -> Fault | None:
    kinds = sorted(
        Hold.objects.standing()
        .filter(reference__in=references.of(declaration))
        .values_list("kind", flat=True)
        .distinct()
    )
    if kinds:
        return Fault("", "hold", T("有未解除的扣留：{k}", "A hold stands: {k}", k=", ".join(kinds)))
    return None


def inspection(declaration: Declaration, case: Case) -> Fault | None:
    return _inspection(declaration)


def port_inspection(declaration: Declaration, case: Case) -> Fault | None:
    return _inspection(declaration, InspectionOrder.Stage.PORT)


def _inspection(declaration: Declaration, stage: str = "") -> Fault | None:
    orders = InspectionOrder.objects.filter(declaration=declaration)
    if stage:
        orders = orders.filter(stage=stage)
    if orders.filter(state=InspectionOrder.State.ORDERED).exists():
        return _missing("inspection", "查验尚未完成", "Inspection is not finished")
    if orders.filter(state=InspectionOrder.State.DIFFERENCE, settled_at=None).exists():
        return _missing("difference", "查验发现的差异尚未处理", "A difference found is not settled")
    if PenaltyCase.objects.filter(declaration=declaration, closed_at=None).exists():
        return _missing("penalty", "处罚案件尚未结案", "A penalty case is open")
    return None


def duty_paid(declaration: Declaration, case: Case) -> Fault | None:
    """Duties are paid or guaranteed before release (Customs Law art. 29)."""
    return next(iter(duties.standing(declaration)), None)


def summary_guarantee(declaration: Declaration, case: Case) -> Fault | None:
    """Dutiable goods of a summary go only against a guarantee that covers them (GACC 2019 No. 127)."""
    if summary_goods.covered(declaration):
        return None
    return _missing("guarantee", "涉税概要申报须有足额有效担保", "A dutiable summary needs a guarantee that covers it")


def site(declaration: Declaration, case: Case) -> Fault | None:
    """Goods of some kinds are cleared only where a supervision site is designated for them: where they were transferred to,
    else where they arrived, else where their firm has them handed over."""
    if declaration.direction != "I" or declaration.lodged_at is None:
        return None
    day = legal_day(declaration.lodged_at)
    codes = declaration.goodsitem_set.values_list("commodity_code", flat=True)
    offices = [declaration.customs_office, declaration.border_customs_office]
    for code, category in places.categories(codes, day).items():
        arrival = case.consignment.arrival_place if case.consignment else ""
        known = (arrival or case.place) if MODES[case.mode].service else (case.place or arrival)
        if known and places.takes(known, category, day):
            continue
        if known or not places.sites(category, day, offices):
            return Fault("", "site", T("商品 {c} 须在指定监管场地办理", "Goods of {c} need a designated site", c=code))
    return None


def service_offered(declaration: Declaration, case: Case) -> Fault | None:
    day = legal_day(declaration.lodged_at or declaration.created_at)
    if not places.offers(case.place, MODES[case.mode].service, day):
        return _missing("not-offered", "港区未开展此项服务", "The port area does not offer the service")
    return None


def full_declaration(declaration: Declaration, case: Case) -> Fault | None:
    if (declaration.document_type or "").ljust(3)[2] != "6":
        return _missing("full-declaration", "尚未完整申报", "The full declaration is missing")
    return None


def _confirmed(step: str, zh: str, en: str) -> Condition:
    def condition(declaration: Declaration, case: Case) -> Fault | None:
        return None if case.confirmations.filter(step=step).exists() else _missing(step.replace("_", "-"), zh, en)

    return condition


CONDITIONS: dict[str, Condition] = {
    "manifest": manifest,
    "manifest_agrees": manifest_agrees,
    "arrived": arrived,
    "means_arrived": means_arrived,
    "selected": selected,
    "no_request": no_request,
    "holds": holds,
    "inspection": inspection,
    "port_inspection": port_inspection,
    "duty": duty_paid,
    "summary_guarantee": summary_guarantee,
    "site": site,
    "service_offered": service_offered,
    "full_declaration": full_declaration,
    "departure_confirmed": _confirmed("departure_confirmed", "离港尚未确认", "Departure is not confirmed"),
    "transit_departed": _confirmed("transit_departed", "转关货物尚未起运", "The transit has not departed"),
    "transit_arrived": _confirmed("transit_arrived", "转关货物尚未运抵", "The transit has not arrived"),
    "allowed_in": _confirmed("allowed_in", "尚未准许入境", "Not allowed in yet"),
    "allowed_for_use": _confirmed("allowed_for_use", "尚未合格入市", "Not allowed for sale or use yet"),
}


def missing(declaration: Declaration, case: Case, names: tuple[str, ...]) -> list[Fault]:
    """Every condition of ``names`` that is not fulfilled."""
    return [fault for name in names if (fault := CONDITIONS[name](declaration, case)) is not None]


def open_for(declaration: Declaration, case: Case) -> list[Fault]:
    """What the declaration waits for before release, for people; nothing once it is released."""
    if declaration.state not in ("accepted", "held", "under_inspection"):
        return []
    return missing(declaration, case, MODES[case.mode].release)


def first_open(declaration: Declaration, case: Case) -> Fault | None:
    """The first of what :func:`open_for` would list; asks no further."""
    if declaration.state not in ("accepted", "held", "under_inspection"):
        return None
    found = (CONDITIONS[name](declaration, case) for name in MODES[case.mode].release)
    return next((fault for fault in found if fault is not None), None)
