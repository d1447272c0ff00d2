"""One run of an assessment: what its steps share, find and write down."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from common.problems import Fault
from common.text import T

from .assessed import ItemResult, TaxLine
from .basis import Notice, Step
from .book import AS_PRESCRIBED, BY_MODE, EXEMPT, FULL_CODE, LEVY, SUSPEND, Book, Commodity, Effect, ExchangeRate
from .inputs import AssessmentInput, Item
from .rates import NOTHING, ZERO, Goods, RateMissing, fen, plain


class Run:
    """What is asked, the tables it is asked of, and what was found so far: steps, notices, faults, the exchange rates used."""

    def __init__(self, request: AssessmentInput, book: Book, subject: str) -> None:
        self.request, self.book, self.subject = request, book, subject
        self.day = request.rate_day()
        self.steps: list[Step] = []
        self.notices: list[Notice] = []
        self.faults: list[Fault] = []
        self.rates: dict[str, ExchangeRate] = {}

    def commodity(self, item: Item) -> Commodity | None:
        found = self.book.commodity(item.code, self.day)
        if found is None and len(item.code) == FULL_CODE:
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

    def yuan(self, amount: Decimal, currency: str) -> Decimal:
        if currency == "CNY":
            return amount
        rate = self.rates.get(currency)
        if rate is None:
            rate = self.book.exchange_rate(currency, self.day)
            if rate is None:
                raise RateMissing("currency", currency)
            self.rates[currency] = rate
        return rate.convert(amount)

    def describe(self, currency: str) -> str:
        rate = self.rates[currency]
        if rate.inverse:
            return f"{rate.per} ÷ {plain(rate.rate)}"
        return plain(rate.rate) if rate.per == 1 else f"{plain(rate.rate)} ÷ {rate.per}"

    def goods(self, item: Item, value: Decimal) -> Goods:
        return Goods(value, item.quantities, item.parts, self.yuan)

    def effect(self, item: Item) -> Effect:
        request = self.request
        effect = self.book.effect(request.direction, request.regime, request.levy_nature, self.day)
        if effect is None:
            self.notices.append(Notice("regime-unknown", item.number))
            return AS_PRESCRIBED
        return effect

    def missing(self, item: Item, missing: RateMissing) -> None:
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

    def each(self, results: list[ItemResult], levy: Callable[[ItemResult], None]) -> None:
        for result in results:
            try:
                levy(result)
            except RateMissing as missing:
                self.missing(result.item, missing)
