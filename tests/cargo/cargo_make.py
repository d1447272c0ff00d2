"""Manifest messages and the states they lead to."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from django.utils import timezone
from stdnum import iso6346

from cargo import manifests
from cargo.models import Consignment, ManifestMessage
from parties.models import Organisation
from parties.principals import Principal

_serial = itertools.count(1)


def container(serial: int | None = None) -> str:
    stem = f"EXAU{(serial if serial is not None else next(_serial) * 13) % 1_000_000:06d}"
    return stem + iso6346.calc_check_digit(stem)


def acting_for(organisation: Organisation) -> Principal:
    return Principal(
        actor=f"organisation:{organisation.pk}", organisation_id=organisation.pk, roles=frozenset(organisation.roles)
    )


def message(
    type_: str = "MT1401", function: str = "9", number: str = "8006202601001", **members: Any
) -> dict[str, Any]:
    """A message of a new id, sent a minute ago."""
    now = timezone.now()
    return {
        "message_id": f"M{next(_serial):08d}",
        "function_code": function,
        "message_type": type_,
        "sent_at": (now - timedelta(minutes=1)).isoformat(),
        "office": "8006",
        "number": number,
        "consignments": [bill()],
    } | members


def bill(number: str = "CQBL20260001", packages: int = 500, mass: str = "5200", **members: Any) -> dict[str, Any]:
    return {"bill_number": number, "packages": packages, "package_unit": "CT", "gross_mass": mass} | members


def lodge(carrier: Organisation, type_: str = "MT1401", function: str = "9", **members: Any) -> ManifestMessage:
    return manifests.receive(message(type_, function, **members), principal=acting_for(carrier))


def consignment(carrier: Organisation, direction: str = "I", **members: Any) -> Consignment:
    row = lodge(carrier, "MT1401" if direction == "I" else "MT2401", **members)
    assert row.response_code == "01", row.outcome
    return Consignment.objects.live().get(
        manifest__sender=carrier, manifest__number=row.number, bill_number=row.outcome[0]["bill_number"]
    )
