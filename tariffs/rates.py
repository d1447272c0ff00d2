"""What a rate can be, how it is written, and what it comes to.

A rate is a small tree. It is stored as text in one canonical form, read by `parse` and written by `str()`:

    6.5%                                  ad valorem
    100/3%                                thirds and their like, exactly
    45% on case                           ad valorem on a part of the goods that is valued apart
    0.5 CNY/035                           specific: an amount a unit (customs unit code, or a word)
    6 USD/1000*each                       ... or for so many units
    0.088 USD/kg on copper_content        ... or on a part of the quantity
    10% + 2 CNY/035                       compound
    max(10%; 2 CNY/035)                   the higher of; min(...) the lower of
    sliding(035; 14: 0.28 CNY/035; 9/P + 0.0269*P - 1; round 3; cap 40%)
    degrees(0.065817 USD/kg; 0.000622 USD/kg; under 100; least 0.0503 USD/kg)
    classes(070 by value; 2500 CNY: 200 CNY/070; 180 CNY/070)
                                          price classes: from so much a unit the first rate, below it the second
    see(the rate applicable to the complete movement)
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

ZERO = Decimal(0)
FEN = Decimal("0.01")
#: No money, as an amount of money is written.
NOTHING = Decimal("0.00")


def fen(amount: Decimal) -> Decimal:
    """Rounded half-up to the fen."""
    return amount.quantize(FEN, ROUND_HALF_UP)


def plain(number: Decimal) -> str:
    """A decimal without exponent and without trailing zeros after the point."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


#: unit -> (another unit of the same measure, how many of this unit make one of the other): kg, g, t; litre, ml, kl.
SAME_MEASURE = {
    "035": (("070", Decimal(1000)), ("036", Decimal("0.001"))),
    "036": (("035", Decimal(1000)), ("070", Decimal(1000000))),
    "070": (("035", Decimal("0.001")), ("036", Decimal("0.000001"))),
    "095": (("063", Decimal(1000)), ("096", Decimal("0.001"))),
    "096": (("095", Decimal(1000)), ("063", Decimal(1000000))),
    "063": (("095", Decimal("0.001")), ("096", Decimal("0.000001"))),
}


class RateMissing(Exception):
    """Something a rate needs was not given: a quantity, the value of a part, an exchange rate, an officer's decision."""

    def __init__(self, what: str, name: str) -> None:
        super().__init__(f"{what}: {name}")
        self.what = what  # quantity | part | currency | reference
        self.name = name


class RateTextError(ValueError):
    """A text that is not a rate."""


def _yuan(amount: Decimal, currency: str) -> Decimal:
    if currency != "CNY":
        raise RateMissing("currency", currency)
    return amount


@dataclass(frozen=True, slots=True)
class Goods:
    """What a rate is applied to. `quantities` by unit, or by `unit on basis` where the law asks for a part of it."""

    value: Decimal
    quantities: Mapping[str, Decimal] = field(default_factory=dict)
    parts: Mapping[str, Decimal] = field(default_factory=dict)
    to_yuan: Callable[[Decimal, str], Decimal] = _yuan

    def quantity(self, unit: str, basis: str) -> Decimal:
        name = f"{unit} on {basis}" if basis else unit
        try:
            return self.quantities[name]
        except KeyError:
            for other, factor in SAME_MEASURE.get(name, ()):
                if other in self.quantities:
                    return self.quantities[other] * factor
            raise RateMissing("quantity", name) from None


@dataclass(frozen=True, slots=True)
class AdValorem:
    percent: Decimal
    over: int = 1
    part: str = ""
    #: How it is written, made once: most rates are of this kind, and an answer shows hundreds.
    _text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        share = plain(self.percent) + (f"/{self.over}" if self.over != 1 else "") + "%"
        object.__setattr__(self, "_text", f"{share} on {self.part}" if self.part else share)

    def __str__(self) -> str:
        return self._text

    def base(self, goods: Goods) -> Decimal:
        if not self.part:
            return goods.value
        try:
            return goods.parts[self.part]
        except KeyError:
            raise RateMissing("part", self.part) from None

    def amount(self, goods: Goods) -> Decimal:
        return self.base(goods) * self.percent / (100 * self.over)

    def worked(self, goods: Goods) -> str:
        base = plain(self.base(goods))
        return f"{base} × {plain(self.percent)}{f'/{self.over}' if self.over != 1 else ''}%"

    def leaves(self) -> Iterable["Leaf"]:
        yield self


@dataclass(frozen=True, slots=True)
class Specific:
    amount_each: Decimal
    unit: str
    currency: str = "CNY"
    per: Decimal = Decimal(1)
    basis: str = ""

    def __str__(self) -> str:
        per = "" if self.per == 1 else f"{plain(self.per)}*"
        text = f"{plain(self.amount_each)} {self.currency}/{per}{self.unit}"
        return f"{text} on {self.basis}" if self.basis else text

    def amount(self, goods: Goods) -> Decimal:
        return goods.to_yuan(goods.quantity(self.unit, self.basis) * self.amount_each / self.per, self.currency)

    def worked(self, goods: Goods) -> str:
        return f"{plain(goods.quantity(self.unit, self.basis))} × {self}"

    def leaves(self) -> Iterable["Leaf"]:
        yield self


@dataclass(frozen=True, slots=True)
class Sum:
    terms: tuple["Rate", ...]

    def __str__(self) -> str:
        return " + ".join(str(term) for term in self.terms)

    def amount(self, goods: Goods) -> Decimal:
        return sum((term.amount(goods) for term in self.terms), ZERO)

    def worked(self, goods: Goods) -> str:
        return " + ".join(term.worked(goods) for term in self.terms)

    def leaves(self) -> Iterable["Leaf"]:
        for term in self.terms:
            yield from term.leaves()


@dataclass(frozen=True, slots=True)
class Choice:
    """The higher (`max`) or the lower (`min`) of several rates, by what each comes to."""

    pick: str
    terms: tuple["Rate", ...]

    def __str__(self) -> str:
        return f"{self.pick}({'; '.join(str(term) for term in self.terms)})"

    def amount(self, goods: Goods) -> Decimal:
        amounts = [term.amount(goods) for term in self.terms]
        return max(amounts) if self.pick == "max" else min(amounts)

    def worked(self, goods: Goods) -> str:
        each = "; ".join(f"{term.worked(goods)} = {plain(fen(term.amount(goods)))}" for term in self.terms)
        return f"{self.pick}({each})"

    def leaves(self) -> Iterable["Leaf"]:
        for term in self.terms:
            yield from term.leaves()


@dataclass(frozen=True, slots=True)
class Sliding:
    """Sliding duty: at or above `threshold` yuan a unit a fixed rate, below it `a/P + b*P + c` of the value.

    P is the customs value of one unit; the formula's result is rounded half-up to `digits` places and capped.
    """

    unit: str
    threshold: Decimal
    above: "Rate"
    a: Decimal
    b: Decimal
    c: Decimal
    digits: int
    cap: Decimal

    def __str__(self) -> str:
        sign = "-" if self.c < 0 else "+"
        return (
            f"sliding({self.unit}; {plain(self.threshold)}: {self.above}; "
            f"{plain(self.a)}/P + {plain(self.b)}*P {sign} {plain(abs(self.c))}; round {self.digits}; "
            f"cap {plain(self.cap)}%)"
        )

    def _price(self, goods: Goods) -> Decimal:
        quantity = goods.quantity(self.unit, "")
        if quantity <= 0:
            raise RateMissing("quantity", self.unit)
        return goods.value / quantity

    def _share(self, price: Decimal) -> Decimal:
        if price <= 0:
            return self.cap / 100
        share = (self.a / price + self.b * price + self.c).quantize(Decimal(1).scaleb(-self.digits), ROUND_HALF_UP)
        return max(ZERO, min(share, self.cap / 100))

    def amount(self, goods: Goods) -> Decimal:
        price = self._price(goods)
        return self.above.amount(goods) if price >= self.threshold else goods.value * self._share(price)

    def worked(self, goods: Goods) -> str:
        price = self._price(goods)
        shown = plain(price.quantize(Decimal("0.000001"), ROUND_HALF_UP))
        if price >= self.threshold:
            return f"P {shown} ≥ {plain(self.threshold)}: {self.above.worked(goods)}"
        return f"P {shown} < {plain(self.threshold)}: {plain(goods.value)} × {plain(self._share(price) * 100)}%"

    def leaves(self) -> Iterable["Leaf"]:
        yield Specific(ZERO, self.unit)
        yield from self.above.leaves()


@dataclass(frozen=True, slots=True)
class Degrees:
    """A specific rate that falls with each degree under a mark, down to a floor (raw sugar by its polarity)."""

    base: Specific
    step: Specific
    under: Decimal
    least: Specific

    def __str__(self) -> str:
        return f"degrees({self.base}; {self.step}; under {plain(self.under)}; least {self.least})"

    def amount(self, goods: Goods) -> Decimal:
        missing = max(ZERO, self.under - goods.quantity("degree", ""))
        return max(self.base.amount(goods) - missing * self.step.amount(goods), self.least.amount(goods))

    def worked(self, goods: Goods) -> str:
        missing = max(ZERO, self.under - goods.quantity("degree", ""))
        return (
            f"max({self.base.worked(goods)} - {plain(missing)} × {self.step.worked(goods)}; {self.least.worked(goods)})"
        )

    def leaves(self) -> Iterable["Leaf"]:
        yield self.base
        yield Specific(ZERO, "degree")


@dataclass(frozen=True, slots=True)
class Classes:
    """Two classes by the price of one unit (beer by the tonne, cigarettes by the thousand): `above` from the threshold on.

    By `value` the price is the customs value of one unit. By `price` it is the price composed with the tax of the lower class:
    (value + duties + its specific part) / (1 - its ad valorem part), for one unit. Nothing is rounded before the comparison.
    """

    unit: str
    by: str
    threshold: Decimal
    currency: str
    above: "Rate"
    below: "Rate"

    def __str__(self) -> str:
        return f"classes({self.unit} by {self.by}; {plain(self.threshold)} {self.currency}: {self.above}; {self.below})"

    def price(self, goods: Goods, duties: Decimal = ZERO) -> Decimal:
        quantity = goods.quantity(self.unit, "")
        if quantity <= 0:
            raise RateMissing("quantity", self.unit)
        value = goods.value
        if self.by == "price":
            percent = sum(
                (leaf.percent / leaf.over for leaf in self.below.leaves() if isinstance(leaf, AdValorem)), ZERO
            )
            specific = sum((leaf.amount(goods) for leaf in self.below.leaves() if isinstance(leaf, Specific)), ZERO)
            value = (value + duties + specific) / (1 - percent / 100)
        return value / quantity

    def choose(self, goods: Goods, duties: Decimal = ZERO) -> "tuple[Rate, Decimal, str]":
        """The rate of the class, the price of one unit as it is shown, and the comparison that says so."""
        price, limit = self.price(goods, duties), goods.to_yuan(self.threshold, self.currency)
        shown = price.quantize(Decimal("0.000001"), ROUND_HALF_UP)
        if price >= limit:
            return self.above, shown, f"{plain(shown)} ≥ {plain(limit)}"
        return self.below, shown, f"{plain(shown)} < {plain(limit)}"

    def amount(self, goods: Goods) -> Decimal:
        return self.choose(goods)[0].amount(goods)

    def worked(self, goods: Goods) -> str:
        rate, _, compared = self.choose(goods)
        return f"{compared}: {rate.worked(goods)}"

    def leaves(self) -> Iterable["Leaf"]:
        yield Specific(ZERO, self.unit)
        yield from self.above.leaves()
        yield from self.below.leaves()


@dataclass(frozen=True, slots=True)
class Refer:
    """A rate the schedule gives only by pointing at other goods: an officer says which rate it is."""

    text: str

    def __str__(self) -> str:
        return f"see({self.text})"

    def amount(self, goods: Goods) -> Decimal:
        raise RateMissing("reference", self.text)

    def worked(self, goods: Goods) -> str:
        raise RateMissing("reference", self.text)

    def leaves(self) -> Iterable["Leaf"]:
        return ()


Leaf = AdValorem | Specific
Rate = AdValorem | Specific | Sum | Choice | Sliding | Degrees | Classes | Refer
FREE = AdValorem(ZERO)

_NUMBER = r"\d+(?:\.\d+)?"
_WORD = r"[A-Za-z0-9_.-]+"
_AD_VALOREM = re.compile(rf"({_NUMBER})(?:/(\d+))?\s*%(?: on ({_WORD}))?")
_SPECIFIC = re.compile(rf"({_NUMBER})\s*([A-Z]{{3}})\s*/\s*(?:({_NUMBER})\*)?({_WORD})(?: on ({_WORD}))?")
_SLIDING = re.compile(
    rf"sliding\(({_WORD}); ({_NUMBER}): (.+?); ({_NUMBER})/P \+ ({_NUMBER})\*P ([+-]) ({_NUMBER}); "
    rf"round (\d); cap ({_NUMBER})%\)"
)
_CLASSES = re.compile(rf"classes\(({_WORD}) by (value|price); ({_NUMBER}) ([A-Z]{{3}}): ([^;()]+); ([^;()]+)\)")
_DEGREES = re.compile(rf"degrees\((.+?); (.+?); under ({_NUMBER}); least (.+?)\)")


def _specific(text: str) -> Specific:
    match = _SPECIFIC.fullmatch(text.strip())
    if match is None:
        raise RateTextError(text)
    amount, currency, per, unit, basis = match.groups()
    if per and not Decimal(per):
        raise RateTextError(text)
    return Specific(Decimal(amount), unit, currency, Decimal(per or 1), basis or "")


def _split(text: str, mark: str) -> list[str]:
    """Split at a mark, but not inside brackets."""
    parts, depth, start = [], 0, 0
    for place, sign in enumerate(text):
        if sign == "(":
            depth += 1
        elif sign == ")":
            depth -= 1
        elif sign == mark and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    if depth:
        raise RateTextError(text)
    parts.append(text[start:])
    return parts


@lru_cache(maxsize=65536)
def parse(text: str) -> Rate:
    """Read a rate in the canonical form. Raises RateTextError for anything else."""
    text = " ".join(text.split())
    if not text or len(text) > 500:
        raise RateTextError(text[:60])
    if text.lower() in ("free", "免税", "0"):
        return FREE
    if match := _AD_VALOREM.fullmatch(text):
        percent, over, part = match.groups()
        if over is not None and not int(over):
            raise RateTextError(text)
        return AdValorem(Decimal(percent), int(over or 1), part or "")
    if _SPECIFIC.fullmatch(text):
        return _specific(text)
    if text.startswith("see(") and text.endswith(")"):
        return Refer(text[4:-1].strip())
    if match := _SLIDING.fullmatch(text):
        unit, threshold, above, a, b, sign, c, digits, cap = match.groups()
        constant = -Decimal(c) if sign == "-" else Decimal(c)
        return Sliding(
            unit, Decimal(threshold), parse(above), Decimal(a), Decimal(b), constant, int(digits), Decimal(cap)
        )
    if match := _DEGREES.fullmatch(text):
        base, step, under, least = match.groups()
        return Degrees(_specific(base), _specific(step), Decimal(under), _specific(least))
    if match := _CLASSES.fullmatch(text):
        unit, by, limit, currency, first, second = match.groups()
        above, below = parse(first), parse(second)
        if by == "price" and sum(leaf.percent for leaf in below.leaves() if isinstance(leaf, AdValorem)) >= 100:
            raise RateTextError(text)
        return Classes(unit, by, Decimal(limit), currency, above, below)
    if len(terms := _split(text, "+")) > 1:
        return Sum(tuple(parse(term) for term in terms))
    if text[:4] in ("max(", "min(") and text.endswith(")"):
        terms = _split(text[4:-1], ";")
        if len(terms) < 2:
            raise RateTextError(text)
        return Choice(text[:3], tuple(parse(term) for term in terms))
    raise RateTextError(text)


def units(rate: Rate) -> list[str]:
    """The quantities a rate asks for, as `unit` or `unit on basis`."""
    found: list[str] = []
    for leaf in rate.leaves():
        if isinstance(leaf, Specific):
            name = f"{leaf.unit} on {leaf.basis}" if leaf.basis else leaf.unit
            if name not in found:
                found.append(name)
    return found
