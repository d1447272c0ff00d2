"""manage.py load_reference: idempotent, all or nothing, and a faulty file is named to the row and column."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from common.days import today
from refdata import loading
from refdata.files import Faulty, read_directory
from refdata.models import Code, CodeList
from tests.refdata.conftest import BLUE, RED


def rows(slug: str) -> list[tuple]:
    return [
        (one.code, one.name_zh, one.valid.lower, one.valid.upper, one.attributes)
        for one in Code.objects.filter(list=slug).order_by("code", "valid")
    ]


def test_a_load_brings_rows_attributes_and_head(directory):
    difference = loading.load(directory(colour=[RED, BLUE]))
    assert difference.lists == {"colour": {"added": ["R", "B"]}}
    assert rows("colour") == [("B", "蓝", date(2020, 1, 1), None, {}), ("R", "红", None, None, {"shade": 3})]
    head = CodeList.objects.get(slug="colour")
    assert (head.size, head.complete, head.shipped, head.columns) == (2, True, False, ["shade:int"])


def test_a_second_load_changes_nothing(directory):
    where = directory(colour=[RED, BLUE])
    loading.load(where)
    before = CodeList.objects.get(slug="colour")
    difference = loading.load(where)
    assert not difference
    assert difference.unchanged == ["colour"]
    after = CodeList.objects.get(slug="colour")
    assert (after.version, after.loaded_at) == (before.version, before.loaded_at)


def test_the_shipped_lists_are_loaded_and_a_second_load_finds_no_difference():
    assert not loading.load()


def test_a_code_that_the_file_drops_is_closed_today_and_not_deleted(directory):
    loading.load(directory(colour=[RED, BLUE]))
    difference = loading.load(directory(colour=[RED]))
    assert difference.lists == {"colour": {"closed": ["B"]}}
    assert rows("colour")[0] == ("B", "蓝", date(2020, 1, 1), today(), {})
    assert not loading.load(directory(colour=[RED]))


def test_a_code_that_was_to_begin_later_is_taken_out_when_the_file_drops_it(directory):
    loading.load(directory(colour=[RED, ("G", "绿", "green", "2999-01-01", "", "")]))
    assert loading.load(directory(colour=[RED])).lists == {"colour": {"removed": ["G"]}}


def test_a_new_meaning_from_a_day_on_closes_the_old_one(directory):
    loading.load(directory(colour=[RED]))
    split = [("R", "红", "red", "", "2025-01-01", "3"), ("R", "朱红", "vermilion", "2025-01-01", "", "4")]
    difference = loading.load(directory(colour=split))
    assert difference.lists == {"colour": {"changed": ["R"], "added": ["R"]}}
    assert [row[1:4] for row in rows("colour")] == [
        ("红", None, date(2025, 1, 1)),
        ("朱红", date(2025, 1, 1), None),
    ]
    assert loading.load(directory(colour=[RED])).lists == {"colour": {"removed": ["R"], "changed": ["R"]}}


def test_a_dry_run_says_what_would_change_and_changes_nothing(directory):
    out = io.StringIO()
    call_command("load_reference", str(directory(colour=[RED])), "--dry-run", stdout=out)
    assert "colour: 1 added" in out.getvalue()
    assert "  added: R" in out.getvalue()
    assert not CodeList.objects.filter(slug="colour").exists()


def test_the_shipped_lists_leave_an_operators_list_alone_until_told_otherwise(directory):
    where = directory(columns=(), pattern=r"\d{4}", customs_office=[("8099", "新关", "New office", "", "")])
    loading.load(where)
    difference = loading.load()
    assert difference.kept == ["customs_office"]
    assert "8000" not in {row[0] for row in rows("customs_office") if row[3] is None}
    loading.load(take_over=True)
    assert "8000" in {row[0] for row in rows("customs_office") if row[3] is None}
    assert CodeList.objects.get(slug="customs_office").shipped


def test_only_the_lists_asked_for_are_loaded(directory):
    where = directory(colour=[RED], paint=[BLUE])
    assert list(loading.load(where, only=["paint"]).lists) == ["paint"]
    with pytest.raises(Faulty, match="nothing"):
        loading.load(where, only=["nothing"])


@pytest.mark.parametrize(
    ("row", "pointer", "code"),
    [
        (("r", "红", "", "", "", ""), "colour.csv:3:code", "pattern"),
        (("", "红", "", "", "", ""), "colour.csv:3:code", "pattern"),
        (("G", "", "", "", "", ""), "colour.csv:3:name_zh", "no-name"),
        (("G", "绿" * 251, "", "", "", ""), "colour.csv:3:name_zh", "length"),
        (("G", "绿", "", "2026-02-30", "", ""), "colour.csv:3:valid_from", "date"),
        (("G", "绿", "", "", "20260101", ""), "colour.csv:3:valid_to", "date"),
        (("G", "绿", "", "2026-01-02", "2026-01-02", ""), "colour.csv:3:valid_to", "empty-period"),
        (("R", "红", "", "2026-01-01", "", ""), "colour.csv:3:valid_from", "overlap"),
        (("G", "绿", "", "", "", "deep"), "colour.csv:3:shade:int", "value"),
        (("G", "绿", "", ""), "colour.csv:3:", "columns"),
        (("G", "绿", "", "", "", "", "more"), "colour.csv:3:", "columns"),
    ],
)
def test_a_faulty_row_is_named_and_nothing_is_loaded(directory, row, pointer, code):
    where = directory(paint=[RED], colour=[RED, row])
    with pytest.raises(Faulty) as caught:
        loading.load(where)
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [(pointer, code)]
    assert not CodeList.objects.filter(slug__in=["paint", "colour"]).exists()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "heading"),
        (b"code,name_zh\nR,x\n", "heading"),
        (b"code,name_zh,name_en,valid_from,valid_to,code\n", "heading"),
        (b"code,name_zh,name_en,valid_from,valid_to,Bad Heading\n", "heading"),
        (b"code,name_zh,name_en,valid_from,valid_to\n", "empty"),
        ("code,name_zh,name_en,valid_from,valid_to\nR,红,,,\n".encode("gb18030"), "encoding"),
        (b"code,name_zh,name_en,valid_from,valid_to\nR,a\x00b,,,\n", "nul-character"),
        (b'code,name_zh,name_en,valid_from,valid_to\nR,"open,,,\n', "malformed"),
    ],
)
def test_a_faulty_file_is_refused_as_a_whole(directory, body, code):
    where = directory(colour=[RED])
    (where / "colour.csv").write_bytes(body)
    with pytest.raises(Faulty) as caught:
        loading.load(where)
    assert [fault.code for fault in caught.value.faults] == [code]
    assert caught.value.faults[0].pointer.startswith("colour.csv:")


def test_the_command_names_every_fault_and_fails(directory):
    where = directory(colour=[RED, ("g", "绿", "", "", "", "x")])
    with pytest.raises(CommandError) as caught:
        call_command("load_reference", str(where))
    assert "colour.csv:3:code" in str(caught.value)
    assert "colour.csv:3:shade:int" in str(caught.value)


def test_a_directory_without_lists_is_refused(tmp_path):
    with pytest.raises(Faulty, match=r"lists\.csv"):
        loading.load(tmp_path)


def test_the_database_itself_refuses_two_meanings_on_one_day(directory):
    loading.load(directory(colour=[RED]))
    with pytest.raises(IntegrityError, match="refdata_one_meaning_a_day"), transaction.atomic():
        Code.objects.create(list_id="colour", code="R", name_zh="另一种红", valid=(date(2026, 1, 1), None))


def test_every_shipped_list_has_its_source_beside_it():
    sources = (loading.SHIPPED / "SOURCES.md").read_text()
    missing = [one.slug for one in read_directory(loading.SHIPPED) if f"`{one.slug}`" not in sources]
    assert missing == []


def test_shipped_cross_references_point_at_codes_that_exist():
    lists = {one.slug: one for one in read_directory(loading.SHIPPED)}
    codes = {slug: {row.code for row in one.rows} for slug, one in lists.items()}

    def targets(slug: str, key: str) -> set[str]:
        return {row.attributes[key] for row in lists[slug].rows if key in row.attributes}

    for legacy in ("country", "currency", "package_type", "overseas_port"):
        assert targets(f"{legacy}_legacy", "modern") <= codes[legacy]
        assert not codes[f"{legacy}_legacy"] & codes[legacy]
    assert targets("unit", "rec20") <= codes["rec20_unit"]
    assert targets("transport_mode", "rec19") <= codes["rec19_transport_mode"]
    assert targets("trade_term", "incoterm") <= codes["incoterm"]
    assert targets("incoterm", "trade_term") <= codes["trade_term"]
    assert targets("customs_office", "district") <= codes["customs_office"]
    assert codes["corridor_province"] <= codes["admin_division"] | {"431200", "440800"}


def test_a_load_that_breaks_off_leaves_nothing(directory, monkeypatch):
    def break_off(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loading, "_set_versions", break_off)
    with pytest.raises(KeyboardInterrupt), transaction.atomic():
        loading.load(directory(paint=[RED], colour=[BLUE]))
    assert not CodeList.objects.filter(slug__in=["paint", "colour"]).exists()
    assert not Code.objects.filter(list__in=["paint", "colour"]).exists()


@pytest.mark.django_db(transaction=True)
def test_two_loads_at_once_take_turns(directory):
    where = directory(colour=[RED, BLUE])

    def load() -> bool:
        try:
            return bool(loading.load(where))
        finally:
            connection.close()

    try:
        with ThreadPoolExecutor(4) as pool:
            changed = [one.result() for one in [pool.submit(load) for _ in range(4)]]
        assert sorted(changed) == [False, False, False, True]
        assert len(rows("colour")) == 2
    finally:
        CodeList.objects.filter(slug="colour").delete()
