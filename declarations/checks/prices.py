from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from django.db import connection

from declarations.checks.registry import Context, Finding, Severity, register
from declarations.models import Declaration

#: How many of the firm's latest declarations are looked at, how many prices it takes to compare, and how far a price may
#: lie from their median. Settings of this project's, not of the law.
LOOK_BACK, ENOUGH, FACTOR, REVIEW_FACTOR = 300, 5, Decimal(2), Decimal(4)

_MEDIANS = """
SELECT i.commodity_code, i.invoice_currency, i.quantity_unit,
  percentile_disc(0.5) WITHIN GROUP (ORDER BY i.unit_price), count(*)
FROM (
  SELECT d.id FROM declarations_declaration d
  WHERE d.firm_id = %s AND d.direction = %s AND d.state IN ('accepted', 'released', 'cleared') AND d.id <> %s
  ORDER BY d.created_at DESC, d.id DESC LIMIT %s
) recent
JOIN declarations_goodsitem i ON i.declaration_id = recent.id
WHERE i.commodity_code = ANY (%s) AND i.unit_price > 0
GROUP BY 1, 2, 3 HAVING count(*) >= %s
"""


@register(
    "prices",
    "价格偏离",
    "price outliers",
    {
        "price-outlier": (
            "单价 {price} {currency} 与本企业近期中位价 {median}（{count} 笔）相差 {factor} 倍以上",
            "The unit price {price} {currency} is {factor} times off the firm's own recent median {median} ({count} prices)",
        )
    },
    order=60,
    confidential=True,
)
def prices_are_near_the_firms_own(declaration: Declaration, context: Context) -> Iterator[Finding]:
    """A unit price lies near what the firm itself declared lately for the same code, currency and unit."""
    wanted = sorted({item.commodity_code for item in context.items if item.unit_price and item.commodity_code})
    if not wanted or declaration.firm_id is None:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _MEDIANS, [declaration.firm_id, declaration.direction, declaration.pk, LOOK_BACK, wanted, ENOUGH]
        )
        medians = {(code, currency, unit): (median, count) for code, currency, unit, median, count in cursor.fetchall()}
    for item in context.items:
        known = medians.get((item.commodity_code, item.invoice_currency, item.quantity_unit))
        if not item.unit_price or known is None:
            continue
        median, count = known
        off = max(item.unit_price / median, median / item.unit_price)
        if off < FACTOR:
            continue
        serious = off >= REVIEW_FACTOR
        yield Finding(
            "price-outlier",
            Severity.REVIEW if serious else Severity.WARNING,
            f"/goods_items/{item.position - 1}/unit_price",
            {
                "price": f"{item.unit_price.normalize():f}",
                "currency": item.invoice_currency,
                "median": f"{median.normalize():f}",
                "count": count,
                "factor": str(REVIEW_FACTOR if serious else FACTOR),
            },
            30 if serious else 10,
        )
