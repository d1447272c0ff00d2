"""Reports on goods a manifest has announced: arrival in the supervised area, loading, tally, and the trip of a vehicle.

The order is enforced: advance manifest, arrival, declaration, release, loading, tally. A report that comes too early is
refused with its reason and kept with its message; its sender repeats it under a new message id."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from cargo.fields import FUNCTIONS, MessageType
from cargo.message import Message
from cargo.models import Consignment, MeansOfTransport, Voyage
from events.log import append
from parties.principals import Principal

#: response code, reason code, Chinese, English
Outcome = tuple[str, str, str, str]

OK: Outcome = ("01", "accepted", "海关接受申报", "Accepted")
REPEATED: Outcome = ("01", "repeated", "内容与已接受的相同", "The same as what was accepted before")
UNKNOWN: Outcome = (
    "03",
    "no-such-bill",
    "没有此提运单的舱单，请先传输舱单",
    "No manifest has this bill; lodge it first",
)
NO_TRIP: Outcome = ("03", "no-such-trip", "没有此车次（航次）的舱单", "No manifest announced this trip")
REPORTED: Outcome = ("03", "already-reported", "已有不同内容的报告，请用变更报文", "Reported otherwise; send a change")
NOT_ARRIVED: Outcome = ("03", "not-arrived", "货物尚未运抵", "The goods have not arrived")
NOT_RELEASED: Outcome = ("12", "not-released", "海关尚未放行，拒绝装载", "Not released by customs; loading refused")
NOT_LOADED: Outcome = ("03", "not-loaded", "尚无装载报告", "Not reported as loaded")
TOO_MANY: Outcome = ("03", "more-than-declared", "件数多于舱单", "More packages than the manifest says")
FUTURE: Outcome = ("03", "in-the-future", "发生时间晚于当前时间", "Says it happened in the future")
LET_GO: Outcome = ("03", "already-released", "货物已放行，由海关更正", "The goods are released; customs corrects it")
BOUND: Outcome = ("03", "declared", "已有报关单关联，不能撤回", "A declaration refers to it; it cannot be withdrawn")

TOLERANCE = timedelta(minutes=15)


def report(message: Message, what: MessageType, now: datetime, principal: Principal) -> Iterator[tuple[str, Outcome]]:
    """The outcome for each bill of the message, applied as it goes; called in the transaction of the message."""
    if what.kind == "conveyance":
        yield from _conveyance(message, what, now, principal)
        return
    apply = {"arrival": _arrival, "loading": _loading, "tally": _tally}[what.kind]
    found = {
        one.bill_number: one
        for one in Consignment.objects.live()
        .select_for_update(of=("self",))
        .select_related("manifest", "voyage")
        .filter(
            manifest__number=message["number"],
            bill_number__in=[bill["bill_number"] for bill in message["consignments"]],
            audience__contains=[principal.organisation_id],
        )
        .order_by("bill_number", "pk")
        if what.kind == "arrival" or one.direction == what.direction
    }
    for bill in message["consignments"]:
        consignment = found.get(bill["bill_number"])
        at = bill.get("occurred_at") or message.get("arrival_at") or message.get("loading_at") or message["sent_at"]
        if consignment is None:
            yield bill["bill_number"], UNKNOWN
        elif at > now + TOLERANCE:
            yield bill["bill_number"], FUTURE
        else:
            yield bill["bill_number"], apply(consignment, bill, message, at, principal)


def _say(consignment: Consignment, type_: str, at: datetime, principal: Principal, **data: Any) -> None:
    consignment.save()
    append(
        type=type_,
        subject=("consignment", consignment.reference),
        actor=principal.actor,
        audience=consignment.audience,
        occurred_at=at,
        data={"bill_number": consignment.bill_number, "voyage": consignment.voyage.number, **data},
    )


def _arrival(consignment: Consignment, bill: Message, message: Message, at: datetime, principal: Principal) -> Outcome:
    function = FUNCTIONS[message["function_code"]]
    place = message.get("unloading_place") or message.get("loading_place") or ""
    if function == "delete":
        if consignment.arrived_at is None:
            return NOT_ARRIVED
        if consignment.declaration_number:
            return BOUND
        consignment.arrived_at, consignment.arrival_place = None, ""
        _say(consignment, "consignment.arrival_withdrawn", at, principal)
        return OK
    if consignment.arrived_at is not None and function != "change":
        return REPEATED if consignment.arrived_at == at else REPORTED
    if bill.get("packages") is not None and bill["packages"] > consignment.packages:
        return TOO_MANY
    consignment.arrived_at, consignment.arrival_place = at, place
    _say(consignment, "consignment.arrived", at, principal, place=place, containers=_boxes(bill))
    return OK


def _loading(consignment: Consignment, bill: Message, message: Message, at: datetime, principal: Principal) -> Outcome:
    if consignment.loaded_at is not None:
        if consignment.loaded_at == at:
            return REPEATED
        if FUNCTIONS[message["function_code"]] != "change" or consignment.tallied_at is not None:
            return REPORTED
    if consignment.arrived_at is None:
        return NOT_ARRIVED
    if consignment.released_at is None:
        return NOT_RELEASED
    if bill.get("packages") is not None and bill["packages"] > consignment.packages:
        return TOO_MANY
    consignment.loaded_at = at
    _say(consignment, "consignment.loaded", at, principal, containers=_boxes(bill))
    return OK


def _tally(consignment: Consignment, bill: Message, message: Message, at: datetime, principal: Principal) -> Outcome:
    if consignment.tallied_at is not None and FUNCTIONS[message["function_code"]] != "change":
        same = consignment.tallied_at == at and consignment.tallied_packages == bill.get("packages")
        return REPEATED if same else REPORTED
    if consignment.direction == "E" and consignment.loaded_at is None:
        return NOT_LOADED
    if consignment.direction == "I" and consignment.voyage.arrived_at is None and consignment.arrived_at is None:
        return NOT_ARRIVED
    consignment.tallied_at, consignment.tallied_packages = at, bill.get("packages")
    _say(
        consignment, "consignment.tallied", at, principal, packages=bill.get("packages"), containers=_boxes(bill),
        difference=None if bill.get("packages") is None else bill["packages"] - consignment.packages,
    )  # fmt: skip
    return OK


def _boxes(bill: Message) -> list[str]:
    return [box["number"] for box in bill["equipment"]]


def _conveyance(
    message: Message, what: MessageType, now: datetime, principal: Principal
) -> Iterator[tuple[str, Outcome]]:
    """A vehicle crosses the border (承运确报): the actual arrival or departure of the trip its manifest announced."""
    trips = list(
        Voyage.objects.select_for_update(of=("self",))
        .select_related("means")
        .filter(
            carrier_id=principal.organisation_id,
            direction=what.direction,
            number=message.get("voyage_number") or message["number"],
        )
        .order_by("-pk")
    )
    what_happened = "arrived" if what.direction == "I" else "departed"
    for bill in message["consignments"] or [{}]:
        at = bill.get("occurred_at") or message["sent_at"]
        voyage = _of_vehicle(trips, bill.get("means_id", ""))
        if voyage is None:
            yield bill.get("bill_number", ""), NO_TRIP
            continue
        if FUNCTIONS[message["function_code"]] == "delete":
            yield bill.get("bill_number", ""), withdraw(voyage, what_happened, principal)
            continue
        if at > now + TOLERANCE:
            yield bill.get("bill_number", ""), FUTURE
            continue
        if bill.get("means_id"):
            voyage.means, _ = MeansOfTransport.objects.get_or_create(
                mode=voyage.mode, identity=bill["means_id"], defaults={"name": bill.get("means_name", "")}
            )
        change = FUNCTIONS[message["function_code"]] == "change"
        yield bill.get("bill_number", ""), record(voyage, what_happened, at, principal, change=change)


def _of_vehicle(trips: list[Voyage], identity: str) -> Voyage | None:
    """The trip of the vehicle that is named; else one whose vehicle nobody has named yet, else the only one (its vehicle was
    changed). Where no vehicle is named, the latest."""
    if not identity:
        return trips[0] if trips else None
    named = [one for one in trips if one.means is not None and one.means.identity == identity]
    unnamed = [one for one in trips if one.means is None]
    only = trips if len(trips) == 1 else []
    return next(iter(named or unnamed or only), None)


#: what -> (field of the voyage, event)
MILESTONES = {
    "departed": ("departed_at", "voyage.departed"),
    "arrived": ("arrived_at", "voyage.arrived"),
    "entry_declared": ("entry_declared_at", "voyage.entry_declared"),
}


def record(voyage: Voyage, what: str, at: datetime, principal: Principal, *, change: bool = False) -> Outcome:
    """An actual time of a trip whose row the caller has locked. The first report holds; another time must be a change, which
    is the carrier's until goods of the trip are released, and customs' after that."""
    field, event = MILESTONES[what]
    known = getattr(voyage, field)
    if known == at:
        return REPEATED
    if known is not None:
        if not change:
            return REPORTED
        if not principal.is_officer and voyage.consignments.filter(deleted_at=None, released_at__isnull=False).exists():
            return LET_GO
    setattr(voyage, field, at)
    if what == "arrived" and voyage.direction == "I" and voyage.mode == "4" and voyage.entry_declared_at == known:
        voyage.entry_declared_at = at  # a road vehicle declares its entry at the border, with its arrival
    voyage.save()
    audience = {voyage.carrier_id}
    for ids in voyage.consignments.filter(deleted_at=None).values_list("audience", flat=True):
        audience.update(ids)
    append(
        type=event,
        subject=("voyage", voyage.reference),
        actor=principal.actor,
        audience=audience,
        occurred_at=at,
        data={"mode": voyage.mode, "direction": voyage.direction, "voyage": voyage.number},
    )
    return OK


def withdraw(voyage: Voyage, what: str, principal: Principal) -> Outcome:
    """Take back a trip's arrival or departure; not once a declaration refers to goods of the trip."""
    field, _ = MILESTONES[what]
    if getattr(voyage, field) is None:
        return NOT_ARRIVED
    if voyage.consignments.filter(deleted_at=None).exclude(declaration_number="").exists():
        return BOUND
    setattr(voyage, field, None)
    if what == "arrived" and voyage.mode == "4":
        voyage.entry_declared_at = None
    voyage.save()
    append(
        type="voyage.report_withdrawn",
        subject=("voyage", voyage.reference),
        actor=principal.actor,
        audience=[voyage.carrier_id],
        data={"voyage": voyage.number, "what": what},
    )
    return OK
