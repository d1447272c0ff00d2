"""Goods, declarations and what happens to them, through commands."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from django.utils import timezone

from cargo import voyages
from cargo.models import Consignment
from clearance import release, riskrules, selection
from clearance.models import RiskRule
from declarations.models import Declaration
from parties.models import Organisation, OrganisationRole
from parties.principals import SYSTEM
from tests import make
from tests.cargo.cargo_make import acting_for, bill, container, lodge

_serial = itertools.count(1)


def carrier() -> Organisation:
    return make.organisation(OrganisationRole.CARRIER)


def goods(
    carrier: Organisation, bill_number: str, *, direction: str = "I", boxes: list[str] | None = None, packages: int = 400,
    mass: str = "20500", arrived: bool = True,
) -> Consignment:  # fmt: skip
    """A manifest bill that agrees with ``make.message``; ``boxes`` default to one new container."""
    boxes = [container()] if boxes is None else boxes
    voyage = f"V{next(_serial):05d}"
    row = lodge(
        carrier, "MT1101" if direction == "I" else "MT2101", number=f"MF{voyage}", voyage_number=voyage, means_type="1",
        consignments=[bill(bill_number, packages, mass, equipment=[{"number": one} for one in boxes])],
    )  # fmt: skip
    assert row.response_code == "01", row.outcome
    found = Consignment.objects.live().get(bill_number=bill_number, voyage__number=voyage)
    if arrived:
        if direction == "I":
            voyages.report(found.voyage_id, what="arrived", at=_ago(2), principal=acting_for(carrier))
            voyages.report(found.voyage_id, what="entry_declared", at=_ago(1), principal=acting_for(carrier))
        else:
            arrive(carrier, found)
    found.refresh_from_db()
    return found


def arrive(carrier: Organisation, row: Consignment) -> None:
    done = lodge(
        carrier, "MT3101", number=row.manifest.number,
        consignments=[{"bill_number": row.bill_number, "occurred_at": _ago(1).isoformat()}],
    )  # fmt: skip
    assert done.response_code == "01", done.outcome


def _ago(hours: float):
    return timezone.now() - timedelta(hours=hours)


def declared(
    goods: Consignment | None = None, state: str = "accepted", firm: Organisation | None = None, **changes: Any
) -> Declaration:
    """A declaration of these goods, accepted; of goods nobody has a manifest for where none are given."""
    if goods is not None:
        boxes = goods.stuffings.values_list("equipment_id", flat=True)
        changes = {
            "transport_document_number": goods.bill_number,
            "voyage_number": goods.voyage.number,
            "direction": goods.direction,
            "containers": [
                {"container_number": one, "container_type": "11", "item_numbers": "1", "shared_load": "0"}
                for one in boxes
            ],
        } | changes
    return make.declaration(firm, state, **changes)


def proceed(declaration: Declaration) -> str:
    """Select and release as the worker would; returns the state afterwards."""
    selection.select(declaration.unified_number)
    release.attempt(declaration.unified_number)
    declaration.refresh_from_db()
    return declaration.state


def rule(code: str = "test", condition: Any = None, action: str = "inspect", **more: Any) -> RiskRule:
    """A rule that is switched on; by default it hits every declaration."""
    row = riskrules.draft(
        code=code, name=code, condition=condition or {"field": "direction", "op": "in", "value": ["I", "E"]}, action=action,
        basis="example", principal=SYSTEM, **more,
    )  # fmt: skip
    riskrules.trial(pk=row.pk, principal=SYSTEM)
    return riskrules.switch(pk=row.pk, on=True, principal=SYSTEM)


def arrive_import(carrier: Organisation, row: Consignment) -> None:
    """The goods' own arrival report, now, for goods whose vessel has long arrived."""
    done = lodge(carrier, "MT3102", number=row.manifest.number, consignments=[{"bill_number": row.bill_number}])
    assert done.response_code == "01", done.outcome
