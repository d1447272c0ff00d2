"""What higher apps ask of a consignment and tell it: which one a declaration means, that it is declared, released."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cargo.models import Consignment
from events.log import append
from parties.principals import Principal


def find(*, bill_number: str, voyage_number: str = "", direction: str) -> Consignment | None:
    """The live consignment a declaration's bill and voyage mean. Where several remain, the one of the latest trip."""
    rows = Consignment.objects.live().filter(bill_number=bill_number, direction=direction)
    if voyage_number:
        rows = rows.filter(voyage__number=voyage_number)
    return rows.select_related("manifest", "voyage").order_by("-created_at", "-pk").first()


def claim(consignment_id: int, *, declaration_number: str, audience: Iterable[int]) -> Consignment | None:
    """Bind a consignment to the declaration that covers it; from now on changes need an officer. None if gone.

    Called in the caller's transaction; locks the consignment."""
    row = Consignment.objects.live().select_for_update().filter(pk=consignment_id).first()
    if row is None:
        return None
    row.declaration_number = row.declaration_number or declaration_number
    row.audience = sorted(set(row.audience) | set(audience))
    row.save(update_fields=["declaration_number", "audience", "updated_at"])
    return row


def unclaim(declaration_number: str) -> None:
    """The declaration is withdrawn: its consignments are free for another one."""
    Consignment.objects.filter(declaration_number=declaration_number, released_at=None).update(declaration_number="")


def release(declaration_number: str, *, at: datetime, principal: Principal) -> list[Consignment]:
    """Customs released the goods of this declaration: loading is allowed. Locks its consignments in order."""
    rows = list(
        Consignment.objects.live()
        .select_for_update(of=("self",))
        .select_related("manifest", "voyage")
        .filter(declaration_number=declaration_number, released_at=None)
        .order_by("pk")
    )
    for row in rows:
        row.released_at = at
        row.save(update_fields=["released_at", "updated_at"])
        append(
            type="consignment.released",
            subject=("consignment", row.reference),
            actor=principal.actor,
            audience=row.audience,
            occurred_at=at,
            data={"bill_number": row.bill_number, "voyage": row.voyage.number, "declaration": declaration_number},
        )
    return rows


def recall(declaration_number: str) -> None:
    """A release was taken back before the goods left."""
    Consignment.objects.filter(declaration_number=declaration_number, loaded_at=None).update(released_at=None)
