from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from refdata import codes
from refdata.files import COLUMNS, LIST_COLUMNS


@pytest.fixture(autouse=True)
def _fresh_memory(db) -> Iterator[None]:
    """What a rolled-back load left in memory is not met by the next test."""
    codes.forget()
    yield
    codes.forget()
    codes._lists.clear()


@pytest.fixture
def directory(tmp_path: Path) -> Callable[..., Path]:
    """``directory(colour=[row, ...])`` is a directory of code lists; a row is (code, zh, en, from, to, *attributes)."""

    def write(columns: tuple[str, ...] = ("shade:int",), pattern: str = "[A-Z]{1,3}", **lists: list[tuple]) -> Path:
        with (tmp_path / "lists.csv").open("w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(LIST_COLUMNS)
            for slug in lists:
                writer.writerow((slug, "颜色", "Colours", pattern, "1", "good", "this test"))
        for slug, rows in lists.items():
            with (tmp_path / f"{slug}.csv").open("w", newline="") as out:
                writer = csv.writer(out)
                writer.writerow((*COLUMNS, *columns))
                writer.writerows(rows)
        return tmp_path

    return write


RED = ("R", "红", "red", "", "", "3")
BLUE = ("B", "蓝", "blue", "2020-01-01", "", "")
