"""Parties of stored versions, as they are known since: in a bill from elsewhere by their codes alone, in every bill those to
notify and the carriers of legs too. The signed document stays letter by letter; its reading in ``content`` is put right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import connection, migrations

_ROLES = ("consignor", "consignee", "operator", "delivery_agent")


def _parties(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    people = content.get("parties", {})
    for role in _ROLES:
        if people.get(role):
            yield role, people[role]
    for party in people.get("notify", ()):
        yield "notify", party
    for leg in content.get("legs", ()):
        if leg.get("carrier"):
            yield "carrier", leg["carrier"]


def _versions_stand(whether: bool) -> None:
    connection.check_constraints()  # a table is not altered while checks of its rows are outstanding
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE bills_version {'ENABLE' if whether else 'DISABLE'} TRIGGER USER")


def by_their_codes(apps: Any, schema_editor: Any) -> None:
    bills, versions, legs, involvements = (
        apps.get_model("bills", name).objects for name in ("Bill", "Version", "Leg", "Involvement")
    )
    organisations = apps.get_model("parties", "Organisation").objects

    def named(party: dict[str, Any]) -> int | None:
        found: set[int] = set()
        for code in party.get("identifiers", ()):
            if code.get("list") == "USCC":
                found |= set(organisations.filter(social_credit_code=code["code"]).values_list("pk", flat=True))
            elif code.get("provider") == settings.EBL_PLATFORM and code["code"].isascii() and code["code"].isdigit():
                found |= set(organisations.filter(pk=int(code["code"][:18])).values_list("pk", flat=True))
        return found.pop() if len(found) == 1 else None

    _versions_stand(False)
    # A bill whose issuer is not registered here came from another platform.
    arrived = set(bills.filter(issuer=None).values_list("pk", flat=True))
    involvements.filter(bill__in=arrived).exclude(role__in=("holder", "pledgee")).delete()
    for version in versions.order_by("bill_id", "number").iterator(chunk_size=200):
        changed = False
        for role, party in _parties(version.content):
            before = party.get("organisation")
            if version.bill_id in arrived:
                party.pop("organisation", None)
            if not party.get("organisation") and (found := named(party)):
                party["organisation"] = found
            if party.get("organisation") and version.bill_id in arrived:
                involvements.get_or_create(bill_id=version.bill_id, organisation_id=party["organisation"], role=role)
            changed |= before != party.get("organisation")
        if changed:
            version.save(update_fields=["content"])
        if changed and version.bill_id in arrived:
            for sequence, leg in enumerate(version.content.get("legs", ()), 1):
                carrier = (leg.get("carrier") or {}).get("organisation")
                legs.filter(bill_id=version.bill_id, sequence=sequence).update(carrier_id=carrier)
    _versions_stand(True)


class Migration(migrations.Migration):
    dependencies = [
        ("bills", "0003_covered_indexes"),
        ("parties", "0005_credit_codes_as_declared"),
    ]

    operations = [migrations.RunPython(by_their_codes, migrations.RunPython.noop)]
