"""Taking manifest messages. Each is kept with the receipt it got; what it says is applied bill by bill.

Lock order: the message, the voyage, the manifest, its consignments by bill number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import zip_longest
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone

from cargo import places, reports
from cargo.fields import FUNCTIONS, TRANSPORT_MODES, MessageType, message_type
from cargo.message import Message, read
from cargo.models import (
    Consignment,
    Manifest,
    ManifestMessage,
    MeansOfTransport,
    Place,
    Stuffing,
    TransportEquipment,
    Voyage,
)
from common.days import legal_day
from common.json import dumps, loads
from common.problems import Problem, conflict, invalid, not_found
from common.text import T, pick
from events.log import append
from parties.models import Officer, Organisation
from parties.principals import SYSTEM, Principal

ACCEPTED, REVIEW, REJECTED, DRAFT = ManifestMessage.Response.values

#: A sender's clock may be ahead of ours by this much.
CLOCK_TOLERANCE = timedelta(minutes=15)


class Answer(NamedTuple):
    """What a receipt says about one bill."""

    response_code: str
    code: str
    zh: str
    en: str


OK = Answer(ACCEPTED, "accepted", "海关接受申报", "Accepted")
REPEATED = Answer(ACCEPTED, "repeated", "内容与已接受的相同", "The same as what was accepted before")
KEPT = Answer(DRAFT, "draft", "已暂存，未申报", "Kept as a draft, not declared")
UNKNOWN = Answer(REJECTED, "no-such-bill", "没有此舱单提运单，请先传输舱单", "No such bill; lodge the manifest first")
EXISTS = Answer(REJECTED, "bill-exists", "提运单已存在，请用变更报文", "The bill exists; send a change instead")
STALE = Answer(REJECTED, "stale", "发送时间早于已接受的版本", "Sent before the version that has been accepted")
LOADED = Answer(REJECTED, "already-loaded", "货物已装载，不能变更", "The goods are loaded; no change is possible")
WAITING = Answer(
    REVIEW,
    "declared",
    "已有报关单与此提运单关联，待海关人工审核",
    "A declaration refers to this bill; an officer decides",
)
RELEASED = Answer(REJECTED, "already-released", "货物已放行，不能变更", "The goods are released; no change is possible")
CLOCK = Answer(
    REJECTED, "sender-clock", "发送时间晚于当前时间，请校准时钟", "Sent in the future; please set your clock"
)


def receive(raw: Any, *, principal: Principal) -> ManifestMessage:
    """Take a message in its JSON shape. Raises Problem 422 (structure) or 409 (message id used for another message)."""
    message, faults = read(raw)
    if faults:
        raise invalid(faults)
    return take(message, principal=principal)


def take(message: Message, *, principal: Principal) -> ManifestMessage:
    """Take a message that was read without faults; the same message again gets the same receipt."""
    content = dumps(message)
    digest = hashlib.sha256(content).hexdigest()
    what = message_type(message["message_type"])
    assert what is not None, "the message was not read"
    with transaction.atomic():
        row, created = ManifestMessage.objects.select_for_update().get_or_create(
            sender_id=principal.organisation_id,
            message_id=message["message_id"],
            defaults={
                "message_type": message["message_type"],
                "function_code": message["function_code"],
                "number": message["number"],
                "sent_at": message["sent_at"],
                "digest": digest,
                "content": _plain(message),
                "response_code": REVIEW,
            },
        )
        if not created:
            if row.digest != digest:
                raise conflict(
                    "message-id-reused",
                    T("报文编号已用于另一份报文", "This message id was used for another message"),
                )
            return row
        if message["sent_at"] > row.received_at + CLOCK_TOLERANCE:
            answers = _all(message, CLOCK)
        elif FUNCTIONS[message["function_code"]] == "draft":
            answers = _all(message, KEPT)
        elif what.kind in ("original", "advance"):
            answers = _declare(message, what, row, principal)
        else:
            answers = [
                (bill, Answer(*outcome)) for bill, outcome in reports.report(message, what, row.received_at, principal)
            ]
        _conclude(row, answers)
        append(
            type="manifest.received",
            subject=("manifest_message", f"{row.message_id}/{row.sender_id}"),
            actor=principal.actor,
            audience=[row.sender_id],
            data={
                "manifest": row.number, "message_id": row.message_id, "message_type": row.message_type, "response_code": row.response_code,
                "consignments": len(row.outcome),
            },
        )  # fmt: skip
    return row


def decide(pk: int, *, approve: bool, principal: Principal, note: str = "") -> ManifestMessage:
    """An officer decides the bills of a message that wait for review; what has overtaken it since is refused all the same.
    Raises Problem 404, 403 or 409."""
    if not (principal is SYSTEM or (principal.is_officer and principal.has_duty(Officer.Duty.EXAMINATION))):
        raise Problem(403, "not-your-duty", T("不属您的职责", "This is not among your duties"))
    with transaction.atomic():
        row = ManifestMessage.objects.select_for_update().filter(pk=pk).first()
        if row is None:
            raise not_found()
        waiting = {one["bill_number"] for one in row.outcome if one["response_code"] == REVIEW}
        if not waiting:
            raise conflict("not-waiting", T("此报文没有待审核的内容", "Nothing in this message waits for a decision"))
        message, _ = read(row.content)
        answers: list[tuple[str, Answer]] = []
        for bill in message["consignments"]:
            number = bill["bill_number"]
            if number not in waiting:
                continue
            consignment = _live(message, number, row.sender_id)
            if not approve:
                answer = Answer(
                    REJECTED, "refused", note or "海关不同意变更", note or "Customs did not agree to the change"
                )
            elif consignment is None:
                answer = UNKNOWN
            elif (overtaken := _overtaken(consignment, message)) is not None:
                answer = overtaken
            else:
                _apply(consignment, bill, message, timezone.now(), principal)
                answer = OK
            answers.append((number, answer))
        decided = dict(answers)
        kept = [
            (one["bill_number"], Answer(one["response_code"], one["code"], one["text_zh"], one["text_en"]))
            for one in row.outcome
            if one["bill_number"] not in decided
        ]
        row.decided_by, row.decided_at = principal.actor, timezone.now()
        _conclude(row, kept + answers)
        append(
            type="manifest.decided",
            subject=("manifest_message", f"{row.message_id}/{row.sender_id}"),
            actor=principal.actor,
            audience=[row.sender_id],
            data={
                "manifest": row.number,
                "message_id": row.message_id,
                "response_code": row.response_code,
                "note": note,
            },
        )
    return row


def as_receipt(row: ManifestMessage) -> dict[str, Any]:
    """The receipt, in the caller's language."""
    label = ManifestMessage.Response(row.response_code).label
    return {
        "message_id": row.message_id,
        "message_type": row.message_type,
        "number": row.number,
        "received_at": row.received_at,
        "response_code": row.response_code,
        "text": str(label),
        "consignments": [
            {
                "bill_number": one["bill_number"],
                "response_code": one["response_code"],
                "code": one["code"],
                "text": pick(one["text_zh"], one["text_en"]),
            }
            for one in row.outcome
        ],
    }


def _plain(message: Message) -> Any:
    """The message as JSON the database can keep."""
    return loads(dumps(message))


def _all(message: Message, answer: Answer) -> list[tuple[str, Answer]]:
    return [(bill.get("bill_number", ""), answer) for bill in message["consignments"]]


def _conclude(row: ManifestMessage, answers: Iterable[tuple[str, Answer]]) -> None:
    """One code for the whole: waiting if any waits, rejected if none was taken, else accepted."""
    row.outcome = [
        {
            "bill_number": bill,
            "response_code": one.response_code,
            "code": one.code,
            "text_zh": one.zh,
            "text_en": one.en,
        }
        for bill, one in answers
    ]
    codes = {one["response_code"] for one in row.outcome}
    row.response_code = next((code for code in (REVIEW, ACCEPTED, DRAFT) if code in codes), REJECTED)
    row.save()


def _overtaken(consignment: Consignment, message: Message) -> Answer | None:
    """Why a change can no longer be made to a bill."""
    if message["sent_at"] < consignment.sent_at:
        return STALE
    if consignment.loaded_at is not None or consignment.tallied_at is not None:
        return LOADED
    return RELEASED if consignment.released_at is not None else None


#: What officers compare of a bill that is to be changed, and what it is called.
COMPARED: tuple[tuple[str, Any], ...] = (
    ("packages", T("件数", "Packages")), ("package_unit", T("包装种类", "Package unit")),
    ("gross_mass", T("毛重（千克）", "Gross mass (kg)")), ("value", T("价值", "Value")), ("currency", T("币制", "Currency")),
    ("consignee", T("收货人", "Consignee")), ("consignor", T("发货人", "Consignor")),
)  # fmt: skip
COMPARED_OF_BOXES = (
    ("seal", T("封志号", "seal")), ("packages", T("件数", "packages")), ("gross_mass", T("货重（千克）", "goods' mass (kg)")),
)  # fmt: skip
COMPARED_OF_ITEMS = (
    ("description", T("货名", "description")), ("code", T("商品编号", "commodity code")),
    ("un_number", T("危险品编号", "UN number")), ("gross_mass", T("毛重（千克）", "gross mass (kg)")),
    ("packages", T("件数", "packages")), ("package_unit", T("包装种类", "package unit")),
)  # fmt: skip


class Change(NamedTuple):
    """A bill of a message that waits, as it is and as it would be."""

    bill_number: str
    consignment: Consignment | None
    deletes: bool
    #: What it is called, before, after; only what differs.
    differences: list[tuple[Any, Any, Any]]
    reason: str


def changes(row: ManifestMessage) -> list[Change]:
    """What a message that waits would change."""
    message, _ = read(row.content)
    waiting = {one["bill_number"] for one in row.outcome if one["response_code"] == REVIEW}
    what = message_type(row.message_type)
    assert what is not None, "the message was not read"
    live = {
        one.bill_number: one
        for one in Consignment.objects.live()
        .filter(manifest__sender=row.sender_id, manifest__kind=what.kind, manifest__number=row.number)
        .filter(bill_number__in=waiting)
        .select_related("voyage")
        .prefetch_related("stuffings")
    }
    deletes = FUNCTIONS[row.function_code] == "delete"
    return [
        Change(
            bill["bill_number"], known := live.get(bill["bill_number"]), deletes,
            [] if known is None or deletes else _differences(known, bill), bill.get("change_reason", ""),
        )
        for bill in message["consignments"] if bill["bill_number"] in waiting
    ]  # fmt: skip


def _differences(known: Consignment, bill: Message) -> list[tuple[Any, Any, Any]]:
    found = [
        (label, getattr(known, name), bill[name])
        for name, label in COMPARED
        if bill.get(name) is not None and bill[name] != getattr(known, name)
    ]
    if bill["equipment"]:
        found += _differences_of_boxes({one.equipment_id: one for one in known.stuffings.all()}, bill["equipment"])
    if bill["items"]:
        found += _differences_of_items(known.items, _plain(bill)["items"])
    return found


def _differences_of_boxes(before: dict[str, Stuffing], equipment: list[Message]) -> Iterator[tuple[Any, Any, Any]]:
    after = {box["number"]: box for box in equipment}
    for number in sorted(before.keys() | after.keys()):
        if number not in before or number not in after:
            yield T("集装箱", "Container"), number if number in before else None, number if number in after else None
            continue
        for name, label in COMPARED_OF_BOXES:
            old, new = getattr(before[number], name), after[number].get(name)
            if new is not None and new != old:
                yield T("集装箱 {n} {what}", "Container {n} {what}", n=number, what=label), old, new


def _differences_of_items(before: list[Message], after: list[Message]) -> Iterator[tuple[Any, Any, Any]]:
    for nth, (old, new) in enumerate(zip_longest(before, after), start=1):
        if old is None or new is None:
            gone, come = (None if one is None else one.get("description") or f"#{nth}" for one in (old, new))
            yield T("货物", "Goods"), gone, come
            continue
        for name, label in COMPARED_OF_ITEMS:
            if old.get(name) != new.get(name):
                yield T("货物 {n} {what}", "Goods {n} {what}", n=nth, what=label), old.get(name), new.get(name)


def _live(message: Message, bill_number: str, sender_id: int) -> Consignment | None:
    what = message_type(message["message_type"])
    assert what is not None
    return (
        Consignment.objects.live()
        .select_for_update(of=("self",))
        .select_related("manifest", "voyage")
        .filter(
            manifest__sender=sender_id,
            manifest__kind=what.kind,
            manifest__number=message["number"],
            bill_number=bill_number,
        )
        .first()
    )


def _voyage(message: Message, what: MessageType, principal: Principal) -> Voyage:
    """The trip a manifest is of, locked: its own, else the one of its means of transport, number and carrier."""
    mode = TRANSPORT_MODES[message["means_type"]] if "means_type" in message else what.mode
    number = message.get("voyage_number") or message["number"]
    means = None
    if message.get("means_id"):
        means, _ = MeansOfTransport.objects.get_or_create(
            mode=mode, identity=message["means_id"], defaults={"name": message.get("means_name", "")}
        )
    trips = Voyage.objects.select_for_update(of=("self",)).order_by("-pk")
    known = trips.filter(carrier_id=principal.organisation_id, mode=mode, direction=what.direction, number=number)
    own = Manifest.objects.filter(sender_id=principal.organisation_id, kind=what.kind, number=message["number"])
    voyage = known.filter(manifests__in=own).first()
    if voyage is None:
        voyage = known.filter(means=means).first() or known.filter(**{"means": None} if means else {}).first()
    created = voyage is None
    if voyage is None:
        voyage, created = trips.get_or_create(
            carrier_id=principal.organisation_id, mode=mode, direction=what.direction, number=number, means=means
        )
    if means is not None and not known.filter(means=means).exclude(pk=voyage.pk).exists():
        voyage.means = means  # unless that is another trip under the same number
    for name in ("loading_place", "unloading_place"):
        if message.get(name):
            setattr(voyage, name, message[name])
    if message.get("loading_at"):
        voyage.planned_departure = message["loading_at"]
    if message.get("arrival_at"):
        voyage.planned_arrival = message["arrival_at"]
    voyage.save()
    if created:
        append(
            type="voyage.announced",
            subject=("voyage", voyage.reference),
            actor=principal.actor,
            audience=[voyage.carrier_id],
            data={
                "voyage": voyage.number, "mode": mode, "direction": what.direction,
                "planned_departure": voyage.planned_departure, "planned_arrival": voyage.planned_arrival,
            },
        )  # fmt: skip
    return voyage


def _declare(
    message: Message, what: MessageType, row: ManifestMessage, principal: Principal
) -> list[tuple[str, Answer]]:
    function = FUNCTIONS[message["function_code"]]
    if function != "add":
        manifest = (
            Manifest.objects.select_for_update()
            .filter(sender_id=principal.organisation_id, kind=what.kind, number=message["number"])
            .first()
        )
        if manifest is None:
            return _all(message, UNKNOWN)
    else:
        voyage = _voyage(message, what, principal)
        manifest, _ = Manifest.objects.select_for_update().get_or_create(
            sender_id=principal.organisation_id,
            kind=what.kind,
            number=message["number"],
            defaults={"voyage": voyage, "office": message.get("office", ""), "agent": message.get("agent", "")},
        )
    live = {
        one.bill_number: one
        for one in Consignment.objects.live()
        .select_for_update(of=("self",))
        .filter(manifest=manifest, bill_number__in=[bill["bill_number"] for bill in message["consignments"]])
        .select_related("manifest", "voyage")
        .order_by("bill_number")
    }
    answers = []
    for bill in message["consignments"]:
        number = bill["bill_number"]
        known = live.get(number)
        if function == "add":
            answers.append((number, _add(bill, message, manifest, known, row.received_at, principal)))
        elif known is None:
            answers.append((number, UNKNOWN))
        elif (overtaken := _overtaken(known, message)) is not None:
            answers.append((number, overtaken))
        elif known.declaration_number:
            answers.append((number, WAITING))
        else:
            _apply(known, bill, message, row.received_at, principal)
            answers.append((number, OK))
    return answers


def _add(
    bill: Message, message: Message, manifest: Manifest, known: Consignment | None, now: datetime, principal: Principal
) -> Answer:
    if known is not None:
        same = known.packages == bill["packages"] and known.gross_mass == bill["gross_mass"]
        boxes = {box["number"] for box in bill["equipment"]}
        same = same and boxes == set(known.stuffings.values_list("equipment_id", flat=True))
        return REPEATED if same else EXISTS
    consignment = Consignment(
        manifest=manifest,
        voyage=manifest.voyage,
        direction=manifest.voyage.direction,
        bill_number=bill["bill_number"],
        audience=_audience(manifest, bill, principal),
        sent_at=message["sent_at"],
        late_hours=_late(manifest, bool(bill["equipment"]), now),
    )
    _fill(consignment, bill)
    append(
        type="consignment.declared",
        subject=("consignment", consignment.reference),
        actor=principal.actor,
        audience=consignment.audience,
        data=_summary(consignment, bill),
    )
    return OK


def _apply(consignment: Consignment, bill: Message, message: Message, now: datetime, principal: Principal) -> None:
    """A change or deletion that nothing stands in the way of."""
    function = FUNCTIONS[message["function_code"]]
    consignment.sent_at = message["sent_at"]
    consignment.version += 1
    if function == "delete":
        consignment.deleted_at = now
        consignment.save()
    else:
        _fill(consignment, bill)
    append(
        type="consignment.deleted" if function == "delete" else "consignment.changed",
        subject=("consignment", consignment.reference),
        actor=principal.actor,
        audience=consignment.audience,
        data=_summary(consignment, bill) | {"reason": bill.get("change_reason", "")},
    )


def _fill(consignment: Consignment, bill: Message) -> None:
    for name in ("packages", "package_unit", "gross_mass", "value", "currency", "consignee", "consignor"):
        if bill.get(name) is not None:
            setattr(consignment, name, bill[name])
    if bill["items"]:
        consignment.items = _plain(bill)["items"]
    consignment.save()
    if bill["equipment"]:
        for box in bill["equipment"]:
            TransportEquipment.objects.update_or_create(
                number=box["number"],
                defaults={name: box[name] for name in ("size_type", "tare") if box.get(name) is not None},
            )
            Stuffing.objects.update_or_create(
                consignment=consignment,
                equipment_id=box["number"],
                defaults={name: box[name] for name in ("seal", "packages", "gross_mass") if box.get(name) is not None},
            )
        consignment.stuffings.exclude(equipment_id__in=[box["number"] for box in bill["equipment"]]).delete()


def _audience(manifest: Manifest, bill: Message, principal: Principal) -> list[int]:
    voyage = manifest.voyage
    seen: set[int | None] = {manifest.sender_id, principal.organisation_id}
    seen |= set(
        Place.objects.filter(code__in=[voyage.loading_place, voyage.unloading_place]).values_list(
            "operator_id", flat=True
        )
    ) - {None}
    if bill.get("consignee_id"):
        seen |= set(Organisation.objects.filter(social_credit_code=bill["consignee_id"]).values_list("pk", flat=True))
    return sorted(one for one in seen if one is not None)


def _late(manifest: Manifest, containers: bool, now: datetime) -> Decimal | None:
    """Hours by which the manifest missed its limit; None where no limit or no planned time is known."""
    voyage = manifest.voyage
    limit = places.limit(manifest.kind, voyage.mode, containers, legal_day(now))
    if limit is None:
        return None
    anchor = voyage.planned_departure if limit.anchor == "loading" else voyage.planned_arrival
    if anchor is None:
        return None
    late = now - (anchor - timedelta(hours=limit.hours))
    hours = Decimal(int(late.total_seconds())) / 3600
    return min(max(hours, Decimal(0)), Decimal("9999999")).quantize(Decimal("0.1"))


def _summary(consignment: Consignment, bill: Message) -> dict[str, Any]:
    return {
        "bill_number": consignment.bill_number,
        "manifest": consignment.manifest.number,
        "voyage": consignment.voyage.number,
        "direction": consignment.direction,
        "packages": consignment.packages,
        "gross_mass": str(consignment.gross_mass),
        "containers": [box["number"] for box in bill["equipment"]],
        "version": consignment.version,
        "late_hours": None if consignment.late_hours is None else str(consignment.late_hours),
    }
