"""The example tariff and the dated tables that come with the system, loaded by the same commands as real ones."""

from __future__ import annotations

import csv
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


def load_example(*, actor: str) -> list[Difference]:
    """Load all of it. Loading again changes nothing."""
    done = [
        loading.load_rows(table, rows(table), actor=actor, reason="example tariff", correct_past=True)
        for table in FILES
    ]
    lookup.forget()
    return done
