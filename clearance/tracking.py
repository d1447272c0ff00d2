"""One key (一键跟踪): from any reference to one time line over everything known about the goods."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.core import signing
from django.db import connection
from django.utils import timezone

from cargo import equipment
from cargo.models import Consignment, Stuffing, Voyage
from clearance import conditions, times
from clearance.models import Case, Deadline, GateMove, Hold
from common.problems import Fault, Problem, invalid, not_found
from common.text import T, pick
from declarations import receipts
from declarations.lifecycle import State
from declarations.models import Container, Declaration
from events.models import Event
from parties.models import ApiClient
from parties.principals import Principal

#: event type -> (Chinese, English, is it a milestone everybody may see)
TYPES: dict[str, tuple[str, str, bool]] = {
    "voyage.announced": ("航次预报", "Trip announced", True),
    "voyage.planned": ("更新计划时间", "Planned times changed", False),
    "voyage.departed": ("离港", "Departed", True),
    "voyage.arrived": ("抵港", "Arrived", True),
    "voyage.entry_declared": ("运输工具申报进境", "Means of transport declared its entry", True),
    "consignment.declared": ("舱单传输", "Manifest lodged", True),
    "consignment.changed": ("舱单变更", "Manifest changed", False),
    "consignment.deleted": ("舱单删除", "Manifest bill deleted", False),
    "consignment.arrived": ("运抵监管场所", "Arrived in the supervised area", True),
    "consignment.loaded": ("装载", "Loaded", True),
    "consignment.tallied": ("理货", "Tallied", True),
    "declaration.lodged": ("申报", "Declared", True),
    "declaration.amended": ("修改", "Amended", False),
    "declaration.corrected": ("放行后修改", "Corrected after release", False),
    "declaration.completed": ("完整申报", "Full declaration lodged", True),
    "declaration.sent_to_review": ("人工审核", "Under review", False),
    "declaration.accepted": ("海关接受申报", "Accepted by customs", True),
    "declaration.rejected": ("退单", "Rejected", False),
    "declaration.returned": ("退回修改", "Returned for amendment", False),
    "declaration.held": ("挂起", "Held", False),
    "declaration.resumed": ("解除挂起", "Resumed", False),
    "declaration.inspection_ordered": ("布控查验", "Inspection ordered", False),
    "declaration.inspection_finished": ("查验完毕", "Inspection finished", False),
    "declaration.released": ("海关放行", "Released by customs", True),
    "declaration.cleared": ("结关", "Cleared", True),
    "declaration.withdrawn": ("撤销", "Withdrawn", False),
    "clearance.mode_chosen": ("选择通关模式", "Mode chosen", False),
    "clearance.confirmed": ("步骤确认", "Step confirmed", True),
    "clearance.pickup_released": ("提离放行", "Released for pick-up", True),
    "clearance.change_requested": ("申请修撤单", "Change requested", False),
    "clearance.change_decided": ("修撤单审核", "Change decided", False),
    "inspection.ordered": ("下达查验指令", "Inspection order", False),
    "inspection.booked": ("预约查验", "Inspection booked", False),
    "inspection.passed": ("查验通过", "Inspection passed", False),
    "inspection.difference": ("查验有差异", "Inspection found a difference", False),
    "inspection.settled": ("差异处理完毕", "Difference settled", False),
    "hold.placed": ("扣留", "Hold placed", False),
    "hold.lifted": ("解除扣留", "Hold lifted", False),
    "gate.passed": ("闸口通过", "Passed the gate", True),
    "gate.refused": ("闸口拒绝", "Refused at the gate", False),
    "duty.memo_issued": ("填发税单", "Duty memo issued", False),
    "duty.paid": ("税款缴纳", "Duties paid", False),
    "duty.refund_due": ("应退税款", "Refund of duties due", False),
    "duty.refunded": ("税款已退", "Duties given back", False),
    "duty.goods_guaranteed": ("概要申报货物税款担保", "Duties of the summary's goods guaranteed", False),
    "duty.guaranteed": ("税款担保", "Duties guaranteed", False),
    "deadline.near": ("期限临近", "Time limit near", False),
    "deadline.missed": ("逾期", "Time limit missed", False),
}

MAX_EVENTS = 500
#: Recorded this soon after it happened, an event was recorded as it happened.
AT_ONCE = timedelta(seconds=1)


@dataclass
class Found:
    """What a reference leads to."""

    reference: str
    declarations: list[Declaration] = field(default_factory=list)
    consignments: list[Consignment] = field(default_factory=list)
    voyages: list[Voyage] = field(default_factory=list)
    containers: list[str] = field(default_factory=list)
    bills: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.declarations or self.consignments or self.voyages or self.bills or self.containers)


def find(reference: str) -> Found:
    """Everything a declaration number, container, bill, voyage or one-bill number leads to, newest first."""
    found = Found(reference)
    if not re.fullmatch(r"[A-Za-z0-9/_.*-]{1,80}", reference):
        return found
    goods = Consignment.objects.live().select_related("manifest", "voyage__means", "voyage__carrier").order_by("-pk")
    filed = Declaration.objects.declared().order_by("-pk")
    if len(reference) == 18 and (reference.isdigit() or reference[0] in "IE"):
        name = "customs_number" if reference.isdigit() else "unified_number"
        found.declarations = list(filed.filter(**{name: reference})[:1])
    if not found.declarations and equipment.is_valid(equipment.normal(reference)):
        number = equipment.normal(reference)
        pks = list(
            Stuffing.objects.filter(equipment_id=number)
            .order_by("-consignment_id")
            .values_list("consignment_id", flat=True)[:10]
        )
        found.consignments = list(goods.filter(pk__in=pks)[:10]) if pks else []
        trip = found.consignments[0].voyage_id if found.consignments else None
        found.consignments = [one for one in found.consignments if one.voyage_id == trip]
        # sorted here: asked to sort by key, the planner may walk the whole key backwards
        pks = sorted(
            Container.objects.filter(container_number=number).values_list("declaration_id", flat=True)[:500],
            reverse=True,
        )[:5]
        latest = list(filed.filter(pk__in=pks)[:5]) if pks else []
        bills = {one.bill_number for one in found.consignments}
        found.declarations = [one for one in latest if one.transport_document_number in bills] or latest[:1]
        if found.consignments or found.declarations or GateMove.objects.filter(container=number).exists():
            found.containers = [number]
    elif not found.declarations:
        found.consignments = list(goods.filter(bill_number=reference)[:5])
        found.declarations = list(filed.filter(transport_document_number=reference)[:5])
        if not found:
            found.voyages = list(
                Voyage.objects.filter(number=reference).select_related("means", "carrier").order_by("-pk")[:1]
            )
            found.consignments = list(goods.filter(voyage__in=found.voyages)[:20]) if found.voyages else []
        if Event.objects.filter(subject_kind="bill", subject_number=reference).exists():
            found.bills = [reference]
    _widen(found)
    return found


def _widen(found: Found) -> None:
    """From declarations to their goods, from goods to their trips, and back."""
    known = {one.pk for one in found.consignments}
    if found.declarations and not found.consignments:
        # Two look-ups by key: asked to join them, the planner may walk all that is live.
        bound = Case.objects.filter(declaration__in=found.declarations, consignment__isnull=False)
        pks = sorted(set(bound.values_list("consignment_id", flat=True)))
        rows = Consignment.objects.live().select_related("manifest", "voyage__means", "voyage__carrier")
        found.consignments += [row for row in rows.filter(pk__in=pks)[:20] if row.pk not in known] if pks else []
    if found.consignments and not found.declarations:
        of = Case.objects.filter(consignment__in=found.consignments).values_list("declaration_id", flat=True)[:20]
        found.declarations = list(Declaration.objects.declared().filter(pk__in=list(of)).order_by("-pk"))
    trips = {one.pk for one in found.voyages}
    for one in found.consignments:
        if one.voyage_id not in trips:
            trips.add(one.voyage_id)
            found.voyages.append(one.voyage)
    if not found.containers:
        pks = [one.pk for one in found.consignments]
        boxes = (
            set(Stuffing.objects.filter(consignment_id__in=pks).values_list("equipment_id", flat=True)[:50])
            if pks
            else set()
        )
        declared = [one.pk for one in found.declarations]
        if declared:
            boxes |= set(
                Container.objects.filter(declaration_id__in=declared).values_list("container_number", flat=True)[:50]
            )
        found.containers = sorted(boxes - {""})


def subjects_of(found: Found) -> list[tuple[str, str]]:
    subjects = [("declaration", one.unified_number) for one in found.declarations]
    subjects += [("clearance", one.unified_number) for one in found.declarations]
    subjects += [("duty", one.unified_number) for one in found.declarations]
    subjects += [("consignment", one.reference) for one in found.consignments]
    subjects += [("voyage", one.reference) for one in found.voyages]
    subjects += [("bill", number) for number in found.bills]
    known = [one.created_at for one in found.consignments] + [one.created_at for one in found.declarations]
    since = min(known, default=None)
    if found.containers:
        moves = GateMove.objects.filter(container__in=found.containers)
        if since is not None:
            moves = moves.filter(at__gte=since - timedelta(days=30))
        subjects += [("gate_move", str(pk)) for pk in moves.order_by("-at").values_list("pk", flat=True)[:100]]
    references = [f"container:{one}" for one in found.containers]
    references += [f"declaration:{one.unified_number}" for one in found.declarations]
    references += [f"bill:{one.bill_number}" for one in found.consignments]
    if references:
        subjects += [
            ("hold", str(pk)) for pk in Hold.objects.filter(reference__in=references).values_list("pk", flat=True)[:50]
        ]
    return subjects


def _events(subjects: list[tuple[str, str]]) -> list[Event]:
    """All events of these subjects that stand, by the index of (kind, number, sequence): one probe per subject. Of too many,
    the newest."""
    if not subjects:
        return []
    kinds, numbers = zip(*subjects, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.id, e.type, e.subject_kind, e.subject_number, e.sequence, e.occurred_at, e.recorded_at, e.actor,"
            " e.audience, e.data"
            " FROM unnest(%s::text[], %s::text[]) AS s(kind, number)"
            " CROSS JOIN LATERAL (SELECT * FROM events_event x WHERE x.subject_kind = s.kind"
            "   AND x.subject_number = s.number ORDER BY x.sequence DESC LIMIT 100) e"
            " ORDER BY e.occurred_at DESC, e.recorded_at DESC LIMIT %s",
            [list(kinds), list(numbers), MAX_EVENTS],
        )
        rows = cursor.fetchall()
    found = []
    for row in reversed(rows):
        values = dict(zip(_COLUMNS, row, strict=True))
        if isinstance(values["data"], str):
            values["data"] = orjson.loads(values["data"])
        found.append(Event(**values))
    return _standing(found)


_COLUMNS = (
    "id", "type", "subject_kind", "subject_number", "sequence", "occurred_at", "recorded_at", "actor", "audience", "data",
)  # fmt: skip


#: Said again, the last of them is how it was: a report that was changed.
REPORTS = frozenset({
    "voyage.departed", "voyage.arrived", "voyage.entry_declared", "consignment.arrived", "consignment.loaded",
    "consignment.tallied",
})  # fmt: skip


def _standing(events: list[Event]) -> list[Event]:
    """Without reports that were changed or taken back since: a time that was wrong is in the log, not on the line."""
    since: dict[tuple[str, str], int] = {}
    for event in events:
        if event.type == "voyage.report_withdrawn":
            key = (event.subject_number, f"voyage.{event.data.get('what')}")
        elif event.type == "consignment.arrival_withdrawn":
            key = (event.subject_number, "consignment.arrived")
        elif event.type in REPORTS:
            key = (event.subject_number, event.type)
        else:
            continue
        since[key] = max(event.sequence, since.get(key, 0))
    return [one for one in events if one.sequence >= since.get((one.subject_number, one.type), 0)]


#: (move, fullness) of a gate move, for people.
MOVES = {
    ("GTOT", "EMPTY"): ("空箱出闸", "empty out"), ("GTIN", "LADEN"): ("重箱进闸", "laden in"),
    ("GTOT", "LADEN"): ("重箱出闸", "laden out"), ("GTIN", "EMPTY"): ("空箱还箱", "empty returned"),
}  # fmt: skip

#: What of an event's data a time line shows.
SHOWN = (
    "place", "container", "containers", "move", "fullness", "bill_number", "voyage", "packages", "mode", "step", "due_on",
    "reasons", "kind", "customs_number", "amount",
)  # fmt: skip


#: Subjects whose details all see who may see the goods; what a declaration goes through is told to whom the log tells it.
OF_THE_GOODS = frozenset({"voyage", "consignment", "gate_move"})


def timeline(reference: str, *, full: bool, viewer: int | None = None) -> dict[str, Any]:
    """The time line; without ``full`` milestones only, with neither people nor details. ``viewer`` is the organisation that
    looks, which sees of its declarations' events those that are told to it; None for customs. Raises Problem 404."""
    found = find(reference)
    if not found:
        raise not_found()
    events = sorted(_events(subjects_of(found)), key=_happened)
    entries = [entry for event in events if (entry := _entry(event, full, viewer)) is not None]
    names = _names(entry["actor"] for entry in entries if "actor" in entry)
    for entry in entries:
        if "actor" in entry:
            entry["said_by"] = names.get(entry.pop("actor"), "")
    own = [one for one in found.declarations if full and (viewer is None or viewer in one.parties)]
    for plan in _planned(found, own):
        bisect.insort(entries, plan, key=lambda entry: entry["at"])
    answer: dict[str, Any] = {
        "reference": reference,
        "detail": "full" if full else "milestones",
        "entries": entries,
        "next": next_step(found, told=len(own) == len(found.declarations)),
    }
    if found.declarations and reference in (found.declarations[0].unified_number, found.declarations[0].customs_number):
        answer |= _of_declaration(reference, found.declarations[0], found.declarations[0] in own)
    if full:
        answer["declarations"] = [
            {"number": one.unified_number, "customs_number": one.customs_number, "state": one.state} for one in own
        ]
        answer["bills"] = sorted({one.bill_number for one in found.consignments} | set(found.bills))
        answer["voyages"] = [one.number for one in found.voyages]
        answer["containers"] = found.containers
    return answer


def _happened(event: Event) -> datetime:
    """When it happened, for the order of the line. What nobody dated bears the time its transaction began, which may have
    waited for another's (a release for the payment): recorded as it happened, it stands where it was recorded."""
    return event.recorded_at if event.recorded_at - event.occurred_at < AT_ONCE else event.occurred_at


def _of_declaration(reference: str, declaration: Declaration, told: bool) -> dict[str, Any]:
    """What asking by a declaration's own number answers on top: its state and its milestones; to those who are not told
    of everything, the last milestone stands for its state."""
    milestones = [event for event in receipts.milestones(declaration.unified_number) if told or TYPES[event.type][2]]
    state, since = State(declaration.state), declaration.state_since
    if not told:
        state, since = State.LODGED, declaration.lodged_at or since
        for event in milestones:
            name = event.type.removeprefix("declaration.")
            if name in State.values:
                state, since = State(name), event.occurred_at
    return {
        "number": reference,
        "state": state.value,
        "state_name": state.label,
        "since": since,
        "milestones": [
            {
                "milestone": event.type.removeprefix("declaration."),
                "name": str(receipts.MILESTONES[event.type]),
                "at": event.occurred_at,
            }
            for event in milestones
        ],
    }


def _entry(event: Event, full: bool, viewer: int | None) -> dict[str, Any] | None:
    zh, en, milestone = TYPES.get(event.type, ("", "", False))
    full = full and (viewer is None or event.subject_kind in OF_THE_GOODS or viewer in event.audience)
    if event.subject_kind == "bill" and full and not zh:
        zh = en = event.type
    if not zh or not (full or milestone):
        return None
    entry: dict[str, Any] = {
        "at": event.occurred_at, "planned": False, "type": event.type, "text": pick(zh, en),
    }  # fmt: skip
    if event.type in ("gate.passed", "gate.refused"):
        move = MOVES.get((str(event.data.get("move")), str(event.data.get("fullness"))))
        entry["text"] += " · " + pick(*move) if move else ""
    if event.type == "clearance.confirmed":
        from clearance.modes import STEPS

        entry["text"] += " · " + str(STEPS.get(event.data.get("step", ""), ("", ""))[0])
    if full:
        entry["actor"] = event.actor
        entry["recorded_at"] = event.recorded_at
        entry["about"] = {name: event.data[name] for name in SHOWN if event.data.get(name) not in (None, "", [])}
    return entry


def _names(actors: Iterable[str]) -> dict[str, str]:
    """Who an actor of the log is, for people: a client stands for its organisation."""
    found: dict[str, str] = {}
    clients: dict[str, str] = {}
    for actor in set(actors):
        kind, _, rest = actor.partition(":")
        if kind == "client":
            clients[rest] = actor
        elif kind in ("officer", "user"):
            found[actor] = pick("海关", "Customs")
        elif kind == "system":
            found[actor] = pick("系统", "The system")
    if clients:
        known = ApiClient.objects.filter(application__client_id__in=clients).select_related(
            "organisation", "application"
        )
        for row in known:
            organisation = row.organisation
            name = pick(organisation.name, organisation.name_en or organisation.name)
            found[clients[row.application.client_id]] = name
    return found


def _planned(found: Found, own: list[Declaration]) -> list[dict[str, Any]]:
    entries = []
    for one in found.voyages:
        for at, done, zh, en in (
            (one.planned_departure, one.departed_at, "计划离港", "Planned departure"),
            (one.planned_arrival, one.arrived_at, "预计抵港", "Planned arrival"),
        ):
            if at is not None and done is None:
                entries.append({"at": at, "planned": True, "type": "voyage.plan", "text": pick(zh, en)})
    for declaration in own:
        for booked in declaration.appointments.filter(state="booked"):
            entries.append(
                {
                    "at": booked.starts_at,
                    "planned": True,
                    "type": "inspection.plan",
                    "text": pick("预约查验", "Inspection appointment"),
                }
            )
    return entries


#: What everybody may know is expected next; anything else is between customs and the declarant.
PUBLIC_STEPS = frozenset({"arrive", "declare", "accept", "not-arrived", "release", "gate-out", "load"})


def next_step(found: Found, *, told: bool) -> dict[str, Any] | None:
    """What is expected next, and by when; to those who are not ``told`` of everything, no more than that clearance goes on."""
    declaration = found.declarations[0] if found.declarations else None
    row = found.consignments[0] if found.consignments else None
    code, zh, en, limit = _next(declaration, row)
    if code and not told and code not in PUBLIC_STEPS:
        code, zh, en, limit = "clearance", "海关办理中", "Clearance goes on", None
    return {"code": code, "text": pick(zh, en), "by": limit} if code else None


def _next(declaration: Declaration | None, row: Consignment | None) -> tuple[str, str, str, datetime | str | None]:
    if declaration is None or declaration.state in ("withdrawn", "rejected"):
        if row is None:
            return "", "", "", None
        if row.direction == "E" and row.arrived_at is None:
            return "arrive", "货物运抵监管场所", "Arrival in the supervised area", row.voyage.planned_departure
        kinds = (Deadline.Kind.DECLARE, Deadline.Kind.EXPORT)
        due = Deadline.objects.filter(consignment=row, kind__in=kinds, met_at=None).first()
        return (
            "declare",
            "向海关申报",
            "Declaration to customs",
            (due.due_at or due.due_on.isoformat()) if due else None,
        )
    case = Case.objects.filter(declaration=declaration).select_related("consignment__voyage").first()
    limit = times.limit_for(declaration)
    match declaration.state:
        case "lodged" | "under_review":
            return (
                "accept",
                "海关接受申报",
                "Acceptance by customs",
                times.by(declaration.state_since, limit.get("acceptance")),
            )
        case "returned":
            return "amend", "修改后重新申报", "Amendment by the declarant", None
        case "under_inspection":
            booked = declaration.appointments.filter(state="booked").first()
            if booked is None:
                return "book", "预约查验", "Agree an inspection appointment", None
            return "inspect", "查验", "Inspection", booked.ends_at
        case "accepted" | "held":
            open_ = conditions.first_open(declaration, case) if case else None
            due = case.deadlines.filter(met_at=None).first() if case else None
            if open_:
                text = str(open_.text)
                return open_.code, text, text, due.due_on.isoformat() if due else None
            return "release", "海关放行", "Release by customs", times.by(declaration.accepted_at, limit.get("release"))
        case "released" if declaration.direction == "I":
            if gone(declaration):
                return "", "", "", None
            return "gate-out", "提离", "Gate out", times.by(declaration.released_at, limit.get("gate_out"))
        case "released":
            return "load", "装载", "Loading", row.voyage.planned_departure if row else None
    return "", "", "", None


def gone(declaration: Declaration) -> bool:
    """Whether a laden container of the declaration has left by a gate."""
    return GateMove.objects.filter(
        declarations__contains=[declaration.unified_number], move="GTOT", fullness="LADEN", permitted=True,
        container__in=declaration.container_set.values("container_number"),
    ).exists()  # fmt: skip


# Sharing.

SALT = "tracking-link"
MAX_HOURS = 24 * 90


def may_see_all(reference: str, principal: Principal) -> bool:
    """Whether the caller's own rights cover what the reference leads to: all the goods, and for customs all declarations.
    What others see of declarations that are not theirs is for :func:`timeline`."""
    if not principal.is_authenticated or not (principal.is_officer or principal.has_scope("clearance:read")):
        return False
    found = find(reference)
    goods = {one.pk for one in found.consignments}
    if Consignment.objects.visible_to(principal).filter(pk__in=goods).count() != len(goods):
        return False
    pks = {one.pk for one in found.declarations}
    declared = Declaration.objects.visible_to(principal).filter(pk__in=pks).count() == len(pks)
    return (declared and bool(pks or goods)) or (bool(goods) and not principal.is_officer)


def viewer_of(principal: Principal) -> int | None:
    return None if principal.is_authority else principal.organisation_id


def share(reference: str, *, hours: int, principal: Principal) -> dict[str, Any]:
    """A link that shows everything to whoever holds it, until it expires. Raises Problem 404 or 422."""
    if not 1 <= hours <= MAX_HOURS:
        raise invalid([Fault("/hours", "hours", T("应在 1 到 {n} 之间", "Between 1 and {n}", n=MAX_HOURS))])
    if not may_see_all(reference, principal):
        raise not_found()
    until = timezone.now() + timedelta(hours=hours)
    token = signing.dumps(
        {"r": reference, "u": int(until.timestamp()), "o": viewer_of(principal)}, salt=SALT, compress=True
    )
    return {"token": token, "expires_at": until}


def opens(reference: str, token: str) -> int | None:
    """Through whose eyes a share token opens this reference now (None: customs'). Raises Problem 403 where it is forged, or
    410 where it expired."""
    try:
        found = signing.loads(token, salt=SALT)
    except signing.BadSignature as error:
        raise Problem(403, "bad-link", T("分享链接无效", "This link is not valid")) from error
    if found["u"] < timezone.now().timestamp():
        raise Problem(410, "link-expired", T("分享链接已过期", "This link has expired"))
    if found["r"] != reference:
        raise Problem(403, "bad-link", T("分享链接无效", "This link is not valid"))
    viewer: int | None = found["o"]
    return viewer
