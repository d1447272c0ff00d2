"""What a journey over a port costs by the published lists: which lines apply, how many units, the arithmetic. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Protocol, TypeVar

from common.text import T
from portfees.freetime import last_free_day
from portfees.models import Condition, Unit

FEN = Decimal("0.01")


class Item(Protocol):
    """A line of a fee list, as :class:`portfees.models.FeeItem` and tests have it."""

    code: str
    unit: str
    container_size: str
    condition: str
    direction: str
    trade_lane: str
    rate: Decimal
    currency: str
    tax_included: bool
    tax_rate: Decimal | None
    free_days: int | None
    free_days_counted: str
    tiers: list[dict[str, Any]]
    mandatory: bool


AnyItem = TypeVar("AnyItem", bound=Item)


@dataclass(frozen=True, slots=True)
class Containers:
    """So many containers of one kind. ``days`` they are expected to stand (for charges by the day)."""

    size: str
    count: int
    condition: str = Condition.ORDINARY
    days: int = 0


@dataclass(frozen=True, slots=True)
class Journey:
    """What is to be quoted: through ``port`` on ``day``."""

    port: str
    day: date
    direction: str
    containers: tuple[Containers, ...]
    area: str = ""
    trade_lane: str = ""
    bills: int = 1
    declarations: int = 1
    tonnes: Decimal = Decimal(0)
    cubic_metres: Decimal = Decimal(0)
    #: Codes of services on request that are wanted.
    services: frozenset[str] = frozenset()

    @property
    def container_count(self) -> int:
        return sum(group.count for group in self.containers)


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of a quotation. ``amount`` is what is to be paid, tax included, rounded half-up to the fen."""

    item: Any
    quantity: Decimal
    amount: Decimal
    arithmetic: str


@dataclass(frozen=True, slots=True)
class Quotation:
    journey: Journey
    mandatory: tuple[Charge, ...]
    optional: tuple[Charge, ...]
    #: Sums of the mandatory and the wanted optional charges by currency.
    totals: dict[str, Decimal] = field(default_factory=dict)
    #: Containers that no line by the container is for, and wanted services that no line offers or none here: their price is
    #: not nothing, it is not known.
    not_covered: tuple[Containers, ...] = ()
    unknown_services: tuple[str, ...] = ()


def applies(item: Item, *, size: str, condition: str, direction: str, lane: str) -> bool:
    """Whether the line is for such a container, direction and lane; what a line leaves open fits everything."""
    return (
        item.container_size in ("", size)
        and item.condition in ("", condition)
        and item.direction in ("", direction)
        and item.trade_lane in ("", lane)
    )


def _specificity(item: Item) -> tuple[bool, bool, bool, bool]:
    """What a line is for, the weightiest first: condition, then size, then trade lane, then direction. No two lines of a code
    that fit one case are alike, so the order of the rows does not matter."""
    return bool(item.condition), bool(item.container_size), bool(item.trade_lane), bool(item.direction)


def most_specific(items: Iterable[AnyItem], **case: str) -> AnyItem | None:
    """Of the lines of one code, the one that binds in this case. None where no line applies."""
    fitting = [item for item in items if applies(item, **case)]
    return max(fitting, key=_specificity, default=None)


def day_charge(item: Item, days: int) -> tuple[Decimal, str]:
    """Charge for one container standing ``days`` days, before tax and rounding, and its arithmetic."""
    charged = max(0, days - (item.free_days or 0))
    if not item.tiers:
        return item.rate * charged, f"{charged} × {item.rate.normalize():f}"
    steps = sorted(item.tiers, key=lambda tier: int(tier["from_day"]))
    total, parts = Decimal(0), []
    for index, tier in enumerate(steps):
        first = int(tier["from_day"])
        last = int(steps[index + 1]["from_day"]) - 1 if index + 1 < len(steps) else charged
        number = min(charged, last) - first + 1
        if number > 0:
            rate = Decimal(tier["rate"])
            total += number * rate
            parts.append(f"{number} × {rate.normalize():f}")
    return total, " + ".join(parts) or "0"


def _with_tax(item: Item, amount: Decimal) -> tuple[Decimal, str]:
    if item.tax_included or not item.tax_rate:
        return amount.quantize(FEN, ROUND_HALF_UP), ""
    gross = amount * (100 + item.tax_rate) / 100
    return gross.quantize(FEN, ROUND_HALF_UP), f" × (1 + {item.tax_rate.normalize():f}%)"


def charged_days(item: Item, start: date, days: int, is_working: Callable[[date], bool]) -> int:
    """Of ``days`` days from ``start`` on, those after the free time of a line charged by the day."""
    if not days:
        return 0
    last = last_free_day(start, item.free_days or 0, item.free_days_counted, is_working)
    return min(days, max(0, (start + timedelta(days=days - 1) - last).days))


def charge(item: Item, quantity: Decimal, days: int | None = None) -> Charge:
    """The charge for ``quantity`` units of a line (``days`` days each, for a line by the day)."""
    if item.unit == Unit.CONTAINER_DAY:
        each, how = day_charge(item, days or 0)
        net, arithmetic = each * quantity, f"{quantity.normalize():f} × ({how})"
    else:
        net, arithmetic = item.rate * quantity, f"{quantity.normalize():f} × {item.rate.normalize():f}"
    amount, tax = _with_tax(item, net)
    return Charge(item, quantity, amount, f"{arithmetic}{tax} = {amount}")


@dataclass(frozen=True, slots=True)
class FreeTime:
    """``last_free_day`` is the last day without charge; ``charged_days`` those after it up to and with the last day."""

    last_free_day: date
    days: int
    charged_days: int
    charge: Charge


def free_time(item: Item, *, start: date, end: date, count: int, is_working: Callable[[date], bool]) -> FreeTime:
    """What ``count`` containers standing from ``start`` to ``end`` (both counted) cost by a line charged by the day."""
    last = last_free_day(start, item.free_days or 0, item.free_days_counted, is_working)
    days = (end - start).days + 1
    charged = charged_days(item, start, days, is_working)
    return FreeTime(last, days, charged, charge(item, Decimal(count), charged + (item.free_days or 0)))


def _line_for(items: Iterable[AnyItem], group: Containers, journey: Journey) -> AnyItem | None:
    return most_specific(
        items, size=group.size, condition=group.condition, direction=journey.direction, lane=journey.trade_lane
    )


def _by_container(items: Sequence[Item], journey: Journey, is_working: Callable[[date], bool]) -> list[Charge]:
    """A code charged per container: each group of containers by its most specific line."""
    units: dict[tuple[int, int | None], list[Any]] = {}
    for group in journey.containers:
        item = _line_for(items, group, journey)
        if item is None:
            continue
        days = None
        if item.unit == Unit.CONTAINER_DAY:
            days = charged_days(item, journey.day, group.days, is_working) + (item.free_days or 0)
        entry = units.setdefault((id(item), days), [item, days, 0])
        entry[2] += group.count
    return [charge(item, Decimal(count), days) for item, days, count in units.values()]


def _by_document(items: Sequence[Item], journey: Journey) -> list[Charge]:
    """A code charged per bill, declaration, tonne or cubic metre: its most specific line, once."""
    item = most_specific(items, size="", condition="", direction=journey.direction, lane=journey.trade_lane)
    if item is None:
        return []
    quantity = {
        Unit.BILL.value: Decimal(journey.bills),
        Unit.DECLARATION.value: Decimal(journey.declarations),
        Unit.TONNE.value: journey.tonnes,
        Unit.CUBIC_METRE.value: journey.cubic_metres,
    }[item.unit]
    return [charge(item, quantity)] if quantity else []


def weekdays(day: date) -> bool:
    return day.weekday() < 5


def quote(items: Iterable[Item], journey: Journey, is_working: Callable[[date], bool] = weekdays) -> Quotation:
    """Quote a journey from the lines of the lists that bind on its day. Lines of several lists never mix. ``is_working``
    is the legal calendar, for free days counted in working days from the journey's day on."""
    services: dict[tuple[Any, str], list[Item]] = defaultdict(list)
    for item in items:
        services[getattr(item, "fee_list_id", None), item.code].append(item)
    mandatory: list[Charge] = []
    optional: list[Charge] = []
    by_container: list[Sequence[Item]] = []
    for (_, code), lines in services.items():
        if lines[0].unit in (Unit.CONTAINER, Unit.CONTAINER_DAY):
            charges = _by_container(lines, journey, is_working)
            by_container.append(lines)
        else:
            charges = _by_document(lines, journey)
        for found in charges:
            if found.item.mandatory:
                mandatory.append(found)
            elif code in journey.services:
                optional.append(found)
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for found in (*mandatory, *optional):
        totals[found.item.currency] += found.amount
    charged = {found.item.code for found in (*mandatory, *optional)}
    return Quotation(
        journey,
        tuple(mandatory),
        tuple(optional),
        dict(totals),
        tuple(
            group
            for group in journey.containers
            if not any((line := _line_for(lines, group, journey)) and line.mandatory for lines in by_container)
        ),
        tuple(sorted(journey.services - charged)),
    )


#: (currency, day) -> yuan for one unit, or None where no rate is known.
Rates = Callable[[str, date], Decimal | None]


@dataclass(frozen=True, slots=True)
class Sum:
    """A quotation's total in yuan and US dollars, whole and per container; null where a rate is missing."""

    cny: Decimal | None
    usd: Decimal | None
    cny_per_container: Decimal | None
    usd_per_container: Decimal | None


def total(quotation: Quotation, rates: Rates) -> Sum:
    """Convert by the rates of the journey's day: foreign amounts to yuan first, rounded half-up to the fen."""
    day, count = quotation.journey.day, quotation.journey.container_count
    cny: Decimal | None = Decimal(0)
    for currency, amount in quotation.totals.items():
        rate = Decimal(1) if currency == "CNY" else rates(currency, day)
        cny = None if cny is None or rate is None else cny + (amount * rate).quantize(FEN, ROUND_HALF_UP)
    dollar = rates("USD", day)
    usd = (cny / dollar).quantize(FEN, ROUND_HALF_UP) if cny is not None and dollar else None

    def each(amount: Decimal | None) -> Decimal | None:
        return (amount / count).quantize(FEN, ROUND_HALF_UP) if amount is not None and count else None

    return Sum(cny, usd, each(cny), each(usd))


NOTE = T(
    "按所选日期有效的已公布清单计算；仅含清单内项目",
    "By the published lists in force on the chosen day; nothing outside the lists is included",
)
