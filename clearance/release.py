"""Release once: the one fact that terminal, carrier and firm ask for. It comes about only here, when everything the mode
asks for is fulfilled; PostgreSQL refuses it while a hold stands."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from cargo import consignments
from cargo.models import Consignment
from clearance import cases, conditions, references
from clearance.models import Case, GateMove, Release
from clearance.modes import MODES
from common.problems import Fault, Problem, not_found
from common.text import T
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
        if declaration.direction == "I" and not _gone(row):
            return False
    move(declaration, "clear", SYSTEM)
    return True


def _gone(row: Consignment) -> bool:
    """All containers of an import have left by a gate; loose goods count as gone when they were tallied."""
    boxes = set(row.stuffings.values_list("equipment_id", flat=True))
    if not boxes:
        return row.tallied_at is not None
    out = GateMove.objects.filter(
        container__in=boxes, move="GTOT", fullness="LADEN", permitted=True, recorded_at__gte=row.created_at
    )
    return boxes <= set(out.values_list("container", flat=True))


def to_close() -> QuerySet[Declaration]:
    """Released declarations: their goods may have gone by now."""
    return Declaration.objects.filter(state="released")


def release(*, number: str, principal: Principal, note: str = "") -> Declaration:
    """An officer releases. Raises Problem 404, 403, 409 with every condition that is not fulfilled."""
    seen = cases.visible(number, principal)
    if not (principal.is_officer and principal.has_duty("release")):
        raise Problem(403, "not-your-duty", T("不属您的职责", "This is not among your duties"))
    with transaction.atomic():
        declaration = references.locked(seen.unified_number)
        if declaration is None:
            raise not_found()
        case = cases.open_case(declaration)
        if case.lane == Case.Lane.REVIEW and case.reviewed_at is None:
            case.reviewed_at = timezone.now()
            case.save(update_fields=["reviewed_at"])
        faults = conditions.missing(declaration, case, MODES[case.mode].release)
        if faults:
            raise refused(faults)
        _final(declaration, case, principal, note)
    return declaration


def review(*, number: str, principal: Principal) -> Case:
    """An officer has looked at what selection sent to review; release may follow by itself."""
    seen = cases.visible(number, principal)
    if not (principal.is_officer and principal.has_duty("examination")):
        raise Problem(403, "not-your-duty", T("不属您的职责", "This is not among your duties"))
    with transaction.atomic():
        declaration = references.locked(seen.unified_number)
        assert declaration is not None
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


def refused(faults: list[Fault]) -> Problem:
    return Problem(
        409, "not-releasable", T("放行条件尚未全部满足", "Not everything release asks for is fulfilled"), errors=faults
    )


def guard(declaration: Declaration) -> list[Fault]:
    """What stands in the way of a release through whatever door (declarations.decisions asks this): everything the mode
    asks for where there is a case; holds, inspections, requests and duties in any event. Who releases has looked at it."""
    case = cases.open_case(declaration)
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
    if made:
        consignments.release(declaration.unified_number, at=row.at, principal=principal)


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


def _final(declaration: Declaration, case: Case, principal: Principal, remark: str = "") -> None:
    data = {"mode": case.mode} | ({"note": remark} if remark else {})
    move(declaration, "release", principal, data=data)
    _note(declaration, case, principal)


def _audience(declaration: Declaration, case: Case) -> list[int]:
    return sorted({*declaration.parties, *(case.consignment.audience if case.consignment else [])})


def waiting() -> QuerySet[Declaration]:
    """Accepted declarations that might be releasable."""
    return Declaration.objects.filter(state="accepted", case__selected_version__gt=0)


def stands(declaration: Declaration) -> bool:
    """Whether the goods may leave: released, at least for pick-up, and nothing holds them since."""
    return declaration.releases.exists() and conditions.holds(declaration, Case(declaration=declaration)) is None
