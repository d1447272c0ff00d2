"""What a declaration says about reductions (levy nature of the head, duty mode of the item) reaches its assessment."""

from __future__ import annotations

from typing import Any

import pytest

from clearance import duty_desk
from tariffs import fixing
from tests import make
from tests.clearance.test_duties import lodged, worked_example

pytestmark = pytest.mark.django_db

#: As levied in full: duty, VAT.
FULL = {"duty": "10228.99", "vat": "21787.75"}


@pytest.fixture(autouse=True)
def _tariff(db):
    make.tariff()


def declared(firm, levy_nature: str, duty_mode: str) -> Any:
    message = worked_example(firm, levy_nature=levy_nature)
    for item in message["goods_items"]:
        item["duty_mode"] = duty_mode
    return fixing.latest(lodged(firm, message).unified_number)


def taxes(stored) -> dict[str, tuple[str, str]]:
    return {line["tax"]: (line["payable"], line["status"]) for line in stored.answer["en"]["items"][0]["taxes"]}


def notices(stored) -> list[str]:
    return [notice["code"] for notice in stored.answer["en"]["notices"]]


@pytest.mark.parametrize(
    ("levy_nature", "duty_mode", "expected"),
    [
        # encouraged projects: duty exempt, VAT on the value alone (157 369.07 x 13 % = 20 457.98)
        ("789", "3", {"duty": ("0.00", "exempt"), "vat": ("20457.98", "levied")}),
        # others, as the duty mode says: all exempt; half of each, VAT on what duty is left (157 369.07 + 5 114.50)
        ("399", "3", {"duty": ("0.00", "exempt"), "vat": ("0.00", "exempt")}),
        ("399", "2", {"duty": ("5114.50", "reduced"), "vat": ("10561.43", "reduced")}),
        ("399", "1", {"duty": (FULL["duty"], "levied"), "vat": (FULL["vat"], "levied")}),
    ],
)
def test_levy_nature_and_duty_mode_of_a_declaration_reduce_what_it_owes(firm, levy_nature, duty_mode, expected):
    assert taxes(declared(firm, levy_nature, duty_mode)) == expected


def test_an_exemption_that_the_levy_nature_does_not_support_is_levied_and_said(firm):
    stored = declared(firm, "101", "3")
    assert taxes(stored)["duty"] == (FULL["duty"], "levied")
    assert "exemption-unsupported" in notices(stored)


def test_in_a_special_case_an_officer_fixes_the_share_since_no_element_carries_it(firm):
    """DecMessage has DutyMode 4 (特案减免) but no element for its percentage."""
    stored = declared(firm, "399", "4")
    assert taxes(stored)["duty"] == (FULL["duty"], "levied")
    assert "reduction-not-fixed" in notices(stored)
    fixed = duty_desk.override(
        number=stored.subject, changes={"1": {"reduction": "30"}}, reason="批文", version=stored.number,
        principal=make.officer_principal(),
    )  # fmt: skip
    assert taxes(fixed)["duty"] == ("3068.70", "reduced")  # 10 228.99 x 30 %
    assert "reduction-not-fixed" not in notices(fixed)
