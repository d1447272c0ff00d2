from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Q

from declarations.checks.registry import Context, Finding, Severity, register
from declarations.lifecycle import State
from declarations.models import Declaration

#: States in which a declaration does not use up its bill of lading.
_GONE = (State.DRAFT, State.REJECTED, State.WITHDRAWN)


@register(
    "duplicates",
    "提运单重复",
    "duplicate bill of lading",
    {
        "bill-declared-before": (
            "提运单 {bill} 的相同货物已由 {number} 申报",
            "The same goods of bill {bill} are declared already, in {number}",
        ),
        "bill-shared": (
            "提运单 {bill} 另有报关单 {number}",
            "There is another declaration for bill {bill}: {number}",
        ),
    },
    order=50,
)
def a_bill_is_declared_once(declaration: Declaration, context: Context) -> Iterator[Finding]:
    """The same goods of one bill of lading are declared once; the first to declare them is not the duplicate, whichever
    is checked first. One bill may be split over several declarations."""
    bill = declaration.transport_document_number
    if not bill:
        return
    others = (
        Declaration.objects.filter(transport_document_number=bill, direction=declaration.direction)
        .filter(Q(lodged_at__lt=declaration.lodged_at) | Q(lodged_at=declaration.lodged_at, pk__lt=declaration.pk))
        .exclude(state__in=_GONE)
        .order_by("-id")[:20]
    )
    for other in others:
        params = {"bill": bill, "number": other.unified_number}
        same = (
            other.gross_weight == declaration.gross_weight
            and other.package_count == declaration.package_count
            and other.firm_id == declaration.firm_id
            and other.border_crossing_date == declaration.border_crossing_date
        )
        pointer = "/transport_document_number"
        if same:
            yield Finding("bill-declared-before", Severity.REVIEW, pointer, params, 50)
            return
        if other.firm_id == declaration.firm_id:
            yield Finding("bill-shared", Severity.WARNING, pointer, params, 5)
            return
