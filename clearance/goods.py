"""Which goods a declaration covers: the manifest bill it means, the other declarations of the same bill, in what they differ
from the manifest, and when the goods are let go.

A bill's goods are bound to a declaration's case. Several declarations may share one bill; the goods may be loaded once all
of them are released. A withdrawn or rejected declaration lays no claim to goods any more."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from django.db.models import QuerySet
from django.utils import timezone

from cargo import consignments, equipment
from cargo.models import Consignment
from clearance.models import Case, Deadline
from declarations.checks.registry import Finding, Severity
from declarations.models import Container, Declaration
from events.log import append
from parties.principals import SYSTEM, Principal

#: States in which a declaration lays no claim to goods.
GONE = ("draft", "withdrawn", "rejected")
LET_GO = ("released", "cleared")


def consignment_of(declaration: Declaration) -> Consignment | None:
    if not declaration.transport_document_number:
        return None
    return consignments.find(
        bill_number=declaration.transport_document_number,
        voyage_number=declaration.voyage_number,
        direction=declaration.direction,
    )


def claimants(consignment_id: int) -> QuerySet[Declaration]:
    """The declarations that share the goods of a bill."""
    return Declaration.objects.filter(case__consignment=consignment_id).exclude(state__in=GONE).order_by("pk")


def bind(case: Case, declaration: Declaration) -> None:
    """Bind the locked case to the manifest bill its declaration means now. What goods were let go for stays as it was."""
    bound = case.consignment
    if bound is not None and (_means(declaration, bound) or declaration.releases.exists()):
        return
    found = consignment_of(declaration)
    if bound is not None:
        if (
            found is None
            and bound.bill_number == declaration.transport_document_number
            and bound.deleted_at is not None
        ):
            return  # the bill was deleted and nothing took its place: release waits for it
        let_go(case)
    bind_to(case, declaration, found)


def _means(declaration: Declaration, row: Consignment) -> bool:
    return (
        row.deleted_at is None
        and row.bill_number == declaration.transport_document_number
        and row.direction == declaration.direction
        and declaration.voyage_number in ("", row.voyage.number)
    )


def bind_to(case: Case, declaration: Declaration, found: Consignment | None) -> None:
    if found is None:
        return
    if first := found.declaration_number:
        others = list(claimants(found.pk))
        if all(one.unified_number != first for one in others):
            consignments.unclaim(found.pk, declaration_number=first, audience=_parties(others))
    claimed = consignments.claim(found.pk, declaration_number=declaration.unified_number, audience=declaration.parties)
    if claimed is None:
        return
    case.consignment = found
    case.save(update_fields=["consignment"])
    append(
        type="clearance.matched",
        subject=("clearance", declaration.unified_number),
        actor=SYSTEM.actor,
        audience=sorted({*declaration.parties, *claimed.audience}),
        data={"consignment": found.reference, "bill_number": found.bill_number, "voyage": found.voyage.reference},
    )


def let_go(case: Case) -> None:
    """The locked case's declaration lays no claim to its goods any more: they are another's, or free; their limits run on."""
    bound = case.consignment
    if bound is None:
        return
    consignments.lock(bound.pk)
    case.consignment = None
    case.save(update_fields=["consignment"])
    others = list(claimants(bound.pk))
    heir = others[0].unified_number if others else ""
    consignments.unclaim(
        bound.pk, declaration_number=case.declaration.unified_number, heir=heir, audience=_parties(others)
    )
    if others:
        release(bound.pk, principal=SYSTEM)
    else:
        Deadline.objects.filter(consignment=bound, missed_at=None).update(met_at=None)


def _parties(declarations: Iterable[Declaration]) -> set[int]:
    return {one for declaration in declarations for one in declaration.parties}


def release(consignment_id: int, *, principal: Principal, at: datetime | None = None) -> None:
    """Let the goods of a bill go where every declaration of them is released: now they may be loaded."""
    consignments.lock(consignment_id)
    rows = list(claimants(consignment_id))
    if rows and all(row.state in LET_GO for row in rows):
        last = max(rows, key=lambda row: (row.released_at or row.created_at, row.pk))
        at = at or last.released_at or timezone.now()
        consignments.release(consignment_id, declaration_number=last.unified_number, at=at, principal=principal)


def in_container(consignment_ids: list[int], container: str) -> list[Declaration]:
    """The declarations of these bills' goods that lie in a container: those that name it; all of a bill where none does."""
    rows = list(
        Declaration.objects.filter(case__consignment__in=consignment_ids)
        .exclude(state__in=GONE)
        .select_related("case")
        .order_by("pk")
    )
    naming = set(
        Container.objects.filter(declaration__in=rows, container_number=container).values_list(
            "declaration_id", flat=True
        )
    )
    named = {row.case.consignment_id for row in rows if row.pk in naming}
    return [row for row in rows if row.pk in naming or row.case.consignment_id not in named]


# In what a declaration differs from its manifest bill.


def differences(declaration: Declaration, row: Consignment) -> list[Finding]:
    """Packages, weight and containers that are not those of the manifest bill. What several declarations of one bill declare
    is added up, and an officer looks at what remains; so with one that declares less alone, for the others may be yet to
    come. More than the manifest's is none of them."""
    others = _sharing(declaration)
    found = [*_quantities(declaration, others, row)]
    listed = set(row.stuffings.values_list("equipment_id", flat=True))
    declared = [equipment.normal(one) for one in declaration.container_set.values_list("container_number", flat=True)]
    found += [
        Finding(
            "manifest-container-unknown", Severity.ERROR, f"/containers/{index}/container_number", {"container": number}, 20
        )
        for index, number in enumerate(declared)
        if number not in listed
    ]  # fmt: skip
    elsewhere = {
        equipment.normal(one)
        for one in Container.objects.filter(declaration__in=others).values_list("container_number", flat=True)
    }
    if missing := sorted(listed - set(declared) - elsewhere):
        params = {"container": ", ".join(missing)}
        found.append(Finding("manifest-container-missing", Severity.REVIEW, "/containers", params, 20))
    return found


def _sharing(declaration: Declaration) -> list[Declaration]:
    """The other declarations under way of the same bill."""
    return list(
        Declaration.objects.filter(
            transport_document_number=declaration.transport_document_number, direction=declaration.direction,
            voyage_number=declaration.voyage_number,
        )
        .exclude(pk=declaration.pk)
        .exclude(state__in=(*GONE, "returned"))
    )  # fmt: skip


def _quantities(declaration: Declaration, others: list[Declaration], row: Consignment) -> list[Finding]:
    found = []
    for code, pointer, mine, listed in (
        ("packages", "package_count", declaration.package_count, row.packages),
        ("weight", "gross_weight", declaration.gross_weight, row.gross_mass),
    ):
        if mine is None:
            continue
        if not others:
            if mine != listed:
                params = {"declared": _plain(mine), "manifest": _plain(listed)}
                severity = Severity.REVIEW if mine < listed else Severity.ERROR
                found.append(Finding(f"manifest-{code}", severity, f"/{pointer}", params, 20))
            continue
        total = mine + sum(getattr(one, pointer) or 0 for one in others)
        if total != listed:
            params = {"declared": _plain(total), "count": len(others) + 1, "manifest": _plain(listed)}
            found.append(Finding(f"manifest-shared-{code}", Severity.REVIEW, f"/{pointer}", params, 20))
    return found


def _plain(value: Decimal | int) -> str | int:
    if isinstance(value, int):
        return value
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def not_seen(declaration: Declaration, row: Consignment) -> list[Finding]:
    """Differences that customs did not know when it accepted this version: found by the manifest's coming or changing
    since. What the checks told, and an officer accepted nevertheless, is settled."""
    found = differences(declaration, row)
    if not found:
        return []
    seen = [
        (one.code, one.pointer, one.params)
        for one in declaration.check_results.filter(version=declaration.version, check_name="manifest")
    ]
    return [one for one in found if (one.code, one.pointer, one.params) not in seen]
