"""The second step of a two-step declaration (两步申报): the full declaration, under the summary's number.

Both are one declaration: digit 3 of the document type is 5 in the summary and 6 in the full one. The summary's goods may be
picked up (clearance.release); the full declaration is due 14 days after the means of transport's entry declaration."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.db import transaction

from clearance import cases, references, requests
from clearance.models import Case, Deadline
from common.days import today
from common.problems import Fault, conflict, invalid, not_found
from common.text import T
from declarations import lodgement
from declarations.models import Declaration
from declarations.moves import move, revise
from parties.principals import Principal

#: Members that bind the two steps: the full declaration may add to the summary, not stand for other goods.
BOUND = (
    "direction", "customs_office", "transport_document_number", "voyage_number", "transport_mode", "customs_procedure",
    "domestic_party_code",
)  # fmt: skip

#: Members that a pick-up rests on besides; what the summary left out may be added.
PICKED_UP_WITH = tuple(name for name in requests.RESTS_ON if name not in (*BOUND, "document_type", "client_reference"))


def complete(
    *, number: str, message: dict[str, Any], principal: Principal, style: lodgement.Style = "json"
) -> Declaration:
    """Lodge the full declaration of an accepted summary. Raises Problem 404, 403, 409 (no summary that waits), 422."""
    seen = cases.visible(number, principal)
    with transaction.atomic():
        declaration = references.locked(seen.unified_number)
        if declaration is None:
            raise not_found()
        lodgement.require_lodger(declaration, principal)
        case = cases.open_case(declaration)
        if case.mode != "two_step" or _stage(declaration.document_type) != "5":
            raise conflict(
                "no-summary",
                T("此报关单不是待完整申报的概要申报", "This is no summary that waits for its full declaration"),
            )
        if declaration.state != "accepted":
            raise conflict("state", T("概要申报尚未被接受", "The summary is not accepted (yet)"))
        faults = _binding(message, declaration)
        faults += lodgement.faults_of(message, "declare", style)
        # A summary may name its party by the customs code alone: the credit code that is added must be the same party's.
        if faults := faults or lodgement.bound_faults(message, declaration):
            raise invalid(faults)
        former = declaration.parties
        revise(declaration, message, counted=False)
        declaration.version += 1
        declaration.versions.create(
            version=declaration.version, message=message, reason="完整申报", actor=principal.actor
        )
        late = _late(case)
        move(
            declaration,
            "complete",
            principal,
            data={"late_days": late},
            former=former,
            version=declaration.version,
            risk_score=None,
        )
        Deadline.objects.filter(case=case, kind=Deadline.Kind.FULL_DECLARATION, met_at=None).update(
            met_at=declaration.state_since
        )
    return declaration


def _stage(document_type: str) -> str:
    return (document_type or "").ljust(3)[2]


def _binding(message: Any, declaration: Declaration) -> list[Fault]:
    """Why a message cannot be the full declaration of this summary."""
    if not isinstance(message, dict):
        return []
    faults = []
    if _stage(str(message.get("document_type") or "")) != "6":
        faults.append(
            Fault(
                "/document_type",
                "not-full",
                T("完整申报的单据类型第三位应为 6", "Digit 3 of a full declaration's type is 6"),
            )
        )
    for name, mine in (("unified_number", declaration.unified_number), ("customs_number", declaration.customs_number)):
        if message.get(name) and message[name] != mine:
            faults.append(Fault(f"/{name}", "other-number", T("与概要申报的编号不同", "Not the number of the summary")))
    reference = message.get("client_reference")
    if reference and declaration.client_reference and reference != declaration.client_reference:
        faults.append(
            Fault("/client_reference", "other-number", T("与概要申报的编号不同", "Not the number of the summary"))
        )
    faults += [
        Fault(f"/{name}", "differs-from-summary", T("与概要申报不一致", "Differs from the summary"))
        for name in BOUND
        if getattr(declaration, name) and (message.get(name) or "") != getattr(declaration, name)
    ]
    if declaration.releases.exists():
        now = declaration.message
        faults += [
            requests.stays(f"/{name}")
            for name in PICKED_UP_WITH
            if now.get(name) and _said(message, name) != _said(now, name)
        ]
    return faults


def _said(message: dict[str, Any], name: str) -> Any:
    """A member as far as a pick-up rests on it: of the containers which they are."""
    value = message.get(name)
    if name != "containers":
        return value
    rows = value if isinstance(value, list) else []
    return {row.get("container_number") for row in rows if isinstance(row, dict)}


def due_on(case: Case) -> date | None:
    """14 days from the means' entry declaration, moved on from a day off; None while that is not known."""
    from clearance import deadlines

    if case.consignment is None or case.consignment.voyage.entry_declared_at is None:
        return None
    return deadlines.last_day(case.consignment.voyage.entry_declared_at, days=14)


def _late(case: Case) -> int:
    due = due_on(case)
    return max((today() - due) // timedelta(days=1), 0) if due else 0
