"""What higher apps ask of a consignment and tell it: which one a declaration means, that it is declared, released."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cargo.models import Consignment
from events.log import append
from events.models import Event
from parties.principals import Principal


def find(*, bill_number: str, voyage_number: str = "", direction: str) -> Consignment | None:
    """The live consignment a declaration's bill and voyage mean. Where several remain, the one of the latest trip."""
    rows = Consignment.objects.live().filter(bill_number=bill_number, direction=direction)
    if voyage_number:
        rows = rows.filter(voyage__number=voyage_number)
    return rows.select_related("manifest", "voyage").order_by("-created_at", "-pk").first()


def lock(consignment_id: int) -> None:
    """Hold the row until the end of the transaction, so that claims on it and its release come one after the other."""
    list(Consignment.objects.select_for_update().filter(pk=consignment_id).values_list("pk"))


def claim(consignment_id: int, *, declaration_number: str, audience: Iterable[int]) -> Consignment | None:
    """Bind a consignment to the declaration that covers it, or a part of it; from now on changes need an officer. The
    number kept is that of the first that claims it. None if gone.

    Called in the caller's transaction; locks the consignment."""
    row = Consignment.objects.live().select_for_update().filter(pk=consignment_id).first()
    if row is None:
        return None
    row.declaration_number = row.declaration_number or declaration_number
    row.audience = sorted(set(row.audience) | set(audience))
    row.save(update_fields=["declaration_number", "audience", "updated_at"])
    return row


def unclaim(consignment_id: int, *, declaration_number: str, heir: str = "", audience: Iterable[int] = ()) -> None:
    """A declaration claims these goods no more (withdrawn, rejected, of another bill now): they are ``heir``'s, another
    one that declares a part of them, or free. Seen from now on by those of the manifest, as its event named them, and by
    ``audience``, the parties of the declarations that still claim them.

    Called in the caller's transaction; locks the consignment."""
    row = Consignment.objects.select_for_update().get(pk=consignment_id)
    if row.declaration_number == declaration_number:
        row.declaration_number = heir
    declared = Event.objects.filter(
        subject_kind="consignment", subject_number=row.reference, type="consignment.declared"
    ).first()
    if declared is not None:
        row.audience = sorted({*declared.audience, *audience})
    row.save(update_fields=["declaration_number", "audience"])


def release(consignment_id: int, *, declaration_number: str, at: datetime, principal: Principal) -> None:
    """Customs released the goods, with this declaration the last of them: loading is allowed. Again changes nothing."""
    row = (
        Consignment.objects.live()
        .select_for_update(of=("self",))
        .select_related("manifest", "voyage")
        .filter(pk=consignment_id, released_at=None)
        .first()
    )
    if row is None:
        return
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
