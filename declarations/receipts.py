"""Receipts are a reading of the event log: which CHANNEL codes the events of a declaration stand for."""

from __future__ import annotations

from typing import Any

from common.days import legal_day
from common.text import T
from declarations import reasons
from declarations.lifecycle import CHANNELS, LIFECYCLE
from declarations.models import Declaration
from declarations.wire.receipts import BusinessReceipt
from events.models import Event
from parties.principals import Principal
from refdata import codes

_COMMANDS = {row.event: row.command for row in LIFECYCLE.transitions.values()}


def events_of(declaration: Declaration, principal: Principal, after: int = 0) -> list[Event]:
    """The events of a declaration that the caller may read, in their order. An officer may read all."""
    found = Event.objects.filter(
        subject_kind="declaration", subject_number=declaration.unified_number, sequence__gt=after
    ).order_by("sequence")
    if not principal.is_officer and not principal.is_superuser:
        found = found.filter(audience__contains=[principal.organisation_id])
    return list(found)


def note(event: Event) -> str:
    """What an event says to a person: the reason given, or the name of what happened."""
    said = event.data
    if reason := said.get("reason_code"):
        text = reasons.name(_COMMANDS.get(event.type, ""), reason)
    else:
        text = said.get("reason", "")
    return " ".join(part for part in (text, said.get("note", "")) if part)


def receipts(declaration: Declaration, events: list[Event]) -> list[BusinessReceipt]:
    """The receipts these events cause. The customs number is known from J on; the day of declaration is that of the first
    lodgement, whatever was amended since."""
    declared = legal_day(declaration.lodged_at) if declaration.lodged_at else None
    return [
        BusinessReceipt(
            channel=channel,
            noticed_at=event.occurred_at,
            unified_number=declaration.unified_number,
            customs_number=event.data.get("customs_number") or "",
            note=note(event) or channel_name(channel),
            customs_office=declaration.customs_office,
            border_crossing_date=declaration.border_crossing_date,
            declared_on=declared,
        )
        for event in events
        for channel in CHANNELS.get(event.type, ())
    ]


def channel_name(channel: str) -> str:
    try:
        return codes.name("receipt_channel", channel)
    except codes.NotLoaded:
        return channel


#: What the public may know of a declaration's way, in its words.
MILESTONES: dict[str, Any] = {
    "declaration.lodged": T("已申报", "lodged"),
    "declaration.accepted": T("已接受申报", "accepted"),
    "declaration.inspection_ordered": T("查验", "inspection"),
    "declaration.inspection_finished": T("查验完毕", "inspection finished"),
    "declaration.returned": T("退回修改", "returned for amendment"),
    "declaration.amended": T("已修改", "amended"),
    "declaration.rejected": T("退单", "rejected"),
    "declaration.released": T("已放行", "released"),
    "declaration.cleared": T("已结关", "cleared"),
    "declaration.withdrawn": T("已撤销", "withdrawn"),
}


def milestones(unified_number: str) -> list[Event]:
    return list(
        Event.objects.filter(subject_kind="declaration", subject_number=unified_number, type__in=MILESTONES).order_by(
            "sequence"
        )
    )
