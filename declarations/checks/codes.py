from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from functools import cache
from typing import Any, NamedTuple

from declarations import message as messages
from declarations.checks.registry import Context, Finding, Severity, register
from declarations.fields import Block, blocks
from declarations.models import Declaration
from refdata import codes


def _prefix(value: str) -> str:
    """The first two positions of the document type."""
    return messages.document_type({"document_type": value}).prefix


def _agreement(value: str) -> str:
    """The agreement's two digits behind the letter of the certificate type."""
    found = re.fullmatch(r"[A-Z]?([0-9]{2})", value)
    return found[1] if found else ""


#: Members of which a part is the code: (block, member) -> which.
PARTS: dict[tuple[str, str], Callable[[str], str]] = {
    ("declaration", "document_type"): _prefix,
    ("origin_certificates", "certificate_type"): _agreement,
}


class _Coded(NamedTuple):
    """What of a block is coded, itself and below."""

    members: list[tuple[str, str, Callable[[str], str]]]
    below: list[Block]


@cache
def coded(name: str) -> _Coded:
    """The coded members of a block, as the field table says (column ``codes``)."""
    block = blocks()[name]
    members = [
        (one.name, one.codes, PARTS.get((name, one.name), str.strip)) for one in block.fields.values() if one.codes
    ]
    return _Coded(members, [child for child in block.children.values() if any(coded(child.name))])


@register(
    "codes",
    "代码当日有效",
    "codes valid on the day",
    {
        "code-unknown": ("代码 {value} 不在代码表“{list}”中", "The code {value} is not in the list “{list}”"),
        "code-not-in-force": (
            "代码 {value}（{list}）在申报当日无效",
            "The code {value} ({list}) does not hold on the day of lodgement",
        ),
        "code-not-listed": (
            "代码 {value} 未见于所载的代码表“{list}”（该表不完整）",
            "The code {value} is not in the list “{list}” as loaded, which is not complete",
        ),
    },
    order=10,
)
def codes_hold_on_the_day(declaration: Declaration, context: Context) -> Iterator[Finding]:
    """Every code stands in its list on the legal day that counts."""
    yield from _look("declaration", context.message, "", context.day)


def _look(name: str, node: dict[str, Any], at: str, day: date) -> Iterator[Finding]:
    members, below = coded(name)
    for member, slug, read in members:
        value = node.get(member)
        code = read(value) if isinstance(value, str) else ""
        if code and not codes.is_valid(slug, code, day):
            yield _finding(slug, code, f"{at}/{member}")
    for child in below:
        found = node.get(child.name)
        if child.repeats:
            for index, row in enumerate(messages.rows(node, child.name)):
                yield from _look(child.name, row, f"{at}/{child.name}/{index}", day)
        elif isinstance(found, dict):
            yield from _look(child.name, found, f"{at}/{child.name}", day)


def _finding(slug: str, code: str, pointer: str) -> Finding:
    params = {"value": code, "list": slug}
    if codes.is_known(slug, code):
        return Finding("code-not-in-force", Severity.ERROR, pointer, params)
    if codes.is_complete(slug):
        return Finding("code-unknown", Severity.ERROR, pointer, params)
    return Finding("code-not-listed", Severity.WARNING, pointer, params, 3)
