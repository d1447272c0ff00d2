"""Freight, insurance and other fees."""

from collections.abc import Iterator

from common.text import T
from declarations.message import Message
from declarations.rules.registry import Hit, number_of, rule, text_of

FEES = ("freight", "insurance", "other_fee")
_CIF, _CNF, _FOB, _CNI, _EXW = "1", "2", "3", "4", "7"
_FEES_NEEDED = {
    "I": {_FOB: ("freight", "insurance"), _EXW: ("freight", "insurance"), _CNF: ("insurance",), _CNI: ("freight",)},
    "E": {_CIF: ("freight", "insurance"), _CNF: ("freight",), _CNI: ("insurance",)},
}


@rule("fee-required", "该成交方式须填写{fee}", "These trade terms need the {fee}", summary=False)
def fees_follow_the_trade_terms(message: Message) -> Iterator[Hit]:
    """Freight and insurance that the price does not hold (or holds, on exports) must be given. General knowledge: the usual trade terms."""
    needed = _FEES_NEEDED.get(text_of(message, "direction"), {}).get(text_of(message, "trade_terms"), ())
    for fee in needed:
        if not text_of(message, f"{fee}_mark") and number_of(message, f"{fee}_value") is None:
            yield f"/{fee}_mark", {"fee": _FEE_NAMES[fee]}


@rule("fee-mark", "费用标记应为{allowed}", "The fee mark must be one of {allowed}")
def a_fee_mark_is_known(message: Message) -> Iterator[Hit]:
    """1 rate, 2 unit price (freight only), 3 total. (Public code table.)"""
    for fee in FEES:
        allowed = ("1", "2", "3") if fee == "freight" else ("1", "3")
        mark = text_of(message, f"{fee}_mark")
        if mark and mark not in allowed:
            yield f"/{fee}_mark", {"allowed": "/".join(allowed)}


@rule("fee-incomplete", "{fee}的标记与数值须同时填写", "Mark and value of the {fee} go together")
def a_fee_has_mark_and_value(message: Message) -> Iterator[Hit]:
    """A value without its mark says nothing, nor a mark without its value."""
    for fee in FEES:
        mark, value = text_of(message, f"{fee}_mark"), message.get(f"{fee}_value")
        if mark and value in (None, ""):
            yield f"/{fee}_value", {"fee": _FEE_NAMES[fee]}
        elif value not in (None, "") and not mark and number_of(message, f"{fee}_value") != 0:
            yield f"/{fee}_mark", {"fee": _FEE_NAMES[fee]}


@rule("fee-currency", "{fee}按单价或总价申报时须填写币制", "The {fee} needs its currency unless it is a rate")
def a_fee_amount_has_a_currency(message: Message) -> Iterator[Hit]:
    """A rate is a percentage of the price; a unit price and a total are amounts. (Public code table.)"""
    for fee in FEES:
        amounts = ("2", "3") if fee == "freight" else ("3",)
        if text_of(message, f"{fee}_mark") in amounts and not text_of(message, f"{fee}_currency"):
            yield f"/{fee}_currency", {"fee": _FEE_NAMES[fee]}


@rule("fee-rate", "{fee}率为百分数，不应达到 100", "A {fee} rate is a percentage and stays below 100")
def a_fee_rate_is_a_percentage(message: Message) -> Iterator[Hit]:
    """The freight rate is a percentage of the goods price."""
    for fee in FEES:
        value = number_of(message, f"{fee}_value")
        if text_of(message, f"{fee}_mark") == "1" and value is not None and abs(value) >= 100:
            yield f"/{fee}_value", {"fee": _FEE_NAMES[fee]}


_FEE_NAMES = {
    "freight": T("运费", "freight"),
    "insurance": T("保险费", "insurance"),
    "other_fee": T("杂费", "other fee"),
}
