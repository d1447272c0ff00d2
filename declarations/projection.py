"""From the message to the columns. A column filled from the message has the name of its member (see models.py and the SQL
functions made in migrations/_lodgement.py), so all that is left to do here is what PostgreSQL cannot read: an empty
element is no number and no day."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import models

from declarations.models import AttachedDocument, Container, Declaration, GoodsItem

Message = dict[str, Any]

LISTS: dict[str, type[models.Model]] = {
    "goods_items": GoodsItem,
    "containers": Container,
    "attached_documents": AttachedDocument,
}

#: Numbers larger than a 64-bit column can hold pass the message's own limits (19 digits); no such item number means anything.
_LARGEST = 2**63 - 1


def _not_text(model: type[models.Model]) -> tuple[str, ...]:
    return tuple(
        str(field.column)
        for field in model._meta.local_concrete_fields
        if isinstance(field, (models.DecimalField, models.DateField, models.BigIntegerField))
        and not isinstance(field, models.DateTimeField)
        and field.column not in ("id", "declaration_id")
    )


_HEAD = _not_text(Declaration)
_LISTED = {name: _not_text(model) for name, model in LISTS.items()}


def _unreadable(value: Any) -> bool:
    return value == "" or (type(value) is int and value > _LARGEST)


def columns(message: Message) -> Message | None:
    """What the columns are filled from where it is not the message itself: the same without what they cannot hold."""
    faulty = any(_unreadable(message.get(name)) for name in _HEAD) or any(
        _unreadable(row.get(name)) for key, names in _LISTED.items() for row in message.get(key, ()) for name in names
    )
    if not faulty:
        return None
    kept = {name: value for name, value in message.items() if name not in _LISTED}
    for name in _HEAD:
        if name in kept and _unreadable(kept[name]):
            del kept[name]
    for key, names in _LISTED.items():
        if key in message:
            kept[key] = [
                {name: value for name, value in row.items() if name not in names or not _unreadable(value)}
                for row in message[key]
            ]
    return kept


#: What the events of a declaration tell of it; prices and parties stay in the tables.
FACTS = (
    "direction", "document_type", "customs_office", "border_customs_office", "customs_procedure", "transport_mode",
    "transport_means", "voyage_number", "transport_document_number", "package_count", "package_type", "gross_weight",
    "net_weight", "departure_port", "border_port",
)  # fmt: skip


def facts(message: Message) -> dict[str, Any]:
    """A declaration in brief, as tracking and exchange need it."""
    told = {name: message[name] for name in FACTS if message.get(name) not in (None, "")}
    items = message.get("goods_items", ())
    told["item_count"] = len(items)
    told["containers"] = [row.get("container_number", "") for row in message.get("containers", ())]
    told["totals"] = {currency: format(total, "f") for currency, total in totals(items).items()}
    return told


def totals(items: Any) -> dict[str, Decimal]:
    """Invoice amounts by currency."""
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for item in items:
        amount, currency = item.get("invoice_amount"), item.get("invoice_currency")
        if amount and currency:
            try:
                found[currency] += Decimal(amount)
            except InvalidOperation:
                continue
    return dict(found)
