"""Goods items, and what points at them."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from declarations.message import Message, item_numbers, rows
from declarations.rules.registry import Hit, items, number_of, rule, text_of


@rule("item-number-repeated", "商品序号 {number} 重复", "Item number {number} appears more than once")
def item_numbers_are_unique(message: Message) -> Iterator[Hit]:
    """Containers and certificates point at items by their number."""
    seen: set[Any] = set()
    for at, item in items(message):
        number = item.get("item_number")
        if isinstance(number, int) and number in seen:
            yield f"{at}/item_number", {"number": number}
        elif isinstance(number, int):
            seen.add(number)


@rule(
    "item-number-sequence",
    "商品序号应从 1 起连续，此处应为 {expected}",
    "Item numbers run from 1 without gaps: {expected} is due here",
)
def item_numbers_run_from_one(message: Message) -> Iterator[Hit]:
    """Items are numbered in sequence (general knowledge of the filling rules)."""
    numbers = [(at, item.get("item_number")) for at, item in items(message)]
    if len({number for _, number in numbers if isinstance(number, int)}) < len(numbers):
        return  # repeated or malformed numbers are told of elsewhere
    for expected, (at, number) in enumerate(numbers, start=1):
        if number != expected:
            yield f"{at}/item_number", {"expected": expected}
            return


@rule("commodity-code-length", "商品编号应为 10 位", "The commodity code has 10 digits", summary=False)
def a_commodity_code_has_ten_digits(message: Message) -> Iterator[Hit]:
    """GACC 2019 No. 18 art. 34; only a summary declaration may give six."""
    for at, item in items(message):
        if 0 < len(text_of(item, "commodity_code")) < 10:
            yield f"{at}/commodity_code", {}


@rule(
    "second-quantity",
    "第二法定计量单位与数量须同时填写",
    "Second statutory unit and quantity go together",
    summary=False,
)
def the_second_statutory_quantity_goes_with_its_unit(message: Message) -> Iterator[Hit]:
    """SecondQty is sent only when the code has a second statutory unit. (Interface comments.)"""
    for at, item in items(message):
        unit, quantity = text_of(item, "second_statutory_unit"), number_of(item, "second_statutory_quantity")
        if unit and quantity is None:
            yield f"{at}/second_statutory_quantity", {}
        elif quantity is not None and quantity != 0 and not unit:
            yield f"{at}/second_statutory_unit", {}


@rule("not-positive", "必须大于零", "Must be more than zero")
def quantities_and_weights_are_more_than_nothing(message: Message) -> Iterator[Hit]:
    """A declaration of nothing declares nothing."""
    for name in ("gross_weight", "net_weight", "package_count"):
        if number_of(message, name) == 0:
            yield f"/{name}", {}
    for at, item in items(message):
        for name in ("quantity", "first_statutory_quantity", "invoice_amount"):
            if number_of(item, name) == 0:
                yield f"{at}/{name}", {}


@rule(
    "total-mismatch",
    "总价 {amount} 与单价×数量 {expected} 不符",
    "The total {amount} is not price × quantity, {expected}",
    summary=False,
)
def the_total_is_price_times_quantity(message: Message) -> Iterator[Hit]:
    """Within what rounding the unit price to its written decimals, and the total to the cent, can explain."""
    for at, item in items(message):
        price, quantity = number_of(item, "unit_price"), number_of(item, "quantity")
        amount = number_of(item, "invoice_amount")
        if price is None or quantity is None or amount is None or not quantity:
            continue
        exponent = price.as_tuple().exponent
        places = max(2, -exponent) if isinstance(exponent, int) else 2
        tolerance = abs(quantity) * Decimal(5).scaleb(-places - 1) + Decimal("0.01")
        if abs(amount - price * quantity) > tolerance:
            yield f"{at}/invoice_amount", {"amount": amount, "expected": f"{(price * quantity).normalize():f}"}


@rule("gross-below-net", "毛重 {gross} 小于净重 {net}", "The gross weight {gross} is below the net weight {net}")
def gross_weight_is_not_below_net_weight(message: Message) -> Iterator[Hit]:
    """A logic check seen in working systems."""
    gross, net = number_of(message, "gross_weight"), number_of(message, "net_weight")
    if gross is not None and net is not None and gross < net:
        yield "/gross_weight", {"gross": gross, "net": net}


# What points at an item.


@rule("no-such-item", "没有序号为 {number} 的商品", "There is no item number {number}")
def what_points_at_an_item_finds_it(message: Message) -> Iterator[Hit]:
    """Containers, electronic documents, certificates of origin, supplements and transit goods name items."""
    there = {number for _, item in items(message) if isinstance(number := item.get("item_number"), int)}
    for name, member in _REFERENCES:
        for index, row in enumerate(rows(message, name)):
            for number in item_numbers(row.get(member)):
                if number and number not in there:
                    yield f"/{name}/{index}/{member}", {"number": number}


@rule(
    "item-numbers-form",
    "项号应为以半角逗号分隔的数字，例如 1,3",
    "Item numbers are written with commas, for example 1,3",
)
def item_lists_are_numbers_with_commas(message: Message) -> Iterator[Hit]:
    """Container GoodsNo `"1,3"`. (Interface comments.)"""
    for name, member in _REFERENCES:
        for index, row in enumerate(rows(message, name)):
            value = row.get(member)
            if isinstance(value, str) and value and not _ITEM_LIST(value):
                yield f"/{name}/{index}/{member}", {}


_REFERENCES = (
    ("containers", "item_numbers"),
    ("electronic_documents", "item_numbers"),
    ("origin_certificates", "item_number"),
    ("supplements", "item_number"),
    ("transit_goods", "item_number"),
)
_ITEM_LIST = re.compile(r"\s*[0-9]{1,9}\s*(?:,\s*[0-9]{1,9}\s*)*").fullmatch
