from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from bills.sources import Declared


class SingleWindowConfig(AppConfig):
    """The composition: tells siblings what they may know of each other."""

    name = "singlewindow"

    def ready(self) -> None:
        from bills import sources as of_bills
        from portfees import sources as of_fees

        of_fees.use(yuan=_yuan, working=_working)
        of_bills.use(declared=_declared)


def _yuan(currency: str, on: date) -> Decimal | None:
    """Yuan for one unit of ``currency`` by the customs rate of the month of ``on``."""
    from tariffs.lookup import current

    rate = current().exchange_rate(currency, on)
    if rate is None:
        return None
    return rate.per / rate.rate if rate.inverse else rate.rate / rate.per


def _working(day: date) -> bool:
    from tariffs.lookup import current

    return current().calendar.is_working(day)


def _declared(number: str) -> Declared | None:
    """A declaration lodged here, or told by a partner province."""
    from django.db.models import Q

    from bills.sources import Declared
    from declarations.models import Container, Declaration, State
    from exchange.models import Mirror, MirrorEvent

    lodged = Declaration.objects.exclude(state=State.DRAFT)
    if row := lodged.filter(Q(unified_number=number) | Q(customs_number=number)).first():
        stands = row.state not in (State.WITHDRAWN, State.REJECTED)
        boxes = Container.objects.filter(declaration=row).values_list("container_number", flat=True)
        return Declared(
            row.unified_number, row.transport_document_number, row.direction, row.released_at, stands, frozenset(boxes)
        )
    told = {"subject_kind": "declaration", "subject_number": number}
    mirror = Mirror.objects.filter(**told).first()
    if mirror is None:
        return None
    released = MirrorEvent.objects.filter(**told, partner=mirror.partner, type="declaration.released").first()
    return Declared(
        number, mirror.data.get("transport_document_number", ""), mirror.data.get("direction", ""),
        released.occurred_at if released else None, mirror.data.get("state") not in (State.WITHDRAWN, State.REJECTED),
        frozenset(mirror.data.get("containers") or ()),
    )  # fmt: skip
