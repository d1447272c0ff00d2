"""What an assessment is asked with, and reading it from JSON: every fault at once, each with its pointer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from common.days import legal_day
from common.problems import Fault, invalid
from common.text import T

MAX_ITEMS = 50
#: Art. 25: what is added where the price does not hold it; art. 26: what comes off where it is listed apart.
ADDITIONS = ("commission", "containers", "packing", "assists", "royalties", "proceeds")
DEDUCTIONS = ("assembly_after_import", "inland_transport", "import_duties")
DUTY_MODES = ("1", "2", "3", "4", "5", "6", "7")


@dataclass(frozen=True, slots=True)
class Fee:
    """Freight, insurance or miscellaneous: mark 1 per cent, 2 price a tonne, 3 total."""

    mark: str
    value: Decimal
    currency: str = "CNY"


@dataclass(frozen=True, slots=True)
class Adjustment:
    kind: str
    amount: Decimal
    currency: str = "CNY"
    item: int | None = None  # item number; None: the whole declaration


@dataclass(frozen=True, slots=True)
class Item:
    number: int
    code: str
    total: Decimal
    currency: str
    origin: str
    quantities: Mapping[str, Decimal] = field(default_factory=dict)
    duty_mode: str = "1"
    agreement: str = ""
    certificate: bool = False
    preferential_origin: str = ""  # origin under the agreement's own rules, where it is another than the origin
    origin_proven: bool = True
    exporter: str = ""
    quota: str = ""
    parts: Mapping[str, Decimal] = field(default_factory=dict)  # values in yuan of parts that have rates of their own
    reduction: Decimal | None = None  # per cent of duty still levied under duty mode 4
    fixed_value: Decimal | None = None  # an officer's customs value in yuan
    fixed_rate: str = ""  # an officer's rate, in the canonical form
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class Buyer:
    """The buyer of a cross-border retail order and what they bought before in the calendar year, in yuan."""

    reference: str = ""
    used_this_year: Decimal = Decimal(0)
    articles: int = 1


@dataclass(frozen=True, slots=True)
class AssessmentInput:
    """One declaration as the arithmetic needs it. Days are legal days (Asia/Shanghai)."""

    direction: str  # I or E
    items: tuple[Item, ...]
    completed_on: date
    entered_on: date | None = None  # the means of transport declared entry
    advance: bool = False  # declared before arrival, arrival not known yet
    regime: str = "0110"
    levy_nature: str = "101"
    trade_terms: str = "1"
    freight: Fee | None = None
    insurance: Fee | None = None
    misc: Fee | None = None
    gross_weight: Decimal | None = None  # kilograms
    adjustments: tuple[Adjustment, ...] = ()
    buyer: Buyer | None = None
    deferred_since: date | None = None  # goods out of bond: the day of the import under suspension

    def rate_day(self) -> date:
        """Tariff Law art. 20: the day the declaration is completed; declared before arrival, the day of entry."""
        if self.entered_on is not None and self.entered_on > self.completed_on:
            return self.entered_on
        return self.completed_on


_CODE = re.compile(r"\d{8}(?:\d{2})?")
_COUNTRY = re.compile(r"[A-Z]{3}|")
_CURRENCY = re.compile(r"[A-Z]{3}")
_WORD = re.compile(r"[\w.-]{0,64}")
_DECIMAL = re.compile(r"-?\d{1,14}(?:\.\d{1,10})?")
_MISSING = T("缺少此项", "this is missing")
_MALFORMED = T("格式不正确", "malformed")


class _Reader:
    """Takes typed values out of decoded JSON and collects what is wrong with them."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def fault(self, pointer: str, code: str, text: Any) -> None:
        self.faults.append(Fault(pointer, code, text))

    def text(
        self, data: Mapping[str, Any], key: str, pattern: re.Pattern[str], at: str, default: str | None = None
    ) -> str:
        value = data.get(key)
        if value is None or value == "":
            if default is None:
                self.fault(f"{at}/{key}", "missing", _MISSING)
                return ""
            return default
        if not isinstance(value, str) or not pattern.fullmatch(value):
            self.fault(f"{at}/{key}", "malformed", _MALFORMED)
            return ""
        return value

    def choice(self, data: Mapping[str, Any], key: str, choices: Any, at: str, default: str | None = None) -> str:
        value = data.get(key, default)
        if value is None:
            self.fault(f"{at}/{key}", "missing", _MISSING)
            return ""
        if not isinstance(value, str) or value not in choices:
            self.fault(
                f"{at}/{key}",
                "unknown-code",
                T("须为：{choices}", "must be one of: {choices}", choices=" ".join(choices)),
            )
            return ""
        return value

    def number(self, value: Any, pointer: str, *, low: Decimal | None = None, open_low: bool = False) -> Decimal:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
            self.fault(pointer, "not-a-decimal", T(
                "须为十进制数字符串", "must be a decimal string (at most 14 digits before and 10 after the point)"
            ))  # fmt: skip
            return Decimal(0)
        number = Decimal(value)
        if low is not None and (number < low or (open_low and number == low)):
            code = "not-positive" if open_low else "negative"
            self.fault(
                pointer,
                code,
                T("须大于零", "must be above zero") if open_low else T("不得为负", "must not be negative"),
            )
        return number

    def flag(self, data: Mapping[str, Any], key: str, at: str, default: bool) -> bool:
        value = data.get(key, default)
        if not isinstance(value, bool):
            self.fault(f"{at}/{key}", "not-a-flag", T("须为 true 或 false", "must be true or false"))
            return default
        return value

    def day(self, data: Mapping[str, Any], key: str, at: str = "") -> date | None:
        """A day, or a moment with its offset: then the legal day it falls on."""
        value = data.get(key)
        if value is None:
            return None
        try:
            found = None
            if isinstance(value, str) and "T" in value:
                moment = datetime.fromisoformat(value)
                found = legal_day(moment) if moment.tzinfo is not None else None
            elif isinstance(value, str):
                found = date.fromisoformat(value)
            if found is not None and 1949 <= found.year < 2200:
                return found
        except (ValueError, OverflowError):
            pass
        self.fault(f"{at}/{key}", "not-a-day", T(
            "须为日期（YYYY-MM-DD）或带时区的时间", "must be a day (YYYY-MM-DD) or a time with its offset"
        ))  # fmt: skip
        return None

    def fee(self, data: Mapping[str, Any], key: str, marks: str) -> Fee | None:
        value = data.get(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.fault(f"/{key}", "malformed", _MALFORMED)
            return None
        mark = self.choice(value, "mark", marks, f"/{key}")
        low = None if key == "misc" else Decimal(0)
        number = self.number(value.get("value"), f"/{key}/value", low=low)
        currency = self.text(value, "currency", _CURRENCY, f"/{key}", "CNY")
        return Fee(mark, number, currency)

    def numbers(self, data: Mapping[str, Any], key: str, at: str) -> dict[str, Decimal]:
        value = data.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping) or len(value) > 30:
            self.fault(f"{at}/{key}", "malformed", _MALFORMED)
            return {}
        return {
            str(name): self.number(number, f"{at}/{key}/{name}", low=Decimal(0), open_low=True)
            for name, number in value.items()
        }


def from_json(data: Any) -> AssessmentInput:
    """Read a request. Raises Problem 422 with all faults."""
    read = _Reader()
    if not isinstance(data, Mapping):
        raise invalid([Fault("", "not-an-object", T("须为 JSON 对象", "must be a JSON object"))])
    direction = read.choice(data, "direction", ("I", "E"), "", "I")
    completed = read.day(data, "completed_on")
    if "completed_on" not in data or data["completed_on"] is None:
        read.fault("/completed_on", "missing", _MISSING)
    rows = data.get("items")
    items: list[Item] = []
    if not isinstance(rows, list) or not rows:
        read.fault("/items", "missing", T("至少须有一项商品", "at least one item is needed"))
    elif len(rows) > MAX_ITEMS:
        read.fault("/items", "too-many-items", T("最多 {n} 项商品", "at most {n} items", n=MAX_ITEMS))
    else:
        items = [_item(read, row, index) for index, row in enumerate(rows)]
    adjustments = _adjustments(read, data.get("adjustments"), len(items))
    gross = data.get("gross_weight")
    request = AssessmentInput(
        direction=direction,
        items=tuple(items),
        completed_on=completed or date.min,
        entered_on=read.day(data, "entered_on"),
        advance=read.flag(data, "advance", "", False),
        regime=read.text(data, "regime", re.compile(r"\d{4}"), "", "0110"),
        levy_nature=read.text(data, "levy_nature", re.compile(r"\d{3}"), "", "101"),
        trade_terms=read.choice(data, "trade_terms", ("1", "2", "3", "4", "5", "6", "7"), "", "1"),
        freight=read.fee(data, "freight", "123"),
        insurance=read.fee(data, "insurance", "13"),
        misc=read.fee(data, "misc", "13"),
        gross_weight=None if gross is None else read.number(gross, "/gross_weight", low=Decimal(0), open_low=True),
        adjustments=adjustments,
        buyer=_buyer(read, data.get("buyer")),
        deferred_since=read.day(data, "deferred_since"),
    )
    if request.deferred_since is not None and completed is not None and request.deferred_since > completed:
        read.fault("/deferred_since", "out-of-range", T("晚于申报日", "after the day of the declaration"))
    if read.faults:
        raise invalid(read.faults)
    return request


def _item(read: _Reader, row: Any, index: int) -> Item:
    at = f"/items/{index}"
    if not isinstance(row, Mapping):
        read.fault(at, "not-an-object", T("须为 JSON 对象", "must be a JSON object"))
        row = {}
    reduction = row.get("reduction")
    return Item(
        number=index + 1,
        code=read.text(row, "code", _CODE, at),
        total=read.number(row.get("total"), f"{at}/total", low=Decimal(0), open_low=True),
        currency=read.text(row, "currency", _CURRENCY, at, "CNY"),
        origin=read.text(row, "origin", _COUNTRY, at, ""),
        quantities=read.numbers(row, "quantities", at),
        duty_mode=read.choice(row, "duty_mode", DUTY_MODES, at, "1"),
        agreement=read.text(row, "agreement", _WORD, at, ""),
        certificate=read.flag(row, "certificate", at, False),
        preferential_origin=read.text(row, "preferential_origin", _COUNTRY, at, ""),
        origin_proven=read.flag(row, "origin_proven", at, True),
        exporter=read.text(row, "exporter", re.compile(r".{0,100}"), at, ""),
        quota=read.text(row, "quota", _WORD, at, ""),
        parts=read.numbers(row, "parts", at),
        reduction=None if reduction is None else read.number(reduction, f"{at}/reduction", low=Decimal(0)),
        pointer=at,
    )


def _adjustments(read: _Reader, rows: Any, count: int) -> tuple[Adjustment, ...]:
    if rows is None:
        return ()
    if not isinstance(rows, list) or len(rows) > 200:
        read.fault("/adjustments", "malformed", _MALFORMED)
        return ()
    found = []
    for index, row in enumerate(rows):
        at = f"/adjustments/{index}"
        if not isinstance(row, Mapping):
            read.fault(at, "not-an-object", T("须为 JSON 对象", "must be a JSON object"))
            continue
        number = row.get("item")
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= count):
            read.fault(f"{at}/item", "unknown-item", T("没有该项商品", "there is no such item"))
            number = None
        found.append(
            Adjustment(
                kind=read.choice(row, "kind", ADDITIONS + DEDUCTIONS, at),
                amount=read.number(row.get("amount"), f"{at}/amount", low=Decimal(0), open_low=True),
                currency=read.text(row, "currency", _CURRENCY, at, "CNY"),
                item=number,
            )
        )
    return tuple(found)


def _buyer(read: _Reader, row: Any) -> Buyer | None:
    if row is None:
        return None
    if not isinstance(row, Mapping):
        read.fault("/buyer", "not-an-object", T("须为 JSON 对象", "must be a JSON object"))
        return None
    articles = row.get("articles", 1)
    if isinstance(articles, bool) or not isinstance(articles, int) or articles < 1:
        read.fault("/buyer/articles", "not-positive", T("须为正整数", "must be a whole number above zero"))
        articles = 1
    return Buyer(
        reference=read.text(row, "reference", re.compile(r".{1,80}"), "/buyer", ""),
        used_this_year=read.number(row.get("used_this_year", "0"), "/buyer/used_this_year", low=Decimal(0)),
        articles=articles,
    )


def with_pointers(request: AssessmentInput) -> AssessmentInput:
    """The same with `/items/n` where an item has no pointer of its own."""
    if all(item.pointer for item in request.items):
        return request
    items = tuple(
        item if item.pointer else replace(item, pointer=f"/items/{index}") for index, item in enumerate(request.items)
    )
    return replace(request, items=items)


def _number(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _fee_json(fee: Fee | None) -> dict[str, Any] | None:
    return None if fee is None else {"mark": fee.mark, "value": _number(fee.value), "currency": fee.currency}


def to_json(request: AssessmentInput) -> dict[str, Any]:
    """What `from_json` reads back. An officer's values and rates are kept apart (see `fixing`)."""
    return {
        "direction": request.direction,
        "completed_on": request.completed_on.isoformat(),
        "entered_on": request.entered_on.isoformat() if request.entered_on else None,
        "advance": request.advance,
        "deferred_since": request.deferred_since.isoformat() if request.deferred_since else None,
        "regime": request.regime,
        "levy_nature": request.levy_nature,
        "trade_terms": request.trade_terms,
        "freight": _fee_json(request.freight),
        "insurance": _fee_json(request.insurance),
        "misc": _fee_json(request.misc),
        "gross_weight": _number(request.gross_weight),
        "adjustments": [
            {"kind": row.kind, "amount": _number(row.amount), "currency": row.currency, "item": row.item}
            for row in request.adjustments
        ],
        "buyer": None
        if request.buyer is None
        else {
            "reference": request.buyer.reference,
            "used_this_year": _number(request.buyer.used_this_year),
            "articles": request.buyer.articles,
        },
        "items": [
            {
                "code": item.code,
                "total": _number(item.total),
                "currency": item.currency,
                "origin": item.origin,
                "quantities": {unit: _number(quantity) for unit, quantity in item.quantities.items()},
                "duty_mode": item.duty_mode,
                "agreement": item.agreement,
                "certificate": item.certificate,
                "origin_proven": item.origin_proven,
                "exporter": item.exporter,
                "quota": item.quota,
                "parts": {name: _number(value) for name, value in item.parts.items()},
                "reduction": _number(item.reduction),
            }
            | ({"preferential_origin": item.preferential_origin} if item.preferential_origin else {})
            for item in request.items
        ],
    }
