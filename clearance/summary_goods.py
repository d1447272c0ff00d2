"""The dutiable goods of a summary: what they will owe, and the guarantee that is drawn when they are picked up. It is given back
once the full declaration's memo is secured itself or paid, or there is nothing to pay."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from clearance import duties
from common.problems import Problem
from declarations.models import Declaration
from parties.principals import Principal
from tariffs import fixing, guarantees, lookup
from tariffs.book import FULL_CODE
from tariffs.inputs import AssessmentInput, Item


def covered(declaration: Declaration) -> bool:
    """Whether a guarantee of those who declare covers what the goods will owe; where the summary says too little to work that
    out, some of one must be free."""
    if not duties.applies() and declaration.message.get("guarantee_release") != "1":
        return True
    due = owed(declaration) if duties.applies() else None
    return due == 0 or bool(guarantees.covering(declaration.parties, due))


def secure(declaration: Declaration, principal: Principal) -> bool:
    """Draw what the goods will owe: all that is free of an account where nobody can tell. False where none covers it any more.
    An instance that assesses nothing draws nothing: no memo would ever give it back."""
    due = owed(declaration) if duties.applies() else Decimal(0)
    return due == 0 or guarantees.secure_goods(
        subject=declaration.unified_number,
        organisations=declaration.parties,
        amount=due,
        audience=declaration.parties,
        actor=principal.actor,
    )


def owed(declaration: Declaration) -> Decimal | None:
    """What the goods owe by the tariff of today; for a code of six digits, what the dearest goods below it would. None where
    the summary does not say enough."""
    try:
        request = duties.request_of(declaration)
        items = tuple(_dearest(request, item) for item in request.items)
        return fixing.quote(replace(request, items=items)).payable
    except Problem:
        return None


def _dearest(request: AssessmentInput, item: Item) -> Item:
    if len(item.code) >= FULL_CODE:
        return item
    found = [replace(item, code=line.code) for line in lookup.current().goods_of(item.code, request.rate_day())]
    alone = replace(request, adjustments=())
    return max(found, key=lambda one: fixing.quote(replace(alone, items=(one,))).payable, default=item)
