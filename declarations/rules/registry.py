"""The registry of rules, and reading a message that may hold anything."""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from declarations.message import Message, rows

Severity = Literal["error", "warning"]
Hit = tuple[str, dict[str, Any]]
Finder = Callable[[Message], Iterator[Hit]]


class Rule(NamedTuple):
    code: str
    zh: str
    en: str
    severity: Severity
    summary: bool  # whether it holds for two-step summary declarations as well
    find: Finder

    @property
    def source(self) -> str:
        return (self.find.__doc__ or "").strip()


RULES: list[Rule] = []


def rule(
    code: str, zh: str, en: str, *, severity: Severity = "error", summary: bool = True
) -> Callable[[Finder], Finder]:
    def register(find: Finder) -> Finder:
        RULES.append(Rule(code, zh, en, severity, summary, find))
        return find

    return register


# Reading a message that may hold anything.


def text_of(node: Message, name: str) -> str:
    value = node.get(name)
    return value.strip() if isinstance(value, str) else ""


def number_of(node: Message, name: str) -> Decimal | None:
    """The plain decimal there, or None: what is malformed has its own fault already."""
    value = node.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return Decimal(value) if _PLAIN(str(value)[:60]) else None


_PLAIN = re.compile(r"-?[0-9]{1,25}(?:\.[0-9]{1,25})?").fullmatch


def items(message: Message) -> Iterator[tuple[str, Message]]:
    for index, item in enumerate(rows(message, "goods_items")):
        yield f"/goods_items/{index}", item


def imports(message: Message) -> bool:
    return message.get("direction") == "I"


def exports(message: Message) -> bool:
    return message.get("direction") == "E"
