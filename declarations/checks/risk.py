from __future__ import annotations

from collections.abc import Iterator

from declarations.checks.registry import Context, Finding, Severity, register
from declarations.message import price_confirmations
from declarations.models import Declaration

#: From this score on an officer looks before acceptance. A setting of this project's.
REVIEW_FROM = 60


def score(findings: list[Finding]) -> int:
    return min(100, sum(finding.risk_points for finding in findings))


@register(
    "risk",
    "风险评分",
    "risk score",
    {
        "price-influenced": (
            "申明特殊关系影响价格",
            "The special relationship is declared to influence the price",
        ),
        "provisional-price": ("申明暂定价格", "The price is declared to be provisional"),
        "no-history": ("该企业首次申报", "This firm's first declaration"),
        "high-risk": (
            "风险分 {score}，达到人工审核线 {line}",
            "The risk score {score} reaches the line for review, {line}",
        ),
    },
    order=90,
    confidential=True,
)
def the_risk_score_stays_below_the_line(declaration: Declaration, context: Context) -> Iterator[Finding]:
    """Sums up the points of everything found; runs last."""
    own: list[Finding] = []
    confirmed = price_confirmations(context.message)
    if confirmed["price_influence"] == "1":
        own.append(Finding("price-influenced", Severity.WARNING, "/price_confirmations", {}, 20))
    if confirmed["provisional_price"] == "1":
        own.append(Finding("provisional-price", Severity.INFO, "/price_confirmations", {}, 5))
    if (
        declaration.firm_id
        and not Declaration.objects.filter(firm_id=declaration.firm_id, accepted_at__isnull=False)
        .exclude(pk=declaration.pk)
        .exists()
    ):
        own.append(Finding("no-history", Severity.INFO, "/domestic_party_credit_code", {}, 5))
    total = score([*context.found, *own])
    if total >= REVIEW_FROM:
        own.append(Finding("high-risk", Severity.REVIEW, "", {"score": total, "line": REVIEW_FROM}))
    yield from own
