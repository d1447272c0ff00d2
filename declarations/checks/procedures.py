from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import NamedTuple

from declarations.checks.registry import Context, Finding, Severity, register
from declarations.models import Declaration

FILE = Path(__file__).parent.parent / "data" / "procedure_levy.csv"

#: Transfers in which the goods cross no border: import is priced CIF, export FOB (facts 2).
NO_CROSSING = {"0255", "0654"}


class Row(NamedTuple):
    procedure: str
    only: frozenset[str]
    never: frozenset[str]
    severity: str
    valid_from: date
    valid_to: date | None


@cache
def table() -> list[Row]:
    with FILE.open(encoding="utf-8", newline="") as file:
        return [
            Row(
                row["customs_procedure"],
                frozenset(code for code in row["levy_natures"].split() if not code.startswith("!")),
                frozenset(code[1:] for code in row["levy_natures"].split() if code.startswith("!")),
                row["severity"],
                date.fromisoformat(row["valid_from"]),
                date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
            )
            for row in csv.DictReader(file)
        ]


@register(
    "procedures",
    "监管方式、征免性质与成交方式",
    "customs procedure × levy nature × trade terms",
    {
        "levy-nature": (
            "监管方式 {procedure} 与征免性质 {levy} 不匹配",
            "Levy nature {levy} does not go with customs procedure {procedure}",
        ),
        "trade-terms": (
            "监管方式 {procedure} 货物未实际进出境，成交方式应为 {expected}",
            "Goods of procedure {procedure} cross no border: the trade terms must be {expected}",
        ),
    },
    order=30,
)
def procedure_levy_and_terms_agree(declaration: Declaration, context: Context) -> Iterator[Finding]:
    """Customs procedure, levy nature and trade terms go together (data/procedure_levy.csv says what is an assumption)."""
    procedure, levy = declaration.customs_procedure, declaration.levy_nature
    for row in table():
        holds = row.valid_from <= context.day and (row.valid_to is None or context.day < row.valid_to)
        if row.procedure == procedure and levy and holds and (levy in row.never or (row.only and levy not in row.only)):
            yield Finding("levy-nature", row.severity, "/levy_nature", {"procedure": procedure, "levy": levy})
    if procedure in NO_CROSSING:
        expected = "1" if declaration.direction == "I" else "3"
        if declaration.trade_terms and declaration.trade_terms != expected:
            params = {"procedure": procedure, "expected": "CIF" if expected == "1" else "FOB"}
            yield Finding("trade-terms", Severity.ERROR, "/trade_terms", params)
