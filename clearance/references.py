"""What a hold may stand on, and the locks that order holds and releases.

Lock order of every command here: the declaration's row, then its references (advisory locks, sorted), then its case, then
orders, holds and consignments. A hold or a gate move takes the lock of its reference only. PostgreSQL takes the same locks
in a trigger on the declaration (migration 0002), so that no other way to "released" exists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from django.db import connection

from declarations.models import Container, Declaration


def of(declaration: Declaration) -> list[str]:
    """Everything a hold may stand on that keeps this declaration from being released, sorted."""
    return of_each([declaration])[declaration.pk]


def of_each(declarations: Sequence[Declaration]) -> dict[int, list[str]]:
    """:func:`of` for several, by primary key."""
    found = {row.pk: {f"declaration:{row.unified_number}"} for row in declarations}
    for row in declarations:
        if row.transport_document_number:
            found[row.pk].add(f"bill:{row.transport_document_number}")
    boxes = Container.objects.filter(declaration__in=found).exclude(container_number="")
    for pk, number in boxes.values_list("declaration_id", "container_number"):
        found[pk].add(f"container:{number}")
    return {pk: sorted(references) for pk, references in found.items()}


def canonical(reference: str) -> str:
    """A declaration's customs number in a reference becomes its unified number, by which holds stand on it."""
    kind, _, number = reference.partition(":")
    if kind == "declaration" and re.fullmatch(r"\d{18}", number, re.ASCII):
        found = Declaration.objects.filter(customs_number=number).values_list("unified_number", flat=True).first()
        return f"declaration:{found}" if found else reference
    return reference


def lock(references: Iterable[str]) -> None:
    """Take the advisory locks of these references, in order, until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(r, 4)) FROM unnest(%s) r", [sorted(references)])


def locked(number: str, *, state: str = "") -> Declaration | None:
    """The declaration with its row and its references locked; None where there is none (in that ``state``)."""
    rows = Declaration.objects.select_for_update(of=("self",)).filter(unified_number=number)
    declaration = (rows.filter(state=state) if state else rows).first()
    if declaration is not None:
        lock(of(declaration))
    return declaration


def declarations(reference: str) -> list[Declaration]:
    """The declarations, not withdrawn, that a reference means."""
    kind, _, number = reference.partition(":")
    rows = Declaration.objects.exclude(state__in=("draft", "withdrawn", "rejected"))
    if kind == "declaration":
        rows = rows.filter(unified_number=number)
    elif kind == "bill":
        rows = rows.filter(transport_document_number=number)
    else:
        rows = rows.filter(pk__in=_with_container(number))
    return list(rows.order_by("pk")[:50])


def _with_container(number: str) -> list[int]:
    return list(Container.objects.filter(container_number=number).values_list("declaration_id", flat=True)[:200])
