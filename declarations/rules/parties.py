"""The parties and what they confirm."""

from collections.abc import Iterator

from stdnum.cn import uscc

from declarations.message import Message
from declarations.rules.registry import Hit, exports, rule, text_of

_CREDIT_CODES = ("declarant_credit_code", "domestic_party_credit_code", "owner_credit_code", "preparer_credit_code")


@rule("credit-code", "统一社会信用代码 {value} 校验不通过", "The credit code {value} fails its check character")
def a_credit_code_passes_its_check_character(message: Message) -> Iterator[Hit]:
    """GB 32100: 18 characters, the last one a check character."""
    for name in _CREDIT_CODES:
        value = text_of(message, name)
        if value and (uscc.compact(value) != value or not uscc.is_valid(value)):
            yield f"/{name}", {"value": value[:18]}


@rule(
    "overseas-party",
    "未填写境外收发货人；不详时填 NO",
    "The overseas party is missing; write NO when it is not known",
    severity="warning",
    summary=False,
)
def the_overseas_party_is_named(message: Message) -> Iterator[Hit]:
    """An unknown overseas party is the literal NO."""
    name = "overseas_consignee_foreign_name" if exports(message) else "overseas_consignor_foreign_name"
    if not text_of(message, name):
        yield f"/{name}", {}


# Positional members.


@rule("price-confirmations", "价格说明每位应为 0、1 或 9", "Each position of the price confirmations is 0, 1 or 9")
def price_confirmations_are_yes_no_or_empty(message: Message) -> Iterator[Hit]:
    """PromiseItmes: 1 yes, 0 no, 9 empty, in five positions. (Interface comments.)"""
    value = message.get("price_confirmations")
    if isinstance(value, str) and (len(value) > 5 or set(value) - set("019 ")):
        yield "/price_confirmations", {}
