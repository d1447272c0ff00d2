"""Everyday goods are found among the first three, in the real tree of 8 digits."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pytest

from tariffs import loading, search, thesaurus
from tests.tariffs.test_loading import SHARED, needs_shared

#: Words, and the headings of which one must be among the first three. Three lists, each with Chinese and English words:
#: `tuned`: what the search was made with. `tried`: what its misses were looked at with, once. `held-out`: drawn at random from
#: the same fresh words before any result was seen; only its hit rate was ever looked at, so that it is an honest one.
GOODS = Path(__file__).parent / "everyday_goods.csv"
LEAST = {"tuned": 1.0, "tried": 0.88, "held-out": 0.90}


@needs_shared
@pytest.mark.django_db
def test_everyday_goods_are_among_the_first_three(record_property):
    for file, name in (("hs_nomenclature_en.csv", "hs-2022"), ("cn_tariff_lines_hs8_2023.csv", "cn-hs8-2023")):
        loading.load(SHARED / file, actor="test", map_name=name)
    hits: dict[str, list[bool]] = {}
    with GOODS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found = {line.code[:4] for line in search.find(row["words"], date(2026, 10, 12), limit=10)[:3]}
            hits.setdefault(row["list"], []).append(bool(found & set(row["headings"].split("|"))))
    rates = {name: sum(found) / len(found) for name, found in hits.items()}
    record_property("first_three", rates)
    assert len(hits["held-out"]) >= 40
    assert all(rates[name] >= least for name, least in LEAST.items()), rates
    assert [line.code for line in search.find("8471.30", date(2026, 10, 12))] == ["847130", "84713010", "84713090"]
    assert search.find("xqzvw", date(2026, 10, 12)) == []
    near = search.find("refridgerator", date(2026, 10, 12), limit=5)  # misspelt
    assert any(line.code.startswith("8418") for line in near)


def test_the_thesaurus_leads_to_the_words_of_the_nomenclature():
    assert thesaurus.terms("体温计") == ["thermometer"]
    assert "jewellery" in thesaurus.terms("necklaces")
    assert thesaurus.terms("xqzvw") == []
