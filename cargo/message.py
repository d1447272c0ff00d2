"""One typed shape of a manifest message, whether it came as JSON or as XML, and every structural fault of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from cargo import equipment
from cargo.fields import FUNCTIONS, MANIFEST, TRANSPORT_MODES, Block, Field, message_type
from common.days import LEGAL_ZONE
from common.problems import Fault
from common.text import T

Message = dict[str, Any]

MAX_ROWS = 5000
MAX_FAULTS = 500
DIGITS = re.compile(r"\d{14}(\d{3})?")
#: What every message holds; the rest depends on its type.
ALWAYS = ("message_id", "function_code", "message_type", "sent_at", "number")
#: A house bill is written "master*house".
NUMBER = re.compile(r"[A-Za-z0-9/_.*-]+")


def moment(text: str) -> datetime:
    """A time as messages write it: ISO 8601 with offset, or 14/17 digits of Beijing time. Raises ValueError."""
    if DIGITS.fullmatch(text):
        fraction = int(text[14:17] or 0) * 1000
        return datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(microsecond=fraction, tzinfo=LEGAL_ZONE)
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError("no offset")
    return value


def _integer(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 99_999_999:
        raise ValueError("out of range")
    return value


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if not value.is_finite() or value < 0 or value >= Decimal("1e14"):
        raise ValueError("out of range")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -5:
        raise ValueError("more than five decimals")
    return value


_READERS: dict[str, Callable[[str], Any]] = {
    "integer": _integer, "decimal": _decimal, "time": moment, "container": equipment.normal,
}  # fmt: skip


def read(raw: Any, pointers: Callable[[str], str] = lambda pointer: pointer) -> tuple[Message, list[Fault]]:
    """The message and all its faults. ``pointers`` turns a JSON pointer into the caller's kind (XPath for XML)."""
    faults: list[Fault] = []
    message = _block(MANIFEST, raw, "", faults)
    if not faults:
        faults.extend(_rules(message))
    return message, [fault._replace(pointer=pointers(fault.pointer)) for fault in faults[:MAX_FAULTS]]


def _block(block: Block, raw: Any, at: str, faults: list[Fault]) -> Message:
    if not isinstance(raw, dict):
        faults.append(Fault(at, "object-expected", T("应为对象", "An object is expected here")))
        return {}
    known = {field.name for field in block.fields} | {child.name for child in block.blocks}
    faults.extend(
        Fault(f"{at}/{name}", "unknown-member", T("未知数据项", "Unknown member")) for name in raw if name not in known
    )
    message: Message = {}
    for field in block.fields:
        value = raw.get(field.name)
        if value is None or value == "":
            continue
        message[field.name] = _value(field, value, f"{at}/{field.name}", faults)
    for child in block.blocks:
        rows = raw.get(child.name, [])
        if not isinstance(rows, list) or len(rows) > MAX_ROWS:
            faults.append(
                Fault(
                    f"{at}/{child.name}",
                    "list-expected",
                    T("应为不超过 {n} 行的列表", "A list of at most {n} is expected", n=MAX_ROWS),
                )
            )
            rows = []
        message[child.name] = [_block(child, row, f"{at}/{child.name}/{i}", faults) for i, row in enumerate(rows)]
    return message


def _value(field: Field, value: Any, at: str, faults: list[Fault]) -> Any:
    if (
        isinstance(value, bool)
        or not isinstance(value, (str, int))
        or (isinstance(value, int) and field.kind != "integer")
    ):
        faults.append(Fault(at, "text-expected", T("应为文本（小数也写成文本）", "Text is expected (decimals too)")))
        return None
    text = str(value).strip()
    if len(text) > max(field.length, 30 if field.kind != "text" else 0):
        faults.append(Fault(at, "too-long", T("超过 {n} 个字符", "Longer than {n} characters", n=field.length)))
        return None
    if field.kind == "container":
        faults.extend(equipment.check(text, at))
    reader = _READERS.get(field.kind)
    if reader is None:
        return text
    try:
        return reader(text)
    except (ValueError, InvalidOperation, OverflowError):
        faults.append(
            Fault(at, f"not-{field.kind}", T("“{v}”格式不正确", "“{v}” is not of the right form", v=text[:40]))
        )
        return None


def _missing(pointer: str) -> Fault:
    return Fault(pointer, "required", T("必须填写", "Required"))


def _rules(message: Message) -> list[Fault]:
    """What the tables cannot say: required members by kind, codes, bills named twice."""
    faults = [_missing(f"/{name}") for name in ALWAYS if not message.get(name)]
    if faults:
        return faults
    what = message_type(message["message_type"])
    if what is None:
        return [Fault("/message_type", "message-type", T("不受理此报文类型", "This message type is not taken here"))]
    if message["function_code"] not in FUNCTIONS:
        faults.append(Fault("/function_code", "function-code", T("功能代码无效", "Unknown function code")))
    if not NUMBER.fullmatch(message["number"]):
        faults.append(Fault("/number", "number", T("编号含有不允许的字符", "The number has characters not allowed")))
    if message.get("means_type", "1") not in TRANSPORT_MODES:
        faults.append(Fault("/means_type", "transport-mode", T("运输方式代码无效", "Unknown mode of transport")))
    withdrawal = what.kind == "conveyance" and FUNCTIONS.get(message["function_code"]) == "delete"
    if not message["consignments"] and not withdrawal:
        faults.append(_missing("/consignments"))
    seen: set[str] = set()
    adds = FUNCTIONS.get(message["function_code"]) in ("add", "supplement", "change", "draft")
    for index, row in enumerate(message["consignments"]):
        at = f"/consignments/{index}"
        bill = row.get("bill_number", "")
        if what.kind != "conveyance" and not bill:
            faults.append(_missing(f"{at}/bill_number"))
        elif bill and not NUMBER.fullmatch(bill):
            faults.append(
                Fault(f"{at}/bill_number", "number", T("提运单号字符无效", "Characters not allowed in a bill number"))
            )
        if bill and bill in seen:
            faults.append(
                Fault(f"{at}/bill_number", "repeated", T("提运单号重复", "This bill is in the message twice"))
            )
        seen.add(bill)
        if adds and what.kind in ("original", "advance"):
            faults.extend(_missing(f"{at}/{name}") for name in ("packages", "gross_mass") if row.get(name) is None)
            if row.get("packages") == 0:
                faults.append(Fault(f"{at}/packages", "positive", T("件数应大于零", "Packages must be more than zero")))
        faults.extend(
            _missing(f"{at}/equipment/{i}/number") for i, box in enumerate(row["equipment"]) if not box.get("number")
        )
    return faults
