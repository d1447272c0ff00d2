"""Who sees how much of a bill they may see at all (:meth:`bills.models.BillQuerySet.visible_to`)."""

from __future__ import annotations

import enum
from typing import Any

from bills.content import parties
from bills.models import Act, Bill, Version
from parties.principals import Principal


class Sight(enum.Enum):
    #: Issuer, holder, pledgee, and authorities: everything.
    WHOLE = "whole"
    #: Named in the version in force: its content and the journey; not in whose hands or pledge the bill is.
    NAMED = "named"
    #: Who held it, had it in pledge or was named before: the last version it had to do with.
    PAST = "past"


def in_hand(bill: Bill, principal: Principal) -> bool:
    own = principal.organisation_id
    return principal.is_authority or (own is not None and own in (bill.issuer_id, bill.holder_id, bill.pledgee_id))


def names(content: dict[str, Any]) -> set[int]:
    """The registered organisations that a content names."""
    return {party["organisation"] for _, party in parties(content) if party.get("organisation")}


def of(bill: Bill, principal: Principal) -> tuple[Sight, Version | None]:
    """How much ``principal`` sees, and which version; no version for a draft."""
    own = principal.organisation_id or 0
    versions = list(bill.versions.order_by("-number"))
    if in_hand(bill, principal):
        return Sight.WHOLE, versions[0] if versions else None
    if versions and own in names(versions[0].content):
        return Sight.NAMED, versions[0]
    took_part = set(
        (Act.objects.filter(bill=bill, actor_id=own) | Act.objects.filter(bill=bill, recipient_id=own)).values_list(
            "version", flat=True
        )
    )
    for version in versions:
        if version.number in took_part or own in names(version.content):
            return Sight.PAST, version
    return Sight.PAST, None
