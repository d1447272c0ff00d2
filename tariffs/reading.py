"""Reading CSV and XLSX files row by row: no row is guessed at, and a file that hides something is refused."""

from __future__ import annotations

import csv
import re
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from common.problems import Fault, Problem
from common.text import T

MAX_BYTES = 500 * 1024 * 1024
MAX_UNPACKED = 2 * 1024 * 1024 * 1024
#: More empty rows than this one after another are a mistake, not a table.
MAX_EMPTY = 1000
#: Above this a cell is no text of a tariff.
MAX_CELL = 5000

#: What reading a workbook that is none, is encrypted or damaged comes to: zip, XML and cells each say it their way.
BROKEN = (
    zipfile.BadZipFile, zlib.error, SyntaxError, LookupError, ValueError, TypeError, AttributeError, EOFError, OSError,
    RuntimeError,
)  # fmt: skip

Row = tuple[int, list[str]]


def _refuse(code: str, text: object, pointer: str = "") -> Problem:
    return Problem(
        422, "file-refused", T("文件被拒绝", "The file is refused"), errors=[Fault(pointer, code, text)]
    )  # fmt: skip


def rows(path: Path, *, encoding: str = "utf-8-sig", delimiter: str = ",", quoted: bool = True) -> Iterator[Row]:
    """Row number (from 1) and cells. Raises Problem 422 naming what is wrong with the file."""
    if not path.is_file():
        raise _refuse("no-such-file", T("没有此文件", "there is no such file"))
    if path.stat().st_size > MAX_BYTES:
        raise _refuse("too-large", T("文件过大", "the file is too large"))
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        yield from _sheet(path)
    elif path.suffix.lower() == ".xls":
        raise _refuse("old-excel", T("不支持 .xls，请另存为 .xlsx", "save .xls files as .xlsx"))
    else:
        yield from _text(path, encoding, delimiter, quoted)


def _text(path: Path, encoding: str, delimiter: str, quoted: bool) -> Iterator[Row]:
    try:
        opened = path.open(encoding=encoding, errors="strict", newline="")
    except LookupError:
        raise _refuse("unknown-encoding", T("没有编码 {name}", "there is no encoding {name}", name=encoding)) from None
    with opened as file:
        reader = csv.reader(
            file, delimiter=delimiter, strict=quoted, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        )
        empty = 0
        number = 0
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except UnicodeError as error:
                raise _refuse("wrong-encoding", T(
                    "第 {row} 行之后有不是 {encoding} 编码的内容；可指定其他编码，如 gb18030",
                    "content after row {row} is not {encoding}; name another encoding, such as gb18030",
                    row=number, encoding=encoding,
                ), f"row {number + 1}") from error  # fmt: skip
            except csv.Error as error:
                raise _refuse("not-csv", T("不是合法的 CSV：{why}", "not valid CSV: {why}", why=str(error)),
                              f"row {number + 1}") from error  # fmt: skip
            number += 1
            if not any(cells):
                empty += 1
                if empty > MAX_EMPTY:
                    raise _refuse("empty-rows", T("空行过多", "too many empty rows"), f"row {number}")
                continue
            empty = 0
            yield number, cells


def _sheet(path: Path) -> Iterator[Row]:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > MAX_UNPACKED:
                raise _refuse("too-large", T("解压后过大", "too large when unpacked"))
            for info in archive.infolist():
                if info.filename.startswith("xl/worksheets/sheet") and _holds(archive, info, b"<mergeCell "):
                    raise _refuse("merged-cells", T("含有合并单元格", "the sheet has merged cells"), info.filename)
        from openpyxl import load_workbook  # loaded by who reads a workbook: it is large

        book = load_workbook(path, read_only=True, data_only=False)
    except Problem:
        raise
    except BROKEN as error:
        raise _refuse("not-xlsx", T("不是合法的 XLSX 文件", "this is not a valid XLSX file")) from error
    try:
        number = 0
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # the size a sheet states may be wrong: every row counts
        empty = 0
        for number, cells in enumerate(sheet.iter_rows(), 1):
            texts = []
            for cell in cells:
                if cell.data_type == "f":
                    raise _refuse("formula", T("单元格含有公式", "a cell holds a formula"),
                                  f"row {number}, {getattr(cell, 'coordinate', '')}")  # fmt: skip
                if cell.data_type == "e":
                    raise _refuse("error-value", T("单元格为错误值", "a cell holds an error value"),
                                  f"row {number}, {getattr(cell, 'coordinate', '')}")  # fmt: skip
                texts.append(_cell(cell))
            if not any(texts):
                empty += 1
                if empty > MAX_EMPTY:
                    # What stands after them would be lost if the reading ended here.
                    raise _refuse("empty-rows", T(
                        "空行过多，请删除第 {row} 行起的空行", "too many empty rows: delete those from row {row} on",
                        row=number - MAX_EMPTY), f"row {number - MAX_EMPTY}")  # fmt: skip
                continue
            empty = 0
            yield number, texts
    except Problem:
        raise
    except BROKEN as error:
        raise _refuse("not-xlsx", T("工作表已损坏", "the sheet is broken"), f"row {number + 1}") from error
    finally:
        book.close()


def _holds(archive: zipfile.ZipFile, info: zipfile.ZipInfo, mark: bytes) -> bool:
    with archive.open(info) as file:
        tail = b""
        while block := file.read(1 << 20):
            if mark in tail + block:
                return True
            tail = block[-len(mark) :]
    return False


#: What a number format shows as it stands: "…" and \x. A percent sign in it multiplies nothing.
_LITERAL = re.compile(r'"[^"]*"|\\.')


def _cell(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int | float) and "%" in _LITERAL.sub("", cell.number_format or ""):
        return f"{(Decimal(repr(value)) * 100).normalize():f}%"  # 6.5 % is kept as 0.065
    if isinstance(value, float):
        # Excel keeps numbers as floats; repr gives the shortest decimal that is the number shown.
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value).strip()[: MAX_CELL + 1]
