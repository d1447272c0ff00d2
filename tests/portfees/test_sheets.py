from __future__ import annotations

import csv
import io
import zipfile
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from common.problems import Problem
from portfees import sheets
from portfees.catalogues import ITEM_FIELDS
from tests.portfees.conftest import item


@pytest.fixture(autouse=True)
def reference() -> None:
    """No database."""


def values(items):
    return [tuple(getattr(one, name) for name in ITEM_FIELDS) for one in items]


def faults(data: bytes) -> list[tuple[str, str]]:
    with pytest.raises(Problem) as refused:
        sheets.read(data)
    return [(fault.pointer, fault.code) for fault in refused.value.errors]


def workbook(*rows) -> Workbook:
    book = Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    return book


def saved(book: Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


words = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp", "Cf", "Cn", "Co")),
    min_size=1,
    max_size=30,
)
lines = st.builds(
    item,
    code=words,
    name_zh=words,
    service_content=words,
    rate=st.decimals("0", "999999", places=4),
    tax_rate=st.none() | st.decimals("0", "99", places=2),
    tiers=st.just([]) | st.just([{"from_day": 1, "rate": "50"}, {"from_day": 6, "rate": "100.5"}]),
    free_days=st.none() | st.integers(0, 100),
    mandatory=st.booleans(),
)  # fmt: skip


@given(st.lists(lines, min_size=1, max_size=4))
def test_what_is_written_is_read_back_the_same(items):
    for data in (sheets.write_csv(items), sheets.write_xlsx(items, "list")):
        assert values(sheets.read(data)) == values(items)


def test_a_text_that_looks_like_a_formula_is_written_as_text():
    book = load_workbook(io.BytesIO(sheets.write_xlsx([item(name_zh="=1+1")], "x")))
    assert "f" not in {cell.data_type for row in book.worksheets[0].iter_rows() for cell in row}


def test_chinese_headings_and_gb18030_are_understood():
    headings = ",".join(sheets.HEADINGS[name] for name in sheets.REQUIRED)
    text = f"{headings}\nA,装卸,装卸服务,consignee,container,10.5,market,是\n"
    (line,) = sheets.read(text.encode("gb18030"))
    assert (line.name_zh, line.rate, line.mandatory) == ("装卸", Decimal("10.5"), True)


def test_every_fault_is_named_by_row_and_column():
    good = ["A", "n", "c", "consignee", "container", "1", "market", "true"]
    text = [list(sheets.REQUIRED), good, [*good[:5], "1e999", "market", "maybe"], [*good[:1], "", *good[2:]]]
    data = "\n".join(",".join(row) for row in text).encode()
    assert faults(data) == [
        ("/rows/3/rate", "cell-value"),
        ("/rows/3/mandatory", "cell-value"),
        ("/rows/4/name_zh", "cell-missing"),
    ]


def test_formulas_and_merged_cells_are_refused():
    book = workbook(list(sheets.REQUIRED), ["A", "n", "c", "consignee", "container", "=1+1", "market", "true"])
    assert faults(saved(book)) == [("/cells/F2", "formula")]
    book = workbook(list(sheets.REQUIRED))
    book.worksheets[0].merge_cells("A2:B2")
    assert faults(saved(book)) == [("/cells/A2:B2", "merged-cells")]


def test_missing_and_unknown_columns_are_told_together():
    assert {code for _, code in faults(b"code,colour\nA,red\n")} == {"unknown-column", "column-missing"}


def test_a_sheet_of_a_million_empty_rows_is_refused():
    book = workbook(list(sheets.REQUIRED))
    book.worksheets[0].cell(1_000_000, 1).value = ""
    book.worksheets[0].cell(1_000_000, 1).number_format = "0.00"
    assert faults(saved(book))[0][1] == "too-many-rows"


@pytest.mark.parametrize("data", [b"PK\x03\x04broken", b"\x81\x20\xff\xff\x00", b"", b"PK" + b"\x00" * 100])
def test_what_is_no_sheet_is_told(data):
    assert faults(data)


def test_a_small_file_that_says_it_is_huge_is_refused_at_once():
    """Twenty thousand rows whose last cell stands in the last column: 330 million cells in a file of some kilobytes."""
    book = workbook(list(sheets.REQUIRED))
    for row in range(2, 200):
        book.worksheets[0].cell(row, 16_384).value = 1
    assert faults(saved(book)) == [("/rows/2", "too-many-columns")]


def test_a_sheet_merged_from_end_to_end_is_refused_unread():
    data = saved(workbook(list(sheets.REQUIRED)))
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(out, "w") as after:
        for entry in before.infolist():
            content = before.read(entry)
            if entry.filename == "xl/worksheets/sheet1.xml":
                whole = b'</sheetData><mergeCells count="1"><mergeCell ref="A1:XFD1048576"/></mergeCells>'
                content = content.replace(b"</sheetData>", whole)
            after.writestr(entry, content)
    assert faults(out.getvalue()) == [("/cells/A1:XFD1048576", "merged-cells")]


@pytest.mark.parametrize(
    "tiers", ["[1]", "[[1, 2]]", '[{"from_day": 1}]', '[{"from_day": null, "rate": {}}]', "[" * 100_000, '["ab"]', "{}"]
)
def test_tiers_that_are_none_are_told(tiers):
    out = io.StringIO()
    csv.writer(out).writerows(
        [[*sheets.REQUIRED, "tiers"], ["A", "n", "c", "consignee", "container_day", "1", "market", "true", tiers]]
    )
    assert faults(out.getvalue().encode()) == [("/rows/2/tiers", "cell-value")]
