"""The workbench and the audit: numbers of one's own offices; who read and did what."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from clearance.models import ClearanceTime
from common.days import today
from console import charts
from declarations.models import Declaration
from tests import make
from tests.console.officers import Desk

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_numbers() -> None:
    cache.clear()


def test_the_workbench_counts_the_officers_offices_only() -> None:
    late = make.declaration(state="under_review")
    Declaration.objects.filter(pk=late.pk).update(state_since=timezone.now() - timedelta(hours=30))
    make.declaration(state="accepted")
    make.declaration(state="accepted", customs_office="7200")
    make.declaration(state="released")
    page = Desk().http.get("/console/").content.decode()
    assert page.count("超时 1") == 1
    assert "<b>3 / 1</b>" in page
    assert late.unified_number in page
    assert 'role="img"' in page
    nobody = Desk(offices=()).http.get("/console/").content.decode()
    assert "<b>0 / 0</b>" in nobody
    assert late.unified_number not in nobody


def test_a_superuser_without_an_office_sees_all() -> None:
    make.declaration(state="accepted", customs_office="7200")
    assert "<b>1 / 0</b>" in Desk(offices=(), duties=(), superuser=True).http.get("/console/").content.decode()


@pytest.mark.parametrize(("value", "top"), [(0, 4), (3, 4), (5, 8), (9, 16), (21, 40), (81, 160), (1234, 1600)])
def test_an_axis_ends_at_a_round_number(value: int, top: int) -> None:
    assert charts.ceiling(value) == top


def test_a_chart_escapes_what_it_writes_and_draws_each_value() -> None:
    drawn = charts.bars("<b>", ["a", "b"], [charts.Series("x", "", [1, 0]), charts.Series("y", "two", [2, 3])])
    assert "<b>" not in drawn
    assert drawn.count("<rect") == 3
    assert charts.bars("none", [], [])


def test_the_audit_tells_readings_and_decisions_of_an_officer() -> None:
    case = make.declaration(state="under_review")
    worker, supervisor = Desk(name="王敏"), Desk(duties=("supervision",))
    worker.page(case)
    worker.decide(case, "return", reason_code="documents")
    page = supervisor.get("audit", officer=worker.actor).content.decode()
    assert page.count(case.unified_number) >= 4  # two rows, each with its link
    assert "随附单证不全或不符" in page
    assert "退回修改" in page
    by_case = supervisor.get("audit", number=case.unified_number).content.decode()
    assert "王敏" in by_case
    assert "接口" in by_case
    assert "没有记录" in supervisor.get("audit", day="2020-01-01").content.decode()
    assert supervisor.get("audit", day="x", number="\x00").status_code in (200, 400)


def test_clearance_times_are_shown_to_the_tenth_of_an_hour_by_office_and_mode_and_leave_as_csv() -> None:
    def took(number: str, hours: float, **more: Any) -> None:
        accepted = timezone.now() - timedelta(days=1)
        ClearanceTime.objects.create(
            **{"unified_number": number, "office": "8000", "direction": "I", "mode": "ordinary", "advance": False}
            | {"month": today().replace(day=1), "accepted_at": accepted, "released_at": accepted + timedelta(hours=hours)}
            | more
        )  # fmt: skip

    took("I1", 0.4)
    took("I2", 6, mode="advance", advance=True)
    took("I3", 9, office="8001", mode="transit")
    desk = Desk(offices=("8000", "8001"))
    page = desk.get("times", stage="release", office="8000", advance="false").content.decode()
    assert ": 0.4</title>" in page
    assert "6.00" not in page
    page = desk.get("times", stage="release").content.decode()
    assert re.search(r'提前申报 <span class="chip">提前申报</span></td><td class="right mono">1</td>', page)
    assert "6.00" not in desk.get("times", stage="release", mode="transit").content.decode()
    link = re.search(r'href="(/api/v1/clearance-times[^"]+)"', page)
    assert link
    lines = desk.http.get(html.unescape(link[1])).content.decode().splitlines()
    assert lines[0].startswith("office,mode,month,advance,operation,count")
    assert len(lines) == 4
