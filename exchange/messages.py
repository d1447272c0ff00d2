"""The one shape of a message: a CloudEvents 1.0 body. Made here for what goes out, read here for what comes in."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.conf import settings

from common.formats import parse_json
from common.problems import Fault, Problem, invalid
from common.text import T
from events.models import Event
from exchange.terms import PATTERN, Terms

#: Largest message taken or sent (bytes) and deepest nesting of its data.
MAX_BODY = 4 * 1024 * 1024
MAX_DEPTH = 20
#: Times that an event may have: what every part of the system can hold, in every time zone.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2199, 12, 31, tzinfo=UTC)

#: Keys of an event's data that name other subjects: they join what several provinces say of one consignment.
LINKS = (
    "consignment", "consignment_number", "bill", "bill_number", "bill_of_lading", "transport_document",
    "transport_document_number", "master_transport_document", "container", "container_number", "containers", "trip",
    "trip_number", "manifest", "manifest_number", "declaration", "declaration_number", "entry_number",
)  # fmt: skip


def source(province: str = "") -> str:
    """What events of an instance call their source."""
    return f"urn:singlewindow:{province or settings.PROVINCE}"


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def body(event: Event, *, data: Any, previous: int | None = None) -> str:
    """``event`` as it travels. ``previous`` is the sequence of the event of this subject that was shared before it."""
    message: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(event.id),
        "source": source(),
        "type": event.type,
        "subject": f"{event.subject_kind}/{event.subject_number}",
        "time": stamp(event.occurred_at),
        "datacontenttype": "application/json",
        "dataschema": f"{settings.PUBLIC_URL}/api/v1/standards/events/{event.type}/1",
        "position": str(event.position),
        "subjectkind": event.subject_kind,
        "subjectnumber": event.subject_number,
        "seq": event.sequence,
    }
    if previous is not None:
        message["prev"] = previous
    message["data"] = data
    return _fitting(message)


def _fitting(message: dict[str, Any]) -> str:
    """As it travels; where it would be too large for any inbox, without the largest values of its data, which it names."""
    text = orjson.dumps(message)
    if len(text) > MAX_BODY and isinstance(message["data"], dict):
        sizes = {name: len(orjson.dumps(value)) for name, value in message["data"].items()}
        room, kept = MAX_BODY - (len(text) - sum(sizes.values())) - 10_000, {}
        for name in sorted(sizes, key=sizes.__getitem__):
            if (room := room - sizes[name]) < 0:
                break
            kept[name] = message["data"][name]
        text = orjson.dumps(message | {"data": kept, "omitted": sorted(sizes.keys() - kept.keys())})
    return text.decode()


def narrowed(text: str, terms: Terms) -> str | None:
    """A body made under earlier terms as today's let it out: what both name, and None where they share nothing of its kind."""
    message = orjson.loads(text)
    if not terms.shares(message["subjectkind"]):
        return None
    data = terms.let_through(message["subjectkind"], message["type"], message["data"])
    return text if data == message["data"] else orjson.dumps(message | {"data": data}).decode()


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


class Message(NamedTuple):
    """A partner's event, read."""

    id: str
    event_id: UUID
    source: str
    type: str
    version: str
    kind: str
    number: str
    sequence: int
    previous: int
    time: datetime
    data: dict[str, Any]
    digest: bytes


def _depth(value: Any) -> int:
    """How deep ``value`` nests, counted without recursion."""
    deepest, layer = 0, [value]
    while layer:
        deepest += 1
        if deepest > MAX_DEPTH + 1:
            break
        layer = [
            child
            for item in layer
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return deepest - 1


def _text(message: dict[str, Any], name: str, longest: int, faults: list[Fault]) -> str:
    value = message.get(name)
    if not isinstance(value, str) or not value or len(value) > longest:
        faults.append(Fault(f"/{name}", "text", T("须为 1–{n} 个字符", "Must be 1 to {n} characters", n=longest)))
        return ""
    return value


def _number(message: dict[str, Any], name: str, least: int, faults: list[Fault]) -> int:
    value = message.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**31:
        faults.append(
            Fault(f"/{name}", "number", T("须为不小于 {n} 的整数", "Must be a whole number from {n}", n=least))
        )
        return 0
    return value


def read(raw: bytes, message_id: str | None = None) -> Message:
    """The message in ``raw``. Raises Problem 400 or 422 with everything that is wrong."""
    value = parse_json(raw)
    if not isinstance(value, dict):
        raise Problem(400, "malformed-message", T("消息须为 JSON 对象", "A message must be a JSON object"))
    return read_value(value, message_id)


def read_value(value: dict[str, Any], message_id: str | None = None) -> Message:
    faults: list[Fault] = []
    if value.get("specversion") != "1.0":
        faults.append(Fault("/specversion", "specversion", T("须为 CloudEvents 1.0", "Must be CloudEvents 1.0")))
    event_id, moment = None, None
    try:
        event_id = UUID(_text(value, "id", 36, faults))
    except ValueError:
        faults.append(Fault("/id", "uuid", T("须为 UUID", "Must be a UUID")))
    try:
        moment = datetime.fromisoformat(_text(value, "time", 40, faults))
        if moment.tzinfo is None or not EARLIEST <= moment <= LATEST:
            raise ValueError
    except ValueError:
        text = T("须为带时区的时间，1970 至 2199 年", "Must be a time with an offset, from 1970 to 2199")
        faults.append(Fault("/time", "time", text))
    event_type = _text(value, "type", 80, faults)
    if event_type and (not PATTERN.fullmatch(event_type) or "*" in event_type):
        faults.append(Fault("/type", "event-type", T("不是事件类型", "Not an event type")))
    kind = _text(value, "subjectkind", 40, faults)
    number = _text(value, "subjectnumber", 80, faults)
    origin = _text(value, "source", 200, faults)
    sequence = _number(value, "seq", 1, faults)
    previous = _number(value, "prev", 0, faults)
    if sequence and previous >= sequence:
        faults.append(Fault("/prev", "order", T("prev 须小于 seq", "prev must be less than seq")))
    data = value.get("data")
    if not isinstance(data, dict):
        faults.append(Fault("/data", "object", T("须为对象", "Must be an object")))
        data = {}
    if _depth(value) > MAX_DEPTH:
        faults.append(Fault("/data", "too-deep", T("嵌套过深", "Nested too deeply")))
    if faults or event_id is None or moment is None:
        raise invalid(faults)
    return Message(
        id=message_id or str(event_id),
        event_id=event_id,
        source=origin,
        type=event_type,
        version=str(value.get("dataschema", "")).rpartition("/")[2] or "1",
        kind=kind,
        number=number,
        sequence=sequence,
        previous=previous,
        time=moment,
        data=data,
        digest=hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).digest(),
    )


def links(number: str, data: dict[str, Any]) -> list[str]:
    """The numbers ``data`` (of subject ``number``) names, its own included."""
    found = {number}
    for key in LINKS:
        value = data.get(key)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                item = item.get("number")
            if isinstance(item, str) and 0 < len(item) <= 80:
                found.add(item)
    return sorted(found)
