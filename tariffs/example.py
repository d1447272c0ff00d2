"""The example tariff and the dated tables that come with the system, loaded by the same commands as real ones."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from . import loading, lookup
from .loading import Difference

DATA = Path(__file__).parent / "data"
#: In the order they are loaded.
FILES = {
    "calendar": "holidays.csv",
    "parameters": "parameters.csv",
    "regimes": "regimes.csv",
    "origins": "origins.csv",
    "exchange-rates": "example_exchange_rates.csv",
    "quotas": "example_quotas.csv",
    "commodities": "example_commodities.csv",
    "measures": "example_measures.csv",
}


def rows(table: str) -> list[dict[str, str]]:
    with (DATA / FILES[table]).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


#: Dated tables that are no example: an instance cannot reckon without them.
BASICS = ("calendar", "parameters", "regimes", "origins")


def load_example(*, actor: str, tables: Iterable[str] = tuple(FILES)) -> list[Difference]:
    """Load what comes with the system. Loading again changes nothing."""
    done = []
    for table in tables:
        reason = f"shipped with the system: {FILES[table]}"
        done.append(loading.load_rows(table, rows(table), actor=actor, reason=reason, correct_past=True))
    lookup.forget()
    return done
