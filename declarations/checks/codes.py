from __future__ import annotations

from collections.abc import Iterator

from declarations.checks.registry import Context, Finding, Severity, register
from declarations.models import Declaration
from refdata import codes

#: Member -> code list.
HEAD = {
    "customs_office": "customs_office",
    "border_customs_office": "customs_office",
    "customs_procedure": "customs_procedure",
    "levy_nature": "levy_nature",
    "transport_mode": "transport_mode",
    "trade_terms": "trade_term",
    "package_type": "package_type",
    "entry_type": "declaration_type",
    "trading_country": "country",
    "departure_arrival_country": "country",
    "freight_currency": "currency",
    "insurance_currency": "currency",
    "other_fee_currency": "currency",
    "departure_port": "overseas_port",
    "border_port": "domestic_port",
}
ITEM = {
    "quantity_unit": "unit",
    "first_statutory_unit": "unit",
    "second_statutory_unit": "unit",
    "invoice_currency": "currency",
    "origin_country": "country",
    "destination_country": "country",
    "domestic_district": "domestic_district",
    "duty_mode": "duty_mode",
}
DOCUMENT = {"document_code": "licence_document"}


@register(
    "codes",
    "代码当日有效",
    "codes valid on the day",
    {
        "code-unknown": ("代码 {value} 不在代码表 {list} 中", "The code {value} is not in the list {list}"),
        "code-not-in-force": (
            "代码 {value}（{list}）在申报当日无效",
            "The code {value} ({list}) does not hold on the day of lodgement",
        ),
        "code-not-listed": (
            "代码 {value} 未见于所载的代码表 {list}（该表不完整）",
            "The code {value} is not in the list {list} as loaded, which is not complete",
        ),
    },
    order=10,
)
def codes_hold_on_the_day(declaration: Declaration, context: Context) -> Iterator[Finding]:
    """Every code stands in its list on the legal day of lodgement."""
    for name, slug in HEAD.items():
        yield from _look(slug, getattr(declaration, name), f"/{name}", context)
    for item in context.items:
        for name, slug in ITEM.items():
            yield from _look(slug, getattr(item, name), f"/goods_items/{item.position - 1}/{name}", context)
    for document in context.attached_documents:
        for name, slug in DOCUMENT.items():
            pointer = f"/attached_documents/{document.position - 1}/{name}"
            yield from _look(slug, getattr(document, name), pointer, context)


def _look(slug: str, value: str, pointer: str, context: Context) -> Iterator[Finding]:
    if not value or codes.is_valid(slug, value, context.day):
        return
    params = {"value": value, "list": slug}
    if codes.is_known(slug, value):
        yield Finding("code-not-in-force", Severity.ERROR, pointer, params)
    elif codes.is_complete(slug):
        yield Finding("code-unknown", Severity.ERROR, pointer, params)
    else:
        yield Finding("code-not-listed", Severity.WARNING, pointer, params, 3)
