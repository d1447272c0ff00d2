"""Fee lists as sheets: XLSX and CSV, out for people and in from charging bodies.

Reading never stops at the first fault: every one is named by row and column. Formulas, merged cells and unknown columns
are refused, since what binds must be what was written."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from common.problems import Fault, invalid
from common.text import T
from portfees import rules
from portfees.catalogues import ITEM_FIELDS, Difference, difference, version_before
from portfees.models import FeeItem, FeeList

#: Rows of a sheet read at most; a sheet with more is refused, however empty they are.
MAX_ROWS = 20_000
MAX_BYTES = 10 * 1024 * 1024
#: Columns of a sheet read at most: twice what a list has, so that notes beside it are told as unknown columns.
MAX_COLUMNS = 40
#: More faults than this help nobody.
MAX_FAULTS = 200
_LIKE_A_FORMULA = ("=", "+", "@")

HEADINGS: dict[str, str] = {
    name: str(getattr(FeeItem._meta.get_field(name), "verbose_name", name)) for name in ITEM_FIELDS
}  # Chinese, as printed

_TRUE, _FALSE = {"true", "1", "y", "yes", "是", "含税", "必收"}, {"false", "0", "n", "no", "否", "不含税", "可选"}


def _text(limit: int) -> Callable[[str], str]:
    def read(value: str) -> str:
        if len(value) > limit:
            raise ValueError
        return value

    return read


def _boolean(value: str) -> bool:
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise ValueError


def _decimal(whole: int, places: int) -> Callable[[str], Decimal]:
    """A number of at most so many digits before and after the point: what its column holds."""

    def read(value: str) -> Decimal:
        number = Decimal(value)
        exponent = number.as_tuple().exponent
        if not number.is_finite() or not isinstance(exponent, int) or exponent < -places or abs(number) >= 10**whole:
            raise ValueError
        return number

    return read


_amount = _decimal(10, 4)


def _optional(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda value: read(value) if value else None


def _days(value: str) -> int:
    number = int(value)
    if not 0 <= number <= 3650:
        raise ValueError
    return number


def tiers_text(tiers: Sequence[dict[str, Any]]) -> str:
    """``[{"from_day": 1, "rate": "50"}, ...]`` as people write it in a cell: ``1:50; 6:100``."""
    return "; ".join(f"{tier['from_day']}:{tier['rate']}" for tier in tiers)


def shown(value: Any) -> str:
    """A value of a line as people read it."""
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, list):
        return tiers_text(value) or "—"
    if isinstance(value, bool):
        return str(T("是", "yes") if value else T("否", "no"))
    return "—" if value in (None, "") else str(value)


def _tiers(value: str) -> list[dict[str, Any]]:
    steps: list[Any]
    if value.startswith("["):
        try:
            steps = [(tier["from_day"], tier["rate"]) for tier in json.loads(value)]
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError from error
    else:
        steps = [step.split(":") for step in value.replace("；", ";").replace("：", ":").split(";") if step.strip()]
    return [{"from_day": int(str(day)), "rate": str(_amount(str(rate).strip()))} for day, rate in steps]


_READERS: dict[str, Callable[[str], Any]] = {
    "rate": _amount,
    "tax_included": _boolean,
    "tax_rate": _optional(_decimal(2, 2)),
    "free_days": _optional(_days),
    "tiers": _tiers,
    "mandatory": _boolean,
}
REQUIRED = ("code", "name_zh", "service_content", "payer", "unit", "rate", "pricing", "mandatory")
_DEFAULTS = {"currency": "CNY", "tax_included": "true", "free_days_counted": "calendar"}


def _reader(name: str) -> Callable[[str], Any]:
    limit = getattr(FeeItem._meta.get_field(name), "max_length", None) or 500
    return _READERS.get(name) or _text(limit)


def items_of(rows: Iterable[Sequence[str]]) -> list[FeeItem]:
    """The lines of a sheet whose first row names the columns (field names or their Chinese headings).

    Raises Problem 422 with every fault by row (as numbered in the sheet) and column."""
    iterator = iter(rows)
    head = [str(cell).strip() for cell in next(iterator, [])]
    by_heading = {heading: name for name, heading in HEADINGS.items()} | {name: name for name in ITEM_FIELDS}
    faults = [
        Fault(f"/rows/1/{column}", "unknown-column", T("未知的列“{c}”", "Unknown column “{c}”", c=cell))
        for column, cell in enumerate(head, start=1)
        if cell and cell not in by_heading
    ]
    columns = [by_heading.get(cell, "") for cell in head]
    faults += [
        Fault(f"/rows/1/{name}", "column-missing", T("缺少列“{c}”", "The column “{c}” is missing", c=name))
        for name in REQUIRED
        if name not in columns
    ]
    if len(set(filter(None, columns))) != len([name for name in columns if name]):
        faults.append(Fault("/rows/1", "column-twice", T("列名重复", "A column stands twice")))
    if faults:
        raise invalid(faults)
    items = []
    for number, row in enumerate(iterator, start=2):
        cells = [_unquoted(str(cell).strip()) for cell in row]
        if not any(cells):
            continue
        item, found = _item(number, dict(zip(columns, cells, strict=False)))
        items.append(item)
        faults += found
        if len(faults) > MAX_FAULTS:
            break
    if faults:
        raise invalid(faults[:MAX_FAULTS])
    return items


def _item(number: int, cells: dict[str, str]) -> tuple[FeeItem, list[Fault]]:
    values: dict[str, Any] = {}
    faults = []
    for name in ITEM_FIELDS:
        text = cells.get(name, "") or _DEFAULTS.get(name, "")
        if not text and name in REQUIRED:
            faults.append(Fault(f"/rows/{number}/{name}", "cell-missing", T("不得为空", "Must not be empty")))
            continue
        try:
            values[name] = _reader(name)(text)
        except (ValueError, InvalidOperation, TypeError, AttributeError):
            faults.append(
                Fault(f"/rows/{number}/{name}", "cell-value", T("无法识别“{v}”", "Cannot read “{v}”", v=text[:60]))
            )
    return FeeItem(line=number, **values), faults


def read_csv(data: bytes) -> list[FeeItem]:
    """Raises Problem 422 (encoding, faults)."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise invalid([Fault("", "encoding", T("编码应为 UTF-8 或 GB18030", "The encoding must be UTF-8 or GB18030"))])
    if "\x00" in text:
        raise invalid([Fault("", "nul-character", T("不得含有空字符", "NUL characters are not allowed"))])
    return items_of(_bounded(csv.reader(io.StringIO(text))))


def _bounded(rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    for number, row in enumerate(rows, start=1):
        if number > MAX_ROWS:
            raise invalid([Fault(f"/rows/{number}", "too-many-rows", T("行数过多", "Too many rows"))])
        if len(row) > MAX_COLUMNS:
            raise invalid([Fault(f"/rows/{number}", "too-many-columns", T("列数过多", "Too many columns"))])
        yield row


def read_xlsx(data: bytes) -> list[FeeItem]:
    """Lines of the first sheet, read row by row: what a file says of its size is not believed. Raises Problem 422 (no XLSX,
    formulas, merged cells, faults)."""
    from openpyxl import load_workbook  # loaded by who reads a workbook: it is large
    from openpyxl.utils.exceptions import InvalidFileException

    faults: list[Fault] = []
    rows: list[list[str]] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > 20 * MAX_BYTES:
                raise invalid([Fault("", "too-large", T("文件解压后过大", "The file is too large when unpacked"))])
            sheet: Any = load_workbook(io.BytesIO(data), data_only=False, read_only=True).worksheets[0]
            merged = _merged(archive.read(sheet._worksheet_path))
        if merged:
            raise invalid(merged[:MAX_FAULTS])
        sheet.reset_dimensions()
        for row in _bounded(sheet.iter_rows()):
            faults += [
                Fault(f"/cells/{cell.coordinate}", "formula", T("不得使用公式", "Formulas are not allowed"))
                for cell in row
                if getattr(cell, "data_type", "") == "f"
            ]
            rows.append([cell_text(cell.value) for cell in row])
    except (zipfile.BadZipFile, InvalidFileException, KeyError, IndexError, ValueError, OSError, SyntaxError) as error:
        raise invalid([Fault("", "not-xlsx", T("不是可读的 XLSX 文件", "Not a readable XLSX file"))]) from error
    if faults:
        raise invalid(faults[:MAX_FAULTS])
    return items_of(rows)


def _merged(sheet: bytes) -> list[Fault]:
    """Merged areas of a sheet's XML."""
    return [
        Fault(f"/cells/{found[1].decode()}", "merged-cells", T("不得合并单元格", "Merged cells are not allowed"))
        for found in re.finditer(rb'<(?:\w+:)?mergeCell\b[^>]*?\bref="([A-Z0-9:]{1,30})"', sheet)
    ]


def cell_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        # A cell's number as it is shown: 0.1, not 0.1000000000000000055.
        return format(Decimal(repr(value)).normalize(), "f")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def read(data: bytes) -> list[FeeItem]:
    """Lines of an uploaded sheet, by its content: XLSX or CSV. Raises Problem 422."""
    if len(data) > MAX_BYTES:
        raise invalid([Fault("", "too-large", T("文件超过 10 MB", "The file is larger than 10 MB"))])
    return read_xlsx(data) if data[:2] == b"PK" else read_csv(data)


@dataclass(frozen=True, slots=True)
class Tried:
    """A sheet that was read and put to the rules: its lines, and how they differ from the version before."""

    items: list[FeeItem]
    before: FeeList | None
    difference: Difference


def try_sheet(fee_list: FeeList, items: list[FeeItem]) -> Tried:
    """What :func:`read` read, put to the rules of ``fee_list`` without writing anything. Raises Problem 422 with every fault, by
    the rows of the sheet."""
    faults = [
        fault._replace(pointer=re.sub(r"^/items/(?=\d)", "/rows/", fault.pointer))
        for fault in rules.check(fee_list, items)
    ]
    if faults:
        raise invalid(faults[:MAX_FAULTS])
    for line, item in enumerate(items, start=1):
        item.line = line
    return compared(fee_list, items)


def compared(fee_list: FeeList, items: list[FeeItem]) -> Tried:
    before = version_before(fee_list)
    return Tried(items, before, difference(list(before.items.all()) if before else [], items))


def rows_of(items: Iterable[FeeItem]) -> Iterator[list[str]]:
    """Heading and lines as text, as they are read back."""
    yield list(ITEM_FIELDS)
    for item in items:
        yield [_written(getattr(item, name)) for name in ITEM_FIELDS]


def _unquoted(text: str) -> str:
    """Take off the quote that :func:`_written` puts before what looks like a formula."""
    return text[1:] if text[:1] == "'" and text[1:2] in _LIKE_A_FORMULA else text


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, list):
        return tiers_text(value)
    text = str(value)
    # A spreadsheet program would run a text that begins like a formula.
    return f"'{text}" if text[:1] in _LIKE_A_FORMULA else text


def write_csv(items: Iterable[FeeItem]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows_of(items))
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def write_xlsx(items: Iterable[FeeItem], title: str) -> bytes:
    from openpyxl import Workbook
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    workbook = Workbook()
    sheet = workbook.worksheets[0]
    sheet.title = "".join(c for c in title if c not in "[]:*?/\\")[:31] or "list"
    for row in rows_of(items):
        sheet.append(row)
    for column, name in enumerate(ITEM_FIELDS, start=1):
        sheet.cell(1, column).font = Font(bold=True)
        sheet.column_dimensions[get_column_letter(column)].width = 28 if name in ("name_zh", "service_content") else 14
    sheet.freeze_panes = "A2"
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()
