"""Every duty, tax and fee of a declaration, exact to the fen and explained. Pure: the same request and book, the same answer.

The order is the law's: customs value, duty and trade remedies, what the regime does with them, the threshold, consumption
tax, VAT, the late-declaration fee. A customs value, a tax base and a tax are each rounded half-up to the fen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext

from common.problems import Fault, Problem, invalid
from common.text import T

from . import latefees, retail, valuation
from .basis import Notice, Step
from .book import (
    ALL,
    AS_PRESCRIBED,
    BY_MODE,
    EXEMPT,
    LEVY,
    SUSPEND,
    TAX_KINDS,
    Book,
    Commodity,
    Effect,
    ExchangeRate,
    Measure,
)
from .inputs import AssessmentInput, Item, with_pointers
from .rates import (
    NOTHING,
    ZERO,
    AdValorem,
    Classes,
    Goods,
    Rate,
    RateMissing,
    RateTextError,
    Specific,
    Sum,
    fen,
    parse,
    plain,
)
from .selection import UNKNOWN_ORIGINS, Claim, Selection, select_export, select_import

#: What quotas are kept in.
KILOGRAM = "035"
EXACT = Context(prec=60, rounding=ROUND_HALF_UP)
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


def assess(request: AssessmentInput, book: Book, subject: str = "") -> Assessment:
    """Fix everything. Raises Problem 422 with every fault found. ``subject`` is the declaration it is for, if there is one:
    what it drew on a quota before does not count against it."""
    with localcontext(EXACT):
        return _Assessor(with_pointers(request), book, subject).run()


class _Assessor:
    """One run; holds what the steps share."""

    def __init__(self, request: AssessmentInput, book: Book, subject: str) -> None:
        self.request, self.book, self.subject = request, book, subject
        self.day = request.rate_day()
        self.steps: list[Step] = []
        self.notices: list[Notice] = []
        self.faults: list[Fault] = []
        self.rates: dict[str, ExchangeRate] = {}

    def run(self) -> Assessment:
        request = self.request
        commodities = [self._commodity(item) for item in request.items]
        built = valuation.build(
            request, self._yuan, self._describe, self.book.parameter("insurance.default_percent", self.day)
        )
        self.faults += built.faults
        if self.faults:
            raise invalid(self.faults)
        for currency, rate in self.rates.items():
            self.steps.append(
                Step("exchange-rate", None, f"{currency}: {rate}", rate.rate, "order-272-13", "",
                     {"currency": currency, "quoted_on": rate.quoted_on.isoformat()})
            )  # fmt: skip
        self.steps += built.steps
        self.notices += built.notices
        self._say_day_and_regime()
        export = request.direction == "E"
        results = []
        for place, item in enumerate(request.items):
            commodity = commodities[place]
            assert commodity is not None
            make = self._export_item if export else self._import_item
            results.append(make(item, commodity, built.values[place]))
        self._quotas(results)
        if self.faults:
            raise invalid(self.faults)
        if not export:
            if retail.applies(request):
                retail.levy(self, results)
            else:
                self._taxes(results)
        elif results:
            self._threshold(results, ("export-duty",))
        if self.faults:
            raise invalid(self.faults)
        fee, late = latefees.declaration_fee(request, results, self.book, self.day, self.steps, self.notices)
        levied = sum((line.payable for result in results for line in result.taxes), ZERO)
        try:
            interest, deferred = latefees.deferred_interest(request, levied, self.book, self.day, self.steps)
        except (KeyError, Problem):
            raise invalid([Fault("/deferred_since", "parameter-missing", T(
                "未加载缓税利息日利率（deferred_interest.daily_percent）",
                "the daily rate of deferred interest (deferred_interest.daily_percent) is not loaded",
            ))]) from None  # fmt: skip
        example = (
            any(rate.example for rate in self.rates.values())
            or any(result.commodity.example for result in results)
            or any(candidate.measure.example for result in results for candidate in result.selection.candidates)
        )
        if example:
            self.notices.append(Notice("example-tariff"))
        if request.advance and request.entered_on is None:
            self.notices.append(Notice("arrival-unknown"))
        return Assessment(
            request,
            self.day,
            self.book.version,
            results,
            self.rates,
            self.steps,
            self.notices,
            fee,
            late,
            example,
            interest,
            deferred,
        )

    def _say_day_and_regime(self) -> None:
        request = self.request
        days = {"completed_on": request.completed_on.isoformat()}
        if request.entered_on is not None:
            days["entered_on"] = request.entered_on.isoformat()
        self.steps.append(Step("rate-day", None, self.day.isoformat(), self.day.isoformat(), "tariff-law-20", "", days))
        effect = self.book.effect(request.direction, request.regime, request.levy_nature, self.day)
        found = effect or AS_PRESCRIBED
        done = {"duty": found.duty, "remedy": found.remedy, "consumption": found.consumption, "vat": found.vat}
        self.steps.append(
            Step("regime", None, f"{request.regime} / {request.levy_nature}", " / ".join(done.values()), "regime", "",
                 {"direction": request.direction, "regime": request.regime, "levy_nature": request.levy_nature} | done)
        )  # fmt: skip

    # -- what is looked up

    def _commodity(self, item: Item) -> Commodity | None:
        found = self.book.commodity(item.code, self.day)
        if found is None and len(item.code) == 10:
            # Where the tree that was loaded ends at 8 digits, the last two cannot be checked.
            found = self.book.commodity(item.code[:8], self.day)
            if found is not None:
                self.notices.append(Notice("eight-digits", item.number, {"code": item.code}))
        if found is None:
            ended = self.book.ended_on(item.code, self.day)
            if ended is not None:
                self.faults.append(
                    Fault(f"{item.pointer}/code", "code-ended", T(
                        "商品编号 {code} 自 {day} 起停用", "commodity code {code} ended on {day}", code=item.code, day=ended
                    ))
                )  # fmt: skip
            else:
                self.faults.append(
                    Fault(f"{item.pointer}/code", "unknown-code", T(
                        "没有商品编号 {code}", "there is no commodity code {code}", code=item.code
                    ))
                )  # fmt: skip
        return found

    def _yuan(self, amount: Decimal, currency: str) -> Decimal:
        if currency == "CNY":
            return amount
        rate = self.rates.get(currency)
        if rate is None:
            rate = self.book.exchange_rate(currency, self.day)
            if rate is None:
                raise RateMissing("currency", currency)
            self.rates[currency] = rate
        return rate.convert(amount)

    def _describe(self, currency: str) -> str:
        rate = self.rates[currency]
        if rate.inverse:
            return f"{rate.per} ÷ {plain(rate.rate)}"
        return plain(rate.rate) if rate.per == 1 else f"{plain(rate.rate)} ÷ {rate.per}"

    # -- one item

    def _goods(self, item: Item, value: Decimal) -> Goods:
        return Goods(value, item.quantities, item.parts, self._yuan)

    def _effect(self, item: Item) -> Effect:
        request = self.request
        effect = self.book.effect(request.direction, request.regime, request.levy_nature, self.day)
        if effect is None:
            self.notices.append(Notice("regime-unknown", item.number))
            return AS_PRESCRIBED
        return effect

    def _import_item(self, item: Item, commodity: Commodity, value: Decimal) -> ItemResult:
        if item.fixed_value is not None:
            value = fen(item.fixed_value)
            self._say_fixed(item, value)
        goods = self._goods(item, value)
        measures = self.book.measures(item.code, self.day)
        claim = Claim(
            item.origin, item.agreement, item.certificate, item.origin_proven, bool(item.quota), item.exporter
        )
        groups = self.book.groups(item.origin, self.day)
        preferred = self.book.groups(item.preferential_origin, self.day) if item.preferential_origin else groups
        chosen = select_import(
            measures, groups, claim, goods, preferred, lambda origin: self.book.groups(origin, self.day)
        )
        result = ItemResult(item, commodity, value, goods, self._effect(item), chosen)
        for measure in measures:
            if measure.kind in TAX_KINDS and measure.group in groups:
                held = result.measures.get(measure.kind)
                if held is None or held.group == ALL:
                    result.measures[measure.kind] = measure
        if item.quota and (chosen.duty is None or not chosen.duty.kind.startswith("quota_in")):
            self.faults.append(
                Fault(f"{item.pointer}/quota", "no-quota-for-code", T(
                    "该商品没有关税配额", "there is no tariff quota for this code and origin"
                ))
            )  # fmt: skip
        rate = self._fixed(item, result)
        if rate is None:
            if chosen.duty is None:
                self.faults.append(
                    Fault(f"{item.pointer}/origin", "no-rate-for-origin", T(
                        "{code} 对原产地 {origin} 没有可适用的税率", "no rate of {code} applies to origin {origin}",
                        code=item.code, origin=item.origin or "?",
                    ))
                )  # fmt: skip
                return result
            rate = chosen.duty.rate
            for missing in chosen.needs:
                self._missing(item, missing)
        self._duty(result, "duty", rate, "tariff-law-23")
        unproven = not item.origin_proven or item.origin in UNKNOWN_ORIGINS
        for remedy in chosen.remedies:
            basis = "tariff-law-18" if remedy.kind == "retaliation" else "tariff-law-16"
            if unproven:
                basis = "tariff-law-19"
            self._duty(result, REMEDY_TAXES[remedy.kind], remedy.rate, basis)
        if chosen.exporters:
            named = [f"{measure.exporter} {measure.rate}" for measure in chosen.exporters[:10]]
            self.notices.append(Notice("exporter-rates", item.number, {"rates": "; ".join(named)}))
        for other in chosen.unclaimed:
            self.notices.append(
                Notice("preference-not-used", item.number, {"agreement": other.agreement or other.group,
                                                            "rate": str(other.rate)})
            )  # fmt: skip
        return result

    def _export_item(self, item: Item, commodity: Commodity, fob: Decimal) -> ItemResult:
        chosen = select_export(self.book.measures(item.code, self.day))
        result = ItemResult(item, commodity, fob, self._goods(item, fob), self._effect(item), chosen)
        rate = self._fixed(item, result) or (chosen.duty.rate if chosen.duty is not None else None)
        if item.fixed_value is not None:
            value = fen(item.fixed_value)
            self._say_fixed(item, value)
        else:
            try:
                value, worked = valuation.export_value(fob, rate, result.goods)
            except RateMissing as missing:
                self._missing(item, missing)
                return result
            self.steps.append(
                Step(
                    "customs-value-export",
                    item.number,
                    worked,
                    value,
                    "tariff-law-29",
                    inputs={"fob": f"{fob:f}", "rate": str(rate) if rate is not None else ""},
                )
            )
        result.value, result.goods = value, self._goods(item, value)
        if rate is not None:
            self._duty(result, "export-duty", rate, "tariff-law-23")
        return result

    def _say_fixed(self, item: Item, value: Decimal) -> None:
        self.steps.append(
            Step("customs-value-fixed", item.number, f"{value:f}", value, "officer", inputs={"fixed": f"{value:f}"})
        )

    def _fixed(self, item: Item, result: ItemResult) -> Rate | None:
        if not item.fixed_rate:
            return None
        try:
            rate = parse(item.fixed_rate)
        except RateTextError:
            self.faults.append(
                Fault(f"{item.pointer}/fixed_rate", "not-a-rate", T("税率格式不正确", "this is not a rate"))
            )
            return None
        chosen = result.selection
        chosen.reason = "officer"
        chosen.candidates = [
            replace(candidate, taken=False, reason="officer") if candidate.measure is chosen.duty else candidate
            for candidate in chosen.candidates
        ]
        return rate

    def _quotas(self, results: list[ItemResult]) -> None:
        """Tariff Law art. 14: what the items import within a quota, taken together, is left of it."""
        wanted: dict[str, Decimal] = {}
        lefts: dict[str, Decimal | None] = {}
        for result in results:
            if (quota := result.quota()) is None:
                continue
            if not quota:
                self.notices.append(Notice("quota-volume-unknown", result.item.number))
                continue
            try:
                quantity = result.goods.quantity(KILOGRAM, "")
            except RateMissing as missing:
                self._missing(result.item, missing)
                continue
            if quota not in wanted:
                wanted[quota] = ZERO
                lefts[quota] = self.book.quota_left(quota, self.day, self.subject)
                if lefts[quota] is None:
                    self.notices.append(Notice("quota-volume-unknown", result.item.number))
            wanted[quota] += quantity
            left = lefts[quota]
            if left is not None and wanted[quota] > left:
                self.faults.append(
                    Fault(f"{result.item.pointer}/quota", "quota-exhausted", T(
                        "关税配额余量不足：余 {left} 千克", "the quota does not suffice: {left} kg left", left=plain(left)
                    ))
                )  # fmt: skip

    def _missing(self, item: Item, missing: RateMissing) -> None:
        texts = {
            "quantity": ("quantities", "quantity-missing", T(
                "税率需要以 {name} 计的数量", "the rate needs the quantity in {name}", name=missing.name)),
            "part": ("parts", "part-value-missing", T(
                "税率需要 {name} 部分的价值", "the rate needs the value of the part {name}", name=missing.name)),
            "currency": ("code", "exchange-rate-missing", T(
                "{name} 在该月没有汇率", "no exchange rate for {name} in that month", name=missing.name)),
            "reference": ("code", "rate-by-reference", T(
                "税率须由海关核定：{name}", "customs must fix the rate: {name}", name=missing.name)),
        }  # fmt: skip
        part, code, message = texts[missing.what]
        where = f"{item.pointer}/{part}/{missing.name}" if part in ("quantities", "parts") else f"{item.pointer}/{part}"
        if not any((fault.pointer, fault.code) == (where, code) for fault in self.faults):
            self.faults.append(Fault(where, code, message))

    def _duty(self, result: ItemResult, tax: str, rate: Rate, basis: str) -> None:
        try:
            amount = fen(rate.amount(result.goods))
            worked = rate.worked(result.goods)
        except RateMissing as missing:
            self._missing(result.item, missing)
            return
        said = str(rate)
        inputs = {"customs_value": f"{result.value:f}", "rate": said}
        self.steps.append(Step(tax, result.item.number, worked, amount, basis, inputs=inputs))
        effect = result.effect.duty if tax in ("duty", "export-duty") else result.effect.remedy
        self.add(result, tax, result.value, said, amount, effect)

    def add(self, result: ItemResult, tax: str, base: Decimal, rate: str, amount: Decimal, effect: str) -> TaxLine:
        """Record a tax and apply what the regime and the duty mode do with it."""
        status, share = self._status(result.item, effect)
        due = amount
        if status == "reduced":
            due = fen(amount * share / 100)
            self.steps.append(
                Step(
                    "reduction",
                    result.item.number,
                    f"{amount:f} × {plain(share)}%",
                    due,
                    "regime",
                    inputs={"tax": tax, "amount": f"{amount:f}", "share": f"{plain(share)}%"},
                )
            )
        elif status == "exempt":
            due = NOTHING
        payable = NOTHING if status == "suspended" else due
        secured = result.item.duty_mode in ("6", "7") and payable > 0
        line = TaxLine(tax, base, rate, amount, due, payable, status, secured)
        result.taxes.append(line)
        if secured and tax == "vat":
            self.notices.append(Notice("secured", result.item.number))
        return line

    def _status(self, item: Item, effect: str) -> tuple[str, Decimal]:
        mode = item.duty_mode
        if effect == SUSPEND:
            return "suspended", ZERO
        if effect == LEVY:
            if mode in ("2", "3", "4") and Notice("exemption-unsupported", item.number) not in self.notices:
                self.notices.append(Notice("exemption-unsupported", item.number))
            return "levied", ZERO
        if mode == "3" or (mode == "5" and effect == EXEMPT):
            return "exempt", ZERO
        if mode == "2":
            return "reduced", Decimal(50)
        if mode == "4" and effect in (BY_MODE, EXEMPT):
            if item.reduction is not None and item.reduction <= 100:
                return "reduced", item.reduction
            if Notice("reduction-not-fixed", item.number) not in self.notices:
                self.notices.append(Notice("reduction-not-fixed", item.number))
        return "levied", ZERO

    # -- what runs over all items

    def _taxes(self, results: list[ItemResult]) -> None:
        self._threshold(results, ("duty", *REMEDY_TAXES.values()))
        self.each(results, self._consumption)
        self._threshold(results, ("consumption-tax",))
        self.each(results, self._vat)
        self._threshold(results, ("vat",))

    def each(self, results: list[ItemResult], levy: Callable[[ItemResult], None]) -> None:
        for result in results:
            try:
                levy(result)
            except RateMissing as missing:
                self._missing(result.item, missing)

    def consumption(self, result: ItemResult) -> tuple[Decimal, Decimal, str] | None:
        """Base, tax and rate of consumption tax, with their steps; None where the goods bear none."""
        measure = result.measures.get("consumption")
        if measure is None:
            return None
        rate = measure.rate
        if isinstance(rate, Classes):
            rate, price, compared = rate.choose(result.goods, result.due())
            self.steps.append(
                Step("price-class", result.item.number, f"{compared}: {rate}", price, "price-class", "",
                     {"rate": str(measure.rate), "taken": str(rate)})
            )  # fmt: skip
        percent = specific = ZERO
        worked = []
        for term in rate.terms if isinstance(rate, Sum) else (rate,):
            if isinstance(term, AdValorem):
                percent += term.percent / term.over
            elif isinstance(term, Specific):
                specific += term.amount(result.goods)
                worked.append(term.worked(result.goods))
            else:
                raise RateMissing("reference", str(rate))
        if percent >= 100:  # no base has so much tax in it; loading refuses it
            raise RateMissing("reference", str(rate))
        number = result.item.number
        duties = result.due()
        base = result.value
        if percent:
            base = fen((result.value + duties + specific) / (1 - percent / 100))
            parts = f"{result.value:f} + {duties:f}" + (f" + {plain(specific)}" if specific else "")
            self.steps.append(
                Step("consumption-base", number, f"({parts}) ÷ (1 − {plain(percent)}%)", base, "consumption-9", inputs={
                    "customs_value": f"{result.value:f}", "duty": f"{duties:f}", "specific": plain(specific),
                    "rate": f"{plain(percent)}%",
                })
            )  # fmt: skip
            worked.insert(0, f"{base:f} × {plain(percent)}%")
        amount = fen(base * percent / 100 + specific)
        self.steps.append(
            Step(
                "consumption-tax",
                number,
                " + ".join(worked) or "0",
                amount,
                "consumption-5",
                inputs={"base": f"{base:f}", "rate": str(rate), "specific": plain(specific)},
            )
        )
        return base, amount, str(rate)

    def _consumption(self, result: ItemResult) -> None:
        if (found := self.consumption(result)) is not None:
            base, amount, rate = found
            self.add(result, "consumption-tax", base, rate, amount, result.effect.consumption)

    def vat(self, result: ItemResult) -> tuple[Decimal, Decimal, str]:
        """Base, tax and rate of VAT, with their steps. The standard rate where none is listed for the code."""
        measure = result.measures.get("vat")
        if measure is not None:
            rate = measure.rate
        else:
            rate = AdValorem(self.book.parameter("vat.standard_percent", self.day))
            self.notices.append(Notice("vat-default", result.item.number))
        parts = {"customs_value": result.value}
        for line in result.taxes:
            if line.due:
                parts[line.tax] = parts.get(line.tax, ZERO) + line.due
        base = fen(sum(parts.values(), ZERO))
        number = result.item.number
        inputs = {name: f"{part:f}" for name, part in parts.items()}
        self.steps.append(Step("vat-base", number, " + ".join(inputs.values()), base, "vat-law-10-14", inputs=inputs))
        amount = fen(rate.amount(Goods(base)))
        shown, said = f"{base:f}", str(rate)
        self.steps.append(
            Step("vat", number, f"{shown} × {said}", amount, "vat-law-10-14", inputs={"base": shown, "rate": said})
        )
        return base, amount, said

    def _vat(self, result: ItemResult) -> None:
        base, amount, rate = self.vat(result)
        self.add(result, "vat", base, rate, amount, result.effect.vat)

    def _threshold(self, results: list[ItemResult], taxes: tuple[str, ...]) -> None:
        """Tariff Law art. 32(1): a tax that comes to no more than the threshold in all is not levied."""
        limit = self.book.parameter("de_minimis.tax_yuan", self.day)
        for tax in taxes:
            lines = [line for result in results for line in result.taxes if line.tax == tax and line.payable > 0]
            total = sum((line.payable for line in lines), ZERO)
            if lines and total <= limit:
                for line in lines:
                    line.due = line.payable = NOTHING
                    line.status, line.secured = "de-minimis", False
                self.steps.append(
                    Step("de-minimis", None, f"{total:f} ≤ {plain(limit)}", ZERO, "tariff-law-32", "",
                         {"tax": tax, "total": f"{total:f}", "threshold": plain(limit)})
                )  # fmt: skip
