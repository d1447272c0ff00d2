"""Gate moves. A laden container leaves only when all goods in it are released and nothing holds it; refused attempts are
kept as well."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from cargo import equipment
from cargo.models import Consignment
from clearance import goods, references
from clearance.models import GateMove, Hold
from clearance.release import stands
from common.problems import Fault, Problem, conflict, invalid
from common.text import T
from declarations.models import Container, Declaration
from events.log import append
from parties.models import OrganisationRole
from parties.principals import Principal

TOLERANCE = timedelta(minutes=15)
REPORTERS = frozenset({OrganisationRole.TERMINAL, OrganisationRole.CARRIER, OrganisationRole.MULTIMODAL_OPERATOR})

REASONS = {
    "not-released": T("货物尚未放行", "The goods are not released"),
    "not-declared": T("箱内货物尚未申报", "Goods in the container are not declared"),
    "hold": T("有未解除的扣留", "A hold stands"),
}


def record(
    *, message_id: str, container: str, move: str, fullness: str, place: str, at: datetime, principal: Principal,
    truck: str = "", seal: str = "",
) -> GateMove:  # fmt: skip
    """Record a gate move, or that it was refused (``permitted`` false). The same message again gets the same answer.

    Raises Problem 403, 422 or 409 (message id used for another move)."""
    if not principal.roles & REPORTERS:
        raise Problem(403, "not-permitted", T("闸口记录由场站、承运人报送", "Terminals and carriers report gate moves"))
    container = equipment.normal(container)
    faults = equipment.check(container, "/container")
    if at > timezone.now() + TOLERANCE:
        faults.append(Fault("/at", "in-the-future", T("发生时间晚于当前时间", "Says it happened in the future")))
    if faults:
        raise invalid(faults)
    with transaction.atomic():
        references.lock([f"container:{container}"])
        known = GateMove.objects.filter(reporter_id=principal.organisation_id, message_id=message_id).first()
        if known is not None:
            if (known.container, known.move, known.fullness, known.at) != (container, move, fullness, at):
                raise conflict(
                    "message-id-reused", T("报文编号已用于另一记录", "This message id was used for another move")
                )
            return known
        declarations = _declarations(container)
        reasons = _reasons(container, declarations) if (move, fullness) == ("GTOT", "LADEN") else []
        audience = {pk for row in declarations for pk in row.parties} | {principal.organisation_id}
        for ids in _consignments(container).values_list("audience", flat=True):
            audience.update(ids)
        row = GateMove.objects.create(
            reporter_id=principal.organisation_id or 0,
            message_id=message_id,
            container=container,
            move=move,
            fullness=fullness,
            place=place,
            truck=truck,
            seal=seal,
            at=at,
            permitted=not reasons,
            reasons=reasons,
            declarations=[one.unified_number for one in declarations],
            audience=sorted(pk for pk in audience if pk is not None),
        )
        append(
            type="gate.passed" if row.permitted else "gate.refused",
            subject=("gate_move", f"{row.pk}"),
            actor=principal.actor,
            audience=row.audience,
            occurred_at=at,
            data={
                "container": container, "move": move, "fullness": fullness, "place": place, "reasons": reasons,
                "declarations": row.declarations,
            },
        )  # fmt: skip
    return row


def refusal(row: GateMove) -> Problem:
    """409 for a move that was not permitted, with each reason."""
    return Problem(
        409,
        "gate-refused",
        T("不准出闸", "The container may not leave"),
        errors=[Fault("/container", code, REASONS[code]) for code in row.reasons],
    )


def _consignments(container: str) -> QuerySet[Consignment]:
    """Goods in the container: of the latest trip it is known for."""
    rows = Consignment.objects.live().filter(stuffings__equipment_id=container)
    last = rows.order_by("-created_at", "-pk").values_list("voyage_id", flat=True).first()
    return rows.filter(voyage_id=last) if last is not None else rows.none()


def _declarations(container: str) -> list[Declaration]:
    """Declarations of the goods now in the container: those of the latest trip's bills, else the last that names it."""
    bills = list(_consignments(container).values_list("pk", flat=True))
    if bound := goods.in_container(bills, container):
        return bound
    rows = Declaration.objects.exclude(state__in=goods.GONE)
    pks = Container.objects.filter(container_number=container).values_list("declaration_id", flat=True)
    last = rows.filter(pk__in=list(pks[:200])).order_by("-pk").first()
    return [last] if last else []


def _reasons(container: str, declarations: list[Declaration]) -> list[str]:
    found = set()
    bills = list(_consignments(container))
    if any(one.direction == "E" for one in bills) and not any(one.direction == "I" for one in bills):
        return ["hold"] if _held(container) else []
    imports = [one.pk for one in bills if one.direction == "I"]
    if not declarations or any(not goods.claimants(pk).exists() for pk in imports):
        found.add("not-declared")
    for declaration in declarations:
        if not declaration.releases.exists():
            found.add("not-released")
        elif not stands(declaration):
            found.add("hold")
    if _held(container):
        found.add("hold")
    return sorted(found)


def _held(container: str) -> bool:
    return Hold.objects.standing().filter(reference=f"container:{container}").exists()
