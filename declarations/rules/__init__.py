"""Conditional rules of a declaration: what one member demands of another.

Each rule is a small function that yields where it is broken; the registry holds its code, its two texts and its severity,
its docstring says where the rule comes from. Rules that need the database (codes on the day, mandates, prices) are checks,
not rules.
"""

from common.problems import Fault
from common.text import T
from declarations.message import Message, Purpose, is_summary, purpose_of
from declarations.rules import documents, fees, goods, parties, transport
from declarations.rules.registry import RULES, Rule

__all__ = ["RULES", "Rule", "check", "documents", "fees", "goods", "parties", "transport", "warnings"]


def check(message: Message, purpose: Purpose | None = None) -> list[Fault]:
    """Every broken rule that stands in the way of declaring. A draft breaks none: it is not finished."""
    if (purpose or purpose_of(message)) == "save":
        return []
    return _run(message, "error")


def warnings(message: Message) -> list[Fault]:
    """What looks wrong but may be right."""
    return _run(message, "warning")


def _run(message: Message, severity: str) -> list[Fault]:
    summary = is_summary(message)
    return [
        Fault(pointer, one.code, T(one.zh, one.en, **params), severity)
        for one in RULES
        if one.severity == severity and (one.summary or not summary)
        for pointer, params in one.find(message)
    ]
