"""The file format of a code list, and everything that can be wrong with a file.

``lists.csv`` names the lists; ``<slug>.csv`` holds one list: ``code,name_zh,name_en,valid_from,valid_to`` and then one
column for each further attribute, its heading optionally typed (``minor_units:int``, ``any_mode:bool``). Days are legal
days; ``valid_to`` is the first day on which the row no longer holds; an empty day means no bound."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from common.problems import Fault
from common.text import T

COLUMNS = ("code", "name_zh", "name_en", "valid_from", "valid_to")
LIST_COLUMNS = ("slug", "name_zh", "name_en", "pattern", "complete", "trust", "rests_on")
#: The lists the project ships.
SHIPPED = Path(__file__).resolve().parent / "data"
#: More faults than this in one file help nobody.
MAX_FAULTS = 50


class Faulty(Exception):
    """The files have faults; nothing was loaded. Each fault's pointer is ``file:row:column``."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = list(faults)
        super().__init__("\n".join(f"{fault.pointer}: {fault.text}" for fault in self.faults))


class Row(NamedTuple):
    code: str
    name_zh: str
    name_en: str
    valid_from: date | None
    valid_to: date | None
    attributes: dict[str, Any]
    line: int


@dataclass
class ListFile:
    """One list as its files say it is."""

    slug: str
    name_zh: str
    name_en: str
    pattern: str
    complete: bool
    trust: str
    rests_on: str
    columns: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    checksum: str = ""


def read_directory(directory: Path, only: Iterable[str] = ()) -> Iterator[ListFile]:
    """The lists of ``directory``, one after the other; raises Faulty for the first file that has faults.

    ``only`` restricts to some slugs. A directory may hold a part of the lists that its ``lists.csv`` names."""
    wanted = set(only)
    lists = _read_lists(directory / "lists.csv")
    if unknown := wanted - set(lists):
        raise Faulty(
            [Fault("lists.csv", "unknown-list", T("没有代码表 {names}", "No list {names}", names=sorted(unknown)))]
        )
    for slug, head in lists.items():
        path = directory / f"{slug}.csv"
        if (not wanted or slug in wanted) and path.exists():
            yield _read_list(path, head)


def successors(slug: str) -> dict[str, str]:
    """Legacy code -> modern code of the shipped list ``slug`` (``country``, ``currency``, ...), straight from its file:
    for those who read messages without a database. Codes without a successor are left out."""
    with (SHIPPED / f"{slug}_legacy.csv").open(encoding="utf-8", newline="") as file:
        return {row["code"]: row["modern"] for row in csv.DictReader(file) if row["modern"]}


def count(directory: Path) -> int:
    """How many lists ``directory`` holds."""
    return sum(1 for path in directory.glob("*.csv") if path.name != "lists.csv")


def _open(path: Path) -> tuple[csv.DictReader[str], str]:
    try:
        body = path.read_bytes()
        text = body.decode("utf-8-sig")
    except FileNotFoundError:
        raise Faulty([Fault(path.name, "no-such-file", T("没有这个文件", "No such file"))]) from None
    except UnicodeDecodeError as error:
        line = body[: error.start].count(b"\n") + 1
        raise Faulty([Fault(f"{path.name}:{line}:", "encoding", T("不是 UTF-8 编码", "This is not UTF-8"))]) from error
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise Faulty([Fault(f"{path.name}:{line}:", "nul-character", T("含有空字符", "NUL character"))])
    return csv.DictReader(io.StringIO(text, newline=""), strict=True), hashlib.sha256(body).hexdigest()


def _headings(path: Path, reader: csv.DictReader[str], required: tuple[str, ...]) -> list[str]:
    try:
        headings = list(reader.fieldnames or ())
    except csv.Error as error:
        raise Faulty([Fault(f"{path.name}:1:", "malformed", str(error))]) from error
    missing = [name for name in required if name not in headings]
    if missing or len(set(headings)) != len(headings):
        text = T(
            "表头应有 {names}，且不得重复",
            "The heading needs {names}, each once",
            names=", ".join(missing or required),
        )
        raise Faulty([Fault(f"{path.name}:1:{missing[0] if missing else ''}", "heading", text)])
    return [name for name in headings if name not in required]


def _rows(path: Path, reader: csv.DictReader[str]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        for raw in reader:
            if None in raw or None in raw.values():
                raise Faulty(
                    [
                        Fault(
                            f"{path.name}:{reader.line_num}:",
                            "columns",
                            T("列数与表头不符", "Not as many columns as the heading"),
                        )
                    ]
                )
            yield reader.line_num, {name: value.strip() for name, value in raw.items()}
    except csv.Error as error:
        raise Faulty([Fault(f"{path.name}:{reader.line_num}:", "malformed", str(error))]) from error


def _read_lists(path: Path) -> dict[str, ListFile]:
    reader, checksum = _open(path)
    _headings(path, reader, LIST_COLUMNS)
    lists: dict[str, ListFile] = {}
    faults = []
    for line, raw in _rows(path, reader):
        if not re.fullmatch(r"[a-z][a-z0-9_]{1,39}", raw["slug"]) or raw["slug"] in lists:
            text = T("代码表标识缺失、重复或不合规", "The slug is missing, repeated or not well formed")
            faults.append(Fault(f"{path.name}:{line}:slug", "slug", text))
            continue
        try:
            re.compile(raw["pattern"])
        except re.error as error:
            faults.append(Fault(f"{path.name}:{line}:pattern", "pattern", str(error)))
        if raw["complete"] not in ("0", "1"):
            faults.append(Fault(f"{path.name}:{line}:complete", "flag", T("只能是 0 或 1", "Must be 0 or 1")))
        for column, limit in (("name_zh", 100), ("name_en", 100), ("pattern", 100), ("trust", 20), ("rests_on", 300)):
            if not 0 < len(raw[column]) <= limit:
                faults.append(Fault(f"{path.name}:{line}:{column}", "length", _length(limit)))
        lists[raw["slug"]] = ListFile(**(raw | {"complete": raw["complete"] == "1"}), checksum=checksum)  # type: ignore[arg-type]
    if faults:
        raise Faulty(faults[:MAX_FAULTS])
    return lists


def _length(limit: int) -> Any:
    return T("须有 1 至 {limit} 个字符", "Must have 1 to {limit} characters", limit=limit)


def _day(value: str) -> date | None:
    if not value:
        return None
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        raise ValueError(value)
    return date.fromisoformat(value)


def _attribute(heading: str, value: str) -> Any:
    kind = heading.partition(":")[2]
    if kind == "int":
        return int(value)
    if kind == "bool":
        if value not in ("0", "1"):
            raise ValueError(value)
        return value == "1"
    return value


def _read_list(path: Path, head: ListFile) -> ListFile:
    reader, checksum = _open(path)
    columns = _headings(path, reader, COLUMNS)
    faults: list[Fault] = []
    if odd := [name for name in columns if not re.fullmatch(r"[a-z][a-z0-9_]*(:int|:bool)?", name)]:
        text = T("列名 {name} 不合规", "The heading {name} is not well formed", name=odd[0])
        raise Faulty([Fault(f"{path.name}:1:{odd[0]}", "heading", text)])
    pattern = re.compile(head.pattern)
    rows: list[Row] = []
    periods: dict[str, list[Row]] = {}
    for line, raw in _rows(path, reader):

        def fault(column: str, code: str, text: Any, line: int = line) -> None:
            faults.append(Fault(f"{path.name}:{line}:{column}", code, text))

        code = raw["code"]
        if not pattern.fullmatch(code) or len(code) > 20:
            fault(
                "code",
                "pattern",
                T("代码 {code} 不符合格式", "The code {code} does not have this list's form", code=code),
            )
        if not raw["name_zh"] and not raw["name_en"]:
            fault("name_zh", "no-name", T("中英文名称至少要有一个", "A Chinese or an English name is needed"))
        for column in ("name_zh", "name_en"):
            if len(raw[column]) > 250:
                fault(column, "length", _length(250))
        days: dict[str, date | None] = {}
        for column in ("valid_from", "valid_to"):
            try:
                days[column] = _day(raw[column])
            except ValueError:
                days[column] = None
                fault(column, "date", T("日期应为 YYYY-MM-DD", "A day is written YYYY-MM-DD"))
        attributes = {}
        for heading in columns:
            if raw[heading]:
                try:
                    attributes[heading.partition(":")[0]] = _attribute(heading, raw[heading])
                except ValueError:
                    fault(heading, "value", T("值不符合列的类型", "The value is not of the column's type"))
        row = Row(code, raw["name_zh"], raw["name_en"], days["valid_from"], days["valid_to"], attributes, line)
        if row.valid_from and row.valid_to and row.valid_from >= row.valid_to:
            fault("valid_to", "empty-period", T("失效日须晚于生效日", "valid_to must be later than valid_from"))
        elif any(_overlap(row, other) for other in periods.get(code, ())):
            text = T("代码 {code} 的有效期重叠", "The code {code} has overlapping periods", code=code)
            fault("valid_from", "overlap", text)
        periods.setdefault(code, []).append(row)
        rows.append(row)
    if not rows:
        faults.append(Fault(f"{path.name}:2:", "empty", T("文件没有数据", "The file has no rows")))
    if faults:
        raise Faulty(faults[:MAX_FAULTS])
    head.columns, head.rows = columns, rows
    head.checksum = hashlib.sha256(f"{head.checksum}{checksum}".encode()).hexdigest()
    return head


def _overlap(a: Row, b: Row) -> bool:
    return (a.valid_from or date.min) < (b.valid_to or date.max) and (b.valid_from or date.min) < (
        a.valid_to or date.max
    )
