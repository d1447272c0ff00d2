"""Release once: the one fact that terminal, carrier and firm ask for. It comes about only here, when everything the mode
asks for is fulfilled; PostgreSQL refuses it while a hold stands."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from cargo.models import Consignment
from clearance import cases, conditions, goods, inspections, references, selection, summary_goods
from clearance.models import Case, GateMove, Hold, InspectionOrder, Release
from clearance.modes import MODES
from common.problems import Fault, Problem
from common.text import T
from declarations.decisions import require_in_charge
from declarations.models import Declaration
from declarations.moves import move
from events.log import append
from parties.principals import SYSTEM, Principal


def attempt(number: str, *, principal: Principal = SYSTEM) -> str:
    """Release as far as can be: "final", "pickup", or "" where something is missing. Idempotent; waits for nobody."""
    with transaction.atomic():
        declaration = references.locked(number, state="accepted")
        return attempt_locked(declaration, cases.open_case(declaration), principal) if declaration is not None else ""


def attempt_locked(declaration: Declaration, case: Case, principal: Principal = SYSTEM) -> str:
    """:func:`attempt` for an accepted declaration that the caller has locked, with its case."""
    mode = MODES[case.mode]
    if not conditions.missing(declaration, case, mode.release):
        _final(declaration, case, principal)
        return "final"
    if (
        mode.pickup
        and not declaration.releases.filter(stage="pickup").exists()
        and not conditions.missing(declaration, case, mode.pickup)
        and ("summary_guarantee" not in mode.pickup or summary_goods.secure(declaration, principal))
    ):
        _pickup(declaration, case, principal)
        return "pickup"
    return ""


def close(number: str) -> bool:
    """Close a released declaration (结关) when its goods have gone: imports out of the gate, exports loaded; at once
    where this instance knows no manifest for it. Returns whether it was closed."""
    with transaction.atomic():
        declaration = references.locked(number, state="released")
        if declaration is None:
            return False
        return close_locked(declaration, Case.objects.filter(declaration=declaration).first())


def close_locked(declaration: Declaration, case: Case | None) -> bool:
    """:func:`close` for a released declaration that the caller has locked, with its case."""
    row = case.consignment if case else None
    if row is not None:
        if declaration.direction == "E" and row.loaded_at is None:
            return False
        if declaration.direction == "I" and not _gone(row, declaration):
            return False
    move(declaration, "clear", SYSTEM)
    return True


def _gone(row: Consignment, declaration: Declaration) -> bool:
    """All containers of an import have left by a gate: of a bill that several declare, its own; loose goods count as gone
    when they were tallied."""
    boxes = set(row.stuffings.values_list("equipment_id", flat=True))
    if not boxes:
        return row.tallied_at is not None
    boxes = boxes & set(declaration.container_set.values_list("container_number", flat=True)) or boxes
    out = GateMove.objects.filter(
        container__in=boxes, move="GTOT", fullness="LADEN", permitted=True, recorded_at__gte=row.created_at
    )
    return boxes <= set(out.values_list("container", flat=True))


def to_close() -> QuerySet[Declaration]:
    """Released declarations: their goods may have gone by now."""
    return Declaration.objects.filter(state="released")


def review(*, number: str, principal: Principal) -> Case:
    """An officer of the office of declaration has looked at what selection sent to review; release may follow by itself.
    Raises Problem 404, 403."""
    seen = cases.visible(number, principal)
    if not (principal.is_officer and principal.has_duty("examination")):
        raise Problem(403, "not-your-duty", T("不属您的职责", "This is not among your duties"))
    with transaction.atomic():
        declaration = references.locked(seen.unified_number)
        assert declaration is not None
        require_in_charge(declaration, principal, "examination")
        case = cases.open_case(declaration)
        if case.reviewed_at is None:
            case.reviewed_at = timezone.now()
            case.save(update_fields=["reviewed_at"])
            append(
                type="clearance.reviewed",
                subject=("clearance", declaration.unified_number),
                actor=principal.actor,
                audience=[],
                data={"version": declaration.version},
            )
    return case


def guard(declaration: Declaration) -> list[Fault]:
    """What stands in the way of a release through whatever door (declarations.decisions asks this): everything the mode
    asks for. Selection is made now where the worker has not come to it, so that nobody is quicker than the rules. What it
    sends to inspection stops this release; the refusal takes the orders back with everything else, and the worker makes them
    again. An officer who releases what it sent to review has looked at it."""
    references.lock(references.of(declaration))
    case = cases.open_case(declaration)
    selection.select_locked(declaration, case)
    names = tuple(name for name in MODES[case.mode].release if name != "selected")
    return conditions.missing(declaration, case, names)


def note(declaration: Declaration, principal: Principal) -> None:
    """The release as a fact that gates and carriers ask for, whichever door it came through; in its transaction."""
    _note(declaration, cases.open_case(declaration), principal)


def _note(declaration: Declaration, case: Case, principal: Principal) -> None:
    row, made = Release.objects.get_or_create(
        declaration=declaration,
        stage="final",
        defaults={"actor": principal.actor, "conditions": list(MODES[case.mode].release)},
    )
    if made and case.consignment_id is not None:
        goods.release(case.consignment_id, at=row.at, principal=principal)


def _pickup(declaration: Declaration, case: Case, principal: Principal) -> None:
    row = Release.objects.create(
        declaration=declaration, stage="pickup", actor=principal.actor, conditions=list(MODES[case.mode].pickup)
    )
    append(
        type="clearance.pickup_released",
        subject=("clearance", declaration.unified_number),
        actor=principal.actor,
        audience=_audience(declaration, case),
        occurred_at=row.at,
        data={"mode": case.mode, "customs_number": declaration.customs_number or ""},
    )
    inspections.go_to_destination(declaration, principal)


def _final(declaration: Declaration, case: Case, principal: Principal) -> None:
    move(declaration, "release", principal, data={"mode": case.mode})
    _note(declaration, case, principal)


def _audience(declaration: Declaration, case: Case) -> list[int]:
    return sorted({*declaration.parties, *(case.consignment.audience if case.consignment else [])})


def waiting() -> QuerySet[Declaration]:
    """Accepted declarations that might be releasable."""
    return Declaration.objects.filter(state="accepted", case__selected_version__gt=0)


#: States of a declaration in which goods do not leave, whatever was released before.
STOPPED = ("held", "returned", "rejected", "withdrawn")


def stands(declaration: Declaration) -> bool:
    """Whether the goods may leave: released, at least for pick-up, and neither stopped nor held since. What waits for its
    inspection at the destination may go there."""
    return bool(standing([declaration]))


def standing(declarations: Sequence[Declaration]) -> set[int]:
    """Of several declarations those whose goods may leave (:func:`stands`), by primary key."""
    let_go = set(Release.objects.filter(declaration__in=declarations).values_list("declaration_id", flat=True))
    stages: dict[int, set[str]] = {
        row.pk: set() for row in declarations if row.state == "under_inspection" and row.pk in let_go
    }
    if stages:
        open_ = InspectionOrder.objects.open().filter(declaration__in=stages)
        for pk, stage in open_.values_list("declaration_id", "stage"):
            stages[pk].add(stage)
    at_port = {pk for pk, found in stages.items() if found != {InspectionOrder.Stage.DESTINATION}}
    free = [row for row in declarations if row.pk in let_go - at_port and row.state not in STOPPED]
    references_of = references.of_each(free) if free else {}
    every = {one for found in references_of.values() for one in found}
    held = set(Hold.objects.standing().filter(reference__in=every).values_list("reference", flat=True))
    return {pk for pk, found in references_of.items() if held.isdisjoint(found)}
