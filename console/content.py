"""What was declared, written for people: places with their titles, the whole message, and what differs between two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from common.text import pick
from declarations.fields import Block, Field, declaration

Message = dict[str, Any]


class Line(NamedTuple):
    title: str
    value: Any
    element: str


class Group(NamedTuple):
    title: str
    pointer: str
    lines: list[Line]


class Difference(NamedTuple):
    pointer: str
    title: str
    before: Any
    after: Any


def title_of(pointer: str) -> str:
    """``/goods_items/0/quantity`` as people say it: 商品表体 1 · 成交数量."""
    block: Block | None = declaration()
    parts: list[str] = []
    for piece in pointer.strip("/").split("/"):
        if piece.isdigit() and parts:
            parts[-1] = f"{parts[-1]} {int(piece) + 1}"
            continue
        name = piece.replace("~1", "/").replace("~0", "~")
        child = block.children.get(name) if block else None
        one = block.fields.get(name) if block else None
        if child is not None:
            parts.append(str(child.title))
        elif one is not None:
            parts.append(_name(one))
        elif name:
            parts.append(name)
        block = child
    return " · ".join(parts) or pick("整份报关单", "The whole declaration")


def _name(one: Field) -> str:
    return pick(one.name_zh or one.name, one.name_en or one.name.replace("_", " "))


def anchor(pointer: str) -> str:
    """The id of the row of the page that a pointer points at."""
    pieces = pointer.strip("/").split("/")
    return "-".join(pieces[:2]) if len(pieces) > 1 and pieces[1].isdigit() else "declaration"


def groups(message: Message) -> Iterator[Group]:
    """Every element that was sent, block by block."""
    yield from _groups(declaration(), message, "")


def _groups(block: Block, node: Message, pointer: str) -> Iterator[Group]:
    lines = [
        Line(_name(block.fields[name]), node[name], block.fields[name].element)
        for name in block.fields
        if node.get(name) not in (None, "")
    ]
    if lines:
        yield Group(title_of(pointer) if pointer else str(block.title), pointer, lines)
    for name, child in block.children.items():
        value = node.get(name)
        if isinstance(value, list):
            for index, row in enumerate(value):
                if isinstance(row, dict):
                    yield from _groups(child, row, f"{pointer}/{name}/{index}")
        elif isinstance(value, dict):
            yield from _groups(child, value, f"{pointer}/{name}")


def flat(value: Any, pointer: str = "") -> dict[str, Any]:
    """All leaves of a message by their pointers."""
    if isinstance(value, dict):
        return {key: leaf for name, child in value.items() for key, leaf in flat(child, f"{pointer}/{name}").items()}
    if isinstance(value, list):
        return {key: leaf for n, child in enumerate(value) for key, leaf in flat(child, f"{pointer}/{n}").items()}
    return {} if value in (None, "") else {pointer: value}


def differences(before: Message, after: Message) -> list[Difference]:
    """What an amendment changed, in the order of the message."""
    old, new = flat(before), flat(after)
    return [
        Difference(pointer, title_of(pointer), old.get(pointer), new.get(pointer))
        for pointer in dict.fromkeys([*new, *old])
        if old.get(pointer) != new.get(pointer)
    ]
