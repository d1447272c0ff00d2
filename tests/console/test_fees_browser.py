"""Port fees at the console in Chromium. Screenshots go to var/screenshots/ for people to look at."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from parties.models import OrganisationRole
from portfees import sheets
from portfees.models import FeeList
from tests import make
from tests.browsing import Browser
from tests.console.test_fees import begun, complained, desk, listed, reference  # noqa: F401
from tests.portfees.conftest import item
from tests.tariffs.test_browser import FAINT

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("browser")]


def look(browser: Browser, name: str) -> None:
    browser.shot(name, full_page=True)
    assert browser.page.evaluate(FAINT) == []


def test_a_list_goes_from_a_sheet_to_the_public_in_the_console(browser: Browser, tmp_path: Path, client) -> None:
    body = make.organisation(OrganisationRole.TERMINAL, name="钦州港集装箱码头有限公司（示例）")
    listed(body)
    make.officer(organisation=body, offices=(), duties=(), username="lin")
    begun(desk(client, body))
    number = FeeList.objects.order_by("-pk")[0].number
    browser.log_in("lin")
    browser.open("/console/port-fees/lists/")
    look(browser, "console-fee-lists")
    browser.open(f"/console/port-fees/lists/{number}/")
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(
        "code,name_zh,service_content,payer,unit,rate,pricing,mandatory\nA,装卸费,x,consignee,container,abc,market,1\n"
    )
    browser.page.set_input_files("input[type=file]", wrong)
    browser.page.click("form[enctype] button")
    assert "/rows/2/rate" in browser.text("#faults")
    look(browser, "console-fee-list-faults")
    right = tmp_path / "right.xlsx"
    right.write_bytes(
        sheets.write_xlsx([item(rate=Decimal(450)), item("SEAL", name_zh="封志费", rate=Decimal(20))], "x")
    )
    browser.page.set_input_files("input[type=file]", right)
    browser.page.click("form[enctype] button")
    browser.page.wait_for_selector("textarea[name=sheet]", state="attached")
    look(browser, "console-fee-list-tried")
    browser.page.click("button.good")
    browser.page.wait_for_selector("li.success")
    for act, state in (("check", "checked"), ("publish", "published")):
        browser.page.click(f"form[action$='/{act}/'] button")
        browser.page.wait_for_selector("li.success")
        assert FeeList.objects.get(number=number).state == state
    look(browser, "console-fee-list-published")


def test_the_port_authority_follows_a_complaint_and_sets_figures(browser: Browser) -> None:
    complaint, _ = complained()
    authority = make.organisation(OrganisationRole.PORT_AUTHORITY, name="口岸和物流办公室（示例）")
    make.officer(organisation=authority, offices=(), duties=(), username="he")
    browser.log_in("he")
    browser.open("/console/port-fees/complaints/")
    look(browser, "console-complaints")
    browser.page.click(f"text={complaint.number}")
    browser.page.fill("#text", "高于公布费率 400 元，应予退还。")
    look(browser, "console-complaint")
    browser.page.click("button[value=uphold]")
    browser.page.wait_for_selector("li.success")
    complaint.refresh_from_db()
    assert complaint.state == "upheld"
    browser.open("/console/port-fees/figures/")
    browser.page.fill("#p-value", "45")
    browser.page.fill("#p-basis", "测试")
    look(browser, "console-fee-figures")
    browser.page.click("#set-parameter")
    browser.page.wait_for_selector("li.success")
