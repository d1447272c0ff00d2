"""The declaration as one plain message: a nested dict with standard names, checked by one walk over the field table.

Leaves are strings, integers where the table says so. Decimals are strings and stay as they were written. Dates are
YYYY-MM-DD. An empty string is an element that was sent empty. `origin_country` and `destination_country` always mean what
they say: the export swap belongs to the wire alone.
"""

from datetime import date
from typing import Any, Literal, NamedTuple

from django.conf import settings

from common.problems import Fault
from common.text import T
from declarations.explain import explain, unknown_legacy
from declarations.fields import Block, Field, Need, blocks, declaration, legacy_codes

Message = dict[str, Any]
Purpose = Literal["save", "declare"]

MAX_ROWS = 999  # of any list but the goods items, whose number is a setting
MAX_FAULTS = 1000
_SAVING = frozenset({"save", "upload", "upload-with-transit", "upload-manual"})


def max_items() -> int:
    """Goods items in one declaration; 50 since 2018."""
    return getattr(settings, "DECLARATION_MAX_ITEMS", 50)


# Readers of positional and derived members.


class DocumentType(NamedTuple):
    """`document_type` by its positions: 1-2 prefix, 3 stage, 4-6 filler, 7 Z = combined port."""

    prefix: str
    stage: str
    filler: str
    combined_port: bool

    @property
    def summary(self) -> bool:
        return self.stage == "5"

    @property
    def full(self) -> bool:
        return self.stage == "6"


def document_type(message: Message) -> DocumentType:
    text = message.get("document_type")
    text = text.ljust(6) if isinstance(text, str) else " " * 6
    return DocumentType(text[:2].strip(), text[2].strip(), text[3:6], text[6:7] == "Z")


PRICE_CONFIRMATIONS = ("special_relationship", "price_influence", "royalty", "formula_pricing", "provisional_price")


def price_confirmations(message: Message) -> dict[str, str]:
    """The five positions of `price_confirmations`: 1 yes, 0 no, 9 or nothing left empty."""
    text = message.get("price_confirmations")
    text = text if isinstance(text, str) else ""
    return {name: text[at : at + 1].strip() for at, name in enumerate(PRICE_CONFIRMATIONS)}


def is_summary(message: Message) -> bool:
    """Two-step summary declaration (概要申报): a smaller set is required."""
    return document_type(message).stage == "5"


def purpose_of(message: Message) -> Purpose:
    """What the sender wants: `oper` says it (DecSign/OperType); a message without it is meant to be declared."""
    oper = message.get("oper")
    return "save" if isinstance(oper, str) and oper in _SAVING else "declare"


def rows(message: Message, name: str) -> list[Message]:
    """The rows of a list member that are fit to be looked at, whatever a faulty message holds there."""
    found = message.get(name)
    return [row for row in found[:MAX_ROWS] if isinstance(row, dict)] if isinstance(found, list) else []


def item_numbers(value: Any) -> list[int]:
    """The goods items a value points at: one number, or several with commas. `01` is item 1; what is no number is left
    out, and told of elsewhere."""
    parts = str(value).split(",") if type(value) in (str, int) else []
    return [int(part) for part in parts if part.strip().isdecimal() and len(part.strip()) < 20]


def map_legacy_codes(message: Message) -> None:
    """Turn numeric country and currency codes from before August 2018 into today's, in place. Unknown ones stay."""
    _map_legacy(declaration(), message)


def _map_legacy(block: Block, node: Message) -> None:
    coded, children = _coded(block)
    for name, table in coded:
        value = node.get(name)
        if type(value) is str and value.isdecimal():
            node[name] = table.get(value, value)
    for child in children:
        below = node.get(child.name)
        for row in below if isinstance(below, list) else (below,):
            if isinstance(row, dict):
                _map_legacy(child, row)


_CODED: dict[str, tuple[list[tuple[str, dict[str, str]]], list[Block]]] = {}


def _coded(block: Block) -> tuple[list[tuple[str, dict[str, str]]], list[Block]]:
    known = _CODED.get(block.name)
    if known is None:
        tables = legacy_codes()
        coded = [(one.name, tables[one.format]) for one in block.fields.values() if one.format in tables]
        children = [child for child in block.children.values() if any(_coded(child))]
        known = _CODED[block.name] = (coded, children)
    return known


# The walk.


def check(message: Any, purpose: Purpose | None = None) -> list[Fault]:
    """Every structural fault of a message, all at once, in the order of the message, with JSON pointers.

    `purpose` is what the message itself asks for unless given."""
    if type(message) is not dict:
        return [Fault("", "not-an-object", T("报文应为一个对象", "The message must be an object"))]
    direction = message.get("direction")
    if direction not in ("I", "E"):
        direction = ""
    need = Need(purpose or purpose_of(message), direction, is_summary(message))
    faults: list[Fault] = []
    _walk(declaration(), message, "", need, faults)
    if (
        need.purpose == "declare"
        and not message.get("goods_items")
        and "/goods_items" not in {f.pointer for f in faults}
    ):
        faults.append(_required("/goods_items", blocks()["goods_items"].title))
    if len(faults) > MAX_FAULTS:
        more = len(faults) - MAX_FAULTS
        faults[MAX_FAULTS:] = [
            Fault("", "more-faults", T("另有 {n} 处错误未列出", "{n} more faults are not listed", n=more))
        ]
    return faults


def _walk(block: Block, node: Message, at: str, need: Need, faults: list[Fault]) -> None:
    fields = block.fields
    for name, value in node.items():
        one = fields.get(name)
        if one is None:
            _below(block, name, value, at, need, faults)
        elif type(value) is str:
            if one.match(value) is None or (one.calendar and value and not _real_day(value)):
                faults.append(explain(f"{at}/{name}", one, value))
            elif value and value.isdecimal() and one.format in ("country", "currency"):
                faults.append(unknown_legacy(f"{at}/{name}", one, value))
        elif type(value) is not int or not _fits(one, value):
            faults.append(explain(f"{at}/{name}", one, value))
    for name in block.required[need]:
        value = node.get(name)
        if value is None or value == "" or (type(value) is str and value.isspace()):
            faults.append(_required(f"{at}/{name}", fields[name].title))


def _below(block: Block, name: str, value: Any, at: str, need: Need, faults: list[Fault]) -> None:
    child = block.children.get(name)
    if child is None:
        shown = name if len(name) <= 60 else name[:60] + "…"
        pointer = f"{at}/{shown.replace('~', '~0').replace('/', '~1')}"
        faults.append(
            Fault(pointer, "unknown-member", T("没有名为 {name} 的字段", "There is no member named {name}", name=shown))
        )
    elif not child.repeats:
        if type(value) is dict:
            _walk(child, value, f"{at}/{name}", need, faults)
        else:
            faults.append(Fault(f"{at}/{name}", "not-an-object", T("应为一个对象", "An object is expected here")))
    elif type(value) is not list:
        faults.append(Fault(f"{at}/{name}", "not-a-list", T("应为一个列表", "A list is expected here")))
    else:
        most = max_items() if name == "goods_items" else MAX_ROWS
        if len(value) > most:
            n = len(value)
            faults.append(
                Fault(
                    f"{at}/{name}",
                    "too-many",
                    T("最多 {most} 项，现有 {n} 项", "At most {most} entries, there are {n}", most=most, n=n),
                )
            )
        for index, row in enumerate(value[:most]):
            if type(row) is dict:
                _walk(child, row, f"{at}/{name}/{index}", need, faults)
            else:
                pointer = f"{at}/{name}/{index}"
                faults.append(Fault(pointer, "not-an-object", T("应为一个对象", "An object is expected here")))
            if len(faults) > MAX_FAULTS:
                break


def _real_day(value: str) -> bool:
    """Whether YYYY-MM-DD (or YYYYMMDD where the wire form is free), already of the right shape, is in the calendar."""
    if len(value) == 8:
        value = f"{value[:4]}-{value[4:6]}-{value[6:]}"
    if value[8:] <= "28" and "01" <= value[5:7] <= "12" and value[8:] > "00":
        return True
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _fits(one: Field, value: int) -> bool:
    if one.kind == "integer":
        return 0 <= value < 10**one.length
    if one.kind == "decimal":
        return (value >= 0 or one.format == "signed") and abs(value) < 10 ** (one.length - one.scale)
    return False


def _required(pointer: str, title: str) -> Fault:
    return Fault(pointer, "required", T("{name}必须填写", "{name} must be given", name=title))


# Pointers.


def xpath(pointer: str, message: Message) -> str:
    """The XPath of what a JSON pointer means, in the message as it goes over the wire."""
    if not pointer:
        return ""
    tokens = pointer.split("/")[1:]
    if tokens[0] == "envelope":
        below = blocks()["envelope"].fields
        return "/".join(["/ImportMessage/SWImpHead", *(below[t].element if t in below else t for t in tokens[1:])])
    root = "/ImportMessage/SWImpData/DecMessage" if "envelope" in message else "/DecMessage"
    swap = message.get("direction") == "E"
    block, path, index = declaration(), root, 0
    while index < len(tokens):
        token = tokens[index]
        one, child = block.fields.get(token), block.children.get(token)
        if one is not None:
            element = one.element
            if swap and block.name == "goods_items":
                element = SWAPPED.get(element, element)
            if one.element == "Version":
                return f"{path}/@Version"
            return f"{path}/{blocks()[one.block].element}/{element}" if block is declaration() else f"{path}/{element}"
        if child is None:
            return f"{path}/{token}"
        path += f"/{child.wrapper}" if child.wrapper else ""
        block, index = child, index + 1
        if not child.repeats:
            path += f"/{child.element}"
        elif index < len(tokens) and tokens[index].isdecimal():
            path += f"/{child.element}[{int(tokens[index]) + 1}]"
            index += 1
        elif not child.wrapper:
            path += f"/{child.element}"
    return path


# On an export the element named for the origin carries the destination, and the other way round.
SWAPPED = {"OriginCountry": "DestinationCountry", "DestinationCountry": "OriginCountry"}
