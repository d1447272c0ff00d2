"""Conditional rules of a declaration: what one member demands of another.

Each rule is a small function that yields where it is broken; the registry holds its code, its two texts and its severity,
its docstring says where the rule comes from. Rules that need the database (codes on the day, mandates, prices) are checks,
not rules.
"""

from collections.abc import Iterator
from typing import Any

from common.problems import Fault
from common.text import T
from declarations.message import Message, Purpose, is_summary, purpose_of
from declarations.rules import documents, fees, goods, parties, transport
from declarations.rules.registry import RULES, Rule, Severity

__all__ = ["RULES", "Rule", "broken", "check", "documents", "fees", "goods", "parties", "transport"]


def check(message: Message, purpose: Purpose | None = None) -> list[Fault]:
    """Every broken rule that stands in the way of declaring. A draft breaks none: it is not finished."""
    if (purpose or purpose_of(message)) == "save":
        return []
    return [
        Fault(pointer, one.code, T(one.zh, one.en, **params), one.severity)
        for one, pointer, params in broken(message, "error")
    ]


def broken(message: Message, severity: Severity) -> Iterator[tuple[Rule, str, dict[str, Any]]]:
    """Where the rules of this severity are broken: the rule, a pointer, and what its texts are filled with. A warning is
    what looks wrong but may be right."""
    summary = is_summary(message)
    for one in RULES:
        if one.severity == severity and (one.summary or not summary):
            for pointer, params in one.find(message):
                yield one, pointer, params
