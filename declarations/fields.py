"""The field table (data/message_fields.csv, data/message_blocks.csv), read once into compiled checkers.

Everything that is known about a field comes from the table: its name in JSON, its place on the wire, its length, type and
format, and when it must be given. The same regular expression checks a value here and stands in the OpenAPI schema.
"""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from common.text import T
from refdata import files

DATA = Path(__file__).parent / "data"

Kind = Literal["text", "decimal", "integer", "date", "base64"]

# DecSign/OperType on the wire, a word in JSON.
OPERATIONS = {
    "A": "upload",
    "B": "upload-with-transit",
    "C": "declare",
    "D": "declare-with-transit",
    "E": "upload-manual",
    "G": "save",
}

_LINE = r"[^\x00-\x1f\x7f-\x9f\ufffe\uffff]"
_TEXT = r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]"
_DAY = r"[12][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_MEGABYTE_IN_BASE64 = 1_400_000
_FORMATS = {
    "country": r"[A-Z]{3}|[0-9]{3}",
    "currency": r"[A-Z]{3}|[0-9]{3}",
    "direction": r"[IE]",
    "oper": "|".join(OPERATIONS.values()),
    "office": r"[0-9]{4}",
    "commodity": r"[0-9]{6}|[0-9]{8}|[0-9]{10}",
}


class Need(NamedTuple):
    """What decides which members must be given."""

    purpose: Literal["save", "declare"]
    direction: str
    summary: bool


NEEDS = tuple(
    Need(purpose, direction, summary)  # type: ignore[arg-type]
    for purpose in ("save", "declare")
    for direction in ("I", "E", "")
    for summary in (False, True)
)


@dataclass(frozen=True, slots=True)
class Field:
    block: str  # the block it stands in on the wire
    place: str  # the block it stands in in JSON
    element: str
    name: str
    name_zh: str
    name_en: str
    kind: Kind
    length: int  # characters, or digits
    scale: int  # digits after the point
    format: str
    codes: str  # the code list its value stands in
    save: str
    declare: str
    summary: str
    note: str
    pattern: str
    match: Callable[[str], object] = field(repr=False)

    @property
    def title(self) -> str:
        return T(self.name_zh, self.name_en)

    @property
    def calendar(self) -> bool:
        return self.kind == "date"

    @property
    def positional(self) -> bool:
        """Blanks are significant."""
        return self.format == "positional"

    def needed(self, need: Need) -> bool:
        if need.summary and not self.summary:
            return False
        asked = self.save if need.purpose == "save" else self.declare
        return (
            asked == "Y"
            or (asked == "import" and need.direction == "I")
            or (need.summary and need.purpose == "declare")
        )


@dataclass(eq=False, slots=True)
class Block:
    name: str
    element: str
    wrapper: str
    parent: str
    repeats: bool
    name_zh: str
    name_en: str
    fields: dict[str, Field] = field(default_factory=dict, repr=False)  # JSON members, hoisted ones included
    children: dict[str, "Block"] = field(default_factory=dict, repr=False)
    members: "list[Field | Block]" = field(default_factory=list, repr=False)  # as they follow one another on the wire
    elements: "dict[str, Field | Block]" = field(default_factory=dict, repr=False)  # the same by element or wrapper
    required: dict[Need, tuple[str, ...]] = field(default_factory=dict, repr=False)

    @property
    def title(self) -> str:
        return T(self.name_zh, self.name_en)

    @property
    def tag(self) -> str:
        """The element that stands in the parent: the wrapper where there is one."""
        return self.wrapper or self.element


def _pattern(kind: str, length: int, scale: int, form: str, element: str) -> str:
    if form in _FORMATS:
        body = _FORMATS[form]
    elif kind == "decimal":
        sign = "-?" if form == "signed" else ""
        body = rf"{sign}[0-9]{{1,{length - scale}}}(?:\.[0-9]{{1,{scale}}}0{{0,9}})?"
    elif kind == "integer":
        body = ""
    elif kind == "date":
        body = _DAY if form != "free" else _DAY + r"|[12][0-9]{7}"
    elif kind == "base64":
        body = rf"[A-Za-z0-9+/=\r\n]{{1,{_MEGABYTE_IN_BASE64}}}"
    elif form == "digits":
        body = rf"[0-9]{{1,{length}}}"
    elif element == "Type":
        body = r"[A-Z0-9 ]{1,6}|[A-Z0-9 ]{6}Z"
    elif length < 50:
        body = rf"{_LINE}{{1,{length}}}"
    else:
        body = rf"{_TEXT}{{1,{length}}}"
    return f"(?:{body})?"


def _field(row: dict[str, str]) -> Field:
    length, _, scale = row["length"].partition(".")
    kind: Kind = row["type"]  # type: ignore[assignment]
    size, places = int(length or 0), int(scale or 0)
    pattern = _pattern(kind, size, places, row["format"], row["element"])
    return Field(
        block=row["block"],
        place=row["json"] or row["block"],
        element=row["element"],
        name=row["name"],
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        kind=kind,
        length=size,
        scale=places,
        format=row["format"],
        codes=row["codes"],
        save=row["save"],
        declare=row["declare"],
        summary=row["summary"],
        note=row["note"],
        pattern=pattern,
        match=re.compile(pattern).fullmatch,
    )


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def blocks() -> dict[str, Block]:
    table: dict[str, Block] = {}
    described = rows("message_blocks.csv")
    for row in described:
        table[row["block"]] = Block(
            name=row["block"],
            element=row["element"],
            wrapper=row["wrapper"],
            parent=row["parent"],
            repeats=row["repeats"] == "yes",
            name_zh=row["name_zh"],
            name_en=row["name_en"],
        )
    for one in map(_field, rows("message_fields.csv")):
        table[one.place].fields[one.name] = one
        if one.element != "Version" or one.block == "envelope":
            table[one.block].members.append(one)
    for row in described:
        block = table[row["block"]]
        if row["parent"]:
            parent = table[row["parent"]]
            parent.children[block.name] = block
            names = [member.element for member in parent.members]
            parent.members.insert(names.index(row["after"]) + 1, block)
        elif block.name != "declaration":
            table["declaration"].children[block.name] = block
    for block in table.values():
        block.elements = {m.tag if isinstance(m, Block) else m.element: m for m in block.members}
        block.required = {need: tuple(name for name, one in block.fields.items() if one.needed(need)) for need in NEEDS}
    return table


def declaration() -> Block:
    return blocks()["declaration"]


@cache
def legacy_codes() -> dict[str, dict[str, str]]:
    """Numeric country and currency codes from before August 2018 -> today's alphabetic ones. For mapping old data only."""
    return {kind: files.successors(kind) for kind in ("country", "currency")}
