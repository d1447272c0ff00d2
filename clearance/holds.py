"""Placing and lifting holds. See :mod:`clearance.references` for the locks."""

from __future__ import annotations

import re

from django.db import transaction
from django.utils import timezone

from cargo import equipment
from cargo.models import Consignment
from clearance import references
from clearance.models import Hold
from common.problems import Fault, conflict, invalid, not_found
from common.text import T
from declarations.models import Declaration
from events.log import append
from parties.models import Officer, OrganisationRole
from parties.principals import SYSTEM, Principal

REFERENCE = re.compile(r"(declaration:[A-Z0-9]{1,18}|bill:[A-Za-z0-9/_.*-]{1,35}|container:[A-Z]{4}\d{7})")

#: Which holds an organisation of a role may place.
ROLES = {
    OrganisationRole.CARRIER: "carrier",
    OrganisationRole.MULTIMODAL_OPERATOR: "carrier",
    OrganisationRole.TERMINAL: "terminal",
    OrganisationRole.INSPECTION_AGENCY: "inspection",
    OrganisationRole.CUSTOMS_OFFICE: "customs",
}


#: Which holds an officer places and lifts, by duty.
DUTIES = {
    "customs": (Officer.Duty.RISK, Officer.Duty.RELEASE),
    "duty": (Officer.Duty.DUTIES,),
    "inspection": (Officer.Duty.INSPECTION,),
}


def kinds(principal: Principal) -> set[str]:
    if principal is SYSTEM:
        return set(DUTIES)
    if principal.is_officer:
        return {kind for kind, duties in DUTIES.items() if any(principal.has_duty(duty) for duty in duties)}
    return {kind for role, kind in ROLES.items() if role in principal.roles}


def place(*, reference: str, kind: str, reason: str, holder_reference: str, principal: Principal) -> Hold:
    """Place a hold; the same holder's reference again is the same hold. A declaration may be called by either of its
    numbers. Raises Problem 404, 409, 422."""
    reference = references.canonical(reference)
    faults = []
    if not REFERENCE.fullmatch(reference):
        faults.append(
            Fault(
                "/reference",
                "reference",
                T(
                    "应为 declaration:、bill: 或 container: 加编号",
                    "Write declaration:, bill: or container: and a number",
                ),
            )
        )
    elif reference.startswith("container:"):
        faults += equipment.check(reference.partition(":")[2], "/reference")
    if kind not in kinds(principal):
        faults.append(Fault("/kind", "kind", T("您不能作此类扣留", "You may not place this kind of hold")))
    if not reason.strip():
        faults.append(Fault("/reason", "required", T("须说明原因", "A reason is needed")))
    if faults:
        raise invalid(faults)
    with transaction.atomic():
        references.lock([reference])
        known = Hold.objects.filter(holder_id=principal.organisation_id, holder_reference=holder_reference).first()
        if known is not None:
            if (known.reference, known.kind) != (reference, kind):
                raise conflict(
                    "reference-reused", T("编号已用于另一项扣留", "This reference was used for another hold")
                )
            return known
        declarations = references.declarations(reference)
        if not _concerned(reference, declarations, principal):
            raise not_found()
        audience = {pk for row in declarations for pk in row.parties} | {principal.organisation_id}
        audience |= _cargo_audience(reference)
        hold = Hold.objects.create(
            reference=reference,
            kind=kind,
            reason=reason,
            holder_id=principal.organisation_id,
            holder_reference=holder_reference,
            audience=sorted(pk for pk in audience if pk is not None),
            placed_by=principal.actor,
            after_release=bool(declarations) and all(row.released_at is not None for row in declarations),
        )
        _say("hold.placed", hold, principal)
    return hold


def lift(*, pk: str, principal: Principal) -> Hold:
    """Lift a hold; only its holder (or, for customs' own, an officer) may. Lifting a lifted one changes nothing."""
    with transaction.atomic():
        rows = Hold.objects.filter(pk=pk)
        if principal.is_officer or principal is SYSTEM:
            rows = rows.filter(kind__in=kinds(principal))
        else:
            rows = rows.filter(holder_id=principal.organisation_id)
        hold = rows.first()
        if hold is None:
            raise not_found()
        references.lock([hold.reference])
        hold = Hold.objects.select_for_update().get(pk=hold.pk)
        if hold.lifted_at is None:
            hold.lifted_at, hold.lifted_by = timezone.now(), principal.actor
            hold.save(update_fields=["lifted_at", "lifted_by"])
            _say("hold.lifted", hold, principal)
    return hold


def _concerned(reference: str, declarations: list[Declaration], principal: Principal) -> bool:
    """Carriers, terminals and agencies hold only goods they have to do with; a container may be held before any goods
    are known for it."""
    if principal.is_customs or principal is SYSTEM:
        return True
    if OrganisationRole.INSPECTION_AGENCY in principal.roles:
        return bool(declarations)
    kind, _, number = reference.partition(":")
    rows = Consignment.objects.live().visible_to(principal)
    if kind == "declaration":
        return rows.filter(cases__declaration__unified_number=number).exists()
    if kind == "bill":
        return rows.filter(bill_number=number).exists()
    return (
        rows.filter(stuffings__equipment_id=number).exists()
        or not Consignment.objects.live().filter(stuffings__equipment_id=number).exists()
    )


def _cargo_audience(reference: str) -> set[int]:
    kind, _, number = reference.partition(":")
    field = {
        "declaration": "cases__declaration__unified_number",
        "bill": "bill_number",
        "container": "stuffings__equipment_id",
    }[kind]
    found: set[int] = set()
    for ids in Consignment.objects.live().filter(**{field: number}).values_list("audience", flat=True)[:50]:
        found.update(ids)
    return found


def _say(type_: str, hold: Hold, principal: Principal) -> None:
    append(
        type=type_,
        subject=("hold", str(hold.pk)),
        actor=principal.actor,
        audience=hold.audience,
        data={"reference": hold.reference, "kind": hold.kind, "after_release": hold.after_release},
    )
