"""What a check asks of the code lists, and how soon it sees a load."""

from __future__ import annotations

import timeit
from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from refdata import codes, files, loading
from refdata.models import CodeList
from tests.refdata.conftest import BLUE, RED


def test_a_code_is_valid_within_its_period_only():
    assert codes.is_valid("licence_document", "A", on=date(2018, 5, 31))
    assert not codes.is_valid("licence_document", "A", on=date(2018, 6, 1))
    assert not codes.is_valid("customs_procedure", "9710", on=date(2020, 6, 30))
    assert codes.is_valid("customs_procedure", "9710", on=date(2020, 7, 1))
    assert codes.is_known("licence_document", "A")
    assert not codes.is_known("licence_document", "?")


def test_names_come_in_the_language_asked_for_or_in_the_other_one():
    assert codes.name("country", "VNM", "zh-hans") == "越南"
    assert codes.name("country", "VNM", "en") == "Viet Nam"
    with translation.override("en"):
        assert codes.name("country", "SGP") == "Singapore"
    assert codes.name("domestic_port", "110001", "en") == "北京"
    assert codes.name("country", "XXX", "en") == ""


def test_a_code_keeps_its_last_name_after_its_end():
    assert codes.name("licence_document", "A", "zh-hans", on=date(2026, 1, 1)) == "入境货物通关单"


@pytest.mark.parametrize(
    ("slug", "old", "new"),
    [
        ("country", "142", "CHN"),
        ("country", "502", "USA"),
        ("country", "132", "SGP"),
        ("country", "CHN", "CHN"),
        ("country", "349", "349"),
        ("currency", "502", "USD"),
        ("currency", "142", "CNY"),
        ("currency", "304", "304"),
        ("package_type", "2", "22"),
        ("package_type", "22", "22"),
        ("overseas_port", "1002", "AFG001"),
    ],
)
def test_legacy_codes_become_modern_ones_and_everything_else_stays(slug, old, new):
    assert files.successors(slug).get(old, old) == new


def test_attributes_are_typed():
    assert codes.attribute("currency", "JPY", "minor_units") == 0
    assert codes.attribute("currency", "CNY", "minor_units") == 2
    assert codes.attribute("country", "VNM", "alpha2") == "VN"
    assert codes.attribute("incoterm", "FCA", "any_mode") is True
    assert codes.attribute("country", "???", "alpha2") is None


def test_an_incomplete_list_says_so():
    assert codes.is_complete("country")
    assert not codes.is_complete("customs_office")


def test_a_list_that_does_not_exist_is_an_error_and_not_an_empty_list():
    with pytest.raises(codes.NotLoaded):
        codes.is_valid("no_such_list", "1")


def test_codes_of_a_day():
    assert "9710" not in codes.codes_of("customs_procedure", on=date(2020, 1, 1))
    assert "9710" in codes.codes_of("customs_procedure", on=date(2026, 1, 1))


def test_a_load_in_this_process_is_seen_at_once(directory):
    loading.load(directory(colour=[RED]))
    assert not codes.is_valid("colour", "B")
    loading.load(directory(colour=[RED, BLUE]))
    assert codes.is_valid("colour", "B")


def test_a_load_by_another_process_is_seen_at_the_next_look(directory, monkeypatch):
    loading.load(directory(colour=[RED]))
    assert codes.is_valid("colour", "R")
    monkeypatch.setattr(codes, "forget", lambda: None)
    loading.load(directory(colour=[RED, BLUE]))
    assert not codes.is_valid("colour", "B"), "no look is due yet"
    now = codes.monotonic()
    monkeypatch.setattr(codes, "monotonic", lambda: now + codes.LOOK_EVERY)
    assert codes.LOOK_EVERY < 5
    assert codes.is_valid("colour", "B")


def test_between_two_looks_no_question_reaches_the_database(monkeypatch):
    codes.is_valid("country", "CHN")
    now = codes.monotonic()
    monkeypatch.setattr(codes, "monotonic", lambda: now)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        codes.is_valid("country", "VNM")
        codes.name("country", "VNM", "en")
        codes.called("country")
    assert len(queries) == 0


def test_equal_content_has_an_equal_version(directory):
    loading.load(directory(colour=[RED]))
    first = CodeList.objects.get(slug="colour").version
    loading.load(directory(colour=[RED, BLUE]))
    second = CodeList.objects.get(slug="colour").version
    assert first != second
    CodeList.objects.filter(slug="colour").delete()
    loading.load(directory(colour=[RED]))
    assert CodeList.objects.get(slug="colour").version == first


def test_a_question_takes_microseconds():
    day = date(2026, 1, 1)
    codes.is_valid("country", "CHN", day)
    best = min(timeit.repeat(lambda: codes.is_valid("country", "CHN", day), number=1000, repeat=5)) / 1000
    assert best < 20e-6, f"{best * 1e6:.1f} µs"
