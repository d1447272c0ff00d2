"""Why an officer decides as they do: reason codes, each for one command, each from a day to a day (data/reasons.csv)."""

from __future__ import annotations

import csv
from datetime import date
from functools import cache
from pathlib import Path
from typing import NamedTuple

from common.days import today
from common.text import pick

FILE = Path(__file__).parent / "data" / "reasons.csv"


class Reason(NamedTuple):
    command: str
    code: str
    name_zh: str
    name_en: str
    valid_from: date
    valid_to: date | None

    def __str__(self) -> str:
        return pick(self.name_zh, self.name_en)

    def holds(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


@cache
def table() -> dict[tuple[str, str], Reason]:
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = [
            Reason(
                row["command"],
                row["code"],
                row["name_zh"],
                row["name_en"],
                date.fromisoformat(row["valid_from"]),
                date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
            )
            for row in csv.DictReader(file)
        ]
    return {(row.command, row.code): row for row in rows}


def reasons_for(command: str, on: date | None = None) -> list[Reason]:
    """What may be given as the reason of ``command`` on that day."""
    day = on or today()
    return [row for row in table().values() if row.command == command and row.holds(day)]


def find(command: str, code: str, on: date | None = None) -> Reason | None:
    row = table().get((command, code))
    return row if row is not None and row.holds(on or today()) else None


def name(command: str, code: str) -> str:
    """What a code meant, whether or not it still holds."""
    row = table().get((command, code))
    return str(row) if row else code
