from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Exists, OuterRef, Q

from declarations.checks.registry import Context, Finding, Severity, register
from declarations.lifecycle import State
from declarations.models import CheckResult, Declaration

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
    earlier = Q(lodged_at__lt=declaration.lodged_at) | Q(lodged_at=declaration.lodged_at, pk__lt=declaration.pk)
    # A transaction that began earlier may commit later: whoever was checked before this one was there to be seen knows
    # nothing of it, and counts as well.
    knows_of_this = CheckResult.objects.filter(
        declaration=OuterRef("pk"),
        version=OuterRef("version"),
        check_name="duplicates",
        params__number=declaration.unified_number,
    )
    others = (
        Declaration.objects.filter(
            transport_document_number=bill, direction=declaration.direction, firm_id=declaration.firm_id
        )
        .exclude(state__in=_GONE)
        .exclude(pk=declaration.pk)
        .filter(earlier | (~Q(state=State.LODGED) & ~Exists(knows_of_this)))
        .order_by("lodged_at", "pk")
    )
    same_goods = others.filter(
        gross_weight=declaration.gross_weight,
        package_count=declaration.package_count,
        border_crossing_date=declaration.border_crossing_date,
    )
    pointer = "/transport_document_number"
    if other := same_goods.first():
        params = {"bill": bill, "number": other.unified_number}
        yield Finding("bill-declared-before", Severity.REVIEW, pointer, params, 50)
    elif other := others.first():
        params = {"bill": bill, "number": other.unified_number}
        yield Finding("bill-shared", Severity.WARNING, pointer, params, 5)
