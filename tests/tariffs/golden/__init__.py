"""The golden cases: reading them, and the independent arithmetic their figures were worked out with."""

from __future__ import annotations

import ast
import operator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import yaml

from tariffs.book import Commodity, Effect, ExchangeRate, Measure, MemoryBook
from tariffs.rates import parse
from tariffs.workdays import Calendar

HERE = Path(__file__).parent
FILES = ("value", "rates", "taxes")


def cases() -> list[dict[str, Any]]:
    return [case | {"file": name} for name in FILES for case in yaml.safe_load((HERE / f"{name}.yaml").read_text())]


def _half_up(number: Fraction, places: int) -> Fraction:
    scale = 10**places
    sign = -1 if number < 0 else 1
    return sign * Fraction(floor(abs(number) * scale + Fraction(1, 2)), scale)


_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
_FUNCTIONS = {
    "r": lambda number: _half_up(number, 2),
    "r3": lambda number: _half_up(number, 3),
    "d": lambda number: Fraction(floor(number)),
}


def exact(expression: Any, names: dict[str, Fraction]) -> Fraction:
    """Evaluate `expression` in fractions. Names may hold points and hyphens (`value.1`, `anti-dumping.1`)."""
    text = str(expression)
    known = {}
    for index, name in enumerate(sorted(names, key=len, reverse=True)):
        if not name.isidentifier():
            text = text.replace(name, f"n{index}_")
            known[f"n{index}_"] = names[name]
        else:
            known[name] = names[name]

    def value(node: ast.expr) -> Fraction:
        if isinstance(node, ast.BinOp):
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return _FUNCTIONS[node.func.id](value(node.args[0]))
        if isinstance(node, ast.Name):
            return known[node.id]
        if isinstance(node, ast.Constant):
            return Fraction(ast.get_source_segment(text, node) or "")
        raise ValueError(ast.dump(node))

    return value(ast.parse(text, mode="eval").body)


def worked(case: dict[str, Any]) -> dict[str, Decimal]:
    """The case's figures by the independent arithmetic."""
    names: dict[str, Fraction] = {}
    for name, expression in case.get("figures", {}).items():
        names[name] = exact(expression, names)
    return {name: Decimal(number.numerator) / Decimal(number.denominator) for name, number in names.items()}


def book() -> MemoryBook:
    data = yaml.safe_load((HERE / "base.yaml").read_text())
    made = MemoryBook()
    made.parameters = [(name, Decimal(value), None, None) for name, value in data["parameters"].items()]
    made.members = [
        (group, agreement, member, None, None)
        for group, (agreement, members) in data["groups"].items()
        for member in members
    ]
    made.rates = [
        ExchangeRate(
            row["currency"], Decimal(row["rate"]), row["quoted_on"], row.get("per", 1), row.get("inverse", False),
            row["from"], row["to"],
        )
        for row in data["exchange_rates"]
    ]  # fmt: skip
    made.quotas = {name: Decimal(left) for name, left in data["quotas"].items()}
    for row in data["effects"]:
        every = row.get("all", "")
        made.effects.append(
            Effect(
                row["direction"], row["regime"], row["levy_nature"], row.get("duty", every),
                row.get("consumption", every), row.get("vat", every), row.get("remedy", every),
            )
        )  # fmt: skip
    made.commodities = [
        Commodity(row["code"], row["code"], row["code"], row["unit1"], row.get("unit2", ""), end=row.get("to"))
        for row in data["commodities"]
    ]
    for number, (code, kind, group, rate, *more) in enumerate(data["measures"], 1):
        extra = more[0] if more else {}
        made.all_measures.append(
            Measure(
                number, code, kind, group, parse(rate), extra.get("exporter", ""),
                data["groups"].get(group, [""])[0], extra.get("quota", ""), start=extra.get("from"), end=extra.get("to"),
            )
        )  # fmt: skip
    days = data["holidays"]
    made.calendar = Calendar(frozenset(days["closed"]), frozenset(days["worked"]), frozenset(days["years"]))
    return made


def as_input(case: dict[str, Any]) -> dict[str, Any]:
    """The case's request as JSON would carry it (YAML reads days as dates)."""

    def plain(value: Any) -> Any:
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, dict):
            return {key: plain(child) for key, child in value.items()}
        if isinstance(value, list):
            return [plain(child) for child in value]
        return value

    return plain(case["input"])
