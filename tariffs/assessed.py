"""What an assessment is made of: the taxes of an item, the item, the whole, and the taxes in the order of the law."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from .basis import Notice, Step
from .book import Commodity, Effect, ExchangeRate, Measure
from .inputs import AssessmentInput, Item
from .rates import ZERO, Goods
from .selection import Selection

REMEDY_TAXES = {
    "anti_dumping": "anti-dumping", "countervailing": "countervailing", "safeguard": "safeguard",
    "retaliation": "retaliation",
}  # fmt: skip
#: The taxes in the order they are fixed.
TAXES = ("duty", "export-duty", *REMEDY_TAXES.values(), "consumption-tax", "vat")


@dataclass(slots=True)
class TaxLine:
    tax: str
    base: Decimal
    rate: str
    computed: Decimal  # by the rate, before what the regime and the threshold do
    due: Decimal  # after reductions; what the next tax is reckoned on
    payable: Decimal
    status: str  # levied | reduced | suspended | exempt | de-minimis
    secured: bool = False


@dataclass(slots=True)
class ItemResult:
    item: Item
    commodity: Commodity
    value: Decimal
    goods: Goods
    effect: Effect
    selection: Selection
    taxes: list[TaxLine] = field(default_factory=list)
    measures: dict[str, Measure] = field(default_factory=dict)  # vat, consumption

    def due(self) -> Decimal:
        return sum((line.due for line in self.taxes), ZERO)

    def quota(self) -> str | None:
        """The quota the goods come in under, blank where its row names none; None where they come in under none."""
        duty = self.selection.duty
        return duty.quota if duty is not None and duty.kind.startswith("quota_in") else None


@dataclass(slots=True)
class Assessment:
    request: AssessmentInput
    rate_day: date
    version: int
    items: list[ItemResult]
    exchange_rates: dict[str, ExchangeRate]
    steps: list[Step]
    notices: list[Notice]
    late_declaration_fee: Decimal
    days_late: int
    example: bool
    deferred_interest: Decimal = ZERO
    days_deferred: int = 0

    def total(self, tax: str = "", what: str = "payable") -> Decimal:
        """Sum over the items of one tax, or of all."""
        return sum(
            (getattr(line, what) for result in self.items for line in result.taxes if tax in ("", line.tax)), ZERO
        )

    @property
    def customs_value(self) -> Decimal:
        return sum((result.value for result in self.items), ZERO)

    @property
    def payable(self) -> Decimal:
        return self.total() + self.late_declaration_fee + self.deferred_interest
