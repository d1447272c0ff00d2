"""The bill along the way: what carriers report of each leg, where the goods are, the papers that stand under the bill, and
the delivery at the end, bound to the accepted surrender and to release by customs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from bills import departing, recording, sources
from bills.models import Act, Bill, BillState, DeliveryOrder, Involvement, Leg, LegEvent, Paper, Succession
from bills.numbering import next_number
from bills.sources import Declared
from common.problems import Fault, Problem, conflict, invalid, not_found
from common.text import T
from events.log import append
from parties.principals import Principal

#: States in which goods travel under the bill.
TRAVELLING = frozenset(
    {BillState.ISSUED, BillState.SURRENDERED, BillState.ACCEPTED, BillState.AMENDING, BillState.PAPER, BillState.LEAVING,
     BillState.AWAY}
)  # fmt: skip


#: How far the clock of who reports may run ahead of ours.
AHEAD = timedelta(minutes=10)


def faults_of(
    *, kind: str, occurred_at: datetime, leg: int | None, container: str, boxes: Collection[str] | None
) -> list[Fault]:
    """What is wrong with a leg's report in itself. ``boxes`` are the bill's containers; None: not known."""
    found = []
    if kind not in LegEvent.Kind.values:
        found.append(Fault("/kind", "unknown-kind", T("没有此类事件", "There is no such kind of event")))
    if occurred_at.tzinfo is None:
        found.append(Fault("/occurred_at", "time-without-zone", T("时间须带时区", "A time needs its offset from UTC")))
    elif occurred_at > timezone.now() + AHEAD:
        found.append(Fault("/occurred_at", "in-the-future", T("尚未发生", "This has not happened yet")))
    if leg is None and kind != LegEvent.Kind.DAMAGED:
        found.append(Fault("/leg", "leg-missing", T("须指明区段", "The leg has to be named")))
    if container and boxes is not None and container not in boxes:
        found.append(
            Fault("/container", "container-unknown", T("提单下没有此箱", "The container is not under this bill"))
        )
    return found


def must_travel(state: str) -> None:
    """Raises Problem 409 where no goods travel under a bill in ``state``."""
    if state not in TRAVELLING:
        raise conflict("state-conflict", T("提单下没有在途货物", "No goods travel under this bill"))


@transaction.atomic
def report(
    *, number: str, principal: Principal, kind: str, occurred_at: datetime, leg: int | None = None, place: str = "",
    container: str = "", remark: str = "",
) -> LegEvent:  # fmt: skip
    """A leg event, from the leg's carrier or the operator. The same report twice is one; an older one arriving late does
    not move the goods back. Damage needs its leg: it decides whose liability rules apply (Civil Code arts 839-842)."""
    bill = recording.lock(number, principal)
    reporter = recording.caller(principal)
    boxes = set(bill.containers.values_list("number", flat=True)) if container else None
    faults = faults_of(kind=kind, occurred_at=occurred_at, leg=leg, container=container, boxes=boxes)
    found = bill.legs.filter(sequence=leg).first() if leg is not None else None
    if leg is not None and found is None:
        faults.append(Fault("/leg", "unknown-leg", T("没有此区段", "There is no such leg")))
    if faults:
        raise invalid(faults)
    if reporter.pk != bill.issuer_id and (found is None or found.carrier_id != reporter.pk):
        raise Problem(
            409,
            "not-the-carrier",
            T("只有该区段承运人或经营人可以报送", "Only the leg's carrier or the operator reports"),
        )
    must_travel(bill.state)
    made, new = LegEvent.objects.get_or_create(
        bill=bill, leg=leg, kind=kind, occurred_at=occurred_at, container=container,
        defaults={"place": place, "remark": remark, "reporter": reporter},
    )  # fmt: skip
    if not new:
        return made
    if found is not None:
        _live(found, kind, occurred_at)
    _touch(bill)
    append(
        type=f"bill.leg_{kind}",
        subject=("bill", bill.number),
        actor=principal.actor,
        audience={pk for pk in (bill.issuer_id, bill.holder_id, bill.pledgee_id, reporter.pk) if pk},
        data={"leg": leg, "place": place, "container": container, "remark": remark},
        occurred_at=occurred_at,
    )
    return made


def _touch(bill: Bill) -> None:
    bill.updated_at = timezone.now()
    bill.save(update_fields=["updated_at"])


def _live(leg: Leg, kind: str, occurred_at: datetime) -> None:
    """A leg begins with the first departure and ends with the last arrival, in whatever order they are told."""
    if kind == LegEvent.Kind.DEPARTED:
        leg.actual_departure = min(leg.actual_departure or occurred_at, occurred_at)
    elif kind == LegEvent.Kind.ARRIVED:
        leg.actual_arrival = max(leg.actual_arrival or occurred_at, occurred_at)
    else:
        return
    leg.save(update_fields=["actual_departure", "actual_arrival"])


def carry_over(old: list[Bill], new: Bill) -> None:
    """What the journey has brought so far goes with the goods into ``new``: events of the legs and damages by container,
    actual times, and the papers whose containers are in it (those that list none go with every part)."""
    boxes = set(new.containers.values_list("number", flat=True))
    events = LegEvent.objects.filter(bill__in=old).filter(Q(container="") | Q(container__in=boxes)).order_by("id")
    LegEvent.objects.bulk_create(
        [
            LegEvent(
                bill=new, leg=event.leg, kind=event.kind, occurred_at=event.occurred_at, recorded_at=event.recorded_at,
                place=event.place, container=event.container, remark=event.remark, reporter=event.reporter,
            )
            for event in events.select_related("reporter")
        ],
        ignore_conflicts=True,
    )  # fmt: skip
    legs = {leg.sequence: leg for leg in new.legs.all()}
    for event in events:
        if event.leg in legs:
            _live(legs[event.leg], event.kind, event.occurred_at)
    for paper in Paper.objects.filter(bill__in=old).order_by("id"):
        found = sources.declared(paper.number) if paper.kind in DIRECTIONS else None
        if found is None or not found.containers or found.containers & boxes:
            Paper.objects.get_or_create(
                bill=new, kind=paper.kind, number=paper.number, defaults={"released_at": paper.released_at}
            )


def whereabouts(bill: Bill) -> dict[str, Any]:
    """Where the goods are, from what was reported latest by the time it happened; and each container where they are not
    all in one place."""
    legs = {leg.sequence: leg for leg in bill.legs.all()}
    events = list(bill.leg_events.exclude(kind=LegEvent.Kind.DAMAGED).order_by("-occurred_at", "-id"))
    found = where(events[0] if events else None, legs)
    if any(event.container for event in events):
        found["containers"] = [
            {"container": number, **where(next((e for e in events if e.container in ("", number)), None), legs)}
            for number in bill.containers.order_by("number").values_list("number", flat=True)
        ]
    return found


def where(latest: LegEvent | None, legs: dict[int, Leg]) -> dict[str, Any]:
    """Where the goods are after the event ``latest``."""
    if latest is None or latest.leg not in legs:
        first = legs.get(1)
        return {"status": "not_departed", "leg": None, "place": first.origin if first else "", "since": None}
    leg = legs[latest.leg]
    status, place = {
        "loaded": ("loaded", latest.place or leg.origin),
        "departed": ("under_way", latest.place or leg.origin),
        "arrived": ("arrived", latest.place or leg.destination),
        "transferred": ("transferred", latest.place or leg.destination),
        "delivered": ("delivered", latest.place or leg.destination),
    }.get(latest.kind, (latest.kind, latest.place))
    return {"status": status, "leg": latest.leg, "place": place, "since": latest.occurred_at}


def segment_of_damage(bill: Bill, occurred_at: datetime, container: str = "") -> int | None:
    """The leg on which ``container`` (all of them, where none is named) was under way at the time, by what was reported of
    it or of the whole; None where that cannot be known."""
    before = Q(kind=LegEvent.Kind.DEPARTED, occurred_at__lte=occurred_at)
    # What happened at the moment of arrival happened on the leg.
    before |= Q(kind=LegEvent.Kind.ARRIVED, occurred_at__lt=occurred_at)
    events = list(bill.leg_events.filter(before).order_by("-occurred_at", "-leg", "-id"))
    boxes = [container] if container else list(bill.containers.values_list("number", flat=True)) or [""]
    found = set()
    for box in boxes:
        last = next((event for event in events if event.container in ("", box)), None)
        found.add(last.leg if last and last.kind == LegEvent.Kind.DEPARTED else None)
    return found.pop() if len(found) == 1 else None


def damages(bill: Bill) -> list[dict[str, Any]]:
    """Each damage with the segment it belongs to: the one reported, else the one under way at the time."""
    return [
        {
            "occurred_at": event.occurred_at,
            "container": event.container,
            "remark": event.remark,
            "leg": event.leg or segment_of_damage(bill, event.occurred_at, event.container),
            "by": "report" if event.leg else "time",
        }
        for event in bill.leg_events.filter(kind=LegEvent.Kind.DAMAGED)
    ]


# Papers -----------------------------------------------------------------------------------------------------------
#: Declarations are known to the house: they stand under a bill only where they name it, in the direction meant.
DIRECTIONS = {Paper.Kind.IMPORT: "I", Paper.Kind.EXPORT: "E"}


def _numbers(bill: Bill) -> set[str]:
    """Numbers a declaration may name the bill by: its own, and those of the bills it came out of."""
    found, wave = {bill.number}, [bill.pk]
    while wave:
        rows = list(Succession.objects.filter(new_id__in=wave).values_list("old_id", "old__number"))
        wave = [pk for pk, number in rows if number not in found]
        found |= {number for _, number in rows}
    return found


def _fits(bill: Bill, kind: str, found: Declared | None) -> bool:
    return found is not None and found.direction == DIRECTIONS[kind] and found.bill in _numbers(bill)  # type: ignore[index]


def _keeper(bill: Bill, principal: Principal) -> None:
    """Issuer, holder and the agent for delivery keep the papers of a bill; others who may see it do not."""
    own = principal.organisation_id
    agent = bill.involved.filter(organisation_id=own or 0, role=Involvement.Role.AGENT)
    if own is None or (own not in (bill.issuer_id, bill.holder_id) and not agent.exists()):
        raise Problem(
            409,
            "not-of-the-papers",
            T(
                "只有签发人、持有人或提货代理可以关联或解除单证",
                "Only issuer, holder or the agent for delivery link and unlink papers",
            ),
        )


@transaction.atomic
def link(*, number: str, principal: Principal, kind: str, paper: str) -> Paper:
    """A declaration, manifest or port paper stands under the bill. Linked by its number; a declaration has to name this
    bill, and may be released already."""
    bill = recording.lock(number, principal)
    if kind not in Paper.Kind.values:
        raise invalid([Fault("/kind", "unknown-kind", T("没有此类单证", "There is no such kind of paper"))])
    _keeper(bill, principal)
    if bill.ended or bill.state == BillState.DRAFT:
        raise conflict("state-conflict", T("提单未签发或已终结", "The bill is not issued, or has ended"))
    found = sources.declared(paper) if kind in DIRECTIONS else None
    if kind in DIRECTIONS and not _fits(bill, kind, found):
        raise invalid(
            [
                Fault(
                    "/number",
                    "declaration-of-another-bill" if found else "declaration-unknown",
                    T(
                        "没有以此提单为提运单号的该类报关单",
                        "There is no such declaration that names this bill as its transport document",
                    ),
                )
            ]
        )
    paper = found.number if found else paper  # a declaration has two numbers, and is linked once
    made, new = Paper.objects.get_or_create(bill=bill, kind=kind, number=paper)
    if new:
        _touch(bill)
        append(
            type="bill.paper_linked", subject=("bill", bill.number), actor=principal.actor,
            audience={pk for pk in (bill.issuer_id, bill.holder_id, principal.organisation_id) if pk},
            data={"kind": kind, "number": paper},
        )  # fmt: skip
    if found is not None and found.released_at is not None:
        _released(made, found.released_at)
    return made


@transaction.atomic
def unlink(*, number: str, principal: Principal, kind: str, paper: str) -> None:
    """Take a paper from under the bill. A declaration that stands and names the bill stays: delivery waits for it."""
    bill = recording.lock(number, principal)
    _keeper(bill, principal)
    said = sources.declared(paper) if kind in DIRECTIONS else None
    numbers = {paper, said.number if said else paper}
    found = Paper.objects.select_for_update().filter(bill=bill, kind=kind, number__in=numbers).first()
    if found is None:
        raise not_found()
    if bill.ended or (said is not None and said.stands and _fits(bill, kind, said)):
        raise conflict(
            "paper-stands",
            T("此报关单有效且以本提单为提运单号", "This declaration stands and names this bill, or the bill has ended"),
        )
    found.delete()
    _touch(bill)
    append(
        type="bill.paper_unlinked", subject=("bill", bill.number), actor=principal.actor,
        audience={pk for pk in (bill.issuer_id, bill.holder_id, principal.organisation_id) if pk},
        data={"kind": kind, "number": found.number},
    )  # fmt: skip


def note_releases(numbers: Iterable[str], *, at: datetime | None = None) -> int:
    """Declarations of these numbers are released: say so on the bills they stand under. Again changes nothing."""
    count = 0
    for bill_id, pk in (
        Paper.objects.filter(number__in=list(numbers), released_at=None)
        .order_by("bill_id", "id")
        .values_list("bill_id", "pk")
    ):
        with transaction.atomic():
            # The bill first, as every command does.
            bill = Bill.objects.select_for_update().get(pk=bill_id)
            paper = bill.papers.filter(pk=pk, released_at=None).first()
            if paper is not None:
                _released(paper, at or timezone.now())
                count += 1
    return count


def _released(paper: Paper, at: datetime) -> None:
    if paper.released_at is not None:
        return
    paper.released_at = at
    paper.save(update_fields=["released_at"])
    _touch(paper.bill)
    append(
        type="bill.paper_released", subject=("bill", paper.bill.number), actor="system",
        audience={pk for pk in (paper.bill.issuer_id, paper.bill.holder_id) if pk},
        data={"kind": paper.kind, "number": paper.number},
    )  # fmt: skip


def _look_again(bill: Bill) -> None:
    """Releases no hint told of: of another province, or given between a link and its commit."""
    for paper in bill.papers.filter(kind__in=DIRECTIONS, released_at=None).select_for_update(of=("self",)):
        found = sources.declared(paper.number)
        if found is not None and found.released_at is not None:
            _released(paper, found.released_at)


# Delivery ---------------------------------------------------------------------------------------------------------
def obstacles(bill: Bill) -> list[Fault]:
    """What keeps a delivery order from being issued or used."""
    found = []
    if bill.state != BillState.ACCEPTED:
        found.append(
            Fault("", "not-surrendered", T("提单尚未交单并被接受", "The bill is not surrendered and accepted"))
        )
    papers = list(bill.papers.filter(kind=Paper.Kind.IMPORT))
    content = bill.versions.get(number=bill.version).content if bill.version else {}
    places = content.get("places", {})
    ends = [places.get(name, {}) for name in ("receipt", "delivery")]
    origin, destination = ((end.get("unlocode") or end.get("country", ""))[:2] for end in ends)
    # What another country's customs asks for is not lodged here.
    if destination == "CN" != origin and not papers:
        found.append(
            Fault(
                "",
                "no-declaration",
                T("进境货物名下没有进口报关单", "No import declaration stands under a bill into the country"),
            )
        )
    found += [
        Fault(
            "",
            "not-released",
            T("报关单 {number} 尚未放行", "Declaration {number} is not released", number=paper.number),
        )
        for paper in papers
        if paper.released_at is None
    ]
    return found


def _refuse(found: list[Fault]) -> None:
    if found:
        raise Problem(409, found[0].code, T("不能交付", "Cannot be delivered"), errors=found)


@transaction.atomic
def order_delivery(*, number: str, principal: Principal) -> DeliveryOrder:
    """The delivery order to the last holder, once the surrender is accepted and every import declaration released."""
    bill = recording.lock(number, principal)
    if bill.issuer_id != principal.organisation_id:
        raise Problem(409, "not-the-issuer", T("只有签发人可以办理", "Only the issuer may do this"))
    if existing := DeliveryOrder.objects.filter(bill=bill).first():
        return existing
    _look_again(bill)
    _refuse(obstacles(bill))
    surrender = (
        Act.objects.filter(bill=bill, code__in=("SURRENDER_FOR_DELIVERY", "SURRENDERED_AWAY"))
        .order_by("-sequence")
        .first()
    )
    assert surrender is not None
    order = DeliveryOrder.objects.create(
        bill=bill, number=next_number("bills_delivery_number", "DO"), to=bill.holder, surrender=surrender.checksum
    )
    append(
        type="bill.delivery_ordered", subject=("bill", bill.number), actor=principal.actor,
        audience={pk for pk in (bill.issuer_id, bill.holder_id) if pk}, data={"delivery_order": order.number},
    )  # fmt: skip
    return order


@transaction.atomic
def deliver(
    *, number: str, principal: Principal, order: str, to: int | None = None, comments: str = "", signed: str = ""
) -> Act:  # fmt: skip
    """Hand the goods over against the delivery order, to the last holder and no one else. ``to`` is left out only where
    that one is not registered here: it surrendered on another platform."""
    bill = recording.lock(number, principal)
    issuer = recording.caller(principal)
    if to is None and bill.holder_id is not None:
        raise invalid([Fault("/to", "recipient-missing", T("须指明提货人", "Who takes the goods has to be named"))])
    recipient = recording.addressee(to, "/to")
    found = DeliveryOrder.objects.select_for_update().filter(bill=bill, number=order).first()
    if found is None:
        raise conflict("no-delivery-order", T("没有此提货单", "There is no such delivery order"))
    _look_again(bill)
    _refuse(obstacles(bill))
    kept = recording.record(
        bill, "DELIVER", actor=issuer, by=principal.actor, recipient=recipient,
        recipient_party=None if recipient else departing.party_abroad(bill, "holder"), comments=comments,
        details={"deliveryOrder": order}, signed=signed,
    )  # fmt: skip
    found.used_at = timezone.now()
    found.save(update_fields=["used_at"])
    return kept
