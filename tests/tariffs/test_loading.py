"""Loading files: as a whole or not at all, twice the same changes nothing, the past keeps its answers."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.db.backends.postgresql.psycopg_any import DateRange
from openpyxl import Workbook

from common.problems import Problem
from events.models import Event
from tariffs import loading, lookup, maps, reading
from tariffs.models import CommodityLine, MonthlyRate, TariffMeasure, Version
from tariffs.rates import parse

pytestmark = pytest.mark.django_db
SHARED = next(
    (found for parent in Path(__file__).parents if (found := parent / "shared" / "data").is_dir()), Path("shared/data")
)
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared real tables (../shared/data) are not here")

HEAD = "code,kind,origin,rate,valid_from,last_day\n"


def write(tmp_path: Path, text: str, name: str = "measures.csv", encoding: str = "utf-8") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def load(path: Path, **options):
    return loading.load(path, actor="test", **options)


def counts(done):
    return done.added, done.changed, done.ended, done.unchanged


def rates(code: str, day: date, version: int | None = None) -> list[str]:
    known = TariffMeasure.objects.known(version).on(day).filter(code=code)
    return sorted(f"{measure.kind} {measure.rate}" for measure in known)


def test_the_same_file_twice_changes_nothing(tmp_path):
    path = write(tmp_path, HEAD + "85098010,mfn,MFN,6.5%,2020-01-01,\n85098010,general,ALL,free,2020-01-01,\n")
    assert counts(load(path)) == (2, 0, 0, 0)
    version = Version.objects.get().pk
    assert counts(load(path)) == (0, 0, 0, 2)
    assert Version.objects.get().pk == version
    assert Event.objects.filter(type="tariff.changed").count() == 1


def test_a_dry_run_shows_the_difference_and_changes_nothing(tmp_path):
    load(write(tmp_path, HEAD + "85098010,mfn,MFN,6.5%,2020-01-01,\n"))
    path = write(tmp_path, HEAD + "85098010,mfn,MFN,6%,2030-01-01,\n85098020,mfn,MFN,5%,2030-01-01,\n")
    done = load(path, dry_run=True)
    assert counts(done) == (2, 0, 1, 0)
    assert done.samples["added"][0]["rate"] == "6%"
    assert done.samples["ended"][0]["valid"] == "{[2020-01-01,2030-01-01)}"
    assert rates("85098010", date(2031, 1, 1)) == ["mfn 6.5%"]
    out = io.StringIO()
    call_command("load_tariff", str(path), "--dry-run", stdout=out)
    assert "added" in out.getvalue()
    assert "dry run" in out.getvalue()


def test_a_later_row_ends_the_open_one_and_any_past_day_keeps_its_answer(tmp_path):
    load(write(tmp_path, HEAD + "85098010,mfn,MFN,6.5%,2020-01-01,\n"))
    load(write(tmp_path, HEAD + "85098010,mfn,MFN,6%,2030-01-01,\n"))
    assert rates("85098010", date(2029, 12, 31)) == ["mfn 6.5%"]
    assert rates("85098010", date(2030, 1, 1)) == ["mfn 6%"]


def test_a_bounded_row_within_an_open_one_leaves_both_sides(tmp_path):
    load(write(tmp_path, HEAD + "85098010,mfn,MFN,6.5%,2020-01-01,\n"))
    done = load(write(tmp_path, HEAD + "85098010,mfn,MFN,3%,2030-01-01,2030-12-31\n"))
    assert counts(done) == (1, 0, 1, 0)
    assert [rates("85098010", day) for day in (date(2029, 12, 31), date(2030, 6, 1), date(2031, 1, 1))] == [
        ["mfn 6.5%"], ["mfn 3%"], ["mfn 6.5%"],
    ]  # fmt: skip


def test_restating_a_row_with_an_end_ends_it(tmp_path):
    load(write(tmp_path, HEAD + "85098010,mfn,MFN,6.5%,2020-01-01,\n"))
    assert counts(load(write(tmp_path, HEAD + "85098010,mfn,MFN,6.5%,2020-01-01,2030-06-30\n"))) == (0, 1, 0, 0)
    assert rates("85098010", date(2030, 7, 1)) == []


def test_days_already_answered_are_refused_unless_corrected_on_purpose_and_even_then_reproducible(tmp_path):
    load(write(tmp_path, HEAD + "85098010,mfn,MFN,6.5%,2020-01-01,\n"))
    before = Version.objects.latest("pk").pk
    wrong = write(tmp_path, HEAD + "85098010,mfn,MFN,9%,2021-01-01,\n85098010,general,ALL,9%,2021-01-01,\n")
    with pytest.raises(Problem) as caught:
        load(wrong)
    assert [(fault.pointer, fault.code) for fault in caught.value.errors] == [
        ("row 2, valid_from", "changes-the-past"), ("row 3, valid_from", "changes-the-past"),
    ]  # fmt: skip
    load(wrong, correct_past=True, reason="wrong in the gazette")
    assert rates("85098010", date(2022, 1, 1)) == ["general 9%", "mfn 9%"]
    assert rates("85098010", date(2022, 1, 1), before) == ["mfn 6.5%"]
    assert [str(m.rate) for m in lookup.at_version(before).measures("85098010", date(2022, 1, 1))] == ["6.5%"]


@pytest.mark.parametrize(("known", "new"), [("8509", "85098010"), ("85098010", "8509"), ("85", "8509801000")])
def test_a_row_above_or_below_changes_answers_of_past_days_too(tmp_path, known, new):
    """What holds for a code holds for everything below it, and a longer code goes before a shorter one."""
    load(write(tmp_path, HEAD + f"{known},mfn,MFN,6.5%,2020-01-01,\n"))
    row = HEAD + f"{new},mfn,MFN,9%,2021-01-01,\n"
    with pytest.raises(Problem) as caught:
        load(write(tmp_path, row))
    assert [(fault.pointer, fault.code) for fault in caught.value.errors] == [("row 2, valid_from", "changes-the-past")]
    assert counts(load(write(tmp_path, row.replace("2021", "2031")))) == (1, 0, 0, 0)
    assert counts(load(write(tmp_path, HEAD + "84,mfn,MFN,9%,2021-01-01,\n"))) == (1, 0, 0, 0)


def test_a_complete_file_ends_what_it_does_not_hold(tmp_path):
    load(write(tmp_path, HEAD + "85098010,mfn,MFN,6.5%,2020-01-01,\n85098020,mfn,MFN,5%,2020-01-01,\n"))
    done = load(write(tmp_path, HEAD + "85098010,mfn,MFN,6.5%,2020-01-01,\n"), complete_from=date(2031, 1, 1))
    assert counts(done) == (0, 0, 1, 1)
    assert rates("85098020", date(2030, 12, 31)) == ["mfn 5%"]
    assert rates("85098020", date(2031, 1, 1)) == []


def test_every_fault_is_named_with_row_and_column_and_nothing_is_loaded(tmp_path):
    path = write(
        tmp_path,
        HEAD + "85098010,mfn,MFN,6.5%,2020-01-01,\n8509801,mfn,MFN,6.5%,2020-01-01,\n85098010,mfm,MFN,6%,2020-01-01,\n"
        "85098010,mfn,MFN,six,2020-01-01,\n85098010,mfn,MFN,6%,2020-13-01,\n85098010,mfn,MFN,6%,2020-02-01,2020-01-01\n"
        ",mfn,MFN,6%,2020-02-01,\n",
    )
    with pytest.raises(Problem) as caught:
        load(path)
    assert [(fault.pointer, fault.code) for fault in caught.value.errors] == [
        ("row 3, code", "malformed"), ("row 4, kind", "unknown-code"), ("row 5, rate", "not-a-rate"),
        ("row 6, valid_from", "not-a-day"), ("row 7, valid_from", "backwards"), ("row 8, code", "missing"),
    ]  # fmt: skip
    assert TariffMeasure.objects.count() == 0
    with pytest.raises(CommandError):
        call_command("load_tariff", str(path), stderr=io.StringIO())


@pytest.mark.parametrize("rate", ["100%", "60% + 40%", "classes(070 by value; 3 CNY: 120%; 5%)"])
def test_a_consumption_tax_that_leaves_no_base_is_refused(tmp_path, rate):
    """Consumption Tax Regulation art. 9: base = (value + duty) / (1 - rate)."""
    with pytest.raises(Problem) as caught:
        load(
            write(tmp_path, HEAD + f"85098010,mfn,MFN,100%,2020-01-01,\n85098010,consumption,ALL,{rate},2020-01-01,\n")
        )
    assert [(fault.pointer, fault.code) for fault in caught.value.errors] == [("row 3, rate", "out-of-range")]


def test_overlapping_periods_in_a_file_are_refused(tmp_path):
    path = write(tmp_path, HEAD + "85098010,mfn,MFN,6.5%,2020-01-01,2020-12-31\n85098010,mfn,MFN,6%,2020-12-31,\n")
    with pytest.raises(Problem) as caught:
        load(path)
    assert [(fault.pointer, fault.code) for fault in caught.value.errors] == [("row 3, valid_from", "overlap")]


def test_the_database_itself_refuses_two_measures_of_a_kind_on_one_day():
    row = {"code": "85098010", "kind": "mfn", "group": "MFN", "rate": "5%", "since_version": 1}
    TariffMeasure.objects.create(**row, valid=DateRange(date(2020, 1, 1), None))
    with pytest.raises(IntegrityError), transaction.atomic():
        TariffMeasure.objects.create(**row, valid=DateRange(date(2025, 1, 1), date(2026, 1, 1)))
    TariffMeasure.objects.create(**row | {"exporter": "X"}, valid=DateRange(date(2025, 1, 1), date(2026, 1, 1)))


@pytest.mark.parametrize(
    ("text", "encoding", "code"),
    [
        (HEAD + "85098010,mfn,中国,6%,2020-01-01,\n", "gb18030", "wrong-encoding"),
        ("", "utf-8", "empty"),
        ("a,b,c\n1,2,3\n", "utf-8", "unknown-columns"),
        ("code,kind,origin,rate,valid_from,colour\n", "utf-8", "unknown-column"),
        ("code,kind,origin,rate,rate,valid_from\n", "utf-8", "doubled-column"),
        (HEAD + '85098010,mfn,"MFN,6%,2020-01-01,\n', "utf-8", "not-csv"),
        (HEAD + ",,,,,\n" * 1500, "utf-8", "empty-rows"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, text, encoding, code):
    with pytest.raises(Problem) as caught:
        load(write(tmp_path, text, encoding=encoding))
    assert caught.value.errors[0].code == code


@pytest.mark.parametrize(("name", "code"), [("foo", "unknown-encoding"), ("utf-16", "wrong-encoding")])
def test_an_encoding_nobody_knows_or_the_file_is_not_in_is_refused(tmp_path, name, code):
    with pytest.raises(Problem) as caught:
        load(write(tmp_path, HEAD), encoding=name)
    assert [fault.code for fault in caught.value.errors] == [code]


@pytest.mark.parametrize("name", sorted(maps.MAPS))
def test_an_empty_file_is_refused_by_every_column_map(tmp_path, name, tariff):
    with pytest.raises(Problem) as caught:
        load(write(tmp_path, "\n\n"), map_name=name)
    assert [fault.code for fault in caught.value.errors] == ["empty"]


@pytest.mark.parametrize(
    ("name", "text", "pointer"),
    [
        ("hs-2022", "section,hscode,description,parent,level\nI\n", "row 2, hscode"),
        ("cn-hs8-2023", "code8,hs6,name_zh,name_en,legal_unit1_code\n0101\n", "row 2, code8"),
        ("parities", "day,currency,rate\n2026-09-16\n", "row 2, rate"),
    ],
)
def test_a_row_that_is_too_short_for_its_column_map_is_a_fault_of_that_row(tmp_path, tariff, name, text, pointer):
    with pytest.raises(Problem) as caught:
        load(write(tmp_path, text), map_name=name)
    assert [fault.pointer for fault in caught.value.errors] == [pointer]


@pytest.mark.parametrize(
    ("table", "text", "code"),
    [
        ("exchange-rates", "currency,rate,quoted_on,valid_from\nNOK,100000000,2026-09-16,2030-01-01\n", "out-of-range"),
        ("exchange-rates", "currency,rate,quoted_on,valid_from\nNOK,0.123456789,2026-09-16,2030-01-01\n",
         "too-many-decimals"),
        ("parameters", "name,value,valid_from\nx,10000000000,2030-01-01\n", "out-of-range"),
        ("parameters", "name,value,valid_from\nx,0.0000001,2030-01-01\n", "out-of-range"),
        ("quotas", "number,volume,valid_from\nx,0.000001,2030-01-01\n", "out-of-range"),
    ],
)  # fmt: skip
def test_a_number_its_column_cannot_hold_exactly_is_refused(tmp_path, table, text, code):
    with pytest.raises(Problem) as caught:
        load(write(tmp_path, text), table=table)
    assert [fault.code for fault in caught.value.errors] == [code]


def test_the_longest_number_a_column_holds_loads_and_is_unchanged_the_second_time(tmp_path):
    text = "currency,rate,quoted_on,valid_from\nNOK,99999999.12345678,2026-09-16,2030-01-01\n"
    assert counts(load(write(tmp_path, text))) == (1, 0, 0, 0)
    assert counts(load(write(tmp_path, text))) == (0, 0, 0, 1)


def test_another_encoding_is_read_when_it_is_named(tmp_path):
    path = write(tmp_path, "code,name_zh,valid_from\n85098010,地板打蜡机,2020-01-01\n", encoding="gb18030")
    assert counts(load(path, encoding="gb18030")) == (1, 0, 0, 0)
    assert CommodityLine.objects.get().name_zh == "地板打蜡机"


def sheet(tmp_path: Path, rows, change=None) -> Path:
    book = Workbook()
    page = book.active
    for row in rows:
        page.append(row)
    if change:
        change(page)
    path = tmp_path / "measures.xlsx"
    book.save(path)
    return path


ROWS = [["code", "kind", "origin", "rate", "valid_from"], ["85098010", "mfn", "MFN", "6.5%", date(2020, 1, 1)]]


def test_a_spreadsheet_loads_like_its_csv(tmp_path):
    assert counts(load(sheet(tmp_path, ROWS))) == (1, 0, 0, 0)
    assert rates("85098010", date(2020, 1, 1)) == ["mfn 6.5%"]


@pytest.mark.parametrize(
    ("shown", "value"),
    [("0.0%", "6.5%"), ('0.0"%"', "0.065"), (r"0.0\%", "0.065"), ('"per cent: "0.0%', "6.5%")],
)
def test_only_a_percent_sign_that_is_no_literal_multiplies_what_a_cell_holds(tmp_path, shown, value):
    def percent(page):
        page.cell(2, 4, 0.065).number_format = shown

    (_, (_, cells)) = list(reading.rows(sheet(tmp_path, ROWS, percent)))
    assert cells[3] == value


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda page: page.merge_cells("A1:B1"), "merged-cells"),
        (lambda page: page.cell(2, 4, "=1+1"), "formula"),
    ],
)
def test_a_spreadsheet_that_hides_something_is_refused(tmp_path, change, code):
    with pytest.raises(Problem) as caught:
        load(sheet(tmp_path, ROWS, change))
    assert caught.value.errors[0].code == code
    assert TariffMeasure.objects.count() == 0


@pytest.mark.parametrize(
    "last", [b"", b'<row r="1000003"><c r="A1000003" t="inlineStr"><is><t>85098010</t></is></c></row>']
)
def test_a_million_empty_rows_are_refused_where_they_begin(tmp_path, last):
    """Whatever stands after them: reading to the first thousand only would lose it without a word."""
    path = sheet(tmp_path, ROWS)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = "xl/worksheets/sheet1.xml"
    empty = b"".join(b'<row r="%d"><c r="A%d"/></row>' % (row, row) for row in range(3, 1_000_003))
    parts[name] = parts[name].replace(b"</sheetData>", empty + last + b"</sheetData>")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    with pytest.raises(Problem) as caught:
        load(path)
    assert [(fault.pointer, fault.code) for fault in caught.value.errors] == [("row 3", "empty-rows")]
    assert TariffMeasure.objects.count() == 0


def test_per_cent_of_a_spreadsheet_are_the_rate_they_show(tmp_path):
    def as_per_cent(page):
        page.cell(2, 4, 0.065).number_format = "0.0%"

    assert counts(load(sheet(tmp_path, ROWS, as_per_cent))) == (1, 0, 0, 0)
    assert rates("85098010", date(2020, 1, 1)) == ["mfn 6.5%"]


def test_a_sheet_that_breaks_off_is_refused(tmp_path):
    path = sheet(tmp_path, ROWS)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = "xl/worksheets/sheet1.xml"
    parts[name] = parts[name].replace(b"</sheetData>", b"<row></oops>")
    with zipfile.ZipFile(path, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    with pytest.raises(Problem) as caught:
        load(path)
    assert [fault.code for fault in caught.value.errors] == ["not-xlsx"]
    assert TariffMeasure.objects.count() == 0


def test_a_file_that_is_no_spreadsheet_is_refused(tmp_path):
    with pytest.raises(Problem) as caught:
        load(write(tmp_path, "no zip", name="measures.xlsx"))
    assert caught.value.errors[0].code == "not-xlsx"


def test_a_load_is_seen_by_the_next_look_without_a_restart(tmp_path):
    clock = iter([0.0, 0.5, 4.9, 5.0])
    first = lookup.current(clock=lambda: next(clock))
    load(write(tmp_path, HEAD + "85098010,mfn,MFN,6.5%,2020-01-01,\n"))
    assert lookup.current(clock=lambda: next(clock)) is first  # asked within the second
    second = lookup.current(clock=lambda: next(clock))
    assert second.version > first.version
    assert len(second.measures("85098010", date(2026, 1, 1))) == 1
    assert lookup.current(clock=lambda: next(clock)) is second


def test_the_cache_forgets_what_is_not_asked_for():
    nodes = lookup.Nodes(limit=100)
    for number in range(500):
        nodes.put(f"{number:08d}", ((), ()))
        nodes.get("00000000")
    assert nodes.get("00000000") is not None
    assert nodes.get("00000001") is None
    assert len(nodes.young) + len(nodes.old) <= 101


@needs_shared
def test_the_harmonized_system_loads_as_a_tree():
    done = load(SHARED / "hs_nomenclature_en.csv", map_name="hs-2022")
    assert done.added == 97 + 1229 + 5613
    assert CommodityLine.objects.filter(code="090111").get().name_en.startswith("Coffee; not roasted")
    assert counts(load(SHARED / "hs_nomenclature_en.csv", map_name="hs-2022")) == (0, 0, 0, done.added)


@needs_shared
def test_chinas_lines_of_2023_load_with_both_names_and_units():
    assert load(SHARED / "cn_tariff_lines_hs8_2023.csv", map_name="cn-hs8-2023").added == 8957
    line = CommodityLine.objects.get(code="01012100")
    assert (line.name_zh, line.name_en, line.unit1, line.unit2) == (
        "改良种用马", "Live pure-bred breeding horses", "035", "009",
    )  # fmt: skip


@needs_shared
def test_at_most_half_a_per_cent_of_the_rate_texts_of_the_united_states_are_not_read():
    lines = (SHARED / "us_hts_2013.psv").read_text().splitlines()[1:]
    texts = sum(1 for line in lines for cell in line.split("|")[5:8] if cell.strip())
    source = maps.us_hts_2013(SHARED / "us_hts_2013.psv")
    rows = [row for _, row in source.rows]
    assert texts == 28242
    assert len(source.not_parsed) == 90  # 0.32 %: texts in the wrong column or broken off in the file
    assert len(source.not_parsed) <= texts * 0.005
    assert all({"row", "code", "column", "text"} <= set(missed) for missed in source.not_parsed)
    assert all(str(parse(rate)) == rate for rate in {row[5] for row in rows})
    assert source.by_reference < len(rows) * 0.02


@needs_shared
@pytest.mark.slow
def test_the_united_states_schedule_loads_and_is_looked_up():
    done = load(SHARED / "us_hts_2013.psv", map_name="us-hts-2013")
    assert done.added == 141_561
    found = {
        (measure.kind, measure.group): str(measure.rate)
        for measure in lookup.current().measures("01022940", date(2013, 6, 1))
    }
    assert found["mfn", "ALL"] == "0.01 USD/035"
    assert found["general", "ALL"] == "0.055 USD/035"
    assert found["conventional", "US-AU"] == "0.004 USD/035"
    assert found["conventional", "US-KR"] == "0%"


def test_of_daily_parities_the_one_of_the_third_wednesday_is_the_months_rate(tariff, tmp_path):
    """GACC Order 272 art. 13; on 18 February 2026 nobody trades, so March has the parity of the 24th."""
    text = "day,currency,rate,per,inverse\n" + "".join(
        f"2026-{month:02d}-{day:02d},NOK,0.{month:02d}{day:02d},1,0\n" for month in (2, 9) for day in range(1, 29)
    )
    done = load(write(tmp_path, text), map_name="parities")
    assert done.added == 2
    found = MonthlyRate.objects.known().filter(currency="NOK").order_by("valid")
    assert [(str(rate.rate.normalize()), rate.quoted_on, rate.valid.lower, rate.valid.upper) for rate in found] == [
        ("0.0224", date(2026, 2, 24), date(2026, 3, 1), date(2026, 4, 1)),
        ("0.0916", date(2026, 9, 16), date(2026, 10, 1), date(2026, 11, 1)),
    ]


def test_an_old_assessment_is_made_again_from_its_tariff_version(tariff):
    from tariffs import answers, fixing, inputs
    from tariffs.assessment import assess
    from tests import make

    stored = fixing.fix(subject="8000", request=make.assessment_request(), audience=[], actor="test")
    row = {"code": "8509801000", "kind": "mfn", "origin": "MFN", "rate": "99%", "valid_from": "2020-01-01"}
    loading.load_rows("measures", [row], actor="test", reason="correction", correct_past=True)
    lookup.forget()
    request = inputs.from_json(stored.request)
    assert fixing.quote(request).payable > stored.payable
    again = answers.as_json(assess(request, lookup.at_version(stored.tariff_version)))
    assert again["payable"] == stored.payable
    assert again["tariff_version"] == stored.tariff_version


def test_the_example_tariff_loads_twice_to_the_same_and_says_what_it_is():
    from tariffs import example

    first = example.load_example(actor="test")
    assert all(done.added for done in first)
    assert all(not done.changes() for done in example.load_example(actor="test"))
    assert not TariffMeasure.objects.filter(example=False).exists()
    assert not MonthlyRate.objects.filter(example=False).exclude(currency="USD").exists()
    assert CommodityLine.objects.filter(example=True).count() >= 200
