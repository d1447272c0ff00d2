"""The tariff as the arithmetic sees it: plain records, and one interface that gives what holds on a day.

`MemoryBook` keeps everything in lists (tests, golden cases, small tools); `lookup.DatabaseBook` reads the database
through a bounded cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Protocol

from .rates import Rate
from .workdays import Calendar

#: Everybody.
ALL = "ALL"
#: The group of origins entitled to the most-favoured-nation rate.
MFN_GROUP = "MFN"

IMPORT_DUTY_KINDS = (
    "mfn", "provisional", "conventional", "preferential", "general", "quota_in", "quota_in_provisional", "quota_out",
)  # fmt: skip
EXPORT_KINDS = ("export", "export_provisional")
REMEDY_KINDS = ("anti_dumping", "countervailing", "safeguard", "retaliation")
TAX_KINDS = ("vat", "consumption")
KINDS = (*IMPORT_DUTY_KINDS, *EXPORT_KINDS, *REMEDY_KINDS, *TAX_KINDS)


def _in_force(start: date | None, end: date | None, day: date) -> bool:
    return (start is None or start <= day) and (end is None or day < end)


@dataclass(frozen=True, slots=True)
class Commodity:
    """A line of the tree. Periods are half-open: `end` is the first day it no longer holds."""

    code: str
    name_zh: str
    name_en: str
    unit1: str = ""
    unit2: str = ""
    elements: tuple[str, ...] = ()
    documents: str = ""
    inspection: str = ""
    start: date | None = None
    end: date | None = None
    example: bool = False

    def on(self, day: date) -> bool:
        return _in_force(self.start, self.end, day)


@dataclass(frozen=True, slots=True)
class Measure:
    id: int
    code: str
    kind: str
    group: str  # an origin group, a country, or ALL
    rate: Rate
    exporter: str = ""
    agreement: str = ""
    quota: str = ""
    basis: str = ""
    start: date | None = None
    end: date | None = None
    example: bool = False

    def on(self, day: date) -> bool:
        return _in_force(self.start, self.end, day)


@dataclass(frozen=True, slots=True)
class ExchangeRate:
    """Yuan for `per` units of the currency; `inverse`: units of the currency for `per` yuan."""

    currency: str
    rate: Decimal
    quoted_on: date
    per: int = 1
    inverse: bool = False
    start: date | None = None
    end: date | None = None
    example: bool = False

    def convert(self, amount: Decimal) -> Decimal:
        """To yuan, not yet rounded."""
        return amount * self.per / self.rate if self.inverse else amount * self.rate / self.per

    def __str__(self) -> str:
        return f"{self.per} CNY = {self.rate} {self.currency}" if self.inverse else f"{self.rate}/{self.per}"


#: What a regime does with a tax.
LEVY, SUSPEND, EXEMPT, BY_MODE = "levy", "suspend", "exempt", "by_mode"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a regime (监管方式) with a levy nature (征免性质) does with each tax. Blank levy nature: any."""

    direction: str
    regime: str
    levy_nature: str
    duty: str
    consumption: str
    vat: str
    remedy: str
    start: date | None = None
    end: date | None = None
    source: str = ""


AS_PRESCRIBED = Effect("", "", "", LEVY, LEVY, LEVY, LEVY)


class Book(Protocol):
    version: int
    calendar: Calendar

    def commodity(self, code: str, day: date) -> Commodity | None: ...
    def ended_on(self, code: str, day: date) -> date | None: ...
    def measures(self, code: str, day: date) -> Sequence[Measure]: ...
    def groups(self, country: str, day: date) -> Mapping[str, str]: ...
    def exchange_rate(self, currency: str, day: date) -> ExchangeRate | None: ...
    def parameter(self, name: str, day: date) -> Decimal: ...
    def effect(self, direction: str, regime: str, levy_nature: str, day: date) -> Effect | None: ...
    def quota_left(self, quota: str, day: date, without: str = "") -> Decimal | None: ...


def most_specific(measures: Iterable[Measure], day: date) -> list[Measure]:
    """Measures in force on the day, each inherited downwards unless a longer code has one of the same kind and origin."""
    found: dict[tuple[str, str, str], Measure] = {}
    for measure in measures:
        if measure.on(day):
            key = (measure.kind, measure.group, measure.exporter)
            held = found.get(key)
            if held is None or len(held.code) < len(measure.code):
                found[key] = measure
    return list(found.values())


#: Digits of a code that says which goods they are; a summary may give six.
FULL_CODE = 10


def prefixes(code: str) -> list[str]:
    """The code and its parents: 2, 4, 6, 8 and 10 digits."""
    return [code[:length] for length in (2, 4, 6, 8, 10) if length <= len(code)]


@dataclass(slots=True)
class MemoryBook:
    commodities: list[Commodity] = field(default_factory=list)
    all_measures: list[Measure] = field(default_factory=list)
    members: list[tuple[str, str, str, date | None, date | None]] = field(default_factory=list)
    rates: list[ExchangeRate] = field(default_factory=list)
    parameters: list[tuple[str, Decimal, date | None, date | None]] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    quotas: dict[str, Decimal] = field(default_factory=dict)
    calendar: Calendar = field(default_factory=Calendar)
    version: int = 0

    def commodity(self, code: str, day: date) -> Commodity | None:
        return next((line for line in self.commodities if line.code == code and line.on(day)), None)

    def ended_on(self, code: str, day: date) -> date | None:
        ends = [line.end for line in self.commodities if line.code == code and line.end and line.end <= day]
        return max(ends, default=None)

    def measures(self, code: str, day: date) -> Sequence[Measure]:
        chain = prefixes(code)
        return most_specific((measure for measure in self.all_measures if measure.code in chain), day)

    def groups(self, country: str, day: date) -> Mapping[str, str]:
        found = {ALL: "", country: ""}
        for group, agreement, member, start, end in self.members:
            if member == country and _in_force(start, end, day):
                found[group] = agreement
        return found

    def exchange_rate(self, currency: str, day: date) -> ExchangeRate | None:
        return next((r for r in self.rates if r.currency == currency and _in_force(r.start, r.end, day)), None)

    def parameter(self, name: str, day: date) -> Decimal:
        for known, value, start, end in self.parameters:
            if known == name and _in_force(start, end, day):
                return value
        raise KeyError(name)

    def effect(self, direction: str, regime: str, levy_nature: str, day: date) -> Effect | None:
        return pick_effect(self.effects, direction, regime, levy_nature, day)

    def quota_left(self, quota: str, day: date, without: str = "") -> Decimal | None:
        return self.quotas.get(quota)


def pick_effect(effects: Iterable[Effect], direction: str, regime: str, levy_nature: str, day: date) -> Effect | None:
    """The row for exactly this levy nature, else the regime's row for any, else the levy nature's row for any regime."""
    best, rank = None, 0
    for effect in effects:
        if effect.direction not in (direction, "") or not _in_force(effect.start, effect.end, day):
            continue
        if effect.regime not in (regime, "") or effect.levy_nature not in (levy_nature, ""):
            continue
        score = 4 * bool(effect.regime) + 2 * bool(effect.levy_nature) + bool(effect.direction)
        if score > rank:
            best, rank = effect, score
    return best
