"""GET /api/v1/reference: public, searchable in both languages, cached by version, downloadable."""

from __future__ import annotations

import csv
import io
from datetime import date

import pytest

from refdata import loading
from refdata.models import Code
from tests.refdata.conftest import BLUE, RED


def codes_in(response) -> list[str]:
    assert response.status_code == 200, response.content
    return [one["code"] for one in response.json()["results"]]


def test_the_catalogue_names_every_list_with_its_source(api):
    body = api().get("/api/v1/reference", headers={"Accept-Language": "en"}).json()
    lists = {one["list"]: one for one in body["results"]}
    assert lists["customs_procedure"]["name"] == "Customs procedures (supervision modes)"
    assert lists["customs_office"]["complete"] is False
    assert lists["unlocode"]["size"] > 5000
    assert lists["country"]["rests_on"]


def test_a_list_comes_in_pages_that_neither_repeat_nor_skip(api):
    seen, address = [], "/api/v1/reference/country?page_size=50"
    while address:
        page = api().get(address).json()
        seen += [one["code"] for one in page["results"]]
        address = page["next"]
    assert seen == list(Code.objects.filter(list="country").order_by("code").values_list("code", flat=True))


def test_search_finds_by_code_and_by_name_in_either_language(api):
    assert codes_in(api().get("/api/v1/reference/country?q=sgp")) == ["SGP"]
    assert "SGP" in codes_in(api().get("/api/v1/reference/country?q=新加"))
    assert "SGP" in codes_in(api().get("/api/v1/reference/country?q=SINGA"))
    assert codes_in(api().get("/api/v1/reference/country?q=100%")) == []


def test_an_exact_code_comes_first(api):
    found = codes_in(api().get("/api/v1/reference/customs_procedure?q=0110"))
    assert found[0] == "0110"
    assert codes_in(api().get("/api/v1/reference/rec20_unit?q=mtr"))[0] == "MTR"


def test_a_search_over_pages_neither_repeats_nor_skips(api):
    seen, address = [], "/api/v1/reference/overseas_port?q=an&page_size=200"
    while address:
        page = api().get(address).json()
        seen += [one["code"] for one in page["results"]]
        address = page["next"]
    assert len(seen) == len(set(seen)) > 400


def test_the_list_is_read_as_of_a_day(api):
    assert "9710" not in codes_in(api().get("/api/v1/reference/customs_procedure?q=97&on=2020-01-01"))
    assert "9710" in codes_in(api().get("/api/v1/reference/customs_procedure?q=97&on=2020-07-01"))
    assert "HRK" not in codes_in(api().get("/api/v1/reference/currency?q=HRK"))
    assert "HRK" in codes_in(api().get("/api/v1/reference/currency?q=HRK&on=any"))


@pytest.mark.parametrize("query", ["on=20260101", "on=2026-02-30", "on=tomorrow", "q=%00", f"q={'x' * 101}"])
def test_a_bad_question_is_answered_with_its_fault(api, query):
    response = api().get(f"/api/v1/reference/country?{query}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] in ("/on", "/q", "")


def test_a_code_with_all_its_periods(api, directory):
    split = [("R", "红", "red", "", "2025-01-01", "3"), ("R", "朱红", "vermilion", "2025-01-01", "", "4")]
    loading.load(directory(colour=split))
    english = {"Accept-Language": "en"}
    body = api().get("/api/v1/reference/colour/R?on=2024-12-31", headers=english).json()
    assert (body["name"], body["in_force"], body["valid_to"]) == ("red", True, "2025-01-01")
    assert [one["name_zh"] for one in body["periods"]] == ["红", "朱红"]
    assert api().get("/api/v1/reference/colour/R", headers=english).json()["name"] == "vermilion"


def test_a_code_that_has_ended_is_still_explained(api):
    body = api().get("/api/v1/reference/licence_document/A").json()
    assert (body["in_force"], body["name_zh"], body["valid_to"]) == (False, "入境货物通关单", "2018-06-01")


def test_codes_with_odd_characters_can_be_asked_for(api):
    assert api().get("/api/v1/reference/receipt_channel/%23").json()["name_zh"] == "准予进卡通知"


@pytest.mark.parametrize("path", ["nothing", "country/XXX", "nothing/X", "country/%00"])
def test_what_is_not_there_is_404(api, path):
    response = api().get(f"/api/v1/reference/{path}")
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["", "/country?q=s", "/country/SGP", "/country?format=csv"])
def test_an_unchanged_answer_is_304_and_a_load_changes_the_tag(api, path, directory):
    first = api().get(f"/api/v1/reference{path}")
    tag = first["ETag"]
    again = api().get(f"/api/v1/reference{path}", headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", tag)
    assert again["Cache-Control"] == "public, no-cache"
    assert api().get(f"/api/v1/reference{path}", headers={"If-None-Match": f'W/{tag}, "x"'}).status_code == 304
    where = directory(columns=(), pattern="[A-Z]{3}", country=[("SGP", "星", "Singapore", "", "")])
    loading.load(where)
    assert api().get(f"/api/v1/reference{path}", headers={"If-None-Match": tag}).status_code == 200


def test_the_tag_depends_on_the_language(api):
    tags = {
        api().get("/api/v1/reference/country/SGP", headers={"Accept-Language": lang})["ETag"] for lang in ("zh", "en")
    }
    assert len(tags) == 2


@pytest.mark.parametrize(
    "ask", [{"path": "?on=any&format=csv"}, {"path": "?on=any", "headers": {"Accept": "text/csv"}}]
)
def test_a_list_is_downloaded_whole_and_can_be_loaded_again(api, directory, ask):
    loading.load(directory(colour=[RED, BLUE, ("G", "绿", "", "2020-01-01", "2021-01-01", "0")]))
    response = api().get("/api/v1/reference/colour" + ask["path"], headers=ask.get("headers", {}))
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="colour.csv"'
    where = directory(colour=[RED])
    (where / "colour.csv").write_bytes(response.content)
    assert not loading.load(where)
    lines = list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"))))
    assert lines[0] == ["code", "name_zh", "name_en", "valid_from", "valid_to", "shade:int"]
    assert len(lines) == 4


def test_days_of_a_period_are_half_open(api, directory):
    loading.load(directory(colour=[("R", "红", "", "2026-01-01", "2026-02-01", "")]))
    asked = {
        day: codes_in(api().get(f"/api/v1/reference/colour?on={day}")) for day in (date(2026, 1, 31), date(2026, 2, 1))
    }
    assert asked == {date(2026, 1, 31): ["R"], date(2026, 2, 1): []}
