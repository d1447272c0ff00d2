"""What a bank reports: under its reference, a document, a sum and a moment. Reading it, with every fault at once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from common.problems import Fault, invalid
from common.text import T

#: Longest reference of a bank, and longest number of a receipt.
MAX_REFERENCE = 64


@dataclass(frozen=True, slots=True)
class Report:
    reference: str
    document: str
    amount: Decimal
    moment: datetime


def read_report(data: Any, *, document: str, moment: str) -> Report:
    """Raises Problem 422. `document` and `moment` are the fields that name what was paid and when."""
    faults = []
    if not isinstance(data, dict):
        raise invalid([Fault("", "not-an-object", T("须为 JSON 对象", "must be a JSON object"))])
    texts = {}
    for name, limit in (("reference", MAX_REFERENCE), (document, 50)):
        value = data.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= limit or "\x00" in value:
            faults.append(Fault(f"/{name}", "missing", T("缺少此项或格式不正确", "missing or malformed")))
            value = ""
        texts[name] = value
    amount = Decimal(0)
    try:
        amount = Decimal(data["amount"]) if isinstance(data.get("amount"), str) else Decimal("NaN")
        if not amount.is_finite() or amount <= 0 or amount.adjusted() > 15:
            raise InvalidOperation
    except InvalidOperation:
        faults.append(Fault("/amount", "not-an-amount", T("须为十进制金额字符串", "must be a decimal string")))
    when = None
    with suppress(ValueError, TypeError):
        when = datetime.fromisoformat(data.get(moment, ""))
    if when is None or when.tzinfo is None:
        faults.append(Fault(f"/{moment}", "not-a-time", T("须为带时区的时间", "must be a time with its offset")))
    if faults or when is None:
        raise invalid(faults)
    return Report(texts["reference"], texts[document], amount, when)


def receipt_number(reference: str) -> str:
    """The number of what was written out at the counter. Raises Problem 422."""
    reference = reference.strip()
    if not reference or len(reference) > MAX_REFERENCE:
        raise invalid([Fault("/reference", "required", T("须填写凭证号", "The receipt's number is needed"))])
    return reference
