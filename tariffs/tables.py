"""What each loadable table looks like in a file: its columns, how a cell is read, what makes two rows the same thing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import models

from common.text import T

from .models import (
    CalendarDay,
    CommodityLine,
    MonthlyRate,
    OriginMember,
    Parameter,
    Quota,
    RegimeEffect,
    TariffMeasure,
    Versioned,
)
from .rates import AdValorem, Classes, RateTextError, parse


class CellError(ValueError):
    """What is wrong with a cell: a stable code and a text."""

    def __init__(self, code: str, text: Any) -> None:
        super().__init__(code)
        self.code, self.text = code, text


MISSING = CellError("missing", T("缺少此项", "this is missing"))


@dataclass(frozen=True, slots=True)
class Column:
    """`name` in the file, `field` in the model; `read` turns the cell's text into the text COPY takes."""

    name: str
    field: str
    kind: str  # PostgreSQL type of the staged value
    read: Callable[[str], str]
    required: bool = False
    default: str = ""


def words(limit: int) -> Callable[[str], str]:
    def read(cell: str) -> str:
        if len(cell) > limit:
            raise CellError("too-long", T("超过 {n} 个字符", "longer than {n} characters", n=limit))
        if "\x00" in cell:
            raise CellError("nul-character", T("含有空字符", "holds a NUL character"))
        return cell

    return read


def pattern(expression: str, zh: str, en: str) -> Callable[[str], str]:
    compiled = re.compile(expression)

    def read(cell: str) -> str:
        if not compiled.fullmatch(cell):
            raise CellError("malformed", T(zh, en))
        return cell

    return read


def one_of(*choices: str) -> Callable[[str], str]:
    known = set(choices)

    def read(cell: str) -> str:
        if cell not in known:
            raise CellError("unknown-code", T("不在代码表内：{cell}", "not a known code: {cell}", cell=cell[:40]))
        return cell

    return read


def rate(cell: str) -> str:
    try:
        return str(parse(cell))
    except RateTextError:
        raise CellError("not-a-rate", T("税率格式不正确：{cell}", "not a rate: {cell}", cell=cell[:80])) from None


def decimal(column: models.DecimalField, low: str | None = None) -> Callable[[str], str]:
    """A number that the column holds exactly: nothing is rounded on its way in."""
    places = column.decimal_places
    whole_digits = column.max_digits - places

    def read(cell: str) -> str:
        try:
            number = Decimal(cell)
        except InvalidOperation:
            raise CellError("not-a-number", T("不是数字", "not a number")) from None
        if (
            not number.is_finite()
            or (low is not None and number <= Decimal(low))
            or (number and not -places <= number.adjusted() < whole_digits)
        ):
            raise CellError("out-of-range", T("数值超出范围", "out of range"))
        if number != round(number, places):
            raise CellError("too-many-decimals", T("小数超过 {n} 位", "more than {n} decimals", n=places))
        return format(number, "f")

    return read


def field_of(model: type[models.Model], name: str) -> models.DecimalField:
    field = model._meta.get_field(name)
    assert isinstance(field, models.DecimalField)
    return field


exchange_rate = decimal(field_of(MonthlyRate, "rate"), "0")


def flag(cell: str) -> str:
    if cell.lower() in ("1", "true", "yes", "是"):
        return "t"
    if cell.lower() in ("0", "false", "no", "否"):
        return "f"
    raise CellError("not-a-flag", T("须为 1 或 0", "must be 1 or 0"))


def whole(cell: str) -> str:
    if not re.fullmatch(r"[1-9]\d{0,6}", cell):
        raise CellError("not-a-number", T("须为正整数", "must be a whole number above zero"))
    return cell


def several(cell: str) -> str:
    """`a|b|c` as a PostgreSQL array."""
    parts = [part.strip() for part in cell.split("|") if part.strip()]
    if any(len(part) > 100 for part in parts):
        raise CellError("too-long", T("超过 100 个字符", "longer than 100 characters"))
    return "{" + ",".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts) + "}"


_DAY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")


def day(cell: str) -> date:
    match = _DAY.fullmatch(cell)
    try:
        if match:
            return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        pass
    raise CellError("not-a-day", T("须为日期 YYYY-MM-DD", "must be a day YYYY-MM-DD"))


def a_day(cell: str) -> str:
    return day(cell).isoformat()


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    model: type[Versioned]
    key: tuple[str, ...]  # fields: of these two rows known now never hold on the same day
    family: str  # the field whose earlier rows make a day in the past an answered one
    columns: tuple[Column, ...]
    #: What holds for a code holds for all below it: a row changes the answers of every code above and below its own.
    inherited: bool = False
    period: str = "range"  # "day": the row holds on the one day of column `day`
    #: What columns must be together, given the values of a row in the columns' order: (column, what is wrong), or None.
    check: Callable[[list[str]], tuple[str, CellError] | None] = lambda values: None

    def payload(self) -> list[str]:
        return [column.field for column in self.columns if column.field not in self.key]


_CODE = pattern(r"\d{2}(?:\d{2}){0,4}", "编号须为 2、4、6、8 或 10 位数字", "a code has 2, 4, 6, 8 or 10 digits")
_COMMON = (
    Column("source", "source", "text", words(300)),
    Column("example", "example", "boolean", flag, default="f"),
)


def _leaves_a_base(values: list[str]) -> tuple[str, CellError] | None:
    """Consumption tax is part of its own base (Consumption Tax Regulation art. 9): below 100 %."""
    _, kind, _, _, _, text = values[:6]
    if kind != "consumption":
        return None
    rate = parse(text)
    for choice in (rate.above, rate.below) if isinstance(rate, Classes) else (rate,):
        if sum(leaf.percent / leaf.over for leaf in choice.leaves() if isinstance(leaf, AdValorem)) >= 100:
            return "rate", CellError("out-of-range", T("消费税税率须小于 100%", "consumption tax must be below 100 %"))
    return None


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table("commodities", CommodityLine, ("code",), "code", (
            Column("code", "code", "text", _CODE, True),
            Column("name_zh", "name_zh", "text", words(1000)),
            Column("name_en", "name_en", "text", words(1000)),
            Column("unit1", "unit1", "text", words(3)),
            Column("unit2", "unit2", "text", words(3)),
            Column("elements", "elements", "varchar(100)[]", several, default="{}"),
            Column("documents", "documents", "text", words(30)),
            Column("inspection", "inspection", "text", words(30)),
            Column("keywords", "keywords", "text", words(500)),
            *_COMMON,
        )),
        Table("measures", TariffMeasure, ("code", "kind", "group", "exporter"), "code", (
            Column("code", "code", "text", _CODE, True),
            Column("kind", "kind", "text", one_of(*TariffMeasure.Kind.values), True),
            Column("origin", "group", "text", pattern(r"[\w+*-]{1,20}", "原产地（组）代码不正确", "malformed origin"), True),
            Column("exporter", "exporter", "text", words(100)),
            Column("agreement", "agreement", "text", words(20)),
            Column("rate", "rate", "text", rate, True),
            Column("quota", "quota", "text", words(30)),
            Column("basis", "basis", "text", words(200)),
            *_COMMON,
        ), inherited=True, check=_leaves_a_base),
        Table("origins", OriginMember, ("group", "country"), "group", (
            Column("group", "group", "text", words(20), True),
            Column("agreement", "agreement", "text", words(20)),
            Column("country", "country", "text", pattern(r"[A-Z]{3}", "须为三位字母代码", "three letters"), True),
            Column("name_zh", "name_zh", "text", words(100)),
            Column("name_en", "name_en", "text", words(100)),
            *_COMMON,
        )),
        Table("exchange-rates", MonthlyRate, ("currency",), "currency", (
            Column("currency", "currency", "text", pattern(r"[A-Z]{3}", "须为三位字母代码", "three letters"), True),
            Column("rate", "rate", "numeric", exchange_rate, True),
            Column("per", "per", "integer", whole, default="1"),
            Column("inverse", "inverse", "boolean", flag, default="f"),
            Column("quoted_on", "quoted_on", "date", a_day, True),
            *_COMMON,
        )),
        Table("parameters", Parameter, ("name",), "name", (
            Column("name", "name", "text", words(60), True),
            Column("value", "value", "numeric", decimal(field_of(Parameter, "value")), True),
            Column("basis", "basis", "text", words(200)),
            *_COMMON,
        )),
        Table("regimes", RegimeEffect, ("direction", "regime", "levy_nature"), "regime", (
            Column("direction", "direction", "text", one_of("", "I", "E")),
            Column("regime", "regime", "text", pattern(r"(\d{4})?", "须为四位代码", "four digits")),
            Column("levy_nature", "levy_nature", "text", pattern(r"(\d{3})?", "须为三位代码", "three digits")),
            *(
                Column(name, name, "text", one_of(*RegimeEffect.Effect.values), True)
                for name in ("duty", "consumption", "vat", "remedy")
            ),
            *_COMMON,
        )),
        Table("calendar", CalendarDay, (), "working", (
            Column("working", "working", "boolean", flag, True),
            Column("name", "name", "text", words(50)),
            *_COMMON,
        ), period="day"),
        Table("quotas", Quota, ("number",), "number", (
            Column("number", "number", "text", words(30), True),
            Column("name", "name", "text", words(200)),
            Column("volume", "volume", "numeric", decimal(field_of(Quota, "volume"), "0"), True),
            *_COMMON,
        )),
    )
}  # fmt: skip


def column_of(model: type[models.Model], field: str) -> str:
    return model._meta.get_field(field).column  # type: ignore[union-attr,return-value]
