"""Worked cases: the program's figures against figures worked out independently, in exact fractions, from the rules."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest

from common.problems import Problem
from common.text import side
from tariffs.assessed import Assessment
from tariffs.assessment import assess
from tariffs.book import Measure
from tariffs.inputs import from_json
from tariffs.rates import parse
from tariffs.selection import REASONS
from tests.tariffs import golden

CASES = golden.cases()


def test_there_are_at_least_sixty_golden_cases():
    assert len(CASES) >= 60
    assert len({case["name"] for case in CASES}) == len(CASES)


@pytest.fixture(scope="module")
def book():
    return golden.book()


@pytest.mark.parametrize("case", [case for case in CASES if "literal" in case], ids=lambda case: case["name"])
def test_a_figure_written_down_is_what_its_expression_comes_to(case):
    worked = golden.worked(case)
    assert {name: worked[name] for name in case["literal"]} == {
        name: Decimal(number) for name, number in case["literal"].items()
    }


def _request(case):
    request = from_json(golden.as_input(case))
    for number, fixed in case.get("fixed", {}).items():
        place = int(number) - 1
        item = replace(request.items[place], fixed_value=Decimal(fixed["fixed_value"]), fixed_rate=fixed["fixed_rate"])
        request = replace(request, items=(*request.items[:place], item, *request.items[place + 1 :]))
    return request


def _figure(found: Assessment, name: str) -> Decimal | None:
    """The program's figure of that name, or None where the name is only a step of the working."""
    if name == "payable":
        return found.payable
    if name == "fee":
        return found.late_declaration_fee
    if name == "interest":
        return found.deferred_interest
    if name == "days":
        return Decimal(found.days_late)
    if name.startswith("total."):
        return found.total(name.removeprefix("total."))
    what = "payable"
    if name.startswith("computed."):
        what, name = "computed", name.removeprefix("computed.")
    tax, point, number = name.rpartition(".")
    if not point:
        return None
    result = found.items[int(number) - 1]
    if tax == "value":
        return result.value
    return sum((getattr(line, what) for line in result.taxes if line.tax == tax), Decimal(0))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_golden(case, book):
    if "faults" in case:
        with pytest.raises(Problem) as caught:
            assess(_request(case), book)
        assert caught.value.status == 422
        assert [[fault.pointer, fault.code] for fault in caught.value.errors] == case["faults"]
        return
    found = assess(_request(case), book)
    worked = golden.worked(case)
    program = {name: _figure(found, name) for name in worked}
    assert {name: number for name, number in program.items() if number is not None} == {
        name: worked[name] for name, number in program.items() if number is not None
    }
    for number, kind in case.get("taken", {}).items():
        duty = found.items[int(number) - 1].selection.duty
        assert duty is not None
        assert duty.kind == kind
    for number, statuses in case.get("status", {}).items():
        lines = found.items[int(number) - 1].taxes
        assert {line.tax: line.status for line in lines if line.tax in statuses} == statuses
    codes = [notice.code for notice in found.notices]
    assert [code for code in case.get("notices", []) if code not in codes] == []
    for step in found.steps:
        assert step.line(side())
        assert step.inputs, step.code
        assert all(isinstance(value, str) for value in step.inputs.values())
    if not case.get("nothing_levied"):  # what is not levied has no figure that could name the article
        assert _bases(case["article"]) - _given(found) == set()


#: How the cases name a law -> the key of the basis, its article in place of {}.
LAWS = {
    "关税法": "tariff-law-{}", "海关法": "customs-law-{}", "消费税暂行条例": "consumption-{}", "海关总署令 272": "order-272-13",
    "海关总署令": "order-{}", "增值税法": "vat-law-10-14", "财关税〔2016〕18号": "retail-2016-18",
    "财关税〔2018〕49号": "retail-2018-49", "分摊规则": "split", "海关核定": "officer", "缓税利息": "deferred-interest",
    "征免性质": "regime", "征免方式": "regime", "监管方式": "regime",
}  # fmt: skip


def _bases(article: str) -> set[str]:
    """The keys of the articles a case was worked out by."""
    found = set()
    for part in article.split("; "):
        for law, key in LAWS.items():
            if part.startswith(law):
                numbers = re.findall(r"\d+", part.removeprefix(law).partition("（")[0])
                found |= {key.format(number) for number in numbers or [""]}
                break
    return found


def _given(found: Assessment) -> set[str]:
    """What the answer gives as grounds: of each figure, and of each rate taken or not taken."""
    candidates = [candidate for result in found.items for candidate in result.selection.candidates]
    return {step.basis for step in found.steps} | {REASONS[candidate.reason][0] for candidate in candidates}


def asked(book, **item) -> Assessment:
    item = {"code": "2804690000", "total": "100000", "currency": "CNY"} | item
    return assess(from_json({"completed_on": "2026-10-12", "items": [item]}), book)


def test_remedies_on_goods_of_unknown_origin_stand_on_article_19(book):
    """关税法 19: whatever proof of origin is said to be held."""
    for origin, article in (("USA", "tariff-law-16"), ("ZZZ", "tariff-law-19")):
        found = asked(book, origin=origin, origin_proven=True)
        assert {step.basis for step in found.steps if step.code == "anti-dumping"} == {article}


def test_two_remedies_of_one_kind_are_both_in_the_inputs_of_the_base_of_vat(book):
    more = Measure(10**9, "2804690000", "safeguard", "USA", parse("10%"))
    found = asked(replace(book, all_measures=[*book.all_measures, more]), origin="USA")
    (base,) = [step for step in found.steps if step.code == "vat-base"]
    assert base.inputs["safeguard"] == "30000.00"
    assert sum(Decimal(part) for part in base.inputs.values()) == base.result == Decimal("193100.00")
